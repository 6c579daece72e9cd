"""Cast the staged text, set rows that fail a rule aside, and spread the others into acts.

No rule looks at later events: cutting the end off a file leaves the fate of earlier rows as it was. Only the forms of
times, numbers and words are decided on the whole log.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from core.ingest.casting import UTC_NAMES
from core.ingest.clock_changes import count_odd_hours
from core.ingest.lean import create_lean
from core.ingest.names import DEMOGRAPHICS
from core.ingest.rules import Setting
from core.ingest.watching import Tick
from core.store import Connection, identifier, scalar

FEW_WORDS = 40
_INNER = ("purchase_item_id", "capped", "turned", "word", "currency")
"""Columns of `rows` that `acts` does not have."""
SIGN = r"nullif(upper(regexp_extract(raw.price, '\p{Sc}|US\$|R\$|[A-Za-z]{3}|元|円|kr|zł')), '')"
"""The currency that a price names by its sign or its three letters."""
_EXTRA = ("title", "category", "brand", "description", "image", *DEMOGRAPHICS)


@dataclass(frozen=True)
class Shape:
    """What kind of log it is, as far as cleaning must know."""

    has_items: bool
    wide: bool
    """One row may hold a look and a purchase."""
    default_event: str | None
    """Event type of all rows, or None when a column says it."""
    has_price: bool
    has_revenue: bool
    amount_is_price: bool
    """There is an amount, no price and no quantity: on acts other than purchases the amount is the item's price."""
    cancel_orders: bool
    """Orders whose number starts with C are cancellations."""
    zone: str
    columns: frozenset[str]
    """Canonical columns that the event files have."""
    plain: frozenset[str] = frozenset()
    """Columns of `raw` that hold values instead of text."""
    several: bool = False
    """One word may tell several acts (flags of acts side by side); then the table `more_words` (word, kind, last) has the others."""
    whole: frozenset[str] = frozenset()
    """Id columns whose values all end in .0, which is cut off."""
    local_times: bool = False
    """Whether times may be those of a clock on a wall, which goes forward and back."""
    currency: str | None = None
    """Where currencies stand when they are mixed: "column" or "sign" (of the price)."""


def place_orders(connection: Connection, start: str) -> None:
    """Give rows that know only an order number and the days since the order before a relative time in `raw.event_time`."""
    connection.execute(
        """
        CREATE TABLE placed AS
        WITH orders AS (
            SELECT user_id, TRY_CAST(TRY_CAST(order_number AS DOUBLE) AS BIGINT) AS number,
                   max(TRY_CAST(days_since_prior_order AS DOUBLE)) AS days,
                   max(TRY_CAST(TRY_CAST(order_hour AS DOUBLE) AS BIGINT)) AS hour
            FROM raw GROUP BY ALL)
        SELECT user_id, number, strftime(CAST($start AS TIMESTAMP)
               + to_days(CAST(sum(COALESCE(days, 0)) OVER (PARTITION BY user_id ORDER BY number) AS INTEGER))
               + to_hours(COALESCE(hour, 0)), '%Y-%m-%d %H:%M:%S') AS moment
        FROM orders WHERE number IS NOT NULL
        """,
        {"start": start},
    )
    connection.execute(
        "UPDATE raw_cells SET event_time = placed.moment FROM placed WHERE raw_cells.user_id = placed.user_id"
        " AND TRY_CAST(TRY_CAST(raw_cells.order_number AS DOUBLE) AS BIGINT) = placed.number"
    )
    connection.execute("DROP TABLE placed")


