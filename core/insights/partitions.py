"""Shoppers counted by groups into which each is put by nothing but her own history: one shopper more or less changes no other's group.

The tables of the pages are not so: fifths of buyers, the median gap of all, the end of the log hang on everybody, and one shopper can move
many others. Here cuts and gaps are fixed, and what a grouping stands on beside a shopper's own acts (the cutoff, a map, the catalogue,
values of a column) is handed in or named. So the L1 sensitivity of each table is known: 1, or `each` by category.
"""

from datetime import datetime, timedelta

import pyarrow as pa

from core.insights.rfm import BUYERS_SQL, LIVES_SQL, SCORED_SQL, STAGED_SQL
from core.schema import INTEREST_TYPES
from core.store import Log, fetch, identifier

RECENCY_DAYS = (182, 91, 28, 7)
"""A last purchase within fewer days earns one point more of R: half a year, a quarter, four weeks, a week."""
ORDERS = (1, 2, 4, 8)
"""More orders earn one point more of F, each step twice the last."""

_SHOPPERS_SQL = "shoppers AS (SELECT user_id, bool_or(event_type = 'purchase') AS bought FROM history GROUP BY user_id)"
_COUNTED_SQL = """
SELECT cell, bought, count(*)::BIGINT AS shoppers FROM celled GROUP BY ALL ORDER BY ALL
"""
_SEGMENT_SQL = """, celled AS (
    SELECT m.segment_id::VARCHAR AS cell, s.bought FROM shoppers s LEFT JOIN segments m USING (user_id)
)"""
_ATTRIBUTE_SQL = """, celled AS (
    SELECT u.{column}::VARCHAR AS cell, s.bought FROM shoppers s LEFT JOIN users u USING (user_id)
)"""
_NOW_SQL = "WITH instants AS (SELECT 'now' AS name, $end::TIMESTAMP AS instant)"
_USUAL_SQL = ", usual AS (SELECT 'now' AS name, 28 AS gap)"
_STAGE_SQL = """, celled AS (
    SELECT t.stage AS cell, s.bought FROM shoppers s JOIN staged t USING (user_id)
)"""
_CUTS_SQL = """, cuts AS (
    SELECT $recency_cuts::INTEGER[] AS recency_cuts, $frequency_cuts::INTEGER[] AS frequency_cuts,
           [0, 0, 0, 0] AS money_cuts, false AS has_money
)"""
_RFM_SQL = """, celled AS (
    SELECT coalesce(p.rfm_group, 'never') AS cell, s.bought FROM shoppers s LEFT JOIN placed p USING (user_id)
)"""
_CATALOGUE_SQL = """
WITH known AS (
    SELECT item_id, category, category_since IS NULL AS own FROM main.items
    WHERE category IS NOT NULL AND (category_since IS NULL OR category_since < $end::TIMESTAMP)
), listed AS (
    SELECT item_id, category, own FROM known WHERE own OR NOT (SELECT bool_or(own) FROM known)
)"""
_CATEGORY_SQL = """, acts AS (
    SELECT h.user_id, l.category AS cell, count(*) AS n, max(h.event_time) AS last_time, bool_or(h.event_type = 'purchase') AS bought
    FROM history h JOIN listed l USING (item_id)
    WHERE list_contains($interest::VARCHAR[], h.event_type::VARCHAR) GROUP BY ALL
), celled AS (
    SELECT cell, bought FROM acts
    QUALIFY row_number() OVER (PARTITION BY user_id ORDER BY n DESC, last_time DESC, cell) <= $each
)"""
_NAMES_SQL = " SELECT category, bool_and(own) AS own FROM listed GROUP BY category ORDER BY category"
SEGMENTS_SQL = "WITH " + _SHOPPERS_SQL + _SEGMENT_SQL + _COUNTED_SQL
ATTRIBUTE_SQL = "WITH " + _SHOPPERS_SQL + _ATTRIBUTE_SQL + _COUNTED_SQL
STAGES_SQL = _NOW_SQL + LIVES_SQL + _USUAL_SQL + STAGED_SQL + ", " + _SHOPPERS_SQL + _STAGE_SQL + _COUNTED_SQL
RFM_SQL = BUYERS_SQL + _CUTS_SQL + SCORED_SQL + ", " + _SHOPPERS_SQL + _RFM_SQL + _COUNTED_SQL
CATEGORIES_SQL = _CATALOGUE_SQL + _CATEGORY_SQL + _COUNTED_SQL
CATEGORY_NAMES_SQL = _CATALOGUE_SQL + _NAMES_SQL
VALUES_SQL = """
SELECT DISTINCT {column}::VARCHAR AS value FROM users WHERE {column} IS NOT NULL ORDER BY value LIMIT $most
"""


def last_midnight(log: Log) -> datetime:
    """The first midnight, UTC, that no event lies after: as a cutoff it tells no more of the last event than its day."""
    day = datetime(log.until.year, log.until.month, log.until.day)
    return day if day == log.until else day + timedelta(days=1)


def by_segment(log: Log, segments: pa.Table) -> pa.Table:
    """Count shoppers by segment of a map and whether they bought; NULL are those who are not on it.

    Args:
        log: What to read.
        segments: user_id and segment_id.

    Returns:
        cell (text), bought, shoppers; one row for each pair that there is. So do the others.
    """
    with log.history() as connection:
        connection.register("segments", segments)
        return fetch(connection, SEGMENTS_SQL)


def by_attribute(log: Log, column: str) -> pa.Table:
    """Count shoppers by a column of the users table, NULL where it is not known, and whether they bought."""
    with log.history() as connection:
        return fetch(connection, ATTRIBUTE_SQL.format(column=identifier(column)))


def by_stage(log: Log, end: datetime) -> pa.Table:
    """Count shoppers by stage of life at `end` and whether they bought; 28 days stand for a gap that a shopper does not have."""
    with log.history() as connection:
        return fetch(connection, STAGES_SQL, {"end": end})


def by_rfm(log: Log, end: datetime) -> pa.Table:
    """Count shoppers by RFM group at `end`, by RECENCY_DAYS and ORDERS instead of fifths, without money; nobody of `never` bought."""
    values: dict[str, object] = {"end": end, "frequency": "orders", "zone": "UTC"}
    values |= {"recency_cuts": [-days for days in RECENCY_DAYS], "frequency_cuts": list(ORDERS)}
    with log.history() as connection:
        return fetch(connection, RFM_SQL, values)


def by_category(log: Log, end: datetime, each: int) -> pa.Table:
    """Count shoppers by category and whether they bought in it, each in at most `each` categories.

    Those are the ones most acted on; ties go to the later act, then to the name. Acts that show interest count.
    """
    with log.history() as connection:
        return fetch(connection, CATEGORIES_SQL, {"end": end, "each": each, "interest": list(INTEREST_TYPES)})


def category_names(log: Log, end: datetime) -> tuple[list[str], bool]:
    """Categories by name, and whether they come from a catalogue of the shop's own; if not, from the rows of the log."""
    with log.history() as connection:
        found = fetch(connection, CATEGORY_NAMES_SQL, {"end": end})
    return found["category"].to_pylist(), all(found["own"].to_pylist())


def values_of(log: Log, column: str, most: int) -> list[str]:
    """Values of a column of the users table, the first `most` in order."""
    with log.history() as connection:
        found = fetch(connection, VALUES_SQL.format(column=identifier(column)), {"most": most})
    return [str(value) for value in found["value"].to_pylist()]
