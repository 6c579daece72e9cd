"""Mirror of core/audiences/counted: rules on arrays find the very shoppers that their statements find."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.audiences.counted import People, people_of
from core.audiences.rules import compile_rule, scope_of
from core.audiences.sizes import Value, members, size_among, size_audience
from core.errors import RuleError
from core.pipeline import choosing, outcomes
from core.pipeline.screens import Screen, open_screen
from core.schema import RFM_GROUPS, STAGES
from core.store import Home, Log, sort_events, sorted_events
from tests.page_worlds import tiny_home
from tests.worlds import at, publish_world

KINDS = ("view", "cart", "purchase", "search")
NAMES = [f"u{number:02d}" for number in range(38)] + ["o'neill", "🛒 用户"]
EARLY = at(24)
"""A cutoff before which only some shoppers act."""


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Log:
    """Four hundred acts of forty shoppers on nine items of three categories, one of them unknown; searches have no item."""
    rng = np.random.default_rng(3)
    events: list[dict[str, Any]] = []
    for _act in range(400):
        kind, user = str(rng.choice(KINDS)), str(rng.choice(NAMES))
        item = None if kind == "search" else f"i{rng.integers(0, 9)}"
        events.append({"user_id": user, "item_id": item, "event_type": kind, "event_time": at(float(rng.integers(20, 40)))})
    items = [{"item_id": f"i{n}", "category": (None, "shoes", "hats")[n % 3], "brand": f"b{n % 2}"} for n in range(9)]
    people = {name: {"age": ("young", "old")[n % 2], "consent": (" Yes", "no", None)[n % 3]} for n, name in enumerate(NAMES)}
    found = publish_world(tmp_path_factory.mktemp("counted") / "home", events, items, people)
    assert found.sorted_path is not None
    sort_events(found.path, found.sorted_path)
    return found


def results(rng: np.random.Generator, *, counted: bool) -> dict[str, pa.Table]:
    """Tables of runs, rows in any order, some shoppers missing, some that the log does not know."""
    some = [*(str(name) for name in rng.permutation(NAMES)[:30]), "stranger"]
    chances = np.round(rng.random(len(some)), 1)  # with ties
    tables = {
        "scores": pa.table({"user_id": some, "propensity": pa.array(chances, mask=chances > 0.85)}),
        "segments": pa.table({"user_id": some[::-1], "segment_id": pa.array(rng.integers(1, 4, len(some)), pa.int32())}),
        "categories": pa.table({"user_id": NAMES * 2, "category": ["shoes"] * 40 + ["hats"] * 40, "propensity": rng.random(80)}),
        "recommendations": pa.table({"user_id": NAMES * 2, "rank": [1] * 40 + [2] * 40, "item_id": rng.choice(["i1", "i2"], 80)}),
    }
    if not counted:
        return tables
    users, n = sorted(NAMES[4:]), len(NAMES) - 4
    value = pa.array(rng.integers(0, 3, n).astype(float), mask=rng.random(n) < 0.2)
    groups = {"rfm": rng.choice(RFM_GROUPS, n), "stage": rng.choice(STAGES, n)}
    return tables | {"counts": pa.table({"user_id": users, "orders_all": value}), "groups": pa.table({"user_id": users, **groups})}


def crowd(log: Log, tables: dict[str, pa.Table], cutoff: datetime) -> People:
    def read(name: str, columns: Sequence[str]) -> pa.Table:
        return tables[name].select(list(columns)) if columns else tables[name]

    copy = sorted_events(log.sorted_path)
    assert copy is not None
    return people_of(copy, cutoff, frozenset(tables), read)


BEHAVIOUR = st.fixed_dictionaries(
    {},
    optional={
        "event_type": st.sampled_from([*KINDS, "click"]),
        "category": st.sampled_from(["shoes", "hats", "none such"]),
        "brand": st.sampled_from(["b0", "b1"]),
        "item": st.sampled_from(["i1", "i3", "none such"]),
        "at_least": st.integers(1, 4),
        "days": st.sampled_from([1, 2.5, 9, 400]),
    },
).filter(lambda fields: bool(fields.keys() & {"event_type", "category", "brand", "item"}))
LEAVES = [
    BEHAVIOUR.map(lambda fields: {"behaviour": fields}),
    BEHAVIOUR.map(lambda fields: {"behaviour": {**{k: v for k, v in fields.items() if k != "at_least"}, "at_most": 1}}),
    st.sampled_from([{"affinity": {"category": c, "at_least": n, "acts": 1}} for c in ("shoes", "none such") for n in (50, 100, 150)]),
    st.sampled_from([{"propensity": {"at_least": 0.3, "at_most": 0.7}}, {"propensity": {"at_most": 0.5}}]),
    st.sampled_from([{"percentile": {"top": top}} for top in (5, 33.3, 100)]),
    st.sampled_from([{"segment": [1, 3]}, {"segment": [9]}]),
    st.sampled_from([{"attribute": {"column": "age", "in": ["old"]}}, {"attribute": {"column": "consent", "in": ["no", "'; --"]}}]),
    st.sampled_from([{"category_propensity": {"category": "hats", "at_least": 0.4}}, {"recommended": {"item": "i2", "rank": 1}}]),
    st.lists(st.sampled_from([*NAMES[-6:], "nobody", "'; DROP TABLE users; --"]), min_size=1).map(lambda ids: {"users": ids}),
]
OF_COUNTS = [
    st.sampled_from([{"feature": {"column": "orders_all", "op": op, "value": 1}} for op in ("=", "!=", "<", ">=")]),
    st.sampled_from([{"rfm": ["champions", "loyal", "never"]}, {"stage": ["slipping", "away"]}]),
]


def trees(leaves: list[Any]) -> Any:
    return st.recursive(
        st.one_of(*leaves),
        lambda inner: st.one_of(
            st.fixed_dictionaries({"all": st.lists(inner, max_size=3)}),
            st.fixed_dictionaries({"any": st.lists(inner, max_size=3)}),
            st.fixed_dictionaries({"not": inner}),
        ),
        max_leaves=5,
    )


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), seed=st.integers(0, 5), counted=st.booleans(), early=st.booleans())
def test_arrays_and_statements_find_the_same_shoppers_and_figures(log: Log, data: Any, seed: int, counted: bool, early: bool) -> None:
    cutoff = EARLY if early else log.until
    rule = data.draw(trees(LEAVES + OF_COUNTS if counted else LEAVES))
    tables = results(np.random.default_rng(seed), counted=counted)
    options: dict[str, Any] = {"holdout_share": 0.3, "holdout_salt": "spring", "value": Value(1.0, 9.0), "calibration_error": 0.02}
    people = crowd(log, tables, cutoff)
    with log.history(cutoff) as connection:
        listed = members(connection, tables, rule, cutoff=cutoff)["user_id"].to_pylist()
        expected = size_audience(connection, tables, rule, cutoff=cutoff, **options)
    with log.history(cutoff) as connection:
        scope = scope_of(connection, {name: table.slice(0, 0) for name, table in tables.items()}, cutoff)
        inside = people.choose(connection, compile_rule(rule, scope))
        assert sorted(people.user_ids.filter(pa.array(inside)).to_pylist()) == sorted(listed)
        for _again in range(2):  # what is kept from the first time says the same
            assert size_among(connection, people, rule, scope, **options) == expected


def test_a_category_that_nobody_acts_in_leans_nowhere(log: Log) -> None:
    before = at(20.5)  # one day of the log
    people = crowd(log, {}, before)
    rule = {"affinity": {"category": "none such", "at_least": 1, "acts": 0}}
    with log.history(before) as connection:
        inside = people.choose(connection, compile_rule(rule, scope_of(connection, {}, before)))
        assert int(inside.sum()) == members(connection, {}, rule, cutoff=before).num_rows


def test_a_holdout_that_is_no_share_is_refused(log: Log) -> None:
    with log.history() as connection, pytest.raises(RuleError, match="holdout"):
        size_among(connection, crowd(log, {}, log.until), {"all": []}, scope_of(connection, {}, log.until), holdout_share=1.0)


@pytest.fixture
def screen(tmp_path: Path) -> Screen:
    return open_screen(Home(tiny_home(tmp_path / "home", users=40)), "tiny")


RULES: list[dict[str, Any]] = [
    {"all": []},
    {"any": [{"behaviour": {"event_type": "purchase"}}, {"percentile": {"top": 20}}]},
    {"all": [{"segment": [1]}, {"not": {"users": ["u001", "nobody"]}}, {"attribute": {"column": "region", "in": ["north"]}}]},
    {"recommended": {"item": "i1", "rank": 2}},
    {"subsegment": [2, 3]},
    {"feature": {"column": "events_all", "op": ">", "value": 3}},
]


def test_the_screen_sizes_the_same_before_and_after_the_log_is_sorted(screen: Screen) -> None:
    def sizes() -> list[outcomes.Audience]:
        return [outcomes.size(screen, rule, holdout=0.2, cost=1.0, margin=5.0) for rule in RULES]

    assert choosing.people(screen) is None
    before = sizes()
    assert screen.log.sorted_path is not None
    sort_events(screen.log.path, screen.log.sorted_path)
    assert choosing.people(screen) is choosing.people(screen)
    assert sizes() == before
