"""The Search page: one query, two shoppers, hostile words."""

from pathlib import Path

import pytest

from tests.page_worlds import NASTY, tiny_home
from tests.test_pages import open_page, words


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_home(tmp_path_factory.mktemp("tiny"))


def test_a_query_shows_the_same_matches_in_everybodys_order_and_in_a_shoppers(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_page("search", tiny, monkeypatch)
    app.text_input(key="search-query").set_value("thing").run()
    assert not app.exception and len(app.dataframe) == 1
    plain = list(app.dataframe[0].value["item_id"])
    assert sorted(plain) == ["i1", "i2", "i3", "i4", "i5"]
    orders = []
    for user in ("u001", "u003"):
        app.text_input(key="search-user").set_value(user).run()
        app.slider(key="search-strength").set_value(1.0).run()
        assert not app.exception and len(app.dataframe) == 2
        assert list(app.dataframe[0].value["item_id"]) == plain
        orders.append(list(app.dataframe[1].value["item_id"]))
        assert sorted(orders[-1]) == sorted(plain)
    assert orders[0] != orders[1]
    app.slider(key="search-strength").set_value(0.0).run()
    assert list(app.dataframe[1].value["item_id"]) == plain


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_a_misspelled_query_offers_the_right_word_and_one_click_searches_it(lang: str, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_page("search", tiny, monkeypatch, lang)
    app.text_input(key="search-query").set_value("thinh").run()
    assert not app.exception and "thing" in words(app)
    app.button(key="search-suggestion").click().run()
    assert app.text_input(key="search-query").value == "thing" and not app.exception


def test_why_an_item_stands_where_it_does_is_said_in_chinese(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_page("search", tiny, monkeypatch, "zh")
    app.text_input(key="search-query").set_value("thing").run()
    app.text_input(key="search-user").set_value("u001").run()
    assert all("词语第" in why for why in app.dataframe[0].value["why"])
    assert any("浏览" in why for why in app.dataframe[1].value["why"])


@pytest.mark.parametrize("query", [NASTY, "'; DROP TABLE items; --", "x" * 1_900, "🙂"])
def test_a_hostile_query_is_shown_as_it_stands_and_harms_nothing(query: str, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_page("search", tiny, monkeypatch)
    app.text_input(key="search-query").set_value(query).run()
    app.text_input(key="search-user").set_value(query).run()
    assert not app.exception and not app.error
    assert "![x](" not in words(app) and "<script>" not in words(app)


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_a_log_without_queries_offers_words_of_its_catalogue_and_shows_what_is_wanted(
    lang: str, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = open_page("search", tiny, monkeypatch, lang)
    assert len(app.dataframe[0].value) == 6  # the whole catalogue, before anything is searched for
    app.button(key="search-example-0").click().run()
    assert not app.exception and app.text_input(key="search-query").value.startswith("C")
    assert 0 < len(app.dataframe[0].value) < 6
