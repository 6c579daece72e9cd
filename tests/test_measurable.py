"""What cannot be measured says why before a job is started: what the log covers, and what is needed."""

import json
from pathlib import Path

import pytest

from core.artifacts import read_json
from core.pipeline import measurable
from core.pipeline.screens import Screen, open_screen
from core.store import Home
from tests.page_worlds import tiny_home
from tests.test_pages import open_page, words
from tests.worlds import at, publish_world


def screen(home: Path, days: float, titles: int = 3) -> Screen:
    events = [{"user_id": "a", "item_id": f"i{n}", "event_type": "view", "event_time": at(days * n / (titles - 1))} for n in range(titles)]
    publish_world(home, events, [{"item_id": f"i{n}", "title": f"Thing {n}"} for n in range(titles)])
    return open_screen(Home(home), "tiny")


def test_a_log_of_hours_says_what_it_covers_and_what_is_needed(tmp_path: Path) -> None:
    told = str(measurable.why_not_judged(screen(tmp_path / "short", 2.5 / 24)))
    assert told == "This log covers 2.5 hours; two windows of 1 day after some history are needed, more than 2 days in all."
    assert measurable.why_not_judged(screen(tmp_path / "long", 2.5)) is None


def test_texts_are_asked_for_where_a_text_model_reads_them(tmp_path: Path) -> None:
    few = screen(tmp_path / "few", 9)
    assert measurable.why_not_tuned(few) is None and str(measurable.why_no_forms(few)).startswith("The catalogue has 3 distinct texts")
    assert measurable.why_no_forms(screen(tmp_path / "many", 9, titles=40)) is None
    publish_world(tmp_path / "none", [{"user_id": "a", "item_id": "i", "event_type": "view", "event_time": at(day)} for day in (0, 9)])
    assert str(measurable.why_not_tuned(open_screen(Home(tmp_path / "none"), "tiny"))).startswith("No item has a text")


def test_the_buttons_wait_and_name_the_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tiny_home(tmp_path, users=2)  # 2024-03-01 00:00 to 2024-03-02 03:00
    pointers = home / "datasets" / "tiny" / "CURRENT"
    record = read_json(pointers)
    pointers.write_text(json.dumps(record | {"runs": {"profiles": record["runs"]["profiles"]}}), encoding="utf-8")
    app = open_page("models", home, monkeypatch)
    waiting = {button.key: button.disabled for button in app.button if str(button.key).startswith("measure-")}
    assert waiting == {"measure-blocks": True, "measure-tuning": True, "measure-compression": True}
    assert "This log covers 1.13 days; two windows of 1 day" in words(app).replace("\\", "")
