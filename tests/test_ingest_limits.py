"""Every way in which a file of any kind may be broken, hostile or no log: it is refused in a sentence, and nothing is published."""

import gzip
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import zstandard

from core.errors import CoreError, EmptyLogError, FileError, MappingError, StorageError
from core.ingest import scratch
from core.ingest.ingest import IngestRequest, ingest_log
from core.store import Dataset
from tests.kinds import CSV, NAMES, OBJECTS, TYPED, every_kind, put, workbook, zipped

Ingest = Callable[..., dict[str, Any]]


@pytest.fixture
def refused(dataset: Dataset) -> Callable[..., str]:
    """Try to ingest and return the sentence of the refusal; nothing is published and nothing stays."""

    def run(path: Path, kind: type[CoreError] = FileError, **more: Any) -> str:
        with pytest.raises(kind) as caught:
            ingest_log(dataset, IngestRequest((path,), **more))
        assert not dataset.versions()
        assert not list(dataset.path.rglob(".*"))
        return str(caught.value)

    return run


def bomb(kind: str, path: Path) -> Path:
    block, times = b"u1,a,view,2024-03-01 10:00:00,1\n" * 32768, 160
    if kind == "gz":
        with gzip.open(path, "wb", compresslevel=9) as out:
            for _ in range(times):
                out.write(block)
    elif kind == "zst":
        with path.open("wb") as raw, zstandard.ZstdCompressor(level=9).stream_writer(raw) as packed:
            for _ in range(times):
                packed.write(block)
    elif kind == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive, archive.open("log.csv", "w") as member:
            for _ in range(times):
                member.write(block)
    else:
        workbook(path, {"Log": [NAMES, *TYPED]})
        with zipfile.ZipFile(path) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        sheet = members["xl/worksheets/sheet1.xml"]
        members["xl/worksheets/sheet1.xml"] = sheet.replace(
            b"</sheetData>", b'<row r="1048576"><c r="XFD1048576"><v>1</v></c></row></sheetData>'
        )
        zipped(path, dict(members))
    return path


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [("gz", "unpacks to more than"), ("zst", "unpacks to more than"), ("zip", "unpacks to more than"), ("xlsx", "memory")],
)
def test_a_bomb_is_refused(refused: Callable[..., str], tmp_path: Path, kind: str, sentence: str) -> None:
    assert sentence in refused(bomb(kind, tmp_path / "log.bin"))


