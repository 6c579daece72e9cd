"""Local times around changes of the clock: hours that never were, and hours that were twice."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pyarrow as pa

from core.ingest.casting import UTC_NAMES
from core.store import Connection

_NEAR = timedelta(hours=3)
"""No clock changes by more."""
_EARLIEST, _LATEST = datetime(1970, 1, 2), datetime(2100, 1, 1)
"""Outside of these years nothing is bought, and nobody knows when clocks will change."""


def find_changes(zone: ZoneInfo, first: datetime, last: datetime) -> list[tuple[datetime, int, int]]:
    """Return the changes of a zone's clock between two UTC times: when (UTC), and seconds from UTC before and after."""
    days = [first + timedelta(days=n) for n in range((last - first).days + 3)]
    offsets = [_offset(zone, day) for day in days]
    changes = []
    for (start, before), (end, after) in pairwise(zip(days, offsets, strict=True)):
        if before == after:
            continue
        low, high = start, end
        while high - low > timedelta(seconds=1):
            middle = low + (high - low) / 2
            low, high = (middle, high) if _offset(zone, middle) == before else (low, middle)
        changes.append((high.replace(microsecond=0), before, after))
    return changes


def _offset(zone: ZoneInfo, moment: datetime) -> int:
    offset = moment.replace(tzinfo=UTC).astimezone(zone).utcoffset()
    return int(offset.total_seconds()) if offset else 0


def count_odd_hours(connection: Connection, zone: str) -> tuple[int, int]:
    """Count rows whose local time never was (the clock went forward) or was twice (it went back).

    Expects `rows` beside `raw`, and the macros of `casting`; times that carry a zone or offset of their own are sure.
    """
    if zone.upper() in UTC_NAMES:
        return 0, 0
    first, last = connection.execute("SELECT min(event_time), max(event_time) FROM rows WHERE rule IS NULL").fetchall()[0]
    if first is None:
        return 0, 0
    changes = find_changes(ZoneInfo(zone), max(first, _EARLIEST) - timedelta(days=1), min(last, _LATEST) + timedelta(days=1))
    if not changes:
        return 0, 0
    table = pa.table(
        {
            "near": pa.array([moment - _NEAR for moment, _, _ in changes], pa.timestamp("us")),
            "far": pa.array([moment + _NEAR for moment, _, _ in changes], pa.timestamp("us")),
            "early": pa.array([moment + timedelta(seconds=min(before, after)) for moment, before, after in changes], pa.timestamp("us")),
            "late": pa.array([moment + timedelta(seconds=max(before, after)) for moment, before, after in changes], pa.timestamp("us")),
            "forward": pa.array([after > before for _, before, after in changes]),
        }
    )
    connection.register("clock_changes", table)
    # Local times are moved a thousand years ahead instead of to UTC, so that those with a zone of their own stand out.
    connection.execute("CREATE OR REPLACE TEMP MACRO in_zone(t) AS t + INTERVAL 1000 YEAR")
    never, twice = connection.execute(
        """
        WITH close AS (
            SELECT source_file, source_row, early, late, forward FROM rows JOIN clock_changes
            ON event_time BETWEEN near AND far WHERE rule IS NULL),
        local AS (
            SELECT close.*, parse_time(raw.event_time) AS moment FROM close JOIN raw USING (source_file, source_row))
        SELECT count(*) FILTER (forward), count(*) FILTER (NOT forward)
        FROM local WHERE moment > TIMESTAMP '2800-01-01' AND moment - INTERVAL 1000 YEAR >= early AND moment - INTERVAL 1000 YEAR < late
        """
    ).fetchall()[0]
    connection.unregister("clock_changes")
    return int(never), int(twice)
