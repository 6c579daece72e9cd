"""Mirror of core/privacy.py."""

import hashlib

import pyarrow as pa
import pytest

from core.privacy import detect_personal_columns, guard_cell, guard_column, pseudonym


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx"])
def test_cells_that_a_spreadsheet_would_run_get_an_apostrophe(cell: str) -> None:
    assert guard_cell(cell) == "'" + cell


@pytest.mark.parametrize("cell", ["", "a=b", "4711", "用户", " =1"])
def test_other_cells_pass_unchanged(cell: str) -> None:
    assert guard_cell(cell) is cell


def test_a_column_is_guarded_like_its_cells() -> None:
    cells = ["=1+1", "-1", "@x", "\tx", "", "a=b", None, "用户"]
    guarded = guard_column(pa.array(cells)).to_pylist()
    assert guarded == [None if cell is None else guard_cell(cell) for cell in cells]


def test_pseudonyms_are_salted_sha256() -> None:
    assert pseudonym("17", "salt") == hashlib.sha256(b"salt17").hexdigest()
    assert pseudonym("17", "a") != pseudonym("17", "b")
    assert pseudonym("用户", "") == hashlib.sha256("用户".encode()).hexdigest()


def test_columns_of_mails_phones_cards_and_addresses_are_found_and_masked() -> None:
    found = detect_personal_columns(
        {
            "contact": ["anna@example.com", "bo@shop.example.org", None],
            "phone": ["5551234567", "555-123-4568"],
            "x": ["+1 650 555 1212", "+49 30 1234567"],
            "card": ["4111 1111 1111 1111", "5500005555555559"],
            "client_ip": ["192.168.0.1"],
            "last_name": ["Smith"],
        }
    )
    assert [(f.column, f.kind) for f in found] == [
        ("contact", "email"), ("phone", "phone"), ("x", "phone"), ("card", "card"), ("client_ip", "ip"), ("last_name", "person"),
    ]  # fmt: skip
    assert all("example" not in f.example and "1111" not in f.example for f in found)


@pytest.mark.parametrize(
    "name",
    ["Billing Name", "Shipping Name", "First Name", "customer_name", "lastName", "Shipping Address1", "billing_street", "Nachname",
     "收货人", "客户姓名", "收货地址"],
)  # fmt: skip
def test_names_and_addresses_of_people_are_known_by_their_columns(name: str) -> None:
    (found,) = detect_personal_columns({name: ["x y", "z"]})
    assert (found.column, found.kind) == (name, "person")


@pytest.mark.parametrize("name", ["Lineitem name", "product_name", "filename", "event_name", "page_address", "Street View", "商品名称"])
def test_names_of_things_are_no_names_of_people(name: str) -> None:
    assert not detect_personal_columns({name: ["x y", "z"]})


def test_ids_times_prices_and_titles_are_not_taken_for_personal_data() -> None:
    assert not detect_personal_columns(
        {
            "user_id": [str(1000000 + i) for i in range(50)],
            "item": [f"sku-{i}" for i in range(50)],
            "timestamp": [str(1433221332117 + 7 * i) for i in range(50)],
            "date": ["2024-03-01", "2024-03-01 10:00:00", "01/03/2024"],
            "price": ["9.99", "1299.00"],
            "title": ["Blue shirt (2 pack)", "iPhone @ home"],
            "hotel": ["12345678"],
            "session": ["123-4567-890"],
            "empty": [None, ""],
        }
    )
