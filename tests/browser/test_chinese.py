"""Words that neither we nor the data write: Streamlit's and plotly's own, on a Chinese screen."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(180)]

AFTER = "mark => [getComputedStyle(mark).fontSize, getComputedStyle(mark, '::after').content]"


def shown(place: Locator) -> list[str]:
    """Size of a word of Streamlit's, and what is written in its place."""
    return list(place.evaluate(AFTER))


def test_a_chinese_screen_has_no_words_of_streamlit_or_plotly(address: str, window: Callable[[], Page]) -> None:
    page = window()
    page.goto(f"{address}/data?dataset=known&lang=zh")  # whose own address is /
    assert shown(page.locator("[data-testid=stFileUploader] button p").first) == ["0px", '"选择文件"']
    expect(page.get_by_text("per file").first).not_to_be_visible()
    ticks = page.locator(".xaxislayer-above .xtick text")
    ticks.get_by_text("2024").first.wait_for()
    dates = [text for text in ticks.all_text_contents() if re.search(r"\d-\d", text)]
    assert len(dates) >= 3 and all(re.fullmatch(r"\d\d-\d\d(2024)?", text) for text in dates)

    page.get_by_role("link", name="地图", exact=True).click()
    page.locator('.modebar-btn[data-title="Fullscreen"]').first.wait_for(state="attached")  # the last to come
    titles = page.eval_on_selector_all(".modebar-btn", "tools => tools.map(tool => tool.dataset.title)")
    assert [title for title in titles if re.search("[a-z]", title)] == ["Fullscreen"], "which the style sheet writes over"

    page.get_by_role("link", name="受众", exact=True).click()
    page.get_by_role("combobox", name="在类目").fill("nothing like it")
    assert shown(page.locator("[data-testid=stSelectboxVirtualDropdown] [role=option] span")) == ["0px", '"没有匹配项"']
    page.keyboard.press("Escape")
    page.get_by_role("textbox", name="受众名称").fill("x")
    assert shown(page.locator("[data-testid=InputInstructions] span").first) == ["0px", '"按回车键应用"']
