"""Which named features make a chance: Shapley values, the windows of one count joined to one name.

F columns, G names, D dimensions of a learned block.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from core.explain.shapley import Bools, Floats, Indices, Shapley, shapley_values

Block = npt.NDArray[np.floating]
WINDOW = re.compile(r"_(7d|14d|28d|56d|all)$")
VALUE = re.compile(r" = .*$")


@dataclass(frozen=True)
class Rows:
    """What is known of some shoppers."""

    values: Floats
    """(N, F)."""
    blocks: Mapping[str, Block]
    """Learned blocks by name, each (N, D)."""

    def take(self, rows: Indices) -> "Rows":
        """Some rows, in that order."""
        return Rows(self.values[rows], {name: block[rows] for name, block in self.blocks.items()})


LogOdds = Callable[[Rows], Floats]
"""Log-odds of the calibrated chance (N,)."""


def name_groups(columns: Sequence[str]) -> dict[str, list[int]]:
    """Join columns that count the same in different windows, `carts_7d`, `carts_28d` → `carts`, and values of one attribute,
    `age = 35-44` and `age = 45-54` → `age`; others keep their name."""
    groups: dict[str, list[int]] = {}
    for place, column in enumerate(columns):
        groups.setdefault(VALUE.sub("", WINDOW.sub("", column)), []).append(place)
    return {(name if len(places) > 1 else columns[places[0]]): places for name, places in groups.items()}


def explain_features(
    score: LogOdds, columns: Sequence[str], shopper: Rows, background: Rows, rng: np.random.Generator, pairs: int = 64
) -> tuple[list[str], Shapley]:
    """Share out the log-odds of one shopper among her named features, against shoppers of the background.

    A feature that is left out has the value of a shopper of the background (interventional: Janzing et al., 2020).

    Args:
        score: The model.
        columns: Names of the F columns.
        shopper: One row.
        background: A few dozen rows, all used the same number of times.
        rng: Source of chance.
        pairs: Antithetic pairs of permutations.

    Returns:
        Names (G,) and their values; groups that are alike in the shopper and the whole background have 0.
    """
    groups = name_groups(columns)
    names = [*groups, *shopper.blocks]
    differs = [_differs(groups.get(name), name, shopper, background) for name in names]
    active = [name for name, moved in zip(names, differs, strict=True) if moved]
    group_of = np.full(len(columns), -1)
    for place, name in enumerate(active):
        group_of[groups.get(name, [])] = place
    counted = group_of >= 0

    def game(masks: Bools, drawn: Indices) -> Floats:
        mixed = background.take(drawn)
        values = np.where(masks[:, group_of] & counted, shopper.values, np.where(counted, mixed.values, shopper.values))
        blocks = {}
        for name, block in mixed.blocks.items():
            inside = masks[:, [active.index(name)]] if name in active else np.ones((len(masks), 1), bool)
            blocks[name] = np.where(inside, shopper.blocks[name], block)
        return score(Rows(values, blocks))

    n = len(background.values)
    found = shapley_values(game, len(active), rng, pairs=max(pairs, n), backgrounds=n)
    numbers = {name: number for number, name in enumerate(active)}
    spread = [np.array([part[numbers[name]] if name in numbers else 0.0 for name in names]) for part in (found.values, found.errors)]
    return names, Shapley(spread[0], spread[1], found.base, found.output, found.coalitions, found.method)


def join_names(names: Sequence[str], shares: Floats) -> tuple[list[str], Floats]:
    """Sum contributions of single columns (F,) to those of their named group, as explain_features names them."""
    joined: dict[str, float] = {}
    groups = name_groups(names)
    for group, places in groups.items():
        joined[group] = float(shares[places].sum())
    return list(joined), np.array(list(joined.values()))


def _differs(places: list[int] | None, name: str, shopper: Rows, background: Rows) -> bool:
    if places is None:
        return bool(np.any(background.blocks[name] != shopper.blocks[name]))
    ours, theirs = shopper.values[:, places], background.values[:, places]
    return bool(np.any((ours != theirs) & ~(np.isnan(ours) & np.isnan(theirs))))
