"""What changed between two periods: effects that add up exactly, counts of the other figures, by hand and on random logs."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.errors import RuleError
from core.insights.changes import PARTS, Change, _effects, what_changed
from core.insights.overview import Period, figures
from core.insights.scope import Scope
from tests.worlds import as_shown, at, publish_world

BEFORE, NOW = Period(at(0), at(7)), Period(at(7), at(14))


def act(user: str, day: float, item: str = "i1", kind: str = "view", revenue: float | None = None) -> dict[str, Any]:
    return {"user_id": user, "item_id": item, "event_type": kind, "event_time": at(day), "revenue": revenue}


def small_log(home: Path) -> Any:
    """Before: a buys (10), b, c look. Now: a, d buy (30 each), e looks; d and e are new."""
    events = [
        act("a", 1, "i1"), act("a", 1.1, "i1", "purchase", 10.0), act("b", 2, "i1"), act("c", 3, "i2"),
        act("a", 8, "i1", "purchase", 30.0), act("d", 9, "i2"), act("d", 9.1, "i2", "purchase", 30.0), act("e", 10, "i3"),
    ]  # fmt: skip
    return publish_world(home, events, [{"item_id": "i1", "category": "A"}, {"item_id": "i2", "category": "B"}])


def total(change: Change, *columns: str) -> float:
    return sum(sum(change.answer.table[name].to_pylist()) for name in columns)


@pytest.mark.parametrize("parts", PARTS)
def test_effects_add_up_to_the_change_and_the_counts_are_those_of_the_cards(parts: str, tmp_path: Path) -> None:
    log = small_log(tmp_path)
    segments = pa.table({"user_id": ["a", "b", "d"], "segment_id": [0, 0, 1]})
    change = what_changed(log, BEFORE, NOW, parts, segments=segments if parts == "segment" else None)
    assert change is not None
    old, new = (figures(log, period).table.to_pylist()[0] for period in (BEFORE, NOW))
    assert change.conversion_before == old["buyers"] / old["users"] == pytest.approx(1 / 3)
    assert change.conversion == new["buyers"] / new["users"] == pytest.approx(2 / 3)
    assert total(change, "mix", "rate") == pytest.approx(1 / 3, abs=1e-12)
    assert (change.revenue_before, change.revenue, change.revenue_size) == (10.0, 60.0, 0.0)
    assert total(change, "revenue_mix", "revenue_rate") + change.revenue_size == pytest.approx(50.0, abs=1e-9)
    counts = ["part", "users_before", "users", "buyers_before", "buyers", "revenue_before", "revenue"]
    assert as_shown(log, change.answer, **({"segments": segments} if parts == "segment" else {})) == (
        change.answer.table.select(counts).to_pylist()
    )


def test_parts_are_counted_by_hand(tmp_path: Path) -> None:
    log = small_log(tmp_path)
    by = {parts: what_changed(log, BEFORE, NOW, parts) for parts in ("newness", "category")}
    found = {
        parts: {row["part"]: (row["users_before"], row["users"], row["buyers"]) for row in change.answer.table.to_pylist()}
        for parts, change in by.items()
        if change is not None
    }
    assert found["newness"] == {"new": (3, 2, 1), "returning": (0, 1, 1)}
    assert found["category"] == {"A": (2, 1, 1), "B": (1, 1, 1), "": (0, 1, 0)}
    assert by["category"] is not None
    row = {row["part"]: row for row in by["category"].answer.table.to_pylist()}["A"]
    assert row["mix"] == pytest.approx((1 / 3 - 2 / 3) * (0.75 - 0.5)) and row["rate"] == pytest.approx(0.5 * (1 - 0.5))


def test_a_part_that_only_came_to_be_is_all_mix(tmp_path: Path) -> None:
    change = what_changed(small_log(tmp_path), BEFORE, NOW, "newness")
    assert change is not None
    row = {row["part"]: row for row in change.answer.table.to_pylist()}["returning"]
    assert row["rate"] == 0.0 and row["mix"] == pytest.approx(1 / 3 * (1 - 0.5))


def test_events_after_the_period_change_nothing(tmp_path: Path) -> None:
    first = what_changed(small_log(tmp_path / "one"), BEFORE, NOW, "category")
    again = what_changed(
        publish_world(
            tmp_path / "two",
            [
                act("a", 1, "i1"), act("a", 1.1, "i1", "purchase", 10.0), act("b", 2, "i1"), act("c", 3, "i2"),
                act("a", 8, "i1", "purchase", 30.0), act("d", 9, "i2"), act("d", 9.1, "i2", "purchase", 30.0), act("e", 10, "i3"),
                act("e", 14, "i1", "purchase", 99.0), act("f", 20, "i2"),
            ],
            [{"item_id": "i1", "category": "A"}, {"item_id": "i2", "category": "B"}],
        ),
        BEFORE, NOW, "category",
    )  # fmt: skip
    assert first == again and first is not None


def test_a_period_without_anybody_has_no_comparison_and_unknown_parts_are_refused(tmp_path: Path) -> None:
    log = small_log(tmp_path)
    assert what_changed(log, BEFORE, NOW, "category", Scope(event_types=("refund",))) is None
    with pytest.raises(RuleError, match="choose from"):
        what_changed(log, BEFORE, NOW, "segment")


def test_a_log_without_prices_has_no_revenue_to_change(tmp_path: Path) -> None:
    log = publish_world(tmp_path, [act("a", 1), act("b", 8, kind="purchase")])
    change = what_changed(log, BEFORE, NOW, "newness")
    assert change is not None and change.revenue is None and change.revenue_before is None


PART = st.tuples(st.integers(0, 50), st.integers(0, 50), st.integers(0, 50), st.integers(0, 50))


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(PART, min_size=1, max_size=6))
def test_effects_of_any_counts_add_up(parts: list[tuple[int, int, int, int]]) -> None:
    rows = [{"users_before": a, "users": b, "buyers_before": min(c, a), "buyers": min(d, b)} for a, b, c, d in parts]
    sizes = [sum(row[name] for row in rows) for name in ("users_before", "users")]
    if not all(sizes):
        return
    mix, rate = _effects(rows, "buyers")
    old, new = (sum(row[name] for row in rows) / size for name, size in zip(("buyers_before", "buyers"), sizes, strict=True))
    assert sum(mix) + sum(rate) == pytest.approx(new - old, abs=1e-12)
    doubled, _rate = _effects([{name: 2 * value for name, value in row.items()} for row in rows], "buyers")
    assert all(abs(one - other) < 1e-12 for one, other in zip(mix, doubled, strict=True))
