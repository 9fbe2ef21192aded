-- tables: targets
SELECT target, $cluster || '/source/' || @encoded(target) AS resource, up, make_timestamptz(ok_us) AS last_ok_at, reason,
    age_s AS data_age_s
FROM targets
