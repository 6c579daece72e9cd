"""The mapping that people confirm: which column of their file is which canonical column, and how it is read."""

import json
from collections.abc import Mapping as Dict
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

from core.errors import MappingError
from core.ingest.date_order import ORDERS
from core.ingest.names import DEMOGRAPHICS
from core.schema import EVENT_TYPES, ITEM_ATTRIBUTES, slug

Role = Literal["events", "items", "users"]

EVENT_COLUMNS: Final = (
    "user_id",
    "anonymous_id",
    "item_id",
    "purchase_item_id",
    "event_type",
    "event_time",
    "session_id",
    "dwell_seconds",
    "position",
    "quantity",
    "price",
    "revenue",
    "query",
    "order_id",
    "currency",
    "order_number",
    "order_hour",
    "days_since_prior_order",
)
"""Keys that `events.columns` may have, besides item attributes and demographics repeated in each row; `anonymous_id` (a device, a
cookie) stands for the user where `user_id` is empty."""

TIME_UNITS: Final = ("s", "ms", "us", "ns", "days")
DWELL_UNITS: Final = ("s", "ms", "min")


@dataclass(frozen=True)
class Guess:
    """One canonical column and the file's column that seems to hold it."""

    canonical: str
    source: tuple[str, ...]
    confidence: float
    """0-1."""
    samples: tuple[str, ...] = ()
    """A few distinct values."""


@dataclass(frozen=True)
class RoleMapping:
    """How one kind of file is read; everything but `columns` may be left open."""

    columns: Dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Canonical column → one column of the file, or several to be joined (year, month, day; columns of 0 and 1 for event_type)."""
    header: tuple[str, ...] | None = None
    """Names for a file that has none."""
    delimiter: str | None = None
    encoding: str | None = None
    time_unit: str | None = None
    """s, ms, us or ns of an epoch number; days for a day number without a calendar."""
    time_format: str | None = None
    """A strptime format."""
    date_order: str | None = None
    """day_first or month_first, for dates such as 03/04/2024 when no value decides it."""
    time_zone: str | None = None
    """Zone of times that carry none; None takes the request's."""
    event_types: Dict[str, str] = field(default_factory=dict)
    default_event_type: str | None = None
    guesses: tuple[Guess, ...] = ()
    """How sure each guessed column is; columns a person gave are not listed."""
    dwell_unit: str | None = None
    """s, ms or min for plain numbers."""
    whole_ids: bool | None = None
    """Read ids such as 17850.0 as 17850 where every id of the column ends so; None does it too, False never."""
    left_out: tuple[str, ...] = ()
    """Canonical columns that a person wants empty (null in the JSON), whatever could be guessed for them."""

    def to_record(self) -> dict[str, Any]:
        """Return the JSON form, without what is open."""
        record: dict[str, Any] = {"columns": {key: list(v) if len(v) > 1 else v[0] for key, v in self.columns.items()}}
        record["columns"] |= dict.fromkeys(self.left_out)
        for name in ("delimiter", "encoding", "time_unit", "time_format", "date_order", "time_zone", "default_event_type", "dwell_unit"):
            if getattr(self, name) is not None:
                record[name] = getattr(self, name)
        if self.whole_ids is not None:
            record["whole_ids"] = self.whole_ids
        if self.header is not None:
            record["header"] = list(self.header)
        if self.event_types:
            record["event_types"] = dict(self.event_types)
        return record


@dataclass(frozen=True)
class Mapping:
    """The mapping of one ingest: events, and perhaps items and users."""

    events: RoleMapping = field(default_factory=RoleMapping)
    items: RoleMapping | None = None
    users: RoleMapping | None = None
    rules: Dict[str, Any] = field(default_factory=dict)
    """Rule id → False, True or its parameters."""
    pseudonyms: tuple[str, ...] = ()
    """user_id, session_id or attributes of users that are replaced by salted hashes before anything is stored."""

    @classmethod
    def from_json(cls, text: str | Dict[str, Any]) -> "Mapping":
        """Read the JSON of `--map`.

        Raises:
            MappingError: It is no JSON, or holds a key or value that means nothing here.
        """
        try:
            record = json.loads(text) if isinstance(text, str) else dict(text)
        except (ValueError, RecursionError) as error:
            raise MappingError("The mapping is no valid JSON ({error}); correct it or leave it out.", error=error) from error
        if not isinstance(record, dict):
            raise MappingError("The mapping must be a JSON object with `events`, `items`, `users` or `rules`.")
        if unknown := sorted(set(record) - {"events", "items", "users", "rules", "pseudonyms"}):
            if unknown[0] in RoleMapping.__dataclass_fields__:
                raise MappingError(
                    "{part} belongs to one kind of file, such as {example}.",
                    part=repr(unknown[0]),
                    example=json.dumps({"events": {unknown[0]: record[unknown[0]]}}, ensure_ascii=False)[:200],
                )
            raise MappingError(
                "The mapping has an unknown part {part}; its parts are events, items, users, rules and pseudonyms.", part=repr(unknown[0])
            )
        roles = {role: _role(record[role], role) for role in ("events", "items", "users") if record.get(role)}
        rules = record.get("rules") or {}
        if not isinstance(rules, dict):
            raise MappingError("`rules` must be an object such as {example}.", example='{"robots": false}')
        return cls(roles.get("events", RoleMapping()), roles.get("items"), roles.get("users"), rules, _pseudonyms(record.get("pseudonyms")))

    def to_json(self) -> str:
        """Write the JSON that `from_json` reads."""
        return json.dumps(self.to_record(), ensure_ascii=False, indent=1)

    def to_record(self) -> dict[str, Any]:
        """Return the JSON form as an object."""
        record: dict[str, Any] = {"events": self.events.to_record()}
        if self.items is not None:
            record["items"] = self.items.to_record()
        if self.users is not None:
            record["users"] = self.users.to_record()
        if self.rules:
            record["rules"] = dict(self.rules)
        if self.pseudonyms:
            record["pseudonyms"] = list(self.pseudonyms)
        return record


