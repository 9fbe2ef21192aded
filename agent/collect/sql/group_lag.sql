-- tables: members configs
-- measures: committed log_end log_start lag_s
WITH ends AS (
    SELECT topic, part, max(last) FILTER (measure = 'log_end') AS log_end,
        max(last) FILTER (measure = 'log_start') AS log_start
    FROM m WHERE measure IN ('log_end', 'log_start') GROUP BY ALL
), lag AS (
    SELECT group_id, topic, part, max(last) FILTER (measure = 'committed') AS committed,
        max(last) FILTER (measure = 'lag_s') AS lag_s,
        max((last - first) / nullif(span_s, 0)) FILTER (measure = 'lag_s') AS slope, min(age_s) AS age_s
    FROM m WHERE measure IN ('committed', 'lag_s') GROUP BY ALL
), retention AS (
    SELECT owner AS topic, try_cast(value AS DOUBLE) / 1000 AS retention_s
    FROM configs WHERE scope = 'topic' AND name = 'retention.ms' AND try_cast(value AS DOUBLE) > 0
)
SELECT l.group_id, l.topic, l.part::INTEGER AS partition, $cluster || '/group/' || @encoded(l.group_id) AS resource,
    l.committed::BIGINT AS committed, e.log_end::BIGINT AS log_end,
    greatest(e.log_end - l.committed, 0)::BIGINT AS lag_records, l.lag_s, l.slope AS lag_s_slope,
    greatest(l.lag_s / r.retention_s, CASE WHEN r.retention_s IS NOT NULL AND e.log_start > 0 AND e.log_end > l.committed
        THEN least((e.log_end - l.committed) / nullif(e.log_end - e.log_start, 0), 1.0) END) AS retention_share,
    (SELECT any_value(member_id) FROM members w
        WHERE w.group_id = l.group_id AND w.topic = l.topic AND w.part = l.part::INTEGER) AS member_id,
    l.age_s AS data_age_s
FROM lag l LEFT JOIN ends e ON e.topic = l.topic AND e.part = l.part LEFT JOIN retention r ON r.topic = l.topic
WHERE l.committed IS NOT NULL
