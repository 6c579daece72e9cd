"""The sources: each gives every user a score for items, and says -inf where it has no opinion.

A source is fitted on the history of one cutoff and then asked for blocks of users, so that no dense user x item matrix
of all users ever exists. U users, I items, B users of a block.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import Protocol

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from core.recommender.blocks import Block, CommonBlock, SparseBlock
from core.recommender.content import fit_content
from core.recommender.crowds import fit_crowds
from core.recommender.due import due_scores
from core.recommender.ease import fit_ease
from core.recommender.factors import fit_factors
from core.recommender.interactions import INTEREST_WEIGHTS, Floats, Interactions, Ints, Pairs
from core.recommender.item_knn import ItemNeighbours, fit_item_knn
from core.recommender.next_items import fit_next_items
from core.recommender.options import ItemVectorsLike, NextItems, RecommendOptions
from core.recommender.paths import fit_paths
from core.schema import EVENT_TYPES

EVIDENCE_ITEMS = 30
"""Most liked items of a user that "Similar to" may name."""
ITEMS_A_KIND = 40
"""Most wanted items of each kind that `category` proposes."""


class Source(Protocol):
    """Something that scores items for a block of users."""

    def block(self, users: Ints) -> Block:
        """Scores of the given users (places)."""


@dataclass(frozen=True)
class SparseSource:
    """A source whose scores are few and known beforehand."""

    matrix: sp.csr_matrix
    """(U, I); what is not stored has no opinion."""

    def block(self, users: Ints) -> SparseBlock:
        return SparseBlock.of(self.matrix[users])


@dataclass(frozen=True)
class Popularity:
    """The same order for everyone, of the last days or of the whole log: see `_popular`."""

    order: Ints
    scores: Floats
    """(I,) in (0, 1]."""

    def block(self, users: Ints) -> CommonBlock:
        return CommonBlock(self.order, self.scores, len(users))


@dataclass(frozen=True)
class CategoryTaste:
    """Popular items of the kinds that the user has a taste for: share of the kind in the user's history x share of the item in the kind."""

    taste: sp.csr_matrix
    """(U, C) shares."""
    share: sp.csr_matrix
    """(C, I) smoothed share of the most wanted items in the recent demand of their kind."""

    def block(self, users: Ints) -> SparseBlock:
        scores = sp.csr_matrix(self.taste[users] @ self.share)  # each item is of one kind: no two products meet
        scores.data[scores.data <= 0] = 0
        scores.eliminate_zeros()
        return SparseBlock.of(scores)


@dataclass(frozen=True)
class FittedSources:
    """All sources of one cutoff, with what features and reasons ask of them."""

    sources: Mapping[str, Source]
    interest: Pairs
    """Acts other than the target, later than the user's last target act on the item."""
    recent_buyers: Floats
    """Distinct users with the target act in the last `popular_days` (I,)."""
    week_buyers: Floats
    buyers: Floats
    tastes: tuple[tuple[sp.csr_matrix, npt.NDArray[np.int32]], ...]
    """Three pairs, by kind (title where titles repeat, else category), category, brand: the share of each code in the user's decayed
    acts (U, C), and the code of each item (I,), -1 without."""
    neighbours: ItemNeighbours
    profile: sp.csr_matrix
    """(U, I) what each user likes, decayed: the start of neighbour and content scores."""

    @cached_property
    def most_liked(self) -> tuple[Ints, Ints]:
        """The EVIDENCE_ITEMS most liked items of each user, best first, one user after the other; where each begins (U + 1,)."""
        liked = SparseBlock.of(self.profile)
        items = max(liked.items, 1)
        owner = liked.keys // items
        order = np.lexsort((liked.keys, -liked.values, owner))
        near = np.arange(len(order)) - np.searchsorted(owner[order], owner[order]) < EVIDENCE_ITEMS
        owner, item = owner[order][near], (liked.keys % items)[order][near]
        return item, np.searchsorted(owner, np.arange(self.profile.shape[0] + 1))


