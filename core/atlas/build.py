"""The atlas of a log: picture, segments, traits and names, and how far to trust them.

U users, P profile dimensions. Equal inputs give equal bytes, in any process and with any number of threads.
"""

import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from core.atlas.layout import Graph, Points, align, lay_out, nearest, place_between, plane, scale
from core.atlas.names import describe, make_distinct, name_segments, spell, trait_sentence, trait_words
from core.atlas.quality import picture_quality, silhouette
from core.atlas.segments import Partition, SegmentOptions, few_segments, find_segments, merge_small, number_segments, vote
from core.atlas.space import Indices, Vectors, stable_order
from core.atlas.traits import Trait, find_traits, habits
from core.messages import Message, say
from core.metrics import wilson
from core.schema import Progress, silent
from core.store import Connection, fetch

LEAST_USERS = 200
"""Below, a map claims more than the data can hold: a plain projection and k-means serve, with a warning."""
LANDMARKS = 20_000
"""Users laid out and parted by the graph; beyond, all others are placed between their nearest landmarks."""
K = 15
"""Neighbours of a user in the picture, and those who tell how certain her segment is."""
GRAPH_K = 30
"""Neighbours in the graph that segments are sought in: with 30 they are more stable than with 15 …"""
GRAPH_K_FROM = 1_000
"""… from this many users on; in smaller logs 30 neighbours reach out of the smallest segments."""
TOP_ITEMS_SQL = "SELECT item_id, title FROM catalogue WHERE title IS NOT NULL AND list_contains($items, item_id) ORDER BY item_id"


@dataclass(frozen=True)
class AtlasOptions:
    """What people may choose about a map."""

    segments: SegmentOptions = field(default_factory=SegmentOptions)
    time_zone: str = "UTC"
    """In which hours and weekdays of traits are told."""
    picture: bool = True
    """False draws principal axes instead of UMAP: instant, for tests and very small machines."""


@dataclass(frozen=True)
class Atlas:
    """What the atlas stage publishes."""

    users: pa.Table
    """schema.SEGMENTS: user_id, x, y, segment_id (from 1), certainty 0-1; in the order of user_id."""
    segments: pa.Table
    """One row per segment, largest first: see `build_atlas`."""
    traits: pa.Table
    """segment_id, place (from 1), kind, code, trait (words), text (sentence), lift, low, high, n, share_in, share_all."""
    metrics: dict[str, Any]
    """Quality of picture and segments, method, `warnings`."""


