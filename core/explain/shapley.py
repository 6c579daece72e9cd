"""Shapley values of a game: exact for few players, by sampled permutations for more (Castro et al., 2009).

P players, C coalitions. A coalition is a row of booleans (P,): who is in.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations
from math import factorial

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.int64]

Game = Callable[[Bools, Indices], Floats]
"""Values (C,) of coalitions (C, P); the second argument (C,) numbers the background that stands in for who is out."""

EXACT_PLAYERS = 9
"""Up to here all coalitions are asked for: 512, no more than sampling would need."""


@dataclass(frozen=True)
class Shapley:
    """Values of all players; `base + values.sum() + residual = output`."""

    values: Floats
    """(P,)."""
    errors: Floats
    """Standard error of each value by sampling (P,), 0 where nothing was sampled."""
    base: float
    """Value of the empty coalition, mean over the backgrounds."""
    output: float
    """Value of the full one."""
    coalitions: int
    """Asked for."""
    method: str
    """exact or sampled."""

    @property
    def residual(self) -> float:
        """What the values leave over."""
        return float(self.output - self.base - self.values.sum())


def shapley_values(game: Game, players: int, rng: np.random.Generator, *, pairs: int = 32, backgrounds: int = 1) -> Shapley:
    """Share a game's value among its players.

    With EXACT_PLAYERS or fewer and one background the values are exact. Else `pairs` permutations are drawn, each walked forth
    and back (antithetic: Mitchell et al., 2022), and each with one background, all backgrounds the same number of times
    (Štrumbelj and Kononenko, 2014). Every walk sums to output minus base, so the values do, too.

    Args:
        game: See Game; a coalition with everybody in must not depend on the background.
        players: P, 0 or more.
        rng: Source of chance.
        pairs: Of permutations; rounded up to a multiple of `backgrounds`.
        backgrounds: How many there are.
    """
    if backgrounds == 1 and players <= EXACT_PLAYERS:
        return _exact(game, players)
    rounds = -(-pairs // backgrounds)
    drawn = np.tile(np.arange(backgrounds), rounds)
    orders = np.stack([rng.permutation(players) for _ in drawn])
    walks = np.stack([orders, orders[:, ::-1]], axis=1)  # (R, 2, P)
    place = np.argsort(walks, axis=2)  # when each player comes in
    steps = place[:, :, None, :] < np.arange(players + 1)[:, None]  # (R, 2, P + 1, P)
    of = np.broadcast_to(drawn[:, None, None], steps.shape[:3])
    values = game(steps.reshape(-1, players), of.reshape(-1)).reshape(steps.shape[:3])  # (R, 2, P + 1)
    gains = np.take_along_axis(np.diff(values, axis=2), place, axis=2).mean(axis=1)  # (R, P)
    errors = gains.std(axis=0, ddof=1) / np.sqrt(len(gains)) if len(gains) > 1 else np.full(players, np.nan)
    return Shapley(gains.mean(axis=0), errors, float(values[:, 0, 0].mean()), float(values[:, 0, -1].mean()), values.size, "sampled")


def _exact(game: Game, players: int) -> Shapley:
    masks = np.array([[bool(number >> player & 1) for player in range(players)] for number in range(2**players)], dtype=bool)
    masks = masks.reshape(2**players, players)
    values = game(masks, np.zeros(len(masks), dtype=np.int64))
    sizes = masks.sum(axis=1)
    weights = np.array([factorial(size) * factorial(players - size - 1) / factorial(players) for size in range(players)])
    shares = np.zeros(players)
    for player in range(players):
        out = np.flatnonzero(~masks[:, player])
        shares[player] = float(np.sum(weights[sizes[out]] * (values[out + (1 << player)] - values[out])))
    return Shapley(shares, np.zeros(players), float(values[0]), float(values[-1]), len(values), "exact")


def by_enumeration(game: Game, players: int) -> Floats:
    """Shapley's own formula over subsets (P,): slow, and what the faster ways are measured against."""
    found = np.zeros(players)
    for player in range(players):
        others = [other for other in range(players) if other != player]
        for size in range(players):
            for some in combinations(others, size):
                without = np.isin(np.arange(players), some)[None, :]
                with_it = without | (np.arange(players) == player)
                gain = game(with_it, np.zeros(1, dtype=np.int64))[0] - game(without, np.zeros(1, dtype=np.int64))[0]
                found[player] += factorial(size) * factorial(players - size - 1) / factorial(players) * gain
    return found
