"""Text files in perfect order, read by DuckDB's own parallel reader; every other file is for `records`.

DuckDB's reader takes a row with one empty field too many, and a stray quote may swallow lines. So the file is measured
first, by counting bytes: line ends and delimiters outside quotes, quotes that open or close a field. Only when every
line has the delimiters that the header promises is DuckDB asked, and only when it returns exactly as many rows is it believed.
"""

from dataclasses import dataclass

import duckdb
import numpy as np
import numpy.typing as npt

from core.ingest.decoding import raw_blocks
from core.ingest.dialect import BLANKS
from core.ingest.paths import literal_path
from core.ingest.preview import FilePreview
from core.ingest.records import MAX_SPAN, Accounting
from core.ingest.signs import MARKS, count_controls, count_marked
from core.ingest.watching import Tick, execute_watched
from core.store import Connection, identifier

_NEWLINE, _RETURN, _QUOTE = 10, 13, 34
_SPACE = 32
_PIECE = 256 << 10
"""Bytes counted at once: what numpy makes of them stays in the processor's own memory, which halves the time."""
_RARE = (b"\t", b"\xc2\xa0", b"\xc2\x85", b"\xc2\xad", b"\xe2\x80", b"\xe2\x81", b"\xe3\x80\x80", b"\xef\xbb\xbf")
"""Blanks that stand in few logs, or what they begin with; where one does, all fields are trimmed."""
_COMPRESSIONS = {"csv": "none", "csv.gz": "gzip", "csv.zst": "zstd"}
_PLAIN = ("utf-8", "utf-8-sig", "utf_8", "ascii")


@dataclass
class Measure:
    """What counting the bytes of a file found."""

    lines: int = 0
    """Records, with the header: line ends outside quotes, and a last line without one."""
    inside: int = 0
    """Line ends inside quoted fields."""
    delimiters: int = 0
    """Delimiters outside quotes."""
    quotes: int = 0
    returns: bool = False
    """Whether lines end with CR LF."""
    controls: int = 0
    marked: int = 0
    unended: bool = False
    edges: bool = False
    """Whether a field may begin or end with a blank."""
    span: int = 0
    """Line ends inside the quoted field that is open."""
    sound: bool = True
    """Quotes only open, close or double; no blank line, no NUL, no lone carriage return, no byte that is no text."""


def measure(preview: FilePreview, tick: Tick = lambda share: None) -> Measure | None:
    """Count the bytes of a file; None when it is not even to be tried (encoding, preamble, blanks as delimiter)."""
    delimiter = preview.delimiter or ","
    if (
        preview.kind not in _COMPRESSIONS
        or delimiter == BLANKS
        or len(delimiter) != 1
        or not delimiter.isascii()
        or preview.skip
        or (preview.encoding or "utf-8") not in _PLAIN
        or len(preview.columns) < 2
    ):
        return None
    sign = delimiter.encode()
    found, last = Measure(), b"\n"
    for place, (raw, share) in enumerate(raw_blocks(preview.path, preview.kind)):
        tick(share)
        block = raw.removeprefix(b"\xef\xbb\xbf") if place == 0 else raw
        if place == 0 and preview.has_header:
            found.marked -= block.startswith(MARKS)
        for start in range(0, len(block), _PIECE):
            piece = block[start : start + _PIECE]
            if not _count(found, last + piece, sign[0]):
                found.sound = False
                return found
            last = piece[-1:]
    if found.quotes & 1 or (found.inside and found.returns):  # line ends inside values are told as LF by the careful reader
        found.sound = False
    elif last != b"\n":
        found.lines += 1
        found.unended = True
    return found


def stage_directly(
    connection: Connection,
    preview: FilePreview,
    found: Measure,
    statement: str,
    wanted: list[str],
    table: str,
    account: Accounting,
    tick: Tick,
) -> bool:
    """Insert a measured file through DuckDB's reader; False (and nothing inserted) when it does not read as measured.

    Args:
        connection: The staging database.
        preview: The inspected file.
        found: Its measure.
        statement: INSERT … SELECT … FROM, reading source_row and c0 … cn.
        wanted: The source columns that become c0 … cn.
        table: Where the statement inserts.
        account: Filled when the file was read.
        tick: Told the share.
    """
    header = int(preview.has_header)
    if not found.sound or found.lines <= header or found.delimiters != found.lines * (len(preview.columns) - 1):
        return False
    names = [f"f{i}" for i in range(len(preview.columns))]
    picked = ", ".join(f"f{preview.columns.index(column)} AS c{i}" for i, column in enumerate(wanted))
    columns = ", ".join(f"'{name}': 'VARCHAR'" for name in names)
    rows = found.lines - header
    quote = "'\"'" if found.quotes else "''"
    connection.execute("BEGIN")
    try:
        before = _count_rows(connection, table)
        execute_watched(
            connection,
            f"{statement} (SELECT row_number() OVER () AS source_row, {picked} FROM read_csv(?, auto_detect = false,"  # noqa: S608 - names of our own
            f" columns = {{{columns}}}, header = {bool(header)}, delim = ?, quote = {quote}, escape = {quote}, strict_mode = true,"
            f" null_padding = false, max_line_size = {2 << 20}, compression = '{_COMPRESSIONS[preview.kind]}'))",
            [literal_path(preview.path), preview.delimiter or ","],
            tick,
        )
        if _count_rows(connection, table) - before != rows:
            connection.execute("ROLLBACK")
            return False
    except (duckdb.InvalidInputException, duckdb.ConversionException):
        connection.execute("ROLLBACK")
        return False
    except BaseException:  # whatever ended it, also a cancel, leaves no half of a file behind; the error goes on
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
    account.controls, account.marked, account.unended = found.controls, found.marked, found.unended
    account.lines, account.header, account.records, account.inside = found.lines + found.inside, header, rows, found.inside
    return True


