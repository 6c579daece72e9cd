"""Mirror of core/audiences: rules, sizes, exports, words."""

import json
import re
from collections.abc import Callable
from math import sqrt
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from core.audiences.exports import ExportOptions, export_audience
from core.audiences.rules import MOST_PARTS, rule_sql, scope_of
from core.audiences.sizes import Value, members, size_audience
from core.audiences.words import Vocabulary, rule_sentence
from core.errors import RuleError, StorageError
from core.pipeline.shoppers import feature_words
from core.store import Log, fetch
from pages.parts.text import said, set_language
from tests.worlds import at, publish_world

MakeLog = Callable[..., Log]
NASTY = ["o'neill", '"; DROP TABLE users; --', "=1+1", "🛒 用户", "a,b\nc"]


def event(user: str, item: str, kind: str, day: float) -> dict[str, Any]:
    return {"user_id": user, "item_id": item, "event_type": kind, "event_time": at(day)}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Log:
    """Ann views shoes three times, lately; Bo bought shoes long ago; Cy views hats; Di only has demographics to tell."""
    return publish_world(
        tmp_path_factory.mktemp("tiny") / "home",
        [
            *(event("ann", "s1", "view", day) for day in (20, 27, 29)),
            event("bo", "s2", "purchase", 1),
            event("cy", "h1", "view", 28),
            event("di", "h1", "cart", 29.5),
        ],
        items=[
            {"item_id": "s1", "category": "shoes", "brand": "acme"},
            {"item_id": "s2", "category": "shoes", "brand": "apex"},
            {"item_id": "h1", "category": "hats", "brand": "acme"},
        ],
        users={"ann": {"age": "20-30"}, "di": {"age": "65+"}},
    )


TABLES = {
    "scores": pa.table({"user_id": ["ann", "bo", "cy"], "propensity": [0.5, 0.2, 0.2]}),
    "segments": pa.table({"user_id": ["ann", "bo", "cy", "di"], "segment_id": pa.array([1, 2, 2, 3], pa.int32())}),
    "counts": pa.table({"user_id": ["ann", "bo", "cy", "di"], "events": [3, 1, 1, 1], "revenue": [0.0, 10.5, 0.0, None]}),
    "categories": pa.table({"user_id": ["ann", "ann"], "category": ["shoes", "hats"], "propensity": [0.4, 0.1]}),
    "recommendations": pa.table({"user_id": ["ann", "bo"], "rank": [1, 5], "item_id": ["h1", "h1"]}),
}

CASES: list[tuple[dict[str, Any], list[str]]] = [
    ({"all": []}, ["ann", "bo", "cy", "di"]),
    ({"any": []}, []),
    ({"segment": [2, 3]}, ["bo", "cy", "di"]),
    ({"propensity": {"at_least": 0.2, "at_most": 0.3}}, ["bo", "cy"]),
    ({"percentile": {"top": 34}}, ["ann", "bo"]),
    ({"percentile": {"top": 33}}, ["ann"]),
    ({"feature": {"column": "events", "op": ">=", "value": 2}}, ["ann"]),
    ({"feature": {"column": "revenue", "op": "!=", "value": 0}}, ["bo"]),
    ({"behaviour": {"event_type": "view", "category": "shoes", "at_least": 3}}, ["ann"]),
    ({"behaviour": {"event_type": "view", "category": "shoes", "at_least": 2, "days": 5}}, ["ann"]),
    ({"behaviour": {"event_type": "view", "category": "shoes", "at_least": 3, "days": 5}}, []),
    ({"behaviour": {"brand": "acme"}}, ["ann", "cy", "di"]),
    ({"behaviour": {"category": "shoes", "at_most": 0}}, ["cy", "di"]),
    ({"behaviour": {"item": "h1", "event_type": "cart", "at_least": 1, "at_most": 1}}, ["di"]),
    ({"attribute": {"column": "age", "in": ["65+", "20-30"]}}, ["ann", "di"]),
    ({"category_propensity": {"category": "shoes", "at_least": 0.3}}, ["ann"]),
    ({"recommended": {"item": "h1", "rank": 3}}, ["ann"]),
    ({"users": ["bo", "nobody"]}, ["bo"]),
    ({"not": {"segment": [2]}}, ["ann", "di"]),
    ({"any": [{"users": ["bo"]}, {"all": [{"segment": [2]}, {"not": {"users": ["cy"]}}]}]}, ["bo"]),
]


