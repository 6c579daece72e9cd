"""Logs that Spark and Hive write: the names of folders are columns."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from core.errors import MappingError
from core.ingest.ingest import IngestRequest, ingest_log
from core.ingest.paths import files_of, folder_columns
from core.store import Home, reading

ROWS = {"user_id": ["a", "b"], "item_id": ["i1", "i2"], "event_type": ["view", "purchase"], "time": ["10:00:00", "11:30:00"]}


def put(folder: Path, kind: str) -> None:
    folder.mkdir(parents=True)
    if kind == "parquet":
        pq.write_table(pa.table(ROWS), folder / "part-0.parquet")
    else:
        lines = [",".join(ROWS), *map(",".join, zip(*ROWS.values(), strict=True))]
        (folder / "part-0.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_the_day_of_a_folder_joins_the_clock_of_its_rows_and_equal_files_of_two_days_are_both_kept(kind: str, tmp_path: Path) -> None:
    for day in ("2024-01-30", "2024-01-31"):
        put(tmp_path / "log" / f"date={day}" / "country=FR", kind)
    home = Home(tmp_path / "home")
    record = ingest_log(home.dataset("log", create=True), IngestRequest(tuple(files_of(str(tmp_path / "log")))))
    assert (record["rows_read"], record["rows_kept"], record["rows_merged"]) == (4, 4, 0)
    assert any("from the names of folders: date, country" in warning for warning in record["warnings"])
    with reading(home.dataset("log").version_path() / "events.duckdb") as connection:
        found = connection.execute("SELECT user_id, CAST(event_time AS VARCHAR) FROM events ORDER BY event_time").fetchall()
    assert found == [
        ("a", "2024-01-30 10:00:00"),
        ("b", "2024-01-30 11:30:00"),
        ("a", "2024-01-31 10:00:00"),
        ("b", "2024-01-31 11:30:00"),
    ]


def test_a_folder_read_twice_is_not_doubled(tmp_path: Path) -> None:
    put(tmp_path / "log" / "date=2024-01-30", "csv")
    home = Home(tmp_path / "home")
    files = tuple(files_of(str(tmp_path / "log")))
    ingest_log(home.dataset("log", create=True), IngestRequest(files))
    put(tmp_path / "log" / "date=2024-01-31", "csv")
    record = ingest_log(home.dataset("log"), IngestRequest(tuple(files_of(str(tmp_path / "log"))), append=True))
    assert record["rows_read"] == 6 and record["rows_kept"] == 4 and record["rows_merged"] == 2


def test_names_of_folders_are_read_as_their_writers_mean_them() -> None:
    assert folder_columns(Path("/log/dt=2024-01-31/city=S%C3%A3o%20Paulo/f.csv")) == (("dt", "2024-01-31"), ("city", "São Paulo"))
    assert folder_columns(Path("/a=b/dt=__HIVE_DEFAULT_PARTITION__/x=y.csv")) == (("a", "b"), ("dt", ""))
    assert folder_columns(Path("/1=2/plain/=x/f.csv")) == ()


def test_a_hostile_name_of_a_folder_is_a_value_and_a_column_of_the_file_comes_before_it(tmp_path: Path) -> None:
    folder = tmp_path / "log" / "brand=x'); DROP TABLE raw_cells; --" / "user_id=zz" / "date=2024-01-30"
    put(folder, "csv")
    home = Home(tmp_path / "home")
    ingest_log(home.dataset("log", create=True), IngestRequest(tuple(files_of(str(tmp_path / "log")))))
    with reading(home.dataset("log").version_path() / "events.duckdb") as connection:
        assert connection.execute("SELECT DISTINCT user_id FROM events ORDER BY 1").fetchall() == [("a",), ("b",)]
        assert connection.execute("SELECT DISTINCT brand FROM items").fetchall() == [("x'); DROP TABLE raw_cells; --",)]


def test_a_day_that_no_folder_names_is_asked_for(tmp_path: Path) -> None:
    put(tmp_path / "log" / "date=__HIVE_DEFAULT_PARTITION__", "csv")
    with pytest.raises(MappingError):
        ingest_log(Home(tmp_path / "home").dataset("log", create=True), IngestRequest(tuple(files_of(str(tmp_path / "log")))))
