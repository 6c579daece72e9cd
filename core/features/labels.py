"""Labels: whether, and for how much, the asked-for act falls in the label window."""

from datetime import datetime, timedelta

import pyarrow as pa

from core.store import Log, fetch


def act_labels(log: Log, cutoff: datetime, horizon: timedelta, act: str = "purchase") -> pa.Table:
    """Label every user with an event in history: 1 when they act in `[cutoff, cutoff + horizon)`.

    Args:
        log: The log.
        cutoff: First instant of the label window.
        horizon: Its length.
        act: One of schema.ACTS.

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
                 LEFT JOIN (SELECT DISTINCT user_id FROM future WHERE event_type::VARCHAR = $act) AS actors USING (user_id)
            ORDER BY user_id
            """,
            {"act": act},
        )


def revenue_labels(log: Log, cutoff: datetime, horizon: timedelta) -> pa.Table:
    """Sum what every user with an event in history spends in the label window.

    Returns:
        user_id (ascending), revenue (float64, 0 without purchases or prices).

    Raises:
        CutoffError: The label window reaches past the end of the log, or no event lies before the cutoff.
    """
    with log.label_window(cutoff, horizon) as connection:
        return fetch(
            connection,
            """
            SELECT user_id, coalesce(spent.revenue, 0)::DOUBLE AS revenue
            FROM (SELECT DISTINCT user_id FROM history) AS shoppers
                 LEFT JOIN (SELECT user_id, sum(revenue) AS revenue FROM future WHERE event_type = 'purchase' GROUP BY user_id) AS spent
                 USING (user_id)
            ORDER BY user_id
            """,
        )
