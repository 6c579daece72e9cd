"""The Why page by hand: two questions of one history, and both answers stay in sight."""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from core.artifacts import read_table
from tests.browser.conftest import serve
from tests.kept_worlds import kept_shop

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(180)]


def test_a_scored_history_stays_open_below_another_answer(tmp_path: Path, window: Callable[[], Page]) -> None:
    dataset = kept_shop(tmp_path / "home")
    user = read_table(dataset.run_path("propensity") / "scores.parquet")["user_id"][0].as_py()
    with serve(tmp_path / "home") as address:
        page = window()
        page.goto(f"{address}/why?dataset={dataset.name}&user={user}")
        page.get_by_role("button", name="What would lift this chance most?").click()
        expect(page.get_by_text("New acts are set an hour before the cutoff.", exact=False)).to_be_visible()
        page.get_by_text("Score a history of your own").click()
        page.get_by_role("button", name="Score this history").click()
        expect(page.get_by_text("Acts read")).to_be_visible()
        expect(page.get_by_text("As of ", exact=False).last).to_be_visible()
        expect(page.get_by_text("New acts are set an hour before the cutoff.", exact=False)).to_be_visible()
