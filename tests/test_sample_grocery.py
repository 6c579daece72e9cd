"""The grocery sample: real rows whose totals are known, whole and small."""

import json
from pathlib import Path

import duckdb
import pyarrow.parquet as pq

from data.make_grocery import make_grocery

FOLDER = Path(__file__).parents[1] / "data" / "sample" / "grocery"


def test_the_published_totals_stand() -> None:
    row = (
        duckdb.connect()
        .execute(
            "SELECT count(*), count(DISTINCT household_id), count(DISTINCT product_id), count(DISTINCT basket_id) FROM read_parquet(?)",
            [str(FOLDER / "events.parquet")],
        )
        .fetchone()
    )
    assert row == (462_610, 1_467, 40_653, 48_540)


def test_every_bought_product_has_exactly_one_row_of_texts() -> None:
    row = (
        duckdb.connect()
        .execute(
            "SELECT count(*), count(DISTINCT product_id),"
            " (SELECT count(*) FROM (SELECT DISTINCT product_id FROM read_parquet($events))"
            " ANTI JOIN read_parquet($items) USING (product_id))"
            " FROM read_parquet($items)",
            {"events": str(FOLDER / "events.parquet"), "items": str(FOLDER / "items.parquet")},
        )
        .fetchone()
    )
    assert row == (40_653, 40_653, 0)


def test_demographics_belong_to_households_that_buy() -> None:
    users = (
        duckdb.connect()
        .execute(
            "SELECT count(*), count(DISTINCT household_id) FROM read_parquet($users)"
            " WHERE household_id IN (SELECT household_id FROM read_parquet($events))",
            {"events": str(FOLDER / "events.parquet"), "users": str(FOLDER / "users.parquet")},
        )
        .fetchone()
    )
    assert users == (512, 512)


def test_the_cut_keeps_rows_and_values_and_only_orders_them(tmp_path: Path) -> None:
    journey, demographics = tmp_path / "journey.parquet", tmp_path / "demographics.parquet"
    line = (
        "TIMESTAMP '2017-07-0{day} 10:00:00' AS transaction_timestamp, {user} AS household_id, {user}0 AS basket_id, {item} AS product_id"
    )
    texts = "2 AS quantity, 3.5 AS sales_value, 'GROCERY' AS department, 'MILK' AS product_category, 'WHOLE' AS product_type"
    more = "'Private' AS brand, '1 L' AS package_size"
    rows = [line.format(day=day, user=user, item=item) for day, user, item in ((2, 7, 1), (1, 8, 1), (1, 7, 2))]
    with duckdb.connect() as connection:
        union = " UNION ALL ".join(f"SELECT {row}, {texts}, {more}" for row in rows)
        connection.sql(union).write_parquet(str(journey))
        connection.sql("SELECT 7 AS household_id, '65+' AS age UNION ALL SELECT 9, '25-34'").write_parquet(str(demographics))
    made = make_grocery(journey, demographics)
    assert made["events"].select(["household_id", "product_id"]).to_pylist() == [
        {"household_id": 7, "product_id": 2},
        {"household_id": 8, "product_id": 1},
        {"household_id": 7, "product_id": 1},
    ]
    assert made["items"]["product_id"].to_pylist() == [1, 2]
    assert made["users"].to_pylist() == [{"household_id": 7, "age": "65+"}]


def test_the_sample_says_its_licence_and_stays_small() -> None:
    record = json.loads((FOLDER / "dataset.json").read_text(encoding="utf-8"))
    assert record["synthetic"] is False
    assert record["licence"] == "CC0-1.0"
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 6_000_000
    for section, name in record["files"].items():
        assert set(record["mapping"][section]["columns"].values()) <= set(pq.read_schema(FOLDER / name).names)
