"""Features as plain SQL says them: every column of the table, on random logs with ties, gaps and missing cells."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from core.features import FEATURES, acts, compute_features
from core.schema import EVENT_TYPES
from core.store import CELLS_OF_HISTORY_SQL, Connection, Log, fetch
from tests.worlds import at

Make = Callable[..., Log]
TABLES = ("user_days", "orders", "user_items", "item_levels")
BLOCKS = ("activity", "rhythm", "buying", "tastes")
CATEGORIES, BRANDS, PRICES = ("Shoes", "Bags", None), ("X", "Y", None), (None, "3", "8.25")
ITEMS = [{"item_id": str(n), "category": CATEGORIES[n % 3], "brand": BRANDS[n % 4 % 3], "price": PRICES[n % 5 % 3]} for n in range(1, 12)]


def in_sql(connection: Connection, cutoff: datetime) -> dict[str, pa.Array]:
    """The columns of the feature table as the statements beside this file give them."""
    found: dict[str, pa.Array] = {}
    for name in (*TABLES, *BLOCKS):
        sql = (Path(__file__).parent / "features_in_sql" / f"{name}.sql").read_text(encoding="utf-8")
        values = {"cutoff": cutoff} if "$cutoff" in sql else None
        if name in TABLES:
            connection.execute(sql, values)
        else:
            block = fetch(connection, sql, values)
            found |= {column: block[column].cast(pa.float64(), safe=False) for column in block.column_names if column != "user_id"}
    return found


def random_events(rng: np.random.Generator, n: int) -> list[dict[str, Any]]:
    """Acts of thirty shoppers on quarters of an hour, so that many share an instant; a heavy one, and one who acts once."""
    found = []
    for _row in range(n):
        kind = str(rng.choice(EVENT_TYPES, p=[0.05, 0.4, 0.1, 0.05, 0.05, 0.02, 0.1, 0.05, 0.14, 0.02, 0.02]))
        user = "heavy" if rng.random() < 0.2 else f"u{rng.integers(0, 30)}"
        event = {"user_id": user, "event_type": kind, "event_time": at(float(rng.integers(0, 100 * 96)) / 96)}
        event["item_id"] = None if kind == "search" or rng.random() < 0.05 else str(rng.integers(1, 14))
        for name, chance, draw in (
            ("price", 0.6, lambda: str(round(float(rng.random()) * 90, 4))),
            ("dwell_seconds", 0.5, lambda: str(round(float(rng.random()) * 300, 3))),
            ("position", 0.5, lambda: str(rng.choice(["3", "2.5", "top", "-1", "12"]))),
            ("session_id", 0.7, lambda: f"s{rng.integers(0, 40)}"),
        ):
            if rng.random() < chance:
                event[name] = draw()
        if kind == "purchase":
            event["revenue"] = None if rng.random() < 0.2 else str(round(float(rng.random()) * 90 - 5, 4))
            event["quantity"] = None if rng.random() < 0.2 else str(rng.integers(1, 5))
            event["order_id"] = None if rng.random() < 0.4 else str(rng.integers(1, 30))
        found.append(event)
    return [*found, {"user_id": "once", "item_id": "1", "event_type": "view", "event_time": at(25)}]


def check(connection: Connection, cutoff: datetime) -> None:
    counted, told = compute_features(connection, cutoff), in_sql(connection, cutoff)
    whole = {feature.name for feature in FEATURES if feature.is_count}
    assert set(told) == {feature.name for feature in FEATURES}
    for name, expected in told.items():
        wanted = expected.fill_null(0.0) if name in whole else expected
        assert counted[name].is_valid().to_pylist() == wanted.is_valid().to_pylist(), name
        found = np.array(counted[name].cast(pa.float64()).fill_null(0.0))
        assert found == pytest.approx(np.array(wanted.fill_null(0.0)), rel=1e-9, abs=1e-9), name


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("days", [100, 60, 13.37])
def test_every_feature_is_what_its_statement_says(make_log: Make, monkeypatch: pytest.MonkeyPatch, seed: int, days: float) -> None:
    monkeypatch.setattr(acts, "PART_ROWS", 400)  # several parts and blocks of a small log
    monkeypatch.setattr(acts, "BLOCK_ROWS", 90)
    log = make_log(random_events(np.random.default_rng(seed), 1500), items=ITEMS)
    cutoff = min(at(days), log.until)
    with log.history(cutoff) as connection:
        check(connection, cutoff)


def test_amounts_beyond_64_bits_are_summed_exactly(make_log: Make) -> None:
    dear = {"price": "99999999999999.9999", "revenue": "99999999999999.9999", "quantity": "99999999999999"}
    rows = [{"user_id": "a", "item_id": "1", "event_type": "purchase", "event_time": at(day / 10), **dear} for day in range(40)]
    log = make_log(rows)
    with log.history(log.until) as connection:
        check(connection, log.until)


def test_acts_in_no_order_of_time_count_the_same(make_log: Make) -> None:
    log = make_log(random_events(np.random.default_rng(5), 600), items=ITEMS)
    with log.history(log.until) as connection:
        sorted_first = compute_features(connection, log.until)
        connection.execute("CREATE TEMP TABLE mixed AS SELECT * FROM history ORDER BY hash(source_row)")
        connection.execute("CREATE OR REPLACE TEMP VIEW history AS SELECT * FROM mixed")
        connection.execute(CELLS_OF_HISTORY_SQL)
        assert compute_features(connection, log.until).equals(sorted_first)


def test_ids_that_are_stored_as_numbers_come_in_the_order_of_their_text(ingest: Callable[..., dict[str, Any]], dataset: Any) -> None:
    ingest("user_id,item_id,event_type,event_time\n9,5,view,2024-03-01\n10,5,cart,2024-03-02\n10,7,view,2024-03-09\n")
    log = dataset.log()
    with log.history() as connection:
        assert {str(kind) for kind in connection.execute("SELECT DISTINCT typeof(user_id) FROM history_cells").fetchall()[0]} == {"BIGINT"}
        assert compute_features(connection, log.until)["user_id"].to_pylist() == ["10", "9"]
        check(connection, log.until)
