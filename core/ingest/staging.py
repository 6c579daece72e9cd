"""Bring files into one staging table whose columns are the canonical names: as text, or as values where no text is in doubt."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from core.errors import CoreError, FileError
from core.ingest.dialect import BLANKS, COLONS
from core.ingest.direct import measure, stage_directly
from core.ingest.joining import joined_value
from core.ingest.lean import create_view
from core.ingest.mapping import EVENT_COLUMNS, RoleMapping
from core.ingest.names import DEMOGRAPHICS
from core.ingest.paths import literal_path
from core.ingest.preview import FilePreview
from core.ingest.records import Accounting, Batch, read_records, read_table, table_schema
from core.ingest.watching import Tick, execute_watched, part_of
from core.schema import ITEM_ATTRIBUTES
from core.store import Connection, identifier, scalar

RAW_COLUMNS = (*EVENT_COLUMNS, *(a for a in ITEM_ATTRIBUTES if a != "price"), *DEMOGRAPHICS)
"""All columns of the staging table `raw`, text unless they are plain; those that a log lacks are NULL."""

NULL_WORDS = ("", "NULL", "Null", "null", "NaN", "nan", "NAN", "None", "NA", "N/A", "n/a", "\\N", "<NA>", "NaT")
"""What stands for no value, beside `(not set)`; none is longer than four bytes."""
_NULLS = "('" + "', '".join(NULL_WORDS) + "')"
_PLAIN = {"BIGINT": "plain_id", "DECIMAL(18, 4)": "plain_number", "TIMESTAMP": "plain_time"}
"""Macro for each type of a column that holds values."""
_BLANKS = (*range(9, 14), *range(28, 33), 0x85, 0xA0, 0xAD, *range(0x2000, 0x2010), 0x2028, 0x2029, 0x202F, 0x205F, 0x2060, 0x3000, 0xFEFF)
"""Signs that nobody sees at the ends of a value, among them the byte order mark that joining two files leaves in the middle."""


@dataclass(frozen=True)
class Source:
    """One file as it was read."""

    index: int
    """Value of source_file in its rows."""
    role: str
    preview: FilePreview
    mapping: RoleMapping
    rows: int
    """Data rows, good and broken."""
    account: Accounting
    plain: frozenset[str] = frozenset()
    """Columns that are staged as values, because each of their texts was proved to be read in one way alone."""

    def record(self) -> dict[str, Any]:
        """Return what the manifest says of the file."""
        preview = self.preview
        return {
            "index": self.index,
            "role": self.role,
            "name": preview.name,
            "path": str(preview.given.resolve()),
            "kind": preview.kind,
            "bytes": preview.bytes,
            "sha256": preview.sha256,
            "rows": self.rows,
            "broken": self.account.broken,
            "lines": self.account.lines,
            "blank_lines": self.account.blank,
            "encoding": preview.encoding,
            "delimiter": preview.delimiter,
            "header": preview.has_header,
            "columns": list(preview.columns),
            **({"identity": preview.identity} if preview.folders else {}),
        }


def prepare_staging(connection: Connection, columns: set[str], plain: Mapping[str, str]) -> None:
    """Make the empty view `raw` (events as text) over `raw_cells`, which holds the mapped columns, and `rejects` (broken lines).

    Args:
        connection: The staging database.
        columns: Canonical columns of the event files.
        plain: Columns that are to hold values instead of text, with their types.
    """
    _make_raw(connection, columns, plain)
    connection.execute(
        "CREATE TABLE rejects (role VARCHAR, source_file INTEGER, source_row BIGINT, source_line BIGINT, reason VARCHAR, text VARCHAR)"
    )
    connection.execute(f"CREATE TEMP MACRO bared(x) AS trim(x, {' || '.join(f'chr({sign})' for sign in _BLANKS)})")


def _make_raw(connection: Connection, columns: Collection[str], plain: Mapping[str, str]) -> None:
    given = [name for name in RAW_COLUMNS if name in columns]
    if "order_number" in columns and "event_time" not in columns:
        given.append("event_time")  # filled from order numbers
    cells = "".join(f", {identifier(name)} {plain.get(name, 'VARCHAR')}" for name in given)
    connection.execute("DROP VIEW IF EXISTS raw")
    connection.execute(f"CREATE OR REPLACE TABLE raw_cells (source_file INTEGER, source_row BIGINT{cells})")
    create_view(connection, "raw", {name: "VARCHAR" for name in RAW_COLUMNS if name not in given})


def _make_known(connection: Connection, *, edges: bool, formulas: bool) -> None:
    """Define known(text): NULL for the words that mean nothing; blanks at the ends are cut off, unless the file has none."""
    signs = ", ".join(f"chr({sign})" for sign in _BLANKS)
    ends = f"left(x, 1) IN ({signs}) OR right(x, 1) IN ({signs})"
    # In a lambda, or the trimmed value, standing twice, would be made for all rows beforehand.
    bare = f" WHEN {ends} THEN list_transform([bared(x)], lambda b: CASE WHEN b IN {_NULLS} THEN NULL ELSE b END)[1]" if edges else ""
    # Most values are clean: looking at their ends costs a sixth of trimming them.
    # ="001" is how some exports keep a spreadsheet from turning an id into a number.
    formula = " WHEN starts_with(x, '=\"') AND ends_with(x, '\"') THEN nullif(substr(x, 3, length(x) - 3), '')" if formulas else ""
    few = f"WHEN strlen(x) <= 4 AND x IN {_NULLS} THEN NULL WHEN x = '(not set)' THEN NULL{formula}"
    connection.execute(f"CREATE OR REPLACE TEMP MACRO known(x) AS CASE {few}{bare} ELSE x END")


def _make_plain(connection: Connection) -> None:
    """Define macros text → value that raise an error for a text which could be read in another way.

    A whole number is spelled as DuckDB spells it. No text that DuckDB casts to a decimal holds a comma, or begins or ends with a
    currency. A time begins with its year. Expects known() and parse_iso(), and a file without blanks at the ends of fields.
    """
    forms = {
        "plain_id": "CASE WHEN CAST(TRY_CAST(x AS BIGINT) AS VARCHAR) = x THEN TRY_CAST(x AS BIGINT) END",
        "plain_number": "TRY_CAST(x AS DECIMAL(18, 4))",
        "plain_time": "CASE WHEN x >= '0' AND x < ':' AND substr(x, 5, 1) IN ('-', '/') THEN parse_iso(x) END",
    }
    doubt = "CASE WHEN known(x) IS NOT NULL THEN error('a text that is not plain') END"
    for name, form in forms.items():
        connection.execute(f"CREATE OR REPLACE TEMP MACRO {name}(x) AS COALESCE({form}, {doubt})")


def stage_file(
    connection: Connection,
    preview: FilePreview,
    mapping: RoleMapping,
    role: str,
    index: int,
    table: str,
    tick: Tick,
    covered: frozenset[str] = frozenset(),
    plain: Mapping[str, str] | None = None,
) -> Source:
    """Append one file's mapped columns to a staging table.

    Args:
        connection: The staging database.
        preview: The inspected file.
        mapping: Complete mapping of its role.
        role: events, items or users.
        index: source_file of its rows.
        table: Table with source_file, source_row and the mapping's canonical columns.
        tick: Told the share of the file that was read.
        covered: Canonical columns that are stored as pseudonyms; the macro pseudonymised() must exist.
        plain: Columns of `raw_cells` that hold values, with their types; it is made anew with texts when a row is in doubt.

    Raises:
        FileError: The file is damaged, or changed while it was read.
    """
    folders = dict(preview.folders)
    wanted = [piece for piece in dict.fromkeys(chain.from_iterable(mapping.columns.values())) if piece not in folders]
    account = Accounting()
    _put_folders(connection, preview)
    cell = {piece: f"known(c{place})" for place, piece in enumerate(wanted)}
    cell |= {name: f"(SELECT cell FROM folder_cells WHERE place = {place})" for place, name in enumerate(folders)}  # noqa: S608 - places only
    given, preview = preview, preview.stored
    targets = ", ".join(identifier(name) for name in mapping.columns)
    cells = {name: joined_value(name, [cell[piece] for piece in pieces], pieces) for name, pieces in mapping.columns.items()}
    if {"user_id", "anonymous_id"} <= cells.keys():
        user, device = cells["user_id"], cells["anonymous_id"]
        cells |= {
            "user_id": f"COALESCE({user}, {device})",
            "anonymous_id": f"CASE WHEN {user} IS NULL AND {device} IS NOT NULL THEN '1' END",
        }
    cells |= {name: f"pseudonymised({value})" for name, value in cells.items() if name in covered}
    insert = f"INSERT INTO {identifier(table)} (source_file, source_row, {targets}) SELECT {index}, source_row, "
    statement = f"{insert}{', '.join(cells.values())} FROM "
    try:
        found = measure(preview, part_of(tick, 0, 4))
        formulas = any(cell.startswith('="') for row in preview.sample for cell in row)
        _make_known(connection, edges=found is None or found.edges or not found.sound, formulas=formulas)
        if preview.kind == "parquet":
            aliases, leaves = _parquet_columns(preview)
            picked = ", ".join(f"CAST({leaves[preview.columns.index(column)]} AS VARCHAR) AS c{i}" for i, column in enumerate(wanted))
            execute_watched(
                connection,
                f"{statement} (SELECT file_row_number + 1 AS source_row, {picked} FROM"  # noqa: S608 - fixed names only
                f" read_parquet(?, file_row_number = true) AS t({aliases}))",
                [literal_path(preview.path)],
                tick,
            )
            rows = preview.row_estimate
        elif preview.is_converted:
            picked = ", ".join(f"p{preview.columns.index(column)} AS c{i}" for i, column in enumerate(wanted))
            execute_watched(
                connection,
                f"{statement} (SELECT source_row, {picked} FROM read_parquet(?) WHERE fault IS NULL)",  # noqa: S608 - fixed names only
                [literal_path(preview.path)],
                tick,
            )
            connection.execute(
                "INSERT INTO rejects SELECT ?, ?, source_row, NULL, fault, text FROM read_parquet(?) WHERE fault IS NOT NULL",
                [role, index, literal_path(preview.path)],
            )
            rows, account.broken, account.blank = preview.row_estimate, preview.broken, preview.blank
            account.records = rows - account.broken
        else:
            rest: Tick = lambda share: tick(0.25 + 0.75 * share)  # noqa: E731 - a quarter was measuring
            read = False
            if plain and found is not None and not found.edges:
                _make_plain(connection)
                values = cells | {name: f"{_PLAIN[kind]}(c{wanted.index(mapping.columns[name][0])})" for name, kind in plain.items()}
                attempt = f"{insert}{', '.join(values.values())} FROM "
                read = stage_directly(connection, preview, found, attempt, wanted, table, account, part_of(rest, 0, 2))
                rest = part_of(rest, 1, 2)
            if plain and not read:
                plain = {}
                _make_raw(connection, mapping.columns, plain)
            if not read and (found is None or not stage_directly(connection, preview, found, statement, wanted, table, account, rest)):
                _make_known(connection, edges=True, formulas=formulas)
                _stage_text(connection, preview, wanted, account, statement, rest)
            rows = account.records + account.broken
    except duckdb.OutOfMemoryException:
        raise
    except (duckdb.InvalidInputException, duckdb.IOException, duckdb.SerializationException) as error:
        if "No space left" in str(error):
            raise
        preview.check_unchanged()
        raise FileError(
            "{file} cannot be read to its end ({error}); export it again.", file=preview.name, error=str(error)[:200]
        ) from error
    except (FileError, FileNotFoundError):
        preview.check_unchanged()  # a file that is being written looks damaged
        raise
    preview.check_unchanged()
    found = scalar(connection, f"SELECT count(*) FROM {identifier(table)} WHERE source_file = ?", [index])  # noqa: S608 - fixed names and numbers only
    if found + account.broken != rows:
        raise FileError(
            "{file} has {rows} rows but {found} were read; export it again.", file=preview.name, rows=rows, found=found + account.broken
        )
    keep_rejects(connection, role, index, account)
    return Source(index, role, given, mapping, rows, account, frozenset(plain or ()))


def _put_folders(connection: Connection, preview: FilePreview) -> None:
    """Make `folder_cells` (place, cell): what the names of a file's folders say, as bound values."""
    connection.execute("CREATE OR REPLACE TEMP TABLE folder_cells (place INTEGER, cell VARCHAR)")
    for place, (_name, value) in enumerate(preview.folders):
        connection.execute(
            f"INSERT INTO folder_cells SELECT ?, CASE WHEN trim(v) NOT IN {_NULLS} THEN trim(v) END FROM (SELECT ? AS v)",  # noqa: S608 - a fixed list
            [place, value],
        )


