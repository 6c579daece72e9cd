"""Verbs that ask a trained model give the numbers of the batch, in a fresh process and from a pasted history."""

import json
import subprocess
import sys

import pytest

from core.__main__ import main
from core.store import Dataset
from tests.kept_worlds import kept_shop, scores_of


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return kept_shop(tmp_path_factory.mktemp("shop") / "home")


def test_the_command_line_gives_the_number_of_the_batch_in_a_fresh_process(shop: Dataset) -> None:
    home = str(shop.path.parents[1])
    ran = [sys.executable, "-m", "core", "why", "--home", home, "--dataset", "tiny", "--user", "u042", "--json"]
    found = json.loads(subprocess.run(ran, capture_output=True, text=True, check=True, timeout=120).stdout)
    assert found["propensity"] == scores_of(shop)["u042"]


def test_a_history_that_cannot_be_read_is_refused_in_a_sentence(shop: Dataset, capsys: pytest.CaptureFixture[str]) -> None:
    home = str(shop.path.parents[1])
    status = main(["score-one", "--home", home, "--dataset", "tiny", "--history", "[{nonsense", "--json"])
    told = json.loads(capsys.readouterr().out)
    assert status == 2 and told["error"]


def test_what_would_lift_a_chance_is_ordered_best_first(shop: Dataset, capsys: pytest.CaptureFixture[str]) -> None:
    status = main(["why", "--home", str(shop.path.parents[1]), "--dataset", "tiny", "--user", "u042", "--lift", "--json"])
    told = json.loads(capsys.readouterr().out)
    assert status == 0
    chances = [change["propensity"] for change in told["tried"]]
    assert chances == sorted(chances, reverse=True) and len(chances) > 1
    assert "the model's view, no cause" in told["warnings"][0]
    asked = ["why", "--home", str(shop.path.parents[1]), "--dataset", "tiny", "--user", "u042", "--json"]
    status = main([*asked, "--change", '{"drop": [0]}'])
    assert status == 0 and "The model's view of another history" in json.loads(capsys.readouterr().out)["warnings"][0]
