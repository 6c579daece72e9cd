"""Decisions on the whole log: how times, numbers and words are read, and which rows the rules set aside."""

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from core.ingest import cleaning, merging
from core.ingest.casting import (
    RELATIVE_START,
    UTC_NAMES,
    TimeReading,
    count_other_times,
    decide_decimal,
    decide_time,
    make_number_macros,
    make_time_macros,
)
from core.ingest.event_words import STATUS_WORDS, read_words
from core.ingest.ids import are_whole
from core.ingest.layouts import find_layout
from core.ingest.mapping import RoleMapping
from core.ingest.names import ORDER_STATES, plain_name
from core.ingest.orders import fill_orders, join_lines, merge_heads
from core.ingest.outliers import take_far_prices, take_other_currencies, take_strangers
from core.ingest.report_words import kind_name, quoted_rule
from core.ingest.robots import catch_robots
from core.ingest.watching import Tick, part_of
from core.ingest.work import Work
from core.messages import say
from core.store import scalar


def decide_readings(work: Work, part: RoleMapping, columns: set[str]) -> tuple[TimeReading, cleaning.Shape, list[dict[str, Any]]]:
    """Decide how times, numbers and event words are read, and make the macros that read them."""
    connection, warnings, plain = work.connection, work.warnings, work.plain
    time_format, unit = part.time_format, part.time_unit
    join_lines(work)
    fill_orders(work)
    if "event_time" not in columns and "order_number" in columns:
        cleaning.place_orders(connection, RELATIVE_START)
        warnings.append(
            say(
                "The log knows no dates, only days since the order before; every user starts on {start}, so dates on screen are relative.",
                start=RELATIVE_START,
            )
        )
        time_format = unit = None
    zone = part.time_zone or work.request.time_zone
    known = ((work.previous or {}).get("time_reading") or {}).get("kind")
    is_plain = not columns or "event_time" in plain
    reading = TimeReading("iso") if is_plain else decide_time(connection, unit, time_format, part.date_order, known)
    if reading.warning:
        warnings.append(reading.warning)
    make_time_macros(connection, reading, zone, time_format)
    if not is_plain and (others := count_other_times(connection, reading)):
        warnings.append(
            say("{n} times are written in another form than the rest; they are read as the only time that they can mean.", n=others)
            if others > 1
            else say("1 time is written in another form than the rest; it is read as the only time that it can mean.")
        )
    decimal, note = ("point", None) if plain & {"price", "quantity", "revenue"} else decide_decimal(connection)
    if note:
        warnings.append(note)
    make_number_macros(connection, decimal, part.dwell_unit or "s")
    if part.dwell_unit in ("ms", "min") and (work.request.mapping is None or work.request.mapping.events.dwell_unit is None):
        unit_word = say("milliseconds") if part.dwell_unit == "ms" else say("minutes")
        warnings.append(say("Plain numbers of the dwell time are read as {unit}; set `dwell_unit` if that is wrong.", unit=unit_word))
    wide = "purchase_item_id" in columns
    layout = find_layout(work.sources[0].preview.columns) if work.sources else None
    products = layout is not None and "product_list" in plain_name(part.columns.get("item_id", ("",))[0])
    if products:
        _read_products(work, columns)
    is_state = len(states := part.columns.get("event_type", ())) == 1 and plain_name(states[0]) in ORDER_STATES
    codes = layout.codes if layout and layout.codes else STATUS_WORDS if is_state else {}
    words, several = _translate(work, part, columns, codes, is_state)
    if "anonymous_id" in columns and (strangers := scalar(connection, "SELECT count(anonymous_id) FROM raw")):
        names = {"user": " + ".join(part.columns["user_id"]), "device": " + ".join(part.columns["anonymous_id"])}
        warnings.append(
            say(
                "{n} rows have no {user}; their {device} stands for the shopper there. Map `anonymous_id` to null to set these rows aside.",
                n=strangers,
                **names,
            )
            if strangers > 1
            else say(
                "1 row has no {user}; its {device} stands for the shopper there. Map `anonymous_id` to null to set this row aside.", **names
            )
        )
    row = connection.execute(
        "SELECT count(*) FILTER (regexp_matches(order_id, '^[Cc][0-9]+$')),"
        " count(order_id) FILTER (regexp_matches(order_id, '^[0-9]+$')) FROM raw"
    ).fetchone()
    cancels = bool(row and 0 < row[0] < row[1])
    shape = cleaning.Shape(
        has_items="item_id" in columns or wide,
        wide=wide,
        default_event=None if "event_type" in columns else part.default_event_type or "view",
        has_price="price" in columns,
        has_revenue="revenue" in columns,
        amount_is_price="revenue" in columns
        and not {"price", "quantity"} & columns
        and any(record["event_type"] not in ("purchase", "refund") for record in words),
        cancel_orders=cancels,
        zone=zone,
        columns=frozenset(columns),
        plain=plain,
        several=several,
        whole=_whole_ids(work, part, columns),
        local_times=reading.kind not in ("epoch", "nanoseconds", "days", "month_days"),
        currency=_mixed_currencies(work, columns),
    )
    return reading, shape, words