def cast_rows(connection: Connection, shape: Shape, rules: dict[str, Setting], tick: Tick) -> tuple[int, int]:
    """Make `rows` of `raw`, which is dropped: typed columns, and the first rule that a row fails (NULL when none).

    Expects the table `words` (word, kind) and the macros of `casting`.

    Returns:
        Rows whose local time never was, and rows whose local time was twice.
    """
    extras = ", ".join(f"raw.{identifier(name)}" for name in _EXTRA)
    names = ", ".join(identifier(name) for name in _EXTRA)
    latest = datetime.now(UTC).replace(tzinfo=None) + timedelta(days=1)
    earliest = datetime(max(1, int(rules["time_out_of_range"].parameters["earliest_year"])), 1, 1)
    words = connection.execute("SELECT word, kind FROM words ORDER BY word").fetchall()
    few = 0 < len(words) <= FEW_WORDS
    # A join may give rows back in another order, and then they must be sorted again; so a few words are looked up in a CASE.
    whens = " ".join(f"WHEN $word_{i} THEN $kind_{i}" for i in range(len(words)))
    spoken, joined = (f"CASE raw.event_type {whens} END", "") if few else ("words.kind", " LEFT JOIN words ON words.word = raw.event_type")
    ids = {name: f"left(raw.{name}, -2)" if name in shape.whole else f"raw.{name}" for name in ("user_id", "item_id", "purchase_item_id")}
    user = f"COALESCE({ids['user_id']}, CASE WHEN NOT $null_user THEN 'session:' || raw.session_id END)"
    item = f"CASE WHEN $wide AND raw.item_id IN ('0', '0.0') THEN NULL ELSE {ids['item_id']} END"
    # What is plain has users in `user_id` alone, and no second item in a row.
    user, item = (f"raw.{name}" if name in shape.plain else text for name, text in (("user_id", user), ("item_id", item)))
    casts = {name: f"parse_number({name})" for name in ("price", "quantity", "revenue")} | {"event_time": "parse_time(raw.event_time)"}
    casts |= {name: f"raw.{name}" for name in shape.plain}
    currency = {"column": "upper(raw.currency)", "sign": SIGN}.get(shape.currency or "", "CAST(NULL AS VARCHAR)")
    connection.execute("CREATE TYPE event_type AS ENUM (SELECT unnest(enum_range(NULL::final.event_type)))")
    connection.execute("CREATE TYPE rule_id AS ENUM (SELECT unnest($rules))", {"rules": list(rules)})
    create_lean(
        connection,
        "rows",
        f"""
        WITH typed AS (
            SELECT source_file, source_row,
                   {user} AS user_id, {item} AS item_id,
                   CASE WHEN raw.purchase_item_id IN ('0', '0.0') THEN NULL ELSE {ids["purchase_item_id"]} END AS purchase_item_id,
                   raw.event_type AS word, COALESCE($default_event, {spoken}, 'other') AS kind, kind AS said,
                   {casts["event_time"]} AS event_time, session_id,
                   parse_dwell(dwell_seconds) AS dwell, dwell_seconds IS NOT NULL AS has_dwell, position,
                   {casts["quantity"]} AS quantity, quantity IS NOT NULL AS has_quantity,
                   {casts["price"]} AS price, price IS NOT NULL AS has_price,
                   {casts["revenue"]} AS revenue, revenue IS NOT NULL AS has_revenue,
                   query, order_id, {currency} AS currency, {extras}
            FROM raw{joined}),
        judged AS (
            SELECT * REPLACE (
                CASE WHEN kind = 'purchase' AND (quantity < 0 OR revenue < 0
                          OR ($cancel_orders AND regexp_matches(order_id, '^[Cc][0-9]+$')))
                     THEN 'refund' ELSE kind END AS kind),
                CASE
                    WHEN user_id IS NULL THEN 'null_user'
                    WHEN event_time IS NULL OR NOT isfinite(event_time) THEN 'bad_time'
                    WHEN $time_out_of_range AND (event_time < $earliest OR event_time > $latest) THEN 'time_out_of_range'
                    WHEN $null_item AND $has_items AND item_id IS NULL AND purchase_item_id IS NULL
                         AND kind NOT IN ('search', 'share', 'other')
                        THEN 'null_item'
                    WHEN $bad_price AND (has_price AND price IS NULL OR has_revenue AND revenue IS NULL) THEN 'bad_price'
                    WHEN $negative_price AND price < 0 THEN 'negative_price'
                    WHEN $bad_quantity AND (has_quantity AND quantity IS NULL OR quantity < 0 AND kind NOT IN ('purchase', 'refund'))
                        THEN 'bad_quantity'
                    WHEN $bad_dwell AND has_dwell AND dwell IS NULL THEN 'bad_dwell'
                    WHEN $negative_dwell AND dwell < 0 THEN 'negative_dwell'
                END AS rule
            FROM typed),
        valued AS (
            SELECT * REPLACE (
                COALESCE(price,
                         CASE WHEN NOT $price_known AND quantity <> 0 THEN CAST(abs(revenue / quantity) AS DECIMAL(18, 4))
                              WHEN $amount_is_price AND kind NOT IN ('purchase', 'refund') THEN revenue END) AS price,
                CASE WHEN kind IN ('purchase', 'refund') OR $wide
                     THEN COALESCE(revenue, TRY_CAST(COALESCE(quantity, 1) * price AS DECIMAL(18, 4))) END AS revenue,
                CASE WHEN dwell >= 0 THEN CASE WHEN $dwell_cap THEN least(dwell, CAST($cap AS DECIMAL(12, 3))) ELSE dwell END END AS dwell),
                COALESCE($dwell_cap AND dwell > $cap, false) AS capped
            FROM judged)
        SELECT source_file, source_row, CAST(rule AS rule_id) AS rule, user_id, item_id, purchase_item_id,
               CAST(kind AS event_type) AS kind, kind = 'refund' AND said <> 'refund' AS turned,
               event_time,
               session_id, dwell, capped, position,
               CASE WHEN kind = 'refund' THEN -abs(quantity) ELSE quantity END AS quantity, price,
               CASE WHEN kind = 'refund' THEN -abs(revenue) ELSE revenue END AS revenue, query, order_id, {names},
               CASE WHEN $several THEN word END AS word, currency,
               hash(user_id, item_id, purchase_item_id, word, kind, session_id,
                    dwell, position, quantity, price, revenue, query, order_id, {names}) AS digest
        FROM valued
        """,  # noqa: S608 - fixed names and numbers only
        {
            **{f"{part}_{i}": pair[place] for place, part in enumerate(("word", "kind")) for i, pair in enumerate(words if few else ())},
            "wide": shape.wide,
            "several": shape.several,
            "default_event": shape.default_event,
            "cancel_orders": shape.cancel_orders,
            "has_items": shape.has_items,
            "price_known": shape.has_price,
            "amount_is_price": shape.amount_is_price,
            "earliest": earliest,
            "latest": latest,
            "cap": rules["dwell_cap"].parameters["seconds"],
            **{
                rule: rules[rule].on
                for rule in (
                    *(() if "user_id" in shape.plain else ("null_user",)),
                    "time_out_of_range",
                    "null_item",
                    "bad_price",
                    "negative_price",
                    "bad_quantity",
                    "bad_dwell",
                    "negative_dwell",
                    "dwell_cap",
                )
            },
        },
        _absent(shape),
        tick,
    )
    connection.execute("CREATE TABLE fates (source_file INTEGER, source_row BIGINT, fate VARCHAR, rule VARCHAR, reason VARCHAR)")
    connection.execute(
        """
        INSERT INTO fates SELECT rows.source_file, rows.source_row, 'quarantined', rule,
            CASE rule WHEN 'bad_time' THEN COALESCE('time ' || CAST(raw.event_time AS VARCHAR) || ' cannot be read', 'no time')
                      WHEN 'time_out_of_range' THEN 'time ' || rows.event_time
                      WHEN 'null_user' THEN 'no user id' WHEN 'null_item' THEN 'no item id on a ' || kind
                      WHEN 'bad_price' THEN 'price or amount is no number' WHEN 'negative_price' THEN 'price ' || rows.price
                      WHEN 'bad_quantity' THEN 'quantity ' || COALESCE(CAST(rows.quantity AS VARCHAR), 'is no number')
                      WHEN 'bad_dwell' THEN 'dwell time is no duration' WHEN 'negative_dwell' THEN 'dwell time below zero' END
        FROM rows JOIN raw USING (source_file, source_row) WHERE rule IS NOT NULL
        """
    )
    odd_hours = count_odd_hours(connection, shape.zone) if shape.local_times else (0, 0)
    connection.execute("INSERT INTO fates SELECT source_file, source_row, 'quarantined', 'other_table', reason FROM strays")
    connection.execute("DROP VIEW raw")
    connection.execute("DROP TABLE raw_cells")
    return odd_hours


