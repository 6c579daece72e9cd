"""One JSON object becomes one row of texts, or one for each element of its list; inner objects are flattened a few levels."""

import json
from typing import Any

_KEY, _VALUE = "key", "value"
DEPTH = 4
"""Levels of objects in objects that become columns; API answers such as Klaviyo's keep the user three levels down."""


def unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Build an object and refuse one that says a name twice: which of both is meant nobody knows.

    Raises:
        ValueError: A name comes twice.
    """
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a name comes twice in one object")
    return made


def unfold(value: dict[str, Any]) -> list[dict[str, str | None]]:
    """Return the rows of an object: one, or as many as the elements of the one list of objects that it holds.

    OTTO's sessions hold their `events`, GA4's and Segment's purchases their `items` or `products`: each element is an act of its
    own, beside what the object says of all. An object with two such lists stays one row, its lists JSON text.

    Raises:
        ValueError: Two values would stand in one column.
    """
    lists = [(key, "") for key, inner in value.items() if _is_listing(inner)]
    lists += [(key, name) for key, outer in value.items() if isinstance(outer, dict) for name, inner in outer.items() if _is_listing(inner)]
    if len(lists) != 1:
        return [flatten(value)]
    key, name = lists[0]
    if not name:
        return [flatten({**value, key: [element]}) for element in value[key]]
    outer = {inner: element for inner, element in value[key].items() if inner != name}
    return [
        flatten({**value, key: {**outer, **{n if n not in outer else f"{name}.{n}": e for n, e in element.items()}}})
        for element in value[key][name]
    ]


def _is_listing(inner: Any) -> bool:
    """Tell a list of objects, several or inside an object, from one of keys and values."""
    return isinstance(inner, list) and bool(inner) and all(isinstance(e, dict) for e in inner) and not _is_pairs(inner)


def _is_pairs(inner: list[Any]) -> bool:
    return bool(inner) and all(isinstance(e, dict) and e.keys() == {_KEY, _VALUE} and isinstance(e[_KEY], str) for e in inner)


def flatten(value: dict[str, Any]) -> dict[str, str | None]:
    """Return the values of an object as texts by column.

    `{"user": {"id": 7}}` has the column `user.id`. A list of keys and values, as GA4 exports `event_params`, has a column for each
    key: `event_params.page_location`. A list of one object is that object. What lies deeper than `DEPTH`, and other lists, stay JSON text.

    Raises:
        ValueError: Two values would stand in one column.
    """
    made: dict[str, str | None] = {}
    for key, inner in value.items():
        if isinstance(inner, dict):
            _spread(made, key, inner)
        elif isinstance(inner, list):
            _list(made, key, inner)
        elif key in made:
            raise _twice(key)
        else:
            made[key] = _text(inner)
    return made


def _spread(made: dict[str, str | None], key: str, inner: dict[str, Any], depth: int = 1) -> None:
    if len(inner) == 1 and (sign := next(iter(inner))).startswith("$"):  # MongoDB's {"$oid": …}, {"$date": …}, {"$numberLong": …}
        _put(made, key, _text(inner[sign]))
        return
    for name, element in inner.items():
        if isinstance(element, dict) and element and depth < DEPTH:
            _spread(made, f"{key}.{name}", element, depth + 1)
        else:
            _put(made, f"{key}.{name}", _text(element))


def _list(made: dict[str, str | None], key: str, inner: list[Any]) -> None:
    if _is_pairs(inner):
        for element in inner:
            _put(made, f"{key}.{element[_KEY]}", _typed(element[_VALUE]))
    elif len(inner) == 1 and isinstance(inner[0], dict):
        _spread(made, key, inner[0])
    else:
        _put(made, key, _text(inner))


def _put(made: dict[str, str | None], name: str, text: str | None) -> None:
    if name in made:
        raise _twice(name)
    made[name] = text


def _twice(name: str) -> ValueError:
    return ValueError(f"two values stand under the name {name[:80]}")


def _typed(value: Any) -> str | None:
    """Return the one value of GA4's {"string_value": …, "int_value": …} that is given."""
    if isinstance(value, dict):
        given = [element for name, element in value.items() if element is not None and name != "set_timestamp_micros"]
        return _text(given[0]) if len(given) == 1 else _text(value) if given else None
    return _text(value)


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict) and len(value) == 1 and next(iter(value)).startswith("$"):
        return _text(next(iter(value.values())))
    return json.dumps(value, ensure_ascii=False) if value else None
