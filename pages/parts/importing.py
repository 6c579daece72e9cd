"""The import form of the Data page: files by upload or path, mapping, settings, and the button that starts the job."""

import json
import os
from pathlib import Path
from typing import Any

import streamlit as st

from core.errors import CoreError
from core.jobs import Job, list_jobs, start_job
from core.messages import say
from core.pipeline import intake
from core.schema import slug
from pages.parts import jobs, state
from pages.parts.cleaning import cleaning_form
from pages.parts.controls import ZONES
from pages.parts.mapping import ROLE_WORDS, Files, is_complete, mapping_form, settled
from pages.parts.text import _, plain, said

KINDS = [
    "csv",
    "tsv",
    "tab",
    "psv",
    "dat",
    "txt",
    "log",
    "json",
    "jsonl",
    "ndjson",
    "xlsx",
    "xlsm",
    "xlsb",
    "ods",
    "parquet",
    "gz",
    "zst",
    "zip",
]


def import_form() -> None:
    """Draw the way from files to a dataset: choose, map, import."""
    home = state.home()
    intake.release_uploads(home)
    last = _last_import()
    if last and last.is_live:
        jobs.follow(last)
        return
    place = st.container()
    turn = int(state.flag("import-turn") or 0)  # what was typed or dropped is gone after an import: its fields have new keys
    by_path = st.radio(
        _("Files"),
        [False, True],
        format_func=lambda p: _("Path on this machine") if p else _("Upload files"),
        index=int(bool(state.flag("by-path"))),  # the choice outlives the import, during which it is not drawn
        horizontal=True,
        key="import-way",
    )
    state.put("by-path", by_path)
    uploads: dict[str, Any] = dict.fromkeys(ROLE_WORDS)
    typed = dict.fromkeys(ROLE_WORDS, "")
    if by_path:
        st.caption(
            _(
                "For large logs: files are read where they lie and never pass through the browser. "
                "Events may be one file, a folder, or a pattern such as 2024-*.csv."
            )
        )
        for cell, role in zip(st.columns(3), ROLE_WORDS, strict=True):
            hint = "/…/events.parquet" if role != "events" else "/…/events.parquet, /…/2024-*.csv"
            typed[role] = cell.text_input(_(ROLE_WORDS[role]), key=f"path-{role}-{turn}", placeholder=hint)
    else:
        st.caption(
            _(
                "CSV and other text tables, JSON, Excel or Parquet, also packed as gz, zst or zip, up to 200 MB; "
                "larger logs by path. Files stay on this machine."
            )
        )
        for cell, role in zip(st.columns(3), ROLE_WORDS, strict=True):
            uploads[role] = cell.file_uploader(
                _(ROLE_WORDS[role]), type=KINDS, key=f"upload-{role}-{turn}", accept_multiple_files=role == "events"
            )
    facts = _facts_field(by_path, turn)
    try:
        found: dict[str, tuple[Path, ...]] = {}
        for role in ROLE_WORDS:
            if given := uploads[role]:
                found[role] = _spooled(role, given if isinstance(given, list) else [given])
            elif typed[role].strip():
                several = role == "events"
                found[role] = tuple(intake.allowed_paths(home, typed[role])) if several else (intake.allowed_path(home, typed[role]),)
        if last and not found:
            with place:
                _outcome(last)
        if "events" not in found:
            if found:
                st.info(_("An event log is needed as well."))
            return
        further = _facts_file(facts)
        files = Files(found["events"], *(found[role][0] if role in found else None for role in ("items", "users")))
        record = mapping_form(files, state.dataset_name())
    except CoreError as error:
        st.error(plain(said(error)))
        return
    _start(files, record, files.events[0].name, further)


def _facts_field(by_path: bool, turn: int) -> Any:
    """Ask for further facts of items: the upload, the typed path, or nothing."""
    with st.expander(_("Further facts of items (optional)")):
        st.caption(
            _(
                "A table with an item id and any other columns, such as material, margin or season. They can become a block of the "
                "shoppers' profiles; columns that look personal are left out."
            )
        )
        if by_path:
            return st.text_input(_("Facts of items"), key=f"path-facts-{turn}", placeholder="/…/facts.csv").strip()
        return st.file_uploader(_("Facts of items"), type=KINDS, key=f"upload-facts-{turn}")


def _facts_file(given: Any) -> Path | None:
    if not given:
        return None
    return intake.allowed_path(state.home(), given) if isinstance(given, str) else _spooled("facts", [given])[0]


def _last_import() -> Job | None:
    """The import that this window started last."""
    job_id = (state.flag("import-job") or ("", ""))[0]
    return next((job for job in list_jobs(state.home()) if job.job_id == job_id), None)


