"""The sequence source: which item a transformer over single acts foresees next.

The network is not ours: whoever composes stages hands over its states, made by a network that learned nothing after the cutoff.
"""

from dataclasses import dataclass

import numpy as np

from core.recommender.blocks import NO_OPINION, DenseBlock, Floats, Ints, places
from core.recommender.interactions import Interactions
from core.recommender.options import NextItems

MOST_ITEMS = 10_000
"""Most touched items that are ranked for each user."""


@dataclass(frozen=True)
class Foreseen:
    """States of users and vectors of the M covered items."""

    states: Floats
    """Unit vectors (U, D); zero for a user without acts."""
    vectors: Floats
    """Unit vectors (M, D)."""
    covered: Ints
    place: Ints

    def block(self, users: Ints) -> DenseBlock:
        states = self.states[users]
        scores = states @ self.vectors.T  # (B, M)
        scores[~np.any(states, axis=1)] = NO_OPINION
        return DenseBlock(np.asarray(scores, np.float32), self.covered, self.place)


def fit_next_items(known: Interactions, next_items: NextItems) -> Foreseen | None:
    """Line the states and vectors up with this cutoff's users and items; None when no touched item has a vector.

    Raises:
        CutoffError: The network learned from acts after the cutoff.
    """
    next_items.check(known.cutoff)
    user_row = {user_id: row for row, user_id in enumerate(next_items.user_ids)}
    item_row = {item_id: row for row, item_id in enumerate(next_items.item_ids)}
    users = np.array([user_row.get(user_id, -1) for user_id in known.user_ids], np.int64)
    items = np.array([item_row.get(item_id, -1) for item_id in known.item_ids], np.int64)
    touched = np.bincount(known.item, minlength=known.shape[1])
    order = np.lexsort((np.arange(len(touched)), -touched))
    order = order[(touched[order] > 0) & (items[order] >= 0)][:MOST_ITEMS]
    if not len(order):
        return None
    covered = np.sort(order).astype(np.int64)
    states = np.where((users >= 0)[:, None], next_items.states[users], np.float32(0))
    return Foreseen(states.astype(np.float32), next_items.vectors[items[covered]], covered, places(covered, known.shape[1]))
