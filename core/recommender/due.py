"""What is due again: a renewal model of each pair of user and item that was taken before.

The time between two takings of an item is the user's own mean gap, shrunk to the item's and to everyone's; a pair that is
silent for long may have ended (after Schmittlein, Morrison and Colombo 1987, Counting your customers).
"""

import numpy as np
import scipy.sparse as sp

from core.recommender.interactions import Interactions

OWN_WEIGHT = 2.0
"""Gaps of the item that weigh as much as one of the user's own count for half each at two."""
PATIENCE = 3.0
"""Gaps of silence after which a pair has lost a factor e of its chance to go on."""


def due_scores(known: Interactions, horizon_days: float) -> sp.csr_matrix:
    """Give each pair the chance that the item is taken again within the horizon (U, I), in (0, 1)."""
    pairs, items = known.bought, known.shape[1]
    again = pairs.count >= 2
    gaps = (pairs.count - 1).astype(np.float64)
    spans = np.where(again, (pairs.first_days - pairs.last_days).astype(np.float64), 0.0)
    everyone = spans[again].sum() / max(gaps[again].sum(), 1.0) if again.any() else 4.0 * horizon_days
    taken = np.bincount(pairs.item[again], weights=gaps[again], minlength=items)
    span = np.bincount(pairs.item[again], weights=spans[again], minlength=items)
    of_item = (span + 5.0 * everyone) / (taken + 5.0)
    gap = np.maximum((spans + OWN_WEIGHT * of_item[pairs.item]) / (np.where(again, gaps, 0.0) + OWN_WEIGHT), 0.5)
    takers = np.bincount(pairs.item, minlength=items)
    repeaters = np.bincount(pairs.item[again], minlength=items)
    share = (repeaters + 1.0) / (takers + 5.0)
    goes_on = np.where(again, 1 - 0.5**gaps, share[pairs.item])
    silence = np.maximum(pairs.last_days / gap - 1.0, 0.0)
    chance = goes_on * np.exp(-silence / PATIENCE) * (1 - np.exp(-horizon_days / gap))
    return pairs.matrix(np.maximum(chance, 1e-9).astype(np.float32), known.shape)
