"""From text to times and numbers: formats are decided on all values of a column, then one macro casts each."""

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import duckdb

from core.errors import MappingError
from core.ingest.date_order import settle_date_order, weigh_date_order
from core.ingest.month_names import in_english
from core.messages import Message, say
from core.store import Connection, scalar

RELATIVE_START = "2000-01-01"
"""Day 0 of logs that only count days; said in the warnings."""

_ISO = r"^\d{4}[-/]\d{1,2}[-/]\d{1,2}"
DAY_MONTH = r"^\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4}([ T,]|$)"
"""A date that begins with its day or its month."""
_NUMERIC = r"^[-+]?\d+(\.\d*)?([eE][+]?\d+)?$"
_COMPACT = r"^(19|20)\d{2}(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])([ T]?\d{2}(:?\d{2}){0,2}Z?)?$"
_DAY_CLOCK = r"^\d{1,5} \d{1,2}:\d{2}(:\d{2})?$"
"""A day number and a clock that stood in a column of its own."""
_MONTH_DAY = r"^(0?[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])$"
_CJK = r"^\d{4}\s*年"

_HALF_DAYS = "['%Y/%m/%d %I:%M:%S %p', '%Y/%m/%d %I:%M %p', '%Y/%m/%d %I:%M:%S%p', '%Y/%m/%d %I:%M%p', '%Y/%m/%d %I %p']"
_ISO_CAST = f"""
CASE WHEN strlen(x) = 19 AND substr(x, 17, 1) = ':' AND right(x, 1) BETWEEN '0' AND '9' THEN in_zone(TRY_CAST(x AS TIMESTAMP))
     WHEN ends_with(x, ']') THEN timezone('UTC', TRY_CAST(split_part(x, '[', 1) AS TIMESTAMPTZ))
     WHEN ends_with(x, ' UTC') THEN TRY_CAST(x AS TIMESTAMP)
     WHEN regexp_matches(x, '[0-9] *[AaPp][Mm]$')
     THEN in_zone(try_strptime(replace(replace(x, '-', '/'), 'T', ' '), {_HALF_DAYS}))
     WHEN regexp_matches(x, ':[0-9.]+ *[+-][0-9]{{2}}(:?[0-9]{{2}})?$|[A-Za-z]{{2,}}(/[A-Za-z_]+)?$')
     THEN timezone('UTC', COALESCE(TRY_CAST(x AS TIMESTAMPTZ), TRY_CAST(regexp_replace(x, '\\s+([+-])', '\\1') AS TIMESTAMPTZ)))
     WHEN ends_with(x, 'Z') THEN TRY_CAST(x AS TIMESTAMP)
     ELSE in_zone(TRY_CAST(x AS TIMESTAMP)) END
"""
"""DuckDB's own cast drops "PM" and zone names without a word, so both are looked for first."""
_PARTS = "regexp_extract(x, '^([0-9]{1,2})[-/.]([0-9]{1,2})[-/.]([0-9]{2,4})[ T,]*(.*)$', ['a', 'b', 'y', 'clock'])"
_YEAR = "CASE WHEN length(p.y) = 2 THEN (CASE WHEN p.y > '69' THEN '19' ELSE '20' END) || p.y ELSE p.y END"
_CLOCKS = "['%Y/%m/%d %H.%M', '%Y/%m/%d %H.%M.%S', '%Y/%m/%d %H:%M:%S %Z']"

_OFFSET = ":[0-9]{2} *([+-][0-9]{2}:?[0-9]{2}|GMT|UTC|Z)$"
_NAMED_ZONED = (
    "['%a, %d %b %Y %H:%M:%S %z', '%d/%b/%Y:%H:%M:%S %z', '%d %b %Y %H:%M:%S %z', '%d-%b-%Y %H:%M:%S %z', '%a %b %d %Y %H:%M:%S %z']"
)
_NAMED = (
    "['%d-%b-%Y %H:%M:%S', '%d-%b-%Y %H:%M', '%d-%b-%Y', '%d-%b-%y', '%d-%b-%y %H.%M.%S', '%d-%b-%y %H:%M:%S', '%d-%b-%y %H:%M',"
    " '%d-%b-%y %I.%M.%S %p', '%d-%b-%Y %H.%M.%S', '%d %b %Y %H:%M:%S', '%d %b %Y %H:%M', '%d %b %Y', '%d %B %Y', '%d %B %Y %H:%M',"
    " '%b %d, %Y %H:%M:%S', '%b %d, %Y %I:%M:%S %p', '%b %d, %Y %I:%M %p', '%b %d, %Y', '%B %d, %Y', '%d/%b/%Y', '%d/%b/%Y %H:%M:%S',"
    " '%d/%b/%Y:%H:%M:%S', '%a, %d %b %Y %H:%M:%S', '%a %b %d %H:%M:%S %Y', '%d%b%Y', '%d%b%Y:%H:%M:%S']"
)

