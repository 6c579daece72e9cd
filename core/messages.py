"""Sentences for people that keep their template and values, so that a page can say them in another language.

Core speaks English; `say("{n:,} rows were dropped.", n=3)` is that sentence as text, and remembers what it was made of.
Sealed manifests and job files carry the parts beside the text (`with_messages`), and reading puts them together again
(`revived`). The templates are msgids of the catalogues in `locale/`.
"""

from collections.abc import Iterator, Mapping
from typing import Any, cast

MESSAGES = "messages"
"""Key of a JSON record under which the parts of its sentences lie: {text: {"template", "values"}}."""


class Message(str):
    """A sentence, with the template and the values that made it; as a string it is English."""

    __slots__ = ("template", "values")
    template: str
    values: Mapping[str, Any]

    def __new__(cls, template: str, values: Mapping[str, Any]) -> "Message":
        made = super().__new__(cls, template.format(**values) if values else template)
        made.template, made.values = template, values
        return made

    def __getnewargs__(self) -> tuple[str, Mapping[str, Any]]:  # type: ignore[override]  # copies and caches make it anew
        return self.template, self.values


def say(template: str, /, **values: object) -> Message:
    """Fill a template: numbers and messages are kept as they are, anything else as its text.

    Args:
        template: A literal sentence with named places, `{rows:,}`; without values it is taken as it stands.
        values: What stands in the places; a message may stand in another one.
    """
    return Message(template, {name: _plain(value) for name, value in values.items()})


def joined(parts: list[Message], template: str = "{first}, {second}") -> Message:
    """Join sentences by a template that is itself translated, `{first} and {second}`; at least one part.

    Halves are joined, not one after the other, so that a long list nests only a few levels deep.

    Raises:
        ValueError: There is no part.
    """
    if not parts:
        raise ValueError("nothing to join")
    if len(parts) == 1:
        return parts[0]
    middle = len(parts) // 2
    return say(template, first=joined(parts[:middle], template), second=joined(parts[middle:], template))


def with_messages(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record for JSON with the parts of every sentence in it beside the sentences."""
    found = {str(message): _parts(message) for message in _messages(record)}
    return {**record, MESSAGES: found} if found else dict(record)


def revived(record: Any) -> Any:
    """Put sentences of a record that JSON has made plain together again with their parts; anything odd stays plain text."""
    if not isinstance(record, dict) or not isinstance(record.get(MESSAGES), dict):
        return record
    known = {text: message for text, parts in record[MESSAGES].items() if (message := _message(parts)) == text}
    return {key: _put(value, known) for key, value in record.items() if key != MESSAGES}


def _plain(value: object) -> object:
    if isinstance(value, Message | bool | int | float | str):
        return value
    return value.item() if hasattr(value, "item") else str(value)


def _messages(value: Any) -> Iterator[Message]:
    if isinstance(value, Message):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _messages(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _messages(inner)


def _parts(message: Message) -> dict[str, Any]:
    return {
        "template": message.template,
        "values": {name: _parts(value) if isinstance(value, Message) else value for name, value in message.values.items()},
    }


def _message(parts: Any) -> Message | None:
    try:
        values = {name: _message(value) if isinstance(value, dict) else value for name, value in parts["values"].items()}
        return Message(parts["template"], values)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError):
        return None


def _put(value: Any, known: Mapping[str, Message | None]) -> Any:
    if isinstance(value, str):
        return cast(Any, known.get(value, value))
    if isinstance(value, dict):
        return {key: _put(inner, known) for key, inner in value.items()}
    if isinstance(value, list):
        return [_put(inner, known) for inner in value]
    return value
