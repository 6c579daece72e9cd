"""Why an item is on a list: one English sentence with its evidence, and the same as a code and an item for other languages."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import scipy.sparse as sp

from core.recommender.blocks import SparseBlock, best_first, lookup, rank_within, runs_of
from core.recommender.candidates import Candidates
from core.recommender.content import Content
from core.recommender.interactions import Floats, Interactions, Ints, Pairs
from core.recommender.options import SOURCES
from core.recommender.paths import KINDS, Paths
from core.recommender.sources import FittedSources
from core.schema import EVENT_TYPES

PAST = {"purchase": "Bought", "cart": "Put in the cart", "favourite": "Saved", "share": "Shared", "click": "Clicked", "view": "Viewed"}
TOGETHER = {"purchase": "bought", "cart": "put in the cart", "favourite": "saved", "share": "shared", "click": "clicked", "view": "viewed"}
TASTE_SHARE = 0.02
"""A kind of item that makes up less of a history is no reason."""
RELATED = {
    "accessory_of": "An accessory of",
    "part_of": "A part of",
    "refill_of": "A refill for",
    "successor_of": "The successor of",
    "goes_with": "Goes with",
}
CODES = (
    "again", *(f"open_{act}" for act in PAST), *(f"related_{relation}" for relation in RELATED),
    "together", "similar", "kind", "popular", "popular_ever", "catalogue",
)  # fmt: skip
"""Every reason by its code."""
SECOND = (f"related_{next(iter(RELATED))}", "together", "similar", "kind", "popular", "popular_ever", "catalogue")
"""Reasons for what the user had nothing to do with yet, in the order in which equal ranks are settled."""
PLAIN = {
    "popular_ever": "Popular over the whole history of the log.",
    "catalogue": "In the catalogue, and still without any history.",
}
UNRANKED, ABSENT = np.float32(1e9), np.float32(2e9)


@dataclass(frozen=True)
class Reasons:
    """The reason of each of n shown pairs."""

    text: pa.DictionaryArray
    """English sentences."""
    code: pa.DictionaryArray
    """By CODES."""
    item: Ints
    """The item that the sentence names, -1 where it names none."""


def explain(known: Interactions, fitted: FittedSources, shown: Candidates, popular_days: float) -> Reasons:
    """Give each shown pair (n) its strongest reason that has evidence.

    Order: what the user did with the item itself, then the source that ranks the pair best among those with evidence.
    """
    width = max(known.shape[1], 1)
    keys = shown.user * width + shown.item
    bought_at = _places(known.bought, width, keys)
    touched_at = np.where(bought_at < 0, _places(fitted.interest, width, keys), -1)
    acts = np.where(touched_at >= 0, _strongest_acts(known, shown), -1)
    code, first, second = (np.full(len(keys), -1, np.int64) for _ in range(3))  # a reason and the numbers that its sentence says
    again = bought_at >= 0
    code[again] = 0
    first[again], second[again] = known.bought.count[bought_at[again]], known.bought.last_days[bought_at[again]]
    opened = acts >= 0
    code[opened] = 1 + acts[opened]
    second[opened] = fitted.interest.last_days[touched_at[opened]]
    rest = np.flatnonzero(code < 0)
    if len(rest):
        code[rest], first[rest], second[rest] = _of_sources(known, fitted, shown, rest)
    named = np.isin(code, [place for place, name in enumerate(CODES) if name in ("together", "similar") or name.startswith("related_")])
    sentences = _Sentences(known, fitted, popular_days)
    dictionary, place = sentences.tell(code, first, second)
    return Reasons(
        text=pa.DictionaryArray.from_arrays(pa.array(place, pa.int32()), pa.array(dictionary, pa.string())),
        code=pa.DictionaryArray.from_arrays(pa.array(code, pa.int32()), pa.array(CODES, pa.string())),
        item=np.where(named, first, -1),
    )


def _of_sources(known: Interactions, fitted: FittedSources, shown: Candidates, rest: Ints) -> tuple[Ints, Ints, Ints]:
    """Codes and their two numbers of the pairs that the user had nothing to do with: the source that ranks each best, with evidence."""
    item = shown.item[rest]
    ranks = _ranks_of(shown, ("item_knn", "ease", "factors", "content", "category", "popularity"))
    part = Candidates(shown.user[rest], item, shown.again[rest], shown.scores[rest], shown.features[:0])
    partner, strength = _partners(fitted, part)
    alike, cosine = _alike(fitted, part)
    start, relation, act = _related(known, fitted, part)
    walked = np.full(len(rest), ABSENT)
    if len(declared := np.flatnonzero(relation >= 0)):
        walked[declared] = _ranks_of(shown, ("paths",))["paths"][rest[declared]]
    taste, kind = fitted.tastes[0]
    takers = fitted.recent_buyers[item]
    linked = np.minimum(np.minimum(ranks["item_knn"], ranks["ease"]), ranks["factors"])[rest]
    options = np.column_stack([
        walked,
        np.where(strength > 0, linked, ABSENT),
        np.where(cosine > 0, ranks["content"][rest], ABSENT),
        np.where(_shares(taste, kind, part) >= TASTE_SHARE, ranks["category"][rest], ABSENT),
        np.where(takers > 0, ranks["popularity"][rest], ABSENT),
        np.where((takers <= 0) & (fitted.buyers[item] > 0), UNRANKED, ABSENT),
        np.full(len(rest), UNRANKED),
    ])  # fmt: skip
    chosen = np.argmin(options, axis=1)
    numbers = np.column_stack([start, partner, alike, kind[item], takers.astype(np.int64), np.full((len(rest), 2), -1)])
    codes = np.array([CODES.index(name) for name in SECOND], np.int64)
    related = chosen == 0  # by the kind of relation
    return codes[chosen] + np.where(related, relation, 0), numbers[np.arange(len(rest)), chosen], np.where(related, act, -1)


@dataclass(frozen=True)
class _Sentences:
    """Tells each different reason once."""

    known: Interactions
    fitted: FittedSources
    popular_days: float

    def tell(self, code: Ints, first: Ints, second: Ints) -> tuple[list[str], Ints]:
        """Different sentences, and the place of each pair's among them (n,)."""
        span, reach = (int(part.max(initial=0)) + 2 for part in (first, second))
        packed = ((code * span) + first + 1) * reach + second + 1
        _different, at, place = np.unique(packed, return_index=True, return_inverse=True)
        return [self._sentence(CODES[code[n]], int(first[n]), int(second[n])) for n in at.tolist()], place

    def _sentence(self, code: str, first: int, second: int) -> str:
        target = TOGETHER[self.known.target]
        if code == "again":
            return f"{PAST[self.known.target]} {_times(first)}, last {_ago(second)}."
        if code.startswith("open_"):
            return f"{PAST[code.removeprefix('open_')]}, last {_ago(second)}, and not yet {target}."
        if code.startswith("related_"):
            how, act = RELATED[code.removeprefix("related_")], TOGETHER[list(PAST)[second]]
            return f"{how} {_name(self.known, first)}, which this shopper {act}."
        if code == "together":
            return f"Often {target} with {_name(self.known, first)}."
        if code == "similar":
            return f"Similar to {_name(self.known, first)}."
        if code == "kind":
            kinds = self.known.titles if self.fitted.tastes[0][1] is self.known.title else self.known.categories
            return f"Popular in {kinds[first]}, a frequent choice of this shopper."
        if code == "popular":
            shoppers = "1 shopper" if first == 1 else f"{first} shoppers"
            return f"Popular in the last {self.popular_days:g} days: {target} by {shoppers}."
        return (
            "Popular over the whole history of the log." if code == "popular_ever" else "In the catalogue, and still without any history."
        )


