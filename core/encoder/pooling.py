"""Users as weighted pools of the texts they touched: no forward pass for each event."""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy.sparse import csr_matrix

from core.encoder.items import ItemVectors
from core.errors import RuleError
from core.schema import EVENT_TYPES
from core.store import Connection, fetch

EVENT_WEIGHTS: Mapping[str, float] = MappingProxyType(
    {"purchase": 1.0, "cart": 0.6, "favourite": 0.5, "share": 0.4, "click": 0.2, "view": 0.2}
)
"""What one act says about taste, relative to a purchase.

The order is that of effort; the sizes follow the share of viewed pairs that are bought later (views 1-14 %, carts
55-70 % on the logs measured), damped so that a hundred views still weigh more than one purchase. Showing an item,
searching, taking it out of the cart and sending it back say nothing about liking its text: weight 0."""
HALF_LIFE_DAYS = 60.0
"""An act counts half after two months: the best of seven half-lives on a validation window (docs/decisions/0015)."""

_BLOCK_USERS = 20_000
"""Users whose pools are held as a sparse matrix at a time."""

# A decayed weight is rounded to nine digits before it is summed: decimal sums are exact, so they come out the same in
# any order and on any number of threads. ln(1 + w) keeps one item bought weekly from drowning everything else.
_PAIRS_SQL = """
CREATE OR REPLACE TEMP TABLE text_pairs AS
WITH acts AS (
    SELECT user_id, item_id, event_time, weight FROM history JOIN text_weights USING (event_type) WHERE item_id IS NOT NULL
), newest AS (
    SELECT user_id, max(event_time) AS event_time FROM acts GROUP BY user_id
), weighted AS (
    SELECT acts.user_id, acts.item_id,
           sum(CAST(weight * pow(0.5, epoch(newest.event_time - acts.event_time) / 86400.0 / $half_life) AS DECIMAL(18, 9))) AS weight
    FROM acts JOIN newest USING (user_id)
    GROUP BY ALL
)
SELECT user_row, text_row, sum(CAST(ln(1 + CAST(weighted.weight AS DOUBLE)) AS DECIMAL(18, 9))) AS weight
FROM weighted JOIN text_items USING (item_id) JOIN text_users USING (user_id)
WHERE weighted.weight > 0
GROUP BY ALL
ORDER BY user_row, text_row
"""


def pool_text_profiles(
    connection: Connection,
    item_vectors: ItemVectors,
    half_life_days: float = HALF_LIFE_DAYS,
    weights: Mapping[str, float] | None = None,
) -> tuple[list[str], npt.NDArray[np.float32]]:
    """Pool each user's item texts, weighted by act and recency, into one unit vector.

    w(user, item) = ln(1 + sum over events of weight(act) * 0.5 ** (age / half-life)); the profile is the unit vector
    along the sum of w * vector. Ages count back from the user's own newest act, so a profile changes when its user acts or
    the texts do, never because time goes by for others. Memory is bounded by blocks of users.

    Args:
        connection: From Log.history(cutoff).
        item_vectors: From encode_items at the same cutoff.
        half_life_days: Age at which an act counts half, above 0.
        weights: By event type, at least 0; absent types count nothing. Default EVENT_WEIGHTS.

    Returns:
        All users of the history, sorted, and unit vectors (U, D), float32; zeros for users who touched no item with
        a text.

    Raises:
        RuleError: A weight is negative or names no event type, or the half-life is not above 0.
    """
    with_text = item_vectors.index >= 0
    item_ids = pa.array(item_vectors.item_ids, pa.string()).filter(pa.array(with_text))
    users = _weigh_pairs(connection, item_ids, item_vectors.index[with_text], half_life_days, weights)
    profiles = np.zeros((len(users), item_vectors.vectors.shape[1]), np.float32)
    for start in range(0, len(users), _BLOCK_USERS):
        end = min(start + _BLOCK_USERS, len(users))
        profiles[start:end] = _pool_block(connection, start, end, item_vectors.vectors)
    for name in ("text_pairs", "text_users", "text_items", "text_weights"):
        connection.execute(_DROP_SQL[name])
    return users, profiles


