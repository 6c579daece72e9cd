"""How often buyers buy again and for how much, when nobody says that she has left: BG/NBD and Gamma-Gamma, by maximum likelihood.

A buyer is summed up by `x`, repeat purchases (those after the first), `recency`, time from the first to the last of them, and
`age`, time from the first purchase to the cutoff; all times in one unit, whichever. B buyers.
Sources: Fader, Hardie, Lee, "Counting your customers" the easy way (2005); Fader, Hardie, The Gamma-Gamma model (2013).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

STEP = 1e-4
"""Of second differences in the logarithm of a parameter."""
STARTS = ((1.0, 1.0, 1.0, 1.0), (0.3, 5.0, 0.8, 2.5), (1.0, 20.0, 0.5, 5.0))
"""The likelihood is flat far out: the best of several beginnings is kept."""
LARGEST = 12.0
"""Parameters lie within exp(±LARGEST), where the likelihood has long gone flat."""


@dataclass(frozen=True)
class PurchaseModel:
    """Rates of buying vary as Gamma(r, alpha); after each purchase a buyer leaves with a chance that varies as Beta(a, b)."""

    r: float
    alpha: float
    a: float
    b: float
    log_likelihood: float
    covariance: Floats
    """(4, 4) of the logarithms of r, alpha, a, b; NaN where the likelihood has no clear top."""

    @property
    def logs(self) -> Floats:
        """Logarithms of r, alpha, a, b (4,)."""
        return np.log([self.r, self.alpha, self.a, self.b])


@dataclass(frozen=True)
class SpendModel:
    """Values of purchases vary around a buyer's mean as Gamma(p, ·), and means as q and v tell."""

    p: float
    q: float
    v: float
    log_likelihood: float
    covariance: Floats
    """(3, 3) of the logarithms of p, q, v."""

    @property
    def logs(self) -> Floats:
        """Logarithms of p, q, v (3,)."""
        return np.log([self.p, self.q, self.v])

    @property
    def mean(self) -> float:
        """Expected value of a purchase of a buyer of whom nothing is known; infinite when q is at most 1."""
        return self.p * self.v / (self.q - 1) if self.q > 1 else float("inf")


def fit_purchases(x: npt.ArrayLike, recency: npt.ArrayLike, age: npt.ArrayLike, weight: npt.ArrayLike | None = None) -> PurchaseModel:
    """Fit BG/NBD (Fader, Hardie, Lee, 2005, equation 6).

    Args:
        x: Repeat purchases (B,).
        recency: From first to last purchase (B,); 0 without a repeat.
        age: From first purchase to the cutoff (B,), above 0.
        weight: Buyers that a row stands for (B,).

    Raises:
        ValueError: There are no buyers.
    """
    columns = [np.asarray(column, dtype=np.float64) for column in (x, recency, age)]
    if not len(columns[0]):
        raise ValueError("no buyers to fit")
    unit = float(np.mean(columns[2])) or 1.0  # likelihoods are searched at the scale of the log, whatever its unit
    repeats, last, length = columns[0], columns[1] / unit, columns[2] / unit
    counts = np.ones(len(repeats)) if weight is None else np.asarray(weight, dtype=np.float64)

    def loss(logs: Floats) -> float:
        return -float(counts @ _purchase_likelihood(logs, repeats, last, length)) / float(counts.sum())

    best = _best(loss, [(r, alpha / 25, a, b) for r, alpha, a, b in STARTS])
    covariance = _covariance(loss, best, float(counts.sum()))
    value = -loss(best) * float(counts.sum()) - float(counts @ repeats) * np.log(unit)  # the density in the given unit
    r, alpha, a, b = np.exp(best)
    return PurchaseModel(float(r), float(alpha * unit), float(a), float(b), float(value), covariance)


def chance_alive(logs: npt.ArrayLike, x: npt.ArrayLike, recency: npt.ArrayLike, age: npt.ArrayLike) -> Floats:
    """Chance that each buyer has not left by the cutoff (B,); 1 without a repeat, as one leaves only after a purchase.

    Args:
        logs: Logarithms of r, alpha, a, b (4,), `PurchaseModel.logs`.
        x: Repeat purchases (B,).
        recency: From first to last purchase (B,).
        age: From first purchase to the cutoff (B,).
    """
    from scipy.special import expit  # every command loads this module, and few use it

    r, alpha, a, b = np.exp(np.asarray(logs, dtype=np.float64))
    repeats, last, length = (np.asarray(column, dtype=np.float64) for column in (x, recency, age))
    odds = np.log(a) - np.log(b + np.maximum(repeats, 1) - 1) + (r + repeats) * (np.log(alpha + length) - np.log(alpha + last))
    return np.where(repeats > 0, expit(-odds), 1.0)


