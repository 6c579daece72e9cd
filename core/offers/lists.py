"""Rules over ranked candidates: what may be shown, in which order, and which rule took how many.

n candidates of U shoppers, sorted by shopper; I items. The order: a shopper's candidates are weighed, what a rule bars goes, the
rest is picked from the top (with caps and diversity), short lists are filled with what most people buy and no rule bars, and pins
are put in their places last. A rule that bars an item also bars its pin.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from core.messages import Message, say
from core.offers.goods import Bools, Goods, Ints
from core.offers.rules import BLEND, RuleSet

Floats = npt.NDArray[np.float64]

FUSION = 9.0
"""Reciprocal rank fusion (Cormack, Clarke and Büttcher 2009), 10 / (9 + rank): with their 60 the first ten places of a list differ by a
seventh, and a slider would hardly move what people see."""
SAME_CATEGORY, SAME_BRAND = 0.7, 0.3
"""Likeness of two items for diversity; the same title is 1."""
BARS = ("block_items", "block_brands", "block_categories", "block_words", "stock", "price", "hidden", "bought", "frequency")
"""Rules that bar an item, in the order in which they are counted: each barred pair counts for the first."""
PINNED, FILLED, UNKNOWN = "pinned", "popular_ever", "catalogue"
_REASONS = {
    PINNED: "Placed here by a rule.",
    FILLED: "Popular over the whole history of the log.",
    UNKNOWN: "In the catalogue, and still without any history.",
}


@dataclass(frozen=True)
class Past:
    """Places of items by shopper, as far as the rules ask for them."""

    bought: Mapping[str, Ints] = field(default_factory=dict)
    seen: Mapping[str, Ints] = field(default_factory=dict)
    """What the frequency rule takes away."""


@dataclass(frozen=True)
class Weighed:
    """Candidates with their value under the rules, and what bars them."""

    users: list[str]
    user: Ints
    """Place among `users` (n,)."""
    item: Ints
    """Place among the goods (n,)."""
    value: Floats
    ranks: dict[str, Floats]
    """Rank from 1 of each candidate by `blend` and by each source among those kept, NaN without opinion (n,)."""
    bar: Ints
    """First of BARS that takes it, -1 for none (n,)."""


@dataclass(frozen=True)
class Offered:
    """Lists under a rule set."""

    table: pa.Table
    """Columns of the candidates; rank from 1 without gaps for each user, sorted by user_id and rank."""
    taken: dict[str, int]
    """Candidates that each of BARS, and `cap`, took; no zeros."""
    short: int
    """Users with fewer than k items."""
    empty: int
    """Users with none."""


def offer(candidates: pa.Table, goods: Goods, rules: RuleSet, past: Past, k: int) -> Offered:
    """Make the lists of all shoppers of the candidates.

    Args:
        candidates: RECOMMENDATIONS + chance, is_new, reason_code, reason_item, source_<name>; sorted by user_id, rank.
        goods: Items of the log.
        rules: What is asked.
        past: What the shoppers bought, and what the frequency rule takes.
        k: Longest list.
    """
    banned = barred_items(goods, rules)
    weighed = weigh(candidates, goods, rules, past, banned)
    shut = np.any(list(banned.values()), axis=0) if banned else np.zeros(len(goods.item_ids), bool)
    picks, capped = _picked(weighed, goods, rules, k)
    rows: list[tuple[int, int, int, float, str]] = []  # user, item, candidate row or -1, value, reason code of ours or ""
    short = empty = 0
    for user, own in enumerate(picks):
        found = [(user, int(weighed.item[row]), int(row), float(weighed.value[row]), "") for row in own]
        if len(found) < k:
            found += _filling(user, weighed, goods, rules, past, shut, {row[1] for row in found}, k - len(found))
        if rules.pins:
            found = _pinned(found, user, weighed, goods, rules, past, shut, k)
        short += len(found) < k
        empty += not found
        rows += found
    taken = {name: int((weighed.bar == number).sum()) for number, name in enumerate(BARS)} | {"cap": capped}
    return Offered(_table(candidates, weighed, goods, rows), {name: n for name, n in taken.items() if n}, short, empty)


def weigh(candidates: pa.Table, goods: Goods, rules: RuleSet, past: Past, banned: dict[str, Bools]) -> Weighed:
    """Value candidates under the rules and find what bars each (`banned` for everyone); values of the blend alone stay as they are."""
    encoded = candidates["user_id"].combine_chunks().dictionary_encode() if candidates.num_rows else None
    users = encoded.dictionary.to_pylist() if encoded is not None else []
    user = encoded.indices.to_numpy().astype(np.int64) if encoded is not None else np.zeros(0, np.int64)
    item = np.array([goods.place[i] for i in candidates["item_id"].to_pylist()], np.int64)
    ranks = {BLEND: _rank(user, -candidates["rank"].to_numpy().astype(np.float64))}
    for name in candidates.column_names:
        if name.startswith("source_"):
            ranks[name.removeprefix("source_")] = _rank(user, candidates[name].to_numpy(zero_copy_only=False).astype(np.float64))
    value = np.asarray(candidates["score"].to_numpy(), np.float64)
    weights = {name: weight for name, weight in (rules.weights or {BLEND: 1.0}).items() if weight and name in ranks} or {BLEND: 1.0}
    factor = factors(goods, rules)
    if set(weights) != {BLEND} or factor is not None or rules.diversity:
        whole = sum(weights.values())
        value = np.sum([weight / whole * parts(ranks[name]) for name, weight in weights.items()], axis=0).reshape(len(item))
    if factor is not None:
        value = value * factor[item]
    bar = np.full(len(item), -1, np.int64)
    for number, name in reversed(list(enumerate(BARS))):
        mask = banned[name][item] if name in banned else _barred_pairs(name, users, user, item, goods, rules, past)
        if mask is not None:
            bar[mask] = number
    return Weighed(users, user, item, value, ranks, bar)


def parts(rank: Floats) -> Floats:
    """What a source gives to a candidate of its rank, 1 for the first (n,); 0 without opinion."""
    return np.nan_to_num((1 + FUSION) / (rank + FUSION))


def factors(goods: Goods, rules: RuleSet) -> Floats | None:
    """What boosts and the popularity slider multiply values by (I,); None when nothing is asked."""
    boost = rules.boost
    if not (rules.popularity or boost.items or boost.brands or boost.categories):
        return None
    factor = np.ones(len(goods.item_ids))
    if rules.popularity:
        factor *= 1 + rules.popularity * (2 * goods.popularity - 1)
    for values, find in (
        (boost.items, goods.ids),
        (boost.brands, lambda names: goods.among(names, goods.brands)),
        (boost.categories, lambda names: goods.among(names, goods.categories)),
    ):
        for name, by in values.items():
            factor[find([name])] *= by
    return factor


def barred_items(goods: Goods, rules: RuleSet) -> dict[str, Bools]:
    """Which items each rule bars for everyone (I,); rules that ask nothing are left out."""
    found: dict[str, Bools] = {}
    block, boost, price = rules.block, rules.boost, rules.price
    if block.items:
        found["block_items"] = goods.ids(block.items)
    if block.brands:
        found["block_brands"] = goods.among(block.brands, goods.brands)
    if block.categories:
        found["block_categories"] = goods.among(block.categories, goods.categories)
    if block.words:
        found["block_words"] = goods.naming(block.words)
    if rules.stock is not None:
        found["stock"] = ~goods.ids(rules.stock)
    if price.least is not None or price.most is not None:
        low, high = (-np.inf if price.least is None else price.least), (np.inf if price.most is None else price.most)
        found["price"] = ~((goods.prices >= low) & (goods.prices <= high))  # an unknown price lies in no range
    hidden = [[name for name, factor in kind.items() if factor == 0] for kind in (boost.items, boost.brands, boost.categories)]
    if any(hidden):
        found["hidden"] = goods.ids(hidden[0]) | goods.among(hidden[1], goods.brands) | goods.among(hidden[2], goods.categories)
    return found


def barred_for(user_id: str, goods: Goods, rules: RuleSet, past: Past) -> dict[str, Ints]:
    """Places of items that `bought` and `frequency` take from one shopper."""
    found: dict[str, Ints] = {}
    if rules.bought != "keep":
        own = past.bought.get(user_id, np.zeros(0, np.int64))
        if rules.bought == "rebuyable":
            own = own[[goods.categories[i] not in goods.rebuyable for i in own.tolist()]] if len(own) else own
        found["bought"] = own
    if rules.frequency.exports or rules.frequency.impressions:
        found["frequency"] = past.seen.get(user_id, np.zeros(0, np.int64))
    return found


def taken_words(taken: Mapping[str, int]) -> list[Message]:
    """Say which rule took how many candidates, most first."""
    return [
        say("{rule}: {n:,} candidates taken out", rule=RULE_WORDS[name], n=n)
        for name, n in sorted(taken.items(), key=lambda pair: (-pair[1], pair[0]))
    ]


RULE_WORDS = {
    "block_items": say("Blocked items"),
    "block_brands": say("Blocked brands"),
    "block_categories": say("Blocked categories"),
    "block_words": say("Blocked words"),
    "stock": say("Stock list"),
    "price": say("Price range"),
    "hidden": say("Hidden by a boost of 0"),
    "bought": say("Bought already"),
    "frequency": say("Frequency cap"),
    "cap": say("Category cap"),
}
"""The rule of each of BARS, and of `cap`, in words."""


def _barred_pairs(name: str, users: list[str], user: Ints, item: Ints, goods: Goods, rules: RuleSet, past: Past) -> Bools | None:
    asked = {"bought": rules.bought != "keep", "frequency": bool(rules.frequency.exports or rules.frequency.impressions)}
    if not asked.get(name):
        return None
    width = max(len(goods.item_ids), 1)
    pairs = [place * width + barred_for(own, goods, rules, past)[name] for place, own in enumerate(users)]
    return np.isin(user * width + item, np.concatenate(pairs) if pairs else np.zeros(0, np.int64))


def _rank(user: Ints, score: Floats) -> Floats:
    """Rank from 1 within each user, highest first, ties in the order given; NaN stays NaN."""
    order = np.lexsort((np.arange(len(user)), -np.nan_to_num(score, nan=-np.inf), user))
    starts = np.searchsorted(user, user[order], side="left")
    rank = np.empty(len(user))
    rank[order] = np.arange(len(user)) - starts + 1
    rank[np.isnan(score)] = np.nan
    return rank


def _picked(weighed: Weighed, goods: Goods, rules: RuleSet, k: int) -> tuple[list[Ints], int]:
    """Rows of each user's list in order, and how many the category caps took."""
    order = np.lexsort((np.arange(len(weighed.user)), -weighed.value, weighed.user))
    order = order[weighed.bar[order] < 0]
    starts = np.searchsorted(weighed.user[order], np.arange(len(weighed.users) + 1))
    greedy = rules.diversity > 0 or rules.caps.each is not None or bool(rules.caps.categories)
    picks, capped = [], 0
    for user in range(len(weighed.users)):
        own = order[starts[user] : starts[user + 1]]
        if greedy:
            own, lost = _diverse(own, weighed, goods, rules, k)
            capped += lost
        picks.append(own[:k])
    return picks, capped


