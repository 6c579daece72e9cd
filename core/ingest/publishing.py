"""Fill the tables of a version from cleaned acts: events with sessions, catalogue, users, quarantine, rollups."""

from collections.abc import Callable, Mapping
from typing import Any

from core.ingest.lean import create_lean, create_view
from core.ingest.names import DEMOGRAPHICS
from core.ingest.watching import Tick, execute_watched, part_of
from core.schema import EVENTS, ITEM_ATTRIBUTES
from core.store import Connection, identifier, scalar


def order_events(
    connection: Connection, absent: Mapping[str, str], gap_minutes: int, drop_source: Callable[[Connection], None], tick: Tick
) -> None:
    """Make `ordered` of `acts`: total order by (event_time, source_file, source_row, event_type), `place` from 0, and sessions.

    A silence longer than the gap starts a session where none is given. Most exports are in order of time already, which
    is seen in one pass, so that they are not sorted again.

    Args:
        connection: Staging.
        absent: Columns of `acts` that are NULL in every row, with their types.
        gap_minutes: Longest silence within a session.
        drop_source: Frees what `acts` is made of, once it was read.
        tick: Told the share of each statement.
    """
    create_lean(connection, "placed", "SELECT * FROM acts", None, absent, part_of(tick, 0, 4))
    drop_source(connection)
    key = "event_time, source_file, source_row, event_type"
    before = ", ".join(f"lag({name}) OVER ()" for name in key.split(", "))
    backwards = f"SELECT ({key}) < ({before}) AND lag(source_row) OVER () IS NOT NULL AS back FROM placed_cells"  # noqa: S608 - fixed names only
    if scalar(connection, f"SELECT count(*) FROM ({backwards}) WHERE back"):  # noqa: S608 - fixed names only
        execute_watched(connection, f"CREATE TABLE sorted_cells AS SELECT * FROM placed_cells ORDER BY {key}", None, part_of(tick, 1, 4))  # noqa: S608 - fixed names only
        connection.execute("DROP TABLE placed_cells")
        connection.execute("ALTER TABLE sorted_cells RENAME TO placed_cells")
    given = "session_id" not in absent
    session = "session_id" if given else "CAST(NULL AS VARCHAR)"
    numbered = not given or scalar(connection, "SELECT count(*) FROM placed WHERE session_id IS NULL")
    connection.execute("DROP VIEW placed")
    if numbered:
        _number_sessions(connection, gap_minutes, part_of(tick, 2, 4))
        execute_watched(connection, "CREATE TABLE ordered_cells AS FROM placed_cells POSITIONAL JOIN numbered", None, part_of(tick, 3, 4))
        connection.execute("DROP TABLE placed_cells")
        connection.execute("DROP TABLE numbered")
        session = f"COALESCE({session}, user_id || '-' || number)"
    else:
        connection.execute("ALTER TABLE placed_cells RENAME TO ordered_cells")
    create_view(connection, "ordered", {name: kind for name, kind in absent.items() if name != "session_id"}, session=session)


def _number_sessions(connection: Connection, gap_minutes: int, tick: Tick) -> None:
    """Make `numbered`, row by row beside `placed_cells`: the how-manieth session of its user an event is in, from 1."""
    execute_watched(
        connection,
        """
        CREATE TABLE numbered AS
        WITH gaps AS (
            SELECT rowid AS place, user_id,
                   COALESCE(event_time - lag(event_time) OVER (PARTITION BY user_id ORDER BY rowid) > to_minutes($gap), true) AS starts
            FROM placed_cells)
        SELECT number FROM (
            SELECT place, CAST(sum(CAST(starts AS INTEGER)) OVER (
                PARTITION BY user_id ORDER BY place ROWS UNBOUNDED PRECEDING) AS INTEGER) AS number FROM gaps)
        ORDER BY place
        """,
        {"gap": gap_minutes},
        tick,
    )


def write_events(connection: Connection, tick: Tick) -> None:
    """Insert `ordered` into final.events."""
    names = ", ".join(EVENTS)
    execute_watched(
        connection,
        f"""
        INSERT INTO final.events BY NAME
        SELECT {names} FROM (SELECT * REPLACE (CAST(event_type AS final.event_type) AS event_type) FROM ordered)
        """,  # noqa: S608 - fixed names only
        None,
        tick,
    )


