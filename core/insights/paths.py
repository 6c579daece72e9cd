"""Paths: what shoppers do after an act, or before it, within the session.

A path belongs to a session that holds the anchor act, and is counted from its first one. A session ends at a gap of more than
`gap_minutes`; acts of one instant stand in the order of the file. A run of equal acts counts as one when `collapse` is set.
"""

from dataclasses import dataclass, field

import pyarrow as pa

from core.insights import linked
from core.insights.chosen import chosen
from core.insights.overview import GAP_MINUTES
from core.insights.scope import EVERYTHING, Scope, answer, described
from core.insights.statement import Answer
from core.store import Log

END, OTHER = "", "…"
"""Names of the end of a session (its beginning, backward) and of all acts beyond the most frequent; no act is called so."""

LINKS_SQL = """
WITH goers AS (
    SELECT DISTINCT user_id FROM history WHERE event_type::VARCHAR = $anchor
), marked AS (
    SELECT h.user_id, h.event_time, h.source_file, h.source_row, h.event_type,
           CASE WHEN $by_category THEN h.event_type::VARCHAR || coalesce(' · ' || c.category, '') ELSE h.event_type::VARCHAR END AS act,
           coalesce(h.event_time - lag(h.event_time) OVER w > to_minutes($gap_minutes), true) AS starts
    FROM history h SEMI JOIN goers g ON h.user_id = g.user_id
    LEFT JOIN (SELECT item_id, category FROM catalogue WHERE $by_category) c ON c.item_id = h.item_id
    WINDOW w AS (PARTITION BY h.user_id ORDER BY h.event_time, h.source_file, h.source_row, h.event_type)
), numbered AS (
    SELECT *, sum(starts::INTEGER) OVER w AS session, lag(act) OVER w AS before FROM marked
    WINDOW w AS (PARTITION BY user_id ORDER BY event_time, source_file, source_row, event_type ROWS UNBOUNDED PRECEDING)
), placed AS (
    SELECT user_id, session, event_type, act,
           row_number() OVER (PARTITION BY user_id, session ORDER BY event_time, source_file, source_row, event_type) AS place
    FROM numbered WHERE starts OR act <> before OR NOT $collapse
), anchors AS (
    SELECT user_id, session, min(place) FILTER (event_type::VARCHAR = $anchor) AS anchor, max(place) AS length
    FROM placed GROUP BY user_id, session HAVING anchor IS NOT NULL
), around AS (
    SELECT p.user_id, p.session, CASE WHEN $forward THEN p.place - a.anchor ELSE a.anchor - p.place END AS step, p.act
    FROM placed p JOIN anchors a ON p.user_id = a.user_id AND p.session = a.session
    WHERE CASE WHEN $forward THEN p.place - a.anchor ELSE a.anchor - p.place END BETWEEN 0 AND $depth
    UNION ALL
    SELECT user_id, session, CASE WHEN $forward THEN length - anchor + 1 ELSE anchor END, '' FROM anchors
    WHERE CASE WHEN $forward THEN length - anchor + 1 ELSE anchor END <= $depth
), frequent AS (
    SELECT act FROM around WHERE step > 0 AND act <> '' GROUP BY act ORDER BY count(*) DESC, act LIMIT $top
), named AS (
    SELECT user_id, session, step,
           CASE WHEN step = 0 THEN $anchor WHEN act = '' OR act IN (SELECT act FROM frequent) THEN act ELSE '…' END AS act
    FROM around
), linked AS (
    SELECT step, lag(act) OVER (PARTITION BY user_id, session ORDER BY step) AS source, act AS target FROM named
)
SELECT step::INTEGER AS step, source, target, count(*) AS sessions
FROM linked WHERE step > 0 GROUP BY step, source, target ORDER BY step, sessions DESC, source, target
"""
LINKS_OF_PEOPLE_SQL = LINKS_SQL.replace("SELECT step, lag(act)", "SELECT user_id, step, lag(act)").replace(
    "count(*) AS sessions", "count(*) AS sessions, count(DISTINCT user_id) AS users"
)


@dataclass(frozen=True)
class Paths:
    """What is asked."""

    anchor: str
    forward: bool = True
    depth: int = 4
    """Acts that are told after the anchor, or before it."""
    top: int = 6
    """Most frequent acts that keep their names."""
    by_category: bool = False
    """Whether an act is told with the category of its item."""
    collapse: bool = True
    gap_minutes: int = GAP_MINUTES
    scope: Scope = field(default=EVERYTHING)


def links(log: Log, asked: Paths, *, people: bool = False) -> Answer:
    """One row per step and pair of acts: step (from 1: how far the target is from the anchor), source, target, sessions.

    With `people` also users, whose sessions they are.

    A path that ends has the target END; all links of step 1 together are the sessions with the anchor.
    """
    values: dict[str, object] = {name: getattr(asked, name) for name in ("anchor", "forward", "depth", "top", "by_category", "collapse")}
    values["gap_minutes"] = asked.gap_minutes
    statement = LINKS_OF_PEOPLE_SQL if people else LINKS_SQL
    if (acts := chosen(log, asked.scope)) is None:
        return answer(log, statement, values, asked.scope)
    with log.history() as connection:
        table = linked.links(
            connection, acts, asked.anchor, forward=asked.forward, depth=asked.depth, top=asked.top, by_category=asked.by_category,
            collapse=asked.collapse, gap_minutes=asked.gap_minutes, people=people,
        )  # fmt: skip
    return Answer(table, described(statement, values, asked.scope))


def step_matrix(table: pa.Table) -> pa.Table:
    """Shares of sessions by act and step from the rows of `links`: act, step, sessions, share; END holds all that have ended by then.

    The shares of a step add up to 1. Links whose sessions are hidden (NULL) count for nothing, and a cell of nothing else is NULL.
    """
    counts: dict[tuple[str, int], int] = {}
    hidden: set[tuple[str, int]] = set()
    for row in table.to_pylist():
        cell = row["target"], row["step"]
        counts[cell] = counts.get(cell, 0) + (row["sessions"] or 0)
        if row["sessions"] is None:
            hidden.add(cell)
    steps = sorted({step for _act, step in counts})
    everyone = sum(n for (_act, step), n in counts.items() if step == 1)
    sums: dict[str, int] = {}
    for (act, _step), n in counts.items():
        sums[act] = sums.get(act, 0) + n
    rows, ended = [], 0
    for step in steps:
        ended += counts.get((END, step), 0)
        counts[END, step] = ended
        if (END, step - 1) in hidden:
            hidden.add((END, step))
    for act in sorted(sums, key=lambda name: (name == END, name == OTHER, -sums[name], name)):
        for step in steps:
            n = counts.get((act, step), 0)
            told = None if (not n and (act, step) in hidden) or not everyone else n
            rows.append({"act": act, "step": step, "sessions": told, "share": None if told is None else told / everyone})
    schema = pa.schema([("act", pa.string()), ("step", pa.int32()), ("sessions", pa.int64()), ("share", pa.float64())])
    return pa.Table.from_pylist(rows, schema=schema)
