-- measures: requests request_errors request_p50_s request_p99_s request_throttle_s
SELECT broker, api, $cluster || '/broker/' || broker AS resource,
    sum(rate) FILTER (measure = 'requests') AS requests_per_s,
    sum(rate) FILTER (measure = 'request_errors' AND coalesce(error, '') NOT IN ('NONE', 'None', '0')) AS errors_per_s,
    max(last) FILTER (measure = 'request_p50_s') AS p50_s,
    max(last) FILTER (measure = 'request_p99_s') AS p99_s,
    max(last) FILTER (measure = 'request_throttle_s') AS throttle_s,
    min(age_s) AS data_age_s
FROM m WHERE broker IS NOT NULL AND api IS NOT NULL
GROUP BY ALL HAVING requests_per_s IS NOT NULL OR p99_s > 0
