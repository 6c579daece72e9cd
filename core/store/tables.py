"""Tables of a version's file, as ingest fills them."""

from collections.abc import Mapping
from typing import Final

from core.schema import EVENTS

EVENTS_FILE = "events.duckdb"

EVENT_TYPES_SQL: Final = {
    "user_id": "VARCHAR",
    "item_id": "VARCHAR",
    "event_type": "event_type",
    "event_time": "TIMESTAMP",
    "session_id": "VARCHAR",
    "dwell_seconds": "DECIMAL(12, 3)",
    "position": "VARCHAR",
    "quantity": "DECIMAL(18, 4)",
    "price": "DECIMAL(18, 4)",
    "revenue": "DECIMAL(18, 4)",
    "query": "VARCHAR",
    "order_id": "VARCHAR",
    "source_file": "INTEGER",
    "source_row": "BIGINT",
}
"""Columns of `events` with their types, in the order of schema.EVENTS."""

NEVER_NULL: Final = ("user_id", "event_type", "event_time", "source_file", "source_row")


def session_name(*, numbered: bool, given: bool) -> str:
    """Return SQL that spells session_id from the columns of `event_cells`."""
    made = "CAST(user_id AS VARCHAR) || '-' || session"
    return "session_id" if not numbered else f"COALESCE(session_id, {made})" if given else made


def events_sql(stored: Mapping[str, str], *, numbered: bool) -> str:
    """Return the SELECT of the view `events` over the table `event_cells`.

    The table leaves out columns that are NULL in every row, holds ids that are whole numbers as such, and the number of a
    session instead of its name; the view always has the same columns and types.

    Args:
        stored: The columns of `event_cells` that `events` has too, with their types.
        numbered: Whether it has the column `session`.
    """
    columns = []
    for name in EVENTS:
        kind = EVENT_TYPES_SQL[name]
        value = f"CAST(NULL AS {kind})"
        if name == "session_id" and numbered:
            value = session_name(numbered=True, given=name in stored)
        elif name in stored:
            value = name if stored[name] == kind else f"CAST({name} AS {kind})"
        columns.append(f"{value} AS {name}")
    return f"SELECT {', '.join(columns)} FROM event_cells"  # noqa: S608 - fixed names only


def cells_sql(stored: Mapping[str, str]) -> str:
    """Return the SELECT of the events with their ids as `event_cells` stores them: whole numbers are grouped at a third of the cost.

    Columns as in `events`, but `user_id` and `item_id` may be BIGINT, and `session` stands for `session_id`: equal within a session
    of a user, INTEGER or VARCHAR, NULL where there is none.

    Args:
        stored: The columns of `event_cells`, with their types.
    """
    columns = [name if name in stored else f"CAST(NULL AS {EVENT_TYPES_SQL[name]}) AS {name}" for name in EVENTS if name != "session_id"]
    numbered, given = "session" in stored, "session_id" in stored
    session = "session" if numbered and not given else session_name(numbered=numbered, given=given)
    return f"SELECT {', '.join(columns)}, {session} AS session FROM main.event_cells"  # noqa: S608 - fixed names only


TABLES_SQL = """
CREATE TYPE event_type AS ENUM ('impression', 'view', 'click', 'search', 'favourite', 'share', 'cart',
    'remove_from_cart', 'purchase', 'refund', 'other');
CREATE TABLE items (
    item_id VARCHAR NOT NULL, in_catalogue BOOLEAN NOT NULL, first_seen TIMESTAMP,
    title VARCHAR, title_since TIMESTAMP, category VARCHAR, category_since TIMESTAMP,
    brand VARCHAR, brand_since TIMESTAMP, price DECIMAL(18, 4), price_since TIMESTAMP,
    description VARCHAR, description_since TIMESTAMP, image VARCHAR, image_since TIMESTAMP);
CREATE TABLE quarantine (source_file VARCHAR, source_row BIGINT, source_line BIGINT, rule VARCHAR, reason VARCHAR, text VARCHAR);
CREATE TABLE merged (source_file VARCHAR, source_row BIGINT, rule VARCHAR, reason VARCHAR);
"""
"""`source_row` counts data rows from 1; `source_line` is the physical line of a text file that the row begins on, from 1.
`merged` names the rows that only repeat another, which holds their text.

Tables that ingest fills; it adds `event_cells` with the view `events`, `users` (user_id and attribute columns), `sessions`
and rollups.

`<attribute>_since` is the time of the event that an attribute was derived from, NULL when the person's own catalogue
says it: so the catalogue can be read as of any cutoff."""
