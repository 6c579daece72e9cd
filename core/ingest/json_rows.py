"""Objects of a JSON file, one by one: JSON lines, an array, an object with one array inside, or objects in a row.

A broken line of JSON lines costs that line. A document that is broken in the middle has no later rows that could be
trusted, so it is refused with the line.
"""

import codecs
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

from core.errors import FileError
from core.ingest.decoding import decoded_blocks
from core.ingest.flattening import unfold, unique_keys
from core.ingest.text_table import Row

MAX_OBJECT = 2 << 20
"""Signs of one object; a longer one is no event."""

MAX_DEPTH = 3
"""How deep inside objects the one array of rows is looked for."""

_BLANK = re.compile(r"[ \t\n\r]*")
Layout = Literal["lines", "document"]
_DECODER = json.JSONDecoder(object_pairs_hook=unique_keys, parse_float=str, parse_int=str, parse_constant=str)


def find_layout(head: str, *, complete: bool) -> Layout:
    """Tell JSON lines from one document by the head of a file.

    Args:
        head: Text of the head.
        complete: Whether it is the whole file.
    """
    lines = [line for line in head.split("\n")[:50] if line.strip()]
    whole = lines if complete else lines[:-1]
    objects = [isinstance(_parsed(line), dict) for line in whole]
    if complete and len(lines) == 1:
        return "document"  # one object in one line may also wrap the rows
    return "lines" if sum(objects) * 2 > len(objects) else "document"


def read_json_rows(path: Path, kind: str, encoding: str, layout: Layout, tick: Callable[[float], None]) -> Iterator[Row]:
    """Yield the rows of a JSON file.

    Args:
        path: The file.
        kind: json, json.gz or json.zst.
        encoding: Its encoding.
        layout: What `find_layout` said.
        tick: Told the share.

    Raises:
        FileError: The file is cut, no JSON, or holds no list of objects.
    """
    texts = _texts(path, kind, encoding, tick)
    return _lines(texts, path.name) if layout == "lines" else _Document(texts, path.name).rows()


def _texts(path: Path, kind: str, encoding: str, tick: Callable[[float], None]) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    for block, share in decoded_blocks(path, kind, encoding):
        yield decoder.decode(block)
        tick(share)
    yield decoder.decode(b"", final=True)


def _parsed(line: str) -> Any:
    try:
        return _DECODER.decode(line)
    except (ValueError, RecursionError):
        return None


def _lines(texts: Iterator[str], name: str) -> Iterator[Row]:
    rest, number = "", 0
    for text in texts:
        lines = (rest + text).split("\n")
        rest = lines.pop()
        if len(rest) > MAX_OBJECT:
            raise _too_long(name, number + len(lines) + 1)
        for line in lines:
            number += 1
            if line and not line.isspace():
                if len(line) > MAX_OBJECT:
                    raise _too_long(name, number)
                yield from _rows(line, number)
    if rest.strip():
        rows = _rows(rest, number + 1)
        if rows[0][2] is not None and not rest.rstrip().endswith("}"):
            raise _cut(name, number + 1)
        yield from rows


def _rows(line: str, number: int) -> list[Row]:
    try:
        value = _DECODER.decode(line)
    except (ValueError, RecursionError) as error:
        return [({}, line, f"line {number}: {_reason(error)}")]
    return [(values, text, fault and f"line {number}: {fault}") for values, text, fault in _object_rows(value, line)]


