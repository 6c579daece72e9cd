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
            free = lookup(SparseBlock.of(taken).keys, np.ones(taken.nnz, np.float32), keys) == NO_OPINION
            keys, values = keys[free], values[free]
        row = keys // max(self.items, 1)
        order = np.lexsort((-values, row))
        near = np.arange(len(order)) - np.searchsorted(row[order], row[order]) < depth
        return np.asarray(keys[order][near])

    def at(self, row: Ints, item: Ints) -> Floats:
        return lookup(self.keys, self.values, row * self.items + item)


@dataclass(frozen=True)
class DenseBlock:
    """A score for each covered item."""

    values: Floats
    """(B, M), -inf without opinion; overwritten by nobody."""
    columns: Ints
    """Items covered, ascending (M,)."""
    place: Ints
    """Column of each item (I,), -1 for an item not covered."""

    def top(self, taken: sp.csr_matrix, depth: int) -> Ints:
        values = self.values
        if taken.nnz:
            values = values.copy()
            row = np.repeat(np.arange(taken.shape[0]), np.diff(taken.indptr))
            column = self.place[taken.indices]
            values[row[column >= 0], column[column >= 0]] = NO_OPINION
        found, column = top_per_row(values, depth)
        return np.asarray(found * len(self.place) + self.columns[column], np.int64)

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
    """Places (row, column) of the `k` best finite scores of each row; ties go to the smaller column."""
    columns = scores.shape[1]
    mask = scores > NO_OPINION
    if columns > k:
        mask &= scores >= _thresholds(scores, k)[:, None]
    row, column = np.nonzero(mask)
    if len(row) and np.bincount(row).max() > k:
        order = np.lexsort((column, -scores[row, column], row))
        row, column = row[order], column[order]
        best = np.arange(len(row)) - np.searchsorted(row, row) < k
        row, column = row[best], column[best]
    return row, column


def _thresholds(scores: Floats, k: int) -> Floats:
    """A value for each row that at least its `k` best reach, and hardly more than twice as many do.

    Read off every 16th column, and off the whole row where that was too high; a partition of whole rows took a quarter of all time.
    """
    columns = scores.shape[1]
    part = scores[:, ::SAMPLE_STEP]
    place = part.shape[1] - (2 * k // SAMPLE_STEP + 8)
    if place <= 0:
        return np.asarray(np.partition(scores, columns - k, axis=1)[:, columns - k])
    least = np.partition(part, place, axis=1)[:, place]
    short = np.flatnonzero((np.count_nonzero(scores >= least[:, None], axis=1) < k) & (least > NO_OPINION))
    if len(short):
        least[short] = np.partition(scores[short], columns - k, axis=1)[:, columns - k]
    return np.asarray(least)


def places(columns: Ints, items: int) -> Ints:
    """Invert a list of covered items: the column of each item (I,), -1 where not covered."""
    place = np.full(items, -1, np.int64)
    place[columns] = np.arange(len(columns))
    return place
