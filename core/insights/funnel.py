"""Funnel: how many shoppers take steps one after the other, and where they stop.

A run begins with any act of the first step, not only the first such act of a shopper; every step lies within the window from there.
A shopper counts once, at the furthest step of all her runs; of runs that got equally far the one that got there first counts, begun
as late as possible. An excluded act within that run, or within the window of one that stays unfinished, removes the shopper.

Order: `ordered`, each step strictly later than the one before, other acts between them are allowed; `strict`, no act of the shopper
lies between (acts of one instant stand in the order of the file); `any`, a set of steps in whatever order.
"""

from dataclasses import dataclass, field
from datetime import timedelta

import pyarrow as pa

from core.errors import RuleError
from core.insights.chosen import Chosen, chosen
from core.insights.scope import EVERYTHING, Scope, answer, described, rows_of
from core.insights.statement import Answer, ask
from core.insights.walked import Asked, Walks, goods_of, walk
from core.metrics import wilson
from core.schema import EVENT_TYPES
from core.store import Log, identifier

ORDERS = ("ordered", "strict", "any")
MOST_STEPS = 8
LEAST_SHOWN = 20
"""A rate of fewer shoppers than this in a part of a breakdown is not told."""
TIME_EDGES = (60, 300, 1800, 3600, 6 * 3600, 86_400, 3 * 86_400, 7 * 86_400, 14 * 86_400, 28 * 86_400)
"""Seconds at which the bars of the time to convert end."""

