"""Time and memory of the whole chain, from raw files to recommendations for every shopper.

    python -m benchmarks.bench_chain --events transactions.parquet --items products.parquet --users demographics.parquet
    python -m benchmarks.bench_chain                     # the bundled grocery sample
    python -m benchmarks.bench_chain --screen            # also the memory of the screen process with one open session

Each run starts from an empty home and a new process, so caches of earlier runs do not help. Peak memory is the largest of
the worker's own resident size (`ru_maxrss`).
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parent.parent
SAMPLE = ROOT / "data" / "sample" / "grocery"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", nargs="+")
    parser.add_argument("--items")
    parser.add_argument("--users")
    parser.add_argument("--map")
    parser.add_argument("--keep", metavar="HOME", help="work in this home and leave it there")
    parser.add_argument("--screen", action="store_true", help="open the dashboard in Chromium and read the server's memory")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        home = Path(arguments.keep or scratch)
        result = run_chain(home, arguments)
        total = sum(stage["seconds"] for stage in result["stages"])
        print(f"{'stage':<16}{'seconds':>9}{'share':>8}{'peak MB':>9}")
        for stage in result["stages"]:
            print(f"{stage['stage']:<16}{stage['seconds']:>9.1f}{stage['seconds'] / total:>8.1%}{stage['peak_mb']:>9.0f}")
        print(f"{'whole run':<16}{result['wall']:>9.1f}{'':>8}{result['peak']:>9.0f}   ({result['cpu']:.0f} CPU s, {os.cpu_count()} cores)")
        if arguments.screen:
            print(f"screen process with one session: {screen_memory(home):.0f} MB")


def run_chain(home: Path, arguments: argparse.Namespace) -> dict:
    """Run `python -m core run` in its own process and return its stages, wall and CPU seconds and peak MB."""
    files = ["--events", *arguments.events] if arguments.events else ["--events", str(SAMPLE / "events.parquet")]
    for option, value in (("--items", arguments.items), ("--users", arguments.users), ("--map", arguments.map)):
        files += [option, value] if value else []
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "core", "run", "--home", str(home), "--dataset", "bench", "--json", *files],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        check=True,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "stages": json.loads(done.stdout)["stages"],
        "wall": time.monotonic() - began,
        "cpu": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        "peak": after.ru_maxrss / 1024,
    }


def screen_memory(home: Path) -> float:
    """Resident MB of the dashboard's server after one browser has opened the overview and the map."""
    from playwright.sync_api import Error as BrowserError
    from playwright.sync_api import sync_playwright

    port = 8599
    server = subprocess.Popen(
        [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(port), "--server.headless", "true"],
        cwd=ROOT,
        env={**os.environ, "SHOPPER_ATLAS_HOME": str(home)},
        stdout=subprocess.DEVNULL,
    )
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu"])
            page = browser.new_page()
            for path in ("", "map"):
                for _ in range(60):
                    try:
                        page.goto(f"http://127.0.0.1:{port}/{path}?dataset=bench", timeout=20_000)
                        break
                    except BrowserError:  # the server is still starting
                        time.sleep(0.5)
                page.wait_for_selector(".js-plotly-plot", timeout=60_000)
                time.sleep(3)
            memory = psutil.Process(server.pid).memory_info().rss / 2**20
            browser.close()
        return memory
    finally:
        server.terminate()
        server.wait()


if __name__ == "__main__":
    main()
