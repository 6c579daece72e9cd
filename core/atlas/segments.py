"""Segments: a partition of shoppers in profile space, never on the picture.

Modularity on the graph of nearest neighbours (Leiden: Traag, Waltman, van Eck, 2019) finds segments that stand apart;
where shoppers form a continuum, k-means cuts it more repeatably. Method and number are decided by how well a partition
survives leaving out a twentieth of the shoppers (measured: docs/decisions/0003). N points, U users.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.optimize import linear_sum_assignment
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score, silhouette_score
from threadpoolctl import threadpool_limits

from core.atlas.communities import Adjacency, communities, settle, shared_neighbours
from core.atlas.layout import Graph
from core.atlas.space import Indices, Vectors

LEAST_OF_SMALLER, LEAST_OF_LARGER = 0.5, 0.25
"""Shoppers in common, of the smaller and of the larger of two segments, by which they are one and the same on two maps."""


@dataclass(frozen=True)
class SegmentOptions:
    """How segments are sought."""

    count: int | None = None
    """Number of segments wanted (k-means, before small ones are merged); None lets stability decide."""
    fewest: int = 5
    """A picture with fewer kinds of shoppers seldom helps; fewer are taken when they are clearly more stable."""
    most: int = 12
    """More kinds than a person keeps in mind."""
    resolutions: tuple[float, ...] = (0.1, 0.2, 0.35, 0.55, 0.75, 1.0, 1.3, 1.8)
    """Grid of Leiden's resolution, coarse to fine."""
    rounds: int = 2
    """Each round of Leiden starts from the partition before: the second makes it clearly more repeatable, a third hardly."""
    one_round_from: int = 5_000
    """Points from which one round must do: on 20,000 a second costs 15 CPU s over all resamples."""
    is_strict: bool = False
    """Leave out partitions into more than `most` instead of asking more stability of them."""
    tried: int = 7
    """How many of these partitions are put to the stability test, nearest to the wanted count first; coarse ones must be
    among them, or three planted segments are cut into ten."""
    clear: float = 0.85
    """A graph partition as stable as this shows segments that stand apart; k-means is then not asked."""
    good_enough: float = 0.6
    """Where no segments stand apart, the finest partition in range that is still as stable as this is taken: stability alone
    always favours the coarsest cut, which tells a marketer least."""
    counts: tuple[int, ...] = (5, 6, 8, 10)
    """Numbers of segments that k-means is tried with."""
    resamples: int = 3
    """95 % resamples for each partition tried: enough to rank them."""
    final_resamples: int = 8
    """Resamples of the partition chosen, for the figure on screen; 0 keeps those it was chosen by."""
    k_means_starts: int = 10
    """With three starts k-means missed one of twelve planted segments."""
    k_means_points: int = 5_000
    """Points that centres are fitted on; more move them by less than their error."""
    clearly_better: float = 0.1
    """A new search replaces an earlier partition that fell below `good_enough` only when it is more stable by so much: three
    resamples of one partition differ by about as much among themselves."""


@dataclass(frozen=True)
class Partition:
    """Segments of N points and how they were found."""

    labels: Indices
    """(N,) 0-based, dense."""
    method: str
    stability: list[float] = field(default_factory=list)
    """Adjusted Rand index of the chosen partition against each 95 % resample."""
    tried: list[dict[str, Any]] = field(default_factory=list)
    """One row per partition tried: resolution, segments, stability."""
    kept: bool = False
    """Whether it goes on from an earlier partition instead of having been looked for anew."""


@dataclass(frozen=True)
class Cut:
    """An earlier partition of the same points, to go on from."""

    labels: Indices
    """(N,) ids of the earlier segments, 0 for points that they did not know."""
    method: str
    """`Partition.method` of it."""


def find_segments(
    points: Vectors, graph: Graph, weights: Indices, minimum: int, rng: np.random.Generator, options: SegmentOptions
) -> Partition:
    """Part N points into segments of at least `minimum` users each, as stable as can be.

    Args:
        points: (N, P) profiles.
        graph: Their nearest neighbours.
        weights: (N,) users that each point stands for.
        minimum: Users; smaller segments join the nearest one.
        rng: Draws the resamples.
        options: Count wanted, or the grids to choose from.
    """
    return part_graph(points, shared_neighbours(graph), weights, minimum, rng, options)