def _translate(
    work: Work, part: RoleMapping, columns: set[str], codes: Mapping[str, str], is_state: bool
) -> tuple[list[dict[str, Any]], bool]:
    """Make the tables `words` and `more_words`; return what each word means, and whether one may tell several acts."""
    connection, warnings = work.connection, work.warnings
    found = connection.execute(
        "SELECT event_type, count(*) AS n FROM raw WHERE event_type IS NOT NULL GROUP BY 1 ORDER BY n DESC, 1 LIMIT 2000"
    ).fetchall()
    pieces = part.columns.get("event_type", ())
    listed_codes = bool(codes) and len(pieces) == 1 and "event_list" in plain_name(pieces[0])
    meanings = read_words([word for word, _ in found], pieces, dict(part.event_types), codes, listed=listed_codes)
    unknown = [meaning.shown for meaning in meanings.values() if not meaning.known]
    counts = {meanings[word].shown: n for word, n in found}
    connection.execute("CREATE TABLE words (word VARCHAR, kind VARCHAR)")
    connection.execute("CREATE TABLE more_words (word VARCHAR, kind VARCHAR, last BOOLEAN)")
    if meanings:
        table = pa.table(
            {"word": pa.array(list(meanings), pa.string()), "kind": pa.array([m.kinds[0] for m in meanings.values()], pa.string())}
        )
        connection.register("spoken", table)
        connection.execute("INSERT INTO words SELECT word, kind FROM spoken")
        connection.unregister("spoken")
    more = [(word, kind, kind == m.kinds[-1]) for word, m in meanings.items() for kind in m.kinds[1:]]
    if more:
        connection.executemany("INSERT INTO more_words VALUES (?, ?, ?)", more)
    if is_state and (gone := {m.shown: counts[m.shown] for m in meanings.values() if m.known and m.kinds == ("other",)}):
        listed = ", ".join(f"{word!r} ({n})" for word, n in gone.items())
        warnings.append(
            say(
                "{column} tells how far an order is: rows of orders that brought no money to keep are no purchases: {words}. "
                "Name them in `event_types` of the mapping if they are.",
                column=pieces[0],
                words=listed,
            )
        )
    elif (
        codes
        and not is_state
        and not part.event_types
        and any(meaning.shown.split(" + ")[0].split(",")[0] in codes for meaning in meanings.values())
    ):
        listed = ", ".join(f"{word} = {kind}" for word, kind in codes.items())
        warnings.append(say("The columns are those of a known export, so its codes were read so: {codes}.", codes=listed))
    if unknown:
        listed = ", ".join(f"{word!r} ({counts[word]})" for word in unknown[:12]) + (" …" if len(unknown) > 12 else "")
        warnings.append(say("Unknown event words became `other`: {words}. Name them in `event_types` of the mapping.", words=listed))
    if (
        "event_type" in columns
        and (silent := connection.execute("SELECT count(*) FROM raw WHERE event_type IS NULL").fetchone())
        and silent[0]
    ):
        warnings.append(say("{n} rows hold no event word; they became `other`, unless another rule set them aside.", n=silent[0]))
    if "event_type" not in columns and columns:
        given = work.request.mapping is not None and work.request.mapping.events.default_event_type is not None
        kind = part.default_event_type or "view"
        if "purchase_item_id" in columns:
            warnings.append(say("Each row holds a {kind} and, where its purchase id is not empty or 0, a purchase.", kind=kind_name(kind)))
        elif not given:
            warnings.append(
                say(
                    "No column says what happened; every row is taken as a {kind}. "
                    "Set `default_event_type` in the mapping if that is wrong.",
                    kind=kind_name(kind),
                )
            )
        else:
            warnings.append(say("No column says what happened; every row is a {kind}, as the mapping says.", kind=kind))
    records = [
        {"word": m.shown, "events": counts[m.shown], "event_type": m.kinds[0], "known": m.known}
        | ({"also": list(m.kinds[1:])} if len(m.kinds) > 1 else {})
        for m in meanings.values()
    ]
    return records, bool(more)


def _whole_ids(work: Work, part: RoleMapping, columns: set[str]) -> frozenset[str]:
    """Return the id columns whose values are all whole numbers with .0, which a float column of another tool left."""
    connection, found = work.connection, set[str]()
    for name in ("user_id", "item_id", "purchase_item_id"):
        if name not in columns or part.whole_ids is False:
            continue
        if example := are_whole(connection, "raw", name):
            found.add(name)
            work.warnings.append(
                say(
                    "All values of {column} are whole numbers written with .0; {example} is read as {whole}. "
                    "Set `whole_ids` to false in the mapping to keep them as they stand.",
                    column=name,
                    example=example,
                    whole=example[:-2],
                )
            )
    return frozenset(found)


