"""The synthetic clickstream: as published by its script, like a real shop on any seed, broken where it says so, no more."""

import json
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data.clickstream_mess import BROKEN_TIMES
from data.clickstream_people import PAGE_SHARES
from data.make_clickstream import DAYS, SEED, USERS, make_clickstream, write_tables
from data.measure_clickstream import measure_clickstream

FOLDER = Path(__file__).parents[1] / "data" / "sample" / "clickstream"
OTHER_SEED = 2

MEASURED = {
    "view_share": 0.978,
    "cart_share": 0.0095,
    "purchase_share": 0.0123,
    "user_events_50": 2,
    "user_events_90": 9,
    "user_events_99": 22,
    "session_events_50": 2,
    "session_events_90": 9,
    "sessions_with_purchase": 0.043,
    "viewed_to_carted": 0.0102,
    "carted_to_bought": 0.553,
    "bought_without_cart": 0.673,
    "cart_minutes_25": 2.1,
    "cart_minutes_50": 3.6,
    "cart_minutes_75": 11.4,
    "cart_minutes_90": 55,
    "top_1_percent": 0.18,
    "top_10_percent": 0.46,
    "item_gini": 0.51,
    "exact_repeats": 0.287,
}
"""The general shop: figures of its public three-hour sample; minutes from cart to purchase of a shop with whole days."""

MEASURED_RANGES = {"least_hour": (0.001, 0.005), "most_hour": (0.08, 0.10)}


@pytest.fixture(scope="module")
def other() -> dict[str, pa.Table]:
    """The three tables of another seed."""
    return make_clickstream(OTHER_SEED)


@pytest.fixture(scope="module")
def world(other: dict[str, pa.Table]) -> Iterator[duckdb.DuckDBPyConnection]:
    """The other seed with tables `raw`, `items`, `users` and `clean` (whole rows, each once)."""
    with duckdb.connect() as connection:
        for name, table in {"raw_arrow": other["events"], "items_arrow": other["items"], "users_arrow": other["users"]}.items():
            connection.register(name, table)
            connection.execute(f"CREATE TABLE {name.removesuffix('_arrow')} AS SELECT * FROM {name}")
        connection.execute(
            "CREATE TABLE clean AS SELECT DISTINCT * REPLACE (try_cast(event_time AS TIMESTAMP) AS event_time) FROM raw"
            " WHERE user_id IS NOT NULL AND try_cast(event_time AS TIMESTAMP) IS NOT NULL"
        )
        yield connection


def share(world: duckdb.DuckDBPyConnection, sql: str) -> float:
    row = world.execute(sql).fetchone()
    assert row is not None
    return float(row[0])


@pytest.fixture(scope="module")
def figures(world: duckdb.DuckDBPyConnection) -> dict[str, float]:
    return measure_clickstream(world)


def test_the_bundled_files_are_byte_for_byte_what_the_script_makes(tmp_path: Path) -> None:
    write_tables(make_clickstream(SEED, USERS), tmp_path)
    for name in ("events", "items", "users"):
        assert (tmp_path / f"{name}.parquet").read_bytes() == (FOLDER / f"{name}.parquet").read_bytes(), name


@pytest.mark.parametrize("name", MEASURED)
def test_another_seed_keeps_the_measured_figure_within_a_fifth(figures: dict[str, float], name: str) -> None:
    assert figures[name] == pytest.approx(MEASURED[name], rel=0.2)


@pytest.mark.parametrize("name", MEASURED_RANGES)
def test_another_seed_keeps_the_measured_range_within_a_fifth(figures: dict[str, float], name: str) -> None:
    low, high = MEASURED_RANGES[name]
    assert 0.8 * low <= figures[name] <= 1.2 * high


def test_clicks_by_page_fall_as_measured(world: duckdb.DuckDBPyConnection) -> None:
    rows = world.execute("SELECT position, count(*) FROM clean WHERE event_type = 'view' GROUP BY position ORDER BY position").fetchall()
    total = sum(n for _, n in rows)
    assert [page for page, _ in rows] == [1, 2, 3, 4, 5]
    for (_, n), expected in zip(rows, PAGE_SHARES, strict=True):
        assert n / total == pytest.approx(expected, rel=0.2)


