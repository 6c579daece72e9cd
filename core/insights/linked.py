"""Paths around an act, on the sorted copy of a log: the same rows as the statement gives (tests compare them on random logs)."""

from collections.abc import Callable

import numpy as np
import pyarrow as pa

from core.insights.chosen import Array, Chosen, by_block, changes, item_labels, joined
from core.insights.counted import distinct_by, session_starts
from core.store import Connection

Coded = Callable[[Array, Array], Array]
SCHEMA = pa.schema(
    [("step", pa.int32()), ("source", pa.string()), ("target", pa.string()), ("sessions", pa.int64()), ("users", pa.int64())]
)


def links(
    connection: Connection,
    acts: Chosen,
    anchor: str,
    *,
    forward: bool,
    depth: int,
    top: int,
    by_category: bool,
    collapse: bool,
    gap_minutes: int,
    people: bool = False,
) -> pa.Table:
    """The rows of `paths.links`, with `people` also their users; see `paths.Paths` for what is asked."""
    names, code_of = _named(connection, acts, by_category=by_category)

    def stepped(block: Chosen) -> list[Array]:
        return _steps(block, code_of, len(names), anchor, forward=forward, depth=depth, collapse=collapse, gap_minutes=gap_minutes)

    counted = _counted(joined(by_block(stepped, acts)), names, anchor, top)
    return counted if people else counted.drop_columns("users")


def _steps(
    acts: Chosen, code_of: Coded, over: int, anchor: str, *, forward: bool, depth: int, collapse: bool, gap_minutes: int
) -> list[Array]:
    """Shoppers of the sessions with an anchor, then the act of each step: `over` where they end, `over` + 1 where they are over already."""
    user, kind, starts = acts.column("user"), acts.column("kind"), acts.starts()
    is_anchor = kind == acts.code(anchor)
    goes = np.logical_or.reduceat(is_anchor, starts[:-1]) if len(user) else is_anchor
    places = np.flatnonzero(np.repeat(goes, np.diff(starts)))
    kind = kind[places]
    begins = session_starts(user[places], acts.column("time")[places], gap_minutes)
    code = code_of(kind, acts.column("item")[places])
    kept = begins | changes(code) if collapse else np.ones(len(places), dtype=bool)
    begins, kind, code, who = begins[kept], kind[kept], code[kept], user[places[kept]]
    begin, here = _anchors(begins, kind == acts.code(anchor))
    end = np.append(begin[1:], len(code))
    begin, end, here = begin[here >= 0], end[here >= 0], here[here >= 0]
    steps = [who[here]]
    for step in range(1, depth + 1):
        place = here + step if forward else here - step
        inside = (place < end) if forward else (place >= begin)
        is_end = place == (end if forward else begin - 1)
        found = np.full(len(here), over + 1, dtype=np.int64)
        found[inside], found[is_end] = code[place[inside]], over
        steps.append(found)
    return steps


def _anchors(starts: Array, is_anchor: Array) -> tuple[Array, Array]:
    """Where each session begins, and where its first anchor is, -1 without one."""
    session = np.cumsum(starts, dtype=np.int64) - 1
    begin = np.flatnonzero(starts)
    places = np.flatnonzero(is_anchor)
    here = np.full(len(begin), -1, dtype=np.int64)
    first = changes(session[places])
    here[session[places[first]]] = places[first]
    return begin, here


def _named(connection: Connection, acts: Chosen, *, by_category: bool) -> tuple[list[str], Coded]:
    """Names of acts, and what gives the place of its name for acts of kinds and items."""
    kinds = acts.events.kinds()
    if not by_category:
        return kinds, lambda kind, _item: kind.astype(np.int64)
    labels, of_items = item_labels(connection, acts, "category")
    names = [f"{name}{label}" for name in kinds for label in ["", *(f" · {label}" for label in labels)]]
    return names, lambda kind, item: kind.astype(np.int64) * (len(labels) + 1) + of_items[item] + 1


def _counted(steps: list[Array], names: list[str], anchor: str, top: int) -> pa.Table:
    """Count the links of each step; acts beyond the `top` most frequent become one."""
    over = len(names)
    total = np.zeros(over, dtype=np.int64)
    for found in steps[1:]:
        total += np.bincount(found, minlength=over + 2)[:over]
    frequent = sorted(np.flatnonzero(total), key=lambda code: (-total[code], names[code].encode()))[:top]
    told = [*(names[code] for code in frequent), "…", "", ""]
    other, ends, none = len(frequent), len(frequent) + 1, len(frequent) + 2
    short = np.full(over + 2, other, dtype=np.int64)
    short[frequent] = np.arange(len(frequent))
    short[over], short[over + 1] = ends, none
    rows = []
    user = steps[0]
    before = np.zeros(len(user), dtype=np.int64)
    for step, found in enumerate(steps[1:], start=1):
        now = short[found]
        pairs = before * len(told) + now
        n = np.bincount(pairs, minlength=1)
        users = distinct_by(pairs, user, len(n))
        for pair in np.flatnonzero(n):
            source, target = divmod(int(pair), len(told))
            if target != none:
                rows.append((step, -int(n[pair]), told[source] if step > 1 else anchor, told[target], int(users[pair])))
        before = now
    rows.sort(key=lambda row: (row[0], row[1], row[2].encode(), row[3].encode()))
    told_rows = [
        {"step": step, "source": source, "target": target, "sessions": -less, "users": users} for step, less, source, target, users in rows
    ]
    return pa.Table.from_pylist(told_rows, schema=SCHEMA)