@pytest.mark.parametrize(("rule", "expected"), CASES)
def test_each_kind_of_rule_finds_its_users_bound_and_as_displayed_sql(tiny: Log, rule: dict[str, Any], expected: list[str]) -> None:
    with tiny.history() as connection:
        assert members(connection, TABLES, rule, cutoff=at(30))["user_id"].to_pylist() == expected
        for name, table in TABLES.items():
            connection.register(name, table)
        shown = rule_sql(rule, scope_of(connection, TABLES, at(30)))
        assert fetch(connection, shown)["user_id"].to_pylist() == expected
    assert rule_sentence(rule).endswith(".")


def test_the_sentence_says_what_the_rule_says() -> None:
    rule = {
        "all": [
            {"segment": [1]},
            {"any": [{"propensity": {"at_least": 0.3}}, {"percentile": {"top": 5}}]},
            {"not": {"behaviour": {"event_type": "purchase", "days": 14}}},
            {"behaviour": {"event_type": "cart", "category": "Shoes", "at_most": 0}},
        ]
    }
    assert rule_sentence(rule, Vocabulary({1: "Weekly · High spend"})) == (
        "Shoppers who are in segment “Weekly · High spend” and (have a purchase chance of at least 30.0% or are among the 5 % with"
        " the highest purchase chance) and not (bought anything at least once in the last 14"
        " days) and never put into the cart category “Shoes”."
    )


def view(**fields: Any) -> dict[str, Any]:
    return {"behaviour": {"event_type": "view", **fields}}


@pytest.mark.parametrize(
    ("rule", "english", "chinese"),
    [
        ({"all": []}, "All shoppers.", "全部顾客。"),
        ({"not": {"segment": [2, 1]}}, "Shoppers other than those who are in segment 2 or “每周”.",
         "不符合以下条件的顾客：所属分群为“2”或“每周”。"),
        ({"any": [{"propensity": {"at_least": 0.3}}, {"percentile": {"top": 5}}]},
         "Shoppers who have a purchase chance of at least 30.0% or are among the 5 % with the highest purchase chance.",
         "满足以下条件的顾客：购买概率不低于 30.0%，或购买概率位居前 5%。"),
        ({"all": [{"feature": {"column": "orders_all", "op": ">=", "value": 1_500_000}}, {"not": view(category="鞋", days=14)}]},
         "Shoppers who have “Orders in the whole history” of at least 1,500,000 and not (viewed category “鞋” at least once in the last 14"
         " days).",
         "满足以下条件的顾客：“全部历史的订单数”不低于 1,500,000，且不符合（最近 14 天内浏览类目“鞋”的商品至少 1 次）。"),
        (view(item="h1", brand="Acme", category="鞋", at_least=2, at_most=5, days=1),
         "Shoppers who viewed item “h1” of brand “Acme” of category “鞋” 2 to 5 times in the last day.",
         "满足以下条件的顾客：最近 1 天内浏览类目“鞋”中品牌“Acme”的商品“h1”共 2 至 5 次。"),
        (view(at_most=0), "Shoppers who never viewed anything.", "满足以下条件的顾客：从未浏览任何商品。"),
        (view(at_least=1, at_most=1), "Shoppers who viewed anything exactly once.", "满足以下条件的顾客：浏览任意商品恰好 1 次。"),
        ({"attribute": {"column": "age", "in": [str(age) for age in range(12)]}},
         "Shoppers who have age “0” or “1” or “2” or “3” or “4” or “5” or “6” or “7” or “8” or “9” or 2 more.",
         "满足以下条件的顾客：属性 age 为“0”或“1”或“2”或“3”或“4”或“5”或“6”或“7”或“8”或“9”或另外 2 个。"),
        ({"category_propensity": {"category": "鞋", "at_most": 0.4}}, "Shoppers who have a purchase chance in “鞋” of at most 40.0%.",
         "满足以下条件的顾客：类目“鞋”的购买概率不高于 40.0%。"),
        ({"recommended": {"item": "7", "rank": 1}}, "Shoppers who get item “7” as their first recommendation.",
         "满足以下条件的顾客：首个推荐是商品“7”。"),
        ({"users": ["a", "b"]}, "Shoppers who have the id “a” or “b”.", "满足以下条件的顾客：编号为“a”或“b”。"),
    ],
)  # fmt: skip
def test_a_rule_is_told_in_the_language_of_the_reader(rule: dict[str, Any], english: str, chinese: str) -> None:
    sentence = rule_sentence(rule, Vocabulary({1: "每周"}, feature_words()))
    assert said(sentence) == english
    set_language("zh")
    assert said(sentence) == chinese
    set_language("en")


