"""Many shoppers through few: landmarks are parted and laid out, all others stand between their nearest landmarks.

U users, N distinct profiles, P profile dimensions. Beyond LANDMARKS the cost of each further user is one search among
them, so time grows linearly and memory holds one copy of the profiles.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from core.atlas.communities import Adjacency, shared_neighbours, vote
from core.atlas.layout import WIDTH, Graph, Points, align, lay_out, nearest, place_between, plane, scale
from core.atlas.segments import Cut, Partition, SegmentOptions, merge_small, part_graph
from core.atlas.space import Indices, Vectors, stable_order
from core.messages import say
from core.schema import Progress

LANDMARKS = 20_000
"""Users laid out and parted by the graph; beyond, all others are placed between their nearest landmarks."""
K = 15
"""Neighbours of a user in the picture, and those who tell how certain her segment is."""
GRAPH_K = 30
"""Neighbours in the graph that segments are sought in: with 30 they are more stable than with 15 …"""
GRAPH_K_FROM = 1_000
"""… from this many users on; in smaller logs 30 neighbours reach out of the smallest segments."""
BETWEEN = 8
"""Neighbours that a shopper is placed between."""


@dataclass(frozen=True)
class Distinct:
    """Distinct profiles, in the order of their first users: equals must not fill a neighbourhood."""

    points: Vectors
    """(N, P)."""
    first: Indices
    """(N,) row of the first user of each."""
    inverse: Indices
    """(U,) each user's profile."""
    weights: Indices
    """(N,) users of each."""


@dataclass(frozen=True)
class Parted:
    """Segments of N distinct profiles and the landmarks they were found on."""

    partition: Partition
    labels: Indices
    """(N,) 0-based."""
    certainty: npt.NDArray[np.float64]
    """(N,) share of the nearest landmarks in the same segment."""
    landmarks: Indices
    """(L,) rows of the points, ascending."""
    graph: Graph
    """Nearest K landmarks of each landmark."""
    adjacency: Adjacency
    """The graph of landmarks that segments were sought in (L, L)."""
    stands_for: Indices
    """(L,) users nearest to each landmark, its own included."""
    others: Indices
    """(N - L,) the other rows."""
    to_landmarks: Graph | None
    """Their nearest landmarks, None without others."""


@dataclass(frozen=True)
class Former:
    """What an earlier map knows of U users."""

    known: npt.NDArray[np.bool_]
    places: Points
    segments: Indices
    """0 where not known."""
    subsegments: Indices
    """0 where not known."""


def former_of(user_ids: list[str], previous: pa.Table | None) -> Former | None:
    """Look users up in the users table of an earlier map; None when it knows none of them."""
    if previous is None or not previous.num_rows:
        return None
    found = pc.index_in(pa.array(user_ids, pa.string()), value_set=previous["user_id"].cast(pa.string()))
    rows = found.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    known = rows >= 0
    if not known.any():
        return None
    at = np.maximum(rows, 0)
    old = np.column_stack([previous["x"].to_numpy(), previous["y"].to_numpy()]).astype(np.float64)

    def ids(column: str) -> Indices:
        values = previous[column if column in previous.column_names else "segment_id"].to_numpy().astype(np.int64)
        return np.where(known, values[at], 0)

    return Former(known, old[at], ids("segment_id"), ids("subsegment_id"))


def find_distinct(profile: Vectors) -> Distinct:
    """Find the distinct rows of a profile (U, P), told apart by a 64-bit hash that is then checked."""
    rows = np.ascontiguousarray(profile, dtype=np.float32) + np.float32(0)  # -0 becomes 0
    words = rows.view(np.uint32)
    rng = np.random.default_rng(0)
    keys: npt.NDArray[np.uint64] = np.zeros(len(rows), dtype=np.uint64)
    for column in range(rows.shape[1]):
        keys = (keys ^ words[:, column]) * np.uint64(int(rng.integers(2**62, 2**63 - 1)) | 1)
        keys ^= keys >> np.uint64(29)
    first, inverse, weights = np.unique(keys, return_index=True, return_inverse=True, return_counts=True)[1:]
    if len(first) < len(rows) and not np.array_equal(words, words[first[inverse]]):
        as_bytes = words.view(np.dtype((np.void, words.dtype.itemsize * words.shape[1]))).ravel()
        first, inverse, weights = np.unique(as_bytes, return_index=True, return_inverse=True, return_counts=True)[1:]
    by_user = np.argsort(first)  # in the order of users, not of hashes
    rank = np.empty_like(by_user)
    rank[by_user] = np.arange(len(by_user))
    points = rows if len(first) == len(rows) else rows[first[by_user]]
    return Distinct(points, first[by_user], rank[inverse.ravel()], weights[by_user].astype(np.int64))


