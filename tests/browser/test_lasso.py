"""A lasso drawn by hand on the map: the count on screen, the files and the coordinates of the run agree."""

import csv
import re
from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq
import pytest
from playwright.sync_api import Download, Page, expect

from core.store import Home
from tests.browser.conftest import SHOPPERS

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(180)]

Points = npt.NDArray[np.float64]
EDGE_PX = 3.0
"""Plotly smooths a drawn line by up to 1.5 px: whoever stands this near to it may be on either side."""
AXES = """plot => {
    const at = document.querySelector('.nsewdrag').getBoundingClientRect(), {xaxis, yaxis} = plot._fullLayout;
    return [at.left, at.top, xaxis._length, yaxis._length, ...xaxis.range, ...yaxis.range];
}"""


def winds_around(points: Points, path: Points) -> npt.NDArray[np.bool_]:
    """Whether a closed path (P, 2) winds around each point (U, 2): the angles that it turns through add up to a full turn."""
    rays = path[None, :, :] - points[:, None, :]  # (U, P, 2)
    angles = np.unwrap(np.arctan2(rays[..., 1], rays[..., 0]), axis=1)  # (U, P)
    return np.abs(angles[:, -1] - angles[:, 0]) > np.pi


def draw(page: Page, axes: list[float]) -> Points:
    """Draw a lasso around the middle of the map and return its path (P, 2) in pixels."""
    left, top, width, height = axes[:4]
    turn = np.linspace(0, 2 * np.pi, 49)
    radius = min(width, height) * (0.3 + 0.06 * np.sin(5 * turn))  # no hand draws a circle
    path: Points = np.column_stack([left + width / 2 + radius * np.cos(turn), top + height / 2 + radius * np.sin(turn)])
    page.mouse.move(*path[0])
    page.mouse.down()
    for x, y in path[1:]:
        page.mouse.move(x, y)
    page.mouse.up()
    return path


def ids(download: Download, path: Path) -> list[str]:
    """Save a downloaded CSV and return its user ids."""
    download.save_as(path)
    with path.open(encoding="utf-8-sig", newline="") as stream:
        return [row["user_id"] for row in csv.DictReader(stream)]


def test_a_lasso_drawn_by_hand_selects_saves_and_exports_the_same_shoppers(
    address: str, home: Path, window: Callable[[], Page], tmp_path: Path
) -> None:
    page = window()
    page.goto(f"{address}/map?dataset=known")
    expect(page.get_by_text(f"{SHOPPERS} of {SHOPPERS} shoppers are drawn.")).to_be_visible()
    expect(page.locator(".js-plotly-plot .scatterlayer path.point").first).to_be_visible()
    page.wait_for_timeout(1000)  # the map takes its last width
    said = page.get_by_text(re.compile(r"^\d+ shoppers selected"))
    for _attempt in range(3):  # on a busy machine the map may be drawn anew under the hand
        axes = page.locator(".js-plotly-plot").first.evaluate(AXES)
        path = draw(page, axes)
        with suppress(AssertionError):
            expect(said).to_be_visible(timeout=20_000)
            break
    left, top, width, height, x0, x1, y0, y1 = axes
    expect(said).to_be_visible()
    count = int(str(said.text_content()).split()[0])
    assert 0 < count < SHOPPERS

    table = pq.read_table(Home(home).dataset("known").run_path("atlas") / "users.parquet").to_pandas()
    pixels = np.column_stack([left + (table["x"] - x0) / (x1 - x0) * width, top + (y1 - table["y"]) / (y1 - y0) * height])
    line = np.concatenate([np.linspace(a, b, 200) for a, b in pairwise(path)])
    near = np.linalg.norm(pixels[:, None, :] - line[None, :, :], axis=2).min(axis=1) < EDGE_PX
    inside = winds_around(pixels, line)
    with page.expect_download() as waiting:
        page.locator(".st-key-csv-selection button").click()
    selected = ids(waiting.value, tmp_path / "selection.csv")
    assert len(selected) == count
    assert set(table["user_id"][inside & ~near]) <= set(selected) <= set(table["user_id"][inside | near])

    page.get_by_role("button", name="Save as audience").first.click()
    expect(page.get_by_text("Saved. It stands on the page Audiences.")).to_be_visible()
    page.get_by_role("link", name="Audiences", exact=True).click()
    expect(page.get_by_text(re.compile(rf"Selection on the map · {count} shoppers when saved"))).to_be_visible()
    page.locator(".st-key-export-0 button").click()  # of the saved one; the builder above has a button of the same name
    page.get_by_role("button", name="Download CSV ·").wait_for()
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Download CSV ·").click()
    exported = ids(waiting.value, tmp_path / "audience.csv")
    assert 0.75 * count < len(exported) <= count and set(exported) <= set(selected), "a tenth stays out as holdout"
