"""Cut the grocery sample out of Complete Journey (CC0, 84.51°): half a year of every line of 1,467 households.

    python -m data.make_grocery JOURNEY.parquet DEMOGRAPHICS.parquet [--out FOLDER]

JOURNEY holds one row a basket line with its product's texts; DEMOGRAPHICS the published table of households. Rows, values
and column names stay as published; only the order of rows is made definite, and the product texts move to their own file.
"""

import argparse
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

EVENTS_SQL = """
SELECT household_id, basket_id, transaction_timestamp, product_id, quantity, sales_value FROM read_parquet($journey)
ORDER BY transaction_timestamp, household_id, basket_id, product_id, quantity, sales_value
"""
ITEMS_SQL = """
SELECT DISTINCT product_id, product_type, product_category, department, brand, package_size FROM read_parquet($journey)
ORDER BY product_id, product_type, product_category, department, brand, package_size
"""
USERS_SQL = """
SELECT * FROM read_parquet($demographics)
WHERE household_id IN (SELECT household_id FROM read_parquet($journey)) ORDER BY household_id
"""


def make_grocery(journey: Path, demographics: Path) -> dict[str, pa.Table]:
    """Return the tables `events`, `items` and `users` of the sample, in a definite order."""
    connection = duckdb.connect()
    sources = {"journey": str(journey), "demographics": str(demographics)}
    questions = {"events": EVENTS_SQL, "items": ITEMS_SQL, "users": USERS_SQL}
    return {
        name: connection.sql(sql, params={key: value for key, value in sources.items() if f"${key}" in sql}).to_arrow_table()
        for name, sql in questions.items()
    }


def main() -> None:
    """Write the sample."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("journey", type=Path)
    parser.add_argument("demographics", type=Path)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "sample" / "grocery")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    for name, table in make_grocery(given.journey, given.demographics).items():
        target = given.out / f"{name}.parquet"
        pq.write_table(table, target, compression="zstd", compression_level=19, dictionary_pagesize_limit=4 << 20, store_schema=False)
        print(f"{name}: {table.num_rows:,} rows, {target.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