def expected_purchases(logs: npt.ArrayLike, x: npt.ArrayLike, recency: npt.ArrayLike, age: npt.ArrayLike, horizon: float) -> Floats:
    """Purchases that each buyer is expected to make within `horizon` after the cutoff (B,); Fader, Hardie, Lee (2005), equation 10.

    Written by Euler's transformation, in which 2F1 stays near 1 for heavy buyers.

    Args:
        logs: Logarithms of r, alpha, a, b (4,).
        x: Repeat purchases (B,).
        recency: From first to last purchase (B,).
        age: From first purchase to the cutoff (B,).
        horizon: In the unit of the others.
    """
    from scipy.special import hyp2f1

    r, alpha, a, b = np.exp(np.asarray(logs, dtype=np.float64))
    a = a + 1e-6 if abs(a - 1) < 1e-6 else a  # the limit at a = 1 is smooth, the formula is not
    repeats, length = np.asarray(x, dtype=np.float64), np.asarray(age, dtype=np.float64)
    pairs, place = np.unique(np.column_stack([repeats, length]), axis=0, return_inverse=True)  # 2F1 is dear, and pairs are few
    z = horizon / (alpha + pairs[:, 1] + horizon)
    gone = (1 - z) ** (a - 1) * hyp2f1(a + b - 1 - r, a - 1, a + b + pairs[:, 0] - 1, z)
    return np.asarray((a + b + repeats - 1) / (a - 1) * (1 - gone[place.ravel()]) * chance_alive(logs, x, recency, age))


def chance_of_purchase(logs: npt.ArrayLike, x: npt.ArrayLike, recency: npt.ArrayLike, age: npt.ArrayLike, horizon: float) -> Floats:
    """Chance that each buyer buys at least once within `horizon` after the cutoff (B,).

    Of one who has not left, the rate is Gamma(r + x, alpha + age), and she cannot leave before she buys.

    Args:
        logs: Logarithms of r, alpha, a, b (4,).
        x: Repeat purchases (B,).
        recency: From first to last purchase (B,).
        age: From first purchase to the cutoff (B,).
        horizon: In the unit of the others.
    """
    r, alpha, _a, _b = np.exp(np.asarray(logs, dtype=np.float64))
    repeats, length = np.asarray(x, dtype=np.float64), np.asarray(age, dtype=np.float64)
    buys = -np.expm1((r + repeats) * (np.log(alpha + length) - np.log(alpha + length + horizon)))
    return np.asarray(chance_alive(logs, x, recency, age) * buys)


def fit_spend(x: npt.ArrayLike, mean_value: npt.ArrayLike) -> SpendModel:
    """Fit Gamma-Gamma on buyers with at least one repeat purchase of positive value (Fader, Hardie, 2013, equation 1a).

    Args:
        x: Repeat purchases (B,).
        mean_value: Mean value of those repeat purchases (B,).

    Raises:
        ValueError: Nobody has a repeat purchase of positive value.
    """
    repeats, means = np.asarray(x, dtype=np.float64), np.asarray(mean_value, dtype=np.float64)
    known = (repeats > 0) & (means > 0)
    repeats, means = repeats[known], means[known]
    if not len(repeats):
        raise ValueError("no repeat purchases of positive value to fit")
    unit = float(np.mean(means))
    scaled = means / unit

    def loss(logs: Floats) -> float:
        return -float(_spend_likelihood(logs, repeats, scaled).mean())

    best = _best(loss, [(5.0, 4.0, 0.5), (1.0, 2.0, 1.0), (20.0, 10.0, 0.2)])
    covariance = _covariance(loss, best, float(len(repeats)))
    p, q, v = np.exp(best)
    return SpendModel(float(p), float(q), float(v * unit), -loss(best) * len(repeats) - len(repeats) * np.log(unit), covariance)


