"""What the Map page of many shoppers sends to the browser, and how long a lasso takes until its size is on screen.

    python -m benchmarks.bench_map_page [--users 100000] [--planted] [--home FOLDER] [--shots FOLDER]

A synthetic log of shoppers of a few tastes and rhythms goes through the real pipeline (ingest, counted profiles, map); with
`--planted` places and segments are the planted ones, only what is told of them is computed. The dashboard is started on it,
and Chromium opens the page and draws a lasso by hand. Bytes are those of the web socket; the count on screen is compared with a
count by winding numbers over the published coordinates. A FOLDER that holds the log is used again.
"""

import argparse
import math
import os
import re
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq

from core.artifacts import write_table
from core.atlas.options import AtlasOptions
from core.atlas.telling import tell_segments
from core.store import Home

TASTES, ITEMS = 12, 40
AXES = """plot => {
    const at = document.querySelector('.nsewdrag').getBoundingClientRect(), {xaxis, yaxis} = plot._fullLayout;
    return [at.left, at.top, xaxis._length, yaxis._length, ...xaxis.range, ...yaxis.range];
}"""
FLAGS = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]


def write_log(folder: Path, users: int) -> tuple[Path, Path]:
    """Write events and a catalogue: each shopper has a taste, a rhythm and a readiness to buy; about five events each."""
    rng = np.random.default_rng(0)
    taste = tastes_of(users, rng)
    number = 1 + rng.poisson(rng.choice([1.5, 4, 9], size=users, p=[0.5, 0.35, 0.15]))
    who = np.repeat(np.arange(users), number)
    own = rng.random(len(who)) < 0.8
    item = np.where(own, taste[who], rng.integers(0, TASTES, len(who))) * ITEMS + (rng.beta(0.7, 2, len(who)) * ITEMS).astype(np.int64)
    start, span = rng.uniform(0, 150, users), rng.exponential(25, users)
    day = np.minimum(start[who] + rng.random(len(who)) * span[who], 179.9)
    kind = np.where(rng.random(len(who)) < np.where(taste[who] % 3 == 0, 0.35, 0.1), "purchase", "view")
    price = 5 + (item * 37 % 90)
    events = pa.table({
        "user_id": pa.array([f"s{n:07d}" for n in who.tolist()]), "item_id": pa.array([f"i{n:03d}" for n in item.tolist()]),
        "event_type": pa.array(kind), "event_time": pa.array((1_704_067_200 + day * 86_400).astype(np.int64)),
        "price": pa.array(price.astype(np.float64)),
    })  # fmt: skip
    names = [f"Category {chr(65 + n // ITEMS)}" for n in range(TASTES * ITEMS)]
    items = pa.table({
        "item_id": [f"i{n:03d}" for n in range(TASTES * ITEMS)], "title": [f"Thing {n}" for n in range(TASTES * ITEMS)], "category": names,
    })  # fmt: skip
    pq.write_table(events, folder / "events.parquet")
    pq.write_table(items, folder / "items.parquet")
    return folder / "events.parquet", folder / "items.parquet"


def tastes_of(users: int, rng: np.random.Generator) -> np.ndarray:
    """The taste of each shopper (U,), of geometric sizes."""
    weights = 0.85 ** np.arange(TASTES)
    return rng.choice(TASTES, size=users, p=weights / weights.sum())


def publish_planted(home: Path, dataset: str, users: int) -> None:
    """Publish a map whose segments are the tastes, each of two halves; traits, figures and leanings are those of the log."""
    began, target = time.process_time(), Home(home).dataset(dataset)
    log, rng = target.log(), np.random.default_rng(0)
    taste = tastes_of(users, rng)
    with log.history() as connection:
        seen = connection.execute("SELECT DISTINCT user_id FROM history ORDER BY user_id").fetchnumpy()["user_id"].astype(str).tolist()
        taste = taste[[int(user[1:]) for user in seen]]
        half = (rng.random(len(seen)) < 0.4).astype(np.int64)
        centres = rng.uniform(-9, 9, (TASTES, 2))
        places = centres[taste] + rng.normal(size=(len(seen), 2)) * 1.2 + half[:, None] * 1.5
        segment, part = (taste + 1).astype(np.int32), (2 * taste + half + 1).astype(np.int32)
        named, part = tell_segments(
            seen, segment, part, np.full(len(seen), 0.9), pa.table({"user_id": seen}), connection, log.until, AtlasOptions(), None, {}
        )
    with target.new_run("atlas", inputs={"version": target.version_path().name}, config={"planted": True}, cutoff=None) as draft:
        table = {"user_id": seen, "x": places[:, 0], "y": places[:, 1], "segment_id": segment, "certainty": np.full(len(seen), 0.9)}
        write_table(draft.path / "users.parquet", pa.table(table | {"subsegment_id": part}))
        for name, rows in named.items():
            write_table(draft.path / f"{name}.parquet", rows)
        draft.record |= {"as_of": log.until.isoformat(), "metrics": {"users": len(seen)}}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    print(f"traits, figures and leanings: {time.process_time() - began:.1f} CPU s, peak {peak:,.0f} MB", flush=True)


def prepare(home: Path, dataset: str, users: int, *, planted: bool) -> None:
    """Publish the log and its map, each step in a process of its own, and say what it cost."""
    home.mkdir(parents=True, exist_ok=True)
    if dataset in Home(home).datasets() and "atlas" in Home(home).dataset(dataset).current()["runs"]:
        return
    events, items = write_log(home, users)
    for verb in (["ingest", "--events", str(events), "--items", str(items)], ["map", "--blocks", "counts"])[: 1 if planted else 2]:
        command = [sys.executable, "-m", "core", verb[0], "--home", str(home), "--dataset", dataset, *verb[1:], "--json"]
        told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        cost = {key: re.search(rf'"{key}": ([\d.]+)', told) for key in ("cpu_seconds", "peak_mb")}
        print(f"{verb[0]}: " + ", ".join(f"{key} {found.group(1)}" for key, found in cost.items() if found), flush=True)
    if planted:
        publish_planted(home, dataset, users)
    events.unlink()
    items.unlink()


