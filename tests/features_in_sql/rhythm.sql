-- Gaps are whole days between active calendar days; their sums of squares stay integers, so the spread is exact.
WITH active AS (SELECT DISTINCT user_id, day FROM user_days),
gaps AS (SELECT user_id, day - lag(day) OVER (PARTITION BY user_id ORDER BY day) AS gap FROM active),
recency AS (SELECT user_id, (epoch_us($cutoff::TIMESTAMP) - epoch_us(max(last_time))) / 86400000000.0 AS days FROM user_days GROUP BY user_id),
summary AS (
    SELECT user_id, count(gap) AS n, sum(gap) AS total, sum(gap * gap) AS squares, max(gap) AS longest, median(gap) AS middle
    FROM gaps GROUP BY user_id)
SELECT total / nullif(n, 0) AS active_gap_mean_days,
       middle::DOUBLE AS active_gap_median_days,
       CASE WHEN n > 1 THEN sqrt(greatest(squares - total * total / n, 0) / (n - 1)) END AS active_gap_sd_days,
       longest::DOUBLE AS active_gap_longest_days,
       recency.days / nullif(middle, 0) AS active_overdue_ratio
FROM summary JOIN recency USING (user_id)
ORDER BY user_id
