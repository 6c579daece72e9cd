"""The overview of a log: figures of a period, trend, event mix, goods (categories, brands, items), hours of the week.

A session ends at a gap of more than `gap_minutes`; it belongs to the period it starts in. An order is an order id, or
all purchases of one user at one instant. Days are those of the display time zone. Parameters: `since`, `until` (UTC).
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

import pyarrow as pa

from core.insights import counted
from core.insights.chosen import chosen
from core.insights.scope import EVERYTHING, Scope, answer, described
from core.insights.statement import Answer, ask
from core.store import Log

GAP_MINUTES = 30
"""GA4's default session timeout; a gap of exactly 30:00 stays in the session."""

_SESSIONS_SQL = """
WITH marked AS (
    SELECT user_id, event_type, event_time, revenue, coalesce(order_id, user_id || ' ' || event_time::VARCHAR) AS order_key,
           coalesce(event_time - lag(event_time) OVER w > to_minutes($gap_minutes), true) AS starts
    FROM history
    WINDOW w AS (PARTITION BY user_id ORDER BY event_time)
), numbered AS (
    SELECT *, sum(starts::INTEGER) OVER (PARTITION BY user_id ORDER BY event_time RANGE UNBOUNDED PRECEDING) AS place FROM marked
), sessions AS (
    SELECT user_id, place, bool_or(event_type = 'purchase') AS buys, min(event_time) AS begun
    FROM numbered GROUP BY user_id, place HAVING begun >= $since AND begun < $until
)"""
FIGURES_SQL = (
    _SESSIONS_SQL  # noqa: S608 - two literals
    + """, acts AS (
    SELECT * FROM numbered WHERE event_time >= $since AND event_time < $until
), ordered AS (
    SELECT user_id FROM acts WHERE event_type = 'purchase' GROUP BY user_id HAVING count(DISTINCT order_key) > 1
)
SELECT count(*) AS events,
       count(DISTINCT user_id) AS users,
       (SELECT count(*) FROM sessions) AS sessions,
       count(DISTINCT user_id) FILTER (event_type = 'purchase') AS buyers,
       (SELECT count(*) FROM ordered) AS repeat_buyers,
       (SELECT count(*) FROM sessions WHERE buys) AS buying_sessions,
       count(DISTINCT order_key) FILTER (event_type = 'purchase') AS orders,
       sum(revenue) FILTER (event_type = 'purchase')::DOUBLE AS revenue
FROM acts
"""
)

GRAINS = {"hour": "INTERVAL 1 HOUR", "day": "INTERVAL 1 DAY", "week": "INTERVAL 7 DAY", "month": "INTERVAL 1 MONTH"}
"""Periods of a trend → how long each is."""
_PERIODS_SQL = (
    _SESSIONS_SQL  # noqa: S608 - two literals
    + """, acts AS (
    SELECT date_trunc($grain, event_time AT TIME ZONE 'UTC' AT TIME ZONE $zone)::TIMESTAMP AS period, user_id, event_type, revenue,
           order_key
    FROM numbered WHERE event_time >= $since AND event_time < $until
), ordered AS (
    SELECT period, user_id FROM acts WHERE event_type = 'purchase' GROUP BY period, user_id HAVING count(DISTINCT order_key) > 1
), again AS (
    SELECT period, count(*) AS repeat_buyers FROM ordered GROUP BY period
), begun AS (
    SELECT date_trunc($grain, begun AT TIME ZONE 'UTC' AT TIME ZONE $zone)::TIMESTAMP AS period, count(*) AS sessions,
           count(*) FILTER (buys) AS buying_sessions
    FROM sessions GROUP BY period
), counted AS (
    SELECT period, count(*) AS events, count(DISTINCT user_id) AS users, any_value(sessions) AS sessions,
           count(DISTINCT user_id) FILTER (event_type = 'purchase') AS buyers, any_value(repeat_buyers) AS repeat_buyers,
           any_value(buying_sessions) AS buying_sessions,
           count(DISTINCT order_key) FILTER (event_type = 'purchase') AS orders,
           coalesce(sum(revenue) FILTER (event_type = 'purchase'), 0)::DOUBLE AS revenue
    FROM acts LEFT JOIN again USING (period) LEFT JOIN begun USING (period) GROUP BY period
)"""
)
_TREND_SQL = """, bounds AS (
    SELECT min(period) AS first_period, max(period) AS last_period,
           $since AT TIME ZONE 'UTC' AT TIME ZONE $zone AS since, $until AT TIME ZONE 'UTC' AT TIME ZONE $zone AS until
    FROM counted
), calendar AS (
    SELECT unnest(generate_series(first_period, last_period, {step})) AS period FROM bounds
)
SELECT period::{kind} AS period, coalesce(events, 0) AS events, coalesce(users, 0) AS users, coalesce(sessions, 0) AS sessions,
       coalesce(buyers, 0) AS buyers, coalesce(repeat_buyers, 0) AS repeat_buyers, coalesce(buying_sessions, 0) AS buying_sessions,
       coalesce(orders, 0) AS orders, coalesce(revenue, 0) AS revenue,
       since - period > length / 24 OR period + length - until > length / 24 AS partial
FROM (SELECT period, (period + {step}) - period AS length FROM calendar)
CROSS JOIN bounds LEFT JOIN counted USING (period)
ORDER BY period
"""

