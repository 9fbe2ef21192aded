-- tables: quantiles
-- measures: wal_pending_bytes wal_oldest_s wal_capacity_bytes wal_errors
SELECT m.broker, $cluster || '/broker/' || m.broker AS resource,
    max(last) FILTER (measure = 'wal_pending_bytes') AS pending_bytes,
    max(last) FILTER (measure = 'wal_oldest_s') AS oldest_s,
    1 - max(last) FILTER (measure = 'wal_pending_bytes') / nullif(max(last) FILTER (measure = 'wal_capacity_bytes'), 0)
        AS free_share,
    sum(rate) FILTER (measure = 'wal_errors') AS errors_per_s,
    (SELECT max(q.p99_s) FROM quantiles q WHERE q.broker = m.broker AND q.operation = 'append_wal') AS append_p99_s,
    min(age_s) AS data_age_s
FROM m WHERE m.broker IS NOT NULL GROUP BY m.broker HAVING pending_bytes IS NOT NULL