def touched_items(connection: Connection, item_ids: list[str], half_life_days: float = HALF_LIFE_DAYS) -> tuple[list[str], csr_matrix]:
    """How much each user touched each item, by the weights of `pool_text_profiles`.

    Args:
        connection: From Log.history(cutoff).
        item_ids: Items in the order of the columns wanted.
        half_life_days: Age at which an act counts half, above 0.

    Returns:
        All users of the history, sorted, and w(user, item) (U, I), float32, 0 where nothing was done.

    Raises:
        RuleError: The half-life is not above 0.
    """
    users = _weigh_pairs(connection, pa.array(item_ids, pa.string()), np.arange(len(item_ids), dtype=np.int32), half_life_days, None)
    pairs = _read_pairs(connection, 0, len(users), len(item_ids))
    for name in ("text_pairs", "text_users", "text_items", "text_weights"):
        connection.execute(_DROP_SQL[name])
    return users, pairs


def _weigh_pairs(
    connection: Connection,
    item_ids: pa.Array,
    rows: npt.NDArray[np.int32],
    half_life_days: float,
    weights: Mapping[str, float] | None,
) -> list[str]:
    """Make the table text_pairs of users × rows; returns the users."""
    chosen = _checked(EVENT_WEIGHTS if weights is None else weights, half_life_days)
    users: list[str] = fetch(connection, "SELECT DISTINCT user_id FROM history ORDER BY user_id")["user_id"].to_pylist()
    _load(connection, "text_users", {"user_id": pa.array(users, pa.string()), "user_row": pa.array(range(len(users)), pa.int64())})
    _load(connection, "text_items", {"item_id": item_ids, "text_row": pa.array(rows, pa.int32())})
    _load(
        connection,
        "text_weights",
        {"event_type": pa.array(list(chosen), pa.string()), "weight": pa.array(list(chosen.values()), pa.float64())},
    )
    connection.execute(_PAIRS_SQL, {"half_life": float(half_life_days)})
    return users


def _pool_block(connection: Connection, start: int, end: int, vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    pooled: npt.NDArray[np.float32] = _read_pairs(connection, start, end, len(vectors)) @ vectors  # (block, D)
    norms = np.linalg.norm(pooled, axis=1, keepdims=True)
    unit: npt.NDArray[np.float32] = np.divide(pooled, norms, out=np.zeros_like(pooled), where=norms > 1e-6)
    return unit


def _read_pairs(connection: Connection, start: int, end: int, columns: int) -> csr_matrix:
    pairs = fetch(
        connection,
        "SELECT user_row, text_row, CAST(weight AS DOUBLE) AS weight FROM text_pairs WHERE user_row >= ? AND user_row < ? "
        "ORDER BY user_row, text_row",
        [start, end],
    )
    rows = pairs["user_row"].to_numpy() - start
    pointers = np.searchsorted(rows, np.arange(end - start + 1))
    return csr_matrix((pairs["weight"].to_numpy().astype(np.float32), pairs["text_row"].to_numpy(), pointers), shape=(end - start, columns))


def _load(connection: Connection, name: str, columns: dict[str, pa.Array]) -> None:
    connection.register("incoming", pa.table(columns))
    connection.execute(_LOAD_SQL[name])
    connection.unregister("incoming")


_LOAD_SQL = {
    "text_users": "CREATE OR REPLACE TEMP TABLE text_users AS SELECT user_id, user_row FROM incoming",
    "text_items": "CREATE OR REPLACE TEMP TABLE text_items AS SELECT item_id, text_row FROM incoming",
    "text_weights": """
CREATE OR REPLACE TEMP TABLE text_weights AS SELECT CAST(event_type AS event_type) AS event_type, weight FROM incoming""",
}
_DROP_SQL = {
    "text_pairs": "DROP TABLE text_pairs",
    "text_users": "DROP TABLE text_users",
    "text_items": "DROP TABLE text_items",
    "text_weights": "DROP TABLE text_weights",
}


def _checked(weights: Mapping[str, float], half_life_days: float) -> dict[str, float]:
    if not half_life_days > 0:
        raise RuleError("The half-life must be above 0 days, not {days}; 60 is the default.", days=str(half_life_days))
    for event_type, weight in weights.items():
        if event_type not in EVENT_TYPES:
            raise RuleError("{name!r} is no event type; weights may name {known}.", name=event_type, known=", ".join(EVENT_TYPES))
        if not 0 <= weight < 1e6:
            raise RuleError("The weight of {name} is {weight}; give a number from 0 on.", name=event_type, weight=str(weight))
    return {event_type: float(weight) for event_type, weight in weights.items() if weight > 0}
