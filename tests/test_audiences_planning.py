"""Rules of life and saved audiences, overlap, look-alikes, budget, actions, ids: answers that fit in the head."""

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from core.artifacts import write_json, write_table
from core.audiences.actions import checked_actions
from core.audiences.budget import Channel, part_audiences, spread_budget
from core.audiences.listed import read_ids
from core.audiences.lookalikes import FOLDS, alike_scores, fold_of_seeds, judge_alike, most_alike
from core.audiences.overlap import overlap_matrix
from core.audiences.rules import listed_users, resolve, rule_sql, scope_of
from core.audiences.sizes import members, size_audience
from core.audiences.words import rule_sentence
from core.errors import NotFoundError, RuleError
from core.messages import Message
from core.pipeline import outcomes, planning, screens
from core.schema import STAGES
from core.store import CURRENT, Home, Log, fetch
from tests.page_worlds import tiny_home
from tests.worlds import at, publish_world


def event(user: str, item: str, kind: str, day: float) -> dict[str, Any]:
    return {"user_id": user, "item_id": item, "event_type": kind, "event_time": at(day)}


EVENTS = [
    *(event("ann", "shoe", "view", day) for day in (1, 2, 3)),
    event("ann", "tea", "view", 4),
    *(event("bo", "tea", "view", day) for day in (1, 2, 3)),
    event("bo", "shoe", "view", 20),
    event("cy", "shoe", "view", 5),
    event("cy", "tea", "purchase", 6),
]
ITEMS = [{"item_id": "shoe", "category": "Shoes"}, {"item_id": "tea", "category": "Tea"}]
GROUPS = pa.table({"user_id": ["ann", "bo", "cy"], "rfm": ["never", "never", "champions"], "stage": ["new", "slipping", "new"]})


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return publish_world(tmp_path / "home", EVENTS, items=ITEMS)


def who(log: Log, rule: Any, until: float = 30, tables: dict[str, pa.Table] | None = None) -> list[str]:
    tables = tables or {"groups": GROUPS}
    with log.history(min(at(until), log.until)) as connection:
        found: list[str] = members(connection, tables, rule, cutoff=at(until), holdout_share=0.0)["user_id"].to_pylist()
        for name, table in tables.items():
            connection.register(name, table)
        assert fetch(connection, rule_sql(rule, scope_of(connection, tables, at(until))))["user_id"].to_pylist() == found
    return found


@pytest.mark.parametrize(
    ("rule", "expected", "sentence"),
    [
        ({"stage": ["new"]}, ["ann", "cy"], "Shoppers who are in the stage new."),
        ({"rfm": ["champions", "loyal"]}, ["cy"], "Shoppers who are in the RFM group champions or loyal."),
        # shares of shoes: ann 3/4, bo 1/4, cy 1/2, all 5/10; cy has a single act in it
        ({"affinity": {"category": "Shoes", "at_least": 150}}, ["ann"], "Shoppers who favour “Shoes” with an index of at least 150."),
        ({"affinity": {"category": "Shoes", "at_least": 100, "acts": 1}}, ["ann", "cy"], None),
        ({"affinity": {"category": "Shoes", "at_least": 151}}, [], None),
        ({"affinity": {"category": "' OR 1=1 --", "at_least": 10}}, [], None),
        ({"audience": {"name": "A", "rule": {"stage": ["new"]}}}, ["ann", "cy"], "Shoppers who are in the audience “A”."),
        ({"not": {"audience": {"name": "A", "rule": {"stage": ["new"]}}}}, ["bo"], None),
    ],
)
def test_rules_of_life_affinity_and_saved_audiences_find_their_users(
    log: Log, rule: dict[str, Any], expected: list[str], sentence: str | None
) -> None:
    assert who(log, rule) == expected
    if sentence:
        assert rule_sentence(rule) == sentence


def test_affinity_ignores_events_from_the_cutoff_on(log: Log) -> None:
    rule = {"affinity": {"category": "Tea", "at_least": 150, "acts": 2}}
    assert who(log, rule, until=5.5) == ["bo"] and who(log, rule, until=30) == ["bo"]
    assert who(log, {"affinity": {"category": "Shoes", "at_least": 101, "acts": 1}}, until=6) == ["ann", "cy"]
    assert who(log, {"affinity": {"category": "Shoes", "at_least": 201, "acts": 1}}, until=6) == []


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ({"stage": ["dead"]}, "no stage of life"),
        ({"stage": []}, "list of 1"),
        ({"rfm": "champions"}, "list of 1"),
        ({"affinity": {"category": "Shoes", "at_least": 0}}, "above 0"),
        ({"affinity": {"category": "Shoes"}}, "lacks at_least"),
        ({"audience": "A"}, "was not put in"),
        ({"audience": {"name": "A"}}, "was not put in"),
    ],
)
def test_a_malformed_part_is_named(log: Log, rule: Any, told: str) -> None:
    with pytest.raises(RuleError, match=told):
        who(log, rule)