@pytest.mark.parametrize(
    "kind",
    ["csv.gz", "csv.zst", "json array", "json object", "json.gz", "jsonl", "parquet", "xlsx", "xls", "ods", "zip of csv", "zip of xlsx"],
)
def test_a_file_cut_in_the_middle_is_refused(refused: Callable[..., str], tmp_path: Path, kind: str) -> None:
    whole = every_kind(tmp_path)[kind].read_bytes()
    told = refused(put(tmp_path / "cut.bin", whole[: len(whole) * 2 // 3 + 7]))
    assert any(word in told for word in ("cut", "damaged")), told


@pytest.mark.parametrize("kind", ["csv", "csv.zst", "jsonl", "json array", "parquet", "xlsx", "zip of csv"])
@pytest.mark.parametrize("what", ["changed", "vanished"])
def test_a_file_that_grows_or_vanishes_while_it_is_read_is_refused(dataset: Dataset, tmp_path: Path, kind: str, what: str) -> None:
    path = every_kind(tmp_path)[kind]

    def meddle(share: float, text: str) -> None:
        if share >= 0.05 and path.exists():
            if what == "vanished":
                path.unlink()
            else:
                with path.open("ab") as stream:
                    stream.write(b"u1,")

    with pytest.raises(FileError, match=what):
        ingest_log(dataset, IngestRequest((path,)), meddle)
    assert not dataset.versions()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (gzip.compress(b"", mtime=0), "is empty"),
        (zstandard.compress(b" \n"), "is empty"),
        (gzip.compress(gzip.compress(CSV.encode()), mtime=0), "packs another archive"),
        (zstandard.compress(b"PAR1...PAR1"), "packs another archive"),
        (b"PK\x05\x06" + b"\0" * 18, "archive without a table"),
        (b"<html><table></table></html>", "an XML or HTML document"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600, "cannot be read as a workbook"),
        (b"[]", "holds no rows"),
        (b"[1, 2, 3]", "No line of"),
        (b'[["u1", "a"], ["u2", "b"]]', "holds lists"),
        (b'{"user_id": ["u1"], "item_id": ["a"]}', "column by column"),
        (json.dumps({"views": OBJECTS, "buys": OBJECTS}).encode(), "two lists of objects, 'views' and 'buys'"),
        ((json.dumps(OBJECTS)[:-1] + "}").encode(), "no valid JSON near line 1"),
        ((json.dumps(OBJECTS) + "x").encode(), "no valid JSON near line 1"),
        (b"[" * 100_000, "holds lists"),
        (b'{"a": ' * 100_000, "nested too deeply"),
        (('{"a": "' + "x" * (3 << 20) + '"}\n').encode() * 2, "longer than 2 MiB"),
        (json.dumps([{f"c{i}": 1 for i in range(2500)}]).encode(), "2500 columns"),
        ((",".join(f"c{i}" for i in range(2500)) + "\n" + ",".join(["1"] * 2500) + "\n").encode() * 3, "2500 columns"),
        ((CSV + "u1," + "x" * (3 << 20) + ",view,2024-03-01 10:00:00,1\n").encode(), "longer than 2 MiB"),
    ],
)
def test_what_is_no_log_is_refused_in_a_sentence(refused: Callable[..., str], tmp_path: Path, content: bytes, sentence: str) -> None:
    assert sentence in refused(put(tmp_path / "log.csv", content), CoreError)


@pytest.mark.parametrize(
    ("members", "sentence"),
    [
        ({"../log.csv": CSV}, "leads out of the archive"),
        ({"a/../../log.csv": CSV}, "leads out of the archive"),
        ({"/etc/log.csv": CSV}, "leads out of the archive"),
        ({"C:\\log.csv": CSV}, "leads out of the archive"),
        ({"log.csv.gz": gzip.compress(CSV.encode())}, "holds another archive, log.csv.gz"),
        ({"events.csv": CSV, "items.csv": "item_id,title\n1,a\n2,b\n"}, "events.csv (user_id, item_id"),
        ({"README.md": "hello"}, "archive without a table"),
        ({"log.csv": b""}, "log.csv is empty"),
        ({f"{i}.csv": CSV for i in range(1001)}, "1001 files"),
    ],
)
def test_an_archive_that_is_odd_is_refused(
    refused: Callable[..., str], tmp_path: Path, members: dict[str, str | bytes], sentence: str
) -> None:
    assert sentence in refused(zipped(tmp_path / "log.zip", members))
    assert not list(tmp_path.parent.glob("log.csv"))


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        (
            "session_id,pages,minutes,bounced,revenue\n" + "".join(f"s{i},{i},{i / 7:.2f},0,1\n" for i in range(40)),
            MappingError,
            ["event_time"],
        ),
        (",price,quantity,age\nprice,1.0,0.2,0.1\nquantity,0.2,1.0,-0.3\nage,0.1,-0.3,1.0\n", MappingError, ["user_id", "event_time"]),
        (
            "user_id,item_id,event_time\n" + "".join(f"u{i},,2024-03-01 10:{i:02d}:00\n" for i in range(40)),
            EmptyLogError,
            ["“No item id”: 40"],
        ),
    ],
)
def test_a_table_that_is_no_log_is_told_what_is_missing(
    refused: Callable[..., str], tmp_path: Path, text: str, kind: type[CoreError], words: list[str]
) -> None:
    told = refused(put(tmp_path / "log.csv", text), kind)
    assert all(word in told for word in words), told


@pytest.mark.parametrize("kind", ["csv", "json array", "zip of csv"])
def test_a_disk_without_room_is_told_before_anything_is_written(
    refused: Callable[..., str], tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = every_kind(tmp_path)[kind]
    monkeypatch.setattr(scratch.shutil, "disk_usage", lambda _place: SimpleNamespace(free=300))
    assert "MiB free" in refused(path, StorageError)
