"""Fixtures shared by all tests, and how tests are dealt out to processes."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from core.ingest.ingest import IngestRequest, ingest_log
from core.ingest.mapping import Mapping
from core.store import Dataset, Home, Log
from tests.worlds import publish_world


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the tests of a file in one process, and all browser tests: they share what is dear to make."""
    for item in items:
        folder = item.path.parent.name
        item.add_marker(pytest.mark.xdist_group(item.path.stem if folder == "tests" else folder))


@pytest.fixture(scope="session", autouse=True)
def _instances() -> Iterator[None]:
    """Keep the instances of the last logs: DuckDB takes longer to set one up than to answer a question about a tiny log.

    As in the dashboard, where questions that overlap share one. A file that was damaged or replaced is opened anew.
    """
    kept: dict[str, tuple[tuple[int, ...], duckdb.DuckDBPyConnection]] = {}
    connect = duckdb.connect

    def remembering(database: str | Path = ":memory:", read_only: bool = False, **more: Any) -> duckdb.DuckDBPyConnection:
        name, path = str(database), Path(database)
        is_log = read_only and "config" in more and path.is_file()  # as core.store opens it; with other settings it would be refused
        found = (path.stat().st_ino, path.stat().st_size, path.stat().st_mtime_ns) if is_log else ()
        if name in kept and kept[name][0] != found:
            kept.pop(name)[1].close()
        connection = connect(database, read_only=read_only, **more)
        if is_log and name not in kept:
            kept[name] = (found, connect(database, read_only=True, **more))
            if len(kept) > 3:
                kept.pop(next(iter(kept)))[1].close()
        return connection

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(duckdb, "connect", remembering)
        yield
    for _found, connection in kept.values():
        connection.close()


@pytest.fixture
def make_log(tmp_path: Path) -> Callable[..., Log]:
    """A function that publishes rows as a dataset in a fresh home and opens its log."""

    def make(events: list[dict[str, Any]], **more: Any) -> Log:
        return publish_world(tmp_path / "home", events, **more)

    return make


@pytest.fixture(autouse=True)
def _no_waiting(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """No browser draws in a test of pages without one, so nothing waits for it."""
    if request.path.parent.name == "tests" and "streamlit.testing" in sys.modules:
        from pages.parts import frame

        monkeypatch.setattr(frame, "PATIENCE", 0.0)


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    """A dataset without a version, in a fresh home."""
    return Home(tmp_path / "home").dataset("shop", create=True)


@pytest.fixture
def ingest(tmp_path: Path, dataset: Dataset) -> Callable[..., dict[str, Any]]:
    """A function that ingests logs (paths, or the texts of files of a `kind`) and returns the manifest; each row must have its fate."""

    def run(*logs: str | bytes | Path, kind: str = "csv", mapping: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
        paths = []
        for number, log in enumerate(logs):
            path = log if isinstance(log, Path) else tmp_path / f"log{number}.{kind}"
            if not isinstance(log, Path):
                path.write_bytes(log.encode() if isinstance(log, str) else log)
            paths.append(path)
        record = ingest_log(dataset, IngestRequest(tuple(paths), mapping=Mapping.from_json(mapping) if mapping else None, **more))
        assert record["rows_read"] == record["rows_kept"] + record["rows_quarantined"] + record["rows_merged"]
        with dataset.log().history() as connection:
            assert connection.execute("SELECT count(*) FROM main.quarantine").fetchone() == (record["rows_quarantined"],)
        return record

    return run
