"""Who did what to which item before a cutoff, as integer arrays; and what they did in the label window after it.

Ages are whole minutes before the cutoff, so that decayed sums are taken in one fixed order and equal in every run.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import scipy.sparse as sp

from core.recommender.examination import fit_appeal
from core.schema import ACTS, EVENT_TYPES
from core.store import Connection, Log, fetch

MINUTES_A_DAY = 1440.0
INTEREST_WEIGHTS = {"view": 1.0, "click": 1.0, "share": 2.0, "favourite": 3.0, "cart": 6.0, "remove_from_cart": -5.0, "purchase": 6.0}
"""How much an act says about wanting the item; the order of strength of core.schema.EVENT_TYPES, carts taken back nearly cancel."""

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]

_CODES_SQL = """
CREATE OR REPLACE TEMP TABLE people AS
SELECT user_id, row_number() OVER (ORDER BY user_id) - 1 AS u FROM (SELECT DISTINCT user_id FROM history);
CREATE OR REPLACE TEMP TABLE goods AS
SELECT item_id, title, category, brand, price, row_number() OVER (ORDER BY item_id) - 1 AS i FROM catalogue;
"""
_TOUCHES_SQL = """
SELECT DISTINCT people.u, goods.i, enum_code(history.event_type) AS act,
       (epoch_us($cutoff) - epoch_us(history.event_time)) // 60000000 AS age
FROM history JOIN people USING (user_id) JOIN goods USING (item_id)
WHERE history.event_type IN ('view', 'click', 'favourite', 'share', 'cart', 'remove_from_cart', 'purchase')
ORDER BY ALL
"""
_PRICES_SQL = """
SELECT goods.i, median(coalesce(history.price, history.revenue / nullif(history.quantity, 0))) AS price
FROM history JOIN goods USING (item_id) WHERE history.event_type NOT IN ('refund') GROUP BY goods.i ORDER BY goods.i
"""
_LAST_SEEN_SQL = """
SELECT (epoch_us($cutoff) - epoch_us(max(history.event_time))) // 60000000 AS age FROM history JOIN people USING (user_id)
GROUP BY people.u ORDER BY people.u
"""
_SHOWN_SQL = """
WITH placed AS (
    SELECT item_id, event_type, TRY_CAST(position AS INTEGER) AS place FROM history
    WHERE position IS NOT NULL AND event_type IN ('impression', 'click'))
SELECT goods.i, place AS position, count(*) FILTER (event_type = 'impression') AS shown, count(*) FILTER (event_type = 'click') AS clicked
FROM placed JOIN goods USING (item_id) WHERE place >= 1 GROUP BY ALL HAVING shown > 0 ORDER BY ALL
"""
_LABELS_SQL = """
SELECT DISTINCT people.u, coalesce(goods.i, -1) AS i, future.item_id
FROM future JOIN people USING (user_id) LEFT JOIN goods USING (item_id)
WHERE future.event_type = $target AND future.item_id IS NOT NULL ORDER BY ALL
"""


@dataclass(frozen=True)
class Pairs:
    """Distinct (user, item) pairs of some acts, sorted by user then item, n of them."""

    user: Ints
    item: Ints
    count: Floats
    """Occasions (distinct minutes)."""
    weight: Floats
    """Sum of act weights."""
    decayed: Floats
    """Sum of act weights, halved every half-life."""
    last_days: Floats
    first_days: Floats

    def matrix(self, values: Floats, shape: tuple[int, int]) -> sp.csr_matrix:
        """One value per pair as a sparse (U, I) matrix."""
        return sp.csr_matrix((values, (self.user, self.item)), shape=shape)


@dataclass(frozen=True)
class Interactions:
    """Everything a source may know at one cutoff: U users, I items of the catalogue, E touches."""

    cutoff: datetime
    target: str
    user_ids: list[str]
    item_ids: list[str]
    user: Ints
    item: Ints
    act: Ints
    """Place in core.schema.EVENT_TYPES (E,)."""
    age: Ints
    """Minutes before the cutoff (E,)."""
    title: npt.NDArray[np.int32]
    """Code of each item's title (I,), -1 without; likewise category and brand."""
    category: npt.NDArray[np.int32]
    brand: npt.NDArray[np.int32]
    titles: list[str]
    categories: list[str]
    brands: list[str]
    price: Floats
    """Catalogue price, else the median price paid (I,), NaN when unknown."""
    appeal: Floats
    """Click rate of each item with the effect of its places taken out (I,); NaN where the log has no places."""
    idle_days: Floats
    """Days since each user's last event of any kind (U,)."""

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.user_ids), len(self.item_ids)

    @cached_property
    def bought(self) -> Pairs:
        """Pairs with the target act, decayed with a half-life of 60 days."""
        return self.pairs(self.act == EVENT_TYPES.index(self.target), half_life_days=60.0)

    @cached_property
    def is_untouched(self) -> npt.NDArray[np.bool_]:
        """Items of the catalogue that no act names (I,)."""
        return np.asarray(np.bincount(self.item, minlength=self.shape[1]) == 0)

    @cached_property
    def bought_matrix(self) -> sp.csr_matrix:
        """1 where the user already has the target act on the item (U, I)."""
        return self.bought.matrix(np.ones(len(self.bought.user), np.float32), self.shape)

    def pairs(self, chosen: npt.NDArray[np.bool_], half_life_days: float) -> Pairs:
        """Sum the chosen touches by pair."""
        user, item, age = self.user[chosen], self.item[chosen], self.age[chosen]
        strength = np.array([INTEREST_WEIGHTS.get(act, 0.0) for act in EVENT_TYPES])[self.act[chosen]]
        key = user * max(self.shape[1], 1) + item
        order = _by_key_and_age(key, age)
        key, age, strength = key[order], age[order], strength[order]
        starts = np.flatnonzero(np.r_[True, np.diff(key) > 0]) if len(key) else np.zeros(0, np.int64)
        if not len(starts):
            empty = np.zeros(0, np.float32)
            return Pairs(np.zeros(0, np.int64), np.zeros(0, np.int64), empty, empty, empty, empty, empty)
        days = age / MINUTES_A_DAY
        fade = strength * np.exp2(-days / half_life_days)
        ends = np.r_[starts[1:], len(key)] - 1
        return Pairs(
            user=key[starts] // max(self.shape[1], 1),
            item=key[starts] % max(self.shape[1], 1),
            count=np.diff(np.r_[starts, len(key)]).astype(np.float32),
            weight=np.add.reduceat(strength, starts).astype(np.float32),
            decayed=np.add.reduceat(fade, starts).astype(np.float32),
            last_days=days[starts].astype(np.float32),
            first_days=days[ends].astype(np.float32),
        )


