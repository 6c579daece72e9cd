"""Facts of items, and of shoppers when somebody wants that, as a block of the profile.

Numbers are scaled and categories told apart by what the history holds; a shopper has the mean of the facts of the items she touched,
weighted like texts. U users, I items, F values.
"""

import re
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
from scipy.sparse import csr_matrix, hstack

from core.encoder.pooling import touched_items
from core.errors import GateError
from core.store import Connection, fetch

Floats = npt.NDArray[np.float32]

MOST_VALUES = 256
"""Numbers that the whole block has for a shopper; categories share what numbers leave."""
VALUES_A_COLUMN = 24
"""Categories of a fact that stand alone, the most frequent ones; all others are one more, `other`."""
FEWEST = 5
"""Items or shoppers with a category, below which it is a part of `other`."""
LEAST_COVERED = 0.2
"""Share of the known values that the categories which stand alone must cover: ids and names cover less and say nothing."""
NUMBERS_FROM = 0.95
"""Share of the known values that must be numbers."""
DISTINCT_NUMBERS = 8
"""Up to so many different numbers are categories."""
CLIP_SD = 5.0

_CODE = re.compile(r"(^|_)(id|ids|code|codes|key|no|nr|number|sku|zip|postcode|plz)($|_)")
"""Names of numbers that only name something."""


@dataclass(frozen=True)
class Column:
    """One fact, as it was found in the history that was learned from."""

    name: str
    of: str
    """items or users."""
    mean: float | None
    """Of a number; None for categories."""
    std: float
    values: tuple[str, ...]
    """Categories that stand alone, most frequent first."""
    known: float
    """Share of the items or shoppers of which it is told."""
    covered: float
    """Share of the known values that stand alone; 1 for numbers."""

    @property
    def width(self) -> int:
        """Values in the block."""
        return 1 if self.mean is not None else len(self.values) + 1

    def encode(self, told: pa.ChunkedArray) -> csr_matrix:
        """Rows of values (N, width); a fact that is not told is 0 everywhere."""
        texts: list[str | None] = told.to_pylist()
        if self.mean is not None:
            scaled = np.clip((_numbers(texts) - self.mean) / self.std, -CLIP_SD, CLIP_SD)
            return csr_matrix(np.nan_to_num(scaled, nan=0.0)[:, None].astype(np.float32))
        place = {value: column for column, value in enumerate(self.values)}
        pairs = [(row, place.get(text, len(self.values))) for row, text in enumerate(texts) if text is not None]
        rows, columns = np.array(pairs, np.int64).reshape(-1, 2).T
        return csr_matrix((np.ones(len(rows), np.float32), (rows, columns)), shape=(len(texts), self.width))


@dataclass(frozen=True)
class Facts:
    """Facts that a history can feed, and those that it cannot."""

    columns: tuple[Column, ...]
    left_out: dict[str, str]
    """Name → `same` (one value everywhere) or `many` (hardly any value comes twice)."""

    def card(self) -> dict[str, Any]:
        """What the screen says of them; `asks_of_people` warns that facts of shoppers are among them."""
        return {
            "columns": [{**vars(column), "values": list(column.values), "width": column.width} for column in self.columns],
            "left_out": self.left_out,
            "values": sum(column.width for column in self.columns),
            "asks_of_people": any(column.of == "users" for column in self.columns),
        }


