-- tables: security
SELECT resource, subject, item AS "check", value, make_timestamptz(expires_us) AS expires_at, age_s AS data_age_s
FROM security
