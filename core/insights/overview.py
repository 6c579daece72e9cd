"""The overview of a log: figures of a period, trend, event mix, hours of the week.

A session ends at a gap of more than `gap_minutes`; it belongs to the period it starts in. An order is an order id, or
all purchases of one user at one instant. Who ordered twice or more within a period bought again in it. Days are those of the
display time zone. Parameters: `since`, `until` (UTC).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import pyarrow as pa

from core.errors import RuleError
from core.insights import counted
from core.insights.chosen import chosen
from core.insights.scope import EVERYTHING, Scope, answer, described
from core.insights.statement import Answer, ask
from core.store import Log

GAP_MINUTES = 30
"""GA4's default session timeout; a gap of exactly 30:00 stays in the session."""

_MARKED_SQL = """
WITH marked AS (
    SELECT user_id, event_type, event_time, revenue, coalesce(order_id, user_id || ' ' || event_time::VARCHAR) AS order_key,
           coalesce(event_time - lag(event_time) OVER w > to_minutes($gap_minutes), true) AS starts
    FROM history
    WINDOW w AS (PARTITION BY user_id ORDER BY event_time)
), numbered AS (
    SELECT *, sum(starts::INTEGER) OVER (PARTITION BY user_id ORDER BY event_time RANGE UNBOUNDED PRECEDING) AS place FROM marked
), sessions AS (
    SELECT user_id, place, min(event_time) AS began, bool_or(event_type = 'purchase') AS buys
    FROM numbered GROUP BY user_id, place HAVING min(event_time) >= $since AND min(event_time) < $until
)"""
_FIGURES_SQL = """, acts AS (
    SELECT * FROM numbered WHERE event_time >= $since AND event_time < $until
), buyers AS (
    SELECT user_id, count(DISTINCT order_key) AS orders FROM acts WHERE event_type = 'purchase' GROUP BY user_id
)
SELECT count(*) AS events,
       count(DISTINCT user_id) AS users,
       (SELECT count(*) FROM sessions) AS sessions,
       (SELECT count(*) FROM buyers) AS buyers,
       (SELECT count(*) FROM sessions WHERE buys) AS buying_sessions,
       (SELECT count(*) FROM buyers WHERE orders > 1) AS repeat_buyers,
       count(DISTINCT order_key) FILTER (event_type = 'purchase') AS orders,
       sum(revenue) FILTER (event_type = 'purchase')::DOUBLE AS revenue
FROM acts
"""
FIGURES_SQL = _MARKED_SQL + _FIGURES_SQL

