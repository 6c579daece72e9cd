"""RFM by cut values, stages with their moves, and expected purchases: small logs by hand, random ones beside the counted features."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from core.errors import GateError
from core.features import stages
from core.insights import lifetime, rfm
from core.insights.lifetime import Lifetime
from core.insights.overview import last_instant
from core.insights.rfm import Rfm
from core.insights.scope import Scope
from core.schema import RFM_GROUPS, STAGES
from core.store import Log
from tests.worlds import as_shown, at, publish_world

Make = Callable[..., Log]


def buys(user: str, day: float, revenue: float | None = 10.0, order: str | None = None) -> dict[str, Any]:
    return {"user_id": user, "item_id": "1", "event_type": "purchase", "event_time": at(day), "revenue": revenue, "order_id": order}


SIX = [buys(f"one{n}", 10) for n in range(6)]
EVENTS = [*SIX, *(buys("often", day, 5) for day in (1, 2, 2.1, 20)), buys("rich", 3, 900), buys("late", 29.5, 1)]


def test_equal_values_share_a_score_where_ntile_would_part_them(make_log: Make) -> None:
    rows = (
        rfm.rfm_members(make_log(EVENTS), Rfm(), "asleep").table.to_pylist()
        + rfm.rfm_members(make_log(EVENTS, dataset="again"), Rfm(), "occasional").table.to_pylist()
    )
    six = [row for row in rows if row["user_id"].startswith("one")]
    assert len(six) == 6 and {row["r"] for row in six} == {3}, "on three of the four cuts"
    assert len({(row["r"], row["f"], row["m"]) for row in six}) == 1
    assert {row["recency_days"] for row in six} == {19}, "whole days to the end of the log"


def test_frequency_counts_orders_or_days_whichever_is_named(make_log: Make) -> None:
    log = make_log(EVENTS)
    for frequency, most in (("orders", 4), ("days", 3)):
        cuts = rfm.rfm_cuts(log, Rfm(frequency)).table.to_pylist()
        assert max(row["frequency_to"] or 0 for row in cuts) == most
    log = make_log([buys("a", 1, order="x"), buys("a", 2, order="x"), buys("b", 1)], dataset="ids")
    assert max(row["frequency_to"] or 0 for row in rfm.rfm_cuts(log, Rfm()).table.to_pylist()) == 1, "one order id, two days"


def test_groups_and_grid_add_up_to_all_buyers(make_log: Make) -> None:
    rows = rfm.rfm_grid(make_log(EVENTS), Rfm()).table.to_pylist()
    groups, cells = [r for r in rows if r["r"] is None], [r for r in rows if r["r"] is not None]
    for part in (groups, cells):
        assert sum(row["users"] for row in part) == 9 and sum(row["money"] for row in part) == 60 + 20 + 900 + 1
        assert sum(row["share"] for row in part) == pytest.approx(1)


def test_a_log_without_revenue_is_scored_by_frequency_alone(make_log: Make) -> None:
    log = make_log([{**event, "revenue": None} for event in EVENTS])
    assert all(row["money_users"] == 0 for row in rfm.rfm_cuts(log, Rfm()).table.to_pylist())
    assert sum(row["users"] for row in rfm.rfm_grid(log, Rfm()).table.to_pylist()) == 18


def test_without_purchases_there_are_no_groups(make_log: Make) -> None:
    log = make_log([{**event, "event_type": "view"} for event in EVENTS])
    assert rfm.rfm_grid(log, Rfm()).table.num_rows == 0 and rfm.rfm_cuts(log, Rfm()).table.num_rows == 0


@pytest.mark.parametrize("seed", range(4))
def test_groups_and_stages_are_those_of_the_counted_features(seed: int, make_log: Make) -> None:
    rng = np.random.default_rng(seed)
    events = [buys(f"u{int(rng.integers(40)):02d}", float(rng.integers(0, 2400)) / 24, float(rng.integers(1, 9))) for _ in range(150)]
    log = make_log(events)
    end = last_instant(log)
    own: dict[str, list[dict[str, Any]]] = {}
    for event in events:
        own.setdefault(event["user_id"], []).append(event)
    names = sorted(own)
    recency = np.array([(end - max(e["event_time"] for e in own[n])) / timedelta(days=1) for n in names])  # as features tell it
    orders = np.array([len({e["event_time"] for e in own[n]}) for n in names], float)
    revenue = np.array([sum(e["revenue"] for e in own[n]) for n in names])
    expected = {name: RFM_GROUPS[code] for name, code in zip(names, stages.rfm_groups(recency, orders, revenue), strict=True)}
    found = {row["user_id"]: group for group in RFM_GROUPS for row in rfm.rfm_members(log, Rfm(), group).table.to_pylist()}
    assert found == expected

    def staged(cutoff: Any) -> dict[str, str]:
        seen = {n: sorted(e["event_time"] for e in own[n] if e["event_time"] < cutoff) for n in names}
        seen = {n: times for n, times in seen.items() if times}
        gaps = [np.diff(sorted({t.toordinal() for t in times})) for times in seen.values()]
        middle = np.array([float(np.median(g)) if len(g) else np.nan for g in gaps])
        tenure, silent = (np.array([(cutoff - t[k]) / timedelta(days=1) for t in seen.values()]) for k in (0, -1))
        return dict(zip(seen, (STAGES[code] for code in stages.life_stages(tenure, silent, middle)), strict=True))

    now, before = staged(end), staged(end - timedelta(days=28))
    moves: dict[tuple[str, str], int] = {}
    for name, stage in now.items():
        moves[before.get(name, "unseen"), stage] = moves.get((before.get(name, "unseen"), stage), 0) + 1
    assert {(row["before"], row["now"]): row["users"] for row in rfm.stage_moves(log).table.to_pylist()} == moves


def test_the_shown_statements_give_the_same_rows(make_log: Make) -> None:
    log = make_log(EVENTS)
    scope = Scope(until=at(25))
    asked = Rfm("days", "Asia/Tokyo", scope)
    for found in (rfm.rfm_grid(log, asked), rfm.rfm_cuts(log, asked), rfm.rfm_members(log, asked, "asleep"), rfm.stage_moves(log, scope)):
        assert as_shown(log, found) == found.table.to_pylist()


def shop(rng: np.random.Generator, buyers: int = 700, days: int = 400) -> list[dict[str, Any]]:
    """Buyers who buy at their own rate, leave by chance after a purchase, and spend around their own mean."""
    events = []
    for number in range(buyers):
        rate, leaves, mean = rng.gamma(0.8, 1 / 25), rng.beta(0.8, 4), 20 / rng.gamma(4, 1 / 3)
        time = float(rng.uniform(0, days / 2))
        while time < days:
            events.append(buys(f"u{number}", np.floor(time) + 0.5, round(float(rng.gamma(5, mean / 5)) + 0.01, 2)))
            if rng.random() < leaves:
                break
            time += max(float(rng.exponential(1 / rate)), 1.0)
    return events


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Log:
    return publish_world(tmp_path_factory.mktemp("shop"), shop(np.random.default_rng(4)))


def test_purchases_held_out_are_foreseen_and_the_value_has_an_interval(busy: Log) -> None:
    found = lifetime.forecast(busy, Lifetime(horizon_days=90))
    everyone = found.held_out.to_pylist()[0]
    assert everyone["from_x"] is None and everyone["expected"] == pytest.approx(everyone["happened"], rel=0.15)
    assert found.expected_low < found.expected < found.expected_high
    assert found.value is not None and found.value_low is not None and found.value_high is not None
    assert found.value_low < found.value < found.value_high
    assert sum(found.bands["expected"].to_pylist()) == pytest.approx(found.expected)
    assert sum(found.bands["value"].to_pylist()) == pytest.approx(found.value)
    assert found.buyers == 700 and found.alive < 700


def test_a_discount_and_a_margin_make_the_value_smaller_and_a_longer_horizon_larger(busy: Log) -> None:
    plain, dear, thin, long = (
        lifetime.forecast(busy, asked).value or 0.0
        for asked in (Lifetime(90), Lifetime(90, monthly_discount=0.05), Lifetime(90, margin=0.5), Lifetime(180))
    )
    assert 0.85 * plain < dear < plain < long and thin == pytest.approx(plain / 2)


def test_a_purchase_after_the_end_of_the_scope_changes_nothing(busy: Log, tmp_path: Any) -> None:
    events = shop(np.random.default_rng(4))
    cut = [event for event in events if event["event_time"] < at(300)]
    short = lifetime.forecast(publish_world(tmp_path, cut), Lifetime(90))
    whole = lifetime.forecast(busy, Lifetime(90, scope=Scope(until=last_instant(publish_world(tmp_path, cut)))))
    assert whole.expected == short.expected and whole.purchases.logs.tolist() == short.purchases.logs.tolist()


def test_too_few_buyers_are_refused_with_both_numbers(make_log: Make) -> None:
    with pytest.raises(GateError, match=r"500 buyers over 180 days.*has 9 buyers over"):
        lifetime.forecast(make_log(EVENTS), Lifetime())
