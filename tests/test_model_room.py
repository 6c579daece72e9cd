"""The model room: runs as records, two side by side, one put on screen and taken back, one made again byte for byte."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from core.__main__ import _parser, main
from core.artifacts import write_json, write_table
from core.errors import NotFoundError
from core.metrics import log_losses
from core.pipeline import model_room
from core.pipeline.reproducing import command_of, compare_files
from core.store import Dataset, Home
from core.tracking import EVENT_FILE, FOLDER
from tests.worlds import at, publish_world

Cli = Callable[..., tuple[int, dict[str, Any]]]
HORIZON = ["--horizon", "7d", "--blocks", "counts"]


def publish_people(home: Path, users: int = 260, dataset: str = "shop") -> Dataset:
    """Publish shoppers of 42 days, some of whom buy often: enough for a chance within a week."""
    rng, events = np.random.default_rng(5), []
    for user in range(users):
        pace = 2.5 if user % 3 else 12.0
        day = float(rng.uniform(0, 5))
        while day < 42:
            row = {"user_id": f"u{user:03d}", "item_id": f"i{int(rng.integers(9))}", "event_time": at(day)}
            events.append(row | {"event_type": "purchase", "revenue": 10} if rng.random() < 0.4 else row | {"event_type": "view"})
            day += float(rng.exponential(pace))
    publish_world(home, events, dataset=dataset)
    return Home(home).dataset(dataset)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two trainings of different seeds on one dataset."""
    folder = tmp_path_factory.mktemp("room")
    publish_people(folder)
    for seed in ("0", "1"):
        assert main(["predict", "--dataset", "shop", *HORIZON, "--seed", seed, "--home", str(folder)]) == 0
    return folder


@pytest.fixture
def dataset(home: Path) -> Dataset:
    return Home(home).dataset("shop")


@pytest.fixture
def cli(home: Path, capsys: pytest.CaptureFixture[str]) -> Cli:
    def call(*words: str) -> tuple[int, dict[str, Any]]:
        status = main([*words, "--home", str(home), "--json"])
        return status, json.loads(capsys.readouterr().out)

    return call


def test_a_run_tells_what_it_rests_on_what_it_cost_and_how_to_make_it_again(dataset: Dataset, cli: Cli) -> None:
    status, shown = cli("runs", "show", "propensity-0001", "--dataset", "shop")
    assert status == 0 and shown["run"] == "propensity-0001"
    told = shown["record"]
    assert (told["version"], told["seed"], told["cutoff"], told["kind"]) == ("v0001", 0, None, "propensity")
    assert told["cpu_seconds"] > 0.05 and told["peak_mb"] > 50 and told["seconds"] > 0 and told["parameters"] > 0
    assert told["core"] == "0.2.0" and (told["commit"] is None or len(told["commit"].rstrip("+")) == 40)
    record = dataset.run_manifest("propensity", "propensity-0001")
    figures = {row["name"]: row for row in told["figures"]}
    ours = record["metrics"]["models"]["propensity"]
    assert figures["auc"]["low"] == ours["auc"]["low"] and figures["log_loss"]["value"] == ours["log_loss"]["value"]
    asked = "--act purchase --blocks counts --horizon 168h --model auto --optimizer adamw --seed 0"
    assert told["command"] == f"python -m core predict --dataset shop {asked}"


def test_every_setting_of_a_chance_has_an_option_that_the_command_line_reads(dataset: Dataset) -> None:
    record = dataset.run_manifest("propensity", "propensity-0001")
    told = {"category": "a b", "models": ["cnn", "gru"], "look_back_days": 45.0, "revenue": True, "attributes": True}
    assert set(told) <= set(record["config"]), "a setting that is no longer there needs no option"
    asked = {**record, "config": record["config"] | told, "cutoff": "2024-03-20T00:00:00"}
    parsed = _parser().parse_args(command_of("shop", "propensity", asked))
    assert parsed.category == "a b" and parsed.cutoff == "2024-03-20T00:00:00" and parsed.seed == 0
    assert parsed.look_back == 45 and parsed.revenue and parsed.attributes and parsed.models == "cnn,gru"


def test_the_command_of_a_run_gives_the_same_scores_in_another_home(home: Path, dataset: Dataset, tmp_path: Path) -> None:
    other = publish_people(tmp_path)
    command = command_of("shop", "propensity", dataset.run_manifest("propensity", "propensity-0002"))
    assert main([*command, "--home", str(tmp_path)]) == 0
    first, again = dataset.run_path("propensity", "propensity-0002"), other.run_path("propensity")
    assert (first / "scores.parquet").read_bytes() == (again / "scores.parquet").read_bytes()