def fit_sources(
    known: Interactions, item_vectors: ItemVectorsLike | None, options: RecommendOptions, next_items: NextItems | None = None
) -> FittedSources:
    """Fit every source that the log and the catalogue allow.

    `content` is absent without vectors, `category` and `paths` without shared attributes, `crowd` with too few users, `sequence`
    without what a transformer foresees.
    """
    users, items = known.shape
    bought = known.bought
    interest = open_interest(known, options.interest_half_life_days)
    recent = _buyers(known, options.popular_days)
    buyers = np.bincount(bought.item, minlength=items).astype(np.float32)
    touched = np.bincount(known.item, minlength=items).astype(np.float32)
    everything = known.pairs(known.act >= 0, half_life_days=options.repeat_half_life_days)
    liked = everything.matrix(np.maximum(everything.decayed, 0), (users, items))
    kind = known.title if _useful(known.title) else known.category
    taste = _taste(liked, kind)
    ever = everything.matrix(np.log1p(np.maximum(everything.decayed, 0) + 0.1 * everything.count), (users, items))
    ever.eliminate_zeros()
    neighbours = fit_item_knn(known)
    factors = fit_factors(known, options.factors, options.seed)
    sources: dict[str, Source] = {
        "repeat": SparseSource(bought.matrix(bought.decayed / INTEREST_WEIGHTS.get(known.target, 1.0), (users, items))),
        "popularity": _popular(recent, buyers, touched),
        "popular_ever": _popular(buyers, recent, touched),
        "item_knn": neighbours,
        "ease": fit_ease(known, options.ease_items),
        "factors": factors,
        "due": SparseSource(due_scores(known, options.horizon / timedelta(days=1))),
    }
    found: dict[str, Source | None] = {
        "crowd": fit_crowds(known, factors, recent, options.popular_days, options.seed),
        "paths": fit_paths(known, liked, (recent + 0.1 * buyers + 0.01).astype(np.float32), options.relations),
        "sequence": fit_next_items(known, next_items) if next_items else None,
    }
    sources |= {name: source for name, source in found.items() if source is not None}
    if len(interest.user):
        sources["interest"] = SparseSource(interest.matrix(np.maximum(interest.decayed, 1e-9), (users, items)))
    if taste.shape[1]:
        sources["category"] = _category_taste(taste, kind, (recent + 0.1 * buyers + 0.01).astype(np.float32))
    if item_vectors is not None and len(item_vectors.vectors):
        content = fit_content(known, item_vectors, ever, recent + 0.1 * buyers)
        if content is not None:
            sources["content"] = content
    return FittedSources(
        sources=sources,
        interest=interest,
        recent_buyers=recent,
        week_buyers=_buyers(known, 7.0),
        buyers=buyers,
        tastes=((taste, kind), (_taste(liked, known.category), known.category), (_taste(liked, known.brand), known.brand)),
        neighbours=neighbours,
        profile=liked,
    )


def open_interest(known: Interactions, half_life_days: float) -> Pairs:
    """Sum the acts short of the target that came after the user's last target act on the item: wanted and not yet bought."""
    target = EVENT_TYPES.index(known.target)
    width = max(known.shape[1], 1)
    bought = known.bought
    keys = bought.user * width + bought.item
    place = np.searchsorted(keys, known.user * width + known.item)
    inside = place < len(keys)
    found = np.zeros(len(known.user), bool)
    found[inside] = keys[place[inside]] == (known.user * width + known.item)[inside]
    last = np.full(len(known.user), np.inf)
    last[found] = bought.last_days[place[found]] * 1440.0
    return known.pairs((known.act != target) & (known.age < last - 0.5), half_life_days)


def _buyers(known: Interactions, days: float) -> Floats:
    chosen = known.bought.last_days <= days
    return np.bincount(known.bought.item[chosen], minlength=known.shape[1]).astype(np.float32)


def _popular(first: Floats, second: Floats, third: Floats) -> Popularity:
    """Order items by falling counts (I,): the first, ties by the second and the third, then by the smaller item id."""
    items = len(first)
    order = np.lexsort((np.arange(items), -third, -second, -first)).astype(np.int64)
    scores = np.empty(items, np.float32)
    scores[order] = (items - np.arange(items, dtype=np.float64)) / max(items, 1)
    return Popularity(order, scores)


def _category_taste(taste: sp.csr_matrix, kind: npt.NDArray[np.int32], demand: Floats) -> CategoryTaste:
    chosen = np.flatnonzero(kind >= 0)
    total = np.bincount(kind[chosen], weights=demand[chosen], minlength=taste.shape[1])
    order = chosen[np.lexsort((chosen, -demand[chosen], kind[chosen]))]
    first = np.arange(len(order)) - np.searchsorted(kind[order], kind[order]) < ITEMS_A_KIND
    covered = order[first]
    share = (demand[covered] / (total[kind[covered]] + 5.0)).astype(np.float32)
    return CategoryTaste(taste, sp.csr_matrix((share, (kind[covered], covered)), shape=(taste.shape[1], len(kind))))


def _useful(codes: npt.NDArray[np.int32]) -> bool:
    """Whether titles name kinds of items rather than single items (Complete Journey titles are product types)."""
    known = codes[codes >= 0]
    return len(known) > 0 and len(known) / len(np.unique(known)) >= 3.0


def _taste(liked: sp.csr_matrix, kind: npt.NDArray[np.int32]) -> sp.csr_matrix:
    kinds = int(kind.max()) + 1 if len(kind) else 0
    chosen = np.flatnonzero(kind >= 0)
    belongs = sp.csr_matrix((np.ones(len(chosen), np.float32), (chosen, kind[chosen])), shape=(len(kind), kinds))
    taste = (liked @ belongs).tocsr()
    total = np.asarray(taste.sum(axis=1)).ravel()
    return sp.csr_matrix(sp.diags((1 / np.maximum(total, 1e-9)).astype(np.float32)) @ taste, dtype=np.float32)
