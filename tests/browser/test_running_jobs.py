"""Long work seen from browsers: it survives a refresh, and a second window sees it and may cancel it."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from core.artifacts import is_whole
from core.jobs import Job, list_jobs
from core.store import Home
from tests.browser.conftest import FEW_SHOPPERS, SHOPPERS

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(400)]
PATIENCE = 240_000


def jobs_of(home: Path, dataset: str) -> list[Job]:
    return [job for job in list_jobs(Home(home)) if dataset in job.argv]


def compute(page: Page) -> None:
    """Press the button of the Data page that computes everything, and wait for the panel of its job."""
    page.get_by_role("button", name="Compute everything").click()
    expect(page.get_by_role("button", name="Cancel", exact=True)).to_be_visible()


def test_a_refresh_in_the_middle_of_a_job_loses_neither_the_job_nor_its_result(
    address: str, home: Path, window: Callable[[], Page]
) -> None:
    page = window()
    page.goto(f"{address}/?dataset=fresh")
    compute(page)
    expect(page.get_by_text("encoding shoppers")).to_be_visible()

    page.reload()
    expect(page.get_by_role("button", name="Cancel", exact=True)).to_be_visible()
    expect(page.get_by_role("progressbar")).to_be_visible()
    (job,) = jobs_of(home, "fresh")
    assert job.is_live, "it was reloaded in the middle"

    expect(page.get_by_role("button", name="Cancel", exact=True)).to_have_count(0, timeout=PATIENCE)
    (job,) = jobs_of(home, "fresh")
    assert job.state == "done"
    expect(page.get_by_text("The log is ready.")).to_have_count(0)
    page.get_by_role("link", name="Map", exact=True).click()
    expect(page.get_by_text(f"{FEW_SHOPPERS} of {FEW_SHOPPERS} shoppers are drawn.")).to_be_visible()


def test_a_second_window_sees_a_running_job_and_cancels_it_and_the_last_good_result_stays(
    address: str, home: Path, window: Callable[[], Page]
) -> None:
    first, second = window(), window()
    before = Home(home).dataset("known").current()
    first.goto(f"{address}/?dataset=known")
    second.goto(f"{address}/overview?dataset=known")
    expect(second.get_by_role("heading", name="Overview", exact=True)).to_be_visible()
    compute(first)

    second.get_by_role("link", name="Map", exact=True).click()
    expect(second.get_by_text("Computing known").first).to_be_visible()
    button = second.get_by_role("button", name="Cancel", exact=True)
    for _attempt in range(3):  # on a busy machine the panel may be drawn anew under the click
        button.click()
        with suppress(AssertionError):
            expect(button).to_have_count(0, timeout=20_000)
            break
    for page in (second, first):
        expect(page.get_by_text("Computing known – cancelled")).to_be_visible()
        expect(page.get_by_role("button", name="Cancel", exact=True)).to_have_count(0)
    assert [job.state for job in jobs_of(home, "known")] == ["cancelled"]

    dataset = Home(home).dataset("known")
    after = dataset.current()
    assert after["version"] == before["version"] and after["runs"].keys() == before["runs"].keys()
    for kind, run in after["runs"].items():  # a stage that had ended before the cancel stands, whole
        assert is_whole(dataset.run_path(kind, run))
    expect(second.get_by_text(f"{SHOPPERS} of {SHOPPERS} shoppers are drawn.")).to_be_visible()
    expect(first.get_by_text("The last good result stays on screen.")).to_be_visible()
    first.get_by_role("button", name="Dismiss").click()
    expect(first.get_by_text("cancelled")).to_have_count(0)
    expect(first.get_by_role("button", name="Compute everything")).to_be_enabled()