def part(
    found: Distinct,
    order: Indices,
    minimum: int,
    rng: np.random.Generator,
    options: SegmentOptions,
    progress: Progress,
    earlier: Cut | None = None,
) -> Parted:
    """Part distinct profiles into segments of at least `minimum` users, through landmarks when they are many.

    Args:
        found: The profiles.
        order: (U,) users in `stable_order`: the first ones are landmarks.
        minimum: Users; smaller segments join the nearest one.
        rng: Draws the resamples.
        options: Count wanted, or the grids to choose from.
        progress: Told what is done.
        earlier: A partition of the N profiles to go on from.
    """
    points, weights = found.points, found.weights
    is_first = np.zeros(len(found.inverse), dtype=bool)
    is_first[found.first] = True
    landmarks = np.sort(found.inverse[order[is_first[order]][:LANDMARKS]])
    chosen = points[landmarks]
    wide = nearest(chosen, None, GRAPH_K if len(chosen) >= GRAPH_K_FROM else K)
    graph = Graph(wide.indices[:, :K], wide.distances[:, :K])
    others = np.setdiff1d(np.arange(len(points)), landmarks, assume_unique=True)
    to_landmarks = nearest(chosen, points[others], K) if len(others) else None
    stands_for = weights[landmarks].copy()
    if to_landmarks is not None:
        np.add.at(stands_for, to_landmarks.indices[:, 0], weights[others])
    progress(0.1, say("Looking for segments"))
    adjacency = shared_neighbours(wide)
    cut = Cut(earlier.labels[landmarks], earlier.method) if earlier is not None else None
    partition = part_graph(chosen, adjacency, stands_for, minimum, rng, options, cut)
    labels = np.empty(len(points), dtype=np.int64)
    labels[landmarks] = partition.labels
    if to_landmarks is not None:
        labels[others] = vote(to_landmarks, partition.labels)[0]
    labels = merge_small(labels, points, weights, minimum)
    certainty = np.empty(len(points))
    certainty[landmarks] = certainty_of(graph, labels[landmarks])
    if to_landmarks is not None:
        certainty[others] = (labels[landmarks][to_landmarks.indices] == labels[others, None]).mean(axis=1)
    return Parted(partition, labels, certainty, landmarks, graph, adjacency, stands_for, others, to_landmarks)


def draw(found: Distinct, parted: Parted, seed: int, former: Former | None, *, picture: bool) -> Points:
    """Lay distinct profiles out (N, 2), starting from where they were when more than half of the landmarks are known."""
    landmarks, first = parted.landmarks, found.first
    chosen = found.points[landmarks]
    start = None
    if former is not None and former.known[first[landmarks]].mean() > 0.5:
        start = _start_from(former, first[landmarks], parted.graph)
    drawn = lay_out(chosen, parted.graph, seed, start) if picture else plane(chosen)
    places = np.empty((len(found.points), 2))
    places[landmarks] = drawn
    if parted.to_landmarks is not None:
        near = Graph(parted.to_landmarks.indices[:, :BETWEEN], parted.to_landmarks.distances[:, :BETWEEN])
        places[parted.others] = place_between(near, drawn)
    if former is not None:
        known = former.known[first]
        places = align(places, former.places[first], known)
    return places


def place_new(found: Distinct, parted: Parted, former: Former) -> Points:
    """Place distinct profiles (N, 2) whose first user is new between the nearest landmarks that an earlier picture knows.

    Profiles that it knows stay where their first user was.
    """
    known = former.known[found.first]
    places = former.places[found.first].copy()
    anchors = parted.landmarks[known[parted.landmarks]]
    new = np.flatnonzero(~known)
    if len(new) and len(anchors):
        near = nearest(found.points[anchors], found.points[new], BETWEEN)
        places[new] = place_between(near, places[anchors])
    return places


def certainty_of(graph: Graph | None, labels: Indices) -> npt.NDArray[np.float64]:
    """Share of a point's neighbours who are in the same segment (N,)."""
    if graph is None or not graph.indices.shape[1]:
        return np.ones(len(labels))
    return np.asarray((labels[graph.indices] == labels[:, None]).mean(axis=1))


def spread_equals(places: Points, found: Distinct, user_ids: list[str]) -> Points:
    """Place users (U, 2): those of equal profiles on a small disc (1 % of the width), so that a crowd does not look like one dot."""
    spread_over = places[found.inverse]
    crowd = found.weights[found.inverse] > 1
    if not crowd.any():
        return spread_over
    turn = np.empty(len(user_ids))
    turn[stable_order(user_ids)] = np.arange(len(user_ids))
    angle = turn * 2.399963  # golden angle: even whatever the number
    reach = WIDTH / 50 * ((turn * 0.618034) % 1) ** 0.5
    spread = np.column_stack([np.cos(angle), np.sin(angle)]) * reach[:, None]
    return np.where(crowd[:, None], spread_over + spread, spread_over)


def _start_from(former: Former, users: Indices, graph: Graph) -> Points:
    """Former places of the landmarks; those new to the picture start between their known neighbours."""
    known = former.known[users]
    places = np.where(known[:, None], former.places[users], 0.0)
    weight = known[graph.indices].astype(np.float64)[:, :, None]
    between = (places[graph.indices] * weight).sum(axis=1) / np.maximum(weight.sum(axis=1), 1)
    return scale(np.where(known[:, None], places, between))