_STEPS_SQL = """
WITH RECURSIVE steps AS (
    SELECT unnest(range(1, len($types::VARCHAR[]) + 1)) AS step, unnest($types::VARCHAR[]) AS event_type,
           unnest($categories::VARCHAR[]) AS category, unnest($brands::VARCHAR[]) AS brand, unnest($items::VARCHAR[]) AS item,
           unnest($prices_from::DOUBLE[]) AS price_from, unnest($prices_to::DOUBLE[]) AS price_to, unnest($narrowed::BOOLEAN[]) AS narrowed
), wanted AS (
    SELECT s.step, s.event_type, c.item_id FROM steps s
    JOIN catalogue c ON (s.category IS NULL OR c.category = s.category) AND (s.brand IS NULL OR c.brand = s.brand)
        AND (s.item IS NULL OR c.item_id = s.item)
        AND (s.price_from IS NULL OR c.price >= s.price_from) AND (s.price_to IS NULL OR c.price <= s.price_to)
    WHERE s.narrowed
)"""
_MATCHED_SQL = """, matched AS NOT MATERIALIZED (
    SELECT h.user_id, h.event_time, h.item_id, s.step FROM history h JOIN steps s ON h.event_type::VARCHAR = s.event_type
    WHERE NOT s.narrowed
    UNION ALL
    SELECT h.user_id, h.event_time, h.item_id, w.step
    FROM history h JOIN wanted w ON h.event_type::VARCHAR = w.event_type AND h.item_id = w.item_id
)"""
_ORDERED_SQL = """, goers AS (
    SELECT DISTINCT user_id FROM matched WHERE step = 2
), acts AS MATERIALIZED (
    SELECT user_id, event_time, step FROM matched SEMI JOIN goers USING (user_id)
), reach_1 AS (
    SELECT user_id, event_time, event_time AS anchor FROM acts WHERE step = 1
)"""
_LEVEL_SQL = """, reach_{step} AS (
    SELECT a.user_id, a.event_time, r.anchor
    FROM (SELECT user_id, event_time FROM acts WHERE step = {step}) a
    ASOF JOIN reach_{before} r ON a.user_id = r.user_id AND a.event_time > r.event_time
    WHERE a.event_time <= r.anchor + to_microseconds($window)
)"""
"""The act of the step before that is nearest in time was reached from the latest beginning, so no other one needs a look."""
_STRICT_SQL = """, goers AS (
    SELECT DISTINCT user_id FROM matched WHERE step = 2
), placed AS (
    SELECT user_id, event_time, item_id, event_type::VARCHAR AS event_type,
           row_number() OVER (PARTITION BY user_id ORDER BY event_time, source_file, source_row, event_type) AS place
    FROM history SEMI JOIN goers USING (user_id)
), acts AS MATERIALIZED (
    SELECT p.user_id, p.event_time, p.place, s.step FROM placed p JOIN steps s USING (event_type)
    WHERE NOT s.narrowed
    UNION ALL
    SELECT p.user_id, p.event_time, p.place, w.step FROM placed p JOIN wanted w USING (event_type, item_id)
), chains AS (
    SELECT user_id, step, event_time, place, event_time AS anchor FROM acts WHERE step = 1
    UNION ALL
    SELECT a.user_id, a.step, a.event_time, a.place, c.anchor
    FROM acts a JOIN chains c ON a.user_id = c.user_id AND a.step = c.step + 1 AND a.place = c.place + 1
    WHERE a.event_time > c.event_time AND a.event_time <= c.anchor + to_microseconds($window)
), reach AS (
    SELECT user_id, step, event_time, max(anchor) AS anchor FROM chains GROUP BY user_id, step, event_time
)"""
_ANY_SQL = """, goers AS (
    SELECT user_id FROM matched GROUP BY user_id HAVING bit_count(bit_or(1::BIGINT << (step - 1))) > 1
), acts AS MATERIALIZED (
    SELECT user_id, event_time, step FROM matched SEMI JOIN goers USING (user_id)
), ahead AS (
    SELECT user_id, event_time AS anchor, bit_count(bit_or(1::BIGINT << (step - 1)) OVER (
               PARTITION BY user_id ORDER BY event_time RANGE BETWEEN CURRENT ROW AND to_microseconds($window) FOLLOWING
           ))::BIGINT AS step
    FROM acts
), bests AS (
    SELECT user_id, max(step) AS step, arg_max(anchor, struct_pack(step := step, early := -epoch_us(anchor))) AS anchor
    FROM ahead GROUP BY user_id
), firsts AS (
    SELECT b.user_id, b.step, b.anchor, a.step AS act, min(a.event_time) AS event_time
    FROM bests b JOIN acts a ON a.user_id = b.user_id AND a.event_time >= b.anchor
        AND a.event_time <= b.anchor + to_microseconds($window)
    GROUP BY b.user_id, b.step, b.anchor, a.step
), ends AS (
    SELECT user_id, step, max(event_time) AS event_time, anchor FROM firsts WHERE step > 1 GROUP BY user_id, step, anchor
), lasts AS (
    SELECT e.user_id, e.step, e.event_time, a.step AS act, max(a.event_time) AS begun
    FROM ends e JOIN acts a ON a.user_id = e.user_id AND a.event_time >= e.anchor AND a.event_time <= e.event_time
    GROUP BY e.user_id, e.step, e.event_time, a.step
), reach AS (
    SELECT user_id, step, event_time, min(begun) AS anchor FROM lasts GROUP BY user_id, step, event_time
)"""
"""The run of the earliest beginning ends first; of the runs that end there, the latest begins where one step happens for the last time."""
_COUNTED_SQL = """, began AS (
    SELECT user_id, min(event_time) AS event_time FROM matched WHERE step = 1 OR $any_order GROUP BY user_id
), best AS (
    SELECT user_id, 1 AS step, event_time, event_time AS anchor FROM began
    UNION ALL
    SELECT user_id, step, min(event_time), arg_min(anchor, event_time) FROM reach WHERE step > 1 GROUP BY user_id, step
), counted AS (
    SELECT user_id, max(step) AS step, arg_max(anchor, step) AS anchor, arg_max(event_time, step) AS reached
    FROM best GROUP BY user_id
)"""
_REMOVED_SQL = """, removed AS (
    SELECT DISTINCT c.user_id FROM counted c JOIN history h ON h.user_id = c.user_id
    WHERE list_contains($excluded::VARCHAR[], h.event_type::VARCHAR) AND h.event_time > c.anchor
      AND h.event_time < CASE WHEN c.step = len($types::VARCHAR[]) THEN c.reached ELSE c.anchor + to_microseconds($window) END
), runs AS (
    SELECT user_id, step, anchor, reached, epoch_us(reached - anchor) / 1000000.0 AS seconds
    FROM counted ANTI JOIN removed USING (user_id)
)"""
_KEPT_SQL = """, runs AS (
    SELECT user_id, step, anchor, reached, epoch_us(reached - anchor) / 1000000.0 AS seconds FROM counted
)"""
COUNTS_SQL = """, parts AS (
    {parts}
), sized AS (
    SELECT coalesce(p.name, '') AS name, r.step, r.seconds FROM runs r LEFT JOIN parts p USING (user_id)
), names AS (
    SELECT DISTINCT name FROM sized
)
SELECT n.name, s.step::INTEGER AS step, count(z.step) AS users,
       quantile_cont(z.seconds, 0.25) FILTER (s.step = len($types::VARCHAR[])) AS seconds_quarter,
       quantile_cont(z.seconds, 0.5) FILTER (s.step = len($types::VARCHAR[])) AS seconds_median,
       quantile_cont(z.seconds, 0.75) FILTER (s.step = len($types::VARCHAR[])) AS seconds_three_quarters
FROM names n CROSS JOIN steps s LEFT JOIN sized z ON z.name = n.name AND z.step >= s.step
GROUP BY n.name, s.step
ORDER BY max(count(z.step)) OVER (PARTITION BY n.name) DESC, n.name, s.step
"""
TIMES_SQL = """, bars AS (
    SELECT unnest(range(0, len($edges::BIGINT[]) + 1)) AS bar
), timed AS (
    SELECT len(list_filter($edges::BIGINT[], lambda edge: edge <= seconds)) AS bar FROM runs WHERE step = len($types::VARCHAR[])
)
SELECT b.bar::INTEGER AS bar, ($edges::BIGINT[])[b.bar] AS from_seconds, ($edges::BIGINT[])[b.bar + 1] AS to_seconds, count(t.bar) AS users
FROM bars b LEFT JOIN timed t USING (bar) GROUP BY b.bar ORDER BY b.bar
"""
MEMBERS_SQL = """
SELECT user_id FROM runs WHERE step = $step OR (step > $step AND NOT $stopped) ORDER BY user_id
"""
WANTED_SQL = "SELECT step::INTEGER AS step, item_id FROM wanted"
_WALKED_SQL = ", counted AS (FROM walked)"
WALKED_COUNTS_SQL = """, whole AS (
    SELECT seconds FROM runs WHERE step = len($types::VARCHAR[])
), furthest AS (
    SELECT step, count(*) AS users FROM runs GROUP BY step
)
SELECT '' AS name, s.step::INTEGER AS step, (SELECT coalesce(sum(users), 0) FROM furthest f WHERE f.step >= s.step)::BIGINT AS users,
       CASE WHEN s.step = len($types::VARCHAR[]) THEN (SELECT quantile_cont(seconds, 0.25) FROM whole) END AS seconds_quarter,
       CASE WHEN s.step = len($types::VARCHAR[]) THEN (SELECT quantile_cont(seconds, 0.5) FROM whole) END AS seconds_median,
       CASE WHEN s.step = len($types::VARCHAR[]) THEN (SELECT quantile_cont(seconds, 0.75) FROM whole) END AS seconds_three_quarters
FROM steps s WHERE EXISTS (FROM runs) ORDER BY s.step
"""
"""Without a breakdown; no join of every shopper with every step."""
MOST_WALKS = 4
"""Funnels whose runs stay in memory, so that their counts, times and shoppers are one walk: about 20 bytes for each shopper who began."""
_PARTS = {
    "": "SELECT user_id, '' AS name FROM runs",
    "category": """SELECT r.user_id, min(c.category) AS name
    FROM runs r JOIN matched m ON m.user_id = r.user_id AND m.event_time = r.anchor AND (m.step = 1 OR $any_order)
    JOIN catalogue c ON c.item_id = m.item_id GROUP BY r.user_id""",
    "segment": "SELECT user_id, segment_id::VARCHAR AS name FROM segments",
}
_WALKED_CATEGORY_SQL = """SELECT b."user" AS user_id, min(c.category) AS name
    FROM beginnings b JOIN catalogue c ON c.item_id = b.item_id GROUP BY b."user"
"""


