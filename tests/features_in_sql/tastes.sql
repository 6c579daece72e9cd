WITH described AS (
    SELECT user_items.*, catalogue.category, catalogue.brand
    FROM user_items LEFT JOIN catalogue USING (item_id)),
breadth AS (
    SELECT user_id,
           count(*) AS items_all,
           count_if(last_touch >= $cutoff::TIMESTAMP - INTERVAL 28 DAY) AS items_28d,
           count_if(purchases > 0) AS items_bought,
           count_if(purchases > 1) AS items_bought_again,
           count(DISTINCT brand) AS brands_all,
           sum(purchases) AS bought,
           max(touches) AS most_touches,
           count_if(last_cart >= $cutoff::TIMESTAMP - INTERVAL 7 DAY AND (last_purchase IS NULL OR last_purchase < last_cart)
                    AND (last_removal IS NULL OR last_removal < last_cart)) AS open_carts_7d,
           count_if(last_cart IS NOT NULL AND (last_purchase IS NULL OR last_purchase < last_cart)
                    AND (last_removal IS NULL OR last_removal < last_cart)) AS open_carts_all,
           count_if(last_favourite IS NOT NULL AND (last_purchase IS NULL OR last_purchase < last_favourite)) AS open_favourites_all,
           count_if(last_view >= $cutoff::TIMESTAMP - INTERVAL 7 DAY AND (last_purchase IS NULL OR last_purchase < last_view)) AS open_views_7d,
           count_if(last_view IS NOT NULL AND last_purchase IS NULL AND touches > 1) AS revisited_unbought,
           sum(level * touches) / nullif(sum(touches) FILTER (level IS NOT NULL), 0) AS price_level,
           sum(level * purchases) / nullif(sum(purchases) FILTER (level IS NOT NULL), 0) AS price_level_bought
    FROM described LEFT JOIN item_levels USING (item_id) GROUP BY user_id),
by_category AS (
    SELECT user_id, category, sum(touches) AS n, sum(purchases) AS bought, max(last_touch) AS last_touch
    FROM described WHERE category IS NOT NULL GROUP BY user_id, category),
spread AS (
    SELECT user_id,
           count(*) AS categories_all,
           count_if(last_touch >= $cutoff::TIMESTAMP - INTERVAL 28 DAY) AS categories_28d,
           count_if(bought > 0) AS categories_bought,
           max(n) / sum(n) AS top_category_share,
           ln(sum(n)) - sum(round(n * ln(n), 6)::DECIMAL(24, 6))::DOUBLE / sum(n) AS category_entropy
    FROM by_category GROUP BY user_id),
sessions AS (
    SELECT user_id, count(*) AS sessions_all, count_if(last_time >= $cutoff::TIMESTAMP - INTERVAL 28 DAY) AS sessions_28d,
           sum(n) / count(*) AS events_per_session
    FROM (SELECT user_id, session_id, count(*) AS n, max(event_time) AS last_time FROM history
          WHERE session_id IS NOT NULL GROUP BY user_id, session_id) GROUP BY user_id)
SELECT coalesce(items_all, 0) AS items_all,
       coalesce(items_28d, 0) AS items_28d,
       coalesce(items_bought, 0) AS items_bought,
       coalesce(brands_all, 0) AS brands_all,
       (bought - items_bought) / nullif(bought, 0) AS repeat_share,
       items_bought_again / nullif(items_bought, 0) AS items_bought_again_share,
       coalesce(most_touches, 0) AS most_touches_of_one_item,
       coalesce(open_carts_7d, 0) AS open_carts_7d,
       coalesce(open_carts_all, 0) AS open_carts_all,
       coalesce(open_favourites_all, 0) AS open_favourites_all,
       coalesce(open_views_7d, 0) AS open_views_7d,
       coalesce(revisited_unbought, 0) AS revisited_unbought,
       price_level::DOUBLE AS price_level,
       price_level_bought::DOUBLE AS price_level_bought,
       coalesce(categories_all, 0) AS categories_all,
       coalesce(categories_28d, 0) AS categories_28d,
       coalesce(categories_bought, 0) AS categories_bought,
       top_category_share,
       category_entropy,
       sessions_all,
       sessions_28d,
       events_per_session
FROM (SELECT DISTINCT user_id FROM user_days) AS shoppers
     LEFT JOIN breadth USING (user_id) LEFT JOIN spread USING (user_id) LEFT JOIN sessions USING (user_id)
ORDER BY user_id
