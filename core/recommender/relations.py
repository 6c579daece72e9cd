"""Relations that a shop declares between items, titles, categories and brands: a case is an accessory of a phone.

Each becomes an edge of the item graph (see `paths`). A relation has no time of its own: a file tells what holds all along, so a
window of the past is judged with the file of today.
"""

import csv
import hashlib
import io
import json
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import astuple, dataclass
from typing import Any

from core.errors import RuleError
from core.messages import Message, say

NODES = ("item", "title", "category", "brand")
"""Kinds of names; an item is named by its id."""
RELATIONS = ("accessory_of", "part_of", "refill_of", "successor_of", "goes_with")
BOTH_WAYS = frozenset({"goes_with"})
"""Relations that lead from either end to the other; all others lead from what is named second to what is named first."""
COLUMNS = ("from_kind", "from", "relation", "to_kind", "to", "weight")
"""Of the file; a weight may be left out and is 1 then."""
MOST_BYTES = 8_000_000
MOST_EDGES = 5_000
MOST_TEXT = 400
"""Characters of a name."""
MOST_WEIGHT = 10.0
LISTED = 20
"""Unknown names that a warning tells; the record has all."""


@dataclass(frozen=True, order=True)
class Relation:
    """What `kind` and `name` tell is `relation` what `to_kind` and `to` tell: whoever took the latter is offered the former."""

    kind: str
    name: str
    relation: str
    to_kind: str
    to: str
    weight: float = 1.0

    def reverse(self) -> "Relation":
        """The same with its ends exchanged."""
        return Relation(self.to_kind, self.to, self.relation, self.kind, self.name, self.weight)


@dataclass(frozen=True)
class Relations:
    """The relations of a shop, sorted, none twice."""

    edges: tuple[Relation, ...] = ()

    @property
    def digest(self) -> str:
        """Tells one set of relations from another."""
        return hashlib.sha256(json.dumps([astuple(edge) for edge in self.edges]).encode()).hexdigest()[:16]

    def record(self) -> list[dict[str, Any]]:
        """Rows as they stand in a file."""
        return [dict(zip(COLUMNS, astuple(edge), strict=True)) for edge in self.edges]

    def unknown(self, names: Mapping[str, Collection[str]]) -> list[dict[str, Any]]:
        """Names that a catalogue does not have, most rows first: kind, name, rows.

        Args:
            names: Kind (NODES) → the names of that kind.
        """
        ends = [end for edge in self.edges for end in {(edge.kind, edge.name), (edge.to_kind, edge.to)}]
        missing = Counter(end for end in ends if end[1] not in names[end[0]])
        ranked = sorted(missing.items(), key=lambda pair: (-pair[1], pair[0]))
        return [{"kind": kind, "name": name, "rows": rows} for (kind, name), rows in ranked]


NO_RELATIONS = Relations()


def read_relations(data: bytes) -> Relations:
    """Read a file of relations: CSV with a header (comma, semicolon or tab), or a JSON list of objects, with COLUMNS.

    Of rows that differ in weight alone the last counts.

    Raises:
        RuleError: The file is too large or neither of both, a column is missing or unknown, or a row tells something else than a relation.
    """
    if len(data) > MOST_BYTES:
        raise RuleError("The file of relations has {size} bytes; at most {most} are read.", size=len(data), most=MOST_BYTES)
    try:
        text = data.decode("utf-8-sig")
        rows = _json_rows(text) if text.lstrip().startswith("[") else _csv_rows(text)
    except (ValueError, RecursionError, csv.Error) as error:
        raise RuleError("The file of relations cannot be read as CSV or JSON in UTF-8 ({error}).", error=error) from error
    return relations_from(rows)


def relations_from(rows: list[Any]) -> Relations:
    """Check rows with COLUMNS and make relations of them.

    Raises:
        RuleError: There are too many, or a row tells something else than a relation.
    """
    if len(rows) > MOST_EDGES:
        raise RuleError(
            "The file tells {n} relations; at most {most} are taken. Name categories instead of items.", n=len(rows), most=MOST_EDGES
        )
    found = {}
    for number, row in enumerate(rows, start=1):
        edge = _relation(row, number)
        found[astuple(edge)[:-1]] = edge
    return Relations(tuple(sorted(found.values())))


def tell_unknown(unknown: list[dict[str, Any]]) -> list[Message]:
    """A warning that lists names which lead nowhere, with the rows that name each; none without."""
    if not unknown:
        return []
    told = ", ".join(f"{row['kind']} {row['name']!r} ({row['rows']})" for row in unknown[:LISTED])
    return [
        say(
            "Names of the relations that are not in the catalogue and lead nowhere: {n:,} (with their rows: {names}).",
            n=len(unknown),
            names=told,
        )
    ]


def walked(edge: Relation) -> list[str]:
    """Steps of a path along a relation, without its items: category = Phones > accessory_of (reversed) > category = Cases."""
    before, after = ([] if kind == "item" else [f"{kind} = {name}"] for kind, name in ((edge.to_kind, edge.to), (edge.kind, edge.name)))
    return [*before, f"{edge.relation} (reversed)" if edge.relation not in BOTH_WAYS else edge.relation, *after]


def _json_rows(text: str) -> list[Any]:
    rows: list[Any] = json.loads(text)
    return rows


def _csv_rows(text: str) -> list[Any]:
    first = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=first.count)
    rows: list[Any] = list(csv.DictReader(io.StringIO(text), delimiter=delimiter))
    if not rows and not set(COLUMNS[:5]) <= set(first.strip().split(delimiter)):
        raise ValueError("no header " + delimiter.join(COLUMNS))
    return rows


def _relation(row: Any, number: int) -> Relation:
    columns = ", ".join(COLUMNS)
    if not isinstance(row, dict) or not set(COLUMNS[:5]) <= row.keys() <= set(COLUMNS):
        raise RuleError(
            "Row {row} of the relations does not have the columns {columns} (a weight may be left out).", row=number, columns=columns
        )
    kind, name, relation, to_kind, to = (str(row[column] if row[column] is not None else "").strip() for column in COLUMNS[:5])
    for value, allowed in ((kind, NODES), (to_kind, NODES), (relation, RELATIONS)):
        if value not in allowed:
            raise RuleError(
                "Row {row} of the relations says {value!r}; choose one of {allowed}.",
                row=number,
                value=value[:80],
                allowed=", ".join(allowed),
            )
    if not all(0 < len(text) <= MOST_TEXT for text in (name, to)) or (kind, name) == (to_kind, to):
        raise RuleError("Row {row} of the relations needs two different names of 1 to {most} characters.", row=number, most=MOST_TEXT)
    told = row.get("weight")
    try:
        weight = 1.0 if told is None or told == "" else float(told)
    except (TypeError, ValueError):
        weight = -1.0
    if not 0 < weight <= MOST_WEIGHT:
        raise RuleError("Row {row} of the relations has the weight {weight!r}; choose one above 0, at most {most:g}.", row=number,
                        weight=str(told)[:40], most=MOST_WEIGHT)  # fmt: skip
    return Relation(kind, name, relation, to_kind, to, weight)