def _reason(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "nested too deeply"
    return f"no valid JSON ({error.msg} at sign {error.pos + 1})" if isinstance(error, json.JSONDecodeError) else str(error)


def _too_long(name: str, line: int) -> FileError:
    return FileError(
        "{file} has a line longer than {most} MiB near line {line}; this is no table.", file=name, most=MAX_OBJECT >> 20, line=line
    )


def _cut(name: str, line: int) -> FileError:
    return FileError("{file} ends in the middle of an object (line {line}): it was cut off; copy or export it again.", file=name, line=line)


class _Document:
    """Reads one JSON text from the front; holds no more of it than a few blocks."""

    def __init__(self, texts: Iterator[str], name: str) -> None:
        self.texts, self.name = texts, name
        self.text, self.place, self.line = "", 0, 1
        self.done = False
        self.found = ""

    def rows(self) -> Iterator[Row]:
        if self._peek() == "[":
            yield from self._array()
            self._end()
            return
        try:
            value, text = self._value()
        except _TooLong:  # larger than one event: an object around the rows
            try:
                yield from self._object(0)
            except _TooLong:
                raise _too_long(self.name, self._line()) from None
            self._end()
            if not self.found:
                raise self._without_rows() from None
            return
        if self._peek() in ("{", ","):
            yield from _object_rows(value, text)
            while (sign := self._peek()) in ("{", ","):
                self.place += sign == ","
                yield from self._next()
            self._end()
        else:
            self._end()
            yield from self._inside(value, text)

    def _inside(self, value: Any, text: str) -> Iterator[Row]:
        """Yield rows of a small object that is the whole file."""
        lists = list(_object_lists(value, 0)) if isinstance(value, dict) else []
        if len(lists) > 1:
            raise self._several(lists[0][0], lists[1][0])
        if lists:
            for element in lists[0][1]:
                yield from _object_rows(element, json.dumps(element, ensure_ascii=False))
        elif isinstance(value, dict) and value and {type(element) for element in value.values()} <= {dict, list}:
            raise FileError(
                "{file} holds its table column by column; export it again row by row (pandas: orient='records').", file=self.name
            )
        else:
            yield from _object_rows(value, text)

    def _object(self, depth: int) -> Iterator[Row]:
        """Yield rows of the one array of objects inside a large object, whose opening brace is next."""
        self.place += 1
        while self._peek() != "}":
            key = str(self._value()[0])
            if self._peek() != ":":
                raise self._broken("':' is missing")
            self.place += 1
            sign = self._peek()
            if sign == "[":
                yield from self._array(key)
            elif sign == "{" and depth < MAX_DEPTH:
                yield from self._object(depth + 1)
            else:
                self._value()
            self._comma("}")
        self.place += 1

    def _array(self, key: str | None = None) -> Iterator[Row]:
        """Yield the objects of an array whose opening bracket is next; in an object only one array may hold any."""
        self.place += 1
        is_ours = True
        if key is not None and (is_ours := self._peek() == "{"):
            if self.found:
                raise self._several(self.found, key)
            self.found = key
        while (sign := self._peek()) != "]":
            if key is None and sign == "[":
                raise FileError("{file} holds lists, not objects with names; export it as CSV or as JSON objects.", file=self.name)
            if is_ours:
                yield from self._next()
            else:
                self._value()
            self._comma("]")
        self.place += 1

    def _next(self) -> list[Row]:
        try:
            return _object_rows(*self._value())
        except _TooLong:
            raise _too_long(self.name, self._line()) from None

    def _value(self) -> tuple[Any, str]:
        """Return the next value and its text."""
        self._peek()
        while True:
            try:
                value, end = _DECODER.raw_decode(self.text, self.place)
            except (ValueError, RecursionError) as error:
                if self.done and not isinstance(error, json.JSONDecodeError):
                    raise self._broken(_reason(error)) from error
                if self.done and len(self.text) - self.place <= MAX_OBJECT:
                    raise (self._broken(_reason(error)) if self._goes_on(error) else _cut(self.name, self._line())) from error
                if len(self.text) - self.place > MAX_OBJECT:
                    raise _TooLong from error
                self._more()
                continue
            if end == len(self.text) and not self.done:  # a number may go on in the next block
                self._more()
                continue
            if end - self.place > MAX_OBJECT:
                raise _TooLong
            text, self.place = self.text[self.place : end], end
            return value, text

    def _goes_on(self, error: Exception) -> bool:
        """Tell whether text follows the place where reading failed, so that the file is wrong rather than cut."""
        if not isinstance(error, json.JSONDecodeError) or error.msg.startswith("Unterminated"):
            return False
        rest = self.text[error.pos :].strip()
        return bool(rest) and not any(word.startswith(rest) for word in ("true", "false", "null", "NaN"))

    def _more(self) -> None:
        self.line += self.text.count("\n", 0, self.place)
        self.text, self.place = self.text[self.place :], 0
        try:
            self.text += next(self.texts)
        except StopIteration:
            self.done = True

    def _peek(self) -> str:
        """Skip blanks and return the sign that follows, "" at the end."""
        while True:
            match = _BLANK.match(self.text, self.place)
            assert match is not None
            self.place = match.end()
            if self.place < len(self.text) or self.done:
                return self.text[self.place : self.place + 1]
            self._more()

    def _comma(self, closing: str) -> None:
        sign = self._peek()
        if sign == ",":
            self.place += 1
        elif sign == "":
            raise _cut(self.name, self._line())
        elif sign != closing:
            raise self._broken("',' is missing")

    def _end(self) -> None:
        if self._peek():
            raise self._broken("text follows its end")

    def _line(self) -> int:
        return self.line + self.text.count("\n", 0, self.place)

    def _broken(self, reason: str) -> FileError:
        return FileError(
            "{file} is no valid JSON near line {line} ({reason}); export it again.", file=self.name, line=self._line(), reason=reason
        )

    def _several(self, first: str, second: str) -> FileError:
        return FileError(
            "{file} holds two lists of objects, {first!r} and {second!r}; save the one with the events as a file of its own.",
            file=self.name,
            first=first,
            second=second,
        )

    def _without_rows(self) -> FileError:
        return FileError("{file} is a JSON object without a list of objects in it; export the events as JSON lines.", file=self.name)


class _TooLong(Exception):
    """A value is longer than an event."""


def _object_rows(value: Any, text: str) -> list[Row]:
    """Return the rows of one object, all with the same text."""
    if not isinstance(value, dict):
        return [({}, text, "no JSON object")]
    try:
        return [(values, text, None) for values in unfold(value)]
    except ValueError as error:
        return [({}, text, str(error))]


def _object_lists(value: dict[str, Any], depth: int) -> Iterator[tuple[str, list[Any]]]:
    for key, element in value.items():
        if isinstance(element, list) and element and isinstance(element[0], dict):
            yield key, element
        elif isinstance(element, dict) and depth < MAX_DEPTH:
            yield from _object_lists(element, depth + 1)
