"""Implicit matrix factorisation by alternating least squares (Hu, Koren and Volinsky, 2008), from the `implicit` package."""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from implicit.cpu.als import AlternatingLeastSquares

from core.recommender.blocks import NO_OPINION, DenseBlock, places
from core.recommender.interactions import Floats, Interactions, Ints

LEAST_USERS = 2
"""Users that an item needs: fewer say nothing about taste."""
ITERATIONS = 12
REGULARISATION = 5.0
CONFIDENCE = 5.0
"""Weight of a touch against an absent pair."""


@dataclass(frozen=True)
class Factors:
    """User and item factors; items with fewer than two users have none."""

    users: Floats
    """(U, F)"""
    items: Floats
    """(M, F)"""
    covered: Ints
    """Place of the M items among all."""
    known: Ints
    """1 for users with a history on covered items (U,)."""
    count: int

    def block(self, users: Ints) -> DenseBlock:
        scores = self.users[users] @ self.items.T  # (B, M)
        scores[self.known[users] == 0] = NO_OPINION
        return DenseBlock(scores, self.covered, places(self.covered, self.count))


def fit_factors(known: Interactions, width: int, seed: int) -> Factors:
    """Factorise decayed act weights; one thread and a seed, so the same log gives the same bytes."""
    pairs = known.pairs(known.act >= 0, half_life_days=60.0)
    keep = pairs.weight > 0
    users = np.bincount(pairs.item[keep], minlength=known.shape[1])
    covered = np.flatnonzero(users >= LEAST_USERS).astype(np.int64)
    value = (CONFIDENCE * np.log1p(np.maximum(pairs.decayed[keep], 0) + 0.3 * pairs.count[keep])).astype(np.float32)
    matrix = sp.csr_matrix(sp.csr_matrix((value, (pairs.user[keep], pairs.item[keep])), shape=known.shape)[:, covered])
    has = np.asarray(np.diff(matrix.indptr) > 0, np.int64)
    if len(covered) < 2:
        return Factors(np.zeros((known.shape[0], 1), np.float32), np.zeros((0, 1), np.float32), covered[:0], has, known.shape[1])
    model = AlternatingLeastSquares(
        factors=min(width, len(covered)), regularization=REGULARISATION, iterations=ITERATIONS, num_threads=1, random_state=seed
    )
    model.fit(matrix, show_progress=False)
    return Factors(np.asarray(model.user_factors), np.asarray(model.item_factors), covered, has, known.shape[1])