def _absent(shape: Shape) -> dict[str, str]:
    """Columns of `rows` that are NULL in every row of this log."""
    has = shape.columns
    known = {
        "item_id": "item_id" in has,
        "purchase_item_id": shape.wide,
        "session_id": "session_id" in has,
        "position": "position" in has,
        "query": "query" in has,
        "order_id": "order_id" in has,
        "word": shape.several,
        "currency": shape.currency is not None,
        **{name: name in has for name in _EXTRA},
    }
    numbers = {
        "dwell": "dwell_seconds" in has,
        "quantity": "quantity" in has,
        "price": shape.has_price or {"revenue", "quantity"} <= has or shape.amount_is_price,
        "revenue": shape.has_price or shape.has_revenue,
    }
    flags = {
        "capped": "dwell_seconds" in has,
        "turned": bool({"quantity", "revenue"} & has) or shape.cancel_orders,
    }
    kinds = (("VARCHAR", known), ("DECIMAL(18, 4)", numbers), ("BOOLEAN", flags))
    return {name: kind for kind, group in kinds for name, there in group.items() if not there}


def absent_acts(shape: Shape, *, continued: bool) -> dict[str, str]:
    """Columns of `acts` that are NULL in every row; a continued version may bring any column of events."""
    missing = {{"dwell": "dwell_seconds"}.get(name, name): kind for name, kind in _absent(shape).items()}
    for inner in _INNER:
        missing.pop(inner, None)
    if shape.wide:
        missing.pop("item_id", None)
    return {name: kind for name, kind in missing.items() if not continued or name in _EXTRA}


