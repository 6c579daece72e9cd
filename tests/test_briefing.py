"""The brief of a shopper: what it says stands in the log, and nothing else; files open; hostile words stay words."""

import re
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from core.__main__ import main
from core.errors import NotFoundError, RuleError
from core.insights.rfm import stage_moves
from core.insights.shopper import LeftOut
from core.messages import Message, say
from core.pipeline import briefing
from core.pipeline.screens import open_screen
from core.store import Home
from tests.page_worlds import NASTY
from tests.worlds import at, publish_world


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "home")
    acts = [
        ("ann", "i1", "view", at(1)),
        ("ann", "i1", "cart", at(1) + timedelta(minutes=5)),
        ("ann", "i1", "purchase", at(1) + timedelta(minutes=9)),
        ("ann", "i2", "cart", at(20)),
        ("ann", "i3", "cart", at(21)),
        ("ann", "i3", "purchase", at(22)),
        ("bob", "i3", "view", at(25)),
    ]
    events = [{"user_id": user, "item_id": item, "event_type": kind, "event_time": time} for user, item, kind, time in acts]
    titles = {"i1": "Tea", "i2": NASTY, "i3": "Mug"}
    publish_world(home.path, events, items=[{"item_id": item, "title": title} for item, title in titles.items()])
    return home


def test_the_open_cart_holds_what_was_put_in_and_neither_bought_nor_taken_out(home: Home) -> None:
    [section] = briefing.brief(open_screen(home, "tiny"), ["ann"]).sections
    tables = {exhibit.id.split(".")[1]: exhibit.table.to_pylist() for exhibit in section.exhibits}
    assert [row["item"] for row in tables["cart"]] == [NASTY]
    assert [row["items"] for row in tables["orders"]] == ["Mug", "Tea"]
    assert any(note.startswith("To say: ") and NASTY in note for note in section.notes)
    assert ("Orders", "2") in [(str(label), value) for label, value, _note in section.tiles]


def test_a_shopper_without_cart_or_orders_has_a_page_without_those_tables(home: Home) -> None:
    [section] = briefing.brief(open_screen(home, "tiny"), ["bob"]).sections
    assert [exhibit.id for exhibit in section.exhibits] == []


def test_a_brief_follows_the_filter_of_the_page_and_says_what_was_left_out(home: Home) -> None:
    screen = open_screen(home, "tiny")
    [section] = briefing.brief(screen, ["ann"], left_out=LeftOut(kinds=("purchase",))).sections
    assert str(section.notes[0]) == "Statements are made without these kinds of events: purchase."
    assert [exhibit.id for exhibit in section.exhibits] == [], "whether the cart is still open hangs on purchases"
    assert not any(word in str(note) for note in section.notes for word in ("not bought", "neither", "Has ordered", "still in your cart"))
    [section] = briefing.brief(screen, ["ann"], left_out=LeftOut(days=4)).sections
    assert str(section.notes[0]) == "Statements are made from events of the last 4 days of the log alone."
    assert [exhibit.table.to_pylist()[0]["items"] for exhibit in section.exhibits] == ["Mug"]
    pages = [
        briefing.brief_files(screen, ["ann"], language, left_out=LeftOut(kinds=("purchase",)))["brief.html"] for language in ("en", "zh")
    ]
    assert "without these kinds of events: purchase" in pages[0].decode() and "未计入这些事件类型：购买" in pages[1].decode()


def test_a_brief_tells_the_stage_that_behaviour_counts(home: Home) -> None:
    screen = open_screen(home, "tiny")
    [section] = briefing.brief(screen, ["ann"]).sections
    stages = {row["now"]: row["users"] for row in stage_moves(screen.log).table.to_pylist()}
    assert any(str(note).startswith("Stage of life: new") for note in section.notes) and stages == {"new": 2}
    assert any(str(note).startswith("RFM group: ") for note in section.notes)


def test_a_writer_is_told_the_facts_without_the_id_and_its_words_stand_first(home: Home) -> None:
    told: list[list[str]] = []

    def words(facts: Sequence[str]) -> Message:
        told.append(list(facts))
        return say("In other words.")

    screen = open_screen(home, "tiny")
    plain, worded = (briefing.brief(screen, ["ann"], words=asked).sections[0] for asked in (None, words))
    assert worded.notes == ("In other words.", *plain.notes) and worded.tiles == plain.tiles
    assert told == [briefing._told(plain, str)] and "Orders: 2" in told[0][1] and not any("ann" in fact.split() for fact in told[0])


def test_unknown_shoppers_nobody_and_too_many_are_refused(home: Home) -> None:
    screen = open_screen(home, "tiny")
    with pytest.raises(NotFoundError, match="2 of 3 ids are of no shopper of this log: 'eve', 'Ann'"):
        briefing.brief(screen, ["eve", "ann", "Ann"])
    for ids in ([], ["ann"] * (briefing.MOST + 1)):
        with pytest.raises(RuleError, match="1 to 500 shoppers"):
            briefing.brief(screen, ids)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_files_are_whole_escaped_and_need_nothing_from_elsewhere(language: str, home: Home) -> None:
    files = briefing.brief_files(open_screen(home, "tiny"), ["ann", "bob"], language)
    page = files["brief.html"].decode()
    assert NASTY not in page and "<script" not in page and "src=" not in page and 'href="http' not in page
    assert ("顾客 bob" if language == "zh" else "Shopper bob") in page
    assert files["brief.pdf"].startswith(b"%PDF") and files["brief.pdf"].rstrip().endswith(b"%%EOF")
    assert len(re.findall(rb"/Type /Page\b", files["brief.pdf"])) == 2  # a page for each, none of them empty


def test_a_list_of_ids_becomes_one_file_by_command_line(home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "ids.csv").write_text("user_id\nann\nbob\nann\n", encoding="utf-8")
    words = [
        "brief",
        "--home",
        str(home.path),
        "--dataset",
        "tiny",
        "--ids",
        str(tmp_path / "ids.csv"),
        "--out",
        str(tmp_path / "out"),
        "--json",
    ]
    assert main(words) == 0
    assert '"shoppers": 2' in capsys.readouterr().out
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["brief.html", "brief.pdf"]
    assert '"act": "brief"' in (home.path / "audit.jsonl").read_text(encoding="utf-8")
