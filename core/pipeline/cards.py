"""What the Shopper page reads of one shopper: her acts, the card made of them, and what the most alike ones share with her."""

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from core.audiences.words import RFM_WORDS, STAGE_WORDS
from core.errors import CoreError
from core.features.catalogue import FEATURES
from core.insights import rfm, shopper
from core.insights.profile_card import Clock, Standing, Statement, profile_card
from core.insights.shopper import WHOLE, LeftOut, Shares
from core.messages import Message, joined, say
from core.pipeline import screens
from core.pipeline.choosing import GROUP_COLUMNS, groups
from core.pipeline.colours import feature_values
from core.pipeline.places import map_log, places
from core.pipeline.report_words import KIND_WORDS
from core.pipeline.screens import Screen
from core.schema import INTEREST_TYPES
from core.store import fetch

DAY = 86_400
TOP_CATEGORIES = 5
"""Of a segment, those named beside its averages."""
SEGMENT_CATEGORIES_SQL = """
WITH acts AS (
    SELECT c.category FROM history h JOIN catalogue c ON h.item_id = c.item_id SEMI JOIN members m ON m.user_id = h.user_id
    WHERE c.category IS NOT NULL AND list_contains($interest, h.event_type::VARCHAR)
)
SELECT category, count(*) / sum(count(*)) OVER () AS share FROM acts GROUP BY category ORDER BY share DESC, category LIMIT $most
"""
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
    """Return how all shoppers' acts spread over categories, brands and times."""
    with screen.log.history() as connection:
        return shopper.shares_of_all(connection, screen.zone)


@lru_cache(maxsize=2)
def standings(screen: Screen) -> pa.Table:
    """Return stage of life and RFM group of everyone at the end of the log, as Behaviour and the map count them: user_id, stage, rfm.

    Counted features of this very log tell it at once; without them it is asked of the log.
    """
    record = screens.run_manifest(screen, "profiles") or {}
    if record.get("cutoff") is None and (record.get("inputs") or {}).get("version") == screen.version:
        columns = screens.run_columns(screen, "profiles", "counts")
        if set(GROUP_COLUMNS) <= set(columns):
            counts = screens.run_table(screen, "profiles", "counts", ["user_id", *GROUP_COLUMNS])
            if counts is not None:
                return groups(counts)
    return rfm.standings(screen.log)


def standing(screen: Screen, user_id: str) -> Standing:
    """Return where all shoppers' history puts one of them; who never bought is in no RFM group."""
    table = standings(screen)
    row = pc.index(table["user_id"], user_id).as_py()
    if row < 0:
        return Standing()
    group = table["rfm"][row].as_py()
    return Standing(STAGE_WORDS[table["stage"][row].as_py()], RFM_WORDS[group] if group != "never" else None)


def card(screen: Screen, every: pa.Table, of_all: Shares, user_id: str, left_out: LeftOut = WHOLE) -> list[Statement]:
    """Make the profile card of a shopper; the events of its statements are places in what `counted` gives.

    Args:
        screen: What to read.
        every: All acts of the shopper.
        of_all: As `shares` gives them.
        user_id: Whose acts they are.
        left_out: What does not count.
    """
    record = screens.manifest(screen)
    hours = int(record.get("time_resolution_seconds", 1)) < DAY
    kept, left_out = counted(screen, every, left_out)
    clock = Clock(hours=hours, weekdays=not record.get("relative_time"))
    return profile_card(kept, of_all, screen.log.until, clock, left_out, standing(screen, user_id))


def counted(screen: Screen, every: pa.Table, left_out: LeftOut) -> tuple[pa.Table, LeftOut]:
    """Return the acts of a shopper that count, and what is truly left out; see `shopper.counted_acts`."""
    return shopper.counted_acts(every, left_out, screen.log.until)


def told_left_out(left_out: LeftOut) -> list[Message]:
    """Say what a card is made without; nothing when all events count."""
    told = []
    if left_out.kinds:
        kinds = joined([KIND_WORDS[kind] for kind in left_out.kinds])
        told.append(say("Statements are made without these kinds of events: {kinds}.", kinds=kinds))
    if left_out.days:
        told.append(say("Statements are made from events of the last {days} days of the log alone.", days=left_out.days))
    return told


@dataclass(frozen=True)
class SegmentMeans:
    """What shoppers of a segment are like on average, as of the map; None where nobody of them has a value."""

    shoppers: int
    events: float | None
    orders: float | None
    gap_days: float | None
    """Median days between active days, averaged over those who were active on two days."""
    price: float | None
    """Prices of touched items over the median of their category, geometric mean."""
    categories: tuple[tuple[str, float], ...]
    """Those most acted on, with their shares of the segment's acts."""


def segment_means(screen: Screen, segment_id: int) -> SegmentMeans:
    """Average what the profiles count over the shoppers of a segment.

    Raises:
        NotFoundError: There is no map yet.
    """
    everyone = places(screen)
    own, columns = everyone.segment_ids == segment_id, set(screens.run_columns(screen, "profiles", "counts"))

    def mean(name: str) -> float | None:
        values = feature_values(screen, name)[own] if name in columns else np.zeros(0)
        known = values[np.isfinite(values)]
        return float(known.mean()) if len(known) else None

    with map_log(screen) as connection:
        connection.register("members", pa.table({"user_id": pa.array(everyone.user_ids[own].tolist(), pa.string())}))
        asked = {"interest": list(INTEREST_TYPES), "most": TOP_CATEGORIES}
        found = fetch(connection, SEGMENT_CATEGORIES_SQL, asked).to_pylist()
        connection.unregister("members")
    price = mean("price_level")
    return SegmentMeans(
        int(own.sum()),
        mean("events_all"),
        mean("orders_all"),
        mean("active_gap_median_days"),
        None if price is None else float(np.exp(price)),
        tuple((row["category"], float(row["share"])) for row in found),
    )


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
