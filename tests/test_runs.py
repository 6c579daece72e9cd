"""What the Models page tells: runs and what changed between them, and the feature matrix with its dictionary."""

from collections.abc import Callable
from math import log1p
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from core.features import FEATURES, compute_features
from core.features.dictionary import describe_features
from core.pipeline import runs, screens
from core.store import Home, Log
from pages.parts.run_room import RUN_KIND_WORDS
from tests.page_worlds import tiny_home
from tests.test_pages import open_page, words
from tests.worlds import at, publish_world

Make = Callable[..., Log]


def matrix(log: Log, cutoff: Any = None) -> pa.Table:
    with log.history(cutoff) as connection:
        return compute_features(connection, cutoff or log.until)


def test_mean_and_spread_are_those_of_the_value_that_models_see_over_shoppers_who_have_one() -> None:
    table = pa.table({"user_id": ["a", "b", "c"], "views_all": [0, 1, 7], "price_mean": [None, 2.0, -2.0]})
    views, price = describe_features(table).to_pylist()
    seen = np.log1p([0, 1, 7])
    assert views["mean"] == pytest.approx(seen.mean()) and views["sd"] == pytest.approx(seen.std())
    assert (views["smallest"], views["median"], views["largest"], views["empty_share"]) == (0, 1, 7, 0)
    assert (price["mean"], price["sd"]) == (pytest.approx(0), pytest.approx(log1p(2)))
    assert price["empty_share"] == pytest.approx(1 / 3) and price["empty_when"] == "without"


def test_every_feature_has_a_meaning_and_a_column_without_values_no_figures(make_log: Make) -> None:
    found = describe_features(matrix(make_log([{"user_id": "a", "item_id": "1", "event_type": "view", "event_time": at(1)}]))).to_pylist()
    assert [row["feature"] for row in found] == [feature.name for feature in FEATURES]
    assert all(row["description"] and row["group"] and row["unit"] for row in found)
    empty = [row for row in found if row["empty_share"] == 1]
    assert empty and all(row["mean"] is row["sd"] is row["median"] is None for row in empty)


def test_events_after_the_cutoff_move_no_mean(make_log: Make) -> None:
    early = [{"user_id": u, "item_id": "1", "event_type": "view", "event_time": at(n)} for n, u in enumerate("abcab")]
    late = [{"user_id": "z", "item_id": "9", "event_type": "purchase", "event_time": at(9), "revenue": 99, "price": 99}]
    alone, both = make_log(early, dataset="alone"), make_log([*early, *late], dataset="both")
    assert (
        describe_features(matrix(both, at(5))).equals(describe_features(matrix(alone, alone.until))) is False
    )  # ages differ by the cutoff
    assert describe_features(matrix(both, alone.until)).equals(describe_features(matrix(alone)))


def test_runs_are_listed_newest_first_with_what_changed_since_the_one_before(tmp_path: Path) -> None:
    home = tiny_home(tmp_path)
    dataset = Home(home).dataset("tiny")
    inputs = {"version": dataset.current()["version"]}
    with dataset.new_run("propensity", inputs=inputs, config={"act": "cart", "horizon_hours": 168.0, "seed": 1}, cutoff=at(3)):
        pass
    table = runs.runs(screens.open_screen(Home(home), "tiny"))
    assert set(table["kind"]) >= {"profiles", "atlas", "propensity", "recommendations", "blocks"}
    assert len(table) == 1 + len(set(table["kind"])) and set(table["kind"]) <= set(RUN_KIND_WORDS)
    newest = table[table["kind"] == "propensity"].iloc[0]
    assert newest["run"] == "propensity-0002" and bool(newest["current"]) and newest["cutoff"] == at(3).isoformat()
    told = dict(zip(table["run"], runs.changed(table), strict=True))
    assert told["propensity-0002"] == "act: purchase → cart, seed: – → 1" and told["propensity-0001"] == ""


def test_a_changed_list_is_told_without_brackets(tmp_path: Path) -> None:
    dataset = Home(tiny_home(tmp_path)).dataset("tiny")
    inputs = {"version": dataset.current()["version"]}
    for blocks in (["counts"], ["counts", "text"]):
        with dataset.new_run("learning", inputs=inputs, config={"blocks": blocks}, cutoff=at(3)):
            pass
    table = runs.runs(screens.open_screen(Home(tmp_path), "tiny"))
    assert dict(zip(table["run"], runs.changed(table), strict=True))["learning-0002"] == "blocks: counts → counts + text"


def test_the_page_gives_the_whole_matrix_and_its_dictionary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tiny_home(tmp_path, users=30)
    app = open_page("models", home, monkeypatch)
    assert not app.exception and "30 shoppers, 3 counted features" in words(app)
    table = next(t.value for t in app.dataframe if "sd" in t.value)
    assert list(table["feature"]) == ["events_all", "active_days_all", "recency_days"]
    counts = runs.feature_matrix(screens.open_screen(Home(home), "tiny"))
    assert counts is not None and counts.num_rows == 30 and counts.column_names[0] == "user_id"


def test_without_profiles_the_page_offers_to_compute_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_page("models", tiny_home(tmp_path, runs=False), monkeypatch)
    assert not app.exception and any(b.key == "run-all-profiles" for b in app.button)
    assert not len(runs.feature_dictionary(screens.open_screen(Home(tmp_path), "tiny")))


def test_a_run_is_put_on_screen_and_taken_back_by_a_click(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tiny_home(tmp_path)
    dataset = Home(home).dataset("tiny")
    inputs = {"version": dataset.current()["version"]}
    with dataset.new_run("propensity", inputs=inputs, config={"act": "cart", "seed": 1}, cutoff=None):
        pass
    app = open_page("models", home, monkeypatch)
    app.selectbox(key="room-run").set_value("propensity-0001").run()
    assert any("predict --dataset tiny --act purchase --horizon 168h" in block.value for block in app.code)
    app.button(key="room-use").click().run()
    assert not app.exception and dataset.current()["runs"]["propensity"] == "propensity-0001"
    app.button(key="room-back").click().run()
    assert not app.exception and dataset.current()["runs"]["propensity"] == "propensity-0002"
    shown = next(t.value for t in app.dataframe if "other" in t.value and "name" in t.value)
    assert {row["name"]: (row["one"], row["other"]) for row in shown.to_dict("records")} == {
        "Act": ("cart", "purchase"), "Horizon, hours": ("–", "168"), "Seed": ("1", "–")
    }  # fmt: skip


def test_a_run_of_other_data_cannot_be_put_on_screen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tiny_home(tmp_path)
    publish_world(home, [{"user_id": "z", "item_id": "i1", "event_type": "view", "event_time": at(1)}])
    app = open_page("models", home, monkeypatch)
    app.selectbox(key="room-run").set_value("propensity-0001").run()
    assert app.button(key="room-use").disabled and "made from v0001; v0002 is on screen" in words(app)