def test_saved_audiences_are_put_in_and_one_made_of_itself_is_refused() -> None:
    saved = {"A": {"stage": ["new"]}, "B": {"all": [{"audience": "A"}, {"not": {"audience": "A"}}]}, "C": {"any": [{"audience": "D"}]}}
    put = {"audience": {"name": "A", "rule": {"stage": ["new"]}}}
    assert resolve({"audience": "B"}, saved) == {"audience": {"name": "B", "rule": {"all": [put, {"not": put}]}}}
    with pytest.raises(RuleError, match="no saved audience “D”"):
        resolve({"audience": "C"}, saved)
    with pytest.raises(RuleError, match="C → D → C"):
        resolve({"audience": "C"}, saved | {"D": {"not": {"audience": "C"}}})
    for odd in ("text", 3, {"all": "x"}, {"audience": 3}, {"a": 1, "b": 2}, None):
        assert resolve(odd, saved) == odd


def test_unknown_ids_of_a_rule_are_counted_wherever_they_stand(log: Log) -> None:
    inner = {"audience": {"name": "A", "rule": {"users": ["cy", "dee"]}}}
    rule = {"any": [{"users": ["ann", "zoe"]}, {"not": inner}]}
    assert listed_users(rule) == {"ann", "zoe", "cy", "dee"}
    with log.history() as connection:
        size = size_audience(connection, {}, rule, cutoff=at(30), holdout_share=0.0)
    assert size.unknown_ids == 2 and "2 of the 4 ids listed in the rule are not in the log." in size.warnings


def test_the_overlap_matrix_counts_shares_and_jaccard() -> None:
    rows = overlap_matrix({"A": ["1", "2", "3", "4"], "B": ["3", "4", "5"], "empty": []}).to_pylist()
    found = {(row["left"], row["right"]): (row["users"], row["share"], row["jaccard"]) for row in rows}
    assert found["A", "A"] == (4, 1.0, 1.0) and found["A", "B"] == (2, 0.5, 2 / 5)
    assert found["B", "A"][1] == pytest.approx(2 / 3) and found["empty", "A"] == (0, 0.0, 0.0) == found["empty", "empty"]
    assert overlap_matrix({}).num_rows == 0


def test_shoppers_like_the_seeds_come_first_and_held_out_seeds_are_found_again() -> None:
    rng = np.random.default_rng(0)
    tastes = np.repeat(np.eye(4, 12), 100, axis=0)  # four tastes of 100 shoppers each
    profiles = (tastes + 0.3 * rng.standard_normal(tastes.shape)).astype(np.float32)
    seeds = np.arange(0, 50)
    folds = fold_of_seeds(len(seeds), rng)
    assert sorted(np.bincount(folds).tolist()) == [10] * FOLDS
    pieces = [lambda: iter([(0, profiles[:150]), (150, profiles[150:])])]
    scores = alike_scores(pieces, 400, seeds, folds)
    assert np.allclose(scores, alike_scores([lambda: iter([(0, profiles)])], 400, seeds, folds))
    order = most_alike(scores, seeds, 50)
    assert not set(order) & set(seeds) and (order < 100).mean() > 0.9
    evidence = judge_alike(scores, seeds, folds, 60)
    assert evidence.recall > 0.8 > evidence.by_chance == pytest.approx(60 / 360) and evidence.low < evidence.recall < evidence.high
    noise = rng.standard_normal(profiles.shape).astype(np.float32)
    nothing = judge_alike(alike_scores([lambda: iter([(0, noise)])], 400, seeds, folds), seeds, folds, 60)
    assert nothing.low < nothing.by_chance < nothing.high


def brute_force(chances: list[float], channels: list[Channel], budget: float, margin: float) -> float:
    best = 0.0
    for choice in product([None, *channels], repeat=len(chances)):
        cost = sum(c.cost for c in choice if c)
        fits = all(c.most is None or sum(one is c for one in choice) <= c.most for c in channels)
        if cost <= budget + 1e-9 and fits:
            best = max(best, sum(p * c.effect * margin - c.cost for p, c in zip(chances, choice, strict=True) if c))
    return best


@pytest.mark.parametrize("budget", [0.0, 1.0, 3.0, 100.0])
def test_a_budget_is_spread_as_trying_everything_would(budget: float) -> None:
    chances = [0.9, 0.6, 0.4, 0.2, 0.05]
    channels = [Channel("mail", 1.0, 0.1), Channel("call", 2.0, 0.3, most=1)]
    found = spread_budget([("A", np.array(chances))], channels, budget, 30.0)
    assert sum(one.cost for one in found) <= budget + 1e-9
    assert sum(one.added_value for one in found) == pytest.approx(brute_force(chances, channels, budget, 30.0))