def cap_of(category: str | None, rules: RuleSet, k: int) -> int:
    """Most items of a category in a list of k."""
    if category is None:
        return k
    usual = k if rules.caps.each is None else rules.caps.each
    return rules.caps.folded.get(category.casefold(), usual) if rules.caps.categories else usual


def _diverse(own: Ints, weighed: Weighed, goods: Goods, rules: RuleSet, k: int) -> tuple[Ints, int]:
    """Maximal marginal relevance (Carbonell and Goldstein 1998) with category caps; `own` by falling value.

    Items without a category or brand are alike in that: what nothing is known of would else be the unlike of everything.
    """
    items = weighed.item[own]
    value = weighed.value[own] / max(float(weighed.value[own].max(initial=0.0)), 1e-12)
    codes = {name: code[items] for name, code in goods.codes.items()}
    near, left = np.zeros(len(own)), np.ones(len(own), bool)
    counts: dict[int, int] = {}
    chosen: list[int] = []
    lost = 0
    while len(chosen) < k and left.any():
        gain = (1 - rules.diversity) * value - rules.diversity * near
        best = int(np.argmax(np.where(left, gain, -np.inf)))
        left[best] = False
        kind = int(codes["category"][best])
        if kind >= 0:
            if counts.get(kind, 0) >= cap_of(goods.categories[int(items[best])], rules, k):
                lost += 1
                continue
            counts[kind] = counts.get(kind, 0) + 1
        chosen.append(best)
        if rules.diversity:
            alike = {name: code == code[best] for name, code in codes.items()}
            likeness = np.where(
                alike["title"] & (codes["title"] >= 0), 1.0, SAME_CATEGORY * alike["category"] + SAME_BRAND * alike["brand"]
            )
            near = np.maximum(near, likeness)
    return own[chosen], lost


