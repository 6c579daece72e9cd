-- One row per user, kind of act, calendar day (UTC) and age: the 24-hour block counted back from the cutoff.
-- Everything below is a sum over this table, so that windows cost nothing extra. Sums are over decimals and integers: exact in any order.
CREATE OR REPLACE TEMP TABLE user_days AS
SELECT user_id,
       event_type,
       (epoch_us(event_time) // 86400000000)::INTEGER AS day,
       ((epoch_us($cutoff::TIMESTAMP) - 1 - epoch_us(event_time)) // 86400000000)::INTEGER AS age_days,
       count(*) AS events,
       min(event_time) AS first_time,
       max(event_time) AS last_time,
       sum(revenue) AS revenue,
       sum(quantity) AS quantity,
       sum(price) AS price_sum,
       count(price) AS price_count,
       sum(dwell_seconds) AS dwell_sum,
       count(dwell_seconds) AS dwell_count,
       sum(TRY_CAST(position AS DECIMAL(18, 3))) AS position_sum,
       count(TRY_CAST(position AS DECIMAL(18, 3))) AS position_count,
       count_if(epoch_us(event_time) % 86400000000 < 21600000000) AS night,
       count_if(epoch_us(event_time) % 86400000000 BETWEEN 21600000000 AND 43199999999) AS morning,
       count_if(epoch_us(event_time) % 86400000000 BETWEEN 43200000000 AND 64799999999) AS afternoon
FROM history
GROUP BY user_id, event_type, day, age_days
