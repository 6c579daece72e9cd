"""Items whose text is like what the user likes, with a prior for demand; the one source that knows items without any event."""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from core.recommender.blocks import NO_OPINION, DenseBlock, places, top_per_row
from core.recommender.interactions import Floats, Interactions, Ints
from core.recommender.options import ItemVectorsLike

POPULARITY_PRIOR = 0.08
"""Cosine that a tenfold demand is worth."""


@dataclass(frozen=True)
class Content:
    """Vectors of texts and users."""

    profiles: Floats
    """Unit vectors (U, D); zero for a user without text."""
    vectors: Floats
    """Unit vectors of distinct texts, centred (T, D)."""
    index: Ints
    """Row into `vectors` of each item (I,), -1 without text."""
    prior: Floats
    """What demand adds (I,)."""
    covered: Ints
    """The most wanted items of each text, and one that no act names (M,)."""
    place: Ints
    """Column of each item (I,), -1 when not covered."""
    untouched: Ints
    """Columns of items that no act names, one of each text."""

    def block(self, users: Ints) -> DenseBlock:
        profiles = self.profiles[users]  # (B, D)
        by_text = profiles @ self.vectors.T  # (B, T)
        scores = by_text[:, self.index[self.covered]] + self.prior[self.covered]  # (B, M)
        scores[~np.any(profiles, axis=1)] = NO_OPINION
        return DenseBlock(np.asarray(scores, np.float32), self.covered, self.place)

    def top_untouched(self, block: DenseBlock, depth: int) -> Ints:
        """Keys row * I + item of each row's best `depth` items that nobody has touched, by row."""
        row, column = top_per_row(block.values[:, self.untouched], depth)
        return np.asarray(row * len(self.place) + self.covered[self.untouched[column]], np.int64)

    def cosine(self, left: Ints, right: Ints) -> Floats:
        """Cosine of pairs of items (n,); -1 where one has no text."""
        similarity = np.einsum("nd,nd->n", self.vectors[self.index[left]], self.vectors[self.index[right]])
        return np.where((self.index[left] < 0) | (self.index[right] < 0), np.float32(-1), similarity)


ITEMS_A_TEXT = 3
"""Items with the very same text that are proposed; more would fill a list with one thing."""


def fit_content(known: Interactions, item_vectors: ItemVectorsLike, liked: sp.csr_matrix, demand: Floats) -> Content | None:
    """Place users among texts; None when no item of this cutoff's catalogue has a text.

    Vectors are centred on the mean of the catalogue first: raw encoder similarities lie in a narrow range.
    """
    place = {item_id: number for number, item_id in enumerate(item_vectors.item_ids)}
    found = np.array([place.get(item_id, -1) for item_id in known.item_ids], np.int64)
    index = np.where(found >= 0, np.asarray(item_vectors.index, np.int64)[found], -1)
    chosen = np.flatnonzero(index >= 0)
    if not len(chosen):
        return None
    used = np.unique(index[chosen])
    vectors = np.asarray(item_vectors.vectors, np.float32)[used]
    compact = np.where(index >= 0, np.searchsorted(used, np.maximum(index, 0)), -1)
    centre = vectors.mean(axis=0) if len(used) > 1 else np.zeros(vectors.shape[1], np.float32)
    vectors = _unit(vectors - centre)
    spread = sp.csr_matrix((np.ones(len(chosen), np.float32), (chosen, compact[chosen])), shape=(len(index), len(used)))
    profiles = _unit(np.asarray((liked @ spread) @ vectors, np.float32))
    prior = (POPULARITY_PRIOR * np.log10(1 + demand)).astype(np.float32)
    order = chosen[np.lexsort((chosen, -prior[chosen], compact[chosen]))]
    first = np.arange(len(order)) - np.searchsorted(compact[order], compact[order]) < ITEMS_A_TEXT
    nobody = chosen[known.is_untouched[chosen]]
    new = nobody[np.unique(compact[nobody], return_index=True)[1]]  # one of each text, or a list would fill with one thing
    covered = np.union1d(order[first], new)
    place_of = places(covered, len(index))
    return Content(profiles, vectors, compact, prior, covered, place_of, np.sort(place_of[new]))


def _unit(rows: Floats) -> Floats:
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(np.divide(rows, length, out=np.zeros_like(rows), where=length > 1e-12), np.float32)