def test_each_kind_of_rule_is_told_in_chinese() -> None:
    set_language("zh")
    told = [said(rule_sentence(rule)) for rule, _expected in CASES]
    set_language("en")
    assert [sentence for sentence in told if re.search(r"Shoppers|who|have| are | at |never|once|times|item|category", sentence)] == []


def test_the_longest_rule_is_told() -> None:
    rule = {"any": [{"users": ["bo"]} for _ in range(MOST_PARTS - 1)]}
    set_language("zh")
    told = said(rule_sentence(rule))
    set_language("en")
    assert told.count("编号为“bo”") == MOST_PARTS - 1


def test_a_warning_and_a_mistake_are_told_in_chinese(tiny: Log) -> None:
    set_language("zh")
    with tiny.history() as connection:
        size = size_audience(connection, TABLES, {"users": ["bo"]}, cutoff=at(30), holdout_share=0.0)
        assert [said(warning) for warning in size.warnings] == ["文件中只有 1 位顾客：广告平台不接受少于 100 人的名单。请放宽规则。"]
        with pytest.raises(RuleError) as caught:
            members(connection, TABLES, {"feature": {"column": "age", "op": "=", "value": 1}}, cutoff=at(30))
    assert said(caught.value) == "feature.column：没有特征 'age'；可用的有：events, revenue。"
    set_language("en")


@pytest.mark.parametrize(
    ("rule", "named"),
    [
        ({}, "rule"), ([], "rule"), ({"a": 1, "b": 2}, "one key"), ({"segments": [1]}, "no such part"), ({"segment": ["1"]}, "segment"),
        ({"segment": []}, "segment"), ({"segment": [True]}, "segment"), ({"all": {"segment": [1]}}, "all"),
        ({"all": [{"segment": [1]}, {"propensity": {"at_least": 3}}]}, r"all\[2\].propensity.at_least"),
        ({"propensity": {}}, "at_least"), ({"propensity": {"at_least": 0.5, "at_most": 0.4}}, "nobody"),
        ({"propensity": {"at_least": float("nan")}}, "number"), ({"percentile": {"top": 0}}, "top"),
        ({"feature": {"column": "events; DROP TABLE users", "op": "=", "value": 1}}, "no feature"),
        ({"feature": {"column": "events", "op": "LIKE", "value": 1}}, "op"), ({"feature": {"column": "events", "op": "="}}, "lacks value"),
        ({"feature": {"column": "user_id", "op": "=", "value": 1}}, "no feature"),
        ({"behaviour": {"days": 3}}, "says nothing"), ({"behaviour": {"item": "x", "at_least": 0}}, "everyone"),
        ({"behaviour": {"event_type": "buy"}}, "no event type"),
        ({"behaviour": {"event_type": "view", "at_least": 2, "at_most": 1}}, "nobody"),
        ({"behaviour": {"event_type": "view", "days": -1}}, "days"),
        ({"attribute": {"column": "income", "in": ["x"]}}, "no attribute"), ({"users": []}, "list"), ({"users": [1]}, "text"),
        ({"users": ["a\x00b"]}, "text"),
    ],
)  # fmt: skip
def test_a_malformed_part_is_named(tiny: Log, rule: Any, named: str) -> None:
    with tiny.history() as connection, pytest.raises(RuleError, match=named):
        members(connection, TABLES, rule, cutoff=at(30))


