"""One dataset of a home: its immutable versions and runs, the pointers to those on screen, and what people saved."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from core import __version__
from core.artifacts import MANIFEST, is_whole, read_json, read_manifest, write_json
from core.errors import CutoffError, NotFoundError, StorageError
from core.messages import say
from core.schema import slug
from core.store.costs import Began, code_commit
from core.store.log import Log
from core.store.publishing import RunDraft, publish
from core.store.sorting import drop_old_copies
from core.store.tables import EVENTS_FILE
from core.tracking import track

CURRENT = "CURRENT"
"""Name of the file that points to the version and runs on screen."""
MOST_BEFORE = 100
"""Earlier runs of a kind that can be gone back to."""


@dataclass(frozen=True)
class Dataset:
    """One dataset folder of a home."""

    path: Path

    @property
    def name(self) -> str:
        return self.path.name

    def current(self) -> dict[str, Any]:
        """Return the pointers on screen: {"version": id or None, "runs": {kind: run id}, "before": {kind: run ids, oldest first}}.

        `before` holds the runs that were on screen earlier, and is absent in a dataset where nothing was replaced yet.
        """
        pointer = self.path / CURRENT
        if not pointer.is_file():
            return {"version": None, "runs": {}}
        pointers: dict[str, Any] = read_json(pointer)
        runs = pointers.get("runs") if isinstance(pointers, dict) else None
        if not isinstance(runs, dict) or not all(isinstance(name, str) for name in [pointers.get("version") or "", *runs.values()]):
            raise StorageError("{path} does not say which version is current; it was changed by hand. Ingest the log again.", path=pointer)
        return pointers

    def versions(self) -> list[str]:
        """List the published versions, oldest first."""
        return sorted(p.name for p in self._folder("versions").iterdir() if (p / MANIFEST).is_file() and not p.name.startswith("."))

    def version_path(self, version: str | None = None) -> Path:
        """Return the folder of a version (default: the current one).

        Raises:
            NotFoundError: The dataset has no such version.
        """
        chosen = version or self.current()["version"]
        if chosen is None:
            raise NotFoundError("Dataset {dataset!r} holds no events yet; ingest a log into it first.", dataset=self.name)
        path = self.path / "versions" / chosen
        if not (path / MANIFEST).is_file():
            raise NotFoundError(
                "Dataset {dataset!r} has no version {version!r}; it has {versions}. Ingest the log again.",
                dataset=self.name,
                version=chosen,
                versions=", ".join(self.versions()) or say("none"),
            )
        return path

    def manifest(self, version: str | None = None) -> dict[str, Any]:
        """Return the manifest of a version (default: the current one)."""
        return read_manifest(self.version_path(version))

    def log(self, until: datetime | None = None, version: str | None = None) -> Log:
        """Open a version to be read as if it ended at `until` (default: just after the last event).

        Raises:
            CutoffError: No event lies before `until`.
        """
        manifest = self.manifest(version)
        start = datetime.fromisoformat(manifest["first_event"])
        last = datetime.fromisoformat(manifest["last_event"])
        if until is not None and until <= start:
            raise CutoffError(
                "No event lies before the cutoff {cutoff}; the log starts {start}. Choose a later cutoff.", cutoff=until, start=start
            )
        return Log(
            path=self.version_path(version) / EVENTS_FILE,
            start=start,
            until=until or last + timedelta(microseconds=1),
            columns_present=frozenset(manifest["columns_present"]),
            time_resolution_seconds=int(manifest.get("time_resolution_seconds", 1)),
            sorted_path=self.sorted_path(version),
        )

    def sorted_path(self, version: str | None = None) -> Path:
        """Return the folder of the sorted copy of a version (default: the current one), whether it is made yet or not."""
        return self.path / "sorted" / self.version_path(version).name

    @contextmanager
    def new_version(self) -> Iterator[RunDraft]:
        """Write a new version: yield its draft folder, then publish it and make it current. Runs stay as they are.

        The version's manifest is `draft.record`, which must hold first_event, last_event (ISO) and columns_present.
        """
        version = self._next("versions", "v")
        with publish(self._folder("versions"), version) as draft:
            yield draft
        self._point(version=version)
        drop_old_copies(self.path / "sorted", set(self.versions()))

    @contextmanager
    def new_run(
        self,
        kind: str,
        *,
        inputs: dict[str, str],
        config: dict[str, Any],
        cutoff: datetime | None,
        make_current: bool = True,
        began: Began | None = None,
    ) -> Iterator[RunDraft]:
        """Write a new run of a kind: yield its draft, publish it when the block ends without an error.

        Args:
            kind: One of schema.RUN_KINDS.
            inputs: Ids of the version and runs that it was made from.
            config: Everything that a person or caller chose.
            cutoff: First instant it did not see; None for the end of the log.
            make_current: Whether pages shall show it.
            began: When its work began (default: now), for what it cost.

        The draft says what it is made from while it is written. The manifest also says seconds, cpu_seconds, peak_mb, and the commit
        of the code. What was learned is written beside the tables as an event file for TensorBoard (see `core.tracking`).
        """
        run_id = self._next("runs", f"{kind}-")
        started = began or Began.now()
        with publish(self._folder("runs"), run_id) as draft:
            draft.record |= {"kind": kind, "inputs": inputs, "config": config, "cutoff": cutoff.isoformat() if cutoff else None}
            yield draft
            draft.record |= {"commit": code_commit(), **started.costs()}
            draft.record["warnings"] = [*draft.record.get("warnings", []), *track(draft.path, f"{self.name} {run_id}", draft.record)]
        if make_current:
            self._point(run=(kind, run_id))

    def run_path(self, kind: str, run_id: str | None = None) -> Path:
        """Return the folder of a run (default: the current one of its kind).

        Raises:
            NotFoundError: There is no such run.
        """
        chosen = run_id or self.current()["runs"].get(kind)
        path = self.path / "runs" / str(chosen)
        if chosen is None or not (path / MANIFEST).is_file():
            raise NotFoundError("Dataset {dataset!r} has no {kind} yet; run that stage first.", dataset=self.name, kind=kind)
        return path

    def run_manifest(self, kind: str, run_id: str | None = None) -> dict[str, Any]:
        """Return the manifest of a run (default: the current one of its kind)."""
        return read_manifest(self.run_path(kind, run_id))

    def runs(self, kind: str) -> list[str]:
        """List published runs of a kind, oldest first."""
        return sorted(p.name for p in self._folder("runs").iterdir() if p.name.startswith(f"{kind}-") and (p / MANIFEST).is_file())

    def find_run(self, kind: str, *, inputs: dict[str, str], config: dict[str, Any], cutoff: datetime | None) -> str | None:
        """Return the newest run of this core version made from the same inputs, config and cutoff, or None.

        A damaged run is passed over, so that running the stage again mends it.
        """
        asked = json.loads(json.dumps([inputs, config, cutoff.isoformat() if cutoff else None, __version__], default=str))
        for run_id in reversed(self.runs(kind)):
            try:
                record = self.run_manifest(kind, run_id)
            except StorageError:
                continue
            if [record.get("inputs"), record.get("config"), record.get("cutoff"), record.get("core")] == asked and is_whole(
                self.run_path(kind, run_id)
            ):
                return run_id
        return None

    def point_to(self, kind: str, run_id: str) -> None:
        """Make a published run the one on screen.

        Raises:
            NotFoundError: There is no such run.
        """
        self.run_path(kind, run_id)
        self._point(run=(kind, run_id))

    def runs_before(self, kind: str) -> list[str]:
        """List the runs of a kind that were on screen before the current one, oldest first."""
        before = self.current().get("before")
        found = before.get(kind) if isinstance(before, dict) else None
        return [name for name in found if isinstance(name, str)] if isinstance(found, list) else []

    def point_back(self, kind: str, run_id: str) -> None:
        """Put an earlier run on screen again and forget the ones that came after it.

        Raises:
            NotFoundError: It was never on screen, or is no longer there.
        """
        before = self.runs_before(kind)
        if run_id not in before:
            raise NotFoundError("Run {run!r} of dataset {dataset!r} was not on screen before.", run=run_id, dataset=self.name)
        self.run_path(kind, run_id)
        place = len(before) - 1 - before[::-1].index(run_id)
        self._point(run=(kind, run_id), before=before[:place])

    def point_to_version(self, version: str) -> None:
        """Make a published version the one on screen; runs stay as they are.

        Raises:
            NotFoundError: There is no such version.
        """
        self.version_path(version)
        self._point(version=version)

    def saved(self, name: str) -> Any:
        """Return what people saved under a name (segment names, audiences, settings), or None."""
        path = self.path / "saved" / f"{slug(name)}.json"
        return read_json(path) if path.is_file() else None

    def save(self, name: str, record: Any) -> None:
        """Save a small record that a person made; replaces the earlier one by rename."""
        self._folder("saved")
        write_json(self.path / "saved" / f"{slug(name)}.json", record)

    def _folder(self, name: str) -> Path:
        folder = self.path / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def _next(self, folder: str, prefix: str) -> str:
        numbers = [p.name.removeprefix(prefix) for p in self._folder(folder).iterdir() if p.name.startswith(prefix)]
        return f"{prefix}{1 + max((int(n) for n in numbers if n.isdecimal()), default=0):04d}"

    def _point(self, version: str | None = None, run: tuple[str, str] | None = None, before: list[str] | None = None) -> None:
        try:
            pointers = self.current()
        except StorageError:  # unreadable: a new version starts it anew
            if version is None:
                raise
            pointers = {"version": None, "runs": {}}
        if version:
            pointers["version"] = version
        if run:
            kind, run_id = run
            earlier = pointers["runs"].get(kind)
            if before is None and earlier not in (None, run_id):
                before = [*self.runs_before(kind), earlier][-MOST_BEFORE:]
            if before is not None:
                others = pointers.get("before")
                pointers["before"] = {**(others if isinstance(others, dict) else {}), kind: before}
            pointers["runs"][kind] = run_id
        write_json(self.path / CURRENT, pointers)
