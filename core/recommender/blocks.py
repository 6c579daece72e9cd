"""A block of users' scores, held as small as its source allows: sparse, dense over the items that it covers, or one order for all.

B users of the block, I items, M covered items. Every kind answers two questions: which items are best for each user, and
what is the score of given pairs. Ties go to the smaller item place, which is the smaller item_id.
"""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]

NO_OPINION = np.float32(-np.inf)
LEAST = np.finfo(np.float32).min
"""Smallest score that is an opinion."""
SAMPLE_STEP = 16


class Block(Protocol):
    """Scores of one source for one block of users."""

    def top(self, taken: sp.csr_matrix, depth: int) -> Ints:
        """Keys row * I + item of each row's best `depth` items outside `taken` (B, I), in any order."""

    def at(self, row: Ints, item: Ints) -> Floats:
        """Scores of pairs (n,), -inf without opinion."""


@dataclass(frozen=True)
class SparseBlock:
    """Few scores per user."""

    keys: Ints
    """row * I + item, ascending."""
    values: Floats
    items: int

    @classmethod
    def of(cls, matrix: sp.csr_matrix) -> "SparseBlock":
        """Hold a sparse (B, I) matrix; what is not stored has no opinion."""
        matrix.sort_indices()
        row = np.repeat(np.arange(matrix.shape[0], dtype=np.int64), np.diff(matrix.indptr))
        return cls(row * matrix.shape[1] + matrix.indices, np.asarray(matrix.data, np.float32), matrix.shape[1])

    def top(self, taken: sp.csr_matrix, depth: int) -> Ints:
        keys, values = self.keys, self.values
        if taken.nnz and len(keys):
            had = SparseBlock.of(taken).keys
            place = np.minimum(np.searchsorted(keys, had), len(keys) - 1)
            free = np.ones(len(keys), bool)
            free[place[keys[place] == had]] = False
            keys, values = keys[free], values[free]
        return keys[best_first(keys // max(self.items, 1), values, depth)]

    def at(self, row: Ints, item: Ints) -> Floats:
        return lookup(self.keys, self.values, row * self.items + item)


@dataclass(frozen=True)
class DenseBlock:
    """A score for each covered item."""

    values: Floats
    """(B, M), -inf without opinion; writable, and after each question as it was."""
    columns: Ints
    """Items covered, ascending (M,)."""
    place: Ints
    """Column of each item (I,), -1 for an item not covered."""

    def top(self, taken: sp.csr_matrix, depth: int) -> Ints:
        row = np.repeat(np.arange(taken.shape[0]), np.diff(taken.indptr))
        column = self.place[taken.indices]
        row, column = row[column >= 0], column[column >= 0]
        held = self.values[row, column]
        self.values[row, column] = NO_OPINION  # taken out for a moment: a copy of the block would cost as much as the search
        found, best = top_per_row(self.values, depth)
        self.values[row, column] = held
        return np.asarray(found * len(self.place) + self.columns[best], np.int64)

    def at(self, row: Ints, item: Ints) -> Floats:
        column = self.place[item]
        if not len(self.columns):
            return np.full(len(row), NO_OPINION)
        return np.where(column >= 0, self.values[row, np.maximum(column, 0)], NO_OPINION)


@dataclass(frozen=True)
class CommonBlock:
    """One order of all items for everyone."""

    order: Ints
    """Items, best first (I,)."""
    scores: Floats
    """Score of each item (I,)."""
    rows: int

    def top(self, taken: sp.csr_matrix, depth: int) -> Ints:
        most = int(np.diff(taken.indptr).max(initial=0))
        chosen = self.order[: depth + most]
        place = np.full(len(self.order), -1, np.int64)
        place[chosen] = np.arange(len(chosen))
        free = np.ones((self.rows, len(chosen)), bool)
        row = np.repeat(np.arange(taken.shape[0]), np.diff(taken.indptr))
        column = place[taken.indices]
        free[row[column >= 0], column[column >= 0]] = False
        found, column = np.nonzero(free & (np.cumsum(free, axis=1) <= depth))
        return np.asarray(found * len(self.order) + chosen[column], np.int64)

    def at(self, row: Ints, item: Ints) -> Floats:
        return self.scores[item]


def lookup(keys: Ints, values: npt.NDArray[Any], wanted: Ints) -> npt.NDArray[Any]:
    """Values of ascending keys at the wanted keys, -inf where absent."""
    if not len(keys):
        return np.full(len(wanted), NO_OPINION)
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[place] == wanted, values[place], NO_OPINION)


def top_per_row(scores: Floats, k: int) -> tuple[Ints, Ints]:
    """Places (row, column) of the `k` best finite scores of each row, by row; ties go to the smaller column."""
    columns = scores.shape[1]
    if columns <= k:
        row, column = np.nonzero(scores > NO_OPINION)
        return row, column
    least = _thresholds(scores, k)
    flat = np.flatnonzero(scores >= least[:, None])
    row, column = np.divmod(flat, columns)
    short = np.flatnonzero((np.bincount(row, minlength=len(scores)) < k) & (least > LEAST))
    if len(short):
        whole = np.maximum(np.partition(scores[short], columns - k, axis=1)[:, columns - k], LEAST)
        other, more = np.nonzero(scores[short] >= whole[:, None])
        rest = ~np.isin(row, short)
        row, column = np.concatenate([row[rest], short[other]]), np.concatenate([column[rest], more])
        order = np.argsort(row, kind="stable")
        row, column = row[order], column[order]
    best = best_first(row, scores[row, column], k)
    return row[best], column[best]


def best_first(row: Ints, values: Floats, depth: int) -> Ints:
    """Places of each row's `depth` best values (n,), by row and best first; ties go to the first. `row` ascends."""
    if not len(row):
        return np.zeros(0, np.int64)
    starts, group, inside = runs_of(row)
    order = _packed_order(group, inside, values)
    near = inside < depth
    return np.asarray(starts[group[near]] + order[near])


def rank_within(user: Ints, scores: npt.NDArray[Any]) -> Ints:
    """Rank from 0 of each candidate among those of its user by score, ties by position; candidates sorted by user."""
    if not len(user):
        return np.zeros(0, np.int64)
    starts, group, inside = runs_of(user)
    rank = np.empty(len(user), np.int64)
    if scores.dtype == np.float32:
        rank[starts[group] + _packed_order(group, inside, scores)] = inside
        return rank
    square = np.full((len(starts), int(inside.max()) + 1), np.inf)  # rows sort several times faster than one long sort by two keys
    square[group, inside] = -scores
    order = np.argsort(square, axis=1, kind="stable")
    places = np.empty_like(order)
    np.put_along_axis(places, order, np.broadcast_to(np.arange(square.shape[1]), square.shape), axis=1)
    return np.asarray(places[group, inside], np.int64)


def runs_of(row: Ints) -> tuple[Ints, Ints, Ints]:
    """Where each run of equal numbers begins (R,), the run of each place (n,), and how far inside of it the place is (n,)."""
    starts = np.flatnonzero(np.r_[True, row[1:] != row[:-1]][: len(row)])
    length = np.diff(np.r_[starts, len(row)])
    group = np.repeat(np.arange(len(starts)), length)
    return starts, group, np.arange(len(row)) - starts[group]


def _packed_order(group: Ints, inside: Ints, values: Floats) -> Ints:
    """Order of each run by falling value, as places inside of it (n,).

    Run, value and place make one number of 64 bits, whose sort is several times faster than one by three keys.
    """
    bits = np.uint64(max(int(inside.max()).bit_length(), 1))
    packed = (group.astype(np.uint64) << (bits + np.uint64(32))) | (_falling_bits(values) << bits) | inside.astype(np.uint64)
    packed.sort()
    return (packed & ((np.uint64(1) << bits) - np.uint64(1))).astype(np.int64)


def _falling_bits(values: Floats) -> npt.NDArray[np.uint64]:
    """Numbers below 2^32 that rise as float32 values fall; equal for equal values."""
    bits = (np.asarray(values, np.float32) + np.float32(0)).view(np.int32)  # -0.0 becomes 0.0
    return (bits ^ (~(bits >> 31) & 0x7FFFFFFF)).view(np.uint32).astype(np.uint64)


def _thresholds(scores: Floats, k: int) -> Floats:
    """A value for each row that at least its `k` best reach in most rows, and hardly more than twice as many.

    Read off every 16th column.
    """
    columns = scores.shape[1]
    part = scores[:, ::SAMPLE_STEP]
    place = part.shape[1] - (2 * k // SAMPLE_STEP + 8)
    least = np.partition(part, place, axis=1)[:, place] if place > 0 else np.partition(scores, columns - k, axis=1)[:, columns - k]
    return np.maximum(least, LEAST)


def places(columns: Ints, items: int) -> Ints:
    """Invert a list of covered items: the column of each item (I,), -1 where not covered."""
    place = np.full(items, -1, np.int64)
    place[columns] = np.arange(len(columns))
    return place
