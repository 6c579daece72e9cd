"""Popularity by crowd: what shoppers of like taste took lately, so that two crowds see two lists of bestsellers.

Crowds are k-means groups of the factorisation's user vectors at the very cutoff; the map's segments learn from the end of the
log and must not be used for an earlier one.
"""

from dataclasses import dataclass

import numpy as np
from sklearn.cluster import MiniBatchKMeans

from core.recommender.blocks import NO_OPINION, DenseBlock, Floats, Ints, places
from core.recommender.factors import Factors
from core.recommender.interactions import Interactions

CROWDS = 16
USERS_A_CROWD = 25
"""Fewer users make no crowd of their own."""
ITEMS = 3000
"""Most wanted items that a crowd's list draws on."""
PRIOR = 20.0
"""Buyers of everyone's that each crowd starts with."""


@dataclass(frozen=True)
class Crowds:
    """Scores by crowd; G crowds, M items."""

    crowd: Ints
    """Of each user (U,), -1 without taste."""
    scores: Floats
    """(G, M)"""
    covered: Ints
    place: Ints

    def block(self, users: Ints) -> DenseBlock:
        crowd = self.crowd[users]
        scores = self.scores[np.maximum(crowd, 0)]  # (B, M)
        scores[crowd < 0] = NO_OPINION
        return DenseBlock(scores, self.covered, self.place)


def fit_crowds(known: Interactions, factors: Factors, recent: Floats, days: float, seed: int) -> Crowds | None:
    """Group users and count each crowd's recent buyers; None where there are too few users for two crowds."""
    has = np.flatnonzero(factors.known > 0)
    number = min(CROWDS, len(has) // USERS_A_CROWD)
    covered = np.sort(np.lexsort((np.arange(len(recent)), -recent))[:ITEMS]).astype(np.int64)
    covered = covered[recent[covered] > 0]
    if number < 2 or not len(covered):
        return None
    vectors = factors.users[has]
    vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    crowd = np.full(known.shape[0], -1, np.int64)
    crowd[has] = MiniBatchKMeans(number, random_state=seed, n_init=3, batch_size=4096).fit_predict(vectors)
    place = places(covered, known.shape[1])
    bought = known.bought
    chosen = (bought.last_days <= days) & (place[bought.item] >= 0) & (crowd[bought.user] >= 0)
    count = np.zeros((number, len(covered)))
    np.add.at(count, (crowd[bought.user[chosen]], place[bought.item[chosen]]), 1.0)
    overall = recent[covered] / max(float(recent[covered].sum()), 1.0)
    scores = (count + PRIOR * overall) / (count.sum(axis=1, keepdims=True) + PRIOR)
    return Crowds(crowd, scores.astype(np.float32), covered, place)
