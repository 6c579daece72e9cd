"""The mapping that people confirm: which column of their file is which canonical column, and how it is read."""

import json
from collections.abc import Mapping as Dict
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

from core.errors import MappingError
from core.ingest.names import DEMOGRAPHICS
from core.schema import EVENT_TYPES, ITEM_ATTRIBUTES, slug

Role = Literal["events", "items", "users"]

EVENT_COLUMNS: Final = (
    "user_id",
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
    "order_number",
    "order_hour",
    "days_since_prior_order",
)
"""Keys that `events.columns` may have, besides item attributes and demographics repeated in each row."""

TIME_UNITS: Final = ("s", "ms", "us", "ns", "days")


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
    """Canonical column → one column of the file, or several to be joined (year, month, day)."""
    header: tuple[str, ...] | None = None
    """Names for a file that has none."""
    delimiter: str | None = None
    encoding: str | None = None
    time_unit: str | None = None
    """s, ms, us or ns of an epoch number; days for a day number without a calendar."""
    time_format: str | None = None
    """A strptime format."""
    time_zone: str | None = None
    """Zone of times that carry none; None takes the request's."""
    event_types: Dict[str, str] = field(default_factory=dict)
    default_event_type: str | None = None
    guesses: tuple[Guess, ...] = ()
    """How sure each guessed column is; columns a person gave are not listed."""
    dwell_unit: str | None = None
    """s or ms for plain numbers."""

    def to_record(self) -> dict[str, Any]:
        """Return the JSON form, without what is open."""
        record: dict[str, Any] = {"columns": {key: list(v) if len(v) > 1 else v[0] for key, v in self.columns.items()}}
        for name in ("delimiter", "encoding", "time_unit", "time_format", "time_zone", "default_event_type", "dwell_unit"):
            if getattr(self, name) is not None:
                record[name] = getattr(self, name)
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

    @classmethod
    def from_json(cls, text: str | Dict[str, Any]) -> "Mapping":
        """Read the JSON of `--map`.

        Raises:
            MappingError: It is no JSON, or holds a key or value that means nothing here.
        """
        try:
            record = json.loads(text) if isinstance(text, str) else dict(text)
        except (ValueError, RecursionError) as error:
            raise MappingError(f"The mapping is no valid JSON ({error}); correct it or leave it out.") from error
        if not isinstance(record, dict):
            raise MappingError("The mapping must be a JSON object with `events`, `items`, `users` or `rules`.")
        if unknown := sorted(set(record) - {"events", "items", "users", "rules"}):
            raise MappingError(f"The mapping has an unknown part {unknown[0]!r}; its parts are events, items, users and rules.")
        roles = {role: _role(record[role], role) for role in ("events", "items", "users") if record.get(role)}
        rules = record.get("rules") or {}
        if not isinstance(rules, dict):
            raise MappingError('`rules` must be an object such as {"robots": false}.')
        return cls(roles.get("events", RoleMapping()), roles.get("items"), roles.get("users"), rules)

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
        return record


def allowed_columns(role: Role) -> tuple[str, ...]:
    """Keys that `columns` of a role may have; users may have any attribute."""
    if role == "items":
        return ("item_id", *ITEM_ATTRIBUTES)
    return (*EVENT_COLUMNS, *(a for a in ITEM_ATTRIBUTES if a != "price"), *DEMOGRAPHICS) if role == "events" else ("user_id",)


def _role(record: Any, role: Role) -> RoleMapping:
    if not isinstance(record, dict):
        raise MappingError(f"`{role}` of the mapping must be an object with `columns`.")
    known = {
        "columns",
        "header",
        "delimiter",
        "encoding",
        "time_unit",
        "time_format",
        "time_zone",
        "event_types",
        "default_event_type",
        "dwell_unit",
    }
    if unknown := sorted(set(record) - known):
        raise MappingError(f"`{role}` of the mapping has an unknown key {unknown[0]!r}; it may have {', '.join(sorted(known))}.")
    columns: dict[str, tuple[str, ...]] = {}
    given = record.get("columns") or {}
    if not isinstance(given, dict):
        raise MappingError(f"`columns` of `{role}` must be an object of canonical name and file column.")
    for canonical, source in given.items():
        name = slug(canonical) if role == "users" else canonical
        if role != "users" and name not in allowed_columns(role):
            raise MappingError(
                f"`{role}.columns` names {canonical!r}, which is no canonical column; there are {', '.join(allowed_columns(role))}."
            )
        pieces = source if isinstance(source, list) else [source]
        if source is None or source == []:
            continue
        if not all(isinstance(piece, str) for piece in pieces):
            raise MappingError(f"`{role}.columns.{canonical}` must be a column name or a list of column names.")
        columns[name] = tuple(pieces)
    default = record.get("default_event_type")
    if default is not None and default not in EVENT_TYPES:
        raise MappingError(f"`default_event_type` is {default!r}; it must be one of {', '.join(EVENT_TYPES)}.")
    unit = record.get("time_unit")
    if unit is not None and unit not in TIME_UNITS:
        raise MappingError(f"`time_unit` is {unit!r}; it must be one of {', '.join(TIME_UNITS)}.")
    if record.get("dwell_unit") not in (None, "s", "ms"):
        raise MappingError(f"`dwell_unit` is {record['dwell_unit']!r}; it must be s or ms.")
    for name in ("delimiter", "encoding", "time_format", "time_zone"):
        if record.get(name) is not None and not isinstance(record[name], str):
            raise MappingError(f"`{role}.{name}` is {record[name]!r}; it must be a text in quotes.")
    if len(record.get("delimiter") or ",") != 1 or record.get("delimiter") in ('"', "\n", "\r", "\0"):
        raise MappingError(f"`{role}.delimiter` is {record['delimiter']!r}; it must be one character, such as , or ; or \\t.")
    words = record.get("event_types") or {}
    if not isinstance(words, dict):
        raise MappingError(f'`{role}.event_types` is {words!r}; it must be an object such as {{"addtocart": "cart"}}.')
    header = record.get("header")
    if header is not None and not (isinstance(header, list) and all(isinstance(name, str) for name in header)):
        raise MappingError(f"`{role}.header` is {header!r}; it must be a list of column names.")
    return replace(
        RoleMapping(),
        columns=columns,
        header=tuple(header) if header else None,
        delimiter=record.get("delimiter"),
        encoding=record.get("encoding"),
        time_unit=unit,
        time_format=record.get("time_format"),
        time_zone=record.get("time_zone"),
        event_types={str(k): str(v) for k, v in words.items()},
        default_event_type=default,
        dwell_unit=record.get("dwell_unit"),
    )