def test_the_mess_is_as_large_as_in_real_logs(world: duckdb.DuckDBPyConnection) -> None:
    assert 0.0002 <= share(world, "SELECT 1 - (SELECT count(*) FROM (SELECT DISTINCT * FROM raw)) / count(*) FROM raw") <= 0.01
    assert 0.002 <= share(world, "SELECT avg((user_id IS NULL)::INT) FROM raw") <= 0.25
    assert 0.14 <= share(world, "SELECT avg((category IS NULL)::INT) FROM clean JOIN items USING (item_id)") <= 0.33
    assert (
        0.016
        <= share(world, "SELECT count(*) FILTER (event_type = 'refund') / count(*) FILTER (event_type = 'purchase') FROM clean")
        <= 0.024
    )
    robots = "SELECT count(*) FILTER (n > 800) / (SELECT count(*) FROM users) FROM (SELECT count(*) AS n FROM clean GROUP BY user_id)"
    assert 0.002 <= share(world, robots) <= 0.01
    assert share(world, "SELECT count(*) FROM clean WHERE dwell < 0") > 100
    broken = world.execute("SELECT DISTINCT event_time FROM raw WHERE try_cast(event_time AS TIMESTAMP) IS NULL ORDER BY 1").fetchall()
    assert [text for (text,) in broken] == sorted(BROKEN_TIMES)
    late = """
        SELECT count(*) FROM (SELECT t < lag(t) OVER (ORDER BY place) AS is_late
                              FROM (SELECT try_cast(event_time AS TIMESTAMP) AS t, rowid AS place FROM raw)) WHERE is_late
    """
    assert share(world, late) > 100


def test_enough_shoppers_come_over_enough_days(world: duckdb.DuckDBPyConnection) -> None:
    assert share(world, "SELECT count(DISTINCT user_id) FROM clean") >= 5000
    assert share(world, "SELECT count(DISTINCT event_time::DATE) FROM clean") == DAYS


def test_every_kind_of_event_that_pages_show_is_there(world: duckdb.DuckDBPyConnection) -> None:
    kinds = {kind for (kind,) in world.execute("SELECT DISTINCT event_type FROM clean").fetchall()}
    assert kinds == {"impression", "view", "search", "favourite", "share", "cart", "remove_from_cart", "purchase", "refund"}


def test_titles_are_distinct_and_in_two_languages(world: duckdb.DuckDBPyConnection) -> None:
    assert share(world, "SELECT count(*) - count(DISTINCT title) FROM items") == 0
    assert 0.2 <= share(world, "SELECT avg(regexp_matches(title, '[\\x{4e00}-\\x{9fff}]')::INT) FROM items") <= 0.6


def test_consumables_are_bought_again_and_other_things_are_not(world: duckdb.DuckDBPyConnection) -> None:
    again = """
        SELECT avg((days >= 2)::INT) FROM (
            SELECT user_id, item_id, count(DISTINCT event_time::DATE) AS days FROM clean WHERE event_type = 'purchase' GROUP BY ALL
        ) JOIN items USING (item_id)
        WHERE category IN ('Family > Pet food', 'Kitchen > Coffee and tea', 'Household > Laundry', 'Beauty > Skin care') = {}
          AND category NOT IN ('Kitchen > Snacks', 'Beauty > Hair care', 'Family > Nappies and baby care')
    """
    assert share(world, again.format("true")) > 0.2
    assert share(world, again.format("false")) < 0.05


def test_recent_intent_makes_a_purchase_likelier_without_deciding_it(world: duckdb.DuckDBPyConnection) -> None:
    rates = world.execute(
        """
        WITH users AS (
            SELECT user_id, bool_or(event_type IN ('cart', 'favourite') AND event_time < TIMESTAMP '2025-05-01') AS keen,
                   bool_or(event_type = 'purchase' AND event_time >= TIMESTAMP '2025-05-01') AS buys
            FROM clean WHERE event_time < TIMESTAMP '2025-05-15' GROUP BY user_id
            HAVING bool_or(event_time < TIMESTAMP '2025-05-01')
        )
        SELECT avg(buys::INT) FILTER (NOT keen), avg(buys::INT) FILTER (keen) FROM users
        """
    ).fetchone()
    assert rates is not None
    assert rates[1] > 2.5 * rates[0]
    assert 0.01 < rates[0] < rates[1] < 0.4


def test_no_column_tells_how_a_shopper_was_drawn(other: dict[str, pa.Table]) -> None:
    assert other["users"].column_names == ["user_id", "gender", "age", "region", "consent"]
    assert set(other["events"].column_names) == {
        "event_time", "user_id", "session_id", "event_type", "item_id", "dwell", "position", "price", "quantity", "order_id", "query",
    }  # fmt: skip


def test_the_sample_says_that_it_is_synthetic_and_stays_small() -> None:
    record = json.loads((FOLDER / "dataset.json").read_text(encoding="utf-8"))
    assert record["synthetic"] is True
    assert "synthetic" in record["title"]
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 4_000_000
    for section, name in record["files"].items():
        columns = set(pq.read_schema(FOLDER / name).names)
        assert set(record["mapping"][section]["columns"].values()) <= columns
