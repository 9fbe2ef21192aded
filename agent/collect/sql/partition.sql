-- tables: partitions
-- measures: log_start log_end last_stable log_size
SELECT p.topic, p.part AS partition, $cluster || '/topic/' || p.topic || '/' || p.part AS resource,
    any_value(p.leader) AS leader, any_value(p.replicas) AS replicas, any_value(p.isr) AS isr,
    max(m.last) FILTER (m.measure = 'log_start')::BIGINT AS log_start,
    max(m.last) FILTER (m.measure = 'log_end')::BIGINT AS log_end,
    max(m.last) FILTER (m.measure = 'last_stable')::BIGINT AS last_stable,
    max(m.last) FILTER (m.measure = 'log_size') AS size_bytes,
    any_value(p.age_s) AS data_age_s
FROM partitions p LEFT JOIN m ON m.topic = p.topic AND m.part = p.part::VARCHAR
GROUP BY p.topic, p.part
