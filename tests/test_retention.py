"""Retention on a log whose answers fit in the head, and random ones beside a slow count in plain Python."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from core.insights import retention as cohorts
from core.insights.overview import last_instant
from core.insights.retention import Retention
from core.insights.scope import Scope
from core.store import Log
from tests.worlds import as_shown, at

Make = Callable[..., Log]


def act(user: str, day: float, kind: str = "view", revenue: float | None = None) -> dict[str, Any]:
    return {"user_id": user, "item_id": "1", "event_type": kind, "event_time": at(day), "revenue": revenue}


EVENTS = [  # day 0 is a Friday; weeks begin on days -4, 3, 10, 17
    act("a", 0), act("a", 4), act("a", 11, "purchase", 10),
    act("b", 1), act("b", 12, "purchase", 20), act("b", 18, "purchase", 5),
    act("c", 3), act("c", 10),
    act("d", 18.5),
]  # fmt: skip


def cells(log: Log, asked: Retention, column: str = "on_users") -> dict[tuple[int | None, int], tuple[int, int]]:
    """{(day of the cohort, number): (users, counted)}; the mean under None."""
    return {
        (None if row["cohort"] is None else (row["cohort"] - at(0).date()).days, row["number"]): (row["users"], row[column])
        for row in cohorts.retention(log, asked).table.to_pylist()
    }


def test_weeks_of_first_acts_return_on_and_on_or_after(make_log: Make) -> None:
    log = make_log(EVENTS)
    on, later = cells(log, Retention()), cells(log, Retention(), "later_users")
    assert [on[-4, number] for number in range(4)] == [(2, 2), (2, 1), (2, 2), (2, 1)]
    assert [later[-4, number][1] for number in range(4)] == [2, 2, 2, 1]
    assert [on[3, number] for number in range(3)] == [(1, 1), (1, 1), (1, 0)]
    assert (3, 3) not in on and on[17, 0] == (1, 1)


def test_the_unfinished_last_week_is_marked_and_out_of_the_mean(make_log: Make) -> None:
    log = make_log(EVENTS)
    table = cohorts.retention(log, Retention()).table.to_pylist()
    assert {(row["cohort"], row["number"]) for row in table if row["incomplete"]} == {
        (date(2024, 2, 26), 3), (date(2024, 3, 4), 2), (date(2024, 3, 18), 0),
    }  # fmt: skip
    mean = {row["number"]: row for row in table if row["cohort"] is None}
    assert sorted(mean) == [0, 1, 2] and (mean[1]["users"], mean[1]["on_users"]) == (3, 2)
    assert mean[1]["on"] == pytest.approx(2 / 3) and mean[1]["on_low"] < 2 / 3 < mean[1]["on_high"]


def test_recurring_cohorts_hold_a_shopper_once_for_each_active_week(make_log: Make) -> None:
    on = cells(make_log(EVENTS), Retention(recurring=True))
    assert on[10, 0] == (3, 3) and on[10, 1] == (3, 1)
    assert on[17, 0] == (2, 2)


def test_a_return_may_be_another_act_than_the_start(make_log: Make) -> None:
    on = cells(make_log(EVENTS), Retention(start_act="view", return_act="purchase"))
    assert [on[-4, number][1] for number in range(4)] == [0, 0, 2, 1]


def test_dates_choose_cohorts_and_do_not_make_old_shoppers_new(make_log: Make) -> None:
    on = cells(make_log(EVENTS), Retention(scope=Scope(since=at(3), until=at(19))))
    assert {key[0] for key in on} == {None, 3, 17} and on[3, 0] == (1, 1)


def test_a_day_begins_at_midnight_of_the_display_zone(make_log: Make) -> None:
    log = make_log([act("a", 0.99), act("a", 1.5), act("a", 9)])
    assert cells(log, Retention(grain="day"))[0, 1] == (1, 1)
    assert cells(log, Retention(grain="day", zone="Asia/Shanghai"))[1, 1] == (1, 0), "both acts lie on one day in Shanghai"


def test_revenue_of_a_cohort_adds_up_over_periods(make_log: Make) -> None:
    rows = cohorts.cohort_revenue(make_log(EVENTS), Retention()).table.to_pylist()
    assert [(row["number"], row["users"], row["revenue"], row["per_buyer_so_far"]) for row in rows] == [(0, 2, 30, 15), (1, 2, 5, 17.5)]
    assert [row["incomplete"] for row in rows] == [False, True]


def test_a_log_without_the_act_gives_no_rows(make_log: Make) -> None:
    log = make_log([act("a", 0), act("b", 1)])
    assert cohorts.retention(log, Retention(start_act="purchase")).table.num_rows == 0
    assert cohorts.cohort_revenue(log, Retention()).table.num_rows == 0


@pytest.mark.parametrize("scope", [Scope(), Scope(since=at(2), until=at(15), event_types=("view", "purchase"))])
def test_the_shown_statements_give_the_same_rows(scope: Scope, make_log: Make) -> None:
    log = make_log(EVENTS)
    asked = Retention(zone="Asia/Tokyo", scope=scope)
    for found in (cohorts.retention(log, asked), cohorts.cohort_revenue(log, asked)):
        rows = as_shown(log, found)
        assert rows and [{name: row[name] for name in rows[0]} for row in found.table.to_pylist()] == rows


def slow(acts: list[tuple[str, datetime, str]], asked: Retention, end: datetime) -> dict[tuple[date, int], tuple[int, int, int]]:
    """{(cohort, number): (users, on, on or after)} by going through everybody's acts."""
    zone = ZoneInfo(asked.zone)

    def period(time: datetime) -> date:
        local = time.replace(tzinfo=UTC).astimezone(zone).date()
        return {"day": local, "week": local - timedelta(days=local.weekday()), "month": local.replace(day=1)}[asked.grain]

    def number(cohort: date, later: date) -> int:
        if asked.grain == "month":
            return 12 * (later.year - cohort.year) + later.month - cohort.month
        return (later - cohort).days // (7 if asked.grain == "week" else 1)

    own: dict[str, set[tuple[date, str]]] = {}
    for user, time, kind in acts:
        own.setdefault(user, set()).add((period(time), kind))
    people: dict[date, list[set[int]]] = {}
    for done in own.values():
        starts = sorted({p for p, kind in done if asked.start_act in ("any", kind)})
        for cohort in starts if asked.recurring else starts[:1]:
            returns = {number(cohort, p) for p, kind in done if asked.return_act in ("any", kind) and p >= cohort}
            people.setdefault(cohort, []).append(returns)
    last = max(period(end - timedelta(microseconds=1)), max(people, default=date(1970, 1, 1)))
    return {
        (cohort, k): (len(all_of), sum(k in r for r in all_of), sum(max(r, default=-1) >= k for r in all_of))
        for cohort, all_of in people.items() for k in range(min(number(cohort, last), asked.most) + 1)
    }  # fmt: skip


@pytest.mark.parametrize("seed", range(8))
def test_random_logs_give_what_a_slow_count_gives(seed: int, make_log: Make) -> None:
    rng = np.random.default_rng(seed)
    acts = [
        (f"u{int(rng.integers(10))}", at(round(float(rng.uniform(0, 75)) * 24) / 24), str(rng.choice(["view", "purchase"])))
        for _ in range(80)
    ]
    log = make_log([{"user_id": user, "item_id": "1", "event_type": kind, "event_time": time} for user, time, kind in acts])
    asked = Retention(
        start_act=["any", "view"][seed % 2],
        return_act=["any", "purchase"][seed // 2 % 2],
        grain=cohorts.GRAINS[seed % 3],
        recurring=seed >= 4,
        zone=["UTC", "America/New_York", "Australia/Sydney"][seed % 3],
        most=6,
    )
    found = {
        (row["cohort"], row["number"]): (row["users"], row["on_users"], row["later_users"])
        for row in cohorts.retention(log, asked).table.to_pylist()
        if row["cohort"] is not None
    }
    assert found == slow(acts, asked, last_instant(log))
