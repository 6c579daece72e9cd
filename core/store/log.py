"""The events of a version as of a cutoff: the only way in which stages see time."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from core.errors import CutoffError
from core.store.connection import Connection, reading
from core.store.tables import cells_sql

CATALOGUE_SQL = """
CREATE OR REPLACE TEMP VIEW catalogue AS
SELECT item_id, in_catalogue,
       CASE WHEN title_since IS NULL OR title_since < TIMESTAMP '{cutoff}' THEN title END AS title,
       CASE WHEN category_since IS NULL OR category_since < TIMESTAMP '{cutoff}' THEN category END AS category,
       CASE WHEN brand_since IS NULL OR brand_since < TIMESTAMP '{cutoff}' THEN brand END AS brand,
       CASE WHEN price_since IS NULL OR price_since < TIMESTAMP '{cutoff}' THEN price END AS price,
       CASE WHEN description_since IS NULL OR description_since < TIMESTAMP '{cutoff}' THEN description END AS description,
       CASE WHEN image_since IS NULL OR image_since < TIMESTAMP '{cutoff}' THEN image END AS image
FROM main.items
WHERE in_catalogue OR first_seen < TIMESTAMP '{cutoff}';
"""
HISTORY_SQL = "CREATE OR REPLACE TEMP VIEW history AS SELECT * FROM main.events WHERE event_time < TIMESTAMP '{cutoff}'"
CELLS_SQL = "CREATE OR REPLACE TEMP VIEW history_cells AS {select} WHERE event_time < TIMESTAMP '{cutoff}'"
CELLS_OF_HISTORY_SQL = "CREATE OR REPLACE TEMP VIEW history_cells AS SELECT * EXCLUDE (session_id), session_id AS session FROM history"
"""The same of a connection's own view `history`, whose ids are texts."""
STORED_SQL = "SELECT column_name, data_type FROM duckdb_columns() WHERE table_name = 'event_cells' AND NOT internal"
FUTURE_SQL = """
CREATE OR REPLACE TEMP VIEW future AS SELECT * FROM main.events
WHERE event_time >= TIMESTAMP '{cutoff}' AND event_time < TIMESTAMP '{end}'
"""


@dataclass(frozen=True)
class Log:
    """The events of one version, read as if the log ended at `until`.

    Stages see time through this class alone: `history` holds what was known before a cutoff, `label_window` adds the
    view `future` with the events of the label window. Views: `history`, `catalogue` (item_id, in_catalogue, title,
    category, brand, price, description, image), `history_cells` (`history` with ids as they are stored, see `cells_sql`),
    `users` (table; demographics, may hold only user_id).
    """

    path: Path
    """The version's events.duckdb."""
    start: datetime
    """Time of the first event."""
    until: datetime
    """First instant that does not exist for this reading."""
    columns_present: frozenset[str] = frozenset()
    """Canonical event columns that the source really had."""
    time_resolution_seconds: int = 1
    """1, or 86400 for a log that knows only days."""
    sorted_path: Path | None = field(default=None, compare=False, repr=False)
    """Where the sorted copy of the events lies, once it is made (see `core.store.sorting`)."""

    @contextmanager
    def history(self, cutoff: datetime | None = None) -> Iterator[Connection]:
        """Open a connection whose views show only events before `cutoff` (default: `until`).

        Raises:
            CutoffError: The cutoff lies after `until` or not after the first event.
        """
        with self._open(cutoff or self.until) as connection:
            yield connection

    @contextmanager
    def label_window(self, cutoff: datetime, horizon: timedelta) -> Iterator[Connection]:
        """Like `history`, with a further view `future` of the events in `[cutoff, cutoff + horizon)`.

        Raises:
            CutoffError: The label window reaches past `until`.
        """
        end = cutoff + horizon
        if end > self.until:
            raise CutoffError(
                "The label window ends {end} but the log ends {until}; choose a cutoff on or before {latest}.",
                end=f"{end:%Y-%m-%d %H:%M}",
                until=f"{self.until:%Y-%m-%d %H:%M}",
                latest=f"{self.until - horizon:%Y-%m-%d %H:%M}",
            )
        with self._open(cutoff) as connection:
            connection.execute(FUTURE_SQL.format(cutoff=cutoff.isoformat(" "), end=end.isoformat(" ")))
            yield connection

    @contextmanager
    def _open(self, cutoff: datetime) -> Iterator[Connection]:
        if cutoff > self.until:
            raise CutoffError(
                "The cutoff {cutoff} lies after the end of the log, {until}; choose an earlier one.", cutoff=cutoff, until=self.until
            )
        if cutoff <= self.start:
            raise CutoffError(
                "No event lies before the cutoff {cutoff}; the log starts {start}. Choose a later cutoff.", cutoff=cutoff, start=self.start
            )
        with reading(self.path) as connection:
            connection.execute(HISTORY_SQL.format(cutoff=cutoff.isoformat(" ")))
            connection.execute(CATALOGUE_SQL.format(cutoff=cutoff.isoformat(" ")))
            stored = {str(name): str(kind) for name, kind in connection.execute(STORED_SQL).fetchall()}
            cells = CELLS_SQL.format(select=cells_sql(stored), cutoff=cutoff.isoformat(" ")) if stored else CELLS_OF_HISTORY_SQL
            connection.execute(cells)  # a version of an earlier release has a table of texts alone
            yield connection
