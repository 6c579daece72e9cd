"""Pages while counts of few shoppers are hidden: they say so, and a filter that leaves seven shoppers tells nothing of them."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core.pipeline import behaviour, outcomes, screens
from core.pipeline.behaviour import Filters, Rfm
from core.store import Home
from tests.test_pages import ROOT, go_to, open_page, words
from tests.test_pages_behaviour import shop, show

BADGE = "Counts of fewer than 20 shoppers are hidden"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = shop(tmp_path_factory.mktemp("few"), users=120)
    seven = {"name": "seven", "rule": {"users": [f"u{n:03d}" for n in range(7)]}, "users": 7}
    outcomes.save_audience(screens.open_screen(Home(folder), "tiny"), seven)
    return folder


@pytest.fixture
def hiding(home: Path) -> Iterator[Path]:
    Home(home).save_small_cells(20)
    yield home
    Home(home).save_small_cells(0)


def tiles(app: AppTest) -> dict[str, str]:
    return {metric.label: str(metric.value).replace("\\", "") for metric in app.metric}


def test_a_filter_that_leaves_seven_shoppers_shows_below_20(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOPPER_ATLAS_HOME", str(home))
    monkeypatch.chdir(ROOT)

    def overview() -> AppTest:
        app = AppTest.from_string(f"import runpy\nrunpy.run_path({str(ROOT / 'app.py')!r})", default_timeout=60)
        app.query_params["audience"] = "seven"
        return go_to(app, "overview")

    assert tiles(overview())["Shoppers"] == "7"
    Home(home).save_small_cells(20)
    try:
        app = overview()
        assert not app.exception and not app.error and BADGE in words(app)
        assert [tiles(app)[name] for name in ("Shoppers", "Sessions", "Orders", "Conversion of shoppers", "Revenue")] == [
            *["< 20"] * 3,
            "–",
            "–",
        ]
        table = next(frame.value for frame in app.dataframe if "buyer_rate" in frame.value)
        assert set(table["users"]) == {"< 20"} and table["buyer_rate"].isna().all() and table["revenue"].isna().all()
        app = show(home, monkeypatch, "funnel", audience="seven")
        assert set(app.dataframe[0].value["users"]) <= {"< 20", "0"} and any("so short a list" in str(note.value) for note in app.info)
        assert not [button for button in app.button if button.key == "funnel-save"]
    finally:
        Home(home).save_small_cells(0)


@pytest.mark.parametrize("page", ["map", "propensity", "audiences", "shopper"])
def test_other_pages_say_that_counts_are_hidden(page: str, hiding: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_page(page, hiding, monkeypatch)
    assert not app.exception and not app.error and BADGE in words(app), words(app)
    if page == "map":
        sizes = next(frame.value for frame in app.dataframe if "size" in frame.value)["size"]
        assert set(sizes) == {70}  # two of 60 shoppers each
    if page == "shopper":
        assert any("no single shopper is shown" in str(note.value) for note in app.info) and "u0" not in words(app)


def test_the_setting_is_chosen_on_the_data_page_and_noted(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_page("data", home, monkeypatch)
    app.toggle(key="small-cells-on").set_value(True).run()
    app.number_input(key="small-cells").set_value(30).run()
    assert Home(home).small_cells() == 0, "nothing holds before it is applied"
    app.button(key="small-cells-apply").click().run()
    assert Home(home).small_cells() == 30 and "Counts of fewer than 30 shoppers are hidden" in words(app)
    app.toggle(key="small-cells-on").set_value(False).run()
    app.button(key="small-cells-apply").click().run()
    assert Home(home).small_cells() == 0 and "are hidden" not in words(app)


def test_neither_the_header_nor_a_list_of_a_group_gives_hidden_counts_away(hiding: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = screens.open_screen(Home(hiding), "tiny")
    kept = int(screens.manifest(here)["rows_kept"])
    told = words(show(hiding, monkeypatch, "funnel"))
    assert "rows kept" in told and f"{kept:,} rows kept" not in told
    asked = Rfm()
    group = next(
        row for row in behaviour.rfm_grid(here, Filters(), asked).table.to_pylist() if row["rfm_group"] and (row["users"] or 0) >= 20
    )
    assert behaviour.rfm_members(here, Filters(), asked, group["rfm_group"]).table.column_names == ["user_id"]
