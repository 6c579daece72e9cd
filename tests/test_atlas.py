"""Mirror of core/atlas: space, layout, segments, traits, names, build."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import adjusted_rand_score

from core.atlas.build import Atlas, build_atlas
from core.atlas.layout import align, nearest
from core.atlas.leanings import Leanings
from core.atlas.names import is_junk, make_distinct, name_segments, spell, tidy
from core.atlas.options import AtlasOptions, Previous
from core.atlas.quality import picture_quality
from core.atlas.segments import SegmentOptions, find_segments, merge_small, number_segments
from core.atlas.space import SpaceOptions, Vectors, neighbours, profile_space
from core.atlas.traits import Trait, count_carriers, lift_interval
from core.schema import SEGMENTS
from core.store import Log
from tests.worlds import at, publish_world

MakeLog = Callable[..., Log]
FLAT = AtlasOptions(picture=False)


def planted(sizes: list[int], seed: int = 0, dimensions: int = 8) -> tuple[Vectors, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = np.repeat(np.arange(len(sizes)), sizes)
    centres = rng.normal(size=(len(sizes), dimensions)) * 4
    return (centres[truth] + rng.normal(size=(len(truth), dimensions))).astype(np.float32), truth


def counts_of(ids: list[str]) -> pa.Table:
    return pa.table({"user_id": ids, "events": np.arange(len(ids), dtype=np.int64)})


def visit(user: str, item: str, day: float, kind: str = "view") -> dict[str, Any]:
    return {"user_id": user, "item_id": item, "event_type": kind, "event_time": at(day)}


@pytest.fixture(scope="module")
def tea_log(tmp_path_factory: pytest.TempPathFactory) -> Log:
    """300 users, 3 acts each: of the first 100 eighty lean to tea, of the other 200 forty; all others to nuts and soap."""
    events = []
    for number in range(300):
        leans = number < 80 if number < 100 else number < 140
        other = "nuts" if number % 2 else "soap"
        for act, item in enumerate(["tea", "tea", other] if leans else [other] * 3):
            events.append(visit(f"u{number:03d}", item, 1 + act))
    items = [{"item_id": i, "category": c, "title": i} for i, c in (("tea", "GREEN TEA"), ("nuts", "MIXED NUTS"), ("soap", "SOAP"))]
    return publish_world(tmp_path_factory.mktemp("tea") / "home", events, items=items)


def build(log: Log, profile: Vectors, ids: list[str], **more: Any) -> Atlas:
    with log.history() as connection:
        return build_atlas(ids, profile, counts_of(ids), connection, cutoff=log.until, options=more.pop("options", FLAT), **more)


def test_a_planted_over_represented_category_comes_first_with_lift_and_n_by_hand(tea_log: Log) -> None:
    ids = [f"u{number:03d}" for number in range(300)]
    profile = np.zeros((300, 4), dtype=np.float32)
    profile[:100, 0] = 10
    profile += np.random.default_rng(0).normal(size=profile.shape).astype(np.float32)
    atlas = build(tea_log, profile, ids, options=AtlasOptions(SegmentOptions(count=2), picture=False))
    assert atlas.users["segment_id"].to_pylist() == [2] * 100 + [1] * 200
    tastes = [row for row in atlas.traits.to_pylist() if row["kind"] == "category"]
    first = next(row for row in tastes if row["segment_id"] == 2)
    assert (first["trait"], first["n"]) == ("Green Tea", 80)
    assert first["share_in"] == pytest.approx(0.8) and first["share_all"] == pytest.approx(0.4)
    assert first["lift"] == pytest.approx(2.0)
    assert 1.5 < first["low"] < 2 < first["high"] < 2.5
    names = dict(zip(atlas.segments["segment_id"].to_pylist(), atlas.segments["name"].to_pylist(), strict=True))
    assert names[2].startswith("Green Tea")
    assert "2.0× as often favour Green Tea (80% against 40% of all shoppers; n = 80)" in atlas.segments["description"].to_pylist()[1]
    assert json.loads(atlas.segments["name_parts"].to_pylist()[1])[0]["code"] == "GREEN TEA"


def test_the_interval_of_a_lift_narrows_with_users_also_when_everyone_has_the_trait() -> None:
    few, many = lift_interval(8, 10, 4, 20), lift_interval(800, 1000, 400, 2000)
    assert few[0] < many[0] < 2.0 < many[1] < few[1]
    few, many = lift_interval(10, 10, 20, 20), lift_interval(1000, 1000, 2000, 2000)
    assert few[0] < many[0] < 1.0 < many[1] < few[1]
    few, many = lift_interval(30, 30, 0, 670), lift_interval(3000, 3000, 0, 67_000)
    assert few[0] < many[0] < 700 / 30 and few[1] == pytest.approx(many[1]) == pytest.approx(700 / 30), "no lift can be larger"


def test_a_counted_feature_of_the_very_users_of_an_earlier_trait_is_told_once() -> None:
    away = np.arange(12.0)  # users 9, 10 and 11 are the top quarter
    users, places = np.array([9, 10, 11, 0, 1, 2], np.int32), np.array([0, 0, 0, 1, 1, 1], np.int32)
    leanings = Leanings(users, places, ["recency", "brand"], ["high", "b"])
    features = {"days_since_event": away, "views_7d": away[::-1], "carts_7d": away[::-1] * 3, "clicks_7d": np.roll(away, -1)}
    counts = pa.table({"user_id": [f"u{n:02d}" for n in range(12)]} | features)
    carriers = count_carriers(leanings, counts, np.repeat([0, 1], 6), 2)
    # days_since_event repeats recency, carts_7d repeats views_7d; a brand of just those who view much is another thing to say.
    assert [(kind, code, numbers.tolist()) for kind, code, numbers in carriers] == [
        ("recency", "high", [0, 3]), ("brand", "b", [3, 0]), ("feature", "views_7d", [3, 0]), ("feature", "clicks_7d", [0, 3]),
    ]  # fmt: skip


def test_planted_segments_are_found_however_unequal() -> None:
    points, truth = planted([400, 300, 150, 100, 60, 40])
    weights = np.ones(len(points), dtype=np.int64)
    found = find_segments(points, nearest(points, None, 30), weights, 20, np.random.default_rng(1), SegmentOptions())
    assert adjusted_rand_score(truth, found.labels) > 0.98
    assert np.mean(found.stability) > 0.95


def test_asked_for_a_count_k_means_gives_it() -> None:
    points, truth = planted([200, 200, 200])
    weights = np.ones(len(points), dtype=np.int64)
    found = find_segments(points, nearest(points, None, 30), weights, 20, np.random.default_rng(1), SegmentOptions(count=3))
    assert adjusted_rand_score(truth, found.labels) == 1.0


def test_small_segments_join_the_nearest_until_all_are_large_enough() -> None:
    points = np.array([[0.0], [0.1], [5.0], [5.1], [4.0]], dtype=np.float32)
    ones = np.ones(5, dtype=np.int64)
    assert merge_small(np.array([0, 0, 1, 1, 2]), points, ones, 2).tolist() == [0, 0, 1, 1, 1]
    assert merge_small(np.array([0, 0, 1, 1, 2]), points, ones, 9).tolist() == [0] * 5
    assert merge_small(np.array([0, 1]), points[:2], np.array([30, 30]), 20).tolist() == [0, 1]


def test_segments_keep_the_ids_they_overlap_most_and_new_ones_get_fresh_ids() -> None:
    labels = np.array([0, 0, 0, 1, 1, 2])
    assert number_segments(labels).tolist() == [1, 1, 1, 2, 2, 3]
    assert number_segments(labels, np.array([7, 7, 4, 4, 4, 0])).tolist() == [7, 7, 7, 4, 4, 8]


@pytest.mark.parametrize("users", [1, 2, 5, 60])
@pytest.mark.parametrize("same", [True, False])
def test_tiny_logs_and_equal_profiles_still_give_everyone_a_place_and_a_segment(make_log: MakeLog, users: int, same: bool) -> None:
    ids = [f"u{number:03d}" for number in range(users)]
    profile = np.zeros((users, 3), dtype=np.float32) if same else np.random.default_rng(3).normal(size=(users, 3)).astype(np.float32)
    atlas = build(make_log([visit(user, "x", 1) for user in ids]), profile, ids)
    assert atlas.users.column_names == list(SEGMENTS)
    assert atlas.users["user_id"].to_pylist() == ids
    assert set(atlas.users["segment_id"].to_pylist()) == {1}
    assert np.isfinite(atlas.users["x"].to_numpy()).all() and atlas.users["certainty"].to_numpy().max() <= 1
    assert atlas.segments["name"].to_pylist() == ["All shoppers"]
    assert "a map of segments needs 200" in atlas.metrics["warnings"][0]
    if users > 1:
        assert len(set(zip(atlas.users["x"].to_pylist(), atlas.users["y"].to_pylist(), strict=True))) == users


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> tuple[Log, list[str], Vectors, np.ndarray]:
    """430 users in three planted groups; the last 30 lie far from everyone."""
    profile, truth = planted([200, 200, 30])
    ids = [f"u{number:03d}" for number in range(len(truth))]
    events = [visit(user, f"i{group}", 1 + group) for user, group in zip(ids, truth.tolist(), strict=True)]
    items = [{"item_id": f"i{g}", "category": f"cat {g}"} for g in range(3)]
    return publish_world(tmp_path_factory.mktemp("crowd") / "home", events, items=items), ids, profile, truth


def test_every_user_is_in_a_segment_large_enough_with_a_certainty(crowd: tuple[Log, list[str], Vectors, np.ndarray]) -> None:
    log, ids, profile, truth = crowd
    atlas = build(log, profile, ids)
    sizes = atlas.segments["size"].to_pylist()
    assert sum(sizes) == len(ids) and min(sizes) >= 20
    assert adjusted_rand_score(truth, atlas.users["segment_id"].to_numpy()) > 0.98
    certainty = atlas.users["certainty"].to_numpy()
    assert certainty.min() >= 0 and certainty.max() <= 1
    names = atlas.segments["name"].to_pylist()
    assert len(set(names)) == len(names)
    assert abs(sum(atlas.segments["share"].to_pylist()) - 1) < 1e-12
    assert atlas.segments["buyers"].null_count == len(sizes)  # nobody buys in this log: no rate of 0 is claimed


def test_events_from_the_cutoff_on_change_nothing(crowd: tuple[Log, list[str], Vectors, np.ndarray], tmp_path: Path) -> None:
    _, ids, profile, truth = crowd
    items = [{"item_id": f"i{g}", "category": f"cat {g}"} for g in range(3)]
    events = [visit(user, f"i{group}", 1 + group) for user, group in zip(ids, truth.tolist(), strict=True)]
    later = [visit(user, "i0", 9, "purchase") for user in ids[300:]]

    def as_of(log: Log) -> list[Any]:
        with log.history(at(5) if log.until > at(5) else None) as connection:
            atlas = build_atlas(ids, profile, counts_of(ids), connection, cutoff=at(5), options=FLAT)
        return [table.to_pylist() for table in (atlas.users, atlas.segments, atlas.traits)] + [atlas.metrics]

    assert as_of(publish_world(tmp_path / "a", events, items=items)) == as_of(publish_world(tmp_path / "b", events + later, items=items))


def test_a_refresh_keeps_ids_and_turns_the_picture_back(crowd: tuple[Log, list[str], Vectors, np.ndarray]) -> None:
    log, ids, profile, _ = crowd
    first = build(log, profile, ids)
    mirrored = first.users.set_column(1, "x", pa.array(-first.users["x"].to_numpy()))
    ids_swapped = {1: 2, 2: 1, 3: 3}
    former = mirrored.set_column(3, "segment_id", pa.array([ids_swapped[i] for i in first.users["segment_id"].to_pylist()], pa.int32()))
    again = build(log, profile, ids, previous=Previous(former))
    assert again.users["segment_id"].to_pylist() == former["segment_id"].to_pylist()
    assert np.allclose(again.users["x"].to_numpy(), former["x"].to_numpy(), atol=0.01)


def test_users_beyond_the_landmarks_are_placed_and_parted_too(
    crowd: tuple[Log, list[str], Vectors, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    log, ids, profile, truth = crowd
    monkeypatch.setattr("core.atlas.landmarks.LANDMARKS", 300)
    atlas = build(log, profile, ids)
    assert adjusted_rand_score(truth, atlas.users["segment_id"].to_numpy()) > 0.9
    assert np.isfinite(atlas.users["y"].to_numpy()).all()


SCRIPT = """
import hashlib, sys
import numpy as np, pyarrow as pa
from core.atlas.build import build_atlas
from core.atlas.options import AtlasOptions
from core.store import Log
from datetime import datetime
from pathlib import Path
rng = np.random.default_rng(0)
profile = rng.normal(size=(430, 8)).astype(np.float32)
ids = [f"u{n:03d}" for n in range(430)]
log = Log(Path(sys.argv[1]), datetime(2024, 3, 1), datetime(2024, 3, 5))
counts = pa.table({"user_id": ids, "events": list(range(430))})
for picture in (False, True):
    with log.history() as connection:
        atlas = build_atlas(ids, profile, counts, connection, cutoff=log.until, options=AtlasOptions(picture=picture))
    digest = hashlib.sha256()
    for table in (atlas.users, atlas.segments, atlas.traits):
        digest.update(str(table.to_pylist()).encode())
    print(digest.hexdigest())
