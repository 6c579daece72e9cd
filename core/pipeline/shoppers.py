"""What the Map and Shopper pages read: places, segments and their traits, one shopper's history, the nearest others."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from core.artifacts import read_rows
from core.atlas import names
from core.errors import NotFoundError, TakenError
from core.features.catalogue import FEATURES
from core.pipeline import screens
from core.pipeline.map_cells import told_segments, told_traits
from core.pipeline.offering import allowed
from core.pipeline.places import places
from core.pipeline.screens import Screen
from core.store import fetch, scalar

LEAST_USERS = 200
"""Below, a partition into segments says nothing (FEATURES, minimum-data gates)."""
LEAST_EVENTS = 5
"""Of a shopper with fewer the averages of her segment tell more than her own figures."""
LONGEST_NAME = 80
"""Signs of a name that a person gives."""
WITHIN = " › "
"""Stands between the name of a segment and that of its part."""
TRAIT_WORDS = names.WORDS
"""(kind, code) of a trait → its English word in a name, and the end of "… as often <end>"."""

NEAR_IDS_SQL = """
SELECT user_id FROM (SELECT DISTINCT user_id FROM history)
ORDER BY NOT starts_with(user_id, $text), levenshtein(user_id, $text), user_id LIMIT 5
"""
FACTS_SQL = """
SELECT count(*) AS events, min(event_time) AS first_event, max(event_time) AS last_event,
       count(DISTINCT event_time::DATE) AS active_days, count(DISTINCT item_id) AS items,
       count(DISTINCT coalesce(order_id, event_time::VARCHAR)) FILTER (event_type = 'purchase') AS orders,
       sum(revenue) FILTER (event_type = 'purchase')::DOUBLE AS revenue,
       max(event_time) FILTER (event_type = 'purchase') AS last_purchase
FROM history WHERE user_id = $user_id
"""
AFFINITY_SQL = """
WITH acts AS (
    SELECT h.user_id, c.category FROM history h JOIN catalogue c ON h.item_id = c.item_id
    WHERE c.category IS NOT NULL AND h.event_type IN ('view', 'click', 'favourite', 'share', 'cart', 'purchase')
), overall AS (
    SELECT category, count(*) / sum(count(*)) OVER () AS share_all FROM acts GROUP BY category
)
SELECT category, count(*) AS n, count(*) / sum(count(*)) OVER () AS share, any_value(share_all) AS share_all,
       count(*) / sum(count(*)) OVER () / any_value(share_all) AS lift
