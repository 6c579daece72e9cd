"""Which traits agree in one name: none says the opposite of another, and none says the same again."""

import re
from collections.abc import Iterable

from core.atlas.traits import LEVELS

Said = tuple[str, str]
"""(kind, code) of a trait; a counted feature says what the named kind nearest to it says."""

ONE_OF = frozenset({"cadence", "hours", "days", *LEVELS})
"""Kinds of which a shopper has one value: two of them in one name contradict each other."""

_OFTEN = (("cadence", "daily"), ("cadence", "weekly"), ("activity", "high"), ("orders", "high"))
_SELDOM = (("cadence", "once"), ("cadence", "rare"), ("activity", "low"), ("orders", "low"))
AT_ODDS = frozenset(
    [frozenset((often, seldom)) for often in _OFTEN for seldom in _SELDOM]
    + [frozenset((("orders", "none"), some)) for some in (("spend", "high"), ("spend", "low"), ("event", "purchase"))]
    + [frozenset((("recency", "low"), ("activity", "low")))]  # `Active lately · Seldom active`
    + [frozenset((("event", "purchase"), ("orders", "some")))]  # says it twice
)
"""Pairs of different kinds that contradict or repeat each other on screen, whatever the quarters are taken of."""

_FEATURES = (
    (r"days_since_(?!first_|previous_)|_(overdue|silence)_ratio$", ("recency", "high")),
    (r"_gap_(mean|median|longest|last)_days$|^days_since_previous_order", ("cadence", "rare")),
    (r"^(orders|purchases)_(\d+d|all|per_week)$|^buying_weeks", ("orders", "high")),
    (r"^(events|views|clicks|sessions|units|items|active_days)_(\d+d|all)$|^active_weeks", ("activity", "high")),
    (r"^revenue_(\d+d|all)$", ("spend", "high")),
    (r"^price_", ("price", "high")),
    (r"^carts_(\d+d|all)$", ("event", "cart")),
    (r"^favourites_(\d+d|all)$", ("event", "favourite")),
    (r"^searches_(\d+d|all)$", ("event", "search")),
    (r"^weekend_share$", ("days", "weekend")),
)
"""Names of counted features → what their top quarter says."""


def said(kind: str, code: str) -> Said:
    """Return what a trait says: a feature (`orders_28d`) what its named kind would (`orders`, `high`)."""
    if kind != "feature":
        return kind, code
    return next((meant for pattern, meant in _FEATURES if re.search(pattern, code)), (kind, code))


def agrees(trait: Said, others: Iterable[Said]) -> bool:
    """Tell whether a trait neither contradicts nor repeats any other of a name (or of the name that stands before it)."""
    new = said(*trait)
    return all(
        new != old and not (new[0] == old[0] and new[0] in ONE_OF) and frozenset((new, old)) not in AT_ODDS
        for old in (said(*other) for other in others)
    )
