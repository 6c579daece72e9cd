"""Making a report: sections asked of a dataset, written as HTML, PDF and ZIP into a folder of their own."""

import time
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from core.artifacts import read_manifest
from core.errors import GateError, NotFoundError, RuleError, StorageError
from core.ingest.report_words import kind_name
from core.messages import Message, joined, say
from core.pipeline import screens
from core.pipeline.behaviour import NO_FILTERS, Filters
from core.pipeline.cells import hidden_below
from core.pipeline.report_sections import SECTIONS, section
from core.pipeline.screens import Screen
from core.pipeline.shoppers import segment_names
from core.report.bundle import report_zip
from core.report.html import report_html
from core.report.record import Chart, Report, Section
from core.report.speech import LANGUAGES, speaker
from core.schema import Progress, silent
from core.small_cells import told_count, worded
from core.store import Dataset, Home
from core.store.publishing import publish
from core.windows import local_day

FILES = ("report.html", "report.pdf", "report.zip")


@dataclass(frozen=True)
class Asked:
    """What a report shall hold."""

    sections: tuple[str, ...] = tuple(SECTIONS)
    title: str = ""
    language: str = "en"
    days: int | None = None
    """Only the last so many days of the log."""
    filters: Filters = field(default=NO_FILTERS)


def make_report(home: Home, dataset: Dataset, asked: Asked, out: Path | None = None, progress: Progress = silent) -> dict[str, Any]:
    """Make a report and keep it beside the dataset's runs.

    Args:
        home: Where the dataset lives.
        dataset: What is told of.
        asked: Sections, words and the part of the log.
        out: A folder that takes a copy of the files; made when missing.
        progress: Told after each section.

    Returns:
        {"report", "folder", "files": {name: bytes}, "figures", "warnings"}.

    Raises:
        RuleError: A section or language that does not exist, or none.
        NotFoundError: A segment or audience that does not exist.
        StorageError: The files cannot be written.
    """
    unknown = [name for name in asked.sections if name not in SECTIONS]
    if unknown or not asked.sections:
        raise RuleError("{sections!r} is no choice of sections; choose from: {all}.", sections=", ".join(unknown), all=", ".join(SECTIONS))
    if asked.language not in LANGUAGES:
        raise RuleError("{language!r} is no language of reports; choose from: {all}.", language=asked.language, all=", ".join(LANGUAGES))
    from core.report.paper import report_pdf  # the library for paper is loaded by whoever makes a report

    screen = screens.open_screen(home, dataset.name)
    report = gather(screen, asked, progress)
    tell = speaker(asked.language)
    progress(0.8, say("writing the files"))
    contents = {
        "report.html": report_html(report, tell, asked.language).encode(),
        "report.pdf": report_pdf(report, tell),
        "report.zip": report_zip(report, tell),
    }
    figures = [exhibit.id for part in report.sections for exhibit in part.exhibits]
    folder = dataset.path / "reports"
    folder.mkdir(parents=True, exist_ok=True)
    with publish(folder, f"report-{1 + max((int(name[7:]) for name in reports(dataset)), default=0):04d}") as draft:
        for name, content in contents.items():
            (draft.path / name).write_bytes(content)
        draft.record = {
            "title": report.title,
            "language": asked.language,
            "sections": list(asked.sections),
            "figures": figures,
            "version": screen.version,
            "filters": [tell(one) for one in report.filters],
            "small_cells": screen.small_cells,
        }
    if out is not None:
        _copy(contents, out)
    home.append_audit({"act": "report", "dataset": dataset.name, "report": draft.run_id, "figures": len(figures)})
    return {
        "dataset": dataset.name,
        "report": draft.run_id,
        "folder": str(out or folder / draft.run_id),
        "files": {name: len(content) for name, content in contents.items()},
        "figures": figures,
        "warnings": [note for part in report.sections if not part.exhibits for note in part.notes],
    }


def gather(screen: Screen, asked: Asked, progress: Progress = silent) -> Report:
    """Ask all questions of a report."""
    period = screens.period_of(screen, asked.days)
    narrowed = replace(asked.filters, since=period.since) if asked.days and asked.filters.since is None else asked.filters
    made = []
    for place, name in enumerate(asked.sections):
        progress(0.8 * place / len(asked.sections), say("asking for the section {section}", section=name))
        part = section(name, screen, asked.filters if name in ("overview", "categories") else narrowed, period)
        made.append(hidden_told(part, screen.small_cells) if screen.small_cells else part)
    return Report(
        asked.title.strip()[:120],
        screen.name,
        facts_of(screen),
        filter_words(screen, narrowed),
        time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        tuple(made),
    )