FROM acts JOIN overall USING (category) WHERE user_id = $user_id
GROUP BY category ORDER BY n DESC, category LIMIT 8
"""


def feature_words() -> dict[str, str]:
    """Return the name of each counted feature and the English phrase that explains it."""
    return {feature.name: feature.description for feature in FEATURES}


def segments(screen: Screen, _names: str = "") -> pd.DataFrame:
    """Segments by size with the names that people gave and their mean purchase chance.

    `_names` is not read: callers that remember answers pass the given names, so that a new name is a new question.
    """
    table = screens.run_table(screen, "atlas", "segments")
    if table is None:
        raise NotFoundError("Dataset {dataset!r} has no map yet; draw it first.", dataset=screen.name)
    frame = table.to_pandas()
    given = segment_names(screen)
    frame["name"] = [given.get(int(segment), name) for segment, name in zip(frame["segment_id"], frame["name"], strict=True)]
    everyone = places(screen)
    chances = _mean_chances(screen, fine=False)
    frame["propensity"] = [chances.get(int(segment), np.nan) for segment in frame["segment_id"]]
    frame = told_segments(screen, frame, len(everyone.x))
    ordered: pd.DataFrame = frame.sort_values(["size", "segment_id"], ascending=[False, True], kind="stable").reset_index(drop=True)
    return ordered


def subsegments(screen: Screen, _names: str = "") -> pd.DataFrame:
    """Subsegments in the order of their segments, largest first, with the names that people gave to both and their mean chance.

    A map drawn before segments were split has each segment as its only subsegment. `_names` as in `segments`.
    """
    coarse, table = segments(screen), screens.run_table(screen, "atlas", "subsegments")
    if table is None:
        frame = coarse.assign(subsegment_id=coarse["segment_id"], own_name=None, shade=0, share_of_segment=1.0, split_stability=np.nan)
    else:
        frame = table.to_pandas()
    own, given = names_by_segment(coarse), segment_names(screen, fine=True)
    frame["segment_name"] = [own[int(segment)] for segment in frame["segment_id"]]
    frame["own_name"] = [
        given.get(int(i), found) if isinstance(found, str) else None
        for i, found in zip(frame["subsegment_id"], frame["own_name"], strict=True)
    ]
    everyone = places(screen)
    chances = _mean_chances(screen, fine=True)
    frame["propensity"] = [chances.get(int(i), np.nan) for i in frame["subsegment_id"]]
    frame = told_segments(screen, frame, len(everyone.x))
    order = {int(segment): place for place, segment in enumerate(coarse["segment_id"])}
    frame["_order"] = [order[int(segment)] for segment in frame["segment_id"]]
    ordered: pd.DataFrame = frame.sort_values(["_order", "size", "subsegment_id"], ascending=[True, False, True], kind="stable")
    return ordered.drop(columns="_order").reset_index(drop=True)


@lru_cache(maxsize=4)
def _mean_chances(screen: Screen, *, fine: bool) -> dict[int, float]:
    """Mean purchase chance of each segment or subsegment of which anybody has one, by its id."""
    everyone = places(screen)
    known = ~np.isnan(everyone.propensity)
    ids, places_of = np.unique((everyone.fine_ids if fine else everyone.segment_ids)[known], return_inverse=True)
    means = np.bincount(places_of, weights=everyone.propensity[known]) / np.bincount(places_of)
    return {int(one): float(mean) for one, mean in zip(ids, means, strict=True)}


def names_by_segment(table: pd.DataFrame) -> dict[int, str]:
    """Names of the rows of `segments` by id."""
    return {int(segment): str(name) for segment, name in zip(table["segment_id"], table["name"], strict=True)}


def segments_in_words(screen: Screen) -> tuple[dict[int, str], dict[int, tuple[int, str | None]]]:
    """Names of segments by id; and of subsegments the segment and the name of their own, by id. Nobody is counted for it.

    Raises:
        NotFoundError: There is no map yet.
    """
    table = screens.run_table(screen, "atlas", "segments", ["segment_id", "name"])
    if table is None:
        raise NotFoundError("Dataset {dataset!r} has no map yet; draw it first.", dataset=screen.name)
    names = {int(row["segment_id"]): str(row["name"]) for row in table.to_pylist()} | segment_names(screen)
    parts, given = (
        screens.run_table(screen, "atlas", "subsegments", ["subsegment_id", "segment_id", "own_name"]),
        segment_names(screen, fine=True),
    )
    if parts is None:  # a map drawn before segments were split
        return names, {segment: (segment, None) for segment in names}
    fine = {
        int(row["subsegment_id"]): (
            int(row["segment_id"]),
            given.get(int(row["subsegment_id"]), row["own_name"]) if row["own_name"] else None,
        )
        for row in parts.to_pylist()
    }
    return names, fine


def strongest_traits(screen: Screen, most: int, fine: bool = False) -> dict[int, list[dict[str, Any]]]:
    """Return the first `most` traits of each segment or subsegment, strongest first, by its id."""
    table, key = trait_table(screen, fine)
    if table is None:
        return {}
    frame = table.to_pandas().sort_values([key, "place"], kind="stable")
    if "code" not in frame:
        frame["code"] = frame["trait"]
    return {
        int(str(key)): [{str(k): v for k, v in row.items()} for row in part.head(most).to_dict("records")]
        for key, part in frame.groupby(key)
    }


def segment_names(screen: Screen, fine: bool = False) -> dict[int, str]:
    """Return the names that people gave to segments, or to subsegments."""
    saved = screen.dataset.saved("subsegment_names" if fine else "segment_names") or {}
    return {int(key): str(name) for key, name in saved.items()}


def rename_segment(
    screen: Screen, segment_id: int, name: str, fine: bool = False, shown: Mapping[tuple[str, int], str] = MappingProxyType({})
) -> None:  # fmt: skip
    """Keep a person's name for a segment or subsegment; an empty one brings the found name back.

    Args:
        screen: What to read.
        segment_id: Of the segment, or of the subsegment when `fine`.
        name: At most LONGEST_NAME signs are kept.
        fine: Whether it is a subsegment.
        shown: Names on screen by (`segment` or `fine`, id), in the language of the reader, beside those in English.

    Raises:
        TakenError: Another segment or subsegment is called so already.
    """
    name = " ".join(name.split())[:LONGEST_NAME]
    if name:
        for names in (labels(screen), shown):
            _refuse_taken(names, ("fine" if fine else "segment", segment_id), name)
    given = {str(key): value for key, value in segment_names(screen, fine).items()}
    given.pop(str(segment_id), None)
    if name:
        given[str(segment_id)] = name
    screen.dataset.save("subsegment_names" if fine else "segment_names", given)


def labels(screen: Screen) -> dict[tuple[str, int], str]:
    """Return what each segment, ("segment", id), and each part of one, ("fine", id), is called in a list of both."""
    names, parts = segments_in_words(screen)
    told = {("segment", segment): name for segment, name in names.items()}
    return told | {("fine", part): f"{names[of]}{WITHIN}{own}" for part, (of, own) in parts.items() if own}


def _refuse_taken(names: Mapping[tuple[str, int], str], chosen: tuple[str, int], name: str) -> None:
    """Raise when a new name makes two entries of a list alike, whatever their capitals."""
    former = names.get(chosen, "")
    new = former.rpartition(WITHIN)[0] + WITHIN + name if chosen[0] == "fine" else name
    for key, other in names.items():
        if key != chosen and other.casefold() == new.casefold():
            raise TakenError("Another segment is called {name} already; choose a name that tells the two apart.", name=other)


def traits_of(screen: Screen, segment_id: int, fine: bool = False) -> pd.DataFrame:
    """Traits of a segment, strongest first: trait, kind, lift with interval, n, share_in, share_all.

    Those of a subsegment (`fine`) are against the other shoppers of its segment.
    """
    table, key = trait_table(screen, fine)
    frame = table.to_pandas() if table is not None else pd.DataFrame(columns=[key, "place"])
    return frame[frame[key] == segment_id].sort_values("place", kind="stable")


def trait_table(screen: Screen, fine: bool) -> tuple[pa.Table | None, str]:
    """Return the traits of all segments or subsegments as they may be shown, None without a map, and the name of their id."""
    key, name = ("subsegment_id", "subsegment_traits") if fine else ("segment_id", "traits")
    table = screens.run_table(screen, "atlas", name)
    if table is None or not screen.small_cells:
        return table, key
    everyone = places(screen)
    ids = everyone.fine_ids if fine else everyone.segment_ids
    sizes = {int(i): int(n) for i, n in zip(*np.unique(ids, return_counts=True), strict=True)}
    parent = {int(i): int(segment) for i, segment in zip(everyone.fine_ids, everyone.segment_ids, strict=True)} if fine else {}
    whole = {i: int((everyone.segment_ids == parent[i]).sum()) if fine else len(ids) for i in sizes}
    return told_traits(screen, table, sizes, whole, key), key


def find_user(screen: Screen, text: str) -> tuple[str | None, list[str]]:
    """Return the user of that id, or None and the five nearest ids."""
    with screen.log.history() as connection:
        if scalar(connection, "SELECT count(*) FROM history WHERE user_id = $text", {"text": text}):
            return text, []
        return None, fetch(connection, NEAR_IDS_SQL, {"text": text})["user_id"].to_pylist()


def draw_user(screen: Screen, seed: int, segment_id: int | None = None) -> str:
    """Draw a user, of a segment when one is given."""
    if screen.run_id("atlas"):
        everyone = places(screen)
        pool = everyone.user_ids if segment_id is None else everyone.user_ids[everyone.segment_ids == segment_id]
    else:
        with screen.log.history() as connection:
            pool = np.array(fetch(connection, "SELECT DISTINCT user_id FROM history ORDER BY user_id")["user_id"].to_pylist(), dtype=object)
    return str(pool[np.random.default_rng(seed).integers(len(pool))])


@dataclass(frozen=True)
class Portrait:
    """One shopper: figures, tastes, chance, segment, recommendations."""

    user_id: str
    facts: dict[str, Any]
    affinity: pd.DataFrame
    score: dict[str, Any] | None
    segment: dict[str, Any] | None
    reasons: pd.DataFrame
    recommendations: pd.DataFrame
    recency_days: float | None
    """Whole days from the last purchase to the end of the log."""

    @property
    def is_known(self) -> bool:
        """Whether enough events are known of the shopper that her own figures mean something."""
        return int(self.facts["events"]) >= LEAST_EVENTS


def portrait(screen: Screen, user_id: str, _names: str = "") -> Portrait:
    """Read all that is known of one shopper; `_names` as in `segments`, and the rules in force."""
    bound: dict[str, object] = {"user_id": user_id}
    with screen.log.history() as connection:
        facts = fetch(connection, FACTS_SQL, bound).to_pylist()[0]
        affinity = fetch(connection, AFFINITY_SQL, bound).to_pandas()
    last = facts["last_purchase"]
    place = _row(screens.run_table(screen, "atlas", "users"), user_id)
    segment = None
    if place:
        found = segments(screen)
        own = {"certainty": place["certainty"], "subsegment_id": place.get("subsegment_id")}
        segment = {**found[found["segment_id"] == place["segment_id"]].iloc[0].to_dict(), **own}
    return Portrait(
        user_id,
        facts,
        affinity,
        _row(screens.run_table(screen, "propensity", "scores"), user_id),
        segment,
        _rows(screens.run_table(screen, "propensity", "reasons"), user_id),
        titled(screen, allowed(screen, _rows(screens.run_table(screen, "recommendations", "recommendations"), user_id))),
        float((screen.log.until - last).days) if last is not None else None,
    )


def nearest(screen: Screen, user_id: str, k: int = 10) -> pd.DataFrame:
    """The `k` most alike shoppers by cosine of their profiles: user_id, similarity (-1 to 1), and their segment when there is a map.

    Text profiles alone where the log has texts, else standardised counted features (see `measured_on_text`).
    """
    run = screen.run_id("profiles")
    if run is None:
        return pd.DataFrame(columns=["user_id", "similarity"])
    found = _similarities(screen, user_id)
    if found is None:
        return pd.DataFrame(columns=["user_id", "similarity"])
    user_ids, similarity = found
    least = np.partition(similarity, -k)[-k] if len(similarity) > k else -np.inf
    near = np.flatnonzero((similarity >= least) & np.isfinite(similarity))
    order = near[np.lexsort((user_ids[near].astype(str), -similarity[near]))][:k]
    shown = np.clip(similarity[order].astype(float), -1, 1)  # rounding may lead a hair's breadth out
    frame = pd.DataFrame({"user_id": user_ids[order], "similarity": shown})
    if screen.run_id("atlas"):
        everyone = places(screen)
        own = dict(zip(everyone.user_ids, everyone.segment_ids, strict=True))
        frame["segment_id"] = [own.get(user) for user in frame["user_id"]]
    return frame


def measured_on_text(screen: Screen) -> bool:
    """Whether `nearest` compares text profiles, and not counted features."""
    return (screen.dataset.run_path("profiles", screen.run_id("profiles")) / "text.safetensors").is_file()


def titled(screen: Screen, frame: pd.DataFrame) -> pd.DataFrame:
    """Add title, category and price of each item_id."""
    if not len(frame):
        return frame
    with screen.log.history() as connection:
        found = fetch(
            connection,
            "SELECT item_id, title, category, price::DOUBLE AS price FROM catalogue WHERE list_contains($items, item_id)",
            {"items": sorted(set(frame["item_id"]))},
        ).to_pandas()
    return frame.merge(found, on="item_id", how="left")


def titles(screen: Screen, item_ids: tuple[str, ...]) -> dict[str, str]:
    """Return the titles of items that have one."""
    found = titled(screen, pd.DataFrame({"item_id": list(item_ids)}))
    return {item: title for item, title in zip(found["item_id"], found["title"], strict=True) if isinstance(title, str)}


def _similarities(screen: Screen, user_id: str) -> tuple[npt.NDArray[Any], npt.NDArray[np.float32]] | None:
    """All users and the cosine of their profiles to one user's (-inf for herself); None without a profile of hers.

    Texts are read piece by piece: the screen process never holds the profiles of a million shoppers.
    """
    path = screen.dataset.run_path("profiles", screen.run_id("profiles")) / "text.safetensors"
    has_text = measured_on_text(screen)
    counts = screens.run_table(screen, "profiles", "counts", ["user_id"] if has_text else None)
    assert counts is not None
    user_ids = np.array(counts["user_id"].to_pylist(), dtype=object)
    at = np.flatnonzero(user_ids == user_id)
    if not len(at):
        return None
    counted = None if has_text else standardised(counts)
    own = next(read_rows(path, "text", int(at[0]), int(at[0]) + 1))[1][0] if counted is None else counted[at[0]]
    if not own.any():
        return None
    own = own.astype(np.float32) / np.linalg.norm(own)
    similarity = np.empty(len(user_ids), np.float32)
    for start, rows in read_rows(path, "text", check=False) if counted is None else [(0, counted)]:
        similarity[start : start + len(rows)] = (rows @ own) / np.maximum(np.linalg.norm(rows, axis=1), 1e-12)
    similarity[at[0]] = -np.inf
    return user_ids, similarity


def standardised(counts: pa.Table) -> npt.NDArray[np.float32]:
    """Return counted features on one scale (U, F): signed logarithm, mean 0, spread 1; unknown ones as 0."""
    values = np.nan_to_num(counts.drop_columns(["user_id"]).to_pandas().to_numpy(np.float64))
    values = np.sign(values) * np.log1p(np.abs(values))
    return np.asarray((values - values.mean(axis=0)) / np.maximum(values.std(axis=0), 1e-9), np.float32)


def _rows(table: pa.Table | None, user_id: str) -> pd.DataFrame:
    return pd.DataFrame() if table is None else table.filter(pc.equal(table["user_id"], user_id)).to_pandas()


def _row(table: pa.Table | None, user_id: str) -> dict[str, Any] | None:
    rows = _rows(table, user_id)
    return {str(key): value for key, value in rows.iloc[0].to_dict().items()} if len(rows) else None
