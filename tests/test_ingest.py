"""A log in, clean events out: every row has a fate, and no fate looks ahead."""

import gzip
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from core.store import Dataset

HEADER = "user_id,item_id,event_type,event_time,price\n"
FILES = Path(__file__).parent / "files"

Ingest = Callable[..., dict[str, Any]]


def query(dataset: Dataset, sql: str) -> list[tuple[Any, ...]]:
    with dataset.log().history() as connection:
        return connection.execute(sql).fetchall()


def events(dataset: Dataset, columns: str) -> list[tuple[Any, ...]]:
    return query(dataset, f"SELECT {columns} FROM main.events ORDER BY event_time, source_file, source_row, event_type")


def test_a_plain_log_is_read_whole(ingest: Ingest, dataset: Dataset) -> None:
    record = ingest(HEADER + "u1,a,view,2024-03-01 10:00:00,1.50\nu1,a,purchase,2024-03-01 10:05:00,1.50\n")
    assert events(dataset, "user_id, item_id, event_type, price, revenue, session_id") == [
        ("u1", "a", "view", 1.5, None, "u1-1"),
        ("u1", "a", "purchase", 1.5, 1.5, "u1-1"),
    ]
    assert (record["events"], record["users"], record["items"], record["sessions"]) == (2, 1, 1, 1)


@pytest.mark.parametrize("name", ["wide_chinese.csv", "wide_english.csv"])
def test_the_wide_table_gives_three_clicks_and_one_purchase(ingest: Ingest, dataset: Dataset, name: str) -> None:
    record = ingest(FILES / name)
    assert events(dataset, "user_id, item_id, event_type, dwell_seconds") == [
        ("1", "1001", "click", 30),
        ("2", "2002", "click", 60),
        ("3", "3003", "click", 90),
        ("3", "3001", "purchase", None),
    ]
    assert (record["rows_kept"], record["events"]) == (3, 4)
    assert record["first_event"] == "2021-08-12T23:20:00"


def test_ids_stay_the_text_they_are(ingest: Ingest, dataset: Dataset, tmp_path: Path) -> None:
    ingest(HEADER + "007,9007199254740993,view,2024-03-01 10:00:00,1\n7,a,view,2024-03-01 10:00:01,1\n")
    assert events(dataset, "user_id, item_id") == [("007", "9007199254740993"), ("7", "a")]


def test_large_parquet_ids_are_not_rounded(ingest: Ingest, dataset: Dataset, tmp_path: Path) -> None:
    path = tmp_path / "log.parquet"
    table = pa.table({"user_id": [9007199254740993], "item_id": [1], "timestamp": [1628810400]})
    pq.write_table(table, path)
    ingest(path)
    assert events(dataset, "user_id, item_id") == [("9007199254740993", "1")]


def test_every_rule_keeps_its_rows_with_their_text(ingest: Ingest, dataset: Dataset) -> None:
    lines = [
        "u1,a,view,2024-03-01 10:00:00,1.50",
        ",a,view,2024-03-01 10:00:00,1.50",
        "u1,,view,2024-03-01 10:00:00,1.50",
        "u1,a,view,yesterday,1.50",
        "u1,a,view,1969-03-01 10:00:00,1.50",
        "u1,a,view,2999-03-01 10:00:00,1.50",
        "u1,a,view,2024-03-01 10:00:00,abc",
        "u1,a,view,2024-03-01 10:00:00,-2",
        "u1,a,view",
        "u1,a,view,2024-03-01 10:00:00,1.50,extra",
    ]
    record = ingest(HEADER + "\n".join(lines) + "\n")
    assert (record["rows_read"], record["rows_kept"]) == (10, 1)
    rows = query(dataset, "SELECT source_row, rule, text FROM main.quarantine ORDER BY source_row")
    assert [(rule, text) for _, rule, text in rows] == [
        ("null_user", lines[1]),
        ("null_item", lines[2]),
        ("bad_time", lines[3]),
        ("time_out_of_range", lines[4]),
        ("time_out_of_range", lines[5]),
        ("bad_price", lines[6]),
        ("negative_price", lines[7]),
        ("broken_row", lines[8]),
        ("broken_row", lines[9]),
    ]
    assert [number for number, _, _ in rows] == list(range(2, 11))


