"""Spellings of times, prices, ids and headers that other tools write; lists inside objects; folders; where a row stood."""

import json
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from core.errors import EmptyLogError, FileError
from core.ingest.ingest import IngestRequest, ingest_log
from core.ingest.paths import files_of, strays_of
from core.pipeline import intake
from core.store import Dataset, Home

Ingest = Callable[..., dict[str, Any]]
MOMENTS = ("2024-01-03 10:22:11", "2024-01-13 18:05:09", "2024-02-01 00:00:00")


def rows(dataset: Dataset, columns: str, table: str = "events") -> list[tuple[Any, ...]]:
    with dataset.log().history() as connection:
        return connection.execute(f"SELECT {columns} FROM main.{table} ORDER BY source_file, source_row").fetchall()


@pytest.mark.parametrize(
    "spelled",
    [
        ("2024.01.03 10:22:11", "2024.01.13 18:05:09", "2024.02.01 00:00:00"),
        ("20240103T102211Z", "20240113T180509Z", "20240201T000000Z"),
        ('"Wed, 03 Jan 2024 10:22:11 +0000"', '"Sat, 13 Jan 2024 20:05:09 +0200"', '"Thu, 01 Feb 2024 00:00:00 GMT"'),
        ("03/Jan/2024:10:22:11 +0000", "13/Jan/2024:18:05:09 +0000", "01/Feb/2024:00:00:00 +0000"),
        ("Wed Jan 03 10:22:11 2024", "Sat Jan 13 18:05:09 2024", "Thu Feb 01 00:00:00 UTC 2024"),
        ("03-Jan-24 10.22.11", "13-Jan-24 18.05.09", "01-Feb-24 00.00.00"),
        ("03-Jan-2024 10:22:11", "13-Jan-2024 18:05:09", "01-Feb-2024 00:00:00"),
        ("03/01/2024 10:22:11 a.m.", "13/01/2024 06:05:09 p.m.", "01/02/2024 12:00:00 a.m."),
        ("2024-01-03T18:22:11+08:00[Asia/Shanghai]", "2024-01-14T02:05:09+08:00[Asia/Shanghai]", "2024-02-01T00:00:00Z"),
        ("45294.432071759256", "45304.7535763889", "45323"),
    ],
)
def test_times_of_other_tools_are_read_to_the_second(ingest: Ingest, dataset: Dataset, spelled: tuple[str, ...]) -> None:
    ingest("user_id,item_id,event,time\n" + "".join(f"u{i},a,view,{time}\n" for i, time in enumerate(spelled)))
    assert [str(time) for (time,) in rows(dataset, "event_time")] == list(MOMENTS)


def test_a_zone_behind_a_date_with_a_month_by_name_is_no_part_of_the_year(ingest: Ingest, dataset: Dataset) -> None:
    ingest("user_id,item_id,event,time\nu1,a,view,03-Jan-2024\nu2,a,view,13-Jan-2024\n")
    assert [str(time) for (time,) in rows(dataset, "event_time")] == ["2024-01-03 00:00:00", "2024-01-13 00:00:00"]


@pytest.mark.parametrize(
    ("spelled", "price"),
    [("USD 1825.34", "1825.3400"), ("1825.34 EUR", "1825.3400"), ("Rs. 400.50", "400.5000"), ("400.50元", "400.5000"), ("$1.50", "1.5000")],
)
def test_prices_with_the_name_of_a_currency_are_prices(ingest: Ingest, dataset: Dataset, spelled: str, price: str) -> None:
    ingest("user_id,item_id,event,time,price\n" + "".join(f"u{i},a,view,2024-01-0{i} 10:00:00,{spelled}\n" for i in (1, 2, 3)))
    assert {str(value) for (value,) in rows(dataset, "price")} == {price}


@pytest.mark.parametrize("blank", ["\u202f", "\u00a0", " ", "’"])
def test_numbers_grouped_by_any_blank_are_numbers(ingest: Ingest, dataset: Dataset, blank: str) -> None:
    lines = "".join(f"u{i};a;view;0{i}/01/2024 10:22:11;1{blank}825,34 €\n" for i in (1, 2)) + "u3;a;view;13/01/2024 10:22:11;2,00 €\n"
    ingest("Client;Référence;Événement;Date;Prix\n" + lines)
    assert [str(value) for (value,) in rows(dataset, "price")] == ["1825.3400", "1825.3400", "2.0000"]


