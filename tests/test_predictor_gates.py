"""Gates that look at the features: constants, columns that know the label, models that the log cannot feed."""

from dataclasses import replace

import numpy as np
import pytest

from core.errors import GateError
from core.predictor.gates import check_features, doubts, is_named_like_a_label, telltales, varying
from core.predictor.matrix import Matrix
from core.predictor.models import contenders
from core.predictor.options import PropensityOptions


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
