"""What the overview counts, on the sorted copy of a log: the same rows as its statements give (tests compare them on random logs)."""

from collections.abc import Callable
from datetime import datetime

import numpy as np
import pyarrow as pa

from core.insights.chosen import (
    DAY,
    Array,
    Chosen,
    added,
    as_double,
    by_block,
    changes,
    clock_of,
    has_by,
    money,
    sums_by,
    whole_days,
)
from core.store import Log
from core.windows import micros

MINUTE = 60_000_000
MONDAY = 3
"""1970-01-01 was a Thursday: so many days after a Monday."""
MOST_BITS = 256
"""Groups up to which a bit for each is less work than sorting all acts by group."""


def figures(acts: Chosen, since: datetime, until: datetime, gap_minutes: int) -> pa.Table:
    """The row of `overview.figures`."""
    parts = by_block(lambda block: _figures(block, since, until, gap_minutes), acts)
    row = {name: sum(counts[name] for counts, _orders, _revenue in parts) for name in parts[0][0]}
    row["orders"] = _distinct(np.concatenate([orders for _counts, orders, _revenue in parts]))
    revenue = money(np.concatenate([revenue for _counts, _orders, revenue in parts]))
    return pa.table({name: pa.array([value], pa.int64()) for name, value in row.items()}).append_column(
        "revenue", pa.array([as_double(revenue)], pa.float64())
    )


def _figures(acts: Chosen, since: datetime, until: datetime, gap_minutes: int) -> tuple[dict[str, int], Array, Array]:
    """Counts of some shoppers, and order and revenue of their purchases."""
    user, time = acts.column("user"), acts.column("time")
    inside = between(time, since, until)
    starts, buying = _sessions(acts, gap_minutes)
    in_period = np.ones(len(starts), dtype=bool) if inside is None else inside[starts]  # by where a session starts
    bought = np.flatnonzero(_is_purchase(acts) if inside is None else _is_purchase(acts) & inside)
    users = user if inside is None else user[inside]
    buyer, order = user[bought], acts.column("order")[bought]
    counts = {
        "events": len(users),
        "users": int(np.count_nonzero(changes(users))),
        "sessions": int(np.count_nonzero(in_period)),
        "buyers": int(np.count_nonzero(changes(buyer))),
        "buying_sessions": int(np.count_nonzero(buying & in_period)),
        "repeat_buyers": len(_bought_again(buyer, order)),
    }
    return counts, order, acts.column("revenue")[bought]


def _is_purchase(acts: Chosen) -> Array:
    return np.asarray(acts.column("kind") == acts.code("purchase"))


def _sessions(acts: Chosen, gap_minutes: int) -> tuple[Array, Array]:
    """Places of the first acts of sessions, and whether each holds a purchase."""
    starts = np.flatnonzero(session_starts(acts.column("user"), acts.column("time"), gap_minutes))
    buying = np.zeros(len(starts), dtype=bool)
    buying[np.searchsorted(starts, np.flatnonzero(_is_purchase(acts)), side="right") - 1] = True
    return starts, buying


def _bought_again(group: Array, order: Array) -> Array:
    """Those of the groups (of purchases) that hold two orders or more, each once."""
    by_group = np.lexsort((order, group))
    group, order = group[by_group], order[by_group]
    group = group[changes(group, order)]
    first = np.flatnonzero(changes(group))
    return np.asarray(group[first[np.diff(first, append=len(group)) > 1]])


