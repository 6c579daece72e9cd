"""Catalogue, users and quarantine of a version: files beside the events, and rows that were set aside with their text."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa

from core.ingest import publishing
from core.ingest.mapping import RoleMapping
from core.ingest.reading import FilePreview
from core.ingest.staging import fetch_lines, stage_file
from core.ingest.work import Work, ticker
from core.schema import ITEM_ATTRIBUTES, Progress
from core.store import Connection, identifier


def write_catalogue(work: Work, side: dict[str, tuple[FilePreview, RoleMapping]], columns: set[str], progress: Progress) -> dict[str, int]:
    """Read the item file if there is one and fill the catalogue; return its counts."""
    connection, warnings = work.connection, work.warnings
    own = "items" in side
    if own:
        preview, part = side["items"]
        listed = ", ".join(f"{identifier(name)} VARCHAR" for name in ("item_id", *ITEM_ATTRIBUTES))
        connection.execute(f"CREATE TABLE catalogue_rows (source_file INTEGER, source_row BIGINT, {listed})")
        source = stage_file(connection, preview, part, "items", 0, "catalogue_rows", ticker(progress, 0.8, 0.02, f"reading {preview.name}"))
        work.sources.append(source)
        connection.execute("UPDATE catalogue_rows SET price = CAST(parse_number(price) AS VARCHAR) WHERE price IS NOT NULL")
    counts = publishing.write_items(connection, columns, own=own, previous=work.previous is not None)
    if own:
        unit = side["items"][0].name
        if counts["repeated"]:
            warnings.append(f"{counts['repeated']} rows of {unit} repeat an item id; the first row that says something wins.")
        if counts["without_id"]:
            warnings.append(f"{counts['without_id']} rows of {unit} have no item id and were left out.")
    if counts["conflicts"]:
        warnings.append(
            f"{counts['conflicts']} times an item's rows disagree on its title, category, brand or description; the earliest row wins."
        )
    return counts


def write_people(work: Work, side: dict[str, tuple[FilePreview, RoleMapping]], columns: set[str]) -> dict[str, Any]:
    """Read the users file if there is one and fill the users; return its counts."""
    connection, warnings = work.connection, work.warnings
    attributes: list[str] = []
    if "users" in side:
        preview, part = side["users"]
        attributes = [name for name in part.columns if name != "user_id"]
        listed = ", ".join(f"{identifier(name)} VARCHAR" for name in ("user_id", *attributes))
        connection.execute(f"CREATE TABLE people_rows (source_file INTEGER, source_row BIGINT, {listed})")
        work.sources.append(stage_file(connection, preview, part, "users", 0, "people_rows", lambda share: None))
    before: list[str] = []
    if work.previous is not None:
        before = [row[0] for row in connection.execute("DESCRIBE previous.users").fetchall() if row[0] != "user_id"]
    derived = [] if "users" in side else publishing.demographic_columns(columns)
    counts = publishing.write_users(connection, attributes, derived, before)
    if counts["repeated"]:
        warnings.append(f"{counts['repeated']} rows of the users file repeat a user id; the first row that says something wins.")
    if counts["without_events"]:
        warnings.append(f"{counts['without_events']} users of the users file have no event and are not shown.")
    if derived:
        warnings.append(f"{', '.join(derived)} of the users were taken from their first event.")
    return counts


def write_quarantine(work: Work) -> None:
    """Write every row that was set aside, with its original text."""
    connection = work.connection
    connection.execute(
        "CREATE TABLE final.rejected_attributes AS SELECT role, CAST('' AS VARCHAR) AS source_file,"
        " source_row, reason, text FROM rejects LIMIT 0"
    )
    if work.previous is not None:
        connection.execute("INSERT INTO final.quarantine SELECT * FROM previous.quarantine")
    for source in work.sources:
        name, index = source.preview.name, source.index
        if source.role != "events":
            connection.execute(
                "INSERT INTO final.rejected_attributes SELECT role, ?, source_row, reason, text"
                " FROM rejects WHERE role = ? ORDER BY source_row",
                [name, source.role],
            )
            if source.account.broken:
                work.warnings.append(
                    f"{source.account.broken} lines of {name} do not have {len(source.preview.columns)} fields and were left out."
                )
            continue
        connection.execute("CREATE OR REPLACE TABLE originals (source_row BIGINT, text VARCHAR)")
        wanted = connection.execute(
            "SELECT source_row FROM fates WHERE source_file = ? AND fate = 'quarantined' ORDER BY source_row", [index]
        ).fetchnumpy()["source_row"]
        if len(wanted):
            fetch_lines(source.preview, np.asarray(wanted, dtype=np.int64), _taker(connection), connection)
        connection.execute(
            """
            INSERT INTO final.quarantine
            SELECT $name, source_row, rule, reason, text FROM (
                SELECT source_row, rule, reason, text FROM fates JOIN originals USING (source_row)
                WHERE source_file = $index AND fate = 'quarantined'
                UNION ALL SELECT source_row, 'broken_row', reason, text FROM rejects WHERE role = 'events' AND source_file = $index)
            ORDER BY source_row
            """,
            {"name": name, "index": index},
        )


def _taker(connection: Connection) -> Callable[[pa.Table], None]:
    def take(batch: pa.Table) -> None:
        connection.register("texts", batch)
        connection.execute("INSERT INTO originals SELECT source_row, text FROM texts")
        connection.unregister("texts")

    return take
