"""The cleaning rules: their ids, what they say, which can be switched off, and their parameters."""

from collections.abc import Mapping as Dict
from dataclasses import dataclass, field
from typing import Any, Final

from core.errors import MappingError


@dataclass(frozen=True)
class Rule:
    """One reason to set a row aside."""

    id: str
    description: str
    parameters: Dict[str, float] = field(default_factory=dict)
    fixed: bool = False
    """True when nothing can be kept without it."""
    usual: bool = True
    """Whether it is on unless a person says otherwise; a rule that is off still counts what it would take."""


MERGING: Final = ("duplicates", "order_heads")
"""Rules whose rows are not lost but stand in another row."""
RULES: Final = (
    Rule("broken_row", "The line does not have as many fields as the table, or its quotes do not close.", fixed=True),
    Rule("other_table", "The row is a header that comes again, or stands in another table below the first.", fixed=True),
    Rule("null_user", "No user id. Switched off, rows with a session id are kept under that session."),
    Rule("bad_time", "The time is missing or unreadable.", fixed=True),
    Rule("time_out_of_range", "The time lies before the earliest year or more than a day in the future.", {"earliest_year": 1990}),
    Rule("null_item", "No item id, although the log has items (searches and shares may lack one)."),
    Rule("bad_price", "The price or amount is not a number. Switched off, the row is kept without it."),
    Rule("negative_price", "The unit price is below zero."),
    Rule("bad_quantity", "The quantity is not a number, or is below zero on something that is no purchase."),
    Rule("bad_dwell", "The dwell time is not a duration. Switched off, the row is kept without it."),
    Rule("negative_dwell", "The dwell time is below zero. Switched off, the row is kept without it."),
    Rule("dwell_cap", "Longer stays are cut to the cap; the row stays.", {"seconds": 3600}),
    Rule(
        "duplicates",
        "Equal in every mapped column to an earlier row, or the same act within `seconds` of the one before: merged.",
        {"seconds": 0},
    ),
    Rule("order_heads", "Rows that say who ordered and when were joined to the lines of their order in another file: merged.", fixed=True),
    Rule(
        "robots",
        "More acts than a person makes in the hour or the day before, or so many in a row at even distances or without any stay; "
        "purchases never count. 0 switches a part off.",
        {"per_hour": 150, "per_day": 250, "even_gaps": 150, "zero_dwell": 150},
    ),
    Rule("no_catalogue", "The item is not in the catalogue file. Switched off, the row is kept and counted.", usual=False),
    Rule(
        "price_outliers",
        "The price is so many `times` above or below the median of the item's earlier prices, of which there are at least `seen`.",
        {"times": 10, "seen": 5},
        usual=False,
    ),
    Rule("currency_mix", "The price is in another currency than that of the first row that names one.", usual=False),
)
"""Robots: the busiest of 4,504 people in three hours of a large real shop made 51 acts; three times that in one hour is no person.
Even gaps: 150 distances in a row that differ by less than a fiftieth; zero dwell: as many stays of 0 s in a row."""


@dataclass(frozen=True)
class Setting:
    """One rule as it is used."""

    on: bool
    given: bool
    """Whether a person switched it or set a parameter."""
    parameters: Dict[str, float]


def settle_rules(given: Dict[str, Any]) -> dict[str, Setting]:
    """Join what a person set with the defaults.

    Raises:
        MappingError: An unknown rule or parameter, a wrong value, or a rule that cannot be switched off.
    """
    known = {rule.id: rule for rule in RULES}
    if unknown := sorted(set(given) - known.keys()):
        raise MappingError("There is no cleaning rule {rule!r}; there are {known}.", rule=unknown[0], known=", ".join(known))
    settings: dict[str, Setting] = {}
    for rule in RULES:
        value = given.get(rule.id, rule.usual)
        on, parameters = value is not False, dict(rule.parameters)
        if isinstance(value, dict):
            on = value.get("on", True) is not False
            for name, number in value.items():
                if name == "on":
                    continue
                if not rule.parameters:
                    raise MappingError("Rule {rule!r} has no parameter {name!r}; it has none.", rule=rule.id, name=name)
                if name not in rule.parameters:
                    known_here = ", ".join(rule.parameters)
                    raise MappingError(
                        "Rule {rule!r} has no parameter {name!r}; it has {known}.", rule=rule.id, name=name, known=known_here
                    )
                if isinstance(number, bool) or not isinstance(number, int | float) or not 0 <= number < 1e9:
                    raise MappingError(
                        "Parameter {name!r} of rule {rule!r} is {given}; it must be a number from 0 on.",
                        name=name,
                        rule=rule.id,
                        given=repr(number),
                    )
                if name == "earliest_year" and number > 9999:
                    raise MappingError(
                        "Parameter {name!r} of rule {rule!r} is {given}; a year has at most four digits.",
                        name=name,
                        rule=rule.id,
                        given=repr(number),
                    )
                parameters[name] = number
        elif not isinstance(value, bool):
            raise MappingError("Rule {rule!r} is {given}; write true, false or an object of parameters.", rule=rule.id, given=repr(value))
        if rule.fixed and not on:
            raise MappingError("Rule {rule!r} cannot be switched off: such rows cannot be placed in the log.", rule=rule.id)
        settings[rule.id] = Setting(on, rule.id in given, parameters)
    return settings
