-- tables: history
SELECT measure || ':' || subject AS measure, resource, make_timestamptz(bucket_us) AS bucket_start, bucket_s,
    low AS min, high AS max, mean AS avg, newest AS last, increase, age_s AS data_age_s
FROM history
