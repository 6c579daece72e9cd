"""Files without a header: which column is what is told by the values alone."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from core.store import Dataset

Ingest = Callable[..., dict[str, Any]]


def rows(dataset: Dataset, columns: str) -> list[tuple[Any, ...]]:
    with dataset.log().history() as connection:
        return connection.execute(f"SELECT {columns} FROM main.events ORDER BY source_row").fetchall()


def visit(number: int) -> str:
    return f"72d76fde-8bb3-4e00-8c23-{number:012x}"


def test_whose_a_visit_is_is_its_user_wherever_the_column_stands(ingest: Ingest, dataset: Dataset) -> None:
    acts = [(10_000 + n % 37, 20_000 + n % 11, "" if n % 3 else "shoes", 500_000 + n % 8, visit(n % 8)) for n in range(60)]
    lines = [
        f"2024-03-01 10:{n:02d}:00,view,{item},{group},{word},{user},{session}"
        for n, (item, group, word, user, session) in enumerate(acts)
    ]  # fmt: skip
    record = ingest("\n".join(lines) + "\n")
    assert rows(dataset, "user_id, item_id, session_id") == [(str(user), str(item), session) for item, _, _, user, session in acts]
    assert any("user_id = column_6" in warning and "session_id = column_7" in warning for warning in record["warnings"])


def test_users_that_are_uuids_stay_users_beside_what_is_known_of_them(ingest: Ingest, dataset: Dataset) -> None:
    lines = [f"{visit(n % 8)},{10_000 + n % 37},2024-03-01 10:{n:02d}:00" for n in range(60)]
    ingest("\n".join(lines) + "\n")
    assert rows(dataset, "user_id, item_id") == [(visit(n % 8), str(10_000 + n % 37)) for n in range(60)]


def test_a_clock_beside_a_day_is_part_of_the_time(ingest: Ingest, dataset: Dataset) -> None:
    lines = [f"u{n % 7} i{n % 5} view 2024-03-{1 + n % 20:02d} {n % 24:02d}:{n:02d}:07" for n in range(60)]
    record = ingest("\n".join(lines) + "\n", kind="txt")
    assert rows(dataset, "event_time") == [(datetime(2024, 3, 1 + n % 20, n % 24, n, 7),) for n in range(60)]
    assert any("event_time = column_4+column_5" in warning for warning in record["warnings"])
    assert not any("not used" in warning for warning in record["warnings"])


def test_an_encoding_that_one_sign_before_a_number_tells_is_told(ingest: Ingest, dataset: Dataset) -> None:
    lines = [b"user_id,item_id,event_time", *(b"u%d,7,2024-03-01 10:00:00" % n for n in range(9))]
    lines[5] = b"\x80003,9,2024-03-01 12:00:00"
    record = ingest(b"\n".join(lines) + b"\n")
    assert ("€003",) in rows(dataset, "user_id")
    assert any("is not UTF-8" in warning and "€003" in warning for warning in record["warnings"])
