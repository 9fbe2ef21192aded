-- tables: configs
SELECT owner AS topic, $cluster || '/topic/' || owner AS resource, name, value, source, age_s AS data_age_s
FROM configs WHERE scope = 'topic'
