"""Time: cutoffs, horizons and the split of a log into training, calibration and test.

A cutoff is the first instant that features may not see. The label window of a cutoff is `[cutoff, cutoff + horizon)`.
No label window of an earlier role reaches past the cutoff of a later one, so nothing that a model was fitted on
lies in the time it is judged on.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from core.errors import CutoffError
from core.messages import Message, say

MAX_TRAIN_CUTOFFS = 4
"""Stacking several cutoffs is worth about .01 AUC over the newest alone; beyond four the gain is within noise."""


@dataclass(frozen=True)
class Windows:
    """Cutoffs by role, oldest first; all label windows have the same horizon."""

    horizon: timedelta
    train: tuple[datetime, ...]
    calibrate: datetime
    test: datetime
    use: datetime
    """The cutoff people are scored at: the end of the log (or the asked-for cutoff)."""


def micros(instant: datetime) -> int:
    """Microseconds since 1970 of an instant in UTC."""
    return (instant - datetime(1970, 1, 1)) // timedelta(microseconds=1)


def parse_time(text: str) -> datetime:
    """Read an ISO date or time as naive UTC: `2017-12-01`, `2017-12-01T06:00:00Z`, `2017-12-01 06:00+08:00`.

    Raises:
        CutoffError: The text is not a date or time.
    """
    try:
        value = datetime.fromisoformat(text.strip().replace("Z", "+00:00"))
        return value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value
    except (ValueError, OverflowError) as error:
        raise CutoffError("{text!r} is not a date or time; write it like 2017-12-01 or 2017-12-01T06:00:00.", text=text) from error


def parse_horizon(text: str) -> timedelta:
    """Read a horizon such as `28d`, `12h` or `7` (days).

    Raises:
        CutoffError: Not a number of days or hours, or outside 1 hour to 365 days.
    """
    cleaned = text.strip().lower()
    unit = timedelta(hours=1) if cleaned.endswith("h") else timedelta(days=1)
    try:
        horizon = float(cleaned.rstrip("dh")) * unit
    except (ValueError, OverflowError) as error:
        raise CutoffError("{text!r} is not a horizon; write days like 28d or hours like 12h.", text=text) from error
    if not timedelta(hours=1) <= horizon <= timedelta(days=365):
        raise CutoffError("The horizon {text!r} is outside 1 hour to 365 days; choose one between.", text=text)
    return horizon


def local_day(instant: datetime, zone: str) -> str:
    """The date of a UTC instant in a time zone, 2017-12-01."""
    return f"{instant.replace(tzinfo=UTC).astimezone(ZoneInfo(zone)):%Y-%m-%d}"


def say_days(length: timedelta) -> Message:
    """Say a length of time to three digits: `1 day`, `28 days`, `2.5 days`, `1 hour`, `2.83 hours`, below an hour `12 minutes`."""
    days = length / timedelta(days=1)
    if days == 1:
        return say("1 day")
    if days > 1 or not days:
        return say("{days:g} days", days=_digits(days))
    hours = 24 * days
    if hours < 1:
        return say("{minutes:g} minutes", minutes=_digits(60 * hours)) if _digits(60 * hours) != 1 else say("1 minute")
    return say("{hours:g} hours", hours=_digits(hours)) if _digits(hours) != 1 else say("1 hour")


def _digits(number: float) -> float:
    return round(number) if number >= 100 else float(f"{number:.3g}")


def newest_learned(start: datetime, until: datetime, horizon: timedelta) -> datetime:
    """Return the newest training cutoff: three horizons before the end, or as many as leave a horizon of history in a shorter log."""
    for back in (3, 2):
        if until - (back + 1) * horizon >= start:
            return until - back * horizon
    return until - horizon


def plan_windows(start: datetime, until: datetime, horizon: timedelta) -> Windows:
    """Lay the roles back from the end of the log: test, calibrate, then up to four training cutoffs, one horizon apart.

    The log is read as ending at `until` (exclusive). The oldest training cutoff keeps at least one horizon of history.

    Raises:
        CutoffError: The log is shorter than four horizons (history, train, calibrate, test).
    """
    test = until - horizon
    calibrate = test - horizon
    train: list[datetime] = []
    cutoff = calibrate - horizon
    while len(train) < MAX_TRAIN_CUTOFFS and cutoff - horizon >= start:
        train.insert(0, cutoff)
        cutoff -= horizon
    if not train:
        raise CutoffError(
            "The log covers {have}; a horizon of {horizon} needs {need} (history, training, calibration, test). "
            "Choose a horizon of at most {most}.",
            have=say_days(until - start),
            horizon=say_days(horizon),
            need=say_days(4 * horizon),
            most=say_days((until - start) / 4),
        )
    return Windows(horizon=horizon, train=tuple(train), calibrate=calibrate, test=test, use=until)
