"""One log into one new version: look, map, stage, clean, publish, and account for every row on the way."""

import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb

from core.artifacts import read_json
from core.errors import EmptyLogError, FileError, MappingError, StorageError
from core.ingest import cleaning, merging, publishing, rollups
from core.ingest.accounts import (
    columns_present,
    count_events,
    joined_robots,
    rule_records,
    warn_of_clock,
    warn_of_rows,
    warn_of_rules,
    warn_of_strays,
    warn_of_swaps,
)
from core.ingest.attributes import stage_catalogue, write_catalogue, write_merged, write_people, write_quarantine
from core.ingest.casting import UTC_NAMES, TimeReading, make_time_macros
from core.ingest.deciding import decide_readings, judge_rows
from core.ingest.facts import facts_mapping, write_facts
from core.ingest.guessing import guess_logs, guess_mapping, joined_parts
from core.ingest.ids import are_numbers
from core.ingest.mapping import Mapping, Role, RoleMapping
from core.ingest.other_tables import set_other_tables_aside
from core.ingest.personal import check_cover, make_pseudonyms, settle_cover, tell_personal
from core.ingest.plain import plain_columns
from core.ingest.preview import FilePreview
from core.ingest.reading import inspect_files
from core.ingest.report_words import quoted_rule
from core.ingest.rules import settle_rules
from core.ingest.scratch import Scratch, check_room, scratch_below
from core.ingest.staging import prepare_staging, stage_file
from core.ingest.watching import Tick, part_of
from core.ingest.work import IngestRequest, Work, ticker
from core.messages import joined, say
from core.schema import Progress, silent
from core.store import EVENTS_FILE, TABLES_SQL, THREADS, Connection, Dataset, scalar

_SIDECAR = "dataset.json"

__all__ = ["IngestRequest", "ingest_log"]


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
    with scratch_below(dataset.path / "versions") as scratch:
        return _ingest(dataset, request, scratch, progress)


def _ingest(dataset: Dataset, request: IngestRequest, scratch: Scratch, progress: Progress) -> dict[str, Any]:
    if not request.events:
        raise FileError("No event file was given; name at least one.")
    if not 1 <= request.session_gap_minutes <= 24 * 60:
        raise MappingError("The session gap is {n} minutes; choose 1 to 1440.", n=request.session_gap_minutes)
    given = request.mapping or Mapping()
    rules = settle_rules(dict(given.rules))
    for path in (*request.events, request.items, request.users, request.facts):
        if path is not None:
            _check_root(Path(path), request.roots)
    previous = dataset.manifest() if request.append and dataset.current()["version"] else None
    progress(0.01, say("looking at the files"))
    warnings: list[str] = []
    if request.passed_over:
        warnings.append(say("Passed over in the folder, being no tables: {files}.", files=", ".join(request.passed_over[:20])))
    previews: list[FilePreview] = []
    for place, path in enumerate(request.events):
        share = 0.04 / len(request.events)
        tick = ticker(progress, 0.01 + share * place, share, say("looking at {file}", file=Path(path).name))
        previews += _inspect(Path(path), given.events, scratch, tick)
    _check_room(dataset, previews)
    if named := dict.fromkeys(name for preview in previews for name, _value in preview.folders):
        warnings.append(say("Columns that were read from the names of folders: {columns}.", columns=", ".join(named)))
    fresh, repeats = _without_repeats(previews, previous, warnings)
    if previous is not None and not fresh and request.items is None and request.users is None and request.facts is None:
        nothing = dict.fromkeys(("rows_read", "rows_kept", "rows_quarantined", "rows_merged"), 0)
        told = [*warnings, *previous["warnings"]]
        return {**previous, "version": dataset.current()["version"], "unchanged": True, "added": nothing, "warnings": told}
    events = list(zip(fresh, guess_logs(fresh, given.events), strict=True))
    side: dict[str, tuple[FilePreview, RoleMapping]] = {}
    for role, path, part in (("items", request.items, given.items), ("users", request.users, given.users)):
        if path is not None:
            preview = _inspect_one(Path(path), part or RoleMapping(), scratch)
            side[role] = (preview, guess_mapping(preview, _role(role), part))
    if request.facts is not None:
        preview = _inspect_one(Path(request.facts), RoleMapping(), scratch)
        side["facts"] = (preview, facts_mapping(preview))
    mapping = Mapping(
        joined_parts([part for _, part in events]) if events else given.events,
        side["items"][1] if "items" in side else given.items,
        side["users"][1] if "users" in side else given.users,
        given.rules,
    )
    cover = settle_cover(dataset, given, previous, warnings)
    check_cover(cover, [part for _, part in (*events, *side.values())])
    mapping = replace(mapping, pseudonyms=tuple(sorted(cover.columns)))
    for preview, part in (*events, *side.values()):
        warnings.extend(tell_personal(preview, part, cover))
    try:
        with dataset.new_version() as draft:
            connection = _open(draft.path, request.memory_limit)
            try:
                if previous is not None:
                    connection.execute("ATTACH ? AS previous (READ_ONLY)", [str(dataset.version_path() / EVENTS_FILE)])
                work = Work(connection, request, mapping, rules, [], warnings, previous, cover)
                make_pseudonyms(connection, cover)
                record = _build(work, events, side, repeats, progress)
                connection.execute("CHECKPOINT final")
            finally:
                connection.close()
            shutil.rmtree(draft.path / "spill", ignore_errors=True)
            draft.record = record
            version = draft.run_id
    except duckdb.Error as error:
        if _is_storage(error):
            raise StorageError(
                "There is not enough room to ingest into {dataset} ({error}); nothing was published. Free space.",
                dataset=dataset.path.name,
                error=str(error)[:160],
            ) from error
        raise
    progress(1.0, say("published"))
    return {**record, "version": version}


