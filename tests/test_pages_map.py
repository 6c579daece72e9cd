"""Who lies inside a drawn shape, and who is drawn: the map's arithmetic against a slow oracle."""

from fractions import Fraction

import numpy as np
import numpy.typing as npt
import pytest

from core.pipeline.places import Places


def places(x: list[float], y: list[float], segments: list[int] | None = None) -> Places:
    n = len(x)
    ids = np.array([f"u{i:03d}" for i in range(n)], dtype=object)
    ones = np.ones(n)
    return Places(ids, np.array(x, float), np.array(y, float), np.array(segments or [0] * n, np.int64), ones, ones / 2)


def winding_parity(x: float, y: float, polygon: list[tuple[float, float]]) -> bool:
    """Even-odd rule in exact fractions: how many edges does a ray to the right cross?"""
    px, py = Fraction(x), Fraction(y)
    crossed = 0
    for (ax, ay), (bx, by) in zip(polygon, polygon[1:] + polygon[:1], strict=True):
        low, high = sorted([(Fraction(ay), Fraction(ax)), (Fraction(by), Fraction(bx))])
        if low[0] <= py < high[0]:
            crossed += px < low[1] + (high[1] - low[1]) * (py - low[0]) / (high[0] - low[0])
    return crossed % 2 == 1


def inside(everyone: Places, polygon: list[tuple[float, float]]) -> npt.NDArray[np.bool_]:
    return everyone.inside([p[0] for p in polygon], [p[1] for p in polygon])


SHAPES = {
    "triangle": [(0, 0), (8, 1), (3, 9)],
    "star that crosses itself": [(0, 6), (10, 6), (2, 0), (5, 10), (8, 0)],
    "concave": [(0, 0), (8, 0), (8, 8), (4, 2), (0, 8)],
    "with a doubled corner and a level edge": [(1, 1), (7, 1), (7, 1), (7, 6), (1, 6)],
    "anticlockwise": [(3, 9), (8, 1), (0, 0)],
}


@pytest.mark.parametrize("name", SHAPES)
def test_the_shape_holds_the_same_shoppers_as_a_slow_exact_count(name: str) -> None:
    rng = np.random.default_rng(3)
    grid = [(float(x), float(y)) for x in range(-1, 11) for y in range(-1, 11)]  # corners, edges and levels of corners included
    points = grid + [(float(x), float(y)) for x, y in rng.uniform(-1, 11, (400, 2))]
    everyone = places([p[0] for p in points], [p[1] for p in points])
    shape = [(float(x), float(y)) for x, y in SHAPES[name]]
    assert inside(everyone, shape).tolist() == [winding_parity(x, y, shape) for x, y in points]


def test_two_shapes_with_a_common_edge_share_no_shopper_and_lose_none() -> None:
    everyone = places([1.0, 2.0, 2.0, 3.0], [1.0, 0.5, 1.5, 1.0])
    left = inside(everyone, [(0, 0), (2, 0), (2, 2), (0, 2)])
    right = inside(everyone, [(2, 0), (4, 0), (4, 2), (2, 2)])
    assert not (left & right).any() and (left | right).all()


@pytest.mark.parametrize("shape", [[], [(1, 1)], [(0, 0), (5, 5)], [(0, 1), (5, 1), (9, 1)]], ids=["none", "point", "line", "flat"])
def test_a_shape_without_area_holds_nobody(shape: list[tuple[float, float]]) -> None:
    assert not inside(places([0.0, 1.0, 2.5], [0.0, 1.0, 2.5]), shape).any()


def test_a_sample_keeps_the_share_of_each_segment_and_the_same_shoppers_each_time() -> None:
    rng = np.random.default_rng(1)
    everyone = places(list(rng.random(1000)), list(rng.random(1000)), [0] * 900 + [1] * 100)
    rows = everyone.sample(100)
    assert len(rows) == 100 and abs(int((everyone.segment_ids[rows] == 1).sum()) - 10) <= 1
    assert rows.tolist() == everyone.sample(100).tolist() == sorted(set(rows.tolist()))


def test_a_zoomed_sample_draws_only_the_framed_and_more_of_them() -> None:
    rng = np.random.default_rng(1)
    everyone = places(list(rng.random(1000)), list(rng.random(1000)))
    chosen = everyone.inside([0.0, 0.5, 0.5, 0.0], [0.0, 0.0, 0.5, 0.5])
    frame = everyone.frame_of(chosen)
    within = everyone.framed(*frame)
    assert (within | ~chosen).all(), "everyone selected is in the frame"
    assert within[everyone.sample(100, within)].all()
    assert within[everyone.sample(100)].sum() < 100
