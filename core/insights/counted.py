"""What the overview counts, on the sorted copy of a log: the same rows as its statements give (tests compare them on random logs)."""

from datetime import datetime
from threading import Lock

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
    decimals,
    has_by,
    item_labels,
    local,
    micros,
    money,
    sums_by,
    whole_days,
)
from core.store import NONE, Log

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
    order = acts.column("order")[bought]
    counts = {
        "events": len(users),
        "users": int(np.count_nonzero(changes(users))),
        "sessions": int(np.count_nonzero(in_period)),
        "buyers": int(np.count_nonzero(changes(user[bought]))),
        "repeat_buyers": len(_repeats(user[bought], order)),
        "buying_sessions": int(np.count_nonzero(bought_in & in_period)),
    }
    return counts, order, acts.column("revenue")[bought]


def _repeats(user: Array, order: Array) -> Array:
    """Place of the first purchase of each shopper who has two orders or more, of purchases (n,) in the order of shoppers."""
    first = np.maximum.accumulate(np.where(changes(user), np.arange(len(user)), 0))
    other = np.flatnonzero(order != order[first]) if len(user) else first
    return np.unique(first[other])


def periods(log: Log, acts: Chosen, since: datetime, until: datetime, zone: str, grain: str, gap_minutes: int) -> pa.Table:
    """One row per period with acts: period, events, users, sessions, buyers, repeat_buyers, buying_sessions, orders, revenue."""
    first = _number(local(log, np.array([micros(log.start)]), zone), grain)[0] - 1  # a clock may go back over midnight
    n = int(_number(local(log, np.array([micros(log.until)]), zone), grain)[0] - first + 2)
    clock = clock_of(log, zone)

    def counted(block: Chosen) -> tuple[Array, Array]:
        time = block.column("time")
        inside = between(time, since, until)
        starts = session_starts(block.column("user"), time, gap_minutes)
        is_bought = block.column("kind") == block.code("purchase")
        begins = np.flatnonzero(starts)
        buying = np.zeros(len(begins), dtype=bool)
        buying[np.searchsorted(begins, np.flatnonzero(is_bought), side="right") - 1] = True
        if inside is not None:
            buying, begins = buying[inside[begins]], begins[inside[begins]]
        begun = _number(clock(time[begins]), grain) - first
        user, time, kind, order, revenue = _columns(block, inside, "user", "time", "kind", "order", "revenue")
        number = _number(clock(time), grain) - first
        runs = np.flatnonzero(changes(user, number))  # one per shopper and period, as both ascend
        events = np.bincount(number[runs], weights=np.diff(runs, append=len(user)), minlength=n).astype(np.int64)
        bought = np.flatnonzero(kind == block.code("purchase"))
        period = number[bought]
        pairs = np.argsort(user[bought].astype(np.int64) * n + period, kind="stable")
        of_one = user[bought][pairs].astype(np.int64) * n + period[pairs]
        repeats = period[pairs][_repeats(of_one, order[bought][pairs])]
        counts = [
            events,
            _distinct_runs(number[runs], user[runs], n),
            np.bincount(begun, minlength=n),
            _distinct_runs(period, user[bought], n),
            np.bincount(repeats, minlength=n),
            np.bincount(begun[buying], minlength=n),
            sums_by(period, revenue[bought], n),
        ]
        return np.stack(counts), order[bought].astype(np.int64) * n + period

    parts = by_block(counted, acts)
    events, users, sessions, buyers, repeats, buying, sums = added([counts for counts, _pairs in parts])
    pairs = np.sort(np.concatenate([pairs for _counts, pairs in parts]))
    orders = np.bincount(pairs[changes(pairs)] % n, minlength=n)
    kept = np.flatnonzero(events)
    return pa.table(
        {
            "period": pa.array(_begins(kept + first, grain), pa.int64()).cast(pa.timestamp("us")),
            "events": events[kept],
            "users": users[kept],
            "sessions": sessions[kept],
            "buyers": buyers[kept],
            "repeat_buyers": repeats[kept],
            "buying_sessions": buying[kept],
            "orders": orders[kept],
            "revenue": pa.array([as_double(int(total)) for total in sums[kept]], pa.float64()),
        }
    )


