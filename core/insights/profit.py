"""What contacting the likeliest shoppers earns by depth: measured on a test window with a band, and expected of those scored now."""

from dataclasses import dataclass
from math import ceil

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

DEPTHS = 100
DRAWS = 400
MANY = 50_000
"""Shoppers of a window above which a quarter of the resamples is enough: their bands are narrow."""


@dataclass(frozen=True)
class Gains:
    """Buyers found in a test window by depth, D depths."""

    users: int
    """Of the window."""
    depth: Floats
    """Share of shoppers taken (D,), 1/D to 1."""
    taken: Floats
    """Shoppers taken (D,)."""
    buyers: Floats
    """Of them, who acted (D,)."""
    low: Floats
    """Of the 95 % band of `buyers`, by resampling shoppers (D,)."""
    high: Floats

    def profit(self, cost: float, margin: float, users: int) -> tuple[Floats, Floats, Floats]:
        """Profit by depth with its band, scaled from the window to so many shoppers: value, low, high, each (D,)."""
        scale = users / self.users
        value, low, high = ((margin * found - cost * self.taken) * scale for found in (self.buyers, self.low, self.high))
        return value, low, high


@dataclass(frozen=True)
class Expected:
    """What a set of shoppers is expected to do if it is not contacted: valid as far as the chances are calibrated."""

    users: int
    buyers: float
    """Sum of chances."""
    sd: float
    """By chance alone, √Σp(1−p)."""
    calibration: float
    """How far the sum may be off because chances are: users × calibration error of the test window."""
    smallest: float
    """Chance of the last one taken; NaN of nobody."""

    @property
    def low(self) -> float:
        """buyers − 1.96 sd − calibration, at least 0."""
        return max(0.0, self.buyers - 1.96 * self.sd - self.calibration)

    @property
    def high(self) -> float:
        """buyers + 1.96 sd + calibration, at most all."""
        return min(float(self.users), self.buyers + 1.96 * self.sd + self.calibration)

    def profit(self, cost: float, margin: float) -> tuple[float, float, float]:
        """Expected profit, and what it is at `low` and `high` buyers."""
        spent = cost * self.users
        return margin * self.buyers - spent, margin * self.low - spent, margin * self.high - spent


def measure_gains(labels: Floats, chances: Floats, user_ids: list[str], rng: np.random.Generator, draws: int = DRAWS) -> Gains:
    """Count buyers by depth, best chances first, ties by user id, with a band by resampling shoppers.

    Args:
        labels: 0/1 of the test window (N,), N at least 1.
        chances: (N,).
        user_ids: (N,).
        rng: Source of chance.
        draws: Resamples.
    """
    order = np.lexsort((np.asarray(user_ids), -chances))
    acted, n = labels[order].astype(np.float64), len(labels)
    depth = np.arange(1, DEPTHS + 1) / DEPTHS
    taken = np.ceil(np.round(n * depth, 6))
    found = np.append(0.0, np.cumsum(acted))
    places = np.append(0.0, np.arange(1, n + 1))
    draws = draws // 4 if n > MANY else draws
    drawn = np.empty((draws, DEPTHS))
    for row in range(draws):
        counts = np.bincount(rng.integers(0, n, n), minlength=n)
        drawn[row] = np.interp(taken, np.append(0, np.cumsum(counts)), np.append(0, np.cumsum(counts * acted)))
    low, high = np.percentile(drawn, [2.5, 97.5], axis=0)
    return Gains(n, depth, taken, np.interp(taken, places, found), low, high)


def expect(chances: Floats, users: int, calibration_error: float) -> Expected:
    """Expect buyers among the first `users` of chances that are in descending order."""
    taken = chances[:users]
    return Expected(
        len(taken),
        float(taken.sum()),
        float(np.sqrt((taken * (1 - taken)).sum())),
        calibration_error * len(taken),
        float(taken[-1]) if len(taken) else float("nan"),
    )


def taken_at(users: int, depth: float) -> int:
    """How many of so many shoppers the best `depth` share are: rounded up, as the audience rule `percentile` does, at least 1."""
    return min(users, max(1, ceil(round(users * depth, 6))))


def worth_contacting(chances: Floats, cost: float, margin: float) -> int:
    """How many shoppers pay for their contact: chance × margin at least its cost (all when a contact is free)."""
    if margin <= 0:
        return 0
    return int((chances >= cost / margin).sum())


def affordable(users: int, cost: float, budget: float) -> int:
    """How many of so many shoppers a budget reaches."""
    return users if cost <= 0 else min(users, int(budget / cost + 1e-9))