def build_atlas(
    user_ids: list[str],
    profile: Vectors,
    counts: pa.Table,
    connection: Connection,
    *,
    cutoff: datetime,
    seed: int = 7,
    previous: pa.Table | None = None,
    options: AtlasOptions | None = None,
    progress: Progress = silent,
) -> Atlas:
    """Lay users out, part them into named segments and tell what is typical of each.

    Columns of `segments`: segment_id, name, description, name_parts (JSON: kind, code, words, lift, low, high, n, share_in,
    share_all of each part of the name), size, share, certainty_mean, buyers, buyer_rate with buyer_low and buyer_high
    (Wilson), orders, revenue, orders_per_user, revenue_per_user, events_per_user, recency_days (median). Buyer, order
    and revenue columns are NULL in a log that knows no purchases or no revenue.

    Args:
        user_ids: Sorted; all users of the history.
        profile: (U, P) float32 in that order, from `space.profile_space`.
        counts: Counted features in that order (traits of kind `feature`).
        connection: The log as of the cutoff.
        cutoff: First instant not seen; recency is counted back from it.
        seed: Of the picture and the resamples.
        previous: Users table of an earlier atlas: the picture is turned to it and segments keep their ids.
        options: Choices of people.
        progress: Called with the share done.

    Raises:
        ValueError: The arguments do not describe the same users.
    """
    chosen = options or AtlasOptions()
    if not len(user_ids) == len(profile) == counts.num_rows or not user_ids:
        raise ValueError(f"{len(user_ids)} user ids, {len(profile)} profiles and {counts.num_rows} rows of counts must be equal and not 0")
    rng = np.random.default_rng(seed)
    order = stable_order(user_ids)
    former = _former(user_ids, previous)
    progress(0.0, say("Comparing shoppers"))
    points, first, inverse, weights = _distinct(profile)
    small = len(points) < LEAST_USERS
    minimum = max(20, int(np.ceil(0.01 * len(user_ids))))
    if small:
        partition = few_segments(points, weights, minimum)
        graph = nearest(points, None, min(K, len(points) - 1)) if len(points) > 1 else None
        places, labels, certainty = plane(points), partition.labels, _certainty(graph, partition.labels)
    else:
        places, labels, certainty, partition = _map(points, order, first, inverse, weights, minimum, rng, seed, former, chosen, progress)
    places = _spread_equals(places[inverse], inverse, weights, user_ids)
    labels, certainty = labels[inverse], certainty[inverse]
    if former is not None:
        places = align(places, former.places, former.known)
    segment_ids = number_segments(labels, former.segments if former else None)
    progress(0.8, say("Finding what is typical of each segment"))
    users = pa.table(
        {
            "user_id": pa.array(user_ids, pa.string()),
            "x": np.round(places[:, 0], 5),
            "y": np.round(places[:, 1], 5),
            "segment_id": pa.array(segment_ids, pa.int32()),
            "certainty": np.round(certainty, 4),
        }
    )
    connection.register("placed", users.select(["user_id", "segment_id"]))
    habit = habits(connection, cutoff)
    traits = find_traits(connection, segment_ids, habit, counts, chosen.time_zone)
    titles = _titles(connection, traits)
    connection.unregister("placed")
    by_segment: dict[int, list[Trait]] = {int(segment): [] for segment in _by_size(segment_ids)}
    for trait in traits:
        by_segment[trait.segment_id].append(trait)
    progress(0.95, say("Judging the map"))
    metrics: dict[str, Any] = {
        "users": len(user_ids),
        "segments": len(by_segment),
        "method": partition.method,
        "stability": round(float(np.mean(partition.stability)), 4) if partition.stability else None,
        "stability_resamples": len(partition.stability),
        "partitions_tried": partition.tried,
        "silhouette": silhouette(profile, segment_ids.astype(np.int64), order),
        "picture": "UMAP" if chosen.picture and not small else "principal axes",
        **picture_quality(profile, places, order),
    }
    metrics["warnings"] = _warnings(metrics, small, len(points))
    progress(1.0, _count(len(by_segment), len(user_ids)))
    return Atlas(users, _segment_table(by_segment, titles, segment_ids, certainty, habit), _trait_table(by_segment, titles), metrics)


@dataclass(frozen=True)
class _Former:
    known: npt.NDArray[np.bool_]
    places: Points
    segments: Indices


def _former(user_ids: list[str], previous: pa.Table | None) -> _Former | None:
    if previous is None or not previous.num_rows:
        return None
    row = {user_id: position for position, user_id in enumerate(previous["user_id"].to_pylist())}
    rows = np.array([row.get(user_id, -1) for user_id in user_ids])
    known = rows >= 0
    if not known.any():
        return None
    at = np.maximum(rows, 0)
    old = np.column_stack([previous["x"].to_numpy(), previous["y"].to_numpy()]).astype(np.float64)
    return _Former(known, old[at], np.where(known, previous["segment_id"].to_numpy().astype(np.int64)[at], 0))


def _distinct(profile: Vectors) -> tuple[Vectors, Indices, Indices, Indices]:
    """Distinct profiles, the first user of each, each user's profile, and users per profile: equals must not fill a neighbourhood."""
    rows = np.ascontiguousarray(profile.astype(np.float32) + np.float32(0))  # -0 becomes 0
    as_bytes = rows.view(np.dtype((np.void, rows.dtype.itemsize * rows.shape[1]))).ravel()
    _, first, inverse, weights = np.unique(as_bytes, return_index=True, return_inverse=True, return_counts=True)
    # in the order of users, not of bytes
    by_user = np.argsort(first)
    rank = np.empty_like(by_user)
    rank[by_user] = np.arange(len(by_user))
    return rows[first[by_user]], first[by_user], rank[inverse.ravel()], weights[by_user].astype(np.int64)