def hidden_told(made: Section, k: int) -> Section:
    """Write `< 20` where a section's tables and pictures hold a hidden count; empty cells of a grid stay empty."""
    exhibits = [
        replace(
            exhibit,
            table=worded(exhibit.table),
            chart=_told_chart(exhibit.chart, k),
        )
        for exhibit in made.exhibits
    ]
    return replace(made, exhibits=tuple(exhibits))


def _told_chart(chart: Chart | None, k: int) -> Chart | None:
    """A picture that says `< 20`; none where nothing is left to draw."""
    if chart is None:
        return None
    rows = chart.values if chart.kind == "grid" else (chart.values,)
    if not any(value for row in rows for value in row):
        return None
    return chart if chart.kind == "grid" else replace(chart, nothing=told_count(None, k))


def filter_words(screen: Screen, filters: Filters) -> tuple[Message, ...]:
    """Say what is looked at; nothing for the whole log."""
    told: list[Message] = []
    if filters.since is not None:
        told.append(say("from {date}", date=local_day(filters.since, screen.zone)))
    if filters.until is not None:
        told.append(say("to {date}", date=local_day(filters.until - timedelta(seconds=1), screen.zone)))
    if filters.event_types:
        told.append(joined([kind_name(kind) for kind in filters.event_types]))
    if filters.category is not None:
        told.append(say("Category “{name}”", name=filters.category))
    if filters.brand is not None:
        told.append(say("Brand “{name}”", name=filters.brand))
    if filters.audience is not None:
        told.append(say("Audience “{name}”", name=filters.audience))
    if filters.segment is not None:
        told.append(say("Segment “{name}”", name=segment_names(screen).get(filters.segment, str(filters.segment))))
    if filters.attribute is not None:
        told.append(say("{column} “{value}”", column=filters.attribute[0], value=filters.attribute[1]))
    return tuple(told)


def reports(dataset: Dataset) -> list[str]:
    """List the reports of a dataset, oldest first."""
    folder = dataset.path / "reports"
    return sorted(p.name for p in folder.iterdir() if p.name.startswith("report-") and p.name[7:].isdecimal()) if folder.is_dir() else []


def report_record(screen: Screen, name: str) -> dict[str, Any]:
    """Return what is known of a report: title, sections, when it was made.

    Raises:
        NotFoundError: There is no such report.
    """
    return read_manifest(_folder(screen, name))


def may_be_shown(screen: Screen, record: dict[str, Any]) -> bool:
    """Whether a report hides all counts that are hidden now."""
    return int(record.get("small_cells", 0)) >= screen.small_cells


def report_file(screen: Screen, name: str, file: str) -> bytes:
    """Return one of FILES of a report.

    Raises:
        NotFoundError: There is no such report or file.
        GateError: It was made while fewer counts were hidden than now.
    """
    path = _folder(screen, name) / file
    if not may_be_shown(screen, report_record(screen, name)):
        raise GateError("Report {report!r} shows counts that are hidden now; make it again.", report=name)
    if file not in FILES or not path.is_file():
        raise NotFoundError("Report {report!r} has no file {file!r}; make it again.", report=name, file=file)
    return path.read_bytes()


def _folder(screen: Screen, name: str) -> Path:
    if name not in reports(screen.dataset):
        raise NotFoundError("Dataset {dataset!r} has no report {report!r}; choose another.", dataset=screen.name, report=name)
    return screen.dataset.path / "reports" / name


def facts_of(screen: Screen) -> tuple[Message, ...]:
    """What stands on the cover: data set, rows, dates, zone, and what kind of data it is."""
    record = screens.manifest(screen)
    kinds = {
        "sample": say("sample data"),
        "synthetic": say("synthetic data"),
        "relative_time": say("relative days, no calendar dates"),
    }
    return (
        say("Data set {dataset}, {version}", dataset=screen.name, version=screen.version),
        say("{rows:,} rows kept", rows=record.get("rows_kept") or 0),
        say("{first} – {last}", first=_day(screen, record["first_event"]), last=_day(screen, record["last_event"])),
        say("time zone {zone}", zone=screen.zone),
        *(kinds[word] for word in screens.kinds_of_data(record)),
        *([hidden_below(screen.small_cells)] if screen.small_cells else []),
    )


def _day(screen: Screen, instant: str) -> str:
    return local_day(datetime.fromisoformat(instant), screen.zone)


def _copy(contents: dict[str, bytes], out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, content in contents.items():
            (out / name).write_bytes(content)
    except OSError as error:
        raise StorageError("{path} cannot be written ({error}). Free space or choose another folder.", path=out, error=error) from error
