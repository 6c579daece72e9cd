"""Catalogue, users and quarantine of a version: files beside the events, and rows that were set aside with their text."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa

from core.ingest import publishing
from core.ingest.ids import make_whole
from core.ingest.mapping import RoleMapping
from core.ingest.personal import Shield, make_shield
from core.ingest.preview import FilePreview
from core.ingest.staging import fetch_lines, stage_file
from core.ingest.watching import Tick
from core.ingest.work import Work, ticker
from core.messages import say
from core.schema import ITEM_ATTRIBUTES, Progress
from core.store import Connection, identifier, scalar


def stage_catalogue(work: Work, side: dict[str, tuple[FilePreview, RoleMapping]], progress: Progress) -> None:
    """Read the item file, if there is one, into `catalogue_rows`, and all catalogued ids into `known_items`, if a rule asks for them."""
    connection = work.connection
    if "items" in side:
        preview, part = side["items"]
        listed = ", ".join(f"{identifier(name)} VARCHAR" for name in ("item_id", *ITEM_ATTRIBUTES))
        connection.execute(f"CREATE TABLE catalogue_rows (source_file INTEGER, source_row BIGINT, {listed})")
        tick = ticker(progress, 0.6, 0.02, say("reading {file}", file=preview.name))
        source = stage_file(connection, preview, part, "items", 0, "catalogue_rows", tick)
        work.sources.append(source)
        connection.execute("UPDATE catalogue_rows SET price = CAST(parse_number(price) AS VARCHAR) WHERE price IS NOT NULL")
        make_whole(connection, "catalogue_rows", "item_id", part.whole_ids)
    if "items" in side and work.rules["no_catalogue"].on:
        connection.execute("CREATE TABLE known_items AS SELECT DISTINCT item_id FROM catalogue_rows WHERE item_id IS NOT NULL")
        if work.previous is not None:
            connection.execute("INSERT INTO known_items SELECT item_id FROM previous.items WHERE in_catalogue")


def write_catalogue(work: Work, side: dict[str, tuple[FilePreview, RoleMapping]], columns: set[str], tick: Tick) -> dict[str, int]:
    """Fill the catalogue from the staged item file and the log; return its counts."""
    connection, warnings = work.connection, work.warnings
    own = "items" in side
    counts = publishing.write_items(connection, columns, own=own, previous=work.previous is not None, tick=tick)
    if own:
        file = side["items"][0].name
        if n := counts["repeated"]:
            warnings.append(
                say("{n} rows of {file} repeat an item id; the first row that says something wins.", n=n, file=file)
                if n > 1
                else say("1 row of {file} repeats an item id; the first row that says something wins.", file=file)
            )
        if n := counts["without_id"]:
            warnings.append(
                say("{n} rows of {file} have no item id and were left out.", n=n, file=file)
                if n > 1
                else say("1 row of {file} has no item id and was left out.", file=file)
            )
    if n := counts["conflicts"]:
        warnings.append(
            say("{n} times an item's rows disagree on its title, category, brand or description; the earliest row wins.", n=n)
            if n > 1
            else say("Once an item's rows disagree on its title, category, brand or description; the earliest row wins.")
        )
    return counts


def write_people(work: Work, side: dict[str, tuple[FilePreview, RoleMapping]], columns: set[str], first: int, tick: Tick) -> dict[str, Any]:
    """Read the users file if there is one and fill the users; return its counts."""
    connection, warnings = work.connection, work.warnings
    attributes: list[str] = []
    if "users" in side:
        preview, part = side["users"]
        attributes = [name for name in part.columns if name != "user_id"]
        listed = ", ".join(f"{identifier(name)} VARCHAR" for name in ("user_id", *attributes))
        connection.execute(f"CREATE TABLE people_rows (source_file INTEGER, source_row BIGINT, {listed})")
        covered = work.cover.columns
        work.sources.append(stage_file(connection, preview, part, "users", 0, "people_rows", lambda share: None, covered))
        make_whole(connection, "people_rows", "user_id", part.whole_ids)
    before: list[str] = []
    if work.previous is not None:
        before = [row[0] for row in connection.execute("DESCRIBE previous.users").fetchall() if row[0] != "user_id"]
    derived = [] if "users" in side else publishing.demographic_columns(columns)
    counts = publishing.write_users(connection, attributes, derived, before, first, tick)
    if n := counts["repeated"]:
        warnings.append(
            say("{n} rows of the users file repeat a user id; the first row that says something wins.", n=n)
            if n > 1
            else say("1 row of the users file repeats a user id; the first row that says something wins.")
        )
    if n := counts["without_events"]:
        warnings.append(
            say("{n} users of the users file have no event and are not shown.", n=n)
            if n > 1
            else say("1 user of the users file has no event and is not shown.")
        )
    if derived:
        warnings.append(say("Taken from each user's first event: {columns}.", columns=", ".join(derived)))
    return counts


def write_quarantine(work: Work) -> None:
    """Write every row that was set aside, with its original text."""
    connection = work.connection
    connection.execute(
        "CREATE TABLE final.rejected_attributes AS SELECT role, CAST('' AS VARCHAR) AS source_file,"
        " source_row, reason, text FROM rejects LIMIT 0"
    )
    if work.previous is not None:
        connection.execute("INSERT INTO final.quarantine BY NAME SELECT * FROM previous.quarantine")
    for source in work.sources:
        name, index = source.preview.name, source.index
        shield = make_shield(source.preview, source.mapping, work.cover)
        if shield is not None:
            _cover_rejects(connection, source.role, index, shield)
        if source.role != "events":
            connection.execute(
                "INSERT INTO final.rejected_attributes SELECT role, ?, source_row, reason, text"
                " FROM rejects WHERE role = ? ORDER BY source_row",
                [name, source.role],
            )
            if n := source.account.broken:
                fields = len(source.preview.stored.columns)
                work.warnings.append(
                    say("{n} lines of {file} do not have {fields} fields and were left out.", n=n, file=name, fields=fields)
                    if n > 1
                    else say("1 line of {file} does not have {fields} fields and was left out.", file=name, fields=fields)
                )
            continue
        connection.execute("CREATE OR REPLACE TABLE originals (source_row BIGINT, source_line BIGINT, text VARCHAR)")
        wanted = connection.execute(
            "SELECT source_row FROM fates WHERE source_file = ? AND fate = 'quarantined' ORDER BY source_row", [index]
        ).fetchnumpy()["source_row"]
        if len(wanted):
            fetch_lines(source.preview, np.asarray(wanted, dtype=np.int64), _taker(connection, shield), connection)
        if shield is not None:
            _cover_reasons(connection, index, shield)
        connection.execute(
            """
            INSERT INTO final.quarantine
            SELECT $name, source_row, source_line, rule, reason, text FROM (
                SELECT source_row, source_line, rule, reason, text FROM fates JOIN originals USING (source_row)
                WHERE source_file = $index AND fate = 'quarantined'
                UNION ALL SELECT source_row, source_line, 'broken_row', reason, text FROM rejects
                WHERE role = 'events' AND source_file = $index)
            ORDER BY source_row
            """,
            {"name": name, "index": index},
        )


def write_merged(work: Work, repeats: list[FilePreview]) -> None:
    """Name every row that was merged, and the row or file that it repeats."""
    connection = work.connection
    if work.previous is not None and scalar(
        connection, "SELECT count(*) FROM duckdb_tables() WHERE database_name = 'previous' AND table_name = 'merged'"
    ):
        connection.execute("INSERT INTO final.merged SELECT * FROM previous.merged")
    connection.execute(
        """
        INSERT INTO final.merged SELECT name, source_row, rule, reason FROM fates JOIN file_names ON index = source_file
        WHERE fate = 'merged' ORDER BY source_file, source_row
        """
    )
    known = {
        str(s.get("identity", s["sha256"])): (str(s["name"]), int(s["rows"]))
        for s in (work.previous or {}).get("sources", [])
        if s["role"] == "events"
    }
    known = {s.preview.identity: (s.preview.name, s.rows) for s in work.sources if s.role == "events"} | known
    for preview in repeats:
        name, rows = known[preview.identity]
        connection.execute(
            "INSERT INTO final.merged SELECT $file, row, 'duplicates', 'row ' || row || ' of ' || $name || ', which has the same bytes'"
            " FROM range(1, $rows + 1) AS t(row)",
            {"file": preview.name, "name": name, "rows": rows},
        )


def _taker(connection: Connection, shield: Shield | None) -> Callable[[pa.Table], None]:
    def take(batch: pa.Table) -> None:
        if shield is not None:
            covered = pa.array([shield.cover(text) for text in batch["text"].to_pylist()], pa.string())
            batch = batch.set_column(2, "text", covered)
        connection.register("texts", batch)
        connection.execute("INSERT INTO originals SELECT source_row, source_line, text FROM texts")
        connection.unregister("texts")

    return take


def _cover_rejects(connection: Connection, role: str, index: int, shield: Shield) -> None:
    """Cover the text of a file's broken lines before it is written."""
    rows = connection.sql(
        "SELECT source_row, source_line, reason, text FROM rejects WHERE role = ? AND source_file = ?", params=[role, index]
    ).to_arrow_table()
    covered = pa.array([shield.cover(text) for text in rows["text"].to_pylist()], pa.string())
    connection.execute("DELETE FROM rejects WHERE role = ? AND source_file = ?", [role, index])
    connection.register("covered", rows.set_column(3, "text", covered))
    connection.execute("INSERT INTO rejects SELECT ?, ?, source_row, source_line, reason, text FROM covered", [role, index])
    connection.unregister("covered")


def _cover_reasons(connection: Connection, index: int, shield: Shield) -> None:
    """Cover values that a reason repeats: a shifted row may hold an address where its time should be."""
    reasons = [
        row[0]
        for row in connection.execute(
            "SELECT DISTINCT reason FROM fates WHERE source_file = ? AND fate = 'quarantined' AND rule = 'bad_time'", [index]
        ).fetchall()
        if row[0]
    ]
    changed = [(reason, covered) for reason in reasons if (covered := shield.cover_words(reason)) != reason]
    if changed:
        table = pa.table({"reason": [pair[0] for pair in changed], "covered": [pair[1] for pair in changed]})
        connection.register("covered", table)
        connection.execute(
            "UPDATE fates SET reason = covered.covered FROM covered WHERE fates.reason = covered.reason AND source_file = ?", [index]
        )
        connection.unregister("covered")