def part_graph(
    points: Vectors,
    adjacency: Adjacency,
    weights: Indices,
    minimum: int,
    rng: np.random.Generator,
    options: SegmentOptions,
    earlier: Cut | None = None,
) -> Partition:
    """Part N points as `find_segments` does, by a graph (N, N) made by `shared_neighbours` or a part of one.

    An earlier partition is gone on from by its own method (k-means from its centres, the graph from its segments) as long as a
    search from nothing by that method finds it again well enough, or no other partition is clearly more stable: ids, colours and
    names hang on it, and the choice among partitions of about equal stability would fall otherwise after each append.
    """
    everyone = np.arange(len(points))
    ways = _ways(points, adjacency, weights, minimum, options)
    kept = _gone_on(earlier, {way.method: way for way in ways}, points, rng, options) if earlier is not None else None
    if kept is not None and kept.stability >= options.good_enough:
        return kept.partition([kept], kept=True)
    if options.count is not None:
        (asked,) = ways
        found = _Candidate(asked.method, asked.part(everyone), asked.part)
        found.agreement = _agreement(points, found.labels, rng, options.final_resamples, asked.part)
        return kept.partition([kept], kept=True) if kept is not None and _holds(kept, found, options) else found.partition([], kept=False)

    candidates = [_Candidate(way.method, way.part(everyone), way.part) for way in ways if way.is_graph]
    tried = _try_out(candidates, options, points, rng)
    clear = any(candidate.stability >= options.clear for candidate in tried)
    if not clear:
        tried += _try_out([_Candidate(way.method, way.part(everyone), way.part) for way in ways if not way.is_graph], options, points, rng)
    chosen = _choose(tried, clear, options) if tried else None
    if kept is not None and _holds(kept, chosen, options):
        return kept.partition([kept, *tried], kept=True)
    if chosen is None:
        return Partition(np.zeros(len(points), dtype=np.int64), "single segment")
    agreement = _agreement(points, chosen.labels, rng, options.final_resamples, chosen.again) or chosen.agreement
    return replace(chosen.partition(tried, kept=False), stability=agreement)


@dataclass(frozen=True)
class _Way:
    """A method with its count or resolution."""

    method: str
    is_graph: bool
    part: Callable[[Indices], Indices]
    """Parts a subset of the points, given by rows, from nothing."""
    go_on: Callable[[Indices], Indices]
    """Parts all points from labels (N,), -1 where there is none."""


def _ways(points: Vectors, adjacency: Adjacency, weights: Indices, minimum: int, options: SegmentOptions) -> list[_Way]:
    rounds = options.rounds if len(points) < options.one_round_from else 1

    def leiden(rows: Indices, resolution: float) -> Indices:
        matrix = adjacency if len(rows) == len(points) else adjacency[rows][:, rows].tocsr()
        return merge_small(communities(matrix, resolution, rounds), points[rows], weights[rows], minimum)

    def settled(start: Indices) -> Indices:
        return merge_small(settle(adjacency, start), points, weights, minimum)

    def k_means(method: str, count: int) -> _Way:
        own = (points, weights, count, minimum, options)
        return _Way(method, False, partial(_k_means, *own), lambda start: _k_means(*own, np.arange(len(points)), start))

    if options.count is not None:
        return [k_means("k-means, count as asked", options.count)]
    graph = [_Way(f"Leiden, resolution {r:g}", True, partial(leiden, resolution=r), settled) for r in options.resolutions]
    return graph + [k_means(f"k-means, {count} centres", count) for count in options.counts]


def _gone_on(
    earlier: Cut, ways: dict[str, _Way], points: Vectors, rng: np.random.Generator, options: SegmentOptions
) -> "_Candidate | None":
    way, known = ways.get(earlier.method), earlier.labels > 0
    if way is None or len(np.unique(earlier.labels[known])) < 2:
        return None
    start = np.full(len(points), -1, dtype=np.int64)
    start[known] = np.unique(earlier.labels[known], return_inverse=True)[1]
    kept = _Candidate(way.method, way.go_on(start), way.part)
    if kept.segments < 2:
        return None
    kept.agreement = _agreement(points, kept.labels, rng, options.final_resamples or options.resamples, way.part)
    return kept


