-- One row per user and item that was ever touched with interest.
CREATE OR REPLACE TEMP TABLE user_items AS
SELECT user_id,
       item_id,
       count(*) AS touches,
       count_if(event_type = 'purchase') AS purchases,
       max(event_time) AS last_touch,
       max(event_time) FILTER (event_type = 'purchase') AS last_purchase,
       max(event_time) FILTER (event_type = 'cart') AS last_cart,
       max(event_time) FILTER (event_type = 'favourite') AS last_favourite,
       max(event_time) FILTER (event_type IN ('view', 'click')) AS last_view,
       max(event_time) FILTER (event_type = 'remove_from_cart') AS last_removal,
       sum(price) AS price_sum,
       count(price) AS price_count
FROM history
WHERE item_id IS NOT NULL AND event_type NOT IN ('impression', 'search', 'refund', 'other')
GROUP BY user_id, item_id