def _stage_text(connection: Connection, preview: FilePreview, wanted: list[str], account: Accounting, statement: str, tick: Tick) -> None:
    failure: list[BaseException] = []

    def batches() -> Any:
        try:
            yield from read_table(preview, wanted, account, tick)
        except BaseException as error:
            failure.append(error)
            raise

    reader = pa.RecordBatchReader.from_batches(table_schema(len(wanted)), batches())
    connection.register("incoming", reader)
    try:
        connection.execute(statement + "incoming")
    except duckdb.Error as error:
        if failure and isinstance(failure[0], CoreError):
            raise failure[0] from error
        if failure and isinstance(failure[0], pa.ArrowInvalid):
            raise FileError(
                "{file} cannot be cut into columns ({error}); export it again.", file=preview.name, error=str(failure[0])[:160]
            ) from error
        if failure:
            raise failure[0] from error
        raise
    finally:
        connection.unregister("incoming")


def keep_rejects(connection: Connection, role: str, index: int, account: Accounting) -> None:
    """Store the broken lines of a file with their original text."""
    lines = account.broken_lines
    if not lines:
        return
    table = pa.table(
        {
            "source_row": pa.array([line[0] for line in lines], pa.int64()),
            "source_line": pa.array([line[1] for line in lines], pa.int64()),
            "reason": pa.array([line[2] for line in lines], pa.string()),
            "text": pa.array([line[3] for line in lines], pa.string()),
        }
    )
    connection.register("broken", table)
    connection.execute("INSERT INTO rejects SELECT ?, ?, source_row, source_line, reason, text FROM broken", [role, index])
    connection.unregister("broken")
    lines.clear()


