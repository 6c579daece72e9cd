"""Shoppers who are like a list of others, and how well that works: seeds that were held out are to be found again."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from core.metrics import wilson

FOLDS = 5
"""Parts of the seed list, each held out once."""
LEAST_SEEDS = 20
"""Below, four seeds are held out at a time, and how many of them come back says nothing."""

Floats = npt.NDArray[np.float64]
Rows = Callable[[], Iterator[tuple[int, npt.NDArray[np.float32]]]]
"""Reads one block of the profiles piece by piece, as often as it is called: first row, rows (n, D)."""


@dataclass(frozen=True)
class Evidence:
    """How many held-out seeds stand among the first shoppers of a list that was made without them."""

    depth: int
    """Length of the list."""
    seeds: int
    recall: float
    low: float
    high: float
    """Wilson 95 % interval."""
    by_chance: float
    """Recall of a list drawn at random."""

    @property
    def lift(self) -> float:
        """Recall ÷ recall by chance."""
        return self.recall / self.by_chance if self.by_chance > 0 else float("nan")


def fold_of_seeds(seeds: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Deal S seeds into FOLDS parts of equal size (S,)."""
    return rng.permutation(np.arange(seeds) % FOLDS)


def alike_scores(blocks: list[Rows], users: int, seeds: npt.NDArray[np.int64], folds: npt.NDArray[np.int64]) -> Floats:
    """Score everybody by closeness to the mean seed, once with all seeds and once without each fold.

    Each block is centred on the mean of everyone, so that what all shoppers share does not count; the score is the mean over blocks of the
    cosine with the mean of the seeds' unit vectors.

    Args:
        blocks: Of the profiles, in one order of U users.
        users: U.
        seeds: Rows of the S seeds.
        folds: Part of each seed (S,), from `fold_of_seeds`.

    Returns:
        (U, 1 + FOLDS): all seeds, then without fold 0, 1, …; in [-1, 1], 0 for an empty profile.
    """
    fold_of = np.full(users, -1)
    fold_of[seeds] = folds
    scores = np.zeros((users, 1 + FOLDS))
    for rows in blocks:
        total, filled = np.zeros(0), 0
        for _start, part in rows():
            own = part.any(axis=1)
            total = (total if total.size else np.zeros(part.shape[1])) + part[own].sum(axis=0, dtype=np.float64)
            filled += int(own.sum())
        mean = total / max(filled, 1)
        sums = np.zeros((FOLDS, len(mean)))
        for start, part in rows():
            unit, own = _unit(part, mean), fold_of[start : start + len(part)]
            for fold in range(FOLDS):
                sums[fold] += unit[own == fold].sum(axis=0)
        wanted = np.stack([sums.sum(axis=0), *(sums.sum(axis=0) - sums[fold] for fold in range(FOLDS))])  # (1 + FOLDS, D)
        wanted /= np.maximum(np.linalg.norm(wanted, axis=1, keepdims=True), 1e-12)
        for start, part in rows():
            scores[start : start + len(part)] += _unit(part, mean) @ wanted.T / len(blocks)
    return scores


def most_alike(scores: Floats, seeds: npt.NDArray[np.int64], most: int) -> npt.NDArray[np.int64]:
    """Rows of the `most` shoppers closest to the seeds, seeds left out, closest first; ties by row."""
    own = scores[:, 0].copy()
    own[seeds] = -np.inf
    order = np.lexsort((np.arange(len(own)), -np.round(own, 9)))
    return order[: min(most, len(own) - len(seeds))]


def judge_alike(scores: Floats, seeds: npt.NDArray[np.int64], folds: npt.NDArray[np.int64], depth: int) -> Evidence:
    """Tell how many held-out seeds stand among the first `depth` shoppers of the list made without them.

    Each fold is looked for among everyone but the seeds that the list was made from.
    """
    found, chance = 0, 0.0
    for fold in range(FOLDS):
        known = seeds[folds != fold]
        own = scores[:, 1 + fold].copy()
        own[known] = -np.inf
        held = seeds[folds == fold]
        others = len(own) - len(known)
        order = np.lexsort((np.arange(len(own)), -np.round(own, 9)))[: min(depth, others)]
        found += int(np.isin(held, order).sum())
        chance += len(held) * min(depth, others) / max(others, 1)
    seeded = len(seeds)
    low, high = wilson(found, seeded)
    return Evidence(depth, seeded, found / max(seeded, 1), low, high, chance / max(seeded, 1))


def _unit(part: npt.NDArray[np.float32], mean: Floats) -> Floats:
    moved = np.where(part.any(axis=1, keepdims=True), part - mean, 0.0)
    return np.asarray(moved / np.maximum(np.linalg.norm(moved, axis=1, keepdims=True), 1e-12))
