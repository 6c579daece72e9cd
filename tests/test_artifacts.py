"""What is written is read back the same, and a changed byte is an error, never a wrong answer."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from core.artifacts import read_arrays, read_json, read_rows, read_table, seal, varying_columns, write_arrays, write_json, write_table
from core.errors import StorageError


def test_tables_and_arrays_come_back_equal(tmp_path: Path) -> None:
    table = pa.table({"user_id": ["007", "7"], "propensity": [0.25, 0.5]})
    vectors = np.arange(6, dtype=np.float32).reshape(2, 3)
    write_table(tmp_path / "t.parquet", table)
    write_arrays(tmp_path / "v.safetensors", {"text": vectors})
    seal(tmp_path, {"kind": "test"})
    assert read_table(tmp_path / "t.parquet").equals(table)
    assert np.array_equal(read_arrays(tmp_path / "v.safetensors")["text"], vectors)


@pytest.mark.parametrize("rows", [None, 2])
def test_columns_that_vary_are_told_from_the_statistics_of_all_groups_of_rows(rows: int | None, tmp_path: Path) -> None:
    table = pa.table(
        {
            "user_id": ["a", "b", "c", "d"],
            "late": [1, 1, 1, 2],
            "same": [3.5, 3.5, None, 3.5],
            "none": pa.nulls(4, pa.float64()),
            "nan": [float("nan")] * 4,
        }
    )
    write_table(tmp_path / "t.parquet", table, rows)
    assert varying_columns(tmp_path / "t.parquet") == ["user_id", "late"]


def test_a_flipped_bit_is_refused(tmp_path: Path) -> None:
    write_table(tmp_path / "t.parquet", pa.table({"a": list(range(1000))}))
    seal(tmp_path, {})
    content = bytearray((tmp_path / "t.parquet").read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "t.parquet").write_bytes(content)
    with pytest.raises(StorageError, match="differs from the sha256"):
        read_table(tmp_path / "t.parquet")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="is missing"):
        read_table(tmp_path / "none.parquet")
    with pytest.raises(StorageError, match="is missing"):
        read_json(tmp_path / "none.json")


def test_numbers_that_json_does_not_know_become_null(tmp_path: Path) -> None:
    write_json(tmp_path / "r.json", {"auc": float("nan"), "n": np.int64(3), "parts": (np.float32(0.5), float("inf"))})
    assert read_json(tmp_path / "r.json") == {"auc": None, "n": 3, "parts": [0.5, None]}


def test_rows_are_read_piece_by_piece_and_a_changed_file_is_refused(tmp_path: Path) -> None:
    rows = np.arange(20, dtype=np.float32).reshape(10, 2)
    write_arrays(tmp_path / "a.safetensors", {"a": rows, "b": rows + 1})
    seal(tmp_path, {})
    pieces = list(read_rows(tmp_path / "a.safetensors", "a", most=4))
    assert [start for start, _ in pieces] == [0, 4, 8] and np.array_equal(np.concatenate([part for _, part in pieces]), rows)
    assert [part.tolist() for _, part in read_rows(tmp_path / "a.safetensors", "b", 3, 4)] == [[[7.0, 8.0]]]
    (tmp_path / "a.safetensors").write_bytes(b"changed")
    with pytest.raises(StorageError):
        next(read_rows(tmp_path / "a.safetensors", "a"))
