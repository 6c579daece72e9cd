"""The verb `report`: three files beside the runs, and a copy of them."""

import json
from pathlib import Path

import pytest

from core.__main__ import main
from core.errors import NotFoundError
from core.pipeline import reporting, screens
from core.store import Home
from tests.page_worlds import tiny_home


def test_the_command_keeps_a_report_beside_the_runs_and_copies_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home = tiny_home(tmp_path / "home", runs=False)
    words = [
        "report",
        "--home",
        str(home),
        "--dataset",
        "tiny",
        "--json",
        "--sections",
        "funnel",
        "--title==1+1",
        "--out",
        str(tmp_path / "r"),
    ]
    assert main(words) == 0
    told = json.loads(capsys.readouterr().out.strip().splitlines()[-1])
    here = screens.open_screen(Home(home), "tiny")
    assert told["report"] in reporting.reports(here.dataset) and told["figures"] == ["funnel.steps"]
    assert reporting.report_record(here, told["report"])["title"] == "=1+1"
    for name in reporting.FILES:
        assert reporting.report_file(here, told["report"], name) == (tmp_path / "r" / name).read_bytes()
    with pytest.raises(NotFoundError):
        reporting.report_file(here, told["report"], "../../current.json")
    with pytest.raises(NotFoundError):
        reporting.report_record(here, "../runs")
