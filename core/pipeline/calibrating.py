"""What the Propensity page says of groups: whether the chances of the test window held in each segment or attribute; spending by tenths."""

import numpy as np
import pandas as pd

from core.metrics import calibration_by_group
from core.pipeline import screens
from core.pipeline.map_cells import told_frame
from core.pipeline.places import places
from core.pipeline.screens import Screen
from core.small_cells import Cells, Rate
from core.store import fetch

FEWEST = 20
"""Shoppers below which a group is not shown: it would be about persons, and say nothing of the model."""
MOST_GROUPS = 30
GROUPS = Cells(
    labels=("group", "left_out"),
    people=("users", "happened"),
    typical={"expected": "happened", "mean_propensity": "users", "gap": "happened"},
    rates={"rate": Rate("happened", "users", "low", "high")},
)
SEGMENT, UNKNOWN = "segment", "unknown"


def ways(screen: Screen) -> list[str]:
    """By what the shoppers may be grouped: `segment` with a map, and each attribute of at most MOST_GROUPS values."""
    found = [SEGMENT] if screen.run_id("atlas") else []
    with screen.log.history() as connection:
        table = fetch(connection, "SELECT * FROM users").to_pandas()
    return found + [name for name in table.columns.drop("user_id") if 1 < table[name].nunique() <= MOST_GROUPS]


def segments_know_test(screen: Screen) -> bool:
    """Whether the map was drawn of a log that reaches into the test window, so that its segments are shaped by what is foretold."""
    record, drawn = screens.run_manifest(screen, "propensity"), screens.made_as_of(screen, "atlas")
    test = (record or {}).get("windows", {}).get("test")
    return bool(test and drawn and str(drawn) > str(test))


def calibration_by(screen: Screen, by: str) -> pd.DataFrame:
    """Foretold against happened in the test window, by group; groups below FEWEST shoppers are left out.

    Args:
        screen: What to read.
        by: One of `ways`.

    Returns:
        group (segment id or value as text, `unknown` for shoppers without), users, expected, happened, mean_propensity, rate, low, high,
        gap (in standard deviations of a perfect model), left_out (shoppers of groups too small to show, the same in every row).
    """
    test = screens.run_table(screen, "propensity", "test", ["user_id", "label", "propensity"])
    if test is None or not test.num_rows:
        return pd.DataFrame(columns=["group", "users", "expected", "happened", "rate", "low", "high", "gap", "left_out"])
    if by == SEGMENT:
        everyone = places(screen)
        group_of = {user: str(segment) for user, segment in zip(everyone.user_ids, everyone.segment_ids.tolist(), strict=True)}
    else:
        with screen.log.history() as connection:
            table = fetch(connection, "SELECT * FROM users").to_pandas()
        group_of = dict(zip(table["user_id"], table[by], strict=True))
    groups = [value if isinstance(value := group_of.get(user), str) and value else UNKNOWN for user in test["user_id"].to_pylist()]
    found = pd.DataFrame(calibration_by_group(test["label"].to_numpy(), test["propensity"].to_numpy(), np.asarray(groups, dtype=object)))
    shown = found[found["users"] >= FEWEST].reset_index(drop=True)
    shown["left_out"] = int(found["users"].sum() - shown["users"].sum())
    return told_frame(screen, GROUPS, shown)
