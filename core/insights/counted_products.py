"""What categories, brands and items count, on the sorted copy of a log: the rows of the statement of `products` (tests compare them)."""

from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from core.insights.chosen import Array, Chosen, by_block, changes, decimals, item_labels
from core.insights.counted import between, columns_of
from core.store import NO_REVENUE, NONE, Log

VIEWED, CARTED, BOUGHT = 1, 2, 4
FIELD = 20
"""Bits of a count within a number that holds three."""
COUNTS = ("users", "viewers", "carters", "buyers", "viewing_buyers", "views", "carts", "purchases")


def products(log: Log, acts: Chosen, since: datetime, until: datetime, level: str, name: str) -> pa.Table:
    """One row per category, brand or item with acts: `name` ('' without one), items, COUNTS, revenue as a decimal."""
    names, codes = _names(log, acts, level)
    narrow = np.uint16 if len(names) <= 2**16 else np.uint32  # few bits are sorted by counting
    codes = codes.astype(narrow)
    seen = np.zeros(len(codes), dtype=bool)
    flags = np.zeros(len(acts.events.kinds()) + 1, dtype=np.uint8)
    for kind, flag in (("view", VIEWED), ("click", VIEWED), ("cart", CARTED), ("purchase", BOUGHT)):
        flags[acts.code(kind)] = flag
    flags[-1] = 0  # a kind that the log does not know

    counts = np.zeros((len(COUNTS), len(names)), dtype=np.int64)
    money = np.zeros((2, len(names)), dtype=np.int64)

    def counted(block: Chosen) -> tuple[Array, Array, Array, Array]:
        inside, item = between(block.column("time"), since, until), block.column("item")
        if item.min(initial=0) == NONE:
            inside = item != NONE if inside is None else inside & (item != NONE)
        item, user, kind, revenue = columns_of(block, inside, "item", "user", "kind", "revenue")
        seen[item] = True
        group, flag = codes[item], flags[kind]
        paid = np.flatnonzero((flag == BOUGHT) & (revenue != NO_REVENUE))
        order = np.argsort(group, kind="stable")  # the acts of one shopper on one thing stay together
        return *_by_group(group[order], user[order], flag[order]), group[paid], revenue[paid]

    for group, found, paid, revenue in by_block(counted, acts):
        counts[:, group] += found
        np.add.at(money[0], paid, revenue)
        money[1, paid] = 1
    kept = np.flatnonzero(counts[0])
    columns = {name: names.take(pa.array(kept)), "items": np.bincount(codes[seen], minlength=len(names))[kept]}
    columns |= {what: counts[place, kept] for place, what in enumerate(COUNTS)}
    return pa.table({**columns, "revenue": decimals(money[0, kept], money[1, kept] > 0)})


def _names(log: Log, acts: Chosen, level: str) -> tuple[pa.Array, Array]:
    """Names of all things, and of each item the place of its own."""
    ids = acts.events.items()
    if level == "item":
        names = ids.combine_chunks().cast(pa.string())
        return names, np.arange(len(names))
    with log.history() as connection:
        labels, of_items = item_labels(connection, acts, level)
    names = pa.array(sorted({"", *labels}), pa.string())
    places = np.append(pc.index_in(pa.array(labels, pa.string()), value_set=names).to_numpy(zero_copy_only=False), 0)  # '' is first
    return names, places[of_items[:-1]]


def _by_group(group: Array, user: Array, flag: Array) -> tuple[Array, Array]:
    """Things of some acts, sorted by thing and shopper: their numbers (g,) and COUNTS of each (8, g)."""
    if not len(group):
        return group, np.zeros((len(COUNTS), 0), dtype=np.int64)
    first_of_pair = np.flatnonzero(changes(group, user))
    held, pair_group = np.bitwise_or.reduceat(flag, first_of_pair), group[first_of_pair]
    first_of_group, first_pair = np.flatnonzero(changes(group)), np.flatnonzero(changes(pair_group))
    users = np.diff(first_pair, append=len(pair_group))
    shoppers = _sums(held, first_pair, VIEWED, CARTED, BOUGHT), _sums(held, first_pair, VIEWED | BOUGHT)
    return group[first_of_group], np.stack([users, *shoppers[0], *shoppers[1], *_sums(flag, first_of_group, VIEWED, CARTED, BOUGHT)])


def _sums(flags: Array, starts: Array, *wanted: int) -> list[Array]:
    """How often all of each of `wanted`, at most three, are set in the runs of flags that begin at `starts`.

    The counts share the bits of one number, which takes a third of the work, where so many flags cannot run over.
    """
    if len(flags) >= 1 << FIELD:
        return [np.add.reduceat((flags & one == one).astype(np.int64), starts) for one in wanted]
    sets = np.arange(8)
    packed = sum((sets & one == one).astype(np.int64) << FIELD * place for place, one in enumerate(wanted))
    sums = np.add.reduceat(np.asarray(packed)[flags], starts)
    return [sums >> FIELD * place & (1 << FIELD) - 1 for place in range(len(wanted))]
