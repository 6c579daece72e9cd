"""How long a stage will take and how much memory, before it is started.

A formula of the log's size and the blocks of the profile, in seconds of the machine it was measured on; scaled to this one by a
quick probe, and from the first run on by this home's own runs. Light, as `screens` is: nothing is loaded but DuckDB.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from statistics import median
from typing import Any

import numpy as np

from core.errors import CoreError
from core.pipeline.encoding import options_in_use
from core.pipeline.screens import Screen
from core.pipeline.telling import Result
from core.store import Dataset, Home, fetch

SIGNS_PER_TOKEN = 4.0
"""Of a catalogue's text, by and large; Chinese has fewer, and its model is the slower one."""
KINDS = ("profiles", "atlas", "recommendations", "propensity")
BOUNDS = (0.2, 5.0)
"""A machine is taken for so many times slower at most, whatever one odd run says."""
SIZE_SQL = """
WITH texts AS (SELECT DISTINCT title, category, brand, description FROM catalogue)
SELECT (SELECT count(*) FROM history) AS events, (SELECT count(*) FROM users) AS users, (SELECT count(*) FROM catalogue) AS items,
       (SELECT count(DISTINCT image) FROM catalogue) AS pictures,
       (SELECT coalesce(sum(length(concat_ws(' ', title, category, brand, description))), 0)::DOUBLE FROM texts) AS signs
"""


@dataclass(frozen=True)
class Size:
    """What the cost of a stage depends on."""

    events: int
    users: int
    items: int
    tokens: float
    """Of all distinct item texts."""
    pictures: int = 0
    """Different ones that the catalogue names."""


@dataclass(frozen=True)
class Estimate:
    """What stages will cost on this machine."""

    seconds: float
    """On a clock, with nothing else on the machine."""
    cpu_seconds: float
    """Of its processors, all threads together."""
    peak_mb: float
    runs: int
    """Earlier runs of this home that set the formula right; 0: a quick probe of the machine did."""


PROBE_CPU_SECONDS = 0.0215
"""What `_probe` took on the machine of the formulas: two cores, AVX2, no GPU."""
TEXT_BLOCKS = ("text", "narrative")
"""Encoded on two threads; what else a profile holds is computed on one."""
NARRATIVE_TOKENS = 64
"""At most, of a shopper's history told as a text."""
_BLOCK_CPU: Mapping[str, Callable[[Size], float]] = {
    "counts": lambda size: 5 + 5e-6 * size.events,
    "text": lambda size: 4 + size.tokens / 4_000,
    "sequence": lambda size: 2 + 5.5e-4 * size.events,  # three passes over the acts
    "graph": lambda size: 2 + 2e-5 * size.events,
    "narrative": lambda size: min(NARRATIVE_TOKENS * size.users, 8 * size.events) / 4_000,
    "image": lambda size: 2 + 0.02 * size.pictures,
    "facts": lambda size: 0.5 + 2e-6 * size.events,
    "ids": lambda size: 0.3 + 2e-6 * size.events,
}
"""Processor seconds of each block, from the manifests of runs on 6 to 1.5 million events."""
_SECONDS: Mapping[str, Callable[[Size], float]] = {
    "atlas": lambda size: 8 + 2e-6 * size.events + 2e-3 * size.users,
    "recommendations": lambda size: 40 + 4e-5 * size.events + 1e-3 * size.items + 3e-3 * size.users,
    # the last term is the chance by category, learned from at most a million pairs of a hundred categories at four cutoffs
    "propensity": lambda size: 40 + 1.2e-5 * size.events + 5e-3 * size.users + 2e-4 * min(1e6, 400 * size.users),
}
"""Seconds of the other stages on two cores without a GPU, from the samples and Complete Journey (`benchmarks/bench_chain.py`)."""
_PEAK_MB: Mapping[str, Callable[[Size], float]] = {
    "profiles": lambda size: 700 + 1e-4 * size.events + 0.01 * size.users,
    "atlas": lambda size: 900 + 1e-4 * size.events + 0.02 * size.users,
    "recommendations": lambda size: 1_200 + 4e-4 * size.events + 0.01 * size.users,
    "propensity": lambda size: 1_200 + 4e-4 * size.events + 0.02 * size.users,
}


def size_of(screen: Screen) -> Size:
    """Count the pinned version; an import before it is asked again is a new question."""
    with screen.log.history() as connection:
        row = fetch(connection, SIZE_SQL).to_pylist()[0]
    return Size(row["events"], row["users"], row["items"], row["signs"] / SIGNS_PER_TOKEN, row["pictures"])


