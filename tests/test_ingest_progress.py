"""Progress of one ingest: each figure is one of bytes, rows or of the statement, and it moves while the work does."""

import gzip
import threading
from collections.abc import Callable
from pathlib import Path
from random import Random

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from core.errors import CancelledError
from core.ingest import decoding, publishing
from core.ingest.decoding import raw_blocks
from core.ingest.ingest import IngestRequest, ingest_log
from core.ingest.reading import inspect_files
from core.ingest.scratch import scratch_below
from core.ingest.watching import execute_watched
from core.store import Home

PACK: dict[str, Callable[[bytes], bytes]] = {"csv": bytes, "csv.gz": gzip.compress, "csv.zst": zstandard.compress}


def log_text(rows: int) -> bytes:
    rng = Random(7)
    lines = (f"u{rng.randrange(10**9)},i{rng.randrange(10**9)},2024-01-{1 + row % 28:02d} 10:00:00" for row in range(rows))
    return ("user_id,item_id,event_time\n" + "\n".join(lines) + "\n").encode()


@pytest.mark.parametrize("kind", PACK)
def test_the_share_of_a_file_is_that_of_its_own_bytes_also_when_it_is_packed(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text, path = log_text(20_000), tmp_path / f"log.{kind}"
    path.write_bytes(PACK[kind](text))
    monkeypatch.setattr(decoding, "BLOCK", len(text) // 10)
    done = 0
    for block, share in raw_blocks(path, kind):
        done += len(block)
        assert share == pytest.approx(done / len(text), abs=0.15)
    assert share == 1


@pytest.mark.parametrize("kind", [*PACK, "parquet"])
def test_looking_at_a_file_tells_how_much_of_it_was_read(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text, path = log_text(60_000), tmp_path / f"log.{kind}"
    if kind == "parquet":
        rows = [line.split(",") for line in text.decode().splitlines()]
        pq.write_table(pa.table(dict(zip(rows[0], zip(*rows[1:], strict=True), strict=True))), path)
    else:
        path.write_bytes(PACK[kind](text))
    monkeypatch.setattr(decoding, "BLOCK", 300_000)
    seen: list[float] = []
    with scratch_below(tmp_path) as scratch:
        inspect_files(path, scratch=scratch, tick=seen.append)
    assert len(set(seen)) > 1 and seen == sorted(seen) and seen[-1] == 1


def test_progress_keeps_moving_and_a_cancel_interrupts_a_long_statement() -> None:
    seen: list[float] = []

    def tick(share: float) -> None:
        seen.append(share)
        if len(seen) == 2:
            raise CancelledError("cancelled")

    with duckdb.connect() as connection, pytest.raises(CancelledError):
        execute_watched(connection, "SELECT count(*) FROM range(10000000) a, range(1000000) b WHERE hash(a.range, b.range) = 1", None, tick)
    assert len(seen) == 2 and sorted(seen) == seen


def test_a_statement_fed_from_outside_is_as_far_as_it_was_fed() -> None:
    told, heard, taken = threading.Event(), [], 0.0

    def batches():
        nonlocal taken
        yield pa.record_batch([pa.array([1, 2])], names=["n"])
        taken = 0.5
        assert told.wait(60), "nobody was told that half is done"
        yield pa.record_batch([pa.array([3])], names=["n"])

    def tick(share: float) -> None:
        heard.append(share)
        if share == 0.5:
            told.set()

    with duckdb.connect() as connection:
        connection.register("fed", pa.RecordBatchReader.from_batches(pa.schema([("n", pa.int64())]), batches()))
        execute_watched(connection, "CREATE TABLE kept AS FROM fed", None, tick, lambda: taken)
        assert connection.sql("SELECT sum(n) FROM kept").fetchall() == [(6,)]
    assert heard == sorted(heard)


def test_events_are_counted_while_they_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shares: list[float] = []

    def watched(connection, statement, parameters, tick, share=None):
        execute_watched(connection, statement, parameters, tick, share)
        if share is not None:
            shares.append(share())

    monkeypatch.setattr(publishing, "execute_watched", watched)
    monkeypatch.setattr(publishing, "BATCH_ROWS", 100)
    path = tmp_path / "log.csv"
    path.write_bytes(log_text(1000))
    dataset = Home(tmp_path / "home").dataset("d", create=True)
    record = ingest_log(dataset, IngestRequest((path,)))
    with dataset.log().history() as connection:
        stored = connection.execute("SELECT count(*), count(DISTINCT session_id) FROM main.events").fetchall()
    assert stored == [(record["rows_kept"], record["rows_kept"])]
    assert shares == [0.9]