_SPELLED = f"['%d %b %Y %I:%M %p', '%Y %b %d', '%d/%b/%y', '%d %b %y', '%d %b %y %H:%M', '%d-%b-%Y %H:%M', {_NAMED[1:]}"

_BODIES = {
    "iso": _ISO_CAST,
    "epoch": "TRY(make_timestamp(CAST(TRY_CAST(x AS DECIMAL(30, 6)) * time_factor() AS BIGINT)))",
    "nanoseconds": "TRY(make_timestamp(TRY_CAST(x AS BIGINT) // 1000))",
    "days": f"TIMESTAMP '{RELATIVE_START}' + to_days(TRY_CAST(TRY_CAST(split_part(x, ' ', 1) AS DOUBLE) AS INTEGER))"
    " + COALESCE(TRY_CAST(nullif(split_part(x, ' ', 2), '') AS INTERVAL), INTERVAL 0 SECOND)",
    "month_days": f"TRY_CAST('{RELATIVE_START[:4]}-' || left(lpad(x, 4, '0'), 2) || '-' || right(x, 2) AS TIMESTAMP)",
    "compact": "list_transform([list_transform([regexp_replace(x, '[^0-9]', '', 'g')], lambda d: TRY_CAST(substr(d, 1, 4) || '-'"
    " || substr(d, 5, 2) || '-'"
    " || substr(d, 7, 2) || ' ' || rpad(substr(d, 9, 2), 2, '0') || ':'"
    " || rpad(substr(d, 11, 2), 2, '0') || ':' || rpad(substr(d, 13, 2), 2, '0')"
    " AS TIMESTAMP))[1]], lambda t: CASE WHEN ends_with(x, 'Z') THEN t ELSE in_zone(t) END)[1]",
    "day_first": f"in_zone(list_transform([{_PARTS}], lambda p: clocked({_YEAR} || '/' || p.b || '/' || p.a || ' ' || p.clock))[1])",
    "month_first": f"in_zone(list_transform([{_PARTS}], lambda p: clocked({_YEAR} || '/' || p.a || '/' || p.b || ' ' || p.clock))[1])",
    "chinese": "in_zone(TRY_CAST(rtrim(regexp_replace(regexp_replace(x, '\\s*[年月]\\s*', '-', 'g'), '\\s*日\\s*', ' ')) AS TIMESTAMP))",
    "dotted": "parse_iso(regexp_replace(x, '^([0-9]{4})[.]([0-9]{1,2})[.]([0-9]{1,2})[ T]*', '\\1-\\2-\\3 '))",
    "excel": "in_zone(TIMESTAMP '1899-12-30' + to_microseconds(CAST(round(TRY_CAST(x AS DOUBLE) * 86400) AS BIGINT) * 1000000))",
    "named_month": f"CASE WHEN regexp_matches(x, '{_OFFSET}')"
    rf" THEN timezone('UTC', try_strptime(regexp_replace(x, ' *(GMT|UTC|Z)$', ' +0000'), {_NAMED_ZONED}))"
    rf" ELSE in_zone(COALESCE(try_strptime(regexp_replace(x, ' (GMT|UTC) (\d{{4}})$', ' \2'), {_NAMED}), foreign_month(x))) END",
}
"""Ways to read a time; `x` is text. Year-first text and epoch numbers are read beside it, because they can mean only one thing."""
_ELSE = "CASE WHEN regexp_matches(x, '^1[0-9]{9}([0-9]{3}){0,2}$') THEN TRY(make_timestamp(CAST(rpad(x, 16, '0') AS BIGINT))) END"
"""Seconds, milliseconds and microseconds of the years 2001 to 2033 differ in length."""
_NUMBERS_ALONE = ("days", "month_days", "excel", "nanoseconds")
"""Ways in which any number is a time."""
_EPOCH_SPAN = "TIMESTAMP '1973-03-03' AND TIMESTAMP '5138-11-16'"
"""Where an epoch number lies that is read in its own unit; a thousandth or a thousandfold of it lies outside."""

