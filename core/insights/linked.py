"""Paths around an act, on the sorted copy of a log: the same rows as the statement gives (tests compare them on random logs)."""

import numpy as np
import pyarrow as pa

from core.insights.chosen import Array, Chosen, changes, item_labels
from core.insights.counted import session_starts
from core.store import Connection

SCHEMA = pa.schema([("step", pa.int32()), ("source", pa.string()), ("target", pa.string()), ("sessions", pa.int64())])


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
) -> pa.Table:
    """The rows of `paths.links`; see `paths.Paths` for what is asked."""
    user, kind = acts.column("user"), acts.column("kind")
    goes = np.zeros(len(acts.events.users()), dtype=bool)
    goes[user[kind == acts.code(anchor)]] = True
    places = np.flatnonzero(goes[user])
    kind = kind[places]
    starts = session_starts(user[places], acts.column("time")[places], gap_minutes)
    names, code = _named(connection, acts, places, by_category=by_category)
    kept = starts | changes(code) if collapse else np.ones(len(places), dtype=bool)
    starts, kind, code = starts[kept], kind[kept], code[kept]
    begin, here = _anchors(starts, kind == acts.code(anchor))
    end = np.append(begin[1:], len(code))
    begin, end, here = begin[here >= 0], end[here >= 0], here[here >= 0]
    over = len(names)  # the code of the end of a session, and after it that of a path that is over already
    steps = [np.zeros(len(here), dtype=np.int64)]
    for step in range(1, depth + 1):
        place = here + step if forward else here - step
        inside = (place < end) if forward else (place >= begin)
        is_end = place == (end if forward else begin - 1)
        found = np.full(len(here), over + 1, dtype=np.int64)
        found[inside], found[is_end] = code[place[inside]], over
        steps.append(found)
    return _counted(steps, names, anchor, top)


def _anchors(starts: Array, is_anchor: Array) -> tuple[Array, Array]:
    """Where each session begins, and where its first anchor is, -1 without one."""
    session = np.cumsum(starts, dtype=np.int64) - 1
    begin = np.flatnonzero(starts)
    places = np.flatnonzero(is_anchor)
    here = np.full(len(begin), -1, dtype=np.int64)
    first = changes(session[places])
    here[session[places[first]]] = places[first]
    return begin, here


def _named(connection: Connection, acts: Chosen, places: Array, *, by_category: bool) -> tuple[list[str], Array]:
    """Names of acts, and the place of its name for each act."""
    kinds = acts.events.kinds()
    kind = acts.column("kind")[places].astype(np.int64)
    if not by_category:
        return kinds, kind
    labels, of_items = item_labels(connection, acts, "category")
    names = [f"{name}{label}" for name in kinds for label in ["", *(f" · {label}" for label in labels)]]
    return names, kind * (len(labels) + 1) + of_items[acts.column("item")[places]] + 1


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
    before = None
    for step, found in enumerate(steps[1:], start=1):
        now = short[found]
        n = np.bincount((before if before is not None else np.zeros(len(now), np.int64)) * len(told) + now, minlength=1)
        for pair in np.flatnonzero(n):
            source, target = divmod(int(pair), len(told))
            if target != none:
                rows.append((step, -int(n[pair]), told[source] if step > 1 else anchor, told[target]))
        before = now
    rows.sort(key=lambda row: (row[0], row[1], row[2].encode(), row[3].encode()))
    told_rows = [{"step": step, "source": source, "target": target, "sessions": -less} for step, less, source, target in rows]
    return pa.Table.from_pylist(told_rows, schema=SCHEMA)
