"""The Overview page: every figure with its change and its course, steps of the trend, tables by category, brand and item."""

import json
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from core.ingest.ingest import IngestRequest, ingest_log
from core.pipeline import behaviour
from core.store import Home
from pages.parts.warming import ask_first
from tests.test_pages import ROOT, go_to, words
from tests.test_pages_behaviour import shop
from tests.worlds import at, publish_world


def show(home: Path, monkeypatch: pytest.MonkeyPatch, dataset: str = "tiny") -> AppTest:
    monkeypatch.setenv("SHOPPER_ATLAS_HOME", str(home))
    monkeypatch.chdir(ROOT)
    app = AppTest.from_string(f"import runpy\nrunpy.run_path({str(ROOT / 'app.py')!r})", default_timeout=60)
    app.query_params["dataset"] = dataset
    return go_to(app, "overview")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two shops: one with every kind of act, one of purchases without brands in a log of few days."""
    folder = shop(tmp_path_factory.mktemp("overview"), users=120)
    bought = [{"user_id": f"u{n}", "item_id": "i1", "event_type": "purchase", "event_time": at(n / 30), "revenue": 2} for n in range(60)]
    publish_world(folder, bought, [{"item_id": "i1", "category": "C"}], dataset="bought")
    return folder


def apart_world(home: Path) -> None:
    """An item that a hundred look at and nobody buys, and usual ones."""
    events: list[dict[str, Any]] = []
    for item, (viewers, buyers) in {"i0": (200, 0), "i1": (60, 30), "i2": (50, 25), "i3": (40, 20), "i4": (40, 20)}.items():
        for n in range(viewers):
            own = {"user_id": f"{item}-{n}", "item_id": item, "event_time": at(n / 50)}
            events += [own | {"event_type": "view"}, *([own | {"event_type": "purchase", "revenue": 1}] if n < buyers else [])]
    publish_world(home, events, [{"item_id": "i0", "title": "Looked at in vain"}], dataset="apart")


def test_each_tile_tells_its_change_and_its_course(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = show(home, monkeypatch)
    assert not app.exception and not app.error
    assert [tile.label for tile in app.metric] == [
        *("Shoppers", "Sessions", "Conversion of shoppers", "Conversion of sessions"),
        *("Orders", "Revenue", "Average order value", "Repeat rate"),
    ]
    assert not any(tile.delta for tile in app.metric), "the whole log has no period before it"
    assert len(app.get("image")) == 8, "a course in each tile"
    next(widget for widget in app.radio if widget.label == "Period").set_value(28).run()
    assert not app.exception and all(tile.delta for tile in app.metric)
    assert all(tile.delta.endswith("%" if n in (0, 1, 4, 5, 6) else "points") for n, tile in enumerate(app.metric))


def test_the_trend_offers_the_steps_that_suit_the_period(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = show(home, monkeypatch)
    step = next(widget for widget in app.radio if widget.label == "Step")
    assert (step.options, step.value) == (["Day", "Week", "Month"], "day")
    measure = next(widget for widget in app.selectbox if widget.label == "Figure")
    for name in ("buyer_rate", "order_value"):
        app = measure.set_value(name).run()
        assert not app.exception and not app.error
    few = show(home, monkeypatch, "bought")
    step = next(widget for widget in few.radio if widget.label == "Step")
    assert (step.options, step.value) == (["Hour", "Day"], "hour")


def test_tables_by_brand_and_item_say_what_is_missing(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = show(home, monkeypatch)
    levels = next(widget for widget in app.get("button_group") if widget.key == "products-level")
    for level, rows in (("brand", 1), ("item", 8)):
        app = levels.set_value(level).run()
        table = next(frame.value for frame in app.dataframe if "cart_rate" in frame.value)
        assert len(table) == rows and not app.exception
    bought = show(home, monkeypatch, "bought")
    assert "can be told of a log with views and purchases" in words(bought) and "conversion says nothing" in words(bought)
    levels = next(widget for widget in bought.get("button_group") if widget.key == "products-level")
    bought = levels.set_value("brand").run()
    assert "the column “Brand” of the item catalogue would" in words(bought) and not bought.exception


def test_a_log_of_days_without_purchases_tells_no_conversion_and_no_hours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "log.csv").write_text(
        "user_id,item_id,date,event_type,category\n" + "".join(f"u{n % 9},i{n % 4},2024030{1 + n % 7},view,C{n % 4}\n" for n in range(70)),
        encoding="utf-8",
    )
    ingest_log(Home(tmp_path / "home").dataset("looked", create=True), IngestRequest(events=(tmp_path / "log.csv",)))
    app = show(tmp_path / "home", monkeypatch, "looked")
    assert not app.exception and [tile.value for tile in app.metric][:2] == ["9", "63"]
    assert {tile.value for tile in app.metric[2:]} == {"–"}
    assert "Days of the week" in words(app) and "The log tells days, no hours." in words(app) and "Hours of the week" not in words(app)
    table = next(frame for frame in app.dataframe if "buyer_rate" in frame.value)
    assert json.loads(table.proto.columns)["buyer_rate"]["hidden"] and "can be told of a log with views and purchases" in words(app)


def test_what_is_looked_at_in_vain_is_listed_by_its_title(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    apart_world(home)
    app = show(home, monkeypatch, "apart")
    levels = next(widget for widget in app.get("button_group") if widget.key == "products-level")
    app = levels.set_value("item").run()
    in_vain, winners = [frame.value for frame in app.dataframe if "between" in frame.value]
    assert list(in_vain["item_id"]) == ["Looked at in vain"] and list(in_vain["viewing_buyers"]) == [0]
    assert list(winners["item_id"]) == ["i2", "i3", "i4"], (
        "those that fewer looked at, all bought by half of their viewers; the surest first"
    )
    assert "High views, low conversion" in words(app) and "less than one of 5 would stand in either list" in words(app)


def test_a_first_view_finds_its_answers_asked_as_the_server_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shop(tmp_path, users=20)
    monkeypatch.setenv("SHOPPER_ATLAS_HOME", str(tmp_path))
    assert ask_first() == ["tiny"]
    asked: list[str] = []
    for name in ("figures", "trend", "event_mix", "hours"):
        reader = getattr(behaviour, name)

        @wraps(reader)
        def counting(*arguments: Any, reader: Callable[..., Any] = reader, name: str = name) -> Any:
            asked.append(name)
            return reader(*arguments)

        monkeypatch.setattr(behaviour, name, counting)
    app = show(tmp_path, monkeypatch)
    assert not app.exception and not asked
    next(widget for widget in app.radio if widget.label == "Period").set_value(28).run()
    assert {"figures", "trend"} <= set(asked)  # else nothing counts here
