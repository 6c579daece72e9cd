"""What is written is read back the same, and a changed byte is an error, never a wrong answer."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from core.artifacts import read_arrays, read_json, read_table, seal, write_arrays, write_json, write_table
from core.errors import StorageError


def test_tables_and_arrays_come_back_equal(tmp_path: Path) -> None:
    table = pa.table({"user_id": ["007", "7"], "propensity": [0.25, 0.5]})
    vectors = np.arange(6, dtype=np.float32).reshape(2, 3)
    write_table(tmp_path / "t.parquet", table)
    write_arrays(tmp_path / "v.safetensors", {"text": vectors})
    seal(tmp_path, {"kind": "test"})
    assert read_table(tmp_path / "t.parquet").equals(table)
    assert np.array_equal(read_arrays(tmp_path / "v.safetensors")["text"], vectors)


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
