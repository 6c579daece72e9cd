"""Measures of lists beside recall and nDCG of core.metrics: where the first hit stands, how wide and how even the lists are."""

from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from core.recommender.blocks import Ints

Values = npt.NDArray[np.float64]

LIFTS = (0.02, 0.05, 0.1, 0.2)
"""Relative lifts that a trial may be planned for."""


def mrr_at_k(relevant: list[set[str]], lists: list[list[str]], k: int) -> Values:
    """Reciprocal rank of each user's first relevant item among the first `k`, 0 without one (U,)."""
    return np.array(
        [
            next((1 / place for place, item in enumerate(shown[:k], 1) if item in truth), 0.0)
            for truth, shown in zip(relevant, lists, strict=True)
        ]
    )


def map_at_k(relevant: list[set[str]], lists: list[list[str]], k: int) -> Values:
    """Average precision of each user's first `k` over all relevant items, as trec_eval and ranx count it (U,)."""
    figures = []
    for truth, shown in zip(relevant, lists, strict=True):
        hits = np.array([item in truth for item in shown[:k]], np.float64)
        precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
        figures.append(float((precision * hits).sum()) / len(truth))
    return np.array(figures)


def hit_at_k(relevant: list[set[str]], lists: list[list[str]], k: int) -> Values:
    """1 for each user with a relevant item among the first `k` (U,)."""
    return np.array([float(not truth.isdisjoint(shown[:k])) for truth, shown in zip(relevant, lists, strict=True)])


def diversity(kinds: Ints) -> float:
    """Share of pairs of a list that are of two kinds; items without a kind (-1) are left out, NaN below two items."""
    kinds = kinds[kinds >= 0]
    n = len(kinds)
    if n < 2:
        return float("nan")
    sizes = np.unique(kinds, return_counts=True)[1]
    return float(1 - (sizes * (sizes - 1)).sum() / (n * (n - 1)))


def gini(exposure: Ints) -> float:
    """How unevenly lists treat the catalogue: 0 when every item is shown as often, near 1 when one takes all; NaN without any."""
    total, n = int(exposure.sum()), len(exposure)
    if not total:
        return float("nan")
    rising = np.sort(exposure).astype(np.float64)
    return float(2 * (np.arange(1, n + 1) * rising).sum() / (n * total) - (n + 1) / n)


def plan_trial(rate: float, power: float = 0.8, level: float = 0.05) -> list[dict[str, float]]:
    """Give the size of a trial of two lists for each relative lift in LIFTS.

    Two-sided test of two shares with unequal variances (Fleiss, Levin and Paik 2003, eq. 4.14 without continuity).

    Args:
        rate: Share of shoppers who take at least one listed item under the present list, above 0 and below 1.
        power: Chance to find a lift that is there.
        level: Chance to find one that is not.

    Returns:
        lift, rate, expected (rate with the lift) and users (of each arm); lifts past a rate of 1 are left out.
    """
    if not 0 < rate < 1:
        return []
    normal = NormalDist()
    reach, found = normal.inv_cdf(1 - level / 2), normal.inv_cdf(power)
    rows = []
    for lift in LIFTS:
        expected = rate * (1 + lift)
        if expected >= 1:
            continue
        mean = (rate + expected) / 2
        root = reach * np.sqrt(2 * mean * (1 - mean)) + found * np.sqrt(rate * (1 - rate) + expected * (1 - expected))
        rows.append({"lift": lift, "rate": rate, "expected": expected, "users": float(np.ceil((root / (expected - rate)) ** 2))})
    return rows