def _filling(
    user: int, weighed: Weighed, goods: Goods, rules: RuleSet, past: Past, shut: Bools, inside: set[int], most: int
) -> list[tuple[int, int, int, float, str]]:
    """Open items that most people buy, for a list that came out short; the caps hold."""
    barred = set(np.concatenate([*barred_for(weighed.users[user], goods, rules, past).values(), np.zeros(0, np.int64)]).tolist())
    counts: dict[str, int] = {}
    for item in inside:
        counts[goods.categories[item] or ""] = counts.get(goods.categories[item] or "", 0) + 1
    found: list[tuple[int, int, int, float, str]] = []
    open_items = goods.by_popularity[~shut[goods.by_popularity]]
    for item in open_items.tolist():
        if len(found) == most:
            break
        kind = goods.categories[item]
        if item in inside or item in barred or counts.get(kind or "", 0) >= cap_of(kind, rules, most + len(inside)):
            continue
        counts[kind or ""] = counts.get(kind or "", 0) + 1
        found.append((user, item, -1, -1.0 - len(found), FILLED if goods.buyers[item] else UNKNOWN))
    return found


def _pinned(
    found: list[tuple[int, int, int, float, str]],
    user: int,
    weighed: Weighed,
    goods: Goods,
    rules: RuleSet,
    past: Past,
    shut: Bools,
    k: int,
) -> list[tuple[int, int, int, float, str]]:
    barred = set(np.concatenate([*barred_for(weighed.users[user], goods, rules, past).values(), np.zeros(0, np.int64)]).tolist())
    for pin in rules.pins:
        item = goods.place.get(pin.item)
        if item is None or shut[item] or item in barred:
            continue
        rows = np.flatnonzero((weighed.user == user) & (weighed.item == item))
        row = int(rows[0]) if len(rows) else -1
        found = [other for other in found if other[1] != item]
        found.insert(pin.place - 1, (user, item, row, float(weighed.value[row]) if row >= 0 else 0.0, PINNED))
    return found[:k]