def winds_around(x: np.ndarray, y: np.ndarray, path: np.ndarray) -> np.ndarray:
    """Whether a closed path (P, 2) winds around each point (U,): the angles that it turns through add up to a full turn."""
    turned = np.zeros(len(x))
    for (x1, y1), (x2, y2) in zip(path, np.roll(path, -1, axis=0), strict=True):
        one, two = np.arctan2(y1 - y, x1 - x), np.arctan2(y2 - y, x2 - x)
        turned += (two - one + np.pi) % (2 * np.pi) - np.pi
    return np.abs(turned) > np.pi


def look(address: str, home: Path, dataset: str, server: psutil.Process, shots: Path | None) -> None:
    """Open the page, draw a lasso, print bytes, seconds and both counts."""
    from playwright.sync_api import sync_playwright

    executable = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=FLAGS)
        page = browser.new_page(viewport={"width": 1440, "height": 1100})
        page.set_default_timeout(300_000)
        received = [0]
        page.on("websocket", lambda ws: ws.on("framereceived", lambda frame: received.__setitem__(0, received[0] + len(frame))))
        for visit in ("first visit", "second visit"):
            received[0], began = 0, time.perf_counter()
            page.goto(f"{address}/map?dataset={dataset}")
            page.locator(".js-plotly-plot .nsewdrag").first.wait_for()
            page.get_by_text("How far this map can be trusted").wait_for()
            page.wait_for_timeout(3000)
            print(f"{visit}: {received[0] / 1e6:.2f} MB through the web socket, {time.perf_counter() - began - 3:.1f} s", flush=True)
        print(page.get_by_text("shoppers are drawn.").first.text_content())
        if shots:
            page.screenshot(path=shots / f"{dataset}.png")
        left, top, width, height, x0, x1, y0, y1 = page.locator(".js-plotly-plot").first.evaluate(AXES)
        turn = np.linspace(0, 2 * math.pi, 49)
        radius = min(width, height) * (0.3 + 0.05 * np.sin(5 * turn))
        path = np.column_stack([left + width / 2 + radius * np.cos(turn), top + height / 2 + radius * np.sin(turn)])
        page.mouse.move(*path[0])
        page.mouse.down()
        for x, y in path[1:]:
            page.mouse.move(x, y)
        received[0], began, busy = 0, time.perf_counter(), sum(server.cpu_times()[:2])
        page.mouse.up()
        said = page.get_by_text(re.compile(r"^[\d,]+ shoppers selected")).first
        said.wait_for()
        seconds, busy = time.perf_counter() - began, sum(server.cpu_times()[:2]) - busy
        count = int(str(said.text_content()).split()[0].replace(",", ""))
        page.wait_for_timeout(2500)
        print(f"lasso to size: {seconds:.2f} s ({busy:.2f} CPU s of the server), {received[0] / 1e6:.2f} MB; {count:,} shoppers selected")
        table = pq.read_table(Home(home).dataset(dataset).run_path("atlas") / "users.parquet", columns=["x", "y"])
        places = table["x"].to_numpy(), table["y"].to_numpy()
        kept = page.locator(".js-plotly-plot").first.evaluate("plot => (plot.layout.selections || [])[0]?.path || ''")
        corners = np.array([[float(n) for n in pair.split(",")] for pair in re.findall(r"-?[\d.e+-]+,-?[\d.e+-]+", kept)])
        if len(corners):
            print(f"counted by winding numbers around the shape that the browser kept: {int(winds_around(*places, corners).sum()):,}")
        drawn = np.column_stack([x0 + (path[:, 0] - left) / width * (x1 - x0), y1 - (path[:, 1] - top) / height * (y1 - y0)])
        print(
            f"around the line of the hand, which the browser smooths by up to 1.5 pixels: {int(winds_around(*places, drawn[:-1]).sum()):,}"
        )
        if shots:
            page.set_viewport_size({"width": 1440, "height": 2600})
            page.wait_for_timeout(3000)
            page.screenshot(path=shots / f"{dataset}_lasso.png")
        browser.close()


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--users", type=int, default=100_000)
    arguments.add_argument("--planted", action="store_true")
    arguments.add_argument("--home", type=Path)
    arguments.add_argument("--shots", type=Path)
    chosen = arguments.parse_args()
    dataset = f"shoppers_{chosen.users}"
    with tempfile.TemporaryDirectory() as scratch:
        home = (chosen.home or Path(scratch) / "home").resolve()
        prepare(home, dataset, chosen.users, planted=chosen.planted)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.address", "127.0.0.1", "--server.port", str(port)]
        environment = {**os.environ, "SHOPPER_ATLAS_HOME": str(home)}
        server = subprocess.Popen(
            [*command, "--server.headless", "true"], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            address = f"http://127.0.0.1:{port}"
            for _attempt in range(240):
                try:
                    urllib.request.urlopen(f"{address}/_stcore/health", timeout=1).close()
                    break
                except OSError:
                    time.sleep(0.25)
            look(address, home, dataset, psutil.Process(server.pid), chosen.shots)
            print(f"server: {psutil.Process(server.pid).memory_info().rss / 2**20:,.0f} MB")
        finally:
            server.terminate()
            server.wait(20)


if __name__ == "__main__":
    main()