def test_a_rule_over_a_missing_result_says_which_stage_to_run(tiny: Log) -> None:
    with tiny.history() as connection:
        with pytest.raises(RuleError, match="`map`"):
            members(connection, {}, {"segment": [1]}, cutoff=at(30))
        assert members(connection, {}, {"all": []}, cutoff=at(30)).num_rows == 4


def test_a_rule_too_deep_is_refused(tiny: Log) -> None:
    rule: dict[str, Any] = {"segment": [1]}
    for _ in range(50):
        rule = {"not": rule}
    with tiny.history() as connection, pytest.raises(RuleError, match="levels"):
        members(connection, TABLES, rule, cutoff=at(30))


def test_hostile_values_harm_nothing_and_find_exactly_themselves(make_log: MakeLog, tmp_path: Path) -> None:
    log = make_log([event(user, user, "view", 1) for user in NASTY], users={user: {"note": user} for user in NASTY})
    with log.history() as connection:
        for user in NASTY:
            for rule in ({"users": [user]}, {"behaviour": {"item": user}}, {"attribute": {"column": "note", "in": [user]}}):
                assert members(connection, {}, rule, cutoff=at(2))["user_id"].to_pylist() == [user]
                shown = rule_sql(rule, scope_of(connection, {}, at(2)))
                assert fetch(connection, shown)["user_id"].to_pylist() == [user]
        path = tmp_path / "all.csv"
        export_audience(connection, {}, {"all": []}, path, cutoff=at(2), options=ExportOptions(holdout_share=0))
    back = pd.read_csv(path, encoding="utf-8-sig", dtype={"user_id": str})
    assert sorted(back["user_id"]) == sorted(user if user != "=1+1" else "'=1+1" for user in NASTY)
    assert json.loads((tmp_path / "all.csv.manifest.json").read_text())["guarded_cells"] == 1


def test_size_is_the_sum_of_chances_by_hand(tiny: Log) -> None:
    with tiny.history() as connection:
        size = size_audience(
            connection, TABLES, {"all": []}, cutoff=at(30), holdout_share=0, value=Value(cost=1, margin=4), calibration_error=0.1
        )  # fmt: skip
    assert (size.everyone.users, size.everyone.scored) == (4, 3)
    assert size.everyone.expected_buyers == pytest.approx(0.9)
    assert size.everyone.sd == pytest.approx(sqrt(0.25 + 0.16 + 0.16))
    assert size.everyone.calibration_buyers == pytest.approx(0.3)
    assert size.everyone.expected_value == pytest.approx(0.9 * 4 - 4)
    assert (size.break_even, size.worth_contacting, size.holdout_users) == (0.25, 1, 0)
    assert size.exported == size.everyone
    assert "below 100" in size.warnings[0] and "no purchase chance" in size.warnings[1]


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> tuple[Log, dict[str, pa.Table]]:
    """600 users; every other third of them consented, in several spellings."""
    answers = ["yes", "no", "TRUE", None, "同意", "withdrawn"]
    ids = [f"u{i:04d}" for i in range(600)]
    events = [event(user, "x", "view", 1) for user in ids]
    home = tmp_path_factory.mktemp("crowd") / "home"
    tables = {"scores": pa.table({"user_id": ids, "propensity": [(i % 97 + 1) / 100 for i in range(600)]})}
    return publish_world(home, events, users={user: {"consent": answers[i % 6]} for i, user in enumerate(ids)}), tables


