"""How far figures move when small cells are hidden, how many are hidden, and what it costs.

    python -m benchmarks.bench_small_cells --home HOME --dataset grocery --k 20

Asks tables of the pages with and without the setting: rows, hidden counts, difference of a share (median, nine tenths, most), CPU seconds.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from core.pipeline import behaviour, screens
from core.pipeline.behaviour import NO_FILTERS, Paths, Retention, Rfm
from core.pipeline.screens import Screen
from core.small_cells import hidden_cells
from core.store import Home

ASKS: dict[str, tuple[str, Callable[[Screen], pa.Table]]] = {
    "overview": ("users", lambda here: behaviour.figures(here, NO_FILTERS, screens.period_of(here, None)).table),
    "hours": ("events", lambda here: behaviour.hours(here, NO_FILTERS, screens.period_of(here, None), "all").table),
    "categories": ("buyer_rate", lambda here: behaviour.goods(here, NO_FILTERS, screens.period_of(here, None), "category").table),
    "retention": ("on", lambda here: behaviour.retained(here, NO_FILTERS, Retention()).table),
    "rfm": ("share", lambda here: behaviour.rfm_grid(here, NO_FILTERS, Rfm()).table),
    "paths": ("sessions", lambda here: behaviour.paths(here, NO_FILTERS, Paths("purchase")).table),
}


def main() -> None:
    """Print one line for each table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--home", required=True)
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--k", type=int, default=20)
    arguments = parser.parse_args()
    here = replace(screens.open_screen(Home(Path(arguments.home)), arguments.dataset), small_cells=0)
    for name, (column, ask) in ASKS.items():
        began = time.process_time()
        exact = ask(here)
        between = time.process_time()
        told = ask(replace(here, small_cells=arguments.k))
        ended = time.process_time()
        pairs = (np.array(table[column].to_pylist(), dtype=float) for table in (exact, told))
        off = np.abs(np.subtract(*pairs))
        off = off[np.isfinite(off)]
        moved = " ".join(f"{value:.4f}" for value in np.quantile(off, [0.5, 0.9, 1.0])) if len(off) else "–"
        print(f"{name}: {exact.num_rows} rows, {hidden_cells(told)} counts hidden, {column} off by {moved}; "
              f"CPU seconds {between - began:.2f} → {ended - between:.2f}")  # fmt: skip


if __name__ == "__main__":
    main()
