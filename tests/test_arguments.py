"""Arguments that verbs share: what is refused, and what stands in for what nobody said."""

import argparse
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from core import arguments
from core.artifacts import write_table
from core.encoder import network
from core.encoder.models import MINILM, find_checkpoint
from core.errors import FileError
from core.pipeline.encoding import PRECISIONS
from core.pipeline.options import ProfileOptions
from core.store import Home
from tests.page_worlds import tiny_home


def parsed(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--dataset", default="tiny")
    parser.add_argument("--horizon", default="auto")
    parser.add_argument("--out")
    arguments.add_model(parser)
    return parser.parse_args(words)


@pytest.mark.parametrize(
    ("check", "good", "bad"),
    [
        (arguments.positive, "3", "0"),
        (arguments.seed_number, "4294967295", "4294967296"),
        (arguments.seed_number, "0", "-1"),
        (arguments.amount, "-2.5", "nan"),
        (arguments.amount, "1e11", "1e13"),
        (arguments.share, "0", "1"),
        (arguments.share, "0.99", "nan"),
    ],
)
def test_numbers_outside_their_range_are_refused(check: Callable[[str], float], good: str, bad: str) -> None:
    assert check(good) == float(good)
    with pytest.raises(argparse.ArgumentTypeError, match=bad):
        check(bad)


def test_times_that_nobody_gave_are_left_to_the_log() -> None:
    assert arguments.cutoff_of(parsed()) is None and arguments.horizon_of(parsed()) is None
    given = parsed("--cutoff", "2017-12-01", "--horizon", "12h")
    assert arguments.cutoff_of(given) == datetime(2017, 12, 1) and arguments.horizon_of(given) == timedelta(hours=12)


def test_a_table_is_written_as_parquet_or_csv_into_a_folder_that_is_there(tmp_path: Path) -> None:
    assert arguments.out_path(parsed()) is None
    assert arguments.out_path(parsed("--out", str(tmp_path / "a.csv"))) == tmp_path / "a.csv"
    with pytest.raises(FileError, match="must end in"):
        arguments.out_path(parsed("--out", str(tmp_path / "a.xlsx")))
    with pytest.raises(FileError, match="does not exist"):
        arguments.out_path(parsed("--out", str(tmp_path / "none" / "a.csv")))


def test_blocks_that_nobody_named_are_those_on_screen(tmp_path: Path) -> None:
    home = Home(tiny_home(tmp_path, runs=False))
    assert arguments.profile_options(parsed(), home).blocks == ProfileOptions.blocks
    dataset = home.dataset("tiny")
    config = {"blocks": ["counts", "graph"]}
    with dataset.new_run("profiles", inputs={"version": "v0001"}, config=config, cutoff=None) as draft:
        write_table(draft.path / "counts.parquet", pa.table({"user_id": ["a"]}))
    assert arguments.profile_options(parsed(), home).blocks == ("counts", "graph")
    assert arguments.profile_options(parsed("--blocks", "counts", "--retrain", "0.5"), home) == ProfileOptions(
        blocks=("counts",), retrain=0.5
    )
    assert arguments.profile_options(parsed("--dataset", "other"), home).blocks == ProfileOptions.blocks


def test_a_longer_memory_makes_a_run_of_its_own_and_the_default_is_found_as_before() -> None:
    blocks = ("counts", "sequence")
    assert "memory" not in ProfileOptions(blocks).config and "memory" not in ProfileOptions(memory=3).config
    longer = ProfileOptions(blocks, memory=3)
    assert longer.config["memory"] == longer.of_blocks["memory"] == 3 and ProfileOptions.of(longer.config).memory == 3
    assert parsed("--memory", "3").memory == 3
    for wrong in ("0", "8"):
        with pytest.raises(argparse.ArgumentTypeError, match="1 to 7"):
            arguments.segments(wrong)


def test_fast_is_the_small_english_model_by_its_name(tmp_path: Path) -> None:
    home = Home(tmp_path)
    assert arguments.profile_options(parsed("--model", "fast"), home).model == MINILM
    assert find_checkpoint("fast", tmp_path).name == MINILM


def test_a_named_precision_makes_a_run_of_its_own_and_the_default_is_found_as_before() -> None:
    assert PRECISIONS == network.PRECISIONS
    assert parsed("--precision", "int8").precision == "int8"
    with pytest.raises(SystemExit):
        parsed("--precision", "fp16")
    asked = ProfileOptions(precision="int8")
    assert asked.config == ProfileOptions().config | {"precision": "int8"} and ProfileOptions.of(asked.config) == asked
    assert "precision" not in ProfileOptions(("counts",), precision="int8").config, "no text is read"
    assert asked.reading(("counts", "text")).precision == "int8"
