"""What the manifest says of a version: its figures, its rules with their counts, and every doubt in words."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from core.ingest import cleaning
from core.ingest.report_words import quoted_rule, rule_name
from core.ingest.rules import RULES, Setting
from core.ingest.staging import Source
from core.ingest.work import Work
from core.messages import Message, joined, say
from core.schema import EVENTS
from core.store import Connection, scalar


def count_events(connection: Connection) -> dict[str, Any]:
    """Count what stands in the finished tables."""
    row = connection.execute(
        """
        SELECT (SELECT sum(events) FROM final.user_totals), (SELECT count(*) FROM final.users),
               (SELECT min(first_event) FROM final.user_totals), (SELECT max(last_event) FROM final.user_totals),
               sum(events) FILTER (in_catalogue), sum(events) FILTER (title IS NOT NULL OR category IS NOT NULL), sum(events)
        FROM (SELECT item_id, events FROM final.item_totals) JOIN final.items USING (item_id)
        """
    ).fetchone()
    assert row is not None
    first, last = row[2], row[3]
    assert isinstance(first, datetime)
    assert isinstance(last, datetime)
    return {
        "events": int(row[0]),
        "users": row[1],
        "items": scalar(connection, "SELECT count(*) FROM final.items"),
        "sessions": scalar(connection, "SELECT count(*) FROM final.sessions"),
        "first_event": first.isoformat(),
        "last_event": last.isoformat(),
        "catalogue_share": _share(row[4], row[6]),
        "described_share": _share(row[5], row[6]),
        "event_types": dict(
            connection.execute(
                "SELECT CAST(event_type AS VARCHAR), count(*) FROM final.events GROUP BY event_type ORDER BY event_type"
            ).fetchall()
        ),
    }


def _share(part: int | None, whole: int | None) -> float | None:
    return round(int(part or 0) / int(whole), 6) if whole else None


def columns_present(columns: set[str], shape: cleaning.Shape) -> set[str]:
    """Canonical event columns that the log really had, with values that follow from others."""
    present = (columns & set(EVENTS)) | {"event_type", "event_time"}
    if "price" in columns:
        present.add("revenue")
    if {"revenue", "quantity"} <= columns:
        present.add("price")
    if shape.amount_is_price:
        present.add("price")
    if shape.wide:
        present.add("item_id")
    return present


def warn_of_rows(work: Work, columns: set[str], shape: cleaning.Shape, counts: dict[str, int], doubts: dict[str, int]) -> None:
    """Say in words what was guessed, set aside or doubtful."""
    warnings = work.warnings
    if not shape.has_items and columns:
        warnings.append(
            say("The log has no item column: events are kept without items; catalogue, recommendations and item features are off.")
        )
    if columns and not shape.has_price and {"revenue", "quantity"} <= columns:
        warnings.append(say("The log has no unit price; price = amount / quantity."))
    if shape.amount_is_price:
        warnings.append(say("The log has no unit price; on acts other than purchases the amount is taken as the price of the item."))
    if "session_id" in columns and work.mapping.events.columns.get("user_id") == work.mapping.events.columns.get("session_id"):
        warnings.append(say("The log has no user column; each session is taken as a user of its own."))
    for name in ("user_id", "item_id"):
        if floats := doubts[name]:
            warnings.append(
                say(
                    "Values of {column} end in .0 (such as 17850.0), {n} of them; they are kept as they are. "
                    "Export the column as whole numbers or text to join other files.",
                    column=name,
                    n=floats,
                )
            )
        if n := doubts[f"rounded_{name}"]:
            warnings.append(
                say(
                    "Values of {column} look like 8.61E+12, {n} of them: a spreadsheet rounded them, so different ids may have become one. "
                    "Export the column as text.",
                    n=n,
                    column=name,
                )
            )
    if refunds := doubts["turned"]:
        warnings.append(
            say("{n} purchases with a negative quantity or amount, or a C… order number, were taken as refunds.", n=refunds)
            if refunds > 1
            else say("1 purchase with a negative quantity or amount, or a C… order number, was taken as a refund.")
        )
    for source in (s for s in work.sources if s.role == "events"):
        warnings.extend(_doubts_of(source))
    for rule, count in counts.items():
        if count and rule not in ("robots", "dwell_cap", "order_heads"):
            warnings.append(_set_aside(rule, count))
    if cut := counts.get("dwell_cap"):
        cap = work.rules["dwell_cap"].parameters["seconds"]
        warnings.append(
            say("{n} stays longer than {cap:g} s were cut to that.", n=cut, cap=cap)
            if cut > 1
            else say("1 stay longer than {cap:g} s was cut to that.", cap=cap)
        )


def warn_of_clock(work: Work, zone: str, odd_hours: tuple[int, int]) -> None:
    """Say how many local times fall into an hour that the clock left out, or into one that came twice."""
    never, twice = odd_hours
    if never:
        work.warnings.append(
            say("{n} rows have a local time that {zone} left out when its clocks went forward; read as the hour after.", n=never, zone=zone)
            if never > 1
            else say("1 row has a local time that {zone} left out when its clocks went forward; read as the hour after.", zone=zone)
        )
    if twice:
        work.warnings.append(
            say("{n} rows have a local time that came twice in {zone} when its clocks went back; read as the second.", n=twice, zone=zone)
            if twice > 1
            else say("1 row has a local time that came twice in {zone} when its clocks went back; read as the second.", zone=zone)
        )


def warn_of_strays(connection: Connection) -> Iterator[Message]:
    """Say how many events lie farther from the bulk of the log (all but the outer halves of a per cent) than the bulk is long."""
    row = connection.execute(
        """
        WITH days AS (SELECT day, sum(events) AS n FROM final.daily GROUP BY day),
        shares AS (SELECT day, n, sum(n) OVER (ORDER BY day) / sum(n) OVER () AS share FROM days),
        bulk AS (SELECT min(day) FILTER (share > 0.005) AS begin, min(day) FILTER (share >= 0.995) AS ended FROM shares),
        strays AS (SELECT day, n, begin, ended, greatest(ended - begin, 7) AS span FROM days CROSS JOIN bulk)
        SELECT CAST(sum(n) AS BIGINT), min(day), max(day), any_value(begin), any_value(ended) FROM strays
        WHERE day < begin - CAST(span AS INTEGER) OR day > ended + CAST(span AS INTEGER)
        """
    ).fetchone()
    if row and row[0]:
        n, first, last, begin, ended = row
        yield (
            say(
                "{n} events lie far outside the bulk of the log, {begin} to {end}: the first on {first}, the last on {last}. "
                "Check their times.",
                n=n,
                begin=begin,
                end=ended,
                first=first,
                last=last,
            )
            if n > 1
            else say(
                "1 event lies far outside the bulk of the log, {begin} to {end}: on {first}. Check its time.",
                begin=begin,
                end=ended,
                first=first,
            )
        )


def warn_of_swaps(connection: Connection) -> Iterator[Message]:
    """Say where shoppers and items change places: a log whose ids were apart, and from some row on each is in the other's column."""
    if not connection.execute("SELECT user_id FROM final.users INTERSECT SELECT item_id FROM final.items LIMIT 1").fetchone():
        return
    row = connection.execute(
        """
        WITH both_ways AS (SELECT user_id AS id FROM final.users INTERSECT SELECT item_id FROM final.items),
        seen AS (
            SELECT user_id AS id, true AS acts, row(source_file, source_row) AS place FROM final.events WHERE user_id IN (FROM both_ways)
            UNION ALL
            SELECT item_id, false, row(source_file, source_row) FROM final.events WHERE item_id IN (FROM both_ways)),
        roles AS (SELECT id, arg_min(acts, place) AS acts FROM seen GROUP BY id),
        crossed AS (SELECT min(place) AS place FROM seen JOIN roles USING (id) WHERE seen.acts <> roles.acts),
        later AS (
            SELECT row(e.source_file, e.source_row) AS place, e.*, u.acts IS FALSE AS is_item, i.acts IS TRUE AS is_user
            FROM final.events e CROSS JOIN crossed LEFT JOIN roles u ON u.id = e.user_id LEFT JOIN roles i ON i.id = e.item_id
            WHERE row(e.source_file, e.source_row) >= crossed.place)
        SELECT arg_min(name, place), arg_min(source_row, place), arg_min(user_id, place) FILTER (is_item AND is_user),
               arg_min(item_id, place) FILTER (is_item AND is_user)
        FROM later JOIN file_names ON index = source_file
        HAVING count(*) FILTER (is_item AND is_user) > 0 AND 2 * count(*) FILTER (is_item OR is_user) >= count(*)
            AND count(*) <= 0.75 * (SELECT count(*) FROM final.events)
        """
    ).fetchone()
    if row:
        file, first, user, item = row
        yield say(
            "From row {row} of {file} on, rows hold what is an item elsewhere as shopper and a shopper as item, such as {user} and {item}. "
            "Look whether the columns stand in another order there.",
            row=first,
            file=file,
            user=user,
            item=item,
        )


