"""Learners of what a treatment changes, cross-fitted, so that nobody's estimate has seen her own outcome.

N shoppers, F features.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

FOLDS = 5
CLIPPED = 0.02
"""Chances of being treated are held between this and one minus this: one shopper must not weigh more than fifty."""


@dataclass(frozen=True)
class LearnerOptions:
    """How trees learn: small ones, because effects are small beside what shoppers do anyway."""

    rounds: int = 60
    learning_rate: float = 0.05
    leaves: int = 7
    leaf_rows: int = 20
    feature_share: float = 0.7


@dataclass(frozen=True)
class Fitted:
    """What is said of each shopper by learners that did not see her (N,)."""

    uplift_x: Floats
    """By the X-learner (Künzel et al., 2019)."""
    uplift_t: Floats
    """By the T-learner: outcome if treated minus outcome if not."""
    effect: Floats
    """Doubly robust signal (Robins, Rotnitzky and Zhao, 1994): its mean over any group is the group's effect. Noisy for one shopper."""
    propensity: Floats
    """Chance of being treated."""


def treatment_chance(values: Floats, treated: Flags, rng: np.random.Generator, options: LearnerOptions) -> Floats:
    """Chance of being treated by features of before (N,), cross-fitted."""
    found = np.zeros(len(treated))
    for learned, judged in _folds(treated, rng):
        model = _fit(values[learned], treated[learned].astype(np.float64), options, binary=True)
        found[judged] = model(values[judged])
    return found


def fit_uplift(
    values: Floats,
    treated: Flags,
    outcome: Floats,
    propensity: Floats | None,
    rng: np.random.Generator,
    options: LearnerOptions | None = None,
    repeats: int = 1,
) -> Fitted:
    """Fit T- and X-learner on four fifths and let them speak of the last fifth, in turn.

    Args:
        values: Features of before the start (N, F), NaN where empty.
        treated: (N,).
        outcome: What happened from the start on (N,): 0/1 or an amount.
        propensity: Chance of being treated (N,); None where treatment was drawn, then it is the share of the treated.
        rng: Source of folds.
        options: Of the trees.
        repeats: Draws of folds that are averaged.
    """
    options, n = options or LearnerOptions(), len(outcome)
    binary = bool(np.isin(outcome, (0.0, 1.0)).all())
    chance = np.full(n, treated.mean()) if propensity is None else np.clip(propensity, CLIPPED, 1 - CLIPPED)
    sums = np.zeros((3, n))
    for _ in range(repeats):
        for learned, judged in _folds(treated, rng):
            x, t, y = values[learned], treated[learned], outcome[learned]
            if_treated, if_not = (_fit(x[group], y[group], options, binary=binary) for group in (t, ~t))
            gained = _fit(x[t], y[t] - if_not(x[t]), options)
            missed = _fit(x[~t], if_treated(x[~t]) - y[~t], options)
            own, e = values[judged], chance[judged]
            high, low = if_treated(own), if_not(own)
            sums[0, judged] += e * missed(own) + (1 - e) * gained(own)
            sums[1, judged] += high - low
            left = np.where(treated[judged], (outcome[judged] - high) / e, -(outcome[judged] - low) / (1 - e))
            sums[2, judged] += high - low + left
    uplift_x, uplift_t, effect = sums / repeats
    return Fitted(uplift_x, uplift_t, effect, chance)


def _folds(treated: Flags, rng: np.random.Generator) -> list[tuple[Flags, Flags]]:
    """Learned and judged rows of each fold; every fold holds the same share of treated shoppers."""
    fold = np.zeros(len(treated), dtype=np.int64)
    for group in (treated, ~treated):
        places = np.flatnonzero(group)
        fold[rng.permutation(places)] = np.arange(len(places)) % FOLDS
    return [(fold != number, fold == number) for number in range(FOLDS)]


class _Constant:
    """The mean, where trees have nothing to tell apart."""

    def __init__(self, value: float) -> None:
        self._value = value

    def predict(self, values: Floats, num_threads: int = 1) -> Floats:
        return np.full(len(values), self._value)


def _fit(values: Floats, labels: Floats, options: LearnerOptions, *, binary: bool = False):  # type: ignore[no-untyped-def]
    import lightgbm

    asked = {
        "objective": "binary" if binary else "regression",
        "num_leaves": options.leaves,
        "learning_rate": options.learning_rate,
        "min_data_in_leaf": options.leaf_rows,
        "feature_fraction": options.feature_share,
        "lambda_l2": 1.0,
        "verbose": -1,
        "num_threads": 1,
        "deterministic": True,
        "force_col_wise": True,
        "seed": 0,
    }
    if len(np.unique(labels)) < 2:
        model = _Constant(float(labels.mean()) if len(labels) else 0.0)
    else:
        model = lightgbm.train(asked, lightgbm.Dataset(values, labels, params=asked), num_boost_round=options.rounds)
    return lambda rows: np.asarray(model.predict(rows, num_threads=1), dtype=np.float64)
