"""`runs …` on the command line: one put on screen, one refused, the way back."""

import json
from pathlib import Path
from typing import Any

import pytest

from core.__main__ import main
from core.artifacts import read_json
from core.errors import NotFoundError, StorageError
from core.pipeline import model_room
from core.store import Dataset, Home
from tests.test_model_room import publish_people
from tests.worlds import at


def publish_empty(dataset: Dataset, version: str = "v0001", cutoff: Any = None) -> str:
    with dataset.new_run("propensity", inputs={"version": version}, config={"n": len(dataset.runs("propensity"))}, cutoff=cutoff) as draft:
        pass
    return draft.run_id


def test_a_run_is_put_on_screen_and_rolled_back_step_by_step(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home, made = Home(tmp_path), publish_people(tmp_path, users=3)
    one, two, three = (publish_empty(made) for _ in range(3))
    model_room.use(home, made, one)
    assert made.current()["runs"]["propensity"] == one and made.runs_before("propensity") == [one, two, three]
    assert model_room.roll_back(home, made, "propensity").run == three
    assert model_room.roll_back(home, made, "propensity").run == two
    assert main(["runs", "rollback", "propensity", "--dataset", "shop", "--home", str(tmp_path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["run"] == one and made.runs_before("propensity") == []
    with pytest.raises(NotFoundError, match="No earlier propensity"):
        model_room.roll_back(home, made, "propensity")
    acts = [json.loads(line)["act"] for line in (tmp_path / "audit.jsonl").read_text().splitlines()]
    assert acts == ["use run", "roll back", "roll back", "roll back"]


def test_a_run_of_other_data_as_of_a_cutoff_or_damaged_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home, made = Home(tmp_path), publish_people(tmp_path, users=3)
    old = publish_empty(made)
    publish_people(tmp_path, users=4)
    new, early = publish_empty(made, "v0002"), publish_empty(made, "v0002", at(9))
    assert main(["runs", "use", old, "--dataset", "shop", "--home", str(tmp_path)]) == 2
    assert "was made from data v0001, but v0002 is on screen" in capsys.readouterr().err
    with pytest.raises(NotFoundError, match="as if the log ended"):
        model_room.use(home, made, early)
    assert model_room.roll_back(home, made, "propensity").run == new
    with pytest.raises(NotFoundError, match="No earlier"):  # the one left is of v0001
        model_room.roll_back(home, made, "propensity")
    assert made.current()["runs"]["propensity"] == new and model_room.facts(made, new).current


def test_a_damaged_run_is_not_put_on_screen(tmp_path: Path) -> None:
    made = publish_people(tmp_path, users=3)
    with made.new_run("blocks", inputs={"version": "v0001"}, config={}, cutoff=None, make_current=False) as draft:
        (draft.path / "note.txt").write_text("whole")
    (made.run_path("blocks", draft.run_id) / "note.txt").write_text("maimed")
    with pytest.raises(StorageError, match="damaged"):
        model_room.use(Home(tmp_path), made, draft.run_id)
    assert made.current()["runs"] == {}


def test_pointers_of_a_dataset_from_before_there_was_a_way_back_are_understood(tmp_path: Path) -> None:
    made = publish_people(tmp_path, users=3)
    one = publish_empty(made)
    pointers = read_json(made.path / "CURRENT")
    assert "before" not in pointers and made.runs_before("propensity") == []
    assert publish_empty(made) and made.runs_before("propensity") == [one]


def test_runs_are_listed_newest_first_and_by_kind(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = publish_people(tmp_path, users=3)
    one, two = publish_empty(made), publish_empty(made)
    with made.new_run("blocks", inputs={"version": "v0001"}, config={}, cutoff=None):
        pass
    assert main(["runs", "list", "--dataset", "shop", "--kind", "propensity", "--home", str(tmp_path), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["runs"]
    assert [(run["run"], run["current"]) for run in told] == [(two, True), (one, False)]
    assert main(["runs", "list", "--dataset", "shop", "--home", str(tmp_path)]) == 0
    assert "blocks-0001" in capsys.readouterr().out
