"""What ingest refuses, in a sentence, and that nothing is published then."""

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.errors import EmptyLogError, FileError, MappingError
from core.store import Dataset

HEADER = "user_id,item_id,event_type,event_time,price\n"

Ingest = Callable[..., dict[str, Any]]


def test_nothing_is_published_when_nothing_is_left(ingest: Ingest, dataset: Dataset) -> None:
    with pytest.raises(EmptyLogError, match="of 2 read, “No shopper id”: 2"):
        ingest(HEADER + ",a,view,2024-03-01 10:00:00,1\n,b,view,2024-03-01 10:00:00,1\n")
    assert dataset.versions() == []
    assert list((dataset.path / "versions").iterdir()) == []


def test_a_failed_ingest_leaves_the_last_version_on_screen(ingest: Ingest, dataset: Dataset) -> None:
    ingest(HEADER + "u1,a,view,2024-03-01 10:00:00,1\n")
    with pytest.raises(MappingError, match="visitor_time"):
        ingest("visitor_time,x\n1,2\n")
    assert dataset.current()["version"] == "v0001"


def test_missing_columns_are_named_with_those_the_file_has(ingest: Ingest) -> None:
    with pytest.raises(MappingError, match=r"user_id.*colour, size"):
        ingest("colour,size\nred,1\nblue,2\n")
    with pytest.raises(MappingError, match="'nope'"):
        ingest(HEADER + "u1,a,view,2024-03-01 10:00:00,1\n", mapping={"events": {"columns": {"user_id": "nope"}}})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b"   \n\n", "empty|blank"),
        (b"\x89PNG\r\n\x1a\n0000", "PNG"),
        (b"just\none\ncolumn\n", "one column"),
        (b"PAR1 cut", "cut off"),
        (b'{"user": 1}\n', "only the column user"),
        (b"\x1f\x8b\x08\x00broken", "damaged"),
    ],
)
def test_what_is_no_table_is_refused_in_a_sentence(ingest: Ingest, dataset: Dataset, tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "odd.csv"
    path.write_bytes(content)
    with pytest.raises(FileError, match=message):
        ingest(path)
    with pytest.raises(FileError):
        ingest(tmp_path)
    with pytest.raises(FileError, match="no file"):
        ingest(tmp_path / "missing.csv")


def test_a_gzip_bomb_is_refused(ingest: Ingest, tmp_path: Path) -> None:
    path = tmp_path / "bomb.csv.gz"
    with gzip.open(path, "wb") as stream:
        for _ in range(70):
            stream.write(b"u1,a,view\n" * 104858)
    with pytest.raises(FileError, match="unpacks"):
        ingest(path)


def test_a_line_without_end_is_refused(ingest: Ingest, tmp_path: Path) -> None:
    path = tmp_path / "long.csv"
    path.write_bytes(HEADER.encode() + b"u1,a,view,2024-03-01 10:00:00,1\n" * 9000 + b"x" * (9 << 20))
    with pytest.raises(FileError, match="longer than 2 MiB"):
        ingest(path)


def test_files_outside_the_allowed_folders_are_refused(ingest: Ingest, tmp_path: Path) -> None:
    with pytest.raises(FileError, match="outside"):
        ingest(HEADER + "u1,a,view,2024-03-01 10:00:00,1\n", roots=(tmp_path / "elsewhere",))
