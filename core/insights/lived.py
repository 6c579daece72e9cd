"""Stages of life and drivers, on the sorted copy of a log: the same rows as their statements give (tests compare them on random logs)."""

from datetime import datetime

import numpy as np
import pyarrow as pa

from core.insights.chosen import DAY, Array, Chosen, changes, micros, whole_days
from core.store import NONE

STAGES = ("active", "away", "new", "slipping", "unseen")
"""In the order of their names."""
USUAL_GAP, LEAST_GAP, NEW_DAYS = 28.0, 3.5, 28
MOVES = pa.schema([("before", pa.string()), ("now", pa.string()), ("users", pa.int64())])
COUNTS = pa.schema([("driver", pa.string()), *((name, pa.int64()) for name in ("did", "did_does", "did_not", "did_not_does"))])


def stage_moves(acts: Chosen, end: datetime, earlier: datetime) -> pa.Table:
    """The rows of `rfm.stage_moves`."""
    user, time = acts.column("user"), acts.column("time")
    shoppers, starts = acts.shoppers()
    assert not len(time) or micros(end) > int(time.max())
    if not len(shoppers):
        return MOVES.empty_table()
    gaps = _gaps(user, time)
    now = _stages(time, starts, np.diff(starts), gaps, end)
    seen = np.add.reduceat(time < micros(earlier), starts[:-1], dtype=np.int32)
    before = _stages(time, starts, seen, [column[gaps[2] < micros(earlier)] for column in gaps], earlier)
    pairs = np.bincount(before * len(STAGES) + now, minlength=len(STAGES) ** 2)
    rows = [
        {"before": STAGES[pair // len(STAGES)], "now": STAGES[pair % len(STAGES)], "users": int(pairs[pair])}
        for pair in np.flatnonzero(pairs)
    ]
    return pa.Table.from_pylist(sorted(rows, key=lambda row: (row["before"], row["now"])), schema=MOVES)


def _gaps(user: Array, time: Array) -> list[Array]:
    """Of every two days with acts that follow each other: the shopper's place among those who act, the gap, and when the second began."""
    day = whole_days(time)
    runs = np.flatnonzero(changes(user, day))
    who, day, time = user[runs], day[runs], time[runs]
    place = np.cumsum(changes(who), dtype=np.int32) - 1
    same = np.flatnonzero(who[1:] == who[:-1]) + 1
    return [place[same], day[same] - day[same - 1], time[same]]


def _stages(time: Array, starts: Array, seen: Array, gaps: list[Array], instant: datetime) -> Array:
    """Place in STAGES of each shopper (m,) at an instant, from her first `seen` acts and the gaps between the days of these."""
    first, last = time[starts[:-1]], time[starts[:-1] + np.maximum(seen, 1) - 1]
    tenure, silent = (micros(instant) - first) / DAY, (micros(instant) - last) / DAY
    own = _medians(gaps[0], gaps[1], len(seen))
    known = np.sort(own[~np.isnan(own)])
    usual = (known[(len(known) - 1) // 2] + known[len(known) // 2]) / 2 if len(known) else USUAL_GAP
    gap = np.maximum(np.where(np.isnan(own), usual, own), LEAST_GAP)
    tests = {"unseen": seen == 0, "away": silent > 4 * gap, "new": tenure <= NEW_DAYS, "slipping": silent > 2 * gap}
    return np.select(list(tests.values()), [STAGES.index(name) for name in tests], STAGES.index("active"))


def _medians(who: Array, gap: Array, m: int) -> Array:
    """Median gap of each of m shoppers, NaN without one."""
    wide = int(gap.max(initial=0)) + 1
    ordered = np.sort(who.astype(np.int64) * wide + gap)
    n = np.bincount(who, minlength=m)
    begin = np.cumsum(n) - n
    found = np.full(m, np.nan)
    some = n > 0
    low, high = (ordered[begin[some] + place[some]] % wide for place in ((n - 1) // 2, n // 2))
    found[some] = (low + high) / 2
    return found


def drivers(acts: Chosen, outcome: str, early_days: int, later_days: int, end: datetime) -> pa.Table:
    """The counts of `drivers.drivers` before rates: driver, did, did_does, did_not, did_not_does."""
    shoppers, starts = acts.shoppers()
    time = acts.column("time")
    first = time[starts[:-1]] if len(shoppers) else time[:0]
    followed = first + (early_days + later_days) * DAY <= micros(end)
    if not followed.any():
        return COUNTS.empty_table()
    lengths = np.diff(starts)
    early, later = (_acts_before(time, starts, lengths, first + days * DAY) for days in (early_days, early_days + later_days))
    kind = acts.column("kind")
    done = np.flatnonzero(kind == acts.code(outcome))
    who = np.searchsorted(starts, done, side="right") - 1
    rank = done - starts[who]
    does_early, does = np.zeros((2, len(shoppers)), dtype=bool)
    does_early[who[rank < early[who]]] = True
    does[who[(rank >= early[who]) & (rank < later[who])]] = True
    people = np.flatnonzero(followed & ~does_early)
    return _counted(acts, people, starts[people], early[people], does[people])


def _acts_before(time: Array, starts: Array, lengths: Array, instants: Array) -> Array:
    """How many acts of each shopper lie before her instant (m,)."""
    return np.add.reduceat(time < np.repeat(instants, lengths), starts[:-1], dtype=np.int32)


def _counted(acts: Chosen, people: Array, begin: Array, early: Array, does: Array) -> pa.Table:
    """Who did what in the first `early` acts from place `begin` on, and who of them does the outcome later."""
    time = acts.column("time")
    kinds = acts.events.kinds()
    kind_bits = np.append(np.left_shift(1, np.arange(len(kinds)), dtype=np.int32)[acts.column("kind")], np.int32(0))
    bounds = np.column_stack([begin, begin + early]).ravel()
    held = np.bitwise_or.reduceat(kind_bits, bounds)[::2] if len(people) else kind_bits[:0]
    items = _items(acts, begin, early)
    did = {name: held & (1 << code) != 0 for code, name in enumerate(kinds)}
    did["days_2"] = time[begin] // DAY != time[begin + early - 1] // DAY
    did |= {"items_3": items >= 3, "items_10": items >= 10, "events_10": early >= 10}
    rows = []
    for name in sorted(did):
        n, n_does = int(np.count_nonzero(did[name])), int(np.count_nonzero(did[name] & does))
        if n:
            told = {"driver": name, "did": n, "did_does": n_does, "did_not": len(people) - n}
            rows.append({**told, "did_not_does": int(np.count_nonzero(does)) - n_does})
    return pa.Table.from_pylist(rows, schema=COUNTS)


def _items(acts: Chosen, begin: Array, early: Array) -> Array:
    """Different items of the first `early` acts from place `begin` on (m,); told only of those with three acts or more, else 0."""
    many = np.flatnonzero(early >= 3)
    n = early[many].astype(np.int64)
    before = np.cumsum(n) - n
    places = np.repeat(begin[many] - before, n) + np.arange(int(n.sum()))
    item = acts.column("item")[places]
    pairs = np.repeat(np.arange(len(many)), n) * (int(item.max(initial=0)) + 1) + item
    pairs = np.sort(pairs[item != NONE])
    found = np.zeros(len(begin), dtype=np.int64)
    found[many] = np.bincount(pairs[changes(pairs)] // (int(item.max(initial=0)) + 1), minlength=len(many))
    return found
