"""Sound text files are read by DuckDB's reader: only they, and with the same outcome as by the careful one."""

import gzip
import random
from pathlib import Path

import duckdb
import pytest

from core.ingest import decoding, staging
from core.ingest.direct import Measure, measure
from core.ingest.ingest import IngestRequest, ingest_log
from core.ingest.reading import inspect_file
from core.store import EVENTS_FILE, Home

HEADER = "user_id,item_id,event_type,event_time,title,price"
ROWS = [
    "007,1,view,2024-03-01 10:00:00,Tea,1.50",
    '7,2,cart,2024-03-01 10:01:00,"Tea, green",2.00',
    '7,2,purchase,2024-03-01 10:02:00,"12"" plate",12.00',
    '8,3,view,2024-03-02 09:00:00,"two\nlines",3.00',
    "9,4,view,2024-03-02 09:05:00,,4.00",
]


def written(folder: Path, text: str, name: str = "log.csv", encoding: str = "utf-8") -> Path:
    path = folder / name
    path.write_bytes(text.encode(encoding))
    return path


def measured(path: Path) -> Measure:
    found = measure(inspect_file(path))
    assert found is not None
    return found


def tables(home: Path, path: Path) -> dict[str, list[tuple[object, ...]]]:
    dataset = Home(home).dataset("shop", create=True)
    ingest_log(dataset, IngestRequest(events=(path,)))
    with duckdb.connect(str(dataset.version_path() / EVENTS_FILE), read_only=True) as connection:
        names = [row[0] for row in connection.execute("SELECT table_name FROM information_schema.tables ORDER BY 1").fetchall()]
        return {name: connection.execute(f"SELECT * FROM {name} ORDER BY ALL").fetchall() for name in names}


def both_ways(folder: Path, path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[dict[str, list[tuple[object, ...]]], ...]:
    direct = tables(folder / "direct", path)
    monkeypatch.setattr(staging, "measure", lambda preview, tick: None)
    return direct, tables(folder / "careful", path)


@pytest.mark.parametrize(
    "text",
    [
        "\n".join([HEADER, *ROWS]) + "\n",
        "\n".join([HEADER, *ROWS]),
        "\r\n".join([HEADER, *(row.replace("\n", "\r\n") for row in ROWS)]) + "\r\n",
        "\r\n".join([HEADER, *ROWS[:3]]) + "\r\n",
        "\ufeff" + "\n".join([HEADER, *ROWS]) + "\n",
        "\n".join([HEADER, *ROWS]).replace(",", ";"),
        "\n".join([HEADER, *(row.replace('"', "").replace("\n", " ").replace(", ", " ") for row in ROWS)]).replace(",", "\t"),
        "\n".join([HEADER, " 7 , 1 ,view, 2024-03-01 10:00:00 , Tea ,1.5", "N/A,1,view,2024-03-01 10:00:00,null,1.5", ROWS[0]]),
    ],
    ids=["plain", "no last line end", "crlf within values", "crlf", "bom", "semicolons", "tabs", "blanks and nulls"],
)
def test_both_ways_give_the_same_tables(tmp_path: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, text)
    assert measured(path).sound == ("two\r\n" not in text)
    direct, careful = both_ways(tmp_path, path, monkeypatch)
    assert direct == careful and direct["events"]


def test_gzip_is_read_directly_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "log.csv.gz"
    path.write_bytes(gzip.compress("\n".join([HEADER, *ROWS]).encode()))
    direct, careful = both_ways(tmp_path, path, monkeypatch)
    assert direct == careful and len(direct["events"]) == 5


@pytest.mark.parametrize(
    "line", ["7,2,cart,2024-03-01 10:01:00,Tea,2.00,", "7,2,cart,2024-03-01 10:01:00,Tea", ",7,2,cart,2024-03-01 10:01:00,Tea,2"]
)
def test_a_line_with_another_number_of_fields_is_left_to_the_careful_reader(tmp_path: Path, line: str) -> None:
    path = written(tmp_path, "\n".join([HEADER, *ROWS[:2], line, *ROWS[2:]]) + "\n")
    found = measured(path)
    assert found.delimiters != found.lines * 5
    assert len(tables(tmp_path, path)["quarantine"]) == 1


@pytest.mark.parametrize(
    "line",
    [
        '7,2,cart,2024-03-01 10:01:00,12" plate,2.00',
        '7,2,cart,2024-03-01 10:01:00,"12" plate,2.00',
        "",
        "7,2,cart,2024-03-01 10:01:00,a\0b,2.00",
    ],
    ids=["stray quote", "quote closed early", "blank line", "NUL"],
)
def test_a_file_with_a_line_out_of_order_is_not_sound(tmp_path: Path, line: str) -> None:
    assert not measured(written(tmp_path, "\n".join([HEADER, *ROWS[:2], line, *ROWS[2:]]) + "\n")).sound


def test_a_quote_that_never_closes_is_not_sound(tmp_path: Path) -> None:
    assert not measured(written(tmp_path, "\n".join([HEADER, *ROWS, '7,2,cart,2024-03-01 10:01:00,"Tea,2.00']) + "\n")).sound


def test_one_field_too_many_and_one_too_few_do_not_cancel_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    long, short = "7,2,cart,2024-03-01 10:01:00,Tea,2.00,", "7,2,cart,2024-03-01 10:01:00,Tea"
    path = written(tmp_path, "\n".join([HEADER, *ROWS[:2], long, short]) + "\n")
    found = measured(path)
    assert found.sound and found.delimiters == found.lines * 5
    direct, careful = both_ways(tmp_path, path, monkeypatch)
    assert direct == careful and len(direct["quarantine"]) == 2


def test_the_measure_does_not_depend_on_where_blocks_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(3)
    for turn in range(40):
        rows = [
            ",".join(rng.choice(["7", "", '"a,b"', '"a""b"', '""""', '"x\ny"', " 8", '12"']) for _ in range(3))
            for _ in range(rng.randint(2, 9))
        ]
        path = written(
            tmp_path, "user_id,item_id,event_time\n" + rng.choice(["\n", "\r\n"]).join(rows) + rng.choice(["", "\n"]), f"{turn}.csv"
        )
        preview = inspect_file(path, delimiter=",")
        whole = measure(preview)
        for size in (1, 2, 3, 5, 11):
            with monkeypatch.context() as patched:
                patched.setattr(decoding, "BLOCK", size)
                parts = measure(preview)
            assert parts is not None and whole is not None and parts.sound == whole.sound
            if whole.sound:
                assert parts == whole
