"""Measure the statistics that the synthetic clickstream has to share with a real shop.

The same questions are put to a real log and to the synthetic one. A real log may be short (the public sample of the
general shop covers three hours), so everything that grows with time is counted within fixed windows of three hours.
"""

import sys
from pathlib import Path

import duckdb

MEASURE_SQL = """
WITH log AS (
    SELECT user_id, item_id, event_type, event_time, epoch(event_time) AS seconds,
           epoch(event_time)::BIGINT // 10800 AS place
    FROM clean WHERE event_type IN ('view', 'cart', 'purchase')
), kinds AS (
    SELECT avg((event_type = 'view')::INT) AS view_share, avg((event_type = 'cart')::INT) AS cart_share,
           avg((event_type = 'purchase')::INT) AS purchase_share
    FROM log
), users_in_window AS (
    SELECT quantile_cont(n, 0.5) AS user_events_50, quantile_cont(n, 0.9) AS user_events_90, quantile_cont(n, 0.99) AS user_events_99
    FROM (SELECT count(*) AS n FROM log GROUP BY user_id, place)
), gaps AS (
    SELECT *, coalesce(seconds - lag(seconds) OVER (PARTITION BY user_id ORDER BY seconds, event_type, item_id) > 1800, true) AS opens
    FROM log
), numbered AS (
    SELECT *, sum(opens::INT) OVER (PARTITION BY user_id ORDER BY seconds, event_type, item_id) AS session_number FROM gaps
), session_rows AS (
    SELECT count(*) AS n, bool_or(event_type = 'purchase') AS bought FROM numbered GROUP BY user_id, session_number
), by_session AS (
    SELECT quantile_cont(n, 0.5) AS session_events_50, quantile_cont(n, 0.9) AS session_events_90,
           avg(bought::INT) AS sessions_with_purchase
    FROM session_rows
), pairs AS (
    SELECT user_id, item_id, place, bool_or(event_type = 'view') AS viewed, bool_or(event_type = 'cart') AS carted,
           bool_or(event_type = 'purchase') AS bought
    FROM log GROUP BY user_id, item_id, place
), by_pair AS (
    SELECT avg(carted::INT) FILTER (viewed) AS viewed_to_carted, avg(bought::INT) FILTER (carted) AS carted_to_bought,
           avg((NOT carted)::INT) FILTER (bought) AS bought_without_cart
    FROM pairs
), waits AS (
    SELECT (min(seconds) FILTER (event_type = 'purchase') - min(seconds) FILTER (event_type = 'cart')) / 60 AS minutes
    FROM log GROUP BY user_id, item_id
), by_wait AS (
    SELECT quantile_cont(minutes, 0.25) AS cart_minutes_25, quantile_cont(minutes, 0.5) AS cart_minutes_50,
           quantile_cont(minutes, 0.75) AS cart_minutes_75, quantile_cont(minutes, 0.9) AS cart_minutes_90
    FROM waits WHERE minutes >= 0
), item_rows AS (
    SELECT n, row_number() OVER (ORDER BY n DESC, item_id) AS place, count(*) OVER () AS items
    FROM (SELECT item_id, count(*) AS n FROM log GROUP BY item_id)
), by_item AS (
    SELECT sum(n) FILTER (place <= items * 0.01) / sum(n) AS top_1_percent, sum(n) FILTER (place <= items * 0.1) / sum(n) AS top_10_percent,
           sum(n * (items + 1 - 2 * place)) / (sum(n) * any_value(items)) AS item_gini
    FROM item_rows
), repeats AS (
    SELECT 1 - count(*) / sum(n) AS exact_repeats FROM (SELECT count(*) AS n FROM log GROUP BY user_id, item_id, event_type, place)
), hours AS (
    SELECT min(n) / sum(n) AS least_hour, max(n) / sum(n) AS most_hour FROM (SELECT count(*) AS n FROM log GROUP BY hour(event_time))
)
SELECT * FROM kinds, users_in_window, by_session, by_pair, by_wait, by_item, repeats, hours
"""
"""One row of named figures over a table `clean` (user_id, item_id, event_type, event_time as TIMESTAMP)."""


def measure_clickstream(connection: duckdb.DuckDBPyConnection) -> dict[str, float]:
    """Return every figure of MEASURE_SQL over the connection's table or view `clean`."""
    result = connection.execute(MEASURE_SQL)
    names = [column[0] for column in result.description]
    return {name: float(value) for name, value in zip(names, result.fetchone(), strict=True)}


def main(path: Path) -> None:
    """Print the figures of a log in the column names of REES46 (`user_id`, `product_id`, `event_type`, `event_time`)."""
    connection = duckdb.connect()
    connection.execute(
        "CREATE TABLE clean AS SELECT user_id, product_id AS item_id, event_type,"
        " strptime(replace(event_time::VARCHAR, ' UTC', ''), '%Y-%m-%d %H:%M:%S') AS event_time FROM read_parquet(?)",
        [str(path)],
    )
    for name, value in measure_clickstream(connection).items():
        print(f"{name:24} {value:.4f}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
