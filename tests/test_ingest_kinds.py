"""One small log in every kind of file that is read: the same events, whatever its name, packing and encoding."""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import zstandard

from core.errors import FileError
from core.ingest.looking import count_words
from core.ingest.reading import inspect_file
from core.store import Dataset
from tests.kinds import CSV, KINDS, LINES, NAMES, OBJECTS, TYPED, every_kind, put, workbook, zipped

Ingest = Callable[..., dict[str, Any]]


@pytest.fixture
def ingest(ingest: Ingest, dataset: Dataset) -> Ingest:
    """The usual function, after which nothing that was unpacked may stay."""

    def run(*paths: Path, **more: Any) -> dict[str, Any]:
        record = ingest(*paths, **more)
        assert [path.name for path in (dataset.path / "versions").iterdir()] == [record["version"]]
        return record

    return run


def query(dataset: Dataset, sql: str) -> list[tuple[Any, ...]]:
    with dataset.log().history() as connection:
        return connection.execute(sql).fetchall()


def kept(dataset: Dataset) -> list[tuple[Any, ...]]:
    return query(
        dataset, "SELECT user_id, item_id, event_type, event_time, CAST(price AS DOUBLE) FROM main.events ORDER BY event_time, item_id"
    )


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_log_is_the_same_events_in_every_kind_whatever_its_name(
    ingest: Ingest, dataset: Dataset, tmp_path: Path, kind: str
) -> None:
    path = every_kind(tmp_path)[kind]
    record = ingest(path)
    assert (record["rows_read"], record["rows_kept"]) == (12, 12)
    assert kept(dataset) == TYPED
    preview = inspect_file(path)
    assert count_words(preview, "event_type", 1000).keys() == {"view"}


def test_files_of_all_kinds_are_read_in_one_go(ingest: Ingest, dataset: Dataset, tmp_path: Path) -> None:
    found = every_kind(tmp_path)
    mixed = [found[kind] for kind in ("csv.zst", "json array", "xlsx", "zip of jsonl", "parquet")]
    record = ingest(*mixed)
    assert (record["rows_read"], record["rows_kept"], record["rows_merged"]) == (60, 12, 48)
    assert [source["kind"] for source in record["sources"]] == ["csv.zst", "json", "workbook", "jsonl", "parquet"]
    assert [source["name"] for source in record["sources"]][2:4] == ["x.csv/Log", "z3.csv/log.jsonl"]


def test_the_same_file_packed_in_an_archive_is_recognised(ingest: Ingest, tmp_path: Path) -> None:
    record = ingest(put(tmp_path / "log.csv", CSV), zipped(tmp_path / "log.zip", {"copy.csv": CSV}))
    assert (record["rows_read"], record["rows_kept"], record["rows_merged"]) == (24, 12, 12)
    assert any("holds the same bytes as log.csv" in warning for warning in record["warnings"])


def test_a_broken_line_of_json_lines_costs_that_line(ingest: Ingest, dataset: Dataset, tmp_path: Path) -> None:
    broken = ['{"user_id": "u1", "item', "[1, 2]", '{"user_id": "u1", "user_id": "u2"}', '{"a": {"b": 1}, "a.b": 2}']
    lines = LINES.splitlines()
    record = ingest(put(tmp_path / "log.jsonl", "\n".join([*lines[:3], *broken, "", *lines[3:]]) + "\n"))
    assert (record["rows_read"], record["rows_kept"], record["rows_quarantined"]) == (16, 12, 4)
    rows = query(dataset, "SELECT source_file, source_row, rule, text, reason FROM main.quarantine ORDER BY source_row")
    assert [row[:4] for row in rows] == [("log.jsonl", 4 + i, "broken_row", text) for i, text in enumerate(broken)]
    assert [reason.split(":")[0] for *_rest, reason in rows] == ["line 4", "line 5", "line 6", "line 7"]
    assert (record["sources"][0]["broken"], query(dataset, "SELECT max(source_row) FROM main.events")) == (4, [(16,)])


@pytest.mark.parametrize("kind", ["jsonl", "json array", "xlsx", "zip of csv", "csv.zst"])
def test_a_row_that_a_rule_sets_aside_keeps_its_original_text(ingest: Ingest, dataset: Dataset, tmp_path: Path, kind: str) -> None:
    objects = [dict(row) for row in OBJECTS]
    objects[5]["event_time"] = "soon"
    text = CSV.replace("2024-03-01 10:05:00", "soon")
    path = tmp_path / "log.bin"
    if kind == "xlsx":
        workbook(path, {"Log": [NAMES, *TYPED[:5], (*TYPED[5][:3], "soon", 1.5), *TYPED[6:]]})
    elif kind == "zip of csv":
        zipped(path, {"log.csv": text})
    else:
        lines = "\n".join(map(json.dumps, objects))
        put(path, {"jsonl": lines, "json array": json.dumps(objects), "csv.zst": zstandard.compress(text.encode())}[kind])
    record = ingest(path)
    assert (record["rows_kept"], record["rows_quarantined"]) == (11, 1)
    [(row, rule, original)] = query(dataset, "SELECT source_row, rule, text FROM main.quarantine")
    assert (row, rule) == (6, "bad_time")
    assert original == (json.dumps(objects[5]) if "json" in kind else "u1,005,view,soon,1.5")