"""


@pytest.mark.slow
def test_two_processes_give_the_same_bytes_and_draw_the_same_umap_picture(crowd: tuple[Log, list[str], Vectors, np.ndarray]) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", SCRIPT, str(crowd[0].path)],
            stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parent.parent,
            env={"OMP_NUM_THREADS": str(threads), "OPENBLAS_NUM_THREADS": str(threads), "PYTHONPATH": "."},
        )
        for threads in (1, 2)
    ]  # fmt: skip
    one, two = (process.communicate()[0].split() for process in processes)
    assert [process.returncode for process in processes] == [0, 0]
    assert len(set(one)) == 2, "the picture shows in the digest"
    assert one == two


def test_the_nearest_shoppers_come_most_alike_first_without_the_shopper_herself() -> None:
    profile = np.array([[1, 0], [2, 0], [1, 1], [-1, 0], [0, 0]], dtype=np.float32)
    rows, similarity = neighbours(profile, 0, k=4)
    assert rows.tolist() == [1, 2, 4, 3]
    assert similarity.tolist() == pytest.approx([1, 2**-0.5, 0, -1])
    with pytest.raises(IndexError, match="row 9"):
        neighbours(profile, 9)


def test_the_space_ignores_constants_scales_blocks_and_survives_missing_values() -> None:
    counts = pa.table(
        {
            "user_id": list("abcd"),
            "constant": [1, 1, 1, 1],
            "spend": [0.0, 1.0, 1e9, None],
            "name": list("wxyz"),
            "empty": pa.nulls(4, pa.float64()),
        }
    )
    text = np.array([[1, 0], [0, 1], [1, 0], [0, 0]], dtype=np.float32)
    space = profile_space(counts, {"text": text})
    assert space.dtype == np.float32 and space.shape == (4, 2)
    assert np.isfinite(space).all()
    assert (space[:, 1] ** 2).mean() == pytest.approx(1.5, rel=1e-5)  # the text block's weight
    assert profile_space(pa.table({"user_id": ["a"], "n": [3]})).shape == (1, 2)


def test_each_block_has_its_share_of_the_distances_and_one_without_weight_is_left_out() -> None:
    rng = np.random.default_rng(0)
    counts = pa.table({"user_id": [str(i) for i in range(60)], "n": rng.normal(size=60)})
    blocks = {name: rng.normal(size=(60, 3)).astype(np.float32) for name in ("text", "graph", "image")}
    space = profile_space(counts, blocks, SpaceOptions(shares={"counts": 0.0, "graph": 4.0, "image": 0.0}))
    assert space.shape == (60, 6)
    assert [(space[:, part] ** 2).sum(axis=1).mean() for part in (slice(0, 3), slice(3, 6))] == pytest.approx([1.0, 4.0], rel=1e-5)


def test_the_space_does_not_depend_on_monotone_changes_of_a_column() -> None:
    values = np.random.default_rng(0).lognormal(size=50)
    one, two = (profile_space(pa.table({"user_id": [str(i) for i in range(50)], "v": v})) for v in (values, np.log(values)))
    assert np.array_equal(one, two)


def test_procrustes_undoes_a_turn_a_mirror_and_a_shift() -> None:
    old = np.random.default_rng(0).normal(size=(20, 2))
    turned = old @ np.array([[0.0, 1.0], [1.0, 0.0]]) * 3 + 5
    assert np.allclose(align(turned, old, np.ones(20, dtype=bool)), old)


def test_a_picture_equal_to_the_truth_is_fully_trustworthy() -> None:
    points = np.random.default_rng(0).normal(size=(200, 2)).astype(np.float32)
    assert picture_quality(points, points.astype(np.float64), np.arange(200)) == {"trustworthiness": 1.0, "neighbour_recall": 1.0}


def test_names_are_written_as_people_do() -> None:
    assert tidy("FRZN ICE") == "Frzn Ice"
    assert tidy("electronics.audio.head_phones") == "Head Phones"
    assert tidy("Home > Kitchen > pots and pans") == "Pots and Pans"
    assert tidy("VEGETABLES - ALL OTHERS") == "Vegetables"
    assert tidy("CANDY BARS (SINGLES)(INCLUDING") == "Candy Bars (Singles)"
    assert tidy("MEAT - MISC") == "Meat"
    assert tidy("women's shoes") == "Women's Shoes"
    assert tidy("无线耳机") == "无线耳机"
    assert tidy("iPhone cases") == "iPhone cases"


@pytest.mark.parametrize("word", ["MISC", "unknown", "COUPON/MISC ITEMS", "NO COMMODITY DESCRIPTION", "其他", " ", "Other"])
def test_words_that_tell_nothing_are_junk(word: str) -> None:
    assert is_junk(word)


def trait(segment: int, kind: str, code: str, strength: float, share: float = 0.6) -> Trait:
    return Trait(segment, kind, code, 2.0, 1.5, 2.5, 100, share, share / 2, strength)


def test_equal_names_are_told_apart_by_the_next_trait_and_near_synonyms_are_not_repeated() -> None:
    traits = {
        1: [trait(1, "category", "FROZEN PIZZA", 2), trait(1, "category", "FRZN PIZZA ROLLS", 1.9), trait(1, "category", "SOUP", 1)],
        2: [trait(2, "category", "FROZEN PIZZA", 2), trait(2, "category", "CHEESE", 1)],
        3: [trait(3, "category", "MISC", 2)],
        4: [],
    }
    names = {segment: spell(parts, {}) for segment, parts in name_segments(traits, {}).items()}
    assert names == {1: "Frozen Pizza · Soup", 2: "Frozen Pizza · Cheese", 3: "Mixed shoppers", 4: "Mixed shoppers"}
    assert make_distinct(names)[4] == "Mixed shoppers 2"
