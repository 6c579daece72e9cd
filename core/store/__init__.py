"""The one door to DuckDB and to the home folder: versions, runs, pointers, and logs read as of a cutoff.

A home holds datasets; a dataset holds immutable versions (its cleaned events) and immutable runs (what a stage made of
them). Readers open published files read-only and pin one version for as long as they draw one screen.
"""

from core.store.connection import THREADS, Connection, connect, fetch, identifier, reading, scalar
from core.store.damage import storage_error
from core.store.dataset import CURRENT, Dataset
from core.store.home import Home
from core.store.log import Log
from core.store.publishing import RunDraft
from core.store.tables import EVENTS_FILE, TABLES_SQL

__all__ = [
    "CURRENT",
    "EVENTS_FILE",
    "TABLES_SQL",
    "THREADS",
    "Connection",
    "Dataset",
    "Home",
    "Log",
    "RunDraft",
    "connect",
    "fetch",
    "identifier",
    "reading",
    "scalar",
    "storage_error",
]
