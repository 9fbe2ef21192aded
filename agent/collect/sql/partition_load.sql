-- tables: partitions
-- measures: partition_bytes_in partition_bytes_out log_end topic_bytes_in topic_bytes_out
WITH delta AS (
    SELECT topic, part::INTEGER AS part, greatest(max(last - first), 0) AS records, max(span_s) AS span_s,
        min(age_s) AS age_s
    FROM m WHERE measure = 'log_end' AND last IS NOT NULL AND span_s > 0 GROUP BY ALL
), measured AS (
    SELECT topic, part::INTEGER AS part, sum(rate) FILTER (measure = 'partition_bytes_in') AS bytes_in,
        sum(rate) FILTER (measure = 'partition_bytes_out') AS bytes_out, min(age_s) AS age_s
    FROM m WHERE measure IN ('partition_bytes_in', 'partition_bytes_out') GROUP BY ALL
), topic_rate AS (
    SELECT topic, broker, sum(rate) FILTER (measure = 'topic_bytes_in') AS bytes_in,
        sum(rate) FILTER (measure = 'topic_bytes_out') AS bytes_out
    FROM m WHERE measure IN ('topic_bytes_in', 'topic_bytes_out') GROUP BY ALL
), share AS (
    SELECT p.topic, p.part, p.leader,
        d.records / nullif(sum(d.records) OVER (PARTITION BY p.topic, p.leader), 0) AS share
    FROM partitions p JOIN delta d ON d.topic = p.topic AND d.part = p.part
)
SELECT p.topic, p.part AS partition, $cluster || '/topic/' || p.topic || '/' || p.part AS resource,
    coalesce(x.bytes_in, t.bytes_in * s.share) AS bytes_in_per_s,
    coalesce(x.bytes_out, t.bytes_out * s.share) AS bytes_out_per_s,
    d.records / d.span_s AS records_in_per_s,
    CASE WHEN x.topic IS NULL THEN 'estimated' ELSE 'measured' END AS basis,
    coalesce(x.age_s, d.age_s) AS data_age_s
FROM partitions p
LEFT JOIN measured x ON x.topic = p.topic AND x.part = p.part
LEFT JOIN delta d ON d.topic = p.topic AND d.part = p.part
LEFT JOIN share s ON s.topic = p.topic AND s.part = p.part
LEFT JOIN topic_rate t ON t.topic = p.topic AND t.broker = p.leader
WHERE x.topic IS NOT NULL OR d.topic IS NOT NULL
