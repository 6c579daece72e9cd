"""Guess which column is what, from names first and values second; values can refuse what a name promises."""

import re
from dataclasses import replace
from typing import Final

from core.errors import MappingError
from core.ingest.guessing_names import guess_names
from core.ingest.guessing_times import weekday_column
from core.ingest.guessing_values import guess_users, guess_values
from core.ingest.mapping import Guess, Role, RoleMapping
from core.ingest.names import plain_name
from core.ingest.preview import FilePreview


def guess_logs(previews: list[FilePreview], given: RoleMapping) -> list[RoleMapping]:
    """Complete the mapping of each event file; a file without users whose orders another file has is read as lines of those.

    Raises:
        MappingError: A given column is in none of the files, or a column that is needed cannot be found.
    """
    every = {column for preview in previews for column in preview.columns}
    if len(previews) < 2 or all(set(preview.columns) == every for preview in previews):
        return [guess_mapping(preview, "events", given) for preview in previews]
    for preview in previews[:1]:
        _check_given(preview, "events", given, every)
    parts = []
    for preview in previews:
        columns = {name: pieces for name, pieces in given.columns.items() if set(pieces) <= set(preview.columns)}
        own = replace(
            given, columns=columns, header=given.header if given.header and len(given.header) == len(preview.stored.columns) else None
        )
        parts.append(_complete(preview, "events", own))
    users = [part for part in parts if "user_id" in part.columns and "order_id" in part.columns]
    for preview, part in zip(previews, parts, strict=True):
        is_lines = "user_id" not in part.columns and "order_id" in part.columns and "item_id" in part.columns
        if not (is_lines and users):
            _require(preview, "events", dict(part.columns))
    return parts


def joined_parts(parts: list[RoleMapping]) -> RoleMapping:
    """Return one mapping of several event files, as it is kept and offered again; the first file that has a column names it."""
    columns = {name: pieces for part in reversed(parts) for name, pieces in part.columns.items()}
    order = list(dict.fromkeys(name for part in parts for name in part.columns))
    return replace(parts[0], columns={name: columns[name] for name in order})


def guess_mapping(preview: FilePreview, role: Role, given: RoleMapping | None = None) -> RoleMapping:
    """Complete a mapping by guesses; what a person gave stays untouched.

    Args:
        preview: The file.
        role: What the file is said to hold.
        given: Parts that a person named.

    Returns:
        The mapping with a Guess for each guessed column.

    Raises:
        MappingError: A given column is not in the file, or a column that the role needs cannot be found.
    """
    given = given or RoleMapping()
    _check_given(preview, role, given, set(preview.columns))
    result = _complete(preview, role, given)
    _require(preview, role, dict(result.columns))
    return result


def _complete(preview: FilePreview, role: Role, given: RoleMapping) -> RoleMapping:
    taken = {piece for pieces in given.columns.values() for piece in pieces}
    free = [c for c in preview.columns if c not in taken]
    values = {c: preview.values(c) for c in preview.columns}
    if role == "users":
        found: list[Guess] = guess_users(preview, given, free, values)
    elif preview.has_header or given.header is not None:
        found = guess_names(role, given, free, values, len(preview.sample))
    else:
        found = guess_values(role, given, free, preview)
    found = [guess for guess in found if guess.canonical not in given.left_out]
    columns = dict(given.columns)
    for guess in found:
        columns.setdefault(guess.canonical, guess.source)
    result = replace(given, columns=columns, guesses=tuple(g for g in found if columns[g.canonical] == g.source))
    if role == "events":
        result = replace(
            result,
            default_event_type=given.default_event_type or _default_event(columns),
            dwell_unit=given.dwell_unit or _dwell_unit(columns, values),
        )
    return result


def _check_given(preview: FilePreview, role: Role, given: RoleMapping, known: set[str]) -> None:
    for canonical, pieces in given.columns.items():
        for piece in pieces:
            if piece not in known:
                raise MappingError(
                    "The mapping reads {role}.{canonical} from column {column!r}, which {file} does not have; its columns are {columns}.",
                    role=role,
                    canonical=canonical,
                    column=piece,
                    file=preview.name,
                    columns=", ".join(preview.columns),
                )


def _require(preview: FilePreview, role: Role, columns: dict[str, tuple[str, ...]]) -> None:
    needed = {"events": ("user_id", "event_time"), "items": ("item_id",), "users": ("user_id",)}[role]
    missing = [name for name in needed if name not in columns]
    if role == "events" and "event_time" in missing and {"order_number", "days_since_prior_order"} <= columns.keys():
        missing.remove("event_time")
    listed = ", ".join(preview.columns)
    if role == "events" and missing == ["event_time"] and (weekday := weekday_column({c: preview.values(c) for c in preview.columns})):
        raise MappingError(
            "{file} says when something happened only by the day of the week ({weekday}), which places no event in time; "
            "export a date or a time with it. Its columns are {columns}.",
            file=preview.name,
            weekday=weekday,
            columns=listed,
        )
    if len(missing) == 2:
        raise MappingError(
            "{file} shows no column for {first} and {second}; its columns are {columns}. Name them in the mapping.",
            file=preview.name,
            first=missing[0],
            second=missing[1],
            columns=listed,
        )
    if missing:
        raise MappingError(
            "{file} shows no column for {column}; its columns are {columns}. Name it in the mapping.",
            file=preview.name,
            column=missing[0],
            columns=listed,
        )


_BOUGHT: Final = re.compile(
    r"(^|_)(purchase|purchased|order|ordered|invoice|transaction|bought|t_dat|bestelldatum|kaufdatum|commande|achat)|下单|购买|交易|成交"
)
"""Names of times at which something was bought."""


def _default_event(columns: dict[str, tuple[str, ...]]) -> str:
    if "purchase_item_id" in columns:
        name = plain_name(columns.get("item_id", ("",))[0])
        return "view" if "view" in name or "浏览" in name else "click"
    if columns.keys() & {"quantity", "revenue", "order_id", "order_number"}:
        return "purchase"
    if _BOUGHT.search(plain_name(columns.get("event_time", ("",))[0])):
        return "purchase"
    return "view"


def _dwell_unit(columns: dict[str, tuple[str, ...]], values: dict[str, list[str]]) -> str | None:
    if "dwell_seconds" not in columns:
        return None
    source = columns["dwell_seconds"][0]
    if re.search(r"(^|_)(ms|msec|millis|milliseconds)($|_)|毫秒", plain_name(source)):
        return "ms"
    if re.search(r"(^|_)(min|mins|minutes)($|_)|分钟", plain_name(source)):
        return "min"
    numbers = sorted(float(v) for v in values[source] if re.match(r"^\d+(\.\d+)?$", v))
    # A median stay above 2,000 s is no stay: half an hour of looking at one page means milliseconds.
    return "ms" if len(numbers) >= 10 and numbers[len(numbers) // 2] > 2000 else "s"
