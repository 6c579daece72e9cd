"""Propensity on a log: every model, with intervals, on the last label window.

python benchmarks/bench_predict.py --home HOME --dataset cj --until 2017-12-29 --horizon 28 [--categories] [--text]
"""

import argparse
import resource
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa

from core.features import act_labels, category_counts, category_labels, compute_features, top_categories
from core.predictor.categories import fit_category_propensity
from core.predictor.matrix import Matrix, matrix_of
from core.predictor.options import PropensityOptions
from core.predictor.propensity import fit_propensity
from core.store import Home, Log


def matrix_at(log: Log, cutoff: datetime) -> Matrix:
    """Counted features alone."""
    with log.history(cutoff) as connection:
        return matrix_of(compute_features(connection, cutoff))


def judge_categories(log: Log, known_at: Callable[[datetime], Matrix], n: int, options: PropensityOptions) -> None:
    """Print macro AUC over the most bought categories."""
    with log.history(log.until - 2 * options.horizon) as connection:
        categories = top_categories(connection, n)

    def counts_at(cutoff: datetime) -> pa.Table:
        with log.history(cutoff) as connection:
            return category_counts(connection, cutoff, categories)

    result = fit_category_propensity(
        log,
        known_at,
        counts_at,
        lambda cutoff: category_labels(log, cutoff, options.horizon, categories),
        categories,
        options,
        np.random.default_rng(options.seed),
    )
    for name, found in result.metrics["macro_auc"].items():
        print(f"  categories, {name:14s} macro AUC {found['value']:.4f} [{found['low']:.4f}, {found['high']:.4f}]", end="")
        print(f"  log loss {result.metrics['log_loss'].get(name, float('nan')):.4f}")
    print("  categories", {k: v for k, v in result.metrics.items() if k not in ("macro_auc", "windows", "log_loss")})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--until", help="read the log as if it ended here")
    parser.add_argument("--horizon", type=float, default=28, help="days")
    parser.add_argument("--act", default="purchase")
    parser.add_argument("--categories", type=int, default=0, help="also the chance to buy in each of the N most bought categories")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    log = Home(arguments.home).dataset(arguments.dataset).log(datetime.fromisoformat(arguments.until) if arguments.until else None)
    horizon = timedelta(days=arguments.horizon)
    kept: dict[datetime, Matrix] = {}

    def known_at(cutoff: datetime) -> Matrix:
        if cutoff not in kept:
            kept[cutoff] = matrix_at(log, cutoff)
        return kept[cutoff]

    options = PropensityOptions(act=arguments.act, horizon=horizon, seed=arguments.seed)
    began = time.process_time()
    result = fit_propensity(
        log,
        known_at,
        lambda cutoff: act_labels(log, cutoff, horizon, arguments.act),
        options,
        np.random.default_rng(arguments.seed),
    )
    metrics = result.metrics
    print(f"{arguments.dataset}, {arguments.horizon:g} d, test from {result.windows['test']}, plan {result.windows['plan']}")
    print(f"{metrics['users']:,} shoppers, {metrics['base_rate']:.3f} act, base log loss {metrics['base_log_loss']:.4f}")
    for name, found in metrics["models"].items():
        area, loss = found["auc"], found["log_loss"]
        print(
            f"  {name:14s} AUC {area['value']:.4f} [{area['low']:.4f}, {area['high']:.4f}]  log loss {loss['value']:.4f} "
            f"[{loss['low']:.4f}, {loss['high']:.4f}]  PR {found['average_precision']:.4f}  ECE {found['calibration_error']:.4f} "
            f"(floor {found['calibration_floor']:.4f})  expected {found['expected']:.0f} happened {found['happened']}"
        )
    print("  validation", {name: {m: round(v, 4) for m, v in losses.items()} for name, losses in metrics["validation"].items()})
    print("  calibration", {name: c["method"] for name, c in metrics["calibration"].items()}, "range", metrics["range"])
    print("  members", metrics["members"])
    print("  bands", metrics["bands"])
    for sentence in [*result.verdict["sentences"], *result.warnings]:
        print(" ", sentence)
    if arguments.categories:
        judge_categories(log, known_at, arguments.categories, options)
    print(f"  {time.process_time() - began:.1f} CPU s, peak {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


if __name__ == "__main__":
    main()
