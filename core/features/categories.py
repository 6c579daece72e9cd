"""What each user did in each category: counts for category propensities, and their labels."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import pyarrow as pa

from core.store import Connection, Log, fetch


def top_categories(connection: Connection, n: int = 40, act: str = "purchase") -> list[str]:
    """Name the `n` categories with most acts of a kind in history, ties by name."""
    rows = connection.execute(
        """
        SELECT category FROM history JOIN catalogue USING (item_id)
        WHERE event_type::VARCHAR = $act AND category IS NOT NULL
        GROUP BY category ORDER BY count(*) DESC, category LIMIT $n
        """,
        {"n": n, "act": act},
    ).fetchall()
    return [str(row[0]) for row in rows]


def item_categories(connection: Connection) -> pa.Table:
    """List item_id and category (NULL when unknown) of the catalogue as of the connection's cutoff, by item_id."""
    return fetch(connection, "SELECT item_id, category FROM catalogue ORDER BY item_id")


def category_counts(connection: Connection, cutoff: datetime, categories: Sequence[str]) -> pa.Table:
    """Count what each user did in each of some categories before the cutoff.

    Args:
        connection: From `Log.history(cutoff)`.
        cutoff: The same cutoff.
        categories: Names as in the catalogue.

    Returns:
        Rows only where a user touched a category, ascending by (user_id, category): user_id, category, purchases,
        purchases_7d, purchases_28d, purchases_56d, days_bought (calendar days), days_bought_28d, items_bought, touches,
        touches_28d, open_carts (int64), days_since_purchase, days_since_touch, gap_mean_days (float64, NULL without),
        revenue (float64).
    """
    return fetch(
        connection,
        """
        WITH touched AS (
            SELECT user_id, category, event_type, event_time, item_id, revenue,
                   (epoch_us($cutoff::TIMESTAMP) - 1 - epoch_us(event_time)) // 86400000000 AS age_days
            FROM history JOIN catalogue USING (item_id)
            WHERE category IN (SELECT unnest($categories::VARCHAR[])) AND event_type NOT IN ('impression', 'search', 'refund', 'other')),
        summary AS (
            SELECT user_id, category,
                   count_if(event_type = 'purchase') AS purchases,
                   count_if(event_type = 'purchase' AND age_days < 7) AS purchases_7d,
                   count_if(event_type = 'purchase' AND age_days < 28) AS purchases_28d,
                   count_if(event_type = 'purchase' AND age_days < 56) AS purchases_56d,
                   count(DISTINCT age_days) FILTER (event_type = 'purchase') AS days_bought,
                   count(DISTINCT age_days) FILTER (event_type = 'purchase' AND age_days < 28) AS days_bought_28d,
                   count(DISTINCT age_days) FILTER (event_type = 'purchase' AND age_days < 56) AS days_bought_56d,
                   count(DISTINCT item_id) FILTER (event_type = 'purchase') AS items_bought,
                   count(*) AS touches,
                   count_if(age_days < 28) AS touches_28d,
                   count_if(event_type = 'cart') AS carts,
                   count_if(event_type = 'cart' AND age_days < 28) AS carts_28d,
                   max(event_time) FILTER (event_type = 'purchase') AS last_purchase,
                   min(event_time) FILTER (event_type = 'purchase') AS first_purchase,
                   max(event_time) AS last_touch,
                   coalesce(sum(revenue) FILTER (event_type = 'purchase'), 0)::DOUBLE AS revenue
            FROM touched GROUP BY user_id, category)
        SELECT user_id, category, purchases, purchases_7d, purchases_28d, purchases_56d, days_bought, days_bought_28d, days_bought_56d,
               items_bought, touches, touches_28d, carts, carts_28d,
               (epoch_us($cutoff::TIMESTAMP) - epoch_us(last_purchase)) / 86400000000.0 AS days_since_purchase,
               (epoch_us($cutoff::TIMESTAMP) - epoch_us(last_touch)) / 86400000000.0 AS days_since_touch,
               (epoch_us(last_purchase) - epoch_us(first_purchase)) / 86400000000.0 / nullif(days_bought - 1, 0) AS gap_mean_days,
               revenue
        FROM summary ORDER BY user_id, category
        """,
        {"cutoff": cutoff, "categories": list(categories)},
    )


def category_labels(log: Log, cutoff: datetime, horizon: timedelta, categories: Sequence[str], act: str = "purchase") -> pa.Table:
    """List who acts in which category in the label window, among users with an event in history.

    Categories are those the catalogue knew at the cutoff: an item first seen later counts for none.

    Returns:
        user_id, category: one row for each positive label, ascending by (user_id, category).

    Raises:
        CutoffError: The label window reaches past the end of the log, or no event lies before the cutoff.
    """
    with log.label_window(cutoff, horizon) as connection:
        return fetch(
            connection,
            """
            SELECT DISTINCT user_id, category
            FROM future JOIN catalogue USING (item_id) SEMI JOIN history USING (user_id)
            WHERE event_type::VARCHAR = $act AND category IN (SELECT unnest($categories::VARCHAR[]))
            ORDER BY user_id, category
            """,
            {"act": act, "categories": list(categories)},
        )


def one_category_labels(log: Log, cutoff: datetime, horizon: timedelta, category: str, act: str = "purchase") -> pa.Table:
    """Label every user with an event in history: 1 when they act in the category in `[cutoff, cutoff + horizon)`.

    Returns:
        user_id (ascending), label (int8 0/1).

    Raises:
        CutoffError: The label window reaches past the end of the log, or no event lies before the cutoff.
    """
    with log.label_window(cutoff, horizon) as connection:
        return fetch(
            connection,
            """
            SELECT user_id, (actors.user_id IS NOT NULL)::TINYINT AS label
            FROM (SELECT DISTINCT user_id FROM history) AS shoppers
                 LEFT JOIN (SELECT DISTINCT user_id FROM future JOIN catalogue USING (item_id)
                            WHERE event_type::VARCHAR = $act AND category = $category) AS actors USING (user_id)
            ORDER BY user_id
            """,
            {"act": act, "category": category},
        )
