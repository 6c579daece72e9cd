"""Paths through the graph of items and what they share: item - brand, category, title, or brand within category - item; and
the relations that a shop declares: item - "accessory of" - item.

A walk of two steps (Fouss et al. 2007, Random-walk computation of similarities between nodes of a graph): from what a user
took to an attribute, and on to another item by its share of the attribute's demand. Rare attributes say more than common ones.
"""

from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
import scipy.sparse as sp

from core.errors import RuleError
from core.recommender.blocks import NO_OPINION, Floats, Ints, SparseBlock, best_first
from core.recommender.interactions import Interactions
from core.recommender.relations import BOTH_WAYS, Relation, Relations

ITEMS_AN_ATTRIBUTE = 60
"""Most wanted items that an attribute leads to."""
HISTORY = 50
"""Most liked items of a user that paths start from."""
KINDS = ("title", "category", "brand", "brand and category")
FEW = 5.0
"""Demand added to that of an attribute, so that one that few want promises little; a declared relation promises what it says."""
MOST_LINKS = 5_000_000
"""Items that relations start from, all together (60 MB)."""


@dataclass(frozen=True)
class Paths:
    """Users to attributes to items; N attributes of all kinds."""

    likes: sp.csr_matrix
    """(U, I) share of each item in what the user took, the most liked HISTORY."""
    taste: sp.csr_matrix
    """(U, N) share of the user's history at each attribute, times what the attribute says."""
    onward: sp.csr_matrix
    """(N, I) share of each item in the attribute's demand."""
    belongs: sp.csr_matrix
    """(I, N) 1 where the item has the attribute, or where a relation starts."""
    kind: Ints
    """Place in KINDS of each attribute (N,); from len(KINDS) on a relation by its place in `relations`."""
    relations: tuple[Relation, ...] = ()
    """Those that lead from an item of the catalogue to one, in the direction in which they are walked: from `to` to `name`."""

    def block(self, users: Ints) -> SparseBlock:
        return SparseBlock.of(sp.csr_matrix(self.taste[users] @ self.onward))

    def best(self, user: Ints, item: Ints) -> tuple[Ints, Ints]:
        """The strongest path of each pair (n,): the item that it starts from and the kind of its attribute; -1 without one."""
        towards = sp.csr_matrix(self._towards[item])
        row = np.repeat(np.arange(len(user), dtype=np.int64), np.diff(towards.indptr))
        users, place = np.unique(user, return_inverse=True)
        taste = SparseBlock.of(sp.csr_matrix(self.taste[users])).at(place[row], towards.indices.astype(np.int64))
        told = np.flatnonzero(taste > NO_OPINION)
        row, code = row[told], towards.indices[told].astype(np.int64)
        first = best_first(row, taste[told] * towards.data[told], 1)
        start, kind = np.full(len(user), -1, np.int64), np.full(len(user), -1, np.int64)
        pair, code = row[first], code[first]
        keys, starts = self._starts
        place = np.searchsorted(keys, user[pair] * len(self.kind) + code)
        for step in (0, 1):  # the item itself is no start of a path to it, the next best is
            at = np.minimum(place + step, max(len(keys) - 1, 0))
            fits = (keys[at] == user[pair] * len(self.kind) + code) & (starts[at] != item[pair]) & (start[pair] < 0)
            start[pair[fits]], kind[pair[fits]] = starts[at[fits]], self.kind[code[fits]]
        return start, kind

    @cached_property
    def _towards(self) -> sp.csr_matrix:
        """By item, attributes ascending (I, N)."""
        towards = sp.csr_matrix(self.onward.T)
        towards.sort_indices()
        return towards

    @cached_property
    def _starts(self) -> tuple[Ints, Ints]:
        """The two most liked items of each user at each attribute: ascending keys user * N + attribute, and the items."""
        row = np.repeat(np.arange(self.likes.shape[0], dtype=np.int64), np.diff(self.likes.indptr))
        many = np.diff(self.belongs.indptr)[self.likes.indices]
        user, item, like = (np.repeat(part, many) for part in (row, self.likes.indices.astype(np.int64), self.likes.data))
        ends = np.cumsum(many)
        code = self.belongs.indices[np.repeat(self.belongs.indptr[self.likes.indices] - (ends - many), many) + np.arange(len(user))]
        keys = user * len(self.kind) + code
        order = np.lexsort((item, -like, keys))
        keys = keys[order]
        two = np.arange(len(keys)) - np.searchsorted(keys, keys) < 2
        return keys[two], item[order][two]