def periods(log: Log, acts: Chosen, since: datetime, until: datetime, zone: str, grain: str, gap_minutes: int) -> pa.Table:
    """One row per period of the calendar with acts: the columns of `counted` in the statement of `overview.trend`."""
    clock = clock_of(log, zone)
    number_of, begins = _calendar(clock(np.array([micros(log.start), micros(log.until)])), grain)
    n = len(begins)

    def counted(block: Chosen) -> tuple[Array, Array]:
        first_acts, buying = _sessions(block, gap_minutes)
        begun = block.column("time")[first_acts]
        in_period = (begun >= micros(since)) & (begun < micros(until))
        sessions, buying_sessions = (np.bincount(number_of(clock(begun[held])), minlength=n) for held in (in_period, in_period & buying))
        inside = between(block.column("time"), since, until)
        user, time, kind, order, revenue = columns_of(block, inside, "user", "time", "kind", "order", "revenue")
        number = number_of(clock(time))
        runs = np.flatnonzero(changes(user, number))  # one per shopper and period, as both ascend
        events = np.bincount(number[runs], weights=np.diff(runs, append=len(user)), minlength=n).astype(np.int64)
        bought = np.flatnonzero(kind == block.code("purchase"))
        period, order = number[bought], order[bought].astype(np.int64)
        users, buyers = _distinct_runs(number[runs], user[runs], n), _distinct_runs(period, user[bought], n)
        again = np.bincount(_bought_again(user[bought].astype(np.int64) * n + period, order) % n, minlength=n)
        paid = has_by(period, revenue[bought], n).astype(np.int64)
        counts = [events, users, sessions, buyers, buying_sessions, again, sums_by(period, revenue[bought], n), paid]
        return np.stack(counts), order * n + period

    parts = by_block(counted, acts)
    events, users, sessions, buyers, buying_sessions, again, sums, paid = added([counts for counts, _pairs in parts])
    pairs = np.sort(np.concatenate([pairs for _counts, pairs in parts]))
    orders = np.bincount(pairs[changes(pairs)] % n, minlength=n)
    kept = np.flatnonzero(events)
    return pa.table(
        {
            "period": pa.array(begins[kept], pa.int64()).cast(pa.timestamp("us")),
            "events": events[kept],
            "users": users[kept],
            "buyers": buyers[kept],
            "orders": orders[kept],
            "revenue": pa.array([as_double(int(total)) for total in sums[kept]], pa.float64(), mask=paid[kept] == 0),
            "sessions": sessions[kept],
            "buying_sessions": buying_sessions[kept],
            "repeat_buyers": again[kept],
        }
    )


