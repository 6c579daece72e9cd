"""In a narrow window figures stay whole, and a form that failed leaves no empty frame."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(180)]

CUT = """
() => [...document.querySelectorAll('[data-testid=stMetricValue] *, [data-testid=stMetricLabel] *')]
  .filter(part => part.scrollWidth > part.clientWidth + 1 && getComputedStyle(part).overflow === 'hidden')
  .map(part => part.textContent)
"""

SEEN = "[class*=st-key-tiles-] [data-testid=stMetric]"
"""Tiles but for the unseen one that a first page begins with."""
SIDE_BY_SIDE = f"() => new Set([...document.querySelectorAll('{SEEN}')].map(tile => tile.getBoundingClientRect().left)).size > 1"


@pytest.mark.parametrize(("place", "tiles"), [("", 4), ("overview", 8), ("shopper", 4)])
def test_no_figure_of_a_tile_is_cut(place: str, tiles: int, address: str, window: Callable[[], Page]) -> None:
    page = window()
    for width in (1200, 900, 700):
        page.set_viewport_size({"width": width, "height": 1000})
        if width == 1200:
            page.goto(f"{address}/{place}?dataset=known")
            page.locator(SEEN).nth(tiles - 1).wait_for()
        page.wait_for_function(SIDE_BY_SIDE)  # a busy browser shows the tiles before the styles of their rows are there
        assert page.evaluate(CUT) == [], width
        lefts = page.eval_on_selector_all(SEEN, "tiles => tiles.map(tile => tile.getBoundingClientRect().left)")
        assert 2 <= len(set(lefts)) <= 4, width


def test_a_file_without_a_row_leaves_no_empty_frame_above_the_error(address: str, window: Callable[[], Page]) -> None:
    page = window()
    page.goto(f"{address}/?dataset=known")
    box = page.get_by_role("region", name="Events").locator('input[type="file"]')
    box.set_input_files({"name": "x.csv", "mimeType": "text/csv", "buffer": b""})
    expect(page.get_by_test_id("stAlertContentError")).to_be_visible()
    expect(page.locator("[data-testid=stExpander]", has_text="x.csv")).to_have_count(0)
