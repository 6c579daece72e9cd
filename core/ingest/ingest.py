"""One log into one new version: look, map, stage, clean, publish, and account for every row on the way."""

import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from core.artifacts import read_json
from core.errors import EmptyLogError, FileError, MappingError, StorageError
from core.ingest import cleaning, publishing
from core.ingest.casting import RELATIVE_START, TimeReading, decide_decimal, decide_time, make_number_macros, make_time_macros
from core.ingest.event_words import translate_words
from core.ingest.guessing import guess_mapping
from core.ingest.mapping import Mapping, Role, RoleMapping
from core.ingest.reading import FilePreview, inspect_file
from core.ingest.rules import RULES, Setting, settle_rules
from core.ingest.staging import Source, fetch_lines, prepare_staging, stage_file
from core.schema import ITEM_ATTRIBUTES, Progress, silent
from core.store import EVENTS_FILE, TABLES_SQL, THREADS, Connection, Dataset, identifier, scalar

_STAGING = "staging.duckdb"
_SIDECAR = "dataset.json"


@dataclass(frozen=True)
class IngestRequest:
    """What is read and how."""

    events: tuple[Path, ...]
    """Files of events, in the order that ties are broken by."""
    items: Path | None = None
    users: Path | None = None
    mapping: Mapping | None = None
    """What a person settled; the rest is guessed."""
    append: bool = False
    """Continue the current version instead of replacing it."""
    session_gap_minutes: int = 30
    """A longer silence starts a new session (GA4's default)."""
    time_zone: str = "UTC"
    """Zone of times that carry none."""
    roots: tuple[Path, ...] = ()
    """When given, files must lie below one of these folders, links resolved."""
    memory_limit: str = "2GB"
    """DuckDB spills to disk beyond it."""


@dataclass
class _Work:
    """What the steps of one ingest hand on."""

    connection: Connection
    request: IngestRequest
    mapping: Mapping
    rules: dict[str, Setting]
    sources: list[Source]
    warnings: list[str]
    previous: dict[str, Any] | None


def ingest_log(dataset: Dataset, request: IngestRequest, progress: Progress = silent) -> dict[str, Any]:
    """Read files into a new version of a dataset and make it current.

    Args:
        dataset: Where the version goes.
        request: Files, mapping and settings.
        progress: Told the share that is done.

    Returns:
        The version's manifest with its id as "version".
        Always rows_read = rows_kept + rows_quarantined + rows_merged.

    Raises:
        FileError: A file is missing, damaged, or no table.
        MappingError: A needed column cannot be found, or the mapping is wrong.
        EmptyLogError: No event is left after cleaning.
        StorageError: The disk is full or not writable. Nothing is published on any error.
    """
    if not request.events:
        raise FileError("No event file was given; name at least one.")
    if not 1 <= request.session_gap_minutes <= 24 * 60:
        raise MappingError(f"The session gap is {request.session_gap_minutes} minutes; choose 1 to 1440.")
    given = request.mapping or Mapping()
    rules = settle_rules(dict(given.rules))
    for path in (*request.events, request.items, request.users):
        if path is not None:
            _check_root(Path(path), request.roots)
    previous = dataset.manifest() if request.append and dataset.current()["version"] else None
    progress(0.01, "looking at the files")
    warnings: list[str] = []
    previews = [_inspect(Path(path), given.events) for path in request.events]
    fresh, repeats = _without_repeats(previews, previous, warnings)
    if previous is not None and not fresh and request.items is None and request.users is None:
        return {**previous, "version": dataset.current()["version"], "warnings": [*warnings, *previous["warnings"]]}
    events = [(preview, guess_mapping(preview, "events", given.events)) for preview in fresh]
    side: dict[str, tuple[FilePreview, RoleMapping]] = {}
    for role, path, part in (("items", request.items, given.items), ("users", request.users, given.users)):
        if path is not None:
            preview = _inspect(Path(path), part or RoleMapping())
            side[role] = (preview, guess_mapping(preview, _role(role), part))
    mapping = Mapping(
        events[0][1] if events else given.events,
        side["items"][1] if "items" in side else given.items,
        side["users"][1] if "users" in side else given.users,
        given.rules,
    )
    try:
        with dataset.new_version() as draft:
            staging = draft.path / _STAGING
            connection = _open(draft.path, request.memory_limit)
            try:
                if previous is not None:
                    connection.execute("ATTACH ? AS previous (READ_ONLY)", [str(dataset.version_path() / EVENTS_FILE)])
                work = _Work(connection, request, mapping, rules, [], warnings, previous)
                record = _build(work, events, side, repeats, progress)
                connection.execute("CHECKPOINT final")
            finally:
                connection.close()
            for leftover in (staging, staging.with_name(_STAGING + ".wal")):
                leftover.unlink(missing_ok=True)
            shutil.rmtree(draft.path / "spill", ignore_errors=True)
            draft.record = record
            version = draft.run_id
    except duckdb.Error as error:
        if _is_storage(error):
            raise StorageError(
                f"There is not enough room to ingest into {dataset.path.name} ({str(error)[:160]}); nothing was published. Free space."
            ) from error
        raise
    progress(1.0, "published")
    return {**record, "version": version}


