"""From logits to propensities: none, sigmoid (Platt, 1999) or isotonic, chosen by cross-fitted log loss on a later window."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from scipy.special import expit, logit
from sklearn.isotonic import IsotonicRegression

from core.metrics import CLIP, log_losses, mean_estimate
from core.predictor.matrix import Floats, Indices

ISOTONIC_POSITIVES = 1000
"""Isotonic regression is not advised with fewer (scikit-learn's guide); sigmoid has two parameters only."""
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
PRIOR_ROWS = 10.0
"""Strength of the pull of the sigmoid towards the identity, in rows: a handful of labels must not turn it round."""


@dataclass(frozen=True)
class Calibrator:
    """A monotone map from logits to propensities."""

    method: str
    """none, sigmoid or isotonic."""
    slope: float = 1.0
    intercept: float = 0.0
    knots: tuple[tuple[float, float], ...] = ()
    """Isotonic: (logit, propensity), ascending."""
    carried: float = 1.0
    """Share of the window's correction that is carried on to the next window."""

    def apply(self, logits: Floats) -> Floats:
        """Propensities in [CLIP, 1 - CLIP]: never exactly 0 or 1."""
        if self.method == "isotonic":
            places, values = np.array(self.knots).T
            chance = np.interp(logits, places, values)
            # within a step order is kept by a trace of the uncalibrated chance, so that isotonic makes no ties
            chance = 0.98 * chance + 0.02 * expit(self.slope * logits + self.intercept)
        else:
            chance = expit(self.slope * logits + self.intercept)
        return np.clip(np.asarray(chance, dtype=np.float64), CLIP, 1 - CLIP)

    def card(self) -> dict[str, Any]:
        """For the model card."""
        return {"method": self.method, "slope": self.slope, "intercept": self.intercept, "knots": len(self.knots), "carried": self.carried}


@dataclass(frozen=True)
class CalibrationChoice:
    """The calibrator of one model, and what the choice rests on."""

    calibrator: Calibrator
    cross_fitted: Floats
    """Propensities of the calibration rows, each from a calibrator that did not see its user (N,)."""
    losses: dict[str, float]
    """Cross-fitted log loss of each method that was tried."""


def fit_calibrator(method: str, logits: Floats, labels: Floats) -> Calibrator:
    """Fit one method; sigmoid by Newton steps with a prior at the identity."""
    if method == "none":
        return Calibrator("none")
    slope, intercept = _fit_sigmoid(logits, labels)
    if method == "sigmoid":
        return Calibrator("sigmoid", slope, intercept)
    fitted = IsotonicRegression(y_min=CLIP, y_max=1 - CLIP, out_of_bounds="clip").fit(logits, labels)
    knots = tuple((float(x), float(y)) for x, y in zip(fitted.X_thresholds_, fitted.y_thresholds_, strict=True))
    return Calibrator("isotonic", slope, intercept, knots)


def damp(calibrator: Calibrator, carried: float) -> Calibrator:
    """Carry on only a share of a correction: part of what one window shows is that week's weather."""
    if calibrator.method == "none" or carried >= 1:
        return calibrator
    if carried <= 0:
        return Calibrator("none", carried=0.0)
    return Calibrator("sigmoid", 1 + carried * (calibrator.slope - 1), carried * calibrator.intercept, carried=carried)


def learn_carried(windows: list[tuple[Floats, Floats]]) -> float:
    """Learn which share of a window's correction serves the window after it.

    On grocery purchases, over 25 weeks, a full weekly correction made the next week worse by .0016 in log loss, none of it
    was best; where the share of buyers really drifts, all of it is.

    Args:
        windows: Logits and labels of windows in order of time, two or more.
    """
    losses = np.zeros(len(SHARES))
    for (before, earlier), (after, later) in pairwise(windows):
        correction = fit_calibrator("sigmoid", before, earlier)
        losses += [log_losses(later, damp(correction, share).apply(after)).mean() for share in SHARES]
    return SHARES[int(np.argmin(np.round(losses, 9)))]


def choose_calibration(logits: Floats, labels: Floats, folds: Indices) -> CalibrationChoice:
    """Take the simplest method unless another is better by more than one standard error of the paired difference.

    Args:
        logits: Of rows that the model was not fitted on (N,).
        labels: 0/1 (N,).
        folds: Fold of each row's user (N,), two or more.
    """
    positives, negatives = int(labels.sum()), int((1 - labels).sum())
    methods = ["none"]
    if min(positives, negatives) >= 20:
        methods.append("sigmoid")
    if min(positives, negatives) >= ISOTONIC_POSITIVES:
        methods.append("isotonic")
    fitted: dict[str, Floats] = {}
    for method in methods:
        chance = np.empty(len(labels))
        for fold in np.unique(folds):
            judged = folds == fold
            chance[judged] = fit_calibrator(method, logits[~judged], labels[~judged]).apply(logits[judged])
        fitted[method] = chance
    chosen = "none"
    for method in methods[1:]:
        gain = log_losses(labels, fitted[chosen]) - log_losses(labels, fitted[method])
        if gain.mean() > gain.std(ddof=1) / np.sqrt(len(gain)):
            chosen = method
    losses = {method: float(mean_estimate(log_losses(labels, chance)).value) for method, chance in fitted.items()}
    return CalibrationChoice(fit_calibrator(chosen, logits, labels), fitted[chosen], losses)


def _fit_sigmoid(logits: Floats, labels: Floats) -> tuple[float, float]:
    centre = float(logits.mean()) if len(logits) else 0.0
    inputs = np.column_stack([np.ones(len(logits)), logits - centre])
    prior = np.array([centre, 1.0])
    weights, penalty = prior.copy(), np.array([0.25, 0.25 * max(float(logits.var()), 0.1)]) * PRIOR_ROWS
    for _ in range(25):
        chance = expit(inputs @ weights)
        gradient = inputs.T @ (chance - labels) + penalty * (weights - prior)
        curvature = (inputs * (chance * (1 - chance))[:, None]).T @ inputs + np.diag(penalty)
        step = np.linalg.solve(curvature, gradient)
        weights = weights - np.clip(step, -2, 2)
        if np.abs(step).max() < 1e-10:
            break
    slope = max(float(weights[1]), 0.05)  # a falling map would turn every ranking round: that is noise, not calibration
    return slope, float(weights[0]) - slope * centre


@dataclass(frozen=True)
class RangeTable:
    """How far the rate of shoppers alike may lie from their propensity, learned where the models were not fitted.

    A range covers, with the stated level, the rate at which shoppers with this propensity act: it joins the error of the
    reference group's rate, the spread of the ensemble and the shift between windows. It is no range for one shopper's yes or no.
    """

    edges: tuple[float, ...]
    """Inner edges of the reference groups, in logits of propensities."""
    errors: tuple[float, ...]
    """Standard error of each group's rate, in log-odds."""
    shift: float
    """Log-odds between what the reference window promised and what happened."""
    level: float = 0.9
    z: float = 1.6448536269514722

    def around(self, propensities: Floats, spread: Floats) -> tuple[Floats, Floats]:
        """Low and high (N,), with low <= propensity <= high.

        Args:
            propensities: (N,).
            spread: Standard deviation of the ensemble's logits (N,).
        """
        centre = logit(propensities)
        error = np.asarray(self.errors)[np.searchsorted(np.asarray(self.edges), centre, side="right")]
        half = self.z * np.sqrt(error**2 + spread**2 + self.shift**2)
        low, high = expit(centre - half), expit(centre + half)
        return np.clip(np.minimum(low, propensities), CLIP / 2, 1), np.clip(np.maximum(high, propensities), 0, 1 - CLIP / 2)


def fit_ranges(labels: Floats, propensities: Floats) -> RangeTable:
    """Learn a range table from a reference window in equal-count groups of about 150 shoppers, at least 1 and at most 12."""
    groups = int(np.clip(len(labels) // 150, 1, 12))
    centre = logit(propensities)
    order = np.argsort(centre, kind="stable")
    edges, errors = [], []
    for place, part in enumerate(np.array_split(order, groups)):
        if place:
            edges.append(float(centre[part[0]]))
        rate = (labels[part].sum() + 0.5) / (len(part) + 1)
        errors.append(float(1 / np.sqrt((len(part) + 1) * rate * (1 - rate))))
    return RangeTable(tuple(edges), tuple(errors), _fit_shift(centre, labels))


def _fit_shift(centre: Floats, labels: Floats) -> float:
    shift = 0.0
    for _ in range(25):
        chance = expit(centre + shift)
        step = float((labels - chance).sum() - 0.25 * shift) / float((chance * (1 - chance)).sum() + 0.25)
        shift += float(np.clip(step, -2, 2))
        if abs(step) < 1e-10:
            break
    return shift


def coverage(labels: Floats, propensities: Floats, low: Floats, high: Floats, groups: int = 20) -> dict[str, float]:
    """Share of equal-count groups whose rate lies in their mean range, widened by the chance of the group's own labels."""
    groups = int(np.clip(len(labels) // 50, 1, groups))
    held = []
    for part in np.array_split(np.argsort(propensities, kind="stable"), groups):
        chance = float(propensities[part].mean())
        noise = 1.6448536269514722**2 * chance * (1 - chance) / len(part)
        gap = float(labels[part].mean()) - chance
        half = (float(high[part].mean()) - chance) if gap > 0 else (chance - float(low[part].mean()))
        held.append(abs(gap) <= np.sqrt(half**2 + noise))
    return {"stated": 0.9, "measured": float(np.mean(held)), "groups": float(groups)}