_FORMAT = re.compile(r"^[%\w \t/:.,+()年月日时分秒-]+$")
"""A person's format becomes part of a statement, because strptime wants a constant; no quote can pass this."""

UTC_NAMES = ("UTC", "ETC/UTC", "GMT")
_UNITS = {"s": 1_000_000, "ms": 1_000, "us": 1, "ns": 0, "days": 0}


@dataclass(frozen=True)
class TimeReading:
    """How the times of a log are read."""

    kind: str
    unit: str | None = None
    warning: Message | None = None
    given: bool = False
    """Whether a person said it, so that no value is read in another form."""


def decide_time(
    connection: Connection, unit: str | None, time_format: str | None, date_order: str | None = None, known: str | None = None
) -> TimeReading:
    """Decide how `raw.event_time` is read, on all its values where a sample leaves a doubt.

    Args:
        connection: Holds `raw`.
        unit: What the mapping says of numbers, or None.
        time_format: What the mapping says of text, or None.
        date_order: What the mapping says of dates such as 03/04/2024, or None.
        known: How the rows were read that the data set holds already, or None.

    Raises:
        MappingError: No known form fits most of the values, or dates are day-first or month-first and nothing says which.
    """
    if time_format is not None:
        return TimeReading("given", given=True)
    if unit is not None:
        return TimeReading({"days": "days", "ns": "nanoseconds"}.get(unit, "epoch"), unit, given=True)
    row = connection.execute(
        r"""
        WITH times AS (SELECT event_time AS t FROM raw WHERE event_time IS NOT NULL USING SAMPLE 20000 ROWS (reservoir, 7))
        SELECT count(*), count(*) FILTER (regexp_matches(t, $iso)), count(*) FILTER (regexp_matches(t, $numeric)),
               count(*) FILTER (regexp_matches(t, $compact)), count(*) FILTER (regexp_matches(t, $dmy)),
               count(*) FILTER (regexp_matches(t, $cjk)), count(*) FILTER (regexp_matches(t, $day_clock)),
               count(*) FILTER (regexp_matches(t, '^\d{4}[.]\d{1,2}[.]\d{1,2}')), median(abs(TRY_CAST(t AS DOUBLE))), any_value(t)
        FROM times
        """,
        {"iso": _ISO, "numeric": _NUMERIC, "compact": _COMPACT, "dmy": DAY_MONTH, "cjk": _CJK, "day_clock": _DAY_CLOCK},
    ).fetchone()
    assert row is not None
    total, iso, numeric, compact, dmy, cjk, day_clock, dotted, median, example = row
    if total == 0:
        raise MappingError("The column of event times is empty in every row; map another column to event_time.")
    forms = {"iso": iso, "compact": compact, "numeric": numeric - compact, "dmy": dmy, "chinese": cjk, "days": day_clock, "dotted": dotted}
    best = max(forms, key=lambda form: forms[form])
    if forms[best] < total * 0.3:
        named = scalar(
            connection, r"SELECT count(*) FILTER (regexp_matches(event_time, '\p{L}{3}')) FROM (SELECT event_time FROM raw LIMIT 1000)"
        )
        if named:
            return TimeReading("named_month")
        raise MappingError(
            "Event times such as {example!r} are in no form known here; give `time_format` (strptime) or map another column.",
            example=str(example),
        )
    if best == "numeric":
        found = _epoch(float(median)) if float(median) >= 1e5 or not _are_month_days(connection) else _MONTHS
        if found.kind == "epoch" and found.warning is None and re.fullmatch(r"\d([.,]\d{1,8})?[eE][+]?\d+", str(example)):
            rounded = say("Times such as {example} were rounded by a spreadsheet; export them whole.", example=str(example))
            return replace(found, warning=rounded)
        return found
    if best == "days":
        return _epoch(0.0)
    if best == "dmy":
        order, note = settle_date_order(weigh_date_order(connection, datetime.now(UTC).date()), date_order, known)
        return TimeReading(order, None, note)
    return TimeReading(best)


_MONTHS = TimeReading(
    "month_days",
    "days",
    say(
        "Times are months and days without a year, such as 829 for 29 August; {year} is taken for all, so a log that passes "
        "New Year's Eve must be exported with its years.",
        year=RELATIVE_START[:4],
    ),
)


