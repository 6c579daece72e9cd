"""Which named parts make a shopper's chance in one category: exact Shapley values, what is left out is that of other shoppers.

N pairs of one category, F columns of a pair, S columns of a shopper.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from core.explain.shapley import Bools, Floats, Indices, Shapley, shapley_values

OWN, RECENT, ALIKE, TEXT, OTHERS, SHOPPER = (
    "own counts", "own recency", "alike baskets", "text affinity", "other categories", "shopper at large",
)  # fmt: skip
PARTS = {
    RECENT: ("days_since_purchase", "days_since_touch", "gap_mean_days", "overdue_ratio"),
    ALIKE: ("alike_baskets", "alike_baskets_28d"),
    TEXT: ("text_affinity",),
}
"""Columns of a pair by the part they belong to; others are own counts, and those of the shopper are of the shopper at large."""


@dataclass(frozen=True)
class PairRows:
    """What is known of some pairs of one category."""

    values: npt.NDArray[np.float32]
    """(N, F)."""
    baskets: npt.NDArray[np.float32]
    """What is bought in all categories, then and lately (N, 2 C)."""
    people: Floats
    """(N, S)."""
    blocks: Mapping[str, npt.NDArray[np.float32]]
    """Learned blocks of the shoppers by name, each (N, D)."""

    def take(self, rows: Indices) -> "PairRows":
        """Some rows, in that order."""
        return PairRows(
            self.values[rows], self.baskets[rows], self.people[rows], {name: block[rows] for name, block in self.blocks.items()}
        )


def explain_pair(
    score: Callable[[PairRows], Floats],
    columns: Sequence[str],
    of_pair: Sequence[str],
    place: int,
    shopper: PairRows,
    background: PairRows,
) -> tuple[list[str], Shapley]:
    """Share out the log-odds of one pair among its parts, exactly; the game's value is the mean over the background.

    Args:
        score: Log-odds (N,) of pairs of one category.
        columns: Of a pair (F,).
        of_pair: Those of them that are of the pair, not of the shopper.
        place: Of the category among all (C): its own basket comes and goes with the own counts.
        shopper: One row.
        background: The same category, other shoppers.

    Returns:
        Names of the parts and their values; blocks are parts of their own, by their names.
    """
    part_of = {column: part for part, named in PARTS.items() for column in named}
    of_column = [part_of.get(column, OWN) if column in set(of_pair) else SHOPPER for column in columns]
    names = [name for name in (OWN, RECENT, ALIKE, TEXT) if name in of_column] + [OTHERS, SHOPPER, *shopper.blocks]
    number = np.array([names.index(part) for part in of_column])
    width = shopper.baskets.shape[1] // 2
    of_basket = np.full(2 * width, names.index(OTHERS))
    of_basket[[place, width + place]] = names.index(OWN)
    n = len(background.values)

    def game(masks: Bools, _backgrounds: Indices) -> Floats:
        others = background.take(np.tile(np.arange(n), len(masks)))
        inside = np.repeat(masks, n, axis=0)
        blocks = {
            name: np.where(inside[:, [names.index(name)]], shopper.blocks[name], block).astype(np.float32)
            for name, block in others.blocks.items()
        }
        mixed = PairRows(
            np.where(inside[:, number], shopper.values, others.values).astype(np.float32),
            np.where(inside[:, of_basket], shopper.baskets, others.baskets).astype(np.float32),
            np.where(inside[:, [names.index(SHOPPER)]], shopper.people, others.people),
            blocks,
        )
        return np.asarray(score(mixed).reshape(len(masks), n).mean(axis=1))

    return names, shapley_values(game, len(names), np.random.default_rng(0))
