"""Questions from the command line: the same rows as the pages, on the part of the log that the options leave."""

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from core.__main__ import main
from core.errors import NotFoundError, RuleError
from core.pipeline import behaviour, outcomes, screens
from core.pipeline.behaviour import Filters, Funnel, Step
from core.pipeline.insight_tables import QUESTIONS, insight
from core.store import Home
from tests.page_worlds import tiny_home
from tests.worlds import at


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_home(tmp_path_factory.mktemp("asking"), users=60)


def told(home: Path, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, Any]]:
    status = main(["insights", *words, "--home", str(home), "--dataset", "tiny", "--json"])
    return status, json.loads(capsys.readouterr().out.strip().splitlines()[-1])


@pytest.mark.parametrize("question", sorted(set(QUESTIONS) - {"value"}))
def test_every_question_is_answered_with_its_rows_and_statement(question: str, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, found = told(home, capsys, question)
    assert status == 0 and found["sql"].startswith(("WITH", "SELECT")) and len(found["table"]) == found["rows"]
    assert bool(found["warnings"]) == (found["rows"] == 0), "an answer without rows says so"


def test_figures_of_an_empty_part_say_so(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, found = told(home, capsys, "overview", "--since", "2030-01-01")
    assert status == 0 and [row["events"] for row in found["table"]] == [0] and "No event of the part" in found["warnings"][0]


def test_a_question_below_its_gate_is_refused_with_both_numbers(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, found = told(home, capsys, "value")
    assert status == 2 and "500 buyers" in found["error"] and "30 buyers" in found["error"]


def test_the_command_line_tells_the_figures_of_the_page_on_the_same_part_of_the_log(
    home: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    here = screens.open_screen(Home(home), "tiny")
    asked = Funnel((Step("view", "C1"), Step("cart"), Step("purchase")))
    page = behaviour.funnel(here, Filters(event_types=("view", "cart", "purchase"), until=at(30)), asked).table["users"].to_pylist()
    options = ("--steps", "view:C1,cart,purchase", "--events", "view,cart,purchase", "--until", "2024-03-31")
    _status, found = told(home, capsys, "funnel", *options)
    assert [row["users"] for row in found["table"]] == page and page[0] > page[2] > 0
    out = tmp_path / "who.parquet"
    _status, found = told(home, capsys, "funnel", *options, "--step", "3", "--out", str(out))
    assert pq.read_table(out).num_rows == page[2] == found["rows"] and "table" not in found
    assert found["looked_at"].keys() == {"until", "event_types"} and found["looked_at"]["until"] == "2024-03-31 00:00:00"
    assert json.loads(pq.read_schema(out).metadata[b"looked_at"]) == found["looked_at"]


def test_an_audience_is_a_filter_and_filters_meet(home: Path) -> None:
    here = screens.open_screen(Home(home), "tiny")
    outcomes.save_audience(here, {"name": "few", "rule": {"users": ["u001", "u002", "u003"]}, "users": 3})
    asked = Funnel((Step("view"), Step("purchase")))
    assert behaviour.funnel(here, Filters(audience="few"), asked).table["users"].to_pylist() == [3, 2]
    assert behaviour.funnel(here, Filters(audience="few", segment=0), asked).table["users"].to_pylist() == [1, 0]


@pytest.mark.parametrize("words", [("retention", "--grain", "hour"), ("baskets", "--level", "brand")])
def test_an_option_that_does_not_suit_the_question_is_refused(
    words: tuple[str, ...], home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, found = told(home, capsys, *words)
    assert status == 2 and "does not suit this question" in found["error"] and words[2] in found["error"]


def test_what_does_not_exist_is_named(home: Path, tmp_path: Path) -> None:
    dataset = Home(home).dataset("tiny")
    with pytest.raises(NotFoundError, match="no audience 'nobody'"):
        insight(Home(home), dataset, "funnel", {"audience": "nobody"})
    with pytest.raises(RuleError, match="region=north"):
        insight(Home(home), dataset, "funnel", {"attribute": "north"})
    bare = tiny_home(tmp_path, users=4, runs=False)
    with pytest.raises(NotFoundError, match="no map yet"):
        insight(Home(bare), Home(bare).dataset("tiny"), "funnel", {"segment": 1})
