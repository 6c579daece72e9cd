"""The one door to DuckDB and to the home folder: versions, runs, pointers, and logs read as of a cutoff.

A home holds datasets; a dataset holds immutable versions (its cleaned events) and immutable runs (what a stage made of
them). Publishing is: write into a temporary sibling, fsync, rename. Readers open published files read-only and pin one
version for as long as they draw one screen.
"""

import errno
import json
import os
import re
import shutil
import sys
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from core import __version__
from core.artifacts import MANIFEST, is_whole, read_json, read_manifest, seal, write_json
from core.errors import CutoffError, NotFoundError, StorageError
from core.messages import say
from core.schema import slug

Connection = duckdb.DuckDBPyConnection

_opening = threading.Lock()
"""Threads of the screen open files at the same time; only one may find an instance unlocked."""

EVENTS_FILE = "events.duckdb"
CURRENT = "CURRENT"
THREADS = min(os.cpu_count() or 1, 8)
STALE_SECONDS = 3600
"""Temporary folders older than this belong to writers that died."""

TABLES_SQL = """
CREATE TYPE event_type AS ENUM ('impression', 'view', 'click', 'search', 'favourite', 'share', 'cart',
    'remove_from_cart', 'purchase', 'refund', 'other');
CREATE TABLE events (
    user_id VARCHAR NOT NULL, item_id VARCHAR, event_type event_type NOT NULL, event_time TIMESTAMP NOT NULL,
    session_id VARCHAR, dwell_seconds DECIMAL(12, 3), position VARCHAR, quantity DECIMAL(18, 4),
    price DECIMAL(18, 4), revenue DECIMAL(18, 4), query VARCHAR, order_id VARCHAR,
    source_file INTEGER NOT NULL, source_row BIGINT NOT NULL);
CREATE TABLE items (
    item_id VARCHAR NOT NULL, in_catalogue BOOLEAN NOT NULL, first_seen TIMESTAMP,
    title VARCHAR, title_since TIMESTAMP, category VARCHAR, category_since TIMESTAMP,
    brand VARCHAR, brand_since TIMESTAMP, price DECIMAL(18, 4), price_since TIMESTAMP,
    description VARCHAR, description_since TIMESTAMP, image VARCHAR, image_since TIMESTAMP);
CREATE TABLE quarantine (source_file VARCHAR, source_row BIGINT, rule VARCHAR, reason VARCHAR, text VARCHAR);
"""
"""Tables that ingest fills; it adds `users` (user_id and attribute columns), `sessions` and rollups.

`<attribute>_since` is the time of the event that an attribute was derived from, NULL when the person's own catalogue
says it: so the catalogue can be read as of any cutoff."""

CATALOGUE_SQL = """
CREATE OR REPLACE TEMP VIEW catalogue AS
SELECT item_id, in_catalogue,
       CASE WHEN title_since IS NULL OR title_since < TIMESTAMP '{cutoff}' THEN title END AS title,
       CASE WHEN category_since IS NULL OR category_since < TIMESTAMP '{cutoff}' THEN category END AS category,
       CASE WHEN brand_since IS NULL OR brand_since < TIMESTAMP '{cutoff}' THEN brand END AS brand,
       CASE WHEN price_since IS NULL OR price_since < TIMESTAMP '{cutoff}' THEN price END AS price,
       CASE WHEN description_since IS NULL OR description_since < TIMESTAMP '{cutoff}' THEN description END AS description,
       CASE WHEN image_since IS NULL OR image_since < TIMESTAMP '{cutoff}' THEN image END AS image
FROM main.items
WHERE in_catalogue OR first_seen < TIMESTAMP '{cutoff}';
"""
HISTORY_SQL = "CREATE OR REPLACE TEMP VIEW history AS SELECT * FROM main.events WHERE event_time < TIMESTAMP '{cutoff}'"
FUTURE_SQL = """
CREATE OR REPLACE TEMP VIEW future AS SELECT * FROM main.events
WHERE event_time >= TIMESTAMP '{cutoff}' AND event_time < TIMESTAMP '{end}'
"""