@dataclass(frozen=True)
class Step:
    """One step: a kind of event, of any item or of those that all choices hold for."""

    event_type: str
    category: str | None = None
    brand: str | None = None
    item: str | None = None
    price_from: float | None = None
    """Inclusive, as the catalogue has it; an item without a price is not of the step."""
    price_to: float | None = None
    """Inclusive."""

    @property
    def is_narrowed(self) -> bool:
        """Whether only some items are of the step."""
        return self != Step(self.event_type)


@dataclass(frozen=True)
class Funnel:
    """What is asked."""

    steps: tuple[Step, ...]
    order: str = "ordered"
    window: timedelta = timedelta(days=7)
    """From the first act of a run to its last, inclusive."""
    excluded: tuple[str, ...] = ()
    """Kinds of events that remove a shopper."""
    breakdown: str = ""
    """`""`, `category` (of the first act of the counted run), `segment`, or a column of `users`."""
    scope: Scope = field(default=EVERYTHING)


def check(funnel: Funnel) -> None:
    """Refuse a question that has no answer.

    Raises:
        RuleError: Fewer than two or more than MOST_STEPS steps, an unknown kind or order, an empty window, equal steps in any order, or
            prices from above to.
    """
    kinds = [step.event_type for step in funnel.steps]
    if not 2 <= len(kinds) <= MOST_STEPS:
        raise RuleError("A funnel has 2 to {most} steps; got {n}.", most=MOST_STEPS, n=len(kinds))
    for kind in (*kinds, *funnel.excluded):
        if kind not in EVENT_TYPES:
            raise RuleError("There is no kind of event {kind!r}; there are {kinds}.", kind=kind, kinds=", ".join(EVENT_TYPES))
    if funnel.order not in ORDERS:
        raise RuleError("Steps are taken in the order {orders}; got {order!r}.", orders=" or ".join(ORDERS), order=funnel.order)
    if funnel.window <= timedelta(0):
        raise RuleError("The window of a funnel is longer than nothing; give a number of days above 0.")
    for number, step in enumerate(funnel.steps, start=1):
        if step.price_from is not None and step.price_to is not None and step.price_from > step.price_to:
            raise RuleError(
                "Step {n} asks for prices from {low:g} to {high:g}, which no item has; turn them round.",
                n=number, low=step.price_from, high=step.price_to,
            )  # fmt: skip
    if funnel.order == "any" and len(set(funnel.steps)) < len(funnel.steps):
        raise RuleError("In any order each step is asked for once, but two steps are equal; change one, or keep the order.")
    if clash := sorted(set(kinds) & set(funnel.excluded)):
        raise RuleError("{kind!r} is a step and is excluded at once, so nobody could get through; drop one.", kind=clash[0])