def fetch_lines(
    preview: FilePreview, rows: np.ndarray[Any, np.dtype[np.int64]], take: Callable[[pa.Table], None], connection: Connection
) -> None:
    """Fetch the original text of some rows, in batches of columns source_row, source_line (NULL where a file has no lines) and text.

    Args:
        preview: The file as it was inspected.
        rows: Sorted 1-based row numbers.
        take: Receives each batch.
        connection: Used for Parquet, whose text is the row as JSON.
    """
    preview = preview.stored
    if preview.kind == "parquet":
        names, leaves = _parquet_columns(preview)
        connection.register("asked", pa.table({"n": pa.array(rows)}))
        packed = ", ".join(f"c{i} := {leaf}" for i, leaf in enumerate(leaves))
        table = connection.sql(
            f"SELECT file_row_number + 1 AS source_row, CAST(to_json(struct_pack({packed})) AS VARCHAR) AS text"  # noqa: S608 - fixed names and numbers only
            f" FROM read_parquet(?, file_row_number = true) AS t({names}) WHERE file_row_number + 1 IN (SELECT n FROM asked)",
            params=[literal_path(preview.path)],
        ).to_arrow_table()
        connection.unregister("asked")
        texts = [_renamed(text, preview.columns) for text in table["text"].to_pylist()]
        take(
            pa.table(
                {"source_row": table["source_row"], "source_line": pa.nulls(len(texts), pa.int64()), "text": pa.array(texts, pa.string())}
            )
        )
        return
    if preview.is_converted:
        connection.register("asked", pa.table({"n": pa.array(rows)}))
        query = (
            "SELECT source_row, CAST(NULL AS BIGINT) AS source_line, text FROM read_parquet(?) WHERE source_row IN (SELECT n FROM asked)"
        )
        take(connection.sql(query, params=[literal_path(preview.path)]).to_arrow_table())
        connection.unregister("asked")
        return
    preview.check_unchanged()
    for batch in read_records(preview, Accounting()):
        places = np.flatnonzero(np.isin(batch.rows, rows, assume_unique=True))
        if len(places):
            lines = _lines(batch, preview.delimiter)
            texts = [lines[place] for place in places]
            take(
                pa.table(
                    {
                        "source_row": pa.array(batch.rows[places]),
                        "source_line": pa.array(batch.lines[places]),
                        "text": pa.array(texts, pa.string()),
                    }
                )
            )