def connect(path: Path, *, read_only: bool = True, memory_limit: str = "3GB", threads: int = THREADS) -> Connection:
    """Open a DuckDB file with every door to the outside closed (no files, network, extensions or Python variables).

    Connections of one process to one file share an instance: the first sets it up and locks it, and the others find it so.

    Raises:
        StorageError: The file is missing, damaged, or opened for writing by another process.
    """
    with _opening:
        return _open(path, read_only, memory_limit, threads)


def _open(path: Path, read_only: bool, memory_limit: str, threads: int) -> Connection:
    try:
        connection = duckdb.connect(
            str(path),
            read_only=read_only,
            config={"enable_external_access": False, "python_enable_replacements": False},
        )
        if not scalar(connection, "SELECT current_setting('lock_configuration')"):
            connection.execute("SET GLOBAL TimeZone = 'UTC'")
            connection.execute(f"SET threads = {int(threads)}")
            connection.execute("SET memory_limit = ?", [memory_limit])
            connection.execute("SET lock_configuration = true")
    except duckdb.Error as error:
        raise StorageError("{path} cannot be opened ({error}). Restore it or ingest the log again.", path=path, error=error) from error
    return connection


@contextmanager
def reading(path: Path) -> Iterator[Connection]:
    """Open a DuckDB file to read its tables, all of their rows; see `Log.history` for the rows before a cutoff.

    Raises:
        StorageError: The file is missing or damaged, however late DuckDB finds out.
    """
    connection = connect(path)
    try:
        yield connection
    except duckdb.Error as error:
        if (known := storage_error(error, path)) is not None:
            raise known from error
        raise
    finally:
        connection.close()


_DAMAGED = (duckdb.IOException, duckdb.FatalException, duckdb.SerializationException, duckdb.InternalException)


def storage_error(error: BaseException, place: Path) -> StorageError | None:
    """Return the sentence for an error that a full, closed, damaged disk or too little memory stands behind, or None.

    Args:
        error: Any error, with what caused it; each library has a class of its own for a full disk.
        place: The file or folder that was worked on.
    """
    cause: BaseException | None = error
    while cause is not None:
        text, number, named = str(cause), getattr(cause, "errno", None), getattr(cause, "filename", None) or place
        if number in (errno.ENOSPC, errno.EDQUOT) or re.search(r"No space left on device|disk is full", text):
            return StorageError("The disk that holds {place} is full. The last good result stays; free space and try again.", place=place)
        if number in (errno.EROFS, errno.EACCES, errno.EPERM):
            return StorageError("{path} may not be written or read ({error}). Check its permissions.", path=named, error=text)
        if number in (errno.EEXIST, errno.ENOTDIR, errno.ENAMETOOLONG) and not isinstance(cause, duckdb.Error):
            return StorageError("{path} cannot be used ({error}). Choose another place.", path=named, error=text)
        if isinstance(cause, MemoryError | duckdb.OutOfMemoryException):
            return StorageError(
                "The work in {place} needs more memory than there is ({error}). Use a smaller log or a larger machine.",
                place=place,
                error=text[:160],
            )
        if isinstance(cause, _DAMAGED) or (isinstance(cause, duckdb.Error) and "Corrupt database file" in text):
            return StorageError(
                "{path} is damaged or cannot be read ({error}). Restore it or ingest the log again.", path=place, error=text[:160]
            )
        cause = cause.__cause__ or cause.__context__
    return None


def fetch(connection: Connection, sql: str, parameters: Sequence[object] | dict[str, object] | None = None) -> pa.Table:
    """Run one statement with bound values and return its rows as an Arrow table."""
    return connection.sql(sql, params=parameters).to_arrow_table()


def scalar(connection: Connection, sql: str, parameters: Sequence[object] | dict[str, object] | None = None) -> Any:
    """Run one statement and return the first value of its first row, or None when it has no rows."""
    rows = connection.execute(sql, parameters).fetchall()  # all of them: a result left unfinished blocks the connection
    return rows[0][0] if rows else None


def identifier(name: str) -> str:
    """Quote a slugged name for use as an SQL identifier.

    Raises:
        ValueError: The name is not a slug; an identifier never comes from a person's text unslugged.
    """
    if slug(name) != name:
        raise ValueError(f"{name!r} is not a slug")
    return f'"{name}"'


