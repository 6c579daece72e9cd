"""Why conversion and revenue differ between two periods: parts of the shoppers grew or shrank, or act otherwise.

A shopper of a period belongs to one part of it. With s a part's share of all shoppers, r its rate, S and R those of all, and a bar for the
mean of both periods, the change of R is the sum over parts of mix, (s₁ - s₀)(r̄ - R̄), and rate, s̄(r₁ - r₀): exactly, as shares sum to 1.
A part that is empty in one period has the rate of the other, so all its effect is mix. Revenue is shoppers times revenue per shopper: its
change is that of their number at the mean revenue per shopper, and mix and rate of revenue per shopper at their mean number.
Symmetric form of the decomposition of Kitagawa (1955).
"""

from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from core.errors import RuleError
from core.insights import compared
from core.insights.chosen import chosen
from core.insights.overview import Period
from core.insights.scope import EVERYTHING, Scope, answer, described
from core.insights.statement import Answer
from core.store import Log

PARTS = ("newness", "category", "segment")
_ACTS_SQL = """
WITH acts AS (
    SELECT user_id, event_time >= $since AS is_now, item_id, event_type, revenue
    FROM history WHERE event_time >= $before AND event_time < $until
), people AS (
    SELECT is_now, user_id, bool_or(event_type = 'purchase') AS buys, sum(revenue) FILTER (event_type = 'purchase') AS revenue
    FROM acts GROUP BY is_now, user_id
), parts AS ("""
_NEWNESS_SQL = """
    SELECT p.is_now, p.user_id,
           CASE WHEN f.first_time >= CASE WHEN p.is_now THEN $since ELSE $before END THEN 'new' ELSE 'returning' END AS part
    FROM people p JOIN (SELECT user_id, min(event_time) AS first_time FROM history GROUP BY user_id) f USING (user_id)
"""
_CATEGORY_SQL = """
    SELECT is_now, user_id, arg_max(category, (acts, category)) AS part
    FROM (SELECT a.is_now, a.user_id, c.category, count(*) AS acts FROM acts a JOIN catalogue c ON a.item_id = c.item_id
          WHERE c.category IS NOT NULL GROUP BY ALL)
    GROUP BY is_now, user_id
"""
_SEGMENT_SQL = """
    SELECT p.is_now, p.user_id, s.segment_id::VARCHAR AS part FROM people p JOIN segments s USING (user_id)
"""
_COUNTS_SQL = """)
SELECT coalesce(t.part, '') AS part,
       count(*) FILTER (NOT p.is_now) AS users_before, count(*) FILTER (p.is_now) AS users,
       count(*) FILTER (NOT p.is_now AND p.buys) AS buyers_before, count(*) FILTER (p.is_now AND p.buys) AS buyers,
       (sum(p.revenue) FILTER (NOT p.is_now))::DOUBLE AS revenue_before, (sum(p.revenue) FILTER (p.is_now))::DOUBLE AS revenue
FROM people p LEFT JOIN parts t USING (is_now, user_id) GROUP BY 1 ORDER BY users + users_before DESC, part
"""
_SQL = {
    "newness": _ACTS_SQL + _NEWNESS_SQL + _COUNTS_SQL,
    "category": _ACTS_SQL + _CATEGORY_SQL + _COUNTS_SQL,
    "segment": _ACTS_SQL + _SEGMENT_SQL + _COUNTS_SQL,
}


@dataclass(frozen=True)
class Change:
    """What changed, and how much of it each part explains."""

    answer: Answer
    """One row per part ('' = none): users_before, users, buyers_before, buyers, revenue_before, revenue; mix and rate of the conversion;
    revenue_mix and revenue_rate. The statement gives the counts."""
    conversion_before: float
    conversion: float
    revenue_before: float | None
    """None in a log without revenue, as is `revenue`."""
    revenue: float | None
    revenue_size: float
    """Change of revenue by the number of shoppers alone."""
    effects: dict[str, float]
    """mix, rate, revenue_mix, revenue_rate of all parts together, also of those whose own effect is not told."""


