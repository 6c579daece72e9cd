"""Mirror of core/atlas traits, names, vocabulary and demographics: words, people, bases of quarters, names that stay."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from core.artifacts import read_table
from core.atlas.agreeing import agrees
from core.atlas.build import Atlas, build_atlas
from core.atlas.moves import segment_moves, with_profiles
from core.atlas.names import Named, choose_traits, make_distinct, name_segments, spell, trait_sentence
from core.atlas.options import AtlasOptions, Previous
from core.atlas.segments import SegmentOptions
from core.atlas.traits import Trait, find_traits
from core.atlas.vocabulary import item_words
from core.search.tokens import words_of
from core.store import Log
from tests.worlds import at, publish_world

TWO = SegmentOptions(count=2)
ITEMS = [
    {"item_id": "run1", "title": "Red running shoes", "category": "SHOES"},
    {"item_id": "run2", "title": "Blue running shoe", "category": "SHOES"},
    {"item_id": "hill1", "title": "Red hiking shoes", "category": "SHOES"},
    {"item_id": "hill2", "title": "Blue hiking shoe", "category": "SHOES"},
    {"item_id": "zh1", "title": "跑步短裤", "category": "短裤"},
    {"item_id": "zh2", "title": "跑步上衣", "category": "上衣"},
]


def trait(kind: str, code: str, share: float, strength: float = 1.0, **more: Any) -> Trait:
    return Trait(1, kind, code, 3.0, 2.5, 3.5, 100, share, share / 3, strength, **more)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> tuple[Log, list[str], np.ndarray]:
    """400 shoppers of shoes: the first half runs and is young, the other half hikes and is old; a third of each half buys."""
    ids = [f"u{n:03d}" for n in range(400)]
    events = []
    for n, user in enumerate(ids):
        for act in range(4):
            name = ("run" if n < 200 else "hill") + str(1 + act % 2)
            events.append({"user_id": user, "item_id": name, "event_type": "view", "event_time": at(1 + act)})
        if n % 3 == 0:
            money = {"revenue": 1 + n % 50, "price": 1 + n % 50, "quantity": 1}
            events.append({"user_id": user, "item_id": name, "event_type": "purchase", "event_time": at(6), **money})
    events += [
        {"user_id": f"u{n:03d}", "item_id": item, "event_type": "view", "event_time": at(7)} for n in range(30) for item in ("zh1", "zh2")
    ]
    people = {user: {"age_group": "young" if n < 200 else "old"} for n, user in enumerate(ids)}
    log = publish_world(tmp_path_factory.mktemp("shoes") / "home", events, items=ITEMS, users=people)
    profile = np.zeros((400, 4), dtype=np.float32)
    profile[:200, 0] = 10
    profile += np.random.default_rng(0).normal(size=profile.shape).astype(np.float32)
    return log, ids, profile


def build(world: tuple[Log, list[str], np.ndarray], **more: Any) -> Atlas:
    log, ids, profile = world
    counts = pa.table({"user_id": ids, "events": np.arange(len(ids), dtype=np.int64)})
    options = AtlasOptions(TWO, picture=False, tokens=words_of, **more)
    with log.history() as connection:
        return build_atlas(ids, profile, counts, connection, cutoff=log.until, options=options)


def test_words_of_titles_are_traits_where_no_category_says_them(world: tuple[Log, list[str], np.ndarray]) -> None:
    rows = [row for row in build(world).traits.to_pylist() if row["kind"] == "word"]
    by_word = {row["code"]: row for row in rows}
    assert {"running", "hiking"} <= by_word.keys() and not by_word.keys() & {"shoe", "shoes", "red", "blue"}
    told = by_word["running"]
    assert told["n"] == 170 and told["lift"] == pytest.approx(2.0) and 1 < told["low"] < 2
    assert told["trait"] == "“running”" and "choose items whose text says “running”" in told["text"]


def test_the_vocabulary_leaves_out_names_numbers_and_words_of_one_item(world: tuple[Log, list[str], np.ndarray]) -> None:
    with world[0].history() as connection:
        found = item_words(connection, words_of, 20).to_pydict()
    words = set(found["word"])
    assert "跑步" in words and not words & {"短裤", "上衣", "shoes", "shoe", "跑"}
    assert {item for item, word in zip(found["item_id"], found["word"], strict=True) if word == "running"} == {"run1", "run2"}


def test_demographics_are_told_only_when_asked_for_and_never_name_a_segment(world: tuple[Log, list[str], np.ndarray]) -> None:
    assert "demographic" not in build(world).traits["kind"].to_pylist()
    atlas = build(world, demographics=True)
    told = {row["trait"]: row for row in atlas.traits.to_pylist() if row["kind"] == "demographic"}
    assert told.keys() == {"Age group: young", "Age group: old"}
    assert told["Age group: old"]["n"] == 200 and told["Age group: old"]["low"] < told["Age group: old"]["lift"]
    assert all(part["kind"] != "demographic" for text in atlas.segments["name_parts"].to_pylist() for part in json.loads(text))
    assert name_segments({1: [trait("demographic", "age=old", 0.9)]}, {}) == {1: []}


def test_quarters_among_buyers_are_compared_among_buyers_and_one_end_is_told() -> None:
    # all 100 of the first segment buy, 25 of them much and 25 little; 40 of the other 900, ten of them much and ten little
    carriers = [(kind, code, np.array([25, 10])) for kind, code in (("spend", "high"), ("spend", "low"))]
    bases = {"spend": np.array([100, 40])}
    assert find_traits(carriers, [1, 2], [100, 900], 5, bases) == [], "among buyers nothing sets them apart"
    assert len(find_traits(carriers, [1, 2], [100, 900], 5)) == 1, "nobody spends much and little"
    (found,) = find_traits([("spend", "high", np.array([60, 4]))], [1, 2], [100, 900], 5, bases)
    assert (found.share_in, found.share_all, found.base, found.base_in, found.base_all) == (0.6, 64 / 140, "buyers", 100, 140)
    assert found.spread == 0.6
    assert trait_sentence(found, "High spend").endswith("(60% against 46% of all buyers; n = 60)")


def test_a_demographic_is_compared_among_those_of_whom_it_is_known() -> None:
    # 240 of the 300 of the first segment are told as married or not, half each; of the other 700 only 140, half each
    carriers = [("known", "marital", np.array([240, 140])), ("demographic", "marital=yes", np.array([120, 70])),
                ("demographic", "marital=no", np.array([120, 70]))]  # fmt: skip
    assert find_traits(carriers, [1, 2], [300, 700], 5) == [], "more is known of the first, nothing sets them apart"
    carriers[1:] = [("demographic", "marital=yes", np.array([192, 28])), ("demographic", "marital=no", np.array([48, 112]))]
    yes, no = find_traits(carriers, [1, 2], [300, 700], 5)
    assert (yes.segment_id, yes.code, yes.share_in, yes.share_all) == (1, "marital=yes", 192 / 240, 220 / 380)
    assert (no.segment_id, no.code, no.share_in, no.base, no.base_in, no.base_all) == (2, "marital=no", 112 / 140, "known", 140, 380)
    assert trait_sentence(no, "Marital: no").endswith("(80% against 42% of all shoppers of whom this is known; n = 112)")


def test_of_whom_the_users_file_is_silent_counts_for_no_value(tmp_path: Path) -> None:
    """Of 400 shoppers the first half is known in nine of ten cases, the second in one of five; the same share of both is married."""
    ids = [f"u{n:03d}" for n in range(400)]
    events = [{"user_id": user, "item_id": "a", "event_type": "view", "event_time": at(1 + n % 7)} for n, user in enumerate(ids)]
    people = {
        user: {"marital": ("yes", "no")[n % 2], "age": str(20 + n % 40)} if n % 10 < (9 if n < 200 else 2) else {"marital": "", "age": ""}
        for n, user in enumerate(ids)
    }
    log = publish_world(tmp_path / "home", events, users=people)
    profile = np.random.default_rng(0).normal(size=(400, 4)).astype(np.float32)
    profile[:200, 0] += 20
    counts = pa.table({"user_id": ids, "events": np.ones(400)})
    with log.history() as connection:
        options = AtlasOptions(TWO, picture=False, demographics=True)
        atlas = build_atlas(ids, profile, counts, connection, cutoff=log.until, options=options)
    assert atlas.segments["size"].to_pylist() == [200, 200]
    assert [row["trait"] for row in atlas.traits.to_pylist() if row["kind"] == "demographic"] == []


def test_a_difference_that_is_sure_and_small_is_no_trait() -> None:
    assert find_traits([("activity", "yet", np.array([1000, 9500]))], [1, 2], [1000, 10_000], 5) == []
    assert len(find_traits([("activity", "yet", np.array([1000, 7500]))], [1, 2], [1000, 10_000], 5)) == 1


def test_a_taste_of_few_names_nobody_and_what_nearly_all_share_comes_first() -> None:
    few, sessions = trait("brand", "Xiaomi", 0.14, 3), trait("feature", "sessions_28d", 1.0, 2)
    assert spell(choose_traits([few, sessions], {}, 1), {}) == "High sessions 28d"
    both = {1: [few], 2: [few]}
    assert all(parts == [] for parts in name_segments(both, {}).values()), "also where names would be equal"
    named = choose_traits([trait("brand", "Xiaomi", 0.6, 3), trait("cadence", "daily", 0.95, 2)], {}, 1)
    assert spell(named, {}) == "Almost daily · Xiaomi"


def test_a_word_names_a_segment_only_where_it_has_no_category_to_be_named_by() -> None:
    rare, word, habit = trait("category", "MEAT", 0.1), trait("word", "lean", 0.5), trait("cadence", "weekly", 0.6)
    assert choose_traits([rare, word, habit], {}, 1) == [habit]
    assert choose_traits([word, habit], {}, 1) == [word, habit]


def test_a_matched_segment_keeps_its_name_while_its_traits_hold_and_no_other_takes_it() -> None:
    active, tea = trait("activity", "high", 0.6, 2), trait("category", "TEA", 0.5, 5)
    earlier = {1: Named("Very active", (("activity", "high"),))}
    parts = name_segments({1: [tea, active], 2: [active]}, {}, earlier)
    names = make_distinct({s: spell(p, {}) for s, p in parts.items()}, {1: "Very active"})
    assert names == {1: "Very active", 2: "Very active 2"}
    parts = name_segments({1: [tea], 2: [active, trait("hours", "night", 0.3)]}, {}, earlier)
    names = make_distinct({s: spell(p, {}) for s, p in parts.items()}, {1: "Very active"})
    assert names[1] == "Tea" and names[2] == "Very active · Nights", "the name was another segment's"


def test_a_name_has_three_parts_at_most_and_none_contradicts_another() -> None:
    found = [
        trait("recency", "low", 0.7, 5), trait("cadence", "rare", 0.6, 4), trait("spend", "high", 0.5, 3),
        trait("activity", "high", 0.45, 2), trait("orders", "high", 0.44, 1.9), trait("days", "weekend", 0.3, 1),
    ]  # fmt: skip
    for parts in name_segments({1: found, 2: found, 3: found}, {}).values():
        said = {(part.kind, part.code) for part in parts}
        assert 2 <= len(parts) <= 3
        assert not {("cadence", "rare"), ("activity", "high")} <= said and not {("cadence", "rare"), ("orders", "high")} <= said
    assert agrees(("activity", "high"), [("orders", "none")]) and not agrees(("activity", "high"), [("orders", "low")])
    assert not agrees(("feature", "days_since_purchase"), [("recency", "high")]), "a feature repeats it"
    assert not agrees(("cadence", "weekly"), [("cadence", "monthly")])


def test_what_a_third_of_a_segment_has_names_it_only_beside_a_twin() -> None:
    active, few, away = trait("activity", "high", 0.33), trait("orders", "low", 0.28), trait("recency", "high", 0.38)
    assert name_segments({1: [active, few]}, {}) == {1: []}, "mixed shoppers"
    assert name_segments({1: [active, few], 2: [away]}, {}) == {1: [], 2: [away]}, "one of the two may stay the mixed one"


def test_twins_are_told_apart_by_what_they_differ_by_most() -> None:
    monthly, weekend = trait("cadence", "monthly", 0.8, 9), trait("days", "weekend", 0.5, 3)
    one = [monthly, trait("hours", "night", 0.36, 5), trait("price", "low", 0.35, 1)]
    two = [monthly, trait("hours", "night", 0.35, 5), weekend]
    names = {s: spell(parts, {}) for s, parts in name_segments({1: one, 2: two}, {}).items()}
    assert names == {1: "Monthly · Low prices", 2: "Monthly · Weekends"}
    same = {s: spell(parts, {}) for s, parts in name_segments({1: one, 2: one}, {}).items()}
    assert make_distinct(same) == {1: "Monthly", 2: "Monthly 2"}, "a number only where nothing differs"


def test_what_tells_twins_apart_stands_instead_of_what_it_contradicts() -> None:
    lately, rare, active = trait("recency", "low", 1.0, 9), trait("cadence", "rare", 0.7, 5), trait("activity", "high", 0.9, 4)
    names = {s: spell(parts, {}) for s, parts in name_segments({1: [lately, rare, active], 2: [lately, rare]}, {}).items()}
    assert names == {1: "Active lately · Very active", 2: "Active lately · Now and then"}


def test_a_part_of_a_segment_neither_repeats_nor_contradicts_its_name() -> None:
    found = [trait("cadence", "weekly", 0.9, 9), trait("category", "SOFT DRINKS", 0.5, 5), trait("category", "BEEF", 0.4, 4)]
    within = [("category", "SOFT DRINKS"), ("cadence", "monthly")]
    (parts,) = name_segments({1: found}, {}, within=within).values()
    assert spell(parts, {}) == "Beef"
    kept = {1: Named("Weekly", (("cadence", "weekly"),))}
    (parts,) = name_segments({1: found}, {}, kept, within).values()
    assert spell(parts, {}) == "Beef", "nor does a name of the earlier map"


def test_an_item_without_a_title_names_nobody() -> None:
    assert choose_traits([trait("item", "5100816", 0.7)], {}, 1) == []
    assert len(choose_traits([trait("item", "5100816", 0.7)], {"5100816": "Kettle"}, 1)) == 1


def test_names_stay_over_a_refresh(world: tuple[Log, list[str], np.ndarray]) -> None:
    log, ids, profile = world
    first = build(world)
    counts = pa.table({"user_id": ids, "events": np.arange(len(ids), dtype=np.int64)})
    with log.history() as connection:
        options = AtlasOptions(TWO, picture=False)  # without words, which named the segments
        again = build_atlas(
            ids, profile, counts, connection, cutoff=log.until, options=options, previous=Previous(first.users, first.segments)
        )
    assert again.segments["name"].to_pylist() != first.segments["name"].to_pylist()
    with log.history() as connection:
        kept = AtlasOptions(TWO, picture=False, tokens=words_of)
        same = build_atlas(ids, profile, counts, connection, cutoff=log.until, options=kept, previous=Previous(first.users, first.segments))
    assert same.segments["name"].to_pylist() == first.segments["name"].to_pylist()


def test_a_move_tells_whether_the_profile_changed() -> None:
    former = pa.table({"user_id": ["a", "b", "c"], "segment_id": pa.array([1, 1, 2], pa.int32())})
    now = pa.table({"user_id": ["a", "b", "d"], "segment_id": pa.array([2, 2, 2], pa.int32())})
    drift = pa.table({"user_id": ["a", "b", "c", "d"], "change": ["same", "changed", "gone", "new"]})
    moves = segment_moves(former, now)
    assert with_profiles(moves, drift)["profile_changed"].to_pylist() == [False, True, None, None]
    assert with_profiles(moves, None)["profile_changed"].to_pylist() == [None] * 4


def test_the_published_tables_carry_bases(world: tuple[Log, list[str], np.ndarray], tmp_path: Path) -> None:
    from core.artifacts import write_table

    write_table(tmp_path / "traits.parquet", build(world).traits)
    assert {"base", "base_in", "base_all"} <= set(read_table(tmp_path / "traits.parquet").column_names)
