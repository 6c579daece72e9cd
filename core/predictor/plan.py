"""Which cutoffs train, calibrate and test on this log, and the data gates below which there is no honest model."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pyarrow as pa

from core.errors import CutoffError, GateError
from core.predictor.matrix import Floats
from core.predictor.options import PropensityOptions
from core.windows import plan_windows

Labels = Callable[[datetime], pa.Table]
"""user_id (ascending) and label 0/1 of everyone with an event before a cutoff."""

TRAIN_USERS = 100
"""Fewest different users with, and without, the act among training labels."""
JUDGED_USERS = 50
"""Fewest with the act in the calibration and in the test window for figures that are more than rough."""


@dataclass(frozen=True)
class Plan:
    """Cutoffs by role, and their labels."""

    kind: str
    """full: train, calibrate, test on different windows · short: the calibration window goes to training · single: one
    window, judged by cross-validation over users."""
    train: tuple[datetime, ...]
    calibrate: datetime | None
    test: datetime | None
    use: datetime
    labels: dict[datetime, Floats]
    warnings: tuple[str, ...] = field(default=())


def make_plan(start: datetime, until: datetime, labels_at: Labels, options: PropensityOptions) -> Plan:
    """Choose the fullest plan that the log supports.

    Raises:
        GateError: Even one training window holds too few users with or without the act, or the log is shorter than two
            horizons; the message names both numbers and what would pass.
    """
    horizon = options.horizon
    days = horizon / timedelta(days=1)
    have = (until - start) / timedelta(days=1)
    if have < 2 * days:
        raise GateError(
            f"The log covers {have:.1f} days, and a horizon of {days:g} days needs {2 * days:g} (as much history as horizon). "
            f"Choose a horizon of at most {max(have / 2, 0.1):.1f} days, or add older events."
        )
    known: dict[datetime, Floats] = {}
    users: dict[datetime, list[str]] = {}

    def look(cutoffs: tuple[datetime, ...]) -> tuple[int, int]:
        acted: set[str] = set()
        idle: set[str] = set()
        for cutoff in cutoffs:
            if cutoff not in known:
                table = labels_at(cutoff)
                known[cutoff] = table["label"].to_numpy().astype(float)
                users[cutoff] = table["user_id"].to_pylist()
            for user, label in zip(users[cutoff], known[cutoff].tolist(), strict=True):
                (acted if label else idle).add(user)
        return len(acted), len(idle)

    found = (0, 0)
    for kind, train, calibrate, test in _candidates(start, until, horizon):
        found = look(train)
        if min(found) < TRAIN_USERS:
            continue
        later = tuple(c for c in (calibrate, test) if c is not None)
        look(later)
        return Plan(kind, train, calibrate, test, until, known, tuple(_warnings(kind, have, options, {c: known[c] for c in later})))
    raise GateError(_too_few(found, options))


def _candidates(
    start: datetime, until: datetime, horizon: timedelta
) -> list[tuple[str, tuple[datetime, ...], datetime | None, datetime | None]]:
    plans: list[tuple[str, tuple[datetime, ...], datetime | None, datetime | None]] = []
    newest = until - horizon
    try:
        windows = plan_windows(start, until, horizon)
        plans.append(("full", windows.train, windows.calibrate, windows.test))
        plans.append(("short", (*windows.train, windows.calibrate), None, windows.test))
    except CutoffError:
        if newest - 2 * horizon >= start:
            plans.append(("short", (newest - horizon,), None, newest))
    plans.append(("single", (newest,), None, None))
    return plans


def _warnings(kind: str, have: float, options: PropensityOptions, later: dict[datetime, Floats]) -> list[str]:
    days = options.horizon / timedelta(days=1)
    said = []
    if have < 3 * days:
        said.append(f"The log covers {have:.1f} days, less than three times the horizon of {days:g} days: figures are rough.")
    if kind == "short":
        said.append("Too little data for a calibration window of its own: calibration was cross-fitted over users of the training windows.")
    if kind == "single":
        said.append("One label window only: figures are cross-validated over users, not measured on a later window.")
    for cutoff, labels in later.items():
        fewer = int(min(labels.sum(), (1 - labels).sum()))
        if fewer < JUDGED_USERS:
            said.append(
                f"Only {fewer} users of the rarer kind in the window from {cutoff:%Y-%m-%d} ({JUDGED_USERS} wanted): rough figures."
            )
    return said


def _too_few(found: tuple[int, int], options: PropensityOptions) -> str:
    acted, idle = found
    days = options.horizon / timedelta(days=1)
    where = f" in category {options.category!r}" if options.category else ""
    counted = f"{acted} users with and {idle} without a {options.act}{where} in {days:g} days; {TRAIN_USERS} of each are needed"
    if acted < TRAIN_USERS:
        return f"Too little to learn from: {counted}. A longer horizon, a more frequent act or more users would pass."
    return f"Nothing to tell apart: {counted}. A shorter horizon, a rarer act or more users would pass."
