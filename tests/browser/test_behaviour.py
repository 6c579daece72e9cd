"""A bar of the funnel is clicked: the shoppers on screen, in the file and in the saved audience are the same."""

import csv
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from core.pipeline import behaviour, screens
from core.pipeline.behaviour import Funnel, Step
from core.store import Home

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(180)]


def test_a_clicked_bar_lists_its_shoppers_and_saves_them_as_an_audience_of_the_same_number(
    address: str, home: Path, window: Callable[[], Page], tmp_path: Path
) -> None:
    asked = Funnel((Step("view"), Step("cart"), Step("purchase")))
    here = screens.open_screen(Home(home), "known")
    viewers, carts, buyers = behaviour.funnel(here, behaviour.NO_FILTERS, asked).table["users"].to_pylist()
    assert viewers >= carts > buyers > 0
    page = window()
    page.goto(f"{address}/behaviour?dataset=known&view=funnel")
    bars = page.locator(".st-key-chart-funnel .barlayer .trace.bars").first.locator(".point path")
    expect(bars).to_have_count(3, timeout=90_000)  # the first page of a cold server
    page.wait_for_timeout(1000)  # the figure takes its last width
    expect(page.get_by_text(re.compile(rf"^{viewers} shoppers$"))).to_be_visible()
    box = bars.nth(2).bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    expect(page.get_by_text(re.compile(rf"^{buyers} shoppers$"))).to_be_visible()
    expect(page.get_by_label("Name of the audience").first).to_have_value("took purchase")  # the rest of the page has followed

    with page.expect_download() as waiting:
        page.locator(".st-key-csv-funnel-shoppers button").click()
    waiting.value.save_as(tmp_path / "shoppers.csv")
    with (tmp_path / "shoppers.csv").open(encoding="utf-8-sig", newline="") as stream:
        listed = [row["user_id"] for row in csv.DictReader(stream)]
    assert listed == behaviour.funnel_members(here, behaviour.NO_FILTERS, asked, 3, False).table["user_id"].to_pylist()
    assert len(listed) == buyers

    page.get_by_role("button", name="Save as audience").first.click()
    expect(page.get_by_text("Saved. It stands on the page Audiences.")).to_be_visible()
    page.get_by_role("link", name="Audiences", exact=True).click()
    expect(page.get_by_text(re.compile(rf"took purchase · {buyers} shoppers when saved"))).to_be_visible()


@pytest.mark.parametrize("path", ["overview?", "?page=overview&"])
def test_a_link_keeps_every_kind_of_event_that_it_names(address: str, window: Callable[[], Page], path: str) -> None:
    page = window()
    page.goto(f"{address}/{path}dataset=known&event=cart&event=purchase")
    expect(page.get_by_text("Looking only at: cart, purchase")).to_be_visible(timeout=90_000)
    expect(page).to_have_url(re.compile(r"/overview\?(?=.*event=cart)(?=.*event=purchase)"))
