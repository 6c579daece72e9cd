"""The Recommendations page: sliders and what-if move the list, rules hold, hostile words harm nothing, "why not" answers."""

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core.offers.rules import rules_from
from core.pipeline import offering, screens, showing
from core.pipeline.exporting import lists_in_force
from core.pipeline.work import IngestOptions, ingest
from core.store import Home
from tests.page_worlds import NASTY, publish_runs, tiny_home
from tests.pictures import draw
from tests.test_pages import open_page, words


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    return tiny_home(tmp_path / "home")


def listed(app: AppTest) -> list[str]:
    return list(next(table.value for table in app.dataframe if "score" in table.value.columns)["item_id"])


def page(home: Path, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    app = open_page("recommendations", home, monkeypatch)
    return app.text_input(key="shopper-id").set_value("u001").run()


def test_hiding_an_item_takes_it_off_the_list_and_lifting_one_brings_it_first(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = page(tiny, monkeypatch)
    before = listed(app)
    app.selectbox(key="what-if").set_value("hide").run()
    app.text_input(key="what-if-name").set_value(before[0]).run()
    assert not app.exception and before[0] not in listed(app)
    app.selectbox(key="what-if").set_value("boost").run()
    app.text_input(key="what-if-name").set_value(before[1]).run()
    assert not app.exception and listed(app)[0] == before[1]


def test_rules_in_force_keep_an_item_from_the_list_the_shopper_page_and_the_export(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = listed(page(tiny, monkeypatch))[0]
    here = screens.open_screen(Home(tiny), "tiny")
    offering.save_set(here, rules_from({"name": NASTY, "block": {"items": [gone], "words": ["'; DROP TABLE events; --"]}}))
    offering.put_in_force(here, NASTY)
    app = page(tiny, monkeypatch)
    assert not app.exception and gone not in listed(app)
    assert "![x](" not in words(app) and "<script>" not in words(app)
    made = offering.export_lists(here, rules_from({}), 5, tmp_path / "all.csv")
    lines = (tmp_path / "all.csv").read_text(encoding="utf-8-sig").splitlines()
    assert made["rows"] == len(lines) - 1 > 0 and not [line for line in lines if f'"{gone}"' in line]
    shopper = open_page("shopper", tiny, monkeypatch)
    shopper.text_input(key="shopper-id").set_value("u001").run()
    assert not shopper.exception
    assert not [table for table in shopper.dataframe if gone in set(table.value.get("item_id", []))]
    every = screens.run_table(here, "recommendations", "recommendations")
    assert every is not None and gone in every["item_id"].to_pylist()
    kept = lists_in_force(here.dataset, every).to_pandas()
    assert len(kept) and gone not in set(kept["item_id"])
    assert (kept["rank"] == kept.groupby("user_id").cumcount() + 1).all()


@pytest.mark.parametrize("item", ["i0", "no such", NASTY, "'; DROP TABLE events; --", "🙂"])
def test_why_not_answers_for_any_text(item: str, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = page(tiny, monkeypatch)
    app.text_input(key="why-not-item").set_value(item).run()
    assert not app.exception and not app.error
    assert ("know no item" in words(app)) == (item != "i0")
    assert "<script>" not in words(app)


def test_a_rule_set_is_told_in_words_saved_and_put_in_force_by_one_click(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = page(tiny, monkeypatch)
    next(field for field in app.text_input if field.key and field.key.startswith("rules-name")).set_value("no things").run()
    next(field for field in app.text_area if field.key and field.key.startswith("rules-words")).set_value("thing").run()
    assert "Never shown is what names the words “thing”." in words(app)
    app.button(key="rules-force").click().run()
    assert not app.exception
    held = offering.in_force(screens.open_screen(Home(tiny), "tiny"))
    assert held is not None and held.block.words == ("thing",)
    assert "fewer than" in words(app) or not listed(app)


def test_the_blend_stands_beside_every_source_and_a_trial_has_its_size(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = page(tiny, monkeypatch)
    beside = next(table.value for table in app.dataframe if "verdict" in table.value.columns)
    assert beside[["difference", "verdict"]].to_numpy().tolist() == [["+0.0500 [+0.0100, +0.0900]", "the blend is better"]]
    trial = next(table.value for table in app.dataframe if "lift" in table.value.columns)
    assert trial.to_numpy().tolist() == [["5%", "42.0%", "9,496"]]
    app.selectbox(key="beside-ground").set_value("new").run()
    beside = next(table.value for table in app.dataframe if "verdict" in table.value.columns)
    assert beside["verdict"].tolist() == ["no difference can be told"]


def test_cards_show_pictures_of_the_folder_and_addresses_only_when_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "shop"
    folder.mkdir()
    draw("cup", 1).save(folder / "cup.png")
    draw("cup", 2).save(tmp_path / "secret.png")
    named = ["cup.png", "../secret.png", "https://shop.example/i2.jpg", "https://u:p@shop.example/i3.jpg", "javascript:alert(1)//.png", ""]
    rows = ["user_id,item_id,event_type,event_time"]
    rows += [f"u{user:03d},i{(user + step) % 6},view,2024-03-0{1 + step} 0{user % 10}:00:00" for user in range(12) for step in range(4)]
    (folder / "log.csv").write_text("\n".join(rows), encoding="utf-8")
    items = ["item_id,title,image", *(f"i{n},Thing {n},{text}" for n, text in enumerate(named))]
    (folder / "items.csv").write_text("\n".join(items), encoding="utf-8")
    home = Home(tmp_path / "home")
    ingest(home, "tiny", IngestOptions(events=(str(folder / "log.csv"),), items=str(folder / "items.csv")))
    publish_runs(home.path, [f"u{user:03d}" for user in range(12)])
    here = screens.open_screen(home, "tiny")
    assert showing.pictures_there(here) == (True, True)
    shown = [showing.picture_of(here, text, addresses=False) for text in named]
    assert [type(one) for one in shown] == [bytes, *[type(None)] * 5]
    assert showing.picture_of(here, named[2], addresses=True) == named[2]
    assert [showing.picture_of(here, text, addresses=True) for text in named[3:]] == [None] * 3
    app = page(home.path, monkeypatch)
    assert not app.exception and len(app.get("image")) == 1
    app.toggle(key="picture-addresses").set_value(True).run()
    assert not app.exception and len(app.get("image")) == 2
