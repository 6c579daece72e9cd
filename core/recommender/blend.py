"""The learned blend: a ranker for items that the user already has and one for new ones, merged by chance, and guarded.

Chance is the probability that the user has the target act on the item within the horizon. The guard looks at a later
cutoff that the rankers have not seen and mixes in the best single source where that is better, so that a log with few
buyers is not made worse by learning.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import lightgbm as lgb
import numpy as np
import numpy.typing as npt

from core.recommender.blocks import Bools, Floats, Ints, rank_within
from core.recommender.candidates import FEATURES, Candidates
from core.recommender.options import SOURCES

Values = npt.NDArray[np.float64]

FIXED = "fixed"
FIXED_WEIGHTS = {
    "repeat": 4.0, "interest": 4.0, "ease": 1.0, "item_knn": 1.0, "popularity": 1.0, "category": 0.5, "factors": 0.5, "content": 0.5,
    "due": 0.5, "crowd": 0.5, "paths": 0.5, "sequence": 0.5, "popular_ever": 0.0,
}  # fmt: skip
"""Weights of the untrained blend; what a user had or touched before leads on every log measured."""
FUSION_OFFSET = 10.0
"""Reciprocal rank fusion (Cormack and others, 2009) uses 60 for long lists; the first ten places matter here."""
MIXES = (0.0, 0.25, 0.5, 0.75, 1.0)
NEGATIVES = {True: 60, False: 120}
"""Candidates without the act kept for each user and ground (again, new); the rest is weighed back in."""
MANY_USERS = 3000
"""Above so many users each gives at most 60 negatives."""
ROUNDS = 100
PARAMETERS = {
    "objective": "binary", "learning_rate": 0.08, "num_leaves": 31, "min_data_in_leaf": 100, "feature_fraction": 0.7,
    "lambda_l2": 5.0, "max_bin": 127, "num_threads": 1, "deterministic": True, "force_row_wise": True, "verbosity": -1,
}  # fmt: skip
LEAST_POSITIVES = 50
"""A ground with fewer positive examples is left to the fixed blend."""


@dataclass(frozen=True)
class Examples:
    """Sampled candidates with labels, n of them."""

    features: Floats
    label: Bools
    weight: Floats
    again: Bools


@dataclass(frozen=True)
class Mix:
    """How much of a partner's order stands in for the learned order on one ground; 0 is all learned."""

    partner: str = FIXED
    share: float = 0.0


@dataclass(frozen=True)
class Policy:
    """The guard's choice for each ground."""

    again: Mix = field(default_factory=Mix)
    new: Mix = field(default_factory=Mix)
    all: Mix = field(default_factory=Mix)


@dataclass(frozen=True)
class Ranker:
    """Two boosters; None where there were too few examples, and the rate of positives spread over the untrained order stands in."""

    again: lgb.Booster | None
    new: lgb.Booster | None
    rates: tuple[float, float] = (0.0, 0.0)
    """Share of positives among all candidates (again, new)."""

    def chance(self, candidates: Candidates) -> Values:
        """Probability of the target act for each candidate (n,)."""
        chance = np.zeros(len(candidates.user))
        for ground, booster, rate in ((True, self.again, self.rates[0]), (False, self.new, self.rates[1])):
            chosen = candidates.again == ground
            if booster is not None and chosen.any():
                chance[chosen] = booster.predict(candidates.features[chosen], num_threads=1)
            elif chosen.any():
                user = candidates.user[chosen]
                weight = 1 / (1.0 + rank_within(user, fixed_values(part_of(candidates, chosen))))
                total = np.bincount(user, weights=weight) / np.maximum(np.bincount(user), 1)
                chance[chosen] = np.minimum(rate * weight / total[user], 0.99)
        return chance

    def weights(self) -> dict[str, dict[str, float]]:
        """Share of each source (and of what is counted beside them) in the gain of each ranker; sums to 1."""
        return {name: _shares(booster) for name, booster in (("again", self.again), ("new", self.new)) if booster is not None}


def sample_examples(candidates: Candidates, label: Bools, rng: np.random.Generator, users: int = 0) -> Examples:
    """Keep all positives and a weighted sample of negatives of each user and ground, fewer of each where many `users` teach."""
    parts = []
    for ground, quota in NEGATIVES.items():
        chosen = np.flatnonzero(candidates.again == ground)
        negative = chosen[~label[chosen]]
        if len(chosen) == 0:
            continue
        count = np.bincount(candidates.user[negative], minlength=int(candidates.user.max()) + 1)
        kept_of_each = quota if users <= MANY_USERS else min(quota, 60)
        rate = np.minimum(1.0, kept_of_each / np.maximum(count, 1))[candidates.user[negative]]
        kept = rng.random(len(negative)) < rate
        parts.append((chosen[label[chosen]], np.ones(int(label[chosen].sum()))))
        parts.append((negative[kept], 1 / rate[kept]))
    row = np.concatenate([part[0] for part in parts]) if parts else np.zeros(0, np.int64)
    weight = np.concatenate([part[1] for part in parts]).astype(np.float32) if parts else np.zeros(0, np.float32)
    order = np.argsort(row, kind="stable")
    row = row[order]
    return Examples(candidates.features[row], label[row], weight[order], candidates.again[row])


