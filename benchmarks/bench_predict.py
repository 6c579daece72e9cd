"""Purchase chances on a log: every model at several test cutoffs, on the same folds, beside its baselines, with intervals.

    python -m benchmarks.bench_predict --home HOME --dataset cj --horizon 28 --until 2017-12-29 2017-12-01 2017-11-03
    python -m benchmarks.bench_predict --home HOME --dataset cj --horizon 28 --until 2017-12-29 --categories 100 --text
    python -m benchmarks.bench_predict --home HOME --dataset cj --horizon 28 --until 2017-12-29 --few --text

`--until` names ends of the log as it is read: the test window is the last horizon before each. Differences are ours less theirs,
paired over shoppers; below zero is better in log loss, above zero in PR-AUC and AUC.
"""

import argparse
import resource
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import expit, logit

from core.metrics import average_precision, bootstrap, log_loss, log_losses, mean_estimate
from core.pipeline.knowing import Known
from core.pipeline.options import PredictOptions, ProfileOptions
from core.predictor.learning_curve import learning_curve
from core.predictor.options import PropensityOptions
from core.predictor.propensity import fit_propensity
from core.schema import silent
from core.store import Home

Floats = npt.NDArray[np.float64]
BASELINES = ("lightgbm", "logistic", "bgnbd")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--until", nargs="+", help="read the log as if it ended here, for each of these; default: its end")
    parser.add_argument("--horizon", type=float, default=28, help="days")
    parser.add_argument("--act", default="purchase")
    parser.add_argument("--categories", type=int, default=0, help="instead the chance to buy in each of the N most bought categories")
    parser.add_argument("--few", action="store_true", help="instead few labels: counts against profiles")
    parser.add_argument("--text", action="store_true", help="with text profiles")
    parser.add_argument("--models", default="", help="further models, such as cnn,gru,transformer")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    home = Home(arguments.home)
    for until in arguments.until or [None]:
        began = time.process_time()
        dataset = home.dataset(arguments.dataset)
        log = dataset.log(datetime.fromisoformat(until) if until else None)
        horizon = timedelta(days=arguments.horizon)
        models = tuple(name for name in arguments.models.split(",") if name)
        options = PredictOptions(act=arguments.act, horizon=horizon, seed=arguments.seed, models=models)
        profile = ProfileOptions(blocks=("counts", "text") if arguments.text else ("counts",))
        known = Known(home, dataset, log, horizon, options, profile, silent)
        asked = PropensityOptions(
            act=arguments.act, horizon=horizon, seed=arguments.seed, models=models, refit=False, purchase_only=known.is_purchase_only
        )
        print(f"{arguments.dataset}, {arguments.horizon:g} d, read until {log.until:%Y-%m-%d}", flush=True)
        if arguments.few:
            few_labels(known, arguments.seed)
        elif arguments.categories:
            by_category(known, asked, arguments.categories)
        else:
            any_act(known, asked)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"  {time.process_time() - began:.1f} CPU s, peak {peak:.0f} MB", flush=True)


def any_act(known: Known, options: PropensityOptions) -> None:
    """Print every model, then the winner against each baseline and against the mean of all of them."""
    result = fit_propensity(known.log, known.matrix_at, known.labels_at, options, np.random.default_rng(options.seed))
    metrics, table = result.metrics, result.test.to_pydict()
    labels = np.array(table["label"], dtype=np.float64)
    print(f"  {metrics['users']:,} shoppers, {metrics['base_rate']:.3f} act, base log loss {metrics['base_log_loss']:.4f}, "
          f"plan {result.windows['plan']}, test from {result.windows['test']}")  # fmt: skip
    for name, found in metrics["models"].items():
        if name == "propensity":
            continue
        spent, method = result.card["seconds"].get(name, float("nan")), metrics["calibration"].get(name, {}).get("method", "–")
        print(
            f"  {_starred(name, result.verdict['winner']):16s} AUC {found['auc']['value']:.4f}  log loss {found['log_loss']['value']:.4f}  "
            f"PR {found['average_precision']:.4f}  ECE {found['calibration_error']:.4f} (floor {found['calibration_floor']:.4f})  "
            f"{method}  {spent:.1f} CPU s"
        )
    ours = np.array(table["propensity"])
    present = [name for name in BASELINES if name in table]
    rivals = {name: np.array(table[name]) for name in present}
    rivals["their mean"] = expit(np.mean([logit(value) for value in rivals.values()], axis=0))
    for name, theirs in rivals.items():
        gap = mean_estimate(log_losses(labels, ours) - log_losses(labels, theirs))
        precision = bootstrap(_precision_gap(labels, ours, theirs), len(labels), np.random.default_rng(0), 200)
        print(
            f"  winner against {name:12s} log loss {gap.value:+.4f} [{gap.low:+.4f}, {gap.high:+.4f}]  "
            f"PR-AUC {precision.value:+.4f} [{precision.low:+.4f}, {precision.high:+.4f}]  (theirs {log_loss(labels, theirs):.4f})"
        )
    held = metrics["range"]
    print(f"  ranges: stated {held['stated']:.2f}, measured {held['measured']:.2f} of {held['groups']:.0f} groups")
    sizes = [f"{name} AUC {one['auc_mean']:.4f} ± {one['auc_sd']:.4f} of {one['members']}" for name, one in metrics["members"].items()]
    print("  members:", "; ".join(sizes))
    for sentence in result.warnings:
        print("  !", sentence)


