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
Blocks = Mapping[str, npt.NDArray[np.floating]]
Weights = Mapping[str, float]
"""Block → how much it counts beside the others, at least 0; a block that is not named or weighs 0 is left out."""

PENALTIES = (0.1, 1.0, 10.0, 100.0, 1000.0, 10_000.0, 100_000.0)
FOLDS = 5
FEWEST = 20
"""Positives and negatives of a target in the test, below which its AUC says nothing."""
DRAWS = 300


@dataclass(frozen=True)
class Probed:
    """How well some blocks together foretell the targets."""

    weights: dict[str, float]
    auc: float
    """Mean AUC over the targets that could be judged."""
    low: float
    high: float
    """95 % bootstrap interval over users."""
    gain: float
    """AUC minus that of the first set, or of the one it is told against, on the same users."""
    gain_low: float
    gain_high: float
    behind: float
    """AUC of the last set minus this one, on the same users."""
    behind_low: float
    behind_high: float
    targets: int
    penalty: float


def equal(*names: str) -> dict[str, float]:
    """Blocks that weigh the same."""
    return dict.fromkeys(names, 1.0)


def probe_blocks(
    train: Blocks,
    test: Blocks,
    sets: Sequence[Weights],
    labels: Bools,
    test_labels: Bools,
    rng: np.random.Generator,
    against: Mapping[int, int] | None = None,
    earlier: tuple[Blocks, Bools] | None = None,
) -> list[Probed]:
    """Fit a ridge regression of all targets on each set of blocks, and judge it on other rows.

    Columns are scaled by the training rows, blocks to the weight they are given. The penalty is the one under which an earlier
    cutoff foretells the training rows best, so that it holds what time changes in check as well; without an earlier cutoff it is
    chosen by folds of the training rows.

    Args:
        train: Block → (N, D), of an earlier cutoff; NaN counts as the column's mean.
        test: Block → (M, D), of a later one.
        sets: Weights of blocks to try together; the first set is what the others are compared with, and so is the last.
        labels: Who acted on which target within the horizon (N, T).
        test_labels: The same for the test (M, T).
        rng: For folds and bootstrap; every set meets the same draws.
        against: Place of a set → place of the one that its gain is told against, where that is not the first.
        earlier: Blocks and labels (K, T) of a cutoff before that of `train`.
    """
    judged = can_judge(labels, test_labels)
    before = None if earlier is None else (Scaled(earlier[0], train), earlier[1][:, judged])
    labels, test_labels = labels[:, judged], test_labels[:, judged]
    table = Scaled(train, test)
    folds = rng.permutation(len(labels)) % FOLDS
    draws = rng.integers(0, len(test_labels), (DRAWS, len(test_labels)))
    found: list[tuple[float, float, Floats]] = []
    for weights in sets:
        x, x_test = table.weighed(weights)
        penalty = _choose(x, labels, folds) if before is None else _foretelling(*before[0].weighed(weights), before[1], labels)
        scores = fit_ridge(x, labels, [penalty])[0](x_test)
        drawn = np.array([np.nanmean(aucs(scores[rows], test_labels[rows])) for rows in draws])
        found.append((penalty, float(aucs(scores, test_labels).mean()), drawn))
    _, last_auc, last = found[-1]
    rivals = [found[(against or {}).get(place, 0)] for place in range(len(found))]
    return [
        Probed(
            {name: weight for name, weight in weights.items() if weight > 0},
            auc,
            *_interval(drawn),
            auc - rival_auc,
            *_interval(drawn - rival),
            last_auc - auc,
            *_interval(last - drawn),
            labels.shape[1],
            penalty,
        )
        for weights, (penalty, auc, drawn), (_, rival_auc, rival) in zip(sets, found, rivals, strict=True)
    ]


def score_unseen(
    train: Blocks,
    test: Blocks,
    weights: Weights,
    labels: Bools,
    folds: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]],
    rng: np.random.Generator,
) -> Floats:
    """Score each row of the test by a probe that learned from other folds alone: of no shopper that it scores it saw a label.

    Args:
        train: Block → (N, D), of an earlier cutoff.
        test: Block → (M, D), of a later one.
        weights: Of the blocks.
        labels: One target (N, 1).
        folds: Fold of each row of the two, 0 to FOLDS - 1; a shopper has the same in both.
        rng: For the folds that choose the penalty.

    Returns:
        Scores (M,).
    """
    scores = np.zeros(len(folds[1]))
    for fold in range(FOLDS):
        learns, judged = folds[0] != fold, folds[1] == fold
        if not judged.any() or not learns.any():
            continue
        known = {name: block[learns] for name, block in train.items()}
        x, x_test = Scaled(known, {name: block[judged] for name, block in test.items()}).weighed(weights)
        penalty = _choose(x, labels[learns], rng.permutation(len(x)) % FOLDS)
        scores[judged] = fit_ridge(x, labels[learns], [penalty])[0](x_test)[:, 0]
    return scores


