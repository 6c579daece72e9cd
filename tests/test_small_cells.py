"""Small cells: what is hidden, that nothing shown gives it away, and that every table of people takes this way."""

import csv
import inspect
import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from core.__main__ import main
from core.audiences.exports import ExportOptions
from core.errors import GateError, RuleError
from core.explain.fairness import compare_groups
from core.pipeline import behaviour, comparing, exporting, outcomes, reporting, screens, shoppers
from core.pipeline.behaviour import (
    NO_FILTERS,
    Drivers,
    Exposure,
    Filters,
    Funnel,
    Lifetime,
    Pairs,
    Paths,
    Retention,
    Rfm,
    Step,
)
from core.pipeline.cells import CELLS, told_change, told_forecast
from core.pipeline.map_cells import drawable, told_comparison
from core.pipeline.places import places
from core.pipeline.run_cells import told_run_table
from core.pipeline.screens import Screen
from core.report.bundle import report_zip
from core.report.html import report_html
from core.small_cells import HIDDEN, Cells, Rate, hidden_cells, hide, middle, money_unit, worded
from core.store import Home
from tests.test_pages_behaviour import shop
from tests.test_small_cells_steps import bounds

K = 20
STEPS = Funnel((Step("view"), Step("cart"), Step("purchase")))
SEVEN = Filters(audience="seven")
Ask = Callable[[Screen, Filters], Any]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = shop(tmp_path_factory.mktemp("cells"), users=120)
    here = screens.open_screen(Home(folder), "tiny")
    outcomes.save_audience(here, {"name": "seven", "rule": {"users": [f"u{n:03d}" for n in range(7)]}, "users": 7})
    return folder


@pytest.fixture(scope="module")
def here(home: Path) -> Screen:
    return screens.open_screen(Home(home), "tiny")


@pytest.fixture
def hiding(here: Screen) -> Screen:
    return replace(here, small_cells=K)


def asks() -> dict[str, Ask]:
    """Every question that the pages ask, by the name of its function."""
    b, whole = behaviour, lambda here: screens.period_of(here, None)
    return {
        "figures": lambda here, f: b.figures(here, f, whole(here)),
        "trend": lambda here, f: b.trend(here, f, whole(here), "week"),
        "event_mix": lambda here, f: b.event_mix(here, f, whole(here)),
        "products": lambda here, f: b.products(here, f, whole(here), "category"),
        "standing_out": lambda here, f: b.standing_out(here, f, whole(here), "item"),
        "open_carts": b.open_carts,
        "hours": lambda here, f: b.hours(here, f, whole(here), "all"),
        "funnel": lambda here, f: b.funnel(here, f, STEPS),
        "funnel_times": lambda here, f: b.funnel_times(here, f, STEPS),
        "retained": lambda here, f: b.retained(here, f, Retention()),
        "cohort_revenue": lambda here, f: b.cohort_revenue(here, f, Retention()),
        "rfm_grid": lambda here, f: b.rfm_grid(here, f, Rfm()),
        "rfm_cuts": lambda here, f: b.rfm_cuts(here, f, Rfm()),
        "stage_moves": lambda here, f: b.stage_moves(here, f, 28),
        "paths": lambda here, f: b.paths(here, f, Paths("view")),
        "step_matrix": lambda here, f: b.step_matrix(here, f, Paths("view")),
        "order_gaps": lambda here, f: b.order_gaps(here, f),
        "repeat_rates": lambda here, f: b.repeat_rates(here, f, 14),
        "bought_together": lambda here, f: b.bought_together(here, f, Pairs(least=1)),
        "by_position": lambda here, f: b.by_position(here, f, Exposure()),
        "dwell": lambda here, f: b.dwell(here, f, Exposure()),
        "drivers": lambda here, f: b.drivers(here, f, Drivers("cart", 7, 14)),
    }


NOT_OF_PEOPLE = {"facts": "rows by kind of event, not on screen", "segments": "who is where, not on screen"}
ELSEWHERE = {"what_changed", "judged", "forecast", "funnel_members", "rfm_members"}
"""Tested below."""


