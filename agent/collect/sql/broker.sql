-- tables: brokers
-- measures: broker_info started_at registered_at cordoned
SELECT b.broker, b.resource, b.kind, coalesce(any_value(m.zone) FILTER (m.measure = 'broker_info'), any_value(b.rack)) AS zone,
    any_value(b.up) AS up,
    to_timestamp(max(m.last) FILTER (m.measure = 'registered_at')) AS registered_at,
    to_timestamp(max(m.last) FILTER (m.measure = 'started_at')) AS started_at,
    max(m.last) FILTER (m.measure = 'cordoned') = 1 AS cordoned,
    any_value(m.spot = 'true') FILTER (m.measure = 'broker_info') AS spot,
    any_value(m.version) FILTER (m.measure = 'broker_info') AS version,
    any_value(b.cores) AS cores, any_value(b.instance_type) AS instance_type, any_value(b.age_s) AS data_age_s
FROM brokers b LEFT JOIN m ON m.broker = b.broker AND m.last IS NOT NULL
GROUP BY ALL
