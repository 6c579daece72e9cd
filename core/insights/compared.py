"""What two periods have in each part, on the sorted copy of a log: the same rows as the statement gives (tests compare them)."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from core.insights.chosen import Array, Chosen, added, as_double, by_block, changes, has_by, item_labels, sums_by
from core.store import Log
from core.windows import micros

PartOf = Callable[[Chosen, Array, Array], Array]
"""Acts, places in the two periods, whether each is the first of its shopper in its period → place of the part for each such first one."""


@dataclass(frozen=True)
class Asked:
    """Two periods, the second from `since` on."""

    before: datetime
    since: datetime
    until: datetime
    parts: str


def parts(log: Log, acts: Chosen, asked: Asked, segments: pa.Table | None) -> pa.Table:
    """One row per part ('' = none): part, users_before, users, buyers_before, buyers, revenue_before, revenue."""
    names, part_of = _PARTS[asked.parts](log, acts, asked, segments)
    n = len(names)
    users, buyers, sums, known = added(by_block(lambda block: _counted(block, asked, n, part_of), acts))
    n_users = users.reshape(2, n).sum(axis=0)
    kept = np.array(sorted(np.flatnonzero(n_users), key=lambda code: (-n_users[code], names[code].encode())), dtype=np.int64)
    columns: dict[str, pa.Array] = {"part": pa.array([names[code] for code in kept], pa.string())}
    for name, counts in (("users", users), ("buyers", buyers)):
        columns |= {f"{name}_before": pa.array(counts[kept]), name: pa.array(counts[kept + n])}
    for name, shift in (("revenue_before", 0), ("revenue", n)):
        amounts = [as_double(int(sums[code + shift])) if known[code + shift] else None for code in kept]
        columns[name] = pa.array(amounts, pa.float64())
    return pa.table(columns)


def _counted(acts: Chosen, asked: Asked, n: int, part_of: PartOf) -> Array:
    """Shoppers, buyers, revenue, and whether there is any, of the n parts before and the n parts now (4, 2 n)."""
    time = acts.column("time")
    inside = np.flatnonzero((time >= micros(asked.before)) & (time < micros(asked.until)))
    if not len(inside):
        return np.zeros((4, 2 * n), dtype=np.int64)
    user = acts.column("user")[inside]
    side = (time[inside] >= micros(asked.since)).astype(np.int64)
    first = changes(user, side)  # both ascend: the acts of one shopper in one period
    group = part_of(acts, inside, first) + n * side[first]
    who = np.cumsum(first) - 1
    bought = np.flatnonzero(acts.column("kind")[inside] == acts.code("purchase"))
    buys = np.zeros(len(group), dtype=bool)
    buys[who[bought]] = True
    revenue, buyer = acts.column("revenue")[inside[bought]], group[who[bought]]
    counts = [np.bincount(group, minlength=2 * n), np.bincount(group[buys], minlength=2 * n)]
    return np.stack([*counts, sums_by(buyer, revenue, 2 * n), has_by(buyer, revenue, 2 * n)])


def _newness(_log: Log, _acts: Chosen, asked: Asked, _segments: pa.Table | None) -> tuple[list[str], PartOf]:
    def part_of(acts: Chosen, inside: Array, first: Array) -> Array:
        starts = acts.starts()
        places = inside[first]
        begun = acts.column("time")[starts[np.searchsorted(starts, places, side="right") - 1]]
        begins = np.where(acts.column("time")[places] >= micros(asked.since), micros(asked.since), micros(asked.before))
        return (begun < begins).astype(np.int64)

    return ["new", "returning"], part_of


def _segment(_log: Log, acts: Chosen, _asked: Asked, segments: pa.Table | None) -> tuple[list[str], PartOf]:
    assert segments is not None
    ids = acts.events.users()
    told = segments["segment_id"].cast(pa.string())
    names = ["", *sorted(name for name in pc.unique(told).to_pylist() if name is not None)]
    place, code = pc.index_in(segments["user_id"].cast(ids.type), value_set=ids), pc.index_in(told, value_set=pa.array(names))
    known = pc.and_(pc.is_valid(place), pc.is_valid(code))
    parts_of = np.zeros(len(ids), dtype=np.int64)
    parts_of[place.filter(known).to_numpy()] = code.filter(known).to_numpy()
    return names, lambda acts, inside, first: parts_of[acts.column("user")[inside[first]]]


def _category(log: Log, acts: Chosen, _asked: Asked, _segments: pa.Table | None) -> tuple[list[str], PartOf]:
    """The category that each shopper acted on most in either period; of several the last by name."""
    with log.history() as connection:
        labels, of_items = item_labels(connection, acts, "category")
    names = ["", *sorted(labels, key=str.encode)]
    place = {name: code for code, name in enumerate(names)}
    codes = np.append(np.array([place[label] for label in labels], dtype=np.int64), 0)[of_items]
    n = len(names)

    def part_of(acts: Chosen, inside: Array, first: Array) -> Array:
        category = codes[acts.column("item")[inside]]
        named = category > 0
        keys = np.sort((np.cumsum(first)[named] - 1) * n + category[named])
        runs = np.flatnonzero(changes(keys))
        who, what = np.divmod(keys[runs], n)
        found = np.zeros(np.count_nonzero(first), dtype=np.int64)
        if len(who):
            begins = np.flatnonzero(changes(who))
            found[who[begins]] = np.maximum.reduceat(np.diff(runs, append=len(keys)) * n + what, begins) % n
        return found

    return names, part_of


_PARTS = {"newness": _newness, "category": _category, "segment": _segment}
