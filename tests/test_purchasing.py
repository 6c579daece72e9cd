"""Models of repeat purchases: published figures, averages over buyers, and buyers whose parameters are known."""

import numpy as np
import numpy.typing as npt
import pytest
from scipy.stats import beta, gamma

from core import purchasing

PUBLISHED = np.log([0.243, 4.414, 0.793, 2.426])
"""r, alpha, a, b of 2,357 buyers of CDNOW, in weeks (Fader, Hardie, Lee, 2005)."""
TRUE = (0.6, 8.0, 0.9, 3.0)
Floats = npt.NDArray[np.float64]


def simulated(n: int, rng: np.random.Generator, horizon: float = 26.0) -> tuple[Floats, Floats, Floats, Floats]:
    """Repeats, recency, age and purchases within the horizon of buyers who follow TRUE, event by event."""
    r, alpha, a, b = TRUE
    rows = []
    for rate, leaves, age in zip(rng.gamma(r, 1 / alpha, n), rng.beta(a, b, n), rng.uniform(20, 60, n), strict=True):
        time, x, recency, later, present = 0.0, 0, 0.0, 0, True
        while present and (time := time + rng.exponential(1 / rate)) < age + horizon:
            x, recency, later = (x + 1, time, later) if time < age else (x, recency, later + 1)
            present = rng.random() >= leaves
        rows.append((x, recency, age, later))
    return tuple(np.array(rows, dtype=np.float64).T)  # type: ignore[return-value]


@pytest.fixture(scope="module")
def world() -> tuple[Floats, Floats, Floats, Floats]:
    return simulated(4000, np.random.default_rng(5))


def test_the_worked_example_of_the_paper_comes_out() -> None:
    found = purchasing.expected_purchases(PUBLISHED, [2], [30.43], [38.86], 39)
    assert found[0] == pytest.approx(1.226, abs=0.0005)


@pytest.mark.parametrize(("x", "recency", "age"), [(0, 0.0, 10.0), (1, 4.0, 10.0), (3, 9.0, 10.0)])
def test_the_likelihood_is_the_average_over_rates_and_chances_of_leaving(x: int, recency: float, age: float) -> None:
    r, alpha, a, b = TRUE

    # midpoints of equal parts of both distributions: an average over buyers, without the closed form
    shares = (np.arange(1000) + 0.5) / 1000
    rate, leaves = gamma.ppf(shares, r, scale=1 / alpha)[:, None], beta.ppf(shares, a, b)[None, :]
    stays = (1 - leaves) ** x * rate**x * np.exp(-rate * age)
    left = leaves * (1 - leaves) ** (x - 1) * rate**x * np.exp(-rate * recency) if x else 0.0
    average = float(np.mean(stays + left))
    logs = np.log(TRUE)
    found = purchasing._purchase_likelihood(logs, np.array([x], float), np.array([recency]), np.array([age]))
    assert np.exp(found[0]) == pytest.approx(average, rel=1e-2)


def test_parameters_of_simulated_buyers_are_found_within_their_error(world: tuple[Floats, ...]) -> None:
    x, recency, age, _later = world
    model = purchasing.fit_purchases(x, recency, age)
    off = (model.logs - np.log(TRUE)) / np.sqrt(np.diag(model.covariance))
    assert np.all(np.abs(off) < 3.5), off


def test_purchases_and_buyers_of_the_time_after_are_foreseen(world: tuple[Floats, ...]) -> None:
    x, recency, age, later = world
    model = purchasing.fit_purchases(x, recency, age)
    expected = purchasing.expected_purchases(model.logs, x, recency, age, 26.0)
    chance = purchasing.chance_of_purchase(model.logs, x, recency, age, 26.0)
    assert expected.sum() == pytest.approx(later.sum(), rel=0.1)
    assert chance.sum() == pytest.approx((later > 0).sum(), rel=0.1)
    assert np.all(chance <= np.minimum(1, expected + 1e-12)), "as many buyers as purchases at most"
    heavy = x >= 3
    assert expected[heavy].sum() == pytest.approx(later[heavy].sum(), rel=0.2)


def test_the_unit_of_time_changes_no_forecast(world: tuple[Floats, ...]) -> None:
    x, recency, age, _later = (column[:800] for column in world)
    weeks, days = purchasing.fit_purchases(x, recency, age), purchasing.fit_purchases(x, 7 * recency, 7 * age)
    assert days.alpha == pytest.approx(7 * weeks.alpha, rel=1e-3)
    one = purchasing.expected_purchases(weeks.logs, x, recency, age, 10).sum()
    assert purchasing.expected_purchases(days.logs, x, 7 * recency, 7 * age, 70).sum() == pytest.approx(one, rel=1e-3)


def test_equal_buyers_may_be_counted_once_with_a_weight(world: tuple[Floats, ...]) -> None:
    x, recency, age, _later = (column[:500] for column in world)
    twice = purchasing.fit_purchases(np.tile(x, 2), np.tile(recency, 2), np.tile(age, 2))
    weighed = purchasing.fit_purchases(x, recency, age, np.full(500, 2.0))
    assert weighed.logs == pytest.approx(twice.logs, abs=1e-3)
    assert weighed.log_likelihood == pytest.approx(twice.log_likelihood, rel=1e-6)


def test_more_of_the_same_buyers_make_the_interval_narrower(world: tuple[Floats, ...]) -> None:
    x, recency, age, _later = (column[:500] for column in world)

    def width(weight: float) -> float:
        model = purchasing.fit_purchases(x, recency, age, np.full(500, weight))
        low, high = purchasing.delta_interval(
            lambda logs: float(purchasing.expected_purchases(logs, x, recency, age, 26).mean()), model.logs, model.covariance
        )
        return float(np.log(high / low))

    assert width(4.0) == pytest.approx(width(1.0) / 2, rel=0.05)


def test_one_without_a_repeat_is_present_and_a_long_silence_after_many_tells_of_leaving() -> None:
    alive = purchasing.chance_alive(PUBLISHED, [0, 2, 20, 20], [0, 30, 10, 38], [38.86] * 4)
    assert alive[0] == 1 and alive[2] < 0.01 < 0.9 < alive[3]


def test_values_of_simulated_purchases_are_found_again_and_means_are_drawn_together() -> None:
    rng, (p, q, v) = np.random.default_rng(2), (6.0, 4.0, 15.0)
    x = rng.integers(0, 6, 3000)
    rate = rng.gamma(q, 1 / v, 3000)
    mean = np.array([rng.gamma(p, 1 / nu, n).mean() if n else np.nan for nu, n in zip(rate, x, strict=True)])
    model = purchasing.fit_spend(x, mean)
    off = (model.logs - np.log([p, q, v])) / np.sqrt(np.diag(model.covariance))
    assert np.all(np.abs(off) < 3.5), off
    value = purchasing.expected_value(model.logs, x, mean)
    assert np.allclose(value[x == 0], model.mean)
    between = (x > 0) & (np.abs(mean - model.mean) > 1)
    assert np.all((value[between] - model.mean) * (mean[between] - value[between]) > 0)


def test_nobody_to_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="no buyers"):
        purchasing.fit_purchases([], [], [])
    with pytest.raises(ValueError, match="no repeat"):
        purchasing.fit_spend([0, 1], [np.nan, 0.0])