def test_reproduce_trains_again_and_tells_whether_the_bytes_are_the_same(dataset: Dataset, cli: Cli, home: Path) -> None:
    before = dataset.runs("propensity")
    status, told = cli("runs", "reproduce", "propensity-0001", "--dataset", "shop")
    assert status == 0 and told["equal"] and told["figures_equal"] and set(told["costs_in"]) <= {"card.json"}
    assert {row["file"] for row in told["files"]} >= {"scores.parquet", "test.parquet", "curves.parquet", f"{FOLDER}/{EVENT_FILE}"}
    assert dataset.runs("propensity") == before and not list(home.glob(".again.*"))


def test_files_that_differ_are_named_and_costs_in_a_table_are_no_difference(tmp_path: Path) -> None:
    for place, (auc, cost) in enumerate([(0.7, 1.0), (0.7, 2.0)]):
        folder = tmp_path / str(place)
        folder.mkdir()
        write_table(folder / "tuning.parquet", pa.table({"auc": [auc], "cpu_seconds": [cost]}))
        write_table(folder / "scores.parquet", pa.table({"propensity": [0.5 + place / 1e12]}))
        write_json(folder / "card.json", {"compared": [{"auc": auc, "seconds": cost}]})
        write_json(folder / "other.json", {"compared": [{"auc": auc + place}]})
        write_table(folder / "same.parquet", pa.table({"user_id": ["a"]}))
    (tmp_path / "1" / "more.txt").write_text("x")
    found = {row["file"]: (row["equal"], row["equal_but_costs"]) for row in compare_files(tmp_path / "0", tmp_path / "1")}
    assert found == {
        "card.json": (False, True),
        "other.json": (False, False),
        "more.txt": (False, False),
        "same.parquet": (True, True),
        "scores.parquet": (False, False),
        "tuning.parquet": (False, True),
    }


def test_two_runs_are_paired_over_the_shoppers_that_both_judged(dataset: Dataset, cli: Cli) -> None:
    found = model_room.compare(dataset, "propensity-0002", "propensity-0001")
    assert [row["name"] for row in found.settings if row["differs"]] == ["seed"]
    assert found.paired is not None
    ours, theirs = (
        pq.read_table(dataset.run_path("propensity", run) / "test.parquet").to_pandas() for run in ("propensity-0002", "propensity-0001")
    )
    both = ours.merge(theirs, on="user_id")
    by_hand = (log_losses(both["label_x"], both["propensity_x"]) - log_losses(both["label_y"], both["propensity_y"])).mean()
    loss = next(figure for figure in found.paired.figures if figure.name == "log_loss")
    assert loss.value == pytest.approx(by_hand) and loss.n == len(both) == found.paired.users
    assert loss.low is not None and loss.high is not None and loss.low < loss.value < loss.high
    status, told = cli("runs", "compare", "propensity-0001", "propensity-0002", "--dataset", "shop")
    assert status == 0 and told["paired"]["figures"][0]["value"] == pytest.approx(-by_hand)


def test_a_run_compared_with_itself_shows_no_difference(dataset: Dataset) -> None:
    found = model_room.compare(dataset, "propensity-0001", "propensity-0001")
    assert found.paired is not None and all(figure.value == figure.low == figure.high == 0 for figure in found.paired.figures)
    assert not any(row["differs"] for row in found.settings)


def test_runs_of_other_windows_acts_or_data_are_not_paired(tmp_path: Path) -> None:
    made = publish_people(tmp_path)
    for act, day, version in (("purchase", 30, "v0001"), ("purchase", 31, "v0001"), ("cart", 30, "v0001"), ("purchase", 30, "v0009")):
        with made.new_run("propensity", inputs={"version": version}, config={"act": act}, cutoff=None) as draft:
            draft.record |= {"windows": {"test": at(day).isoformat(), "horizon_days": 7.0}, "metrics": {}}
    why = [model_room.compare(made, "propensity-0001", f"propensity-000{n}").why_unpaired for n in (2, 3, 4)]
    assert [str(sentence).split(",")[0] for sentence in why] == [
        "They were judged on different acts or windows",
        "They were judged on different acts or windows",
        "They were made from different data",
    ]


def test_runs_of_two_kinds_are_not_compared(dataset: Dataset) -> None:
    with dataset.new_run("blocks", inputs={"version": "v0001"}, config={}, cutoff=None, make_current=False) as draft:
        pass
    with pytest.raises(NotFoundError, match="two kinds"):
        model_room.compare(dataset, "propensity-0001", draft.run_id)


@pytest.mark.parametrize("name", ["propensity-0009", "../../etc", "propensity", "nothing-0001", "propensity-1; rm"])
def test_an_unknown_run_is_an_error_that_people_can_mend(dataset: Dataset, name: str) -> None:
    with pytest.raises(NotFoundError):
        model_room.facts(dataset, name)