def _interval(drawn: Floats) -> tuple[float, float]:
    low, high = np.quantile(drawn, (0.025, 0.975))
    return float(low), float(high)


def can_judge(*labels: Bools) -> Bools:
    """Which targets (T,) have enough of both kinds at every cutoff: FEWEST, so that every fold most likely holds some."""
    enough: Bools = np.all([(found.sum(0) >= FEWEST) & ((~found).sum(0) >= FEWEST) for found in labels], axis=0)
    return enough


class Scaled:
    """Blocks of two sets of rows, each column scaled by the first set and each block to a mean squared length of 1."""

    def __init__(self, train: Blocks, test: Blocks) -> None:
        self._blocks = {name: _scaled(train[name], test[name]) for name in train}

    def weighed(self, weights: Weights) -> tuple[Floats, Floats]:
        """Columns of the weighed blocks side by side, of both sets of rows."""
        kept = [(name, weight) for name, weight in weights.items() if weight > 0]
        first, second = (np.hstack([self._blocks[name][place] * weight for name, weight in kept]) for place in (0, 1))
        return first, second


def _scaled(train: npt.NDArray[np.floating], test: npt.NDArray[np.floating]) -> tuple[Floats, Floats]:
    values = train.astype(np.float64)
    known = np.isfinite(values)
    mean = np.where(known, values, 0).sum(0) / np.maximum(known.sum(0), 1)
    filled = np.where(known, values, mean)
    spread = filled.std(0)
    scale = np.where(spread > 1e-9, spread, np.inf) * np.sqrt(values.shape[1])
    test_filled = np.where(np.isfinite(test), test, mean)
    return (filled - mean) / scale, (test_filled - mean) / scale


@dataclass(frozen=True)
class Linear:
    """A fitted ridge regression."""

    weights: Floats
    """(D, T)."""
    mean: Floats
    """Share of each target in the training rows (T,)."""

    def __call__(self, x: Floats) -> Floats:
        """Scores (N, T)."""
        scores: Floats = x @ self.weights + self.mean
        return scores


def fit_ridge(x: Floats, labels: Bools | Floats, penalties: Sequence[float]) -> list[Linear]:
    """Ridge regressions of one table under several penalties, by one decomposition.

    Args:
        x: Centred columns (N, D).
        labels: (N, T); truths, or numbers to be met.
        penalties: In percent of the mean squared length of a row, above 0.
    """
    mean = labels.mean(0)
    target = labels - mean
    unit = 1e-2 * float((x**2).sum(1).mean())
    is_tall = x.shape[0] >= x.shape[1]
    spread, vectors = np.linalg.eigh(x.T @ x if is_tall else x @ x.T)
    turned = vectors.T @ (x.T @ target if is_tall else target)
    solved = (vectors @ (turned / (np.maximum(spread, 0) + penalty * unit + 1e-12)[:, None]) for penalty in penalties)
    return [Linear(weights if is_tall else x.T @ weights, mean) for weights in solved]


def _foretelling(x: Floats, later: Floats, labels: Bools, later_labels: Bools) -> float:
    """The penalty under which rows of one cutoff foretell those of a later one best; of equals, the larger."""
    found = [float(np.nan_to_num(np.nanmean(aucs(fitted(later), later_labels)))) for fitted in fit_ridge(x, labels, PENALTIES)]
    return max(zip(found, PENALTIES, strict=True))[1]


def _choose(x: Floats, labels: Bools, folds: npt.NDArray[np.int64]) -> float:
    quality = np.zeros(len(PENALTIES))
    for fold in range(FOLDS):
        held = folds == fold
        for place, fitted in enumerate(fit_ridge(x[~held], labels[~held], PENALTIES)):
            areas = aucs(fitted(x[held]), labels[held])
            if np.isfinite(areas).any():  # a fold of a rare target may hold nobody who acts
                quality[place] += np.nanmean(areas)
    return PENALTIES[int(quality.argmax())]


def aucs(scores: Floats, labels: Bools) -> Floats:
    """AUC of each target (T,), ties counted half; NaN where all labels are alike."""
    ranks = rankdata(scores, axis=0)
    positives = labels.sum(0).astype(np.float64)
    negatives = len(labels) - positives
    with np.errstate(divide="ignore", invalid="ignore"):
        areas: Floats = ((ranks * labels).sum(0) - positives * (positives + 1) / 2) / (positives * negatives)
    return areas