def _open(folder: Path, memory_limit: str) -> Connection:
    connection = duckdb.connect(str(folder / _STAGING))
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute(f"SET threads = {int(THREADS)}")
    connection.execute("SET memory_limit = ?", [memory_limit])
    connection.execute("SET temp_directory = ?", [str(folder / "spill")])
    connection.execute("SET autoinstall_known_extensions = false")
    connection.execute("SET autoload_known_extensions = false")
    connection.execute("ATTACH ? AS final", [str(folder / EVENTS_FILE)])
    connection.execute("USE final")
    connection.execute(TABLES_SQL)
    connection.execute("USE staging")
    return connection


def _build(
    work: _Work,
    events: list[tuple[FilePreview, RoleMapping]],
    side: dict[str, tuple[FilePreview, RoleMapping]],
    repeats: list[FilePreview],
    progress: Progress,
) -> dict[str, Any]:
    connection, rules, warnings = work.connection, work.rules, work.warnings
    before = work.previous or {}
    first = 1 + max((int(s["index"]) for s in before.get("sources", []) if s["role"] == "events"), default=-1)
    prepare_staging(connection)
    for place, (preview, part) in enumerate(events):
        tick = _ticker(progress, 0.05 + 0.4 * place / len(events), 0.4 / len(events), f"reading {preview.name}")
        tick(0.0)
        work.sources.append(stage_file(connection, preview, part, "events", first + place, "raw", tick))
    merged_files = _count_repeats(repeats, work)
    progress(0.45, "deciding how times and numbers are read")
    part = work.mapping.events
    columns = {name for _, m in events for name in m.columns}
    reading, shape, words = _decide(work, part, columns)
    if not events:
        reading = TimeReading("iso")
    progress(0.5, "casting times and numbers")
    cleaning.cast_rows(connection, shape, rules)
    daily = cleaning.is_daily(connection, shape.zone) if events else int(before.get("time_resolution_seconds", 1)) == 86400
    progress(0.6, "looking for duplicates and robots")
    robots = _judge(work, daily)
    cleaning.spread_acts(connection, shape.wide)
    if work.previous is not None:
        keeps = "session_id" in before["columns_present"] and before.get("sessions_given", False)
        cleaning.join_previous(connection, keeps)
    quarantined, merged, counts = cleaning.count_fates(connection)
    if not scalar(connection, "SELECT count(*) FROM acts"):
        _refuse_empty(work, counts)
    progress(0.7, "writing events and sessions")
    publishing.write_events(connection, work.request.session_gap_minutes)
    publishing.write_sessions(connection)
    progress(0.8, "writing catalogue and users")
    catalogue = _write_catalogue(work, side, columns, progress)
    people = _write_people(work, side, columns)
    progress(0.9, "keeping every rejected row")
    _write_quarantine(work)
    publishing.write_rollups(connection)
    progress(0.95, "counting")
    broken = sum(s.account.broken for s in work.sources if s.role == "events")
    read = sum(s.rows for s in work.sources if s.role == "events")
    counts = {**counts, "broken_row": broken, "dwell_cap": scalar(connection, "SELECT count(*) FROM rows WHERE capped AND rule IS NULL")}
    totals = {
        "rows_read": read + merged_files,
        "rows_quarantined": quarantined + broken,
        "rows_merged": merged + merged_files,
        "rows_kept": read - quarantined - broken - merged,
    }
    added = dict(totals)
    for name in totals:
        totals[name] += int(before.get(name, 0))
    _warn_of_rows(work, columns, shape, words, counts)
    return {
        **totals,
        "added": added,
        **_figures(connection),
        "columns_present": sorted({*_present(columns, shape), *before.get("columns_present", [])}),
        "sessions_given": "session_id" in columns and (not before or bool(before.get("sessions_given"))),
        "session_gap_minutes": work.request.session_gap_minutes,
        "time_zone": part.time_zone or work.request.time_zone,
        "time_reading": {"kind": reading.kind, "unit": reading.unit},
        "time_resolution_seconds": 86400 if daily or int(before.get("time_resolution_seconds", 1)) == 86400 else 1,
        "relative_time": reading.kind == "days" or ("order_number" in columns and "event_time" not in columns),
        "warnings": list(dict.fromkeys(warnings)),
        "sources": [*before.get("sources", []), *(s.record() for s in work.sources)],
        "mapping": work.mapping.to_record(),
        "rules": _rule_records(rules, counts, totals["rows_read"], before, merged_files, daily),
        "event_words": words,
        "robots": robots,
        "catalogue": {**catalogue, "own": "items" in side},
        "people": {**people, "own": "users" in side},
        "sample": _sidecar(events, "sample") or bool(before.get("sample")),
        "synthetic": _sidecar(events, "synthetic") or bool(before.get("synthetic")),
    }


