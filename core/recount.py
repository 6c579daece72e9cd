"""Counts again what the pages show, from an export alone: a program of its own that imports nothing of this project.

    python recount.py FOLDER

FOLDER is what `python -m core export` wrote (Parquet), with `figures.json` beside the tables: {"settings": {name: value},
"figures": [{"id", "page", "value"}]}; a value is a number, or a table as {"columns": [...], "rows": [[...]]}. Prints one JSON
object: for each figure the value found by the SQL below, and whether both agree (counts equal, other numbers within 1e-9).
"""

import json
import math
import sys
from pathlib import Path
from typing import Any

import duckdb

TOLERANCE = 1e-9
"""Largest difference of two rates, absolute and relative to their size."""

ORDERS = """
SELECT DISTINCT user_id, coalesce('o' || order_id, 't' || strftime(event_time, '%Y-%m-%d %H:%M:%S.%f')) AS o,
       CASE WHEN order_id IS NULL THEN user_id ELSE '' END AS owner
FROM events WHERE event_type = 'purchase'
"""
STARTS = """
SELECT user_id, event_time, event_type,
       CASE WHEN date_diff('microsecond', lag(event_time) OVER t, event_time) <= $gap_minutes * 60000000 THEN 0 ELSE 1 END AS starts
FROM events WINDOW t AS (PARTITION BY user_id ORDER BY event_time)
"""
LOCAL = "timezone($zone, timezone('UTC', event_time))"

