"""The atlas of a log: picture, segments and subsegments, traits and names, and how far to trust them.

U users, P profile dimensions. Equal inputs give equal bytes, in any process and with any number of threads.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa

from core.atlas.landmarks import (
    BETWEEN,
    Distinct,
    Former,
    K,
    Parted,
    certainty_of,
    draw,
    find_distinct,
    former_of,
    part,
    place_new,
    spread_equals,
)
from core.atlas.layout import WIDTH, Points, align, nearest, plane
from core.atlas.levels import split, whole
from core.atlas.options import AtlasOptions, Previous
from core.atlas.quality import picture_quality, silhouette
from core.atlas.segments import Cut, few_segments, number_segments
from core.atlas.space import Indices, Vectors, stable_order
from core.atlas.telling import tell_segments
from core.messages import Message, say
from core.schema import Progress, silent
from core.store import Connection

LEAST_USERS = 200
"""Below, a map claims more than the data can hold: a plain projection and k-means serve, with a warning."""
MOST_GROWTH = 1.25
"""A picture is kept, new shoppers placed into it, until the log has this many times the shoppers that it was drawn for …"""
WORSE = 0.02
"""… or its trustworthiness has fallen by this much."""


@dataclass(frozen=True)
class Atlas:
    """What the atlas stage publishes."""

    users: pa.Table
    """schema.SEGMENTS: user_id, x, y, segment_id and subsegment_id (from 1), certainty 0-1; in the order of user_id."""
    segments: pa.Table
    """One row per segment, largest first: see `build_atlas`."""
    subsegments: pa.Table
    """One row per subsegment, by segment, largest first."""
    traits: pa.Table
    """segment_id, place (from 1), kind, code, trait (words), text (sentence), lift, low, high, n, share_in, share_all."""
    subsegment_traits: pa.Table
    """The same with subsegment_id: against the other shoppers of its segment, whose share is share_all."""
    leanings: pa.Table
    """user (row of `users`), trait (row of `leaning_traits`): who has which trait."""
    leaning_traits: pa.Table
    """kind, code, words of each trait that shoppers lean to."""
    habits: pa.Table
    """user_id, events, recency_days, days, span_days, orders, revenue, price of each user, in the order of `users`."""
    metrics: dict[str, Any]
    """Quality of picture and segments, method, `warnings`."""

    def tables(self) -> dict[str, pa.Table]:
        """All tables by name."""
        return {name: value for name, value in vars(self).items() if name != "metrics"}


def build_atlas(
    user_ids: list[str],
    profile: Vectors,
    counts: pa.Table,
    connection: Connection,
    *,
    cutoff: datetime,
    seed: int = 7,
    previous: Previous | None = None,
    options: AtlasOptions | None = None,
    progress: Progress = silent,
) -> Atlas:
    """Lay users out, part them into named segments and tell what is typical of each.

    Columns of `segments`: segment_id, name, description, name_parts (JSON: kind, code, words, lift, low, high, n, share_in,
    share_all of each part of the name), colour (0-11, kept over refreshes), size, share, certainty_mean, buyers, buyer_rate with
    buyer_low and buyer_high (Wilson), orders, revenue, orders_per_user, revenue_per_user, events_per_user, recency_days
    (median). Buyer, order and revenue columns are NULL in a log that knows no purchases or no revenue. `subsegments` has
    subsegment_id, segment_id, name, own_name (the part after the segment's name, NULL when the segment is not split), shade
    (0-4), share_of_segment and split_stability (adjusted Rand index of the split against resamples) beside the same figures.

    Args:
        user_ids: Sorted; all users of the history.
        profile: (U, P) float32 in that order, from `space.profile_space`.
        counts: Counted features in that order (traits of kind `feature`).
        connection: The log as of the cutoff.
        cutoff: First instant not seen; recency is counted back from it.
        seed: Of the picture and the resamples.
        previous: An earlier map: its shoppers stay where they are, new ones are placed between them, or the picture is drawn
            again from it and turned to it; segments and subsegments keep their cut (see `part_graph`) while the choice is the
            same and the log has not grown by more than a quarter since they were looked for, else their ids by overlap.
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
    former = former_of(user_ids, previous.users if previous else None)
    progress(0.0, say("Comparing shoppers"))
    found = find_distinct(profile)
    minimum = max(20, int(np.ceil(0.01 * len(user_ids))))
    small = len(found.points) < LEAST_USERS
    if small:
        partition = few_segments(found.points, found.weights, minimum, chosen.segments.count)
        graph = nearest(found.points, None, min(K, len(found.points) - 1)) if len(found.points) > 1 else None
        labels, certainty, fine = partition.labels, certainty_of(graph, partition.labels), whole(partition.labels)
        drawing = _draw_few(found, user_ids, former)
    else:
        going_on = _goes_on(len(user_ids), previous, chosen)
        parted = part(found, order, minimum, rng, chosen.segments, progress, _cut(found, former, going_on))
        partition, labels, certainty = parted.partition, parted.labels, parted.certainty
        progress(0.3, say("Looking for segments within segments"))
        cuts = _inner_cuts(found, former, going_on, labels) if partition.kept else {}
        fine = split(found, parted, minimum, rng, chosen.subsegments, cuts)
        progress(0.4, say("Drawing the picture"))
        drawing = _draw_many(found, parted, user_ids, order, profile, seed, former, previous, chosen)
    labels, fine_labels, certainty = labels[found.inverse], fine.labels[found.inverse], certainty[found.inverse]
    segment_ids = number_segments(labels, former.segments if former else None)
    subsegment_ids = number_segments(fine_labels, former.subsegments if former else None)
    progress(0.8, say("Finding what is typical of each segment"))
    named, subsegment_ids = tell_segments(
        user_ids, segment_ids, subsegment_ids, certainty, counts, connection, cutoff, chosen, previous,
        {int(segment_ids[np.argmax(labels == label)]): figure for label, figure in fine.stability.items()},
    )  # fmt: skip
    users = pa.table(
        {
            "user_id": pa.array(user_ids, pa.string()),
            "x": np.round(drawing.places[:, 0], 5),
            "y": np.round(drawing.places[:, 1], 5),
            "segment_id": pa.array(segment_ids, pa.int32()),
            "certainty": np.round(certainty, 4),
            "subsegment_id": pa.array(subsegment_ids, pa.int32()),
        }
    )
    progress(0.95, say("Judging the map"))
    metrics: dict[str, Any] = {
        "users": len(user_ids),
        "segments": named["segments"].num_rows,
        "subsegments": named["subsegments"].num_rows,
        "segments_asked": chosen.segments.count,
        "method": partition.method,
        "stability": round(float(np.mean(partition.stability)), 4) if partition.stability else None,
        "stability_resamples": len(partition.stability),
        "partitions_tried": partition.tried,
        "segments_kept": partition.kept,
        "sought_users": (previous.sought_users or previous.users.num_rows) if partition.kept and previous else len(user_ids),
        "split_methods": {str(segment_ids[np.argmax(labels == label)]): method for label, method in fine.methods.items()},
        "silhouette": silhouette(profile, segment_ids.astype(np.int64), order),
        "picture": "UMAP" if chosen.picture and not small else "principal axes",
        **drawing.metrics(user_ids, former),
        **(drawing.quality or picture_quality(profile, drawing.places, order)),
    }
    metrics["warnings"] = _warnings(metrics, small, len(found.points))
    progress(1.0, _count(named["segments"].num_rows, len(user_ids)))
    return Atlas(users, metrics=metrics, **named)


def _goes_on(users: int, previous: Previous | None, options: AtlasOptions) -> Previous | None:
    """The earlier map whose segments hold as long as they can: of the same choice, and of no far smaller log."""
    if previous is None or previous.method is None or previous.asked != options.segments.count:
        return None
    return previous if users <= MOST_GROWTH * (previous.sought_users or previous.users.num_rows) else None


def _cut(found: Distinct, former: Former | None, previous: Previous | None) -> Cut | None:
    if former is None or previous is None or previous.method is None:
        return None
    return Cut(former.segments[found.first], previous.method)


def _inner_cuts(found: Distinct, former: Former | None, previous: Previous | None, labels: Indices) -> dict[int, Cut]:
    """The earlier parts of each segment label (N,) that goes on."""
    if former is None or previous is None:
        return {}
    ids = number_segments(labels[found.inverse], former.segments)[found.first]
    cuts = {}
    for label in range(int(labels.max()) + 1):
        segment = int(ids[np.argmax(labels == label)])
        parts = np.where(former.segments == segment, former.subsegments, 0)
        count = len(np.unique(parts[parts > 0]))
        if count:  # earlier releases did not tell how a segment was split; where that was not by k-means, the test of stability says so
            method = previous.split_methods.get(segment, f"k-means, {count} centres")
            cuts[label] = Cut(parts[found.first], method)
    return cuts


@dataclass(frozen=True)
class _Drawing:
    places: Points
    """(U, 2)."""
    drawn_users: int
    kept: bool = False
    quality: dict[str, float] | None = None
    drawn_trustworthiness: float | None = None
    """Of a kept picture when it was laid out."""

    def metrics(self, user_ids: list[str], former: Former | None) -> dict[str, Any]:
        """How the picture came about: kept or drawn, for how many, and how far known shoppers moved, as a share of its width."""
        moved = None
        if former is not None:
            moved = float(np.median(np.linalg.norm(self.places - former.places, axis=1)[former.known])) / (2 * WIDTH)
        return {
            "picture_kept": self.kept,
            "drawn_users": self.drawn_users,
            "placed_users": len(user_ids) - int(former.known.sum()) if self.kept and former else 0,
            "drawn_trustworthiness": self.drawn_trustworthiness,
            "moved": None if moved is None else round(moved, 5),
        }


def _draw_few(found: Distinct, user_ids: list[str], former: Former | None) -> _Drawing:
    places = spread_equals(plane(found.points), found, user_ids)
    return _Drawing(places if former is None else align(places, former.places, former.known), len(user_ids))


def _draw_many(
    found: Distinct, parted: Parted, user_ids: list[str], order: Indices, profile: Vectors, seed: int, former: Former | None,
    previous: Previous | None, options: AtlasOptions,
) -> _Drawing:  # fmt: skip
    """Keep the earlier picture and place new users into it while it fits; else lay the picture out."""
    if former is not None and previous is not None and not options.redraw:
        drawn_for = previous.drawn_users or previous.users.num_rows
        if len(user_ids) <= MOST_GROWTH * drawn_for and former.known[found.first[parted.landmarks]].sum() >= BETWEEN:
            placed = spread_equals(place_new(found, parted, former), found, user_ids)
            places = np.where(former.known[:, None], former.places, placed)
            quality = picture_quality(profile, places, order)
            trust = previous.trustworthiness
            if trust is None or quality["trustworthiness"] >= trust - WORSE:
                return _Drawing(places, drawn_for, True, quality, trust)
    return _Drawing(spread_equals(draw(found, parted, seed, former, picture=options.picture), found, user_ids), len(user_ids))


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
    if metrics["segments_asked"] is not None and metrics["segments"] < metrics["segments_asked"]:
        warnings.append(
            say(
                "{asked} segments were asked for and {found} are told: one of fewer than 1 % of the shoppers, or of fewer than 20, "
                "joins the one nearest to it.",
                asked=metrics["segments_asked"],
                found=metrics["segments"],
            )
        )
    elif metrics["segments"] == 1:
        warnings.append(say("No split into segments is clear; all shoppers stand in one."))
    return warnings
