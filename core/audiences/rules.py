"""Audience rules: a typed tree from JSON, checked, compiled to one SQL statement with bound values, told in words.

    {"all": [rule, …]} · {"any": [rule, …]} · {"not": rule}
    {"segment": [1, 3]} · {"subsegment": [2]}
    {"propensity": {"at_least": 0.3}} · {"at_most": …} · both
    {"percentile": {"top": 20}}                      the 20 % of scored users with the highest propensity, ties by user_id
    {"feature": {"column": "orders_all", "op": ">=", "value": 3}}
    {"behaviour": {"event_type": "view", "category": "Shoes", "at_least": 3, "days": 14}}   also brand, item, at_most
    {"attribute": {"column": "age", "in": ["65+"]}}
    {"category_propensity": {"category": "Shoes", "at_least": 0.2}}
    {"recommended": {"item": "4711", "rank": 10}}
    {"users": ["17", "23"]}

An empty "all" means everyone. A person's words only ever become bound values; column names must stand in the tables.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa

from core.errors import RuleError
from core.messages import Message, say
from core.schema import EVENT_TYPES
from core.store import Connection, fetch, identifier

Rule = Mapping[str, Any]
Tables = Mapping[str, pa.Table]
"""Registered by name when a rule runs: `counts` (user_id + features), `scores` (user_id, propensity), `segments` (user_id,
segment_id), `categories` (user_id, category, propensity), `recommendations` (user_id, rank, item_id); all but the asked-for may lack."""

TABLE_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "counts": ("user_id",),
    "scores": ("user_id", "propensity"),
    "segments": ("user_id", "segment_id"),
    "categories": ("user_id", "category", "propensity"),
    "recommendations": ("user_id", "rank", "item_id"),
}
MAKERS: Mapping[str, str] = {"scores": "propensity", "segments": "map", "counts": "profile", "categories": "category propensity",
                             "recommendations": "recommend"}  # fmt: skip
OPERATORS = ("=", "!=", "<", "<=", ">", ">=")
DEEPEST = 20
"""Levels of a rule; deeper ones are made by mistake or malice."""
MOST_PARTS = 500
LONGEST_LIST = 2_000_000


@dataclass(frozen=True)
class Scope:
    """What a rule may speak of."""

    tables: frozenset[str]
    features: frozenset[str]
    attributes: frozenset[str]
    cutoff: datetime
    """End of the history; `days` of a behaviour are counted back from it."""
    has_subsegments: bool = False
    """Whether the map on screen knows segments within segments."""


@dataclass(frozen=True)
class Compiled:
    """One statement that lists an audience: column user_id, ordered."""

    sql: str
    parameters: dict[str, object]


def scope_of(connection: Connection, tables: Tables, cutoff: datetime) -> Scope:
    """Read which tables, features and attributes a rule may name.

    Raises:
        RuleError: A table lacks its columns.
    """
    for name, table in tables.items():
        missing = [c for c in TABLE_COLUMNS.get(name, ("?",)) if c not in table.column_names]
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


def compile_rule(rule: Rule, scope: Scope) -> Compiled:
    """Check a rule and compile it to one statement with bound values.

    Raises:
        RuleError: A part is malformed or names what is not there; the message names the part.
    """
    parameters: dict[str, object] = {}

    def bind(value: object) -> str:
        parameters[f"p{len(parameters)}"] = value
        return f"$p{len(parameters) - 1}"

    condition = _condition(rule, scope, bind, "rule", 0, [0])
    everyone = "counts" if "counts" in scope.tables else "history"
    sql = f"SELECT DISTINCT u.user_id FROM {everyone} AS u WHERE {condition} ORDER BY u.user_id"  # noqa: S608 - fixed words and $p names only
    return Compiled(sql, parameters)


def rule_sql(rule: Rule, scope: Scope) -> str:
    """Write the statement with its values filled in and quoted, to be read or run by hand; we ourselves run the bound one.

    Raises:
        RuleError: As `compile_rule`.
    """
    written = _Literals()
    condition = _condition(rule, scope, written, "rule", 0, [0])
    everyone = "counts" if "counts" in scope.tables else "history"
    return f"SELECT DISTINCT u.user_id FROM {everyone} AS u\nWHERE {condition}\nORDER BY u.user_id"  # noqa: S608 - literals are quoted


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


Bind = Callable[[object], str]


def _condition(rule: object, scope: Scope, bind: Bind, place: str, depth: int, parts: list[int]) -> str:
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
            '{place}: each part is an object with one key, such as {{"segment": [1]}}; got {value}.', place=place, value=_short(rule)
        )
    ((kind, content),) = rule.items()
    place = f"{place}.{kind}" if place != "rule" else str(kind)
    if kind in ("all", "any"):
        if not isinstance(content, list):
            raise RuleError("{place}: needs a list of rules; got {value}.", place=place, value=_short(content))
        if not content:
            return "TRUE" if kind == "all" else "FALSE"
        inner = [_condition(part, scope, bind, f"{place}[{number}]", depth + 1, parts) for number, part in enumerate(content, start=1)]
        return "(" + (" AND " if kind == "all" else " OR ").join(inner) + ")"
    if kind == "not":
        return f"NOT {_condition(content, scope, bind, place, depth + 1, parts)}"
    leaf = _LEAVES.get(str(kind))
    if leaf is None:
        raise RuleError("{place}: no such part; there are {parts}.", place=place, parts=", ".join(("all", "any", "not", *_LEAVES)))
    return leaf(content, scope, bind, place)


def _segment(content: object, scope: Scope, bind: Bind, place: str) -> str:
    _need_table("segments", scope, place)
    if not isinstance(content, list) or not content or not all(isinstance(i, int) and not isinstance(i, bool) for i in content):
        raise RuleError("{place}: needs a list of segment numbers such as [1, 3]; got {value}.", place=place, value=_short(content))
    return f"u.user_id IN (SELECT user_id FROM segments WHERE list_contains({bind(content)}, segment_id))"  # noqa: S608 - $p names only


def _subsegment(content: object, scope: Scope, bind: Bind, place: str) -> str:
    _need_table("segments", scope, place)
    if not scope.has_subsegments:
        raise RuleError("{place}: the map was drawn before segments were split; draw it again.", place=place)
    if not isinstance(content, list) or not content or not all(isinstance(i, int) and not isinstance(i, bool) for i in content):
        raise RuleError("{place}: needs a list of segment numbers such as [1, 3]; got {value}.", place=place, value=_short(content))
    return f"u.user_id IN (SELECT user_id FROM segments WHERE list_contains({bind(content)}, subsegment_id))"  # noqa: S608 - $p names only


def _propensity(content: object, scope: Scope, bind: Bind, place: str) -> str:
    _need_table("scores", scope, place)
    return f"u.user_id IN (SELECT user_id FROM scores WHERE {_range(content, 'propensity', bind, place, {'at_least', 'at_most'})})"  # noqa: S608


def _percentile(content: object, scope: Scope, bind: Bind, place: str) -> str:
    _need_table("scores", scope, place)
    fields = _fields(content, place, {"top"}, {"top"})
    top = _number(fields["top"], f"{place}.top")
    if not 0 < top <= 100:
        raise RuleError("{place}.top: a share of users in per cent lies above 0 and at most 100; got {top:g}.", place=place, top=top)
    place_of = "row_number() OVER (ORDER BY propensity DESC, user_id) AS place, count(*) OVER () AS scored"
    ranked = f"SELECT user_id, {place_of} FROM scores WHERE propensity IS NOT NULL"  # noqa: S608 - fixed words only
    return f"u.user_id IN (SELECT user_id FROM ({ranked}) WHERE place <= ceil(scored * {bind(top)} / 100))"  # noqa: S608 - $p names only


def _feature(content: object, scope: Scope, bind: Bind, place: str) -> str:
    _need_table("counts", scope, place)
    fields = _fields(content, place, {"column", "op", "value"}, {"column", "op", "value"})
    column = _known(fields["column"], scope.features, f"{place}.column", say("feature"))
    if fields["op"] not in OPERATORS:
        raise RuleError("{place}.op: one of {signs}; got {value}.", place=place, signs=" ".join(OPERATORS), value=_short(fields["op"]))
    value = bind(_number(fields["value"], f"{place}.value"))
    return f"u.user_id IN (SELECT user_id FROM counts WHERE {identifier(column)} {fields['op']} {value})"  # noqa: S608 - op from a fixed list


def _behaviour(content: object, scope: Scope, bind: Bind, place: str) -> str:
    names = {"event_type", "category", "brand", "item", "at_least", "at_most", "days"}
    fields = _fields(content, place, names, set())
    if not fields.keys() & {"event_type", "category", "brand", "item"}:
        raise RuleError("{place}: says nothing about what was done; give event_type, category, brand or item.", place=place)
    at_least = _count(fields.get("at_least", 0 if "at_most" in fields else 1), f"{place}.at_least")
    at_most = _count(fields["at_most"], f"{place}.at_most") if "at_most" in fields else None
    if at_most is not None and at_most < at_least:
        raise RuleError(
            "{place}: at_most {at_most} is below at_least {at_least}; nobody can be in it.", place=place, at_most=at_most, at_least=at_least
        )
    if at_least == 0 and at_most is None:
        raise RuleError("{place}: at_least 0 is true of everyone; give at least 1, or at_most.", place=place)
    tests = ["TRUE"]
    if "event_type" in fields:
        kind = _known(fields["event_type"], frozenset(EVENT_TYPES), f"{place}.event_type", say("event type"))
        tests.append(f"h.event_type::VARCHAR = {bind(kind)}")
    if "days" in fields:
        days = _number(fields["days"], f"{place}.days")
        if not 0 < days <= 36_500:
            raise RuleError("{place}.days: a number of days above 0; got {days:g}.", place=place, days=days)
        tests.append(f"h.event_time >= {bind(scope.cutoff)}::TIMESTAMP - to_microseconds({bind(round(days * 86_400_000_000))})")
    if "item" in fields:
        tests.append(f"h.item_id = {bind(_text(fields['item'], f'{place}.item'))}")
    about = [f"{a} = {bind(_text(fields[a], f'{place}.{a}'))}" for a in ("category", "brand") if a in fields]
    if about:
        tests.append(f"h.item_id IN (SELECT item_id FROM catalogue WHERE {' AND '.join(about)})")  # noqa: S608 - $p names only
    done = f"SELECT h.user_id FROM history AS h WHERE {' AND '.join(tests)} GROUP BY h.user_id"  # noqa: S608 - $p names only
    if at_least > 0:
        having = f"count(*) >= {bind(at_least)}" + (f" AND count(*) <= {bind(at_most)}" if at_most is not None else "")
        return f"u.user_id IN ({done} HAVING {having})"
    return f"u.user_id NOT IN ({done} HAVING count(*) > {bind(at_most)})"


def _attribute(content: object, scope: Scope, bind: Bind, place: str) -> str:
    fields = _fields(content, place, {"column", "in"}, {"column", "in"})
    column = _known(fields["column"], scope.attributes, f"{place}.column", say("attribute"))
    values = _texts(fields["in"], f"{place}.in")
    return f"u.user_id IN (SELECT user_id FROM users WHERE list_contains({bind(values)}, {identifier(column)}::VARCHAR))"  # noqa: S608


def _category_propensity(content: object, scope: Scope, bind: Bind, place: str) -> str:
    _need_table("categories", scope, place)
    fields = _fields(content, place, {"category", "at_least", "at_most"}, {"category"})
    category = bind(_text(fields["category"], f"{place}.category"))
    limits = {name: value for name, value in fields.items() if name != "category"}
    return (
        f"u.user_id IN (SELECT user_id FROM categories WHERE category = {category}"  # noqa: S608 - $p names only
        f" AND {_range(limits, 'propensity', bind, place, {'at_least', 'at_most'})})"
    )


def _recommended(content: object, scope: Scope, bind: Bind, place: str) -> str:
    _need_table("recommendations", scope, place)
    fields = _fields(content, place, {"item", "rank"}, {"item"})
    item, rank = bind(_text(fields["item"], f"{place}.item")), bind(_count(fields.get("rank", 10), f"{place}.rank"))
    return f'u.user_id IN (SELECT user_id FROM recommendations WHERE item_id = {item} AND "rank" <= {rank})'  # noqa: S608 - $p names only


def _users(content: object, scope: Scope, bind: Bind, place: str) -> str:
    return f"u.user_id IN (SELECT unnest({bind(_texts(content, place))}))"


_LEAVES: Mapping[str, Callable[[object, Scope, Bind, str], str]] = {
    "segment": _segment,
    "subsegment": _subsegment,
    "propensity": _propensity,
    "percentile": _percentile,
    "feature": _feature,
    "behaviour": _behaviour,
    "attribute": _attribute,
    "category_propensity": _category_propensity,
    "recommended": _recommended,
    "users": _users,
}


def _need_table(name: str, scope: Scope, place: str) -> None:
    if name not in scope.tables:
        raise RuleError(
            "{place}: needs the result of `{maker}`, which is not there yet; run that stage first.", place=place, maker=MAKERS[name]
        )


def _fields(content: object, place: str, allowed: set[str], needed: set[str]) -> Mapping[str, Any]:
    takes = ", ".join(sorted(allowed))
    if not isinstance(content, Mapping):
        raise RuleError("{place}: needs an object with {names}; got {value}.", place=place, names=takes, value=_short(content))
    unknown, missing = sorted(set(map(str, content)) - allowed), sorted(needed - set(content))
    if unknown:
        raise RuleError(
            "{place}: does not know {unknown}; it takes {names}.", place=place, unknown=", ".join(map(_short, unknown)), names=takes
        )
    if missing:
        raise RuleError("{place}: lacks {missing}; it takes {names}.", place=place, missing=", ".join(missing), names=takes)
    return content


def _range(content: object, column: str, bind: Bind, place: str, allowed: set[str]) -> str:
    fields = _fields(content, place, allowed, set())
    if not fields:
        raise RuleError("{place}: needs at_least, at_most or both.", place=place)
    limits = {name: _number(value, f"{place}.{name}") for name, value in fields.items()}
    for name, value in limits.items():
        if not 0 <= value <= 1:
            raise RuleError("{place}: a purchase chance lies between 0 and 1; got {value:g}.", place=f"{place}.{name}", value=value)
    if limits.get("at_least", 0) > limits.get("at_most", 1):
        raise RuleError("{place}: at_least {at_least:g} is above at_most {at_most:g}; nobody can be in it.", place=place, **limits)
    signs = {"at_least": ">=", "at_most": "<="}
    return " AND ".join(f"{column} {signs[name]} {bind(value)}" for name, value in sorted(limits.items()))


def _known(value: object, names: frozenset[str], place: str, what: Message) -> str:
    if not isinstance(value, str) or value not in names:
        near = sorted(names)[:12]
        raise RuleError(
            "{place}: there is no {what} {value}; there are {names}.",
            place=place,
            what=what,
            value=_short(value),
            names=", ".join([*near, "…"] if len(names) > len(near) else near) or say("none"),
        )
    return value


def _number(value: object, place: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value or abs(value) == float("inf"):
        raise RuleError("{place}: needs a number; got {value}.", place=place, value=_short(value))
    return float(value)


def _count(value: object, place: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**31:
        raise RuleError("{place}: needs a whole number from 0 on; got {value}.", place=place, value=_short(value))
    return value


def _text(value: object, place: str) -> str:
    if not isinstance(value, str) or "\x00" in value:
        raise RuleError("{place}: needs a text; got {value}.", place=place, value=_short(value))
    return value


def _texts(value: object, place: str) -> list[str]:
    if not isinstance(value, list) or not value or len(value) > LONGEST_LIST:
        raise RuleError("{place}: needs a list of 1 to {most:,} texts; got {value}.", place=place, most=LONGEST_LIST, value=_short(value))
    return [_text(text, f"{place}[{number}]") for number, text in enumerate(value, start=1)]


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