def _doubts_of(source: Source) -> Iterator[Message]:
    file, account = source.preview.name, source.account
    yield from source.preview.notes
    if n := account.literal_quotes:
        yield (
            say("{n} lines of {file} have a quote inside a plain field; it is kept as a sign of the text.", n=n, file=file)
            if n > 1
            else say("1 line of {file} has a quote inside a plain field; it is kept as a sign of the text.", file=file)
        )
    if n := account.backslashes:
        yield (
            say('{n} lines of {file} write a quote inside a value as \\"; it is read as a quote.', n=n, file=file)
            if n > 1
            else say('1 line of {file} writes a quote inside a value as \\"; it is read as a quote.', file=file)
        )
    if n := account.short:
        yield (
            say(
                "{n} lines of {file} have too few fields; where a line end split a value, the row beside it lacks that part.",
                n=n,
                file=file,
            )
            if n > 1
            else say("1 line of {file} has too few fields; if a line end split a value, the row beside it lacks that part.", file=file)
        )
    if n := account.controls:
        yield (
            say("{n} control signs stand in values of {file}; they are kept.", n=n, file=file)
            if n > 1
            else say("1 control sign stands in a value of {file}; it is kept.", file=file)
        )
    if 0 < account.marked < source.rows:
        n = account.marked
        yield (
            say("{n} lines of {file} begin with # or // and were read as rows; take them out if they are comments.", n=n, file=file)
            if n > 1
            else say("1 line of {file} begins with # or // and was read as a row; take it out if it is a comment.", file=file)
        )
    if account.unended:
        yield say("The last line of {file} has no line end; if the file was cut there, its last value is not whole.", file=file)
    if n := account.unreadable:
        encoding = source.preview.encoding or "utf-8"
        yield (
            say("{n} signs of {file} are no text in {encoding}; they stand as \ufffd.", n=n, file=file, encoding=encoding)
            if n > 1
            else say("1 sign of {file} is no text in {encoding}; it stands as \ufffd.", file=file, encoding=encoding)
        )
    if n := account.inside:
        yield (
            say("{n} line ends of {file} stand inside quoted values.", n=n, file=file)
            if n > 1
            else say("1 line end of {file} stands inside a quoted value.", file=file)
        )
    if n := source.preview.skip:
        yield (
            say("The first {n} lines of {file} are no part of the table and were skipped.", n=n, file=file)
            if n > 1
            else say("The first line of {file} is no part of the table and was skipped.", file=file)
        )
    if not source.preview.has_header and not source.mapping.header:
        yield say(
            "{file} has no header; guessed from values: {guesses}. Name the columns in the mapping if that is wrong.",
            file=file,
            guesses=", ".join(f"{guess.canonical} = {'+'.join(guess.source)}" for guess in source.mapping.guesses),
        )
    used = {piece for pieces in source.mapping.columns.values() for piece in pieces}
    if left := [column for column in source.preview.columns if column not in used]:
        listed = ", ".join(left[:20]) + (" …" if len(left) > 20 else "")
        yield say("Columns of {file} that were not used: {columns}.", file=file, columns=listed)


