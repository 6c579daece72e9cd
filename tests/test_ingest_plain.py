"""A log whose first rows leave no doubt is cast while it is read, with the same outcome as by way of text."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from core.ingest import ingest, rollups, staging
from core.ingest.casting import TimeReading, make_time_macros
from core.ingest.ingest import IngestRequest, ingest_log
from core.ingest.staging import Source
from core.store import EVENTS_FILE, Home

COLUMNS = ("event_time", "event_type", "user_id", "item_id", "price")
ROWS = [
    [f"2024-03-{day:02d} 10:{place:02d}:00 UTC", "view", str(70 + place), str(place), f"{day}.5"] for day in (1, 2) for place in range(40)
]


def imported(home: Path, rows: list[list[str]], monkeypatch: pytest.MonkeyPatch, *, plainly: bool) -> tuple[frozenset[str], dict[str, Any]]:
    """Return the columns that were cast while they were read, and what was published: tables, warnings and counts."""
    home.mkdir()
    path = home / "log.csv"
    path.write_text("\n".join(",".join(row) for row in [list(COLUMNS), *rows]) + "\n")
    sources: list[Source] = []
    staged = ingest.stage_file
    with monkeypatch.context() as patch:
        patch.setattr(ingest, "stage_file", lambda *arguments: sources.append(staged(*arguments)) or sources[-1])
        if not plainly:
            patch.setattr(ingest, "plain_columns", lambda work, events: {})
        dataset = Home(home).dataset("shop", create=True)
        record = ingest_log(dataset, IngestRequest(events=(path,)))
    with duckdb.connect(str(dataset.version_path() / EVENTS_FILE), read_only=True) as connection:
        names = [row[0] for row in connection.execute("SELECT table_name FROM information_schema.tables ORDER BY 1").fetchall()]
        tables = {name: connection.execute(f"SELECT * FROM {name}").fetchall() for name in names}
    told = {key: record[key] for key in ("warnings", "rules", "time_reading", "event_words", "rows_kept", "columns_present")}
    return sources[0].plain, tables | told


@pytest.fixture(scope="module")
def macros() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        make_time_macros(connection, TimeReading("iso"), "UTC", None)
        staging._make_known(connection, edges=False, formulas=False)
        staging._make_plain(connection)
        yield connection


DOUBTFUL = {
    "plain_time": ("soon", "20240305 10:00:00", "03/05/2024 10:00", "infinity", "2024 03 05 10:00:00", "2024-02-30", "1709632800"),
    "plain_id": ("007", "+7", "7.0", "1e3", "0x1F", "1_0", "-0", "ann", "9223372036854775808", "０7"),
    "plain_number": ("€5", "5 EUR", "1,000", "12;5", "free", "0x1F", "5%", "(5)", "abc"),
}


@pytest.mark.parametrize(("macro", "text"), [(macro, text) for macro, texts in DOUBTFUL.items() for text in texts])
def test_a_text_that_could_be_read_otherwise_ends_the_pass(macros: duckdb.DuckDBPyConnection, macro: str, text: str) -> None:
    with pytest.raises(duckdb.InvalidInputException, match="not plain"):
        macros.execute(f"SELECT {macro}(t) FROM (SELECT ? AS t)", [text]).fetchall()


PLAIN = [(0, ""), (0, "2024-03-05 10:00:00"), (0, "2024-03-05 10:00"), (0, "2199-01-01"), (1, "add to cart"), (1, "")]
PLAIN += [(2, "NULL"), (2, "-9223372036854775808"), (3, "(not set)"), (3, "0"), (4, "1e3"), (4, "-2"), (4, "nan"), (4, "1_0")]


@pytest.mark.parametrize(("odd", "is_plain"), [(PLAIN, True), ([*PLAIN, (2, "007"), (4, "free")], False)])
def test_odd_values_behind_the_first_rows_have_the_same_outcome_as_by_way_of_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, odd: list[tuple[int, str]], is_plain: bool
) -> None:
    rows = [list(row) for row in ROWS]
    for place, (column, text) in enumerate(odd, start=60):
        rows[place][column] = text
    plain, found = imported(tmp_path / "plain", rows, monkeypatch, plainly=True)
    assert plain == (frozenset(COLUMNS) - {"event_type"} if is_plain else frozenset())
    assert found == imported(tmp_path / "text", rows, monkeypatch, plainly=False)[1]


def test_a_point_that_may_be_a_thousand_separator_is_decided_on_all_values(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [[*row[:4], "1.500"] for row in ROWS]
    plain, found = imported(tmp_path / "plain", rows, monkeypatch, plainly=True)
    assert plain == {"event_time", "user_id", "item_id"}
    assert any("1.500" in str(warning) for warning in found["warnings"])


def test_users_of_an_item_are_counted_once_in_any_number_of_parts() -> None:
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE stored AS SELECT hash(i) % 7 AS item_id, hash(i * 3) % 50 AS user_id FROM range(600) AS t(i)")
        connection.execute("ALTER TABLE stored ALTER item_id TYPE VARCHAR")
        connection.execute("ALTER TABLE stored ALTER user_id TYPE BIGINT")
        expected = connection.execute("SELECT item_id, count(DISTINCT user_id) FROM stored GROUP BY 1 ORDER BY 1").fetchall()
        for part_rows in (1000, 100):
            visitors = rollups._count_users(connection, lambda share: None, part_rows)
            assert visitors.schema.types == [pa.string(), pa.int64()]
            assert connection.execute("SELECT key, sum(users) FROM visitors GROUP BY key ORDER BY key").fetchall() == expected


def test_ids_too_far_apart_for_one_number_are_counted_too() -> None:
    keys, users = np.array([-(2**62), 2**62, 2**62, 2**62]), np.array([5, -(2**62), 2**62, 2**62])
    found, counts = rollups._distinct(keys, users)
    assert (found.tolist(), counts.tolist()) == ([-(2**62), 2**62], [1, 2])