_PERIODS_SQL = """, acts AS (
    SELECT date_trunc($grain, event_time AT TIME ZONE 'UTC' AT TIME ZONE $zone)::TIMESTAMP AS period,
           user_id, event_type, revenue, order_key
    FROM marked WHERE event_time >= $since AND event_time < $until
), begun AS (
    SELECT date_trunc($grain, began AT TIME ZONE 'UTC' AT TIME ZONE $zone)::TIMESTAMP AS period,
           count(*) AS sessions, count(*) FILTER (buys) AS buying_sessions
    FROM sessions GROUP BY ALL
), again AS (
    SELECT period, count(*) AS repeat_buyers
    FROM (
        SELECT period, user_id FROM acts WHERE event_type = 'purchase' GROUP BY period, user_id HAVING count(DISTINCT order_key) > 1
    ) GROUP BY period
), together AS (
    SELECT period, count(*) AS events, count(DISTINCT user_id) AS users,
           count(DISTINCT user_id) FILTER (event_type = 'purchase') AS buyers,
           count(DISTINCT order_key) FILTER (event_type = 'purchase') AS orders,
           sum(revenue) FILTER (event_type = 'purchase')::DOUBLE AS revenue
    FROM acts GROUP BY period
), counted AS (
    FROM together LEFT JOIN begun USING (period) LEFT JOIN again USING (period)
)"""
_LENGTHS = {"hour": "INTERVAL 1 HOUR", "day": "INTERVAL 1 DAY", "week": "INTERVAL 7 DAY", "month": "INTERVAL 1 MONTH"}
GRAINS = tuple(_LENGTHS)
_TREND_SQL = """, bounds AS (
    SELECT min(period) AS first_period, max(period) AS last_period,
           $since AT TIME ZONE 'UTC' AT TIME ZONE $zone AS since, $until AT TIME ZONE 'UTC' AT TIME ZONE $zone AS until
    FROM counted
), calendar AS (
    SELECT unnest(generate_series(first_period, last_period, {length})) AS period FROM bounds
), filled AS (
    SELECT period, since - period > {length} / 24 OR period + {length} - until > {length} / 24 AS partial,
           coalesce(events, 0) AS events, coalesce(users, 0) AS users, coalesce(sessions, 0) AS sessions, coalesce(buyers, 0) AS buyers,
           coalesce(buying_sessions, 0) AS buying_sessions, coalesce(repeat_buyers, 0) AS repeat_buyers,
           coalesce(orders, 0) AS orders,
           coalesce(revenue, CASE WHEN (SELECT count(revenue) FROM counted) > 0 THEN 0 END) AS revenue
    FROM calendar CROSS JOIN bounds LEFT JOIN counted USING (period)
    WHERE $grain <> 'hour' OR period = period AT TIME ZONE $zone AT TIME ZONE $zone
)
SELECT period::{kind} AS period, events, users, sessions, buyers, buying_sessions, repeat_buyers, orders, revenue,
       buyers / nullif(users, 0) AS buyer_rate, buying_sessions / nullif(sessions, 0) AS session_rate,
       repeat_buyers / nullif(buyers, 0) AS repeat_rate, revenue / nullif(orders, 0) AS order_value, partial
FROM filled ORDER BY period
"""

_COUNTED_SQL = "WITH counted AS (FROM counted_rows)"

MIX_SQL = """
SELECT event_type::VARCHAR AS event_type, count(*) AS events, count(DISTINCT user_id) AS users, count(*) / sum(count(*)) OVER () AS share
FROM history WHERE event_time >= $since AND event_time < $until
GROUP BY event_type ORDER BY events DESC, event_type
"""

HOURS_SQL = """
WITH acts AS (
    SELECT event_time AT TIME ZONE 'UTC' AT TIME ZONE $zone AS local_time
    FROM history WHERE event_time >= $since AND event_time < $until AND ($act = 'all' OR event_type::VARCHAR = $act)
)
SELECT isodow(local_time) AS weekday, hour(local_time) AS hour, count(*) AS events
FROM acts GROUP BY ALL ORDER BY weekday, hour
"""
HOURS_OF_PEOPLE_SQL = """
WITH acts AS (
    SELECT user_id, event_time AT TIME ZONE 'UTC' AT TIME ZONE $zone AS local_time
    FROM history WHERE event_time >= $since AND event_time < $until AND ($act = 'all' OR event_type::VARCHAR = $act)
)
SELECT isodow(local_time) AS weekday, hour(local_time) AS hour, count(*) AS events, count(DISTINCT user_id) AS users
FROM acts GROUP BY ALL ORDER BY weekday, hour
"""


@dataclass(frozen=True)
class Period:
    """What the overview looks at."""

    since: datetime
    """UTC, inclusive."""
    until: datetime
    """UTC, exclusive."""
    zone: str = "UTC"
    """IANA name of the time zone whose days are shown."""
    gap_minutes: int = GAP_MINUTES


def whole_log(log: Log, zone: str = "UTC") -> Period:
    """The period from the first event to the last one, in whole steps of the log's time resolution."""
    return Period(log.start, last_instant(log), zone)


def last_days(log: Log, days: int, zone: str = "UTC") -> Period:
    """The last `days` days of a log."""
    end = last_instant(log)
    return Period(max(log.start, end - timedelta(days=days)), end, zone)


def last_instant(log: Log) -> datetime:
    """First instant after the last event, in the log's resolution: a log of days ends at the end of its last day."""
    if log.time_resolution_seconds <= 1:
        return log.until
    last = log.until - timedelta(microseconds=1)
    return last + timedelta(seconds=log.time_resolution_seconds)