def test_numbers_of_json_stay_as_they_are_spelled(ingest: Ingest, dataset: Dataset, tmp_path: Path) -> None:
    lines = [
        '{"user_id": 9007199254740993, "item_id": 12345678901234567890123, "event_time": 1709287200.5, "price": 1.10}',
        '{"user_id": "007", "item_id": 7, "event_time": 1709287201, "price": 1e1}',
    ]
    ingest(put(tmp_path / "log.jsonl", "\n".join(lines)))
    assert query(dataset, "SELECT user_id, item_id FROM main.events ORDER BY event_time") == [
        ("9007199254740993", "12345678901234567890123"),
        ("007", "7"),
    ]


def test_inner_objects_and_key_value_lists_become_columns_and_lists_stay_text(ingest: Ingest, dataset: Dataset, tmp_path: Path) -> None:
    objects = [
        {
            "user": {"id": row["user_id"], "geo": {"country": "DE"}},
            "event_timestamp": {"$date": row["event_time"]},
            "event_params": [
                {"key": "item_id", "value": {"string_value": row["item_id"], "int_value": None}},
                {"key": "engaged", "value": {"int_value": 1}},
            ],
            "tags": ["a", "b"],
            "empty": [],
        }
        for row in OBJECTS
    ]
    mapping = {"events": {"columns": {"user_id": "user.id", "item_id": "event_params.item_id"}}}
    record = ingest(put(tmp_path / "log.json", json.dumps(objects)), mapping=mapping)
    assert query(dataset, "SELECT count(*), count(DISTINCT item_id) FROM main.events") == [(12, 12)]
    told = " ".join(record["warnings"])
    assert "columns of their own: user.id, user.geo.country, event_params.item_id, event_params.engaged" in told
    assert "kept as one text: tags" in told


