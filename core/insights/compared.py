"""What two periods have in each part, on the sorted copy of a log: the same rows as the statement gives (tests compare them)."""

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from core.insights.chosen import Array, Chosen, as_double, changes, has_by, item_labels, micros, sums_by
from core.store import Log


@dataclass(frozen=True)
class Asked:
    """Two periods, the second from `since` on."""

    before: datetime
    since: datetime
    until: datetime
    parts: str


def parts(log: Log, acts: Chosen, asked: Asked, segments: pa.Table | None) -> pa.Table:
    """One row per part ('' = none): part, users_before, users, buyers_before, buyers, revenue_before, revenue."""
    time = acts.column("time")
    inside = np.flatnonzero((time >= micros(asked.before)) & (time < micros(asked.until)))
    user, kind = acts.column("user")[inside], acts.column("kind")[inside]
    side = (time[inside] >= micros(asked.since)).astype(np.int8)
    m = len(acts.events.users())
    active, buys = np.zeros((2, 2, m), dtype=bool)
    bought = np.flatnonzero(kind == acts.code("purchase"))
    firsts = np.flatnonzero(changes(user, side))
    active[side[firsts], user[firsts]] = True
    buys[side[bought], user[bought]] = True
    names, part = _parts(log, acts, asked, inside, segments)
    n = len(names)
    group = part[side[bought], user[bought]] + n * side[bought].astype(np.int64)
    revenue = acts.column("revenue")[inside[bought]]
    sums, known = sums_by(group, revenue, 2 * n), has_by(group, revenue, 2 * n)
    counts = [np.bincount(part[now][flags[now]], minlength=n) for flags in (active, buys) for now in (0, 1)]
    kept = np.flatnonzero(counts[0] + counts[1])
    kept = np.array(sorted(kept, key=lambda code: (-int(counts[0][code] + counts[1][code]), names[code].encode())), dtype=np.int64)
    columns: dict[str, pa.Array] = {"part": pa.array([names[code] for code in kept], pa.string())}
    columns |= {
        name: pa.array(column[kept]) for name, column in zip(("users_before", "users", "buyers_before", "buyers"), counts, strict=True)
    }
    for name, shift in (("revenue_before", 0), ("revenue", n)):
        amounts = [as_double(int(sums[code + shift])) if known[code + shift] else None for code in kept]
        columns[name] = pa.array(amounts, pa.float64())
    return pa.table(columns)


def _parts(log: Log, acts: Chosen, asked: Asked, inside: Array, segments: pa.Table | None) -> tuple[list[str], Array]:
    """Names of the parts, and the place of the part of each shopper in either period (2, U)."""
    m = len(acts.events.users())
    if asked.parts == "newness":
        starts = acts.starts()[:-1]
        first = np.zeros(m, dtype=np.int64)
        first[acts.column("user")[starts]] = acts.column("time")[starts]
        return ["new", "returning"], np.stack([first < micros(asked.before), first < micros(asked.since)]).astype(np.int64)
    if asked.parts == "category":
        return _favourites(log, acts, asked, inside)
    assert segments is not None
    ids = acts.events.users()
    told = segments["segment_id"].cast(pa.string())
    names = ["", *sorted(name for name in pc.unique(told).to_pylist() if name is not None)]
    place, code = pc.index_in(segments["user_id"].cast(ids.type), value_set=ids), pc.index_in(told, value_set=pa.array(names))
    known = pc.and_(pc.is_valid(place), pc.is_valid(code))
    part = np.zeros(m, dtype=np.int64)
    part[place.filter(known).to_numpy()] = code.filter(known).to_numpy()
    return names, np.stack([part, part])


def _favourites(log: Log, acts: Chosen, asked: Asked, inside: Array) -> tuple[list[str], Array]:
    """The category that each shopper acted on most in either period; of several the last by name."""
    with log.history() as connection:
        labels, of_items = item_labels(connection, acts, "category")
    names = ["", *sorted(labels, key=str.encode)]
    place = {name: code for code, name in enumerate(names)}
    codes = np.append(np.array([place[label] for label in labels], dtype=np.int64), 0)[of_items]
    m, n = len(acts.events.users()), len(names)
    category = codes[acts.column("item")[inside]]
    named = category > 0
    side = acts.column("time")[inside][named] >= micros(asked.since)
    keys = np.sort((side * np.int64(m) + acts.column("user")[inside][named]) * n + category[named])
    first = np.flatnonzero(changes(keys))
    acts_of = np.diff(first, append=len(keys))
    who, what = np.divmod(keys[first], n)
    part = np.zeros(2 * m, dtype=np.int64)
    if len(who):
        begins = np.flatnonzero(changes(who))
        part[who[begins]] = np.maximum.reduceat(acts_of * n + what, begins) % n
    return names, part.reshape(2, m)