def test_a_row_shifted_by_an_empty_field_is_not_accepted(ingest: Ingest, dataset: Dataset) -> None:
    record = ingest(HEADER + "u1,a,view,2024-03-01 10:00:00,1\nu2,,b,view,2024-03-01 10:00:00\n")
    assert record["rows_kept"] == 1
    assert query(dataset, "SELECT rule, text FROM main.quarantine") == [("bad_time", "u2,,b,view,2024-03-01 10:00:00")]


def test_one_stray_quote_costs_one_line(ingest: Ingest, dataset: Dataset) -> None:
    good = [f"u{i},a,view,2024-03-01 10:00:{i:02d},1" for i in range(40)]
    record = ingest(HEADER + "\n".join([*good[:20], 'u99,"a,view,2024-03-01 10:00:00,1', *good[20:]]) + "\n")
    assert (record["rows_kept"], record["rows_quarantined"]) == (40, 1)
    assert query(dataset, "SELECT source_row, rule, text FROM main.quarantine") == [(21, "broken_row", 'u99,"a,view,2024-03-01 10:00:00,1')]
    assert query(dataset, "SELECT max(source_row) FROM main.events") == [(41,)]


def test_quoted_fields_may_hold_delimiters_quotes_and_line_ends(ingest: Ingest, dataset: Dataset) -> None:
    text = 'user_id,item_id,event_time,title\nu1,a,2024-03-01 10:00:00,"Sofa, ""big""\nand red"\nu2,b,2024-03-01 10:00:01,"13"" sleeve"\n'
    record = ingest(text)
    assert record["rows_kept"] == 2
    assert query(dataset, "SELECT item_id, title FROM main.items ORDER BY item_id") == [("a", 'Sofa, "big"\nand red'), ("b", '13" sleeve')]


def test_a_quote_inside_a_plain_field_is_a_sign_of_the_text(ingest: Ingest, dataset: Dataset) -> None:
    record = ingest('user_id,item_id,event_time,title\nu1,a,2024-03-01 10:00:00,13" sleeve\nu1,b,2024-03-01 10:00:01,plain\n')
    assert record["rows_kept"] == 2
    assert query(dataset, "SELECT title FROM main.items ORDER BY item_id") == [('13" sleeve',), ("plain",)]
    assert any("quote inside a plain field" in warning for warning in record["warnings"])


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_blank_lines_and_any_line_end_are_understood(ingest: Ingest, dataset: Dataset, tmp_path: Path, newline: str) -> None:
    path = tmp_path / "log.csv"
    lines = [HEADER.strip(), "", "u1,a,view,2024-03-01 10:00:00,1", "", "", "u2,a,view,2024-03-01 10:00:00,1", ""]
    path.write_bytes(newline.join(lines).encode())
    record = ingest(path)
    assert (record["rows_read"], record["rows_kept"]) == (2, 2)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_delimiters_are_found(ingest: Ingest, dataset: Dataset, delimiter: str) -> None:
    record = ingest((HEADER + "u1,a,view,2024-03-01 10:00:00,1.5\nu2,a,cart,2024-03-01 10:00:00,2.5\n").replace(",", delimiter))
    assert record["rows_kept"] == 2
    assert record["sources"][0]["delimiter"] == delimiter


def test_a_decimal_comma_is_decided_on_the_column(ingest: Ingest, dataset: Dataset) -> None:
    ingest("user_id;item_id;event_type;event_time;price\nu1;a;view;2024-03-01 10:00:00;1.234,50\nu1;b;view;2024-03-01 10:00:01;0,99\n")
    assert events(dataset, "CAST(price AS DOUBLE)") == [(1234.5,), (0.99,)]


