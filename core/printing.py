"""What a verb says to a person at a terminal: one line for each value, and a table for rows."""

import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

WIDEST = 60
"""Signs of a cell; what is longer ends in an ellipsis (`--json` has it whole)."""


def show(result: Mapping[str, Any], *, as_json: bool) -> None:
    """Print a result as one JSON object or as lines; a reader who has gone (`… | head`) has read enough and is no error."""
    try:
        told = [json.dumps(result, ensure_ascii=False, default=str, allow_nan=False)] if as_json else lines(result)
        sys.stdout.writelines(f"{line}\n" for line in told)
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def lines(result: Mapping[str, Any]) -> Iterator[str]:
    """Yield a result as lines: `name: value`, and below `name:` its rows as a table or its parts, two blanks in."""
    for name, value in result.items():
        if isinstance(value, Mapping):
            inner = lines(value)
        elif isinstance(value, list | tuple):
            inner = _table(value) if all(isinstance(row, Mapping) for row in value) else map(_cell, value)
        else:
            yield f"{name}: {_cell(value)}"
            continue
        if value:
            yield f"{name}:"
            yield from (f"  {line}".rstrip() for line in inner)


def _table(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield a head and the rows, numbers to the right."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    cells = [[_cut(_cell(row.get(name))) for name in names] for row in rows]
    widths = [max(map(len, column)) for column in zip(names, *cells, strict=True)]
    right = [not any(isinstance(row.get(name), str | bool | Mapping | list) for row in rows) for name in names]
    for line in [names, *cells]:
        yield "  ".join(cell.rjust(width) if end else cell.ljust(width) for cell, width, end in zip(line, widths, right, strict=True))


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.6f}".rstrip("0").rstrip(".") if value == 0 or abs(value) >= 1e-4 else f"{value:.3g}"
    if isinstance(value, Mapping):
        return _estimate(value) if "value" in value else ", ".join(f"{name}={_cell(part)}" for name, part in value.items())
    if isinstance(value, list | tuple):
        return ("; " if any(isinstance(part, Mapping) for part in value) else ",").join(
            _named(part) if isinstance(part, Mapping) else _cell(part) for part in value
        ) or "-"
    return str(value)


def _named(part: Mapping[str, Any]) -> str:
    return f"{part['name']} {_cell(part)}" if "value" in part and isinstance(part.get("name"), str) else _cell(part)


def _estimate(figure: Mapping[str, Any]) -> str:
    """`0.879 [0.861, 0.897]` of a figure with its interval, where it has one."""
    known = [figure["value"], figure.get("low"), figure.get("high")]
    value, low, high = (f"{number:.4g}" if isinstance(number, float) else _cell(number) for number in known)
    return value if "-" in (low, high) else f"{value} [{low}, {high}]"


def _cut(text: str) -> str:
    return text if len(text) <= WIDEST else text[: WIDEST - 1] + "…"
