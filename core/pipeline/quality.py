"""The quality report of a version, with its drift, as a record and as a file that people take away; versions seen and brought back."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import FileError, StorageError
from core.ingest.drift import compare_versions
from core.ingest.outliers import flag_events, preview_near_duplicates
from core.ingest.report import quality_report
from core.ingest.report_page import Tell, report_page
from core.ingest.report_words import gap_days_sentence, gate_sentence, level_name, partial_day_sentence, rule_name, shape_name
from core.ingest.row_reasons import row_reason
from core.messages import say, with_messages
from core.pipeline.screens import Screen
from core.pipeline.telling import one_category
from core.schema import RESULTS, RUN_KINDS
from core.store import EVENTS_FILE, Dataset, Home, reading

__all__ = [
    "Version",
    "bring_back",
    "gap_days_sentence",
    "gate_sentence",
    "level_name",
    "mapping_text",
    "outdated",
    "partial_day_sentence",
    "quality",
    "report_html",
    "report_json",
    "report_of",
    "row_reason",
    "rule_name",
    "shape_name",
    "stricter_rules",
    "versions",
    "write_report",
]


@dataclass(frozen=True)
class Version:
    """One version in the list of versions."""

    id: str
    created: str
    """ISO, UTC."""
    rows_kept: int
    rows_read: int
    users: int | None
    first_event: str
    last_event: str
    files: tuple[str, ...]
    is_current: bool


def report_of(dataset: Dataset, version: str | None = None, zone: str | None = None) -> dict[str, Any]:
    """Return the quality report of a version (default: the current one), with its drift against the version before it."""
    chosen = version or dataset.version_path().name
    manifest = dataset.manifest(chosen)
    earlier = [name for name in dataset.versions() if name < chosen]
    with reading(dataset.version_path(chosen) / EVENTS_FILE) as connection:
        drift = None
        if earlier:
            with reading(dataset.version_path(earlier[-1]) / EVENTS_FILE) as before:
                drift = compare_versions(connection, manifest, before, dataset.manifest(earlier[-1]))
        report = quality_report(connection, manifest, zone=zone, drift=drift)
    return {"dataset": dataset.name, "version": chosen, **report}


def quality(screen: Screen) -> dict[str, Any]:
    """Return the quality report of the pinned version, days in the zone on screen."""
    return report_of(screen.dataset, screen.version, screen.zone)


def stricter_rules(screen: Screen) -> dict[str, Any]:
    """Count what stricter cleaning would take of the pinned version.

    Returns:
        near: rows and share that would merge if the same act within 1, 2 or 5 seconds were one; flags: by rule that is off
        and fits this log, its rows, share and three examples.
    """
    manifest = screen.dataset.manifest(screen.version)
    with reading(screen.dataset.version_path(screen.version) / EVENTS_FILE) as connection:
        return {"near": preview_near_duplicates(connection), "flags": flag_events(connection, manifest)}


def report_html(screen: Screen, tell: Tell = str, language: str = "en") -> str:
    """Return the report as one HTML file without scripts or anything from outside."""
    return report_page(quality(screen), tell, language)


def report_json(screen: Screen) -> str:
    """Return the report as JSON; sentences carry their parts, so that they can be told in another language."""
    return _as_json(quality(screen))


def mapping_text(screen: Screen) -> str:
    """Return the mapping of the pinned version as `--map` takes it, or '' when it has none."""
    mapping = screen.dataset.manifest(screen.version).get("mapping")
    return json.dumps(mapping, ensure_ascii=False, indent=1) if mapping else ""


def write_report(dataset: Dataset, path: Path) -> dict[str, Any]:
    """Write the report of the current version as .html or .json beside its place, then rename; return it.

    Raises:
        FileError: The name ends in something else, or its folder does not exist.
        StorageError: It cannot be written.
    """
    if path.suffix.lower() not in (".html", ".json"):
        raise FileError("{path!r} must end in .html or .json.", path=str(path))
    if not path.parent.is_dir():
        raise FileError("The folder {path} does not exist; make it, or choose another.", path=path.parent)
    report = report_of(dataset)
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.write_text(report_page(report) if path.suffix.lower() == ".html" else _as_json(report), encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        raise StorageError("{path} cannot be written ({error}). Free space or choose another place.", path=path, error=error) from error
    finally:
        partial.unlink(missing_ok=True)
    return report


def versions(dataset: Dataset) -> list[Version]:
    """List the versions of a dataset, newest first."""
    current = dataset.current()["version"]
    found = []
    for name in reversed(dataset.versions()):
        manifest = dataset.manifest(name)
        found.append(
            Version(
                name,
                str(manifest.get("created", "")),
                int(manifest.get("rows_kept", 0)),
                int(manifest.get("rows_read", 0)),
                manifest.get("users"),
                str(manifest["first_event"]),
                str(manifest["last_event"]),
                tuple(str(source["name"]) for source in manifest.get("sources", [])),
                name == current,
            )
        )
    return found


def bring_back(home: Home, name: str, version: str) -> dict[str, Any]:
    """Make an earlier version the current one again, with the newest runs that were made from it; nothing is deleted.

    Raises:
        NotFoundError: There is no such dataset or version.
    """
    dataset = home.dataset(name)
    before = dataset.current()["version"]
    dataset.point_to_version(version)
    returned = {}
    for kind in RUN_KINDS:
        fitting = [run for run in reversed(dataset.runs(kind)) if _is_of(dataset, kind, run, version)]
        if fitting:
            dataset.point_to(kind, fitting[0])
            returned[kind] = fitting[0]
    home.append_audit({"act": "bring back", "dataset": name, "version": version, "instead_of": before, "runs": returned})
    warnings = [
        say("{kind} were made from another version and are out of date.", kind=kind)
        for kind in dataset.current()["runs"]
        if kind not in returned
    ]
    return {"dataset": name, "version": version, "runs": returned, "warnings": warnings}


def outdated(screen: Screen) -> dict[str, str]:
    """Return the kinds of the pinned results that were made from another version than the one on screen, with that version."""
    found: dict[str, str] = {}
    pinned = dict(screen.runs)
    for kind in (name for name in RESULTS if name in pinned):
        made_from = screen.dataset.run_manifest(kind, pinned[kind]).get("inputs", {}).get("version")
        if made_from and made_from != screen.version:
            found[kind] = str(made_from)
    return found


def _is_of(dataset: Dataset, kind: str, run: str, version: str) -> bool:
    try:
        record = dataset.run_manifest(kind, run)
    except StorageError:
        return False
    is_of = record.get("inputs", {}).get("version") == version and record.get("cutoff") is None
    return is_of and (kind != "propensity" or one_category(record) is None)


def _as_json(report: dict[str, Any]) -> str:
    return json.dumps(with_messages(report), ensure_ascii=False, indent=1, default=str, allow_nan=False)
