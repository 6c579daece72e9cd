"""What the overview counts, on the sorted copy of a log: the same rows as its statements give (tests compare them on random logs)."""

from datetime import datetime

import numpy as np
import pyarrow as pa

from core.insights.chosen import (
    DAY,
    Array,
    Chosen,
    as_double,
    changes,
    days_of,
    decimals,
    has_by,
    item_labels,
    local,
    micros,
    money,
    sums_by,
)
from core.store import NONE, Log

MINUTE = 60_000_000
MONDAY = 3
"""1970-01-01 was a Thursday: so many days after a Monday."""
MOST_BITS = 256
"""Groups up to which a bit for each is less work than sorting all acts by group."""


def figures(acts: Chosen, since: datetime, until: datetime, gap_minutes: int) -> pa.Table:
    """The row of `overview.figures`."""
    user, time = acts.column("user"), acts.column("time")
    inside = between(time, since, until)
    starts = session_starts(user, time, gap_minutes)
    in_period = np.ones(int(np.count_nonzero(starts)), dtype=bool) if inside is None else inside[starts]  # by where a session starts
    buys = acts.column("kind") == acts.code("purchase")
    bought = np.flatnonzero(buys if inside is None else buys & inside)
    bought_in = np.zeros(len(in_period), dtype=bool)
    bought_in[np.searchsorted(np.flatnonzero(starts), np.flatnonzero(buys), side="right") - 1] = True
    users = user if inside is None else user[inside]
    row = {
        "events": len(users),
        "users": int(np.count_nonzero(changes(users))),
        "sessions": int(np.count_nonzero(in_period)),
        "buyers": int(np.count_nonzero(changes(user[bought]))),
        "buying_sessions": int(np.count_nonzero(bought_in & in_period)),
        "orders": _distinct(acts.column("order")[bought]),
    }
    return pa.table({name: pa.array([value], pa.int64()) for name, value in row.items()}).append_column(
        "revenue", pa.array([as_double(money(acts.column("revenue")[bought]))], pa.float64())
    )


def periods(log: Log, acts: Chosen, since: datetime, until: datetime, zone: str, grain: str) -> pa.Table:
    """One row per day or week with acts: period, events, users, buyers, orders, revenue."""
    user, time, kind, order, revenue = _columns(
        acts, between(acts.column("time"), since, until), "user", "time", "kind", "order", "revenue"
    )
    day = days_of(log, time, zone)
    number = (day + MONDAY) // 7 if grain == "week" else day
    first = int(number.min(initial=0)) if len(number) else 0
    number = number - first
    n = int(number.max(initial=-1)) + 1
    runs = np.flatnonzero(changes(user, number))  # one per shopper and period, as both ascend; a clock may go back over midnight
    events = np.bincount(number[runs], weights=np.diff(runs, append=len(user)), minlength=n).astype(np.int64)
    bought = np.flatnonzero(kind == acts.code("purchase"))
    order, revenue, period = order[bought], revenue[bought], number[bought]
    pairs = np.sort(period.astype(np.int64) * (int(order.max(initial=0)) + 1) + order)
    orders = np.bincount(pairs[changes(pairs)] // (int(order.max(initial=0)) + 1), minlength=n)
    sums = sums_by(period, revenue, n)
    kept = np.flatnonzero(events)
    begins = (kept + first) * 7 - MONDAY if grain == "week" else kept + first
    return pa.table(
        {
            "period": pa.array(begins.astype(np.int64) * DAY, pa.int64()).cast(pa.timestamp("us")),
            "events": events[kept],
            "users": _distinct_runs(number[runs], user[runs], n)[kept],
            "buyers": _distinct_runs(period, user[bought], n)[kept],
            "orders": orders[kept],
            "revenue": pa.array([as_double(int(total)) for total in sums[kept]], pa.float64()),
        }
    )


def event_mix(acts: Chosen, since: datetime, until: datetime) -> pa.Table:
    """The rows of `overview.event_mix`."""
    user, kind = _columns(acts, between(acts.column("time"), since, until), "user", "kind")
    names, n = acts.events.kinds(), np.bincount(kind, minlength=1)
    rows = [
        {"event_type": names[code], "events": int(n[code]), "users": int(changes(user[kind == code]).sum()), "share": n[code] / len(kind)}
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
    inside, item = between(acts.column("time"), since, until), acts.column("item")
    if item.min(initial=0) == NONE:
        inside = item != NONE if inside is None else inside & (item != NONE)
    item, user, kind, revenue = _columns(acts, inside, "item", "user", "kind", "revenue")
    group, n = codes[item], len(names)
    bought = np.flatnonzero(kind == acts.code("purchase"))
    revenue = revenue[bought]
    sums, has_money = sums_by(group[bought], revenue, n), has_by(group[bought], revenue, n)
    kinds = len(acts.events.kinds()) + 1  # one more, which no act has, for a kind that the log does not know
    by_item = np.bincount(item * np.int32(kinds) + kind, minlength=kinds * len(codes)).reshape(-1, kinds)
    by_kind = np.zeros((n, kinds), dtype=np.int64)
    np.add.at(by_kind, codes, by_item)
    events = by_kind.sum(axis=1)
    kept = np.flatnonzero(events)
    return pa.table(
        {
            "category": pa.array([names[code] for code in kept], pa.string()),
            "items": np.bincount(codes[by_item.any(axis=1)], minlength=n)[kept],
            "users": distinct_by(group, user, n)[kept],
            "views": (by_kind[:, acts.code("view")] + by_kind[:, acts.code("click")])[kept],
            "carts": by_kind[kept, acts.code("cart")],
            "purchases": by_kind[kept, acts.code("purchase")],
            "buyers": distinct_by(group[bought], user[bought], n)[kept],
            "revenue": decimals(sums[kept], has_money[kept]),
        }
    )


def hours(log: Log, acts: Chosen, since: datetime, until: datetime, zone: str, act: str) -> pa.Table:
    """The rows of `overview.hours`."""
    inside = between(acts.column("time"), since, until)
    if act != "all":
        is_act = acts.column("kind") == acts.code(act)
        inside = is_act if inside is None else inside & is_act
    (time,) = _columns(acts, inside, "time")
    hour = (local(log, time, zone) // (DAY // 24)).astype(np.int32) + 24 * MONDAY
    n = np.bincount(hour % (7 * 24), minlength=7 * 24)
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