@dataclass(frozen=True)
class Log:
    """The events of one version, read as if the log ended at `until`.

    Stages see time through this class alone: `history` holds what was known before a cutoff, `label_window` adds the
    view `future` with the events of the label window. Views: `history`, `catalogue` (item_id, in_catalogue, title,
    category, brand, price, description, image), `users` (table; demographics, may hold only user_id).
    """

    path: Path
    """The version's events.duckdb."""
    start: datetime
    """Time of the first event."""
    until: datetime
    """First instant that does not exist for this reading."""
    columns_present: frozenset[str] = frozenset()
    """Canonical event columns that the source really had."""
    time_resolution_seconds: int = 1
    """1, or 86400 for a log that knows only days."""

    @contextmanager
    def history(self, cutoff: datetime | None = None) -> Iterator[Connection]:
        """Open a connection whose views show only events before `cutoff` (default: `until`).

        Raises:
            CutoffError: The cutoff lies after `until` or not after the first event.
        """
        with self._open(cutoff or self.until) as connection:
            yield connection

    @contextmanager
    def label_window(self, cutoff: datetime, horizon: timedelta) -> Iterator[Connection]:
        """Like `history`, with a further view `future` of the events in `[cutoff, cutoff + horizon)`.

        Raises:
            CutoffError: The label window reaches past `until`.
        """
        end = cutoff + horizon
        if end > self.until:
            raise CutoffError(
                "The label window ends {end} but the log ends {until}; choose a cutoff on or before {latest}.",
                end=f"{end:%Y-%m-%d %H:%M}",
                until=f"{self.until:%Y-%m-%d %H:%M}",
                latest=f"{self.until - horizon:%Y-%m-%d %H:%M}",
            )
        with self._open(cutoff) as connection:
            connection.execute(FUTURE_SQL.format(cutoff=cutoff.isoformat(" "), end=end.isoformat(" ")))
            yield connection

    @contextmanager
    def _open(self, cutoff: datetime) -> Iterator[Connection]:
        if cutoff > self.until:
            raise CutoffError(
                "The cutoff {cutoff} lies after the end of the log, {until}; choose an earlier one.", cutoff=cutoff, until=self.until
            )
        if cutoff <= self.start:
            raise CutoffError(
                "No event lies before the cutoff {cutoff}; the log starts {start}. Choose a later cutoff.", cutoff=cutoff, start=self.start
            )
        with reading(self.path) as connection:
            connection.execute(HISTORY_SQL.format(cutoff=cutoff.isoformat(" ")))
            connection.execute(CATALOGUE_SQL.format(cutoff=cutoff.isoformat(" ")))
            yield connection


@dataclass
class RunDraft:
    """A run while it is being written; becomes immutable when its `with` block ends."""

    path: Path
    run_id: str
    record: dict[str, Any] = field(default_factory=dict)
    """Whatever the manifest shall say besides kind, inputs, cutoff and config: metrics, timings, device, warnings."""