def is_daily(connection: Connection, zone: str) -> bool:
    """Tell whether the good rows know only days: one time of day for all, on several days or at midnight."""
    local = "event_time" if zone.upper() in UTC_NAMES else "timezone($zone, timezone('UTC', event_time))"
    row = connection.execute(
        f"""
        WITH local AS (SELECT {local} AS t FROM rows WHERE rule IS NULL)
        SELECT min(epoch_us(t) % 86400000000) = max(epoch_us(t) % 86400000000),
               min(epoch_us(t) % 86400000000) = 0, min(CAST(t AS DATE)) < max(CAST(t AS DATE)) FROM local
        """,  # noqa: S608 - one of two fixed expressions
        None if local == "event_time" else {"zone": zone},
    ).fetchone()
    return bool(row and row[0] and (row[1] or row[2]))


def spread_acts(connection: Connection, wide: bool, several: bool = False) -> None:
    """Make the view `acts`: one row per event of the rows that were kept.

    A wide row may give two, the first with the item's texts; a word that tells several acts gives each of them, and the
    stay and the position go to the weakest.
    """
    names = ", ".join(identifier(name) for name in _EXTRA)
    # Without fates there is nothing to leave out, and rows keep the order of the file, which is most often that of time.
    has_fates = scalar(connection, "SELECT count(*) FROM fates") > 0
    kept = "FROM rows ANTI JOIN fates USING (source_file, source_row)" if has_fates else "FROM rows"
    once = ", ".join(f"CASE WHEN item_id IS NULL THEN {identifier(name)} END AS {identifier(name)}" for name in _EXTRA)
    bought = f"""
        UNION ALL BY NAME
        SELECT user_id, purchase_item_id AS item_id, CAST('purchase' AS event_type) AS event_type, event_time, session_id, quantity,
               price, revenue, order_id, source_file, source_row, {once}
        FROM kept WHERE purchase_item_id IS NOT NULL
        """  # noqa: S608 - fixed names only
    others = f"""
        UNION ALL BY NAME
        SELECT user_id, item_id, CAST(more_words.kind AS event_type) AS event_type, event_time, session_id,
               CASE WHEN last THEN dwell END AS dwell_seconds, CASE WHEN last THEN position END AS position,
               quantity, price, query, source_file, source_row, {names}
        FROM (SELECT * EXCLUDE (kind) FROM kept) AS kept JOIN more_words USING (word)
        """  # noqa: S608 - fixed names only
    alone = "word NOT IN (SELECT word FROM more_words)" if several else "true"
    connection.execute(
        f"""
        CREATE VIEW acts AS
        WITH kept AS ({kept})
        SELECT user_id, item_id, kind AS event_type, event_time, session_id,
               CASE WHEN {alone} THEN dwell END AS dwell_seconds, CASE WHEN {alone} THEN position END AS position,
               CASE WHEN {wide} AND purchase_item_id IS NOT NULL THEN NULL ELSE quantity END AS quantity, price,
               CASE WHEN kind IN ('purchase', 'refund') THEN revenue END AS revenue, query,
               CASE WHEN {wide} AND purchase_item_id IS NOT NULL THEN NULL ELSE order_id END AS order_id, source_file, source_row, {names}
        FROM kept WHERE item_id IS NOT NULL OR purchase_item_id IS NULL
        {bought if wide else ""}{others if several else ""}
        """  # noqa: S608 - fixed names and numbers only
    )


