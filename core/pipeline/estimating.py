"""How long a stage will take and how much memory, before it is started: a formula of the log's size, set right by this home's own runs.

Light, as `screens` is: nothing is loaded but DuckDB.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any

from core.errors import CoreError
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


@dataclass(frozen=True)
class Estimate:
    """What stages will cost on this machine."""

    seconds: float
    peak_mb: float
    runs: int
    """Earlier runs of this home that set the formula right; 0: measured on two cores only."""


_SECONDS: Mapping[str, Callable[[Size], float]] = {
    "profiles": lambda size: 4 + 5e-6 * size.events + size.tokens / 8_000,
    "atlas": lambda size: 8 + 2e-6 * size.events + 2e-3 * size.users,
    "recommendations": lambda size: 40 + 4e-5 * size.events + 1e-3 * size.items + 3e-3 * size.users,
    # the last term is the chance by category, learned from at most a million pairs of a hundred categories at four cutoffs
    "propensity": lambda size: 40 + 1.2e-5 * size.events + 5e-3 * size.users + 2e-4 * min(1e6, 400 * size.users),
}
"""Wall seconds on two cores without a GPU, from the samples and Complete Journey (`benchmarks/bench_chain.py`)."""
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
    return Size(row["events"], row["users"], row["items"], row["signs"] / SIGNS_PER_TOKEN)


def estimate(screen: Screen, kinds: tuple[str, ...] = KINDS) -> Estimate:
    """Estimate the stages of these kinds, one after the other in one process.

    Texts whose vectors are kept already cost nothing, which is not looked up here: the estimate is that of a first run.
    """
    size, home = size_of(screen), Home(screen.home)
    seconds, runs = 0.0, 0
    for kind in kinds:
        ratios = list(_ratios(home, kind))
        runs += len(ratios)
        seconds += _SECONDS[kind](size) * (min(max(median(ratios), BOUNDS[0]), BOUNDS[1]) if ratios else 1.0)
    return Estimate(seconds, max(_PEAK_MB[kind](size) for kind in kinds), runs)


def estimates(screen: Screen) -> Result:
    """Return the estimate of each stage and of all together, for the command line."""
    found = {kind: estimate(screen, (kind,)) for kind in KINDS}
    stages = {kind: {"seconds": round(e.seconds), "peak_mb": round(e.peak_mb), "runs": e.runs} for kind, e in found.items()}
    whole = estimate(screen)
    stages["all"] = {"seconds": round(whole.seconds), "peak_mb": round(whole.peak_mb), "runs": whole.runs}
    return {"dataset": screen.name, "stages": stages, "warnings": []}


def _ratios(home: Home, kind: str) -> Iterator[float]:
    """How many times longer than by the formula the first run of a kind took, for each dataset; later ones find vectors kept."""
    for name in home.datasets():
        dataset = home.dataset(name)
        for run_id in dataset.runs(kind)[:1]:
            try:
                record = dataset.run_manifest(kind, run_id)
                size = _size_then(dataset, record)
            except (CoreError, KeyError, TypeError):  # a damaged run, or one of an older form, tells nothing
                continue
            if record.get("seconds"):
                yield float(record["seconds"]) / _SECONDS[kind](size)


def _size_then(dataset: Dataset, record: Mapping[str, Any]) -> Size:
    version = dataset.manifest(record["inputs"]["version"])
    tokens = (record.get("card") or {}).get("tokens") or 0
    return Size(int(version["events"]), int(version["users"]), int(version["items"]), float(tokens))