def _role(name: str) -> Role:
    return "items" if name == "items" else "users"


def _inspect(path: Path, part: RoleMapping) -> FilePreview:
    return inspect_file(path, header=part.header, delimiter=part.delimiter, encoding=part.encoding)


def _check_root(path: Path, roots: tuple[Path, ...]) -> None:
    if roots and not any(path.resolve().is_relative_to(root.resolve()) for root in roots):
        raise FileError(f"{path.name} lies outside the folders that may be read; copy it there or allow its folder.")


def _without_repeats(
    previews: list[FilePreview], previous: dict[str, Any] | None, warnings: list[str]
) -> tuple[list[FilePreview], list[FilePreview]]:
    known = {s["sha256"]: s["name"] for s in (previous or {}).get("sources", []) if s["role"] == "events"}
    fresh: list[FilePreview] = []
    repeats: list[FilePreview] = []
    for preview in previews:
        if preview.sha256 in known:
            warnings.append(
                f"{preview.name} holds the same bytes as {known[preview.sha256]}, which is already in; its rows were not doubled."
            )
            repeats.append(preview)
        else:
            known[preview.sha256] = preview.name
            fresh.append(preview)
    return fresh, repeats


def _count_repeats(repeats: list[FilePreview], work: _Work) -> int:
    rows = {s.preview.sha256: s.rows for s in work.sources}
    rows |= {s["sha256"]: s["rows"] for s in (work.previous or {}).get("sources", []) if s["role"] == "events"}
    return sum(int(rows[preview.sha256]) for preview in repeats)


def _ticker(progress: Progress, start: float, width: float, message: str) -> Callable[[float], None]:
    return lambda share: progress(start + width * share, message)


def _decide(work: _Work, part: RoleMapping, columns: set[str]) -> tuple[TimeReading, cleaning.Shape, list[dict[str, Any]]]:
    connection, warnings = work.connection, work.warnings
    time_format, unit = part.time_format, part.time_unit
    if "event_time" not in columns and "order_number" in columns:
        cleaning.place_orders(connection, RELATIVE_START)
        warnings.append(
            f"The log knows no dates, only days since the order before; every user starts on {RELATIVE_START}, so dates on screen are relative."
        )
        time_format = unit = None
    zone = part.time_zone or work.request.time_zone
    reading = decide_time(connection, unit, time_format) if columns else TimeReading("iso")
    if reading.warning:
        warnings.append(reading.warning)
    make_time_macros(connection, reading, zone, time_format)
    decimal, note = decide_decimal(connection)
    if note:
        warnings.append(note)
    make_number_macros(connection, decimal, part.dwell_unit or "s")
    wide = "purchase_item_id" in columns
    words = _translate(work, part, columns)
    row = connection.execute(
        "SELECT count(*) FILTER (regexp_matches(order_id, '^[Cc][0-9]+$')), count(order_id) FILTER (regexp_matches(order_id, '^[0-9]+$')) FROM raw"
    ).fetchone()
    cancels = bool(row and 0 < row[0] < row[1])
    shape = cleaning.Shape(
        has_items="item_id" in columns or wide,
        wide=wide,
        default_event=None if "event_type" in columns else part.default_event_type or "view",
        has_price="price" in columns,
        has_revenue="revenue" in columns,
        cancel_orders=cancels,
        zone=zone,
    )
    return reading, shape, words


