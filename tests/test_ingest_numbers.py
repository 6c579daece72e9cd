"""Ids and sessions that are stored as numbers look the same as text to everyone who reads them."""

from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import numpy as np
import pytest

from core.ingest.ids import are_numbers
from core.ingest.ingest import IngestRequest, ingest_log
from core.ingest.sessions import number_sessions
from core.schema import EVENTS
from core.store import EVENT_TYPES_SQL, EVENTS_FILE, Dataset, Home

HEADER = "user_id,item_id,event_type,event_time\n"
START = datetime(2024, 3, 1, 10)


def imported(home: Path, text: str, *, append: bool = False) -> Dataset:
    path = home / f"log{append:d}.csv"
    path.write_text(HEADER + text)
    dataset = Home(home).dataset("shop", create=True)
    ingest_log(dataset, IngestRequest(events=(path,), append=append))
    return dataset


def asked(dataset: Dataset, sql: str) -> list[tuple[object, ...]]:
    with duckdb.connect(str(dataset.version_path() / EVENTS_FILE), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def rows(*acts: tuple[str, str, int]) -> str:
    return "".join(f"{user},{item},view,{START + timedelta(minutes=minute):%Y-%m-%d %H:%M:%S}\n" for user, item, minute in acts)


def test_whole_numbers_are_stored_as_such_and_read_as_the_text_of_the_file(tmp_path: Path) -> None:
    dataset = imported(tmp_path, rows(("12", "-5", 0), ("9223372036854775807", "0", 1), ("12", "7", 40)))
    assert asked(dataset, "SELECT user_id, item_id, session_id FROM events ORDER BY event_time") == [
        ("12", "-5", "12-1"),
        ("9223372036854775807", "0", "9223372036854775807-1"),
        ("12", "7", "12-2"),
    ]
    kinds = {name: kind for name, kind, *_ in asked(dataset, "DESCRIBE event_cells")}
    assert (kinds["user_id"], kinds["item_id"], kinds["session"]) == ("BIGINT", "BIGINT", "INTEGER")
    assert "query" not in kinds  # no row has one


@pytest.mark.parametrize("odd", ["007", "+7", "7.5", "-0", "9223372036854775808", "7a", "０7"])
def test_one_id_that_a_number_would_spell_otherwise_keeps_all_as_text(tmp_path: Path, odd: str) -> None:
    dataset = imported(tmp_path, rows(("7", "1", 0), (odd, "2", 1)))
    assert asked(dataset, "SELECT user_id FROM events ORDER BY event_time") == [("7",), (odd,)]
    assert {name: kind for name, kind, *_ in asked(dataset, "DESCRIBE event_cells")}["user_id"] == "VARCHAR"


def test_an_odd_id_behind_the_first_thousand_is_seen() -> None:
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE ids AS SELECT CAST(i AS VARCHAR) AS user_id FROM range(5000) AS t(i)")
        assert are_numbers(connection, "ids", "user_id")
        connection.execute("INSERT INTO ids VALUES ('007')")
        assert not are_numbers(connection, "ids", "user_id")


def test_events_always_have_the_same_columns_and_types(tmp_path: Path) -> None:
    found = {}
    for name, user in (("numbers", "1"), ("words", "ann")):
        (tmp_path / name).mkdir()
        found[name] = [row[:2] for row in asked(imported(tmp_path / name, rows((user, "1", 0))), "DESCRIBE events")]
    assert found["numbers"] == found["words"]
    assert [name for name, _ in found["words"]] == list(EVENTS) == list(EVENT_TYPES_SQL)


@pytest.mark.parametrize(("first", "later"), [("1", "2"), ("1", "ann"), ("ann", "2")])
def test_a_log_goes_on_with_other_kinds_of_ids(tmp_path: Path, first: str, later: str) -> None:
    imported(tmp_path, rows((first, "5", 0)))
    dataset = imported(tmp_path, rows((first, "5", 0), (later, "x", 5)), append=True)
    assert asked(dataset, "SELECT user_id, item_id, session_id FROM events ORDER BY event_time") == [
        (first, "5", f"{first}-1"),
        (later, "x", f"{later}-1"),
    ]
    assert asked(dataset, "SELECT user_id, sessions FROM user_totals ORDER BY user_id") == sorted([(first, 1), (later, 1)])


@pytest.mark.parametrize("users", ["range % 7", "'u' || range % 7", "CASE WHEN range % 7 = 1 THEN -9223372036854775808 ELSE range END"])
@pytest.mark.parametrize("part_rows", [10, 10_000])
def test_sessions_are_numbered_as_windows_number_them(users: str, part_rows: int) -> None:
    with duckdb.connect() as connection:
        connection.execute(
            f"CREATE TABLE ordered_cells AS SELECT {users} AS user_id, TIMESTAMP '2024-01-01' + to_minutes(range * range % 977 + range * 5)"
            " AS event_time FROM range(300) ORDER BY event_time"
        )
        windows = connection.execute(
            """
            WITH gaps AS (
                SELECT rowid AS place, user_id,
                       COALESCE(event_time - lag(event_time) OVER (PARTITION BY user_id ORDER BY rowid) > to_minutes(30), true) AS starts
                FROM ordered_cells)
            SELECT CAST(sum(CAST(starts AS INTEGER)) OVER (PARTITION BY user_id ORDER BY place) AS INTEGER) FROM gaps ORDER BY place
            """
        ).fetchall()
        numbers = number_sessions(connection, 30, lambda share: None, part_rows)
    assert len(set(windows)) > 1 or "ELSE range" in users
    np.testing.assert_array_equal(numbers, [row[0] for row in windows])


def test_a_silence_as_long_as_the_gap_stays_in_the_session(tmp_path: Path) -> None:
    dataset = imported(tmp_path, rows(("1", "a", 0), ("1", "b", 30), ("1", "c", 61)))
    assert asked(dataset, "SELECT session_id, events FROM sessions ORDER BY started") == [("1-1", 2), ("1-2", 1)]
