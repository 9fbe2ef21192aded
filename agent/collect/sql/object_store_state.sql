-- measures: objects live_bytes
SELECT 'objects' AS store, $cluster || '/store/objects' AS resource,
    max(last) FILTER (measure = 'objects')::BIGINT AS objects, max(last) FILTER (measure = 'live_bytes') AS live_bytes,
    min(age_s) AS data_age_s
FROM m HAVING objects IS NOT NULL OR live_bytes IS NOT NULL