def test_no_shopper_is_contacted_twice_and_nothing_is_spent_where_nothing_pays() -> None:
    parted = part_audiences([("A", ["1", "2"], [0.5, 0.4]), ("B", ["2", "3"], [0.4, 0.3])])
    assert [(name, list(chances)) for name, chances in parted] == [("A", [0.5, 0.4]), ("B", [0.3])]
    assert sum(one.users for one in spread_budget(parted, [Channel("x", 0.0, 1.0), Channel("y", 0.0, 0.9)], 10, 1.0)) == 3
    assert spread_budget(parted, [Channel("x", 5.0, 0.1)], 100, 1.0) == []
    with pytest.raises(RuleError, match="channel"):
        spread_budget(parted, [], 1, 1)
    with pytest.raises(RuleError, match="amount"):
        spread_budget(parted, [Channel("x", -1.0, 0.1)], 100, 1.0)


def test_edited_actions_need_each_stage_once() -> None:
    rows = [{"stage": stage, "action": " call ", "channel": None} for stage in reversed(STAGES)]
    assert checked_actions(rows)[0] == {"stage": "new", "action": "call", "channel": ""}
    for odd in (rows[1:], [*rows, rows[0]], [{"stage": "x"}], [rows[0] | {"action": "a" * 201}]):
        with pytest.raises(RuleError):
            checked_actions(odd)


@pytest.mark.parametrize(
    ("file", "typed", "expected"),
    [
        (b"a\nb\na\n", "", ["a", "b"]),
        (b"\xef\xbb\xbfage,user_id\r\n1,007\r\n2,7\r\n", "", ["007", "7"]),
        ("顾客编号\n张三\n".encode(), " x \n\n", ["张三", "x"]),
        (b'"quoted, id"\n', "", ["quoted, id"]),
        (b"", "", []),
    ],
)
def test_ids_are_read_from_a_column_or_lines_each_once(file: bytes, typed: str, expected: list[str]) -> None:
    assert read_ids(file, typed) == expected


@pytest.mark.parametrize("file", [b"\xff\xfe\x00", b"a\x00b", b'"' + b"x" * 200_000])
def test_a_file_of_ids_that_is_no_text_is_refused(file: bytes) -> None:
    with pytest.raises(RuleError):
        read_ids(file)


def test_a_saved_audience_is_sized_once_for_each_version_and_its_sizes_stay(tmp_path: Path) -> None:
    home = tiny_home(tmp_path, users=12)
    here = screens.open_screen(Home(home), "tiny")
    outcomes.save_audience(here, {"name": "viewers", "rule": {"behaviour": {"event_type": "view"}}, "holdout": 0.1})
    outcomes.save_audience(here, {"name": "gone", "rule": {"segment": [0]}, "holdout": 0.1})
    first = outcomes.refresh_audiences(here)
    assert [[size["users"] for size in record["sizes"]] for record in first] == [[6], [12]]
    assert outcomes.refresh_audiences(here) == first
    publish_world(home, [{"user_id": "new", "item_id": "i0", "event_type": "view", "event_time": at(30)}])
    target = Home(home).dataset("tiny")
    pointers = target.current()
    del pointers["runs"]["atlas"]  # segments can no longer be asked for
    write_json(target.path / CURRENT, pointers)
    with target.new_run("profiles", inputs={"version": "v0002"}, config={}, cutoff=None) as draft:
        write_table(draft.path / "counts.parquet", pa.table({"user_id": ["new"]}))
    later = {record["name"]: record for record in outcomes.refresh_audiences(screens.open_screen(Home(home), "tiny"))}
    assert [(size["version"], size["users"]) for size in later["viewers"]["sizes"]] == [("v0001", 12), ("v0002", 1)]
    assert "segment" in later["gone"]["error"] and len(later["gone"]["sizes"]) == 1
    assert "error" not in target.saved("audiences")[0]


def test_look_alikes_and_actions_without_profiles_say_so(tmp_path: Path) -> None:
    here = screens.open_screen(Home(tiny_home(tmp_path, users=3, runs=False)), "tiny")
    with pytest.raises(NotFoundError, match="no profiles"):
        planning.alike(here, ["u001"])
    found = planning.next_actions(here)
    assert found["users"].isna().all() and list(found["stage"]) == list(STAGES)
    assert all(isinstance(text, Message) for name in ("action", "channel") for text in found[name]), (
        "they are said in the reader's language"
    )
