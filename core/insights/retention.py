"""Retention: of those who began in a period, how many come back in each later one; and what a cohort's buyers have spent since.

Periods are days, weeks (from Monday) or months of the display time zone. A cohort is everybody whose first act fell in a period
(first-time), or everybody who acted in it (recurring: a shopper is in many cohorts). `on` counts those who acted in the k-th period
after, `on_or_after` those who acted in it or later. A cell is `incomplete` when more than 1/24 of its period lies after the log's end;
incomplete cells stay out of the mean, which weighs cohorts by their size.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import pyarrow as pa

from core.insights import returned
from core.insights.chosen import chosen
from core.insights.overview import last_instant
from core.insights.scope import EVERYTHING, Scope, answer, described, rows_of
from core.insights.statement import Answer, ask
from core.metrics import wilson
from core.store import Log

GRAINS = ("day", "week", "month")
_LENGTHS = {"day": (1, 0), "week": (7, 0), "month": (0, 1)}
"""Days and months of a period."""
ANY = "any"
"""Any kind of event."""

_COHORTS_SQL = """
WITH acts AS (
    SELECT user_id, date_trunc($grain, CASE WHEN $zone = 'UTC' THEN event_time
                                            ELSE event_time AT TIME ZONE 'UTC' AT TIME ZONE $zone END)::DATE AS period,
           bool_or($start_act = 'any' OR event_type::VARCHAR = $start_act) AS starts,
           bool_or($return_act = 'any' OR event_type::VARCHAR = $return_act) AS returns
    FROM history GROUP BY user_id, period
), begun AS (
    SELECT user_id, min(period) AS cohort FROM acts WHERE starts AND NOT $recurring GROUP BY user_id
    UNION ALL
    SELECT user_id, period FROM acts WHERE starts AND $recurring
), chosen AS (
    SELECT * FROM begun
    WHERE ($since IS NULL OR cohort >= ($since::TIMESTAMP AT TIME ZONE 'UTC' AT TIME ZONE $zone)::DATE)
      AND ($until IS NULL OR cohort < $until::TIMESTAMP AT TIME ZONE 'UTC' AT TIME ZONE $zone)
), sizes AS (
    SELECT cohort, count(*) AS users FROM chosen GROUP BY cohort
), returned AS (
    SELECT c.cohort, c.user_id, date_diff($grain, c.cohort, a.period) AS number
    FROM chosen c JOIN acts a ON a.user_id = c.user_id AND a.returns AND a.period >= c.cohort
), on_counts AS (
    SELECT cohort, number, count(*) AS users FROM returned GROUP BY cohort, number
), last_counts AS (
    SELECT cohort, number, count(*) AS users
    FROM (SELECT cohort, user_id, max(number) AS number FROM returned GROUP BY cohort, user_id) GROUP BY cohort, number
)"""
_GRID_SQL = """, grid AS (
    SELECT s.cohort, s.users, k.number, s.cohort + to_days(k.number * $days) + to_months(k.number * $months) AS begins,
           s.cohort + to_days((k.number + 1) * $days) + to_months((k.number + 1) * $months) AS ends
    FROM sizes s CROSS JOIN (SELECT unnest(range(0, $most + 1))::INTEGER AS number) k
), cells AS (
    SELECT g.cohort, g.number, g.users, coalesce(o.users, 0) AS on_users,
           (SELECT coalesce(sum(l.users), 0) FROM last_counts l WHERE l.cohort = g.cohort AND l.number >= g.number)::BIGINT AS later_users,
           g.ends - ($end AT TIME ZONE 'UTC' AT TIME ZONE $zone) > (g.ends - g.begins) / 24 AS incomplete
    FROM grid g LEFT JOIN on_counts o ON o.cohort = g.cohort AND o.number = g.number
    WHERE g.begins < $end AT TIME ZONE 'UTC' AT TIME ZONE $zone
)
SELECT cohort::DATE AS cohort, number, users, on_users, later_users, incomplete FROM cells
UNION ALL
SELECT NULL, number, sum(users)::BIGINT, sum(on_users)::BIGINT, sum(later_users)::BIGINT, false
FROM cells WHERE NOT incomplete GROUP BY number
ORDER BY cohort NULLS FIRST, number
"""
RETENTION_SQL = _COHORTS_SQL + _GRID_SQL
_RETURNED_SQL = "WITH sizes AS (FROM size_rows), on_counts AS (FROM on_rows), last_counts AS (FROM last_rows)"
_SPENT_SQL = """
WITH bought AS (
    SELECT user_id, date_trunc($grain, event_time AT TIME ZONE 'UTC' AT TIME ZONE $zone)::DATE AS period, sum(revenue) AS revenue
    FROM history WHERE event_type = 'purchase' GROUP BY user_id, period
), placed AS (
    SELECT user_id, period, revenue, min(period) OVER (PARTITION BY user_id) AS cohort FROM bought
), sizes AS (
    SELECT cohort, count(DISTINCT user_id) AS users FROM placed
    WHERE ($since IS NULL OR cohort >= ($since::TIMESTAMP AT TIME ZONE 'UTC' AT TIME ZONE $zone)::DATE)
      AND ($until IS NULL OR cohort < $until::TIMESTAMP AT TIME ZONE 'UTC' AT TIME ZONE $zone)
    GROUP BY cohort
), spent AS (
    SELECT cohort, date_diff($grain, cohort, period) AS number, sum(revenue) AS revenue FROM placed GROUP BY cohort, number
)"""
_REVENUE_GRID_SQL = """, grid AS (
    SELECT s.cohort, s.users, k.number, s.cohort + to_days(k.number * $days) + to_months(k.number * $months) AS begins,
           s.cohort + to_days((k.number + 1) * $days) + to_months((k.number + 1) * $months) AS ends
    FROM sizes s CROSS JOIN (SELECT unnest(range(0, $most + 1))::INTEGER AS number) k
)
SELECT g.cohort::DATE AS cohort, g.number, g.users, coalesce(s.revenue, 0)::DOUBLE AS revenue,
       (sum(coalesce(s.revenue, 0)) OVER (PARTITION BY g.cohort ORDER BY g.number))::DOUBLE AS revenue_so_far,
       ((sum(coalesce(s.revenue, 0)) OVER (PARTITION BY g.cohort ORDER BY g.number)) / g.users)::DOUBLE AS per_buyer_so_far,
       g.ends - ($end AT TIME ZONE 'UTC' AT TIME ZONE $zone) > (g.ends - g.begins) / 24 AS incomplete