def what_changed(
    log: Log, before: Period, period: Period, parts: str, scope: Scope = EVERYTHING, segments: pa.Table | None = None
) -> Change | None:
    """Decompose the change of conversion (buyers ÷ shoppers) and revenue between two periods that follow each other.

    Args:
        log: What is asked.
        before: Ends where `period` begins.
        period: What is compared.
        parts: `newness` (whether the shopper's first act lies in the period), `category` (the one most acted on in the period; ties go to
            the last by name), or `segment` (of the map now, also for the earlier period).
        scope: What is looked at.
        segments: Columns user_id and segment_id, for `segment`.

    Returns:
        None when nobody acted in one of the periods.

    Raises:
        RuleError: Parts that do not exist, or segments without a map.
    """
    if parts not in PARTS or (parts == "segment" and segments is None):
        raise RuleError("{parts!r} cannot be compared here; choose from: {all}.", parts=parts, all=", ".join(PARTS))
    assert before.until == period.since
    values = {"before": before.since, "since": period.since, "until": period.until}
    if (acts := chosen(log, scope)) is not None:
        asked = compared.Asked(before.since, period.since, period.until, parts)
        found = Answer(compared.parts(log, acts, asked, segments), described(_SQL[parts], values, scope))
    else:
        found = answer(log, _SQL[parts], values, scope, {"segments": segments} if segments is not None else None)
    return decomposed(found)


def decomposed(found: Answer, hidden_below: int = 0) -> Change | None:
    """Decompose counts of parts: part, users_before, users, buyers_before, buyers, revenue_before, revenue.

    Where a count is hidden, its part tells no effect, and half of `hidden_below` stands for it in those of all.

    Returns:
        None when nobody acted in one of the periods.
    """
    told = found.table.to_pylist()
    counts = ("users_before", "users", "buyers_before", "buyers")
    rows = [{**row, **{name: hidden_below // 2 if row[name] is None else row[name] for name in counts}} for row in told]
    is_told = [all(row[name] is not None for name in counts) for row in told]
    then, now = (sum(row[name] for row in rows) for name in ("users_before", "users"))
    if not then or not now:
        return None
    mix, rate = _effects(rows, "buyers")
    has_revenue = any(row[name] is not None for row in rows for name in ("revenue_before", "revenue"))
    per_mix, per_rate = _effects(rows, "revenue")
    size = (then + now) / 2
    spent_before, spent = (sum(row[name] or 0.0 for row in rows) for name in ("revenue_before", "revenue"))
    table = found.table
    more = {"mix": mix, "rate": rate, "revenue_mix": [size * x for x in per_mix], "revenue_rate": [size * x for x in per_rate]}
    for name, column in more.items():
        kept = [value if shown else None for value, shown in zip(column, is_told, strict=True)]
        table = table.append_column(name, pa.array(kept, pa.float64()))
    return Change(
        answer=Answer(table, found.sql),
        conversion_before=sum(row["buyers_before"] for row in rows) / then,
        conversion=sum(row["buyers"] for row in rows) / now,
        revenue_before=spent_before if has_revenue else None,
        revenue=spent if has_revenue else None,
        revenue_size=(now - then) * (spent_before / then + spent / now) / 2,
        effects={name: float(sum(column)) for name, column in more.items()},
    )


def _effects(rows: list[dict[str, Any]], measure: str) -> tuple[list[float], list[float]]:
    """Mix and rate effect of each part on `measure` per shopper."""
    then, now = (sum(row[name] for row in rows) for name in ("users_before", "users"))
    total_before, total = (sum(row[name] or 0.0 for row in rows) for name in (f"{measure}_before", measure))
    overall = (total_before / then + total / now) / 2
    mix, rate = [], []
    for row in rows:
        share_before, share = row["users_before"] / then, row["users"] / now
        known_before = (row[f"{measure}_before"] or 0.0) / row["users_before"] if row["users_before"] else None
        known = (row[measure] or 0.0) / row["users"] if row["users"] else None
        r_before = known_before if known_before is not None else known or 0.0
        r = known if known is not None else r_before
        mix.append((share - share_before) * ((r_before + r) / 2 - overall))
        rate.append((share_before + share) / 2 * (r - r_before))
    return mix, rate
