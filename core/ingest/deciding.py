"""Decisions on the whole log: how times, numbers and words are read, and which rows the rules set aside."""

from typing import Any

import pyarrow as pa

from core.ingest import cleaning
from core.ingest.casting import RELATIVE_START, TimeReading, decide_decimal, decide_time, make_number_macros, make_time_macros
from core.ingest.event_words import translate_words
from core.ingest.mapping import RoleMapping
from core.ingest.work import Work
from core.messages import say


def decide_readings(work: Work, part: RoleMapping, columns: set[str]) -> tuple[TimeReading, cleaning.Shape, list[dict[str, Any]]]:
    """Decide how times, numbers and event words are read, and make the macros that read them."""
    connection, warnings = work.connection, work.warnings
    time_format, unit = part.time_format, part.time_unit
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
    reading = decide_time(connection, unit, time_format) if columns else TimeReading("iso")
    if reading.warning:
        warnings.append(reading.warning)
    make_time_macros(connection, reading, zone, time_format)
    decimal, note = decide_decimal(connection)
    if note:
        warnings.append(note)
    make_number_macros(connection, decimal, part.dwell_unit or "s")
    wide = "purchase_item_id" in columns
    words = _translate(work, part, columns)
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
        cancel_orders=cancels,
        zone=zone,
        columns=frozenset(columns),
    )
    return reading, shape, words


def _translate(work: Work, part: RoleMapping, columns: set[str]) -> list[dict[str, Any]]:
    connection, warnings = work.connection, work.warnings
    found = connection.execute(
        "SELECT event_type, count(*) AS n FROM raw WHERE event_type IS NOT NULL GROUP BY 1 ORDER BY n DESC, 1 LIMIT 2000"
    ).fetchall()
    translated, unknown = translate_words([word for word, _ in found], dict(part.event_types))
    counts = dict(found)
    connection.execute("CREATE TABLE words (word VARCHAR, kind VARCHAR)")
    if translated:
        table = pa.table({"word": pa.array(list(translated), pa.string()), "kind": pa.array(list(translated.values()), pa.string())})
        connection.register("spoken", table)
        connection.execute("INSERT INTO words SELECT word, kind FROM spoken")
        connection.unregister("spoken")
    if unknown:
        listed = ", ".join(f"{word!r} ({counts[word]})" for word in unknown[:12]) + (" …" if len(unknown) > 12 else "")
        warnings.append(say("Unknown event words became `other`: {words}. Name them in `event_types` of the mapping.", words=listed))
    if "event_type" not in columns and columns:
        given = work.request.mapping is not None and work.request.mapping.events.default_event_type is not None
        kind = part.default_event_type or "view"
        if "purchase_item_id" in columns:
            warnings.append(say("Each row holds a {kind} and, where its purchase id is not empty or 0, a purchase.", kind=kind))
        elif not given:
            warnings.append(
                say(
                    "No column says what happened; every row is taken as a {kind}. "
                    "Set `default_event_type` in the mapping if that is wrong.",
                    kind=kind,
                )
            )
        else:
            warnings.append(say("No column says what happened; every row is a {kind}, as the mapping says.", kind=kind))
    return [{"word": word, "events": counts[word], "event_type": kind, "known": word not in unknown} for word, kind in translated.items()]


def judge_rows(work: Work, daily: bool) -> list[dict[str, Any]]:
    """Merge duplicates and catch robots as the rules say; return the users who were caught."""
    connection, rules, warnings = work.connection, work.rules, work.warnings
    duplicates, robots = rules["duplicates"], rules["robots"]
    if duplicates.on and daily and not duplicates.given:
        warnings.append(
            say(
                "The log knows only days, so equal rows may be honest repeats: duplicates were not merged. "
                "Switch the rule on in `rules` to merge them."
            )
        )
    elif duplicates.on:
        cleaning.merge_duplicates(connection, duplicates.parameters["seconds"])
    if not robots.on:
        return []
    if daily:
        warnings.append(say("The log knows only days, so the robot rule (acts within an hour) was not used."))
        return []
    found = cleaning.catch_robots(connection, int(robots.parameters["per_hour"]), int(robots.parameters["per_day"]))
    if found:
        named = ", ".join(f"{user['user_id']} ({user['rows']})" for user in found[:5]) + (" …" if len(found) > 5 else "")
        warnings.append(say("Acts faster than a person's were set aside (rule robots): {users}.", users=named))
    return found