def fit_facts(connection: Connection, *, with_users: bool = False) -> Facts:
    """Find scales and categories among the items that the history touches, and its shoppers.

    Args:
        connection: From Log.history(cutoff); facts have no time of their own, so a file tells only what was known all along.
        with_users: Take what is known of shoppers (age, income, region …) too.

    Raises:
        GateError: No fact can be used.
    """
    columns, left_out = [], {}
    tables = {"items": _item_facts(connection)} | ({"users": _user_facts(connection)} if with_users else {})
    names = [(of, name) for of, table in tables.items() for name in table.column_names[1:]]
    room = max(2, min(VALUES_A_COLUMN, MOST_VALUES // max(1, len(names)) - 1))
    for of, name in names[: MOST_VALUES // 3]:
        found = _column(name, of, tables[of][name], room)
        if isinstance(found, str):
            left_out[name] = found
        else:
            columns.append(found)
    if not columns:
        raise GateError(
            "No fact of items can be used: {told}. Give a file with --facts when the log is read, with a row for each item.",
            told=", ".join(left_out) or "–",
        )
    return Facts(tuple(columns), left_out)


def fact_profiles(facts: Facts, connection: Connection) -> tuple[list[str], Floats]:
    """Put the facts of every user of a history side by side.

    Args:
        facts: From `fit_facts` at this cutoff or an earlier one.
        connection: From Log.history(cutoff).

    Returns:
        All users of the history, sorted, and (U, F): means over the items touched, then what is known of the shoppers themselves.
    """
    items, of_items = _item_facts(connection), [column for column in facts.columns if column.of == "items"]
    users, weights = touched_items(connection, items["item_id"].to_pylist())
    total = np.asarray(weights.sum(axis=1)).ravel()
    parts = []
    if of_items:
        told = hstack([column.encode(_told(items, column.name)) for column in of_items], format="csr")  # (I, F)
        parts.append(np.asarray((weights @ told).todense()) / np.maximum(total, 1e-9)[:, None])
    if of_users := [column for column in facts.columns if column.of == "users"]:
        people = _user_facts(connection)
        parts.append(np.asarray(hstack([column.encode(_told(people, column.name)) for column in of_users]).todense()))
    return users, np.concatenate(parts, axis=1).astype(np.float32)


def _item_facts(connection: Connection) -> pa.Table:
    """Facts of the items of the history, with no row and no fact where the version has none."""
    if not fetch(connection, "SELECT 1 FROM duckdb_tables() WHERE table_name = 'item_facts'").num_rows:
        return pa.table({"item_id": pa.array([], pa.string())})
    return fetch(
        connection, "SELECT f.* FROM main.item_facts AS f SEMI JOIN (SELECT DISTINCT item_id FROM history) USING (item_id) ORDER BY item_id"
    )


def _user_facts(connection: Connection) -> pa.Table:
    return fetch(
        connection, "SELECT u.* FROM main.users AS u SEMI JOIN (SELECT DISTINCT user_id FROM history) USING (user_id) ORDER BY user_id"
    )


def _told(table: pa.Table, name: str) -> pa.ChunkedArray:
    return table[name] if name in table.column_names else pa.chunked_array([pa.nulls(len(table), pa.string())])


def _column(name: str, of: str, told: pa.ChunkedArray, room: int) -> Column | str:
    """What the history makes of one fact; a word when it cannot be used."""
    texts: list[str] = told.drop_null().to_pylist()
    known = len(texts) / max(1, len(told))
    counted = Counter(texts)
    if len(counted) < 2:
        return "same"
    numbers = _numbers(texts)
    finite = numbers[np.isfinite(numbers)]
    is_number = len(finite) >= NUMBERS_FROM * len(texts) and len(counted) > DISTINCT_NUMBERS and not _CODE.search(name)
    if is_number and (std := float(finite.std())) > 1e-9:
        return Column(name, of, float(finite.mean()), std, (), known, 1.0)
    ranked = sorted(((count, value) for value, count in counted.items() if count >= FEWEST), key=lambda pair: (-pair[0], pair[1]))[:room]
    covered = sum(count for count, _ in ranked) / len(texts)
    if covered < LEAST_COVERED:
        return "many"
    return Column(name, of, None, 1.0, tuple(value for _, value in ranked), known, covered)


def _numbers(texts: list[str | None] | list[str]) -> npt.NDArray[np.float64]:
    """Texts as numbers; NaN where one is none."""
    numbers = np.asarray(pd.to_numeric(pd.Series(texts, dtype="object"), errors="coerce"), dtype=np.float64)
    return np.where(np.isfinite(numbers), numbers, np.nan)
