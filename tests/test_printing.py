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


def test_as_json_everything_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    show(RESULT, as_json=True)
    assert json.loads(capsys.readouterr().out) == json.loads(json.dumps(RESULT))


def test_a_reader_who_has_read_enough_is_no_error() -> None:
    many = "from core.printing import show; show({'rows': list(range(100000))}, as_json=False)"
    piped = f'{sys.executable} -c "{many}" | head -1; echo ${{PIPESTATUS[0]}}'
    done = subprocess.run(["bash", "-c", piped], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("rows:\n0\n", "")