def _precision_gap(labels: Floats, ours: Floats, theirs: Floats) -> Any:
    return lambda rows: average_precision(labels[rows], ours[rows]) - average_precision(labels[rows], theirs[rows])


def by_category(known: Known, options: PropensityOptions, n: int) -> None:
    """Print macro AUC over the most bought categories, everywhere and for new pairs."""
    from core.pipeline.predicting import category_propensity

    result = category_propensity(known, options, n, silent)
    metrics = result.metrics
    for kind in ("", "new_"):
        print(f"  {kind}pairs {metrics[f'{kind}pairs']:,}, {metrics[f'{kind}positives']:,} positive")
    for name, found in metrics["macro_auc"].items():
        new, losses = metrics["macro_auc_new"][name], [metrics[key].get(name, float("nan")) for key in ("log_loss", "log_loss_new")]
        print(
            f"  {_starred(name, metrics['winner']):16s} macro AUC {found['value']:.4f} [{found['low']:.4f}, {found['high']:.4f}]  "
            f"new {new['value']:.4f} [{new['low']:.4f}, {new['high']:.4f}]  log loss {losses[0]:.4f}  new {losses[1]:.4f}"
        )
    for key in ("difference", "difference_new", "difference_text", "difference_text_new"):
        if key in metrics:
            gap = metrics[key]
            print(f"  winner, {key:20s} against {gap['against']:14s} {gap['macro_auc']:+.4f} [{gap['low']:+.4f}, {gap['high']:+.4f}]")
    if "log_loss_difference" in metrics:
        gap = metrics["log_loss_difference"]
        print(f"  winner, log loss against {gap['against']} {gap['value']:+.5f} [{gap['low']:+.5f}, {gap['high']:+.5f}]")
    for key, of in (("range", "groups of pairs of like chance"), ("range_categories", "categories")):
        held = metrics[key]
        print(f"  ranges: stated {held['stated']:.2f}, measured {held['measured']:.2f} of {held['groups']:.0f} {of}")
    print("  calibration", {name: c["method"] for name, c in metrics["calibration"].items()}, "models", metrics["models"])


def _starred(name: str, winner: str) -> str:
    return name + ("*" if name == winner else "")


def few_labels(known: Known, seed: int) -> None:
    """Print the learning curve: labels of one window, judged on the next."""
    test, train = known.log.until - known.horizon, known.log.until - 2 * known.horizon
    labels, truth = (known.labels_at(at)["label"].to_numpy().astype(np.float64) for at in (train, test))
    table = learning_curve(known.matrix_at(train), labels, known.matrix_at(test), truth, np.random.default_rng(seed))
    for row in table.to_pylist():
        print(
            f"  {row['positives']:5d} positives ({row['users']:5d} shoppers)  {row['model']:9s} AUC {row['auc']:.4f} [{row['low']:.4f}, "
            f"{row['high']:.4f}]  against counts {row['difference']:+.4f} [{row['difference_low']:+.4f}, {row['difference_high']:+.4f}]"
        )


if __name__ == "__main__":
    main()