def allowed_columns(role: Role) -> tuple[str, ...]:
    """Keys that `columns` of a role may have; users may have any attribute."""
    if role == "items":
        return ("item_id", *ITEM_ATTRIBUTES)
    return (*EVENT_COLUMNS, *(a for a in ITEM_ATTRIBUTES if a != "price"), *DEMOGRAPHICS) if role == "events" else ("user_id",)


def _pseudonyms(given: Any) -> tuple[str, ...]:
    if given is None:
        return ()
    if not isinstance(given, list) or not all(isinstance(name, str) and name for name in given):
        raise MappingError(
            "`pseudonyms` is {given}; it must be a list of columns such as {example}.", given=repr(given), example='["user_id"]'
        )
    refused = (set(EVENT_COLUMNS) | set(ITEM_ATTRIBUTES)) - {"user_id", "session_id"}
    if wrong := [name for name in given if name in refused]:
        raise MappingError(
            "`pseudonyms` names {column}; only user_id, session_id and attributes of users can be replaced. "
            "Map {column} to null to leave it out.",
            column=wrong[0],
        )
    return tuple(dict.fromkeys(name if name in ("user_id", "session_id") else slug(name) for name in given))


def _role(record: Any, role: Role) -> RoleMapping:
    if not isinstance(record, dict):
        raise MappingError("`{role}` of the mapping must be an object with `columns`.", role=role)
    known = {
        "columns",
        "header",
        "delimiter",
        "encoding",
        "time_unit",
        "time_format",
        "date_order",
        "time_zone",
        "event_types",
        "default_event_type",
        "dwell_unit",
        "whole_ids",
    }
    if unknown := sorted(set(record) - known):
        raise MappingError(
            "`{role}` of the mapping has an unknown key {key}; it may have {known}.",
            role=role,
            key=repr(unknown[0]),
            known=", ".join(sorted(known)),
        )
    columns: dict[str, tuple[str, ...]] = {}
    left_out: list[str] = []
    given = record.get("columns") or {}
    if not isinstance(given, dict):
        raise MappingError("`columns` of `{role}` must be an object of canonical name and file column.", role=role)
    for canonical, source in given.items():
        name = slug(canonical) if role == "users" else canonical
        if role != "users" and name not in allowed_columns(role):
            raise MappingError(
                "`{role}.columns` names {column}, which is no canonical column; there are {known}.",
                role=role,
                column=repr(canonical),
                known=", ".join(allowed_columns(role)),
            )
        pieces = source if isinstance(source, list) else [source]
        if source is None or source == []:
            left_out.append(name)
            continue
        if not all(isinstance(piece, str) for piece in pieces):
            raise MappingError("`{role}.columns.{column}` must be a column name or a list of column names.", role=role, column=canonical)
        columns[name] = tuple(pieces)
    default = record.get("default_event_type")
    if default is not None and default not in EVENT_TYPES:
        raise MappingError("`default_event_type` is {given}; it must be one of {known}.", given=repr(default), known=", ".join(EVENT_TYPES))
    unit = record.get("time_unit")
    if unit is not None and unit not in TIME_UNITS:
        raise MappingError("`time_unit` is {given}; it must be one of {known}.", given=repr(unit), known=", ".join(TIME_UNITS))
    if record.get("dwell_unit") not in (None, *DWELL_UNITS):
        raise MappingError(
            "`dwell_unit` is {given}; it must be one of {known}.", given=repr(record["dwell_unit"]), known=", ".join(DWELL_UNITS)
        )
    if record.get("date_order") not in (None, *ORDERS):
        raise MappingError("`date_order` is {given}; it must be one of {known}.", given=repr(record["date_order"]), known=", ".join(ORDERS))
    if record.get("whole_ids") not in (None, True, False):
        raise MappingError("`whole_ids` is {given}; it must be true or false.", given=repr(record["whole_ids"]))
    for name in ("delimiter", "encoding", "time_format", "time_zone"):
        if record.get(name) is not None and not isinstance(record[name], str):
            raise MappingError("`{role}.{name}` is {given}; it must be a text in quotes.", role=role, name=name, given=repr(record[name]))
    if (len(record.get("delimiter") or ",") != 1 and record["delimiter"] != "::") or record.get("delimiter") in ('"', "\n", "\r", "\0"):
        raise MappingError(
            "`{role}.delimiter` is {given}; it must be one character, such as , or ; or \\t.", role=role, given=repr(record["delimiter"])
        )
    words = record.get("event_types") or {}
    if not isinstance(words, dict):
        raise MappingError(
            "`{role}.event_types` is {given}; it must be an object such as {example}.",
            role=role,
            given=repr(words),
            example='{"addtocart": "cart"}',
        )
    header = record.get("header")
    if header is not None and not (isinstance(header, list) and all(isinstance(name, str) for name in header)):
        raise MappingError("`{role}.header` is {given}; it must be a list of column names.", role=role, given=repr(header))
    return replace(
        RoleMapping(),
        columns=columns,
        header=tuple(header) if header else None,
        delimiter=record.get("delimiter"),
        encoding=record.get("encoding"),
        time_unit=unit,
        time_format=record.get("time_format"),
        date_order=record.get("date_order"),
        time_zone=record.get("time_zone"),
        event_types={str(k): str(v) for k, v in words.items()},
        default_event_type=default,
        dwell_unit=record.get("dwell_unit"),
        whole_ids=record.get("whole_ids"),
        left_out=tuple(left_out),
    )
