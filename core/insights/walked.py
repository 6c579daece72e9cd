"""Who gets how far in a funnel, on the sorted copy of a log: the same rows as the statement gives (tests compare them on random logs)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from core.insights.chosen import Array, Chosen, by_block, changes, joined, numbers_of

Goods = dict[int, Array]
"""Number of a step, from 1 → whether each item is of it, and last, for acts without one, no."""


@dataclass(frozen=True)
class Asked:
    """A funnel as far as counting needs it."""

    steps: tuple[str, ...]
    """Kind of each."""
    order: str
    window: int
    """Microseconds."""
    excluded: tuple[str, ...]
    with_beginnings: bool = False
    """Whether the acts that may have begun the counted runs are asked for."""


@dataclass(frozen=True)
class Walks:
    """How far each shopper came, M shoppers by number."""

    user: Array
    step: Array
    """From 1."""
    anchor: Array
    """Microseconds: when the counted run began."""
    reached: Array
    """Microseconds: when its last step was taken."""
    beginnings: pa.Table
    """item_id and user (number) of the acts that may have begun the counted runs."""

    def table(self, user_ids: pa.ChunkedArray | None) -> pa.Table:
        """The rows of `counted`: user_id (number without `user_ids`), step, anchor, reached."""
        users = pa.array(self.user) if user_ids is None else user_ids.take(pa.array(self.user))
        stamp = pa.timestamp("us")
        return pa.table(
            {
                "user_id": users,
                "step": pa.array(self.step, pa.int64()),
                "anchor": pa.array(self.anchor, pa.int64()).cast(stamp),
                "reached": pa.array(self.reached, pa.int64()).cast(stamp),
            }
        )


@dataclass
class _Best:
    """The furthest step of each shopper so far (U,)."""

    step: Array
    anchor: Array
    reached: Array

    def take(self, step: int | Array, user: Array, anchor: Array, reached: Array) -> None:
        """Note that shoppers got to a step; of several rows of a shopper the first counts."""
        first = changes(user)
        user = user[first]
        self.step[user] = step if isinstance(step, int) else step[first]
        self.anchor[user], self.reached[user] = anchor[first], reached[first]


def goods_of(acts: Chosen, steps: Sequence[int], wanted: pa.Table) -> Goods:
    """The items of those steps that are of some only.

    Args:
        acts: The acts of the scope.
        steps: Numbers of those steps, from 1.
        wanted: step, item_id.
    """
    ids = acts.events.items()
    goods: Goods = {}
    for step in steps:
        goods[step] = np.zeros(len(ids) + 1, dtype=bool)
        goods[step][numbers_of(ids, wanted.filter(pc.equal(wanted["step"], step))["item_id"])] = True
    return goods


def walk(acts: Chosen, asked: Asked, goods: Goods) -> Walks:
    """Find the furthest step of every shopper who began.

    Args:
        acts: The acts of the scope.
        asked: The funnel.
        goods: Items of the steps that are of some only.
    """
    columns = joined(by_block(lambda block: _walked(block, goods, asked), acts))
    user, step, anchor, reached, item, beginner = columns
    return Walks(user, step, anchor, reached, pa.table({"item_id": acts.events.items().take(pa.array(item)), "user": beginner}))


def _walked(acts: Chosen, goods: Goods, asked: Asked) -> tuple[Array, ...]:
    """Shopper, step, anchor, reached of those who began; item and shopper of the acts that may have begun the counted runs."""
    number, time = acts.column("user"), acts.column("time")
    base = number[0] if len(number) else 0
    user = number - base
    matched = _matched(acts, goods, asked)
    n = int(user[-1]) + 1 if len(user) else 0
    best = _Best(np.zeros(n, np.uint8), np.zeros(n, np.int64), np.zeros(n, np.int64))
    begun = matched[0] if asked.order != "any" else _together(matched, len(user))
    first = begun[changes(user[begun])]
    best.take(1, user[first], time[first], time[first])
    match asked.order:
        case "strict":
            _strict(best, user, time, matched, asked.window)
        case "any":
            _any(best, user, time, matched, asked.window)
        case _:
            _ordered(best, user, time, acts.column("instant"), matched, asked.window)
    kept = best.step > 0
    if asked.excluded:
        kept &= ~_removed(best, acts, user, time, asked)
    users = np.flatnonzero(kept).astype(np.int32)
    at_anchor = begun[:0]
    if asked.with_beginnings:
        at_anchor = begun[(time[begun] == best.anchor[user[begun]]) & kept[user[begun]]]
    item = acts.column("item")[at_anchor]
    known = item >= 0
    return users + base, best.step[users], best.anchor[users], best.reached[users], item[known], number[at_anchor][known]


def _matched(acts: Chosen, goods: Goods, asked: Asked) -> list[Array]:
    """Places of the acts of each step, in order."""
    kind = acts.column("kind")
    found = []
    for step, name in enumerate(asked.steps, start=1):
        places = np.flatnonzero(kind == acts.code(name))
        found.append(places[goods[step][acts.column("item")[places]]] if step in goods else places)
    return found


def _ordered(best: _Best, user: Array, time: Array, instant: Array, matched: list[Array], window: int) -> None:
    """Each step from the act of the step before that is nearest in time: that one was reached from the latest beginning."""
    before, anchor = matched[0], None
    for step, places in enumerate(matched[1:], start=2):
        nearest = np.searchsorted(instant[before], instant[places], side="left") - 1  # strictly earlier
        is_new = nearest >= 0
        places, nearest = places[is_new], nearest[is_new]
        if not len(places):
            return
        begun = time[before[nearest]] if anchor is None else anchor[nearest]
        reached = (user[before[nearest]] == user[places]) & (time[places] <= begun + window)
        before, anchor = places[reached], begun[reached]
        best.take(step, user[before], anchor, time[before])


def _strict(best: _Best, user: Array, time: Array, matched: list[Array], window: int) -> None:
    """Acts that follow each other without another one between."""
    reached = np.zeros(len(user) + 1, dtype=bool)
    reached[matched[0]] = True
    for step, places in enumerate(matched[1:], start=2):
        places = places[places > 0]
        held = reached[places - 1] & (user[places - 1] == user[places]) & (time[places] > time[places - 1])
        places = places[held]
        places = places[time[places] <= time[places - step + 1] + window]
        reached = np.zeros(len(user) + 1, dtype=bool)
        reached[places] = True
        best.take(step, user[places], time[places - step + 1], time[places])


def _any(best: _Best, user: Array, time: Array, matched: list[Array], window: int) -> None:
    """The most different steps within a window, ended as early as possible by the last of their first acts, and begun as late as then."""
    bits = np.zeros(len(best.step), dtype=np.uint8)
    for step, places in enumerate(matched):
        bits[user[places[changes(user[places])]]] |= np.uint8(1 << step)
    goes = bits & (bits - np.uint8(1)) != 0  # more than one kind of step
    steps = [places[goes[user[places]]] for places in matched]
    acts = _together(steps, len(user))
    acts = acts[changes(user[acts], time[acts])]  # acts of one instant see the same window: the first stands for them
    if not len(acts):
        return
    since, who = time[acts], user[acts]
    far, last = np.zeros(len(acts), dtype=np.uint8), since.copy()
    for places in steps:
        following = np.repeat(places, np.diff(places, prepend=-1))  # the next act of the step, from each act on up to the last one
        some = int(np.searchsorted(acts, len(following)))
        at = following[acts[:some]]
        held = (user[at] == who[:some]) & (time[at] - since[:some] <= window)
        far[:some] += held
        np.maximum(last[:some], np.where(held, time[at], last[:some]), out=last[:some])
    first = changes(who)
    furthest = np.repeat(np.maximum.reduceat(far, np.flatnonzero(first)), np.diff(np.flatnonzero(first), append=len(who)))
    kept = (far == furthest) & (far > 1)
    far, who, since, last = far[kept], who[kept], since[kept], last[kept]
    if not len(who):
        return
    starts = np.flatnonzero(changes(who))  # the earliest beginning ends first, and no later one ends sooner
    soonest = last == np.repeat(last[starts], np.diff(starts, append=len(who)))
    far, who, since, last = (column[soonest][::-1] for column in (far, who, since, last))  # the latest of those first
    best.take(far, who, since, last)


def _together(steps: list[Array], n: int) -> Array:
    """Places of the acts of any step, in order, each once."""
    found = np.zeros(n, dtype=bool)
    for places in steps:
        found[places] = True
    return np.flatnonzero(found)


def _removed(best: _Best, acts: Chosen, user: Array, time: Array, asked: Asked) -> Array:
    """Shoppers with an excluded act within the counted run, or within the window of one that stayed unfinished (U,)."""
    kind = acts.column("kind")
    places = np.flatnonzero(np.isin(kind, [acts.code(name) for name in asked.excluded]))
    who, when = user[places], time[places]
    end = np.where(best.step[who] == len(asked.steps), best.reached[who], best.anchor[who] + asked.window)
    removed: Array = np.zeros(len(best.step), dtype=bool)
    removed[who[(best.step[who] > 0) & (when > best.anchor[who]) & (when < end)]] = True
    return removed