@dataclass(frozen=True)
class Dataset:
    """One dataset folder of a home."""

    path: Path

    @property
    def name(self) -> str:
        return self.path.name

    def current(self) -> dict[str, Any]:
        """Return the pointers on screen: {"version": id or None, "runs": {kind: run id}}."""
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
        )

    @contextmanager
    def new_version(self) -> Iterator[RunDraft]:
        """Write a new version: yield its draft folder, then publish it and make it current. Runs stay as they are.

        The version's manifest is `draft.record`, which must hold first_event, last_event (ISO) and columns_present.
        """
        version = self._next("versions", "v")
        with self._publish("versions", version) as draft:
            yield draft
        self._point(version=version)

    @contextmanager
    def new_run(
        self,
        kind: str,
        *,
        inputs: dict[str, str],
        config: dict[str, Any],
        cutoff: datetime | None,
        make_current: bool = True,
        began: float | None = None,
    ) -> Iterator[RunDraft]:
        """Write a new run of a kind: yield its draft, publish it when the block ends without an error.

        Args:
            kind: One of schema.RUN_KINDS.
            inputs: Ids of the version and runs that it was made from.
            config: Everything that a person or caller chose.
            cutoff: First instant it did not see; None for the end of the log.
            make_current: Whether pages shall show it.
            began: When its work began (seconds since the epoch; default: now), for the seconds it took.
        """
        run_id = self._next("runs", f"{kind}-")
        start = began or time.time()
        with self._publish("runs", run_id) as draft:
            yield draft
            draft.record |= {
                "kind": kind,
                "inputs": inputs,
                "config": config,
                "cutoff": cutoff.isoformat() if cutoff else None,
                "seconds": round(time.time() - start, 2),
            }
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

    def _point(self, version: str | None = None, run: tuple[str, str] | None = None) -> None:
        try:
            pointers = self.current()
        except StorageError:  # unreadable: a new version starts it anew
            if version is None:
                raise
            pointers = {"version": None, "runs": {}}
        if version:
            pointers["version"] = version
        if run:
            pointers["runs"][run[0]] = run[1]
        write_json(self.path / CURRENT, pointers)

    @contextmanager
    def _publish(self, folder: str, name: str) -> Iterator[RunDraft]:
        parent = self._folder(folder)
        draft = RunDraft(path=parent / f".{name}.{uuid.uuid4().hex[:8]}", run_id=name)
        try:
            draft.path.mkdir()
            yield draft
            seal(
                draft.path, {"id": name, "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "core": __version__, **draft.record}
            )
            for path in draft.path.rglob("*"):
                _fsync(path)
            draft.path.rename(parent / name)
            _fsync(parent)
        except OSError as error:
            raise StorageError(
                "{path} cannot be written ({error}); nothing was published. Free space or check permissions.",
                path=parent / name,
                error=error,
            ) from error
        finally:
            shutil.rmtree(draft.path, ignore_errors=True)


@dataclass(frozen=True)
class Home:
    """The folder that holds everything: datasets, jobs, caches."""

    path: Path

    def datasets(self) -> list[str]:
        """List datasets that hold at least one version, by name."""
        folder = self.path / "datasets"
        if not folder.is_dir():
            return []
        return sorted(p.name for p in folder.iterdir() if (p / CURRENT).is_file())

    def dataset(self, name: str, *, create: bool = False) -> Dataset:
        """Open a dataset by name.

        Raises:
            NotFoundError: It does not exist (and `create` is false), or the name is no valid folder name.
        """
        if not name or slug(name) != name:
            raise NotFoundError(
                "{name!r} cannot name a dataset; use lower-case letters, digits and _, such as {fitting!r}.",
                name=name[:60],
                fitting=slug(name),
            )
        dataset = Dataset(self.path / "datasets" / name)
        if create:
            try:
                dataset.path.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise StorageError("{path} cannot be made ({error}); choose another home.", path=dataset.path, error=error) from error
        elif not (dataset.path / CURRENT).is_file():
            if any(dataset.path.glob(f"versions/*/{MANIFEST}")):
                raise StorageError(
                    "Dataset {dataset!r} has lost {path}; restore it or ingest the log again.", dataset=name, path=dataset.path / CURRENT
                )
            raise NotFoundError(
                "There is no dataset {dataset!r}; there are: {datasets}.",
                dataset=name,
                datasets=", ".join(self.datasets()) or say("none yet, ingest a log first"),
            )
        return dataset

    def sweep(self, older_than: float = STALE_SECONDS) -> None:
        """Remove what writers that died left behind: temporary folders older than so many seconds.

        Whoever holds the lock for heavy work is the only writer and may pass 0.
        """
        for leftover in self.path.glob("datasets/*/*/.*.????????"):
            with suppress(OSError):
                if leftover.is_dir() and time.time() - leftover.stat().st_mtime >= older_than:
                    shutil.rmtree(leftover, ignore_errors=True)

    def cache(self, name: str) -> Path:
        """Return (and make) a folder for derived data that may be deleted at any time."""
        folder = self.path / "cache" / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def append_audit(self, record: dict[str, Any]) -> None:
        """Add one line to the audit trail (who did what: ingest, export, erase)."""
        self.path.mkdir(parents=True, exist_ok=True)
        line = json.dumps({"time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), **record}, ensure_ascii=False, default=str)
        with (self.path / "audit.jsonl").open("a", encoding="utf-8") as stream:
            stream.write(line + "\n")


def _fsync(path: Path) -> None:
    if path.is_dir() and sys.platform == "win32":
        return  # Windows cannot open a folder
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
