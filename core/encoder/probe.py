"""What each block of a profile adds: a linear probe of blocks alone and together, with intervals.

A probe may only weigh what a block already says (Alain & Bengio 2016, arXiv:1610.01644), so a gain is the block's and not
that of a clever model on top of it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

PENALTIES = (0.1, 1.0, 10.0, 100.0, 1000.0)
FOLDS = 5
FEWEST = 20
"""Positives and negatives of a target in the test, below which its AUC says nothing."""
DRAWS = 300


@dataclass(frozen=True)
class Probed:
    """How well some blocks together foretell the targets."""

    blocks: tuple[str, ...]
    auc: float
    """Mean AUC over the targets that could be judged."""
    low: float
    high: float
    """95 % bootstrap interval over users."""
    gain: float
    """AUC minus that of the first set, on the same users."""
    gain_low: float
    gain_high: float
    targets: int
    penalty: float


def probe_blocks(
    train: Mapping[str, npt.NDArray[np.floating]],
    test: Mapping[str, npt.NDArray[np.floating]],
    sets: Sequence[tuple[str, ...]],
    labels: Bools,
    test_labels: Bools,
    rng: np.random.Generator,
) -> list[Probed]:
    """Fit a ridge regression of all targets on each set of blocks, and judge it on other rows.

    Columns are scaled by the training rows, blocks to equal weight, and the penalty is chosen by folds of the training rows.

    Args:
        train: Block → (N, D), of an earlier cutoff; NaN counts as the column's mean.
        test: Block → (M, D), of a later one.
        sets: Names of blocks to try together; the first is what the others are compared with.
        labels: Who acted on which target within the horizon (N, T).
        test_labels: The same for the test (M, T).
        rng: For folds and bootstrap; every set meets the same draws.
    """
    judged = can_judge(labels, test_labels)
    labels, test_labels = labels[:, judged], test_labels[:, judged]
    scaled = {name: _scaled(train[name], test[name]) for name in train}
    folds = rng.permutation(len(labels)) % FOLDS
    draws = rng.integers(0, len(test_labels), (DRAWS, len(test_labels)))
    found: list[Probed] = []
    first: Floats | None = None
    first_auc = 0.0
    for names in sets:
        x, x_test = (np.hstack([scaled[name][place] for name in names]) for place in (0, 1))
        penalty = _choose(x, labels, folds)
        scores = _fit(x, labels, penalty)(x_test)
        auc = float(_aucs(scores, test_labels).mean())
        drawn = np.array([np.nanmean(_aucs(scores[rows], test_labels[rows])) for rows in draws])
        if first is None:
            first, first_auc = drawn, auc
        low, high = np.quantile(drawn, (0.025, 0.975))
        gain_low, gain_high = np.quantile(drawn - first, (0.025, 0.975))
        found.append(
            Probed(names, auc, float(low), float(high), auc - first_auc, float(gain_low), float(gain_high), labels.shape[1], penalty)
        )
    return found


def can_judge(labels: Bools, test_labels: Bools) -> Bools:
    """Which targets (T,) have enough of both kinds: FEWEST in the test, and in every fold of the training rows most likely some."""
    enough = [(found.sum(0) >= FEWEST) & ((~found).sum(0) >= FEWEST) for found in (labels, test_labels)]
    both: Bools = enough[0] & enough[1]
    return both


def _scaled(train: npt.NDArray[np.floating], test: npt.NDArray[np.floating]) -> tuple[Floats, Floats]:
    values = train.astype(np.float64)
    known = np.isfinite(values)
    mean = np.where(known, values, 0).sum(0) / np.maximum(known.sum(0), 1)
    filled = np.where(known, values, mean)
    spread = filled.std(0)
    scale = np.where(spread > 1e-9, spread, np.inf) * np.sqrt(values.shape[1])
    test_filled = np.where(np.isfinite(test), test, mean)
    return (filled - mean) / scale, (test_filled - mean) / scale


def _fit(x: Floats, labels: Bools, penalty: float) -> "_Linear":
    """Ridge in the smaller of its two forms; the penalty is a share of the mean squared length of a row."""
    mean = labels.mean(0)
    target = labels - mean
    ridge = penalty * 1e-2 * float((x**2).sum(1).mean())
    if x.shape[0] >= x.shape[1]:
        weights = np.linalg.solve(x.T @ x + ridge * np.eye(x.shape[1]), x.T @ target)
    else:
        weights = x.T @ np.linalg.solve(x @ x.T + ridge * np.eye(x.shape[0]), target)
    return _Linear(weights, mean)


@dataclass(frozen=True)
class _Linear:
    weights: Floats
    mean: Floats

    def __call__(self, x: Floats) -> Floats:
        scores: Floats = x @ self.weights + self.mean
        return scores


def _choose(x: Floats, labels: Bools, folds: npt.NDArray[np.int64]) -> float:
    quality = np.zeros(len(PENALTIES))
    for place, penalty in enumerate(PENALTIES):
        for fold in range(FOLDS):
            held = folds == fold
            quality[place] += np.nanmean(_aucs(_fit(x[~held], labels[~held], penalty)(x[held]), labels[held]))
    return PENALTIES[int(quality.argmax())]


def _aucs(scores: Floats, labels: Bools) -> Floats:
    """AUC of each target (T,), ties counted half; NaN where all labels are alike."""
    ranks = rankdata(scores, axis=0)
    positives = labels.sum(0).astype(np.float64)
    negatives = len(labels) - positives
    with np.errstate(divide="ignore", invalid="ignore"):
        areas: Floats = ((ranks * labels).sum(0) - positives * (positives + 1) / 2) / (positives * negatives)
    return areas
