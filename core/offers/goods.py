"""What rules must know of items and of shoppers' past, read from the log as of its end: I items."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from core.store import Connection, fetch

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

REBUY_LEAST = 0.1
"""Share of a category's shopper–item pairs bought on a second day from which it counts as bought again; measured in docs/decisions/0033."""
REBUY_PAIRS = 20
"""Fewer pairs tell nothing of a category."""

GOODS_SQL = """
WITH buyers AS (
    SELECT item_id, count(DISTINCT user_id) FILTER (event_type = 'purchase') AS buyers, count(DISTINCT user_id) AS users
    FROM history WHERE item_id IS NOT NULL GROUP BY item_id
)
SELECT item_id, title, category, brand, price::DOUBLE AS price, image,
       lower(concat_ws(' ', title, category, brand, description)) AS text,
       coalesce(buyers, 0)::DOUBLE AS buyers, coalesce(users, 0)::DOUBLE AS users
FROM catalogue FULL JOIN buyers USING (item_id) WHERE item_id IS NOT NULL ORDER BY item_id
"""
REBUYABLE_SQL = """
WITH pairs AS (
    SELECT h.user_id, h.item_id, any_value(c.category) AS category, count(DISTINCT h.event_time::DATE) AS days
    FROM history h JOIN catalogue c ON h.item_id = c.item_id
    WHERE h.event_type = 'purchase' AND c.category IS NOT NULL GROUP BY h.user_id, h.item_id
)
SELECT category, count(*) AS pairs, count(*) FILTER (days >= 2) / count(*) AS share
FROM pairs GROUP BY category HAVING count(*) >= $least ORDER BY share DESC, category
"""
BOUGHT_SQL = """
SELECT DISTINCT user_id, item_id FROM history
WHERE event_type = 'purchase' AND item_id IS NOT NULL AND ($user_id IS NULL OR user_id = $user_id)
"""
SHOWN_SQL = """
SELECT user_id, item_id FROM history
WHERE event_type = 'impression' AND item_id IS NOT NULL AND ($user_id IS NULL OR user_id = $user_id)
  AND event_time >= $since GROUP BY user_id, item_id HAVING count(*) >= $times
"""


@dataclass(frozen=True)
class Goods:
    """Items in the order of their ids (I)."""

    item_ids: list[str]
    titles: list[str | None]
    categories: list[str | None]
    brands: list[str | None]
    images: list[str | None]
    prices: npt.NDArray[np.float64]
    """NaN where unknown (I,)."""
    buyers: npt.NDArray[np.float64]
    """Shoppers who bought it, or who touched it in a log without purchases (I,)."""
    texts: pa.ChunkedArray
    """Title, category, brand and description in lower case (I,)."""
    rebuyable: frozenset[str]
    """Categories that people buy again."""

    @cached_property
    def place(self) -> dict[str, int]:
        return {item: place for place, item in enumerate(self.item_ids)}

    @cached_property
    def popularity(self) -> npt.NDArray[np.float64]:
        """Share of items with fewer buyers, 0–1 (I,); equal counts share their rank."""
        ordered = np.sort(self.buyers)
        return np.searchsorted(ordered, self.buyers, side="left") / max(len(ordered) - 1, 1)

    @cached_property
    def by_popularity(self) -> Ints:
        """Places from most to fewest buyers, ties by id (I,)."""
        return np.argsort(-self.buyers, kind="stable")

    @cached_property
    def codes(self) -> dict[str, Ints]:
        """`category`, `brand` and `title` as numbers, -1 where unknown (I,)."""
        return {"category": _codes(self.categories), "brand": _codes(self.brands), "title": _codes(self.titles)}

    @cached_property
    def _named(self) -> dict[tuple[str, ...], Bools]:
        """Answers of `naming`, which reads every text once for a slider that moves many times."""
        return {}

    def among(self, values: Iterable[str], names: list[str | None]) -> Bools:
        """Which items have one of the values, letters of any case (I,)."""
        wanted = {value.casefold() for value in values}
        return np.array([name is not None and name.casefold() in wanted for name in names], bool)

    def ids(self, values: Iterable[str]) -> Bools:
        """Which items have one of the ids (I,)."""
        mask = np.zeros(len(self.item_ids), bool)
        mask[[self.place[value] for value in values if value in self.place]] = True
        return mask

    def naming(self, words: Iterable[str]) -> Bools:
        """Which items name one of the words in a text (I,)."""
        asked = tuple(words)
        if asked not in self._named:
            pattern = re.compile("|".join(_word(word) for word in asked), re.IGNORECASE)
            found = [text is not None and pattern.search(text) is not None for text in self.texts.to_pylist()]
            self._named[asked] = np.array(found, bool)
        return self._named[asked]


def read_goods(connection: Connection) -> Goods:
    """Read every item with what it is and how many took it.

    Args:
        connection: Has the views `history` and `catalogue`.
    """
    table = fetch(connection, GOODS_SQL)
    again = fetch(connection, REBUYABLE_SQL, {"least": REBUY_PAIRS}).to_pylist()
    buyers = table["buyers"].to_numpy()
    return Goods(
        item_ids=table["item_id"].to_pylist(),
        titles=table["title"].to_pylist(),
        categories=table["category"].to_pylist(),
        brands=table["brand"].to_pylist(),
        images=table["image"].to_pylist(),
        prices=table["price"].to_numpy(zero_copy_only=False).astype(np.float64),
        buyers=buyers if buyers.any() else table["users"].to_numpy(),
        texts=table["text"],
        rebuyable=frozenset(row["category"] for row in again if row["share"] >= REBUY_LEAST),
    )


def rebuying(connection: Connection) -> pa.Table:
    """Return category, pairs and share bought on a second day, most first."""
    return fetch(connection, REBUYABLE_SQL, {"least": REBUY_PAIRS})


def bought_pairs(connection: Connection, user_id: str | None = None) -> pa.Table:
    """Return user_id, item_id of what was bought, by one shopper or by all."""
    return fetch(connection, BOUGHT_SQL, {"user_id": user_id})


def shown_pairs(connection: Connection, since: Any, times: int, user_id: str | None = None) -> pa.Table:
    """Return user_id, item_id of what was shown at least `times` from `since` on."""
    return fetch(connection, SHOWN_SQL, {"user_id": user_id, "since": since, "times": times})


def _codes(values: list[str | None]) -> Ints:
    known: dict[str, int] = {}
    return np.array([-1 if value is None else known.setdefault(value, len(known)) for value in values], np.int64)


def _word(word: str) -> str:
    """A word that stands alone where its script puts spaces between words."""
    text = re.escape(word.casefold())
    left = r"(?<!\w)" if word[0].isascii() and word[0].isalnum() else ""
    right = r"(?!\w)" if word[-1].isascii() and word[-1].isalnum() else ""
    return f"{left}{text}{right}"