FROM grid g LEFT JOIN spent s ON s.cohort = g.cohort AND s.number = g.number
WHERE g.begins < $end AT TIME ZONE 'UTC' AT TIME ZONE $zone
ORDER BY g.cohort, g.number
"""
REVENUE_SQL = _SPENT_SQL + _REVENUE_GRID_SQL
_BOUGHT_SQL = "WITH sizes AS (FROM size_rows), spent AS (FROM spent_rows)"


@dataclass(frozen=True)
class Retention:
    """What is asked."""

    start_act: str = ANY
    return_act: str = ANY
    grain: str = "week"
    recurring: bool = False
    zone: str = "UTC"
    most: int = 12
    """Periods after a cohort's own that are told."""
    scope: Scope = field(default=EVERYTHING)
    """Its dates choose cohorts; a shopper's first act is looked for in the whole log."""


def retention(log: Log, asked: Retention) -> Answer:
    """One row per cohort and period after it, and first, with cohort NULL, the weighted mean of complete cells.

    cohort, number (0 is the cohort's own period), users, on_users, later_users, incomplete, and the shares on and on_or_after with
    Wilson intervals, `…_low` and `…_high`.
    """
    values, scope = _values(log, asked), replace(asked.scope, since=None, until=None)
    if (acts := chosen(log, scope)) is None:
        found = answer(log, RETENTION_SQL, values, scope)
    else:
        found = _counted(log, RETENTION_SQL, _RETURNED_SQL + _GRID_SQL, returned.cohorts(log, acts, _asked(asked)), values, scope)
    columns: dict[str, list[float]] = {}
    for name, part in (("on", "on_users"), ("on_or_after", "later_users")):
        for row in found.table.to_pylist():
            low, high = wilson(row[part], row["users"])
            for column, value in ((name, row[part] / row["users"]), (f"{name}_low", low), (f"{name}_high", high)):
                columns.setdefault(column, []).append(value)
    return Answer(rows_of(found.table, **{name: pa.array(values, pa.float64()) for name, values in columns.items()}), found.sql)


def cohort_revenue(log: Log, asked: Retention) -> Answer:
    """One row per cohort of first purchases and period after: users, revenue, revenue_so_far, per_buyer_so_far, incomplete."""
    values, scope = _values(log, asked), replace(asked.scope, since=None, until=None)
    if (acts := chosen(log, scope)) is None:
        return answer(log, REVENUE_SQL, values, scope)
    return _counted(log, REVENUE_SQL, _BOUGHT_SQL + _REVENUE_GRID_SQL, returned.spending(log, acts, _asked(asked)), values, scope)


def _counted(log: Log, sql: str, end: str, tables: Mapping[str, pa.Table], values: Mapping[str, object], scope: Scope) -> Answer:
    """Run the end of a statement on what was counted on the sorted copy."""
    with log.history() as connection:
        for name, table in tables.items():
            connection.register(name, table)
        return Answer(ask(connection, end, values).table, described(sql, values, scope))


def _asked(asked: Retention) -> returned.Asked:
    grain, scope = asked.grain if asked.grain in GRAINS else "week", asked.scope
    return returned.Asked(asked.start_act, asked.return_act, grain, asked.recurring, asked.zone, asked.most, scope.since, scope.until)


def _values(log: Log, asked: Retention) -> dict[str, object]:
    grain = asked.grain if asked.grain in GRAINS else "week"
    days, months = _LENGTHS[grain]
    return {
        "start_act": asked.start_act,
        "return_act": asked.return_act,
        "grain": grain,
        "days": days,
        "months": months,
        "recurring": asked.recurring,
        "zone": asked.zone,
        "most": asked.most,
        "since": asked.scope.since,
        "until": asked.scope.until,
        "end": last_instant(log),
    }
