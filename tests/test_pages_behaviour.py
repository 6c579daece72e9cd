"""The Behaviour page: every view on a small shop, on logs that lack columns, and filters that the address carries."""

import shutil
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from core.pipeline import behaviour, outcomes, screens
from core.pipeline.behaviour import Filters, Funnel, Step
from core.pipeline.exporting import RUN_TABLES
from core.store import Home
from pages.parts import downloads, state
from pages.parts.behaviour import VIEWS
from tests.page_worlds import NASTY, publish_runs
from tests.test_pages import ROOT, go_to, words
from tests.worlds import at, publish_world


def shop(home: Path, *, users: int = 60, dataset: str = "tiny", **dropped: None) -> Path:
    """Shoppers who see, look, put in the cart and buy, with positions and dwell; `dropped` columns are emptied."""
    rng = np.random.default_rng(1)
    events: list[dict[str, Any]] = []
    for user in range(users):
        for _visit in range(4):
            day, item = float(rng.uniform(0, 60)), int(rng.integers(0, 8))
            for step, kind in enumerate(("impression", "view", "cart", "purchase")[: int(rng.integers(1, 5))]):
                row = {"user_id": f"u{user:03d}", "item_id": f"i{item}", "event_type": kind, "event_time": at(day + step / 1440)}
                row |= {"position": str(1 + item % 3), "dwell_seconds": 5} if kind in ("impression", "view") else {}
                events.append(row | ({"revenue": 10} if kind == "purchase" else {}) | dropped)
    items = [{"item_id": f"i{n}", "title": NASTY, "category": f"C{n % 3}", "brand": "B"} for n in range(8)]
    publish_world(home, events, items, {f"u{n:03d}": {"region": "north" if n % 2 else "south"} for n in range(users)}, dataset=dataset)
    publish_runs(home, [f"u{n:03d}" for n in range(users)], dataset)
    return home


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shop(tmp_path_factory.mktemp("shop"), users=160)


def show(home: Path, monkeypatch: pytest.MonkeyPatch, view: str, lang: str = "en", **address: str) -> AppTest:
    monkeypatch.setenv("SHOPPER_ATLAS_HOME", str(home))
    monkeypatch.chdir(ROOT)
    app = AppTest.from_string(f"import runpy\nrunpy.run_path({str(ROOT / 'app.py')!r})", default_timeout=60)
    for key, name in {"lang": lang, "view": view, **address}.items():
        app.query_params[key] = name
    return go_to(app, "behaviour")


