"""The chance that a shopper buys in a category: one model over all user × category pairs, beside its baselines."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import lightgbm as lgb
import numpy as np
import pyarrow as pa
from sklearn.linear_model import LogisticRegression

from core.errors import GateError
from core.messages import say
from core.metrics import auc, log_loss
from core.predictor.calibration import choose_calibration, fit_calibrator, fit_ranges
from core.predictor.grid import AffinityAt, CountsAt, Grid, build_grid, positive_pairs
from core.predictor.judge import base_log_loss
from core.predictor.matrix import Floats, squash, user_folds
from core.predictor.options import PropensityOptions
from core.predictor.propensity import MatrixAt
from core.predictor.threads import one_thread
from core.schema import Progress, part_of, silent
from core.store import Log
from core.windows import plan_windows

PairsAt = Callable[[datetime], pa.Table]
"""user_id, category of the pairs with the act in the window that starts at a cutoff."""

OWN_COLUMNS = (
    "purchases", "days_bought", "days_bought_28d", "days_bought_56d", "days_since_purchase", "gap_mean_days", "carts_28d",
    "touches_28d", "share_of_orders", "overdue_ratio", "orders_28d", "days_since_event",
)  # fmt: skip
MIN_POSITIVES = 100
"""Fewest positive pairs among training labels."""
MAX_PAIRS = 260_000
ROUNDS = 400
MEMBERS = 2


@dataclass(frozen=True)
class CategoryResult:
    """Scores of all pairs and what was measured."""

    categories: pa.Table
    """user_id, category, propensity, low, high; ascending by (user_id, category)."""
    metrics: dict[str, Any]
    by_category: pa.Table
    """category, users, positives, expected, auc of the winner in the test window."""
    boosters: list[str]
    """LightGBM text models in use."""
    warnings: list[str]


@dataclass(frozen=True)
class _Fitted:
    """Boosters over all pairs, and one logistic regression per category."""

    boosters: list[lgb.Booster]
    logistic: list[tuple[Floats, Floats, Floats, float]]
    """Per category: mean, std, weights, intercept."""

    def logits(self, grid: Grid) -> dict[str, Floats]:
        """Logits (R,) of each model and of their mean."""
        boosted = np.mean([b.predict(grid.values, raw_score=True, num_threads=1) for b in self.boosters], axis=0)
        own = _own(grid)
        linear = np.empty(len(own))
        for place, (mean, std, weights, intercept) in enumerate(self.logistic):
            rows = slice(place, None, len(grid.categories))
            linear[rows] = np.clip((own[rows] - mean) / std, -6, 6) @ weights + intercept
        return {"lightgbm": np.asarray(boosted), "logistic": linear, "mean": 0.7 * np.asarray(boosted) + 0.3 * linear}


def fit_category_propensity(
    log: Log,
    matrix_at: MatrixAt,
    counts_at: CountsAt,
    pairs_at: PairsAt,
    categories: Sequence[str],
    options: PropensityOptions,
    rng: np.random.Generator,
    affinity_at: AffinityAt | None = None,
    progress: Progress = silent,
) -> CategoryResult:
    """Fit, calibrate, judge and use the chance of the act in each of some categories.

    Args:
        log: Its start and end lay out the windows.
        matrix_at: What was known of each user at a cutoff.
        counts_at: What each user had done in each category by a cutoff.
        pairs_at: Who acted in which category in the window from a cutoff.
        categories: Names, distinct.
        options: Act and horizon; `max_train_rows` does not apply (MAX_PAIRS does).
        rng: Source of chance.
        affinity_at: Text affinity of users and categories, or None.
        progress: Told along the way.

    Raises:
        CutoffError: The log is shorter than four horizons.
        GateError: Too few positive pairs, or no category.
    """
    if not categories:
        raise GateError("The log has no categories, so there is no chance by category; give a catalogue with a category column.")
    names = sorted(set(categories))
    windows = plan_windows(log.start, log.until, options.horizon)

    def grid_at(cutoff: datetime, users: Sequence[str] | None = None) -> tuple[Grid, Floats]:
        matrix = matrix_at(cutoff)
        if users is not None:
            chosen = set(users)
            matrix = matrix.rows(np.array([u in chosen for u in matrix.user_ids], dtype=bool))
        grid = build_grid(matrix, counts_at(cutoff), names, affinity_at(cutoff) if affinity_at else None)
        known = cutoff + options.horizon <= log.until
        return grid, positive_pairs(pairs_at(cutoff), grid.user_ids, names) if known else np.zeros(0)

    with one_thread():
        train = _sampled(windows.train, matrix_at, len(names), rng)
        grids = [grid_at(cutoff, train) for cutoff in windows.train]
        positives = int(sum(labels.sum() for _, labels in grids))
        if positives < MIN_POSITIVES:
            raise GateError(
                "{found} to learn from, {need} are needed; take a longer horizon or broader categories.",
                found=say("1 purchase by category") if positives == 1 else say("{n} purchases by category", n=positives),
                need=MIN_POSITIVES,
            )
        fitted = _fit(grids, rng, part_of(progress, 0.1, 0.4))
        held, held_labels = grid_at(windows.calibrate)
        held_logits = fitted.logits(held)
        folds = np.repeat(user_folds(held.user_ids, 5, rng), len(names))
        choices = {name: choose_calibration(logits, held_labels, folds) for name, logits in held_logits.items()}
        winner = min(choices, key=lambda name: (log_loss(held_labels, choices[name].cross_fitted), name))
        progress(0.5, say("judging categories on the test window"))
        test, labels = grid_at(windows.test)
        logits = fitted.logits(test)
        chances = {name: choices[name].calibrator.apply(value) for name, value in logits.items()}
        metrics, table = _judge(test, labels, chances, winner, rng)
        metrics["calibration"] = {name: choice.calibrator.card() for name, choice in choices.items()}
        metrics["windows"] = {"train": list(windows.train), "calibrate": windows.calibrate, "test": windows.test, "use": windows.use}
        progress(0.6, say("fitting categories again with the newest windows"))
        newest = (*windows.train, windows.calibrate)[-len(windows.train) :]
        final = _fit([grid_at(cutoff, train) for cutoff in newest], rng, part_of(progress, 0.6, 0.85))
        calibrator = choices[winner].calibrator
        if calibrator.method != "none":
            calibrator = fit_calibrator(calibrator.method, final.logits(test)[winner], labels)
        progress(0.9, say("scoring every shopper in every category"))
        ranges = fit_ranges(labels, chances[winner])
        everyone, counts = matrix_at(windows.use), counts_at(windows.use)
        affinity = affinity_at(windows.use) if affinity_at else None
        grid = build_grid(everyone, counts, names, affinity)
        chance = calibrator.apply(final.logits(grid)[winner])
        low, high = ranges.around(chance, np.zeros(len(chance)))
    repeated = np.repeat(np.asarray(grid.user_ids, dtype=object), len(names))
    return CategoryResult(
        categories=pa.table(
            {
                "user_id": pa.array(repeated.tolist(), pa.string()),
                "category": pa.array(names * len(grid.user_ids), pa.string()),
                "propensity": chance,
                "low": low,
                "high": high,
            }
        ),
        metrics=metrics,
        by_category=table,
        boosters=[booster.model_to_string() for booster in final.boosters],
        warnings=[],
    )


def _sampled(cutoffs: Sequence[datetime], matrix_at: MatrixAt, categories: int, rng: np.random.Generator) -> list[str] | None:
    """Users to learn from, so that the pairs of all cutoffs stay near MAX_PAIRS; None for everyone."""
    users = sorted({user for cutoff in cutoffs for user in matrix_at(cutoff).user_ids})
    room = MAX_PAIRS // (categories * len(cutoffs))
    if len(users) <= room:
        return None
    return sorted(rng.choice(np.asarray(users, dtype=object), size=max(room, 200), replace=False).tolist())


def _fit(grids: list[tuple[Grid, Floats]], rng: np.random.Generator, progress: Progress) -> _Fitted:
    values, labels = np.concatenate([grid.values for grid, _ in grids]), np.concatenate([truth for _, truth in grids])
    first = grids[0][0]
    users = [user for grid, _ in grids for user in grid.user_ids]
    folds = np.repeat(user_folds(users, 5, rng), len(first.categories))
    boosters = []
    for member in range(MEMBERS):
        learned = folds != member
        parameters = {
            "objective": "binary", "learning_rate": 0.05, "num_leaves": 31, "min_data_in_leaf": 100, "feature_fraction": 0.5,
            "bagging_fraction": 0.8, "bagging_freq": 1, "lambda_l2": 10.0, "max_bin": 127, "seed": int(rng.integers(2**31)),
            "deterministic": True, "force_row_wise": True, "num_threads": 1, "verbose": -1, "feature_pre_filter": False,
        }  # fmt: skip
        train = lgb.Dataset(values[learned], labels[learned], params=parameters, categorical_feature=[first.columns.index("category")])
        judged = lgb.Dataset(values[~learned], labels[~learned], reference=train)
        stop = [lgb.early_stopping(30, verbose=False)]
        booster = lgb.train(parameters, train, num_boost_round=ROUNDS, valid_sets=[judged], callbacks=stop)
        boosters.append(lgb.Booster(model_str=booster.model_to_string(num_iteration=booster.best_iteration)))
        progress((member + 1) / (MEMBERS + 1), say("categories, member {member} of {members}", member=member + 1, members=MEMBERS))
    return _Fitted(boosters, _fit_logistic(grids))


def _fit_logistic(grids: list[tuple[Grid, Floats]]) -> list[tuple[Floats, Floats, Floats, float]]:
    own = [_own(grid) for grid, _ in grids]
    width = len(grids[0][0].categories)
    fitted = []
    for place in range(width):
        inputs = np.concatenate([part[place::width] for part in own])
        labels = np.concatenate([truth[place::width] for _, truth in grids])
        mean, std = inputs.mean(axis=0), np.maximum(inputs.std(axis=0), 1e-6)
        rate = float(np.clip(labels.mean(), 0.5 / len(labels), 1 - 0.5 / len(labels)))
        if min(labels.sum(), (1 - labels).sum()) < 5:
            fitted.append((mean, std, np.zeros(inputs.shape[1]), float(np.log(rate / (1 - rate)))))
            continue
        model = LogisticRegression(C=0.3, max_iter=300).fit(np.clip((inputs - mean) / std, -6, 6), labels)
        fitted.append((mean, std, np.asarray(model.coef_[0]), float(model.intercept_[0])))
    return fitted


def _own(grid: Grid) -> Floats:
    """A category's own columns (R, f), squashed; what never happened counts as 400 days ago."""
    chosen = [grid.columns.index(name) for name in OWN_COLUMNS if name in grid.columns]
    return squash(np.nan_to_num(grid.values[:, chosen].astype(np.float64), nan=400.0))


