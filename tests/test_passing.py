"""Where a chance cannot be learned: what is said to pass does pass, and names that the log lacks are told as such."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.__main__ import main
from tests.worlds import at, publish_world


def rows(users: int, days: int = 56) -> list[dict[str, Any]]:
    """Half of the shoppers look around in any week, a fifth of them in any two weeks buys."""
    rng, found = np.random.default_rng(3), []
    for user in range(users):
        for day in range(days):
            if rng.random() < 0.1:
                found.append({"user_id": f"u{user:03d}", "event_type": "view", "event_time": at(day + 0.3), "item_id": f"i{user % 8}"})
            if rng.random() < 0.016:
                bought = {"event_type": "purchase", "item_id": f"i{rng.integers(8)}", "revenue": 5}
                found.append({"user_id": f"u{user:03d}", "event_time": at(day + 0.5), **bought})
    return found


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("passing")
    items = [{"item_id": f"i{n}", "category": ("Fluid milk", "Bread", "Tea", "Coffee")[n % 4]} for n in range(8)]
    for dataset, users in (("shop", 400), ("small", 90)):
        publish_world(folder, rows(users), items, dataset=dataset)
    publish_world(folder, rows(120), dataset="plain")
    return folder


def refused(home: Path, capsys: pytest.CaptureFixture[str], *words: str, dataset: str = "shop") -> dict[str, Any]:
    asked = ["predict", "--dataset", dataset, "--home", str(home), "--blocks", "counts", "--json", *words]
    assert main(asked) == 2
    told: dict[str, Any] = json.loads(capsys.readouterr().out)
    return told


def test_what_is_said_to_pass_does_pass(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = refused(home, capsys, "--horizon", "1d")
    assert told["kind"] == "GateError" and "Too little to learn from: " in told["error"] and " in 1 day" in told["error"]
    assert told["error"].endswith("What would pass: the act view, a horizon of 5 days.")
    assert "without a purchase in 3 days" in refused(home, capsys, "--horizon", "3d")["error"], "the nearer one does not"
    for words in (("--horizon", "1d", "--act", "view"), ("--horizon", "5d")):
        assert main(["predict", "--dataset", "shop", "--home", str(home), "--blocks", "counts", *words]) == 0
    capsys.readouterr()
    assert refused(home, capsys, "--horizon", "7d", "--category", "Tea")["error"].endswith("What would pass: all categories together.")


def test_where_nothing_passes_nothing_is_promised(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = refused(home, capsys, "--horizon", "7d", dataset="small")
    assert told["error"].endswith("No other act and no other horizon of this log would pass: it needs more shoppers or more time.")


def test_an_act_or_a_category_that_the_log_lacks_is_not_found(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = refused(home, capsys, "--act", "click")
    assert told == {"error": "The log holds no act 'click'; its acts that a chance can be of: purchase, view.", "kind": "NotFoundError"}
    told = refused(home, capsys, "--category", "FLUID MILK PRODUCTS")
    assert told == {"error": "No item has the category 'FLUID MILK PRODUCTS'; nearest: Fluid milk.", "kind": "NotFoundError"}
    assert "nearest: Fluid milk." in refused(home, capsys, "--category", "milk")["error"]
    assert "nearest: Bread, Coffee, Fluid milk." in refused(home, capsys, "--category", "NOSUCH")["error"]
    assert "has no categories" in refused(home, capsys, "--category", "Tea", dataset="plain")["error"]
