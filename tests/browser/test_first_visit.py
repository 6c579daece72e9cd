"""One newcomer in a real Chromium: uploads a log, maps it, reaches a coloured map and an audience file; nothing leaves the machine."""

import csv
import re
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Locator, Page, TimeoutError, expect

from tests.page_worlds import tiny_home
from tests.worlds import at, publish_world

PATIENCE = 240_000

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(600)]


def write_log(path: Path) -> None:
    """240 shoppers of two tastes over 40 days, in columns and words that are nobody's canonical ones."""
    rng = np.random.default_rng(7)
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["Besucher", "Artikel", "Bezeichnung", "Warengruppe", "Aktion", "Zeitpunkt", "Preis"])
        for user in range(240):
            taste = user % 2
            for _visit in range(int(rng.integers(3, 9))):
                moment = at(float(rng.integers(0, 40))) + timedelta(seconds=int(rng.integers(0, 80_000)))
                item = int(rng.integers(0, 20)) + 20 * taste
                name, group = (f"running shoe {item}", "Shoes") if taste == 0 else (f"tea pot {item}", "Kitchen")
                for kind in ("pv", "cart", "buy")[: int(rng.integers(1, 4))]:
                    writer.writerow([f"k{user:03d}", f"a{item}", name, group, kind, moment.isoformat(" "), 10 + item])
                    moment += timedelta(seconds=45)


def choose(page: Page, box: Locator, word: str) -> None:
    """Choose a word of a list; on a busy machine the page may still draw the choice before and close the list again."""
    option = page.get_by_role("option", name=word, exact=True)
    for _attempt in range(12):
        box.click()
        with suppress(TimeoutError):
            option.click(timeout=5000)
            break
    expect(box).to_have_value(word)


def test_the_first_address_of_a_cold_server_may_be_any_page_and_keeps_its_language(
    server: str, tmp_path: Path, window: Callable[[], Page]
) -> None:
    tiny_home(tmp_path / "home")
    publish_world(tmp_path / "home", [{"user_id": "u1", "event_type": "view", "event_time": at(0)}], dataset="another")
    page = window()
    page.goto(f"{server}/audiences?dataset=tiny&lang=zh")
    expect(page.get_by_role("heading", name="受众", exact=True)).to_be_visible(timeout=60_000)
    expect(page.get_by_role("link", name="地图", exact=True)).to_be_visible()
    expect(page).to_have_url(re.compile(r"/audiences\?(?=.*lang=zh)(?=.*dataset=tiny)(?!.*page=)"))
    expect(page.get_by_role("combobox", name="数据集")).to_have_value("tiny")
    page.reload()
    expect(page.get_by_role("heading", name="受众", exact=True)).to_be_visible()


def test_a_newcomer_goes_from_an_unknown_file_to_a_map_and_an_audience_file(
    server: str, tmp_path: Path, window: Callable[[], Page]
) -> None:
    log = tmp_path / "besuche.csv"
    write_log(log)
    outside: list[str] = []
    page = window()
    own = (server, server.replace("http", "ws"), "data:", "blob:")
    page.on("request", lambda request: outside.append(request.url) if not request.url.startswith(own) else None)

    page.goto(server)
    expect(page.get_by_role("heading", name="No data yet")).to_be_visible()
    page.get_by_role("region", name="Events").locator('input[type="file"]').set_input_files(str(log))
    expect(page.get_by_text("Which column is what?")).to_be_visible()
    for label, column in (("Shopper id", "Besucher"), ("Time", "Zeitpunkt"), ("Kind of event", "Aktion"), ("Item id", "Artikel"),
                          ("Unit price", "Preis"), ("Item title", "Bezeichnung"), ("Category", "Warengruppe")):  # fmt: skip
        box = page.get_by_role("combobox", name=label).first
        if column not in (box.input_value() or box.get_attribute("aria-label") or ""):
            choose(page, box, column)
    expect(page.get_by_text("Which word is which act?")).to_be_visible()
    page.get_by_role("button", name="Import", exact=True).click()
    expect(page.get_by_text("rows kept").first).to_be_visible(timeout=PATIENCE)
    expect(page.get_by_text("Cancel")).to_have_count(0, timeout=PATIENCE)

    page.get_by_role("link", name="Map", exact=True).click()
    expect(page.get_by_text("240 of 240 shoppers are drawn.")).to_be_visible()
    expect(page.locator(".js-plotly-plot .scatterlayer path.point").first).to_be_visible()
    colours = page.eval_on_selector_all(".js-plotly-plot .scatterlayer path.point", "marks => [...new Set(marks.map(m => m.style.fill))]")
    assert len(colours) >= 2, "segments have colours of their own"
    page.get_by_role("button", name="Save as audience").first.click()
    expect(page.get_by_text("Saved. It stands on the page Audiences.")).to_be_visible()

    page.get_by_role("link", name="Audiences", exact=True).click()
    expect(page.get_by_text("when saved on")).to_be_visible()
    page.get_by_role("button", name="Prepare the file").first.click()
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Download CSV ·").click()
    waiting.value.save_as(tmp_path / "audience.csv")
    lines = (tmp_path / "audience.csv").read_text(encoding="utf-8-sig").splitlines()
    assert lines[0].startswith("user_id") and 100 < len(lines) - 1 <= 240
    assert outside == []


def test_a_first_overview_is_sent_in_parts_that_the_browser_says_it_has_drawn(
    server: str, tmp_path: Path, window: Callable[[], Page]
) -> None:
    tiny_home(tmp_path / "home")
    page = window()
    told: list[str] = []
    page.on("request", lambda request: told.append(request.url) if "/drawn/" in request.url else None)
    page.goto(f"{server}/overview?dataset=tiny")
    expect(page.get_by_role("heading", name="Categories, brands and items", exact=True)).to_be_visible(timeout=60_000)
    page.wait_for_function("document.querySelectorAll('.js-plotly-plot .main-svg').length >= 9")
    assert len(told) == 2
    expect(page.get_by_test_id("stMetric")).to_have_count(9)
    expect(page.locator("[class*=st-key-unseen]")).to_be_hidden()
    page.get_by_role("radiogroup", name="Table by").get_by_text("Items").click()
    expect(page.get_by_test_id("stMetric")).to_have_count(8)
    assert len(told) == 2, "later runs do not wait"
