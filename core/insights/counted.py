"""What the overview counts, on the sorted copy of a log: the same rows as its statements give (tests compare them on random logs)."""

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
    days_of,
    decimals,
    has_by,
    item_labels,
    money,
    sums_by,
    whole_days,
)
from core.store import NONE, Log
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
    starts = session_starts(user, time, gap_minutes)
    in_period = np.ones(int(np.count_nonzero(starts)), dtype=bool) if inside is None else inside[starts]  # by where a session starts
    buys = acts.column("kind") == acts.code("purchase")
    bought = np.flatnonzero(buys if inside is None else buys & inside)
    bought_in = np.zeros(len(in_period), dtype=bool)
    bought_in[np.searchsorted(np.flatnonzero(starts), np.flatnonzero(buys), side="right") - 1] = True
    users = user if inside is None else user[inside]
    counts = {
        "events": len(users),
        "users": int(np.count_nonzero(changes(users))),
        "sessions": int(np.count_nonzero(in_period)),
        "buyers": int(np.count_nonzero(changes(user[bought]))),
        "buying_sessions": int(np.count_nonzero(bought_in & in_period)),
    }
    return counts, acts.column("order")[bought], acts.column("revenue")[bought]


def periods(log: Log, acts: Chosen, since: datetime, until: datetime, zone: str, grain: str) -> pa.Table:
    """One row per day or week with acts: period, events, users, buyers, orders, revenue."""
    first = _number(days_of(log, np.array([micros(log.start)]), zone), grain)[0] - 1  # a clock may go back over midnight
    n = int(_number(days_of(log, np.array([micros(log.until)]), zone), grain)[0] - first + 2)
    clock = clock_of(log, zone)

    def counted(block: Chosen) -> tuple[Array, Array]:
        inside = between(block.column("time"), since, until)
        user, time, kind, order, revenue = _columns(block, inside, "user", "time", "kind", "order", "revenue")
        number = _number(whole_days(clock(time)), grain) - first
        runs = np.flatnonzero(changes(user, number))  # one per shopper and period, as both ascend
        events = np.bincount(number[runs], weights=np.diff(runs, append=len(user)), minlength=n).astype(np.int64)
        bought = np.flatnonzero(kind == block.code("purchase"))
        period = number[bought]
        users, buyers = _distinct_runs(number[runs], user[runs], n), _distinct_runs(period, user[bought], n)
        return np.stack([events, users, buyers, sums_by(period, revenue[bought], n)]), order[bought].astype(np.int64) * n + period

    parts = by_block(counted, acts)
    events, users, buyers, sums = added([counts for counts, _pairs in parts])
    pairs = np.sort(np.concatenate([pairs for _counts, pairs in parts]))
    orders = np.bincount(pairs[changes(pairs)] % n, minlength=n)
    kept = np.flatnonzero(events)
    begins = (kept + first) * 7 - MONDAY if grain == "week" else kept + first
    return pa.table(
        {
            "period": pa.array(begins.astype(np.int64) * DAY, pa.int64()).cast(pa.timestamp("us")),
            "events": events[kept],
            "users": users[kept],
            "buyers": buyers[kept],
            "orders": orders[kept],
            "revenue": pa.array([as_double(int(total)) for total in sums[kept]], pa.float64()),
        }
    )


def _number(day: Array, grain: str) -> Array:
    """Number of the week or day."""
    return (day + MONDAY) // 7 if grain == "week" else day


def event_mix(acts: Chosen, since: datetime, until: datetime) -> pa.Table:
    """The rows of `overview.event_mix`."""
    names = acts.events.kinds()

    def counted(block: Chosen) -> Array:
        user, kind = _columns(block, between(block.column("time"), since, until), "user", "kind")
        return np.stack([np.bincount(kind, minlength=len(names)), distinct_by(kind, user, len(names))])

    n, users = added(by_block(counted, acts))
    rows = [
        {"event_type": names[code], "events": int(n[code]), "users": int(users[code]), "share": n[code] / n.sum()}
        for code in np.flatnonzero(n)
    ]
    rows.sort(key=lambda row: (-row["events"], row["event_type"]))
    schema = pa.schema([("event_type", pa.string()), ("events", pa.int64()), ("users", pa.int64()), ("share", pa.float64())])
    return pa.Table.from_pylist(rows, schema=schema)


def categories(log: Log, acts: Chosen, since: datetime, until: datetime) -> pa.Table:
    """One row per category with acts: category ('' without one), items, users, views, carts, purchases, buyers, revenue."""
    with log.history() as connection:
        labels, of_items = item_labels(connection, acts, "category")
    names = sorted({"", *labels})
    place = {name: code for code, name in enumerate(names)}
    codes = np.append(np.array([place[label] for label in labels], dtype=np.int32), place[""])[of_items].astype(_narrow(len(names)))
    n, kinds = len(names), len(acts.events.kinds()) + 1  # one more, which no act has, for a kind that the log does not know
    seen = np.zeros(len(codes), dtype=bool)

    def counted(block: Chosen) -> tuple[Array, Array]:
        inside, item = between(block.column("time"), since, until), block.column("item")
        if item.min(initial=0) == NONE:
            inside = item != NONE if inside is None else inside & (item != NONE)
        item, user, kind, revenue = _columns(block, inside, "item", "user", "kind", "revenue")
        seen[item] = True
        group = codes[item]
        bought = np.flatnonzero(kind == block.code("purchase"))
        buys, paid = group[bought], revenue[bought]
        more = [distinct_by(group, user, n), distinct_by(buys, user[bought], n), sums_by(buys, paid, n), has_by(buys, paid, n)]
        return np.bincount(group * np.int32(kinds) + kind, minlength=n * kinds).reshape(n, kinds), np.stack(more)

    parts = by_block(counted, acts)
    by_kind = added([counts for counts, _more in parts])
    users, buyers, sums, has_money = added([more for _counts, more in parts])
    kept = np.flatnonzero(by_kind.sum(axis=1))
    return pa.table(
        {
            "category": pa.array([names[code] for code in kept], pa.string()),
            "items": np.bincount(codes[seen], minlength=n)[kept],
            "users": users[kept],
            "views": (by_kind[:, acts.code("view")] + by_kind[:, acts.code("click")])[kept],
            "carts": by_kind[kept, acts.code("cart")],
            "purchases": by_kind[kept, acts.code("purchase")],
            "buyers": buyers[kept],
            "revenue": decimals(sums[kept], has_money[kept] > 0),
        }
    )


def hours(log: Log, acts: Chosen, since: datetime, until: datetime, zone: str, act: str) -> pa.Table:
    """The rows of `overview.hours`."""
    clock = clock_of(log, zone)

    def counted(block: Chosen) -> Array:
        inside = between(block.column("time"), since, until)
        if act != "all":
            is_act = block.column("kind") == block.code(act)
            inside = is_act if inside is None else inside & is_act
        (time,) = _columns(block, inside, "time")
        hour = clock(time) // (DAY // 24) + 24 * MONDAY
        return np.bincount(hour % (7 * 24), minlength=7 * 24)

    n = added(by_block(counted, acts))
    kept = np.flatnonzero(n)
    return pa.table({"weekday": pa.array(kept // 24 + 1, pa.int64()), "hour": pa.array(kept % 24, pa.int64()), "events": n[kept]})


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


def _columns(acts: Chosen, inside: Array | None, *names: str) -> list[Array]:
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
