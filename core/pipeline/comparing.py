"""Two sides of the map beside each other: any two sets of shoppers, their figures and what tells them apart."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from core.atlas.comparing import compare_figures, compare_traits
from core.atlas.leanings import Leanings, least_users
from core.pipeline import screens
from core.pipeline.places import Chosen, Places
from core.pipeline.screens import Screen


@dataclass(frozen=True)
class Known:
    """What the map knows of everyone, ready to compare any two sets of shoppers."""

    leanings: Leanings
    words: list[str]
    """English word of each trait."""
    habits: pd.DataFrame


@dataclass(frozen=True)
class Comparison:
    """Two sets of shoppers; those in both count on the left only."""

    left: int
    right: int
    in_both: int
    figures: pd.DataFrame
    """See `core.atlas.comparing.compare_figures`."""
    traits: pd.DataFrame
    """See `core.atlas.comparing.compare_traits`, with the English `words` of each trait."""


def known(screen: Screen) -> Known | None:
    """Read what comparisons need, None when the map was drawn before it was kept."""
    pairs, traits, habits = (screens.run_table(screen, "atlas", name) for name in ("leanings", "leaning_traits", "habits"))
    if pairs is None or traits is None or habits is None:
        return None
    leanings = Leanings(
        pairs["user"].to_numpy().astype(np.int32), pairs["trait"].to_numpy().astype(np.int32), traits["kind"].to_pylist(),
        traits["code"].to_pylist(),
    )  # fmt: skip
    return Known(leanings, traits["words"].to_pylist(), habits.drop_columns(["user_id"]).to_pandas())


def compare(everyone: Places, about: Known, left: Chosen, right: Chosen) -> Comparison:
    """Compare two sets of shoppers (U,); whoever is in both counts on the left only."""
    both = int((left & right).sum())
    right = right & ~left
    figures = compare_figures(about.habits, everyone.propensity, left, right)
    traits = compare_traits(about.leanings, left, right, least_users(len(everyone.x)))
    traits["words"] = [about.words[int(row)] for row in traits["trait"]]
    return Comparison(int(left.sum()), int(right.sum()), both, figures, traits)


def sides(comparison: Comparison, most: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The `most` traits of the left and of the right side that tell most: clear ones that many of the side have, first."""
    rows = [{str(key): value for key, value in row.items()} for row in comparison.traits.to_dict("records")]

    def worth(row: dict[str, Any]) -> float:
        return float(abs(row["strength"]) * max(row["left_share"], row["right_share"]))

    chosen = sorted(rows, key=worth, reverse=True)
    return [row for row in chosen if row["strength"] > 0][:most], [row for row in chosen if row["strength"] < 0][:most]
