"""Would ids as numbers of a dictionary make ingest cheaper? CPU seconds of its costly steps with text ids and with numbers.

    python -m benchmarks.bench_ids                     # 3 million rows
    python -m benchmarks.bench_ids --rows 10000000

One process; steps of both kinds take turns, the median of the rounds is printed. Decision record 0010 says what follows from it.
"""

import argparse
import resource
import statistics
import tempfile
from pathlib import Path

import duckdb

from benchmarks.bench_ingest import LOG_SQL, THREADS

ROWS_SQL = """
CREATE TABLE rows AS
SELECT row_number() OVER () AS source_row, user_id, item_id, event_type, CAST(replace(event_time, ' UTC', '') AS TIMESTAMP) AS event_time,
       CAST(price AS DECIMAL(18, 4)) AS price, CASE WHEN event_type = 'purchase' THEN CAST(price AS DECIMAL(18, 4)) END AS revenue
FROM read_csv(?, auto_detect = false, header = true, columns = {'event_time': 'VARCHAR', 'event_type': 'VARCHAR', 'item_id': 'VARCHAR',
              'price': 'VARCHAR', 'user_id': 'VARCHAR'})
"""
CODED_SQL = """
CREATE TABLE users AS
    SELECT user_id, CAST(row_number() OVER (ORDER BY user_id) AS INTEGER) AS u FROM (SELECT DISTINCT user_id FROM rows);
CREATE TABLE items AS
    SELECT item_id, CAST(row_number() OVER (ORDER BY item_id) AS INTEGER) AS i FROM (SELECT DISTINCT item_id FROM rows);
CREATE TABLE coded AS
    SELECT rows.* REPLACE (u AS user_id, i AS item_id) FROM rows JOIN users USING (user_id) JOIN items USING (item_id);
"""
STEPS = {
    "number sessions": """
        WITH gaps AS (
            SELECT rowid AS place, user_id,
                   COALESCE(event_time - lag(event_time) OVER (PARTITION BY user_id ORDER BY rowid) > to_minutes(30), true) AS starts
            FROM {table})
        SELECT number FROM (
            SELECT place, CAST(sum(CAST(starts AS INTEGER)) OVER (
                PARTITION BY user_id ORDER BY place ROWS UNBOUNDED PRECEDING) AS INTEGER) AS number FROM gaps)
        ORDER BY place""",
    "totals of users": """
        SELECT user_id, count(*), min(event_time), max(event_time), sum(revenue) FROM {table} GROUP BY user_id ORDER BY user_id""",
    "totals of items": "SELECT item_id, count(*), count(DISTINCT user_id), sum(revenue) FROM {table} GROUP BY item_id ORDER BY item_id",
    "totals of days": """
        SELECT CAST(event_time AS DATE), event_type, count(*), count(DISTINCT user_id), sum(revenue) FROM {table} GROUP BY ALL""",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=3_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "log.csv"
        connection = duckdb.connect()
        connection.execute("SET threads = 1")  # made by two threads, row groups are of uneven size, and writing them costs twice as much
        connection.execute(LOG_SQL.replace("{path}", str(path)), {"rows": arguments.rows})
        connection.execute(ROWS_SQL, [str(path)])
        print(f"{'make dictionaries and numbers':<32}{cost(connection, CODED_SQL):7.2f} s")
        connection.execute(f"SET threads = {THREADS}")
        print(f"{'':<32}{'text':>9}{'numbers':>9}")
        for name, step in STEPS.items():
            both = [f"CREATE OR REPLACE TABLE made AS {step.format(table=table)}" for table in ("rows", "coded")]
            compare(name, connection, both, arguments)
        write(connection, Path(scratch), arguments)


def write(connection: duckdb.DuckDBPyConnection, scratch: Path, arguments: argparse.Namespace) -> None:
    """Compare writing events to a file: text ids, numbers turned back into text, and numbers as they are."""
    connection.execute("ATTACH ? AS final", [str(scratch / "written.duckdb")])
    back = "SELECT coded.* REPLACE (users.user_id AS user_id, items.item_id AS item_id) FROM coded JOIN users ON u = coded.user_id"
    sources = {"FROM rows": "text", f"{back} JOIN items ON i = coded.item_id": "back to text", "FROM coded": "numbers"}
    figures = {name: [] for name in sources.values()}
    for _ in range(arguments.rounds):
        for source, name in sources.items():
            figures[name].append(cost(connection, f"CREATE OR REPLACE TABLE final.events AS {source}; CHECKPOINT final"))
    print("write events: " + ", ".join(f"{name} {statistics.median(found):.2f} s" for name, found in figures.items()))


def compare(name: str, connection: duckdb.DuckDBPyConnection, statements: list[str], arguments: argparse.Namespace) -> None:
    found = [[cost(connection, statement) for statement in statements] for _ in range(arguments.rounds)]
    print(f"{name:<32}" + "".join(f"{statistics.median(column):7.2f} s" for column in zip(*found, strict=True)))


def cost(connection: duckdb.DuckDBPyConnection, statement: str) -> float:
    """Run statements and return their CPU seconds."""
    before = resource.getrusage(resource.RUSAGE_SELF)
    connection.execute(statement)
    after = resource.getrusage(resource.RUSAGE_SELF)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main()
