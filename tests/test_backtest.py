"""The back-test: past windows judged by models that saw nothing of them, with sums that can be counted again."""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from core.__main__ import main
from core.artifacts import read_table
from core.errors import CutoffError, GateError
from core.predictor.backtest import BacktestOptions, backtest, earlier_cutoffs, past_cutoffs, summarise
from core.predictor.matrix import Matrix
from core.predictor.options import PropensityOptions
from core.store import Home
from tests.test_model_room import publish_people
from tests.worlds import at

WEEK = timedelta(days=7)
OPTIONS = PropensityOptions(horizon=WEEK)
CHEAP = BacktestOptions(predictor="logistic", windows=4, train_windows=2)


class World:
    """Shoppers whose chance rises with one feature; the labels of each window are drawn anew."""

    def __init__(self, users: int = 600, flipped_from: datetime | None = None, rate: float = 0.0) -> None:
        self.users, self.flipped_from, self.rate = [f"u{n:04d}" for n in range(users)], flipped_from, rate
        self.asked: list[tuple[str, datetime]] = []

    def matrix_at(self, cutoff: datetime) -> Matrix:
        self.asked.append(("matrix", cutoff))
        values = np.random.default_rng((cutoff - at(0)).days).normal(size=(len(self.users), 1))
        return Matrix(self.users, ["events_all"], values)

    def labels_at(self, cutoff: datetime) -> pa.Table:
        self.asked.append(("labels", cutoff))
        days = (cutoff - at(0)).days
        logits = 1.5 * np.random.default_rng(days).normal(size=len(self.users)) + self.rate
        labels = np.random.default_rng(1000 + days).random(len(self.users)) < 1 / (1 + np.exp(-logits))
        if self.flipped_from is not None and cutoff >= self.flipped_from:
            labels = ~labels
        return pa.table({"user_id": self.users, "label": labels.astype(np.int8)})


def judged(world: World, days: float = 50, chosen: BacktestOptions = CHEAP) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = backtest(at(0), at(days), world.matrix_at, world.labels_at, OPTIONS, chosen).to_pylist()
    return rows


def test_every_window_is_judged_by_windows_that_ended_before_it() -> None:
    assert past_cutoffs(at(0), at(35), WEEK, 9) == [at(14), at(21), at(28)]
    assert past_cutoffs(at(0), at(35), WEEK, 1) == [at(28)]
    assert earlier_cutoffs(at(0), at(28), WEEK, 2) == [at(14), at(21)]
    assert earlier_cutoffs(at(0), at(14), WEEK, 9) == [at(7)]
    for cutoff in past_cutoffs(at(0), at(50), WEEK, 9):
        assert all(one + WEEK <= cutoff and one - WEEK >= at(0) for one in earlier_cutoffs(at(0), cutoff, WEEK, 4))


def test_what_happens_from_a_window_on_moves_no_forecast_of_it_or_of_an_earlier_one() -> None:
    plain, flipped = judged(World()), judged(World(flipped_from=at(36)))
    foretold = [[(row["cutoff"], row["expected"], row["sd"], row["trained_on"]) for row in rows] for rows in (plain, flipped)]
    before = [place for place, row in enumerate(plain) if row["cutoff"] <= at(36)]
    assert len(before) == 3 and [foretold[0][p] for p in before] == [foretold[1][p] for p in before]
    assert foretold[0][3] != foretold[1][3], "the window after learns from the flipped one"
    assert plain[2]["happened"] + flipped[2]["happened"] == 600


def test_a_world_that_stays_the_same_is_foretold_and_one_that_turns_is_not() -> None:
    rows = judged(World())
    assert all(abs(row["happened"] - row["expected"]) < 4 * row["sd"] and row["auc"] > 0.7 for row in rows)
    assert all(row["auc_low"] < row["auc"] < row["auc_high"] and row["log_loss"] < row["base_log_loss"] for row in rows)
    assert judged(World(flipped_from=at(43)))[-1]["auc"] < 0.3


def test_the_same_seed_gives_the_same_figures_and_fewer_windows_the_same_last_ones() -> None:
    assert judged(World()) == judged(World())
    assert judged(World(), chosen=BacktestOptions("logistic", 2, 2)) == judged(World())[-2:]


def test_each_cutoff_is_read_once() -> None:
    world = World()
    judged(world)
    assert len(world.asked) == len(set(world.asked))


def test_windows_with_too_few_buyers_before_them_say_nothing_and_a_log_of_only_such_is_refused() -> None:
    rare = World(rate=-5.0)
    with pytest.raises(GateError, match="No window of 7 days has 100 shoppers with"):
        judged(rare)
    with pytest.raises(CutoffError, match="needs 21"):
        judged(World(), days=20)


def test_the_summary_counts_again(make_table: Callable[..., pa.Table]) -> None:
    found = summarise(make_table())
    assert found["windows"] == 2 and found["expected"] == 30 and found["happened"] == 36
    assert found["within"] == 0.5 and found["off"] == pytest.approx((1 / 11 + 5 / 25) / 2)


@pytest.fixture
def make_table() -> Callable[..., pa.Table]:
    from core.predictor.backtest import SCHEMA

    def make() -> pa.Table:
        whole = {"auc": 0.7, "auc_low": 0.6, "auc_high": 0.8, "log_loss": 0.5, "log_loss_low": 0.4, "log_loss_high": 0.6,
                 "base_log_loss": 0.6, "calibration_error": 0.02, "users": 100, "trained_on": 100, "end": at(9)}  # fmt: skip
        rows = [
            {"cutoff": at(1), "users": 100, "happened": 3, "trained_on": 100},
            {"cutoff": at(2), "happened": 11, "expected": 10.0, "sd": 1.0, **whole},
            {"cutoff": at(3), "happened": 25, "expected": 20.0, "sd": 2.0, **whole},
        ]
        return pa.Table.from_pylist(rows, schema=SCHEMA)

    return make


def test_the_verb_keeps_a_run_that_plain_counting_agrees_with(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dataset = publish_people(tmp_path)
    words = [
        "backtest",
        "--dataset",
        "shop",
        "--horizon",
        "7d",
        "--predictor",
        "logistic",
        "--windows",
        "2",
        "--home",
        str(tmp_path),
        "--json",
    ]
    assert main(words) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["predictor"] == "logistic" and [row["cutoff"][:10] for row in told["rows"]] == ["2024-03-28", "2024-04-04"]
    table = read_table(Home(tmp_path).dataset("shop").run_path("backtest") / "backtest.parquet").to_pylist()
    for row in table:
        with dataset.log().label_window(row["cutoff"], WEEK) as connection:
            sql = "SELECT count(DISTINCT user_id) FROM future WHERE event_type = 'purchase' AND user_id IN (SELECT user_id FROM history)"
            assert connection.execute(sql).fetchone() == (row["happened"],)
    assert main(words) == 0 and json.loads(capsys.readouterr().out)["reused"]
    assert main(["runs", "reproduce", told["run"], "--dataset", "shop", "--home", str(tmp_path), "--json"]) == 0
    again = json.loads(capsys.readouterr().out)
    assert again["equal"] and again["costs_in"] == [] and again["figures_equal"]
    assert main(["backtest", "--dataset", "shop", "--predictor", "oracle", "--home", str(tmp_path)]) == 2
    assert "no model of a back-test" in capsys.readouterr().err
