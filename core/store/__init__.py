"""The one door to DuckDB and to the home folder: versions, runs, pointers, and logs read as of a cutoff.

A home holds datasets; a dataset holds immutable versions (its cleaned events) and immutable runs (what a stage made of
them). Readers open published files read-only and pin one version for as long as they draw one screen.
"""

from core.store.connection import THREADS, Connection, connect, fetch, identifier, reading, scalar
from core.store.costs import Began, code_commit, peak_memory_mb
from core.store.damage import storage_error
from core.store.dataset import CURRENT, Dataset
from core.store.home import Home
from core.store.log import CELLS_OF_HISTORY_SQL, Log
from core.store.publishing import RunDraft
from core.store.sorting import FACTS_SQL, NO_REVENUE, NONE, REVENUE_UNIT, SortedEvents, drop_old_copies, sort_events, sorted_events
from core.store.tables import EVENT_TYPES_SQL, EVENTS_FILE, NEVER_NULL, TABLES_SQL, events_sql, session_name

__all__ = [
    "CELLS_OF_HISTORY_SQL",
    "CURRENT",
    "EVENTS_FILE",
    "EVENT_TYPES_SQL",
    "FACTS_SQL",
    "NEVER_NULL",
    "NONE",
    "NO_REVENUE",
    "REVENUE_UNIT",
    "TABLES_SQL",
    "THREADS",
    "Began",
    "Connection",
    "Dataset",
    "Home",
    "Log",
    "RunDraft",
    "SortedEvents",
    "code_commit",
    "connect",
    "drop_old_copies",
    "events_sql",
    "fetch",
    "identifier",
    "peak_memory_mb",
    "reading",
    "scalar",
    "session_name",
    "sort_events",
    "sorted_events",
    "storage_error",
]