def previous(period: Period, log: Log) -> Period | None:
    """The period of equal length just before, or None when the log does not reach back that far."""
    since = period.since - (period.until - period.since)
    return Period(since, period.since, period.zone, period.gap_minutes) if since >= log.start else None


def figures(log: Log, period: Period, scope: Scope = EVERYTHING) -> Answer:
    """One row: events, users, sessions, buyers, buying_sessions, repeat_buyers, orders, revenue (NULL without prices)."""
    if (acts := chosen(log, scope)) is None:
        return _answer(log, FIGURES_SQL, period, scope)
    return Answer(counted.figures(acts, period.since, period.until, period.gap_minutes), _shown(FIGURES_SQL, period, scope))


def trend(log: Log, period: Period, grain: str, scope: Scope = EVERYTHING) -> Answer:
    """One row per period of a calendar, gaps filled with zero: the figures of each, their rates (NULL over nothing), and `partial`.

    A period is `partial` when more than 1/24 of it lies outside the log or the chosen dates. An hour that clocks leave out has no row;
    when they go back, both hours of the same name are one.

    Args:
        log: What is read.
        period: What of it is looked at.
        grain: `hour`, `day`, `week` or `month`.
        scope: Filters.

    Raises:
        RuleError: Another grain.
    """
    if grain not in GRAINS:
        raise RuleError("A trend has no step {grain!r}; choose one of {steps}.", grain=grain, steps=", ".join(GRAINS))
    end = _TREND_SQL.format(length=_LENGTHS[grain], kind="TIMESTAMP" if grain == "hour" else "DATE")
    statement = _MARKED_SQL + _PERIODS_SQL + end
    if (acts := chosen(log, scope)) is None:
        return _answer(log, statement, period, scope, grain=grain)
    rows = counted.periods(log, acts, period.since, period.until, period.zone, grain, period.gap_minutes)
    return finish(log, rows, end, _shown(statement, period, scope, grain=grain), {**values_of(period), "grain": grain})


def usual_grain(period: Period) -> str:
    """The step in which a period of this length is easily read: up to three days by hours, two months by days, two years by weeks."""
    days = (period.until - period.since) / timedelta(days=1)
    return "hour" if days <= 3 else "day" if days <= 62 else "week" if days <= 730 else "month"


def event_mix(log: Log, period: Period, scope: Scope = EVERYTHING) -> Answer:
    """One row per kind of event: events, users, share of all events."""
    if (acts := chosen(log, scope)) is None:
        return _answer(log, MIX_SQL, period, scope)
    return Answer(counted.event_mix(acts, period.since, period.until), _shown(MIX_SQL, period, scope))


def hours(log: Log, period: Period, act: str = "all", scope: Scope = EVERYTHING, *, people: bool = False) -> Answer:
    """Events by weekday (1 = Monday) and hour of the display zone, with `people` also their users; `act` is a kind of event or `all`."""
    statement = HOURS_OF_PEOPLE_SQL if people else HOURS_SQL
    if (acts := chosen(log, scope)) is None:
        return _answer(log, statement, period, scope, act=act)
    rows = counted.hours(log, acts, period.since, period.until, period.zone, act, people=people)
    return Answer(rows, _shown(statement, period, scope, act=act))


def _answer(log: Log, sql: str, period: Period, scope: Scope, **more: object) -> Answer:
    return answer(log, sql, {**values_of(period), **more}, scope)


def finish(log: Log, rows: pa.Table, sql: str, shown: str, values: Mapping[str, object]) -> Answer:
    """Run the end of a statement, which reads `counted`, on rows that were counted on the sorted copy."""
    with log.history() as connection:
        connection.register("counted_rows", rows)
        return Answer(ask(connection, _COUNTED_SQL + sql, values).table, shown)


def _shown(sql: str, period: Period, scope: Scope, **more: object) -> str:
    return described(sql, {**values_of(period), **more}, scope)


def values_of(period: Period) -> dict[str, object]:
    """The parameters of a statement that asks of a period."""
    return {"since": period.since, "until": period.until, "zone": period.zone, "gap_minutes": period.gap_minutes}
