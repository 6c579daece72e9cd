"""Noise of shared counts: the draws follow the distribution that the header names, and the bound holds what it says."""

from collections import Counter
from fractions import Fraction
from math import exp
from random import Random

import pytest
from scipy.stats import chisquare

from core.errors import RuleError
from core.noise import discrete_laplace, epsilon_of, exact_text, noise_bound

RATES = [Fraction(1), Fraction(1, 3), Fraction(1, 15), Fraction(5, 2), Fraction(10)]


def chance(x: int, rate: Fraction) -> float:
    q = exp(-float(rate))
    return (1 - q) / (1 + q) * q ** abs(x)


@pytest.mark.parametrize("rate", RATES, ids=str)
def test_draws_follow_the_exact_chances(rate: Fraction) -> None:
    rng, n = Random(7), 20_000
    drawn = Counter(discrete_laplace(rate, rng) for _ in range(n))
    inner = [x for x in range(-200, 201) if n * chance(x, rate) >= 20]
    seen = [drawn[x] for x in inner]
    wanted = [n * chance(x, rate) for x in inner]
    below, above = (sum(count for x, count in drawn.items() if x < inner[0]), sum(count for x, count in drawn.items() if x > inner[-1]))
    tail = (n - sum(wanted)) / 2
    if tail >= 5:
        seen, wanted = [below, *seen, above], [tail, *wanted, tail]
    else:  # all else in one
        seen, wanted = [*seen, below + above], [*wanted, 2 * tail]
    kept = [(s, w) for s, w in zip(seen, wanted, strict=True) if w >= 1]
    total = sum(s for s, _w in kept) / sum(w for _s, w in kept)
    if len(kept) > 1:
        assert chisquare([s for s, _w in kept], [w * total for _s, w in kept]).pvalue > 0.001
    assert sum(seen) == n and abs(sum(x * count for x, count in drawn.items())) < 5 * (2 * n) ** 0.5 / float(rate)


def test_a_biased_sampler_would_be_found() -> None:
    """The test above can fail: zero drawn twice as often, as without the rejection of −0."""
    n, rate = 20_000, Fraction(1)
    wrong = [chance(x, rate) * (2 if x == 0 else 1) for x in range(-5, 6)]
    right = [chance(x, rate) for x in range(-5, 6)]
    scale = n / sum(wrong)
    assert chisquare([p * scale for p in wrong], [p * n / sum(right) for p in right]).pvalue < 1e-6


@pytest.mark.parametrize("rate", [*RATES, Fraction(1, 1000), Fraction(3, 7)], ids=str)
def test_the_bound_is_the_smallest_that_noise_exceeds_in_at_most_five_of_a_hundred(rate: Fraction) -> None:
    bound, q = noise_bound(rate), exp(-float(rate))

    def beyond(limit: int) -> float:
        return 2 * q ** (limit + 1) / (1 + q)

    assert beyond(bound) <= 0.05 and (bound == 0 or beyond(bound - 1) > 0.05)


def test_an_epsilon_is_read_exactly_as_it_is_written() -> None:
    assert epsilon_of("0.1") == Fraction(1, 10) and epsilon_of("10") == 10 and epsilon_of(" 1e-3 ".strip()) == Fraction(1, 1000)
    assert [exact_text(number) for number in (Fraction(1, 2), Fraction(1, 3), Fraction(10), Fraction(1, 10**6))] == [
        "0.5",
        "1/3",
        "10",
        "0.000001",
    ]


@pytest.mark.parametrize(
    "text", ["0", "-1", "10.1", "nan", "inf", "-inf", "one", "", "0.0001", "1.0000001", "1e999999", "1" * 5000, "sNaN"]
)
def test_other_epsilons_are_refused_with_the_bounds(text: str) -> None:
    with pytest.raises(RuleError, match=r"from 0\.001 to 10"):
        epsilon_of(text)