def test_a_column_that_turns_up_late_is_a_column(ingest: Ingest, dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.ingest.text_table.BATCH_ROWS", 5)
    objects = [dict(row) for row in OBJECTS]
    objects[7]["query"] = "sofa"
    objects[11]["title"] = "Chair"
    ingest(put(tmp_path / "log.json", json.dumps(objects)))
    assert query(dataset, "SELECT source_row, query FROM main.events WHERE query IS NOT NULL") == [(8, "sofa")]
    assert query(dataset, "SELECT item_id, title FROM main.items WHERE title IS NOT NULL") == [("011", "Chair")]


def test_a_large_json_object_is_read_piece_by_piece(ingest: Ingest, dataset: Dataset, tmp_path: Path) -> None:
    objects = [{**OBJECTS[i % 12], "event_time": f"2024-03-{1 + i % 28:02d} 10:00:{i % 60:02d}", "note": "x" * 300} for i in range(9000)]
    text = json.dumps({"meta": [1, {"a": 2}], "inner": {"codes": [1, 2, 3], "rows": objects}, "end": None})
    assert len(text) > 3 << 20
    assert ingest(put(tmp_path / "log.json", text))["rows_read"] == 9000
    for wrong in (text[: len(text) // 2], text[:-3]):
        with pytest.raises(FileError, match="cut off"):
            ingest(put(tmp_path / "cut.json", wrong))


def test_the_sheet_that_is_a_table_is_chosen_and_the_others_are_named(ingest: Ingest, dataset: Dataset, tmp_path: Path) -> None:
    sheets = {
        "Cover": [["Shop report"], ["March"]],
        "Log": [["Shop report, March"], [], NAMES, *TYPED[:6], [], *TYPED[6:]],
        "Codes": [["code", "meaning"], ["view", "seen"]],
    }
    record = ingest(workbook(tmp_path / "log.xlsx", sheets))
    assert kept(dataset) == TYPED
    told = " ".join(record["warnings"])
    assert "Of log.xlsx the sheet Log was read; not read: Cover, Codes." in told
    assert "Rows above the table of sheet Log that were skipped: 2." in told
    assert record["sources"][0]["blank_lines"] == 1


def test_sheets_with_the_same_columns_are_all_read(ingest: Ingest, dataset: Dataset, tmp_path: Path) -> None:
    record = ingest(workbook(tmp_path / "log.xlsx", {"March": [NAMES, *TYPED[:5]], "April": [NAMES, *TYPED[5:]]}))
    assert kept(dataset) == TYPED
    assert any("have the same columns; all were read" in warning for warning in record["warnings"])


def test_a_workbooks_numbers_days_and_stray_cells_are_taken_for_what_they_are(ingest: Ingest, dataset: Dataset, tmp_path: Path) -> None:
    midnight = datetime(2024, 3, 1)
    rows: list[Any] = [(17850 + i, i, "view", midnight + timedelta(hours=6 * i), 2) for i in range(220)]
    rows.append((17850, 3, "view", midnight, 2, None, "a note"))
    record = ingest(workbook(tmp_path / "log.xlsx", {"Log": [NAMES, *rows]}))
    assert query(dataset, "SELECT min(user_id), min(event_time) FROM main.events") == [("17850", midnight)]
    assert (record["rows_kept"], record["rows_quarantined"]) == (220, 1)


@pytest.mark.parametrize("encoding", ["gbk", "gb18030", "utf-16", "utf-16-be", "utf-8-sig", "latin-1", "cp1252"])
def test_preambles_comments_and_decimal_commas_in_any_encoding(ingest: Ingest, dataset: Dataset, tmp_path: Path, encoding: str) -> None:
    title = "红色连衣裙夏季新款" if encoding.startswith(("g", "u")) else "Chaise longue à repasser, été"
    rows = "".join(f"u{i};{i:03d};view;01.03.2024 10:{i:02d}:00;1.234,5{i % 10};{title}\n" for i in range(14, 34))
    text = f"# export of the shop: {title}\n# made by hand\nuser_id;item_id;event_type;event_time;price;title\n{rows}"
    record = ingest(put(tmp_path / "log.csv", text.encode(encoding)))
    assert record["rows_kept"] == 20
    assert query(dataset, "SELECT DISTINCT title FROM main.items") == [(title,)]
    assert query(dataset, "SELECT CAST(min(price) AS DOUBLE) FROM main.events") == [(1234.5,)]


@pytest.mark.parametrize(
    ("encoding", "titles"),
    [
        ("cp1252", ["Größe übermäßig", "Camiseta niño señora", "Café crème – 5 €", "São Paulo calção", "Köttbullar å"]),
        ("cp1250", ["Zażółć gęślą jaźń", "Koszula męska w paski", "Sukienka letnia żółta"]),
        ("cp1250", ["Příliš žluťoučký kůň", "Dětské šaty", "Pánská košile"]),
        ("cp1250", ["Árvíztűrő tükörfúrógép", "Női ruha zöld", "Férfi cipő"]),
        ("cp1251", ["Красное платье летнее", "Мужская рубашка", "Обувь"]),
        ("cp1253", ["Φόρεμα καλοκαιρινό", "Ανδρικό πουκάμισο"]),
        ("cp1254", ["Kırmızı elbise yazlık güneş", "Erkek gömleği", "Ayakkabı çanta"]),
        ("cp932", ["赤いドレス夏", "メンズシャツ", "子供の靴"]),
        ("cp949", ["빨간 드레스 여름", "남성 셔츠", "어린이 신발"]),
        ("big5", ["紅色連衣裙夏季新款", "男士襯衫長袖", "兒童運動鞋"]),
        ("gb18030", ["红色连衣裙夏季新款", "男士衬衫长袖", "儿童运动鞋"]),
    ],
)
def test_an_encoding_that_nobody_named_is_guessed_and_told(
    ingest: Ingest, dataset: Dataset, tmp_path: Path, encoding: str, titles: list[str]
) -> None:
    rows = [f"u{i},{i % len(titles)},view,2024-03-01 10:{i:02d}:00,{titles[i % len(titles)]}\n" for i in range(30)]
    record = ingest(put(tmp_path / "log.csv", ("user_id,item_id,event_type,event_time,title\n" + "".join(rows)).encode(encoding)))
    assert query(dataset, "SELECT title FROM main.items ORDER BY item_id") == [(title,) for title in titles]
    [told] = [warning for warning in record["warnings"] if "is not UTF-8" in warning]
    assert record["sources"][0]["encoding"] in told
    assert any(word in told for title in titles for word in title.split())


def test_a_catalogue_may_be_json_and_users_a_sheet(ingest: Ingest, dataset: Dataset, tmp_path: Path) -> None:
    items = put(tmp_path / "items.json", json.dumps([{"item_id": f"{i:03d}", "title": f"Tea {i}"} for i in range(12)]))
    users = workbook(tmp_path / "users.xlsx", {"People": [["user_id", "region"], *[[f"u{i}", "north"] for i in range(4)]]})
    ingest(put(tmp_path / "log.csv", CSV), items=items, users=users)
    assert query(dataset, "SELECT title FROM main.items ORDER BY item_id LIMIT 1") == [("Tea 0",)]
    assert query(dataset, "SELECT DISTINCT region FROM main.users") == [("north",)]