FUNNEL = """
WITH a AS (SELECT DISTINCT user_id, event_time AS t1 FROM events WHERE event_type = $step_1{first}),
second AS (SELECT DISTINCT user_id, event_time FROM events WHERE event_type = $step_2{second}),
third AS (SELECT DISTINCT user_id, event_time FROM events WHERE event_type = $step_3),
b AS (
    SELECT a.user_id, t1, min(e.event_time) AS t2 FROM a
    JOIN second e ON e.user_id = a.user_id AND e.event_time > t1 AND e.event_time <= t1 + to_days($window_days) GROUP BY ALL),
c AS (
    SELECT DISTINCT b.user_id FROM b
    JOIN third e ON e.user_id = b.user_id AND e.event_time > t2 AND e.event_time <= t1 + to_days($window_days)),
counts AS (
    SELECT 1 AS step, count(DISTINCT user_id) AS users FROM a UNION ALL SELECT 2, count(DISTINCT user_id) FROM b
    UNION ALL SELECT 3, count(*) FROM c)
SELECT step, users, users / nullif(max(users) OVER (), 0) AS overall,
       users / nullif(coalesce(lag(users) OVER (ORDER BY step), users), 0) AS from_previous
FROM counts WHERE step < 3 OR $step_3 IS NOT NULL
"""
RETENTION = f"""
WITH acts AS (SELECT DISTINCT user_id, CAST(date_trunc('{{grain}}', {LOCAL}) AS DATE) AS period FROM events),
firsts AS (SELECT user_id, min(period) AS cohort FROM acts GROUP BY user_id),
came AS (SELECT cohort, user_id, (period - cohort) // {{days}} AS number FROM firsts JOIN acts USING (user_id)),
lasts AS (SELECT cohort, user_id, max(number) AS last FROM came GROUP BY ALL),
clock AS (SELECT timezone($zone, timezone('UTC', $end::TIMESTAMP)) AS now),
cells AS (
    SELECT s.cohort, k.number, s.users, s.cohort::TIMESTAMP + to_days({{days}} * (k.number + 1)) AS over,
           (SELECT count(*) FROM came c WHERE c.cohort = s.cohort AND c.number = k.number) AS on_users,
           (SELECT count(*) FROM lasts l WHERE l.cohort = s.cohort AND l.last >= k.number) AS later_users
    FROM (SELECT cohort, count(*) AS users FROM firsts GROUP BY cohort) s, (SELECT unnest(range(13)) AS number) k
    WHERE s.cohort::TIMESTAMP + to_days({{days}} * k.number) < (SELECT now FROM clock)),
told AS (
    SELECT cohort::VARCHAR AS cohort, number, users, on_users, later_users FROM cells
    UNION ALL
    SELECT NULL, number, sum(users), sum(on_users), sum(later_users) FROM cells
    WHERE date_diff('microsecond', (SELECT now FROM clock), over) <= {{days}} * 86400000000 / 24 GROUP BY number)
SELECT coalesce(cohort, 'mean') AS cohort, number, users, on_users, later_users, on_users / users AS "on",
       later_users / users AS on_or_after
FROM told
"""
TWO_PERIODS = """
SELECT event_time >= $changed_since::TIMESTAMP AS now, user_id, count(*) FILTER (event_type = 'purchase') > 0 AS buys,
       sum(revenue) FILTER (event_type = 'purchase') AS revenue
FROM events WHERE event_time >= $changed_before::TIMESTAMP AND event_time < $changed_until::TIMESTAMP GROUP BY ALL
"""
PARTS = {
    "newness": """
        SELECT now, p.user_id, CASE WHEN f.t < CASE WHEN now THEN $changed_since::TIMESTAMP ELSE $changed_before::TIMESTAMP END
                                    THEN 'returning' ELSE 'new' END AS part
        FROM people p JOIN (SELECT user_id, min(event_time) AS t FROM events GROUP BY user_id) f ON f.user_id = p.user_id""",
    "category": """
        SELECT now, user_id, category AS part FROM (
            SELECT event_time >= $changed_since::TIMESTAMP AS now, user_id, category, count(*) AS n FROM events JOIN items USING (item_id)
            WHERE category IS NOT NULL AND event_time >= $changed_before::TIMESTAMP AND event_time < $changed_until::TIMESTAMP
            GROUP BY ALL)
        QUALIFY row_number() OVER (PARTITION BY now, user_id ORDER BY n DESC, category DESC) = 1""",
    "segment": "SELECT now, p.user_id, segment_id::VARCHAR AS part FROM people p JOIN segments s ON s.user_id = p.user_id",
}
CHANGED = """
WITH people AS ({two}), parts AS ({parts}),
placed AS (
    SELECT people.*, coalesce(part, '') AS part FROM people LEFT JOIN parts ON parts.now = people.now AND parts.user_id = people.user_id),
counted AS (
    SELECT part, count(*) FILTER (NOT now) AS n0, count(*) FILTER (now) AS n1, count(*) FILTER (NOT now AND buys) AS b0,
           count(*) FILTER (now AND buys) AS b1, sum(revenue) FILTER (NOT now) AS m0, sum(revenue) FILTER (now) AS m1
    FROM placed GROUP BY part),
shares AS (
    SELECT *, n0 / sum(n0) OVER () AS s0, n1 / sum(n1) OVER () AS s1,
           coalesce(b0 / nullif(n0, 0), b1 / nullif(n1, 0)) AS r0, coalesce(b1 / nullif(n1, 0), b0 / nullif(n0, 0)) AS r1,
           (sum(b0) OVER () / sum(n0) OVER () + sum(b1) OVER () / sum(n1) OVER ()) / 2 AS overall
    FROM counted)
SELECT part, n0 AS users_before, n1 AS users, b0 AS buyers_before, b1 AS buyers, m0 AS revenue_before, m1 AS revenue,
       (s1 - s0) * ((r0 + r1) / 2 - overall) AS mix, (s0 + s1) / 2 * (r1 - r0) AS rate
FROM shares
"""
"""The effects add up to the change of the whole: that sum is a figure of its own, found from the whole alone."""
WHOLE_CHANGE = """
SELECT avg(buys::INTEGER) FILTER (now) - avg(buys::INTEGER) FILTER (NOT now),
       coalesce(sum(revenue) FILTER (now), 0)::DOUBLE - coalesce(sum(revenue) FILTER (NOT now), 0)::DOUBLE
FROM ({two})
"""

