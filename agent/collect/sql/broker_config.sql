-- tables: configs
SELECT owner AS broker, $cluster || '/broker/' || owner AS resource, name, value, source, age_s AS data_age_s
FROM configs WHERE scope = 'broker'