def count_steps(log: Log, funnel: Funnel, segments: pa.Table | None = None) -> Answer:
    """One row per part and step: name, step, users, quartiles of seconds from first to last step, and rates with Wilson intervals.

    `overall` is users ÷ users of step 1, `from_previous` users ÷ users of the step before; both with `_low` and `_high`. Rates of a part
    of a breakdown with fewer than LEAST_SHOWN shoppers below them are missing.

    Args:
        log: What to read.
        funnel: What is asked.
        segments: user_id, segment_id; for the breakdown by segment.

    Raises:
        RuleError: See `check`.
    """
    check(funnel)
    if (acts := chosen(log, funnel.scope)) is not None:
        shown = _shown(funnel, COUNTS_SQL.format(parts=_parts(funnel)))
        sql = COUNTS_SQL.format(parts=_parts(funnel, walked=True)) if funnel.breakdown else WALKED_COUNTS_SQL
        found = _walked(log, acts, funnel, sql, shown, segments)
        return Answer(_with_rates(found.table, least=LEAST_SHOWN if funnel.breakdown else 1), found.sql)
    sql = _beginning(funnel) + COUNTS_SQL.format(parts=_parts(funnel))
    tables = {"segments": segments} if segments is not None and funnel.breakdown == "segment" else None
    found = answer(log, sql, _values(funnel), funnel.scope, tables)
    return Answer(_with_rates(found.table, least=LEAST_SHOWN if funnel.breakdown else 1), found.sql)


def times_to_convert(log: Log, funnel: Funnel) -> Answer:
    """One row per bar of TIME_EDGES: bar, from_seconds, to_seconds (NULL at the ends), users who took all steps in that time.

    Raises:
        RuleError: See `check`.
    """
    check(funnel)
    if (acts := chosen(log, funnel.scope)) is not None:
        return _walked(log, acts, funnel, TIMES_SQL, _shown(funnel, TIMES_SQL))
    return answer(log, _beginning(funnel) + TIMES_SQL, _values(funnel), funnel.scope)


def members(log: Log, funnel: Funnel, step: int, *, stopped: bool = False) -> Answer:
    """Who took step number `step` (from 1), or with `stopped` who went no further than it: user_id, ordered.

    Raises:
        RuleError: See `check`.
    """
    check(funnel)
    asked = {"step": step, "stopped": stopped}
    if (acts := chosen(log, funnel.scope)) is not None:
        walks = _walks(log, acts, funnel)
        numbers = walks.user[(walks.step == step) if stopped else (walks.step >= step)]
        return Answer(pa.table({"user_id": acts.events.users().take(pa.array(numbers))}), _shown(funnel, MEMBERS_SQL, **asked))
    return answer(log, _beginning(funnel) + MEMBERS_SQL, {**_values(funnel), **asked}, funnel.scope)


def _parts(funnel: Funnel, *, walked: bool = False) -> str:
    """The statement that names the part of the breakdown of each shopper."""
    if walked and funnel.breakdown == "category":
        return _WALKED_CATEGORY_SQL
    return _PARTS.get(funnel.breakdown) or f"SELECT user_id, {identifier(funnel.breakdown)}::VARCHAR AS name FROM users"  # noqa: S608


