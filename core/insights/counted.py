"""What the overview counts, on the sorted copy of a log: the same rows as its statements give (tests compare them on random logs)."""

from datetime import datetime
from decimal import Decimal

import numpy as np
import pyarrow as pa

from core.insights.chosen import DAY, Array, Chosen, as_double, changes, item_labels, local, micros, money
from core.store import NO_REVENUE, NONE, REVENUE_UNIT, Log

MINUTE = 60_000_000
MONDAY = 3
"""1970-01-01 was a Thursday: so many days after a Monday."""


def figures(acts: Chosen, since: datetime, until: datetime, gap_minutes: int) -> pa.Table:
    """The row of `overview.figures`."""
    user, time, kind = acts.column("user"), acts.column("time"), acts.column("kind")
    buys = kind == acts.code("purchase")
    inside = _between(time, since, until)
    starts = session_starts(user, time, gap_minutes)
    in_period = inside[starts]  # a session belongs to the period it starts in
    bought_in = np.zeros(len(in_period), dtype=bool)
    bought_in[np.cumsum(starts, dtype=np.int32)[buys] - 1] = True
    bought = np.flatnonzero(inside & buys)
    revenue = money(acts.column("revenue")[bought])
    users = user if inside.all() else user[inside]
    row = {
        "events": len(users),
        "users": int(changes(users).sum()),
        "sessions": int(in_period.sum()),
        "buyers": int(changes(user[bought]).sum()),
        "buying_sessions": int((bought_in & in_period).sum()),
        "orders": _distinct(acts.column("order")[bought]),
    }
    return pa.table({name: pa.array([value], pa.int64()) for name, value in row.items()}).append_column(
        "revenue", pa.array([as_double(revenue)], pa.float64())
    )


def periods(log: Log, acts: Chosen, since: datetime, until: datetime, zone: str, grain: str) -> pa.Table:
    """One row per day or week with acts: period, events, users, buyers, orders, revenue."""
    inside = _between(acts.column("time"), since, until)
    user, kind = acts.column("user")[inside], acts.column("kind")[inside]
    day = (local(log, acts.column("time")[inside], zone) // DAY).astype(np.int32)
    number = (day + MONDAY) // 7 if grain == "week" else day
    first = int(number.min(initial=0)) if len(number) else 0
    number = number - first
    n = int(number.max(initial=-1)) + 1
    events = np.bincount(number, minlength=n)
    bought = np.flatnonzero(kind == acts.code("purchase"))
    order, revenue = acts.column("order")[inside][bought], acts.column("revenue")[inside][bought]
    pairs = np.unique(number[bought].astype(np.int64) * (int(order.max(initial=0)) + 1) + order)
    orders = np.bincount(pairs // (int(order.max(initial=0)) + 1), minlength=n)
    sums = np.zeros(n, dtype=np.int64)
    np.add.at(sums, number[bought], np.where(revenue == NO_REVENUE, 0, revenue))
    kept = np.flatnonzero(events)
    begins = (kept + first) * 7 - MONDAY if grain == "week" else kept + first
    return pa.table(
        {
            "period": pa.array(begins.astype(np.int64) * DAY, pa.int64()).cast(pa.timestamp("us")),
            "events": events[kept],
            "users": distinct_by(number, user, n)[kept],
            "buyers": distinct_by(number[bought], user[bought], n)[kept],
            "orders": orders[kept],
            "revenue": pa.array([as_double(int(total)) for total in sums[kept]], pa.float64()),
        }
    )


def event_mix(acts: Chosen, since: datetime, until: datetime) -> pa.Table:
    """The rows of `overview.event_mix`."""
    inside = _between(acts.column("time"), since, until)
    user, kind = acts.column("user")[inside], acts.column("kind")[inside]
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
    item = acts.column("item")
    inside = np.flatnonzero(_between(acts.column("time"), since, until) & (item != NONE))
    item, user, kind, n = item[inside], acts.column("user")[inside], acts.column("kind")[inside], len(names)
    group = codes[item]
    bought = np.flatnonzero(kind == acts.code("purchase"))
    revenue = acts.column("revenue")[inside][bought]
    priced = np.flatnonzero(revenue != NO_REVENUE)
    sums = np.zeros(n, dtype=np.int64)
    np.add.at(sums, group[bought][priced], revenue[priced])
    has_money = np.bincount(group[bought][priced], minlength=n) > 0
    seen = np.bincount(item, minlength=len(codes)) > 0
    by_kind = np.bincount(group.astype(np.int64) * 256 + kind, minlength=n * 256).reshape(n, 256)
    events = by_kind.sum(axis=1)
    kept = np.flatnonzero(events)
    return pa.table(
        {
            "category": pa.array([names[code] for code in kept], pa.string()),
            "items": np.bincount(codes[seen], minlength=n)[kept],
            "users": distinct_by(group, user, n)[kept],
            "views": (by_kind[:, acts.code("view")] + by_kind[:, acts.code("click")])[kept],
            "carts": by_kind[kept, acts.code("cart")],
            "purchases": by_kind[kept, acts.code("purchase")],
            "buyers": distinct_by(group[bought], user[bought], n)[kept],
            "revenue": pa.array(
                [Decimal(int(sums[code])) / REVENUE_UNIT if has_money[code] else None for code in kept], pa.decimal128(38, 4)
            ),
        }
    )


def hours(log: Log, acts: Chosen, since: datetime, until: datetime, zone: str, act: str) -> pa.Table:
    """The rows of `overview.hours`."""
    time = acts.column("time")
    inside = _between(time, since, until)
    if act != "all":
        inside &= acts.column("kind") == acts.code(act)
    hour = local(log, time[inside], zone) // (DAY // 24) + 24 * MONDAY
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
    order = np.argsort(group.astype(_narrow(n)), kind="stable")
    group = group[order]
    return np.bincount(group[changes(group, user[order])], minlength=n)


def _narrow(n: int) -> type[np.unsignedinteger]:
    """The narrowest type of so many numbers: few bits are sorted by counting."""
    return np.uint16 if n <= 2**16 else np.uint32


def _between(time: Array, since: datetime, until: datetime) -> Array:
    return (time >= micros(since)) & (time < micros(until))


def _distinct(numbers: Array) -> int:
    seen = np.zeros(int(numbers.max(initial=-1)) + 1, dtype=bool)
    seen[numbers] = True
    return int(seen.sum())
