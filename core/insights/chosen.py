"""The acts of a scope as arrays of the sorted copy, for questions whose windows and joins would sort the whole log."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from core.insights.scope import Scope
from core.store import NO_REVENUE, REVENUE_UNIT, THREADS, Connection, Log, SortedEvents, fetch, identifier, sorted_events
from core.windows import micros

MOST_SCOPES = 4
Array = npt.NDArray[Any]
Part = TypeVar("Part")
DAY = 86_400_000_000
"""Microseconds."""
BLOCK = 1 << 17
"""Acts that are counted together: a column of so many is 1 MB. Whole columns of a large log take up to twice the work, most of it memory
that is asked for and fetched anew (docs/decisions/0034)."""

OFFSETS_SQL = """
SELECT epoch_us(instant AT TIME ZONE 'UTC' AT TIME ZONE $zone) - epoch_us(instant) AS shift FROM asked_instants
"""


@dataclass(frozen=True)
class Chosen:
    """The n acts of a scope, by shopper and time, among those of the log from place `begin` to `end`."""

    events: SortedEvents
    places: Array | None
    """Whether each act of the log belongs to the scope (N,), or None when all do."""
    begin: int
    end: int
    kept: dict[str, Array] = field(default_factory=dict, compare=False, repr=False)
    """Columns that were asked for, where the scope leaves acts out."""

    def column(self, name: str) -> Array:
        """One column of the acts (n,), see `SortedEvents`."""
        values = self.events.column(name)[self.begin : self.end]
        if self.places is None:
            return values
        if name not in self.kept:
            self.kept[name] = values[self.places[self.begin : self.end]]
        return self.kept[name]

    def code(self, kind: str) -> int:
        """Place of a kind of event, or one that no act has."""
        kinds = self.events.kinds()
        return kinds.index(kind) if kind in kinds else len(kinds)

    def of_kind(self, kind: str) -> Array:
        """Places in the whole log of the acts of a kind, in order; for a few acts that is less work than columns of all."""
        found = self.events.column("kind")[self.begin : self.end] == self.code(kind)
        return self.begin + np.flatnonzero(found if self.places is None else found & self.places[self.begin : self.end])

    def starts(self) -> Array:
        """Place of the first act of each shopper who acts among the n, and n at the end (m + 1,)."""
        if self.places is None:
            starts = self.events.starts()
            first, last = np.searchsorted(starts, [self.begin, self.end])
            return np.asarray(starts[first : last + 1] - self.begin)
        user = self.column("user")
        return np.append(np.flatnonzero(changes(user)), len(user))

    def blocks(self) -> list["Chosen"]:
        """The same acts in parts of about BLOCK, each with all acts of its shoppers; at least one part."""
        starts = self.events.starts()
        cuts = starts[np.searchsorted(starts, np.arange(self.begin, self.end, BLOCK))]
        bounds = np.unique(np.clip(np.append(cuts, [self.begin, self.end]), self.begin, self.end)).tolist()
        return [replace(self, begin=begin, end=end, kept={}) for begin, end in pairwise(bounds)] or [self]


_kept: dict[tuple[Log, str, Scope], Chosen] = {}


def by_block(count: Callable[[Chosen], Part], acts: Chosen) -> list[Part]:
    """Count each part of the acts, several at once: parts that stay near the processor take half the work of whole columns.

    Args:
        count: Pure; called with one of `acts.blocks()`.
        acts: The acts of a scope.

    Returns:
        What was counted, in the order of shoppers.
    """
    blocks = acts.blocks()
    if len(blocks) == 1:
        return [count(blocks[0])]
    return list(_pool().map(count, blocks))


@cache
def _pool() -> ThreadPoolExecutor:
    """The threads that count, the same for all windows of the screen: more of them would only hold more memory."""
    return ThreadPoolExecutor(THREADS, thread_name_prefix="counting")


def added(parts: Sequence[Array]) -> Array:
    """The sum of the same counts of several parts."""
    return np.asarray(np.sum(parts, axis=0))


def joined(parts: Sequence[Sequence[Array]]) -> list[Array]:
    """Put the same columns of several parts one after the other."""
    return [np.concatenate(columns) for columns in zip(*parts, strict=True)]


def chosen(log: Log, scope: Scope) -> Chosen | None:
    """Find the acts of a scope, or None when the log has no sorted copy (yet).

    The last scopes stay in memory, a byte for each act of the log, unless they are lists of shoppers.
    """
    events = sorted_events(log.sorted_path)
    if events is None:
        return None
    n = len(events.column("time"))
    if scope.members is not None:
        return Chosen(events, _places(log, scope, events), 0, n)
    key = (log, events.record["seal"], scope)
    found = _kept.get(key)
    if found is None:
        found = _kept[key] = Chosen(events, _places(log, scope, events), 0, n)
        for oldest in list(_kept)[:-MOST_SCOPES]:
            _kept.pop(oldest, None)
    return replace(found, kept={})


def _places(log: Log, scope: Scope, events: SortedEvents) -> Array | None:
    """Whether each act of the log belongs to a scope (N,), or None when all do."""
    time = events.column("time")
    until = micros(log.until) if scope.until is None else min(micros(log.until), micros(scope.until))
    tests = []
    if until <= int(time.max(initial=0)):
        tests.append(time < until)
    if scope.since is not None:
        tests.append(time >= micros(scope.since))
    if scope.event_types:
        wanted = np.array([kind in scope.event_types for kind in events.kinds()])
        tests.append(wanted[events.column("kind")])
    with log.history() as connection:
        for column, value in (("category", scope.category), ("brand", scope.brand)):
            if value is not None:
                tests.append(_of_items(connection, events, column, value))
        if scope.attribute is not None:
            name, wanted_value = scope.attribute
            sql = f"SELECT user_id FROM users WHERE {identifier(name)}::VARCHAR = $value"  # noqa: S608 - a slug
            tests.append(_of_users(events, fetch(connection, sql, {"value": wanted_value})))
    if scope.members is not None:
        tests.append(_of_users(events, scope.members))
    return np.logical_and.reduce(tests) if tests else None


def numbers_of(ids: pa.ChunkedArray, wanted: pa.ChunkedArray) -> Array:
    """Numbers of wanted ids, those that are not known left out."""
    found = pc.index_in(wanted.cast(ids.type), value_set=ids)
    return np.asarray(found.drop_null().to_numpy())


def item_labels(connection: Connection, acts: Chosen, column: str) -> tuple[list[str], Array]:
    """Labels of a column of the catalogue, and of each item the place of its label, -1 without one; one more, -1, for acts without item."""
    sql = f"SELECT item_id, {identifier(column)} AS label FROM catalogue WHERE {identifier(column)} IS NOT NULL"  # noqa: S608 - a slug
    table = fetch(connection, sql)
    ids = acts.events.items()
    labels = pc.unique(table["label"])
    codes = pc.index_in(table["label"], value_set=labels).to_numpy()
    numbers = pc.index_in(table["item_id"].cast(ids.type), value_set=ids)
    known = np.asarray(numbers.is_valid())
    of_items = np.full(len(ids) + 1, -1, dtype=np.int32)
    of_items[np.asarray(numbers.fill_null(0))[known]] = codes[known]
    return labels.to_pylist(), of_items


def local(log: Log, time: Array, zone: str) -> Array:
    """Times of UTC as a clock of a zone shows them, in microseconds since 1970."""
    return clock_of(log, zone)(time)


def clock_of(log: Log, zone: str) -> Callable[[Array], Array]:
    """Return what turns times of UTC, within two days of the log, into those that a clock of a zone shows."""
    if zone == "UTC":
        return lambda time: time
    hour = DAY // 24
    with log.history() as connection:
        hours = np.arange(micros(log.start) // hour - 48, micros(log.until) // hour + 50) * hour
        shifts = _shifts(connection, zone, hours)
        begins, offsets = [hours[0]], [shifts[0]]
        for place in np.flatnonzero(shifts[1:] != shifts[:-1]):  # an hour in which the clocks were changed, told to the second
            seconds = hours[place] + np.arange(1, 3601) * 1_000_000
            inside = _shifts(connection, zone, seconds)
            before = np.concatenate([[shifts[place]], inside[:-1]])
            begins += list(seconds[inside != before])
            offsets += list(inside[inside != before])
    steps, moves = np.array(begins), np.array(offsets)
    if len(moves) == 1:
        return lambda time: np.asarray(time + moves[0])
    return lambda time: np.asarray(time + moves[np.maximum(np.searchsorted(steps, time, side="right") - 1, 0)])


def changes(*columns: Array) -> Array:
    """Whether an act differs from the one before in any column (n,); the first does."""
    found = np.ones(len(columns[0]), dtype=bool)
    if len(found):
        np.not_equal(columns[0][1:], columns[0][:-1], out=found[1:])
        for column in columns[1:]:
            found[1:] |= column[1:] != column[:-1]
    return found


def days_of(log: Log, time: Array, zone: str) -> Array:
    """Days since 1970 of times, as a calendar of a zone has them, int32."""
    return whole_days(local(log, time, zone))


def whole_days(time: Array) -> Array:
    """Days since 1970 of times of UTC, int32."""
    days = np.empty(len(time), dtype=np.int32)
    np.floor_divide(time, DAY, out=days, casting="unsafe")  # in pieces, so that no column of wide days is made
    return days


def sums_by(group: Array, revenue: Array, n: int) -> Array:
    """Sums of revenue by group (n,), in ten-thousandths; what has none adds nothing."""
    sums = np.zeros(n, dtype=np.int64)
    np.add.at(sums, group, np.where(revenue == NO_REVENUE, 0, revenue))
    return sums


def has_by(group: Array, revenue: Array, n: int) -> Array:
    """Whether any act of a group has revenue (n,)."""
    found = np.zeros(n, dtype=bool)
    found[group[revenue != NO_REVENUE]] = True
    return found


def decimals(ten_thousandths: Array, known: Array, precision: int = 38) -> pa.Array:
    """Amounts as DECIMAL(precision, 4), NULL where they are not known."""
    words = np.empty((len(ten_thousandths), 2), dtype=np.int64)
    words[:, 0], words[:, 1] = ten_thousandths, ten_thousandths >> 63  # little endian, with its sign
    buffers = [pa.py_buffer(np.packbits(known, bitorder="little").tobytes()), pa.py_buffer(words.tobytes())]
    return pa.Array.from_buffers(pa.decimal128(precision, 4), len(words), buffers)


def money(revenue: Array) -> int | None:
    """Sum of revenue in ten-thousandths, None when no act has any."""
    known = revenue[revenue != NO_REVENUE]
    return int(known.sum()) if len(known) else None


def as_double(ten_thousandths: int | None) -> float | None:
    """A sum of revenue as DuckDB casts a decimal to a double."""
    if ten_thousandths is None or abs(ten_thousandths) <= 2**53:
        return None if ten_thousandths is None else ten_thousandths / REVENUE_UNIT
    whole, rest = divmod(abs(ten_thousandths), REVENUE_UNIT)
    return (1 if ten_thousandths > 0 else -1) * (whole + rest / REVENUE_UNIT)


def _shifts(connection: Connection, zone: str, instants: Array) -> Array:
    connection.register("asked_instants", pa.table({"instant": pa.array(instants, pa.int64()).cast(pa.timestamp("us"))}))
    return np.asarray(fetch(connection, OFFSETS_SQL, {"zone": zone})["shift"].to_numpy())


def _of_users(events: SortedEvents, members: pa.Table) -> Array:
    ids = events.users()
    belongs = np.zeros(len(ids), dtype=bool)
    belongs[numbers_of(ids, members["user_id"])] = True
    return np.asarray(belongs[events.column("user")])


def _of_items(connection: Connection, events: SortedEvents, column: str, value: str) -> Array:
    """Acts on items of a category or brand; `""` are those whose item has none (SQL: an act without item is none of them)."""
    name = identifier(column)
    condition = f"{name} = $value" if value else f"{name} IS NOT NULL"
    table = fetch(connection, f"SELECT item_id FROM catalogue WHERE {condition}", {"value": value} if value else None)  # noqa: S608
    ids = events.items()
    belongs = np.zeros(len(ids) + 1, dtype=bool)
    belongs[numbers_of(ids, table["item_id"])] = True
    if not value:
        belongs = ~belongs
        belongs[-1] = not table.num_rows  # NULL NOT IN () is true
    return np.asarray(belongs[events.column("item")])
