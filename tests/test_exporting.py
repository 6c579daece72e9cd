"""Exports hold every row unchanged in Parquet, and nothing that a spreadsheet would run in CSV."""

import csv
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from core.artifacts import read_arrays, sha256_of
from core.errors import FileError
from core.pipeline.exporting import EVENT_TABLES, export_tables
from core.pipeline.exporting_profiles import export_profiles
from core.pipeline.options import ProfileOptions
from core.pipeline.work import IngestOptions, ingest, profile
from core.pipeline.writing import write_rows
from core.store import Home
from tests.encoders import save_tiny_encoder
from tests.page_worlds import publish_runs
from tests.worlds import at, publish_world

LOG = """user_id,item_id,event_type,event_time
007,=1+1,view,2024-03-01 10:00:00
7,@cmd,purchase,2024-03-01 11:00:00
9007199254740993,x,view,2024-03-01 12:00:00
,x,view,2024-03-01 13:00:00
"""


@pytest.fixture
def home(tmp_path: Path) -> Home:
    (tmp_path / "log.csv").write_text(LOG, encoding="utf-8")
    home = Home(tmp_path / "home")
    ingest(home, "shop", IngestOptions(events=(str(tmp_path / "log.csv"),)))
    return home


def test_every_table_is_a_file_whose_rows_and_checksum_are_told(home: Home, tmp_path: Path) -> None:
    told = export_tables(home.dataset("shop"), tmp_path / "out")
    assert set(told["files"]) == set(EVENT_TABLES) - {"item_facts"}
    assert all("has no" in warning for warning in told["warnings"])
    for name, file in told["files"].items():
        path = tmp_path / "out" / f"{name}.parquet"
        assert pq.read_table(path).num_rows == file["rows"]
        assert sha256_of(path) == file["sha256"]


def test_ids_survive_unchanged_and_rows_add_up(home: Home, tmp_path: Path) -> None:
    export_tables(home.dataset("shop"), tmp_path)
    events, aside = pq.read_table(tmp_path / "events.parquet"), pq.read_table(tmp_path / "quarantine.parquet")
    assert events["user_id"].to_pylist() == ["007", "7", "9007199254740993"]
    assert events["item_id"].to_pylist() == ["=1+1", "@cmd", "x"]
    assert events.num_rows + aside.num_rows == 4
    assert aside["rule"].to_pylist() == ["null_user"]


def test_csv_has_a_byte_order_mark_and_guarded_cells(home: Home, tmp_path: Path) -> None:
    export_tables(home.dataset("shop"), tmp_path, "csv")
    assert (tmp_path / "events.csv").read_bytes().startswith(b"\xef\xbb\xbf")
    with (tmp_path / "events.csv").open(encoding="utf-8-sig", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["item_id"] for row in rows] == ["'=1+1", "'@cmd", "x"]
    assert [row["user_id"] for row in rows] == ["007", "7", "9007199254740993"]


def test_the_same_data_gives_the_same_bytes(home: Home, tmp_path: Path) -> None:
    for name in ("a", "b"):
        export_tables(home.dataset("shop"), tmp_path / name)
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_a_file_in_the_folders_place_is_left_alone(home: Home, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("mine", encoding="utf-8")
    with pytest.raises(FileError, match="is a file"):
        export_tables(home.dataset("shop"), tmp_path / "taken")
    assert (tmp_path / "taken").read_text(encoding="utf-8") == "mine"


def test_a_single_table_is_written_whole(tmp_path: Path) -> None:
    table = pa.table({"user_id": ["a", "b"], "propensity": [0.25, 0.5]})
    write_rows(tmp_path / "t.parquet", table)
    assert pq.read_table(tmp_path / "t.parquet").equals(table)
    assert [p.name for p in tmp_path.iterdir()] == ["t.parquet"]


def test_profiles_are_exported_for_pandas_and_numpy_with_ids_cutoff_and_model(tmp_path: Path) -> None:
    model = save_tiny_encoder(tmp_path / "tiny")
    home = Home(tmp_path / "home")
    titles = ("red dress", "blue shirt", "green tea", "coffee cup")
    events = [
        {"user_id": f"{user:03d}", "item_id": f"i{(user + step) % 4}", "event_type": "view", "event_time": at(user + step)}
        for user in range(9)
        for step in range(1 + user % 3)
    ]
    publish_world(home.path, events, [{"item_id": f"i{n}", "title": title} for n, title in enumerate(titles)])
    told = profile(home, home.dataset("tiny"), options=ProfileOptions(model=str(model), device="cpu", blocks=("counts", "text")))
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        assert set(export_profiles(home.dataset("tiny"), tmp_path / name)) == {"profiles.parquet", "profiles.npz"}
    for file in ("profiles.parquet", "profiles.npz"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
    profiles = pd.read_parquet(tmp_path / "a" / "profiles.parquet")
    vectors = np.stack(profiles["text"])
    assert profiles["user_id"].tolist() == [f"{user:03d}" for user in range(9)] and vectors.dtype == np.float32
    assert profiles["model"].unique().tolist() == [f"tiny@{told['card']['fingerprint'][:12]}/{told['card']['precision']}"]
    assert profiles["cutoff"].unique().tolist() == [pd.Timestamp(home.dataset("tiny").log().until)]
    kept = read_arrays(home.dataset("tiny").run_path("profiles") / "text.safetensors")["text"]
    assert np.array_equal(vectors, kept)
    similarity = vectors @ vectors.T
    assert (similarity.argmax(axis=1) == np.arange(9))[np.unique(vectors, axis=0, return_index=True)[1]].all()
    with np.load(tmp_path / "a" / "profiles.npz", allow_pickle=False) as arrays:
        assert sorted(arrays) == ["cutoff", "model", "text", "user_id"]
        assert arrays["user_id"].tolist() == profiles["user_id"].tolist() and np.array_equal(arrays["text"], vectors)
        assert str(arrays["model"]) == profiles["model"][0] and pd.Timestamp(str(arrays["cutoff"])) == profiles["cutoff"][0]


def test_both_levels_of_segments_are_exported(home: Home, tmp_path: Path) -> None:
    publish_runs(home.path, [f"u{number:02d}" for number in range(40)], "shop")
    told = export_tables(home.dataset("shop"), tmp_path / "out")
    assert told["files"]["segment_table"]["rows"] == 2 and told["files"]["subsegment_table"]["rows"] == 4
    assert told["files"]["subsegment_traits"]["rows"] == 4
    everyone = pq.read_table(tmp_path / "out" / "segments.parquet")
    assert set(everyone["subsegment_id"].to_pylist()) == {1, 2, 3, 4}


def test_facts_of_items_are_exported_where_there_are_any(home: Home, tmp_path: Path) -> None:
    without = export_tables(home.dataset("shop"), tmp_path / "without")
    assert "item_facts" not in without["files"] and not any("item_facts" in warning for warning in without["warnings"])
    (tmp_path / "facts.csv").write_text("item_id,margin,season\nx,0.3,summer\n", encoding="utf-8")
    ingest(home, "told", IngestOptions(events=(str(tmp_path / "log.csv"),), facts=str(tmp_path / "facts.csv")))
    export_tables(home.dataset("told"), tmp_path / "with")
    assert pq.read_table(tmp_path / "with" / "item_facts.parquet").to_pylist() == [{"item_id": "x", "margin": "0.3", "season": "summer"}]
