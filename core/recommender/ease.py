"""EASE: the linear item-to-item model with a closed form (Steck, 2019, eq. 8), on the most bought items."""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from scipy.linalg.lapack import spotrf, spotri

from core.recommender.blocks import NO_OPINION, DenseBlock, places
from core.recommender.interactions import Floats, Interactions, Ints

RIDGE_SHARE = 0.5
"""The ridge is ten times this share of the mean diagonal of the Gram matrix, and at least 25: it grows with the number of users."""


@dataclass(frozen=True)
class Ease:
    """Weights of the M items that the model covers."""

    weights: Floats
    """(M, M), zero diagonal."""
    covered: Ints
    """Their place among all items (M,)."""
    inputs: sp.csr_matrix
    """(U, M) history."""
    items: int

    def block(self, users: Ints) -> DenseBlock:
        rows = self.inputs[users]
        scores = np.asarray(rows @ self.weights, np.float32).reshape(len(users), len(self.covered))
        scores[np.diff(rows.indptr) == 0] = NO_OPINION
        return DenseBlock(scores, self.covered, places(self.covered, self.items))


def fit_ease(known: Interactions, most_items: int) -> Ease:
    """Solve for the weights on the items with most users, float32."""
    pairs = known.pairs(known.act >= 0, half_life_days=60.0)
    keep = pairs.weight > 0
    popular = np.bincount(pairs.item[keep], minlength=known.shape[1])
    order = np.lexsort((np.arange(len(popular)), -popular))[:most_items]
    covered = np.sort(order[popular[order] >= 2]).astype(np.int64)
    value = np.log1p(np.maximum(pairs.decayed[keep], 0) + 0.5 * pairs.count[keep]).astype(np.float32)
    inputs = sp.csr_matrix(sp.csr_matrix((value, (pairs.user[keep], pairs.item[keep])), shape=known.shape)[:, covered])
    if not len(covered):
        return Ease(np.zeros((0, 0), np.float32), covered, inputs, known.shape[1])
    gram = np.asarray((inputs.T @ inputs).toarray(), np.float32)
    ridge = np.float32(max(50.0 * RIDGE_SHARE, 10 * RIDGE_SHARE * float(np.mean(np.diag(gram)))))
    gram[np.diag_indices_from(gram)] += ridge
    inverse = _inverse(gram)
    weights = -inverse / np.diag(inverse)
    weights[np.diag_indices_from(weights)] = 0
    return Ease(np.asarray(weights, np.float32), covered, inputs, known.shape[1])


def _inverse(gram: Floats) -> Floats:
    """Invert a symmetric positive definite matrix through its Cholesky factor, half the work of solving for the identity."""
    factor, failed = spotrf(gram.T, lower=1, overwrite_a=1)
    assert not failed  # the ridge makes it positive definite
    lower, failed = spotri(factor, lower=1, overwrite_c=1)
    assert not failed
    lower = np.tril(lower)
    diagonal = np.diag(lower).copy()
    full = lower + lower.T
    full[np.diag_indices_from(full)] = diagonal
    return np.asarray(full, np.float32)
