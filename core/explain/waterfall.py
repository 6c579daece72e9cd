"""Contributions laid end to end, from the chance of the background to the chance of the shopper."""

from typing import Any

import numpy as np

STEPS, MOST_STEPS = 8, 20
"""Contributions that are told one by one, and how many more while the sum of the others would be the largest step; those are summed."""


def chance_of(log_odds: float) -> float:
    """The chance that has these log-odds."""
    return float(1 / (1 + np.exp(-log_odds)))


def _summed(parts: list[dict[str, Any]]) -> float:
    return float(sum(part["log_odds"] for part in parts))


def lay_out(parts: list[dict[str, Any]], base: float, output: float) -> dict[str, Any]:
    """Order contributions by size and lay them end to end: each step goes `from` one chance `to` the next.

    Log-odds add up, chances do not: the same contribution moves a chance of 50 % further than one of 5 %.

    Args:
        parts: Each with name and log_odds, and whatever else is told of it.
        base: Log-odds of the background.
        output: Log-odds of the shopper.

    Returns:
        base, propensity, reached (where the last step ends), residual (propensity minus reached), steps (STEPS to MOST_STEPS of them and
        `rest`), log_odds by name.
    """
    parts = sorted(parts, key=lambda part: (-abs(part["log_odds"]), part["name"]))
    steps, level = [], base
    told = next((n for n in range(STEPS, MOST_STEPS) if abs(_summed(parts[n:])) <= abs(parts[0]["log_odds"])), MOST_STEPS) if parts else 0
    for part in parts[:told]:
        steps.append({**part, "from": chance_of(level), "to": chance_of(level + part["log_odds"])})
        level += part["log_odds"]
    if left := parts[told:]:
        rest = _summed(left)
        steps.append({"name": "rest", "parts": len(left), "log_odds": rest, "from": chance_of(level), "to": chance_of(level + rest)})
        level += rest
    return {
        "base": chance_of(base),
        "propensity": chance_of(output),
        "reached": chance_of(level),
        "residual": chance_of(output) - chance_of(level),
        "steps": steps,
        "log_odds": {part["name"]: part["log_odds"] for part in parts},
    }
