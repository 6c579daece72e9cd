-- One row per order: purchases that share an order id, or without one the moment.
CREATE OR REPLACE TEMP TABLE orders AS
SELECT user_id,
       epoch_us(min(event_time)) // 1000000 AS order_second,
       (epoch_us($cutoff::TIMESTAMP) - epoch_us(min(event_time))) / 86400000000.0 AS age_days,
       count(*) AS lines,
       coalesce(sum(revenue), 0) AS revenue
FROM history
WHERE event_type = 'purchase'
GROUP BY user_id, order_id, CASE WHEN order_id IS NULL THEN event_time END
