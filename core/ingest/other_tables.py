"""Tables below a table: headers that come again, and rows under another header, which no cast can tell from events.

Only a row whose time is a word without a digit can be a header, so a log without such rows costs one look at its times.
"""

from dataclasses import dataclass

from core.ingest.event_words import EVENT_WORDS, plain_word
from core.ingest.staging import Source
from core.messages import say
from core.store import Connection, identifier, scalar

_MOST = 10_000
"""More rows than these without a time are a column that was never one; the rule bad_time speaks of them."""


@dataclass(frozen=True)
class _Line:
    """A row that may be a header."""

    row: int
    cells: dict[str, str]
    """Canonical column → text."""


def set_other_tables_aside(connection: Connection, sources: list[Source], covered: frozenset[str], warnings: list[str]) -> None:
    """Move rows from `raw_cells` to the table `strays` (source_file, source_row, reason).

    A header that comes again goes alone. Under a header with other names, or with the same names in another order, all
    rows go, until the first header comes again.

    Args:
        connection: The staging database.
        sources: The event files as they were staged.
        covered: Canonical columns that hold pseudonyms.
        warnings: Told of each other table.
    """
    connection.execute("CREATE TABLE strays (source_file INTEGER, source_row BIGINT, reason VARCHAR)")
    for source in sources:
        columns = {name: pieces[0] for name, pieces in source.mapping.columns.items() if len(pieces) == 1 and name not in covered}
        if source.role != "events" or "event_time" not in source.mapping.columns or len(columns) < 2 or "event_time" in source.plain:
            continue
        lines = _lines_without_time(connection, source.index, list(columns))
        began: int | None = None
        for line in lines:
            if source.preview.has_header and all(_same(text, columns[name]) for name, text in line.cells.items()):
                _set_table_aside(connection, source, began, line.row, warnings)
                began = None
                connection.execute("INSERT INTO strays VALUES (?, ?, 'the header again')", [source.index, line.row])
            elif began is None and _is_other_header(connection, source, line):
                began = line.row
        _set_table_aside(connection, source, began, None, warnings)
    if scalar(connection, "SELECT count(*) FROM strays"):
        connection.execute(
            "DELETE FROM raw_cells USING strays s WHERE raw_cells.source_file = s.source_file AND raw_cells.source_row = s.source_row"
        )


def _lines_without_time(connection: Connection, index: int, columns: list[str]) -> list[_Line]:
    listed = ", ".join(identifier(name) for name in columns)
    rows = connection.execute(
        # Digits sort before letters: the pattern is asked only of the few texts that cannot begin a date.
        f"SELECT source_row, {listed} FROM raw_cells WHERE source_file = ? AND event_time >= 'A'"  # noqa: S608 - names of our own
        f" AND NOT regexp_matches(event_time, '[0-9]') ORDER BY source_row LIMIT {_MOST + 1}",
        [index],
    ).fetchall()
    if len(rows) > _MOST:
        return []
    return [_Line(row[0], {name: text for name, text in zip(columns, row[1:], strict=True) if text}) for row in rows]


def _same(text: str, name: str) -> bool:
    return text.strip().casefold() == name.strip().casefold()


def _is_other_header(connection: Connection, source: Source, line: _Line) -> bool:
    """Tell a header from a row that merely lacks its time: names all over, and a user and item that no other row knows."""
    texts = [text.strip().casefold() for text in line.cells.values()]
    names = {name.strip().casefold() for name in source.preview.columns}
    if len(texts) < 2 or len(set(texts)) < len(texts):
        return False
    if source.preview.has_header and sum(text in names for text in texts) >= max(2, len(texts) / 2):
        return True
    if len(line.cells) < len(source.mapping.columns) or any(c.isdigit() for text in texts for c in text):
        return False
    if plain_word(line.cells.get("event_type", "")) in EVENT_WORDS:
        return False
    ids = [name for name in ("user_id", "item_id") if name in line.cells]
    known = " OR ".join(f"{identifier(name)} = ?" for name in ids)
    return bool(ids) and not scalar(
        connection,
        f"SELECT count(*) FROM raw_cells WHERE source_file = ? AND source_row <> ? AND ({known})",  # noqa: S608 - names of our own
        [source.index, line.row, *(line.cells[name] for name in ids)],
    )


def _set_table_aside(connection: Connection, source: Source, began: int | None, end: int | None, warnings: list[str]) -> None:
    """Set the rows from `began` on aside, up to the row before `end`."""
    if began is None:
        return
    connection.execute(
        "INSERT INTO strays SELECT source_file, source_row, $reason FROM raw_cells"
        " WHERE source_file = $index AND source_row >= $began AND source_row < COALESCE($end, source_row + 1)",
        {"index": source.index, "began": began, "end": end, "reason": f"below the header in row {began}, which has other columns"},
    )
    n = scalar(connection, "SELECT count(*) FROM strays WHERE source_file = ? AND source_row > ?", [source.index, began])
    warnings.append(
        say(
            "Row {row} of {file} is a header with other columns, so another table begins there; its rows ({n}) were set aside. "
            "Cut the file in two there to read both.",
            row=began,
            file=source.preview.name,
            n=n,
        )
    )
