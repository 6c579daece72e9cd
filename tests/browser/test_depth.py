"""The depth slider moved by hand: the audience saved from it has the size and the expected buyers that stood on screen."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from playwright.sync_api import Page, expect

from core.store import Home
from tests.browser.conftest import SHOPPERS

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(180)]


def test_the_depth_slider_becomes_an_audience_of_the_same_size_and_expected_buyers(
    address: str, home: Path, window: Callable[[], Page]
) -> None:
    page = window()
    page.goto(f"{address}/propensity?dataset=known")
    page.get_by_text("What it earns").wait_for()
    slider = page.get_by_role("slider", name="Contact the best … percent")
    slider.focus()
    for _step in range(15):
        slider.press("ArrowRight")
    taken = -(-SHOPPERS * 35 // 100)
    tiles = page.locator(".st-key-tiles-profit")
    expect(tiles.get_by_text(str(taken), exact=True)).to_be_visible()
    chances = sorted(pq.read_table(Home(home).dataset("known").run_path("propensity") / "scores.parquet")["propensity"].to_pylist())
    buyers = sum(chances[-taken:])
    expect(tiles.get_by_text(re.compile(rf"^{buyers:.0f} ± \d+$"))).to_be_visible()

    page.get_by_label("Name of the audience").fill("By depth")
    page.get_by_label("Name of the audience").press("Enter")
    page.get_by_role("button", name="Save as audience").click()
    expect(page.get_by_text(f"Saved with {taken} shoppers, {buyers:.0f} expected to act, nobody held out")).to_be_visible()
    page.get_by_role("link", name="Audiences", exact=True).click()
    saved = page.locator(".stHorizontalBlock", has_text="By depth").last
    expect(page.get_by_text(re.compile(rf"By depth · {taken} shoppers when saved"))).to_be_visible()
    saved.get_by_role("button", name="Prepare the file").click()
    page.get_by_role("button", name="Download CSV ·").wait_for()
    (manifest,) = (Home(home).dataset("known").path / "exports").glob("by_depth-*.manifest.json")
    size = json.loads(manifest.read_text(encoding="utf-8"))["size"]
    for part in (size["everyone"], size["exported"]):
        assert part["users"] == taken and part["expected_buyers"] == pytest.approx(buyers)