def _map(
    points: Vectors, order: Indices, first: Indices, inverse: Indices, weights: Indices, minimum: int, rng: np.random.Generator,
    seed: int, former: _Former | None, options: AtlasOptions, progress: Progress,
) -> tuple[Points, Indices, npt.NDArray[np.float64], Partition]:  # fmt: skip
    """Part and lay out distinct profiles, through landmarks when they are many."""
    is_first = np.zeros(len(inverse), dtype=bool)
    is_first[first] = True
    landmarks = np.sort(inverse[order[is_first[order]][:LANDMARKS]])
    chosen = points[landmarks]
    wide = nearest(chosen, None, GRAPH_K if len(chosen) >= GRAPH_K_FROM else K)
    graph = Graph(wide.indices[:, :K], wide.distances[:, :K])
    others = np.setdiff1d(np.arange(len(points)), landmarks)
    to_landmarks = nearest(chosen, points[others], K) if len(others) else None
    stands_for = weights[landmarks].copy()
    if to_landmarks is not None:
        np.add.at(stands_for, to_landmarks.indices[:, 0], weights[others])
    progress(0.1, say("Looking for segments"))
    partition = find_segments(chosen, wide, stands_for, minimum, rng, options.segments)
    labels = np.empty(len(points), dtype=np.int64)
    labels[landmarks] = partition.labels
    if to_landmarks is not None:
        labels[others] = vote(to_landmarks, partition.labels)[0]
    labels = merge_small(labels, points, weights, minimum)
    certainty = np.empty(len(points))
    certainty[landmarks] = _certainty(graph, labels[landmarks])
    if to_landmarks is not None:
        certainty[others] = (labels[landmarks][to_landmarks.indices] == labels[others, None]).mean(axis=1)
    progress(0.4, say("Drawing the picture"))
    start = None
    if former is not None and former.known[first[landmarks]].mean() > 0.5:
        start = _start_from(former, first[landmarks], graph)
    drawn = lay_out(chosen, graph, seed, start) if options.picture else plane(chosen)
    places = np.empty((len(points), 2))
    places[landmarks] = drawn
    if to_landmarks is not None:
        near = Graph(to_landmarks.indices[:, :8], to_landmarks.distances[:, :8])
        places[others] = place_between(near, drawn)
    return places, labels, certainty, partition


def _start_from(former: _Former, users: Indices, graph: Graph) -> Points:
    """Former places of the landmarks; those new to the picture start between their known neighbours."""
    known = former.known[users]
    places = np.where(known[:, None], former.places[users], 0.0)
    weight = known[graph.indices].astype(np.float64)[:, :, None]
    between = (places[graph.indices] * weight).sum(axis=1) / np.maximum(weight.sum(axis=1), 1)
    return scale(np.where(known[:, None], places, between))


def _certainty(graph: Graph | None, labels: Indices) -> npt.NDArray[np.float64]:
    """Share of a user's neighbours who are in the same segment (N,)."""
    if graph is None or not graph.indices.shape[1]:
        return np.ones(len(labels))
    return np.asarray((labels[graph.indices] == labels[:, None]).mean(axis=1))


def _spread_equals(places: Points, inverse: Indices, weights: Indices, user_ids: list[str]) -> Points:
    """Spread users of equal profiles over a small disc (1 % of the width at most), so that a crowd does not look like one dot."""
    crowd = weights[inverse] > 1
    if not crowd.any():
        return places
    turn = np.empty(len(user_ids))
    turn[stable_order(user_ids)] = np.arange(len(user_ids))
    angle = turn * 2.399963  # golden angle: even whatever the number
    reach = 0.2 * ((turn * 0.618034) % 1) ** 0.5
    spread = np.column_stack([np.cos(angle), np.sin(angle)]) * reach[:, None]
    return np.where(crowd[:, None], places + spread, places)


def _by_size(segment_ids: npt.NDArray[np.int32]) -> list[int]:
    ids, sizes = np.unique(segment_ids, return_counts=True)
    return [int(ids[i]) for i in np.lexsort((ids, -sizes))]


def _titles(connection: Connection, traits: list[Trait]) -> dict[str, str]:
    items = sorted({trait.code for trait in traits if trait.kind == "item"})
    table = fetch(connection, TOP_ITEMS_SQL, {"items": items}).to_pydict() if items else {"item_id": [], "title": []}
    return dict(zip(table["item_id"], table["title"], strict=True))


