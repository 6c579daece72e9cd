"""How the level of a chance moves from one window to the next: which share of it lasts, and how far it goes beyond that.

A small model is walked through the windows as the large ones are used: fitted on windows up to one, corrected on the next, judged
on the one after. What it finds carries corrections on, and widens ranges, of all models. A shift is what must be added to
log-odds so that as many act as were foretold.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import expit
from scipy.stats import t as student

from core.predictor.baselines import fit_logistic
from core.predictor.matrix import Floats, Matrix, stack

CARRIED, CARRIED_VARIANCE = 0.5, 0.2
"""Share of a shift that lasts, as it is thought to be before any window was seen, and how sure that is."""
BETWEEN, FREEDOM = 0.15, 2
"""Standard deviation of what is left, in log-odds, before any window was seen, and the windows that this is worth. Without: ranges
of a log that was steady so far cover a third of what they state where its level jumps (docs/decisions/0021)."""
FITTED_ON = 4
"""Windows that the small model learns from, as the large ones do."""
MOST_ROWS = 20_000
"""Rows of a window that are looked at; a level needs no more."""


@dataclass(frozen=True)
class Drift:
    """What past windows tell of the next."""

    carried: float = CARRIED
    """Share of a window's shift that is carried on to the next window, 0 to 1."""
    between: float = BETWEEN
    """Standard deviation of what comes on top, in log-odds."""
    freedom: int = FREEDOM
    """Degrees of freedom of `between`: the windows that it rests on, less one that `carried` took."""
    shifts: tuple[tuple[float, float], ...] = ()
    """Of each window that was walked through, and of the one after it, by the same model."""

    def half(self, level: float) -> float:
        """Half of the range (log-odds) that holds the level of the next window with a probability `level`."""
        return float(student.ppf(0.5 + level / 2, self.freedom)) * self.between


def learn_drift(windows: Sequence[tuple[Matrix, Floats]], rng: np.random.Generator) -> Drift:
    """Learn from windows in order of time, all of them before what is foretold.

    Of each three or more windows in a row, all but the last two fit a logistic regression on counts; its shifts in the last two
    are one pair. The share that lasts is the slope through the pairs, pulled towards CARRIED as far as few or noisy pairs leave
    it open (normal prior); the rest is what remains of the pairs, with BETWEEN as the prior of its size (inverse chi-square).

    Args:
        windows: Rows (N, F) and labels (N,) of each; fewer than three tell nothing.
        rng: Draws rows where there are more than MOST_ROWS.
    """
    some = [_drawn(matrix.counts_alone(), labels, rng) for matrix, labels in windows]
    pairs = []
    for last in range(2, len(some)):
        known = some[max(0, last - 1 - FITTED_ON) : last - 1]
        labels = np.concatenate([truth for _, truth in known])
        if 0 < labels.sum() < len(labels):
            model = fit_logistic(stack([matrix for matrix, _ in known]), labels)
            pairs.append(tuple(fit_shift(model.logits(matrix), truth) for matrix, truth in some[last - 1 : last + 1]))
    return drift_of(pairs)


def drift_of(pairs: Sequence[tuple[float, ...]]) -> Drift:
    """What pairs of shifts, of a window and of the one after it, tell of the next window."""
    if not pairs:
        return Drift()
    before, after = np.array(pairs, dtype=np.float64).T
    carried, variance, freedom = CARRIED, BETWEEN**2, FREEDOM + len(pairs) - 1
    for _ in range(20):
        variance = float((FREEDOM * BETWEEN**2 + ((after - carried * before) ** 2).sum()) / freedom)
        precision = 1 / CARRIED_VARIANCE + (before**2).sum() / variance
        carried = float(np.clip((CARRIED / CARRIED_VARIANCE + (before * after).sum() / variance) / precision, 0, 1))
    return Drift(carried, float(np.sqrt(variance)), freedom, tuple((float(a), float(b)) for a, b in zip(before, after, strict=True)))


def drift_of_one(shift: float) -> Drift:
    """What one window that was foretold without a correction tells of the next, where no others were walked through."""
    freedom = FREEDOM + 1
    return Drift(between=float(np.sqrt((FREEDOM * BETWEEN**2 + shift**2) / freedom)), freedom=freedom)


def fit_shift(logits: Floats, labels: Floats) -> float:
    """What must be added to logits (N,) so that as many act as the labels say, pulled to 0 by a quarter of a row."""
    shift = 0.0
    for _ in range(25):
        chance = expit(logits + shift)
        step = float((labels - chance).sum() - 0.25 * shift) / float((chance * (1 - chance)).sum() + 0.25)
        shift += float(np.clip(step, -2, 2))
        if abs(step) < 1e-10:
            break
    return shift


def _drawn(matrix: Matrix, labels: Floats, rng: np.random.Generator) -> tuple[Matrix, Floats]:
    if len(labels) <= MOST_ROWS:
        return matrix, labels
    rows = np.sort(rng.choice(len(labels), MOST_ROWS, replace=False))
    return matrix.rows(rows), labels[rows]