_COUNTED_SQL = "WITH counted AS (FROM counted_rows)"

MIX_SQL = """
SELECT event_type::VARCHAR AS event_type, count(*) AS events, count(DISTINCT user_id) AS users, count(*) / sum(count(*)) OVER () AS share
FROM history WHERE event_time >= $since AND event_time < $until
GROUP BY event_type ORDER BY events DESC, event_type
"""

LEVELS = {"category": "c.category", "brand": "c.brand", "item": "h.item_id"}
"""What goods are told by → where its name stands."""
LEAST_RANKED = 30
"""Shoppers that an item needs to stand in a list."""
_BY_GOODS_SQL = """
WITH acts AS (
    SELECT coalesce({place}, '') AS {level}, h.user_id, h.item_id, h.event_type, h.revenue
    FROM history h LEFT JOIN catalogue c ON h.item_id = c.item_id
    WHERE h.event_time >= $since AND h.event_time < $until AND h.item_id IS NOT NULL
), counted AS (
    SELECT {level}, count(DISTINCT item_id) AS items, count(DISTINCT user_id) AS users,
           count(*) FILTER (event_type IN ('view', 'click')) AS views,
           count(*) FILTER (event_type = 'cart') AS carts,
           count(DISTINCT user_id) FILTER (event_type = 'cart') AS carters,
           count(*) FILTER (event_type = 'purchase') AS purchases,
           count(DISTINCT user_id) FILTER (event_type = 'purchase') AS buyers,
           sum(revenue) FILTER (event_type = 'purchase') AS revenue
    FROM acts GROUP BY {level}
)"""
_GOODS_SQL = """
SELECT {level}, items, users, views, carts, carters, carters / users AS cart_rate, purchases, buyers, buyers / users AS buyer_rate,
       revenue::DOUBLE AS revenue, (revenue / sum(revenue) OVER ())::DOUBLE AS revenue_share
FROM counted ORDER BY counted.revenue DESC NULLS LAST, purchases DESC, users DESC, {level}
"""
_NOTABLE_SQL = """, total AS (
    SELECT sum(users)::BIGINT AS all_users, sum(buyers)::BIGINT AS all_buyers FROM counted
), known AS (
    SELECT *, median(users) OVER () AS typical, buyers / users AS share, 1.959964 ** 2 / users AS z FROM counted WHERE users >= $least
), ranged AS (
    SELECT *, (share + z / 2 - sqrt(z * share * (1 - share) + z ** 2 / 4)) / (1 + z) AS low,
           (share + z / 2 + sqrt(z * share * (1 - share) + z ** 2 / 4)) / (1 + z) AS high
    FROM known CROSS JOIN total
)
SELECT CASE WHEN low > all_buyers / all_users THEN 'winner' ELSE 'unsold' END AS list, item, users, views, carters, purchases, buyers,
       share AS buyer_rate, low, high, all_users, all_buyers, all_buyers / all_users AS all_rate
FROM ranged
WHERE (users >= typical AND high < all_buyers / all_users) OR (users < typical AND low > all_buyers / all_users)
ORDER BY list, abs(buyers - users * all_buyers / all_users) DESC, item
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
    """One row: events, users, sessions, buyers, repeat_buyers, buying_sessions, orders, revenue (NULL without prices).

    `repeat_buyers` have two orders or more within the period.
    """
    if (acts := chosen(log, scope)) is None:
        return _answer(log, FIGURES_SQL, period, scope)
    return Answer(counted.figures(acts, period.since, period.until, period.gap_minutes), _shown(FIGURES_SQL, period, scope))


def trend(log: Log, period: Period, grain: str, scope: Scope = EVERYTHING) -> Answer:
    """One row per period, gaps filled with zero: the figures of `figures` (revenue 0 without prices), and partial.

    A period is `partial` when more than 1/24 of it lies outside the log or the chosen dates; a session belongs to the one it starts in.
    `grain` is one of GRAINS.
    """
    end = _TREND_SQL.format(step=GRAINS[grain], kind="TIMESTAMP" if grain == "hour" else "DATE")
    if (acts := chosen(log, scope)) is None:
        return _answer(log, _PERIODS_SQL + end, period, scope, grain=grain)
    rows = counted.periods(log, acts, period.since, period.until, period.zone, grain, period.gap_minutes)
    return _finish(log, rows, end, _shown(_PERIODS_SQL + end, period, scope, grain=grain), period, grain=grain)


def event_mix(log: Log, period: Period, scope: Scope = EVERYTHING) -> Answer:
    """One row per kind of event: events, users, share of all events."""
    if (acts := chosen(log, scope)) is None:
        return _answer(log, MIX_SQL, period, scope)
    return Answer(counted.event_mix(acts, period.since, period.until), _shown(MIX_SQL, period, scope))


def goods(log: Log, period: Period, level: str = "category", scope: Scope = EVERYTHING) -> Answer:
    """One row per category, brand or item ('' = unknown), most revenue first.

    Its name in the column `level`, items, users, views, carts, carters (shoppers with a cart), cart_rate (of users), purchases, buyers,
    buyer_rate (of users), revenue, revenue_share. `level` is one of LEVELS.
    """
    sql = _GOODS_SQL.format(level=level)
    whole = _BY_GOODS_SQL.format(level=level, place=LEVELS[level]) + sql
    if (acts := chosen(log, scope)) is None:
        return _answer(log, whole, period, scope)
    return _finish(log, counted.goods(log, acts, period.since, period.until, level), sql, _shown(whole, period, scope), period)


def notable_items(log: Log, period: Period, scope: Scope = EVERYTHING) -> Answer:
    """Items of at least LEAST_RANKED shoppers that are bought more rarely, or more often, than goods are on the whole.

    list `unsold`: of the half with more shoppers, those whose conversion lies below with 95 % certainty; `winner`: of the half with
    fewer, those above. Also item, users, views, carters, purchases, buyers, buyer_rate, low, high, and all_users, all_buyers, all_rate
    of all pairs of a shopper and an item. The largest difference in buyers comes first.
    """
    whole = _BY_GOODS_SQL.format(level="item", place=LEVELS["item"]) + _NOTABLE_SQL
    if (acts := chosen(log, scope)) is None:
        return _answer(log, whole, period, scope, least=LEAST_RANKED)
    rows = counted.goods(log, acts, period.since, period.until, "item")
    return _finish(log, rows, _NOTABLE_SQL, _shown(whole, period, scope, least=LEAST_RANKED), period, least=LEAST_RANKED)


def hours(log: Log, period: Period, act: str = "all", scope: Scope = EVERYTHING, *, people: bool = False) -> Answer:
    """Events by weekday (1 = Monday) and hour of the display zone, with `people` also their users; `act` is a kind of event or `all`."""
    if people:
        return _answer(log, HOURS_OF_PEOPLE_SQL, period, scope, act=act)
    if (acts := chosen(log, scope)) is None:
        return _answer(log, HOURS_SQL, period, scope, act=act)
    return Answer(counted.hours(log, acts, period.since, period.until, period.zone, act), _shown(HOURS_SQL, period, scope, act=act))


def _answer(log: Log, sql: str, period: Period, scope: Scope, **more: object) -> Answer:
    return answer(log, sql, {**_values(period), **more}, scope)


def _finish(log: Log, rows: pa.Table, sql: str, shown: str, period: Period, **more: object) -> Answer:
    """Run the end of a statement on rows that were counted on the sorted copy."""
    with log.history() as connection:
        connection.register("counted_rows", rows)
        return Answer(ask(connection, _COUNTED_SQL + sql, {**_values(period), **more}).table, shown)


def _shown(sql: str, period: Period, scope: Scope, **more: object) -> str:
    return described(sql, {**_values(period), **more}, scope)


def _values(period: Period) -> dict[str, object]:
    return {"since": period.since, "until": period.until, "zone": period.zone, "gap_minutes": period.gap_minutes}
