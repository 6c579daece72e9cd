"""Position and dwell: where an item stood and how long it was looked at, against what followed.

An act counts as followed when the same shopper does the outcome with the same item at the same instant or within the window after it.
"""

from dataclasses import dataclass, field
from datetime import timedelta

import pyarrow as pa

from core.insights.scope import EVERYTHING, Scope, answer, rows_of
from core.insights.statement import Answer
from core.metrics import wilson
from core.store import Log

POSITION_SQL = """
WITH shown AS (
    SELECT user_id, item_id, event_time, position FROM history WHERE event_type::VARCHAR = $act
), wanted AS (
    SELECT DISTINCT user_id, item_id, event_time FROM history WHERE event_type::VARCHAR = $outcome AND item_id IS NOT NULL
), followed AS (
    SELECT s.position, w.event_time <= s.event_time + to_microseconds($window) AS follows
    FROM shown s ASOF LEFT JOIN wanted w ON s.user_id = w.user_id AND s.item_id = w.item_id AND w.event_time >= s.event_time
)
SELECT position, count(*) AS acts, count(*) FILTER (follows) AS followed
FROM followed GROUP BY position
ORDER BY position IS NULL, TRY_CAST(position AS DOUBLE) NULLS LAST, acts DESC, position
LIMIT $most
"""
DWELL_SQL = """
WITH looked AS (
    SELECT user_id, item_id, event_time, event_type::VARCHAR AS event_type, dwell_seconds::DOUBLE AS seconds FROM history
    WHERE event_type::VARCHAR IN (SELECT event_type::VARCHAR FROM history WHERE dwell_seconds IS NOT NULL)
), wanted AS (
    SELECT DISTINCT user_id, item_id, event_time FROM history WHERE event_type::VARCHAR = $outcome AND item_id IS NOT NULL
), followed AS (
    SELECT l.event_type, l.seconds, coalesce(w.event_time <= l.event_time + to_microseconds($window), false) AS follows
    FROM looked l ASOF LEFT JOIN wanted w ON l.user_id = w.user_id AND l.item_id = w.item_id AND w.event_time >= l.event_time
)
SELECT event_type, follows, count(*) AS acts, count(*) - count(seconds) AS without, quantile_cont(seconds, 0.1) AS tenth,
       quantile_cont(seconds, 0.25) AS quarter, quantile_cont(seconds, 0.5) AS median,
       quantile_cont(seconds, 0.75) AS three_quarters, quantile_cont(seconds, 0.9) AS nine_tenths
FROM followed GROUP BY event_type, follows ORDER BY event_type, follows
"""
POSITION_OF_PEOPLE_SQL = POSITION_SQL.replace("SELECT s.position, w", "SELECT s.user_id, s.position, w").replace(
    "AS followed\nFROM",
    "AS followed,\n       count(DISTINCT user_id) AS users, count(DISTINCT user_id) FILTER (follows) AS followed_users\nFROM",
)
DWELL_OF_PEOPLE_SQL = DWELL_SQL.replace("SELECT l.event_type", "SELECT l.user_id, l.event_type").replace(
    "count(*) AS acts,", "count(*) AS acts, count(DISTINCT user_id) AS users,"
)
MOST_POSITIONS = 1000


@dataclass(frozen=True)
class Exposure:
    """What is asked."""

    act: str = "impression"
    outcome: str = "purchase"
    window: timedelta = timedelta(hours=1)
    scope: Scope = field(default=EVERYTHING)


def by_position(log: Log, asked: Exposure, *, people: bool = False) -> Answer:
    """One row per position, in its order, missing ones (NULL) last: acts, followed, rate, low, high; at most MOST_POSITIONS.

    With `people` also users and followed_users, whose acts they are.
    """
    sql = POSITION_OF_PEOPLE_SQL if people else POSITION_SQL
    found = answer(log, sql, {**_values(asked), "most": MOST_POSITIONS}, asked.scope)
    rows = found.table.to_pylist()
    limits = [wilson(row["followed"], row["acts"]) for row in rows]
    return Answer(
        rows_of(
            found.table,
            rate=pa.array([row["followed"] / row["acts"] for row in rows], pa.float64()),
            low=pa.array([low for low, _high in limits], pa.float64()),
            high=pa.array([high for _low, high in limits], pa.float64()),
        ),
        found.sql,
    )


def dwell(log: Log, asked: Exposure, *, people: bool = False) -> Answer:
    """Dwell of kinds that have one, by whether the outcome followed: acts, without (a dwell), and quantiles in seconds.

    With `people` also users, whose acts they are.
    """
    return answer(log, DWELL_OF_PEOPLE_SQL if people else DWELL_SQL, _values(asked), asked.scope)


def _values(asked: Exposure) -> dict[str, object]:
    return {"act": asked.act, "outcome": asked.outcome, "window": round(asked.window / timedelta(microseconds=1))}