@dataclass
class _Candidate:
    method: str
    labels: Indices
    again: Callable[[Indices], Indices]
    """Parts a subset of the points, given by rows, in the same way."""
    agreement: list[float] = field(default_factory=list)

    @property
    def segments(self) -> int:
        return int(self.labels.max()) + 1

    @property
    def stability(self) -> float:
        return float(np.mean(self.agreement))

    def partition(self, tried: "list[_Candidate]", *, kept: bool) -> Partition:
        rows = [{"method": c.method, "segments": c.segments, "stability": round(c.stability, 4)} for c in tried]
        return Partition(self.labels, self.method, self.agreement, rows, kept)

    def beyond(self, options: SegmentOptions) -> int:
        return max(options.fewest - self.segments, self.segments - options.most, 0)

    def worth(self, options: SegmentOptions) -> float:
        """Stability, less a toll on counts outside the readable range: those must be clearly more stable."""
        return self.stability - 0.05 * self.beyond(options)


def _holds(kept: _Candidate, found: _Candidate | None, options: SegmentOptions) -> bool:
    """Whether an earlier partition that fell below `good_enough` stays nevertheless."""
    return found is None or not found.agreement or found.stability < kept.stability + options.clearly_better


def _try_out(candidates: list[_Candidate], options: SegmentOptions, points: Vectors, rng: np.random.Generator) -> list[_Candidate]:
    middle = (options.fewest + options.most) / 2
    most = options.most if options.is_strict else len(points)
    several = sorted(
        (c for c in candidates if 1 < c.segments <= most), key=lambda c: (c.beyond(options), abs(c.segments - middle), c.method)
    )
    # keep one of each count: neighbours on the grid often give the same partition
    distinct = list({c.segments: c for c in reversed(several)}.values())[::-1][: options.tried]
    for candidate in distinct:
        candidate.agreement = _agreement(points, candidate.labels, rng, options.resamples, candidate.again)
    return distinct


def _choose(tried: list[_Candidate], clear: bool, options: SegmentOptions) -> _Candidate:
    best = max(candidate.worth(options) for candidate in tried)
    fitting = [c for c in tried if c.worth(options) >= best - 0.03]
    if not clear:
        fitting = [c for c in tried if c.worth(options) >= options.good_enough and not c.beyond(options)] or fitting
    return max(fitting, key=lambda c: (c.segments, c.worth(options)))


def _agreement(
    points: Vectors, labels: Indices, rng: np.random.Generator, resamples: int, again: Callable[[Indices], Indices]
) -> list[float]:
    """Adjusted Rand index of a partition with the one found again on each of some 95 % resamples."""
    figures = []
    for _ in range(resamples):
        rows = np.flatnonzero(rng.random(len(points)) < 0.95)
        figures.append(float(adjusted_rand_score(labels[rows], again(rows))))
    return figures