def _segment_table(
    by_segment: dict[int, list[Trait]], titles: dict[str, str], segment_ids: npt.NDArray[np.int32],
    certainty: npt.NDArray[np.float64], habit: pa.Table,
) -> pa.Table:  # fmt: skip
    parts = name_segments(by_segment, titles)
    single = len(by_segment) == 1
    names = make_distinct({s: "All shoppers" if single else spell(parts[s], titles) for s in by_segment})
    figures = {n: habit[n].cast(pa.float64()).to_numpy(zero_copy_only=False) for n in ("events", "orders", "revenue", "recency_days")}
    has_orders, has_revenue = bool(np.nansum(figures["orders"])), bool(np.isfinite(figures["revenue"]).any())
    rows = []
    for segment, own in parts.items():
        inside = segment_ids == segment
        size = int(inside.sum())
        buyers, orders = int((figures["orders"][inside] > 0).sum()), int(np.nansum(figures["orders"][inside]))
        low, high = wilson(buyers, size)
        revenue = round(float(np.nansum(figures["revenue"][inside])), 2)
        rows.append({
            "segment_id": segment, "name": names[segment],
            "description": f"All {size:,} shoppers of the log." if single else describe(own, titles, size, size / len(segment_ids)),
            "name_parts": json.dumps([_part(trait, titles) for trait in own], ensure_ascii=False),
            "size": size, "share": size / len(segment_ids), "certainty_mean": round(float(certainty[inside].mean()), 4),
            "buyers": buyers if has_orders else None, "buyer_rate": buyers / size if has_orders else None,
            "buyer_low": low if has_orders else None, "buyer_high": high if has_orders else None,
            "orders": orders if has_orders else None, "revenue": revenue if has_revenue else None,
            "orders_per_user": orders / size if has_orders else None, "revenue_per_user": revenue / size if has_revenue else None,
            "events_per_user": float(np.nansum(figures["events"][inside])) / size,
            "recency_days": round(float(np.median(figures["recency_days"][inside])), 3),
        })  # fmt: skip
    return pa.Table.from_pylist(rows, SEGMENT_SCHEMA)


def _trait_table(by_segment: dict[int, list[Trait]], titles: dict[str, str]) -> pa.Table:
    rows = []
    for segment, found in by_segment.items():
        told: set[tuple[str, str]] = set()
        for trait in found:
            words = trait_words(trait, titles)
            if (trait.kind, words) in told:  # items of one title
                continue
            told.add((trait.kind, words))
            rows.append(
                {"segment_id": segment, "place": len(told), "text": trait_sentence(trait, words), **_part(trait, titles), "trait": words}
            )
    return pa.Table.from_pylist(rows, TRAIT_SCHEMA)


def _part(trait: Trait, titles: dict[str, str]) -> dict[str, Any]:
    return {
        "kind": trait.kind, "code": trait.code, "words": trait_words(trait, titles), "lift": round(trait.lift, 4),
        "low": round(trait.low, 4), "high": round(trait.high, 4), "n": trait.n, "share_in": round(trait.share_in, 6),
        "share_all": round(trait.share_all, 6),
    }  # fmt: skip


def _count(segments: int, users: int) -> Message:
    shoppers = say("1 shopper") if users == 1 else say("{n:,} shoppers", n=users)
    found = say("1 segment") if segments == 1 else say("{n} segments", n=segments)
    return say("{segments} of {shoppers}", segments=found, shoppers=shoppers)


def _warnings(metrics: dict[str, Any], small: bool, distinct: int) -> list[Message]:
    warnings: list[Message] = []
    if small:
        warnings.append(
            say(
                "{profiles}; a map of segments needs {need}. What is shown is a plain projection: read the table, not the picture.",
                profiles=say("1 profile") if distinct == 1 else say("{n} different profiles", n=distinct),
                need=LEAST_USERS,
            )
        )
    if metrics["stability"] is not None and metrics["stability"] < 0.6:
        warnings.append(
            say(
                "The segments change when 5 % of the shoppers are left out (adjusted Rand {stability:.2f}): borders are soft.",
                stability=metrics["stability"],
            )
        )
    if metrics["segments"] == 1:
        warnings.append(say("No split into segments is clear; all shoppers stand in one."))
    return warnings


_FLOATS = ("orders_per_user", "revenue_per_user", "events_per_user", "recency_days")
SEGMENT_SCHEMA = pa.schema(
    [("segment_id", pa.int32()), ("name", pa.string()), ("description", pa.string()), ("name_parts", pa.string()), ("size", pa.int64()),
     ("share", pa.float64()), ("certainty_mean", pa.float64()), ("buyers", pa.int64()), ("buyer_rate", pa.float64()),
     ("buyer_low", pa.float64()), ("buyer_high", pa.float64()), ("orders", pa.int64()), ("revenue", pa.float64()),
     *((name, pa.float64()) for name in _FLOATS)]
)  # fmt: skip
TRAIT_SCHEMA = pa.schema(
    [("segment_id", pa.int32()), ("place", pa.int32()), ("kind", pa.string()), ("code", pa.string()), ("trait", pa.string()),
     ("text", pa.string()), ("lift", pa.float64()), ("low", pa.float64()), ("high", pa.float64()), ("n", pa.int64()),
     ("share_in", pa.float64()), ("share_all", pa.float64())]
)  # fmt: skip