@pytest.mark.parametrize("decimal", ["point", "comma"])
def test_plain_numbers_mean_the_same_beside_grouped_ones(ingest: Ingest, dataset: Dataset, decimal: str) -> None:
    prices = ["12", "1,234.50", "0.5"] if decimal == "point" else ["12", "1.234,50", "0,5"]
    ingest("user_id;item_id;event;time;price\n" + "".join(f"u{i};a;view;2024-01-0{i + 1};{p}\n" for i, p in enumerate(prices)))
    assert [str(value) for (value,) in rows(dataset, "price")] == ["12.0000", "1234.5000", "0.5000"]


@pytest.mark.parametrize(
    ("header", "encoding"),
    [
        ("用户ID,商品ID,行为类型,时间戳", "gb18030"),
        ("用戶編號,商品編號,行為類型,時間", "big5"),
        ("Kunde,Artikelnummer,Aktion,Datum,Größe", "cp1252"),
        ("Client,Référence,Événement,Date", "cp1252"),
    ],
)
def test_a_header_alone_tells_the_encoding(ingest: Ingest, dataset: Dataset, header: str, encoding: str) -> None:
    more = ",3" if header.count(",") == 4 else ""
    ingest(f"{header}\n001,7,view,2024-01-03 10:00:00{more}\n002,8,cart,2024-01-13 10:00:00{more}\n".encode(encoding))
    assert rows(dataset, "user_id, item_id, CAST(event_type AS VARCHAR)") == [("001", "7", "view"), ("002", "8", "cart")]


def test_each_element_of_a_list_inside_an_object_is_an_act(ingest: Ingest, dataset: Dataset) -> None:
    sessions = [
        {"session": 7, "events": [{"aid": 1, "ts": 1683014470003, "type": "clicks"}, {"aid": 2, "ts": 1683014536003, "type": "orders"}]},
        {"session": 8, "events": [{"aid": 3, "ts": 1683014618003, "type": "carts"}]},
    ]
    record = ingest("".join(json.dumps(s) + "\n" for s in sessions), kind="jsonl")
    assert rows(dataset, "user_id, item_id, CAST(event_type AS VARCHAR)") == [
        ("7", "1", "click"),
        ("7", "2", "purchase"),
        ("8", "3", "cart"),
    ]
    assert record["rows_read"] == 3
    assert any("objects 2, rows 3" in warning for warning in record["warnings"])


def test_products_of_an_order_stand_under_the_names_of_other_acts(ingest: Ingest, dataset: Dataset) -> None:
    acts = [
        {"userId": "u1", "timestamp": "2024-01-03T10:00:00Z", "event": "Product Viewed", "properties": {"product_id": "a", "price": 5}},
        {
            "userId": "u1",
            "timestamp": "2024-01-03T11:00:00Z",
            "event": "Order Completed",
            "properties": {
                "order_id": "o1",
                "total": 25,
                "products": [{"product_id": "a", "price": 5, "quantity": 1}, {"product_id": "b", "price": 10, "quantity": 2}],
            },
        },
    ]
    ingest("".join(json.dumps(act) + "\n" for act in acts), kind="jsonl")
    found = rows(dataset, "item_id, CAST(event_type AS VARCHAR), CAST(revenue AS DOUBLE), order_id")
    assert found == [("a", "view", None, None), ("a", "purchase", 5.0, "o1"), ("b", "purchase", 20.0, "o1")]


def test_structures_of_parquet_become_columns_with_ids_whole(ingest: Ingest, dataset: Dataset, tmp_path: Path) -> None:
    table = pa.table(
        {
            "user": pa.array([{"id": 9007199254740993}, None, {"id": 5}], pa.struct([("id", pa.int64())])),
            "product": pa.array([{"id": 2**62 + 1, "price": 2.5}] * 3, pa.struct([("id", pa.int64()), ("price", pa.float64())])),
            "event": ["view"] * 3,
            "time": ["2024-01-03", "2024-01-04", "2024-01-05"],
        }
    )
    pq.write_table(table, tmp_path / "log.parquet")
    ingest(tmp_path / "log.parquet", mapping={"events": {"columns": {"user_id": "user.id"}}})
    assert rows(dataset, "user_id, item_id, CAST(price AS DOUBLE)") == [
        ("9007199254740993", "4611686018427387905", 2.5),
        ("5", "4611686018427387905", 2.5),
    ]
    assert [rule for (rule,) in rows(dataset, "rule", "quarantine")] == ["null_user"]


def test_two_colons_divide_columns(ingest: Ingest, dataset: Dataset) -> None:
    ingest(
        "1::1193::5::978300760\n1::661::3::978302109\n2::914::3::\n",
        kind="dat",
        mapping={"events": {"header": ["user_id", "movie_id", "rating", "timestamp"]}},
    )
    assert rows(dataset, "user_id, item_id") == [("1", "1193"), ("1", "661")]
    assert rows(dataset, "source_line, text", "quarantine") == [(3, "2::914::3::")]