TREND = f"""
WITH days AS (SELECT *, CAST({LOCAL} AS DATE)::VARCHAR AS period FROM events),
acts AS (
    SELECT period, count(*) AS events, count(DISTINCT user_id) AS users,
           count(DISTINCT CASE event_type WHEN 'purchase' THEN user_id END) AS buyers,
           coalesce(sum(CASE event_type WHEN 'purchase' THEN revenue END), 0) AS revenue
    FROM days GROUP BY 1),
placed AS (SELECT *, sum(starts) OVER (PARTITION BY user_id ORDER BY event_time) AS place FROM ({STARTS})),
begun AS (
    SELECT CAST({LOCAL.replace("event_time", "t")} AS DATE)::VARCHAR AS period, count(*) AS sessions, sum(buys) AS buying_sessions
    FROM (SELECT min(event_time) AS t, max(CASE event_type WHEN 'purchase' THEN 1 ELSE 0 END) AS buys FROM placed GROUP BY user_id, place)
    GROUP BY 1),
bills AS (
    SELECT DISTINCT period, user_id, coalesce('o' || order_id, 't' || event_time::VARCHAR) AS o, order_id IS NULL AS own
    FROM days WHERE event_type = 'purchase'),
bought AS (SELECT period, count(DISTINCT (o, CASE WHEN own THEN user_id END)) AS orders FROM bills GROUP BY 1),
twice AS (
    SELECT period, count(*) AS repeat_buyers
    FROM (SELECT period, user_id FROM bills GROUP BY ALL HAVING count(*) > 1) GROUP BY 1)
SELECT period, events, users, coalesce(sessions, 0) AS sessions, buyers, coalesce(buying_sessions, 0)::BIGINT AS buying_sessions,
       coalesce(repeat_buyers, 0) AS repeat_buyers, coalesce(orders, 0) AS orders, revenue, buyers / users AS buyer_rate,
       CASE WHEN sessions > 0 THEN buying_sessions / sessions END AS session_rate,
       CASE WHEN buyers > 0 THEN coalesce(repeat_buyers, 0) / buyers END AS repeat_rate
FROM acts LEFT JOIN begun USING (period) LEFT JOIN bought USING (period) LEFT JOIN twice USING (period)
"""
LEVELS = {"category": "coalesce(category, '') AS category", "brand": "coalesce(brand, '') AS brand", "item": "e.item_id AS item_id"}
"""The label alone names a row; everything else is counted from distinct shoppers of each kind of act."""
PRODUCTS = """
SELECT *, carters / users AS cart_rate, buyers / users AS buyer_rate, revenue / sum(revenue) OVER () AS revenue_share
FROM (
SELECT {level}, count(DISTINCT e.item_id) AS items, count(DISTINCT user_id) AS users,
       count(DISTINCT CASE WHEN event_type IN ('view', 'click') THEN user_id END) AS viewers,
       count(DISTINCT CASE WHEN event_type = 'cart' THEN user_id END) AS carters,
       count(DISTINCT CASE WHEN event_type = 'purchase' THEN user_id END) AS buyers,
       len(list_intersect(coalesce(list(DISTINCT user_id) FILTER (event_type IN ('view', 'click')), []),
                          coalesce(list(DISTINCT user_id) FILTER (event_type = 'purchase'), []))) AS viewing_buyers,
       count(*) FILTER (event_type IN ('view', 'click')) AS views, count(*) FILTER (event_type = 'cart') AS carts,
       count(*) FILTER (event_type = 'purchase') AS purchases,
       sum(revenue) FILTER (event_type = 'purchase') AS revenue
FROM events e LEFT JOIN items i ON i.item_id = e.item_id WHERE e.item_id IS NOT NULL GROUP BY 1)
"""
APART = """
WITH all_products AS ({products}),
z AS (SELECT 1.959963984540054::DOUBLE AS z),
viewed AS (SELECT *, viewing_buyers / viewers AS rate FROM all_products WHERE viewers > 0),
judged AS (
    SELECT v.*, (SELECT sum(viewing_buyers) / sum(viewers) FROM viewed) AS overall,
           (2 * viewing_buyers + z * z - z * sqrt(z * z + 4 * viewing_buyers * (1 - rate))) / (2 * (viewers + z * z)) AS low,
           (2 * viewing_buyers + z * z + z * sqrt(z * z + 4 * viewing_buyers * (1 - rate))) / (2 * (viewers + z * z)) AS high
    FROM viewed v, z),
far AS (
    SELECT *, coalesce(viewing_buyers * ln(nullif(rate, 0) / overall), 0)
              + coalesce((viewers - viewing_buyers) * ln(nullif(1 - rate, 0) / (1 - overall)), 0) AS nats
    FROM judged WHERE overall > 0 AND overall < 1),
beyond AS (SELECT * FROM far WHERE nats >= ln(40) AND nats >= ln((SELECT count(*) FROM far) / 2))
SELECT 'low_conversion' AS standing, * FROM beyond
WHERE viewers >= (SELECT quantile_cont(viewers, 0.75) FROM viewed) AND rate < overall
UNION ALL
SELECT 'hidden_winner', * FROM beyond WHERE viewers <= (SELECT median(viewers) FROM viewed) AND rate > overall
"""

