-- tables: charges
SELECT component, $cluster || '/component/' || component AS resource, for_resource, usd_per_hour, basis,
    price_date::DATE AS price_date, age_s AS data_age_s
FROM charges
