"""How fast acts should fade in a text profile, and what each kind should weigh, as an earlier window of the log tells.

U users, T targets, D values of a text vector.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy.sparse import csr_matrix
from scipy.stats import norm, rankdata

from core.encoder.items import ItemVectors
from core.encoder.pooling import EVENT_WEIGHTS, HALF_LIFE_DAYS
from core.encoder.probe import Bools, Floats, Scaled, can_judge, equal, fit_ridge
from core.store import Connection, fetch

HALF_LIVES = (15.0, 30.0, HALF_LIFE_DAYS, 120.0, 365.0)
WEIGHTS: Mapping[str, Mapping[str, float]] = MappingProxyType(
    {
        "usual": EVENT_WEIGHTS,
        "alike": dict.fromkeys(EVENT_WEIGHTS, 1.0),
        "looks a tenth": {**EVENT_WEIGHTS, "view": 0.1, "click": 0.1},
        "purchases alone": {"purchase": 1.0},
    }
)
"""What acts may weigh beside a purchase."""
MOST_USERS = 6_000
"""Shoppers that the choice is made on: more of them cost time and hardly move it."""
MOST_TARGETS = 12
PENALTY = 1000.0
"""Of the ridge regression, in percent; the middle of what blocks are judged with."""

_ACTS_SQL = """
WITH acts AS (
    SELECT user_id, item_id, event_time, CAST(event_type AS VARCHAR) AS event_type
    FROM history JOIN pooled_users USING (user_id) WHERE item_id IS NOT NULL
), newest AS (
    SELECT user_id, max(event_time) AS event_time FROM acts GROUP BY user_id
)
SELECT user_row, text_row, event_type, epoch(newest.event_time - acts.event_time) / 86400.0 AS age, count(*) AS times
FROM acts JOIN newest USING (user_id) JOIN pooled_users USING (user_id) JOIN pooled_items USING (item_id)
GROUP BY ALL ORDER BY ALL
"""


@dataclass(frozen=True)
class Pooling:
    """How acts are weighed."""

    half_life_days: float = HALF_LIFE_DAYS
    weights: str = "usual"
    """One of WEIGHTS."""

    @property
    def event_weights(self) -> Mapping[str, float]:
        """By event type."""
        return WEIGHTS[self.weights]


@dataclass(frozen=True)
class Rival:
    """How well text profiles pooled one way foretell, beside counts."""

    half_life_days: float
    weights: str
    auc: float
    gain: float
    """AUC minus that of the usual way, on the same shoppers."""
    low: float
    high: float
    """Of the gain; wide enough for all rivals together (Bonferroni)."""


def choose_pooling(
    acts: Sequence["Acts"], vectors: ItemVectors, counts: Sequence[Floats], labels: Sequence[Bools]
) -> tuple[Pooling, list[Rival]]:
    """Choose the half-life, then the weights: the best way whose gain over the usual one is above zero with its interval.

    Args:
        acts: What each shopper did before the cutoff that is learned at, and before a later one.
        vectors: Text vectors of the items.
        counts: (U, F) of the same shoppers.
        labels: (U, T), who acts after each.
    """
    judged = np.flatnonzero(can_judge(*labels))[:MOST_TARGETS]
    truth, later_truth = (found[:, judged] for found in labels)
    found: dict[tuple[float, str], Floats] = {}

    def scores(days: float, name: str) -> Floats:
        if (days, name) not in found:
            pooled = [some.pool(vectors, days, WEIGHTS[name]) for some in acts]
            train, test = ({"counts": known, "text": text.astype(np.float64)} for known, text in zip(counts, pooled, strict=True))
            x, x_test = Scaled(train, test).weighed(equal("counts", "text"))
            found[days, name] = fit_ridge(x, truth, [PENALTY])[0](x_test)
        return found[days, name]

    kinds = {str(kind) for some in acts for kind in some.kinds if EVENT_WEIGHTS.get(str(kind), 0) > 0}
    names = [name for name in WEIGHTS if len(kinds) > 1 or name == "usual"]
    z = float(norm.ppf(1 - 0.025 / (len(HALF_LIVES) + len(names) - 2)))
    usual = scores(HALF_LIFE_DAYS, "usual")

    def rival(days: float, name: str) -> Rival:
        return _rival(days, name, scores(days, name), usual, later_truth, z)

    rivals = [rival(days, "usual") for days in HALF_LIVES]
    rivals += [rival(_best(rivals).half_life_days, name) for name in names[1:]]
    return _best(rivals), rivals


def _best(rivals: Sequence[Rival]) -> Pooling:
    """The way with the highest AUC among those that are better than the usual one beyond chance, else the usual one."""
    better = [rival for rival in rivals if rival.low > 0]
    found = max(better, key=lambda rival: rival.auc, default=None)
    return Pooling() if found is None else Pooling(found.half_life_days, found.weights)


@dataclass(frozen=True)
class Acts:
    """Acts of some users on items with a text, equal ones counted."""

    users: int
    user: npt.NDArray[np.int64]
    text: npt.NDArray[np.int64]
    kinds: npt.NDArray[Any]
    age: Floats
    """Days before the user's own newest act."""
    times: Floats

    def pool(self, items: ItemVectors, half_life_days: float, weights: Mapping[str, float]) -> npt.NDArray[np.float32]:
        """Unit vectors (U, D), as `pool_text_profiles` makes them but for rounding."""
        names, which = np.unique(self.kinds, return_inverse=True)
        weight = np.array([weights.get(str(name), 0.0) for name in names])[which] * self.times * 0.5 ** (self.age / half_life_days)
        pairs, place = np.unique(self.user * (len(items.vectors) + 1) + self.text, return_inverse=True)
        strength = np.log1p(np.bincount(place, weight, minlength=len(pairs))).astype(np.float32)
        shape = (self.users, len(items.vectors))
        pooled = csr_matrix((strength, (pairs // (len(items.vectors) + 1), pairs % (len(items.vectors) + 1))), shape=shape) @ items.vectors
        norms = np.linalg.norm(pooled, axis=1, keepdims=True)
        return np.asarray(np.divide(pooled, norms, out=np.zeros_like(pooled), where=norms > 1e-6), np.float32)


def read_acts(connection: Connection, items: ItemVectors, users: Sequence[str]) -> Acts:
    """Read what some users did, from a connection of Log.history."""
    known = items.index >= 0
    tables = {
        "pooled_users": pa.table({"user_id": pa.array(users, pa.string()), "user_row": pa.array(range(len(users)), pa.int64())}),
        "pooled_items": pa.table(
            {"item_id": pa.array(items.item_ids, pa.string()).filter(pa.array(known)), "text_row": items.index[known]}
        ),
    }
    for name, table in tables.items():
        connection.register(name, table)
    found = fetch(connection, _ACTS_SQL)
    for name in tables:
        connection.unregister(name)
    return Acts(
        len(users),
        found["user_row"].to_numpy().astype(np.int64),
        found["text_row"].to_numpy().astype(np.int64),
        found["event_type"].to_numpy(),
        found["age"].to_numpy().astype(np.float64),
        found["times"].to_numpy().astype(np.float64),
    )


def _rival(days: float, name: str, scores: Floats, usual: Floats, labels: Bools, z: float) -> Rival:
    auc, parts = mean_auc(scores, labels)
    usual_auc, usual_parts = mean_auc(usual, labels)
    spread = z * float(np.sqrt(((parts - usual_parts) ** 2).sum()))
    return Rival(days, name, auc, auc - usual_auc, auc - usual_auc - spread, auc - usual_auc + spread)


def mean_auc(scores: Floats, labels: Bools) -> tuple[float, Floats]:
    """Mean AUC over targets, and each user's part in its error (U,): the sum of their squares is its variance.

    After DeLong, DeLong & Clarke-Pearson 1988: an AUC is a mean over positives of the share of negatives below each, and over
    negatives of the share of positives above.
    """
    areas, parts = [], np.zeros(len(labels))
    for column in range(labels.shape[1]):
        positive = labels[:, column]
        everyone, value = rankdata(scores[:, column]), np.zeros(len(labels))
        n, m = int(positive.sum()), int((~positive).sum())
        value[positive] = (everyone[positive] - rankdata(scores[positive, column])) / m
        value[~positive] = 1 - (everyone[~positive] - rankdata(scores[~positive, column])) / n
        area = float(value[positive].mean())
        parts += np.where(positive, (value - area) / n, (value - area) / m) / labels.shape[1]
        areas.append(area)
    return float(np.mean(areas)), parts
