-- tables: told
SELECT client_id, metric, $cluster || '/client/' || @encoded(x.client_id) AS resource,
    CASE WHEN metric LIKE '%.total' THEN sum(value) ELSE max(value) END AS value, min(age_s) AS data_age_s
FROM told x WHERE client_id IS NOT NULL AND metric IS NOT NULL
GROUP BY client_id, metric