def estimate(screen: Screen, kinds: tuple[str, ...] = KINDS, blocks: tuple[str, ...] | None = None) -> Estimate:
    """Estimate the stages of these kinds, one after the other in one process.

    Texts whose vectors are kept already cost nothing, which is not looked up here: the estimate is that of a first run.

    Args:
        screen: What to read.
        kinds: Of KINDS.
        blocks: Of the profile; None: those of the profiles on screen.
    """
    size, home = size_of(screen), Home(screen.home)
    blocks = options_in_use(screen.dataset).blocks if blocks is None else blocks
    seconds, cpu_seconds, runs = 0.0, 0.0, 0
    for kind in kinds:
        ratios = list(_ratios(home, kind))
        runs += len(ratios)
        scale = min(max(median(ratios), BOUNDS[0]), BOUNDS[1]) if ratios else 1.0
        seconds += scale * _cost(kind, size, blocks, on_clock=True)
        cpu_seconds += scale * _cost(kind, size, blocks)
    return Estimate(seconds, cpu_seconds, max(_PEAK_MB[kind](size) for kind in kinds), runs)


def estimates(screen: Screen, blocks: tuple[str, ...] | None = None) -> Result:
    """Return the estimate of each stage and of all together, for the command line."""
    chosen = options_in_use(screen.dataset).blocks if blocks is None else blocks
    asked = {**{kind: (kind,) for kind in KINDS}, "all": KINDS}
    found = {name: estimate(screen, kinds, chosen) for name, kinds in asked.items()}
    stages = {
        name: {"seconds": round(e.seconds), "cpu_seconds": round(e.cpu_seconds), "peak_mb": round(e.peak_mb), "runs": e.runs}
        for name, e in found.items()
    }
    return {"dataset": screen.name, "blocks": list(chosen), "stages": stages, "warnings": []}


def _cost(kind: str, size: Size, blocks: tuple[str, ...], *, on_clock: bool = False) -> float:
    """Processor seconds of a stage by the formula, on this machine as the probe finds it; on a clock, threads share the texts."""
    if kind != "profiles":
        return _probe() * _SECONDS[kind](size)
    wanted = {"counts", *blocks} & set(_BLOCK_CPU)
    return _probe() * sum(_BLOCK_CPU[block](size) / (2 if on_clock and block in TEXT_BLOCKS else 1) for block in sorted(wanted))


@lru_cache(maxsize=1)
def _probe() -> float:
    """How many times longer this machine takes for a sort and an exponential than the one of the formulas, within BOUNDS."""
    values, times = np.random.default_rng(0).random(1 << 20), []
    for _ in range(4):  # others on the machine can only make it slower
        began = time.process_time()
        np.exp(np.sort(values))
        times.append(time.process_time() - began)
    return min(max(min(times) / PROBE_CPU_SECONDS, BOUNDS[0]), BOUNDS[1])


def _ratios(home: Home, kind: str) -> Iterator[float]:
    """How many times longer than by the formula the first run of a kind took, for each dataset; later ones find vectors kept.

    Processor seconds are compared, so that other work on the machine counts little; runs of older releases tell only the clock's.
    """
    for name in home.datasets():
        dataset = home.dataset(name)
        for run_id in dataset.runs(kind)[:1]:
            try:
                record = dataset.run_manifest(kind, run_id)
                blocks = tuple((record.get("config") or {}).get("blocks") or ())
                on_clock = not record.get("cpu_seconds")
                ratio = float(record.get("cpu_seconds") or record["seconds"]) / _cost(
                    kind, _size_then(dataset, record), blocks, on_clock=on_clock
                )
            except (CoreError, KeyError, TypeError, ValueError):  # a damaged run, or one of an older form, tells nothing
                continue
            if ratio > 0:
                yield ratio


def _size_then(dataset: Dataset, record: Mapping[str, Any]) -> Size:
    version = dataset.manifest(record["inputs"]["version"])
    tokens = (record.get("card") or {}).get("tokens") or 0
    acts = (record.get("sequence") or {}).get("acts")  # a run as of a cutoff read fewer than the version holds
    events = min(int(version["events"]), int(acts)) if acts and record.get("cutoff") else int(version["events"])
    pictures = sum(((record.get("image") or {}).get("fates") or {}).values())
    return Size(events, int(version["users"]), int(version["items"]), float(tokens), int(pictures))
