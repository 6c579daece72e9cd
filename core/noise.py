"""Noise for counts that leave the house: the discrete Laplace (two-sided geometric) distribution, drawn exactly in whole numbers.

P(x) ∝ e^(−rate·|x|) over all whole x. A table of counts that one shopper changes by at most Δ in all (its L1 sensitivity) is
ε-differentially private when each cell gets its own draw at the rate ε/Δ (A. Ghosh, T. Roughgarden, M. Sundararajan, *Universally
Utility-Maximizing Privacy Mechanisms*, 2009). Draws follow C. Canonne, G. Kamath, T. Steinke, *The Discrete Gaussian for Differential
Privacy*, 2020, algorithms 1 and 2: no floating-point number is in them, whose last bits would tell the count (I. Mironov, *On
Significance of the Least Significant Bits for Differential Privacy*, 2012). Why no library: docs/decisions/0039.
"""

from decimal import Decimal, InvalidOperation
from fractions import Fraction
from math import ceil, exp, log
from random import Random

from core.errors import RuleError

LEAST_EPSILON, MOST_EPSILON = Fraction(1, 1000), Fraction(10)
"""Below, nothing is left of a count but noise; above, next to nothing of the noise."""
DECIMALS = 6
SHARE = 0.95
"""Of the intervals that are told."""


def epsilon_of(text: str) -> Fraction:
    """Read an epsilon exactly as it is written.

    Raises:
        RuleError: It is no number from LEAST_EPSILON to MOST_EPSILON, or has more than six decimals.
    """
    try:
        number = Decimal(text) if len(text) <= 20 else Decimal("NaN")
    except InvalidOperation:
        number = Decimal("NaN")
    exponent = number.as_tuple().exponent
    if isinstance(exponent, str) or exponent < -DECIMALS or not LEAST_EPSILON <= number <= MOST_EPSILON:
        raise RuleError(
            "Epsilon is a number from {least:g} to {most}, with at most {decimals} decimals; got {text!r}.",
            least=float(LEAST_EPSILON),
            most=int(MOST_EPSILON),
            decimals=DECIMALS,
            text=text[:40],
        )
    return Fraction(number)


def exact_text(number: Fraction) -> str:
    """Write a number exactly: `0.5`, or `1/3` where six decimals do not hold it."""
    text = f"{float(number):.{DECIMALS}f}".rstrip("0").rstrip(".")
    return text if Fraction(text) == number else str(number)


def discrete_laplace(rate: Fraction, rng: Random) -> int:
    """Draw one whole number with P(x) ∝ e^(−rate·|x|).

    Args:
        rate: Above 0.
        rng: `secrets.SystemRandom()` for what leaves the house; a generator with a seed is for tests.
    """
    while True:
        start = rng.randrange(rate.denominator)
        if not _happens(Fraction(start, rate.denominator), rng):
            continue
        rounds = 0
        while _happens(Fraction(1), rng):
            rounds += 1
        size = (start + rate.denominator * rounds) // rate.numerator
        is_negative = rng.randrange(2) == 1
        if not (is_negative and size == 0):  # else 0 would come twice as often
            return -size if is_negative else size


def noise_bound(rate: Fraction) -> int:
    """The smallest whole number that noise exceeds, up or down, with a chance of at most 5 %."""
    # P(|x| > a) = 2 q^(a + 1) / (1 + q) with q = e^-rate
    q = exp(-float(rate))
    return max(0, ceil(log(2 / ((1 - SHARE) * (1 + q))) / float(rate)) - 1)


def _happens(cost: Fraction, rng: Random) -> bool:
    """True with the chance e^(−cost) for a cost from 0 to 1: the series of e^(−cost), told by how long a run of draws lasts."""
    k = 1
    while rng.randrange(cost.denominator * k) < cost.numerator:
        k += 1
    return k % 2 == 1