SQL = {
    "overview.events": "SELECT count(*) FROM events",
    "overview.users": "SELECT count(*) FROM (SELECT user_id FROM events GROUP BY user_id)",
    "overview.buyers": "SELECT count(*) FROM (SELECT user_id FROM events WHERE event_type = 'purchase' GROUP BY user_id)",
    "overview.repeat_buyers": f"SELECT count(*) FROM (SELECT user_id FROM ({ORDERS}) GROUP BY user_id HAVING count(*) > 1)",
    "overview.sessions": f"SELECT sum(starts) FROM ({STARTS})",
    "overview.buying_sessions": f"""
        SELECT count(*) FROM (
            SELECT user_id, place FROM (
                SELECT user_id, event_type, sum(starts) OVER (PARTITION BY user_id ORDER BY event_time) AS place FROM ({STARTS}))
            WHERE event_type = 'purchase' GROUP BY user_id, place)""",
    "overview.orders": f"SELECT count(*) FROM (SELECT DISTINCT o, owner FROM ({ORDERS}))",
    "overview.revenue": "SELECT sum(revenue) FROM events WHERE event_type = 'purchase'",
    "overview.event_mix": """
        SELECT event_type::VARCHAR AS event_type, count(*) AS events, count(DISTINCT user_id) AS users,
               count(*) / (SELECT count(*) FROM events) AS share
        FROM events GROUP BY 1""",
    "overview.trend": TREND,
    **{f"overview.products_{level}": PRODUCTS.format(level=name) for level, name in LEVELS.items()},
    **{f"overview.standing_out_{level}": APART.format(products=PRODUCTS.format(level=name)) for level, name in LEVELS.items()},
    "overview.hours": f"""
        SELECT isodow({LOCAL}) AS weekday, date_part('hour', {LOCAL}) AS hour, count(*) AS events FROM events GROUP BY 1, 2""",
    "behaviour.funnel": FUNNEL.format(first="", second=""),
    "behaviour.funnel_narrowed": FUNNEL.format(
        first=" AND item_id IN (SELECT item_id FROM items WHERE price >= $narrowed_price)", second=" AND item_id = $narrowed_item"
    ),
    "behaviour.retention_weeks": RETENTION.format(grain="week", days=7),
    "behaviour.retention_days": RETENTION.format(grain="day", days=1),
    **{f"overview.changed_{name}": CHANGED.format(two=TWO_PERIODS, parts=parts) for name, parts in PARTS.items()},
    **{
        f"overview.{measure}_change_{name}": f"SELECT {column} FROM ({WHOLE_CHANGE.format(two=TWO_PERIODS)}) AS whole(conversion, revenue)"
        for name in PARTS
        for measure, column in (("conversion", "conversion"), ("revenue", "revenue"))
    },
    "data.rows_quarantined": "SELECT count(DISTINCT (source_file, source_row)) FROM quarantine",
    "data.rows_merged": "SELECT count(*) FROM merged",
    "data.rows_kept": "SELECT count(DISTINCT (source_file, source_row)) FROM events",
    "data.rows_read": """
        SELECT (SELECT count(DISTINCT (source_file, source_row)) FROM events) + (SELECT count(*) FROM merged)
               + (SELECT count(DISTINCT (source_file, source_row)) FROM quarantine)""",
    "data.rules": "SELECT rule, count(*) AS rows FROM quarantine GROUP BY rule",
    "data.with_item": "SELECT count(*) FROM events WHERE item_id IS NOT NULL",
    "data.in_catalogue": "SELECT count(*) FROM events WHERE item_id IN (SELECT item_id FROM items WHERE in_catalogue)",
    "data.with_title": "SELECT count(*) FROM events WHERE item_id IN (SELECT item_id FROM items WHERE title IS NOT NULL)",
    "map.segments": """
        SELECT segment_id, count(*) AS users, count(*) / (SELECT count(*) FROM segments) AS share FROM segments GROUP BY 1""",
    "propensity.users": "SELECT count(*) FROM propensity_test",
    "propensity.positives": "SELECT sum(label) FROM propensity_test",
    "propensity.base_rate": "SELECT avg(label) FROM propensity_test",
    "propensity.reliability": """
        WITH binned AS (SELECT ntile(10) OVER (ORDER BY propensity, user_id) AS bin, propensity, label FROM propensity_test)
        SELECT bin, count(*) AS n, avg(propensity) AS mean_propensity, avg(label) AS rate FROM binned GROUP BY bin""",
    "propensity.lift": """
        WITH ranked AS (
            SELECT label, row_number() OVER (ORDER BY propensity DESC, user_id) AS place, count(*) OVER () AS n, avg(label) OVER () AS base
            FROM propensity_test),
        depths AS (SELECT unnest([0.05, 0.1, 0.2, 0.5, 1.0]) AS depth)
        SELECT depth, count(*) AS users, sum(label) AS buyers, avg(label) / any_value(base) AS lift
        FROM depths JOIN ranked ON place <= greatest(1, round_even(n * depth, 0)) GROUP BY depth""",
    "propensity.expected": "SELECT sum(propensity) FROM propensity",
    "propensity.expected_at_20": """
        WITH ranked AS (
            SELECT propensity, row_number() OVER (ORDER BY propensity DESC, user_id) AS place, count(*) OVER () AS n FROM propensity)
        SELECT sum(propensity) FROM ranked WHERE place <= greatest(1, ceil(round(n * 0.2, 6)))""",
    "propensity.sd_at_20": """
        WITH ranked AS (
            SELECT propensity AS p, row_number() OVER (ORDER BY propensity DESC, user_id) AS place, count(*) OVER () AS n FROM propensity)
        SELECT sqrt(sum(p * (1 - p))) FROM ranked WHERE place <= greatest(1, ceil(round(n * 0.2, 6)))""",
    "propensity.by_category": "SELECT category, sum(propensity) AS expected FROM category_propensity GROUP BY category",
    "recommendations.lists": "SELECT count(DISTINCT user_id) FROM recommendations",
    "recommendations.rows": "SELECT count(*) FROM recommendations",
    "recommendations.gaps_in_ranks": """
        SELECT count(*) FROM (SELECT user_id FROM recommendations GROUP BY user_id
                              HAVING min(rank) <> 1 OR max(rank) <> count(*) OR count(DISTINCT rank) <> count(*))""",
    "recommendations.twice_in_a_list": """
        SELECT count(*) FROM (SELECT 1 FROM recommendations GROUP BY user_id, item_id HAVING count(*) > 1)""",
    "recommendations.bought_before": """
        SELECT count(*) FROM recommendations r
        WHERE EXISTS (SELECT 1 FROM events e WHERE e.event_type = 'purchase' AND e.user_id = r.user_id AND e.item_id = r.item_id)""",
    "features.events_all": """
        SELECT count(*) FROM features f LEFT JOIN (SELECT user_id, count(*) AS n FROM events GROUP BY 1) USING (user_id)
        WHERE f.events_all IS DISTINCT FROM n""",
    "features.purchases_all": """
        SELECT count(*) FROM features f LEFT JOIN (SELECT user_id, count(*) AS n FROM events WHERE event_type = 'purchase' GROUP BY 1)
        USING (user_id) WHERE coalesce(f.purchases_all, 0) <> coalesce(n, 0)""",
    "features.orders_all": f"""
        SELECT count(*) FROM features f LEFT JOIN (SELECT user_id, count(*) AS n FROM ({ORDERS}) GROUP BY 1) USING (user_id)
        WHERE coalesce(f.orders_all, 0) <> coalesce(n, 0)""",
    "features.days_since_event": """
        SELECT count(*) FROM features f JOIN (SELECT user_id, max(event_time) AS last FROM events GROUP BY 1) USING (user_id)
        WHERE abs(f.days_since_event - date_diff('microsecond', last, $until::TIMESTAMP) / 86400000000.0) > 1e-9""",
    "features.events_28d": """
        SELECT count(*) FROM features f LEFT JOIN (
            SELECT user_id, count(*) AS n FROM events
            WHERE event_time > $until::TIMESTAMP - INTERVAL 28 DAY GROUP BY 1) USING (user_id)
        WHERE coalesce(f.events_28d, 0) <> coalesce(n, 0)""",
}
"""Figure → the statement that finds it again; `$names` are bound from the settings."""