def _are_month_days(connection: Connection) -> bool:
    """Tell whether all numbers are a month and a day, 511 to 1112; day numbers of a log pass 132 or 200 sooner or later."""
    row = connection.execute(
        "SELECT count(DISTINCT event_time), count(DISTINCT event_time) FILTER (NOT regexp_matches(event_time, ?)),"
        " max(TRY_CAST(event_time AS INTEGER)) FROM raw",
        [_MONTH_DAY],
    ).fetchone()
    return bool(row and row[0] > 1 and row[1] == 0 and (row[2] or 0) > 131)


def _epoch(median: float) -> TimeReading:
    if 36_526 <= median <= 60_000:
        return TimeReading("excel", None, say("Times are the day numbers of a spreadsheet, such as 45292.5 for noon of 1 January 2024."))
    for limit, unit in ((1e5, "days"), (1e11, "s"), (1e14, "ms"), (1e17, "us")):
        if median < limit:
            note = (
                say("Times are day numbers; day 0 is taken as {start}, so dates on screen are not calendar dates.", start=RELATIVE_START)
                if unit == "days"
                else None
            )
            return TimeReading("days" if unit == "days" else "epoch", unit, note)
    return TimeReading("nanoseconds", "ns")


def make_time_macros(connection: Connection, reading: TimeReading, zone: str, time_format: str | None) -> None:
    """Define the macro parse_time(text) → TIMESTAMP in UTC.

    Raises:
        MappingError: The time zone or the format is unknown.
    """
    try:
        ZoneInfo(zone)
    except (ValueError, OSError, KeyError) as error:
        raise MappingError(
            "There is no time zone {zone!r}; use a name such as UTC, Asia/Shanghai or America/New_York.", zone=zone
        ) from error
    connection.execute("CREATE OR REPLACE TEMP TABLE settings AS SELECT ? AS zone", [zone])
    if time_format is not None:
        if not _FORMAT.match(time_format):
            raise MappingError("`time_format` {given!r} holds signs that no time has; write it like %d/%m/%Y %H:%M.", given=time_format)
        try:
            connection.execute("SELECT try_strptime('x', ?)", [time_format]).fetchall()
        except duckdb.Error as error:
            raise MappingError("`time_format` {given!r} is no strptime format ({error}).", given=time_format, error=error) from error
    plain = zone.upper() in UTC_NAMES
    connection.execute(
        "CREATE OR REPLACE TEMP MACRO in_zone(t) AS t"
        if plain
        else "CREATE OR REPLACE TEMP MACRO in_zone(t) AS timezone('UTC', timezone((SELECT zone FROM settings), t))"
    )
    connection.execute(f"CREATE OR REPLACE TEMP MACRO time_factor() AS {_UNITS.get(reading.unit or 's', 1) or 1}")
    connection.execute(
        "CREATE OR REPLACE TEMP MACRO clocked(t) AS CASE WHEN regexp_matches(t, '[AaPp][.] ?[Mm][.]? *$') THEN"
        f" try_strptime(regexp_replace(rtrim(t), '([AaPp])[.] ?([Mm])[.]?$', '\\1\\2'), {_HALF_DAYS})"
        " WHEN regexp_matches(t, '[0-9] *[AaPp][Mm] *$')"
        f" THEN try_strptime(rtrim(t), {_HALF_DAYS})"
        f" ELSE COALESCE(TRY_CAST(rtrim(t) AS TIMESTAMP), CAST(try_strptime(rtrim(t), {_CLOCKS}) AS TIMESTAMP)) END"
    )
    if reading.kind == "named_month":
        # in a lambda, so that the long spelling is made only for the times that are not English
        spelled = f"list_transform([x], lambda y: try_strptime({in_english('y')}, {_SPELLED}))[1]"
        connection.execute(f"CREATE OR REPLACE TEMP MACRO foreign_month(x) AS {spelled}")
    connection.execute(f"CREATE OR REPLACE TEMP MACRO parse_iso(x) AS ({_ISO_CAST})")
    body = f"in_zone(try_strptime(x, '{time_format}'))" if reading.kind == "given" else _BODIES[reading.kind]
    if reading.kind == "epoch" and not reading.given:
        body = f"CASE WHEN {body} BETWEEN {_EPOCH_SPAN} THEN {body} END"
    connection.execute(f"CREATE OR REPLACE TEMP MACRO parse_usual(x) AS ({body})")
    other = "CAST(NULL AS TIMESTAMP)" if reading.kind in _NUMBERS_ALONE or reading.given else _ELSE
    year_first = "" if reading.kind == "iso" else f"WHEN regexp_matches(x, '^[0-9]{{4}}[-/][0-9]{{1,2}}[-/]') THEN ({_ISO_CAST})"
    connection.execute(f"CREATE OR REPLACE TEMP MACRO parse_other(x) AS CASE {year_first} WHEN true THEN {other} END")
    connection.execute("CREATE OR REPLACE TEMP MACRO parse_time(x) AS COALESCE(parse_usual(x), parse_other(x))")


