"""What the Shopper page reads of one shopper: her acts, the card made of them, and what the most alike ones share with her."""

from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from core.errors import CoreError
from core.features.catalogue import FEATURES
from core.insights import shopper
from core.insights.profile_card import Clock, Statement, profile_card
from core.insights.shopper import Shares
from core.pipeline import screens
from core.pipeline.screens import Screen

DAY = 86_400
GROUPS = {feature.name: feature.group for feature in FEATURES}
MOST_FEATURES = 2
"""Counted features that are named of two shoppers alike."""
OF_SCALE = 20_000
"""So many shoppers, evenly spaced, tell the mean and the spread of a feature."""
MOST_MAPS = 24
"""Maps looked back on for the segments of one shopper."""


def acts(screen: Screen, user_id: str) -> pa.Table:
    """Return all events of a shopper, oldest first; columns as in `shopper.acts_of`."""
    with screen.log.history() as connection:
        return shopper.acts_of(connection, user_id, screen.zone)


def shares(screen: Screen) -> Shares:
    """Return how all shoppers' acts spread over categories and brands."""
    with screen.log.history() as connection:
        return shopper.shares_of_all(connection)


def card(screen: Screen, kept: pa.Table, of_all: Shares) -> list[Statement]:
    """Make the profile card of a shopper's acts, whole or with events left out."""
    record = screens.manifest(screen)
    hours = int(record.get("time_resolution_seconds", 1)) < DAY
    return profile_card(kept, of_all, screen.log.until, Clock(hours=hours, weekdays=not record.get("relative_time")))


def likeness(screen: Screen, user_id: str, others: tuple[str, ...]) -> pd.DataFrame:
    """Return what shoppers have in common with one: user_id, overlap, categories, items (see `shopper.why_alike`)."""
    with screen.log.history() as connection:
        found: pd.DataFrame = shopper.why_alike(connection, user_id, others).to_pandas()
    return found


def alike_in(screen: Screen, user_id: str, others: tuple[str, ...]) -> pd.DataFrame:
    """Return in which counted features shoppers are most like one: user_id, feature, own, other; the most alike first.

    Both lie on the same side of the mean of all, and the product of how far they lie, in spreads of the feature's signed logarithm, is
    largest: what adds most to a cosine of counts. Where they share no such side, the features that lie nearest to each other. One
    feature of each group, MOST_FEATURES for each shopper; those that either lacks are left out.
    """
    table = screens.run_table(screen, "profiles", "counts")
    if table is None:
        return pd.DataFrame(columns=["user_id", "feature", "own", "other"])
    rows = table.filter(pc.is_in(table["user_id"], pa.array([user_id, *others]))).to_pandas().set_index("user_id")
    scale = _logs(table.take(np.linspace(0, table.num_rows - 1, min(table.num_rows, OF_SCALE)).astype(np.int64)).to_pandas())
    spread = scale.std(ddof=0)
    names = [name for name in spread.index if spread[name] > 0 and name in GROUPS]
    places = ((_logs(rows.reset_index()).set_index(rows.index)[names] - scale[names].mean()) / spread[names]).astype(float)
    found: list[dict[str, Any]] = []
    for other in (other for other in others if other in rows.index and user_id in rows.index):
        one, two = places.loc[user_id], places.loc[other]
        order = pd.DataFrame({"product": (one * two).clip(lower=0), "gap": (one - two).abs()}).dropna()
        order = order.sort_values(["product", "gap"], ascending=[False, True], kind="stable")
        first = order[~order.index.map(GROUPS).duplicated()].head(MOST_FEATURES)
        found += [
            {"user_id": other, "feature": name, "own": float(rows.loc[user_id, name]), "other": float(rows.loc[other, name])}
            for name in first.index
        ]
    return pd.DataFrame(found, columns=["user_id", "feature", "own", "other"])


def _logs(counts: pd.DataFrame) -> pd.DataFrame:
    """Signed logarithms of counted features."""
    values = counts.drop(columns="user_id").astype(float)
    return values.transform(lambda column: np.sign(column) * np.log1p(column.abs()))


def segment_history(screen: Screen, user_id: str) -> pd.DataFrame:
    """Return in which segment each map of the dataset saw a shopper, oldest reading first.

    Returns:
        as_of (UTC, end of what the map had seen), segment_id, name (found then, or given by people for the current map's segments),
        certainty, run; of several maps of one reading the newest counts. Segment ids are kept from map to map.
    """
    dataset, rows = screen.dataset, dict[str, dict[str, Any]]()
    for run_id in dataset.runs("atlas")[-MOST_MAPS:]:
        try:
            record = dataset.run_manifest("atlas", run_id)
            folder = dataset.run_path("atlas", run_id)
            found = pq.read_table(folder / "users.parquet", filters=[("user_id", "=", user_id)]).to_pylist()
            names = {row["segment_id"]: row["name"] for row in pq.read_table(folder / "segments.parquet").to_pylist()}
            as_of = record["cutoff"] or dataset.log(version=record["inputs"]["version"]).until.isoformat()
        except (CoreError, OSError, KeyError, pa.ArrowInvalid):  # a damaged map, or one of a version that is gone
            continue
        if found:
            segment = int(found[0]["segment_id"])
            rows[as_of] = {
                "as_of": datetime.fromisoformat(as_of),
                "segment_id": segment,
                "name": names.get(segment, str(segment)),
                "certainty": float(found[0]["certainty"]),
                "run": run_id,
            }
    return pd.DataFrame([rows[key] for key in sorted(rows)], columns=["as_of", "segment_id", "name", "certainty", "run"])
