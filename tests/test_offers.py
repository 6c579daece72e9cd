"""A merchant's rules: what they take never appears, lists keep their form, hostile rules harm nothing, and "why not" tells the cause."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

from core.errors import NotFoundError, RuleError
from core.offers.goods import Goods, bought_pairs, read_goods
from core.offers.lists import Past, offer
from core.offers.rules import RuleSet, record_of, rules_from
from core.offers.unknown import unknown_words
from core.offers.why_not import why_not
from core.offers.words import rules_words
from core.pipeline import offering, screens
from core.recommender.options import RecommendOptions
from core.recommender.recommend import recommend
from core.store import Home, Log
from tests.page_worlds import tiny_home
from tests.worlds import at

MakeLog = Callable[..., Log]
HOSTILE = ["'; DROP TABLE events; --", '"quoted" \\ name', "🙂🛒", "=HYPERLINK(1)", "<script>alert(1)</script>", "(unclosed[", "乌龙"]


def shelf(make_log: MakeLog) -> Goods:
    """Six items: i0–i2 milk (bought again by 25 shoppers), i3 and i4 books, i5 without category; i5 is unknown to buyers."""
    rows: list[dict[str, Any]] = []
    for user in range(25):
        for day in (1, 3):
            rows.append({"user_id": f"u{user}", "item_id": f"i{user % 3}", "event_type": "purchase", "event_time": at(day)})
        rows.append({"user_id": f"u{user}", "item_id": f"i{3 + user % 2}", "event_type": "purchase", "event_time": at(2)})
    items = [
        {"item_id": "i0", "title": "Oat milk", "category": "Milk", "brand": "Oaty", "price": 2},
        {"item_id": "i1", "title": "Ginger milk", "category": "Milk", "brand": "Cow", "price": 3},
        {"item_id": "i2", "title": "Goat milk 乌龙茶", "category": "Milk", "brand": "Goat", "price": 4},
        {"item_id": "i3", "title": "Gin for beginners", "category": "Books", "brand": "Oaty", "price": 20},
        {"item_id": "i4", "title": "A history", "category": "Books", "brand": "Press", "price": 30},
        {"item_id": "i5", "title": None, "category": None, "brand": None, "price": None},
    ]
    with make_log(rows, items=items).history() as connection:
        return read_goods(connection)


@pytest.fixture
def goods(make_log: MakeLog) -> Goods:
    return shelf(make_log)


def ranked(users: tuple[str, ...] = ("ann",), items: tuple[str, ...] = ("i0", "i1", "i2", "i3", "i4")) -> pa.Table:
    """Candidates in the order of their ids; the source `knn` wants the opposite order and has no opinion on the first."""
    rows = []
    for user in users:
        for place, item in enumerate(items):
            rows.append({"user_id": user, "rank": place + 1, "item_id": item, "score": 1 - place / 10, "reason": "Because.",
                         "chance": 0.5 - place / 20, "is_new": True, "reason_code": "kind", "reason_item": None,
                         "source_knn": float(place) if place else None})  # fmt: skip
    return pa.Table.from_pylist(rows).set_column(8, "reason_item", pa.nulls(len(rows), pa.string()))


def listed(goods: Goods, rules: dict[str, Any], k: int = 5, past: Past | None = None) -> list[str]:
    return offer(ranked(), goods, rules_from(rules), past or Past(), k).table["item_id"].to_pylist()


def test_without_a_rule_lists_stay_as_they_were_ranked(goods: Goods) -> None:
    made = offer(ranked(("ann", "bob")), goods, RuleSet(), Past(), 3)
    assert made.table.select(["user_id", "rank", "item_id", "score"]).to_pylist() == [
        {"user_id": user, "rank": place + 1, "item_id": f"i{place}", "score": 1 - place / 10}
        for user in ("ann", "bob")
        for place in range(3)
    ]
    assert made.taken == {} and made.short == 0


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ({"block": {"items": ["i0", "no such"]}}, ["i1", "i2", "i3", "i4", "i5"]),
        ({"block": {"brands": ["OATY"]}}, ["i1", "i2", "i4", "i5"]),
        ({"block": {"categories": ["milk"]}}, ["i3", "i4", "i5"]),
        ({"block": {"words": ["gin"]}}, ["i0", "i1", "i2", "i4", "i5"]),
        ({"block": {"words": ["乌龙"]}}, ["i0", "i1", "i3", "i4", "i5"]),
        ({"stock": ["i4", "i5"]}, ["i4", "i5"]),
        ({"price": {"least": 3, "most": 20}}, ["i1", "i2", "i3"]),
        ({"caps": {"each": 1}}, ["i0", "i3", "i5"]),
        ({"caps": {"categories": {"MILK": 2}}}, ["i0", "i1", "i3", "i4", "i5"]),
        ({"pins": [{"item": "i4", "place": 2}, {"item": "i5", "place": 1}]}, ["i5", "i4", "i0", "i1", "i2"]),
        ({"weights": {"knn": 1}}, ["i4", "i3", "i2", "i1", "i0"]),
        ({"boost": {"items": {"i3": 5}}}, ["i3", "i0", "i1", "i2", "i4"]),
        ({"boost": {"categories": {"Milk": 0}}}, ["i3", "i4", "i5"]),
        ({"diversity": 0.7}, ["i0", "i4", "i1", "i2", "i3"]),
    ],
)
def test_each_rule_gives_the_list_that_one_would_write_by_hand(goods: Goods, rules: dict[str, Any], expected: list[str]) -> None:
    assert listed(goods, rules) == expected


@pytest.mark.parametrize(
    ("rules", "told"),
    [
        ({"block": {"items": ["i0", "i99"]}}, ["has the id “i99”"]),
        ({"pins": [{"item": "gone"}], "boost": {"items": {"lost": 2}}}, ["has the id “gone”, “lost”"]),
        ({"block": {"brands": ["OATY", "Oatly"]}}, ["has the brand “Oatly”"]),
        ({"caps": {"categories": {"milk": 1, "Mlik": 1}}}, ["has the category “Mlik”"]),
        ({"block": {"words": ["gin", "vodka"]}}, ["names the word “vodka”"]),
        ({"stock": ["i1", "x", "y"]}, ["2 of 3 ids of the stock list"]),
        ({"price": {"least": 1}}, ["1 of 6 items have no price"]),
        ({"block": {"categories": ["MILK"]}, "caps": {"categories": {"Books": 1}}, "stock": ["i4"]}, []),
    ],
)
def test_what_the_log_does_not_have_is_said_by_name(goods: Goods, rules: dict[str, Any], told: list[str]) -> None:
    found = unknown_words(goods, rules_from(rules))
    assert len(found) == len(told) and all(part in sentence for part, sentence in zip(told, found, strict=True))


def test_a_long_list_of_words_is_not_looked_for_word_by_word(goods: Goods) -> None:
    words = [f"vodka {n}" for n in range(21)]
    assert len(unknown_words(goods, rules_from({"block": {"words": words[:20]}}))) == 1
    assert unknown_words(goods, rules_from({"block": {"words": words}})) == []


def test_a_price_range_without_prices_is_named_as_the_cause_and_makes_no_file(
    goods: Goods, tiny: screens.Screen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unpriced = replace(goods, prices=np.full(6, np.nan))
    assert "No item of this log has a price, so the price range takes out all 6" in str(
        unknown_words(unpriced, rules_from({"price": {"least": 1}}))
    )
    real = offering.goods(tiny)
    monkeypatch.setattr(offering, "goods", lambda _screen: replace(real, prices=np.full(len(real.prices), np.nan)))
    with pytest.raises(RuleError, match=r"leave no item for anybody.*No item of this log has a price.*Price range: "):
        offering.export_lists(tiny, rules_from({"price": {"most": 5}}), 4, tmp_path / "lists.csv")
    assert not list(tmp_path.glob("lists*"))


def test_bought_items_go_but_for_categories_that_people_buy_again(goods: Goods) -> None:
    past = Past(bought={"ann": np.array([goods.place["i0"], goods.place["i3"]])})
    assert goods.rebuyable == {"Milk"}
    assert listed(goods, {"bought": "leave_out"}, past=past) == ["i1", "i2", "i4", "i5"]
    assert listed(goods, {"bought": "rebuyable"}, past=past) == ["i0", "i1", "i2", "i4", "i5"]
    assert listed(goods, {"bought": "keep"}, past=past)[0] == "i0"


def test_items_of_which_nothing_is_known_are_alike_to_diversity(goods: Goods) -> None:
    bare = replace(goods, titles=[None] * 6, categories=["Milk", None, None, None, "Books", None], brands=[None] * 6)
    made = offer(ranked(), bare, rules_from({"diversity": 0.9}), Past(), 3)
    assert set(made.table["item_id"].to_pylist()) == {"i0", "i1", "i4"}


def test_a_blocked_item_is_shown_neither_by_a_pin_nor_to_fill_a_list(goods: Goods) -> None:
    for rules in ({"pins": [{"item": "i0"}]}, {"boost": {"items": {"i0": 10}}}, {"weights": {"knn": 0}}, {"diversity": 1.0}):
        assert "i0" not in listed(goods, {**rules, "block": {"items": ["i0"]}}, k=50)


def test_short_lists_say_which_rule_took_how_many(goods: Goods) -> None:
    made = offer(ranked(("ann", "bob")), goods, rules_from({"block": {"categories": ["Milk"]}, "stock": ["i4"]}), Past(), 4)
    assert made.taken == {"block_categories": 6, "stock": 2} and made.short == 2 and made.empty == 0
    assert [row["rank"] for row in made.table.to_pylist()] == [1, 1]
    none = offer(ranked(), goods, rules_from({"stock": []}), Past(), 4)
    assert none.table.num_rows == 0 and none.empty == 1 and none.taken == {"stock": 5}


def test_the_popularity_slider_moves_the_many_and_the_few_apart(goods: Goods) -> None:
    most, least = listed(goods, {"popularity": 1.0}), listed(goods, {"popularity": -1.0})
    buyers = dict(zip(goods.item_ids, goods.buyers, strict=True))
    assert buyers[most[0]] > buyers[least[0]]


@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_value_in_any_rule_is_a_name_like_any_other(goods: Goods, text: str) -> None:
    record = {
        "name": text, "block": {"items": [text], "brands": [text], "categories": [text]}, "boost": {"items": {text: 2.0}},
        "caps": {"categories": {text: 1}}, "pins": [{"item": text}], "weights": {"blend": 1.0, text: 3.0},
    }  # fmt: skip
    rules = rules_from(record)
    assert rules_from(json.loads(json.dumps(record_of(rules)))) == rules
    assert sorted(offer(ranked(), goods, rules, Past(), 5).table["item_id"].to_pylist()) == ["i0", "i1", "i2", "i3", "i4"]
    assert any(text in sentence for sentence in rules_words(rules))
    words = offer(ranked(), goods, rules_from({"block": {"words": [text]}}), Past(), 5).table["item_id"].to_pylist()
    assert ("i2" in words) == (text != "乌龙")


@pytest.mark.parametrize(
    "record",
    [
        [],
        {"unknown": 1},
        {"bought": "maybe"},
        {"stock": "i1"},
        {"price": {"least": 5, "most": 1}},
        {"price": {"least": float("nan")}},
        {"caps": {"each": 0}},
        {"pins": [{"item": "a"}, {"item": "b"}]},
        {"block": {"items": [""]}},
        {"block": {"items": [None]}},
        {"weights": {"blend": -1}},
        {"diversity": 2},
        {"popularity": True},
        {"frequency": {"exports": 1.5}},
        {"block": {"words": ["x" * 500]}},
    ],
)
def test_a_malformed_rule_is_refused_with_its_value(record: Any) -> None:
    with pytest.raises(RuleError):
        rules_from(record)


def test_why_not_names_the_rule_the_rank_and_the_part_of_the_score(goods: Goods) -> None:
    def told(rules: dict[str, Any], item: str, k: int = 2) -> str:
        return " ".join(why_not(ranked(), goods, rules_from(rules), Past(), k, item).sentences)

    assert "at place 1" in told({}, "i0")
    assert "place 4 of 5 in the blend; “knn” ranks it best, at 2" in told({}, "i3")
    assert "Its score is 0.7, that of the last item in the list 0.9" in told({}, "i3")
    assert "A rule takes it out: Blocked brands." in told({"block": {"brands": ["Oaty"]}}, "i0")
    assert "already has 1 of “Milk”" in told({"caps": {"each": 1}}, "i1")
    assert "not among the 5 candidates" in told({}, "i5")
    assert "know no item" in told({}, "i99")
    found = why_not(ranked(), goods, rules_from({"weights": {"blend": 1, "knn": 3}}), Past(), 2, "i0")
    assert "from “knn”" in " ".join(found.sentences)
    assert {row["source"]: row["rank"] for row in found.sources.to_pylist()} == {"blend": 1, "knn": None}


def test_purchases_after_the_end_of_the_reading_are_not_known_to_rules(make_log: MakeLog) -> None:
    rows = [{"user_id": "ann", "item_id": f"i{n}", "event_type": "purchase", "event_time": at(n + 1)} for n in range(4)]
    log = make_log(rows, items=[{"item_id": f"i{n}", "title": f"T{n}", "category": "C", "price": 1} for n in range(4)])
    with log.history(at(2.5)) as connection:
        assert bought_pairs(connection, "ann")["item_id"].to_pylist() in (["i0", "i1"], ["i1", "i0"])
        assert read_goods(connection).buyers.sum() == 2


@pytest.fixture
def tiny(tmp_path: Path) -> screens.Screen:
    return screens.open_screen(Home(tiny_home(tmp_path / "home")), "tiny")


def test_the_exported_lists_hold_nothing_bought_by_sql_and_ranks_run_without_gaps(tiny: screens.Screen, tmp_path: Path) -> None:
    out = tmp_path / "lists.parquet"
    made = offering.export_lists(tiny, rules_from({"bought": "leave_out", "block": {"items": ["i3"]}}), 4, out)
    with tiny.log.history() as connection:
        connection.register("lists", pq.read_table(out))
        both = connection.execute(
            "SELECT count(*) FROM lists JOIN history USING (user_id, item_id) WHERE event_type = 'purchase'"
        ).fetchone()
        gaps = connection.execute(
            "SELECT count(*) FROM (SELECT user_id FROM lists GROUP BY user_id HAVING list_sort(list(rank)) != range(1, count(*) + 1)"
            " OR count(DISTINCT item_id) != count(*) OR bool_or(item_id = 'i3'))"
        ).fetchone()
    assert both == (0,) and gaps == (0,) and made["rows"] > 0
    manifest = json.loads((tmp_path / "lists.parquet.manifest.json").read_text(encoding="utf-8"))
    assert manifest["rows"] == made["rows"] and manifest["sha256"] == made["sha256"] and len(manifest["words"]) == 2


def test_the_frequency_cap_leaves_out_what_the_last_export_gave(tiny: screens.Screen, tmp_path: Path) -> None:
    def pairs(name: str, rules: dict[str, Any]) -> set[tuple[str, str]]:
        offering.export_lists(tiny, rules_from(rules), 2, tmp_path / name)
        table = pacsv.read_csv(tmp_path / name)
        return set(zip(table["user_id"].to_pylist(), table["item_id"].to_pylist(), strict=True))

    first, second = pairs("a.csv", {}), pairs("b.csv", {"frequency": {"exports": 1}})
    assert first and second and not first & second


def test_saved_rules_have_versions_hold_when_in_force_and_come_back_as_json(tiny: screens.Screen) -> None:
    first = rules_from({"name": 'Ed\'s "safe" 🙂', "block": {"items": ["i1"]}})
    assert [offering.save_set(tiny, first), offering.save_set(tiny, first)] == [1, 1]
    changed = rules_from({**record_of(first), "diversity": 0.5})
    assert offering.save_set(tiny, changed) == 2
    assert offering.saved_set(tiny, first.name, 1) == first and offering.saved_set(tiny, first.name) == changed
    assert offering.read_rules(offering.rules_json(changed).encode()) == changed
    with pytest.raises(NotFoundError):
        offering.put_in_force(tiny, "other")
    offering.put_in_force(tiny, first.name)
    assert offering.forbidden(tiny, changed) == {"i1"} and offering.in_force(tiny) == changed
    offering.put_in_force(tiny, None)
    assert offering.in_force(tiny) is None


@pytest.mark.parametrize("text", [b"{", b"\xff\xfe", b"[" * 100_000, b'{"block": {"items": [{}]}}'])
def test_what_is_no_rule_set_is_refused(text: bytes) -> None:
    with pytest.raises(RuleError):
        offering.read_rules(text)


def test_the_run_keeps_candidates_below_its_lists_half_of_them_new(make_log: MakeLog) -> None:
    rows = [
        {"user_id": f"u{user}", "item_id": f"i{(user + step) % 30:02d}", "event_type": "purchase", "event_time": at(1 + step)}
        for user in range(12)
        for step in range(15)
    ]
    result = recommend(make_log(rows), None, RecommendOptions(k=4))
    kept = result.candidates
    assert kept is not None and kept.filter(pc.less_equal(kept["rank"], 4)).equals(result.recommendations)
    own = [row for row in kept.to_pylist() if row["user_id"] == "u0"]
    assert len({row["item_id"] for row in own}) == len(own) > 4 and sum(row["is_new"] for row in own) >= 4
    assert [row["rank"] for row in own] == sorted(row["rank"] for row in own)
