"""Fill the tables of a version from cleaned acts: events with sessions, catalogue, users, quarantine, rollups."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pyarrow as pa

from core.ingest.ids import are_numbers
from core.ingest.lean import create_lean, create_view
from core.ingest.names import DEMOGRAPHICS
from core.ingest.sessions import number_sessions
from core.ingest.watching import Tick, execute_watched, part_of
from core.schema import EVENTS, ITEM_ATTRIBUTES
from core.store import EVENT_TYPES_SQL, NEVER_NULL, Connection, events_sql, identifier, scalar, session_name

BATCH_ROWS = 100_000
"""Numbers of sessions handed to DuckDB at once; how many it took tells how many events are written."""


def order_events(
    connection: Connection, absent: Mapping[str, str], known: set[str], drop_source: Callable[[Connection], None], tick: Tick
) -> None:
    """Make `ordered` of `acts`: total order by (event_time, source_file, source_row, event_type), and `place` from 0.

    Most exports are in order of time already, which is seen in one pass, so that they are not sorted again. Ids that are
    all whole numbers are BIGINT in `ordered`: they sort, group and store at a third of the cost of their text, and give
    the same text back.

    Args:
        connection: Staging.
        absent: Columns of `acts` that are NULL in every row, with their types.
        known: Id columns that are known to be whole numbers in every row.
        drop_source: Frees what `acts` is made of, once it was read.
        tick: Told the share of each statement.
    """
    numbers = [name for name in ("user_id", "item_id") if name in known or (name not in absent and are_numbers(connection, "acts", name))]
    casts = ", ".join(f"CAST({name} AS BIGINT) AS {name}" for name in numbers)
    replaced = f" REPLACE ({casts})" if casts else ""
    create_lean(connection, "placed", f"SELECT *{replaced} FROM acts", None, absent, part_of(tick, 0, 2))  # noqa: S608 - fixed names only
    drop_source(connection)
    key = "event_time, source_file, source_row, event_type"
    before = ", ".join(f"lag({name}) OVER ()" for name in key.split(", "))
    backwards = f"SELECT ({key}) < ({before}) AND lag(source_row) OVER () IS NOT NULL AS back FROM placed_cells"  # noqa: S608 - fixed names only
    if scalar(connection, f"SELECT count(*) FROM ({backwards}) WHERE back"):  # noqa: S608 - fixed names only
        execute_watched(connection, f"CREATE TABLE sorted_cells AS SELECT * FROM placed_cells ORDER BY {key}", None, part_of(tick, 1, 2))  # noqa: S608 - fixed names only
        connection.execute("DROP VIEW placed")
        connection.execute("DROP TABLE placed_cells")
        connection.execute("ALTER TABLE sorted_cells RENAME TO ordered_cells")
    else:
        connection.execute("DROP VIEW placed")
        connection.execute("ALTER TABLE placed_cells RENAME TO ordered_cells")
    create_view(connection, "ordered", absent, place=True)


def write_events(connection: Connection, gap_minutes: int, tick: Tick) -> None:
    """Write `ordered` into final.event_cells, which holds what the log has, and make the view final.events of it.

    Where no session is given, the how-manieth session of its user an event is in is stored, and the view spells its name.

    Args:
        connection: Staging.
        gap_minutes: Longest silence within a session.
        tick: Told the share.
    """
    own = {str(row[0]): str(row[1]) for row in connection.execute("DESCRIBE ordered_cells").fetchall()}
    kept = [name for name in EVENTS if name in own]
    numbered = "session_id" not in own or bool(
        scalar(connection, "SELECT count(*) FROM (SELECT 1 FROM ordered_cells WHERE session_id IS NULL LIMIT 1)")
    )
    types: dict[str, str] = {name: own[name] if name in ("user_id", "item_id") else EVENT_TYPES_SQL[name] for name in kept}
    columns = [f"{name} {kind}{' NOT NULL' if name in NEVER_NULL else ''}" for name, kind in types.items()]
    connection.execute("USE final")
    connection.execute(f"CREATE TABLE event_cells ({', '.join([*columns, *(['session INTEGER NOT NULL'] if numbered else [])])})")
    connection.execute(f"CREATE VIEW events AS {events_sql(types, numbered=numbered)}")
    connection.execute("USE memory")
    nulls = "".join(f", CAST(NULL AS {kind}) AS {name}" for name, kind in EVENT_TYPES_SQL.items() if name not in types)
    connection.execute(f"CREATE VIEW stored AS SELECT *{nulls} FROM final.event_cells")  # noqa: S608 - fixed names only
    picked = ", ".join("CAST(event_type AS final.event_type)" if name == "event_type" else name for name in kept)
    writing = part_of(tick, 1, 2)
    if not numbered:
        execute_watched(connection, f"INSERT INTO final.event_cells SELECT {picked} FROM ordered_cells", None, writing)  # noqa: S608 - fixed names only
        return
    sessions, taken = number_sessions(connection, gap_minutes, part_of(tick, 0, 2)), 0

    def batches() -> Iterator[pa.RecordBatch]:
        nonlocal taken
        for taken in range(0, len(sessions), BATCH_ROWS):
            yield pa.record_batch([pa.array(sessions[taken : taken + BATCH_ROWS])], names=["session"])

    connection.register("numbered", pa.RecordBatchReader.from_batches(pa.schema([("session", pa.int32())]), batches()))
    execute_watched(
        connection,
        f"INSERT INTO final.event_cells SELECT {picked}, session FROM ordered_cells POSITIONAL JOIN numbered",  # noqa: S608 - fixed names only
        None,
        writing,
        lambda: taken / len(sessions),
    )
    connection.unregister("numbered")


def write_sessions(connection: Connection, tick: Tick) -> None:
    """Make the view final.sessions over final.session_cells: one row per user and session.

    Distinct items are counted by the export alone: they cost three times the rest.
    """
    columns = {row[0] for row in connection.execute("DESCRIBE final.event_cells").fetchall()}
    # A session's number beside its user says the same as its name, and is grouped at half the cost.
    numbered = "session_id" not in columns
    key = "session" if numbered else "session_id"
    value = "session" if numbered else session_name(numbered="session" in columns, given=True)
    name = session_name(numbered=numbered, given=False)
    tie = "" if numbered else f", {name}"  # one user begins no two numbered sessions at once
    execute_watched(
        connection,
        f"""
        CREATE TABLE final.session_cells AS
        WITH grouped AS (
            SELECT user_id, {value} AS {key}, min(event_time) AS started, max(event_time) AS ended, count(*) AS events,
                   count(*) FILTER (event_type = 'purchase') AS purchases,
                   CAST(sum(revenue) FILTER (event_type IN ('purchase', 'refund')) AS DECIMAL(18, 4)) AS revenue
            FROM stored GROUP BY user_id, {value})
        SELECT * FROM grouped ORDER BY started, CAST(user_id AS VARCHAR){tie}
        """,  # noqa: S608 - fixed names only
        None,
        tick,
    )
    connection.execute("USE final")
    connection.execute(
        f"CREATE VIEW sessions AS SELECT {name} AS session_id, CAST(user_id AS VARCHAR) AS user_id,"  # noqa: S608 - fixed names only
        " started, ended, events, purchases, revenue FROM session_cells"
    )
    connection.execute("USE memory")


def write_items(connection: Connection, columns: set[str], *, own: bool, previous: bool, tick: Tick) -> dict[str, int]:
    """Fill final.items from the person's catalogue, then from the event rows, then from the version before.

    Args:
        connection: Staging, with `catalogue_rows` when `own`, and the attached `previous` when that is true.
        columns: Item attributes that event rows carry.
        own: Whether an item file was staged.
        previous: Whether a version is being continued.
        tick: Told the share.

    Returns:
        Counts: repeated catalogue rows, rows without id, items whose event rows disagree.
    """
    counts = {"repeated": 0, "without_id": 0, "conflicts": 0}
    connection.execute("CREATE TABLE facts (item_id VARCHAR, attribute VARCHAR, value VARCHAR, since TIMESTAMP, priority INTEGER)")
    connection.execute("CREATE TABLE listed (item_id VARCHAR)")
    if own:
        counts["without_id"] = scalar(connection, "SELECT count(*) FROM catalogue_rows WHERE item_id IS NULL")
        counts["repeated"] = scalar(connection, "SELECT count(item_id) - count(DISTINCT item_id) FROM catalogue_rows")
        connection.execute("INSERT INTO listed SELECT DISTINCT item_id FROM catalogue_rows WHERE item_id IS NOT NULL")
        for attribute in ITEM_ATTRIBUTES:
            connection.execute(
                f"""
                INSERT INTO facts SELECT item_id, ?, arg_min({identifier(attribute)}, source_row), NULL, 0 FROM catalogue_rows
                WHERE {identifier(attribute)} IS NOT NULL AND item_id IS NOT NULL GROUP BY item_id
                """,  # noqa: S608 - fixed names and numbers only
                [attribute],
            )
    if previous:
        connection.execute("INSERT INTO listed SELECT item_id FROM previous.items WHERE in_catalogue")
        for attribute in ITEM_ATTRIBUTES:
            connection.execute(
                f"""
                INSERT INTO facts SELECT item_id, ?, CAST({identifier(attribute)} AS VARCHAR), {identifier(attribute + "_since")},
                    CASE WHEN {identifier(attribute + "_since")} IS NULL THEN 1 ELSE 2 END
                FROM previous.items WHERE {identifier(attribute)} IS NOT NULL
                """,  # noqa: S608 - fixed names and numbers only
                [attribute],
            )
    counts["conflicts"] += _derive_facts(connection, [a for a in ITEM_ATTRIBUTES if a in columns], part_of(tick, 0, 2))
    execute_watched(
        connection,
        """
        INSERT INTO final.items BY NAME
        WITH best AS (
            SELECT item_id, attribute, arg_min(value, place) AS value, arg_min(COALESCE(since, TIMESTAMP '0001-01-01'), place) AS since
            FROM (SELECT *, row_number() OVER (PARTITION BY item_id, attribute ORDER BY priority, since, value) AS place FROM facts)
            WHERE place = 1 GROUP BY item_id, attribute),
        wide AS (
            SELECT item_id,
                   any_value(value) FILTER (attribute = 'title') AS title, any_value(since) FILTER (attribute = 'title') AS title_since,
                   any_value(value) FILTER (attribute = 'category') AS category,
                   any_value(since) FILTER (attribute = 'category') AS category_since,
                   any_value(value) FILTER (attribute = 'brand') AS brand, any_value(since) FILTER (attribute = 'brand') AS brand_since,
                   TRY_CAST(any_value(value) FILTER (attribute = 'price') AS DECIMAL(18, 4)) AS price,
                   any_value(since) FILTER (attribute = 'price') AS price_since,
                   any_value(value) FILTER (attribute = 'description') AS description,
                   any_value(since) FILTER (attribute = 'description') AS description_since,
                   any_value(value) FILTER (attribute = 'image') AS image, any_value(since) FILTER (attribute = 'image') AS image_since
            FROM best GROUP BY item_id),
        seen AS (SELECT item_id, first_event AS first_seen FROM final.item_totals),
        ids AS (SELECT item_id FROM seen UNION SELECT item_id FROM listed)
        SELECT ids.item_id, ids.item_id IN (FROM listed) AS in_catalogue, seen.first_seen,
               title, nullif(title_since, TIMESTAMP '0001-01-01') AS title_since,
               category, nullif(category_since, TIMESTAMP '0001-01-01') AS category_since,
               brand, nullif(brand_since, TIMESTAMP '0001-01-01') AS brand_since,
               price, nullif(price_since, TIMESTAMP '0001-01-01') AS price_since,
               description, nullif(description_since, TIMESTAMP '0001-01-01') AS description_since,
               image, nullif(image_since, TIMESTAMP '0001-01-01') AS image_since
        FROM ids LEFT JOIN seen USING (item_id) LEFT JOIN wide USING (item_id)
        ORDER BY ids.item_id
        """,
        None,
        part_of(tick, 1, 2),
    )
    return counts


def _derive_facts(connection: Connection, attributes: list[str], tick: Tick) -> int:
    """Add what event rows say of items to `facts`, the earliest row first; return how often an item's rows disagree."""
    if not attributes:
        return 0
    columns = ", ".join(
        f"arg_min({name}, place) AS {name}, min(place) FILTER ({name} IS NOT NULL) AS {name}_place,"
        f" min({name}) <> max({name}) AS {name}_differs"
        for name in attributes
    )
    execute_watched(
        connection,
        f"CREATE TABLE derived AS SELECT item_id, {columns} FROM ordered WHERE item_id IS NOT NULL GROUP BY item_id",  # noqa: S608 - fixed names only
        None,
        tick,
    )
    conflicts = 0
    for attribute in attributes:
        connection.execute(
            f"""
            INSERT INTO facts
            SELECT CAST(d.item_id AS VARCHAR), ?, CAST(d.{attribute} AS VARCHAR), o.event_time, 2
            FROM derived d JOIN ordered o ON o.place = d.{attribute}_place
            """,  # noqa: S608 - fixed names only
            [attribute],
        )
        if attribute != "price":
            conflicts += scalar(connection, f"SELECT count(*) FROM derived WHERE {attribute}_differs")  # noqa: S608 - fixed names only
    connection.execute("DROP TABLE derived")
    return conflicts