def expected_value(logs: npt.ArrayLike, x: npt.ArrayLike, mean_value: npt.ArrayLike) -> Floats:
    """Expected value of a purchase of each buyer (B,), her own mean drawn towards that of all; Fader, Hardie (2013), equation 5.

    Args:
        logs: Logarithms of p, q, v (3,), `SpendModel.logs`; q must be above 1.
        x: Repeat purchases (B,); 0 gives the mean of all.
        mean_value: Mean value of the repeat purchases (B,), any number where there are none.
    """
    p, q, v = np.exp(np.asarray(logs, dtype=np.float64))
    repeats = np.asarray(x, dtype=np.float64)
    spent = np.where(repeats > 0, repeats * np.nan_to_num(np.asarray(mean_value, dtype=np.float64)), 0.0)
    return np.asarray(p * (v + spent) / (p * repeats + q - 1))


def delta_interval(figure: Callable[[Floats], float], logs: Floats, covariance: Floats) -> tuple[float, float]:
    """95 % interval of a positive figure by the delta method on its logarithm: how far the parameters are uncertain, no more.

    Args:
        figure: Maps the logarithms of parameters (K,) to the figure.
        logs: The estimates (K,).
        covariance: Of them (K, K).
    """
    value = float(figure(logs))
    if not np.isfinite(covariance).all() or not value > 0:
        return float("nan"), float("nan")
    slopes = np.zeros(len(logs))
    for place in range(len(logs)):
        step = np.zeros(len(logs))
        step[place] = STEP
        slopes[place] = (np.log(figure(logs + step)) - np.log(figure(logs - step))) / (2 * STEP)
    half = 1.959964 * float(np.sqrt(max(float(slopes @ covariance @ slopes), 0.0)))
    return float(value * np.exp(-half)), float(value * np.exp(half))


def _purchase_likelihood(logs: Floats, x: Floats, recency: Floats, age: Floats) -> Floats:
    """Log likelihood of each buyer (B,)."""
    from scipy.special import gammaln

    r, alpha, a, b = np.exp(logs)
    rate = gammaln(r + x) - gammaln(r) + r * np.log(alpha)
    stays = gammaln(a + b) + gammaln(b + x) - gammaln(b) - gammaln(a + b + x)
    alive = -(r + x) * np.log(alpha + age)
    left = np.where(x > 0, np.log(a) - np.log(b + np.maximum(x, 1) - 1) - (r + x) * np.log(alpha + recency), -np.inf)
    return np.asarray(rate + stays + np.logaddexp(alive, left))


def _spend_likelihood(logs: Floats, x: Floats, mean: Floats) -> Floats:
    """Log likelihood of each buyer's mean (B,)."""
    from scipy.special import gammaln

    p, q, v = np.exp(logs)
    return np.asarray(
        gammaln(p * x + q) - gammaln(p * x) - gammaln(q) + q * np.log(v) + (p * x - 1) * np.log(mean)
        + p * x * np.log(x) - (p * x + q) * np.log(x * mean + v)
    )  # fmt: skip


def _best(loss: Callable[[Floats], float], starts: list[tuple[float, ...]]) -> Floats:
    """The logarithms of the parameters with the smallest loss."""
    from scipy.optimize import minimize  # pages load this module, and most of them fit nothing

    found = [
        minimize(loss, np.log(start), method="L-BFGS-B", bounds=[(-LARGEST, LARGEST)] * len(start), options={"ftol": 1e-13, "gtol": 1e-8})
        for start in starts
    ]
    best = min(found, key=lambda one: float(one.fun))
    return np.asarray(best.x, dtype=np.float64)


def _covariance(loss: Callable[[Floats], float], logs: Floats, n: float) -> Floats:
    """Inverse of the observed information of `n` buyers by second differences; NaN where that is not positive."""
    size = len(logs)
    steps = np.eye(size) * 1e-3
    curved = np.empty((size, size))
    for i in range(size):
        for j in range(i, size):
            curved[i, j] = curved[j, i] = (
                loss(logs + steps[i] + steps[j]) - loss(logs + steps[i] - steps[j])
                - loss(logs - steps[i] + steps[j]) + loss(logs - steps[i] - steps[j])
            ) / 4e-6  # fmt: skip
    if not np.isfinite(curved).all() or np.linalg.eigvalsh(curved)[0] <= 0:
        return np.full((size, size), np.nan)
    return np.asarray(np.linalg.inv(curved) / n)
