-- tables: partitions log_dirs
-- measures: log_start log_end last_stable log_size
WITH held AS (
    SELECT topic, part, max(size_bytes) AS size_bytes FROM log_dirs WHERE topic IS NOT NULL GROUP BY ALL
)
SELECT p.topic, p.part AS partition, $cluster || '/topic/' || p.topic || '/' || p.part AS resource,
    any_value(p.leader) AS leader, any_value(p.replicas) AS replicas, any_value(p.isr) AS isr,
    max(m.last) FILTER (m.measure = 'log_start')::BIGINT AS log_start,
    max(m.last) FILTER (m.measure = 'log_end')::BIGINT AS log_end,
    max(m.last) FILTER (m.measure = 'last_stable')::BIGINT AS last_stable,
    coalesce(max(m.last) FILTER (m.measure = 'log_size'), any_value(h.size_bytes)) AS size_bytes,
    any_value(p.age_s) AS data_age_s
FROM partitions p LEFT JOIN m ON m.topic = p.topic AND m.part = p.part::VARCHAR
LEFT JOIN held h ON h.topic = p.topic AND h.part = p.part
GROUP BY p.topic, p.part
