"""How many shoppers bought within the usual horizons, and whether that is enough for an honest model."""

from datetime import datetime, timedelta
from typing import Any, Final

from core.errors import CutoffError
from core.store import Connection
from core.windows import plan_windows

HORIZON_DAYS: Final = (7, 14, 28)
TRAIN_USERS = 100
"""Fewest shoppers with, and without, a purchase to train on: a network of the smallest size ties with the base rate below."""
JUDGED_USERS = 50
"""Fewest buyers in the calibration and in the test window; the interval of an AUC is ± .06 there."""
GOOD_USERS = 500
"""With, and without, from which on a model is expected to hold (Adobe's rule)."""
LEAST_HISTORY, USUAL_HISTORY = 2, 3
"""Horizons of history before the test window: needed, and advised (Segment's rule)."""


def label_counts(connection: Connection, manifest: dict[str, Any]) -> list[dict[str, Any]]:
    """Count buyers among shoppers with history, for each usual horizon and each role of its windows.

    Args:
        connection: Has `report_people` and the events.
        manifest: Of that version.

    Returns:
        One record per horizon: horizon_days, history_days before the last window, cutoff of the last window, users,
        positives and share there, train, calibrate and test (users, positives) when the log is long enough for all,
        `gate`: good · enough · rough (too short or too few for separate windows, yet one window would do) · too_few ·
        too_short, and what it needs.
    """
    start = datetime.fromisoformat(manifest["first_event"])
    until = datetime.fromisoformat(manifest["last_event"]) + timedelta(microseconds=1)
    plans = {days: _windows(start, until, timedelta(days=days)) for days in HORIZON_DAYS}
    counted = _count(
        connection, [(days, role, cutoff, cutoff + timedelta(days=days)) for days, plan in plans.items() for role, cutoff in plan]
    )
    return [_record(days, start, until, plans[days], counted) for days in HORIZON_DAYS]


def _windows(start: datetime, until: datetime, horizon: timedelta) -> list[tuple[str, datetime]]:
    last = until - horizon
    if last <= start:
        return []
    try:
        plan = plan_windows(start, until, horizon)
    except CutoffError:
        return [("last", last)]
    return [("last", last), *(("train", cutoff) for cutoff in plan.train), ("calibrate", plan.calibrate), ("test", plan.test)]


def _count(connection: Connection, windows: list[tuple[int, str, datetime, datetime]]) -> dict[tuple[int, str], tuple[int, int]]:
    """Distinct shoppers with history, and those among them who buy, over the windows of each role."""
    if not windows:
        return {}
    places = ", ".join("(?, ?, CAST(? AS TIMESTAMP), CAST(? AS TIMESTAMP))" for _ in windows)
    rows = connection.execute(
        f"""
        WITH label_windows(days, role, cutoff, ends) AS (VALUES {places}),
        roles AS (SELECT days, role, max(cutoff) AS latest FROM label_windows GROUP BY ALL),
        known AS (SELECT days, role, count(*) AS users FROM roles JOIN report_people ON first_event < latest GROUP BY ALL),
        bought AS (SELECT user_id, event_time FROM main.events WHERE event_type = 'purchase'),
        acted AS (
            SELECT days, role, count(DISTINCT user_id) AS positives
            FROM bought JOIN label_windows ON event_time >= cutoff AND event_time < ends
                 JOIN report_people USING (user_id)
            WHERE first_event < cutoff GROUP BY ALL)
        SELECT days, role, users, COALESCE(positives, 0) FROM known LEFT JOIN acted USING (days, role)
        """,  # noqa: S608 - places for values only
        [value for window in windows for value in window],
    ).fetchall()
    return {(days, role): (users, positives) for days, role, users, positives in rows}


def _record(
    days: int, start: datetime, until: datetime, plan: list[tuple[str, datetime]], counted: dict[tuple[int, str], tuple[int, int]]
) -> dict[str, Any]:
    history = (until - start) / timedelta(days=1) - days
    users, positives = counted.get((days, "last"), (0, 0))
    roles = {
        role: {"users": counted[days, role][0], "positives": counted[days, role][1]}
        for role in ("train", "calibrate", "test")
        if (days, role) in counted
    }
    return {
        "horizon_days": days,
        "history_days": round(max(history, 0.0), 2),
        "cutoff": plan[0][1].isoformat() if plan else None,
        "users": users,
        "positives": positives,
        "share": positives / users if users else None,
        **roles,
        "gate": _gate(history / days, users, positives, roles),
        "needs": {"train": TRAIN_USERS, "judged": JUDGED_USERS, "good": GOOD_USERS, "history_days": LEAST_HISTORY * days},
        "short_history": LEAST_HISTORY <= history / days < USUAL_HISTORY,
    }


def _gate(horizons: float, users: int, positives: int, roles: dict[str, dict[str, int]]) -> str:
    if horizons < 1:
        return "too_short"
    if len(roles) == 3 and horizons >= LEAST_HISTORY:
        train = min(roles["train"]["positives"], roles["train"]["users"] - roles["train"]["positives"])
        judged = min(roles["calibrate"]["positives"], roles["test"]["positives"])
        if judged >= JUDGED_USERS and train >= TRAIN_USERS:
            return "good" if train >= GOOD_USERS else "enough"
    if min(positives, users - positives) >= TRAIN_USERS:
        return "rough"
    return "too_few" if horizons >= LEAST_HISTORY else "too_short"
