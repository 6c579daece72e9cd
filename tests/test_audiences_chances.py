"""Rules that name the act and the horizon of a chance."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from core.artifacts import write_table
from core.audiences.chances import asked
from core.audiences.exports import ExportOptions
from core.audiences.rules import rule_sql, scope_of
from core.audiences.sizes import members
from core.audiences.words import rule_sentence
from core.errors import RuleError
from core.pipeline import choosing, outcomes
from core.pipeline.behaviour import Filters
from core.pipeline.behaviour import scope as filtered
from core.pipeline.screens import Screen, open_screen
from core.store import Home, Log, fetch, sort_events
from pages.parts.text import said, set_language
from tests.page_worlds import tiny_home
from tests.worlds import at, publish_world

CART: dict[str, Any] = {"act": "cart", "horizon": "7d"}
TABLES = {
    "scores": pa.table({"user_id": ["ann", "bo", "cy"], "propensity": [0.5, 0.2, 0.1]}),
    "scores_cart_7d": pa.table({"user_id": ["ann", "bo", "cy"], "propensity": [0.1, 0.9, 0.3]}),
    "categories_cart_7d": pa.table({"user_id": ["ann", "cy"], "category": ["shoes", "shoes"], "propensity": [0.1, 0.6]}),
}


@pytest.fixture(scope="module")
def trio(tmp_path_factory: pytest.TempPathFactory) -> Log:
    events = [{"user_id": user, "item_id": "i", "event_type": "view", "event_time": at(1)} for user in ("ann", "bo", "cy")]
    return publish_world(tmp_path_factory.mktemp("trio") / "home", events)


@pytest.mark.parametrize(
    ("rule", "expected", "english", "chinese"),
    [
        ({"propensity": {**CART, "at_least": 0.3}}, ["bo", "cy"],
         "Shoppers who have a chance to put something into the cart within 7 days of at least 30.0%.",
         "满足以下条件的顾客：7 天内的加购概率不低于 30.0%。"),
        ({"percentile": {**CART, "top": 30}}, ["bo"],
         "Shoppers who are among the 30 % with the highest chance to put something into the cart within 7 days.",
         "满足以下条件的顾客：7 天内的加购概率位居前 30%。"),
        ({"category_propensity": {**CART, "horizon": "168h", "category": "shoes", "at_least": 0.5}}, ["cy"],
         "Shoppers who have a chance to put something into the cart within 7 days in “shoes” of at least 50.0%.",
         "满足以下条件的顾客：类目“shoes”的7 天内的加购概率不低于 50.0%。"),
        ({"all": [{"propensity": {"at_least": 0.2}}, {"not": {"propensity": {**CART, "at_least": 0.3}}}]}, ["ann"],
         "Shoppers who have a purchase chance of at least 20.0% and not (have a chance to put something into the cart within 7 days"
         " of at least 30.0%).",
         "满足以下条件的顾客：购买概率不低于 20.0%，且不符合（7 天内的加购概率不低于 30.0%）。"),
    ],
)  # fmt: skip
def test_a_rule_reads_the_chance_that_it_names(trio: Log, rule: Any, expected: list[str], english: str, chinese: str) -> None:
    with trio.history() as connection:
        assert members(connection, TABLES, rule, cutoff=at(9))["user_id"].to_pylist() == expected
        for name, table in TABLES.items():
            connection.register(name, table)
        shown = rule_sql(rule, scope_of(connection, TABLES, at(9)))
        assert fetch(connection, shown)["user_id"].to_pylist() == expected
    assert said(rule_sentence(rule)) == english
    set_language("zh")
    assert said(rule_sentence(rule)) == chinese
    set_language("en")


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"act": "cart"}, "both or none"),
        ({"horizon": "7d"}, "both or none"),
        ({"act": "buy; DROP TABLE users", "horizon": "7d"}, "one of purchase"),
        ({"act": "cart", "horizon": 7}, "both or none"),
        ({"act": "cart", "horizon": "soon"}, "propensity.horizon: 'soon' is not a horizon"),
        ({"act": "cart", "horizon": "400d"}, "outside 1 hour"),
        ({"act": "click", "horizon": "1.5h"}, "run `predict --act click --horizon 1.5h` first"),
    ],
)
def test_a_badly_named_chance_is_refused(trio: Log, fields: dict[str, Any], named: str) -> None:
    with trio.history() as connection, pytest.raises(RuleError, match=named):
        members(connection, TABLES, {"propensity": {**fields, "at_least": 0.1}}, cutoff=at(9))


def test_the_chances_that_a_rule_reads_are_found_in_it() -> None:
    inside = {"any": [{"not": {"percentile": {**CART, "top": 5}}}, {"propensity": {"at_most": 0.1}}, {"users": ["propensity"]}]}
    assert asked({"all": [{"audience": {"name": "A", "rule": inside}}, {"propensity": {"act": "cart", "horizon": "?"}}, 7]}) == {
        "scores_cart_7d"
    }


@pytest.fixture
def screen(tmp_path: Path) -> Screen:
    """Two runs of carts within 7 days, one of another version, one of the past; what is on screen is another act."""
    home = tiny_home(tmp_path / "home", users=40)
    dataset = Home(home).dataset("tiny")
    users, version = [f"u{n:03d}" for n in range(40)], dataset.current()["version"]
    chances = np.linspace(0.9, 0.1, 40)
    for days, of, cutoff, levels in (
        (7.0, version, None, chances * 0), (7.0, version, None, chances), (7.0, "v0000", None, chances * 0 + 1),
        (7.0, version, at(15), chances * 0 + 1), (2.5, version, None, chances / 2),
    ):  # fmt: skip
        config = {"act": "cart", "horizon_hours": days * 24, "category": None, "seed": float(levels.sum())}
        with dataset.new_run("propensity", inputs={"version": of}, config=config, cutoff=cutoff, make_current=False) as draft:
            write_table(draft.path / "scores.parquet", pa.table({"user_id": users, "propensity": levels, "low": levels}))
    return open_screen(Home(home), "tiny")


def test_the_newest_run_of_everybody_at_the_end_of_this_version_counts(screen: Screen, tmp_path: Path) -> None:
    assert set(choosing.chance_runs(screen)) == {("cart", "7d"), ("cart", "60h"), ("purchase", "7d")}
    assert {"scores_cart_7d", "scores_cart_60h"} <= choosing.rule_scope(screen)
    rule = {"propensity": {**CART, "at_least": 0.5}}
    assert set(choosing.rule_tables(screen)).isdisjoint({"scores_cart_7d", "scores_cart_60h"})
    by_statement = outcomes.size(screen, rule, holdout=0.2, cost=1.0, margin=5.0)
    assert by_statement.size.everyone.users == 20
    sort_events(screen.log.path, screen.log.sorted_path or tmp_path)
    assert outcomes.size(screen, rule, holdout=0.2, cost=1.0, margin=5.0) == by_statement
    best = outcomes.size(screen, {"percentile": {**CART, "top": 10}}, holdout=0.2, cost=1.0, margin=5.0)
    assert best.size.everyone.users == 4
    _path, manifest = outcomes.export(screen, "Carts", {"percentile": {**CART, "top": 10}}, ExportOptions(format="csv", holdout_share=0.0))
    assert manifest["rows"] == 4 and "within 7 days" in manifest["sentence"]


def test_a_run_made_later_is_seen_by_rules_that_were_read_before(screen: Screen) -> None:
    assert screen.log.sorted_path is not None
    sort_events(screen.log.path, screen.log.sorted_path)
    rule = {"propensity": {"act": "cart", "horizon": "3d", "at_least": 0.5}}
    with pytest.raises(RuleError, match="predict --act cart --horizon 3d"):
        outcomes.size(screen, rule, holdout=0.0, cost=0.0, margin=0.0)
    config = {"act": "cart", "horizon_hours": 72.0, "category": "all"}
    with screen.dataset.new_run("propensity", inputs={"version": screen.version}, config=config, cutoff=None, make_current=False) as draft:
        write_table(draft.path / "scores.parquet", pa.table({"user_id": ["u001"], "propensity": [0.7]}))
    assert outcomes.size(screen, rule, holdout=0.0, cost=0.0, margin=0.0).size.everyone.users == 1


def test_an_audience_made_of_another_filters_the_pages(screen: Screen) -> None:
    for name, rule in (("Carts", {"propensity": {**CART, "at_least": 0.5}}), ("Inner", {"all": [{"audience": "Carts"}]})):
        outcomes.save_audience(screen, {"name": name, "rule": rule, "holdout": 0.0, "cost": 0.0, "margin": 0.0})
    found = filtered(screen, Filters(audience="Inner"))
    assert found.members is not None and found.members.num_rows == 20
