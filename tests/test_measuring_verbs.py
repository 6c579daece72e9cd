"""Answers to a question of one's own, asked for and taken in on the command line."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from core.__main__ import main
from core.errors import FileError, GateError
from core.pipeline import answering
from core.store import Home
from tests.test_model_room import publish_people


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
        answering.answer(target, target.dataset("shop"), question=f"other {told}", file=file, options=answering.ProfileOptions(("counts",)))


def test_a_file_of_another_encoding_is_refused(tmp_path: Path, home: Path) -> None:
    (tmp_path / "answers.csv").write_bytes("user_id,answer\nu1,是\n".encode("utf-16"))
    with pytest.raises(FileError, match="UTF-8"):
        answering.answer(Home(home), Home(home).dataset("shop"), question="x", file=tmp_path / "answers.csv",
                      options=answering.ProfileOptions(("counts",)))  # fmt: skip
