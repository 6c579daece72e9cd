"""The Propensity page: what a training asks for, groups only when asked, chances by category and spending."""

from pathlib import Path

import pytest

from core.pipeline import calibrating, screens
from core.store import Home
from tests.page_worlds import tiny_home
from tests.test_pages import open_page, words


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_home(tmp_path_factory.mktemp("chances"), users=240)


def test_training_asks_for_what_was_chosen(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started = []
    monkeypatch.setattr("pages.parts.jobs.start_job", lambda home, argv, title: started.append(argv) or "20240101-000000-abcdef")
    app = open_page("propensity", tiny, monkeypatch)
    app.selectbox(key="train-horizon").set_value(7)
    app.selectbox(key="train-look-back").set_value(60)
    app.selectbox(key="train-optimizer").set_value("sgd")
    app.multiselect(key="train-models").set_value(["gru"])
    app.checkbox(key="train-attributes").check().run()
    app.button(key="train").click().run()
    assert started == [
        [
            *("predict", "--dataset", "tiny", "--act", "purchase", "--horizon", "7d", "--optimizer", "sgd", "--look-back", "60"),
            *("--models", "gru", "--attributes", "--category", "all", "--revenue"),
        ]
    ]


def test_groups_are_told_only_when_somebody_asks(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_page("propensity", tiny, monkeypatch)
    assert app.selectbox(key="calibration-by").value == ""
    assert not [frame.value for frame in app.dataframe if "mean_propensity" in frame.value and "group" in frame.value]
    app.selectbox(key="calibration-by").set_value("region").run()
    table = next(frame.value for frame in app.dataframe if "mean_propensity" in frame.value and "group" in frame.value)
    assert table["group"].tolist() == ["north", "south"] and table["users"].tolist() == [120, 120]
    assert table["happened"].sum() == 109  # of 240 chances from .02 to .9, those above .5
    app.selectbox(key="calibration-by").set_value("segment").run()
    table = next(frame.value for frame in app.dataframe if "mean_propensity" in frame.value and "group" in frame.value)
    assert table["users"].sum() == 240


@pytest.mark.parametrize(
    ("test", "drawn", "knows"), [("2024-03-10", "2024-04-01", True), ("2024-03-10", "2024-03-10", False), (None, "2024-04-01", False)]
)
def test_segments_that_were_drawn_after_the_test_window_began_know_it(
    test: str | None, drawn: str, knows: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(screens, "run_manifest", lambda _screen, _kind: {"windows": {"test": test}})
    monkeypatch.setattr(screens, "made_as_of", lambda _screen, _kind: drawn)
    assert calibrating.segments_know_test(None) is knows  # type: ignore[arg-type]


def test_the_table_of_what_is_known_has_intervals_and_no_auc_of_few(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record = screens.run_manifest(screens.open_screen(Home(tiny), "tiny"), "propensity") or {}
    figure = {"value": 0.712, "low": 0.65, "high": 0.77, "n": 200}
    bands = {
        "cold": {"users": 9, "positives": 4, "auc": 0.0, "log_loss": 0.7, "base_log_loss": 0.69},
        "hot": {"users": 200, "positives": 80, "auc": figure, "log_loss": figure, "base_log_loss": 0.67},
    }
    bounds = {"brier": [0.19, 0.21], "calibration_error": [0.02, 0.05], "average_precision": [0.5, 0.6]}
    models = {"propensity": {**record["metrics"]["models"]["propensity"], "average_precision": 0.55, "intervals": bounds}}
    changed = {**record, "metrics": {**record["metrics"], "bands": bands, "models": models}}
    asked = screens.run_manifest
    monkeypatch.setattr(screens, "run_manifest", lambda here, kind: changed if kind == "propensity" else asked(here, kind))
    app = open_page("propensity", tiny, monkeypatch)
    assert not app.exception
    table = next(frame.value for frame in app.dataframe if "band" in frame.value and "base_log_loss" in frame.value)
    assert table["auc"].tolist() == ["– (n = 4)", "0.712 [0.650, 0.770]"]
    assert table["log_loss"].tolist() == ["0.7000", "0.7120 [0.6500, 0.7700]"]
    assert "No AUC is told where fewer than 10" in words(app)
    table = next(frame.value for frame in app.dataframe if "brier" in frame.value and "precision" in frame.value)
    assert table["precision"].tolist() == ["0.550 [0.500, 0.600]"] and "[2.0%, 5.0%]" in table["ece"].tolist()[0]


def test_models_by_category_and_spending_are_side_by_side(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_page("propensity", tiny, monkeypatch)
    tables = [frame.value for frame in app.dataframe]
    by_category = next(table for table in tables if "new" in table)
    assert by_category["model"].tolist()[-1] == "Pooled network ★" and by_category["new"].tolist()[0] == "0.800 [0.750, 0.850]"
    spending = next(table for table in tables if "rmse" in table)
    assert spending["bias"].tolist() == ["1.25 [1.00, 1.50]"] * 2
    assert "477 of them never bought before" in words(app)
