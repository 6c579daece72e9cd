"""One Chromium for all browser tests, servers of their own home, and one prepared home that the tests of a file share."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from core.artifacts import write_json
from core.store import CURRENT, Home
from tests.page_worlds import publish_runs
from tests.worlds import at, publish_world

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--no-first-run"]
SHOPPERS = 240
FEW_SHOPPERS = 180
"""Too few for segments, so that no picture is laid out: to compute everything takes half the time."""


def publish_shop(home: Path, dataset: str, shoppers: int = SHOPPERS) -> list[str]:
    """Publish shoppers of two tastes over 40 days: enough for a map, chances and lists; returns their ids."""
    rng = np.random.default_rng(3)
    events = []
    for user in range(shoppers):
        for _visit in range(6):
            day, item = float(rng.uniform(0, 40)), int(rng.integers(0, 50)) + 50 * (user % 2)
            for step, kind in enumerate(("view", "cart", "purchase")[: int(rng.integers(1, 4))]):
                row = {"user_id": f"u{user:03d}", "item_id": f"i{item}", "event_type": kind, "event_time": at(day + step / 1440)}
                events.append(row | ({"revenue": 10, "price": 10, "quantity": 1} if kind == "purchase" else {}))
    items = [{"item_id": f"i{n}", "title": f"Thing {n}", "category": f"C{n // 25}", "price": 5 + n} for n in range(100)]
    publish_world(home, events, items, dataset=dataset)
    return [f"u{user:03d}" for user in range(shoppers)]


def forget_run(home: Path, dataset: str, kind: str) -> None:
    """Take a run off the screen, as if its stage had never run."""
    target = Home(home).dataset(dataset)
    pointers = target.current()
    shutil.rmtree(target.run_path(kind))
    del pointers["runs"][kind]
    write_json(target.path / CURRENT, pointers)


@contextmanager
def serve(home: Path) -> Iterator[str]:
    """Run the dashboard on a home of its own; gives its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {**os.environ, "SHOPPER_ATLAS_HOME": str(home), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(port)]
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    try:
        for _attempt in range(240):
            try:
                with urllib.request.urlopen(f"{address}/_stcore/health", timeout=1):
                    break
            except OSError:
                time.sleep(0.25)
        yield address
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine; set CHROMIUM to one")
    expect.set_options(timeout=60_000)  # the page shares two cores with other processes of tests
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def window(chromium: Browser) -> Iterator[Callable[[], Page]]:
    """Open a browser window with cookies and storage of its own; all are closed after the test."""
    with ExitStack() as opened:

        def fresh() -> Page:
            context = opened.enter_context(chromium.new_context(viewport={"width": 1440, "height": 1100}, accept_downloads=True))
            context.set_default_timeout(60_000)
            return context.new_page()

        yield fresh


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """A cold server on the empty home `tmp_path / "home"`."""
    with serve(tmp_path / "home") as address:
        yield address


@pytest.fixture(scope="package")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with the data sets `fresh` (nothing computed) and `known` (computed, but for its recommendations)."""
    folder = tmp_path_factory.mktemp("browser") / "home"
    publish_shop(folder, "fresh", FEW_SHOPPERS)
    publish_runs(folder, publish_shop(folder, "known"), "known")
    forget_run(folder, "known", "recommendations")
    return folder


@pytest.fixture(scope="package")
def address(home: Path) -> Iterator[str]:
    """The address of one server on the prepared home."""
    with serve(home) as address:
        yield address