def write_sessions(connection: Connection, tick: Tick) -> None:
    """Make final.sessions: one row per user and session. Distinct items are counted by the export alone: they cost three times the rest."""
    columns = {row[0] for row in connection.execute("DESCRIBE ordered_cells").fetchall()}
    # Where no session was given, its number says the same as its name, and is grouped at half the cost.
    key = "number" if "number" in columns and "session_id" not in columns else "session_id"
    execute_watched(
        connection,
        f"""
        CREATE TABLE final.sessions AS
        SELECT {"user_id || '-' || number AS session_id" if key == "number" else key}, user_id, min(event_time) AS started,
               max(event_time) AS ended, count(*) AS events,
               count(*) FILTER (event_type = 'purchase') AS purchases,
               CAST(sum(revenue) FILTER (event_type IN ('purchase', 'refund')) AS DECIMAL(18, 4)) AS revenue
        FROM ordered GROUP BY user_id, {key} ORDER BY started, user_id, session_id
        """,  # noqa: S608 - one of two fixed names
        None,
        tick,
    )


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
        seen AS (SELECT item_id, min(event_time) AS first_seen FROM ordered WHERE item_id IS NOT NULL GROUP BY item_id),
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
            SELECT d.item_id, ?, CAST(d.{attribute} AS VARCHAR), o.event_time, 2
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
        counts["without_events"] = scalar(
            connection, "SELECT count(*) FROM own ANTI JOIN (SELECT DISTINCT user_id FROM ordered) USING (user_id)"
        )
    if previous:
        joins += " LEFT JOIN previous.users AS before USING (user_id)"
    if derived:
        values = ", ".join(f"arg_min_null({identifier(n)}, place) AS {identifier(n)}" for n in derived)
        connection.execute(
            f'CREATE TABLE "first" AS SELECT user_id, {values} FROM ordered WHERE source_file >= {first} GROUP BY user_id'  # noqa: S608 - fixed names and numbers only
        )
        joins += ' LEFT JOIN "first" AS first USING (user_id)'
    listed = f", {columns}" if columns else ""
    execute_watched(
        connection,
        f"CREATE TABLE final.users AS SELECT user_id{listed} FROM (SELECT DISTINCT user_id FROM ordered){joins} ORDER BY user_id",  # noqa: S608 - fixed names and numbers only
        None,
        tick,
    )
    return counts


def write_rollups(connection: Connection, tick: Tick) -> None:
    """Make final.daily, final.user_totals and final.item_totals, which make screens instant."""
    execute_watched(
        connection,
        """
        CREATE TABLE final.daily AS
        SELECT CAST(event_time AS DATE) AS day, CAST(event_type AS final.event_type) AS event_type, category,
               count(*) AS events, count(DISTINCT user_id) AS users,
               CAST(sum(revenue) FILTER (event_type IN ('purchase', 'refund')) AS DECIMAL(18, 4)) AS revenue
        FROM (SELECT * EXCLUDE (category) FROM ordered) LEFT JOIN (SELECT item_id, category FROM final.items) USING (item_id)
        GROUP BY ALL ORDER BY day, event_type, category
        """,
        None,
        part_of(tick, 0, 3),
    )
    execute_watched(
        connection,
        """
        CREATE TABLE final.user_totals AS
        WITH acts_of AS (
            SELECT user_id, count(*) AS events, count(*) FILTER (event_type = 'purchase') AS purchases,
                   CAST(sum(revenue) FILTER (event_type IN ('purchase', 'refund')) AS DECIMAL(18, 4)) AS revenue,
                   min(event_time) AS first_event, max(event_time) AS last_event
            FROM ordered GROUP BY user_id),
        sessions_of AS (SELECT user_id, count(*) AS sessions FROM final.sessions GROUP BY user_id),
        orders_of AS (
            SELECT user_id, count(DISTINCT COALESCE(order_id, CAST(event_time AS VARCHAR))) AS orders
            FROM ordered WHERE event_type = 'purchase' GROUP BY user_id)
        SELECT user_id, events, sessions, purchases, COALESCE(orders, 0) AS orders, revenue, first_event, last_event
        FROM acts_of JOIN sessions_of USING (user_id) LEFT JOIN orders_of USING (user_id) ORDER BY user_id
        """,
        None,
        part_of(tick, 1, 3),
    )
    execute_watched(
        connection,
        """
        CREATE TABLE final.item_totals AS
        SELECT item_id, count(*) AS events, count(DISTINCT user_id) AS users,
               count(*) FILTER (event_type IN ('view', 'click')) AS views, count(*) FILTER (event_type = 'cart') AS carts,
               count(*) FILTER (event_type = 'purchase') AS purchases,
               CAST(sum(revenue) FILTER (event_type IN ('purchase', 'refund')) AS DECIMAL(18, 4)) AS revenue,
               min(event_time) AS first_event, max(event_time) AS last_event
        FROM ordered WHERE item_id IS NOT NULL GROUP BY item_id ORDER BY item_id
        """,
        None,
        part_of(tick, 2, 3),
    )


def demographic_columns(columns: set[str]) -> list[str]:
    """Return the demographics among canonical columns, in a fixed order."""
    return [name for name in DEMOGRAPHICS if name in columns]
