"""Who lies inside a drawn shape, and who is drawn: the map's arithmetic against a slow oracle."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest

from core.artifacts import write_table
from core.pipeline.places import Places, visible
from core.pipeline.screens import open_screen
from core.pipeline.shoppers import nearest
from core.store import Home
from tests.worlds import at, publish_world


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


def test_around_a_zoomed_part_all_are_drawn_or_thinned_out_but_nobody_s_place_is_bare() -> None:
    rng = np.random.default_rng(1)
    everyone = places(list(rng.random(1000)), list(rng.random(1000)))
    within = everyone.framed(*visible((0.4, 0.5, 0.4, 0.5)))
    assert within.sum() > 2 * everyone.framed(0.4, 0.5, 0.4, 0.5).sum(), "equal axes show what stands beside the frame"
    assert len(everyone.drawn_around(within, most=1000)) == 1000
    rows = everyone.drawn_around(within, most=400, sample=300)
    assert within[rows].sum() == within.sum() and len(rows) == 400 and len(set(rows)) == 400
    few = everyone.drawn_around(within, most=16, sample=8)
    assert within[few].sum() == 8 and (~within)[few].sum() == 8


@pytest.mark.parametrize("frame", [(0.0, 1.0, 0.0, 1.0), (0.0, 4.0, 0.0, 1.0), (0.0, 1.0, 0.0, 4.0)])
def test_what_the_picture_shows_holds_the_frame_about_the_same_middle(frame: tuple[float, float, float, float]) -> None:
    left, right, bottom, top = visible(frame)
    assert left <= frame[0] and right >= frame[1] and bottom <= frame[2] and top >= frame[3]
    assert (left + right, bottom + top) == pytest.approx((frame[0] + frame[1], frame[2] + frame[3]))
    assert 1 <= (right - left) / (top - bottom) <= 2.2 + 1e-9


def test_a_drawn_line_of_many_corners_holds_the_same_as_a_slow_exact_count() -> None:
    rng = np.random.default_rng(7)
    turn = np.linspace(0, 4 * np.pi, 240)  # twice around: crosses itself all the way
    shape = [(float(5 + r * np.cos(a)), float(5 + r * np.sin(a))) for a, r in zip(turn, 3 + rng.random(240), strict=True)]
    points = rng.uniform(0, 10, (600, 2))
    everyone = places(points[:, 0].tolist(), points[:, 1].tolist())
    assert inside(everyone, shape).tolist() == [winding_parity(x, y, shape) for x, y in points.tolist()]


def test_a_map_of_many_draws_a_sample_and_its_density_counts_everyone() -> None:
    rng = np.random.default_rng(1)
    everyone = places(list(rng.normal(size=3000)), list(rng.normal(size=3000)))
    assert len(everyone.drawn(most=3000)) == 3000 and len(everyone.drawn(most=2999, sample=500)) == 500
    grid, (left, right, bottom, top) = everyone.density()
    assert grid.dtype == np.uint8 and grid.max() == 255
    counts, _, _ = np.histogram2d(everyone.y, everyone.x, bins=grid.shape, range=[[bottom, top], [left, right]])
    assert ((grid > 0) == (counts > 0)).mean() > 0.999, "cells at a border may fall to either side"


def test_around_takes_the_nearest_on_the_picture_herself_included() -> None:
    everyone = places([0.0, 1.0, 5.0, 1.5], [0.0, 0.0, 0.0, 0.0])
    assert everyone.around("u001", 3).tolist() == [True, True, False, True]
    assert not everyone.around("nobody", 3).any()


def test_shoppers_of_a_log_without_texts_are_alike_by_their_counts(tmp_path: Path) -> None:
    publish_world(tmp_path / "home", [{"user_id": user, "event_type": "view", "event_time": at(1)} for user in "abc"])
    target = Home(tmp_path / "home").dataset("tiny")
    with target.new_run("profiles", inputs={"version": "v0001"}, config={}, cutoff=None) as draft:
        table = {"user_id": list("abc"), "events_all": [1.0, 2.0, 90.0], "days_since_purchase": [None, None, 4.0]}
        write_table(draft.path / "counts.parquet", pa.table(table))
    found = nearest(open_screen(Home(tmp_path / "home"), "tiny"), "a", 2)
    assert found["user_id"].tolist() == ["b", "c"] and found["similarity"][0] > found["similarity"][1]