def _parquet_columns(preview: FilePreview) -> tuple[str, list[str]]:
    """Return SQL that names the columns of a Parquet file p0 … pn by place, and one expression for each column of the preview."""
    leaves = []
    for route in preview.routes:
        leaf = f"p{route[0]}"
        for place in route[1:]:
            leaf = f"struct_extract_at({leaf}, {place + 1})"
        leaves.append(leaf)
    return ", ".join(f"p{i}" for i in range(1 + max(route[0] for route in preview.routes))), leaves


def _renamed(text: str, columns: tuple[str, ...]) -> str:
    import json

    return json.dumps(dict(zip(columns, json.loads(text).values(), strict=True)), ensure_ascii=False)


def _lines(batch: Batch, delimiter: str | None) -> list[str]:
    if b'"' not in batch.data:
        lines = batch.data.decode("utf-8", errors="replace").split("\n")
    else:
        array = np.frombuffer(batch.data, dtype=np.uint8)
        ends = np.flatnonzero(array == 10)
        ends = ends[np.searchsorted(np.flatnonzero(array == 34), ends) & 1 == 0]
        starts = np.concatenate([[0], ends[:-1] + 1])
        lines = [batch.data[a:b].decode("utf-8", errors="replace") for a, b in zip(starts, ends, strict=True)]
    return [line.replace("\t", delimiter) for line in lines] if delimiter in (BLANKS, COLONS) else lines