def _shares(taste: sp.csr_matrix, kind: npt.NDArray[np.int32], shown: Candidates) -> Floats:
    """Share of the kind of each shown item in its user's history (n,), 0 without a kind."""
    codes = kind[shown.item]
    found = np.zeros(len(codes), np.float32)
    has = np.flatnonzero(codes >= 0)
    if len(has) and taste.shape[1]:
        users, row = np.unique(shown.user[has], return_inverse=True)
        known = SparseBlock.of(sp.csr_matrix(taste[users]))
        found[has] = np.maximum(known.at(row.astype(np.int64), codes[has].astype(np.int64)), 0)
    return found


def _ranks_of(shown: Candidates, names: tuple[str, ...]) -> dict[str, Floats]:
    """Rank of each shown pair by some sources within its user's list, UNRANKED without opinion; the list itself may be in any order."""
    order = np.lexsort((shown.item, shown.user))
    user = shown.user[order]
    found = {}
    for name in names:
        score = shown.scores[order, SOURCES.index(name)]
        rank = np.empty(len(order), np.float32)
        rank[order] = np.where(np.isinf(score), UNRANKED, rank_within(user, score))
        found[name] = rank
    return found


def _places(pairs: Pairs, width: int, keys: Ints) -> Ints:
    held = pairs.user * width + pairs.item
    found = lookup(held, np.arange(len(held), dtype=np.float64), keys)
    return np.where(np.isinf(found), -1, found).astype(np.int64)