def _table(candidates: pa.Table, weighed: Weighed, goods: Goods, rows: list[tuple[int, int, int, float, str]]) -> pa.Table:
    user = np.array([row[0] for row in rows], np.int64)
    place = np.array([row[2] for row in rows], np.int64)
    counts = np.bincount(user, minlength=len(weighed.users)) if len(rows) else np.zeros(0, np.int64)
    rank = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts) + 1 if len(rows) else np.zeros(0, np.int64)
    made = candidates.take(pa.array(place, pa.int64(), mask=place < 0))
    codes = pa.array([row[4] or None for row in rows], pa.string())
    texts = pa.array([_REASONS.get(row[4]) for row in rows], pa.string())
    own: dict[str, Any] = {
        "user_id": pa.array([weighed.users[u] for u in user.tolist()], pa.string()),
        "rank": pa.array(rank, pa.int32()),
        "item_id": pa.array([goods.item_ids[row[1]] for row in rows], pa.string()),
        "score": pa.array([row[3] for row in rows], pa.float64()),
        "reason": pc.coalesce(texts, made["reason"].cast(pa.string())) if "reason" in made.column_names else texts,
        "reason_code": pc.coalesce(codes, made["reason_code"].cast(pa.string())) if "reason_code" in made.column_names else codes,
    }
    for name in candidates.column_names:
        if name not in own:
            own[name] = made[name]
    own.setdefault("reason_item", pa.nulls(len(rows), pa.string()))
    return pa.table({name: own[name] for name in dict.fromkeys([*candidates.column_names, *own])})