def _open(folder: Path, memory_limit: str) -> Connection:
    connection = duckdb.connect(":memory:")  # staging is never kept, so nothing is packed; what does not fit spills
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute(f"SET threads = {int(THREADS)}")
    connection.execute("SET memory_limit = ?", [memory_limit])
    connection.execute("SET temp_directory = ?", [str(folder / "spill")])
    connection.execute("SET autoinstall_known_extensions = false")
    connection.execute("SET autoload_known_extensions = false")
    connection.execute("SET enable_progress_bar = true")  # without it nobody can ask how far a statement is
    connection.execute("SET enable_progress_bar_print = false")
    connection.execute("SET progress_bar_time = 0")
    # As a join, a list of words is looked up for every value, also where an earlier condition spares it, and rows lose their order.
    connection.execute("SET disabled_optimizers = 'in_clause'")
    connection.execute("ATTACH ? AS final", [str(folder / EVENTS_FILE)])
    connection.execute("USE final")
    connection.execute(TABLES_SQL)
    connection.execute("USE memory")
    return connection


def _build(
    work: Work,
    events: list[tuple[FilePreview, RoleMapping]],
    side: dict[str, tuple[FilePreview, RoleMapping]],
    repeats: list[FilePreview],
    progress: Progress,
) -> dict[str, Any]:
    connection, rules, warnings = work.connection, work.rules, work.warnings
    before = work.previous or {}
    first = 1 + max((int(s["index"]) for s in before.get("sources", []) if s["role"] == "events"), default=-1)
    columns = {name for _, m in events for name in m.columns}
    plain = plain_columns(work, events)
    if plain:
        make_time_macros(connection, TimeReading("iso"), UTC_NAMES[0], None)
    prepare_staging(connection, columns, plain)
    for place, (preview, part) in enumerate(events):
        tick = ticker(progress, 0.05 + 0.4 * place / len(events), 0.4 / len(events), say("reading {file}", file=preview.name))
        tick(0.0)
        work.sources.append(stage_file(connection, preview, part, "events", first + place, "raw_cells", tick, work.cover.columns, plain))
    if events and not sum(s.rows for s in work.sources):
        names = ", ".join(preview.name for preview, _ in events)
        raise EmptyLogError("{files} holds a header and no row; export the log again, with its events.", files=names)
    set_other_tables_aside(connection, work.sources, work.cover.columns, warnings)
    merged_files = _count_repeats(repeats, work)
    _name_files(work)
    progress(0.45, say("deciding how times and numbers are read"))
    part = work.mapping.events
    reading, shape, words = decide_readings(work, part, columns)
    if not events:
        reading = TimeReading("iso")
    progress(0.5, say("casting times and numbers"))
    odd_hours = cleaning.cast_rows(connection, shape, rules, ticker(progress, 0.5, 0.1, say("casting times and numbers")))
    daily = cleaning.is_daily(connection, shape.zone) if events else int(before.get("time_resolution_seconds", 1)) == 86400
    progress(0.6, say("looking for duplicates and robots"))
    stage_catalogue(work, side, progress)
    robots = judge_rows(work, daily, ticker(progress, 0.62, 0.08, say("looking for duplicates and robots")))
    cleaning.spread_acts(connection, shape.wide, shape.several)
    if work.previous is not None:
        keeps = "session_id" in before["columns_present"] and before.get("sessions_given", False)
        merging.join_previous(connection, keeps)
    quarantined, merged, counts = cleaning.count_fates(connection)
    ids = columns & {"user_id", "item_id"}
    numbers = {name for name in ids if name in work.plain or are_numbers(connection, "rows", name)}
    doubts = cleaning.count_doubts(connection, columns - numbers)
    if not scalar(connection, "SELECT count(*) FROM acts"):
        _refuse_empty(work, counts)
    progress(0.7, say("writing events and sessions"))
    writing = ticker(progress, 0.7, 0.1, say("writing events and sessions"))
    absent = cleaning.absent_acts(shape, continued=work.previous is not None)
    known = numbers if work.previous is None and not shape.wide else set[str]()
    publishing.order_events(connection, absent, known, cleaning.drop_rows, part_of(writing, 0, 3))
    publishing.write_events(connection, work.request.session_gap_minutes, part_of(writing, 1, 3))
    publishing.write_sessions(connection, part_of(writing, 2, 3))
    progress(0.8, say("writing catalogue and users"))
    listing = ticker(progress, 0.8, 0.1, say("writing catalogue and users"))
    rollups.write_item_totals(connection, part_of(listing, 0, 4))
    catalogue = write_catalogue(work, side, columns, part_of(listing, 1, 4))
    rollups.write_user_totals(connection, part_of(listing, 2, 4))
    people = write_people(work, side, columns, first, part_of(listing, 3, 4))
    write_facts(work, side)
    progress(0.9, say("keeping every rejected row"))
    write_quarantine(work)
    write_merged(work, repeats)
    rollups.write_daily(connection, ticker(progress, 0.9, 0.05, say("keeping every rejected row")))
    progress(0.95, say("counting"))
    broken = sum(s.account.broken for s in work.sources if s.role == "events")
    read = sum(s.rows for s in work.sources if s.role == "events")
    counts = {**counts, "broken_row": broken, "dwell_cap": doubts["dwell_cap"]}
    totals = {
        "rows_read": read + merged_files,
        "rows_quarantined": quarantined + broken,
        "rows_merged": merged + merged_files,
        "rows_kept": read - quarantined - broken - merged,
    }
    added = dict(totals)
    for name in totals:
        totals[name] += int(before.get(name, 0))
    warn_of_rows(work, columns, shape, counts, doubts)
    warn_of_clock(work, shape.zone, odd_hours)
    records = rule_records(rules, counts, totals["rows_read"], before, merged_files, daily)
    warnings.extend(warn_of_rules(records))
    warnings.extend(warn_of_strays(connection))
    if not {"user_id", "item_id"} <= numbers and {"user_id", "item_id"} <= columns:
        warnings.extend(warn_of_swaps(connection))
    earlier = [*before.get("earlier_warnings", []), *before.get("warnings", [])]
    return {
        **totals,
        "added": added,
        **count_events(connection),
        "columns_present": sorted({*columns_present(columns, shape), *before.get("columns_present", [])}),
        "sessions_given": "session_id" in columns and (not before or bool(before.get("sessions_given"))),
        "session_gap_minutes": work.request.session_gap_minutes,
        "time_zone": part.time_zone or work.request.time_zone,
        "time_reading": {"kind": reading.kind, "unit": reading.unit},
        "time_resolution_seconds": 86400 if daily or int(before.get("time_resolution_seconds", 1)) == 86400 else 1,
        "relative_time": reading.kind in ("days", "month_days") or ("order_number" in columns and "event_time" not in columns),
        "warnings": list(dict.fromkeys(warnings)),
        "earlier_warnings": [warning for warning in dict.fromkeys(earlier) if warning not in warnings],
        "sources": [*before.get("sources", []), *(s.record() for s in work.sources)],
        "mapping": work.mapping.to_record(),
        "rules": records,
        "event_words": words,
        "robots": joined_robots(before.get("robots", []), robots),
        "catalogue": {**catalogue, "own": "items" in side},
        "people": {**people, "own": "users" in side},
        "sample": _sidecar(events, "sample") or bool(before.get("sample")),
        "synthetic": _sidecar(events, "synthetic") or bool(before.get("synthetic")),
    }


