"""Counts with noise that are given away: what the file says of itself, what it spends, and what is refused."""

import csv
import json
from fractions import Fraction
from pathlib import Path
from random import Random
from typing import Any

import duckdb
import pandas as pd
import pyarrow.parquet as pq
import pytest
from streamlit.testing.v1 import AppTest

from core.__main__ import main
from core.errors import CoreError, NotFoundError, RuleError, StorageError
from core.noise import noise_bound
from core.pipeline import screens, sharing
from core.pipeline.screens import Screen
from core.pipeline.sharing import Sharing, epsilon_spent, exact_tables, share
from core.store import Home
from tests.page_worlds import tiny_home
from tests.test_pages_report import opened

ALL = ("segments", "stages", "rfm", "categories", "attribute:region")


@pytest.fixture
def here(tmp_path: Path) -> Screen:
    return screens.open_screen(Home(tiny_home(tmp_path / "home", users=30)), "tiny")


def rows_of(path: Path) -> list[dict[str, Any]]:
    return pd.read_csv(path, comment="#", keep_default_na=False).to_dict("records")


def test_two_files_differ_by_noise_alone(here: Screen, tmp_path: Path) -> None:
    one, two = tmp_path / "one.csv", tmp_path / "two.csv"
    found = share(here, Sharing("1", ALL), one)
    assert share(here, Sharing("1", ALL), two)["sha256"] != found["sha256"]
    first, second = rows_of(one), rows_of(two)
    keys = ("table", "group", "name", "bought")
    assert [[row[key] for key in keys] for row in first] == [[row[key] for key in keys] for row in second]
    assert any(a["shoppers"] != b["shoppers"] for a, b in zip(first, second, strict=True)), "some 45 draws"
    bounds = {row["table"]: row["high"] - row["shoppers"] for row in first}
    assert bounds["segments"] == noise_bound(Fraction(1, 5)) and bounds["categories"] == noise_bound(Fraction(1, 15))


def test_noise_is_what_is_added_to_the_exact_counts_and_groups_without_anybody_are_there(here: Screen, tmp_path: Path) -> None:
    share(here, Sharing("10", ("stages",)), tmp_path / "a.csv", Random(3))
    exact = exact_tables(here, Sharing("10", ("stages",)))[0]
    rows = rows_of(tmp_path / "a.csv")
    assert [row["group"] for row in rows] == [stage for stage in ("new", "active", "slipping", "away") for _bought in "ny"]
    truth = [exact.counts.get((row["group"], row["bought"]), 0) for row in rows]
    assert sum(truth) == 30 and 0 in truth
    assert all(abs(row["shoppers"] - count) <= 1 for row, count in zip(rows, truth, strict=True)), "e^-20 for more"
    blurred = [
        share(here, Sharing("0.01", ("stages",)), tmp_path / "b.csv", Random(seed)) and rows_of(tmp_path / "b.csv") for seed in (1, 2)
    ]
    assert any(row["shoppers"] < 0 for rows in blurred for row in rows), "nothing is cut off at 0"


def test_the_header_is_read_back_from_csv_and_parquet(here: Screen, tmp_path: Path) -> None:
    found = share(here, Sharing("0.5", ALL), tmp_path / "a.csv")
    lines = (tmp_path / "a.csv").read_text(encoding="utf-8-sig").splitlines()
    told = dict(line.removeprefix("# ").split(": ", 1) for line in lines if line.startswith("# "))
    assert told == found["header"] and told["epsilon"] == "0.5" and told["version"] == here.version and told["cutoff"] == "2024-03-21 UTC"
    assert told["segments"].startswith("epsilon 0.1, sensitivity 1,") and "sensitivity 3," in told["categories"]
    assert "discrete Laplace" in told["mechanism"] and "Files add up" in told["not_protected"]
    assert next(csv.reader(lines[len(told) :])) == sharing.SCHEMA.names
    read = duckdb.sql(f"SELECT * FROM read_csv('{tmp_path / 'a.csv'}', comment = '#')").fetchall()
    assert len(read) == found["rows"] == len(rows_of(tmp_path / "a.csv"))
    found = share(here, Sharing("0.5", ALL), tmp_path / "a.parquet")
    table = pq.read_table(tmp_path / "a.parquet")
    assert {key.decode(): value.decode() for key, value in table.schema.metadata.items() if key != b"ARROW:schema"} == found["header"]
    assert table.schema.remove_metadata().equals(sharing.SCHEMA) and found["header"]["epsilon_spent"] == "1"


def test_what_was_spent_adds_up_in_the_audit_trail_for_each_dataset(here: Screen, tmp_path: Path) -> None:
    home = Home(here.home)
    assert epsilon_spent(home, "tiny") == 0
    for number, epsilon in enumerate(("0.1", "0.2")):
        share(here, Sharing(epsilon, ("rfm",)), tmp_path / f"{number}.csv")
    assert epsilon_spent(home, "tiny") == Fraction(3, 10) and epsilon_spent(home, "other") == 0
    entry = home.audit_trail()[-1]
    assert (entry["act"], entry["epsilon"], entry["tables"], entry["file"]) == ("share", "0.2", ["rfm"], "1.csv")
    assert share(here, Sharing("10", ("rfm",)), tmp_path / "c.csv")["warnings"][0].values == {"spent": "10.3"}