def _translate(work: _Work, part: RoleMapping, columns: set[str]) -> list[dict[str, Any]]:
    connection, warnings = work.connection, work.warnings
    found = connection.execute(
        "SELECT event_type, count(*) AS n FROM raw WHERE event_type IS NOT NULL GROUP BY 1 ORDER BY n DESC, 1 LIMIT 2000"
    ).fetchall()
    translated, unknown = translate_words([word for word, _ in found], dict(part.event_types))
    counts = dict(found)
    connection.execute("CREATE TABLE words (word VARCHAR, kind VARCHAR)")
    if translated:
        table = pa.table({"word": pa.array(list(translated), pa.string()), "kind": pa.array(list(translated.values()), pa.string())})
        connection.register("spoken", table)
        connection.execute("INSERT INTO words SELECT word, kind FROM spoken")
        connection.unregister("spoken")
    if unknown:
        listed = ", ".join(f"{word!r} ({counts[word]})" for word in unknown[:12])
        warnings.append(
            f"Unknown event words became `other`: {listed}{' …' if len(unknown) > 12 else ''}. Name them in `event_types` of the mapping."
        )
    if "event_type" not in columns and columns:
        given = work.request.mapping is not None and work.request.mapping.events.default_event_type is not None
        kind = part.default_event_type or "view"
        if "purchase_item_id" in columns:
            warnings.append(f"Each row holds a {kind} and, where its purchase id is not empty or 0, a purchase.")
        elif not given:
            warnings.append(
                f"No column says what happened; every row is taken as a {kind}. Set `default_event_type` in the mapping if that is wrong."
            )
        else:
            warnings.append(f"No column says what happened; every row is a {kind}, as the mapping says.")
    return [{"word": word, "events": counts[word], "event_type": kind, "known": word not in unknown} for word, kind in translated.items()]


def _judge(work: _Work, daily: bool) -> list[dict[str, Any]]:
    connection, rules, warnings = work.connection, work.rules, work.warnings
    duplicates, robots = rules["duplicates"], rules["robots"]
    if duplicates.on and daily and not duplicates.given:
        warnings.append(
            "The log knows only days, so equal rows may be honest repeats: duplicates were not merged. Switch the rule on in `rules` to merge them."
        )
    elif duplicates.on:
        cleaning.merge_duplicates(connection, duplicates.parameters["seconds"])
    if not robots.on:
        return []
    if daily:
        warnings.append("The log knows only days, so the robot rule (acts within an hour) was not used.")
        return []
    found = cleaning.catch_robots(connection, int(robots.parameters["per_hour"]), int(robots.parameters["per_day"]))
    if found:
        named = ", ".join(f"{user['user_id']} ({user['rows']})" for user in found[:5])
        warnings.append(f"Acts faster than a person's were set aside (rule robots): {named}{' …' if len(found) > 5 else ''}.")
    return found


def _refuse_empty(work: _Work, counts: dict[str, int]) -> None:
    read = sum(s.rows for s in work.sources if s.role == "events")
    broken = sum(s.account.broken for s in work.sources if s.role == "events")
    why = ", ".join(f"{rule} {n}" for rule, n in sorted({**counts, "broken_row": broken}.items(), key=lambda pair: -pair[1]) if n)
    names = ", ".join(s.preview.name for s in work.sources if s.role == "events")
    used = ", ".join(f"{key} from {'+'.join(value)}" for key, value in work.mapping.events.columns.items())
    raise EmptyLogError(
        f"No row of {names} is left: of {read} read, {why or 'none were usable'}. The mapping was {used}; correct it or the file."
    )


