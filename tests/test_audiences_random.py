"""Rules drawn at random: what they are compiled to and the shown statement find whom plain Python finds."""

from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.audiences.rules import compile_rule, rule_sql, scope_of
from core.store import Log, fetch
from tests.test_audiences import event
from tests.worlds import at, publish_world

KINDS = ["view", "cart", "purchase"]
LEAF = st.one_of(
    st.fixed_dictionaries({"segment": st.lists(st.integers(1, 3), min_size=1, max_size=2)}),
    st.fixed_dictionaries({"propensity": st.fixed_dictionaries({"at_least": st.sampled_from([0.1, 0.5])})}),
    st.fixed_dictionaries({"users": st.lists(st.sampled_from(["u0", "u1", "u2", "zz"]), min_size=1)}),
    st.fixed_dictionaries(
        {
            "behaviour": st.fixed_dictionaries(
                {"event_type": st.sampled_from(KINDS)},
                optional={"category": st.sampled_from(["c0", "c1"]), "at_least": st.integers(1, 3), "days": st.integers(1, 9)},
            )
        }
    ),
)
RULES = st.recursive(
    LEAF,
    lambda inner: st.one_of(
        st.fixed_dictionaries({"all": st.lists(inner, max_size=3)}),
        st.fixed_dictionaries({"any": st.lists(inner, max_size=3)}),
        st.fixed_dictionaries({"not": inner}),
    ),
    max_leaves=6,
)
ROWS = [(f"u{(i * 7) % 6}", f"i{(i * 5) % 4}", KINDS[(i * i) % 3], (i * 13) % 10) for i in range(40)]
SEGMENT = {f"u{i}": i % 3 + 1 for i in range(6)}
CHANCE = {f"u{i}": i / 6 for i in range(5)}


def by_hand(rule: dict[str, Any], user: str) -> bool:
    ((kind, content),) = rule.items()
    if kind in ("all", "any"):
        return (all if kind == "all" else any)(by_hand(part, user) for part in content)
    if kind == "not":
        return not by_hand(content, user)
    if kind == "segment":
        return SEGMENT[user] in content
    if kind == "propensity":
        return user in CHANCE and CHANCE[user] >= content["at_least"]
    if kind == "users":
        return user in content
    done = sum(
        who == user and act == content["event_type"] and content.get("category", f"c{int(item[1]) % 2}") == f"c{int(item[1]) % 2}"
        and day >= 10 - content.get("days", 99)
        for who, item, act, day in ROWS
    )  # fmt: skip
    return done >= content.get("at_least", 1)


@pytest.fixture(scope="module")
def random_log(tmp_path_factory: pytest.TempPathFactory) -> Log:
    return publish_world(
        tmp_path_factory.mktemp("rules") / "home",
        [event(*row) for row in ROWS],
        items=[{"item_id": f"i{i}", "category": f"c{i % 2}"} for i in range(4)],
    )


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rule=RULES)
def test_compiled_rules_equal_plain_python_on_any_tree(random_log: Log, rule: dict[str, Any]) -> None:
    tables = {
        "segments": pa.table({"user_id": list(SEGMENT), "segment_id": pa.array(SEGMENT.values(), pa.int32())}),
        "scores": pa.table({"user_id": list(CHANCE), "propensity": list(CHANCE.values())}),
    }
    users = sorted({row[0] for row in ROWS})
    with random_log.history() as connection:
        for name, table in tables.items():
            connection.register(name, table)
        scope = scope_of(connection, tables, at(10))
        compiled = compile_rule(rule, scope)
        expected = [user for user in users if by_hand(rule, user)]
        assert fetch(connection, compiled.sql, compiled.parameters or None)["user_id"].to_pylist() == expected
        assert fetch(connection, rule_sql(rule, scope))["user_id"].to_pylist() == expected
