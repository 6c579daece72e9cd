"""Mirror of core/atlas/segments: Leiden on weighted graphs, the count asked for."""

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
from scipy import sparse

from core.atlas.communities import communities, settle
from core.atlas.segments import Cut, SegmentOptions, few_segments, number_segments, part_graph

PAIRS = """
import hashlib
import numpy as np
from scipy import sparse
from core.atlas.communities import communities
half = sparse.random(800, 800, 0.01, random_state=0, format="csr")
graph = sparse.csr_matrix(half + half.T)
print(hashlib.sha256(communities(graph, 1.0).tobytes()).hexdigest())
"""


def two_cliques(between: float) -> sparse.csr_matrix:
    """Twice ten points, all tied by 1; points of different cliques by `between`."""
    ties = np.ones((20, 20)) - np.eye(20)
    ties[:10, 10:] = ties[10:, :10] = between
    return sparse.csr_matrix(ties)


def test_weak_ties_part_what_equal_ties_join() -> None:
    assert communities(two_cliques(0.01), 1.0).tolist() == [0] * 10 + [1] * 10
    assert communities(two_cliques(1.0), 1.0).tolist() == [0] * 20


def test_a_higher_resolution_gives_more_communities() -> None:
    half = sparse.random(800, 800, 0.01, random_state=0, format="csr")
    graph = sparse.csr_matrix(half + half.T)
    few, many = (int(communities(graph, resolution).max()) for resolution in (0.5, 2.0))
    assert few < many


def test_points_without_ties_are_communities_of_their_own() -> None:
    assert communities(sparse.csr_matrix((3, 3)), 1.0).tolist() == [0, 1, 2]
    tied = sparse.csr_matrix(np.array([[0, 1, 0], [1, 0, 0], [0, 0, 0]], dtype=float))
    assert len(set(communities(tied, 0.5).tolist())) == 2


def test_two_processes_find_the_same_communities() -> None:
    runs = [
        subprocess.run([sys.executable, "-c", PAIRS], capture_output=True, text=True, cwd=Path(__file__).parent.parent, check=True)
        for _ in range(2)
    ]
    assert runs[0].stdout == runs[1].stdout and len(runs[0].stdout.strip()) == len(hashlib.sha256().hexdigest())


def test_a_strict_partition_has_no_more_parts_than_the_most() -> None:
    rng = np.random.default_rng(0)
    points = np.repeat(rng.normal(size=(7, 4)) * 20, 30, axis=0).astype(np.float32) + rng.normal(size=(210, 4)).astype(np.float32)
    same = np.repeat(np.arange(7), 30)
    graph = sparse.csr_matrix((same[:, None] == same[None, :]).astype(float) - np.eye(210))
    ones = np.ones(210, dtype=np.int64)
    free, strict = (
        part_graph(points, graph, ones, 10, np.random.default_rng(0), SegmentOptions(fewest=2, most=5, is_strict=is_strict))
        for is_strict in (False, True)
    )
    assert free.labels.max() + 1 == 7
    assert strict.labels.max() + 1 <= 5


def test_a_small_log_has_as_many_segments_as_asked_for() -> None:
    points = np.random.default_rng(0).normal(size=(90, 3)).astype(np.float32)
    assert few_segments(points, np.ones(90, dtype=np.int64), 20, 3).labels.max() + 1 == 3


def test_a_segment_with_one_shopper_in_common_is_another_segment() -> None:
    earlier = np.array([9] * 150 + [4] * 34)
    labels = np.array([0] * 149 + [1] + [1] * 34)  # 35 of whom one was in segment 9
    assert set(number_segments(np.where(np.arange(184) < 149, 0, 1), earlier).tolist()) == {9, 4}
    earlier[150:] = 0  # … and 34 are new
    ids = number_segments(labels, earlier)
    assert ids[0] == 9 and ids[-1] == 10


def test_a_small_piece_of_a_segment_does_not_take_its_id() -> None:
    earlier, labels = np.full(200, 7), np.repeat([0, 1, 2, 3, 4], 40)
    assert not set(number_segments(labels, earlier).tolist()) & {7}, "each of five pieces is less than a quarter of it"
    assert 7 in number_segments(np.repeat([0, 1], 100), earlier)


def test_points_settle_in_the_community_that_they_are_tied_to() -> None:
    started = np.array([0] * 9 + [1] + [1] * 8 + [-1, 0])  # one astray on each side, one new
    assert settle(two_cliques(0.01), started).tolist() == [0] * 10 + [1] * 10


def cloud() -> tuple[np.ndarray, sparse.csr_matrix, np.ndarray]:
    points = np.random.default_rng(0).normal(size=(300, 3)).astype(np.float32)
    distance = ((points[:, None] - points[None, :]) ** 2).sum(axis=2)
    near = np.argsort(distance, axis=1)[:, 1:16]
    ties = np.zeros((300, 300))
    np.put_along_axis(ties, near, 1.0, axis=1)
    return points, sparse.csr_matrix(ties + ties.T), np.ones(300, dtype=np.int64)


def test_an_earlier_partition_that_nothing_finds_again_gives_way() -> None:
    points, graph, ones = cloud()
    apart = np.repeat(np.random.default_rng(1).normal(size=(6, 3)) * 30, 50, axis=0).astype(np.float32) + points
    truth = np.repeat(np.arange(6), 50)
    ties = sparse.csr_matrix((truth[:, None] == truth[None, :]).astype(float) - np.eye(300))
    merged = Cut(np.where(truth < 3, 1, 2), "k-means, 5 centres")
    found = part_graph(apart, ties, ones, 10, np.random.default_rng(0), SegmentOptions(), merged)
    assert not found.kept and found.labels.max() + 1 == 6
    kept = part_graph(
        points, graph, ones, 10, np.random.default_rng(0), SegmentOptions(good_enough=0.0), Cut(1 + truth, "k-means, 6 centres")
    )
    assert kept.kept and kept.method == "k-means, 6 centres" and kept.labels.max() + 1 == 6
    other = part_graph(points, graph, ones, 10, np.random.default_rng(0), SegmentOptions(count=3), Cut(1 + truth, "k-means, 6 centres"))
    assert not other.kept and other.labels.max() + 1 == 3, "a number asked for is the stronger"
