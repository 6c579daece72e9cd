"""How a text file spells its table: delimiter, preamble and header, judged by majority over lines of the whole file."""

import csv
import re
from collections import Counter
from dataclasses import dataclass

from core.errors import FileError
from core.ingest.names import is_known_name

BLANKS = " "
"""The delimiter of files whose columns are separated by runs of blanks."""

COLONS = "::"
"""The delimiter of MovieLens' files; no other of two signs is read."""

_CANDIDATES = (",", "\t", ";", "|", "\x01", "^", "~")
_NUMBER = re.compile(r"^[-+]?[\d.,]*\d[\d.,]*([eE][-+]?\d+)?%?$")
_TIME = re.compile(r"^\d{4}[-/.年]\d{1,2}[-/.月]\d{1,2}|^\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4}|^\d{1,2}:\d{2}")


@dataclass(frozen=True)
class Dialect:
    """Enough to cut a text into records."""

    delimiter: str
    """One character, or "::"; " " stands for runs of blanks."""
    columns: int
    skip: int
    """Physical lines before the header or the first record that belong to no table."""
    has_header: bool
    names: tuple[str, ...]
    """From the header, or column_1 … column_n."""


def split_lines(lines: list[str], delimiter: str) -> list[list[str]]:
    """Cut sample lines into fields; a quoted field may span lines."""
    if delimiter == BLANKS:
        return [line.split() for line in lines]
    if delimiter == COLONS:
        return [line.split(COLONS) for line in lines]
    try:
        return list(csv.reader((line + "\n" for line in lines), delimiter=delimiter))
    except csv.Error:
        return [line.split(delimiter) for line in lines]


def find_dialect(name: str, sample: str, spread: str, delimiter: str | None, header: tuple[str, ...] | None) -> Dialect:
    """Judge delimiter, preamble and header.

    Args:
        name: File name for messages.
        sample: Whole lines of the head.
        spread: Whole lines of later places.
        delimiter: What a person said, or None.
        header: Names a person gave to a file that has none, or None.

    Raises:
        FileError: No delimiter makes a table of at least two columns.
    """
    head = sample.split("\n")[:2000]
    body = [line for line in head if line.strip()]
    lines = body + [line for line in spread.split("\n")[:4000] if line.strip()]
    if not body:
        raise FileError("{file} holds only blank lines; export it again.", file=name)
    chosen = delimiter or _delimiter(body, lines)
    if chosen is None:
        raise FileError(
            "{file} has only one column, whichever of comma, tab, semicolon, bar or blanks separates it; its first line is "
            "{line!r}. An event log needs at least user and time; name the delimiter in the mapping if it is another one.",
            file=name,
            line=body[0][:80],
        )
    columns = _majority(split_lines(lines, chosen))[0]
    if header is not None and len(header) != columns:
        raise FileError(
            "The number of columns is {named} in the mapping but {n} in most lines of {file}; correct `header`.",
            named=len(header),
            n=columns,
            file=name,
        )
    skip = _preamble(head, chosen, columns)
    if header is None and skip and (named := _misfit_header(name, head[:skip], head[skip:], chosen, columns)):
        return Dialect(chosen, columns, named[0], True, header_names(named[1]))
    records = [r for r in split_lines(head[skip:], chosen) if len(r) == columns and any(r)]
    if not records:
        raise FileError("{file} holds no line with {n} fields; name the delimiter in the mapping.", file=name, n=columns)
    if header is not None:
        given = tuple(header)
        stands = [n.strip() for n in records[0]] == [n.strip() for n in given]
        return Dialect(chosen, columns, skip, stands, given)
    has_header = is_header(records)
    names = header_names(records[0]) if has_header else tuple(f"column_{i}" for i in range(1, columns + 1))
    return Dialect(chosen, columns, skip, has_header, names)


def _majority(records: list[list[str]]) -> tuple[int, float]:
    counts = Counter(len(record) for record in records if record)
    width, lines = max(counts.items(), key=lambda pair: (pair[1], pair[0]))
    return width, lines / sum(counts.values())


