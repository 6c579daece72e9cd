"""Names of tables and columns: the one place where they are spelled.

Stages exchange tables whose columns are listed here. SQL may use these names literally; names that come from
people's files never become identifiers without passing `slug`.
"""

import re
from collections.abc import Callable
from typing import Final

EVENT_TYPES: Final = (
    "impression",
    "view",
    "click",
    "search",
    "favourite",
    "share",
    "cart",
    "remove_from_cart",
    "purchase",
    "refund",
    "other",
)
"""Canonical acts, from weakest to strongest intent; the DuckDB ENUM keeps this order."""

INTEREST_TYPES: Final = ("view", "click", "favourite", "share", "cart", "purchase")
"""Acts that show interest in an item (an impression, a search, a removal or a refund do not)."""

ACTS: Final = ("purchase", "cart", "favourite", "share", "click", "view")
"""Acts that a propensity may be asked for."""

OPTIMIZERS: Final = ("adamw", "adam", "sgd")
"""Ways in which networks may learn."""
RFM_GROUPS: Final = ("champions", "loyal", "recent", "occasional", "at_risk", "asleep", "never")
"""Groups of buyers in the order of their numbers: who bought lately, often and much first; `never` bought (see `features.stages`)."""
STAGES: Final = ("new", "active", "slipping", "away")
"""Stages of a shopper's life in the order of their numbers."""

EVENTS: Final = (
    "user_id",
    "item_id",
    "event_type",
    "event_time",
    "session_id",
    "dwell_seconds",
    "position",
    "quantity",
    "price",
    "revenue",
    "query",
    "order_id",
    "source_file",
    "source_row",
)
"""Columns of `events`. All exist in every version; absent ones are NULL and missing from manifest["columns_present"].

Total order of events: (event_time, source_file, source_row, event_type)."""

ITEM_ATTRIBUTES: Final = ("title", "category", "brand", "price", "description", "image")
ITEMS: Final = ("item_id", *ITEM_ATTRIBUTES)
QUARANTINE: Final = ("source_file", "source_row", "rule", "reason", "text")

PROPENSITY: Final = ("user_id", "propensity", "low", "high")
CATEGORY_PROPENSITY: Final = ("user_id", "category", "propensity", "low", "high")
RECOMMENDATIONS: Final = ("user_id", "rank", "item_id", "score", "reason")
SEGMENTS: Final = ("user_id", "x", "y", "segment_id", "certainty", "subsegment_id")
CANDIDATES: Final = ("user_id", "item_id", "score")

RUN_KINDS: Final = (
    "profiles",
    "atlas",
    "propensity",
    "recommendations",
    "blocks",
    "tuning",
    "compression",
    "transfer",
    "backtest",
    "learning",
    "answers",
    "explanations",
    "uplift",
    "robustness",
)
RESULTS: Final = RUN_KINDS[:4]
"""What `run` computes; the others are measured when somebody asks."""

_NOT_NAME = re.compile(r"[^0-9a-z_]+")


def slug(name: str) -> str:
    """Turn a person's column or dataset name into a safe identifier: `Household Size` → `household_size`.

    Letters outside ASCII are kept as their code point (`年龄` → `u5e74_u9f84`), so that distinct names stay distinct.
    """
    spelled = "".join(c if c.isascii() else f"_u{ord(c):x}_" for c in name.strip().lower())
    cleaned = re.sub(r"_+", "_", _NOT_NAME.sub("_", spelled)).strip("_")
    return (cleaned if cleaned and not cleaned[0].isdigit() else f"c_{cleaned}")[:60]


Progress = Callable[[float, str], None]
"""Called with the done share 0-1 of the stage and a short sentence, made by `say`; may raise CancelledError, which stages let through."""


def silent(share: float, message: str) -> None:
    """A Progress that tells nobody."""


def part_of(progress: Progress, begin: float, end: float) -> Progress:
    """Map a part's own share 0-1 onto `begin`…`end` of the whole."""
    return lambda share, message: progress(begin + (end - begin) * share, message)