@pytest.mark.parametrize("lang", ["en", "zh"])
@pytest.mark.parametrize("view", VIEWS)
def test_every_view_draws_in_both_languages(view: str, lang: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = show(home, monkeypatch, view, lang)
    assert not app.exception and not app.error, words(app)
    assert app.get("plotly_chart") and NASTY not in words(app)


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("lacking", ["purchases", "items", "everything"])
def test_a_log_that_lacks_something_says_so_and_draws_no_empty_axes(
    view: str, lacking: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dropped: dict[str, Any] = {
        "purchases": {"event_type": "search", "revenue": None, "position": None, "dwell_seconds": None},
        "items": {"item_id": None, "revenue": None, "position": None},
        "everything": {
            "event_type": "view",
            "event_time": at(1),
            "item_id": None,
            "revenue": None,
            "position": None,
            "dwell_seconds": None,
        },
    }[lacking]
    app = show(shop(tmp_path, users=4, **dropped), monkeypatch, view)
    assert not app.exception and not app.error, words(app)
    if view in ("orders", "exposure") and lacking != "items":
        assert not app.get("plotly_chart") and app.info, "a sentence in place of a figure"


@pytest.mark.parametrize("view", VIEWS)
def test_nothing_left_by_the_filters_is_a_sentence(view: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = show(home, monkeypatch, view, segment="1", attribute="region", value="south")  # the segment holds only the other region
    assert not app.exception and not app.error, words(app)
    assert app.info and not app.get("plotly_chart")


def test_filters_of_the_address_are_said_in_words_and_hold(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = show(home, monkeypatch, "funnel", category="C1", attribute="region", value="north", since="2024-03-10", brand="nobody's")
    told = next(m.value for m in app.markdown if m.value.startswith("Looking only at")).replace("\\", "")
    assert "from 2024-03-10" in told and "Category “C1”" in told and "Region “north”" in told and "nobody" not in told
    here = screens.open_screen(Home(home), "tiny")
    chosen = Filters(since=at(9), category="C1", attribute=("region", "north"))
    counts = behaviour.funnel(here, chosen, Funnel((Step("view"), Step("cart"), Step("purchase")))).table["users"].to_pylist()
    assert f"**{counts[0]} shoppers**" in words(app) and 0 < counts[0] < 80
    assert app.session_state[state.FILTERS] == ["from 2024-03-10", "Category “C1”", "Region “north”"]
    assert app.warning[0].value == "Not in this data set, and left out: Brand “nobody's”."
    app.run()
    assert app.warning, "until another filter is chosen"
    app.selectbox(key="attribute").set_value(None).run()
    assert not app.warning, "nor is the value of another attribute something that a link asked for"
    app.button(key="filters-clear").click().run()
    assert "Looking at the whole log." in words(app) and "category" not in app.query_params


def test_a_step_may_be_of_a_brand(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = show(home, monkeypatch, "funnel")
    app.selectbox(key="stepbrand2").set_value("B").run()
    told = [row["step"] for table in app.dataframe for row in table.value.to_dict("records") if "overall_range" in row]
    assert not app.exception and told == ["1 view", "2 cart of B", "3 purchase"]


def test_files_that_are_taken_away_name_the_filters_in_force(monkeypatch: pytest.MonkeyPatch) -> None:
    st.session_state[state.FILTERS] = ["from 2024-03-10", 'Category “a/b: "c"”']
    assert downloads.file_name("trend", "csv") == "trend, from 2024-03-10, Category “a b   c ”.csv"
    st.session_state[state.FILTERS] = ["类" * 100]
    assert len(downloads.file_name("trend", "csv").encode()) < 210
    del st.session_state[state.FILTERS]
    assert downloads.file_name("trend", "csv") == "trend.csv"


def test_the_shoppers_of_a_step_become_an_audience_of_the_same_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = shop(tmp_path)
    app = show(home, monkeypatch, "funnel")
    app.selectbox(key="funnel-step").set_value(2).run()
    app.radio(key="funnel-stopped").set_value(True).run()
    told = next(m.value for m in app.markdown if m.value.endswith("shoppers**"))
    app.button(key="funnel-save").click().run()
    here = screens.open_screen(Home(home), "tiny")
    saved = outcomes.saved_audiences(here)[0]
    size = outcomes.size(here, saved["rule"], holdout=0, cost=0, margin=0).size.everyone.users
    assert told == f"**{size} shoppers**" and saved["users"] == size and saved["name"] == "stopped after cart"
    app = show(home, monkeypatch, "funnel", audience="stopped after cart")
    assert f"**{size} shoppers**" in words(app), "the audience is a filter, and each of its shoppers took the first step"


def test_a_step_is_excluded_narrowed_and_broken_down(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = show(home, monkeypatch, "funnel")
    app.selectbox(key="breakdown").set_value("region").run()
    assert not app.exception and "Parts of fewer than 20 shoppers have no rate." in words(app)
    app.selectbox(key="order").set_value("any").run()
    app.selectbox(key="step1").set_value("cart").run()
    assert not app.exception and any("two steps are equal" in info.value for info in app.info)


def test_odd_questions_of_a_funnel_are_answered_with_a_remark(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = show(home, monkeypatch, "funnel")
    assert "longer than the log" not in words(app) and "are the same" not in words(app)
    app.number_input(key="window").set_value(3650.0).run()
    app.selectbox(key="step2").set_value("view").run()
    told = words(app)
    assert "The window is longer than the log (" in told and "so it excludes nobody" in told
    assert "Steps 1 and 2 are the same" in told
    assert "Acts of the same instant stand in the order of the file." in told


def test_what_a_log_lacks_for_steps_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [
        {"user_id": f"u{n}", "event_type": kind, "event_time": at(n + day)} for n in range(9) for day, kind in enumerate(("view", "cart"))
    ]
    publish_world(tmp_path, rows, dataset="tiny")
    assert "This log has no categories, brands, items, prices of items." in words(show(tmp_path, monkeypatch, "funnel"))


def test_a_log_of_one_kind_has_no_drivers_and_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{"user_id": f"u{n % 40}", "item_id": "i", "event_type": "purchase", "event_time": at(n / 4), "revenue": 1} for n in range(400)]
    publish_world(tmp_path, rows, dataset="tiny")
    app = show(tmp_path, monkeypatch, "drivers")
    assert "one kind of act" in app.info[0].value and "views or carts" in app.info[0].value
    assert "names no categories" in words(show(tmp_path, monkeypatch, "orders"))


def test_a_category_that_is_none_of_the_most_frequent_can_be_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pages.parts.filters.MOST_NAMES", 2)
    monkeypatch.setattr("pages.parts.behaviour.funnel.MOST_NAMES", 2)
    monkeypatch.setattr("core.pipeline.outcomes.MOST_NAMES", 2)
    home = shop(tmp_path)
    rare = next(f"C{n}" for n in range(3) if f"C{n}" not in outcomes.category_names(screens.open_screen(Home(home), "tiny")))
    app = show(home, monkeypatch, "funnel", category=rare)
    assert f"Category “{rare}”" in words(app) and not app.warning
    app = show(home, monkeypatch, "funnel", category="C9")
    assert "C9" in app.warning[0].value


@pytest.mark.parametrize(
    "rule",
    [
        {"behaviour": {"event_type": "purchase", "category": "C1", "at_least": 2, "days": 60}},
        {"segment": [1]},
        {"not": {"percentile": {"top": 50}}},
    ],
)
def test_the_shown_statement_of_an_audience_runs_on_the_exported_tables(rule: dict[str, Any], tmp_path: Path) -> None:
    home = shop(tmp_path / "home")
    here = screens.open_screen(Home(home), "tiny")
    outcomes.save_audience(here, {"name": "some", "rule": rule})
    answer = behaviour.figures(here, Filters(audience="some", since=at(5)), screens.period_of(here, None))
    copy = shutil.copy(here.log.path, tmp_path / "tables.duckdb")
    with duckdb.connect(copy) as connection:
        for name in ("features", "segments", "propensity"):
            kind, file = RUN_TABLES[name]
            connection.execute(f"CREATE TABLE {name} AS FROM '{here.dataset.run_path(kind) / file}'")
        assert connection.sql(answer.sql).to_arrow_table().to_pylist() == answer.table.to_pylist()
    assert 0 < answer.table["users"][0].as_py() < 60


def test_an_audience_of_acts_alone_is_shown_as_it_runs_on_the_events(tmp_path: Path) -> None:
    here = screens.open_screen(Home(shop(tmp_path / "home")), "tiny")
    outcomes.save_audience(here, {"name": "some", "rule": {"behaviour": {"event_type": "purchase", "at_least": 2, "days": 60}}})
    answer = behaviour.figures(here, Filters(audience="some"), screens.period_of(here, None))
    with duckdb.connect(here.log.path, read_only=True) as connection:
        assert connection.sql(answer.sql).to_arrow_table().to_pylist() == answer.table.to_pylist()
