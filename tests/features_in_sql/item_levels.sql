-- How dear an item is within its category; medians over all items that anyone had touched, so one shopper's own history does not say it.
-- Logarithms are rounded to decimals before they are summed: a sum of doubles would depend on the order of threads.
CREATE OR REPLACE TEMP TABLE item_levels AS
WITH item_prices AS (
    SELECT item_id, any_value(catalogue.category) AS category,
           coalesce(max(catalogue.price)::DOUBLE, sum(price_sum)::DOUBLE / nullif(sum(price_count), 0)) AS price
    FROM user_items LEFT JOIN catalogue USING (item_id) GROUP BY item_id),
usual AS (SELECT category, median(price) AS price FROM item_prices WHERE price > 0 GROUP BY category)
SELECT item_prices.item_id, round(ln(item_prices.price / usual.price), 6)::DECIMAL(12, 6) AS level
FROM item_prices JOIN usual ON item_prices.category IS NOT DISTINCT FROM usual.category
WHERE item_prices.price > 0
