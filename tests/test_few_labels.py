"""Few labels: guarded guesses, clever questions, and answers to a question of one's own."""

import json
from pathlib import Path

import numpy as np
import pytest

from core.__main__ import main
from core.artifacts import read_table
from core.errors import GateError
from core.predictor.few_labels import choose_questions, few_labels
from core.predictor.matrix import Matrix
from core.store import Home
from tests.test_model_room import publish_people


def world(users: int, seed: int, strength: float = 2.0) -> tuple[Matrix, np.ndarray]:
    """Shoppers whose act follows the first of six features."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(users, 6))
    labels = (rng.random(users) < 1 / (1 + np.exp(-strength * values[:, 0]))).astype(float)
    return Matrix([f"u{n:05d}" for n in range(users)], [f"f{n}" for n in range(6)], values), labels


def test_each_way_stands_beside_labels_alone_with_the_interval_of_its_gain() -> None:
    (train, labels), (test, truth) = world(1500, 1), world(1500, 2)
    rows = few_labels(train, labels, test, truth, np.random.default_rng(3), labelled=(50, 200), draws=4).to_pylist()
    assert [(row["way"], row["labelled"]) for row in rows] == [("pseudo", 50), ("pseudo", 200), ("active", 50), ("active", 200)]
    assert all(row["gain"] == pytest.approx(row["auc"] - row["plain"]) and row["gain_low"] <= row["gain_high"] for row in rows)
    assert all(row["auc"] > 0.75 for row in rows) and all((row["accepted"] is None) == (row["way"] == "active") for row in rows)


def test_labels_that_were_not_asked_for_are_not_looked_at() -> None:
    (train, labels), (test, truth) = world(400, 1), world(300, 2)
    once = few_labels(train, labels, test, truth, np.random.default_rng(3), labelled=(400,), draws=1).to_pylist()
    assert once[1]["gain"] == pytest.approx(0, abs=1e-3), "with all labels there is nothing left to ask for"


def test_shuffled_labels_gain_nothing() -> None:
    (train, labels), (test, truth) = world(1000, 1), world(1000, 2)
    shuffled = np.random.default_rng(9).permutation(labels)
    rows = few_labels(train, shuffled, test, truth, np.random.default_rng(3), labelled=(100,), draws=6).to_pylist()
    assert all(row["gain_low"] < 0.1 and row["auc"] < 0.75 for row in rows)


def test_the_same_seed_gives_the_same_table() -> None:
    (train, labels), (test, truth) = world(300, 1), world(300, 2)
    one, two = (few_labels(train, labels, test, truth, np.random.default_rng(3), labelled=(50,), draws=2) for _ in range(2))
    assert one.equals(two)


def test_one_class_is_refused_with_both_numbers() -> None:
    (train, _), (test, truth) = world(100, 1), world(100, 2)
    with pytest.raises(GateError, match="3 of 100 act in training"):
        few_labels(train, np.r_[np.ones(3), np.zeros(97)], test, truth, np.random.default_rng(0))


def test_questions_are_the_least_sure_and_spread_over_groups() -> None:
    rng = np.random.default_rng(0)
    chances = rng.random(1000)
    inputs = np.repeat(np.eye(4, dtype=np.float32), 250, axis=0) * 9 + rng.normal(scale=0.1, size=(1000, 4)).astype(np.float32)
    picked = choose_questions(inputs, chances, 20, np.random.default_rng(1))
    assert len(set(picked.tolist())) == 20
    unsure = np.argsort(np.abs(chances - 0.5))[:100]
    assert set(picked.tolist()) <= set(unsure.tolist())
    assert set((picked // 250).tolist()) == {0, 1, 2, 3}
    first = choose_questions(inputs, None, 8, np.random.default_rng(1))
    assert set((first // 250).tolist()) == {0, 1, 2, 3}, "before there is a chance, every group is asked"
    assert len(choose_questions(inputs[:5], None, 20, np.random.default_rng(1))) == 5


def test_where_one_answer_is_rare_every_height_of_the_chance_is_asked_about() -> None:
    chances = np.random.default_rng(0).beta(1, 20, 1000)
    picked = choose_questions(np.zeros((1000, 2), np.float32), chances, 20, np.random.default_rng(1))
    heights = np.argsort(np.argsort(-chances))[picked] // 50
    assert heights.tolist() == list(range(20)), "one of each twentieth, the likeliest first"
    every = choose_questions(np.zeros((7, 2), np.float32), chances[:7], 20, np.random.default_rng(1))
    assert sorted(every.tolist()) == list(range(7))


def test_guesses_that_do_not_help_the_real_labels_are_not_let_in() -> None:
    (train, labels), (test, truth) = world(1000, 1), world(1000, 2)
    shuffled = np.random.default_rng(9).permutation(labels)
    rows = few_labels(train, shuffled, test, truth, np.random.default_rng(3), labelled=(200,), draws=8).to_pylist()
    assert rows[0]["way"] == "pseudo" and rows[0]["accepted"] < 0.9
    kept_out = few_labels(train, labels, test, truth, np.random.default_rng(3), labelled=(1000,), draws=2).to_pylist()[0]
    assert kept_out["accepted"] == 0 and kept_out["gain"] == kept_out["gain_low"] == kept_out["gain_high"] == 0, "nobody is left to guess"


def test_the_learning_curve_of_a_log_holds_all_its_labels_last(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    publish_people(tmp_path)
    words = ["learn", "--dataset", "shop", "--horizon", "7d", "--blocks", "counts", "--home", str(tmp_path), "--json"]
    assert main(words) == 0
    told = json.loads(capsys.readouterr().out)
    assert {row["positives"] for row in told["rows"]} == {50, 100, told["acted"][0]} and told["gate"] == 100
    few = read_table(Home(tmp_path).dataset("shop").run_path("learning") / "few.parquet").to_pylist()
    assert {row["labelled"] for row in few} == {50, 100, 200} and told["metrics"]["counts all"]["n"] == told["acted"][0]
