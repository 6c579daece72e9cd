"""What the map may be coloured by, beside segments and chances: counted features, tastes, RFM groups, stages of life."""

import numpy as np
import numpy.typing as npt

from core.features import stages
from core.pipeline import screens
from core.pipeline.places import in_order, map_log, places
from core.pipeline.screens import Screen
from core.schema import RFM_GROUPS, STAGES
from core.store import fetch

__all__ = ["RFM_GROUPS", "STAGES", "affinity", "categories", "feature_values", "features", "life", "rfm", "rfm_knows_revenue"]

MOST_CATEGORIES = 60
"""Offered for colouring, those with most acts first."""

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]

CATEGORIES_SQL = """
SELECT c.category FROM history AS h JOIN catalogue AS c USING (item_id)
WHERE c.category IS NOT NULL AND h.event_type IN ('view', 'click', 'favourite', 'share', 'cart', 'purchase')
GROUP BY c.category ORDER BY count(*) DESC, c.category LIMIT $most
"""
AFFINITY_SQL = """
SELECT h.user_id, count(*) FILTER (c.category = $category) / count(*) AS share
FROM history AS h JOIN catalogue AS c USING (item_id)
WHERE c.category IS NOT NULL AND h.event_type IN ('view', 'click', 'favourite', 'share', 'cart', 'purchase')
GROUP BY h.user_id ORDER BY h.user_id
"""


def feature_values(screen: Screen, name: str) -> Floats:
    """A counted feature of everyone on the map (U,); NaN where it is empty."""
    return in_order(places(screen).user_ids, screens.run_table(screen, "profiles", "counts", ["user_id", name]), name)


def features(screen: Screen) -> list[str]:
    """Counted features by which the shoppers of the map differ."""
    return [name for name in screens.varying_columns(screen, "profiles", "counts") if name != "user_id"]


def categories(screen: Screen) -> list[str]:
    """Categories that the map may be coloured by, those with most acts first."""
    with map_log(screen) as connection:
        return [str(name) for name in fetch(connection, CATEGORIES_SQL, {"most": MOST_CATEGORIES})["category"].to_pylist()]


def affinity(screen: Screen, category: str) -> Floats:
    """Share of a category in each shopper's acts of interest (U,), as of the map; NaN without any."""
    with map_log(screen) as connection:
        return in_order(places(screen).user_ids, fetch(connection, AFFINITY_SQL, {"category": category}), "share")


def rfm(screen: Screen) -> Codes | None:
    """RFM group of everyone (U,), a row of RFM_GROUPS; None when the profiles know no purchases."""
    names = ("days_since_purchase", "orders_all", "revenue_all")
    if not _has(screen, *names):
        return None
    recency, orders, revenue = (feature_values(screen, name) for name in names)
    return stages.rfm_groups(recency, orders, revenue) if np.isfinite(recency).any() else None


def rfm_knows_revenue(screen: Screen) -> bool:
    """Whether RFM groups rest on revenue, too: the log tells any."""
    return "revenue_all" in features(screen)


def life(screen: Screen) -> Codes | None:
    """Stage of life of everyone (U,), a row of STAGES; None when the profiles cannot tell."""
    names = ("tenure_days", "days_since_event", "active_gap_median_days")
    return stages.life_stages(*(feature_values(screen, name) for name in names)) if _has(screen, *names) else None


def _has(screen: Screen, *names: str) -> bool:
    return set(names) <= set(screens.run_columns(screen, "profiles", "counts"))
