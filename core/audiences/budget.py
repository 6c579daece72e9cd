"""A budget spread over audiences and channels: a linear programme in whole contacts, whose answer is the best there is."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from core.errors import RuleError

STEPS = 10
"""Groups of an audience by purchase chance: within one, shoppers count as alike."""

GAP = 1e-4
"""The answer is within this share of the best; closer ones cost time and change nothing that anyone could measure."""


@dataclass(frozen=True)
class Channel:
    """A way to reach shoppers."""

    name: str
    cost: float
    """Of one contact."""
    effect: float
    """Buyers that a contact adds, as a share of the purchase chance without it: an assumption that only a holdout can test."""
    most: int | None = None
    """Contacts that it can take; None for any number."""


@dataclass(frozen=True)
class Spending:
    """What to do with one audience on one channel."""

    audience: str
    channel: str
    users: int
    cost: float
    added_buyers: float
    added_value: float
    """Added buyers × margin − cost."""
    smallest: float
    """Purchase chance of the last group contacted."""


def spread_budget(
    audiences: Sequence[tuple[str, npt.NDArray[np.float64]]], channels: Sequence[Channel], budget: float, margin: float
) -> list[Spending]:
    """Choose whom to contact how, so that added value is greatest; each shopper is contacted at most once.

    Args:
        audiences: Name and purchase chances of disjoint audiences (see `part_audiences`).
        channels: At least one.
        budget: Greatest sum of costs.
        margin: Earned from one buyer.

    Returns:
        Pairs of audience and channel that are used, the most valuable first; none when nothing pays.

    Raises:
        RuleError: An amount is negative, or there is no channel.
    """
    from scipy.optimize import Bounds, LinearConstraint, milp

    if not channels:
        raise RuleError("A budget needs at least one channel; add one.")
    for value in (budget, margin, *(channel.cost for channel in channels), *(channel.effect for channel in channels)):
        if not 0 <= value < 1e12:
            raise RuleError("An amount lies from 0 on; got {value}.", value=str(value))
    groups = [
        (name, float(part.mean()), float(part.min()), len(part))
        for name, chances in audiences
        for part in np.array_split(np.sort(chances)[::-1], STEPS)
        if len(part)
    ]
    if not groups:
        return []
    gain = np.array([[chance * c.effect * margin - c.cost for c in channels] for _, chance, _, _ in groups])  # (G, C)
    wide = len(channels)
    once = np.kron(np.eye(len(groups)), np.ones((1, wide)))
    spent = np.tile([c.cost for c in channels], len(groups))[None, :]
    capped = [place for place, c in enumerate(channels) if c.most is not None]
    used = [np.tile(np.eye(wide)[place], len(groups)) for place in capped]
    limits = [*(size for *_, size in groups), budget, *(float(channels[place].most or 0) for place in capped)]
    found = milp(
        -gain.ravel(),
        constraints=LinearConstraint(np.vstack([once, spent, *used]), ub=np.array(limits, np.float64)),
        bounds=Bounds(0, np.inf),
        integrality=np.ones(gain.size),
        options={"mip_rel_gap": GAP, "time_limit": 10.0},
    )
    if found.x is None:
        raise RuleError("This budget cannot be spread ({reason}); look at the costs and caps.", reason=str(found.message)[:120])
    contacts = np.round(found.x.reshape(gain.shape))
    answers: list[Spending] = []
    for name, _ in audiences:
        own = [place for place, group in enumerate(groups) if group[0] == name]
        for place, channel in enumerate(channels):
            users = contacts[own, place]
            if users.sum() >= 1:
                chances = np.array([groups[row][1] for row in own])
                cost, buyers = float(users.sum() * channel.cost), float((users * chances).sum() * channel.effect)
                smallest = min(groups[row][2] for row, n in zip(own, users, strict=True) if n)
                answers.append(Spending(name, channel.name, int(users.sum()), cost, buyers, buyers * margin - cost, smallest))
    return sorted(answers, key=lambda one: (-one.added_value, one.audience, one.channel))


def part_audiences(members: Sequence[tuple[str, Sequence[str], Sequence[float]]]) -> list[tuple[str, npt.NDArray[np.float64]]]:
    """Make audiences disjoint: a shopper of several counts in the first of them alone.

    Args:
        members: Name, user_ids, and purchase chances (0 where unknown).
    """
    seen: set[str] = set()
    parted = []
    for name, users, chances in members:
        kept = [chance for user, chance in zip(users, chances, strict=True) if user not in seen]
        seen.update(users)
        parted.append((name, np.array(kept, np.float64)))
    return parted
