"""Audience rules: a typed tree from JSON, checked, compiled to one SQL statement with bound values, told in words.

    {"all": [rule, …]} · {"any": [rule, …]} · {"not": rule}
    {"segment": [1, 3]} · {"subsegment": [2]}
    {"propensity": {"at_least": 0.3}} · {"at_most": …} · both
    {"percentile": {"top": 20}}                      the 20 % of scored users with the highest propensity, ties by user_id
    {"feature": {"column": "orders_all", "op": ">=", "value": 3}}
    {"behaviour": {"event_type": "view", "category": "Shoes", "at_least": 3, "days": 14}}   also brand, item, at_most
    {"attribute": {"column": "age", "in": ["65+"]}}
    {"category_propensity": {"category": "Shoes", "at_least": 0.2}}
                                                     the last three also with {"act": "cart", "horizon": "7d"}, see `chances`
    {"recommended": {"item": "4711", "rank": 10}}
    {"users": ["17", "23"]}
    {"stage": ["slipping"]} · {"rfm": ["champions", "loyal"]}
    {"affinity": {"category": "Shoes", "at_least": 150}}     index: her share of acts in it is 1.5 times that of all shoppers
    {"audience": "Likely buyers"}                            a saved one; `resolve` puts its rule in

An empty "all" means everyone. A person's words only ever become bound values; column names must stand in the tables.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa

from core.audiences.chances import base_of
from core.audiences.checks import Bind, short
from core.audiences.conditions import Always, Condition, Joined, Not
from core.audiences.leaves import LEAVES, Scope
from core.errors import RuleError
from core.messages import say
from core.store import Connection, fetch

Rule = Mapping[str, Any]
Tables = Mapping[str, pa.Table]
"""Registered by name when a rule runs: `counts` (user_id + features), `scores` (user_id, propensity), `segments` (user_id, segment_id),
`categories` (user_id, category, propensity), `recommendations` (user_id, rank, item_id), `groups` (user_id, rfm, stage); all but
the asked-for may lack. Chances of a named act and horizon stand in `scores_cart_7d` and `categories_cart_7d`."""

TABLE_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "counts": ("user_id",),
    "scores": ("user_id", "propensity"),
    "segments": ("user_id", "segment_id"),
    "categories": ("user_id", "category", "propensity"),
    "recommendations": ("user_id", "rank", "item_id"),
    "groups": ("user_id", "rfm", "stage"),
}
DEEPEST = 20
"""Levels of a rule; deeper ones are made by mistake or malice."""
MOST_PARTS = 500


@dataclass(frozen=True)
class Compiled:
    """One statement that lists an audience: column user_id, ordered."""

    sql: str
    parameters: dict[str, object]
    condition: Condition
    """What the statement asks for; its tests name the parameters."""


def scope_of(connection: Connection, tables: Tables, cutoff: datetime) -> Scope:
    """Read which tables, features and attributes a rule may name.

    Raises:
        RuleError: A table lacks its columns.
    """
    for name, table in tables.items():
        missing = [c for c in TABLE_COLUMNS.get(base_of(name), ("?",)) if c not in table.column_names]
        if missing:
            raise RuleError("The table {table!r} cannot be used for rules: it lacks {columns}.", table=name, columns=", ".join(missing))
    features: set[str] = set()
    if "counts" in tables:
        features = {
            f.name for f in tables["counts"].schema if f.name != "user_id" and (pa.types.is_integer(f.type) or pa.types.is_floating(f.type))
        }
    columns = fetch(
        connection, "SELECT column_name FROM duckdb_columns() WHERE table_name = 'users' AND database_name = current_database()"
    )
    return Scope(
        frozenset(tables),
        frozenset(features),
        frozenset(columns["column_name"].to_pylist()) - {"user_id"},
        cutoff,
        "segments" in tables and "subsegment_id" in tables["segments"].column_names,
    )


def compile_rule(rule: Rule, scope: Scope, *, in_order: bool = True) -> Compiled:
    """Check a rule and compile it to one statement with bound values, whose users are sorted unless nobody asks for order.

    Raises:
        RuleError: A part is malformed or names what is not there; the message names the part.
    """
    parameters: dict[str, object] = {}

    def bind(value: object) -> str:
        parameters[f"p{len(parameters)}"] = value
        return f"$p{len(parameters) - 1}"

    condition = _condition(rule, scope, bind, "rule", 0, [0])
    everyone = "counts" if "counts" in scope.tables else "history"
    sql = f"SELECT DISTINCT u.user_id FROM {everyone} AS u WHERE {condition.sql}"  # noqa: S608 - fixed words and $p names only
    return Compiled(f"{sql} ORDER BY u.user_id" if in_order else sql, parameters, condition)


def resolve(rule: Any, saved: Mapping[str, Rule], inside: tuple[str, ...] = ()) -> Any:
    """Put the rules of saved audiences where a rule names them: `{"audience": "A"}` → `{"audience": {"name": "A", "rule": …}}`.

    What else stands in the rule, sound or not, stays as it is.

    Args:
        rule: See above.
        saved: Rules by the name of their audience.
        inside: Audiences whose rules are being read.

    Raises:
        RuleError: There is no audience of that name, or an audience is made of itself.
    """
    if not isinstance(rule, Mapping) or len(rule) != 1 or len(inside) > DEEPEST:
        return rule
    ((kind, content),) = rule.items()
    if kind in ("all", "any") and isinstance(content, list):
        return {kind: [resolve(part, saved, inside) for part in content]}
    if kind == "not":
        return {kind: resolve(content, saved, inside)}
    if kind != "audience" or not isinstance(content, str):
        return rule
    if content in inside:
        raise RuleError(
            "The audience “{name}” is made of itself ({way}); take it out of one of them.",
            name=content,
            way=" → ".join([*inside[inside.index(content) :], content]),
        )
    if content not in saved:
        known = ", ".join(sorted(saved)) or say("none yet")
        raise RuleError("There is no saved audience “{name}”; there are: {known}.", name=content, known=known)
    return {kind: {"name": content, "rule": resolve(saved[content], saved, (*inside, content))}}


def listed_users(rule: Any) -> set[str]:
    """Return the ids that a rule lists by name, those of saved audiences put in included."""
    if not isinstance(rule, Mapping) or len(rule) != 1:
        return set()
    ((kind, content),) = rule.items()
    if kind in ("all", "any") and isinstance(content, list):
        return set().union(*(listed_users(part) for part in content))
    if kind == "not":
        return listed_users(content)
    if kind == "audience" and isinstance(content, Mapping):
        return listed_users(content.get("rule"))
    return {user for user in content if isinstance(user, str)} if kind == "users" and isinstance(content, list) else set()


def rule_sql(rule: Rule, scope: Scope) -> str:
    """Write the statement with its values filled in and quoted, to be read or run by hand; we ourselves run the bound one.

    Raises:
        RuleError: As `compile_rule`.
    """
    written = _Literals()
    condition = _condition(rule, scope, written, "rule", 0, [0])
    everyone = "counts" if "counts" in scope.tables else "history"
    return f"SELECT DISTINCT u.user_id FROM {everyone} AS u\nWHERE {condition.sql}\nORDER BY u.user_id"  # noqa: S608 - literals are quoted


class _Literals:
    """Binds a value by writing it as an SQL literal."""

    def __call__(self, value: object) -> str:
        if isinstance(value, list):
            return f"[{', '.join(map(self, value))}]"
        if isinstance(value, datetime):
            return f"TIMESTAMP '{value.isoformat(' ')}'"
        if isinstance(value, int | float):
            return repr(value) if isinstance(value, int) else f"{value!r}::DOUBLE"
        return "'" + str(value).replace("'", "''") + "'"


def _condition(rule: object, scope: Scope, bind: Bind, place: str, depth: int, parts: list[int]) -> Condition:
    parts[0] += 1
    if depth > DEEPEST or parts[0] > MOST_PARTS:
        raise RuleError(
            "{place}: a rule may be {levels} levels deep and have {parts} parts; this one goes beyond. Simplify it.",
            place=place,
            levels=DEEPEST,
            parts=MOST_PARTS,
        )
    if not isinstance(rule, Mapping) or len(rule) != 1:
        raise RuleError(
            '{place}: each part is an object with one key, such as {{"segment": [1]}}; got {value}.', place=place, value=short(rule)
        )
    ((kind, content),) = rule.items()
    place = f"{place}.{kind}" if place != "rule" else str(kind)
    if kind in ("all", "any"):
        if not isinstance(content, list):
            raise RuleError("{place}: needs a list of rules; got {value}.", place=place, value=short(content))
        if not content:
            return Always(kind == "all")
        inner = [_condition(part, scope, bind, f"{place}[{number}]", depth + 1, parts) for number, part in enumerate(content, start=1)]
        return Joined(kind == "all", tuple(inner))
    if kind == "not":
        return Not(_condition(content, scope, bind, place, depth + 1, parts))
    if kind == "audience":
        if not isinstance(content, Mapping) or set(content) != {"name", "rule"}:
            raise RuleError("{place}: the saved audience {value} was not put in; save it first.", place=place, value=short(content))
        return _condition(content["rule"], scope, bind, place, depth + 1, parts)
    leaf = LEAVES.get(str(kind))
    if leaf is None:
        raise RuleError(
            "{place}: no such part; there are {parts}.", place=place, parts=", ".join(("all", "any", "not", "audience", *LEAVES))
        )
    return leaf(content, scope, bind, place)