def few_segments(points: Vectors, weights: Indices, minimum: int, count: int | None = None) -> Partition:
    """Part a small log (below the gate of a map) by k-means, into as many as asked for, or leave it whole when no split is clear."""
    if count is not None:
        asked = _k_means(points, weights, count, minimum, SegmentOptions(), np.arange(len(points)))
        return Partition(asked, "k-means, count as asked" if asked.max() else "single segment")
    best = np.zeros(len(points), dtype=np.int64)
    clearest = 0.35  # k-means cuts pure noise of few dimensions with silhouettes up to .3
    for count in range(2, 1 + min(5, int(weights.sum()) // minimum, len(points) - 1)):
        labels = _k_means(points, weights, count, minimum, SegmentOptions(), np.arange(len(points)))
        if labels.max() > 0:
            silhouette = float(silhouette_score(points, labels))
            if silhouette > clearest:
                best, clearest = labels, silhouette
    return Partition(best, "k-means" if best.max() else "single segment")


def merge_small(labels: Indices, points: Vectors, weights: Indices, minimum: int) -> Indices:
    """Let every segment of fewer than `minimum` users join the one with the nearest centre, smallest first.

    Returns:
        (N,) dense labels from 0; a single segment when all users together are fewer than `minimum`.
    """
    merged = np.unique(labels, return_inverse=True)[1].astype(np.int64)
    count = int(merged.max()) + 1 if len(merged) else 0
    sizes = np.bincount(merged, weights=weights, minlength=count)
    members = sparse.csr_matrix((weights.astype(np.float64), (merged, np.arange(len(merged)))), shape=(count, len(merged)))
    sums = np.asarray(members @ points)
    target = np.arange(count)
    alive = sizes > 0
    while alive.sum() > 1:
        smallest = int(np.where(alive, sizes, np.inf).argmin())
        if sizes[smallest] >= minimum:
            break
        alive[smallest] = False
        centres = sums / np.maximum(sizes, 1)[:, None]
        distance = np.where(alive, ((centres - centres[smallest]) ** 2).sum(axis=1), np.inf)
        nearest = int(distance.argmin())
        sizes[nearest] += sizes[smallest]
        sums[nearest] += sums[smallest]
        target[target == smallest] = nearest
    return np.unique(target[merged], return_inverse=True)[1].astype(np.int64) if count else merged


def number_segments(labels: Indices, earlier: Indices | None = None) -> npt.NDArray[np.int32]:
    """Give segments their ids (U,): 1, 2, … by size, or the ids of the earlier segments that they overlap most.

    Args:
        labels: (U,) 0-based.
        earlier: (U,) former ids, 0 for users who had none. Pairs are matched one to one so that most users keep their
            id (Hungarian method); names, colours and renames go with the id, so only pairs that share LEAST_OF_SMALLER of the
            smaller and LEAST_OF_LARGER of the larger are one segment. Users without a former id do not count. Segments
            without a partner get ids never used before.
    """
    count = int(labels.max()) + 1
    sizes = np.bincount(labels, minlength=count)
    first = np.array([int(np.argmax(labels == label)) for label in range(count)])
    by_size = np.lexsort((first, -sizes))
    ids = np.zeros(count, dtype=np.int32)
    fresh = 1
    if earlier is not None and (earlier > 0).any():
        fresh = int(earlier.max()) + 1
        overlap = np.zeros((count, fresh), dtype=np.int64)
        np.add.at(overlap, (labels, earlier), 1)
        overlap[:, 0] = 0
        now, then = overlap.sum(axis=1)[:, None], overlap.sum(axis=0)[None, :]
        is_same = (overlap >= LEAST_OF_SMALLER * np.minimum(now, then)) & (overlap >= LEAST_OF_LARGER * np.maximum(now, then))
        overlap[~is_same] = 0
        for label, former in zip(*linear_sum_assignment(-overlap), strict=True):
            if overlap[label, former]:
                ids[label] = former
    for label in by_size:
        if not ids[label]:
            ids[label] = fresh
            fresh += 1
    return np.asarray(ids[labels], dtype=np.int32)


def _k_means(
    points: Vectors, weights: Indices, count: int, minimum: int, options: SegmentOptions, rows: Indices, start: Indices | None = None
) -> Indices:
    """Segments of the given rows by k-means, centres fitted on a fixed spread of at most `k_means_points` of them.

    With `start`, labels of these rows or -1, it goes on from the centres of those.
    """
    own, own_weights = points[rows].astype(np.float64), weights[rows]
    step = max(1, -(-len(own) // options.k_means_points))
    with threadpool_limits(1):
        if start is None:
            model = KMeans(min(count, len(own[::step])), n_init=options.k_means_starts, random_state=0)
        else:
            centres = _centres(own, own_weights, start)
            model = KMeans(len(centres), init=centres, n_init=1, random_state=0)
        labels = model.fit(own[::step], sample_weight=own_weights[::step]).predict(own)
    return merge_small(labels.astype(np.int64), points[rows], own_weights, minimum)


def _centres(points: npt.NDArray[np.float64], weights: Indices, labels: Indices) -> npt.NDArray[np.float64]:
    known = np.flatnonzero(labels >= 0)
    members = sparse.csr_matrix((weights[known].astype(np.float64), (labels[known], known)), shape=(int(labels.max()) + 1, len(points)))
    return np.asarray((members @ points) / members.sum(axis=1))
