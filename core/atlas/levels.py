"""Segments within segments: each segment is split further where the split survives leaving shoppers out.

Every shopper is in one segment (coarse) and in one of its subsegments (fine); a segment that has no repeatable split
has itself as its only subsegment. N distinct profiles, L landmarks.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from core.atlas.landmarks import Distinct, Parted
from core.atlas.segments import Cut, Partition, SegmentOptions, merge_small, part_graph
from core.atlas.space import Indices

FINE = SegmentOptions(
    fewest=2, most=5, is_strict=True, resolutions=(0.1, 0.2, 0.35, 0.55, 0.75, 1.0), rounds=1, tried=4, counts=(2, 3, 4),
    final_resamples=0, k_means_starts=3,
)  # fmt: skip
"""A segment falls into two to five parts: with twelve segments that is as much as a table holds."""
SHADES = 5
"""Subsegments of one segment that look different on the map: as many as there can be."""


@dataclass(frozen=True)
class Fine:
    """The fine level of a partition."""

    labels: Indices
    """(N,) 0-based, dense; each lies within one segment."""
    stability: dict[int, float] = field(default_factory=dict)
    """Segment label → mean adjusted Rand index of its split against 95 % resamples; only segments that are split."""
    methods: dict[int, str] = field(default_factory=dict)
    """Segment label → how it was split."""


def split(
    found: Distinct,
    parted: Parted,
    minimum: int,
    rng: np.random.Generator,
    options: SegmentOptions = FINE,
    earlier: Mapping[int, Cut] = MappingProxyType({}),
) -> Fine:
    """Split segments into subsegments of at least `minimum` users each, where the split is repeatable.

    Args:
        found: Distinct profiles.
        parted: Their segments.
        minimum: Users of the smallest subsegment.
        rng: Draws the resamples.
        options: Grids to choose from; a split less stable than `good_enough` is not made.
        earlier: Segment label → its earlier parts among the N profiles, to go on from; a segment that was whole stays whole.
    """
    coarse = parted.labels[parted.landmarks]  # (L,)
    points = found.points[parted.landmarks]
    own = np.zeros(len(coarse), dtype=np.int64)  # (L,) part within its segment
    stability: dict[int, float] = {}
    methods: dict[int, str] = {}
    for label in range(int(coarse.max()) + 1):
        rows = np.flatnonzero(coarse == label)
        if parted.stands_for[rows].sum() < 2 * minimum or len(rows) < 2 * options.fewest:
            continue
        cut = earlier.get(label)
        if cut is not None:
            cut = Cut(cut.labels[parted.landmarks[rows]], cut.method)
            if len(np.unique(cut.labels[cut.labels > 0])) == 1:
                continue
        inside = parted.adjacency[rows][:, rows].tocsr()
        partition = _repeatable(part_graph(points[rows], inside, parted.stands_for[rows], minimum, rng, options, cut), options)
        if partition is not None:
            own[rows] = partition.labels
            methods[label] = partition.method
            stability[label] = round(float(np.mean(partition.stability)), 4)
    width = int(own.max()) + 1
    labels = np.empty(len(found.points), dtype=np.int64)
    labels[parted.landmarks] = coarse * width + own
    if parted.to_landmarks is not None:
        labels[parted.others] = _vote_within(parted.to_landmarks.indices, coarse, own, parted.labels[parted.others], width)
    for label in stability:
        rows = np.flatnonzero(parted.labels == label)
        labels[rows] = label * width + merge_small(labels[rows] % width, found.points[rows], found.weights[rows], minimum)
    return Fine(np.unique(labels, return_inverse=True)[1].astype(np.int64), stability, methods)


def whole(labels: Indices) -> Fine:
    """The fine level of segments that are not split."""
    return Fine(labels)


def slots(ids: list[int], former: dict[int, int], most: int) -> dict[int, int]:
    """Give each id a slot below `most`: the one it had, else the first that fewest others hold, so that colours stay.

    Args:
        ids: Segments in the order in which they choose.
        former: Slots of earlier segments.
        most: Number of slots; beyond it slots are shared.
    """
    given = {i: former[i] % most for i in ids if i in former}
    for i in ids:
        if i not in given:
            held = np.bincount(list(given.values()), minlength=most)
            given[i] = int(held.argmin())
    return {i: given[i] for i in ids}


def _repeatable(partition: Partition, options: SegmentOptions) -> Partition | None:
    several = partition.labels.max() > 0 and bool(partition.stability)
    needed = options.good_enough - (options.clearly_better if partition.kept else 0)  # or splits come and go with each append
    return partition if several and float(np.mean(partition.stability)) >= needed else None


def _vote_within(neighbours: Indices, coarse: Indices, own: Indices, labels: Indices, width: int) -> npt.NDArray[np.int64]:
    """Let the neighbours of the same segment decide the part of each query (Q,); without any, the part that is largest there."""
    largest = np.zeros((int(coarse.max()) + 1, width), dtype=np.int64)
    np.add.at(largest, (coarse, own), 1)
    cells = np.arange(len(neighbours))[:, None] * width + own[neighbours]
    same = coarse[neighbours] == labels[:, None]
    votes = np.bincount(cells[same], minlength=len(neighbours) * width).reshape(-1, width)
    chosen = np.where(same.any(axis=1), votes.argmax(axis=1), largest.argmax(axis=1)[labels])
    return np.asarray(labels * width + chosen)