def _calendar(ends: Array, grain: str) -> tuple[Callable[[Array], Array], Array]:
    """Return what numbers local times by period, and when each period begins (n,), both in microseconds since 1970.

    Args:
        ends: Local times of the first instant and the last; clocks may go back a day behind the first and one beyond the last.
        grain: `hour`, `day`, `week` or `month`.
    """
    if grain == "hour":
        length = DAY // 24
        hours = np.arange(ends[0] // length - 24, ends[1] // length + 25)
        return lambda time: np.asarray(time // length - hours[0]), hours * length
    days = np.arange(ends[0] // DAY - 1, ends[1] // DAY + 2)
    unit = {"day": days, "week": (days + MONDAY) // 7}.get(grain)
    if unit is None:
        unit = days.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)
    numbers, first = (unit - unit[0]).astype(np.int32), np.flatnonzero(changes(unit))
    begins = days[first]
    if grain == "week":
        begins = unit[first] * 7 - MONDAY
    elif grain == "month":
        begins = unit[first].astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    return lambda time: np.asarray(numbers[whole_days(time) - days[0]]), begins * DAY


def event_mix(acts: Chosen, since: datetime, until: datetime) -> pa.Table:
    """The rows of `overview.event_mix`."""
    names = acts.events.kinds()

    def counted(block: Chosen) -> Array:
        user, kind = columns_of(block, between(block.column("time"), since, until), "user", "kind")
        return np.stack([np.bincount(kind, minlength=len(names)), distinct_by(kind, user, len(names))])

    n, users = added(by_block(counted, acts))
    rows = [
        {"event_type": names[code], "events": int(n[code]), "users": int(users[code]), "share": n[code] / n.sum()}
        for code in np.flatnonzero(n)
    ]
    rows.sort(key=lambda row: (-row["events"], row["event_type"]))
    schema = pa.schema([("event_type", pa.string()), ("events", pa.int64()), ("users", pa.int64()), ("share", pa.float64())])
    return pa.Table.from_pylist(rows, schema=schema)


def hours(log: Log, acts: Chosen, since: datetime, until: datetime, zone: str, act: str, *, people: bool = False) -> pa.Table:
    """The rows of `overview.hours`, with `people` also their users."""
    clock = clock_of(log, zone)

    def counted(block: Chosen) -> Array:
        inside = between(block.column("time"), since, until)
        if act != "all":
            is_act = block.column("kind") == block.code(act)
            inside = is_act if inside is None else inside & is_act
        time, user = columns_of(block, inside, "time", "user")
        hour = (clock(time) // (DAY // 24) + 24 * MONDAY) % (7 * 24)
        n = np.bincount(hour, minlength=7 * 24)
        return np.stack([n, distinct_by(hour, user, 7 * 24)]) if people else n[None]

    n = added(by_block(counted, acts))
    kept = np.flatnonzero(n[0])
    rows = {"weekday": pa.array(kept // 24 + 1, pa.int64()), "hour": pa.array(kept % 24, pa.int64())}
    return pa.table(rows | {name: counts[kept] for name, counts in zip(("events", "users"), n, strict=False)})


def session_starts(user: Array, time: Array, gap_minutes: int) -> Array:
    """Whether an act begins a session: the shopper's first, or one after a gap of more than `gap_minutes` (n,)."""
    starts = changes(user)
    starts[1:] |= np.diff(time) > gap_minutes * MINUTE
    return starts


def distinct_by(group: Array, user: Array, n: int) -> Array:
    """Distinct shoppers of each group (n,), of acts that are sorted by shopper."""
    if n > MOST_BITS:
        order = np.argsort(group.astype(_narrow(n)), kind="stable")
        group = group[order]
        return np.bincount(group[changes(group, user[order])], minlength=n)
    starts = np.flatnonzero(changes(user))
    found = np.zeros(n, dtype=np.int64)
    for begin in range(0, n if len(user) else 0, 64):  # a word of 64 groups: a bit for each that a shopper has an act of
        names = range(begin, min(n, begin + 64))
        bits = np.zeros(n, dtype=np.uint64)
        bits[begin : begin + 64] = [1 << (name - begin) for name in names]
        held = np.bitwise_or.reduceat(bits[group], starts)
        found[begin : begin + 64] = [np.count_nonzero(held & bits[name]) for name in names]
    return found


def between(time: Array, since: datetime, until: datetime) -> Array | None:
    """Whether acts lie in a period (n,), or None when all do."""
    found = (time >= micros(since)) & (time < micros(until))
    return None if found.all() else np.asarray(found)


def columns_of(acts: Chosen, inside: Array | None, *names: str) -> list[Array]:
    """Columns of the acts that lie inside."""
    return [acts.column(name) if inside is None else acts.column(name)[inside] for name in names]


def _distinct_runs(group: Array, user: Array, n: int) -> Array:
    """Distinct shoppers of each group (n,), where the groups of one shopper ascend unless a clock went back over midnight."""
    runs = changes(user, group)
    group, user = group[runs], user[runs]
    if ((group[1:] < group[:-1]) & (user[1:] == user[:-1])).any():
        return distinct_by(group, user, n)
    return np.bincount(group, minlength=n)


def _narrow(n: int) -> type[np.unsignedinteger]:
    """The narrowest type of so many numbers: few bits are sorted by counting."""
    return np.uint16 if n <= 2**16 else np.uint32


def _distinct(numbers: Array) -> int:
    seen = np.zeros(int(numbers.max(initial=-1)) + 1, dtype=bool)
    seen[numbers] = True
    return int(seen.sum())
