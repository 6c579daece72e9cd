"""Event files for TensorBoard hold the curves and figures of a run; Weights & Biases gets them only when asked."""

import struct
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tensorboardX.crc32c import crc32c
from tensorboardX.proto import event_pb2

from core.artifacts import write_table
from core.store import Dataset
from core.tracking import EVENT_FILE, FOLDER, WANDB, write_events


@pytest.fixture
def made(dataset: Dataset) -> Path:
    """The folder of a run with curves and figures."""
    with dataset.new_run("propensity", inputs={"version": "v0001"}, config={"seed": 3}, cutoff=None) as draft:
        rows = [
            {"model": model, "member": member, "epoch": epoch, "train": 0.7 / epoch, "validation": 0.8 / epoch}
            for model in ("mlp", "lightgbm")
            for member in (0, 1)
            for epoch in (1, 2, 3)
        ]
        write_table(draft.path / "curves.parquet", pa.Table.from_pylist(rows))
        draft.record |= {
            "metrics": {"models": {"propensity": {"auc": {"value": 0.8, "n": 9}}}, "users": np.int64(9), "odd": float("nan"), "flag": True},
            "sequence": {"losses": [{"next_item": 6.5}, {"next_item": 5.25}], "cpu_seconds": 12.0},
        }
    return dataset.run_path("propensity", draft.run_id)


def events_of(path: Path) -> list[event_pb2.Event]:
    """Read an event file by TensorBoard's own message types; the framing is that of TFRecord."""
    content, found = path.read_bytes(), []
    while content:
        (length,) = struct.unpack("<Q", content[:8])
        event = event_pb2.Event()
        event.ParseFromString(content[12 : 12 + length])
        found.append(event)
        content = content[16 + length :]
    return found


def scalars_of(folder: Path) -> dict[tuple[str, int], float]:
    events = events_of(folder / FOLDER / EVENT_FILE)
    assert events[0].file_version == "brain.Event:2" and all(event.wall_time == 0 for event in events)
    return {(e.summary.value[0].tag, e.step): e.summary.value[0].simple_value for e in events[1:]}


def test_the_event_file_holds_the_curves_and_figures_of_the_run(made: Path) -> None:
    scalars = scalars_of(made)
    curves = pq.read_table(made / "curves.parquet").to_pylist()
    assert len(curves) == 12
    for row in curves:
        for part in ("train", "validation"):
            assert scalars[f"curves/{row['model']}/member {row['member']}/{part}", row["epoch"]] == np.float32(row[part])
    assert scalars["metrics/models/propensity/auc/value", 0] == np.float32(0.8) and scalars["metrics/users", 0] == 9
    assert (scalars["sequence/losses/next_item", 0], scalars["sequence/losses/next_item", 1]) == (6.5, 5.25)
    assert len(scalars) == 24 + 3 + 2, "what is no number, and what a run cost, stays out"


def test_a_run_without_figures_has_no_event_file(dataset: Dataset) -> None:
    with dataset.new_run("blocks", inputs={}, config={"seed": 3}, cutoff=None) as draft:
        draft.record |= {"act": "purchase", "seconds": 3.0}
    assert not (dataset.run_path("blocks", draft.run_id) / FOLDER).exists()


def test_the_same_run_gives_the_same_bytes(made: Path, dataset: Dataset) -> None:
    record = dataset.run_manifest("propensity", made.name)
    with dataset.new_run("propensity", inputs={}, config={}, cutoff=None) as draft:
        write_table(draft.path / "curves.parquet", pq.read_table(made / "curves.parquet"))
        draft.record |= {name: record[name] for name in ("metrics", "sequence")}
    again = dataset.run_path("propensity", draft.run_id)
    assert (made / FOLDER / EVENT_FILE).read_bytes() == (again / FOLDER / EVENT_FILE).read_bytes()


def test_the_checksums_of_an_event_file_are_those_of_another_writer(tmp_path: Path) -> None:
    write_events(tmp_path / "events", [("loss", 3, 0.5), ("ünïcode", -1, -2.0), ("many", 70_000, 1e9)])
    content = (tmp_path / "events").read_bytes()
    while content:
        (length,) = struct.unpack("<Q", content[:8])
        for part, at_byte in ((content[:8], 8), (content[12 : 12 + length], 12 + length)):
            crc = crc32c(part)
            masked = ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
            assert struct.unpack("<I", content[at_byte : at_byte + 4]) == (masked,)
        content = content[16 + length :]
    steps = [(e.summary.value[0].tag, e.step) for e in events_of(tmp_path / "events")[1:]]
    assert steps == [("loss", 3), ("ünïcode", -1), ("many", 70_000)]


@pytest.mark.parametrize(("mode", "told"), [("offline", "not installed"), ("sideways", "it may be offline, online"), ("", None)])
def test_weights_and_biases_is_written_only_when_asked_and_never_ends_a_training(
    mode: str, told: str | None, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(WANDB, mode)
    monkeypatch.setitem(sys.modules, "wandb", None)  # as if it were not installed
    with dataset.new_run("blocks", inputs={"version": "v0001"}, config={}, cutoff=None) as draft:
        draft.record["metrics"] = {"auc": 0.7}
    warnings = dataset.run_manifest("blocks", draft.run_id)["warnings"]
    assert [told in warning for warning in warnings] == [True] if told else warnings == []


def test_a_table_of_curves_in_another_form_and_gaps_in_a_curve_are_passed_over(dataset: Dataset) -> None:
    for rows in ([{"depth": 1, "gain": 0.5}], [{"model": "m", "member": 0, "epoch": 1, "train": None, "validation": 0.5}]):
        with dataset.new_run("propensity", inputs={}, config={}, cutoff=None) as draft:
            write_table(draft.path / "curves.parquet", pa.Table.from_pylist(rows))
            draft.record["metrics"] = {"users": 3}
    first, second = (scalars_of(dataset.run_path("propensity", run)) for run in dataset.runs("propensity"))
    assert first == {("metrics/users", 0): 3}
    assert second == {("metrics/users", 0): 3, ("curves/m/member 0/validation", 1): 0.5}
