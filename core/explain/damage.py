"""Histories that were logged worse than they were: events lost, times moved, items mixed up.

Each works on the views of one connection: afterwards `history` shows the damaged log, and nothing but this connection sees it.
"""

from datetime import datetime

import pyarrow as pa

from core.store import CELLS_OF_HISTORY_SQL, Connection

KINDS = ("drop", "jitter", "swap")
STEPS = {"drop": (0.1, 0.3, 0.5), "jitter": (1.0, 3.0, 7.0), "swap": (0.1, 0.3, 0.5)}
"""How much of it: share of events lost; days of the spread by which times move; share of items that are other ones."""
MIDDLE = 1
"""The step at which groups of shoppers are compared."""

KEEP_SQL = """
CREATE OR REPLACE TEMP TABLE sound AS SELECT history.* FROM history SEMI JOIN chosen_users USING (user_id)
"""
DROP_SQL = """
CREATE OR REPLACE TEMP TABLE damaged AS
SELECT * FROM sound WHERE hash(source_file, source_row, event_type, $seed) % 1000000 >= $strength * 1000000
"""
JITTER_SQL = """
CREATE OR REPLACE TEMP TABLE damaged AS
SELECT * REPLACE (least(event_time + to_microseconds(round(drawn * $strength * 86400000000)::BIGINT),
                        $cutoff::TIMESTAMP - INTERVAL 1 SECOND) AS event_time)
FROM (SELECT *, sqrt(-2 * ln((hash(source_file, source_row, event_type, $seed) % 1000000 + 1) / 1000001.0))
                * cos(2 * pi() * (hash(event_type, source_row, source_file, $seed) % 1000000) / 1000000.0) AS drawn FROM sound)
"""
SWAP_SQL = """
CREATE OR REPLACE TEMP TABLE damaged AS
WITH touched AS (SELECT item_id, row_number() OVER (ORDER BY source_file, source_row, event_type) - 1 AS place
                 FROM sound WHERE item_id IS NOT NULL),
size AS (SELECT count(*) AS n FROM touched),
drawn AS (SELECT *, CASE WHEN item_id IS NOT NULL AND hash(source_file, source_row, event_type, $seed) % 1000000 < $strength * 1000000
                         THEN hash(event_type, source_row, source_file, $seed) % (SELECT n FROM size) END AS other FROM sound)
SELECT drawn.* EXCLUDE (other) REPLACE (coalesce(touched.item_id, drawn.item_id) AS item_id)
FROM drawn LEFT JOIN touched ON touched.place = drawn.other
"""
VIEW_SQL = {
    "sound": "CREATE OR REPLACE TEMP VIEW history AS SELECT * FROM sound",
    "damaged": "CREATE OR REPLACE TEMP VIEW history AS SELECT * FROM damaged",
}


def keep_shoppers(connection: Connection, user_ids: list[str]) -> None:
    """Let the view `history` show only some shoppers, from memory."""
    connection.register("chosen_users", pa.table({"user_id": pa.array(user_ids, pa.string())}))
    connection.execute(KEEP_SQL)
    connection.unregister("chosen_users")
    connection.execute(VIEW_SQL["sound"])
    connection.execute(CELLS_OF_HISTORY_SQL)


def damage_history(connection: Connection, kind: str, strength: float, cutoff: datetime, seed: int) -> None:
    """Let the view `history` show the shoppers of `keep_shoppers` as a worse log would have them; the same seed, the same damage.

    Args:
        connection: After `keep_shoppers`.
        kind: One of KINDS. drop: each event is lost with the chance `strength`; jitter: each time moves by a normal number of days of
            that spread, never beyond the cutoff; swap: the item of each event becomes that of another event with that chance.
        strength: See STEPS.
        cutoff: First instant that does not exist.
        seed: Of the damage.
    """
    values = {"strength": strength, "seed": seed}
    if kind == "jitter":
        connection.execute(JITTER_SQL, values | {"cutoff": cutoff})
    else:
        connection.execute(DROP_SQL if kind == "drop" else SWAP_SQL, values)
    connection.execute(VIEW_SQL["damaged"])