def count_other_times(connection: Connection, reading: TimeReading) -> int:
    """Count times of `raw` that are read in another form than most, because they can mean only one thing."""
    if reading.kind == "epoch":
        usual = {"s": 10, "ms": 13, "us": 16}[reading.unit or "s"]
        likely = f"strlen(event_time) <> {usual} OR contains(event_time, '-')"
    else:
        likely = "strlen(event_time) IN (10, 13, 16)" + ("" if reading.kind == "iso" else " OR substr(event_time, 5, 1) IN ('-', '/')")
    return int(
        scalar(
            connection,
            f"SELECT count(*) FROM (SELECT event_time FROM raw WHERE {likely})"  # noqa: S608 - fixed expressions only
            " WHERE parse_usual(event_time) IS NULL AND parse_other(event_time) IS NOT NULL",
        )
    )


_MONEY = (
    r"\p{Sc}|US\$|R\$|USD|EUR|GBP|CNY|RMB|JPY|INR|CHF|PLN|SEK|NOK|DKK|AUD|CAD|BRL|MXN|KRW|HKD|TWD|SGD|TRY|RUB|CZK|Rs\.?|kr\.?|zł|元|円|원"
)
_FREE = "('free', 'free of charge', 'gratis', 'kostenlos', 'gratuit', 'gratuito', '免费', '免費', '无料')"
"""Words that shops write for a price of nothing."""
_SIGNS = rf"^(?:{_MONEY})\s*|\s*(?:{_MONEY})$"


def decide_decimal(connection: Connection) -> tuple[str, Message | None]:
    """Decide "point" or "comma" for the numbers of `raw`, on all values, with a warning when nothing decides it."""
    if not scalar(connection, "SELECT count(*) FROM raw WHERE contains(quantity, ',') OR contains(price, ',') OR contains(revenue, ',')"):
        return "point", _doubtful_points(connection)
    row = connection.execute(
        """
        WITH numbers AS (SELECT unnest([quantity, price, revenue]) AS x FROM raw),
        commas AS (SELECT x, count(*) AS n FROM numbers WHERE contains(x, ',') GROUP BY x)
        SELECT COALESCE(sum(n) FILTER (regexp_matches(x, ',\\d{1,2}\\D*$') AND NOT regexp_matches(x, '\\d\\.\\d+,\\d{3}')
                                       OR regexp_matches(x, '\\.\\d{3},')), 0),
               COALESCE(sum(n) FILTER (regexp_matches(x, ',\\d{3}(\\D|$)')), 0), any_value(x),
               (SELECT count(*) FROM numbers WHERE regexp_matches(x, '^\\D*\\d+\\.\\d{1,2}\\D*$'))
        FROM commas
        """
    ).fetchone()
    if row is None or (row[0] == 0 and row[1] == 0):
        return "point", None
    comma, thousands, example, points = row
    if comma > thousands or (comma and comma > points):
        return "comma", None
    if comma == 0 and points == 0:
        return "point", say("The comma in numbers such as {example} is read as a thousand separator; no value decides it.", example=example)
    return "point", None


def _doubtful_points(connection: Connection) -> Message | None:
    """A warning when every point in numbers stands before exactly three digits, as a thousand separator would."""
    deciding, grouped = (
        r"\.(\d{0,2}|\d{4,})\D*$|^\D*0*\.|\d{4,}\.",
        r"^\D*\d{1,3}(\.\d{3})+\D*$",
    )
    query = """
        SELECT x FROM (SELECT unnest([quantity, price, revenue]) AS x FROM raw WHERE contains(concat(quantity, price, revenue), '.'))
        WHERE contains(x, '.') AND regexp_matches(x, ?) LIMIT 1
        """
    if connection.execute(query, [deciding]).fetchone():
        return None
    doubtful = connection.execute(query, [grouped]).fetchone()
    if doubtful is None:
        return None
    return say("The point in numbers such as {example} is read as a decimal point; no value decides it.", example=doubtful[0])


