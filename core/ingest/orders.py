"""Lines of orders learn who bought and when: from the orders' own file, or from the other lines of their order."""

from core.ingest.work import Work
from core.messages import say
from core.store import identifier, scalar

_LEARNED = ("user_id", "event_time", "session_id", "order_number", "order_hour", "days_since_prior_order", "currency")


def join_lines(work: Work) -> None:
    """Fill what event rows of a file without users lack from the rows of another file with the same order id.

    Rows of orders whose lines are known move from `raw_cells` to the table `order_heads` (source_file, source_row); they
    are merged into their lines. Orders without lines stay as they are.
    """
    connection = work.connection
    events = [source for source in work.sources if source.role == "events"]
    lines = [s.index for s in events if "user_id" not in s.mapping.columns and {"order_id", "item_id"} <= s.mapping.columns.keys()]
    heads = [s for s in events if {"user_id", "order_id"} <= s.mapping.columns.keys() and "item_id" not in s.mapping.columns]
    connection.execute("CREATE TABLE order_heads (source_file INTEGER, source_row BIGINT)")
    if not lines or not heads:
        return
    names = [name for name in _LEARNED if any(name in head.mapping.columns for head in heads)]
    picked = ", ".join(f"arg_min({identifier(name)}, (source_file, source_row)) AS {identifier(name)}" for name in names)
    own = {name for source in events if source.index in lines for name in source.mapping.columns}
    learned = ", ".join(
        f"{identifier(name)} = " + (f"COALESCE(raw_cells.{identifier(name)}, heads.{identifier(name)})" if name in own else f"heads.{name}")
        for name in names
    )
    places = {"heads": [head.index for head in heads], "lines": lines}
    connection.execute(
        f"CREATE TEMP TABLE heads AS SELECT order_id, {picked} FROM raw_cells"  # noqa: S608 - fixed names only
        " WHERE list_contains($heads, source_file) AND order_id IS NOT NULL GROUP BY order_id",
        {"heads": places["heads"]},
    )
    connection.execute(
        f"UPDATE raw_cells SET {learned} FROM heads"  # noqa: S608 - fixed names only
        " WHERE raw_cells.order_id = heads.order_id AND list_contains($lines, raw_cells.source_file)",
        {"lines": lines},
    )
    connection.execute(
        "INSERT INTO order_heads SELECT source_file, source_row FROM raw_cells WHERE list_contains($heads, source_file)"
        " AND order_id IN (SELECT order_id FROM raw_cells WHERE list_contains($lines, source_file))",
        places,
    )
    connection.execute(
        "DELETE FROM raw_cells USING order_heads h WHERE raw_cells.source_file = h.source_file AND raw_cells.source_row = h.source_row"
    )
    connection.execute("DROP TABLE heads")
    orders = scalar(connection, "SELECT count(*) FROM order_heads")
    work.warnings.append(
        say(
            "{lines} holds the lines of the orders in {heads}: {n} orders told them who bought and when, and are merged into them.",
            lines=", ".join(s.preview.name for s in events if s.index in lines),
            heads=", ".join(head.preview.name for head in heads),
            n=orders,
        )
    )


def fill_orders(work: Work) -> None:
    """Fill who bought and when on later lines of an order from its other lines, where all of those agree.

    Shop exports often write the buyer on the first line of an order alone.
    """
    connection = work.connection
    for name in ("user_id", "event_time"):
        files = [
            s.index for s in work.sources if s.role == "events" and {name, "order_id", "item_id"} <= s.mapping.columns.keys()
        ]  # lines of an order, each with its item
        if not files:
            continue
        column = identifier(name)
        places: dict[str, object] = {"files": files}
        lacking = f"{column} IS NULL AND order_id IS NOT NULL AND list_contains($files, source_file)"
        if not scalar(connection, f"SELECT count(*) FROM (SELECT 1 FROM raw WHERE {lacking} LIMIT 1)", places):  # noqa: S608 - fixed names only
            continue
        connection.execute(
            f"CREATE TEMP TABLE known AS SELECT source_file, order_id, min({column}) AS {column} FROM raw"  # noqa: S608 - fixed names only
            f" WHERE order_id IN (SELECT order_id FROM raw WHERE {lacking}) AND list_contains($files, source_file)"
            f" GROUP BY source_file, order_id HAVING count(DISTINCT {column}) = 1",
            places,
        )
        lines = scalar(connection, f"SELECT count(*) FROM raw SEMI JOIN known USING (source_file, order_id) WHERE {lacking}", places)  # noqa: S608 - fixed names only
        connection.execute(
            f"UPDATE raw_cells SET {column} = known.{column} FROM known WHERE raw_cells.{column} IS NULL"  # noqa: S608 - fixed names only
            " AND raw_cells.source_file = known.source_file AND raw_cells.order_id = known.order_id"
        )
        connection.execute("DROP TABLE known")
        if lines:
            work.warnings.append(
                say("{n} lines of orders lack {column}; they took it from the other lines of their order.", n=lines, column=name)
                if lines > 1
                else say("1 line of an order lacks {column}; it took it from the other lines of its order.", column=name)
            )


def merge_heads(work: Work) -> None:
    """Give the rows of orders that were joined to their lines their fate."""
    work.connection.execute(
        "INSERT INTO fates SELECT source_file, source_row, 'merged', 'order_heads', 'joined to the lines of its order' FROM order_heads"
    )
