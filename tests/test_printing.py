"""What a terminal shows of a result."""

import json
import subprocess
import sys

import pytest

from core.printing import lines, show

RESULT = {
    "rows": 3,
    "share": 0.5,
    "tiny": 0.0000123,
    "none": [],
    "jobs": [{"name": "a", "seconds": 1.25, "on": True}, {"name": "long" * 30, "seconds": 100, "more": None}],
    "words": ["tea", 7],
    "inner": {"mean": {"low": 1, "high": 1234567.5}, "empty": {}},
}


def test_values_rows_and_parts_are_lines_and_every_row_has_its_cells_below_the_head() -> None:
    told = list(lines(RESULT))
    assert told[:3] == ["rows: 3", "share: 0.5", "tiny: 1.23e-05"]
    assert told[3:7] == [
        "jobs:",
        "  name" + " " * 58 + "seconds  on    more",
        "  a" + " " * 64 + "1.25  True     -",
        "  " + "long" * 14 + "lon…      100  -        -",
    ]
    assert told[7:] == ["words:", "  tea", "  7", "inner:", "  mean:", "    low: 1", "    high: 1234567.5"]


def test_figures_are_told_with_their_names_and_intervals_and_lists_without_brackets() -> None:
    figure = {"name": "auc", "value": 0.8790212345, "low": 0.861, "high": 0.8971, "n": 2464}
    rows = [{"run": "propensity-0001", "figures": [figure, {"name": "brier", "value": 0.12, "low": None, "high": None}]}]
    assert list(lines({"runs": rows}))[2].split("  ")[-1] == "auc 0.879 [0.861, 0.8971]; brier 0.12"
    told = list(
        lines({"figures": [{"name": "auc", "one": figure, "other": None}], "settings": [{"name": "models", "one": ["gru"], "two": []}]})
    )
    assert told[2].split() == ["auc", "0.879", "[0.861,", "0.8971]", "-"] and told[-1].split() == ["models", "gru", "-"]


def test_as_json_everything_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    show(RESULT, as_json=True)
    assert json.loads(capsys.readouterr().out) == json.loads(json.dumps(RESULT))


def test_a_reader_who_has_read_enough_is_no_error() -> None:
    many = "from core.printing import show; show({'rows': list(range(100000))}, as_json=False)"
    piped = f'{sys.executable} -c "{many}" | head -1; echo ${{PIPESTATUS[0]}}'
    done = subprocess.run(["bash", "-c", piped], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("rows:\n0\n", "")
