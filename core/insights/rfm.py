"""Buyers by recency, frequency and money; and the stages of all shoppers' lives, with the moves between them.

R: whole days from the last purchase to the cutoff. F: orders, or days with a purchase, whichever is named. M: revenue. Each is scored 1
to 5 among buyers by cut values at its quintiles, so equal values share a score; R is reversed. Days on which many bought last
lie on several cuts: their score is the middle of those between (the better of two), or a day on which everybody bought would make all
of them asleep. F and M are averaged (F alone in a log without revenue), half points count down on the grid. Groups and stages are those
of the counted features.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pyarrow as pa

from core.insights import lived
from core.insights.bought import buyers
from core.insights.chosen import chosen
from core.insights.overview import last_instant
from core.insights.scope import EVERYTHING, Scope, answer, described
from core.insights.statement import Answer, ask
from core.store import Log

FREQUENCIES = ("orders", "days")
BACK_DAYS = 28
"""Moves between stages are told over so many days."""

BUYERS_SQL = """
WITH buyers AS (
    SELECT user_id, (epoch_us($end::TIMESTAMP) - epoch_us(max(event_time))) // 86400000000 AS recency_days,
           CASE $frequency WHEN 'days' THEN count(DISTINCT (event_time AT TIME ZONE 'UTC' AT TIME ZONE $zone)::DATE)
                           ELSE count(DISTINCT coalesce('id ' || order_id, event_time::VARCHAR)) END AS frequency,
           coalesce(sum(revenue), 0) AS paid, paid::DOUBLE AS money
    FROM history WHERE event_type = 'purchase' GROUP BY user_id
)"""
_BOUGHT_SQL = "WITH buyers AS (SELECT *, paid::DOUBLE AS money FROM buyer_rows)"
_CUTS_SQL = """, cuts AS (
    SELECT quantile_cont(-recency_days, [0.2, 0.4, 0.6, 0.8]) AS recency_cuts,
           quantile_cont(frequency, [0.2, 0.4, 0.6, 0.8]) AS frequency_cuts,
           quantile_cont(money, [0.2, 0.4, 0.6, 0.8]) AS money_cuts, bool_or(money <> 0) AS has_money
    FROM buyers
)"""
SCORED_SQL = """, scored AS (
    SELECT b.*, 1 + (1 + len(list_filter(recency_cuts, lambda cut: -b.recency_days > cut))
                       + len(list_filter(recency_cuts, lambda cut: -b.recency_days >= cut))) // 2 AS r,
           1 + (b.frequency > frequency_cuts[1])::INTEGER + (b.frequency > frequency_cuts[2])::INTEGER
               + (b.frequency > frequency_cuts[3])::INTEGER + (b.frequency > frequency_cuts[4])::INTEGER AS f,
           CASE WHEN has_money THEN 1 + (b.money > money_cuts[1])::INTEGER + (b.money > money_cuts[2])::INTEGER
               + (b.money > money_cuts[3])::INTEGER + (b.money > money_cuts[4])::INTEGER END AS m
    FROM buyers b CROSS JOIN cuts
), placed AS (
    SELECT *, (f + coalesce(m, f)) // 2 AS worth,
           CASE WHEN r >= 3 AND f + coalesce(m, f) >= 6
                     THEN CASE WHEN r >= 4 AND f + coalesce(m, f) >= 8 THEN 'champions' ELSE 'loyal' END
                WHEN r >= 3 THEN CASE WHEN r >= 4 THEN 'recent' ELSE 'occasional' END
                WHEN f + coalesce(m, f) >= 6 THEN 'at_risk' ELSE 'asleep' END AS rfm_group
    FROM scored
)"""
GRID_SQL = """
SELECT rfm_group, r::INTEGER AS r, worth::INTEGER AS worth, count(*) AS users, count(*) / (SELECT count(*) FROM placed) AS share,
       sum(frequency)::BIGINT AS frequency, sum(paid)::DOUBLE AS money, median(recency_days)::DOUBLE AS recency_days
FROM placed GROUP BY GROUPING SETS ((rfm_group), (rfm_group, r, worth))
ORDER BY r NULLS FIRST, worth, users DESC, rfm_group
"""
CUTS_SQL = """
SELECT score.score::INTEGER AS score,
       min(p.recency_days) FILTER (p.r = score.score) AS recency_from, max(p.recency_days) FILTER (p.r = score.score) AS recency_to,
       min(p.frequency) FILTER (p.f = score.score) AS frequency_from, max(p.frequency) FILTER (p.f = score.score) AS frequency_to,
       min(p.money) FILTER (p.m = score.score) AS money_from, max(p.money) FILTER (p.m = score.score) AS money_to,
       count(*) FILTER (p.r = score.score) AS recency_users, count(*) FILTER (p.f = score.score) AS frequency_users,
       count(*) FILTER (p.m = score.score) AS money_users
