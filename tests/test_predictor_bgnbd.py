"""BG/NBD: the likelihood and the chance against simulation, parameters found again, contributions that add up."""

import numpy as np
import pytest
from scipy.special import expit

from core.predictor.bgnbd import COLUMNS, FittedBgNbd, fit_bgnbd
from core.predictor.matrix import Matrix
from core.predictor.models import BLENDS, fit_models
from tests.test_predictor import OPTIONS

TRUE = (0.8, 9.0, 0.8, 2.5)


def simulated(users: int, seed: int, horizon: float = 20.0) -> tuple[Matrix, np.ndarray]:
    """Shoppers of the model itself: rows as counted features give them, and who bought in the horizon."""
    rng = np.random.default_rng(seed)
    r, alpha, a, b = TRUE
    rows, labels = [], []
    for _ in range(users):
        rate, leaves, age = rng.gamma(r, 1 / alpha), rng.beta(a, b), rng.uniform(30, 120)
        at, bought = 0.0, [0.0]  # the first purchase starts the clock
        while True:
            at += rng.exponential(1 / rate)
            if at > age + horizon:
                break
            bought.append(at)
            if rng.random() < leaves:
                break
        before = [t for t in bought if t <= age]
        rows.append((len(before), age, age - before[-1]))
        labels.append(float(any(age < t <= age + horizon for t in bought)))
    return Matrix([f"u{i:05d}" for i in range(users)], list(COLUMNS), np.array(rows, dtype=float)), np.array(labels)


@pytest.fixture(scope="module")
def world() -> tuple[Matrix, np.ndarray, FittedBgNbd]:
    matrix, labels = simulated(4000, 0)
    return matrix, labels, fit_bgnbd(matrix, 20.0, np.random.default_rng(0))


def test_the_parameters_that_made_the_histories_are_found_again(world: tuple[Matrix, np.ndarray, FittedBgNbd]) -> None:
    _, _, fitted = world
    assert fitted.r == pytest.approx(TRUE[0], rel=0.15)
    assert fitted.r / fitted.alpha == pytest.approx(TRUE[0] / TRUE[1], rel=0.15)
    assert fitted.a / (fitted.a + fitted.b) == pytest.approx(TRUE[2] / (TRUE[2] + TRUE[3]), rel=0.2)


def test_chances_are_those_that_happen(world: tuple[Matrix, np.ndarray, FittedBgNbd]) -> None:
    matrix, labels, fitted = world
    chance = expit(fitted.logits(matrix))
    assert chance.sum() == pytest.approx(labels.sum(), rel=0.06)
    order = np.argsort(chance)
    for part in np.array_split(order, 5):
        assert labels[part].mean() == pytest.approx(chance[part].mean(), abs=0.05)


def test_longer_silence_lowers_the_chance_and_contributions_add_up(world: tuple[Matrix, np.ndarray, FittedBgNbd]) -> None:
    _, _, fitted = world
    matrix = Matrix(["a", "b", "c"], list(COLUMNS), np.array([[6.0, 60, 1], [6, 60, 20], [6, 60, 50]]))
    logits = fitted.logits(matrix)
    assert logits[0] > logits[1] > logits[2]
    names, shares = fitted.contributions(matrix)
    usual = fitted.logits(Matrix(["u"], list(COLUMNS), np.array([fitted.usual])))[0]
    assert names == list(COLUMNS)
    assert shares.sum(axis=1) + usual == pytest.approx(logits, abs=1e-9)


def test_a_log_without_repeats_gives_finite_chances() -> None:
    matrix = Matrix(["a", "b"], list(COLUMNS), np.array([[1.0, 20, 20], [1.0, 40, np.nan]]))
    assert np.isfinite(fit_bgnbd(matrix, 7.0, np.random.default_rng(0)).logits(matrix)).all()


def test_the_usual_mean_of_a_log_of_purchases_weighs_bg_nbd_by_a_sixth() -> None:
    matrix, labels = simulated(400, 3)
    parts = list(BLENDS["ensemble_orders"])
    fitted = fit_models([*parts, "ensemble_orders"], matrix, labels, OPTIONS, np.random.default_rng(0), lambda share, message: None)
    logits = {name: model.logits(matrix) for name, model in fitted.items()}
    expected = (2 * logits["mlp"] + 2 * logits["lightgbm"] + logits["logistic"] + logits["bgnbd"]) / 6
    assert logits["ensemble_orders"] == pytest.approx(expected)
    names, shares = fitted["ensemble_orders"].contributions(matrix)
    assert set(names) == set(COLUMNS)
    assert np.isfinite(shares).all()
