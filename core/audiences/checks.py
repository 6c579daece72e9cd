"""Checks of what stands in a rule: each names the part that is wrong, the value, and what it takes."""

from collections.abc import Callable, Collection, Mapping
from typing import Any

from core.errors import RuleError
from core.messages import Message, say

Bind = Callable[[object], str]
"""Takes a value and returns what stands for it in the statement."""
LONGEST_LIST = 2_000_000
MAKERS: Mapping[str, str] = {"scores": "propensity", "segments": "map", "counts": "profile", "categories": "category propensity",
                             "recommendations": "recommend", "groups": "profile"}  # fmt: skip


def need_table(name: str, tables: Collection[str], place: str) -> None:
    """Make sure that the result of a stage is there."""
    if name not in tables:
        raise RuleError(
            "{place}: needs the result of `{maker}`, which is not there yet; run that stage first.", place=place, maker=MAKERS[name]
        )


def fields_of(content: object, place: str, allowed: set[str], needed: set[str]) -> Mapping[str, Any]:
    """Take the named fields of an object; unknown and missing ones are refused."""
    takes = ", ".join(sorted(allowed))
    if not isinstance(content, Mapping):
        raise RuleError("{place}: needs an object with {names}; got {value}.", place=place, names=takes, value=short(content))
    unknown, missing = sorted(set(map(str, content)) - allowed), sorted(needed - set(content))
    if unknown:
        raise RuleError(
            "{place}: does not know {unknown}; it takes {names}.", place=place, unknown=", ".join(map(short, unknown)), names=takes
        )
    if missing:
        raise RuleError("{place}: lacks {missing}; it takes {names}.", place=place, missing=", ".join(missing), names=takes)
    return content


def range_sql(content: object, column: str, bind: Bind, place: str, allowed: set[str]) -> str:
    """Compile at_least and at_most of a purchase chance."""
    fields = fields_of(content, place, allowed, set())
    if not fields:
        raise RuleError("{place}: needs at_least, at_most or both.", place=place)
    limits = {name: number(value, f"{place}.{name}") for name, value in fields.items()}
    for name, value in limits.items():
        if not 0 <= value <= 1:
            raise RuleError("{place}: a purchase chance lies between 0 and 1; got {value:g}.", place=f"{place}.{name}", value=value)
    if limits.get("at_least", 0) > limits.get("at_most", 1):
        raise RuleError("{place}: at_least {at_least:g} is above at_most {at_most:g}; nobody can be in it.", place=place, **limits)
    signs = {"at_least": ">=", "at_most": "<="}
    return " AND ".join(f"{column} {signs[name]} {bind(value)}" for name, value in sorted(limits.items()))


def known(value: object, names: Collection[str], place: str, what: Message) -> str:
    """Take a name that must be one of those that exist."""
    if not isinstance(value, str) or value not in names:
        near = sorted(names)[:12]
        raise RuleError(
            "{place}: there is no {what} {value}; there are {names}.",
            place=place,
            what=what,
            value=short(value),
            names=", ".join([*near, "…"] if len(names) > len(near) else near) or say("none"),
        )
    return value


def number(value: object, place: str) -> float:
    """Take a finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value or abs(value) == float("inf"):
        raise RuleError("{place}: needs a number; got {value}.", place=place, value=short(value))
    return float(value)


def count(value: object, place: str) -> int:
    """Take a whole number from 0 on."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**31:
        raise RuleError("{place}: needs a whole number from 0 on; got {value}.", place=place, value=short(value))
    return value


def text(value: object, place: str) -> str:
    """Take a text without NUL."""
    if not isinstance(value, str) or "\x00" in value:
        raise RuleError("{place}: needs a text; got {value}.", place=place, value=short(value))
    return value


def texts(value: object, place: str) -> list[str]:
    """Take a list of texts."""
    if not isinstance(value, list) or not value or len(value) > LONGEST_LIST:
        raise RuleError("{place}: needs a list of 1 to {most:,} texts; got {value}.", place=place, most=LONGEST_LIST, value=short(value))
    return [text(one, f"{place}[{place_of}]") for place_of, one in enumerate(value, start=1)]


def short(value: object) -> str:
    """Quote a value, cut at 60 characters."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
