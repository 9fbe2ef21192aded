-- tables: brokers partitions configs
-- measures: idle_share broker_bytes_in broker_bytes_out requests cpu_seconds rss_bytes connections
WITH load AS (
    SELECT broker, sum(rate) FILTER (measure = 'broker_bytes_in') AS bytes_in,
        sum(rate) FILTER (measure = 'broker_bytes_out') AS bytes_out,
        sum(rate) FILTER (measure = 'requests') AS requests,
        sum(rate) FILTER (measure = 'cpu_seconds') AS cpu,
        max(rate) FILTER (measure = 'idle_share') AS idle,
        max(last) FILTER (measure = 'rss_bytes') AS rss,
        sum(last) FILTER (measure = 'connections') AS connections, min(age_s) AS age_s
    FROM m WHERE broker IS NOT NULL GROUP BY broker
), led AS (
    SELECT leader AS broker, count(*) AS leaders FROM partitions GROUP BY leader
), listed AS (
    SELECT broker, count(*) AS partitions FROM (SELECT unnest(replicas) AS broker FROM partitions) GROUP BY broker
), combined AS (
    -- Broker and controller in one process share the meter until Kafka 4.1: two pools of up to 1 each. 4.2 divides by
    -- all threads. So up to 1 it cannot be told which of the two was seen, and the share is unknown.
    SELECT owner AS broker FROM configs
    WHERE scope = 'broker' AND name = 'process.roles' AND contains(value, 'controller')
)
SELECT b.broker, b.resource, l.bytes_in AS bytes_in_per_s, l.bytes_out AS bytes_out_per_s,
    l.requests AS requests_per_s, l.cpu / coalesce(b.cores, CASE WHEN b.kind = 'bundled' THEN 1.0 END) AS cpu_share,
    CASE WHEN c.broker IS NULL AND l.idle <= 1.05 THEN least(l.idle, 1.0)
        WHEN c.broker IS NOT NULL AND l.idle > 1.05 THEN least(l.idle / 2, 1.0) END AS idle_share,
    l.rss AS rss_bytes, l.connections,
    CASE WHEN b.topology_known THEN coalesce(d.leaders, 0) END AS leaders,
    CASE WHEN b.topology_known THEN coalesce(r.partitions, 0) END AS partitions,
    coalesce(l.age_s, b.age_s) AS data_age_s
FROM brokers b
LEFT JOIN load l ON l.broker = b.broker
LEFT JOIN combined c ON c.broker = b.broker
LEFT JOIN led d ON d.broker = b.broker
LEFT JOIN listed r ON r.broker = b.broker
WHERE b.up