def count_doubts(connection: Connection, columns: set[str]) -> dict[str, int]:
    """Count rows that are doubtful but kept: cut stays, purchases taken as refunds, ids that end in .0 or were rounded by a spreadsheet.

    Args:
        connection: Staging, with `rows`.
        columns: Canonical columns of the log, without ids that are whole numbers in every row.
    """
    floats = {
        name: f"count(*) FILTER (CASE WHEN ends_with({name}, '.0') THEN regexp_matches({name}, '^[0-9]+\\.0$') END)"
        if name in columns
        else "0"
        for name in ("user_id", "item_id")
    }
    rounded = {
        name: f"count(*) FILTER (CASE WHEN contains({name}, 'E+') THEN regexp_matches({name}, '^[0-9]([.,][0-9]+)?E[+][0-9]+$') END)"
        if name in columns
        else "0"
        for name in ("user_id", "item_id")
    }
    row = connection.execute(
        "SELECT count(*) FILTER (capped AND rule IS NULL), count(*) FILTER (turned),"  # noqa: S608 - fixed names only
        f" {floats['user_id']}, {floats['item_id']}, {rounded['user_id']}, {rounded['item_id']} FROM rows"
    ).fetchone()
    assert row is not None
    return dict(zip(("dwell_cap", "turned", "user_id", "item_id", "rounded_user_id", "rounded_item_id"), row, strict=True))


def drop_rows(connection: Connection) -> None:
    """Free the memory of `rows` and `acts`, of which `ordered` was made."""
    kind = scalar(connection, "SELECT table_type FROM information_schema.tables WHERE table_catalog = 'memory' AND table_name = 'acts'")
    connection.execute("DROP VIEW acts" if kind == "VIEW" else "DROP TABLE acts")
    connection.execute("DROP VIEW rows")
    connection.execute("DROP TABLE rows_cells")


def count_fates(connection: Connection) -> tuple[int, int, dict[str, int]]:
    """Return rows quarantined by value rules, rows merged, and rows by rule."""
    counts: dict[str, int] = dict(connection.execute("SELECT rule, count(*) FROM fates GROUP BY rule ORDER BY rule").fetchall())
    merged = int(scalar(connection, "SELECT count(*) FROM fates WHERE fate = 'merged'"))
    return sum(counts.values()) - merged, merged, counts
