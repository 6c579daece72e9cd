"""Programs among the shoppers: too many acts, acts at even distances, or looks that last no time."""

from collections.abc import Mapping
from typing import Any

from core.ingest.watching import Tick, execute_watched
from core.store import Connection, scalar


def catch_robots(connection: Connection, limits: Mapping[str, float], tick: Tick) -> list[dict[str, Any]]:
    """Quarantine acts that no person makes; each act is judged by that user's earlier acts alone.

    Caught is an act that follows more than `per_hour` acts of its user within an hour or `per_day` within a day, one that
    ends `even_gaps` distances in a row which differ by less than a fiftieth (or a second, where they are short), and one
    that ends `zero_dwell` stays of 0 s in a row. Purchases and refunds are neither counted nor caught; impressions are not
    counted (a page shows many at once) and caught within an hour after a caught act.

    Args:
        connection: Staging, with `rows` and `fates`.
        limits: Parameters of the rule; 0 leaves even gaps or stays unjudged.
        tick: Told the share.

    Returns:
        The users caught, with the number of their rows set aside and why, most first, at most 50.
    """
    per_hour, per_day, even, still = (int(limits[name]) for name in ("per_hour", "per_day", "even_gaps", "zero_dwell"))
    if still and not scalar(connection, "SELECT count(*) FROM (SELECT 1 FROM rows WHERE dwell = 0 LIMIT 1)"):
        still = 0
    least = min(number for number in (per_hour, per_day, even, still) if number or number in (per_hour, per_day))
    # Times to the minute make even distances of people too, so seconds must show.
    evenly = (
        f"count(gap) OVER evenly = {even} AND min(gap) OVER evenly > 0 AND max(gap) OVER evenly - min(gap) OVER evenly"
        " <= greatest(1, avg(gap) OVER evenly / 50) AND max(epoch_us(event_time) % 60000000) OVER evenly > 0"
        if even
        else "false"
    )
    resting = f"count(*) OVER resting = {still} AND count(*) FILTER (dwell = 0) OVER resting = {still}" if still else "false"
    execute_watched(
        connection,
        f"""
        INSERT INTO fates
        WITH good AS (SELECT * FROM rows ANTI JOIN fates USING (source_file, source_row)),
        acts AS (SELECT * FROM good WHERE kind NOT IN ('purchase', 'refund', 'impression') AND purchase_item_id IS NULL),
        busy AS (SELECT * FROM acts SEMI JOIN
                 (SELECT user_id FROM acts GROUP BY user_id HAVING count(*) > {least}) USING (user_id)),
        spaced AS (
            SELECT source_file, source_row, user_id, event_time, dwell,
                   event_time - lag(event_time, {max(1, per_hour)}) OVER by_time < INTERVAL 1 HOUR AS fast,
                   event_time - lag(event_time, {max(1, per_day)}) OVER by_time < INTERVAL 1 DAY AS many,
                   (epoch_us(event_time) - epoch_us(lag(event_time) OVER by_time)) / 1e6 AS gap
            FROM busy WINDOW by_time AS (PARTITION BY user_id ORDER BY event_time, source_file, source_row)),
        paced AS (
            SELECT source_file, source_row, user_id, event_time, fast, many, {evenly} AS even, {resting} AS still FROM spaced
            WINDOW evenly AS (PARTITION BY user_id ORDER BY event_time, source_file, source_row
                              ROWS BETWEEN {max(1, even) - 1} PRECEDING AND CURRENT ROW),
                   resting AS (PARTITION BY user_id ORDER BY event_time, source_file, source_row
                               ROWS BETWEEN {max(1, still) - 1} PRECEDING AND CURRENT ROW)),
        caught AS (SELECT * FROM paced WHERE fast OR many OR even OR still),
        shown AS (
            SELECT i.source_file, i.source_row, i.user_id, i.event_time, false AS fast, false AS many, false AS even, false AS still
            FROM (SELECT * FROM good WHERE kind = 'impression') AS i
            ASOF JOIN caught ON i.user_id = caught.user_id AND i.event_time >= caught.event_time
            WHERE i.event_time - caught.event_time < INTERVAL 1 HOUR)
        SELECT source_file, source_row, 'quarantined', 'robots',
               CASE WHEN fast THEN 'more than {per_hour} acts within an hour'
                    WHEN many THEN 'more than {per_day} acts within a day'
                    WHEN even THEN '{even} acts in a row at even distances'
                    WHEN still THEN '{still} stays of 0 s in a row'
                    ELSE 'shown to a robot' END
        FROM (FROM caught UNION ALL FROM shown)
        """,  # noqa: S608 - fixed names and numbers only
        None,
        tick,
    )
    rows = connection.execute(
        """
        SELECT CAST(user_id AS VARCHAR) AS "user", count(*) AS n
        FROM fates JOIN rows USING (source_file, source_row) WHERE fates.rule = 'robots'
        GROUP BY "user" ORDER BY n DESC, "user" LIMIT 50
        """
    ).fetchall()
    return [{"user_id": user_id, "rows": count} for user_id, count in rows]
