"""Few labels: guarded guesses, clever questions, and answers to a question of one's own."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from core.__main__ import main
from core.artifacts import read_table
from core.errors import FileError, GateError
from core.pipeline import asking
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


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("asking")
    publish_people(folder)
    return folder


COUNTS = ["--blocks", "counts", "--dataset", "shop", "--question", "buys often"]


def fill_in(file: Path) -> list[str]:
    """Answer as the world is made: two of three shoppers come often."""
    with file.open(encoding="utf-8-sig", newline="") as stream:
        rows = list(csv.DictReader(stream))
    for row in rows:
        row["answer"] = "yes" if int(row["user_id"][1:]) % 3 else "no"
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, ["user_id", "answer"], extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    return [row["user_id"] for row in rows]


def test_answers_come_back_as_scores_of_everybody_and_nobody_is_asked_twice(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second, out = tmp_path / "first.csv", tmp_path / "second.csv", tmp_path / "scores.csv"
    assert main(["ask", *COUNTS, "--count", "60", "--out", str(first), "--home", str(home), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["asked"] == 60
    asked = fill_in(first)
    assert main(["answer", *COUNTS, "--answers", str(first), "--out", str(out), "--home", str(home), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["answered"] == 60 and told["metrics"]["auc"]["value"] > 0.8 and told["metrics"]["auc"]["n"] == 60
    with out.open(encoding="utf-8-sig", newline="") as stream:
        scores = {row["user_id"]: float(row["score"]) for row in csv.DictReader(stream)}
    often = [score for user, score in scores.items() if int(user[1:]) % 3 and user not in asked]
    seldom = [score for user, score in scores.items() if not int(user[1:]) % 3 and user not in asked]
    assert len(scores) == 260 and np.mean(often) > np.mean(seldom) + 0.3
    assert main(["ask", *COUNTS, "--count", "20", "--out", str(second), "--home", str(home)]) == 0
    again = fill_in(second)
    assert len(again) == 20 and not set(again) & set(asked)
    unsure = np.mean([abs(scores[user] - 0.5) for user in again])
    assert unsure < np.mean([abs(score - 0.5) for user, score in scores.items() if user not in asked])


@pytest.mark.parametrize(
    ("text", "error", "told"),
    [
        ("user_id,answer\nu001,maybe\n", FileError, "Line 2"),
        ("user,answer\nu001,yes\n", FileError, "lacks the columns"),
        ("user_id,answer\nu001,yes\nu002,\n", GateError, "1 shoppers were answered with yes and 0 with no"),
        ("user_id,answer\n<b>x</b>,是\n", GateError, "0 shoppers were answered"),
        ("", FileError, "lacks the columns"),
    ],
)
def test_a_file_of_answers_that_says_nothing_is_refused(text: str, error: type[Exception], told: str, tmp_path: Path, home: Path) -> None:
    file = tmp_path / "answers.csv"
    file.write_text(text, encoding="utf-8")
    target = Home(home)
    with pytest.raises(error, match=told):
        asking.answer(target, target.dataset("shop"), question=f"other {told}", file=file, options=asking.ProfileOptions(("counts",)))


def test_a_file_of_another_encoding_is_refused(tmp_path: Path, home: Path) -> None:
    (tmp_path / "answers.csv").write_bytes("user_id,answer\nu1,是\n".encode("utf-16"))
    with pytest.raises(FileError, match="UTF-8"):
        asking.answer(Home(home), Home(home).dataset("shop"), question="x", file=tmp_path / "answers.csv",
                      options=asking.ProfileOptions(("counts",)))  # fmt: skip