def _number(time: Array, grain: str) -> Array:
    """Number of the hour, day, week or month since 1970 of times as a clock shows them."""
    if grain == "hour":
        return np.asarray(time // (DAY // 24))
    day = whole_days(time)
    if grain == "month":
        return np.asarray(day.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64))
    return (day + MONDAY) // 7 if grain == "week" else day


def _begins(number: Array, grain: str) -> Array:
    """When periods begin, in microseconds."""
    if grain == "month":
        return number.astype("datetime64[M]").astype("datetime64[us]").astype(np.int64)
    length, shift = {"hour": (DAY // 24, 0), "day": (DAY, 0), "week": (7 * DAY, MONDAY * DAY)}[grain]
    return number.astype(np.int64) * length - shift


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


def goods(log: Log, acts: Chosen, since: datetime, until: datetime, level: str) -> pa.Table:
    """One row per category, brand or item with acts: its name, items, users, views, carts, carters, purchases, buyers, revenue."""
    names, codes = _goods(log, acts, level)
    n, kinds = len(names), len(acts.events.kinds()) + 1  # one more, which no act has, for a kind that the log does not know
    seen = np.zeros(len(codes), dtype=bool)
    totals = np.zeros((n, kinds + 5), dtype=np.int64)

    adding = Lock()  # parts are added as they come: those of all items together would be most of a gigabyte

    def counted(block: Chosen) -> None:
        inside, item = between(block.column("time"), since, until), block.column("item")
        if item.min(initial=0) == NONE:
            inside = item != NONE if inside is None else inside & (item != NONE)
        item, user, kind, revenue = _columns(block, inside, "item", "user", "kind", "revenue")
        seen[item] = True
        found, group = _renumbered(codes[item], n)
        m = len(found)
        bought, put = np.flatnonzero(kind == block.code("purchase")), np.flatnonzero(kind == block.code("cart"))
        buys, paid = group[bought], revenue[bought]
        by_kind = np.bincount(group * np.int64(kinds) + kind, minlength=m * kinds).reshape(m, kinds)
        more = [
            distinct_by(group, user, m),
            distinct_by(group[put], user[put], m),
            distinct_by(buys, user[bought], m),
            sums_by(buys, paid, m),
            has_by(buys, paid, m),
        ]
        counts = np.column_stack([by_kind, *more])
        with adding:
            totals[found] += counts

    by_block(counted, acts)
    kept = np.flatnonzero(totals[:, :kinds].sum(axis=1))
    by_kind, (users, carters, buyers, sums, has_money) = totals[kept, :kinds], totals[kept, kinds:].T
    return pa.table(
        {
            level: names.take(pa.array(kept)),
            "items": np.bincount(codes[seen], minlength=n)[kept],
            "users": users,
            "views": by_kind[:, acts.code("view")] + by_kind[:, acts.code("click")],
            "carts": by_kind[:, acts.code("cart")],
            "carters": carters,
            "purchases": by_kind[:, acts.code("purchase")],
            "buyers": buyers,
            "revenue": decimals(sums, has_money > 0),
        }
    )


def _goods(log: Log, acts: Chosen, level: str) -> tuple[pa.Array, Array]:
    """Names of goods in order, and of each item, and of acts without one, the place of its good."""
    if level == "item":
        ids = acts.events.items().cast(pa.string()).combine_chunks()
        return pa.concat_arrays([ids, pa.array([""])]), np.arange(len(ids) + 1)
    with log.history() as connection:
        labels, of_items = item_labels(connection, acts, level)
    names = sorted({"", *labels})
    place = {name: code for code, name in enumerate(names)}
    codes = np.append(np.array([place[label] for label in labels], dtype=np.int32), place[""])[of_items]
    return pa.array(names, pa.string()), codes.astype(_narrow(len(names)))


def _renumbered(group: Array, n: int) -> tuple[Array, Array]:
    """The groups (m,) of n that acts belong to, and the place of each act's among them: a part of a log has few of many items."""
    found = np.flatnonzero(np.bincount(group, minlength=n))
    places = np.zeros(n, dtype=_narrow(len(found)))
    places[found] = np.arange(len(found))
    return found, places[group]


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
