-- tables: events
SELECT make_timestamptz(at_us) AS "at", kind, resource, source, detail, age_s AS data_age_s FROM events
