"""Seconds until a browser shows Overview after the server was started anew.

    python -m benchmarks.bench_first_view --home HOME --dataset big              # a fresh browser each time, five restarts
    python -m benchmarks.bench_first_view --home HOME --dataset big --open       # a browser that stays open; its first view is told apart
    python -m benchmarks.bench_first_view --home HOME --dataset big --against OTHER_CHECKOUT     # in turns with other code

Counted from the moment at which the address is opened, eight seconds after the server answered for the first time: *figures* (all tiles),
*chart* (the first one, with its line) and *all* (every chart, nothing running), each after the frame in which it was drawn. No debugger
watches scripts meanwhile: under one, the browser reads plotly's code several times, and the chart comes a second later.
"""

import argparse
import asyncio
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import Any

import websockets

ROOT = Path(__file__).resolve().parent.parent
SERVER, DEBUGGER = 8790, 9390
HEAD_START = 8.0
"""Seconds between the start of the server and the visit."""
STARTING = 3.0
"""Seconds in which a new browser makes its profile and its processes: nobody opens an address before."""
LATEST = 60.0
MARKS = {
    "figures": """document.querySelectorAll('[class*="st-key-tiles-figures"] [data-testid="stMetricValue"]').length >= 4""",
    "chart": """document.querySelector('[class*="st-key-chart-trend"] .js-plotly-plot :is(.scatterlayer, .barlayer) path')""",
    "all": """document.querySelectorAll('.js-plotly-plot .main-svg').length >= 9
        && document.querySelector('[data-testid="stApp"]')?.getAttribute('data-test-script-state') === 'notRunning'""",
}
WATCH = """
(() => {
  const marks = {MARKS};
  window.__drawn = {};
  const look = () => {
    for (const mark in marks) if (!(mark in window.__drawn) && marks[mark]()) {
      window.__drawn[mark] = null;
      setTimeout(() => { window.__drawn[mark] = performance.now() / 1000; }, 0);
    }
    requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
})();
""".replace("MARKS", ", ".join(f"{name}: () => {test}" for name, test in MARKS.items()))


class Browser:
    """A Chromium without a window and with a profile of its own."""

    def __init__(self, port: int) -> None:
        program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
        if program is None:
            raise SystemExit("Chromium is not there: make browser")
        self._port, self._profile = port, tempfile.mkdtemp()
        options = ["--headless=new", "--no-sandbox", f"--remote-debugging-port={port}", f"--user-data-dir={self._profile}", "about:blank"]
        self._process = subprocess.Popen([program, *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(STARTING)

    def visit(self, address: str) -> dict[str, float]:
        """Open the address in a new tab and return when each of MARKS was drawn, in seconds."""
        return asyncio.run(self._visit(address))

    async def _visit(self, address: str) -> dict[str, float]:
        tab = f"http://127.0.0.1:{self._port}/json/new?about:blank"
        for _attempt in range(100):
            with suppress(OSError):
                opened = json.load(urllib.request.urlopen(urllib.request.Request(tab, method="PUT")))
                break
            await asyncio.sleep(0.1)
        async with websockets.connect(opened["webSocketDebuggerUrl"], max_size=None) as socket:
            number = 0

            async def call(method: str, **parameters: Any) -> dict[str, Any]:
                nonlocal number
                number += 1
                await socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
                while (answer := json.loads(await socket.recv())).get("id") != number:
                    pass
                return dict(answer.get("result", {}))

            await call("Page.enable")
            await call("Page.addScriptToEvaluateOnNewDocument", source=WATCH)
            await call("Emulation.setDeviceMetricsOverride", width=1400, height=900, deviceScaleFactor=1, mobile=False)
            began = time.monotonic()
            await call("Page.navigate", url=address)
            await asyncio.sleep(6)  # nobody asks the browser anything while it draws
            while True:
                told = await call("Runtime.evaluate", expression="JSON.stringify(window.__drawn)")
                drawn: dict[str, float] = json.loads(told["result"]["value"])
                if (len(drawn) == len(MARKS) and all(drawn.values())) or time.monotonic() - began > LATEST:
                    break
                await asyncio.sleep(1)
            await call("Page.close")
        return drawn

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        shutil.rmtree(self._profile, ignore_errors=True)


def serve(code: Path, home: Path, port: int) -> subprocess.Popen[bytes]:
    """Start a server of the code in a folder, and wait until it answers and HEAD_START is over."""
    command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(port), "--server.headless", "true"]
    environment = {**os.environ, "SHOPPER_ATLAS_HOME": str(home.resolve())}
    server = subprocess.Popen(
        command, cwd=code, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    while True:
        with suppress(OSError):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health").read()
            break
        time.sleep(0.1)
    time.sleep(HEAD_START)
    return server


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--open", action="store_true", help="keep one browser for all visits")
    parser.add_argument("--against", type=Path, help="another checkout, whose server takes its turns")
    arguments = parser.parse_args()
    codes = [*([arguments.against] if arguments.against else []), ROOT]
    seen: dict[Path, list[dict[str, float]]] = {code: [] for code in codes}
    kept: dict[Path, Browser] = {}
    for number in range(arguments.rounds + arguments.open):
        for place, code in enumerate(codes):
            server = serve(code, arguments.home, SERVER + place)
            browser = kept.pop(code, None) or Browser(DEBUGGER + place)
            drawn = browser.visit(f"http://127.0.0.1:{SERVER + place}/overview?dataset={arguments.dataset}")
            first = arguments.open and not number
            print(f"{code.name}:", ", ".join(f"{mark} {drawn[mark]:.2f}" for mark in MARKS), "(its first view)" * first, flush=True)
            if not first:
                seen[code].append(drawn)
            if arguments.open:
                kept[code] = browser
            else:
                browser.close()
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()
    for browser in kept.values():
        browser.close()
    for code, views in seen.items():
        for mark in MARKS:
            times = [view[mark] for view in views]
            print(f"{code.name}, {mark}: median {statistics.median(times):.2f} s ({min(times):.2f} to {max(times):.2f})")


if __name__ == "__main__":
    main()