def test_ids_that_a_formula_protects_lose_it_and_rounded_ids_are_told(ingest: Ingest, dataset: Dataset) -> None:
    record = ingest('user_id,item_id,event,time\n"=""001""",8.61380E+12,view,2024-01-03\n"=""7""",8.61380E+12,cart,2024-01-04\n')
    assert rows(dataset, "user_id") == [("001",), ("7",)]
    assert any("Values of item_id look like 8.61E+12, 2 of them" in warning for warning in record["warnings"])


def test_both_orders_of_day_and_month_in_one_log_are_told(ingest: Ingest) -> None:
    days = ["13/01/2024", "14/01/2024", "15/01/2024", "01/16/2024", "01/02/2024"]
    record = ingest("user_id,item_id,event,time\n" + "".join(f"u{i},a,view,{day}\n" for i, day in enumerate(days)))
    assert any("both forms stand in the log" in warning for warning in record["warnings"])


def test_a_log_whose_users_are_all_empty_points_to_its_sessions(ingest: Ingest, dataset: Dataset) -> None:
    log = "user_id,session_id,item_id,event,time\nNA,s1,a,view,2024-01-03 10:00:00\nNA,s2,b,view,2024-01-04 10:00:00\n"
    with pytest.raises(EmptyLogError, match="rule “No shopper id” off"):
        ingest(log)
    ingest(log, mapping={"events": {"columns": {}}, "rules": {"null_user": False}})
    assert rows(dataset, "user_id") == [("session:s1",), ("session:s2",)]


def test_lines_and_merged_rows_are_named(ingest: Ingest, dataset: Dataset) -> None:
    log = (
        'user_id,item_id,event,time,title\nu1,a,view,2024-01-03 10:00:00,"two\nlines"\nu1,a,view,soon,x\nu2,b,cart,2024-01-04 10:00:01,y\n'
    )
    ingest(log + "u2,b,cart,2024-01-04 10:00:01,y\nu3,c\n")
    assert rows(dataset, "source_row, source_line, rule", "quarantine") == [(2, 4, "bad_time"), (5, 7, "broken_row")]
    assert rows(dataset, "source_row, rule, reason", "merged") == [(4, "duplicates", "equal to row 3")]


def test_an_overlapping_file_and_the_same_file_again_name_every_merged_row(ingest: Ingest, dataset: Dataset, tmp_path: Path) -> None:
    log = "user_id,item_id,event,time\nu1,a,view,2024-01-03 10:00:00\nu2,b,cart,2024-01-04 10:00:00\n"
    (tmp_path / "one.csv").write_text(log, encoding="utf-8")
    (tmp_path / "again.csv").write_text(log, encoding="utf-8")
    (tmp_path / "later.csv").write_text(log + "u3,c,view,2024-01-05 10:00:00\n", encoding="utf-8")
    ingest(tmp_path / "one.csv")
    record = ingest_log(dataset, IngestRequest((tmp_path / "again.csv", tmp_path / "later.csv"), append=True))
    assert (record["rows_read"], record["rows_kept"], record["rows_merged"]) == (7, 3, 4)
    assert len(rows(dataset, "1", "merged")) == 4
    assert {file for (file,) in rows(dataset, "source_file", "merged")} == {"again.csv", "later.csv"}


def test_a_folder_is_read_to_its_depth_without_what_is_no_table(tmp_path: Path) -> None:
    for name in ("a.csv", "day=1/b.csv", "_SUCCESS", ".hidden", "README.md", "day=1/_log/c.csv"):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).write_text("x", encoding="utf-8")
    folder = str(tmp_path / "in")
    assert [str(p.relative_to(folder)) for p in files_of(folder)] == ["a.csv", "day=1/b.csv"]
    assert strays_of(folder) == ["README.md"]


def test_typed_folders_and_patterns_stay_below_the_allowed_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    allowed, outside = tmp_path / "logs", tmp_path / "secret"
    for folder in (allowed, outside):
        folder.mkdir()
        for name in ("2024-01.csv", "2024-02.csv", "other.csv"):
            (folder / name).write_text("x", encoding="utf-8")
    (allowed / "link.csv").symlink_to(outside / "other.csv")
    monkeypatch.setenv(intake.ROOTS_VARIABLE, str(allowed))
    home = Home(tmp_path / "home")
    assert [path.name for path in intake.allowed_paths(home, f"{allowed}/2024-*.csv")] == ["2024-01.csv", "2024-02.csv"]
    with pytest.raises(FileError, match="outside"):
        intake.allowed_paths(home, str(allowed))  # one of its files leads out
    (allowed / "link.csv").unlink()
    assert len(intake.allowed_paths(home, str(allowed))) == 3
    for escape in (f"{outside}/*.csv", f"{allowed}/../secret/*.csv", f"{allowed}/../sec*/other.csv", str(outside)):
        with pytest.raises(FileError):
            intake.allowed_paths(home, escape)


