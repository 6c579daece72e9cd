"""The guard: on a cutoff that the rankers have not seen, how much of which single order makes each ground best?"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from core.recommender.blend import FIXED, MIXES, Mix, Policy, Values, blend_values, mixed, part_of, partner_values
from core.recommender.blocks import rank_within
from core.recommender.candidates import Candidates
from core.recommender.interactions import Interactions, Labels
from core.recommender.options import SOURCES

PARTNERS = 2
"""Best single orders of a ground that are tried as partners."""
LEARNED = "learned"
DEPTH = 10


def choose_policy(frames: Iterable[tuple[Candidates, Values]], known: Interactions, labels: Labels) -> tuple[Policy, dict[str, Any]]:
    """Choose for each ground the mix with the best nDCG@10; ties go to the learned order.

    Args:
        frames: Candidates of validation users with the learned chance of each.
        known: Interactions before the validation cutoff.
        labels: What happened after it.

    Returns:
        The policy, and nDCG@10 of every order by ground (again, new, all) for the record.
    """
    kept = [(_slim(candidates), chance) for candidates, chance in frames]
    table: dict[str, Any] = {}
    chosen: dict[str, Mix] = {}
    for ground in ("again", "new"):
        part = [_only(candidates, chance, ground == "again") for candidates, chance in kept]
        truth = _labels_of(labels, ground)
        chosen[ground], table[ground] = _best(part, known, truth)
    policy = Policy(again=chosen["again"], new=chosen["new"])
    merged = [(candidates, blend_values(candidates, chance, policy)) for candidates, chance in kept]
    whole, table["all"] = _best(merged, known, labels)
    return replace(policy, all=whole), table


def _best(frames: list[tuple[Candidates, Values]], known: Interactions, labels: Labels) -> tuple[Mix, dict[str, float]]:
    frames = [(candidates, values) for candidates, values in frames if len(values)]
    if not frames:
        return Mix(), {}
    present = [name for column, name in enumerate(SOURCES) if any(np.isfinite(c.scores[:, column]).any() for c, _ in frames)]
    orders = {name: [partner_values(candidates, name) for candidates, _ in frames] for name in (*present, FIXED)}
    figures = {name: _ndcg(frames, values, known, labels) for name, values in orders.items()}
    learned = [values for _, values in frames]
    figures[LEARNED] = _ndcg(frames, learned, known, labels)
    best, mix = figures[LEARNED], Mix()
    partners = sorted(orders, key=lambda name: (-figures[name], name))[:PARTNERS]
    for partner in partners:
        for share in MIXES[1:]:
            values = [mixed(c.user, v, other, share) for (c, v), other in zip(frames, orders[partner], strict=True)]
            figure = _ndcg(frames, values, known, labels)
            figures[f"{share:g} {partner}"] = figure
            if figure > best:
                best, mix = figure, Mix(partner, share)
    return mix, {name: round(figure, 5) for name, figure in sorted(figures.items())}


def _ndcg(frames: list[tuple[Candidates, Values]], values: list[Values], known: Interactions, labels: Labels) -> float:
    width = max(known.shape[1], 1)
    truth = labels.user * width + labels.item
    relevant = np.bincount(labels.user, minlength=known.shape[0])
    discounts = 1 / np.log2(np.arange(2, DEPTH + 2))
    ideal = np.concatenate([[np.inf], np.cumsum(discounts)])
    gain = np.zeros(known.shape[0])
    judged: set[int] = set()
    for (candidates, _), value in zip(frames, values, strict=True):
        rank = rank_within(candidates.user, value)
        top = np.flatnonzero(rank < DEPTH)
        hit = top[np.isin(candidates.user[top] * width + candidates.item[top], truth[labels.item >= 0])]
        gain += np.bincount(candidates.user[hit], weights=discounts[rank[hit]], minlength=known.shape[0])
        judged.update(np.unique(candidates.user).tolist())
    users = np.array(sorted(judged), np.int64)
    users = users[relevant[users] > 0]
    return float((gain[users] / ideal[np.minimum(relevant[users], DEPTH)]).mean()) if len(users) else 0.0


def _slim(candidates: Candidates) -> Candidates:
    return replace(candidates, features=candidates.features[:0])


def _only(candidates: Candidates, chance: Values, again: bool) -> tuple[Candidates, Values]:
    chosen = candidates.again == again
    return part_of(candidates, chosen), chance[chosen]


def _labels_of(labels: Labels, ground: str) -> Labels:
    chosen = labels.is_new == (ground == "new")
    return Labels(labels.user[chosen], labels.item[chosen], [labels.item_id[place] for place in np.flatnonzero(chosen)],
                  labels.is_new[chosen])  # fmt: skip
