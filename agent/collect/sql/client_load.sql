-- tables: brokers whereabouts
-- measures: client_bytes client_cross_zone_bytes client_requests client_batches client_batch_bytes
WITH moved AS (
    SELECT client_id, broker, direction, sum(rate) AS bytes, arg_max(nullif(nullif(zone, ''), 'unknown'), rate) AS zone,
        arg_max(nullif(software, ''), rate) AS software, min(age_s) AS age_s
    FROM m WHERE measure = 'client_bytes' AND rate IS NOT NULL GROUP BY ALL
), crossed AS (
    SELECT client_id, broker, direction, sum(rate) AS bytes
    FROM m WHERE measure = 'client_cross_zone_bytes' GROUP BY ALL
), asked AS (
    SELECT client_id, broker, direction, sum(rate) AS requests FROM m WHERE measure = 'client_requests' GROUP BY ALL
), by_codec AS (
    SELECT client_id, broker, codec, sum(increase) FILTER (measure = 'client_batch_bytes') AS bytes,
        sum(increase) FILTER (measure = 'client_batches') AS batches
    FROM m WHERE measure IN ('client_batches', 'client_batch_bytes') GROUP BY ALL
), batched AS (
    SELECT client_id, broker, arg_max(codec, bytes) FILTER (bytes > 0) AS codec,
        sum(bytes) / nullif(sum(batches), 0) AS batch_bytes
    FROM by_codec GROUP BY ALL
)
SELECT x.client_id, x.broker, x.direction, $cluster || '/client/' || @encoded(x.client_id) AS resource,
    x.bytes AS bytes_per_s,
    CASE WHEN x.zone IS NOT NULL THEN coalesce(c.bytes, 0)
        WHEN w.zone = h.rack THEN 0 WHEN w.zone <> h.rack THEN x.bytes END AS cross_zone_bytes_per_s,
    a.requests AS requests_per_s,
    CASE WHEN x.direction = 'produce' THEN b.batch_bytes END AS batch_bytes_avg,
    CASE WHEN x.direction = 'produce' THEN b.codec END AS codec,
    coalesce(x.zone, w.zone) AS client_zone, x.software, x.age_s AS data_age_s
FROM moved x
LEFT JOIN whereabouts w ON w.client_id = x.client_id
LEFT JOIN brokers h ON h.broker = x.broker
LEFT JOIN crossed c ON c.client_id = x.client_id AND c.broker = x.broker AND c.direction = x.direction
LEFT JOIN asked a ON a.client_id = x.client_id AND a.broker = x.broker AND a.direction = x.direction
LEFT JOIN batched b ON b.client_id = x.client_id AND b.broker = x.broker
