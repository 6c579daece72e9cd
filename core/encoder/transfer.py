"""A probe that learned on one log, applied to another: as it is, beside few labels of the other, and against those labels alone."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from core.encoder.probe import DRAWS, FOLDS, PENALTIES, Blocks, Bools, Floats, Scaled, aucs, equal, fit_ridge

LABELLED = (0, 50, 200, 1000)
"""Shoppers of the other log whose labels are shown; all of them come last."""
SAMPLES = 10
"""Draws of the labelled shoppers, whose AUC is averaged: one draw of fifty says little."""
TRUSTED = 5
"""Labelled shoppers of either kind below which a draw is not learned from."""


@dataclass(frozen=True)
class Transferred:
    """How well one way foretells the act on the other log."""

    blocks: str
    labelled: int
    """Shoppers whose labels were shown."""
    transferred: float | None
    """AUC of the probe from the first log, corrected by the labels."""
    low: float | None
    high: float | None
    alone: float | None
    """AUC of the same labels alone; None without labels."""
    gain: float | None
    """Transferred minus alone, on the same draws."""
    gain_low: float | None
    gain_high: float | None


@dataclass(frozen=True)
class Window:
    """Blocks (N, D) of shoppers at a cutoff, and who acts within the horizon after it (N,)."""

    blocks: Blocks
    labels: Bools


def transfer_probe(
    source: Window, target: Window, test: Window, sets: Sequence[tuple[str, ...]], rng: np.random.Generator
) -> list[Transferred]:
    """Apply a ridge regression of one log to another.

    Counts are scaled by their own log's shoppers, without labels: two shops differ in how much is bought, not in what much
    means. Texts lie in one space and are scaled by the first log.

    Args:
        source: Of the first log.
        target: Of the other, whose labels may be shown.
        test: Of the other, at a later cutoff.
        sets: Names of blocks to try together, of those that all three hold.
        rng: For the draws of labelled shoppers, folds and bootstrap.
    """
    draws = rng.integers(0, len(test.labels), (DRAWS, len(test.labels)))
    orders = [rng.permutation(len(target.labels)) for _ in range(SAMPLES)]
    rows: list[Transferred] = []
    for names in sets:
        prior, prior_test, x, x_test = _own(source, target, test, names)
        shown = (*(n for n in LABELLED if n < len(target.labels)), len(target.labels))
        rows += [_judge(names, n, (prior, prior_test), (x, x_test), target.labels, test.labels, orders, draws) for n in shown]
    return rows


def _own(source: Window, target: Window, test: Window, names: tuple[str, ...]) -> tuple[Floats, Floats, Floats, Floats]:
    """Scores of the first log's probe on the other's two windows, and the other's own columns."""
    weights = equal(*names)
    own = Scaled(target.blocks, test.blocks)
    home = Scaled(source.blocks, source.blocks).weighed(weights)[0]
    there, later = (
        np.hstack([_bridged(name, (target if name == "counts" else source).blocks[name], window.blocks[name]) for name in names])
        for window in (target, test)
    )
    learned = _correction(home, source.labels, np.zeros(len(source.labels)))
    x, x_test = own.weighed(weights)
    return there @ learned, later @ learned, x, x_test


def _bridged(name: str, known: npt.NDArray[np.floating], block: npt.NDArray[np.floating]) -> Floats:
    return Scaled({name: known}, {name: block}).weighed(equal(name))[1]


def _correction(x: Floats, labels: Bools, prior: Floats) -> Floats:
    """Weights (D,) that correct a prior (N,) by its residuals, or zeros where they do not.

    The penalty is the one whose answers on held-out folds order all N best. Beside a prior that tells something, a correction must
    be better by a standard error of an AUC (Hanley & McNeil 1982, no ties, chance): fifty labels correct little.
    """
    folds = np.arange(len(x)) % FOLDS
    held_out = np.zeros((len(PENALTIES), len(x)))
    for fold in range(FOLDS):
        held = folds == fold
        for place, weights in enumerate(_residual(x[~held], labels[~held], prior[~held])):
            held_out[place, held] = (x[held] - x[~held].mean(0)) @ weights
    found = aucs((prior + held_out).T, np.repeat(labels[:, None], len(PENALTIES), axis=1))
    best = len(PENALTIES) - 1 - int(found[::-1].argmax())  # of equal ones the strongest penalty: nearest to the prior
    if prior.any():
        positives, negatives = int(labels.sum()), int((~labels).sum())
        error = np.sqrt((positives + negatives + 1) / (12 * positives * negatives))
        if found[best] < aucs(prior[:, None], labels[:, None])[0] + error:
            return np.zeros(x.shape[1])
    return _residual(x, labels, prior)[best]


def _residual(x: Floats, labels: Bools, prior: Floats) -> list[Floats]:
    rest = labels - prior
    return [fitted.weights[:, 0] for fitted in fit_ridge(x - x.mean(0), rest[:, None], PENALTIES)]


def _judge(
    names: tuple[str, ...],
    labelled: int,
    prior: tuple[Floats, Floats],
    x: tuple[Floats, Floats],
    labels: Bools,
    test_labels: Bools,
    orders: list[npt.NDArray[np.int64]],
    draws: npt.NDArray[np.int64],
) -> Transferred:
    nothing = tuple(np.zeros_like(part) for part in prior)
    found: dict[str, list[Floats]] = {"transferred": [], "alone": []}
    for order in orders if 0 < labelled < len(labels) else orders[:1]:
        rows = order[:labelled]
        if labelled and min(labels[rows].sum(), (~labels[rows]).sum()) < TRUSTED:
            continue
        for way, (before, later) in (("transferred", prior), ("alone", nothing)):
            if labelled:
                found[way].append(later + x[1] @ _correction(x[0][rows], labels[rows], before[rows]))
            elif way == "transferred":
                found[way].append(later)
    told = {way: _areas(scores, test_labels, draws) for way, scores in found.items() if scores}
    auc, drawn = told.get("transferred", (None, None))
    alone, alone_drawn = told.get("alone", (None, None))
    low, high = (None, None) if drawn is None else _bounds(drawn)
    gain, gain_low, gain_high = None, None, None
    if auc is not None and alone is not None and drawn is not None and alone_drawn is not None:
        gain, (gain_low, gain_high) = auc - alone, _bounds(drawn - alone_drawn)
    return Transferred(" + ".join(names), labelled, auc, low, high, alone, gain, gain_low, gain_high)


def _areas(scores: list[Floats], labels: Bools, draws: npt.NDArray[np.int64]) -> tuple[float, Floats]:
    """Mean AUC over draws of labelled shoppers, and the same for each bootstrap draw of test shoppers."""
    table = np.stack(scores, axis=1)  # (M, draws of labels)
    auc = float(aucs(table, np.repeat(labels[:, None], table.shape[1], axis=1)).mean())
    drawn = np.array([np.nanmean(aucs(table[rows], np.repeat(labels[rows][:, None], table.shape[1], axis=1))) for rows in draws])
    return auc, drawn


def _bounds(drawn: Floats) -> tuple[float, float]:
    low, high = np.nanquantile(drawn, (0.025, 0.975))
    return float(low), float(high)
