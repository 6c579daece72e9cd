"""Exports of common shops and tools are understood by their columns; what is doubtful is said."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.__main__ import main
from core.errors import MappingError
from core.ingest.guessing import guess_mapping
from core.ingest.reading import inspect_file
from core.store import Dataset, Home

EXPORTS = Path(__file__).parent / "files" / "exports"

Ingest = Callable[..., dict[str, Any]]


def events(dataset: Dataset, columns: str) -> list[tuple[Any, ...]]:
    with dataset.log().history() as connection:
        return connection.execute(f"SELECT {columns} FROM main.events ORDER BY event_time, source_file, source_row, event_type").fetchall()


EXPECTED: dict[str, tuple[dict[str, int], tuple[Any, ...]]] = {
    "rees46.csv": ({"view": 2, "cart": 1, "purchase": 1}, ("541312140", "44600062", "view", "2019-10-01 00:00:00")),
    "retailrocket.csv": ({"view": 3, "cart": 1, "purchase": 1}, ("257597", "355908", "view", "2015-06-02 05:02:12.117")),
    "taobao_userbehavior.csv": ({"view": 4, "favourite": 1, "cart": 1, "purchase": 1}, ("1", "2268318", "view", "2017-11-24 17:21:10")),
    "ga4_bigquery.csv": (
        {"impression": 1, "view": 1, "cart": 1, "purchase": 2},
        ("1026454.4271112504", "GGOEGXXX0812", "view", "2021-01-31 05:05:15.000123"),
    ),
    "shopify_orders.csv": ({"purchase": 4}, ("anna@example.com", "LS-M", "purchase", "2024-03-02 09:15:00")),
    "dunnhumby_transactions.csv": ({"purchase": 5}, ("1364", "842930", "purchase", "2000-01-02 15:20:00")),
    "online_retail.csv": ({"purchase": 4, "refund": 1}, ("17850", "85123A", "purchase", "2010-12-01 08:26:00")),
    "adobe_feed.tsv": (
        {"view": 2, "cart": 1, "purchase": 1},
        ("2872189024152158023-4611687123456789012", "SKU-77", "view", "2021-01-01 00:01:00"),
    ),
    "snowplow.tsv": ({"view": 1, "cart": 1, "remove_from_cart": 1}, ("b1c3", "SKU-77", "cart", "2023-05-01 10:00:30.5")),
    "woocommerce_orders.csv": ({"purchase": 4}, ("17", "MUG-B", "purchase", "2023-11-24 09:12:44")),
    "tmall_user_log.csv": (
        {"click": 2, "favourite": 1, "cart": 1, "purchase": 1},
        ("328862", "323294", "click", "2000-08-29 00:00:00"),
    ),
    "jd_action.csv": (
        {"view": 1, "click": 1, "favourite": 1, "cart": 1, "remove_from_cart": 1, "purchase": 1},
        ("266079", "138778", "view", "2016-01-31 23:59:02"),
    ),
    "jd_orders_zh.csv": ({"purchase": 3}, ("jd_7a1", "100012043978", "purchase", "2021-06-18 00:01:12")),
    "tmall_orders_zh.csv": ({"purchase": 2}, ("tb买家1", "WJ-01", "purchase", "2021-11-11 00:00:31")),
    "behaviour_zh.csv": (
        {"view": 1, "favourite": 1, "share": 1, "cart": 1, "purchase": 1},
        ("10001", "2001", "view", "2021-06-18 00:01:12"),
    ),
    "clock_columns.csv": ({"purchase": 3}, ("c1", "a", "purchase", "2024-03-01 08:05:00")),
}


@pytest.mark.parametrize("name", list(EXPECTED))
def test_an_export_is_understood_without_a_mapping(ingest: Ingest, dataset: Dataset, name: str) -> None:
    kinds, first = EXPECTED[name]
    record = ingest(EXPORTS / name)
    assert record["event_types"] == kinds
    assert events(dataset, "user_id, item_id, CAST(event_type AS VARCHAR), CAST(event_time AS VARCHAR)")[0] == first


def test_every_export_has_a_test() -> None:
    more = {"instacart_orders.csv", "instacart_order_products.csv", "flags.csv"}
    assert {path.name for path in EXPORTS.iterdir()} == set(EXPECTED) | more


@pytest.mark.parametrize(
    ("name", "orders", "revenues"),
    [
        ("shopify_orders.csv", ["#1001", "#1001", "#1002", "#1003"], [50, 10, 25, 10]),
        ("woocommerce_orders.csv", ["801", "801", "802", "803"], [20, 20, 10, 20]),
        ("jd_orders_zh.csv", ["80012345678", "80012345678", "80012345999"], [3988, 99, 198]),
        ("dunnhumby_transactions.csv", None, [2.19, 1.39, 0.82, 0.99, 3.09]),
    ],
)
def test_the_total_of_an_order_is_not_taken_for_that_of_its_lines(
    ingest: Ingest, dataset: Dataset, name: str, orders: list[str] | None, revenues: list[float]
) -> None:
    ingest(EXPORTS / name)
    rows = events(dataset, "order_id, CAST(revenue AS DOUBLE)")
    assert [revenue for _, revenue in rows] == revenues
    assert orders is None or [order for order, _ in rows] == orders


@pytest.mark.parametrize("path", sorted(EXPORTS.iterdir()), ids=lambda path: path.name)
def test_guesses_carry_a_confidence_and_values_of_their_own_column(path: Path) -> None:
    preview = inspect_file(path)
    try:
        mapping = guess_mapping(preview, "events")
    except MappingError:
        assert path.name == "instacart_order_products.csv"
        return
    for guess in mapping.guesses:
        assert 0.2 < guess.confidence <= 0.99
        if len(guess.source) == 1:
            assert set(guess.samples) <= set(preview.values(guess.source[0]))
    if preview.has_header:
        assert {guess.canonical: guess.confidence for guess in mapping.guesses}["user_id"] > 0.7


def test_flags_side_by_side_give_one_event_each(ingest: Ingest, dataset: Dataset) -> None:
    record = ingest(EXPORTS / "flags.csv")
    assert record["event_types"] == {"impression": 1, "click": 3, "favourite": 1, "cart": 1, "purchase": 1}
    assert events(dataset, "user_id, item_id, CAST(event_type AS VARCHAR), CAST(dwell_seconds AS INTEGER)")[1:4] == [
        ("u1", "b", "click", 30),
        ("u1", "b", "cart", None),
        ("u1", "b", "purchase", None),
    ]
    assert (record["rows_kept"], record["events"]) == (4, 7)
    words = {word["word"]: (word["event_type"], word.get("also")) for word in record["event_words"]}
    assert words["is_click + is_cart + is_buy"] == ("purchase", ["cart", "click"])


def test_a_person_may_translate_a_flag_by_the_name_of_its_column(ingest: Ingest) -> None:
    text = "user,item,time,is_click,is_lead\nu1,a,2024-03-01 10:00:00,1,1\nu1,b,2024-03-01 10:01:00,1,0\n"
    mapping = {"events": {"columns": {"event_type": ["is_click", "is_lead"]}, "event_types": {"is_lead": "cart"}}}
    assert ingest(text, mapping=mapping)["event_types"] == {"click": 2, "cart": 1}


def test_lines_learn_from_their_orders_who_bought_and_when(ingest: Ingest, dataset: Dataset) -> None:
    record = ingest(EXPORTS / "instacart_orders.csv", EXPORTS / "instacart_order_products.csv")
    assert (record["rows_read"], record["rows_kept"], record["rows_merged"], record["relative_time"]) == (12, 7, 5, True)
    assert events(dataset, "user_id, item_id, CAST(event_time AS VARCHAR)")[3:5] == [
        ("2", "32792", "2000-01-11 10:00:00"),
        ("1", "196", "2000-01-16 07:00:00"),
    ]
    assert {rule["id"]: rule["count"] for rule in record["rules"]}["order_heads"] == 5


def test_an_order_without_lines_and_a_line_without_order_are_set_aside(ingest: Ingest, dataset: Dataset) -> None:
    orders = "order_id,customer_id,order_date\n1,u1,2024-03-01 10:00:00\n2,u2,2024-03-02 10:00:00\n"
    lines = "order_id,product_id,price\n1,a,2.00\n9,b,3.00\n"
    record = ingest(orders, lines)
    assert (record["rows_kept"], record["rows_merged"], record["rows_quarantined"]) == (1, 1, 2)
    assert events(dataset, "user_id, item_id, CAST(event_time AS VARCHAR)") == [("u1", "a", "2024-03-01 10:00:00")]


def test_the_mapping_of_orders_and_lines_is_offered_again(ingest: Ingest, dataset: Dataset) -> None:
    first = ingest(EXPORTS / "instacart_orders.csv", EXPORTS / "instacart_order_products.csv")
    again = ingest(EXPORTS / "instacart_orders.csv", EXPORTS / "instacart_order_products.csv", mapping=first["mapping"])
    assert again["event_types"] == first["event_types"]


def test_ids_that_all_end_in_point_zero_are_read_as_whole_numbers(ingest: Ingest, dataset: Dataset, tmp_path: Path) -> None:
    text = "user,item,time,price\n17850.0,1.0,2024-03-01 10:00:00,1.0\n7.0,2.0,2024-03-01 10:00:01,2.0\n"
    catalogue = tmp_path / "items.csv"
    catalogue.write_text("item_id,title\n1,one\n2,two\n", encoding="utf-8")
    record = ingest(text, items=catalogue)
    assert events(dataset, "user_id, item_id") == [("17850", "1"), ("7", "2")]
    assert record["catalogue_share"] == 1.0
    assert any("17850.0 is read as 17850" in warning for warning in record["warnings"])
    ingest(text, mapping={"events": {"columns": {}, "whole_ids": False}})
    assert events(dataset, "user_id, item_id") == [("17850.0", "1.0"), ("7.0", "2.0")]


def test_one_id_without_point_zero_leaves_all_as_they_are(ingest: Ingest, dataset: Dataset) -> None:
    record = ingest("user,item,time\n17850.0,a,2024-03-01 10:00:00\n7,b,2024-03-01 10:00:01\n")
    assert events(dataset, "user_id") == [("17850.0",), ("7",)]
    assert any("end in .0" in warning for warning in record["warnings"])


@pytest.mark.parametrize(
    ("header", "values"),
    [("user,item,weekday", "u1,a,Monday"), ("user,item,order_dow", "u1,a,3"), ("用户,商品,星期", "u1,a,星期三")],
)
def test_a_log_that_knows_only_the_day_of_the_week_is_refused(ingest: Ingest, header: str, values: str) -> None:
    with pytest.raises(MappingError, match="day of the week"):
        ingest(f"{header}\n{values}\n{values.replace('u1', 'u2')}\n")


@pytest.mark.parametrize(
    ("header", "row", "expected"),
    [
        ("user,item,date,hour", "u1,a,2024-03-01,7", "2024-03-01 07:00:00"),
        ("user,item,date,time", "u1,a,2024-03-01,07:05", "2024-03-01 07:05:00"),
        ("user,item,date,time", "u1,a,20240301,93005", "2024-03-01 09:30:05"),
        ("user,item,year,month,day", "u1,a,2024,3,1", "2024-03-01 00:00:00"),
        ("user,item,day,hour", "u1,a,12,7", "2000-01-13 07:00:00"),
    ],
)
def test_a_day_and_its_clock_are_joined(ingest: Ingest, dataset: Dataset, header: str, row: str, expected: str) -> None:
    ingest(f"{header}\n{row}\n{row.replace('u1', 'u2')}\n")
    assert events(dataset, "CAST(event_time AS VARCHAR)")[0] == (expected,)


def test_sessions_stand_for_users_where_no_column_names_them_and_that_is_said(ingest: Ingest, dataset: Dataset) -> None:
    record = ingest("session_id,item,time\ns1,a,2024-03-01 10:00:00\ns2,b,2024-03-01 10:00:01\n")
    assert events(dataset, "user_id") == [("s1",), ("s2",)]
    assert any("each session is taken as a user" in warning for warning in record["warnings"])


def test_hours_that_the_clock_left_out_or_gave_twice_are_counted(ingest: Ingest, dataset: Dataset) -> None:
    times = ["2024-03-31 01:30:00", "2024-03-31 02:30:00", "2024-03-31 03:30:00", "2024-10-27 02:10:00", "2024-10-27 02:50:00"]
    text = "user,item,time\n" + "".join(f"u{n},a,{time}\n" for n, time in enumerate(times)) + "u9,a,2024-10-27 02:30:00+02:00\n"
    record = ingest(text, time_zone="Europe/Berlin")
    said = " ".join(record["warnings"])
    assert "1 row has a local time that Europe/Berlin left out" in said
    assert "2 rows have a local time that came twice in Europe/Berlin" in said
    assert events(dataset, "CAST(event_time AS VARCHAR)")[:3] == [
        ("2024-03-31 00:30:00",),
        ("2024-03-31 01:30:00",),
        ("2024-03-31 01:30:00",),
    ]


def test_a_zone_whose_clock_never_changes_says_nothing(ingest: Ingest) -> None:
    record = ingest("user,item,time\nu1,a,2024-03-31 02:30:00\n", time_zone="Asia/Shanghai")
    assert not any("clocks" in warning for warning in record["warnings"])


def test_day_first_times_of_a_zone_become_utc(ingest: Ingest, dataset: Dataset) -> None:
    ingest("user,item,time\nu1,a,13/03/2024 10:00\nu2,a,14/03/2024 10:00\n", time_zone="Asia/Shanghai")
    assert events(dataset, "CAST(event_time AS VARCHAR)")[0] == ("2024-03-13 02:00:00",)


def test_a_device_stands_for_the_shopper_in_rows_without_one_and_that_is_said(ingest: Ingest, dataset: Dataset) -> None:
    text = (
        "userId,anonymousId,event,timestamp,productId\nu1,a1,Product Viewed,2024-01-01T10:00:00Z,p1\n"
        ",a2,Product Viewed,2024-01-01T10:01:00Z,p2\n,,Product Added,2024-01-01T10:02:00Z,p2\n"
    )
    record = ingest(text)
    assert events(dataset, "user_id, item_id") == [("u1", "p1"), ("a2", "p2")]
    assert (record["rows_kept"], record["rows_quarantined"]) == (2, 1)
    assert any(w.startswith("1 row has no userId; its anonymousId stands") for w in map(str, record["warnings"]))


def test_without_gaps_a_device_is_no_stand_in(ingest: Ingest, dataset: Dataset) -> None:
    ingest("userId,anonymousId,event,timestamp,productId\nu1,a1,Product Viewed,2024-01-01T10:00:00Z,p1\n")
    assert "anonymous_id" not in dataset.manifest()["mapping"]["events"]["columns"]


def test_pseudonyms_cover_the_device_too(ingest: Ingest, dataset: Dataset) -> None:
    text = "userId,anonymousId,event,timestamp,productId\nu1,a1,view,2024-01-01T10:00:00Z,p1\n,a2,view,2024-01-01T10:01:00Z,p2\n"
    ingest(text, mapping={"pseudonyms": ["user_id"]})
    assert not {"u1", "a2"} & {user for (user,) in events(dataset, "user_id")}


def test_orders_that_were_refunded_or_cancelled_are_no_purchases(ingest: Ingest, dataset: Dataset) -> None:
    head = "order_id,customer_id,sku,quantity,price,order_date,order_status\n"
    states = ("delivered", "refunded", "canceled", "shipped")
    text = head + "".join(f"{n},c{n},s,1,10,2024-01-0{n + 1} 1{n}:00:00,{state}\n" for n, state in enumerate(states))
    record = ingest(text)
    assert [kind for (kind,) in events(dataset, "event_type::VARCHAR")] == ["purchase", "other", "other", "purchase"]
    assert [float(value or 0) for (value,) in events(dataset, "revenue")] == [10.0, 0.0, 0.0, 10.0]
    assert any("are no purchases: 'canceled' (1), 'refunded' (1)" in str(warning) for warning in record["warnings"])


def test_a_status_of_other_words_says_nothing_of_a_sale(ingest: Ingest, dataset: Dataset) -> None:
    ingest("order_id,customer_id,sku,price,order_date,status\n1,c1,s1,10,2024-01-01 10:00:00,gold\n2,c2,s2,10,2024-01-02 11:00:00,silver\n")
    assert {kind for (kind,) in events(dataset, "event_type::VARCHAR")} == {"purchase"}


def test_the_command_line_stores_pseudonyms_in_place_of_addresses(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = "".join(f"user{n}@example.com,a,view,2024-03-0{1 + n % 9} 10:00:00\n" for n in range(40))
    (tmp_path / "log.csv").write_text("user_id,item_id,event_type,event_time\n" + rows, encoding="utf-8")
    words = ["ingest", "--home", str(tmp_path / "home"), "--dataset", "shop", "--events", str(tmp_path / "log.csv"), "--json"]
    assert main(words) == 0
    assert "--pseudonyms user_id" in capsys.readouterr().out
    assert main([*words, "--pseudonyms", "user_id"]) == 0
    assert "pseudonyms are stored in its place" in capsys.readouterr().out
    dataset = Home(tmp_path / "home").dataset("shop")
    with dataset.log().history() as connection:
        users = [user for (user,) in connection.execute("SELECT DISTINCT user_id FROM history").fetchall()]
    assert len(users) == 40 and not [user for user in users if "@" in user]
    assert b"example.com" not in dataset.version_path().joinpath("events.duckdb").read_bytes()
    assert main([*words, "--pseudonyms", "price"]) == 2
    assert "can be replaced" in capsys.readouterr().out