def write_users(
    connection: Connection, attributes: list[str], derived: list[str], previous: list[str], first: int, tick: Tick
) -> dict[str, Any]:
    """Make final.users: everyone with an event, and what is known of them.

    Args:
        connection: Staging, with `people_rows` when `attributes` is not empty.
        attributes: Columns of the person's own users file.
        derived: Demographics that event rows repeat; taken from the user's first event, so no later event is needed.
        previous: Attribute columns of the version that is continued.
        first: source_file of the first file that is new.
        tick: Told the share.
    """
    names = list(dict.fromkeys([*attributes, *derived, *previous]))
    columns = ", ".join(
        "COALESCE("
        + ", ".join(
            f"{table}.{identifier(name)}" for table, has in (("own", attributes), ("before", previous), ("first", derived)) if name in has
        )
        + f") AS {identifier(name)}"
        for name in names
    )
    joins = ""
    counts = {"repeated": 0, "without_events": 0}
    if attributes:
        values = ", ".join(f"arg_min({identifier(n)}, source_row) AS {identifier(n)}" for n in attributes)
        connection.execute(f"CREATE TABLE own AS SELECT user_id, {values} FROM people_rows WHERE user_id IS NOT NULL GROUP BY user_id")  # noqa: S608 - fixed names and numbers only
        joins += " LEFT JOIN own USING (user_id)"
        counts["repeated"] = scalar(connection, "SELECT count(user_id) - count(DISTINCT user_id) FROM people_rows")
        counts["without_events"] = scalar(connection, "SELECT count(*) FROM own ANTI JOIN final.sessions USING (user_id)")
    if previous:
        joins += " LEFT JOIN previous.users AS before USING (user_id)"
    if derived:
        values = ", ".join(f"arg_min_null({identifier(n)}, place) AS {identifier(n)}" for n in derived)
        connection.execute(
            f'CREATE TABLE "first" AS SELECT * REPLACE (CAST(user_id AS VARCHAR) AS user_id) FROM (SELECT user_id, {values} FROM ordered'  # noqa: S608 - fixed names and numbers only
            f" WHERE source_file >= {first} GROUP BY user_id)"
        )
        joins += ' LEFT JOIN "first" AS first USING (user_id)'
    listed = f", {columns}" if columns else ""
    execute_watched(
        connection,
        f"""
        CREATE TABLE final.users AS
        SELECT user_id{listed} FROM (SELECT user_id FROM final.user_totals){joins} ORDER BY user_id
        """,  # noqa: S608 - fixed names and numbers only
        None,
        tick,
    )
    return counts


def demographic_columns(columns: set[str]) -> list[str]:
    """Return the demographics among canonical columns, in a fixed order."""
    return [name for name in DEMOGRAPHICS if name in columns]
