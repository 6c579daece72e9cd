"""How fast acts should fade in a text profile, and what each act should weigh: a linear probe on a validation window.

    python -m benchmarks.bench_pooling --home HOME --dataset cj --until 2017-12-29 --horizon 28

Learned three horizons before the end and judged two before it: the window that later judges blocks is never looked at. Every row
is counts with one way of pooling; the difference is to the way that profiles use.
"""

import argparse
import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

from core.encoder.pooling import EVENT_WEIGHTS, HALF_LIFE_DAYS, pool_text_profiles
from core.encoder.probe import equal, probe_blocks
from core.features import compute_features
from core.pipeline.judging import Targets
from core.pipeline.options import ProfileOptions
from core.pipeline.texts import TextProfiles
from core.predictor.matrix import matrix_of
from core.store import Home

HALF_LIVES = (7.0, 15.0, 30.0, HALF_LIFE_DAYS, 120.0, 365.0, 100_000.0)
WEIGHTS: Mapping[str, Mapping[str, float]] = {
    "as profiles have them": EVENT_WEIGHTS,
    "all alike": dict.fromkeys(EVENT_WEIGHTS, 1.0),
    "looks a tenth": {**EVENT_WEIGHTS, "view": 0.1, "click": 0.1},
    "looks a twentieth": {**EVENT_WEIGHTS, "view": 0.05, "click": 0.05},
    "purchases alone": {"purchase": 1.0},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--until", required=True, help="read the log as if it ended here")
    parser.add_argument("--horizon", type=float, default=28, help="days")
    arguments = parser.parse_args()
    home, horizon = Home(arguments.home), timedelta(days=arguments.horizon)
    log = home.dataset(arguments.dataset).log(datetime.fromisoformat(arguments.until))
    cutoffs = [log.until - 3 * horizon, log.until - 2 * horizon]
    targets, texts = Targets(log, cutoffs, horizon), TextProfiles(home, log, ProfileOptions())
    ways = {f"half-life {days:g} days": (days, EVENT_WEIGHTS) for days in HALF_LIVES}
    ways |= {name: (HALF_LIFE_DAYS, weights) for name, weights in WEIGHTS.items() if name != "as profiles have them"}
    usual = f"half-life {HALF_LIFE_DAYS:g} days"
    ways[usual] = ways.pop(usual)  # the last set is what `behind` is told against
    began, blocks = time.process_time(), []
    for at in cutoffs:
        vectors = texts.item_vectors(at)
        if vectors is None:
            raise SystemExit("No item has a text.")
        with log.history(at) as connection:
            counts = matrix_of(compute_features(connection, at), None).values
            pooled = {name: pool_text_profiles(connection, vectors, days, weights)[1] for name, (days, weights) in ways.items()}
        blocks.append({"counts": counts, **pooled})
    sets = [equal("counts"), *(equal("counts", name) for name in ways)]
    rows = probe_blocks(blocks[0], blocks[1], sets, targets.labels[0], targets.labels[1], np.random.default_rng(0))
    print(f"{rows[0].targets} targets ({targets.act}), {len(targets.users[1]):,} shoppers, judged from {cutoffs[1]:%Y-%m-%d}")
    for row in rows:
        name = " + ".join(row.weights)
        print(
            f"{name:40s} AUC {row.auc:.4f}   profiles' way against this {row.behind:+.4f} [{row.behind_low:+.4f}, {row.behind_high:+.4f}]"
        )
    print(f"{time.process_time() - began:.0f} CPU s")


if __name__ == "__main__":
    main()
