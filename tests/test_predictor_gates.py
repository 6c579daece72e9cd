"""Gates that look at the features: constants, columns that know the label, models that the log cannot feed."""

from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from core.errors import GateError
from core.metrics import log_loss
from core.predictor import reporting
from core.predictor.bgnbd import COLUMNS as ORDERS
from core.predictor.calibration import CalibrationChoice, Calibrator, choose_calibration
from core.predictor.gates import check_features, doubts, is_named_like_a_label, telltales, varying
from core.predictor.matrix import Matrix
from core.predictor.models import contenders
from core.predictor.options import PropensityOptions
from core.predictor.plan import Plan, make_plan
from core.predictor.propensity import _as_used, _choose_winner
from tests.worlds import at


def world(n: int = 400) -> tuple[Matrix, np.ndarray]:
    rng = np.random.default_rng(0)
    values = np.column_stack([rng.poisson(2, n).astype(float), np.ones(n), rng.exponential(5, n), rng.normal(size=n)])
    return Matrix([f"u{i}" for i in range(n)], ["carts", "constant", "silence", "noise"], values), (rng.random(n) < 0.4).astype(float)


def test_constant_features_alone_are_refused_and_a_profile_opens_the_gate() -> None:
    matrix, _ = world()
    still = replace(matrix, values=np.full(matrix.values.shape, 3.0))
    with pytest.raises(GateError, match="All 4 features are the same"):
        check_features(still)
    check_features(replace(still, text=np.random.default_rng(0).normal(size=(400, 2)).astype(np.float32)))
    assert varying(matrix) == ["carts", "silence", "noise"]


def test_empty_in_some_rows_varies_and_empty_everywhere_does_not() -> None:
    values = np.array([[1.0, np.nan, np.nan], [np.nan, np.nan, 2.0]])
    assert varying(Matrix(["a", "b"], ["some", "none", "other"], values)) == ["some", "other"]


def test_hardly_any_varying_feature_is_said() -> None:
    matrix, labels = world()
    few = Matrix(matrix.user_ids, matrix.columns[:2], matrix.values[:, :2])
    assert any("1 of 2 features are the same" in sentence for sentence in doubts(few, labels, PropensityOptions()))
    assert doubts(matrix, labels, PropensityOptions()) == ()


def test_a_column_that_knows_the_label_is_named() -> None:
    matrix, labels = world()
    planted = matrix.values.copy()
    planted[:, 3] = -labels + 0.001 * planted[:, 3]
    told = replace(matrix, values=planted)
    assert telltales(told, labels)[0][0] == "noise"
    assert any("noise alone tells who acts" in sentence for sentence in doubts(told, labels, PropensityOptions()))
    assert telltales(matrix, labels) == []


@pytest.mark.parametrize("name", ["label", "target", "y", "churned", "is_buyer", "will_buy_28d", "purchased", "next_purchase", "Converted"])
def test_names_of_outcomes_are_known(name: str) -> None:
    assert is_named_like_a_label(name)


@pytest.mark.parametrize("name", ["age", "region", "loyalty", "household_size", "yearly_income", "targeted_ads_ok", "kids_count"])
def test_names_of_plain_attributes_are_not(name: str) -> None:
    assert not is_named_like_a_label(name)


def test_models_that_nobody_can_feed_are_left_out_and_unknown_ones_refused() -> None:
    matrix, labels = world()
    asked = PropensityOptions(models=("gru", "lightgbm_text"))
    assert contenders(matrix, asked) == ["mlp", "lightgbm", "logistic", "mean", "ensemble"]
    assert any("gru, lightgbm_text" in sentence for sentence in doubts(matrix, labels, asked))
    with pytest.raises(GateError, match="no model 'svm'"):
        contenders(matrix, PropensityOptions(models=("svm",)))


def test_bg_nbd_and_the_mean_with_it_compete_where_a_log_holds_purchases_alone() -> None:
    rng = np.random.default_rng(1)
    matrix = Matrix([f"u{i}" for i in range(9)], list(ORDERS), rng.exponential(5, (9, len(ORDERS))))
    usual = ["mlp", "lightgbm", "logistic", "mean", "ensemble"]
    assert contenders(matrix, PropensityOptions(purchase_only=True)) == [*usual, "bgnbd", "ensemble_orders"]
    assert contenders(matrix, PropensityOptions(purchase_only=False)) == usual
    assert contenders(matrix, PropensityOptions(purchase_only=True, act="cart")) == usual