def make_number_macros(connection: Connection, decimal: str, dwell_unit: str) -> None:
    """Define parse_number(text) → DECIMAL(18, 4) and parse_dwell(text) → seconds as DECIMAL(18, 3)."""
    connection.execute(
        f"CREATE OR REPLACE TEMP MACRO bare(x) AS regexp_replace(replace(regexp_replace(trim(regexp_replace(x, '{_SIGNS}', '', 'g')),"
        " '^\\((.*)\\)$', '-\\1'), '−', '-'), '[\\s''’\\x{A0}\\x{2007}\\x{2009}\\x{202F}]', '', 'g')"
    )
    # Each number is bared inside a lambda: an expression that stands twice is otherwise computed for all rows beforehand,
    # also for those whose plain cast succeeds, which costs six times the cast.
    if decimal == "comma":
        settled = (
            "CASE WHEN contains(b, ',') OR regexp_matches(b, '^-?\\d{1,3}(\\.\\d{3})+$')"
            " THEN replace(replace(b, '.', ''), ',', '.') ELSE b END"
        )
        whole = "CASE WHEN NOT contains(x, '.') THEN TRY_CAST(x AS DECIMAL(18, 4)) END"
    else:
        settled = "CASE WHEN regexp_matches(b, '^-?\\d{1,3}(,\\d{2,3})*(\\.\\d*)?$') THEN replace(b, ',', '') ELSE b END"
        whole = "TRY_CAST(x AS DECIMAL(18, 4))"
    free = f"CASE WHEN lower(trim(x)) IN {_FREE} THEN CAST(0 AS DECIMAL(18, 4)) END"
    body = f"COALESCE({whole}, list_transform([bare(x)], lambda b: TRY_CAST({settled} AS DECIMAL(18, 4)))[1], {free})"
    connection.execute(f"CREATE OR REPLACE TEMP MACRO parse_number(x) AS {body}")
    factor = {"ms": "0.001", "min": "60"}.get(dwell_unit, "1")
    connection.execute(
        f"""
        CREATE OR REPLACE TEMP MACRO parse_dwell(x) AS TRY_CAST(COALESCE(
            TRY_CAST(replace(x, ',', '.') AS DECIMAL(18, 3)) * {factor},
            CASE WHEN regexp_matches(x, '^\\d+:\\d{{1,2}}(:\\d{{1,2}})?$')
                 THEN list_reduce(
                    [TRY_CAST(v AS DECIMAL(18, 3)) FOR v IN string_split(x, ':')], lambda a, b: CAST(a * 60 + b AS DECIMAL(18, 3)))
                 WHEN regexp_matches(x, '^(\\d+\\s*h)?\\s*(\\d+\\s*m)?\\s*(\\d+\\s*s)?$') AND regexp_matches(x, '[hm]\\s*\\d')
                 THEN COALESCE(TRY_CAST(regexp_extract(x, '(\\d+)\\s*h', 1) AS DECIMAL(18, 3)), 0) * 3600
                    + COALESCE(TRY_CAST(regexp_extract(x, '(\\d+)\\s*m', 1) AS DECIMAL(18, 3)), 0) * 60
                    + COALESCE(TRY_CAST(regexp_extract(x, '(\\d+)\\s*s', 1) AS DECIMAL(18, 3)), 0)
                 ELSE TRY_CAST(replace(regexp_extract(x, '^(-?[0-9]+([.,][0-9]+)?)\\s*[^0-9\\s]+$', 1), ',', '.') AS DECIMAL(18, 3))
                      * CASE lower(regexp_extract(x, '([^0-9\\s.,-]+)$', 1))
                          WHEN 's' THEN 1 WHEN 'sec' THEN 1 WHEN 'secs' THEN 1 WHEN 'second' THEN 1 WHEN 'seconds' THEN 1 WHEN '秒' THEN 1
                          WHEN 'ms' THEN 0.001 WHEN 'msec' THEN 0.001 WHEN '毫秒' THEN 0.001
                          WHEN 'm' THEN 60 WHEN 'min' THEN 60 WHEN 'minute' THEN 60 WHEN 'minutes' THEN 60
                          WHEN '分' THEN 60 WHEN '分钟' THEN 60
                          WHEN 'h' THEN 3600 WHEN '小时' THEN 3600 END END) AS DECIMAL(12, 3))
        """
    )