def join_examples(parts: Sequence[Examples]) -> Examples:
    """Stack examples of several blocks or cutoffs; none at all where there was nobody to learn from."""
    if not parts:
        return Examples(np.zeros((0, len(FEATURES)), np.float32), np.zeros(0, bool), np.zeros(0, np.float32), np.zeros(0, bool))
    return Examples(
        np.concatenate([p.features for p in parts]), np.concatenate([p.label for p in parts]),
        np.concatenate([p.weight for p in parts]), np.concatenate([p.again for p in parts]),
    )  # fmt: skip


def fit_ranker(examples: Examples, seed: int) -> Ranker:
    """Fit gradient boosting on the log loss of each ground, one thread, seeded."""
    boosters: list[lgb.Booster | None] = []
    rates: list[float] = []
    for ground in (True, False):
        chosen = examples.again == ground
        total = float(examples.weight[chosen].sum(dtype=np.float64))
        rates.append(float(examples.weight[chosen & examples.label].sum(dtype=np.float64)) / total if total else 0.0)
        if int(examples.label[chosen].sum()) < LEAST_POSITIVES:
            boosters.append(None)
            continue
        data = lgb.Dataset(examples.features[chosen], examples.label[chosen].astype(np.float32), weight=examples.weight[chosen],
                           feature_name=list(FEATURES), params=PARAMETERS)  # fmt: skip
        boosters.append(lgb.train({**PARAMETERS, "seed": seed}, data, ROUNDS))
    return Ranker(boosters[0], boosters[1], (rates[0], rates[1]))


def part_of(candidates: Candidates, chosen: Bools | Ints) -> Candidates:
    """Some of the candidates, without their features."""
    return Candidates(candidates.user[chosen], candidates.item[chosen], candidates.again[chosen], candidates.scores[chosen],
                      candidates.features[:0])  # fmt: skip


def source_values(candidates: Candidates, source: str) -> Values:
    """Order values of one source alone; where it has no opinion, popularity follows below."""
    own = candidates.scores[:, SOURCES.index(source)].astype(np.float64)
    popular = candidates.scores[:, SOURCES.index("popularity")].astype(np.float64)
    silent = np.isinf(own)
    lowest = own[~silent].min(initial=0.0)
    return np.where(silent, lowest - 2 + popular, own)


def fixed_values(candidates: Candidates) -> Values:
    """Order values of the untrained blend: weighted reciprocal ranks."""
    values = np.zeros(len(candidates.user))
    for column, name in enumerate(SOURCES):
        score = candidates.scores[:, column]
        part = FIXED_WEIGHTS[name] / (FUSION_OFFSET + rank_within(candidates.user, score))
        values += np.where(np.isinf(score), 0.0, part)
    return values


def partner_values(candidates: Candidates, name: str) -> Values:
    """Order values of a source or of the untrained blend."""
    return fixed_values(candidates) if name == FIXED else source_values(candidates, name)


def blend_values(candidates: Candidates, chance: Values, policy: Policy) -> Values:
    """Order values of the guarded blend: each ground ordered, merged by chance, and mixed once more as a whole.

    Mixing moves chances between a user's items: the first place takes the largest, so grounds stay comparable.
    """
    values = chance.copy()
    for ground, mix in ((True, policy.again), (False, policy.new)):
        chosen = np.flatnonzero(candidates.again == ground)
        if mix.share and len(chosen):
            part = part_of(candidates, chosen)
            values[chosen] = mixed(part.user, values[chosen], partner_values(part, mix.partner), mix.share)
    if policy.all.share:
        values = mixed(candidates.user, values, partner_values(candidates, policy.all.partner), policy.all.share)
    return values


def mixed(user: Ints, learned: Values, partner: Values, share: float) -> Values:
    """Fuse two orders by reciprocal rank, then hand each user's learned values out again along the new order."""
    ours, theirs = rank_within(user, learned), rank_within(user, partner)
    fused = (1 - share) / (FUSION_OFFSET + ours) + share / (FUSION_OFFSET + theirs)
    places = rank_within(user, fused)
    first = np.searchsorted(user, user)
    falling = np.empty(len(user))
    falling[first + ours] = learned
    return np.asarray(falling[first + places] - 1e-12 * places)


def _shares(booster: lgb.Booster) -> dict[str, float]:
    gain = booster.feature_importance("gain")
    total = float(gain.sum()) or 1.0
    shares = dict.fromkeys((*SOURCES, "counts"), 0.0)
    for name, value in zip(FEATURES, gain, strict=True):
        owner = name.partition("_")[2] if name.startswith(("score_", "rank_")) else "counts"
        shares[owner] += float(value) / total
    return {name: round(share, 4) for name, share in shares.items()}
