"""What a caller chooses and what a caller gets back."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from core.errors import CutoffError, RuleError
from core.recommender.relations import NO_RELATIONS, Relations

SOURCES = (
    "repeat", "due", "interest", "popularity", "popular_ever", "crowd", "category", "item_knn", "ease", "factors", "content", "paths",
    "sequence",
)  # fmt: skip
"""Every source by name, in the order in which screens list them."""

BLEND = "blend"
MAX_K = 200


class ItemVectorsLike(Protocol):
    """Text vectors of items, as the encoder makes them: I items, T distinct texts, D dimensions."""

    @property
    def item_ids(self) -> list[str]:
        """Sorted item ids (I)."""

    @property
    def index(self) -> npt.NDArray[np.int32]:
        """Row into `vectors` of each item (I,), -1 for an item without text."""

    @property
    def vectors(self) -> npt.NDArray[np.float32]:
        """Unit vectors of distinct texts (T, D), float32."""


@dataclass(frozen=True)
class NextItems:
    """What a transformer over single acts foresees: U users, I items, D dimensions."""

    learned_until: datetime
    """First instant that the network has not learned from."""
    user_ids: list[str]
    states: npt.NDArray[np.float32]
    """Unit vectors (U, D); zero for a user without acts."""
    item_ids: list[str]
    vectors: npt.NDArray[np.float32]
    """Unit vectors (I, D)."""

    def check(self, cutoff: datetime) -> None:
        """Refuse a network that has seen what it is to foresee.

        Raises:
            CutoffError: It learned from acts after the cutoff.
        """
        if self.learned_until > cutoff:
            raise CutoffError(
                "The transformer learned until {learned}, which is after the cutoff {cutoff}; choose a later cutoff or train it earlier.",
                learned=f"{self.learned_until:%Y-%m-%d %H:%M}",
                cutoff=f"{cutoff:%Y-%m-%d %H:%M}",
            )


class Foresight(Protocol):
    """Gives what a network foresees at a cutoff."""

    def __call__(self, cutoff: datetime) -> NextItems | None:
        """None at a cutoff before the end of what the network learned from."""


@dataclass(frozen=True)
class RecommendOptions:
    """Settings of one run of recommendations."""

    k: int = 20
    """Rows for each user."""
    horizon: timedelta = timedelta(days=28)
    """Length of the label window that the blend learns from and is judged on."""
    source: str = BLEND
    """`blend`, or one of SOURCES alone (filled up with popularity where it has no opinion)."""
    new_only: bool = False
    """Leave out items that the user already has the target act on."""
    seed: int = 0
    """Seeds factor start values and the sample of negatives."""
    repeat_half_life_days: float = 60.0
    """Grocery logs: personal counts with a decay of 60 days are the strongest single list."""
    interest_half_life_days: float = 7.0
    """What was touched and not yet bought fades within days."""
    popular_days: float = 28.0
    """Popularity counts the buyers of this many last days."""
    ease_items: int = 5000
    """EASE inverts a dense square matrix of this many most bought items (100 MB at 5,000)."""
    factors: int = 64
    """Width of the factorisation."""
    max_train_users: int = 1500
    """Users sampled from each training cutoff; 2,000 against 1,500 moved nDCG@10 by less than its interval."""
    max_test_users: int = 5000
    """Users sampled from the test window; the intervals say what that costs."""
    relations: Relations = NO_RELATIONS
    """What the shop declares of its items; edges of the graph that `paths` walks."""
    min_train_buyers: int = 30
    """Below this many buyers in a training window nothing is learned and the fixed blend stands."""

    def __post_init__(self) -> None:
        """Check what a person may have typed.

        Raises:
            RuleError: k is outside 1..MAX_K, or the source is unknown.
        """
        if not 1 <= self.k <= MAX_K:
            raise RuleError("k is {k}; choose 1 to {most} recommendations for each shopper.", k=self.k, most=MAX_K)
        if self.source != BLEND and self.source not in SOURCES:
            raise RuleError(
                "There is no source {source!r}; choose {blend} or one of {sources}.",
                source=self.source,
                blend=BLEND,
                sources=", ".join(SOURCES),
            )


@dataclass(frozen=True)
class RecommendResult:
    """What `recommend` hands to the pipeline."""

    recommendations: pa.Table
    """RECOMMENDATIONS + chance, is_new, reason_code, reason_item, source_<name>; sorted by user_id, rank."""
    metrics: pa.Table
    """source, ground (all, new), band (all, cold, warm, hot), measure, value, low, high, n; empty when nothing could be measured."""
    record: dict[str, Any] = field(default_factory=dict)
    """For the manifest: target act, windows, weights, guard, candidate recall, the blend beside each source, trial plan, warnings."""
    candidates: pa.Table | None = None
    """The recommendations and what ranks below them, as deep as is kept; same columns, `rank` among all candidates."""
    two_lists: pa.Table | None = None
    """list (again, new) + the columns of `recommendations` without sources; sorted by list, user_id, rank; rank from 1 in each."""