BY_MODEL = {
    "auc": """
        WITH ranked AS (
            SELECT label, rank() OVER (ORDER BY {model}) + (count(*) OVER (PARTITION BY {model}) - 1) / 2.0 AS place FROM propensity_test)
        SELECT (sum(place) FILTER (label = 1) - sum(label) * (sum(label) + 1) / 2.0) / (sum(label) * (count(*) - sum(label)))
        FROM ranked""",
    "log_loss": "SELECT -avg(label * ln({model}) + (1 - label) * ln(1 - {model})) FROM propensity_test",
    "brier": "SELECT avg(({model} - label) * ({model} - label)) FROM propensity_test",
    "calibration_error": """
        WITH binned AS (SELECT ntile(10) OVER (ORDER BY {model}, user_id) AS bin, {model} AS p, label FROM propensity_test)
        SELECT sum(n * abs(rate - p)) / sum(n) FROM (SELECT count(*) AS n, avg(label) AS rate, avg(p) AS p FROM binned GROUP BY bin)""",
    "expected": "SELECT sum({model}) FROM propensity_test",
}
"""Figure of one model → its statement; {model} is a column of the test table, quoted."""


def statement(figure: str) -> str | None:
    """Return the SQL of a figure, None when this program knows none; however the figure was counted, it is found in one way."""
    figure = figure.removeprefix("copy:").removeprefix("statement:")
    if figure in SQL:
        return SQL[figure]
    page, *rest = figure.split(".")
    if page == "propensity" and len(rest) == 2 and rest[0] in BY_MODEL:
        return BY_MODEL[rest[0]].format(model='"' + rest[1].replace('"', '""') + '"')
    return None


