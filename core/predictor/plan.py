"""Which cutoffs train, calibrate and test on this log, and the data gates below which there is no honest model."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pyarrow as pa

from core.errors import CutoffError, GateError
from core.messages import Message, say
from core.predictor.matrix import Floats
from core.predictor.options import PropensityOptions
from core.windows import plan_windows, say_days

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


def make_plan(
    start: datetime, until: datetime, labels_at: Labels, options: PropensityOptions, what_would_pass: Callable[[], Message] | None = None
) -> Plan:
    """Choose the fullest plan that the log supports.

    Args:
        start: Of the log.
        until: Its end.
        labels_at: Gives what happened from a cutoff on.
        options: Act, horizon, category.
        what_would_pass: Asked where nothing does: what else of this log would.

    Raises:
        GateError: Even one training window holds too few users with or without the act, or the log is shorter than two
            horizons; the message names both numbers and what would pass.
    """
    horizon = options.horizon
    have = until - start
    if have < 2 * horizon:
        raise GateError(
            "The log covers {have}, and a horizon of {horizon} needs {need} (as much history as horizon). "
            "Choose a horizon of at most {most}, or add older events.",
            have=say_days(have),
            horizon=say_days(horizon),
            need=say_days(2 * horizon),
            most=say_days(have / 2),
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
        if any(known[cutoff].min() == known[cutoff].max() for cutoff in later if len(known[cutoff])):
            continue  # all of one kind: nothing can be judged there
        return Plan(kind, train, calibrate, test, until, known, tuple(_warnings(kind, have, options, {c: known[c] for c in later})))
    raise GateError(_too_few(found, options, what_would_pass() if what_would_pass else say("More users are needed.")))


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


def _warnings(kind: str, have: timedelta, options: PropensityOptions, later: dict[datetime, Floats]) -> list[Message]:
    said: list[Message] = []
    if have < 3 * options.horizon:
        said.append(
            say(
                "The log covers {have}, less than three times the horizon of {horizon}: figures are rough.",
                have=say_days(have),
                horizon=say_days(options.horizon),
            )
        )
    if kind == "short":
        said.append(
            say("Too little data for a calibration window of its own: calibration was cross-fitted over users of the training windows.")
        )
    if kind == "single":
        said.append(say("One label window only: figures are cross-validated over users, not measured on a later window."))
    for cutoff, labels in later.items():
        fewer = int(min(labels.sum(), (1 - labels).sum()))
        if fewer < JUDGED_USERS:
            said.append(
                say(
                    "Only {users} of the rarer kind in the window from {day} ({wanted} wanted): rough figures.",
                    users=_users(fewer),
                    day=f"{cutoff:%Y-%m-%d}",
                    wanted=JUDGED_USERS,
                )
            )
    return said


def _too_few(found: tuple[int, int], options: PropensityOptions, way_out: Message) -> Message:
    acted, idle = found
    # an act is named by a word that the pages have anyway
    wanted = {"acted": _users(acted), "idle": idle, "act": say(options.act), "time": say_days(options.horizon), "need": TRAIN_USERS}
    if options.category:
        counted = say(
            "{acted} with and {idle} without a {act} in category {category!r} in {time}; {need} of each are needed",
            category=options.category,
            **wanted,
        )
    else:
        counted = say("{acted} with and {idle} without a {act} in {time}; {need} of each are needed", **wanted)
    if acted < TRAIN_USERS:
        return say("Too little to learn from: {counted}. {way_out}", counted=counted, way_out=way_out)
    return say("Nothing to tell apart: {counted}. {way_out}", counted=counted, way_out=way_out)


def _users(n: int) -> Message:
    return say("1 user") if n == 1 else say("{n} users", n=n)