def _role(name: str) -> Role:
    return "items" if name == "items" else "users"


def _inspect(path: Path, part: RoleMapping, scratch: Scratch, tick: Tick = lambda share: None) -> tuple[FilePreview, ...]:
    return inspect_files(path, scratch=scratch, header=part.header, delimiter=part.delimiter, encoding=part.encoding, tick=tick)


def _inspect_one(path: Path, part: RoleMapping, scratch: Scratch) -> FilePreview:
    found = _inspect(path, part, scratch)
    if len(found) > 1:
        raise FileError(
            "{file} holds {n} tables ({tables}); of items and users one table is read. Give a file that holds it alone.",
            file=path.name,
            n=len(found),
            tables=", ".join(preview.member for preview in found[:12]),
        )
    return found[0]


def _check_room(dataset: Dataset, previews: list[FilePreview]) -> None:
    """Refuse files that cannot fit: a version takes about half of a log's text, and what memory does not hold spills."""
    needed = sum(preview.bytes * (1 if preview.kind == "csv" else 4) for preview in previews)
    check_room(dataset.path, needed, ", ".join(preview.name for preview in previews[:5]))


def _check_root(path: Path, roots: tuple[Path, ...]) -> None:
    if roots and not any(path.resolve().is_relative_to(root.resolve()) for root in roots):
        raise FileError("{file} lies outside the folders that may be read; copy it there or allow its folder.", file=path.name)