def equal(shown: Any, found: Any) -> bool:
    """Whether two values agree: numbers within the tolerance, whole ones exactly, texts to the letter, nothing with nothing."""
    if shown is None or found is None:
        return shown is None and found is None
    if isinstance(shown, str) or isinstance(found, str):
        return str(shown) == str(found)
    if isinstance(shown, int) and isinstance(found, int):
        return bool(shown == found)
    ours, theirs = float(shown), float(found)
    if math.isnan(ours) or math.isnan(theirs):
        return math.isnan(ours) and math.isnan(theirs)
    return abs(ours - theirs) <= TOLERANCE * max(1.0, abs(ours))


def value_of(raw: Any) -> Any:
    """Return a value of DuckDB as JSON has it."""
    if raw is None or isinstance(raw, int | float | str):
        return raw
    return float(raw) if hasattr(raw, "as_tuple") else str(raw)


def recount(connection: duckdb.DuckDBPyConnection, figure: dict[str, Any], settings: dict[str, Any]) -> dict[str, Any]:
    """Find one figure again: {"id", "page", "agrees", "shown", "found", "sql"}; a table tells its first row that differs."""
    sql = statement(figure["id"])
    told = {"id": figure["id"], "page": figure["page"], "sql": " ".join(sql.split()) if sql else None}
    if sql is None:
        return {**told, "agrees": False, "shown": figure["value"], "found": "no statement"}
    used = {name: value for name, value in settings.items() if "$" + name in sql}
    cursor = connection.execute(sql, used) if used else connection.execute(sql)
    columns, rows = [column[0] for column in cursor.description], [[value_of(cell) for cell in row] for row in cursor.fetchall()]
    shown = figure["value"]
    if not isinstance(shown, dict):
        found = rows[0][0] if rows else None
        return {**told, "agrees": equal(shown, found), "shown": shown, "found": found}
    names = [name for name in shown["columns"] if name in columns]
    ours = sorted(([row[shown["columns"].index(name)] for name in names] for row in shown["rows"]), key=repr_key)
    theirs = sorted(([row[columns.index(name)] for name in names] for row in rows), key=repr_key)
    odd = [(a, b) for a, b in zip(ours, theirs, strict=False) if not all(map(equal, a, b))]
    agrees = bool(names) and len(ours) == len(theirs) and not odd
    differing = {} if agrees else {"shown": odd[0][0] if odd else len(ours), "found": odd[0][1] if odd else len(theirs)}
    return {**told, "agrees": agrees, "columns": names, "rows": len(ours), **differing}


def repr_key(row: list[Any]) -> list[str]:
    """Order rows by their first cells, which name them."""
    return ["" if cell is None else str(cell) if isinstance(cell, str) else f"{float(cell):030.9f}" for cell in row]


def main(folder: str) -> None:
    """Recount all figures of an export and print what was found."""
    home = Path(folder)
    asked = json.loads((home / "figures.json").read_text(encoding="utf-8"))
    connection = duckdb.connect()
    for table in sorted(home.glob("*.parquet")):
        path = str(table).replace("'", "''")
        connection.execute(f"CREATE VIEW \"{table.stem}\" AS SELECT * FROM read_parquet('{path}')")
    results = [recount(connection, figure, asked["settings"]) for figure in asked["figures"]]
    foreign = sorted(name for name in sys.modules if name == "core" or name.startswith("core."))
    print(json.dumps({"figures": results, "modules_of_the_project": foreign, "duckdb": duckdb.__version__}, allow_nan=True))


if __name__ == "__main__":
    main(sys.argv[1])
