"""Carts that are open at the end of a log, and how many of those open a week before were bought from within the week."""

from datetime import datetime

from core.insights.scope import EVERYTHING, Scope, answer
from core.insights.statement import Answer
from core.store import Log

DAYS = 7
"""Of a cart that counts as open, and of the time in which shoppers come back by themselves."""

OPEN_CARTS_SQL = """
WITH acts AS (
    SELECT user_id, event_type, event_time >= $until::TIMESTAMP - to_days($days) AS is_late
    FROM history
    WHERE event_type IN ('cart', 'purchase') AND event_time >= $until::TIMESTAMP - to_days(2 * $days) AND event_time < $until
), people AS (
    SELECT user_id, bool_or(is_late AND event_type = 'cart') AS carts_late, bool_or(is_late AND event_type = 'purchase') AS buys_late,
           bool_or(NOT is_late AND event_type = 'cart') AS carts_early, bool_or(NOT is_late AND event_type = 'purchase') AS buys_early
    FROM acts GROUP BY user_id
)
SELECT count(*) FILTER (carts_late AND NOT buys_late) AS open_now,
       count(*) FILTER (carts_early AND NOT buys_early) AS open_before,
       count(*) FILTER (carts_early AND NOT buys_early AND buys_late) AS came_back
FROM people
"""


def open_carts(log: Log, until: datetime, scope: Scope = EVERYTHING) -> Answer:
    """One row of shoppers: open_now (put into the cart in the last DAYS and bought nothing in them), open_before (the same, DAYS earlier),
    came_back (of those, bought in the last DAYS).

    Args:
        log: What is read.
        until: End of the last DAYS, UTC, exclusive.
        scope: Filters.
    """
    return answer(log, OPEN_CARTS_SQL, {"until": until, "days": DAYS}, scope)