def test_the_holdout_has_its_share_stays_the_same_and_is_absent_from_the_file(
    crowd: tuple[Log, dict[str, pa.Table]], tmp_path: Path
) -> None:
    log, tables = crowd
    with log.history() as connection:
        listed = members(connection, tables, {"all": []}, cutoff=at(2), holdout_share=0.2, holdout_salt="spring").to_pandas()
        fewer = members(connection, tables, {"percentile": {"top": 50}}, cutoff=at(2), holdout_share=0.2, holdout_salt="spring").to_pandas()
        other = members(connection, tables, {"all": []}, cutoff=at(2), holdout_share=0.2, holdout_salt="autumn").to_pandas()
        wider = members(connection, tables, {"all": []}, cutoff=at(2), holdout_share=0.3, holdout_salt="spring").to_pandas()
        options = ExportOptions(holdout_share=0.2, holdout_salt="spring", value=Value(0.1, 2))
        manifest = export_audience(connection, tables, {"all": []}, tmp_path / "a.csv", cutoff=at(2), options=options)
        size = size_audience(
            connection, tables, {"all": []}, cutoff=at(2), holdout_share=0.2, holdout_salt="spring", value=Value(0.1, 2)
        )  # fmt: skip
    held = set(listed[listed.holdout].user_id)
    assert 0.15 < len(held) / 600 < 0.25
    assert set(fewer[fewer.holdout].user_id) == held & set(fewer.user_id)
    assert held <= set(wider[wider.holdout].user_id)
    assert held != set(other[other.holdout].user_id)
    back = pd.read_csv(tmp_path / "a.csv", encoding="utf-8-sig")
    assert not held & set(back.user_id)
    assert len(back) == size.exported.users == manifest["rows"] == 300 - size.holdout_users
    assert back.propensity.sum() == pytest.approx(size.exported.expected_buyers, abs=1e-9)
    assert manifest["size"]["exported"]["expected_buyers"] == pytest.approx(size.exported.expected_buyers)


def test_users_who_did_not_consent_are_not_exported(crowd: tuple[Log, dict[str, pa.Table]], tmp_path: Path) -> None:
    log, tables = crowd
    with log.history() as connection:
        manifest = export_audience(connection, tables, {"all": []}, tmp_path / "a.parquet", cutoff=at(2), options=ExportOptions("parquet"))
    back = pd.read_parquet(tmp_path / "a.parquet")
    assert {int(user[1:]) % 6 for user in back.user_id} == {0, 2, 4}
    assert manifest["size"]["without_consent"] == 300
    assert manifest["rows"] == len(back) == 300 - manifest["holdout"]["users"]


def test_hashed_ids_are_salted_sha256_and_the_plain_ones_are_gone(tiny: Log, tmp_path: Path) -> None:
    import hashlib

    with tiny.history() as connection:
        options = ExportOptions(hash_salt="pepper", holdout_share=0)
        export_audience(connection, TABLES, {"all": []}, tmp_path / "h.csv", cutoff=at(30), options=options)
    back = pd.read_csv(tmp_path / "h.csv", encoding="utf-8-sig")
    assert set(back.hashed_id) == {hashlib.sha256(f"pepper{user}".encode()).hexdigest() for user in ("ann", "bo", "cy", "di")}
    assert "user_id" not in back.columns


def test_a_csv_starts_with_a_byte_order_mark_and_an_export_is_repeatable(tiny: Log, tmp_path: Path) -> None:
    with tiny.history() as connection:
        for name in ("a.csv", "b.csv"):
            export_audience(connection, TABLES, {"all": []}, tmp_path / name, cutoff=at(30), options=ExportOptions(holdout_share=0))
    content = (tmp_path / "a.csv").read_bytes()
    assert content.startswith(b"\xef\xbb\xbfuser_id,propensity,segment_id\r\n")
    assert content == (tmp_path / "b.csv").read_bytes()


def test_an_unwritable_place_leaves_nothing_behind(tiny: Log, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with tiny.history() as connection, pytest.raises(StorageError, match="nothing was exported"):
        export_audience(connection, TABLES, {"all": []}, tmp_path / "file" / "a.csv", cutoff=at(30))
    assert [p.name for p in tmp_path.iterdir() if p.name != "home"] == ["file"]


def test_rules_ignore_events_from_the_cutoff_on(tiny: Log) -> None:
    rule = {"behaviour": {"event_type": "view", "at_least": 1, "days": 10}}
    with tiny.history(at(27.5)) as connection:
        assert members(connection, {}, rule, cutoff=at(27.5))["user_id"].to_pylist() == ["ann"]
        assert members(connection, {}, {"all": []}, cutoff=at(27.5))["user_id"].to_pylist() == ["ann", "bo"]