def _walked(log: Log, acts: Chosen, funnel: Funnel, sql: str, shown: str, segments: pa.Table | None = None) -> Answer:
    """Run the end of the statement on runs that were found on the sorted copy; shoppers keep their numbers where nobody asks who."""
    walks = _walks(log, acts, funnel)
    with log.history() as connection:
        connection.register("walked", walks.table(acts.events.users() if funnel.breakdown not in ("", "category") else None))
        connection.register("beginnings", walks.beginnings)
        if segments is not None:
            connection.register("segments", segments)
        beginning = _STEPS_SQL + _WALKED_SQL + _KEPT_SQL
        return Answer(ask(connection, beginning + sql, _values(funnel)).table, shown)


def _walks(log: Log, acts: Chosen, funnel: Funnel) -> Walks:
    """The runs of a funnel on the sorted copy, kept for the next question about it unless it is about a list of shoppers."""
    window = round(funnel.window / timedelta(microseconds=1))
    kinds = tuple(step.event_type for step in funnel.steps)
    asked = Asked(kinds, funnel.order, window, funnel.excluded, with_beginnings=funnel.breakdown == "category")
    key = None if funnel.scope.members is not None else (log, acts.events.record["seal"], funnel.scope, funnel.steps, asked)
    if key is not None and (kept := _kept_walks.get(key)) is not None:
        return kept
    with log.history() as connection:
        narrowed = [number for number, step in enumerate(funnel.steps, start=1) if step.is_narrowed]
        goods = goods_of(acts, narrowed, ask(connection, _STEPS_SQL + WANTED_SQL, _values(funnel)).table) if narrowed else {}
    found = walk(acts, asked, goods)
    if key is not None:
        _kept_walks[key] = found
        for oldest in list(_kept_walks)[:-MOST_WALKS]:
            _kept_walks.pop(oldest, None)
    return found


_kept_walks: dict[tuple[Log, str, Scope, tuple[Step, ...], Asked], Walks] = {}


def _shown(funnel: Funnel, sql: str, **more: object) -> str:
    values = {**_values(funnel), **more}
    return described(_beginning(funnel) + sql, values, funnel.scope)


def _beginning(funnel: Funnel) -> str:
    """The statement up to `runs`; of its parts the number of levels and the exclusion depend on the question."""
    match funnel.order:
        case "strict":
            middle = _STRICT_SQL
        case "any":
            middle = _ANY_SQL
        case _:
            numbers = range(2, len(funnel.steps) + 1)
            levels = "".join(_LEVEL_SQL.format(step=step, before=step - 1) for step in numbers)
            united = " UNION ALL ".join(f"SELECT user_id, {step} AS step, event_time, anchor FROM reach_{step}" for step in numbers)  # noqa: S608
            middle = f"{_ORDERED_SQL}{levels}, reach AS (\n    {united}\n)"
    return _STEPS_SQL + _MATCHED_SQL + middle + _COUNTED_SQL + (_REMOVED_SQL if funnel.excluded else _KEPT_SQL)


def _values(funnel: Funnel) -> dict[str, object]:
    return {
        "types": [step.event_type for step in funnel.steps],
        "categories": [step.category for step in funnel.steps],
        "brands": [step.brand for step in funnel.steps],
        "items": [step.item for step in funnel.steps],
        "prices_from": [step.price_from for step in funnel.steps],
        "prices_to": [step.price_to for step in funnel.steps],
        "narrowed": [step.is_narrowed for step in funnel.steps],
        "window": round(funnel.window / timedelta(microseconds=1)),
        "excluded": list(funnel.excluded),
        "any_order": funnel.order == "any",
        "edges": list(TIME_EDGES),
    }


def _with_rates(table: pa.Table, least: int) -> pa.Table:
    rows = table.to_pylist()
    first = {row["name"]: row["users"] for row in rows if row["step"] == 1}
    before = {(row["name"], row["step"] + 1): row["users"] for row in rows}
    columns: dict[str, list[float | None]] = {}
    for kind in ("overall", "from_previous"):
        for row in rows:
            base = first[row["name"]] if kind == "overall" else before.get((row["name"], row["step"]), row["users"])
            low, high = wilson(row["users"], base) if base >= least else (None, None)
            for name, value in ((kind, row["users"] / base if base >= least else None), (f"{kind}_low", low), (f"{kind}_high", high)):
                columns.setdefault(name, []).append(value)
    return rows_of(table, **{name: pa.array(values, pa.float64()) for name, values in columns.items()})
