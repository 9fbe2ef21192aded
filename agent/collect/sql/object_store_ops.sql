-- tables: quantiles
-- measures: store_requests store_bytes
SELECT m.broker, m.operation, coalesce(m.status, '') AS status, $cluster || '/broker/' || m.broker AS resource,
    sum(m.rate) AS requests_per_s,
    CASE WHEN coalesce(m.status, 'success') IN ('success', 'ok', '200') THEN (SELECT sum(rate) FROM m b
        WHERE b.measure = 'store_bytes' AND b.broker = m.broker AND b.operation = m.operation) END AS bytes_per_s,
    (SELECT max(q.p99_s) FROM quantiles q WHERE q.broker = m.broker
        AND q.operation = CASE m.operation WHEN 'put' THEN 'upload' ELSE m.operation END) AS p99_s,
    min(m.age_s) AS data_age_s
FROM m WHERE m.measure = 'store_requests' AND m.broker IS NOT NULL
GROUP BY ALL HAVING requests_per_s IS NOT NULL
