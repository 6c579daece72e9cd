"""Stages of life and drivers, on the sorted copy of a log: the same rows as their statements give (tests compare them on random logs)."""

from datetime import datetime

import numpy as np
import pyarrow as pa

from core.insights.chosen import DAY, Array, Chosen, added, by_block, changes, joined, whole_days
from core.store import NONE
from core.windows import micros

STAGES = ("active", "away", "new", "slipping", "unseen")
"""In the order of their names."""
USUAL_GAP, LEAST_GAP, NEW_DAYS = 28.0, 3.5, 28
MOVES = pa.schema([("before", pa.string()), ("now", pa.string()), ("users", pa.int64())])
COUNTS = pa.schema([("driver", pa.string()), *((name, pa.int64()) for name in ("did", "did_does", "did_not", "did_not_does"))])


def stage_moves(acts: Chosen, end: datetime, earlier: datetime) -> pa.Table:
    """The rows of `rfm.stage_moves`."""
    parts = by_block(lambda block: (_lives(block, earlier), _gaps(block)), acts)
    users, first, last, last_before, is_unseen = joined([lives for lives, _gaps_of in parts])
    gaps = joined([gaps_of for _lives_of, gaps_of in parts])
    now = _stages(users, first, last, gaps, end)
    before = _stages(users, first, last_before, [column[gaps[2] < micros(earlier)] for column in gaps], earlier)
    before[is_unseen] = STAGES.index("unseen")
    pairs = np.bincount(before * len(STAGES) + now, minlength=len(STAGES) ** 2)
    rows = [
        {"before": STAGES[pair // len(STAGES)], "now": STAGES[pair % len(STAGES)], "users": int(pairs[pair])}
        for pair in np.flatnonzero(pairs)
    ]
    return pa.Table.from_pylist(sorted(rows, key=lambda row: (row["before"], row["now"])), schema=MOVES)


def _lives(acts: Chosen, earlier: datetime) -> tuple[Array, ...]:
    """Of each shopper: number, her first act, her last, her last before `earlier`, and whether she has none before it."""
    user, time, starts = acts.column("user"), acts.column("time"), acts.starts()
    if not len(time):
        return user, time, time, time, np.zeros(0, dtype=bool)
    seen = np.add.reduceat(time < micros(earlier), starts[:-1], dtype=np.int32)
    return user[starts[:-1]], time[starts[:-1]], time[starts[1:] - 1], time[starts[:-1] + np.maximum(seen, 1) - 1], seen == 0


def _gaps(acts: Chosen) -> tuple[Array, Array, Array]:
    """Of every two days with acts that follow each other: the shopper, the gap, and when the second began."""
    user, time = acts.column("user"), acts.column("time")
    day = whole_days(time)
    runs = np.flatnonzero(changes(user, day))
    user, day, time = user[runs], day[runs], time[runs]
    same = np.flatnonzero(user[1:] == user[:-1]) + 1
    return user[same], day[same] - day[same - 1], time[same]


def _stages(users: Array, first: Array, last: Array, gaps: list[Array], instant: datetime) -> Array:
    """Place in STAGES of each shopper (m,) at an instant, from her acts and the gaps between her days by then."""
    tenure, silent = (micros(instant) - first) / DAY, (micros(instant) - last) / DAY
    own = _medians(np.searchsorted(users, gaps[0]), gaps[1], len(users))
    known = np.sort(own[~np.isnan(own)])
    usual = (known[(len(known) - 1) // 2] + known[len(known) // 2]) / 2 if len(known) else USUAL_GAP
    gap = np.maximum(np.where(np.isnan(own), usual, own), LEAST_GAP)
    tests = {"away": silent > 4 * gap, "new": tenure <= NEW_DAYS, "slipping": silent > 2 * gap}
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
    early, later = early_days * DAY, later_days * DAY
    parts = by_block(lambda block: _driven(block, outcome, early, early + later, micros(end)), acts)
    counts = {name: added([part[name] for part in parts]) for name in parts[0]}
    everyone, doers = counts.pop("")
    rows = []
    for name in sorted(counts):
        did, does = counts[name]
        if did:
            rows.append({"driver": name, "did": did, "did_does": does, "did_not": everyone - did, "did_not_does": doers - does})
    return pa.Table.from_pylist(rows, schema=COUNTS)


def _driven(acts: Chosen, outcome: str, early: int, later: int, end: int) -> dict[str, Array]:
    """Of each driver, and of everybody under `""`: how many did it in her first `early` microseconds, and who of them the outcome later."""
    time, starts = acts.column("time"), acts.starts()
    first = time[starts[:-1]] if len(time) else time
    followed = first + later <= end
    n_early, n_later = (_acts_before(time, starts, first + span) for span in (early, later))
    done = np.flatnonzero(acts.column("kind") == acts.code(outcome))
    who = np.searchsorted(starts, done, side="right") - 1
    rank = done - starts[who]
    does_early, does = np.zeros((2, len(first)), dtype=bool)
    does_early[who[rank < n_early[who]]] = True
    does[who[(rank >= n_early[who]) & (rank < n_later[who])]] = True
    people = np.flatnonzero(followed & ~does_early)
    return _counted(acts, starts[:-1][people], n_early[people], does[people])


def _acts_before(time: Array, starts: Array, instants: Array) -> Array:
    """How many acts of each shopper lie before her instant (m,)."""
    if not len(time):
        return np.zeros(0, dtype=np.int32)
    return np.add.reduceat(time < np.repeat(instants, np.diff(starts)), starts[:-1], dtype=np.int32)


def _counted(acts: Chosen, begin: Array, early: Array, does: Array) -> dict[str, Array]:
    """See `_driven`; of shoppers with `early` acts from place `begin` on that count."""
    time, kinds = acts.column("time"), acts.events.kinds()
    kind_bits = np.append(np.left_shift(1, np.arange(len(kinds)), dtype=np.int32)[acts.column("kind")], np.int32(0))
    bounds = np.column_stack([begin, begin + early]).ravel()
    held = np.bitwise_or.reduceat(kind_bits, bounds)[::2] if len(begin) else kind_bits[:0]
    items = _items(acts, begin, early)
    did = {name: held & (1 << code) != 0 for code, name in enumerate(kinds)}
    did |= {"days_2": time[begin] // DAY != time[begin + early - 1] // DAY, "events_10": early >= 10}
    did |= {"items_3": items >= 3, "items_10": items >= 10, "": np.ones(len(begin), dtype=bool)}
    return {name: np.array([np.count_nonzero(flags), np.count_nonzero(flags & does)]) for name, flags in did.items()}


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