def test_uploads_keep_their_names_and_harm_nothing(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    names = {"events 2024.csv": "events 2024.csv", "../../etc/passwd": "passwd", "..\\x.csv": "x.csv", "日志.csv": "日志.csv", "": "file"}
    for given, kept in names.items():
        path = intake.take_upload(home, given, (tmp_path / "x").open("w+b"))
        assert (path.name, path.parent.parent) == (kept, home.path / "uploads")
    intake.release_uploads(home)
    assert len(list((home.path / "uploads").glob("*/*"))) == len(names)


def test_later_lines_of_an_order_take_the_buyer_from_its_other_lines(ingest: Ingest, dataset: Dataset) -> None:
    lines = [
        "Name,Email,Financial Status,Created at,Lineitem quantity,Lineitem name,Lineitem price,Lineitem sku",
        "#3,bob@example.com,paid,2024-03-03 10:00:00 +0100,1,Blue shirt,20.00,SH-1",
        "#3,,,,2,Socks,10.00,SO-1",
        "#2,ann@example.com,paid,2024-03-02 11:00:00 +0100,1,Blue shirt,20.00,SH-1",
        "#2,eve@example.com,paid,2024-03-02 11:00:00 +0100,1,Blue shirt,20.00,SH-1",
        "#2,,paid,2024-03-02 11:00:00 +0100,1,Socks,10.00,SO-1",
        "#1,,paid,2024-03-01 12:00:00 +0100,1,Blue shirt,20.00,SH-1",
    ]
    record = ingest("\n".join(lines))
    assert rows(dataset, "user_id, item_id, event_time")[1] == ("bob@example.com", "SO-1", datetime(2024, 3, 3, 9))
    assert (record["rows_kept"], record["rows_quarantined"]) == (4, 2), "an order of two buyers, and one of none, tell nothing"
    assert any("1 line of an order lacks user_id" in warning for warning in record["warnings"])


def test_an_amount_on_a_view_is_the_price_of_the_item(ingest: Ingest, dataset: Dataset) -> None:
    record = ingest("uid,iid,behavior,ts,amount\nu1,a,view,2024-03-01 10:00:00,5.50\nu1,a,purchase,2024-03-01 10:05:00,11.00\n")
    assert rows(dataset, "event_type, price, revenue") == [("view", Decimal("5.5000"), None), ("purchase", None, Decimal("11.0000"))]
    assert "price" in record["columns_present"] and any("taken as the price" in warning for warning in record["warnings"])
    ingest("uid,iid,ts,amount\nu1,a,2024-03-01 10:00:00,5.50\n", mapping={"events": {"columns": {}, "default_event_type": "purchase"}})
    assert rows(dataset, "price, revenue") == [(None, Decimal("5.5000"))]


def test_quotes_that_a_backslash_escapes_are_read_and_counted(ingest: Ingest, dataset: Dataset) -> None:
    lines = [
        'u1,i1,view,2024-01-01 10:00:00,"5\\" nails, box"',
        'u1,i2,view,2024-01-01 10:01:00,"C:\\"',
        'u2,i3,view,2024-01-02 10:00:00,"a \\"b\\" c\\\\"',
    ]
    record = ingest("user_id,item_id,event,time,title\n" + "\n".join(lines) + "\n")
    with dataset.log().history() as connection:
        titles = connection.execute("SELECT title FROM main.items ORDER BY item_id").fetchall()
    assert titles == [('5" nails, box',), ("C:\\",), ('a "b" c\\',)]
    assert any("write a quote inside a value as" in str(warning) for warning in record["warnings"])


def test_a_price_of_nothing_may_be_a_word(ingest: Ingest, dataset: Dataset) -> None:
    prices = ["Free", "2.50", "3", "4", "cheap"]
    lines = [f"u{n},a,buy,2024-01-0{n + 1} 1{n}:00:00,{price}" for n, price in enumerate(prices)]
    record = ingest("user_id,item_id,event,time,price\n" + "\n".join(lines) + "\n")
    assert (record["rows_kept"], rows(dataset, "rule", "quarantine")) == (4, [("bad_price",)])
    assert [float(price) for (price,) in rows(dataset, "price")] == [0.0, 2.5, 3.0, 4.0]
