"""Rules on arrays: who fits a rule, found on the sorted copy of a log (docs/decisions/0030).

The statement of `rules` is the definition, and what answers where a log has no sorted copy; a test asks both on random logs. What no rule
changes (ids, chances, who consents, the draw of the holdout) is kept between two questions, so that a rule costs only its own conditions.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import ceil
from typing import Any, TypeVar, assert_never

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from core.audiences.chances import base_of
from core.audiences.conditions import Always, Among, Condition, Did, Joined, Leans, Listed, Not, Top
from core.audiences.rules import Compiled
from core.schema import INTEREST_TYPES
from core.store import NONE, Connection, SortedEvents, fetch, identifier

Array = npt.NDArray[Any]
Kept = TypeVar("Kept")
Chosen = npt.NDArray[np.bool_]
"""Whether each of U users is meant."""
Reader = Callable[[str, Sequence[str]], pa.Table]
"""Reads columns of one of `rules.TABLE_COLUMNS`, or all that rules know of it when none is named."""
SMALL = ("scores", "segments", "groups")
"""Tables of a few columns with a row for each user, which are kept."""

DRAW_SQL = "SELECT ('0x' || substr(sha256($salt || user_id), 1, 13))::UBIGINT AS draw FROM people_asked"
CATEGORIES_SQL = "SELECT item_id, category = $category AS is_it FROM catalogue WHERE category IS NOT NULL"


@dataclass(frozen=True)
class People:
    """The users among whom rules choose, U of them in the order of ids, and what is kept of them."""

    events: SortedEvents
    cutoff: datetime
    """End of the history: acts from then on do not exist."""
    user_ids: pa.ChunkedArray
    """(U,): those with counted features where there are any, else everyone with an act."""
    tables: frozenset[str]
    """Tables that there are."""
    read: Reader
    numbers: Array = field(repr=False)
    """Number in the sorted copy of each user (U,), or NONE."""
    is_complete: bool
    """Whether no act of the copy lies at or after the cutoff."""
    kept: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)

    def chances(self) -> npt.NDArray[np.float64]:
        """Purchase chance of each user (U,), NaN without one."""
        return self._once("chances", self._chances)

    def draws(self, connection: Connection, salt: str) -> npt.NDArray[np.uint64]:
        """First 52 bits of the SHA-256 of salt and id of each user (U,)."""

        def draw() -> npt.NDArray[np.uint64]:
            connection.register("people_asked", pa.table({"user_id": self.user_ids}))
            try:
                return np.asarray(fetch(connection, DRAW_SQL, {"salt": salt})["draw"].to_numpy(), np.uint64)
            finally:
                connection.unregister("people_asked")

        return self._once(f"draw {salt}", draw)

    def consents(self, connection: Connection, column: str, words: Sequence[str]) -> Chosen:
        """Whether the value of an attribute is one of some words, in small letters (U,)."""
        test = f"list_contains($words, lower(trim({identifier(column)}::VARCHAR)))"
        return self._once(f"consent {column}", lambda: self._fits(connection, "users", test, {"words": list(words)}))

    def known(self, user_ids: Sequence[str]) -> int:
        """How many of some distinct ids have an act before the cutoff."""
        everyone = self.events.users()
        found: Chosen = pc.is_in(everyone, value_set=pa.array(user_ids, pa.string()).cast(everyone.type)).to_numpy()
        return int(np.count_nonzero(found if self.is_complete else found & (self._first() < _micros(self.cutoff))))

    def choose(self, connection: Connection, compiled: Compiled) -> Chosen:
        """Find who fits a checked rule (U,); see `rules.compile_rule`, whose statement finds the same.

        Args:
            connection: The log as of the cutoff.
            compiled: The rule.
        """
        return self._choose(compiled.condition, connection, compiled.parameters)

    def _choose(self, condition: Condition, connection: Connection, parameters: Mapping[str, object]) -> Chosen:
        match condition:
            case Always(holds):
                return np.full(len(self.user_ids), holds)
            case Not(part):
                return ~self._choose(part, connection, parameters)
            case Joined(is_all, parts):
                found = [self._choose(part, connection, parameters) for part in parts]
                inside: Chosen = np.logical_and.reduce(found) if is_all else np.logical_or.reduce(found)
                return inside
            case Among(table, columns, test):
                return self._among(connection, table, columns, test, parameters)
            case Top(table, percent):
                return self._top(table, percent)
            case Did():
                return self._did(connection, condition)
            case Leans():
                return self._leans(connection, condition)
            case Listed(user_ids):
                return self._are(pa.array(user_ids, pa.string()))
        assert_never(condition)

    def _among(self, connection: Connection, table: str, columns: Sequence[str], test: str, parameters: Mapping[str, object]) -> Chosen:
        named = {name: parameters[name] for name in re.findall(r"\$(p\d+)", test)}
        if table == "users":
            return self._fits(connection, table, test, named)
        # Counted features are in the order of the users; the others have many rows a user or some.
        is_small = base_of(table) in SMALL
        of_row = is_small or table == "counts"
        read = self._small(table) if is_small else self.read(table, columns if of_row else ("user_id", *columns))
        connection.register(table, read)
        try:
            if of_row:
                return self._fits(connection, table, test, named)
            return self._are(fetch(connection, f"SELECT user_id FROM {table} WHERE {test}", named)["user_id"])  # noqa: S608 - $p names only
        finally:
            connection.unregister(table)

    def _fits(self, connection: Connection, table: str, test: str, values: Mapping[str, object]) -> Chosen:
        """Test each row of a table of one row a user, and lay the answers beside the users (U,)."""
        place = "ORDER BY rowid" if table == "users" else ""  # a view of Arrow rows keeps their order
        sql = f"SELECT coalesce({test}, false) AS fits FROM {table} {place}"  # noqa: S608 - $p names only
        fits: Chosen = fetch(connection, sql, dict(values))["fits"].to_numpy()
        if table == "counts":
            return fits
        return self._beside(table, lambda: self._ids_of(connection, table), fits, missing=False)

    def _ids_of(self, connection: Connection, table: str) -> pa.ChunkedArray:
        if table == "users":
            return fetch(connection, "SELECT user_id FROM users ORDER BY rowid")["user_id"]
        return self._small(table)["user_id"]

    def _beside(self, table: str, ids: Callable[[], pa.ChunkedArray], values: Array, *, missing: Any) -> Array:
        """Values of the rows of a table in the order of users (U,), `missing` for those it lacks."""
        rows = self._once(f"rows of {table}", lambda: _rows_of(ids(), self.user_ids))
        if rows is None:
            return values
        return np.where(rows == NONE, missing, values[rows]) if len(values) else np.full(len(rows), missing)

    def _chances(self) -> Array:
        if "scores" not in self.tables:
            return np.full(len(self.user_ids), np.nan)
        rows = self._small("scores")
        values = rows["propensity"].to_numpy().astype(np.float64)
        return self._beside("scores", lambda: rows["user_id"], values, missing=np.nan)

    def _top(self, table: str, percent: float) -> Chosen:
        rows = self._small(table)
        values = rows["propensity"].to_numpy().astype(np.float64)
        order = self._once(f"best first by {table}", lambda: _best_first(values, rows["user_id"]))
        best = np.zeros(len(values), dtype=bool)
        best[order[: ceil(len(order) * percent / 100)]] = True
        return self._beside(table, lambda: rows["user_id"], best, missing=False)

    def _did(self, connection: Connection, asked: Did) -> Chosen:
        kinds = self.events.kinds()
        tests = []
        if asked.kind is not None:
            tests.append(self.events.column("kind") == (kinds.index(asked.kind) if asked.kind in kinds else len(kinds)))
        if asked.since is not None:
            tests.append(self.events.column("time") >= _micros(asked.since))
        if asked.item is not None:
            tests.append(self.events.column("item") == self._items(pa.array([asked.item]))[0])
        if asked.about:
            alike = " AND ".join(f"{identifier(column)} = ${column}" for column in asked.about)
            found = fetch(connection, f"SELECT item_id FROM catalogue WHERE {alike}", dict(asked.about))["item_id"]  # noqa: S608 - bound
            tests.append(self._of_items(found)[self.events.column("item")])
        n = self._each(self._sum(self._until(tests)), missing=0)
        fits = n >= asked.at_least
        return fits if asked.at_most is None else fits & (n <= asked.at_most)

    def _leans(self, connection: Connection, asked: Leans) -> Chosen:
        found = fetch(connection, CATEGORIES_SQL, {"category": asked.category})
        kinds = np.array([kind in INTEREST_TYPES for kind in self.events.kinds()])
        of_kind, item = kinds[self.events.column("kind")], self.events.column("item")
        interest = self._until([of_kind, self._of_items(found["item_id"])[item]])
        own = interest & self._of_items(found["item_id"].filter(found["is_it"]))[item]
        in_category, in_all = self._sum(own), self._sum(interest)
        if not in_all.any():
            return np.zeros(len(self.user_ids), dtype=bool)
        of_all = in_category.sum() / in_all.sum()
        share = np.divide(in_category, in_all, out=np.full(len(in_all), np.nan), where=in_all > 0)
        return self._each((in_category >= asked.acts) & (100 * share >= asked.at_least * of_all), missing=False)

    def _until(self, tests: Sequence[Chosen]) -> Chosen:
        """Acts before the cutoff that pass all tests (N,)."""
        own = [] if self.is_complete else [self.events.column("time") < _micros(self.cutoff)]
        return np.logical_and.reduce([*tests, *own]) if tests or own else np.ones(len(self.events.column("kind")), dtype=bool)

    def _sum(self, acts: Chosen) -> Array:
        """How many of some acts each user of the sorted copy has; everyone there has an act, so no part is empty."""
        return np.add.reduceat(acts, self.events.starts()[:-1], dtype=np.int32)

    def _each(self, values: Array, *, missing: Any) -> Array:
        """Values of users of the sorted copy in the order of users (U,)."""
        if len(values) == len(self.numbers) and self._once("same users", lambda: np.array_equal(self.numbers, np.arange(len(values)))):
            return values
        return np.where(self.numbers == NONE, missing, values[self.numbers])

    def _are(self, ids: pa.Array | pa.ChunkedArray) -> Chosen:
        wanted = ids.combine_chunks() if isinstance(ids, pa.ChunkedArray) else ids
        return np.asarray(pc.is_in(self.user_ids, value_set=wanted.cast(self.user_ids.type)).to_numpy())

    def _items(self, ids: pa.Array | pa.ChunkedArray) -> Array:
        """Numbers of items; one that no act names has a number that no act has."""
        known = self.events.items()
        return np.asarray(pc.fill_null(pc.index_in(ids.cast(known.type), value_set=known), len(known)).to_numpy())

    def _of_items(self, ids: pa.ChunkedArray) -> Chosen:
        """Whether an item is one of some, by its number; the last answers for acts without item."""
        found = np.zeros(len(self.events.items()) + 1, dtype=bool)
        found[self._items(ids)] = True
        found[-1] = False
        return found

    def _small(self, table: str) -> pa.Table:
        return self._once(f"table {table}", lambda: self.read(table, ()))

    def _first(self) -> Array:
        return self.events.column("time")[self.events.starts()[:-1]]

    def _once(self, name: str, make: Callable[[], Kept]) -> Kept:
        if name not in self.kept:
            self.kept[name] = make()
        found: Kept = self.kept[name]
        return found


def people_of(events: SortedEvents, cutoff: datetime, tables: frozenset[str], read: Reader) -> People:
    """Find among whom rules choose.

    Args:
        events: The sorted copy.
        cutoff: End of the history.
        tables: Those of `rules.TABLE_COLUMNS` that there are.
        read: Reads them.
    """
    time, everyone = events.column("time"), events.users()
    is_complete = bool(time.max(initial=0) < _micros(cutoff))
    if "counts" in tables:
        user_ids = read("counts", ("user_id",))["user_id"]
        rows = _rows_of(everyone, user_ids)
        if rows is not None:
            return People(events, cutoff, user_ids, tables, read, rows, is_complete)
    numbers = np.arange(len(everyone))
    if "counts" not in tables and not is_complete:
        numbers = np.flatnonzero(time[events.starts()[:-1]] < _micros(cutoff))
        everyone = everyone.take(pa.array(numbers))
    return People(events, cutoff, everyone, tables, read, numbers, is_complete)


def _rows_of(ids: pa.ChunkedArray, users: pa.ChunkedArray) -> Array | None:
    """Row of each user in a list of ids, NONE where it lacks one; None when the list is that of the users."""
    if ids.type == users.type and ids.equals(users):
        return None
    return np.asarray(pc.fill_null(pc.index_in(users, value_set=ids.combine_chunks().cast(users.type)), NONE).to_numpy())


def _best_first(chances: Array, ids: pa.ChunkedArray) -> Array:
    """Rows with a chance, highest first, ties by id."""
    rows = pc.sort_indices(ids).to_numpy()
    rows = rows[~np.isnan(chances[rows])]
    return np.asarray(rows[np.argsort(-chances[rows], kind="stable")])


def _micros(instant: datetime) -> int:
    return (instant - datetime(1970, 1, 1)) // timedelta(microseconds=1)