@pytest.mark.parametrize("names", [["lightgbm", "ensemble", "ensemble_orders"], ["lightgbm", "ensemble"]])
def test_the_mean_with_bg_nbd_is_usual_where_it_competes(names: list[str]) -> None:
    labels = (np.random.default_rng(2).random(500) < 0.4).astype(float)
    level = np.where(labels == 1, 0.42, 0.38)
    choices = {name: CalibrationChoice(Calibrator("none"), np.full(500, 0.4), {}) for name in names}
    as_used = dict.fromkeys(names, np.full(500, labels.mean()))
    assert _choose_winner(names, labels, choices, as_used) == (names[-1], "usual"), "none is better"
    choices["lightgbm"] = CalibrationChoice(Calibrator("none"), level, {})
    assert _choose_winner(names, labels, choices, as_used) == ("lightgbm", "clearly"), "clearly better on validation"


def test_a_usual_mean_that_does_worse_than_one_chance_for_everybody_is_not_kept() -> None:
    rng, names = np.random.default_rng(2), ["logistic", "ensemble", "ensemble_orders"]
    labels = (rng.random(500) < 0.4).astype(float)
    choices = {name: CalibrationChoice(Calibrator("none"), np.full(500, 0.4), {}) for name in names}
    fine = dict.fromkeys(names, np.full(500, labels.mean()))
    worse = {"ensemble_orders": np.where(rng.random(500) < 0.5, 0.1, 0.8)}
    assert _choose_winner(names, labels, choices, fine) == ("ensemble_orders", "usual")
    assert _choose_winner(names, labels, choices, fine | worse) == ("ensemble", "usual"), "the next usual mean"
    worse["ensemble"] = worse["ensemble_orders"]
    assert _choose_winner(names, labels, choices, fine | worse) == ("logistic", "worthless")


def test_a_slope_that_saves_a_mean_on_validation_counts_as_far_as_it_is_carried_on() -> None:
    rng = np.random.default_rng(4)
    labels, noise = (rng.random(2000) < 0.8).astype(float), rng.normal(0, 3, 2000)
    choice = choose_calibration(noise, labels, np.arange(2000) % 5, ("shift", "sigmoid"))
    base = log_loss(labels, np.full(2000, labels.mean()))
    assert choice.calibrator.method == "sigmoid" and log_loss(labels, choice.cross_fitted) < base + 0.01
    whole, half = (log_loss(labels, _as_used(noise, labels, choice, carried)) for carried in (1.0, 0.5))
    assert whole < base + 0.01 and half > base + 0.1


def test_a_test_window_in_which_nobody_acts_judges_nothing() -> None:
    start = datetime(2024, 1, 1)
    until = start + timedelta(days=60)

    def labels_at(cutoff: datetime) -> pa.Table:
        acts = np.arange(300) % 3 == 0 if cutoff < until - timedelta(days=10) else np.zeros(300, dtype=bool)
        return pa.table({"user_id": [f"u{n}" for n in range(300)], "label": acts})

    with pytest.raises(GateError, match="0 users with and 300 without"):
        make_plan(start, until, labels_at, PropensityOptions(horizon=timedelta(days=7)))
    plan = make_plan(start, until - timedelta(days=14), labels_at, PropensityOptions(horizon=timedelta(days=7)))
    assert plan.kind == "full"


@pytest.mark.parametrize(("happened", "is_told"), [(1000, False), (960, False), (920, True), (1100, True)])
def test_a_test_window_off_by_more_than_chance_and_a_twentieth_is_told(happened: int, is_told: bool) -> None:
    chance = np.repeat([0.02, 0.98], [4000, 939])  # about 1,000 expected, give or take 10
    labels = np.zeros(len(chance))
    labels[:happened] = 1.0
    plan = Plan("full", (at(0),), at(7), at(14), at(21), {})
    told = reporting._drift_warnings(plan, labels, chance)
    assert bool(told) is is_told
