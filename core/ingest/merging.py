"""Merge what is there twice: rows of the log that are equal, and acts that the version before already holds."""

import numpy as np
import pyarrow as pa

from core.ingest.watching import Tick, execute_watched, part_of, store_arrow
from core.store import Connection, scalar

_PART_ROWS = 20_000_000
"""Rows whose digests are sorted at once, 8 bytes each."""


def merge_duplicates(connection: Connection, seconds: float, tick: Tick) -> None:
    """Merge rows equal in all columns into the first; with `seconds`, also repeats of one act so soon after the one before."""
    store_arrow(connection, "twice", pa.table({"act": _find_repeats(connection, part_of(tick, 0, 2))}))
    execute_watched(
        connection,
        """
        INSERT INTO fates
        WITH good AS (SELECT source_file, source_row, user_id, event_time, digest FROM rows WHERE rule IS NULL),
        numbered AS (
            SELECT good.*, row_number() OVER same AS place,
                   first_value(source_file) OVER same AS file, first_value(source_row) OVER same AS row
            FROM good SEMI JOIN twice ON hash(good.digest, good.event_time) = twice.act
            WINDOW same AS (PARTITION BY user_id, event_time, digest ORDER BY source_file, source_row))
        SELECT source_file, source_row, 'merged', 'duplicates',
               'equal to row ' || row || CASE WHEN file < source_file THEN ' of ' || name ELSE '' END
        FROM numbered JOIN file_names ON index = file WHERE place > 1
        """,
        None,
        part_of(tick, 1, 2),
    )
    connection.execute("DROP TABLE twice")
    if seconds > 0:
        execute_watched(
            connection,
            """
            INSERT INTO fates
            WITH good AS (SELECT * FROM rows ANTI JOIN fates USING (source_file, source_row)),
            spaced AS (
                SELECT source_file, source_row, event_time - lag(event_time) OVER (
                    PARTITION BY user_id, item_id, purchase_item_id, kind ORDER BY event_time, source_file, source_row) AS gap
                FROM good)
            SELECT source_file, source_row, 'merged', 'duplicates', 'repeats the act before within ' || $seconds || ' s'
            FROM spaced WHERE gap <= to_microseconds(CAST($seconds * 1000000 AS BIGINT))
            """,
            {"seconds": seconds},
            part_of(tick, 1, 2),
        )


def _find_repeats(connection: Connection, tick: Tick) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    """Return what good rows hash to that share their digest and time with another: sorting the hashes costs a fifth of grouping them."""
    parts = -(-int(scalar(connection, "SELECT count(*) FROM rows")) // _PART_ROWS)
    found = [np.empty(0, dtype=np.uint64)]
    for part in range(parts):
        hashes = connection.sql(
            "SELECT act FROM (SELECT hash(digest, event_time) AS act FROM rows WHERE rule IS NULL)"
            " WHERE $parts = 1 OR act % CAST($parts AS UBIGINT) = $part",  # beside a signed number it would be taken in 128 bits
            params={"parts": parts, "part": part},
        ).fetchnumpy()["act"]
        tick((part + 0.5) / parts)
        hashes = np.sort(np.asarray(hashes, dtype=np.uint64))
        found.append(np.unique(hashes[1:][hashes[1:] == hashes[:-1]]))
        tick((part + 1) / parts)
    return np.concatenate(found)


def join_previous(connection: Connection, keeps_sessions: bool) -> None:
    """Put the events of the attached version `previous` before the new acts; acts that it already holds are merged.

    A repeat is recognised by all columns of an event but session and source; the n-th repeat in the new file meets the
    n-th in the old version, so that honest repeats of a log that knows only days stay as many as they are.
    """
    connection.execute("CREATE TABLE joined AS SELECT * FROM acts")
    connection.execute("DROP VIEW acts")
    connection.execute("ALTER TABLE joined RENAME TO acts")
    connection.execute(
        """
        CREATE TABLE known_acts AS
        WITH numbered AS (
            SELECT hash(user_id, item_id, CAST(event_type AS VARCHAR), dwell_seconds, position, quantity, price, revenue, query,
                   order_id) AS digest, *
            FROM acts),
        before AS (
            SELECT user_id, event_time,
                   hash(user_id, item_id, CAST(event_type AS VARCHAR), dwell_seconds, position, quantity, price, revenue, query,
                   order_id) AS digest, count(*) AS n
            FROM previous.events GROUP BY ALL),
        placed AS (
            SELECT user_id, event_time, digest, event_type, source_file, source_row,
                   row_number() OVER (PARTITION BY user_id, event_time, digest ORDER BY source_file, source_row, event_type) AS place
            FROM numbered)
        SELECT placed.source_file, placed.source_row, placed.event_type FROM placed JOIN before USING (user_id, event_time, digest)
        WHERE placed.place <= before.n
        """
    )
    connection.execute(
        "DELETE FROM acts USING known_acts k WHERE acts.source_file = k.source_file AND acts.source_row = k.source_row"
        " AND acts.event_type = k.event_type"
    )
    connection.execute(
        """
        INSERT INTO fates
        SELECT DISTINCT source_file, source_row, 'merged', 'duplicates', 'already in the dataset'
        FROM known_acts ANTI JOIN acts USING (source_file, source_row)
        """
    )
    connection.execute("DROP TABLE known_acts")
    connection.execute(
        """
        INSERT INTO acts BY NAME
        SELECT user_id, item_id, CAST(CAST(event_type AS VARCHAR) AS event_type) AS event_type, event_time,
               CASE WHEN $keeps THEN session_id END AS session_id,
               dwell_seconds, position, quantity, price, revenue, query, order_id, source_file, source_row
        FROM previous.events
        """,
        {"keeps": keeps_sessions},
    )
