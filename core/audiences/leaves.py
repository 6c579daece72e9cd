"""The single conditions of a rule, each checked and compiled to a test of `u.user_id` with bound values."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from core.audiences.chances import NAMED, table_of
from core.audiences.checks import Bind, count, fields_of, known, need_table, number, range_sql, short, text, texts
from core.audiences.conditions import Among, Condition, Did, Leans, Listed, Top
from core.errors import RuleError
from core.messages import Message, say
from core.schema import EVENT_TYPES, INTEREST_TYPES, RFM_GROUPS, STAGES
from core.store import identifier

OPERATORS = ("=", "!=", "<", "<=", ">", ">=")
LEAST_ACTS = 2
"""Acts of interest in a category from which an index says something; one click would make any category a favourite."""


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


def _segment(content: object, scope: Scope, bind: Bind, place: str) -> Condition:
    need_table("segments", scope.tables, place)
    if not isinstance(content, list) or not content or not all(isinstance(i, int) and not isinstance(i, bool) for i in content):
        raise RuleError("{place}: needs a list of segment numbers such as [1, 3]; got {value}.", place=place, value=short(content))
    return Among("segments", ("segment_id",), f"list_contains({bind(content)}, segment_id)")


def _subsegment(content: object, scope: Scope, bind: Bind, place: str) -> Condition:
    need_table("segments", scope.tables, place)
    if not scope.has_subsegments:
        raise RuleError("{place}: the map was drawn before segments were split; draw it again.", place=place)
    if not isinstance(content, list) or not content or not all(isinstance(i, int) and not isinstance(i, bool) for i in content):
        raise RuleError("{place}: needs a list of segment numbers such as [1, 3]; got {value}.", place=place, value=short(content))
    return Among("segments", ("subsegment_id",), f"list_contains({bind(content)}, subsegment_id)")


def _propensity(content: object, scope: Scope, bind: Bind, place: str) -> Condition:
    fields = fields_of(content, place, {"at_least", "at_most", *NAMED}, set())
    table = table_of("propensity", fields, scope.tables, place)
    return Among(table, ("propensity",), range_sql(_limits(fields), "propensity", bind, place, {"at_least", "at_most"}))


def _percentile(content: object, scope: Scope, bind: Bind, place: str) -> Condition:
    fields = fields_of(content, place, {"top", *NAMED}, {"top"})
    table = table_of("percentile", fields, scope.tables, place)
    top = number(fields["top"], f"{place}.top")
    if not 0 < top <= 100:
        raise RuleError("{place}.top: a share of users in per cent lies above 0 and at most 100; got {top:g}.", place=place, top=top)
    place_of = "row_number() OVER (ORDER BY propensity DESC, user_id) AS place, count(*) OVER () AS scored"
    ranked = f"SELECT user_id, {place_of} FROM {table} WHERE propensity IS NOT NULL"  # noqa: S608 - fixed words only
    return Top(table, top, f"u.user_id IN (SELECT user_id FROM ({ranked}) WHERE place <= ceil(scored * {bind(top)} / 100))")  # noqa: S608 - $p names only


def _feature(content: object, scope: Scope, bind: Bind, place: str) -> Condition:
    need_table("counts", scope.tables, place)
    fields = fields_of(content, place, {"column", "op", "value"}, {"column", "op", "value"})
    column = known(fields["column"], scope.features, f"{place}.column", say("feature"))
    if fields["op"] not in OPERATORS:
        raise RuleError("{place}.op: one of {signs}; got {value}.", place=place, signs=" ".join(OPERATORS), value=short(fields["op"]))
    value = bind(number(fields["value"], f"{place}.value"))
    return Among("counts", (column,), f"{identifier(column)} {fields['op']} {value}")


def _behaviour(content: object, scope: Scope, bind: Bind, place: str) -> Condition:
    names = {"event_type", "category", "brand", "item", "at_least", "at_most", "days"}
    fields = fields_of(content, place, names, set())
    if not fields.keys() & {"event_type", "category", "brand", "item"}:
        raise RuleError("{place}: says nothing about what was done; give event_type, category, brand or item.", place=place)
    at_least = count(fields.get("at_least", 0 if "at_most" in fields else 1), f"{place}.at_least")
    at_most = count(fields["at_most"], f"{place}.at_most") if "at_most" in fields else None
    if at_most is not None and at_most < at_least:
        raise RuleError(
            "{place}: at_most {at_most} is below at_least {at_least}; nobody can be in it.", place=place, at_most=at_most, at_least=at_least
        )
    if at_least == 0 and at_most is None:
        raise RuleError("{place}: at_least 0 is true of everyone; give at least 1, or at_most.", place=place)
    kind = since = item = None
    tests = ["TRUE"]
    if "event_type" in fields:
        kind = known(fields["event_type"], frozenset(EVENT_TYPES), f"{place}.event_type", say("event type"))
        tests.append(f"h.event_type::VARCHAR = {bind(kind)}")
    if "days" in fields:
        days = number(fields["days"], f"{place}.days")
        if not 0 < days <= 36_500:
            raise RuleError("{place}.days: a number of days above 0; got {days:g}.", place=place, days=days)
        back = round(days * 86_400_000_000)
        since = scope.cutoff - timedelta(microseconds=back)
        tests.append(f"h.event_time >= {bind(scope.cutoff)}::TIMESTAMP - to_microseconds({bind(back)})")
    if "item" in fields:
        item = text(fields["item"], f"{place}.item")
        tests.append(f"h.item_id = {bind(item)}")
    about = {column: text(fields[column], f"{place}.{column}") for column in ("category", "brand") if column in fields}
    if about:
        alike = " AND ".join(f"{column} = {bind(value)}" for column, value in about.items())
        tests.append(f"h.item_id IN (SELECT item_id FROM catalogue WHERE {alike})")  # noqa: S608 - $p names only
    done = f"SELECT h.user_id FROM history AS h WHERE {' AND '.join(tests)} GROUP BY h.user_id"  # noqa: S608 - $p names only
    if at_least > 0:
        having = f"count(*) >= {bind(at_least)}" + (f" AND count(*) <= {bind(at_most)}" if at_most is not None else "")
        sql = f"u.user_id IN ({done} HAVING {having})"
    else:
        sql = f"u.user_id NOT IN ({done} HAVING count(*) > {bind(at_most)})"
    return Did(kind, since, item, about, at_least, at_most, sql)


def _attribute(content: object, scope: Scope, bind: Bind, place: str) -> Condition:
    fields = fields_of(content, place, {"column", "in"}, {"column", "in"})
    column = known(fields["column"], scope.attributes, f"{place}.column", say("attribute"))
    values = texts(fields["in"], f"{place}.in")
    return Among("users", (column,), f"list_contains({bind(values)}, {identifier(column)}::VARCHAR)")


def _category_propensity(content: object, scope: Scope, bind: Bind, place: str) -> Condition:
    fields = fields_of(content, place, {"category", "at_least", "at_most", *NAMED}, {"category"})
    table = table_of("category_propensity", fields, scope.tables, place)
    category = bind(text(fields["category"], f"{place}.category"))
    test = f"category = {category} AND {range_sql(_limits(fields), 'propensity', bind, place, {'at_least', 'at_most'})}"
    return Among(table, ("category", "propensity"), test)


def _limits(fields: Mapping[str, Any]) -> Mapping[str, Any]:
    return {name: fields[name] for name in ("at_least", "at_most") if name in fields}


def _recommended(content: object, scope: Scope, bind: Bind, place: str) -> Condition:
    need_table("recommendations", scope.tables, place)
    fields = fields_of(content, place, {"item", "rank"}, {"item"})
    item, rank = bind(text(fields["item"], f"{place}.item")), bind(count(fields.get("rank", 10), f"{place}.rank"))
    return Among("recommendations", ("item_id", "rank"), f'item_id = {item} AND "rank" <= {rank}')


def _users(content: object, scope: Scope, bind: Bind, place: str) -> Condition:
    user_ids = texts(content, place)
    return Listed(tuple(user_ids), f"u.user_id IN (SELECT unnest({bind(user_ids)}))")


def _stage(content: object, scope: Scope, bind: Bind, place: str) -> Condition:
    return _group(content, scope, bind, place, "stage", STAGES, say("stage of life"))


def _rfm(content: object, scope: Scope, bind: Bind, place: str) -> Condition:
    return _group(content, scope, bind, place, "rfm", RFM_GROUPS, say("RFM group"))


def _group(content: object, scope: Scope, bind: Bind, place: str, column: str, names: Collection[str], what: Message) -> Condition:
    need_table("groups", scope.tables, place)
    values = [known(value, names, place, what) for value in texts(content, place)]
    return Among("groups", (column,), f"list_contains({bind(values)}, {column})")


def _affinity(content: object, scope: Scope, bind: Bind, place: str) -> Condition:
    fields = fields_of(content, place, {"category", "at_least", "acts"}, {"category", "at_least"})
    name, least = text(fields["category"], f"{place}.category"), number(fields["at_least"], f"{place}.at_least")
    if not 0 < least <= 1_000_000:
        raise RuleError("{place}: an index lies above 0 (100 is the share of all shoppers); got {least:g}.", place=place, least=least)
    fewest = count(fields.get("acts", LEAST_ACTS), f"{place}.acts")
    category, acts, kinds = bind(name), bind(fewest), bind(list(INTEREST_TYPES))
    joined = "history AS h JOIN catalogue AS c ON h.item_id = c.item_id"
    interest = f"c.category IS NOT NULL AND list_contains({kinds}, h.event_type::VARCHAR)"
    share = f"count(*) FILTER (c.category = {category}) / count(*)"
    of_all = f"(SELECT {share} FROM {joined} WHERE {interest})"  # noqa: S608 - $p names only
    sql = (
        f"u.user_id IN (SELECT h.user_id FROM {joined} WHERE {interest} GROUP BY h.user_id"  # noqa: S608 - $p names only
        f" HAVING count(*) FILTER (c.category = {category}) >= {acts} AND 100 * {share} >= {bind(least)} * {of_all})"
    )
    return Leans(name, least, fewest, sql)


LEAVES: Mapping[str, Callable[[object, Scope, Bind, str], Condition]] = {
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
    "stage": _stage,
    "rfm": _rfm,
    "affinity": _affinity,
}
