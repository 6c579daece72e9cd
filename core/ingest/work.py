"""What is asked of one ingest, and what its steps hand on to each other."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.ingest.mapping import Mapping
from core.ingest.personal import Cover
from core.ingest.rules import Setting
from core.ingest.staging import Source
from core.messages import Message
from core.schema import Progress
from core.store import Connection


@dataclass(frozen=True)
class IngestRequest:
    """What is read and how."""

    events: tuple[Path, ...]
    """Files of events, in the order that ties are broken by."""
    items: Path | None = None
    users: Path | None = None
    facts: Path | None = None
    """Further facts of items: an item id and any other columns."""
    mapping: Mapping | None = None
    """What a person settled; the rest is guessed."""
    passed_over: tuple[str, ...] = ()
    """Files of a named folder that are no tables by their names; told in the warnings."""
    append: bool = False
    """Continue the current version instead of replacing it."""
    session_gap_minutes: int = 30
    """A longer silence starts a new session (GA4's default)."""
    time_zone: str = "UTC"
    """Zone of times that carry none."""
    roots: tuple[Path, ...] = ()
    """When given, files must lie below one of these folders, links resolved."""
    memory_limit: str = "1500MB"
    """DuckDB spills to disk beyond it."""


@dataclass
class Work:
    """What the steps of one ingest hand on."""

    connection: Connection
    request: IngestRequest
    mapping: Mapping
    rules: dict[str, Setting]
    sources: list[Source]
    warnings: list[str]
    previous: dict[str, Any] | None
    cover: Cover = field(default_factory=Cover)
    """Columns that are stored as pseudonyms."""

    @property
    def plain(self) -> frozenset[str]:
        """Columns of `raw` that hold values instead of text."""
        return frozenset().union(*(source.plain for source in self.sources))


def ticker(progress: Progress, start: float, width: float, message: Message) -> Callable[[float], None]:
    """Turn the share of one step into the share of the whole."""
    return lambda share: progress(start + width * share, message)