def test_a_damaged_audit_trail_lets_nothing_out(here: Screen, tmp_path: Path) -> None:
    trail = here.home / "audit.jsonl"
    for damage in ('{"act": "sha', '{"act": "share", "dataset": "tiny", "epsilon": "-5"}', '{"act": "share", "dataset": "tiny"}'):
        trail.write_text(f"{damage}\n", encoding="utf-8")
        with pytest.raises(StorageError, match=r"[Aa]udit trail"):
            share(here, Sharing(), tmp_path / "a.csv")
    assert not list(tmp_path.glob("*a.csv"))


def test_what_cannot_be_written_leaves_nothing_and_says_so(here: Screen, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot be written"):
        share(here, Sharing(), tmp_path / "nowhere" / "a.csv")
    (tmp_path / "a.csv").mkdir()
    with pytest.raises(StorageError, match="cannot be written"):
        share(here, Sharing("1"), tmp_path / "a.csv")
    assert epsilon_spent(Home(here.home), "tiny") == 1 and not list(tmp_path.glob(".*a.csv")), "counted before it goes out"


@pytest.mark.parametrize(
    ("asked", "error", "words"),
    [
        (Sharing("0"), RuleError, "Epsilon"),
        (Sharing("10.5"), RuleError, "Epsilon"),
        (Sharing(tables=("shoes",)), RuleError, "no table 'shoes'"),
        (Sharing(tables=("attribute:age",)), RuleError, "it has region"),
        (Sharing(tables=('attribute:region" FROM users --',)), RuleError, "no column"),
        (Sharing(tables=()), RuleError, "Nothing is asked"),
        (Sharing(each=0), RuleError, "1 to 20"),
        (Sharing(tables=("segments",)), NotFoundError, "no map"),
    ],
)
def test_what_cannot_be_shared_is_refused(asked: Sharing, error: type[CoreError], words: str, tmp_path: Path) -> None:
    here = screens.open_screen(Home(tiny_home(tmp_path / "home", users=4, runs=False)), "tiny")
    with pytest.raises(error, match=words):
        share(here, asked, tmp_path / "a.csv")
    assert not (tmp_path / "a.csv").exists() and epsilon_spent(Home(here.home), "tiny") == 0


def test_hidden_small_counts_stay_hidden(here: Screen, tmp_path: Path) -> None:
    Home(here.home).save_small_cells(20)
    hiding = screens.open_screen(Home(here.home), "tiny")
    header = share(hiding, Sharing("10", ("rfm",)), tmp_path / "a.csv", Random(1))["header"]
    rows = rows_of(tmp_path / "a.csv")
    assert {str(row["shoppers"]) for row in rows} <= {"0", "< 20"} and "< 20" in {row["shoppers"] for row in rows}
    assert all(row["low"] == "" for row in rows if row["shoppers"] == "< 20") and "below 20" in header["small_cells"]


def test_the_command_tells_the_sum_in_english_and_the_file_speaks_chinese(
    here: Screen, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "a.csv"
    words = ["share", "--home", str(here.home), "--dataset", "tiny", "--epsilon", "0.25", "--tables", "stages,segments", "--out", str(out)]
    assert main([*words, "--language", "zh", "--json"]) == 0
    told = json.loads(capsys.readouterr().out.strip().splitlines()[-1])
    assert (told["epsilon"], told["epsilon_spent"]) == ("0.25", "0.25")
    assert "离散拉普拉斯" in told["header"]["mechanism"] and "不在地图上" in out.read_text(encoding="utf-8")
    assert main([*words, "--epsilon", "11", "--json"]) == 2
    assert "0.001 to 10" in json.loads(capsys.readouterr().out.strip().splitlines()[-1])["error"]


def test_the_page_writes_a_file_and_shows_what_was_spent(here: Screen, monkeypatch: pytest.MonkeyPatch) -> None:
    app: AppTest = opened(here.home, monkeypatch, "report")
    assert any("so far: 0." in text.value.replace("\\", "") for text in app.caption)
    app.number_input(key="share-epsilon").set_value(0.5)
    app.button(key="share-make").click().run()
    assert not app.exception and any("so far: 0.5." in text.value.replace("\\", "") for text in app.caption)
    files = list((here.dataset.path / "exports").glob("share-*.csv"))
    assert len(files) == 1 and b"# epsilon: 0.5\n" in files[0].read_bytes()
    (here.home / "audit.jsonl").write_text("{", encoding="utf-8")
    app.button(key="share-make").click().run()
    assert not app.exception and [error for error in app.error if "restore the audit trail" in error.value]
    assert len(list((here.dataset.path / "exports").glob("share-*.csv"))) == 1
