"""The Audiences page: groups, not, lists of ids, saved ones, platform files, plans."""

import csv
import json
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core.pipeline import behaviour, outcomes, screens
from core.store import Home
from pages.parts.text import set_language
from tests.page_worlds import tiny_home
from tests.test_pages import open_page, words

VIEWS = ("build", "alike", "ad", "plan", "actions")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tiny_home(tmp_path, users=40)


@pytest.fixture
def app(home: Path, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    return open_page("audiences", home, monkeypatch)


def add(app: AppTest, kind: str, group: int = 1) -> int:
    """Add a condition to a group and return its key."""
    box = next(box for box in app.selectbox if box.key and box.key.startswith(f"add-{group}-"))
    box.set_value(kind).run()
    return int(app.session_state["audience-tree"]["next"])


def saved(home: Path) -> list[dict[str, object]]:
    return outcomes.saved_audiences(screens.open_screen(Home(home), "tiny"))


def save(app: AppTest, name: str) -> None:
    app.text_input(key="audience-name").set_value(name).run()
    app.button(key="audience-save").click().run()
    assert not app.exception and not app.error, words(app)


def test_not_turns_a_condition_and_two_groups_are_joined_by_or(app: AppTest, home: Path) -> None:
    app.selectbox(key="rule-event-1").set_value("purchase").run()
    app.toggle(key="not-1").set_value(True).run()
    assert app.metric[0].value == "20"
    app.button(key="group-add").click().run()
    app.radio(key="join").set_value("any").run()
    keys = [part["key"] for part in app.session_state["audience-tree"]["groups"][1]["parts"]]
    app.selectbox(key=f"rule-event-{keys[0]}").set_value("cart").run()
    assert app.metric[0].value == "40" and not app.exception
    save(app, "all of them")
    bought = {"behaviour": {"at_least": 1, "event_type": "purchase"}}
    assert saved(home)[0]["rule"] == {"any": [{"not": bought}, {"behaviour": {"at_least": 1, "event_type": "cart"}}]}


def test_viewed_and_bought_nothing_and_recent_buyers_left_out(app: AppTest, home: Path) -> None:
    app.selectbox(key="rule-event-1").set_value("view").run()
    app.checkbox(key="rule-bare-1").set_value(True).run()
    assert app.metric[0].value == "20"
    app.checkbox(key="rule-bare-1").set_value(False).run()
    app.number_input(key="rule-suppress").set_value(5).run()
    save(app, "quiet")
    rule = saved(home)[0]["rule"]
    assert rule == {
        "all": [
            {"behaviour": {"at_least": 1, "event_type": "view"}},
            {"behaviour": {"event_type": "purchase", "at_most": 0, "days": 5}},
        ]
    }
    assert 20 < int(app.metric[0].value) < 40


def test_ids_typed_in_are_counted_and_unknown_ones_are_told(app: AppTest) -> None:
    app.button(key="part-remove-1").click().run()
    key = add(app, "users")
    app.text_area(key=f"rule-ids-{key}-text").set_value("user_id\nu001\nu002\n'; DROP TABLE users; --\n").run()
    assert app.metric[0].value == "2" and not app.exception
    assert "2 of the 4 ids listed in the rule are not in the log." in words(app)


def test_a_saved_audience_is_part_of_another_but_never_of_itself(app: AppTest, home: Path) -> None:
    app.selectbox(key="rule-event-1").set_value("purchase").run()
    save(app, "buyers")
    app.run()
    app.button(key="part-remove-1").click().run()
    key = add(app, "audience")
    app.selectbox(key=f"rule-audience-{key}").set_value("buyers").run()
    assert app.metric[0].value == "20" and "audience “buyers”" in words(app).replace("\\", "")
    app.text_input(key="audience-name").set_value("buyers").run()
    app.button(key="audience-save").click().run()
    assert "made of itself" in app.error[0].value.replace("\\", "")
    assert saved(home)[0]["rule"] == {"behaviour": {"at_least": 1, "event_type": "purchase"}}


@pytest.mark.parametrize("form", ["csv", "parquet", "json"])
def test_a_file_of_each_form_holds_the_shoppers_on_screen_and_leaves_a_trace(form: str, app: AppTest, home: Path) -> None:
    app.slider(key="holdout").set_value(0).run()
    app.selectbox(key="rule-event-1").set_value("purchase").run()
    app.selectbox(key="audience-form").set_value(form).run()
    app.button(key="audience-export").click().run()
    assert not app.exception and not app.error, words(app)
    manifest = json.loads(next((home / "datasets/tiny/exports").glob("*.manifest.json")).read_text(encoding="utf-8"))
    assert manifest["rows"] == 20 == int(app.metric[0].value)
    trace = json.loads((home / "audit.jsonl").read_text(encoding="utf-8").splitlines()[-1])
    assert (trace["act"], trace["rows"], trace["format"]) == ("export audience", 20, form)


def test_a_platform_file_without_contacts_is_refused_with_a_sentence(app: AppTest, home: Path) -> None:
    app.selectbox(key="audience-form").set_value("google").run()
    app.button(key="audience-export").click().run()
    assert not app.exception and "choose one" in app.error[0].value
    assert not list((home / "datasets/tiny").glob("exports/*"))


def test_a_file_below_the_fewest_shoppers_is_refused_and_the_setting_stays(app: AppTest, home: Path) -> None:
    app.number_input(key="audience-least").set_value(1_000).run()
    app.button(key="audience-export").click().run()
    assert "fewer than the 1,000" in app.error[0].value.replace("\\", "")
    assert outcomes.least_users(screens.open_screen(Home(home), "tiny")) == 1_000


@pytest.mark.parametrize("lang", ["en", "zh"])
@pytest.mark.parametrize("view", VIEWS)
def test_every_view_draws_with_a_saved_audience(view: str, lang: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = screens.open_screen(Home(home), "tiny")
    for name, rule in (("=A", {"segment": [0]}), ("![x](http://b)", {"all": []})):
        outcomes.save_audience(here, {"name": name, "rule": rule, "holdout": 0.1, "cost": 0.0, "margin": 0.0, "users": 20})
    app = open_page("audiences", home, monkeypatch, lang)
    app.session_state["audience-view"] = view
    set_language(lang)  # the harness asks the widgets for their words outside of the page
    try:
        app.run()
    finally:
        set_language("en")
    assert not app.exception and not app.error, words(app)
    assert "![x](" not in words(app)
    if view == "plan":
        assert any("jaccard" in table.value.columns for table in app.dataframe)


def test_a_saved_audience_and_its_file_say_how_many_are_held_out(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = screens.open_screen(Home(home), "tiny")
    behaviour.save_members(here, "drawn", [f"u{user:03d}" for user in range(30)])
    size = outcomes.size(here, {"users": [f"u{user:03d}" for user in range(30)]}, holdout=0.1, cost=0.0, margin=0.0).size
    held = size.holdout_users
    assert held > 0
    app = open_page("audiences", home, monkeypatch)
    assert f"Its file holds {30 - held}: {held} (10%) are held out" in words(app)
    app.button(key="export-0").click().run()
    assert f"{held} shoppers are held out of the file" in words(app) and not app.exception
    assert any(f"{30 - held} shoppers" in button.proto.label for button in app.get("download_button"))


def test_a_size_that_was_kept_before_holdouts_were_told_is_found_anew(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = screens.open_screen(Home(home), "tiny")
    outcomes.save_audience(here, {"name": "all", "rule": {"all": []}, "holdout": 0.5, "users": 40})
    record = outcomes.refresh_audiences(here)[0]
    kept = {name: value for name, value in record["sizes"][0].items() if name not in ("held_out", "without_consent")}
    here.dataset.save("audiences", [{**record, "sizes": [kept]}])
    assert [size["held_out"] for size in outcomes.refresh_audiences(here)[0]["sizes"]] == [record["sizes"][0]["held_out"]]


def test_look_alikes_of_a_saved_audience_are_judged_and_saved(app: AppTest, home: Path) -> None:
    here = screens.open_screen(Home(home), "tiny")
    outcomes.save_audience(here, {"name": "half", "rule": {"segment": [0]}, "holdout": 0.1, "users": 20})
    app.session_state["audience-view"] = "alike"
    app.run()
    app.selectbox(key="alike-audience").set_value("half").run()
    app.number_input(key="alike-most").set_value(10).run()
    assert not app.exception and not app.error and app.metric[0].value == "20"
    app.button(key="alike-save").click().run()
    rule = saved(home)[0]["rule"]
    assert isinstance(rule, dict) and len(rule["users"]) == 10
    assert not set(rule["users"]) & {f"u{n:03d}" for n in range(0, 40, 2)}


def test_an_edited_action_is_kept(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_page("audiences", home, monkeypatch)
    app.session_state["audience-view"] = "actions"
    app.run()
    app.button(key="actions-save").click().run()
    assert not app.exception and not app.error
    kept = screens.open_screen(Home(home), "tiny").dataset.saved("next_actions")
    assert [row["stage"] for row in kept] == ["new", "active", "slipping", "away"]


def test_a_csv_that_is_downloaded_has_as_many_lines_as_the_screen_says(app: AppTest, home: Path) -> None:
    app.selectbox(key="rule-event-1").set_value("purchase").run()
    app.button(key="audience-export").click().run()
    path = next((home / "datasets/tiny/exports").glob("*.csv"))
    with path.open(encoding="utf-8-sig", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert f"{len(rows)} in the file" in words(app)
