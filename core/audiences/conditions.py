"""What a checked rule asks for: the tree of its conditions, each of which says itself as SQL over `u.user_id`.

The statement is the definition. `counted` finds the same shoppers on arrays, where a log has its sorted copy.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Always:
    """Everyone, or nobody."""

    holds: bool

    @property
    def sql(self) -> str:
        return "TRUE" if self.holds else "FALSE"


@dataclass(frozen=True)
class Joined:
    """All of the parts, or any of them."""

    is_all: bool
    parts: tuple["Condition", ...]

    @property
    def sql(self) -> str:
        return "(" + (" AND " if self.is_all else " OR ").join(part.sql for part in self.parts) + ")"


@dataclass(frozen=True)
class Not:
    """Who is not in the part."""

    part: "Condition"

    @property
    def sql(self) -> str:
        return f"NOT {self.part.sql}"


@dataclass(frozen=True)
class Among:
    """Users of whom a row of a table fits a test."""

    table: str
    columns: tuple[str, ...]
    """What the test reads."""
    test: str
    """SQL, values bound."""

    @property
    def sql(self) -> str:
        return f"u.user_id IN (SELECT user_id FROM {self.table} WHERE {self.test})"  # noqa: S608 - fixed words and $p names only


@dataclass(frozen=True)
class Top:
    """The scored users with the highest chance, ties by user_id."""

    table: str
    percent: float
    sql: str


@dataclass(frozen=True)
class Did:
    """Users with so many acts of a kind."""

    kind: str | None
    since: datetime | None
    item: str | None
    about: Mapping[str, str]
    """Values of the catalogue's columns `category` and `brand`."""
    at_least: int
    """0 counts those who did nothing of the kind in."""
    at_most: int | None
    sql: str


@dataclass(frozen=True)
class Leans:
    """Users whose share of acts in a category is so many per cent of everybody's."""

    category: str
    at_least: float
    acts: int
    """Fewest acts in the category."""
    sql: str


@dataclass(frozen=True)
class Listed:
    """Users named one by one."""

    user_ids: tuple[str, ...]
    sql: str


Condition = Always | Joined | Not | Among | Top | Did | Leans | Listed