FROM (SELECT unnest(range(1, 6)) AS score) score CROSS JOIN placed p GROUP BY score.score ORDER BY score.score DESC
"""
MEMBERS_SQL = """
SELECT user_id, r::INTEGER AS r, f::INTEGER AS f, m::INTEGER AS m, recency_days, frequency, money
FROM placed WHERE rfm_group = $rfm_group ORDER BY user_id
"""
_INSTANTS_SQL = """
WITH instants AS (SELECT 'now' AS name, $end::TIMESTAMP AS instant UNION ALL SELECT 'before', $earlier::TIMESTAMP)"""
LIVES_SQL = """, days AS (
    SELECT i.name, i.instant, h.user_id, epoch_us(h.event_time) // 86400000000 AS day, min(h.event_time) AS first_time,
           max(h.event_time) AS last_time
    FROM history h JOIN instants i ON h.event_time < i.instant GROUP BY ALL
), gaps AS (
    SELECT *, day - lag(day) OVER (PARTITION BY name, user_id ORDER BY day) AS gap FROM days
), people AS (
    SELECT name, user_id, (epoch_us(instant) - epoch_us(min(first_time))) / 86400000000.0 AS tenure_days,
           (epoch_us(instant) - epoch_us(max(last_time))) / 86400000000.0 AS silent_days, median(gap) AS gap
    FROM gaps GROUP BY name, instant, user_id
)"""
_USUAL_SQL = ", usual AS (SELECT name, coalesce(median(gap), 28) AS gap FROM people GROUP BY name)"
STAGED_SQL = """, staged AS (
    SELECT p.name, p.user_id, CASE WHEN silent_days > 4 * greatest(coalesce(p.gap, u.gap), 3.5) THEN 'away'
                                   WHEN tenure_days <= 28 THEN 'new'
                                   WHEN silent_days > 2 * greatest(coalesce(p.gap, u.gap), 3.5) THEN 'slipping' ELSE 'active' END AS stage
    FROM people p JOIN usual u USING (name)
)"""
_MOVES_SQL = """
SELECT coalesce(b.stage, 'unseen') AS before, n.stage AS now, count(*) AS users
FROM (SELECT user_id, stage FROM staged WHERE name = 'now') n
LEFT JOIN (SELECT user_id, stage FROM staged WHERE name = 'before') b USING (user_id)
GROUP BY ALL ORDER BY before, now
"""
_NOW_SQL = "WITH instants AS (SELECT 'now' AS name, $end::TIMESTAMP AS instant)"
_EVERYONE_SQL = """
SELECT s.user_id, s.stage, coalesce(p.rfm_group, 'never') AS rfm FROM staged s LEFT JOIN placed p USING (user_id) ORDER BY s.user_id
"""
STANDINGS_SQL = _NOW_SQL + LIVES_SQL + _USUAL_SQL + STAGED_SQL + BUYERS_SQL.replace("WITH ", ", ") + _CUTS_SQL + SCORED_SQL + _EVERYONE_SQL
STAGES_SQL = _INSTANTS_SQL + LIVES_SQL + _USUAL_SQL + STAGED_SQL + _MOVES_SQL


@dataclass(frozen=True)
class Rfm:
    """What is asked; the cutoff is the end of the scope, or of the log."""

    frequency: str = "orders"
    """What F counts: `orders`, or `days` with a purchase."""
    zone: str = "UTC"
    scope: Scope = field(default=EVERYTHING)


def rfm_grid(log: Log, asked: Rfm) -> Answer:
    """One row per group, r and worth NULL, then one per cell of the grid: users, share, frequency, money, recency_days (median)."""
    return _scored(log, asked, GRID_SQL)


def rfm_cuts(log: Log, asked: Rfm) -> Answer:
    """One row per score, best first: the smallest and largest value of each measure that has it, NULL where none has, and buyers."""
    return _scored(log, asked, CUTS_SQL)


def rfm_members(log: Log, asked: Rfm, rfm_group: str) -> Answer:
    """The buyers of a group: user_id, the three scores and the three values."""
    return _scored(log, asked, MEMBERS_SQL, rfm_group=rfm_group)


def _scored(log: Log, asked: Rfm, sql: str, **more: object) -> Answer:
    """Ask of the scored buyers; on the sorted copy they are counted on it, under their numbers."""
    values = {**_values(log, asked), **more}
    whole = BUYERS_SQL + _CUTS_SQL + SCORED_SQL + sql
    if (acts := chosen(log, asked.scope)) is None:
        return answer(log, whole, values, asked.scope)
    with log.history() as connection:
        connection.register("buyer_rows", buyers(log, acts, asked.scope.until or last_instant(log), asked.frequency, asked.zone))
        table = ask(connection, _BOUGHT_SQL + _CUTS_SQL + SCORED_SQL + sql, values).table
    if "user_id" in table.column_names:
        table = table.set_column(0, "user_id", acts.events.users().take(table["user_id"]))
    return Answer(table, described(whole, values, asked.scope))


def stage_moves(log: Log, scope: Scope = EVERYTHING, back_days: int = BACK_DAYS) -> Answer:
    """Shoppers by stage `back_days` before the cutoff (`unseen`: no act yet) and now: before, now, users."""
    end = scope.until or last_instant(log)
    values = {"end": end, "earlier": end - timedelta(days=back_days)}
    if (acts := chosen(log, scope)) is None:
        return answer(log, STAGES_SQL, values, scope)
    return Answer(lived.stage_moves(acts, end, values["earlier"]), described(STAGES_SQL, values, scope))


def standings(log: Log) -> pa.Table:
    """Return where every shopper stands at the end of the log, as the tables count it: user_id, stage, rfm (`never` without a purchase)."""
    with log.history() as connection:
        return ask(connection, STANDINGS_SQL, {"end": last_instant(log), "frequency": "orders", "zone": "UTC"}).table


def _values(log: Log, asked: Rfm) -> dict[str, object]:
    end: datetime = asked.scope.until or last_instant(log)
    return {"end": end, "frequency": asked.frequency, "zone": asked.zone}