def _count(found: Measure, block: bytes, delimiter: int) -> bool:
    """Add a block, led by the byte before it, to the measure; False when it settles that the file is not in order."""
    if b"\0" in block or (b"\xef" in block and b"\xef\xbf\xbd" in block):
        return False
    array = np.frombuffer(block, dtype=np.uint8)
    newline, sign = array == _NEWLINE, array == delimiter
    if bool(np.any(newline[:-1] & newline[1:])):
        return False
    if b"\r" in block:
        found.returns = True
        returns = array == _RETURN
        if bool(np.any(newline[:-1] & returns[1:])) or bool(np.any(returns[:-1] & ~newline[1:])):
            return False
    else:
        returns = None
    found.controls += count_controls(array[1:])
    found.edges = found.edges or found.controls > 0
    starts = np.flatnonzero(newline[:-1]) + 1 if b"#" in block or b"/" in block else np.empty(0, dtype=np.int64)
    found.marked += count_marked(block, starts)
    newline, sign = newline[1:], sign[1:]  # the first byte was counted with the block before
    _look_for_edges(found, block, array, returns, delimiter)
    if b'"' not in block[1:] and block[:1] != b'"':
        ends = int(np.count_nonzero(newline))
        if found.quotes & 1:
            found.inside += ends
            found.span += ends
            return found.span <= MAX_SPAN
        found.lines += ends
        found.delimiters += int(np.count_nonzero(sign))
        return True
    quotes = np.flatnonzero(array[1:] == _QUOTE) + 1
    if not _sound(found, array, quotes, delimiter):
        return False
    opened = found.quotes & 1
    ends_at = np.flatnonzero(newline) + 1
    within = (np.searchsorted(quotes, ends_at) + opened) & 1 == 1
    hidden = ends_at[within]
    spans = np.bincount(np.searchsorted(quotes, hidden), minlength=len(quotes) + 1)
    spans[0] += found.span
    found.span = int(spans[-1])
    if int(spans.max()) > MAX_SPAN:
        return False
    cuts = np.flatnonzero(sign) + 1
    found.inside += len(hidden)
    found.lines += len(ends_at) - len(hidden)
    found.delimiters += int(((np.searchsorted(quotes, cuts) + opened) & 1 == 0).sum())
    found.quotes += len(quotes)
    return True


def _look_for_edges(
    found: Measure, block: bytes, array: npt.NDArray[np.uint8], returns: npt.NDArray[np.bool_] | None, delimiter: int
) -> None:
    """Note whether a field of the block may begin or end with a blank; in doubt it may."""
    if found.edges:
        return
    if any(sign[:1] in block and sign in block for sign in _RARE if sign[0] != delimiter):
        found.edges = True
    elif b" " in block and delimiter != _SPACE:
        blank = array == _SPACE
        border = (array == delimiter) | (array == _NEWLINE) | (array == _QUOTE)
        if returns is not None:
            border |= returns
        found.edges = bool(np.any(blank[:-1] & border[1:])) or bool(np.any(border[:-1] & blank[1:]))


def _sound(found: Measure, array: npt.NDArray[np.uint8], quotes: npt.NDArray[np.int64], delimiter: int) -> bool:
    """Tell whether each quote opens a field, closes one, or is doubled inside one; the next block judges one on the last byte."""
    opened = found.quotes & 1
    edges = (delimiter, _NEWLINE, _QUOTE)
    opening, closing = quotes[opened::2], quotes[1 - opened :: 2]
    if not bool(np.isin(array[opening - 1], edges).all()):
        return False
    closing = closing[closing < len(array) - 1]
    if not bool(np.isin(array[closing + 1], (*edges, _RETURN)).all()):
        return False
    # A block that begins after a closing quote: its first byte must end the field.
    first = int(array[1]) if len(array) > 1 else _NEWLINE
    return not (array[0] == _QUOTE and not opened and first not in (*edges, _RETURN))


def _count_rows(connection: Connection, table: str) -> int:
    row = connection.execute(f"SELECT count(*) FROM {identifier(table)}").fetchone()  # noqa: S608 - names of our own
    assert row is not None
    return int(row[0])