def _delimiter(body: list[str], lines: list[str]) -> str | None:
    best: tuple[float, int, str] | None = None
    for candidate in (COLONS, *_CANDIDATES, BLANKS):
        width, share = _majority(split_lines(lines, candidate))
        if width < 2 or share < 0.5:
            continue
        first = split_lines(body[:1], candidate)[0]
        # A delimiter that cuts the records but not their header line is a decimal comma or a comma in a text.
        named = _names_columns(body, candidate, width)
        if len(first) < width and len(first) == 1 and share < 0.95 and not named:
            continue
        explained = len(first) == width or named
        penalty = 0.3 if candidate == BLANKS else 0.0
        score = (round(share - penalty + (0.2 if explained else 0.0), 3), width, candidate)
        if best is None or score[:2] > best[:2]:
            best = score
    return best[2] if best else None


def _names_columns(body: list[str], delimiter: str, width: int) -> bool:
    """Tell whether the first line of so many fields, perhaps below a preamble, holds names that exports use."""
    fields = next((f for f in (split_lines([line], delimiter)[0] for line in body[:50]) if len(f) == width), [])
    return sum(is_known_name(cell) for cell in fields) >= 2


def _preamble(head: list[str], delimiter: str, columns: int) -> int:
    for place, line in enumerate(head[:50]):
        fields = split_lines([line], delimiter)[0] if line.strip() else []
        if len(fields) == columns and not (line.startswith("#") and columns > 1 and len(fields) < 2):
            return place
        if line.count('"') % 2 and any(cell.startswith('"') for cell in line.split(delimiter)):
            return place  # a name that spans lines; a quote inside a word opens nothing
    return 0


def _misfit_header(name: str, above: list[str], below: list[str], delimiter: str, columns: int) -> tuple[int, list[str]] | None:
    """Find the header in a line above the records that has another delimiter or number of fields; None when there is none.

    Returns:
        Its line and as many names as there are columns.

    Raises:
        FileError: A header whose names cannot be laid over the columns.
    """
    place = max((i for i, line in enumerate(above) if line.strip()), default=0)
    cuts = [split_lines([above[place]], sign)[0] for sign in (delimiter, *_CANDIDATES) if above[place].strip()]
    cells = max(cuts, key=lambda cut: sum(is_known_name(cell.strip()) for cell in cut), default=[])
    if sum(is_known_name(cell.strip()) for cell in cells) < 2:
        return None
    records = [r for r in split_lines(below[:400], delimiter) if len(r) == columns]
    if len(cells) == columns:
        return place, cells
    if len(cells) > columns and not any(cell.strip() for cell in cells[columns:]):
        return place, cells[:columns]
    if len(cells) < columns and not any(cell.strip() for record in records for cell in record[len(cells) :]):
        return place, [*cells, *[""] * (columns - len(cells))]
    if len(cells) == columns - 1 and [record[0].strip() for record in records[:50]] == [str(n) for n in range(1, 1 + len(records[:50]))]:
        return place, ["", *cells]  # R's write.table leaves the name of the row numbers out
    raise FileError(
        "The header of {file} has {named} names ({line!r}), but most of its lines have {n} fields, so no name can be trusted. "
        "Mend the file, or give all names as `header` in the mapping.",
        file=name,
        named=len(cells),
        line=above[place][:120],
        n=columns,
    )


def is_header(records: list[list[str]]) -> bool:
    """Tell whether the first of some records names the columns of the others."""
    first, rest = [cell.strip() for cell in records[0]], records[1:200]
    known = sum(is_known_name(cell) for cell in first)
    if known >= 2 or (known == 1 and not any(_NUMBER.match(c) or _TIME.match(c) for c in first)):
        return True
    if any(not cell or _NUMBER.match(cell) or _TIME.match(cell) for cell in first if cell not in ("",)):
        return False
    named = [cell for cell in first if cell]
    if len(set(named)) < len(named) or len(named) < len(first) - 1 or any(len(cell) > 60 for cell in named):
        return False
    for place, cell in enumerate(first):
        below = [record[place].strip() for record in rest if len(record) > place]
        if below and cell in below:
            return False
        shapes = {_shape(value) for value in below}
        if len(below) >= 2 and any(c.isdigit() for c in cell) and _shape(cell) in shapes:
            return False
    return bool(rest)


def _shape(value: str) -> str:
    return re.sub(r"[A-Za-z]+", "A", re.sub(r"\d+", "9", value))


def header_names(cells: list[str]) -> tuple[str, ...]:
    """Return the names of a header; blank and repeated ones get their place."""
    names: list[str] = []
    for place, cell in enumerate(cells, start=1):
        name = cell.strip().strip("\ufeff") or f"column_{place}"
        while name in names:
            name = f"{name}_{place}"
        names.append(name)
    return tuple(names)