def _without_repeats(
    previews: list[FilePreview], previous: dict[str, Any] | None, warnings: list[str]
) -> tuple[list[FilePreview], list[FilePreview]]:
    known = {s.get("identity", s["sha256"]): s["name"] for s in (previous or {}).get("sources", []) if s["role"] == "events"}
    fresh: list[FilePreview] = []
    repeats: list[FilePreview] = []
    for preview in previews:
        if preview.identity in known:
            warnings.append(
                say(
                    "{file} holds the same bytes as {known}, which is already in; its rows were not doubled.",
                    file=preview.name,
                    known=known[preview.identity],
                )
            )
            repeats.append(preview)
        else:
            known[preview.identity] = preview.name
            fresh.append(preview)
    return fresh, repeats


def _count_repeats(repeats: list[FilePreview], work: Work) -> int:
    rows = {s.preview.identity: s.rows for s in work.sources}
    rows |= {s.get("identity", s["sha256"]): s["rows"] for s in (work.previous or {}).get("sources", []) if s["role"] == "events"}
    return sum(int(rows[preview.identity]) for preview in repeats)


def _name_files(work: Work) -> None:
    """Make `file_names` (index, name) of this ingest's event files, for reasons that name a row of another file."""
    work.connection.execute("CREATE TABLE file_names (index INTEGER, name VARCHAR)")
    for source in work.sources:
        if source.role == "events":
            work.connection.execute("INSERT INTO file_names VALUES (?, ?)", [source.index, source.preview.name])


def _refuse_empty(work: Work, counts: dict[str, int]) -> None:
    read = sum(s.rows for s in work.sources if s.role == "events")
    broken = sum(s.account.broken for s in work.sources if s.role == "events")
    most_first = sorted({**counts, "broken_row": broken}.items(), key=lambda pair: -pair[1])
    why = [say("{rule}: {n}", rule=quoted_rule(rule), n=n) for rule, n in most_first if n]
    names = ", ".join(s.preview.name for s in work.sources if s.role == "events")
    used = ", ".join(f"{key} = {'+'.join(value)}" for key, value in work.mapping.events.columns.items())
    if counts.get("null_user") == read and "session_id" in work.mapping.events.columns:
        raise EmptyLogError(
            "No row of {files} has a user in {column}, but rows have sessions; switch the rule {rule} off to take each session "
            "as a user, or map another column to user_id.",
            files=names,
            column="+".join(work.mapping.events.columns["user_id"]),
            rule=quoted_rule("null_user"),
        )
    if not why:
        raise EmptyLogError(
            "No row of {files} is left: of {read} read, none were usable. The mapping was {mapping}; correct it or the file.",
            files=names,
            read=read,
            mapping=used,
        )
    raise EmptyLogError(
        "No row of {files} is left: of {read} read, {why}. The mapping was {mapping}; correct it or the file.",
        files=names,
        read=read,
        why=joined(why),
        mapping=used,
    )


def _sidecar(events: list[tuple[FilePreview, RoleMapping]], word: str) -> bool:
    """Tell what a `dataset.json` beside the event files says of them."""
    for preview, _ in events:
        path = preview.given.with_name(_SIDECAR)
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
