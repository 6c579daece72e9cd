"""What earlier chances would have foretold: each past window judged by a model that learned only from windows before it.

N rows (users as of a cutoff). Every window gets a model of its own, cheaper than the one on screen: fewer members, fewer
training windows, no calibration of its own. Its figures are not those of the chance on screen.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa
from scipy.special import expit

from core.errors import CutoffError, GateError
from core.messages import say
from core.metrics import CLIP, auc, bootstrap, calibration_error, log_losses, mean_estimate
from core.predictor.judge import base_log_loss
from core.predictor.matrix import Floats, Matrix, stack
from core.predictor.models import fit_models
from core.predictor.options import PropensityOptions
from core.predictor.plan import TRAIN_USERS, Labels
from core.predictor.propensity import MatrixAt
from core.predictor.threads import one_thread
from core.schema import Progress, silent
from core.windows import say_days

PREDICTORS = ("lightgbm", "logistic", "mlp", "mlp_counts", "lightgbm_text", "mean", "ensemble", "ensemble_orders")
"""Models that a window may be judged by; those with the order of acts would train a transformer for each window."""
DRAWS = 200
EPOCH = datetime(1970, 1, 1)

SCHEMA = pa.schema(
    [
        ("cutoff", pa.timestamp("us")), ("end", pa.timestamp("us")), ("users", pa.int64()), ("happened", pa.int64()),
        ("trained_on", pa.int64()), ("expected", pa.float64()), ("sd", pa.float64()), ("auc", pa.float64()), ("auc_low", pa.float64()),
        ("auc_high", pa.float64()), ("log_loss", pa.float64()), ("log_loss_low", pa.float64()), ("log_loss_high", pa.float64()),
        ("base_log_loss", pa.float64()), ("calibration_error", pa.float64()),
    ]
)  # fmt: skip


@dataclass(frozen=True)
class BacktestOptions:
    """How much a back-test may cost."""

    predictor: str = "lightgbm"
    """One of PREDICTORS."""
    windows: int = 24
    """Newest windows judged."""
    train_windows: int = 4
    """Windows before a judged one that its model learns from."""
    members: int = 2
    """Of the ensemble; the chance on screen has four."""
    max_train_rows: int = 60_000
    """More are sampled."""


def backtest(
    start: datetime,
    until: datetime,
    matrix_at: MatrixAt,
    labels_at: Labels,
    options: PropensityOptions,
    chosen: BacktestOptions,
    progress: Progress = silent,
) -> pa.Table:
    """Judge every past window, newest `chosen.windows` of them, one horizon apart.

    Args:
        start: Time of the first event.
        until: End of the log, exclusive; the newest window ends there.
        matrix_at: What was known at a cutoff.
        labels_at: Who acted in the window that starts at a cutoff.
        options: Act, horizon, seed and the sizes of models.
        chosen: Model and cost.
        progress: Told after each window.

    Returns:
        Oldest first: cutoff, end, users, happened, trained_on (rows), expected (Σp), sd (√Σp(1−p)), auc and log_loss with 95 %
        intervals, base_log_loss (of the window's own share), calibration_error. From `expected` on NULL where the windows before
        held too few shoppers with or without the act.

    Raises:
        CutoffError: The log is shorter than three horizons: history, one window to learn from, one to judge.
        GateError: No window has enough before it.
    """
    cutoffs = past_cutoffs(start, until, options.horizon, chosen.windows)
    asked = replace(
        options,
        network=replace(options.network, members=chosen.members),
        boosting=replace(options.boosting, members=chosen.members),
    )
    kept: dict[datetime, tuple[Matrix, Floats]] = {}

    def known(cutoff: datetime) -> tuple[Matrix, Floats]:
        if cutoff not in kept:
            kept[cutoff] = matrix_at(cutoff), labels_at(cutoff)["label"].to_numpy().astype(float)
        return kept[cutoff]

    rows = []
    with one_thread():
        for place, cutoff in enumerate(cutoffs):
            before = earlier_cutoffs(start, cutoff, options.horizon, chosen.train_windows)
            for old in [other for other in kept if other < before[0]]:  # no later window asks for it
                del kept[old]
            rng = np.random.default_rng([options.seed, int((cutoff - EPOCH) / timedelta(seconds=1))])
            rows.append(_judge(cutoff, [known(one) for one in before], known(cutoff), asked, chosen, rng))
            progress((place + 1) / len(cutoffs), say("judging the window from {day}", day=f"{cutoff:%Y-%m-%d}"))
    if all(row.get("expected") is None for row in rows):
        raise GateError(
            "No window of {horizon} has {need} shoppers with and {need} without the act in the windows before it. "
            "A longer horizon, a more frequent act or more users would pass.",
            horizon=say_days(options.horizon),
            need=TRAIN_USERS,
        )
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def past_cutoffs(start: datetime, until: datetime, horizon: timedelta, most: int) -> list[datetime]:
    """Cutoffs of past windows, oldest first, each with history and a window to learn from before it.

    Raises:
        CutoffError: There is none.
    """
    found: list[datetime] = []
    cutoff = until - horizon
    while len(found) < most and cutoff - 2 * horizon >= start:
        found.insert(0, cutoff)
        cutoff -= horizon
    if not found:
        raise CutoffError(
            "The log covers {have}; a back-test of windows of {horizon} needs {need} (history, a window to learn from, one to "
            "judge). Choose a shorter horizon.",
            have=say_days(until - start),
            horizon=say_days(horizon),
            need=say_days(3 * horizon),
        )
    return found


def earlier_cutoffs(start: datetime, cutoff: datetime, horizon: timedelta, most: int) -> list[datetime]:
    """Cutoffs, oldest first, whose label windows end at `cutoff` or before; the first has a horizon of history."""
    found = [cutoff - back * horizon for back in range(1, most + 1)]
    return sorted(one for one in found if one - horizon >= start)


def summarise(table: pa.Table) -> dict[str, object]:
    """Figures over all judged windows: auc and log_loss gains as means over windows with intervals, and how often the sum held."""
    judged = table.filter(table["expected"].is_valid()).to_pydict()
    expected, happened, sd = (np.asarray(judged[name], dtype=float) for name in ("expected", "happened", "sd"))
    gain = np.asarray(judged["base_log_loss"]) - np.asarray(judged["log_loss"])
    return {
        "windows": len(expected),
        "auc": mean_estimate(judged["auc"]).as_dict(),
        "log_loss_gain": mean_estimate(gain).as_dict(),
        "expected": float(expected.sum()),
        "happened": float(happened.sum()),
        "within": float((np.abs(happened - expected) <= 1.96 * sd).mean()),
        "off": float(np.mean(np.abs(happened - expected) / np.maximum(happened, 1))),
    }


def _judge(
    cutoff: datetime, before: list[tuple[Matrix, Floats]], window: tuple[Matrix, Floats], options: PropensityOptions,
    chosen: BacktestOptions, rng: np.random.Generator,
) -> dict[str, object]:  # fmt: skip
    matrix, truth = window
    row: dict[str, object] = {"cutoff": cutoff, "end": cutoff + options.horizon, "users": len(truth), "happened": int(truth.sum())}
    train, labels = stack([one for one, _ in before]), np.concatenate([found for _, found in before])
    users = np.asarray(train.user_ids, dtype=object)
    if min(len(set(users[labels == kind].tolist())) for kind in (0, 1)) < TRAIN_USERS or not len(truth):
        return row | {"trained_on": len(labels)}
    if len(labels) > chosen.max_train_rows:
        drawn = np.sort(rng.choice(len(labels), chosen.max_train_rows, replace=False))
        train, labels = train.rows(drawn), labels[drawn]
    model = fit_models([chosen.predictor], train, labels, options, rng, silent)[chosen.predictor]
    chance = np.clip(expit(model.logits(matrix)), CLIP, 1 - CLIP)
    area = bootstrap(lambda rows: auc(truth[rows], chance[rows]), len(truth), rng, DRAWS)
    loss = mean_estimate(log_losses(truth, chance))
    return row | {
        "trained_on": len(labels), "expected": float(chance.sum()), "sd": float(np.sqrt((chance * (1 - chance)).sum())),
        "auc": area.value, "auc_low": area.low, "auc_high": area.high, "log_loss": loss.value, "log_loss_low": loss.low,
        "log_loss_high": loss.high, "base_log_loss": base_log_loss(truth), "calibration_error": calibration_error(truth, chance),
    }  # fmt: skip