def _judge(
    grid: Grid, labels: Floats, chances: dict[str, Floats], winner: str, rng: np.random.Generator
) -> tuple[dict[str, Any], pa.Table]:
    users, width = len(grid.user_ids), len(grid.categories)
    truth = labels.reshape(users, width)
    scores = {"personal count": grid.column("days_bought").astype(np.float64)} | chances
    squares = {name: value.reshape(users, width) for name, value in scores.items()}

    def macro(name: str, rows: Any) -> float:
        found = [auc(truth[rows, c], squares[name][rows, c]) for c in range(width)]
        return float(np.nanmean(found)) if np.isfinite(found).any() else float("nan")

    draws = rng.integers(0, users, (60, users))
    resampled = {name: np.array([macro(name, rows) for rows in draws]) for name in squares}
    full = np.arange(users)
    best = max((n for n in squares if n in ("personal count", "logistic")), key=lambda n: macro(n, full))
    metrics: dict[str, Any] = {
        "winner": winner, "pairs": len(labels), "positives": int(labels.sum()), "base_log_loss": base_log_loss(labels),
        "macro_auc": {
            name: {"value": macro(name, full), "low": float(np.nanpercentile(r, 2.5)), "high": float(np.nanpercentile(r, 97.5)), "n": users}
            for name, r in resampled.items()
        },
        "log_loss": {name: log_loss(labels, chance) for name, chance in chances.items()},
        "difference": {
            "against": best, "macro_auc": macro(winner, full) - macro(best, full),
            "low": float(np.nanpercentile(resampled[winner] - resampled[best], 2.5)),
            "high": float(np.nanpercentile(resampled[winner] - resampled[best], 97.5)),
        },
        "expected": float(chances[winner].sum()),
    }  # fmt: skip
    won = squares[winner]
    table = pa.table(
        {
            "category": pa.array(grid.categories, pa.string()),
            "users": [users] * width,
            "positives": truth.sum(axis=0).astype(int).tolist(),
            "expected": won.sum(axis=0).tolist(),
            "auc": pa.array([auc(truth[:, c], won[:, c]) for c in range(width)], pa.float64(), from_pandas=True),
        }
    )
    return metrics, table
