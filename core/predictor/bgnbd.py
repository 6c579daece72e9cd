"""BG/NBD: chance of a purchase from frequency, recency and age alone, for logs that hold purchases only.

Fader, Hardie, Lee (2005), "Counting your customers" the easy way. While alive, a shopper buys by a Poisson process whose rate is
Gamma(r, alpha) over shoppers, and leaves after each purchase with a chance that is Beta(a, b) over shoppers. N rows.
"""

from dataclasses import dataclass
from itertools import combinations
from math import factorial
from typing import Any

import numpy as np
from scipy.optimize import minimize
from scipy.special import betaln, gammaln, logit

from core.metrics import CLIP
from core.predictor.matrix import Floats, Matrix

COLUMNS = ("orders_all", "tenure_days", "days_since_purchase")
"""Orders, days since the first event, days since the last order."""
MOST_ROWS = 20_000
"""Rows that the four parameters are fitted on; more would not move them."""
SMALLEST, LARGEST = 1e-3, 1e4
"""Bounds of the parameters: a log without repeat purchases would let them run away."""


@dataclass(frozen=True)
class FittedBgNbd:
    """Four parameters, fitted by maximum likelihood on histories; labels are not used."""

    r: float
    alpha: float
    """In days."""
    a: float
    b: float
    horizon_days: float
    usual: tuple[float, ...]
    """Median of each of COLUMNS, against which contributions are counted."""

    def member_logits(self, matrix: Matrix) -> Floats:
        """Logits as a single member (1, N)."""
        return self.logits(matrix)[None, :]

    def logits(self, matrix: Matrix) -> Floats:
        """Logits of at least one purchase within the horizon (N,)."""
        return self._logits(*_columns(matrix))

    def contributions(self, matrix: Matrix) -> tuple[list[str], Floats]:
        """Exact Shapley values of the three columns against the usual shopper: names (3,) and log-odds (N, 3)."""
        known = _columns(matrix)
        typical = tuple(np.full(len(matrix.user_ids), value) for value in self.usual)
        n = len(COLUMNS)
        shares = np.zeros((len(matrix.user_ids), n))
        for place in range(n):
            rest = [other for other in range(n) if other != place]
            for size in range(n):
                weight = factorial(size) * factorial(n - size - 1) / factorial(n)
                for chosen in combinations(rest, size):
                    without = [known[i] if i in chosen else typical[i] for i in range(n)]
                    given = [known[i] if i in (*chosen, place) else typical[i] for i in range(n)]
                    shares[:, place] += weight * (self._logits(*given) - self._logits(*without))
        return list(COLUMNS), shares

    def card(self) -> dict[str, Any]:
        """Parameters, for the model card."""
        return {"kind": "bgnbd", "parameters": 4, "r": self.r, "alpha": self.alpha, "a": self.a, "b": self.b}

    def chances(self, repeats: Floats, last: Floats, age: Floats) -> Floats:
        """Chance of at least one purchase in the next horizon (N,).

        Args:
            repeats: Purchases after the first (N,).
            last: Days from the first to the last purchase (N,).
            age: Days from the first purchase to the cutoff (N,).
        """
        shape = self.r + repeats
        left = np.where(repeats > 0, self.a / np.maximum(self.b + repeats - 1, 1e-9), 0.0)
        with np.errstate(over="ignore"):
            alive = 1 / (1 + left * ((self.alpha + age) / (self.alpha + last)) ** shape)
        return np.asarray(alive * -np.expm1(shape * np.log((self.alpha + age) / (self.alpha + age + self.horizon_days))))

    def _logits(self, orders: Floats, age: Floats, silent: Floats) -> Floats:
        repeats, last, age = _statistics(orders, age, silent)
        return np.asarray(logit(np.clip(self.chances(repeats, last, age), CLIP, 1 - CLIP)))


def fit_bgnbd(matrix: Matrix, horizon_days: float, rng: np.random.Generator) -> FittedBgNbd:
    """Fit the four parameters on the histories of the rows; users who share a history weigh once each.

    Args:
        matrix: Rows with COLUMNS.
        horizon_days: Length of the window whose chance is asked for.
        rng: Draws rows when there are more than MOST_ROWS.
    """
    chosen = matrix if len(matrix.user_ids) <= MOST_ROWS else matrix.rows(np.sort(rng.choice(len(matrix.user_ids), MOST_ROWS, False)))
    columns = _columns(chosen)
    repeats, last, age = _statistics(*columns)

    def loss(logs: Floats) -> float:
        r, alpha, a, b = np.exp(logs).tolist()
        return -float(log_likelihoods(r, alpha, a, b, repeats, last, age).mean())

    bounds = [(np.log(SMALLEST), np.log(LARGEST))] * 4
    start = np.log([0.5, max(float(np.median(age)) / 4, 1.0), 0.7, 2.5])
    found = minimize(loss, start, method="L-BFGS-B", bounds=bounds)
    r, alpha, a, b = (float(value) for value in np.exp(found.x))
    usual = tuple(float(np.median(column)) for column in columns)
    return FittedBgNbd(r, alpha, a, b, horizon_days, usual)


def log_likelihoods(r: float, alpha: float, a: float, b: float, repeats: Floats, last: Floats, age: Floats) -> Floats:
    """Log likelihood of each history (N,), equation 6 of the paper."""
    shape = r + repeats
    common = gammaln(shape) - gammaln(r) + r * np.log(alpha) + betaln(a, b + repeats) - betaln(a, b)
    alive = -shape * np.log(alpha + age)
    # the paper's B(a + 1, b + x - 1) / B(a, b) over B(a, b + x) / B(a, b) is a / (b + x - 1)
    gone = np.log(a) - np.log(np.maximum(b + repeats - 1, 1e-9)) - shape * np.log(alpha + last)
    return np.asarray(common + np.where(repeats > 0, np.logaddexp(alive, gone), alive))


def _columns(matrix: Matrix) -> tuple[Floats, Floats, Floats]:
    orders, age, silent = (matrix.values[:, matrix.columns.index(name)] for name in COLUMNS)
    return np.nan_to_num(orders), np.nan_to_num(age), np.where(np.isnan(silent), np.nan_to_num(age), silent)


def _statistics(orders: Floats, age: Floats, silent: Floats) -> tuple[Floats, Floats, Floats]:
    repeats = np.maximum(orders - 1, 0)
    return repeats, np.where(repeats > 0, np.clip(age - silent, 0, age), 0.0), age
