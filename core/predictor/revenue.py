"""What each shopper will spend within the horizon: a regression beside the mean, chosen on a later window, judged on a later one still.

N rows. Spending is zero for most and long-tailed for the rest, so models differ in how they join both parts: `two_part` multiplies
the chance of any purchase by what a buyer spends (log-normal, put back to money by Duan's smearing factor, 1983), `gamma` by a
Gamma regression of what buyers spend, `tweedie` fits both at once (Jørgensen, 1987). `own_rate` is the shopper's own spending a day
so far times the horizon, `mean` the same amount for everyone.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import lightgbm as lgb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from core.errors import GateError
from core.messages import Message, say
from core.metrics import bootstrap, mean_estimate
from core.predictor.matrix import Floats, Matrix, stack, user_folds
from core.predictor.options import PropensityOptions
from core.predictor.threads import one_thread
from core.schema import Progress, part_of, silent
from core.store import Log
from core.windows import plan_windows

RevenueAt = Callable[[datetime], pa.Table]
"""user_id and revenue, in the window that starts at a cutoff, of everyone with an event before it."""

MIN_BUYERS = 100
"""Fewest rows with spending to learn from."""
MAX_ROWS = 120_000
ROUNDS = 300
PATIENCE = 25
SHRINK_DAYS = 28.0
"""Days of the mean shopper's spending that a shopper's own rate is mixed with."""
BASELINES = ("mean", "own_rate")
NAMES = {
    "mean": say("the same mean for everyone"), "own_rate": say("the shopper's own rate of spending"),
    "two_part": say("chance of a purchase times log-normal spending"), "gamma": say("chance of a purchase times Gamma spending"),
    "tweedie": say("one Tweedie regression"),
}  # fmt: skip


@dataclass(frozen=True)
class RevenueResult:
    """Expected spending and what was measured."""

    scores: pa.Table
    """user_id (ascending), expected_revenue."""
    test: pa.Table
    """user_id, revenue, one column per model: the test window."""
    tenths: pa.Table
    """tenth (from 1, least expected first), users, expected, happened (means), low, high (95 % interval of the mean that happened)."""
    metrics: dict[str, Any]
    verdict: list[Message]
    boosters: dict[str, lgb.Booster]
    """In use."""


@dataclass(frozen=True)
class _Fitted:
    boosters: dict[str, lgb.Booster]
    mean: float
    rate: float
    """Of the mean shopper, money a day."""
    smearing: float
    most: float
    """Largest spending seen in training; nothing above is foretold."""
    horizon_days: float

    def predict(self, matrix: Matrix, names: list[str]) -> dict[str, Floats]:
        """Expected spending (N,) by model."""
        n = len(matrix.user_ids)
        raw = {name: np.asarray(b.predict(matrix.values, num_threads=1), dtype=np.float64) for name, b in self.boosters.items()}
        found: dict[str, Floats] = {"mean": np.full(n, self.mean), "own_rate": self._own_rate(matrix)}
        if "bought" in raw and "log_spent" in raw:
            found["two_part"] = raw["bought"] * np.exp(raw["log_spent"]) * self.smearing
        if "bought" in raw and "spent" in raw:
            found["gamma"] = raw["bought"] * raw["spent"]
        if "all" in raw:
            found["tweedie"] = raw["all"]
        return {name: np.clip(value, 0, self.most) for name, value in found.items() if name in names}

    def _own_rate(self, matrix: Matrix) -> Floats:
        spent, age = (np.nan_to_num(matrix.values[:, matrix.columns.index(name)]) for name in ("revenue_all", "tenure_days"))
        own = (np.maximum(spent, 0) + SHRINK_DAYS * self.rate) / (age + SHRINK_DAYS)
        return np.asarray(own * self.horizon_days)


PARTS = {"two_part": ("bought", "log_spent"), "gamma": ("bought", "spent"), "tweedie": ("all",)}


def fit_revenue(
    log: Log,
    matrix_at: Callable[[datetime], Matrix],
    revenue_at: RevenueAt,
    options: PropensityOptions,
    rng: np.random.Generator,
    progress: Progress = silent,
) -> RevenueResult:
    """Fit, choose, judge and use the spending of every shopper within the horizon.

    The choice is the smallest mean squared error on the calibration window, as only the mean minimises it.

    Args:
        log: Its start and end lay out the windows.
        matrix_at: What was known at a cutoff; `revenue_all` and `tenure_days` among the columns.
        revenue_at: What was spent in the window from a cutoff.
        options: Horizon.
        rng: Source of chance.
        progress: Told along the way.

    Raises:
        CutoffError: The log is shorter than four horizons.
        GateError: Fewer than MIN_BUYERS rows with spending to learn from.
    """
    windows = plan_windows(options.laid_from(log.start), log.until, options.horizon)
    names = [*BASELINES, *PARTS]
    with one_thread():
        train, spent = _stacked(windows.train, matrix_at, revenue_at, rng)
        if (buyers := int((spent > 0).sum())) < MIN_BUYERS:
            raise GateError(
                "{found} shoppers with spending to learn from, {need} are needed; a longer horizon would pass.",
                found=buyers,
                need=MIN_BUYERS,
            )
        fitted = _fit(train, spent, names, options, rng, part_of(progress, 0.0, 0.5))
        held, truth = matrix_at(windows.calibrate), _amounts(revenue_at(windows.calibrate))
        validation = {name: float(np.mean((value - truth) ** 2)) for name, value in fitted.predict(held, names).items()}
        winner = min(names, key=lambda name: (validation[name], names.index(name)))
        test, happened = matrix_at(windows.test), _amounts(revenue_at(windows.test))
        expected = fitted.predict(test, names)
        metrics = _judge(happened, expected, winner, rng) | {
            "validation_rmse": {name: float(np.sqrt(value)) for name, value in validation.items()},
            "windows": {"train": list(windows.train), "calibrate": windows.calibrate, "test": windows.test, "use": windows.use},
        }
        progress(0.55, say("fitting spending again with the newest windows"))
        newest = (*windows.train, windows.calibrate, windows.test)[-len(windows.train) :]
        again, spent = _stacked(newest, matrix_at, revenue_at, rng)
        final = _fit(again, spent, [winner], options, rng, part_of(progress, 0.55, 0.95))
        people = matrix_at(windows.use)
        scores = final.predict(people, [winner])[winner]
    progress(1.0, say("spending done"))
    return RevenueResult(
        scores=pa.table({"user_id": pa.array(people.user_ids, pa.string()), "expected_revenue": scores}),
        test=pa.table({"user_id": pa.array(test.user_ids, pa.string()), "revenue": happened, **expected}),
        tenths=_tenths(happened, expected[winner]),
        metrics=metrics,
        verdict=_verdict(metrics),
        boosters=final.boosters,
    )


def _amounts(table: pa.Table) -> Floats:
    """What shoppers spend; a window with more refunds than purchases counts as nothing spent."""
    return np.asarray(np.maximum(table["revenue"].to_numpy(), 0.0), dtype=np.float64)


def _stacked(
    cutoffs: tuple[datetime, ...], matrix_at: Callable[[datetime], Matrix], revenue_at: RevenueAt, rng: np.random.Generator
) -> tuple[Matrix, Floats]:
    parts, amounts = [], []
    room = MAX_ROWS // len(cutoffs)
    for cutoff in cutoffs:
        matrix, spent = matrix_at(cutoff).counts_alone(), _amounts(revenue_at(cutoff))
        if len(spent) > room:
            chosen = np.sort(rng.choice(len(spent), room, replace=False))
            matrix, spent = matrix.rows(chosen), spent[chosen]
        parts.append(matrix)
        amounts.append(spent)
    return stack(parts), np.concatenate(amounts)


def _fit(
    train: Matrix, spent: Floats, names: list[str], options: PropensityOptions, rng: np.random.Generator, progress: Progress
) -> _Fitted:
    wanted = {part for name in names for part in PARTS.get(name, ())}
    folds, bought = user_folds(train.user_ids, 5, rng), spent > 0
    recipes: dict[str, tuple[str, npt.NDArray[np.bool_], Floats]] = {
        "bought": ("binary", np.ones_like(bought), bought.astype(np.float64)),
        "log_spent": ("regression", bought, np.log(np.maximum(spent, 1e-9))),
        "spent": ("gamma", bought, spent),
        "all": ("tweedie", np.ones_like(bought), spent),
    }
    boosters = {}
    chosen = [name for name in recipes if name in wanted]
    for place, name in enumerate(chosen):
        objective, rows, target = recipes[name]
        boosters[name] = _boost(train.values[rows], target[rows], folds[rows], objective, int(rng.integers(2**31)))
        progress((place + 1) / len(chosen), say("spending, part {part} of {parts}", part=place + 1, parts=len(chosen)))
    smearing = 1.0
    if "log_spent" in boosters:
        rest = np.log(spent[bought]) - boosters["log_spent"].predict(train.values[bought], num_threads=1)
        smearing = float(np.mean(np.exp(rest)))
    days = options.horizon / timedelta(days=1)
    return _Fitted(boosters, float(spent.mean()), float(spent.mean()) / days, smearing, float(spent.max()), days)


def _boost(values: Floats, target: Floats, folds: npt.NDArray[np.int64], objective: str, seed: int) -> lgb.Booster:
    parameters: dict[str, Any] = {
        "objective": objective, "learning_rate": 0.05, "num_leaves": 15, "min_data_in_leaf": max(5, min(60, len(target) // 40)),
        "feature_fraction": 0.4, "bagging_fraction": 0.8, "bagging_freq": 1, "lambda_l2": 5.0, "max_bin": 127, "seed": seed,
        "deterministic": True, "force_row_wise": True, "num_threads": 1, "verbose": -1, "feature_pre_filter": False,
        "tweedie_variance_power": 1.5,
    }  # fmt: skip
    held = folds == 0
    train = lgb.Dataset(values[~held], target[~held], params=parameters)
    judged = lgb.Dataset(values[held], target[held], reference=train)
    booster = lgb.train(parameters, train, ROUNDS, valid_sets=[judged], callbacks=[lgb.early_stopping(PATIENCE, verbose=False)])
    return lgb.Booster(model_str=booster.model_to_string(num_iteration=booster.best_iteration))


def _judge(happened: Floats, expected: dict[str, Floats], winner: str, rng: np.random.Generator) -> dict[str, Any]:
    n = len(happened)
    figures: dict[str, dict[str, Any]] = {}
    for name, value in expected.items():
        rest = value - happened
        figures[name] = {
            "mae": mean_estimate(np.abs(rest)).as_dict(),
            "rmse": _rmse(rest, np.zeros(n), rng),
            "bias": mean_estimate(rest).as_dict(),
            "expected": float(value.sum()),
        }
    best = min((name for name in BASELINES if name != winner), key=lambda name: figures[name]["rmse"]["value"])
    ours, theirs = expected[winner] - happened, expected[best] - happened
    return {
        "winner": winner,
        "users": n,
        "buyers": int((happened > 0).sum()),
        "happened": float(happened.sum()),
        "models": figures,
        "difference": {
            "against": best,
            "rmse": _rmse(ours, theirs, rng),
            "mae": mean_estimate(np.abs(ours) - np.abs(theirs)).as_dict(),
        },
    }


def _rmse(ours: Floats, theirs: Floats, rng: np.random.Generator) -> dict[str, float]:
    """Root mean squared error of ours less theirs, with its interval over shoppers."""

    def gap(rows: npt.NDArray[np.int64]) -> float:
        return float(np.sqrt(np.mean(ours[rows] ** 2)) - np.sqrt(np.mean(theirs[rows] ** 2)))

    return bootstrap(gap, len(ours), rng, 200).as_dict()


def _tenths(happened: Floats, expected: Floats) -> pa.Table:
    rows = []
    for place, part in enumerate(np.array_split(np.argsort(expected, kind="stable"), min(10, len(expected))), start=1):
        mean = mean_estimate(happened[part])
        row = {"tenth": place, "users": len(part), "expected": float(expected[part].mean()), "happened": mean.value}
        rows.append(row | {"low": mean.low, "high": mean.high})
    return pa.Table.from_pylist(rows)


def _verdict(metrics: dict[str, Any]) -> list[Message]:
    winner, difference = metrics["winner"], metrics["difference"]
    gap = difference["rmse"]
    span = f"{gap['value']:+.2f} [{gap['low']:+.2f}, {gap['high']:+.2f}]"
    if gap["high"] < 0:
        told = say("better ({span})", span=span)
    elif gap["low"] > 0:
        told = say("worse ({span})", span=span)
    else:
        told = say("neither better nor worse within its interval ({span})", span=span)
    bias = metrics["models"][winner]["bias"]
    return [
        say(
            "Spending, chosen on validation: {winner}. Against {best} it is {difference} in root mean squared error.",
            winner=NAMES[winner],
            best=NAMES[difference["against"]],
            difference=told,
        ),
        say(
            "Expected a shopper: {expected}, happened: {happened}; the error of the mean is {bias}.",
            expected=f"{metrics['models'][winner]['expected'] / metrics['users']:,.2f}",
            happened=f"{metrics['happened'] / metrics['users']:,.2f}",
            bias=f"{bias['value']:+,.2f} [{bias['low']:+,.2f}, {bias['high']:+,.2f}]",
        ),
    ]
