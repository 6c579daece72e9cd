"""Items that the same users take: cosine of item columns, shrunk, the nearest 100 kept.

Also the evidence for "Often bought with X".
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse as sp

from core.recommender.blocks import SparseBlock
from core.recommender.interactions import Floats, Interactions, Ints

NEIGHBOURS = 100
SHRINK = 5.0
"""Added to the denominator: two items with one common buyer are no twins."""
HISTORY = 100
"""Most recent items of a user that count: bounds the work by U x HISTORY^2, and one robot cannot link everything."""
CROWDED = 4_000_000
"""In a block with more pairs than this, pairs with a single common user are dropped: sorting them would be most of the work."""
CELLS = 20_000_000
"""Largest intermediate block, about 240 MB."""


@dataclass(frozen=True)
class ItemNeighbours:
    """The item graph and the users' histories on it."""

    similarity: sp.csr_matrix
    """(I, I), row i holds how much having item i speaks for others; no diagonal."""
    history: sp.csr_matrix
    """(U, I) how much each item of the history counts."""

    @cached_property
    def towards(self) -> sp.csr_matrix:
        """Row n: which items speak for item n (I, I)."""
        return sp.csr_matrix(self.similarity.T)

    def block(self, users: Ints) -> SparseBlock:
        return SparseBlock.of(sp.csr_matrix(self.history[users] @ self.similarity))


def fit_item_knn(known: Interactions) -> ItemNeighbours:
    """Count common users of items by blocks of rows and keep each item's nearest."""
    history = recent_history(known, HISTORY)
    binary = history.copy()
    binary.data = np.ones_like(binary.data)
    by_item = sp.csr_matrix(binary.T)
    norm = np.sqrt(np.asarray(binary.sum(axis=0)).ravel())
    lengths = np.diff(binary.indptr)
    work = by_item @ lengths.astype(np.float64)
    items = known.shape[1]
    parts, start = [], 0
    while start < items:
        stop = start + max(1, int(np.searchsorted(np.cumsum(work[start:]), CELLS)))
        parts.append(_nearest(by_item[start:stop], binary, norm, start))
        start = stop
    similarity = sp.csr_matrix(sp.vstack(parts)) if parts else sp.csr_matrix((items, items), dtype=np.float32)
    return ItemNeighbours(similarity, history)


def recent_history(known: Interactions, most: int) -> sp.csr_matrix:
    """Each user's most recent items (U, I), newer ones counting more (half after 60 days, floor a quarter)."""
    pairs = known.pairs(known.act >= 0, half_life_days=60.0)
    keep = pairs.weight > 0
    user, item, last = pairs.user[keep], pairs.item[keep], pairs.last_days[keep]
    order = np.lexsort((item, last, user))
    user, item, last = user[order], item[order], last[order]
    starts = np.searchsorted(user, user)
    first = np.arange(len(user)) - starts < most
    value = (0.25 + 0.75 * np.exp2(-last[first] / 60.0)).astype(np.float32)
    return sp.csr_matrix((value, (user[first], item[first])), shape=known.shape)


def _nearest(rows: sp.csr_matrix, binary: sp.csr_matrix, norm: Floats, start: int) -> sp.csr_matrix:
    common = sp.csr_matrix(rows @ binary)
    common.sort_indices()
    row = np.repeat(np.arange(common.shape[0]), np.diff(common.indptr))
    col = common.indices
    value = common.data / (norm[row + start] * norm[col] + SHRINK)
    keep = col != row + start
    if common.nnz > CROWDED:
        keep &= common.data >= 2
    row, col, value = row[keep], col[keep], value[keep].astype(np.float32)
    order = np.lexsort((col, -value, row))
    row, col, value = row[order], col[order], value[order]
    near = np.arange(len(row)) - np.searchsorted(row, row) < NEIGHBOURS
    return sp.csr_matrix((value[near], (row[near], col[near])), shape=common.shape)
