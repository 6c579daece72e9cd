"""Spending within the horizon: what matters is found, figures are those of the exported table, gates hold."""

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from core.errors import CutoffError, GateError
from core.predictor.matrix import Matrix
from core.predictor.options import PropensityOptions
from core.predictor.revenue import RevenueResult, fit_revenue
from core.store import Log
from tests.worlds import at

USERS = [f"u{i:04d}" for i in range(600)]
OPTIONS = PropensityOptions(horizon=timedelta(days=7))
LOG = Log(path=Path("never opened"), start=at(0), until=at(60))


def matrix_at(cutoff: datetime) -> Matrix:
    rng = np.random.default_rng((cutoff - at(0)).days + 1)
    carts, level = rng.poisson(1.0, 600).astype(float), rng.integers(1, 4, 600).astype(float)
    return Matrix(
        USERS, ["carts_28d", "level", "revenue_all", "tenure_days"], np.column_stack([carts, level, 20 * level, np.full(600, 60.0)])
    )


def revenue_at(cutoff: datetime, every: float = 1.0) -> pa.Table:
    """Who has carts buys; how much hangs on the level."""
    values = matrix_at(cutoff).values
    rng = np.random.default_rng((cutoff - at(0)).days + 500)
    buys = rng.random(600) < every * np.clip(0.1 + 0.25 * values[:, 0], 0, 0.9)
    return pa.table({"user_id": USERS, "revenue": buys * np.exp(values[:, 1] + rng.normal(0, 0.5, 600))})


@pytest.fixture(scope="module")
def fitted() -> RevenueResult:
    return fit_revenue(LOG, matrix_at, revenue_at, OPTIONS, np.random.default_rng(0))


def test_spending_is_foretold_better_than_by_the_mean_and_without_bias(fitted: RevenueResult) -> None:
    winner = fitted.metrics["winner"]
    assert winner in ("two_part", "gamma", "tweedie")
    assert fitted.metrics["difference"]["rmse"]["high"] < 0
    bias = fitted.metrics["models"][winner]["bias"]
    assert abs(bias["value"]) < 0.15 * fitted.metrics["happened"] / 600
    assert "better" in fitted.verdict[0]
    expected = fitted.tenths["expected"].to_pylist()
    assert expected == sorted(expected)
    assert fitted.tenths["happened"].to_pylist()[-1] > 3 * fitted.tenths["happened"].to_pylist()[0]


def test_figures_are_those_of_the_exported_table(fitted: RevenueResult) -> None:
    table = fitted.test.to_pydict()
    truth = np.array(table["revenue"])
    for name in ("mean", "own_rate", "two_part", "gamma", "tweedie"):
        rest, found = np.array(table[name]) - truth, fitted.metrics["models"][name]
        assert found["mae"]["value"] == pytest.approx(np.abs(rest).mean())
        assert found["rmse"]["value"] == pytest.approx(np.sqrt((rest**2).mean()))
        assert found["bias"]["value"] == pytest.approx(rest.mean())
    assert np.ptp(table["mean"]) == 0


def test_everyone_gets_an_amount_that_is_never_negative_and_repeats(fitted: RevenueResult) -> None:
    scores = fitted.scores.to_pydict()
    assert scores["user_id"] == USERS
    assert min(scores["expected_revenue"]) >= 0
    assert fit_revenue(LOG, matrix_at, revenue_at, OPTIONS, np.random.default_rng(0)).scores.equals(fitted.scores)


def test_the_test_window_chooses_nothing(fitted: RevenueResult) -> None:
    def turned(cutoff: datetime) -> pa.Table:
        table = revenue_at(cutoff)
        return table if cutoff != at(53) else table.set_column(1, "revenue", pa.array(table["revenue"].to_numpy()[::-1].copy()))

    found = fit_revenue(LOG, matrix_at, turned, OPTIONS, np.random.default_rng(0))
    assert found.metrics["winner"] == fitted.metrics["winner"]
    assert found.test.drop_columns("revenue").equals(fitted.test.drop_columns("revenue"))


def test_too_few_buyers_or_too_short_a_log_is_refused_in_words() -> None:
    with pytest.raises(GateError, match="shoppers with spending to learn from, 100 are needed"):
        fit_revenue(LOG, matrix_at, lambda c: revenue_at(c, 0.02), OPTIONS, np.random.default_rng(0))
    with pytest.raises(CutoffError):
        fit_revenue(replace(LOG, until=at(20)), matrix_at, revenue_at, OPTIONS, np.random.default_rng(0))