def _write_catalogue(
    work: _Work, side: dict[str, tuple[FilePreview, RoleMapping]], columns: set[str], progress: Progress
) -> dict[str, int]:
    connection, warnings = work.connection, work.warnings
    own = "items" in side
    if own:
        preview, part = side["items"]
        listed = ", ".join(f"{identifier(name)} VARCHAR" for name in ("item_id", *ITEM_ATTRIBUTES))
        connection.execute(f"CREATE TABLE catalogue_rows (source_file INTEGER, source_row BIGINT, {listed})")
        source = stage_file(
            connection, preview, part, "items", 0, "catalogue_rows", _ticker(progress, 0.8, 0.02, f"reading {preview.name}")
        )
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


def _write_people(work: _Work, side: dict[str, tuple[FilePreview, RoleMapping]], columns: set[str]) -> dict[str, Any]:
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


def _write_quarantine(work: _Work) -> None:
    connection = work.connection
    connection.execute(
        "CREATE TABLE final.rejected_attributes AS SELECT role, CAST('' AS VARCHAR) AS source_file, source_row, reason, text FROM rejects LIMIT 0"
    )
    if work.previous is not None:
        connection.execute("INSERT INTO final.quarantine SELECT * FROM previous.quarantine")
    for source in work.sources:
        name, index = source.preview.name, source.index
        if source.role != "events":
            connection.execute(
                "INSERT INTO final.rejected_attributes SELECT role, ?, source_row, reason, text FROM rejects WHERE role = ? ORDER BY source_row",
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
                SELECT source_row, rule, reason, text FROM fates JOIN originals USING (source_row) WHERE source_file = $index AND fate = 'quarantined'
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


def _figures(connection: Connection) -> dict[str, Any]:
    row = connection.execute(
        """
        SELECT count(*), count(DISTINCT user_id), count(DISTINCT session_id), min(event_time), max(event_time),
               avg(CAST(item_id IN (SELECT item_id FROM final.items WHERE in_catalogue) AS INTEGER)) FILTER (item_id IS NOT NULL),
               avg(CAST(item_id IN (SELECT item_id FROM final.items WHERE title IS NOT NULL OR category IS NOT NULL) AS INTEGER))
                   FILTER (item_id IS NOT NULL)
        FROM final.events
        """
    ).fetchone()
    assert row is not None
    first, last = row[3], row[4]
    assert isinstance(first, datetime)
    assert isinstance(last, datetime)
    return {
        "events": row[0],
        "users": row[1],
        "items": scalar(connection, "SELECT count(*) FROM final.items"),
        "sessions": scalar(connection, "SELECT count(*) FROM final.sessions"),
        "first_event": first.isoformat(),
        "last_event": last.isoformat(),
        "catalogue_share": round(float(row[5]), 6) if row[5] is not None else None,
        "described_share": round(float(row[6]), 6) if row[6] is not None else None,
        "event_types": dict(
            connection.execute(
                "SELECT CAST(event_type AS VARCHAR), count(*) FROM final.events GROUP BY event_type ORDER BY event_type"
            ).fetchall()
        ),
    }


def _present(columns: set[str], shape: cleaning.Shape) -> set[str]:
    """Canonical event columns that the log really had, with values that follow from others."""
    events = {
        "user_id",
        "event_time",
        "event_type",
        "item_id",
        "session_id",
        "dwell_seconds",
        "position",
        "quantity",
        "price",
        "revenue",
        "query",
        "order_id",
    }
    present = (columns & events) | {"event_type", "event_time"}
    if "price" in columns:
        present.add("revenue")
    if {"revenue", "quantity"} <= columns:
        present.add("price")
    if shape.wide:
        present.add("item_id")
    return present


def _warn_of_rows(work: _Work, columns: set[str], shape: cleaning.Shape, words: list[dict[str, Any]], counts: dict[str, int]) -> None:
    connection, warnings = work.connection, work.warnings
    if not shape.has_items and columns:
        warnings.append("The log has no item column: events are kept without items; catalogue, recommendations and item features are off.")
    if columns and not shape.has_price and {"revenue", "quantity"} <= columns:
        warnings.append("The log has no unit price; price = amount / quantity.")
    if "session_id" in columns and work.mapping.events.columns.get("user_id") == work.mapping.events.columns.get("session_id"):
        warnings.append("The log has no user column; each session is taken as a user of its own.")
    for name in ("user_id", "item_id"):
        floats = (
            scalar(connection, f"SELECT count(*) FROM raw WHERE regexp_matches({identifier(name)}, '^[0-9]+\\.0$')")
            if name in columns
            else 0
        )
        if floats:
            warnings.append(
                f"{floats} values of {name} end in .0 (such as 17850.0); they are kept as they are. Export the column as whole numbers or text to join other files."
            )
    refunds = scalar(
        connection,
        "SELECT count(*) FROM rows r LEFT JOIN words w ON w.word = r.word WHERE r.kind = 'refund' AND w.kind IS DISTINCT FROM 'refund'",
    )
    if refunds:
        warnings.append(f"{refunds} purchases with a negative quantity or amount, or a C… order number, were taken as refunds.")
    for source in (s for s in work.sources if s.role == "events"):
        account = source.account
        if account.literal_quotes:
            warnings.append(
                f"{account.literal_quotes} lines of {source.preview.name} have a quote inside a plain field; it is kept as a sign of the text."
            )
        if account.inside:
            warnings.append(f"{account.inside} line ends of {source.preview.name} stand inside quoted values.")
        if source.preview.skip:
            warnings.append(f"The first {source.preview.skip} lines of {source.preview.name} are no part of the table and were skipped.")
        if not source.preview.has_header and not source.mapping.header:
            guessed = ", ".join(f"{g.source[0]} as {g.canonical}" for g in source.mapping.guesses)
            warnings.append(
                f"{source.preview.name} has no header; guessed from values: {guessed}. Name the columns in the mapping if that is wrong."
            )
        left = [c for c in source.preview.columns if c not in {p for pieces in source.mapping.columns.values() for p in pieces}]
        if left:
            warnings.append(f"Columns of {source.preview.name} that were not used: {', '.join(left[:20])}{' …' if len(left) > 20 else ''}.")
    for rule, count in counts.items():
        if count and rule not in ("robots", "dwell_cap"):
            act = "merged" if rule == "duplicates" else "quarantined"
            warnings.append(f"{count} rows were {act} by rule {rule}.")
    if counts.get("dwell_cap"):
        warnings.append(f"{counts['dwell_cap']} stays longer than {work.rules['dwell_cap'].parameters['seconds']:g} s were cut to that.")


def _rule_records(
    rules: dict[str, Setting], counts: dict[str, int], read: int, before: dict[str, Any], repeated: int, daily: bool
) -> list[dict[str, Any]]:
    earlier = {record["id"]: int(record["count"]) for record in before.get("rules", [])}
    records = []
    for rule in RULES:
        setting = rules[rule.id]
        count = counts.get(rule.id, 0) + earlier.get(rule.id, 0)
        if rule.id == "duplicates":
            count += repeated
        used = setting.on and not (daily and (rule.id == "robots" or (rule.id == "duplicates" and not setting.given)))
        records.append(
            {
                "id": rule.id,
                "description": rule.description,
                "on": used,
                "fixed": rule.fixed,
                "parameter": dict(setting.parameters),
                "count": count,
                "share": round(count / read, 6) if read else 0.0,
            }
        )
    return records


def _sidecar(events: list[tuple[FilePreview, RoleMapping]], word: str) -> bool:
    """Tell what a `dataset.json` beside the event files says of them."""
    for preview, _ in events:
        path = preview.path.with_name(_SIDECAR)
        if path.is_file():
            try:
                record = read_json(path)
            except StorageError:
                continue
            if isinstance(record, dict) and record.get(word):
                return True
    return False


def _is_storage(error: duckdb.Error) -> bool:
    return isinstance(error, duckdb.OutOfMemoryException) or bool(
        re.search(r"No space left|disk|Permission denied|write", str(error), re.IGNORECASE)
    )
