"""Paths on a log whose answers fit in the head, and random ones beside a slow count in plain Python."""

from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

import numpy as np
import pytest

from core.insights import paths
from core.insights.paths import END, OTHER, Paths
from core.insights.scope import Scope
from core.store import Log
from tests.worlds import as_shown, at

Make = Callable[..., Log]
MINUTE = 1 / 1440


def act(user: str, minute: float, kind: str, item: str = "1") -> dict[str, Any]:
    return {"user_id": user, "item_id": item, "event_type": kind, "event_time": at(minute * MINUTE)}


EVENTS = [
    act("a", 0, "search"), act("a", 1, "view"), act("a", 2, "view", "2"), act("a", 3, "cart"), act("a", 33, "purchase"),
    act("a", 64, "view"),  # 31 minutes later: a session of its own
    act("b", 0, "view"), act("b", 0, "cart"),  # one instant, in the order of the file
    act("c", 5, "search"),
]  # fmt: skip


def found(log: Log, asked: Paths) -> dict[tuple[int, str, str], int]:
    return {(row["step"], row["source"], row["target"]): row["sessions"] for row in paths.links(log, asked).table.to_pylist()}


def test_paths_forward_end_with_the_session(make_log: Make) -> None:
    log = make_log(EVENTS)
    assert found(log, Paths("view")) == {
        (1, "view", "cart"): 2, (1, "view", END): 1, (2, "cart", "purchase"): 1, (2, "cart", END): 1, (3, "purchase", END): 1,
    }  # fmt: skip
    assert found(log, Paths("view", collapse=False))[1, "view", "view"] == 1


def test_paths_backward_begin_with_the_session(make_log: Make) -> None:
    assert found(make_log(EVENTS), Paths("cart", forward=False)) == {
        (1, "cart", "view"): 2, (2, "view", "search"): 1, (2, "view", END): 1, (3, "search", END): 1,
    }  # fmt: skip


def test_acts_beyond_the_most_frequent_are_told_together(make_log: Make) -> None:
    assert found(make_log(EVENTS), Paths("view", top=1)) == {
        (1, "view", "cart"): 2, (1, "view", END): 1, (2, "cart", OTHER): 1, (2, "cart", END): 1, (3, OTHER, END): 1,
    }  # fmt: skip


def test_an_act_may_be_told_with_the_category_of_its_item(make_log: Make) -> None:
    log = make_log(EVENTS, items=[{"item_id": "1", "category": "Shoes"}, {"item_id": "2", "category": "Bags"}])
    assert found(log, Paths("view", by_category=True, top=9))[1, "view", "view · Bags"] == 1


def test_the_shares_of_each_step_add_up_to_all_sessions(make_log: Make) -> None:
    rows = paths.step_matrix(paths.links(make_log(EVENTS), Paths("view")).table).to_pylist()
    for step in (1, 2, 3):
        assert sum(row["share"] for row in rows if row["step"] == step) == pytest.approx(1)
    assert [row["sessions"] for row in rows if row["act"] == END] == [1, 2, 3], "what has ended stays so"
    assert rows[-1]["act"] == END


def test_an_act_that_nobody_does_has_no_paths(make_log: Make) -> None:
    nothing = paths.links(make_log(EVENTS), Paths("refund")).table
    assert nothing.num_rows == 0 and paths.step_matrix(nothing).num_rows == 0


def test_the_shown_statement_gives_the_same_rows(make_log: Make) -> None:
    log = make_log(EVENTS)
    answer = paths.links(log, Paths("view", scope=Scope(event_types=("view", "cart"))))
    assert answer.table.num_rows and as_shown(log, answer) == answer.table.to_pylist()


def slow(acts: list[tuple[str, datetime, str]], asked: Paths) -> Counter[tuple[int, str, str]]:
    """Links by walking through every session; acts stand in the order of time and file."""
    counted: Counter[tuple[int, str, str]] = Counter()
    for user in {name for name, _time, _kind in acts}:
        sessions: list[list[str]] = []
        last = None
        for time, kind in [(time, kind) for name, time, kind in acts if name == user]:
            if last is None or time - last > timedelta(minutes=30):
                sessions.append([])
            sessions[-1].append(kind)
            last = time
        for session in sessions:
            run = [kind for kind, _same in groupby(session)] if asked.collapse else session
            if asked.anchor in run:
                place = run.index(asked.anchor)
                walk = [*run[place:], END] if asked.forward else [*run[: place + 1][::-1], END]
                counted.update((step, walk[step - 1], walk[step]) for step in range(1, min(len(walk), asked.depth + 1)))
    return counted


@pytest.mark.parametrize("seed", range(6))
def test_random_logs_give_what_a_slow_count_gives(seed: int, make_log: Make) -> None:
    rng = np.random.default_rng(seed)
    kinds = ["view", "search", "cart", "purchase"]
    acts = sorted(
        ((f"u{int(rng.integers(6))}", at(float(rng.integers(0, 60)) * 10 * MINUTE), str(rng.choice(kinds))) for _ in range(120)),
        key=lambda row: row[1],
    )
    log = make_log([{"user_id": user, "item_id": "1", "event_type": kind, "event_time": time} for user, time, kind in acts])
    asked = Paths("cart", forward=seed % 2 == 0, depth=3, collapse=seed % 3 > 0, top=10)
    assert found(log, asked) == slow(acts, asked)