def fit_paths(known: Interactions, liked: sp.csr_matrix, demand: Floats, declared: Relations) -> Paths | None:
    """Join items by the attributes that at least two of them share, and by relations; None for a catalogue without either."""
    items = known.shape[1]
    both = np.where(
        (known.brand >= 0) & (known.category >= 0), known.brand.astype(np.int64) * (len(known.categories) + 1) + known.category, -1
    )
    rows, columns, kinds, width = [], [], [], 0
    for place, codes in enumerate((known.title, known.category, known.brand, both)):
        has = np.flatnonzero(codes >= 0)
        _, dense, size = np.unique(codes[has], return_inverse=True, return_counts=True)
        shared = size[dense] >= 2
        used, dense = np.unique(dense[shared], return_inverse=True)
        rows.append(has[shared])
        columns.append(dense + width)
        kinds.append(np.full(len(used), place, np.int64))
        width += len(used)
    relations, starts, goals = _declared(known, declared)
    if not width + len(relations):
        return None
    told = width + np.arange(len(relations), dtype=np.int64)
    kind = np.concatenate([*kinds, len(KINDS) + told - width])
    goal, goal_column = (np.concatenate([*shared, *more]) for shared, more in ((rows, goals), (columns, _repeated(told, goals))))
    row, column = (np.concatenate([*shared, *more]) for shared, more in ((rows, starts), (columns, _repeated(told, starts))))
    width += len(relations)
    belongs = sp.csr_matrix((np.ones(len(row), np.float32), (row, column)), shape=(items, width))
    size = np.asarray(belongs.sum(axis=0)).ravel()
    says = np.log(1 + items / size)
    says[told] *= [relation.weight for relation in relations]
    likes = _shares(_strongest(liked, HISTORY))
    taste = sp.csr_matrix(likes @ belongs @ sp.diags(says.astype(np.float32)), dtype=np.float32)
    wanted = np.bincount(goal_column, weights=demand[goal], minlength=width) + np.where(kind < len(KINDS), FEW, 0.0)
    order = np.lexsort((goal, -demand[goal], goal_column))
    first = order[np.arange(len(order)) - np.searchsorted(goal_column[order], goal_column[order]) < ITEMS_AN_ATTRIBUTE]
    share = (demand[goal[first]] / wanted[goal_column[first]]).astype(np.float32)
    onward = sp.csr_matrix((share, (goal_column[first], goal[first])), shape=(width, items))
    return Paths(likes, taste, onward, belongs, kind, relations)


def catalogue_names(known: Interactions) -> dict[str, list[str]]:
    """Names that relations may use, by kind of node."""
    return {"item": known.item_ids, "title": known.titles, "category": known.categories, "brand": known.brands}


def _declared(known: Interactions, declared: Relations) -> tuple[tuple[Relation, ...], list[Ints], list[Ints]]:
    """Relations whose ends the catalogue has, as they are walked, with the items that each starts from and leads to."""
    names = {kind: {name: place for place, name in enumerate(every)} for kind, every in catalogue_names(known).items()}
    codes = {"title": known.title, "category": known.category, "brand": known.brand}

    @cache
    def items_of(kind: str, name: str) -> Ints:
        place = names[kind].get(name)
        if place is None:
            return np.zeros(0, np.int64)
        return np.array([place], np.int64) if kind == "item" else np.flatnonzero(codes[kind] == place).astype(np.int64)

    found = []
    for edge in declared.edges:
        for walked in (edge, edge.reverse()) if edge.relation in BOTH_WAYS else (edge,):
            start, goal = items_of(walked.to_kind, walked.to), items_of(walked.kind, walked.name)
            if len(start) and len(goal):
                found.append((walked, start, goal))
    if (links := sum(len(start) + len(goal) for _, start, goal in found)) > MOST_LINKS:
        raise RuleError(
            "The relations join {n} items; at most {most} are walked. Name items or smaller categories.", n=links, most=MOST_LINKS
        )
    return tuple(edge for edge, _, _ in found), [start for _, start, _ in found], [goal for _, _, goal in found]


def _repeated(columns: Ints, items: list[Ints]) -> list[Ints]:
    return [np.full(len(part), column, np.int64) for column, part in zip(columns.tolist(), items, strict=True)]


def _strongest(matrix: sp.csr_matrix, most: int) -> sp.csr_matrix:
    row = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    order = np.lexsort((matrix.indices, -matrix.data, row))
    first = order[(np.arange(len(order)) - matrix.indptr[row[order]] < most) & (matrix.data[order] > 0)]
    return sp.csr_matrix((matrix.data[first], (row[first], matrix.indices[first])), shape=matrix.shape)


def _shares(matrix: sp.csr_matrix) -> sp.csr_matrix:
    total = np.asarray(matrix.sum(axis=1)).ravel()
    return sp.csr_matrix(sp.diags((1 / np.maximum(total, 1e-9)).astype(np.float32)) @ matrix, dtype=np.float32)
