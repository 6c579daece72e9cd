"""Mirror of core/atlas/landmarks, levels and the two-level parts of build: old shoppers stay, segments within segments, colours."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import adjusted_rand_score

from core.atlas.build import Atlas, build_atlas
from core.atlas.landmarks import find_distinct
from core.atlas.levels import slots
from core.atlas.options import AtlasOptions, Previous
from core.atlas.segments import SegmentOptions
from core.atlas.space import Vectors
from core.store import Log
from tests.worlds import at, publish_world

FLAT = AtlasOptions(SegmentOptions(count=3), picture=False)
KINDS, PARTS, EACH = 3, 2, 70


def nested(kinds: int = KINDS, each: int = EACH) -> tuple[Vectors, np.ndarray]:
    """Kinds far apart, each of two parts less far apart; the truth counts parts."""
    rng = np.random.default_rng(5)
    truth = np.repeat(np.arange(kinds * PARTS), each)
    centres = np.repeat(rng.normal(size=(kinds, 6)) * 12, PARTS, axis=0)
    centres[1::2] += 3.5
    return (centres[truth] + rng.normal(size=(len(truth), 6)) * 0.7).astype(np.float32), truth


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> tuple[Log, list[str], Vectors, np.ndarray]:
    """420 shoppers: each kind has a category of its own, each part of it a time of day."""
    profile, truth = nested()
    ids = [f"u{number:03d}" for number in range(len(truth))]
    events = [
        {"user_id": user, "item_id": f"i{part // PARTS}", "event_type": "view", "event_time": at(day + (9 + 11 * (part % PARTS)) / 24)}
        for user, part in zip(ids, truth.tolist(), strict=True)
        for day in range(3)
    ]
    items = [{"item_id": f"i{kind}", "category": ("TEA", "NUTS", "SOAP")[kind]} for kind in range(KINDS)]
    return publish_world(tmp_path_factory.mktemp("nested") / "home", events, items=items), ids, profile, truth


def build(log: Log, profile: Vectors, ids: list[str], **more: Any) -> Atlas:
    counts = pa.table({"user_id": ids, "events": np.full(len(ids), 3)})
    with log.history() as connection:
        return build_atlas(ids, profile, counts, connection, cutoff=log.until, options=more.pop("options", FLAT), **more)


def column(table: pa.Table, name: str) -> np.ndarray:
    return np.array(table[name].to_pylist())


def previous(atlas: Atlas, **more: Any) -> Previous:
    return Previous(atlas.users, atlas.segments, atlas.subsegments, trustworthiness=atlas.metrics["trustworthiness"], **more)


@pytest.fixture(scope="module")
def atlas(world: tuple[Log, list[str], Vectors, np.ndarray]) -> Atlas:
    log, ids, profile, _ = world
    return build(log, profile, ids)


def test_planted_parts_of_planted_kinds_are_found_on_their_own_level(
    atlas: Atlas, world: tuple[Log, list[str], Vectors, np.ndarray]
) -> None:
    truth = world[3]
    assert adjusted_rand_score(truth // PARTS, column(atlas.users, "segment_id")) > 0.99
    assert adjusted_rand_score(truth, column(atlas.users, "subsegment_id")) > 0.95


def test_every_shopper_is_in_one_subsegment_of_her_segment_and_sizes_add_up(atlas: Atlas) -> None:
    pairs = set(zip(column(atlas.users, "subsegment_id"), column(atlas.users, "segment_id"), strict=True))
    parents = dict(zip(column(atlas.subsegments, "subsegment_id"), column(atlas.subsegments, "segment_id"), strict=True))
    assert pairs == set(parents.items())
    sizes = dict(zip(column(atlas.segments, "segment_id"), column(atlas.segments, "size"), strict=True))
    for segment, size in sizes.items():
        inside = column(atlas.subsegments, "segment_id") == segment
        assert column(atlas.subsegments, "size")[inside].sum() == size
        assert column(atlas.subsegments, "share_of_segment")[inside].sum() == pytest.approx(1)


def test_a_subsegment_is_named_by_what_sets_it_apart_within_its_segment(atlas: Atlas) -> None:
    names = column(atlas.subsegments, "name")
    assert len(set(names)) == len(names) == KINDS * PARTS
    assert {name.split(" › ")[0].split(" · ")[0] for name in names} == {"Tea", "Nuts", "Soap"}
    assert {name.split(" › ")[1] for name in names} == {"Mornings", "Evenings"}
    first = next(row for row in atlas.subsegment_traits.to_pylist() if row["kind"] == "hours")
    assert first["share_in"] > 0.95 and first["share_all"] == pytest.approx(0.5, abs=0.05), "against the segment, not all shoppers"
    assert first["text"].endswith("of the segment; n = {n})".format(**first))


def test_ids_and_colours_of_both_levels_stay_when_sizes_change(world: tuple[Log, list[str], Vectors, np.ndarray], atlas: Atlas) -> None:
    log, ids, profile, truth = world
    kept = np.flatnonzero((truth != truth[0]) | (np.arange(len(truth)) % 3 == 0))  # the first part shrinks to a third
    with log.history() as connection:
        connection.execute("CREATE TEMP TABLE kept AS SELECT unnest($ids) AS user_id", {"ids": [ids[i] for i in kept]})
        counts = pa.table({"user_id": [ids[i] for i in kept], "events": np.full(len(kept), 3)})
        again = build_atlas(
            [ids[i] for i in kept], profile[kept], counts, connection, cutoff=log.until, previous=previous(atlas), options=FLAT
        )
    for key in ("segment_id", "subsegment_id"):
        assert (column(again.users, key) == column(atlas.users, key)[kept]).all(), key
    assert column(again.segments, "segment_id").tolist() != column(atlas.segments, "segment_id").tolist(), "the order by size changed"
    for now, then, key, slot in (
        (again.segments, atlas.segments, "segment_id", "colour"),
        (again.subsegments, atlas.subsegments, "subsegment_id", "shade"),
    ):
        assert dict(zip(now[key].to_pylist(), now[slot].to_pylist(), strict=True)) == dict(
            zip(then[key].to_pylist(), then[slot].to_pylist(), strict=True)
        )


def test_new_shoppers_are_placed_among_their_like_and_nobody_known_moves(world: tuple[Log, list[str], Vectors, np.ndarray]) -> None:
    log, ids, profile, truth = world
    old = np.flatnonzero(np.arange(len(ids)) % 10 != 3)
    first = build_part(log, ids, profile, old)
    grown = build(log, profile, ids, previous=previous(first))
    assert grown.metrics["picture_kept"] and grown.metrics["moved"] == 0 and grown.metrics["placed_users"] == len(ids) - len(old)
    for axis in ("x", "y"):
        assert (column(grown.users, axis)[old] == column(first.users, axis)).all()
    new = np.setdiff1d(np.arange(len(ids)), old)
    places = np.column_stack([column(grown.users, "x"), column(grown.users, "y")])
    near = [old[np.linalg.norm(places[old] - places[row], axis=1).argsort()[:5]] for row in new]
    assert np.mean([(truth[found] // PARTS == truth[row] // PARTS).mean() for row, found in zip(new, near, strict=True)]) > 0.95


def build_part(log: Log, ids: list[str], profile: Vectors, rows: np.ndarray, **more: Any) -> Atlas:
    return build(log, profile[rows], [ids[i] for i in rows], **more)


def test_a_picture_that_no_longer_fits_is_drawn_again(world: tuple[Log, list[str], Vectors, np.ndarray]) -> None:
    log, ids, profile, _ = world
    half = np.arange(0, len(ids), 2)
    first = build_part(log, ids, profile, half)
    assert not build(log, profile, ids, previous=previous(first)).metrics["picture_kept"], "twice the shoppers"
    worse = Previous(build(log, profile, ids).users, trustworthiness=1.5)
    assert not build(log, profile, ids, previous=worse).metrics["picture_kept"], "neighbours are no longer neighbours"
    asked = AtlasOptions(SegmentOptions(count=3), picture=False, redraw=True)
    assert not build(log, profile, ids, previous=previous(build(log, profile, ids)), options=asked).metrics["picture_kept"]


def test_growth_adds_up_over_refreshes_that_keep_the_picture(world: tuple[Log, list[str], Vectors, np.ndarray]) -> None:
    log, ids, profile, _ = world
    kept = build(log, profile, ids, previous=previous(build(log, profile, ids), drawn_users=350))
    assert kept.metrics["picture_kept"] and kept.metrics["drawn_users"] == 350
    assert not build(log, profile, ids, previous=previous(kept, drawn_users=300)).metrics["picture_kept"]


def test_a_split_whose_parts_nothing_tells_apart_is_not_told(tmp_path: Any) -> None:
    profile, truth = nested()
    ids = [f"u{number:03d}" for number in range(len(truth))]
    events = [
        {"user_id": user, "item_id": f"i{part // PARTS}", "event_type": "view", "event_time": at(1)}
        for user, part in zip(ids, truth.tolist(), strict=True)
    ]
    items = [{"item_id": f"i{kind}", "category": f"cat {kind}"} for kind in range(KINDS)]
    found = build(publish_world(tmp_path / "home", events, items=items), profile, ids)
    assert found.subsegments.num_rows == found.segments.num_rows
    assert found.subsegments["own_name"].null_count == found.segments.num_rows
    assert column(found.subsegments, "name").tolist() == column(found.segments, "name").tolist()


def test_slots_stay_and_new_ones_take_the_least_used() -> None:
    assert slots([5, 9, 7], {9: 0, 4: 1}, 3) == {5: 1, 9: 0, 7: 2}
    assert slots([1, 2, 3], {1: 0, 2: 0}, 2) == {1: 0, 2: 0, 3: 1}


def test_distinct_profiles_are_those_of_numpy_and_minus_zero_is_zero() -> None:
    rng = np.random.default_rng(2)
    rows = rng.integers(0, 3, (500, 4)).astype(np.float32)
    rows[::7] *= np.float32(-1)  # brings -0
    found = find_distinct(rows)
    expected = np.unique(rows + 0.0, axis=0)
    assert len(found.points) == len(expected) and found.weights.sum() == 500
    assert np.array_equal(found.points[found.inverse], rows + 0.0)
    assert (np.diff(found.first) > 0).all(), "in the order of users"


def test_everything_published_is_blind_to_events_from_the_cutoff_on(
    world: tuple[Log, list[str], Vectors, np.ndarray], tmp_path: Any
) -> None:
    _, ids, profile, truth = world
    events = [
        {"user_id": user, "item_id": f"i{part}", "event_type": "view", "event_time": at(day + part / 24)}
        for user, part in zip(ids, truth.tolist(), strict=True)
        for day in range(2)
    ]
    later = [{"user_id": user, "item_id": "i0", "event_type": "purchase", "event_time": at(9), "revenue": 5} for user in ids[:200]]
    items = [{"item_id": f"i{part}", "category": f"cat {part}"} for part in range(6)]
    counts = pa.table({"user_id": ids, "events": np.full(len(ids), 2)})

    def as_of(log: Log) -> dict[str, Any]:
        with log.history(at(5) if log.until > at(5) else None) as connection:
            found = build_atlas(ids, profile, counts, connection, cutoff=at(5), options=FLAT)
        return {name: table.to_pylist() for name, table in found.tables().items()} | {"metrics": found.metrics}

    before = as_of(publish_world(tmp_path / "a", events, items=items))
    assert before == as_of(publish_world(tmp_path / "b", events + later, items=items))
    assert len(before["leanings"]) and len(before["habits"]) == len(ids)


def test_every_column_of_the_published_tables_is_explained(atlas: Atlas) -> None:
    told = (Path(__file__).parent.parent / "docs" / "segments.md").read_text(encoding="utf-8")
    for table in (atlas.users, atlas.segments, atlas.subsegments, atlas.traits, atlas.subsegment_traits):
        assert [name for name in table.column_names if name not in told] == []