def _strongest_acts(known: Interactions, shown: Candidates) -> Ints:
    """The strongest act of each shown pair short of the target, by its place in PAST (n,), -1 when there is none."""
    if not len(shown.user):
        return np.zeros(0, np.int64)
    begin, end = np.searchsorted(known.user, [shown.user.min(), shown.user.max() + 1])  # touches are sorted by user, item and act
    names = list(PAST)
    place = np.array([names.index(act) if act in PAST and act != known.target else -1 for act in EVENT_TYPES], np.int64)
    strength = np.array([code if place[code] >= 0 else -1 for code in range(len(EVENT_TYPES))], np.int64)
    act = known.act[begin:end]
    told = np.flatnonzero(strength[act] >= 0)
    width = max(known.shape[1], 1)
    keys = known.user[begin:end][told] * width + known.item[begin:end][told]
    last = np.searchsorted(keys, shown.user * width + shown.item, side="right") - 1
    found = (last >= 0) & (keys[np.maximum(last, 0)] == shown.user * width + shown.item) if len(keys) else np.zeros(len(last), bool)
    best = np.full(len(last), -1, np.int64)
    best[found] = place[act[told][last[found]]]
    return best


def _partners(fitted: FittedSources, shown: Candidates) -> tuple[Ints, Floats]:
    """The item of the user's history that speaks most for each shown item, and how much; 0 when none does."""
    partner, strength = np.zeros(len(shown.user), np.int64), np.zeros(len(shown.user), np.float32)
    users, row = np.unique(shown.user, return_inverse=True)
    similarity = fitted.neighbours.similarity
    history = sp.csr_matrix(fitted.neighbours.history[users])
    history.sort_indices()
    owner = np.repeat(np.arange(len(users)), np.diff(history.indptr))
    spoken = sp.csr_matrix(similarity[history.indices])  # a liked item names 100, a shown one may be named by thousands
    entry = np.repeat(np.arange(len(owner)), np.diff(spoken.indptr))
    keys = row * similarity.shape[1] + shown.item
    order = np.argsort(keys)
    said = owner[entry] * similarity.shape[1] + spoken.indices
    at = np.minimum(np.searchsorted(keys[order], said), len(keys) - 1)
    hit = np.flatnonzero(keys[order][at] == said) if len(keys) else at
    hit = hit[np.argsort(at[hit], kind="stable")]
    values = spoken.data[hit] * history.data[entry[hit]]
    first = best_first(at[hit], values, 1)
    pair = order[at[hit[first]]]
    partner[pair], strength[pair] = history.indices[entry[hit[first]]], values[first]
    return partner, strength


def _related(known: Interactions, fitted: FittedSources, shown: Candidates) -> tuple[Ints, Ints, Ints]:
    """Of pairs whose strongest path is a declared relation: the item that it starts from, the relation by its place in RELATED, and the
    strongest act of the shopper on that item by its place in PAST; -1 for all others."""
    none = np.full(len(shown.user), -1, np.int64)
    paths = fitted.sources.get("paths")
    if not isinstance(paths, Paths) or not paths.relations:
        return none, none, none
    start, kind = paths.best(shown.user, shown.item)
    has = np.flatnonzero(kind >= len(KINDS))
    begun = Candidates(shown.user[has], start[has], shown.again[has], shown.scores[has], shown.features[:0])
    bought = _places(known.bought, max(known.shape[1], 1), begun.user * known.shape[1] + begun.item) >= 0
    found, relation, act = none.copy(), none.copy(), none.copy()
    found[has] = start[has]
    relation[has] = [list(RELATED).index(paths.relations[place].relation) for place in (kind[has] - len(KINDS)).tolist()]
    act[has] = np.where(bought, list(PAST).index(known.target), _strongest_acts(known, begun))
    return found, relation, act


def _alike(fitted: FittedSources, shown: Candidates) -> tuple[Ints, Floats]:
    """The liked item whose text is nearest to each shown item, and its cosine; -1 when there is none."""
    alike, cosine = np.zeros(len(shown.user), np.int64), np.full(len(shown.user), -1.0, np.float32)
    content = fitted.sources.get("content")
    if not isinstance(content, Content):
        return alike, cosine
    liked, starts = fitted.most_liked
    begins, _, _ = runs_of(shown.user)
    for begin, end in zip(begins.tolist(), [*begins[1:].tolist(), len(shown.user)], strict=True):
        mine = liked[starts[shown.user[begin]] : starts[shown.user[begin] + 1]]
        mine = mine[content.index[mine] >= 0]
        if not len(mine):
            continue
        target = shown.item[begin:end]
        row = content.index[target]
        values = content.vectors[row] @ content.vectors[content.index[mine]].T  # (targets, liked)
        values[(row < 0)[:, None] | (target[:, None] == mine)] = -1
        best = np.argmax(values, axis=1)
        alike[begin:end], cosine[begin:end] = mine[best], values[np.arange(len(best)), best]
    return alike, cosine


def _name(known: Interactions, item: int) -> str:
    code = int(known.title[item])
    return known.titles[code] if code >= 0 else known.item_ids[item]


def _times(count: int) -> str:
    return "once" if count == 1 else "twice" if count == 2 else f"{count} times"


def _ago(whole: int) -> str:
    return "today" if whole == 0 else "yesterday" if whole == 1 else f"{whole} days ago"
