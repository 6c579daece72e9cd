"""Why an item is not in a shopper's list: was it a candidate, of which source, at which rank, and what kept it out."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from core.messages import Message, say
from core.offers.goods import Goods
from core.offers.lists import BARS, RULE_WORDS, Past, barred_for, barred_items, cap_of, offer, parts, weigh
from core.offers.rules import BLEND, RuleSet
from core.offers.words import source_name


@dataclass(frozen=True)
class WhyNot:
    """The answer in sentences, and what every source gave to the item and to the last one in the list."""

    sentences: list[Message]
    sources: pa.Table
    """source, rank (NULL without opinion), weight, part, part_last: what it adds to the score of the item and of the list's last."""


def why_not(candidates: pa.Table, goods: Goods, rules: RuleSet, past: Past, k: int, item_id: str) -> WhyNot:
    """Answer for one item and one shopper.

    Args:
        candidates: Of that shopper alone, as for `offer`; at least one row.
        goods: Items of the log.
        rules: In force.
        past: Of the shopper.
        k: Length of the list.
        item_id: Asked for.
    """
    banned = barred_items(goods, rules)
    weighed = weigh(candidates, goods, rules, past, banned)
    user_id = weighed.users[0]
    made = offer(candidates, goods, rules, past, k).table
    listed = made["item_id"].to_pylist()
    place = goods.place.get(item_id)
    if place is None:
        return WhyNot([say("The log and its catalogue know no item “{item}”.", item=item_id)], _sources(None, None, weighed.ranks, rules))
    told: list[Message] = []
    rows = np.flatnonzero(weighed.item == place)
    row = int(rows[0]) if len(rows) else None
    last = next((int(np.flatnonzero(weighed.item == goods.place[i])[0]) for i in reversed(listed) if goods.place[i] in weighed.item), None)
    if item_id in listed:
        told.append(say("It is in the list, at place {rank}.", rank=listed.index(item_id) + 1))
    if row is None:
        told.append(say("It is not among the {n:,} candidates kept for this shopper: no source ranks it high enough.", n=len(weighed.item)))
        told.append(say("{n:,} shoppers took it so far.", n=int(goods.buyers[place])))
    else:
        told.append(_candidate(weighed.ranks, row, len(weighed.item)))
    barring = [name for name, mask in banned.items() if mask[place]]
    barring += [name for name, own in barred_for(user_id, goods, rules, past).items() if place in own]
    told += [say("A rule takes it out: {rule}.", rule=RULE_WORDS[name]) for name in BARS if name in barring]
    if not barring and item_id not in listed and row is not None:
        kind, others = goods.categories[place], [goods.categories[goods.place[i]] for i in listed]
        if kind is not None and others.count(kind) >= cap_of(kind, rules, k + 1):
            told.append(
                say(
                    "A rule takes it out: {rule}; the list already has {n} of “{name}”.",
                    rule=RULE_WORDS["cap"],
                    n=others.count(kind),
                    name=kind,
                )
            )
        elif last is not None and weighed.value[row] >= weighed.value[last]:
            told.append(say("Its score would do; the diversity slider or a pin gave its place to another item."))
        elif last is not None:
            told.append(
                say(
                    "Its score is {own:.4g}, that of the last item in the list {last:.4g}.",
                    own=weighed.value[row],
                    last=weighed.value[last],
                )
            )
            table = _sources(row, last, weighed.ranks, rules)
            gaps = [(o - p, name) for name, p, o in zip(*(table[c].to_pylist() for c in ("source", "part", "part_last")), strict=True)]
            gap, name = max(gaps)
            if gap > 0 and len(rules.weights) > 1:
                told.append(say("Most of the difference is from “{name}”.", name=source_name(name)))
    return WhyNot(told, _sources(row, last, weighed.ranks, rules))


def _candidate(ranks: dict[str, np.ndarray], row: int, n: int) -> Message:
    own = {name: rank[row] for name, rank in ranks.items() if name != BLEND and np.isfinite(rank[row])}
    blend = int(ranks[BLEND][row])
    if not own:
        return say("It is a candidate, at place {blend} of {n:,} in the blend; no single source ranks it.", blend=blend, n=n)
    best = min(own, key=lambda name: (own[name], name))
    return say(
        "It is a candidate, at place {blend} of {n:,} in the blend; “{name}” ranks it best, at {rank}.",
        blend=blend,
        n=n,
        name=source_name(best),
        rank=int(own[best]),
    )


def _sources(row: int | None, last: int | None, ranks: dict[str, np.ndarray], rules: RuleSet) -> pa.Table:
    weights = rules.weights or {BLEND: 1.0}
    whole = sum(weights.values()) or 1.0
    told = []
    for name, rank in ranks.items():
        share = weights.get(name, 0.0) / whole
        own = None if row is None or not np.isfinite(rank[row]) else int(rank[row])
        part, part_last = (0.0 if at is None else float(share * parts(rank[at : at + 1])[0]) for at in (row, last))
        told.append({"source": name, "rank": own, "weight": weights.get(name, 0.0), "part": part, "part_last": part_last})
    kinds = [("source", pa.string()), ("rank", pa.int32()), ("weight", pa.float64()), ("part", pa.float64()), ("part_last", pa.float64())]
    return pa.Table.from_pylist(told, pa.schema(kinds))
