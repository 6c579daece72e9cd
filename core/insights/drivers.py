"""Drivers: what those who go on to buy have done before more often than the others. A difference, not a cause.

Everybody is looked at from her own first act: what she did in the first `early_days`, and whether she did the outcome in the
`later_days` after that. Who did the outcome already in the early days, or could not be followed to the end, is left out; so nobody has
had more time to do something because she bought later.
"""

from dataclasses import dataclass, field
from math import exp, log, sqrt

import pyarrow as pa

from core.insights import lived
from core.insights.chosen import chosen
from core.insights.overview import last_instant
from core.insights.scope import EVERYTHING, Scope, answer, described, rows_of
from core.insights.statement import Answer
from core.messages import say
from core.metrics import wilson
from core.store import Log

DRIVERS_SQL = """
WITH firsts AS (
    SELECT user_id, min(event_time) AS first_time FROM history GROUP BY user_id
    HAVING first_time + to_days($early_days + $later_days) <= $end
), acts AS (
    SELECT h.user_id, h.event_type::VARCHAR AS event_type, h.item_id, h.event_time < f.first_time + to_days($early_days) AS is_early,
           epoch_us(h.event_time) // 86400000000 AS day
    FROM history h JOIN firsts f ON f.user_id = h.user_id WHERE h.event_time < f.first_time + to_days($early_days + $later_days)
), people AS (
    SELECT user_id, bool_or(event_type = $outcome AND NOT is_early) AS does,
           count(DISTINCT day) FILTER (is_early) AS days, count(DISTINCT item_id) FILTER (is_early) AS items,
           count(*) FILTER (is_early) AS events
    FROM acts GROUP BY user_id HAVING NOT bool_or(event_type = $outcome AND is_early)
), did AS (
    SELECT DISTINCT a.user_id, a.event_type AS driver FROM acts a SEMI JOIN people p ON p.user_id = a.user_id WHERE a.is_early
    UNION ALL SELECT user_id, 'days_2' FROM people WHERE days >= 2
    UNION ALL SELECT user_id, 'items_3' FROM people WHERE items >= 3
    UNION ALL SELECT user_id, 'items_10' FROM people WHERE items >= 10
    UNION ALL SELECT user_id, 'events_10' FROM people WHERE events >= 10
), total AS (
    SELECT count(*) AS users, count(*) FILTER (does) AS doers FROM people
)
SELECT d.driver, count(*) AS did, count(*) FILTER (p.does) AS did_does, total.users - count(*) AS did_not,
       total.doers - count(*) FILTER (p.does) AS did_not_does
FROM did d JOIN people p USING (user_id) CROSS JOIN total GROUP BY d.driver, total.users, total.doers
HAVING least(did, did_not) >= $least AND total.doers > 0
ORDER BY d.driver
"""
DRIVER_WORDS = {
    "days_2": say("came on 2 days or more"),
    "items_3": say("3 different items or more"),
    "items_10": say("10 different items or more"),
    "events_10": say("10 acts or more"),
}
"""What is told of drivers that are no kind of event."""


@dataclass(frozen=True)
class Drivers:
    """What is asked."""

    outcome: str = "purchase"
    early_days: int = 7
    later_days: int = 28
    least: int = 20
    """Shoppers on either side, or nothing is told of a driver."""
    scope: Scope = field(default=EVERYTHING)


def drivers(log_: Log, asked: Drivers) -> Answer:
    """One row per driver, farthest from 1 first: counts, both rates with Wilson intervals, odds ratio with its 95 % interval.

    driver (a kind of event done at least once, `days_2`, `items_3`, `items_10`, `events_10`: at least so many days, items, events), did,
    did_does, did_not, did_not_does, rate, rate_low, rate_high, other_rate, odds_ratio, low, high. Where a cell is 0, half a shopper is
    added to each (Haldane); the interval is Woolf's. Drivers that fewer than `least` shoppers have, or lack, are left out.
    """
    end = asked.scope.until or last_instant(log_)
    values = {"outcome": asked.outcome, "early_days": asked.early_days, "later_days": asked.later_days, "least": asked.least, "end": end}
    if (acts := chosen(log_, asked.scope)) is not None:
        counts = lived.drivers(acts, asked.outcome, asked.early_days, asked.later_days, end)
        found = Answer(counts, described(DRIVERS_SQL, values, asked.scope))
    else:
        found = answer(log_, DRIVERS_SQL, values, asked.scope)
    rows = [
        row for row in found.table.to_pylist() if min(row["did"], row["did_not"]) >= asked.least and row["did_does"] + row["did_not_does"]
    ]
    for row in rows:
        row["odds_ratio"], row["low"], row["high"] = odds_ratio(row["did_does"], row["did"], row["did_not_does"], row["did_not"])
        row["rate"], row["other_rate"] = row["did_does"] / row["did"], row["did_not_does"] / row["did_not"]
        row["rate_low"], row["rate_high"] = wilson(row["did_does"], row["did"])
    rows.sort(key=lambda row: (-abs(log(row["odds_ratio"])), row["driver"]))
    names = ("rate", "rate_low", "rate_high", "other_rate", "odds_ratio", "low", "high")
    kept = pa.Table.from_pylist([{name: row[name] for name in found.table.column_names} for row in rows], schema=found.table.schema)
    return Answer(rows_of(kept, **{name: pa.array([row[name] for row in rows], pa.float64()) for name in names}), found.sql)


def odds_ratio(did_does: int, did: int, other_does: int, other: int) -> tuple[float, float, float]:
    """Odds of those who did ÷ odds of the others, with 95 % interval (Woolf, 1955; half a shopper where a cell is empty)."""
    cells: list[float] = [did_does, did - did_does, other_does, other - other_does]
    if not all(cells):
        cells = [cell + 0.5 for cell in cells]
    a, b, c, d = cells
    middle, half = log(a * d / (b * c)), 1.959964 * sqrt(sum(1 / cell for cell in cells))
    return exp(middle), exp(middle - half), exp(middle + half)