@dataclass(frozen=True)
class Labels:
    """Target acts of known users in the label window: distinct (user, item), sorted; L of them."""

    user: Ints
    item: Ints
    """-1 for an item that was not in the catalogue at the cutoff: relevant, and out of reach."""
    item_id: list[str]
    is_new: npt.NDArray[np.bool_]
    """Whether the user had no target act on the item before the cutoff."""

    def users(self) -> Ints:
        """Users with at least one relevant item, sorted."""
        return np.unique(self.user)


def strongest_act(log: Log) -> str | None:
    """Name the act that recommendations are to bring about: purchase, or the strongest act that the log has; None without any."""
    with log.history() as connection:
        found = {row[0] for row in connection.execute(
            "SELECT DISTINCT CAST(event_type AS VARCHAR) FROM history WHERE item_id IS NOT NULL").fetchall()}  # fmt: skip
    return next((act for act in ACTS if act in found), None)


def read_interactions(log: Log, cutoff: datetime, target: str) -> Interactions:
    """Read what was known before a cutoff."""
    with log.history(cutoff) as connection, _coded(connection):
        return _interactions(connection, cutoff, target)


def read_with_labels(log: Log, cutoff: datetime, horizon: timedelta, target: str) -> tuple[Interactions, Labels]:
    """Read what was known before a cutoff, and the target acts in the label window after it."""
    with log.label_window(cutoff, horizon) as connection, _coded(connection):
        known = _interactions(connection, cutoff, target)
        rows = fetch(connection, _LABELS_SQL, {"target": target})
    user, item = _column(rows, "u", np.int64), _column(rows, "i", np.int64)
    key = user * known.shape[1] + item
    before = known.bought.user * known.shape[1] + known.bought.item
    return known, Labels(user, item, rows["item_id"].to_pylist(), (item < 0) | ~np.isin(key, before))


@contextmanager
def _coded(connection: Connection) -> Iterator[None]:
    connection.execute(_CODES_SQL)
    yield


def _interactions(connection: Connection, cutoff: datetime, target: str) -> Interactions:
    touches = fetch(connection, _TOUCHES_SQL, {"cutoff": cutoff})
    goods = fetch(connection, "SELECT item_id, title, category, brand, CAST(price AS DOUBLE) AS price FROM goods ORDER BY i")
    paid = fetch(connection, _PRICES_SQL)
    price = _column(goods, "price", np.float32)
    median = np.full(len(price), np.nan, np.float32)
    median[_column(paid, "i", np.int64)] = _column(paid, "price", np.float32)
    title, titles = _codes(goods["title"])
    category, categories = _codes(goods["category"])
    brand, brands = _codes(goods["brand"])
    return Interactions(
        cutoff=cutoff,
        target=target,
        user_ids=fetch(connection, "SELECT user_id FROM people ORDER BY u")["user_id"].to_pylist(),
        item_ids=goods["item_id"].to_pylist(),
        user=_column(touches, "u", np.int64),
        item=_column(touches, "i", np.int64),
        act=_column(touches, "act", np.int64),
        age=_column(touches, "age", np.int64),
        title=title,
        category=category,
        brand=brand,
        titles=titles,
        categories=categories,
        brands=brands,
        price=np.where(np.isnan(price), median, price),
        appeal=fit_appeal(fetch(connection, _SHOWN_SQL), len(price)).of_item,
        idle_days=(_column(fetch(connection, _LAST_SEEN_SQL, {"cutoff": cutoff}), "age", np.float64) / MINUTES_A_DAY).astype(np.float32),
    )


def _by_key_and_age(key: Ints, age: Ints) -> Ints:
    """Stable order by key, then age; touches come nearly sorted, which one number for both makes quick to use."""
    span = int(age.max(initial=0)) + 1
    if not len(key) or age.min() < 0 or int(key.max()) > (2**62) // span:
        return np.lexsort((age, key))
    return np.argsort(key * span + age, kind="stable")


def _column(table: pa.Table, name: str, kind: type) -> npt.NDArray[Any]:
    plain = table[name].cast(pa.float64() if issubclass(kind, np.floating) else pa.int64())
    return np.asarray(plain.to_numpy(), dtype=kind)


def _codes(column: pa.ChunkedArray) -> tuple[npt.NDArray[np.int32], list[str]]:
    words = sorted({word for word in column.to_pylist() if word})
    place = {word: number for number, word in enumerate(words)}
    return np.array([place.get(word, -1) if word else -1 for word in column.to_pylist()], np.int32), words