def _outcome(job: Job) -> None:
    """Say how an import ended, where it was started; the form for the next one stands below."""
    if job.state == "done":
        name = state.flag("import-job")[1]
        if (job.result or {}).get("unchanged"):
            st.info(_("Nothing was imported: {name} holds these files already, byte for byte, and stays as it is.", name=plain(name)))
            return
        st.success(_("{name} is loaded. [Its report stands at the top of this page.](#top)", name=plain(name)))
    elif job.state == "failed":
        st.error(plain(said(job.error or _("It stopped without a word."))))


def _start(files: Files, record: dict[str, Any], shown: str, facts: Path | None) -> None:
    home = state.home()
    cells = st.columns([3, 3, 2, 3], vertical_alignment="bottom")
    name = slug(cells[0].text_input(_("Name of the data set"), value=slug(shown.split(".")[0]), key=f"name-{shown}"))
    zone = cells[1].selectbox(_("Time zone of times that carry none"), ZONES, key="import-zone")
    gap = cells[2].number_input(_("Session gap, minutes"), 1, 1440, 30, key="import-gap")
    everything = cells[3].checkbox(_("Compute everything afterwards"), value=True, key="import-all")
    rules = cleaning_form() | ({"null_user": False} if record["events"].get("sessions_as_users") else {})
    appends = _append_choice(name) if name in home.datasets() else False
    mapping_record: dict[str, Any] = {}
    if is_complete(record):
        mapping_record = settled(files, record) | ({"rules": rules} if rules else {})
        _mapping_download(mapping_record, name)
    busy = jobs.live_job(home) is not None
    if not st.button(_("Import"), type="primary", disabled=not is_complete(record) or busy, key="import"):
        return
    folder = home.path / "uploads"
    folder.mkdir(parents=True, exist_ok=True)
    mapping = folder / f"mapping-{os.urandom(4).hex()}.json"
    mapping.write_text(json.dumps(mapping_record, ensure_ascii=False), encoding="utf-8")
    argv = [
        "run" if everything else "ingest",
        "--dataset",
        name,
        "--map",
        str(mapping),
        "--time-zone",
        zone,
        "--session-gap",
        str(int(gap)),
        "--events",
        *map(str, files.events),
        *(["--append"] if appends else []),
    ]
    for role, path in files.roles()[1:]:
        argv += [f"--{role}", str(path)]
    if facts is not None:
        argv += ["--facts", str(facts)]
    every = [*files.events, *(path for _role, path in files.roles()[1:]), *([facts] if facts else [])]
    job = start_job(home, argv, say("Importing {name}", name=name))
    intake.note_uploads(home, job, [mapping, *(path for path in every if path.is_relative_to(folder))])
    state.await_dataset(name)
    for role in (*ROLE_WORDS, "facts"):
        state.drop(f"spooled-{role}")
    state.put("import-turn", int(state.flag("import-turn") or 0) + 1)
    state.put("import-job", (job, name))
    st.rerun()


def _append_choice(name: str) -> bool:
    """Ask whether the files replace what the data set holds or are added to it."""
    appends = st.radio(
        _("{name} exists already. What shall the files do?", name=plain(name)),
        [False, True],
        format_func=lambda adds: _("Add to the data set") if adds else _("Replace it"),
        captions=[
            _("The new version holds these files alone."),
            _("The new version holds the earlier rows and these; rows that are in already are recognised and not doubled."),
        ],
        key=f"append-{name}",
    )
    st.caption(_("Either way it becomes a new version; earlier ones are kept and can be brought back."))
    return bool(appends)


def _mapping_download(record: dict[str, Any], name: str) -> None:
    try:
        text = intake.mapping_json(record)
    except CoreError as error:
        st.error(plain(said(error)))
        return
    st.download_button(
        _("Download the mapping (JSON)"),
        data=text,
        file_name=f"{name}-mapping.json",
        mime="application/json",
        key="mapping-json",
        on_click="ignore",
        help=_("For the command line: --map {file}", file=plain(f"{name}-mapping.json")),
    )


def _spooled(role: str, given: list[Any]) -> tuple[Path, ...]:
    """Put uploads on the disk once; a page is drawn anew with every click."""
    before: dict[tuple[str, str], Path] = state.flag(f"spooled-{role}") or {}
    kept = {}
    for upload in given:
        key = (upload.file_id, upload.name)
        path = before.get(key)
        kept[key] = path if path and path.is_file() else intake.take_upload(state.home(), upload.name, upload)
    state.put(f"spooled-{role}", kept)
    return tuple(kept.values())
