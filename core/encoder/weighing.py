"""How much each block of a profile should count, chosen at a cutoff earlier than the one that judges it."""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from core.encoder.probe import PENALTIES, Blocks, Bools, Floats, Scaled, aucs, can_judge, equal, fit_ridge

LEVELS = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0)
"""Weights tried, relative to the heaviest block; finer ones differ by less than the noise of a validation window."""
LEAST_GAIN = 2e-4
"""AUC by which another weight must be better: less is chance, and weights that chase it do not hold a window later."""
LEAST_SURE = 1.2816
"""Standard errors (bootstrap over validation rows) by which the blocks without one must be worse for that one to keep its weight: nine in
ten of the normal distribution. On a log that drifts a block that is better by chance alone cost .026 of AUC a window later."""
DRAWS = 100
ROUNDS = 4
SEARCHED_ROWS = 20_000
"""Rows of each cutoff that the search reads; a sample of this size tells weights apart."""


@dataclass(frozen=True)
class Weighing:
    """Weights of blocks, and what they reached where they were chosen."""

    weights: dict[str, float]
    """Of every block that was offered; the largest is 1, a block that does not help has 0."""
    auc: float
    subsets: dict[tuple[str, ...], float]
    """Validation AUC of every subset at equal weights."""

    @property
    def best_subset(self) -> tuple[str, ...]:
        """The subset that was best at equal weights; ties go to the smaller one."""
        return max(self.subsets, key=lambda names: (self.subsets[names], -len(names)))


def choose_weights(train: Blocks, valid: Blocks, labels: Bools, valid_labels: Bools, rng: np.random.Generator) -> Weighing:
    """Search weights under which a ridge regression learned on `train` foretells `valid` best.

    Starts from the best subset at equal weights and changes one weight at a time while that helps; then blocks without which the
    validation rows are foretold no worse than chance explains lose their weight, the least sure first.

    Args:
        train: Block → (N, D).
        valid: Block → (M, D), of a cutoff whose label window ends where, or before, the judged one begins.
        labels: (N, T).
        valid_labels: (M, T).
        rng: Samples rows of a log with more than SEARCHED_ROWS users.
    """
    judged = can_judge(labels, valid_labels)
    if not judged.any():  # half of the shoppers of a short log: better few positives than none
        judged = np.all([found.any(0) & ~found.all(0) for found in (labels, valid_labels)], axis=0)
    rows, valid_rows = (_sample(len(found), rng) for found in (labels, valid_labels))
    truth, valid_truth = labels[rows][:, judged], valid_labels[valid_rows][:, judged]
    table = Scaled({name: x[rows] for name, x in train.items()}, {name: x[valid_rows] for name, x in valid.items()})
    known: dict[tuple[float, ...], float] = {}
    names = list(train)

    def scores(weights: dict[str, float]) -> Floats:
        x, x_valid = table.weighed(weights)
        return max((fitted(x_valid) for fitted in fit_ridge(x, truth, PENALTIES)), key=lambda found: _mean_auc(found, valid_truth))

    def quality(weights: dict[str, float]) -> float:
        key = _normed(weights, names)
        if key not in known:
            known[key] = _mean_auc(scores(weights), valid_truth)
        return known[key]

    subsets = {chosen: quality(equal(*chosen)) for size in range(1, len(names) + 1) for chosen in combinations(names, size)}
    best_subset = max(subsets, key=lambda chosen: (subsets[chosen], -len(chosen)))
    best = dict.fromkeys(names, 0.0) | equal(*best_subset)
    for _ in range(ROUNDS):
        before = dict(best)
        for name in names:
            for level in LEVELS:
                tried = best | {name: level}
                if any(tried.values()) and quality(tried) > quality(best) + LEAST_GAIN:
                    best = tried
        if best == before:
            break
    draws = rng.integers(0, len(valid_truth), (DRAWS, len(valid_truth)))

    def drawn(weights: dict[str, float]) -> Floats:
        found = scores(weights)
        return np.array([_mean_auc(found[rows], valid_truth[rows]) for rows in draws])

    while len(used := [name for name in names if best[name] > 0]) > 1:
        with_all = drawn(best)
        lost = {name: with_all - drawn(best | {name: 0.0}) for name in used}
        surely = {name: float(np.nanmean(loss)) / max(float(np.nanstd(loss)), 1e-12) for name, loss in lost.items()}
        least = min(used, key=lambda name: surely[name])
        if surely[least] >= LEAST_SURE:
            break
        best = best | {least: 0.0}
    return Weighing(dict(zip(names, _normed(best, names), strict=True)), quality(best), subsets)


def _normed(weights: dict[str, float], names: list[str]) -> tuple[float, ...]:
    most = max(weights.values())
    return tuple(weights.get(name, 0.0) / most for name in names)


def _sample(total: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    return np.arange(total) if total <= SEARCHED_ROWS else np.sort(rng.choice(total, SEARCHED_ROWS, replace=False))


def _mean_auc(scores: Floats, labels: Bools) -> float:
    return float(np.nanmean(aucs(scores, labels)))
