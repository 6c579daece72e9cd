"""Cutoffs, horizons and roles: nothing a model was fitted on lies in the time it is judged on."""

from datetime import datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import CutoffError
from core.windows import MAX_TRAIN_CUTOFFS, parse_horizon, parse_time, plan_windows, say_days

START = datetime(2024, 1, 1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2017-12-01", datetime(2017, 12, 1)),
        ("2017-12-01T06:00:00Z", datetime(2017, 12, 1, 6)),
        ("2017-12-01 06:00+08:00", datetime(2017, 11, 30, 22)),
        (" 2017-12-01 06:00 ", datetime(2017, 12, 1, 6)),
    ],
)
def test_times_are_read_as_utc(text: str, expected: datetime) -> None:
    assert parse_time(text) == expected


@pytest.mark.parametrize("text", ["", "tomorrow", "2017-13-01", "12/01/2017"])
def test_what_is_not_a_time_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(CutoffError, match="2017-12-01"):
        parse_time(text)


@pytest.mark.parametrize(("text", "hours"), [("28d", 672), ("12h", 12), ("7", 168), (" 1.5D ", 36)])
def test_horizons_are_days_unless_they_say_hours(text: str, hours: float) -> None:
    assert parse_horizon(text) == timedelta(hours=hours)


@pytest.mark.parametrize("text", ["", "soon", "0d", "-3d", "30m", "366d", "nan", "inf"])
def test_a_horizon_that_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(CutoffError):
        parse_horizon(text)


def test_roles_of_a_forty_day_log_with_a_week_of_horizon() -> None:
    windows = plan_windows(START, START + timedelta(days=40), timedelta(days=7))
    assert [(t - START).days for t in windows.train] == [12, 19]
    assert [(t - START).days for t in (windows.calibrate, windows.test, windows.use)] == [26, 33, 40]


@given(days=st.floats(4, 800), horizon_days=st.floats(0.05, 100))
def test_no_label_window_reaches_into_the_history_of_a_later_role(days: float, horizon_days: float) -> None:
    until, horizon = START + timedelta(days=days), timedelta(days=horizon_days)
    try:
        windows = plan_windows(START, until, horizon)
    except CutoffError:
        assert days < 4 * horizon_days + 1e-6
        return
    order = [*windows.train, windows.calibrate, windows.test, windows.use]
    assert all(earlier + horizon <= later for earlier, later in pairwise(order))
    assert windows.train[0] - horizon >= START
    assert 1 <= len(windows.train) <= MAX_TRAIN_CUTOFFS
    assert windows.use == until


def test_a_log_that_is_too_short_is_refused_with_both_lengths_and_a_way_out() -> None:
    with pytest.raises(CutoffError, match=r"covers 20 days; a horizon of 7 days needs 28 days .* at most 5 days"):
        plan_windows(START, START + timedelta(days=20), timedelta(days=7))


@pytest.mark.parametrize(
    ("hours", "told"),
    [
        (24, "1 day"), (672, "28 days"), (60, "2.5 days"), (2.831, "2.83 hours"), (1, "1 hour"), (0.2, "12 minutes"), (1 / 60, "1 minute"),
        (29_352, "1223 days"), (0, "0 days"),
    ],
)  # fmt: skip
def test_lengths_of_time_are_said_in_what_people_count_them_in(hours: float, told: str) -> None:
    assert say_days(timedelta(hours=hours)) == told
