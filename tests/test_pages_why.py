"""The Why page on a small shop with a kept model: waterfalls, the check, a change, what lifts, and a typed history."""

from pathlib import Path

import pytest

from core.artifacts import read_table
from core.helper import helper_of
from core.pipeline import screens
from core.store import Home
from pages.parts.text import chance
from tests.kept_worlds import kept_shop
from tests.test_pages import open_page, words


def test_chances_that_tell_nobody_apart_are_explained_with_the_same_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept_shop(tmp_path / "home")
    asked = screens.run_manifest
    area = {"auc": {"value": 0.49, "low": 0.42, "high": 0.56, "n": 12}, "log_loss": {"value": 0.8}}
    bad = {"metrics": {"models": {"propensity": area}, "base_log_loss": 0.69}}
    monkeypatch.setattr(screens, "run_manifest", lambda here, kind: (asked(here, kind) or {}) | bad if kind == "propensity" else None)
    app = open_page("why", tmp_path / "home", monkeypatch)
    told = " ".join(warning.value for warning in app.warning).replace("\\", "")
    assert "They did not tell shoppers apart (AUC 0.490 [0.420, 0.560]" in told and "one chance for everybody" in told


def test_the_page_tells_the_chance_of_the_batch_and_what_would_lift_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = kept_shop(tmp_path / "home")
    scores = read_table(dataset.run_path("propensity") / "scores.parquet").to_pylist()
    user = min(scores, key=lambda row: row["propensity"])
    try:
        app = open_page("why", tmp_path / "home", monkeypatch)
        app.text_input(key="shopper-id").set_value(user["user_id"]).run()
        assert not app.exception and not app.error
        shown = {metric.label: metric.value for metric in app.metric}
        assert shown["Purchase chance"] == shown["Chance as it is"] == chance(user["propensity"])
        assert "Check: without" in words(app) and "points" in shown["Difference"]
        app.button(key=f"lift-{user['user_id']}").click().run()
        assert not app.exception and app.dataframe[0].value["change"][0].startswith("cart")
        app.button(key="score-own").click().run()
        assert "Acts read" in {metric.label for metric in app.metric}
        assert app.dataframe[0].value["change"][0].startswith("cart"), "the first answer stays beside the second"
        app.slider(key=f"closer-{user['user_id']}").set_value(1).run()
        app.selectbox(key=f"add-{user['user_id']}").set_value("cart").run()
        assert "The log does not know the item" not in words(app)
        app.text_input(key=f"item-{user['user_id']}").set_value("no-such-thing").run()
        assert "The log does not know the item no-such-thing" in words(app).replace("\\", "")
        assert "Acts read" in {metric.label for metric in app.metric} and not app.exception
    finally:
        helper_of(Home(tmp_path / "home")).close()
