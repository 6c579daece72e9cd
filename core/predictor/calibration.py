"""From logits to propensities: none, a shift, sigmoid (Platt, 1999) or isotonic, chosen by cross-fitted log loss on a later window."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import expit, logit
from sklearn.isotonic import IsotonicRegression

from core.metrics import CLIP, log_losses, mean_estimate
from core.predictor.drift import Drift, fit_shift
from core.predictor.matrix import Floats, Indices

ISOTONIC_POSITIVES = 1000
"""Isotonic regression is not advised with fewer (scikit-learn's guide); sigmoid has two parameters only."""
GROUP_ROWS, MOST_GROUPS = 50, 20
"""Fewest rows of a group whose rate is looked at, and most groups."""
IN_TIME = ("shift", "sigmoid")
"""Methods where the window that calibrates lies after those that taught: its level always differs a little, and what of that lasts is
known from earlier windows. A shape beyond two parameters does not last; with "none" and isotonic beside them the test windows of Complete
Journey are .0002 to .0008 worse in log loss (docs/decisions/0021)."""
IN_PLACE = ("none", "sigmoid", "isotonic")
"""Methods where the rows that calibrate are of the windows that taught."""
FEWEST = {"sigmoid": 20, "isotonic": ISOTONIC_POSITIVES}
"""Rows of the rarer label that a method needs."""
PRIOR_ROWS = 10.0
"""Strength of the pull of the sigmoid towards the identity, in rows: a handful of labels must not turn it round."""


@dataclass(frozen=True)
class Calibrator:
    """A monotone map from logits to propensities."""

    method: str
    """none, shift (a sigmoid of slope 1), sigmoid or isotonic."""
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
    if method == "shift":
        return Calibrator("shift", intercept=fit_shift(logits, labels))
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
    method = "shift" if calibrator.method == "shift" else "sigmoid"
    return Calibrator(method, 1 + carried * (calibrator.slope - 1), carried * calibrator.intercept, carried=carried)


def choose_calibration(logits: Floats, labels: Floats, folds: Indices, methods: Sequence[str] = IN_PLACE) -> CalibrationChoice:
    """Take the simplest method unless another is better by more than one standard error of the paired difference.

    Args:
        logits: Of rows that the model was not fitted on (N,).
        labels: 0/1 (N,).
        folds: Fold of each row's user (N,), two or more.
        methods: Simplest first; those that need more of the rarer label than there is are left out.
    """
    rarer = min(int(labels.sum()), int((1 - labels).sum()))
    methods = [method for place, method in enumerate(methods) if not place or rarer >= FEWEST[method]]
    fitted: dict[str, Floats] = {}
    for method in methods:
        chance = np.empty(len(labels))
        for fold in np.unique(folds):
            judged = folds == fold
            chance[judged] = fit_calibrator(method, logits[~judged], labels[~judged]).apply(logits[judged])
        fitted[method] = chance
    chosen = methods[0]
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

    def loss(some: Floats) -> float:
        logits = inputs @ some
        return float((np.logaddexp(0, logits) - labels * logits).sum() + 0.5 * (penalty * (some - prior) ** 2).sum())

    for _ in range(25):
        chance = expit(inputs @ weights)
        gradient = inputs.T @ (chance - labels) + penalty * (weights - prior)
        curvature = (inputs * (chance * (1 - chance))[:, None]).T @ inputs + np.diag(penalty)
        step = np.clip(np.linalg.solve(curvature, gradient), -2, 2)
        now = loss(weights)
        while loss(weights - step) > now + 1e-9:  # far from the best slope whole steps swing around it for ever
            step = step / 2
        weights = weights - step
        if np.abs(step).max() < 1e-10:
            break
    slope = max(float(weights[1]), 0.05)  # a falling map would turn every ranking round: that is noise, not calibration
    return slope, float(weights[0]) - slope * centre


@dataclass(frozen=True)
class RangeTable:
    """How far the rate of shoppers alike may lie from their propensity in a window that is still to come.

    A range covers, with the stated level, the rate at which shoppers with this propensity act: it joins how the level moves
    between windows, how the rates of groups strayed in the last window beyond chance, and the error of the ensemble. It is no
    range for one shopper's yes or no.
    """

    edges: tuple[float, ...]
    """Inner edges of the reference groups, in logits of propensities; runs of earlier releases have some."""
    errors: tuple[float, ...]
    """Standard deviation, beyond chance, of the rates of a reference window around their propensities, in log-odds."""
    shift: float
    """Of the level between windows, in log-odds; widened for how few windows it rests on."""
    level: float = 0.9
    z: float = 1.6448536269514722
    spread_share: float = 1.0
    """Of the spread of the members: an ensemble of four errs by half of it."""

    def around(self, propensities: Floats, spread: Floats) -> tuple[Floats, Floats]:
        """Low and high (N,), with low <= propensity <= high.

        Args:
            propensities: (N,).
            spread: Standard deviation of the ensemble's logits (N,).
        """
        centre = logit(propensities)
        error = np.asarray(self.errors)[np.searchsorted(np.asarray(self.edges), centre, side="right")]
        half = self.z * np.sqrt(error**2 + (self.spread_share * spread) ** 2 + self.shift**2)
        low, high = expit(centre - half), expit(centre + half)
        return np.clip(np.minimum(low, propensities), CLIP / 2, 1), np.clip(np.maximum(high, propensities), 0, 1 - CLIP / 2)


def fit_ranges(labels: Floats, propensities: Floats, drift: Drift | None = None) -> RangeTable:
    """Learn a range table from a reference window and from how the level moves between windows.

    Args:
        labels: 0/1 of the reference window (N,).
        propensities: Of the same rows, by a model that was not fitted on them.
        drift: None where the rows that are foretold lie in the same window.
    """
    centre = logit(propensities)
    error = _beyond_chance(centre + fit_shift(centre, labels), labels)
    shift = 0.0 if drift is None else drift.half(RangeTable.level) / RangeTable.z
    return RangeTable((), (error,), shift, spread_share=0.5)


def _beyond_chance(centre: Floats, labels: Floats) -> float:
    """Standard deviation of the rates of equal-count groups around their propensities, beyond that of chance, in log-odds."""
    groups = int(np.clip(len(labels) // GROUP_ROWS, 1, MOST_GROUPS))
    gaps, weights = np.zeros(groups), np.zeros(groups)
    for place, part in enumerate(np.array_split(np.argsort(centre, kind="stable"), groups)):
        chance = float(expit(centre[part]).mean())
        weights[place] = len(part) * chance * (1 - chance)
        gaps[place] = (labels[part].sum() - len(part) * chance) / weights[place]
    return float(np.sqrt(max(0.0, ((weights * gaps**2).sum() - groups) / weights.sum())))


def coverage(labels: Floats, propensities: Floats, low: Floats, high: Floats, groups: int = MOST_GROUPS) -> dict[str, float]:
    """Share of equal-count groups whose rate lies in their mean range, widened by the chance of the group's own labels."""
    groups = int(np.clip(len(labels) // GROUP_ROWS, 1, groups))
    parts = np.array_split(np.argsort(propensities, kind="stable"), groups)
    return coverage_of(labels, propensities, low, high, parts)


def coverage_of(labels: Floats, propensities: Floats, low: Floats, high: Floats, parts: Sequence[Indices]) -> dict[str, float]:
    """The same of given groups, each a list of rows.

    Returns:
        `stated`, `measured` (0-1), `groups`, and `without_width`: the share that ranges of no width would hold, by the chance of labels
        alone. The nearer `measured` is to it, the less it tells.
    """
    held, alone = [], []
    for part in parts:
        chance = float(propensities[part].mean())
        noise = 1.6448536269514722**2 * chance * (1 - chance) / len(part)
        gap = float(labels[part].mean()) - chance
        half = (float(high[part].mean()) - chance) if gap > 0 else (chance - float(low[part].mean()))
        held.append(abs(gap) <= np.sqrt(half**2 + noise))
        alone.append(abs(gap) <= np.sqrt(noise))
    measured, without = float(np.mean(held)), float(np.mean(alone))
    return {"stated": RangeTable.level, "measured": measured, "groups": float(len(held)), "without_width": without}