def _mixed_currencies(work: Work, columns: set[str]) -> str | None:
    """Tell where several currencies stand, and say so; a log without a sign on its prices is not searched for them."""
    connection = work.connection
    if "currency" in columns:
        place, statement = "column", "SELECT upper(currency) AS c, count(*) AS n FROM raw WHERE currency IS NOT NULL GROUP BY c"
    elif "price" in columns and "price" not in work.plain:
        if not connection.execute("SELECT 1 FROM raw WHERE price <= '%' OR price >= ':' OR right(price, 1) >= ':' LIMIT 1").fetchall():
            return None
        place, statement = "sign", f"SELECT {cleaning.SIGN} AS c, count(*) AS n FROM raw GROUP BY c HAVING c IS NOT NULL"  # noqa: S608 - our own expression
    else:
        return None
    found = connection.execute(f"SELECT c, n FROM ({statement}) ORDER BY n DESC, c").fetchall()  # noqa: S608 - our own statements
    if len(found) < 2:
        return None
    work.warnings.append(
        say(
            "Prices are in {count} currencies: {currencies}. They are added up as they stand; switch the rule {rule} on "
            "to keep the currency of the first row alone.",
            count=len(found),
            currencies=", ".join(f"{currency} ({n})" for currency, n in found[:8]),
            rule=quoted_rule("currency_mix"),
        )
    )
    return place


def _read_products(work: Work, columns: set[str]) -> None:
    """Take item, quantity and amount of the first product of a list such as `Shoes;SKU-77;1;59.90,Socks;SKU-12;2;9.80`."""
    several = scalar(work.connection, "SELECT count(*) FILTER (contains(item_id, ',')) FROM raw")
    for name, place in (("item_id", 2), ("quantity", 3), ("revenue", 4)):
        if name in columns:
            work.connection.execute(
                f"UPDATE raw_cells SET {name} = nullif(trim(split_part(split_part({name}, ',', 1), ';', {place})), '')"  # noqa: S608 - fixed names only
            )
    if several:
        work.warnings.append(
            say("{n} rows list several products; only the first of each is kept. Export one row per product to keep all.", n=several)
            if several > 1
            else say("1 row lists several products; only the first is kept. Export one row per product to keep all.")
        )


def judge_rows(work: Work, daily: bool, tick: Tick) -> list[dict[str, Any]]:
    """Merge duplicates and catch robots as the rules say; return the users who were caught."""
    connection, rules, warnings = work.connection, work.rules, work.warnings
    duplicates, robots = rules["duplicates"], rules["robots"]
    merge_heads(work)
    if daily:
        _tell_midnight(work)
    if duplicates.on and daily and not duplicates.given:
        warnings.append(
            say(
                "The log knows only days, so equal rows may be honest repeats: duplicates were not merged. "
                "Switch the rule on in `rules` to merge them."
            )
        )
    elif duplicates.on:
        merging.merge_duplicates(connection, duplicates.parameters["seconds"], part_of(tick, 0, 2))
    _judge_doubtful(work)
    if not robots.on:
        return []
    if daily:
        warnings.append(say("The log knows only days, so the robot rule (acts within an hour) was not used."))
        return []
    found = catch_robots(connection, robots.parameters, part_of(tick, 1, 2))
    if found:
        named = ", ".join(f"{user['user_id']} ({user['rows']})" for user in found[:5]) + (" …" if len(found) > 5 else "")
        warnings.append(say("Acts faster than a person's were set aside (rule {rule}): {users}.", rule=quoted_rule("robots"), users=named))
    return found


def _tell_midnight(work: Work) -> None:
    """Say whose midnight the one time of day is that all times of a log of days have."""
    if (work.mapping.events.time_zone or work.request.time_zone).upper() not in UTC_NAMES:
        return
    seconds = int(scalar(work.connection, "SELECT epoch_us(min(event_time)) % 86400000000 // 1000000 FROM rows WHERE rule IS NULL") or 0)
    hours = (-seconds / 3600 + 12) % 24 - 12  # -12 … 12, the offset whose midnight it is
    if seconds and hours * 4 == int(hours * 4):
        offset = f"{'+' if hours > 0 else '-'}{int(abs(hours)):02d}:{int(abs(hours) % 1 * 60):02d}"
        work.warnings.append(
            say(
                "Every time is {clock} UTC, which is midnight at UTC{offset}: choose a time zone there for the days on screen, "
                "or each act counts for the day beside.",
                clock=f"{seconds // 3600:02d}:{seconds % 3600 // 60:02d}",
                offset=offset,
            )
        )


def _judge_doubtful(work: Work) -> None:
    """Apply the rules that are off unless a person switches them on."""
    connection, rules = work.connection, work.rules
    if rules["no_catalogue"].on and scalar(connection, "SELECT count(*) FROM duckdb_tables() WHERE table_name = 'known_items'"):
        take_strangers(connection)
    if rules["currency_mix"].on:
        take_other_currencies(connection)
    if rules["price_outliers"].on:
        take_far_prices(connection, rules["price_outliers"].parameters)