def test_thousand_separators_and_currency_signs_are_numbers(ingest: Ingest, dataset: Dataset) -> None:
    ingest(HEADER + 'u1,a,view,2024-03-01 10:00:00,"$1,234.50"\nu1,b,view,2024-03-01 10:00:01,€2.50\nu1,b,view,2024-03-01 10:00:02,￥3\n')
    assert events(dataset, "CAST(price AS DOUBLE)") == [(1234.5,), (2.5,), (3.0,)]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "gb18030"])
def test_encodings_are_recognised(ingest: Ingest, dataset: Dataset, tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "log.csv"
    rows = "".join(f"用户{i},商品{i},浏览,2024-03-01 10:00:{i:02d},红色连衣裙夏季新款\n" for i in range(20))
    path.write_bytes(("用户ID,商品ID,行为类型,时间戳,商品名称\n" + rows).encode(encoding))
    record = ingest(path)
    assert record["rows_kept"] == 20
    assert query(dataset, "SELECT DISTINCT title FROM main.items") == [("红色连衣裙夏季新款",)]
    assert record["event_types"] == {"view": 20}


def test_latin_text_is_recognised(ingest: Ingest, dataset: Dataset, tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_bytes(
        "user_id,item_id,event_time,title\nu1,a,2024-03-01,Chaise longue à repasser été\nu2,b,2024-03-02,Café crème brûlée\n".encode(
            "latin-1"
        )
    )
    ingest(path)
    assert query(dataset, "SELECT title FROM main.items ORDER BY item_id") == [("Chaise longue à repasser été",), ("Café crème brûlée",)]


def test_a_gzip_file_is_read_like_its_content(ingest: Ingest, dataset: Dataset, tmp_path: Path) -> None:
    path = tmp_path / "log.csv.gz"
    path.write_bytes(gzip.compress((HEADER + "u1,a,view,2024-03-01 10:00:00,1\n").encode()))
    assert ingest(path)["rows_kept"] == 1


@pytest.mark.parametrize(("text", "unit"), [("30s", None), ("0:30", None), ("30000", "ms"), ("0.5 min", None), ("30秒", None)])
def test_dwell_of_many_units_becomes_seconds(ingest: Ingest, dataset: Dataset, text: str, unit: str | None) -> None:
    mapping = {"events": {"columns": {}, "dwell_unit": unit}} if unit else None
    ingest(f"user_id,item_id,event_type,event_time,dwell_time\nu1,a,view,2024-03-01 10:00:00,{text}\n", mapping=mapping)
    assert events(dataset, "dwell_seconds") == [(30,)]


def test_a_column_that_is_absent_or_empty_stays_unknown(ingest: Ingest, dataset: Dataset) -> None:
    ingest("user,item,event,time\na,x,view,2024-03-01 10:00:00\n")
    unknown = "dwell_seconds IS NULL AND position IS NULL AND quantity IS NULL AND price IS NULL AND revenue IS NULL"
    assert query(dataset, f"SELECT {unknown} FROM main.events") == [(True,)]
    ingest("user,item,event,time,dwell\na,x,view,2024-03-01 10:00:00,\nb,x,view,2024-03-01 10:00:00,0\n")
    assert events(dataset, "dwell_seconds") == [(None,), (0,)]


def test_negative_dwell_is_quarantined_and_long_stays_are_cut(ingest: Ingest, dataset: Dataset) -> None:
    record = ingest(
        "user_id,item_id,event_time,dwell_time\nu1,a,2024-03-01 10:00:00,-5\nu1,a,2024-03-01 10:01:00,9000\nu1,a,2024-03-01 10:02:00,20\n"
    )
    assert events(dataset, "dwell_seconds") == [(3600,), (20,)]
    assert query(dataset, "SELECT rule FROM main.quarantine") == [("negative_dwell",)]
    assert {rule["id"]: rule["count"] for rule in record["rules"]}["dwell_cap"] == 1


def test_event_words_of_shops_are_understood_and_unknown_ones_listed(ingest: Ingest, dataset: Dataset) -> None:
    words = ["pv", "fav", "buy", "cart", "addtocart", "transaction", "收藏", "加购", "wishlist", "wishlist"]
    record = ingest(HEADER + "".join(f"u1,a,{word},2024-03-01 10:00:{i:02d},1\n" for i, word in enumerate(words)))
    assert [kind for (kind,) in events(dataset, "event_type")] == [
        "view",
        "favourite",
        "purchase",
        "cart",
        "cart",
        "purchase",
        "favourite",
        "cart",
        "other",
        "other",
    ]
    assert any("'wishlist' (2)" in warning for warning in record["warnings"])


def test_a_person_may_translate_event_words(ingest: Ingest, dataset: Dataset) -> None:
    ingest(HEADER + "u1,a,wishlist,2024-03-01 10:00:00,1\n", mapping={"events": {"columns": {}, "event_types": {"wishlist": "favourite"}}})
    assert events(dataset, "event_type") == [("favourite",)]


def test_negative_quantities_and_c_invoices_are_refunds(ingest: Ingest, dataset: Dataset) -> None:
    text = (
        "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n"
        "536365,85123A,WHITE HEART,6,12/1/2010 8:26,2.55,17850.0,United Kingdom\n"
        "536366,22633,HAND WARMER,6,12/13/2010 8:28,1.85,17850.0,United Kingdom\n"
        "C536379,85123A,WHITE HEART,-1,12/14/2010 9:41,2.55,17850.0,United Kingdom\n"
    )
    record = ingest(text)
    assert events(dataset, "event_type, CAST(revenue AS DOUBLE), order_id") == [
        ("purchase", 15.3, "536365"),
        ("purchase", 11.1, "536366"),
        ("refund", -2.55, "C536379"),
    ]
    assert query(dataset, "SELECT user_id, country FROM main.users") == [("17850", "United Kingdom")]
    assert query(dataset, "SELECT title FROM main.items WHERE item_id = '85123A'") == [("WHITE HEART",)]
    assert any("17850.0" in warning for warning in record["warnings"])


def test_exact_duplicates_are_merged_and_clicks_a_second_apart_are_not(ingest: Ingest, dataset: Dataset) -> None:
    row = "u1,a,click,2024-03-01 10:00:00,1\n"
    record = ingest(HEADER + row + row + row.replace("10:00:00", "10:00:01"))
    assert (record["rows_kept"], record["rows_merged"]) == (2, 1)


def test_near_duplicates_merge_within_the_given_seconds(ingest: Ingest, dataset: Dataset) -> None:
    rows = "".join(f"u1,a,click,2024-03-01 10:00:{second:02d},1\n" for second in (0, 2, 10))
    record = ingest(HEADER + rows, mapping={"events": {"columns": {}}, "rules": {"duplicates": {"seconds": 2}}})
    assert (record["rows_kept"], record["rows_merged"]) == (2, 1)


def test_a_whole_file_doubled_merges_to_half(ingest: Ingest, dataset: Dataset) -> None:
    body = "".join(f"u{i},a,view,2024-03-01 10:00:{i:02d},1\n" for i in range(50))
    record = ingest(HEADER + body + body)
    assert (record["rows_read"], record["rows_kept"], record["rows_merged"]) == (100, 50, 50)


def test_the_same_file_given_twice_is_not_doubled(ingest: Ingest, dataset: Dataset) -> None:
    text = HEADER + "u1,a,view,2024-03-01 10:00:00,1\nu2,a,view,2024-03-02 11:00:00,1\n"
    record = ingest(text, text)
    assert (record["rows_read"], record["rows_kept"], record["rows_merged"]) == (4, 2, 2)
    assert any("same bytes" in warning for warning in record["warnings"])


def test_logs_of_days_keep_equal_rows_and_say_so(ingest: Ingest, dataset: Dataset) -> None:
    record = ingest("user_id,item_id,date\nu1,a,20240301\nu1,a,20240301\nu1,a,20240302\n")
    assert record["time_resolution_seconds"] == 86400
    assert (record["rows_kept"], record["rows_merged"]) == (3, 0)
    assert any("only days" in warning for warning in record["warnings"])


def test_a_robot_is_named_and_comes_back_when_the_rule_is_off(ingest: Ingest, dataset: Dataset) -> None:
    text = (
        HEADER
        + "".join(f"robot,a{i},view,2024-03-01 10:{i // 60:02d}:{i % 60:02d},1\n" for i in range(700))
        + "u1,a,view,2024-03-01 10:00:00,1\n"
    )
    record = ingest(text)
    assert record["robots"] == [{"user_id": "robot", "rows": 550}]
    assert record["rows_kept"] == 151
    again = ingest(text, mapping={"events": {"columns": {}}, "rules": {"robots": False}})
    assert again["rows_kept"] == 701


def test_no_fate_depends_on_later_rows(ingest: Ingest, dataset: Dataset) -> None:
    body = [f"robot,a{i % 7},click,2024-03-01 {10 + i // 3600}:{i // 60 % 60:02d}:{i % 60:02d},1" for i in range(1200)]
    body += [f"u{i % 5},b{i % 3},purchase,2024-03-01 14:{i % 60:02d}:00,2" for i in range(40)]
    columns = "user_id, item_id, event_type, event_time, session_id, price, revenue"
    ingest(HEADER + "\n".join(body) + "\n")
    whole = query(dataset, f"SELECT {columns} FROM main.events WHERE event_time < '2024-03-01 10:15:00' ORDER BY ALL")
    cut = [line for line in body if line.split(",")[3] < "2024-03-01 10:15:00"]
    ingest(HEADER + "\n".join(cut) + "\n")
    assert query(dataset, f"SELECT {columns} FROM main.events ORDER BY ALL") == whole


def test_a_gap_of_exactly_thirty_minutes_stays_in_the_session(ingest: Ingest, dataset: Dataset) -> None:
    times = ["10:00:00", "10:30:00", "11:00:01"]
    ingest(HEADER + "".join(f"u1,a,view,2024-03-01 {time},1\n" for time in times))
    assert [session for (session,) in events(dataset, "session_id")] == ["u1-1", "u1-1", "u1-2"]
    assert query(dataset, "SELECT session_id, events FROM main.sessions ORDER BY session_id") == [("u1-1", 2), ("u1-2", 1)]


def test_the_own_catalogue_wins_and_event_texts_fill_the_rest(ingest: Ingest, dataset: Dataset, tmp_path: Path) -> None:
    items = tmp_path / "items.csv"
    items.write_text("sku,name\na,Own title\nz,Never sold\n")
    record = ingest(
        "user_id,item_id,event_time,title,category\nu1,b,2024-03-02,Later,Toys\n"
        "u1,b,2024-03-01,Earlier,\nu1,a,2024-03-01,Row title,Shoes\n",
        items=items,
    )
    found = query(dataset, "SELECT item_id, in_catalogue, title, title_since, category, category_since FROM main.items ORDER BY item_id")
    assert found == [
        ("a", True, "Own title", None, "Shoes", datetime(2024, 3, 1)),
        ("b", False, "Earlier", datetime(2024, 3, 1), "Toys", datetime(2024, 3, 2)),
        ("z", True, "Never sold", None, None, None),
    ]
    assert record["catalogue_share"] == pytest.approx(1 / 3, abs=1e-6)


def test_users_attributes_come_from_their_file(ingest: Ingest, dataset: Dataset, tmp_path: Path) -> None:
    users = tmp_path / "users.csv"
    users.write_text("用户ID,性别,年龄,Household Size\nu1,F,30,2\nu9,M,50,1\n")
    record = ingest(HEADER + "u1,a,view,2024-03-01 10:00:00,1\nu2,a,view,2024-03-01 10:00:00,1\n", users=users)
    assert query(dataset, "SELECT user_id, gender, age, household_size FROM main.users ORDER BY user_id") == [
        ("u1", "F", "30", "2"),
        ("u2", None, None, None),
    ]
    assert any("1 user of the users file has no event" in warning for warning in record["warnings"])


def test_a_log_without_items_is_kept_without_items(ingest: Ingest, dataset: Dataset) -> None:
    record = ingest("customer_id,date,quantity,dollar_value\n00001,19970101,1,11.77\n00002,19970112,1,12.00\n")
    assert events(dataset, "user_id, item_id, event_type, CAST(revenue AS DOUBLE)") == [
        ("00001", None, "purchase", 11.77),
        ("00002", None, "purchase", 12.0),
    ]
    assert any("no item column" in warning for warning in record["warnings"])


def test_searches_may_lack_an_item(ingest: Ingest, dataset: Dataset) -> None:
    record = ingest(
        "user_id,item_id,event_type,event_time,query\nu1,,search,2024-03-01 10:00:00,red shoes\nu1,a,click,2024-03-01 10:00:05,\n"
    )
    assert record["rows_kept"] == 2
    assert events(dataset, "item_id, query") == [(None, "red shoes"), ("a", None)]


def test_order_numbers_without_dates_become_relative_days(ingest: Ingest, dataset: Dataset) -> None:
    text = "user_id,product_id,order_id,order_number,order_hour_of_day,days_since_prior_order\n"
    text += "u1,a,1,1,8,\nu1,b,2,2,9,15.0\nu1,c,2,2,9,15.0\nu1,a,3,3,7,3.0\n"
    record = ingest(text)
    assert events(dataset, "item_id, event_time, event_type") == [
        ("a", datetime(2000, 1, 1, 8), "purchase"),
        ("b", datetime(2000, 1, 16, 9), "purchase"),
        ("c", datetime(2000, 1, 16, 9), "purchase"),
        ("a", datetime(2000, 1, 19, 7), "purchase"),
    ]
    assert record["relative_time"] is True


def test_appending_recognises_overlap(ingest: Ingest, dataset: Dataset) -> None:
    first = HEADER + "u1,a,view,2024-03-01 10:00:00,1\nu1,b,view,2024-03-01 10:10:00,1\n"
    ingest(first)
    record = ingest(
        HEADER + "u1,b,view,2024-03-01 10:10:00,1\nu1,c,view,2024-03-01 10:20:00,1\n,c,view,2024-03-01 10:20:00,1\n", append=True
    )
    assert (record["rows_read"], record["rows_kept"], record["rows_merged"], record["rows_quarantined"]) == (5, 3, 1, 1)
    assert events(dataset, "item_id, session_id") == [("a", "u1-1"), ("b", "u1-1"), ("c", "u1-1")]
    assert record["version"] == "v0002"


def test_appending_the_same_file_adds_nothing(ingest: Ingest, dataset: Dataset) -> None:
    text = HEADER + "u1,a,view,2024-03-01 10:00:00,1\n"
    ingest(text)
    record = ingest(text, append=True)
    assert (record["events"], record["version"]) == (1, "v0001")
    assert any("not doubled" in warning for warning in record["warnings"])


def test_the_same_input_gives_the_same_tables(ingest: Ingest, dataset: Dataset) -> None:
    text = HEADER + "".join(f"u{i % 7},a{i % 11},view,2024-03-01 10:00:{i % 60:02d},{i}\n" for i in range(500))
    tables = []
    for _ in range(2):
        ingest(text)
        tables.append(
            [query(dataset, f"SELECT * FROM main.{name}") for name in ("events", "items", "users", "sessions", "daily", "user_totals")]
        )
    assert tables[0] == tables[1]


def test_names_with_brackets_and_stars_are_names(ingest: Ingest, dataset: Dataset, tmp_path: Path) -> None:
    path = tmp_path / "log[1]*.parquet"
    pq.write_table(pa.table({"user_id": ["u1", None], "item_id": ["a", "b"], "event_time": ["2024-03-01", "2024-03-02"]}), path)
    record = ingest(path)
    assert (record["rows_kept"], record["rows_quarantined"]) == (1, 1)
    assert query(dataset, "SELECT text FROM main.quarantine") == [('{"user_id": null, "item_id": "b", "event_time": "2024-03-02"}',)]
