"""The verb `uplift` on a tiny shop: a run is kept, nothing after the start is in what is compared, and a second asking finds it again."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.__main__ import main
from core.artifacts import read_table
from core.errors import FileError
from core.pipeline import screens, treatments
from core.store import Home
from tests.page_worlds import tiny_home
from tests.test_pages import open_page, words
from tests.worlds import at, publish_world

START = 20.0


def publish_shop(home: Path, *, later: bool = False) -> Path:
    """300 shoppers who view at random, every other one treated on day 20; treated ones buy more after it. Returns the file of the treated.

    With `later`, everybody also acts in the label window, once each, in another way.
    """
    rng, events = np.random.default_rng(2), []
    for user in range(300):
        for day in rng.uniform(0, 30, 6):
            events.append((user, float(day), "view"))
        if rng.random() < (0.7 if user % 2 else 0.3):
            events.append((user, START + 1 + user / 100, "purchase"))
        if rng.random() < 0.4:
            events.append((user, 15 + user / 100, "purchase"))
        if later:
            events.append((user, 25.0, "cart"))
    events.sort(key=lambda event: event[1])
    publish_world(
        home,
        [{"user_id": f"u{user:03d}", "event_type": kind, "event_time": at(day), "item_id": "i1"} for user, day, kind in events],
        dataset="shop",
    )
    file = home / "treated.csv"
    with file.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([["user_id", "treated"], *([f"u{user:03d}", user % 2] for user in range(300)), ["stranger", 1]])
    return file


def asked(home: Path, file: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    verb = [
        "uplift",
        "--dataset",
        "shop",
        "--treatment",
        str(file),
        "--start",
        "2024-03-21",
        "--horizon",
        "7d",
        "--home",
        str(home),
        "--json",
    ]
    assert main(verb) == 0
    told: dict[str, Any] = json.loads(capsys.readouterr().out)
    return told


def test_the_verb_keeps_a_run_and_features_see_nothing_from_the_start_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    told = {}
    for name, later in (("a", False), ("b", True)):
        (tmp_path / name).mkdir()
        told[name] = asked(tmp_path / name, publish_shop(tmp_path / name, later=later), capsys)
    found = told["a"]
    assert (
        found["balanced"]
        and 0 < found["metrics"]["effect"]["low"] < 0.4
        and "1 treated shoppers have no act" in " ".join(found["warnings"])
    )
    for table in ("balance", "overlap"):
        one, other = (read_table(Home(tmp_path / n).dataset("shop").run_path("uplift") / f"{table}.parquet") for n in ("a", "b"))
        assert one.equals(other), "an act after the start moved what is known of before it"
    again = asked(tmp_path / "a", tmp_path / "a" / "treated.csv", capsys)
    assert again["reused"] and again["run"] == found["run"]
    assert main(["runs", "list", "--dataset", "shop", "--home", str(tmp_path / "a"), "--json"]) == 0
    run = json.loads(capsys.readouterr().out)["runs"][0]
    assert run["kind"] == "uplift" and "--treatment treated.csv" in run["command"] and run["not_again"]


@pytest.mark.parametrize(("start", "told"), [("2024-02-01", "before the start"), ("2024-03-29", "Give a start on or before")])
def test_a_start_that_does_not_fit_the_log_is_refused_by_its_name(
    start: str, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    verb = ["uplift", "--dataset", "shop", "--treatment", str(publish_shop(tmp_path)), "--horizon", "7d", "--home", str(tmp_path)]
    assert main([*verb, "--start", start]) == 2
    error = capsys.readouterr().err
    assert told in error and "cutoff" not in error


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_the_page_says_what_to_log_and_draws_an_effect_once_it_is_measured(
    lang: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tiny_home(tmp_path)
    before = open_page("propensity", home, monkeypatch, lang)
    assert not before.exception and "`treated`" in words(before) and "Qini" not in [metric.label for metric in before.metric]
    publish_effect(home)
    after = open_page("propensity", home, monkeypatch, lang)
    assert not after.exception and not after.error
    shown = {metric.label: metric.value for metric in after.metric}
    assert "Qini" in shown and ("+12.00" in str(shown.get("Effect for each shopper")) or lang == "zh")


def publish_effect(home: Path) -> None:
    """Publish an effect with made-up but consistent figures."""
    import pyarrow as pa

    from core.artifacts import write_table
    from core.messages import say

    dataset = Home(home).dataset("tiny")
    figure = {"value": 0.12, "low": 0.05, "high": 0.2, "n": 200}
    config = {"treatment": "t.csv", "campaign": "<b>8</b>", "start": "2024-03-21T00:00:00", "act": "purchase", "horizon_hours": 168.0}
    with dataset.new_run("uplift", inputs={"version": dataset.current()["version"]}, config=config, cutoff=None) as draft:
        depth = [0.0, 0.5, 1.0]
        write_table(draft.path / "curve.parquet", pa.table({"depth": depth, "gain": depth, "low": depth, "high": depth, "random": depth}))
        gaps = {"feature": ["events_all"], "treated": [1.0], "others": [0.5], "difference": [0.4], "weighed": [0.01]}
        write_table(draft.path / "balance.parquet", pa.table(gaps))
        write_table(draft.path / "overlap.parquet", pa.table({"low": [0.0], "high": [1.0], "treated": [100], "others": [100]}))
        part = {"part": [1], "users": [200], "treated": [100], "foretold": [0.1], "effect": [0.12], "low": [0.0], "high": [0.2]}
        write_table(draft.path / "tenths.parquet", pa.table(part | {"outcome_treated": [0.5], "outcome_others": [float("nan")]}))
        write_table(draft.path / "shoppers.parquet", pa.table({"user_id": ["u001"], "uplift": [0.1]}))
        names = ("effect", "plain", "told_apart", "x qini", "t qini", "x auuc", "t auuc")
        draft.record |= {
            "users": 200, "treated": 100, "act": "purchase", "balanced": False, "outside": 0.1, "as_large": 1, "shuffles": 20,
            "metrics": dict.fromkeys(names, figure), "sentences": [say("shuffling who was treated")], "warnings": [],
        }  # fmt: skip


def test_a_file_of_the_page_is_kept_under_our_name_and_another_kind_refused(tmp_path: Path) -> None:
    here = screens.open_screen(Home(tiny_home(tmp_path)), "tiny")
    kept = treatments.keep_treatment(here, "treatment", "../../who?.CSV", b"user_id\n")
    assert kept == here.dataset.path / "exports" / "treatment.csv" and kept.read_bytes() == b"user_id\n"
    with pytest.raises(FileError, match=r"not '\.exe'"):
        treatments.keep_treatment(here, "treatment", "a.exe", b"")
