"""Profit by depth: sums that fit in the head, a band that holds, and an audience of the very shoppers that were counted."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import duckdb
import numpy as np
import pytest

from core.insights.profit import affordable, expect, measure_gains, taken_at, worth_contacting
from core.pipeline import outcomes, screens, targeting, worth
from core.pipeline.screens import Screen
from core.store import Home
from tests.page_worlds import tiny_home
from tests.test_pages import open_page, words

ASKED = {"depth": 0.2, "cost": 2.0, "margin": 10.0, "budget": 33.0}


@pytest.fixture(scope="module")
def screen(tmp_path_factory: pytest.TempPathFactory) -> Screen:
    return screens.open_screen(Home(tiny_home(tmp_path_factory.mktemp("profit"), users=240)), "tiny")


def test_profit_is_margin_of_the_buyers_found_less_the_cost_of_those_taken() -> None:
    labels, chances = np.array([1.0, 0, 1, 0]), np.array([0.9, 0.8, 0.7, 0.1])
    found = measure_gains(labels, chances, list("abcd"), np.random.default_rng(0))
    at = {round(d, 2): place for place, d in enumerate(found.depth.tolist())}
    assert found.buyers[[at[0.25], at[0.5], at[0.75], at[1.0]]].tolist() == [1, 1, 2, 2]
    value, _low, _high = found.profit(cost=3.0, margin=10.0, users=4)
    assert value[[at[0.25], at[0.5], at[0.75], at[1.0]]].tolist() == [7, 4, 11, 8]
    assert found.profit(cost=3.0, margin=10.0, users=40)[0][at[1.0]] == 80


def test_equal_chances_are_taken_in_the_order_of_user_ids() -> None:
    labels = np.array([0.0, 1.0])
    by_id = measure_gains(labels, np.array([0.5, 0.5]), ["b", "a"], np.random.default_rng(0))
    assert by_id.buyers[49] == 1


def test_the_band_holds_the_measured_line_and_the_same_seed_gives_the_same_band() -> None:
    rng = np.random.default_rng(1)
    chances = rng.random(500)
    labels = (rng.random(500) < chances).astype(float)
    ids = [f"u{n:03d}" for n in range(500)]
    one, two = (measure_gains(labels, chances, ids, np.random.default_rng(7)) for _ in range(2))
    assert np.array_equal(one.low, two.low) and (one.low <= one.buyers).all() and (one.buyers <= one.high).all()
    # at full depth the band is that of a count of 500 draws
    sd = np.sqrt(500 * labels.mean() * (1 - labels.mean()))
    assert one.high[-1] - one.low[-1] == pytest.approx(2 * 1.96 * sd, rel=0.15)


def test_a_chance_is_worth_its_contact_from_cost_over_margin_on() -> None:
    chances = np.array([0.9, 0.21, 0.2, 0.19, 0.01])
    assert worth_contacting(chances, cost=2.0, margin=10.0) == 3
    assert worth_contacting(chances, cost=0.0, margin=10.0) == 5 and worth_contacting(chances, cost=2.0, margin=0.0) == 0
    # nobody beyond break-even adds to the expected profit, everybody before it does
    profits = [expect(chances, n, 0.0).profit(2.0, 10.0)[0] for n in range(6)]
    assert np.argmax(profits) == 2 and profits[2] == pytest.approx(profits[3])


def test_expected_buyers_carry_chance_and_calibration_error() -> None:
    found = expect(np.array([0.5, 0.5, 0.1]), 2, calibration_error=0.1)
    assert (found.users, found.buyers, found.smallest) == (2, 1.0, 0.5)
    assert found.sd == pytest.approx(np.sqrt(0.5)) and found.calibration == pytest.approx(0.2)
    assert found.low == 0.0 and found.high == 2.0


def test_a_budget_reaches_so_many_shoppers_and_a_depth_rounds_up() -> None:
    assert affordable(100, 0.5, 10) == 20 and affordable(100, 0.5, 1000) == 100 and affordable(100, 0, 1) == 100
    assert affordable(100, 0.1, 0.3) == 3
    assert [taken_at(100, d) for d in (0.07, 0.5, 1.0)] == [7, 50, 100] and taken_at(9, 0.2) == 2 and taken_at(0, 0.5) == 0


@pytest.mark.parametrize("way", worth.WAYS)
def test_the_saved_audience_has_the_size_and_the_expected_buyers_of_the_way(screen: Screen, way: str) -> None:
    sent = worth.save(screen, f"by {way}", way, **ASKED)
    taken = sent.everyone.users
    assert 0 < taken < 240 and sent.exported == sent.everyone and sent.holdout_users == 0
    expected = worth.expected(screen, taken)
    saved = next(record for record in outcomes.saved_audiences(screen) if record["name"] == f"by {way}")
    _path, manifest = targeting.export_file(screen, saved, form="csv", hashed=False, contacts={}, calling_code="")
    size = SimpleNamespace(**manifest["size"]["exported"])
    assert manifest["rows"] == taken
    assert (size.users, saved["users"]) == (taken, taken)
    assert (size.expected_buyers, size.sd) == (pytest.approx(expected.buyers), pytest.approx(expected.sd))
    assert (size.low, size.high) == (pytest.approx(expected.low), pytest.approx(expected.high))
    assert size.expected_value == pytest.approx(expected.profit(2.0, 10.0)[0])


@pytest.mark.parametrize("percent", [1, 7, 29, 57, 99, 100])
def test_every_depth_of_the_slider_takes_as_many_as_its_rule(screen: Screen, percent: int) -> None:
    asked = {**ASKED, "depth": percent / 100}
    rule = worth.rule(screen, "depth", **asked)
    users = outcomes.size(screen, rule, holdout=0.1, cost=0, margin=0).size.everyone.users
    assert users == worth.reach(screen, "depth", **asked) == outcomes.expected_at(screen, percent / 100).users


def test_the_profit_curve_agrees_with_plain_sql(screen: Screen) -> None:
    curve = worth.profit_curve(screen, 2.0, 10.0)
    scores = screen.dataset.run_path("propensity") / "scores.parquet"
    sql = """WITH r AS (SELECT propensity, row_number() OVER (ORDER BY propensity DESC, user_id) AS rk FROM read_parquet($path))
             SELECT 10 * sum(propensity) - 2 * count(*) FROM r WHERE rk <= ceil(240 * 0.3)"""
    found = duckdb.connect().execute(sql, {"path": str(scores)}).fetchone()
    assert found is not None and curve["expected"][29] == pytest.approx(found[0])
    assert (curve["low"] <= curve["measured"]).all() and (curve["measured"] <= curve["high"]).all()


def test_who_they_are_adds_up_to_those_taken(screen: Screen) -> None:
    found = worth.who(screen, 48)
    for kind in ("band", "segment"):
        part = found[found["kind"] == kind]
        assert part["users"].sum() == 48 and part["share"].sum() == pytest.approx(1) and part["all_share"].sum() == pytest.approx(1)
        assert part["buyers"].sum() == pytest.approx(worth.expected(screen, 48).buyers)
    assert not len(worth.who(screen, 0))


def test_the_page_saves_the_depth_of_the_slider_as_an_audience(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tiny_home(tmp_path, users=240)
    app = open_page("propensity", home, monkeypatch)
    app.slider(key="depth").set_value(30).run()
    app.number_input(key="profit-margin").set_value(10.0).run()
    app.number_input(key="profit-cost").set_value(2.0).run()
    assert not app.exception and "In the test window, scaled to the 240 shoppers" in words(app)
    app.button(key="profit-save").click().run()
    assert not app.exception
    (saved,) = outcomes.saved_audiences(screens.open_screen(Home(home), "tiny"))
    assert saved["users"] == 72 and saved["rule"] == {"all": [{"percentile": {"top": 30.0}}]} and saved["margin"] == 10.0
    assert saved["holdout"] == 0.0
    buyers = worth.expected(screens.open_screen(Home(home), "tiny"), 72).buyers
    told = f"72 shoppers on v0001, {buyers:.0f} expected to act, nobody held out"
    assert told.replace("on v0001", "").replace("  ", " ")[:10] in app.toast[0].value and "nobody held out" in app.toast[0].value
    assert told in words(open_page("audiences", home, monkeypatch))
    app.checkbox(key="profit-control").check().run()
    app.button(key="profit-save").click().run()
    (saved,) = outcomes.saved_audiences(screens.open_screen(Home(home), "tiny"))
    assert saved["holdout"] == 0.1 and "of them held out as a control group" in app.toast[0].value


def test_chances_that_tell_nobody_apart_are_said_to_earn_nothing_by_depth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tiny_home(tmp_path)
    assert "did not tell shoppers apart" not in words(open_page("propensity", home, monkeypatch))
    dataset = Home(home).dataset("tiny")
    record = dataset.run_manifest("propensity")
    with dataset.new_run("propensity", inputs=record["inputs"], config=record["config"], cutoff=None) as draft:
        for name in ("scores", "test", "lift", "reliability", "reasons"):
            shutil.copy(dataset.run_path("propensity", record["id"]) / f"{name}.parquet", draft.path)
        draft.record |= {name: record[name] for name in ("metrics", "verdict", "windows")}
        draft.record["metrics"]["models"]["propensity"]["auc"] = {"value": 0.49, "low": 0.42, "high": 0.56, "n": 12}
    told = words(open_page("propensity", home, monkeypatch)).replace("\\", "")
    assert "did not tell shoppers apart (AUC 0.490 [0.420, 0.560]; 0.5 is guessing)" in told