def test_every_question_of_the_pages_is_asked_here() -> None:
    """A new function that gives a table, or an answer, has to be added, and then has to hide."""
    kinds = ("Answer", "Table", "Change", "Forecast")
    found = {
        name
        for name, function in vars(behaviour).items()
        if inspect.isfunction(function) and function.__module__ == behaviour.__name__ and not name.startswith("_")
        if any(kind in str(inspect.signature(function).return_annotation) for kind in kinds)
    }
    assert found == {*asks(), *NOT_OF_PEOPLE, *ELSEWHERE}


@pytest.mark.parametrize("name", asks())
def test_each_table_tells_nothing_but_its_steps_and_hides_what_is_about_seven_shoppers(name: str, here: Screen) -> None:
    """Other counts of the same steps give the same table: rates, shares and intervals know no more than what is shown."""
    hiding, rng = replace(here, small_cells=K), np.random.default_rng(3)
    few = getattr(found := asks()[name](hiding, SEVEN), "table", found)
    counts = [column.name for column in few.schema if HIDDEN in (column.metadata or {})]
    assert counts, "nothing of it is declared a count"
    assert all(set(few[column].to_pylist()) <= {None, 0} for column in counts)
    if name in ("step_matrix", "standing_out"):  # made of links and of products, which are tables of their own
        return
    cells, exact = CELLS[name], _exact(asks()[name], hiding)
    assert set(exact.column_names) <= cells.names and hide(exact, cells, 0) is exact
    other = exact
    for column in {*cells.people, *cells.acts}:
        values = [_another(value, rng) for value in exact[column].to_pylist()]
        other = other.set_column(other.column_names.index(column), column, pa.array(values, exact.schema.field(column).type))
    told = hide(exact, cells, K)
    assert told.equals(hide(other, cells, K)) and (exact.num_rows == 0 or not exact.equals(other))
    shown = {value for column in counts for value in told[column].to_pylist()} - {None, 0}
    assert all(value >= K and value % K == K // 2 for value in shown)


def _exact(ask: Ask, here: Screen) -> pa.Table:
    """The exact table that is hidden: with the users whose acts it counts."""
    seen: list[pa.Table] = []
    kept = behaviour.told
    behaviour.told = lambda _screen, _name, answer: seen.append(answer.table) or answer  # type: ignore[func-returns-value]
    try:
        ask(here, NO_FILTERS)
    finally:
        behaviour.told = kept
    return seen[-1]


def _another(value: float | None, rng: np.random.Generator) -> float | None:
    if not value:
        return value
    low, high = bounds(middle(value, K))
    return int(rng.integers(low, high + 1))


def test_a_table_with_a_column_that_nobody_declared_is_not_shown() -> None:
    table = pa.table({"name": ["a"], "users": [100], "clients": [7]})
    with pytest.raises(AssertionError, match="clients"):
        hide(table, Cells(labels=("name",), people=("users",)), K)


def test_acts_money_and_medians_of_few_people_are_hidden_with_them() -> None:
    cells = Cells(
        labels=("name",),
        people=("users",),
        acts={"events": "users"},
        amounts={"revenue": "users"},
        typical={"days": "users"},
        beside={"items": "users"},
        rates={"rate": Rate("users", "events", "low", "high")},
    )
    exact = pa.table(
        {
            "name": ["many", "few", "none"],
            "users": [100, 7, 0],
            "events": [1000, 900, 0],
            "revenue": [1234.5, 99.0, 0.0],
            "days": [12.3456, 1.0, None],
            "items": [5, 3, 0],
            **{name: [0.5, 0.5, None] for name in ("rate", "low", "high")},
        }
    )
    rows = hide(exact, cells, K).to_pylist()
    assert rows[0] | {"rate": 0, "low": 0, "high": 0} == {
        "name": "many", "users": 110, "events": 1010, "revenue": 1200.0, "days": 12.3, "items": 5, "rate": 0, "low": 0, "high": 0,
    }  # fmt: skip
    assert rows[0]["rate"] == 110 / 1010
    assert {name for name, value in rows[1].items() if value is None} == set(exact.column_names) - {"name"}
    assert rows[2]["users"] == rows[2]["events"] == 0 and rows[2]["revenue"] == 0
    assert worded(hide(exact, cells, K))["users"].to_pylist() == ["110", "< 20", "0"] and hidden_cells(hide(exact, cells, K)) == 2
    assert hide(exact, cells, 0) is exact


def test_money_is_rounded_to_about_what_k_people_spend() -> None:
    assert [money_unit(np.array([total]), np.array([100.0]), K) for total in (500.0, 1234.5, 3.0)] == [100.0, 200.0, 0.5]
    assert money_unit(np.array([np.nan, 0.0]), np.array([0.0, 10.0]), K) == 1.0


def test_what_changed_is_worked_out_from_what_is_shown(hiding: Screen) -> None:
    period = screens.period_of(hiding, 28)
    before = screens.previous_period(hiding, period)
    assert before is not None
    exact = behaviour.what_changed(replace(hiding, small_cells=0), NO_FILTERS, before, period, "category")
    shown = behaviour.what_changed(hiding, NO_FILTERS, before, period, "category")
    assert exact is not None and shown is not None and told_change(replace(hiding, small_cells=0), exact) is exact
    rows = shown.answer.table.to_pylist()
    users = [row["users"] for row in rows]
    assert shown.conversion == pytest.approx(sum(row["buyers"] or 10 for row in rows) / sum(n or 10 for n in users))
    assert shown.conversion == pytest.approx(exact.conversion, abs=0.15) and shown.conversion != exact.conversion
    assert shown.effects["mix"] + shown.effects["rate"] == pytest.approx(shown.conversion - shown.conversion_before)
    few = behaviour.what_changed(hiding, SEVEN, before, period, "category")
    assert few is None or {row[name] for row in few.answer.table.to_pylist() for name in ("users", "mix", "rate")} <= {None, 0}


def test_lists_of_fewer_shoppers_are_refused_and_longer_ones_are_not(hiding: Screen) -> None:
    with pytest.raises(GateError, match="Fewer than 20 shoppers"):
        behaviour.funnel_members(hiding, SEVEN, STEPS, 1, stopped=False)
    with pytest.raises(GateError, match="Fewer than 20 shoppers"):
        behaviour.rfm_members(hiding, SEVEN, Rfm(), _group_of(replace(hiding, small_cells=0)))
    assert behaviour.funnel_members(hiding, NO_FILTERS, STEPS, 1, stopped=False).table.num_rows >= K


def _group_of(here: Screen) -> str:
    return str(behaviour.rfm_grid(here, SEVEN, Rfm()).table["rfm_group"][0])


def test_a_forecast_below_its_gate_does_not_say_how_many_buyers_there_are(hiding: Screen) -> None:
    with pytest.raises(GateError) as refused:
        behaviour.forecast(hiding, SEVEN, Lifetime())
    assert not any(sign.isdigit() for sign in str(refused.value))


def test_the_command_line_sets_it_hides_and_says_so(home: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    def said(*words: str) -> dict[str, Any]:
        assert main([*words, "--home", str(home), "--json"]) == 0
        return dict(json.loads(capsys.readouterr().out.strip().splitlines()[-1]))

    words = ("insights", "overview", "--dataset", "tiny", "--audience", "seven")
    assert said(*words)["table"][0]["users"] == 7 and said("privacy")["small_cells"] == "off"
    try:
        assert said("privacy", "--small-cells", "20")["small_cells"] == K
        told = said(*words)
        out = [said(*words, "--out", str(tmp_path / name))["out"] for name in ("o.csv", "o.parquet")]
    finally:
        assert said("privacy", "--small-cells", "off")["small_cells"] == "off"
    trail = [json.loads(line) for line in (home / "audit.jsonl").read_text("utf-8").splitlines()]
    assert [(row["before"], row["hidden_below"]) for row in trail if row["act"] == "small cells"][-2:] == [(0, K), (K, 0)]
    assert main(["privacy", "--small-cells", "1", "--home", str(home), "--json"]) == 2 and "from 2 to" in capsys.readouterr().out
    assert told["table"][0]["users"] == "< 20" and told["small_cells"] == K and told["hidden"] > 3 and told["table"][0]["revenue"] is None
    assert any("fewer than 20 shoppers are hidden" in warning for warning in told["warnings"])
    assert len(out) == 2 and (tmp_path / "o.csv").read_text("utf-8-sig").splitlines()[1].count("< 20") == told["hidden"]
    kept = pq.read_table(tmp_path / "o.parquet")
    assert kept["users"].to_pylist() == [None] and kept.schema.field("users").metadata[HIDDEN] == b"20"


def test_a_report_hides_says_so_and_an_earlier_one_that_shows_more_is_kept_back(home: Path, here: Screen) -> None:
    dataset = Home(home).dataset("tiny")
    open_ = reporting.make_report(Home(home), dataset, reporting.Asked(("funnel",), filters=SEVEN))["report"]
    assert reporting.report_file(here, open_, "report.zip")
    here = replace(here, small_cells=K)
    with pytest.raises(GateError, match="make it again"):
        reporting.report_file(here, open_, "report.zip")
    report = reporting.gather(here, reporting.Asked(("overview", "categories", "funnel"), filters=SEVEN))
    page = report_html(report, str, "en")
    assert "Counts of fewer than 20 shoppers are hidden" in page and "&lt; 20" in page
    with zipfile.ZipFile(io.BytesIO(report_zip(report, str))) as archive:
        figures = next(csv.DictReader(io.StringIO(archive.read("overview.figures.csv").decode("utf-8-sig"))))
        assert any("hidden" in fact for fact in json.loads(archive.read("contents.json"))["facts"])
    assert figures["users"] == figures["buyers"] == figures["events"] == "< 20" and figures["revenue"] == ""


def test_a_forecast_is_told_in_steps(hiding: Screen) -> None:
    bands = pa.table({"from_x": [0, 1], "buyers": [600, 7], "alive": [300.4, 6.0], "expected": [999.5, 7.5], "value": [6543.2, 70.0]})
    held = pa.table({"from_x": [None, 0], "buyers": [607, 600], "expected": [55.5, 50.0], "happened": [61.0, 60.0]})
    found = behaviour.Forecast(
        None, None, 607, 306.4, 1007.0, 900.0, 1100.0, 6613.2, 6000.0, 7000.0, 0.1, bands, held, 90, "SELECT 1"  # type: ignore[arg-type]
    )  # fmt: skip
    told = told_forecast(hiding, found)
    assert (told.buyers, told.alive, told.expected, told.value) == (610, 310, 1010, 6600)
    assert told.bands["buyers"].to_pylist() == [610, None] and told.bands["value"].to_pylist()[1] is None
    assert told.held_out["happened"].to_pylist() == [70, 70]


def test_tables_of_runs_tell_steps_and_nothing_of_a_row_about_few(hiding: Screen) -> None:
    bins = screens.run_table(hiding, "propensity", "reliability")
    assert bins is not None and bins.to_pylist()[0] | {"low": 0, "high": 0} == {
        "model": "propensity", "bin": 1, "n": 130, "mean_propensity": 0.4, "rate": 70 / 130, "low": 0, "high": 0, "smallest": 0.0,
        "largest": 0.9,
    }  # fmt: skip
    judged = screens.run_table(hiding, "propensity", "category_metrics", ["positives", "auc", "users"])
    assert judged is not None and judged.to_pydict() == {"positives": [None, None], "auc": [None, None], "users": [130, 130]}
    lift = screens.run_table(hiding, "propensity", "lift")
    assert lift is not None and set(lift["users"].to_pylist()) == {None} == set(lift["lift"].to_pylist())
    traits, key = shoppers.trait_table(hiding, fine=False)
    assert key == "segment_id" and traits is not None and traits.num_rows == 0, "each of three shoppers"
    assert sorted(shoppers.segments(hiding)["size"]) == [70, 70] and set(shoppers.subsegments(hiding)["share_of_segment"]) == {0.5}


def test_exported_tables_that_count_people_hide_and_the_log_itself_is_whole(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "EVENT_TABLES", {"users": exporting.EVENT_TABLES["users"]})  # the small world has no others
    told = exporting.export_tables(Home(home).dataset("tiny"), tmp_path, "csv", small_cells=K)
    assert any("the log itself" in warning for warning in told["warnings"])
    sizes = list(csv.DictReader((tmp_path / "segment_table.csv").read_text("utf-8-sig").splitlines()))
    assert {row["size"] for row in sizes} == {"70"} and {row["description"] for row in sizes} == {""}
    assert told["files"]["segment_traits"]["rows"] == 0 and told["files"]["users"]["rows"] == 120


def test_an_audience_of_seven_is_told_as_below_20_and_not_written(hiding: Screen, tmp_path: Path) -> None:
    found = outcomes.size(hiding, {"audience": "seven"}, holdout=0.5, cost=1.0, margin=9.0).size
    assert found.everyone.users is None and found.everyone.expected_buyers is None and found.holdout_users is None  # type: ignore[unreachable]
    assert any("< 20" in warning for warning in found.warnings) and not any("7" in warning for warning in found.warnings)
    with pytest.raises(RuleError, match="would hold < 20 users, fewer than the 20"):
        outcomes.export_to(hiding, "seven", {"audience": "seven"}, tmp_path / "x.csv", ExportOptions(holdout_share=0.0))
    _path, manifest = outcomes.export_to(hiding, "all", {"all": []}, tmp_path / "all.csv", ExportOptions(holdout_share=0.0))
    assert manifest["size"]["everyone"]["users"] == 130 and manifest["least_users"] == K
    assert outcomes.least_users(hiding) == K and outcomes.least_users(replace(hiding, small_cells=0)) == 0
    saved = outcomes.refresh_audiences(hiding)
    assert saved[0]["sizes"][-1]["users"] == 7, "what is kept stays exact"


def test_two_sides_of_the_map_are_compared_in_steps_and_not_when_one_is_small(hiding: Screen) -> None:
    everyone, known = places(hiding), comparing.known(hiding)
    assert known is not None
    left = everyone.segment_ids == 0
    exact = comparing.compare(everyone, known, left, ~left)
    told = told_comparison(exact, K)
    assert (told.left, told.right) == (70, 70) and told_comparison(exact, 0) is exact
    assert list(told.figures["measure"]) == list(exact.figures["measure"])
    with pytest.raises(GateError, match="One side has fewer than 20"):
        told_comparison(comparing.compare(everyone, known, everyone.around("u000", 7), left), K)
    drawn = drawable(everyone, K)
    assert [int(drawn[everyone.fine_ids == part].sum()) for part in (1, 2, 3, 4)] == [20] * 4, "of 30 each"


def test_groups_of_people_beside_each_other_are_told_from_steps() -> None:
    rng = np.random.default_rng(0)
    chances = rng.random(600) * 0.3
    names = ["a"] * 300 + ["b"] * 220 + ["c"] * 80
    exact = compare_groups("region", names, (rng.random(600) < chances).astype(np.float64), chances, 0.2, rng)
    rows = told_run_table("explanations", "groups", exact, K).to_pylist()
    assert [row["users"] for row in rows] == [310, 230, 90] and [row["positives"] is None for row in rows] == [False, False, True]
    for row, before in zip(rows, exact.to_pylist(), strict=True):
        if row["positives"] is None:
            assert row["rate"] is row["gap"] is row["gap_low"] is row["recall"] is None
        else:
            assert row["rate"] == row["positives"] / row["users"] and row["gap"] == pytest.approx(
                before["mean_propensity"] - row["rate"], abs=0.002
            )