def _set_aside(rule: str, n: int) -> Message:
    name = quoted_rule(rule)
    if rule == "duplicates":
        return say("{n} rows were merged by rule {rule}.", n=n, rule=name) if n > 1 else say("1 row was merged by rule {rule}.", rule=name)
    return (
        say("{n} rows were quarantined by rule {rule}.", n=n, rule=name)
        if n > 1
        else say("1 row was quarantined by rule {rule}.", rule=name)
    )


def rule_records(
    rules: dict[str, Setting], counts: dict[str, int], read: int, before: dict[str, Any], repeated: int, daily: bool
) -> list[dict[str, Any]]:
    """Return each rule with its setting, its count and share of all rows, and other settings that earlier rows were judged by."""
    earlier = {record["id"]: record for record in before.get("rules", [])}
    records = []
    for rule in RULES:
        setting, known = rules[rule.id], earlier.get(rule.id, {})
        count = counts.get(rule.id, 0) + int(known.get("count", 0))
        if rule.id == "duplicates":
            count += repeated
        used = setting.on and not (daily and (rule.id == "robots" or (rule.id == "duplicates" and not setting.given)))
        now = {"on": used, "parameter": dict(setting.parameters)}
        settings = [*known.get("earlier", []), *([{name: known[name] for name in now}] if now.keys() <= known.keys() else [])]
        records.append(
            {
                "id": rule.id,
                "description": rule.description,
                **now,
                "fixed": rule.fixed,
                "count": count,
                "share": round(count / read, 6) if read else 0.0,
                "earlier": [one for place, one in enumerate(settings) if _differs(one, now) and one not in settings[:place]],
            }
        )
    return records


def _differs(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two settings judge rows otherwise; the numbers of a rule that is off do not matter."""
    return bool(one["on"] != other["on"] or (one["on"] and one["parameter"] != other["parameter"]))


def warn_of_rules(records: list[dict[str, Any]]) -> Iterator[Message]:
    """Say which rules judged the rows of earlier imports otherwise than those of this one."""
    if names := [rule_name(record["id"]) for record in records if record["earlier"]]:
        yield say(
            "Earlier rows of this data set were judged by other settings of these rules: {rules}. "
            "Import all files together to judge them alike.",
            rules=joined(names),
        )


def joined_robots(before: list[dict[str, Any]], found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Add up the robots of earlier imports and of this one, most rows first, at most 50."""
    rows: dict[str, int] = {}
    for user in (*before, *found):
        rows[user["user_id"]] = rows.get(user["user_id"], 0) + int(user["rows"])
    return [{"user_id": user, "rows": n} for user, n in sorted(rows.items(), key=lambda pair: (-pair[1], pair[0]))[:50]]
