"""The reasons beside rows that were put aside or merged can be said in another language."""

import re
from pathlib import Path

import pytest

from core.ingest import row_reasons
from core.ingest.row_reasons import row_reason
from core.messages import Message
from pages.parts.text import said, set_language

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize(
    ("text", "template", "values"),
    [
        ("equal to row 13", "equal to row {row}", {"row": "13"}),
        ("equal to row 13 of a of b.csv", "equal to row {row} of {file}", {"row": "13", "file": "a of b.csv"}),
        ("time 2024-13-01 cannot be read", "time {time} cannot be read", {"time": "2024-13-01"}),
        ("time 2090-01-01 00:00:00", "time {time}", {"time": "2090-01-01 00:00:00"}),
        ("price -3.0000", "price {price}", {"price": "-3.0000"}),
        ("price 900.0000, usually 9.00", "price {price}, usually {usual}", {"price": "900.0000", "usual": "9.00"}),
        ("quantity is no number", "quantity is no number", {}),
        ("line 7: 3 fields instead of 4", "line {line}: {found} fields instead of {width}", {"line": "7", "found": "3", "width": "4"}),
    ],
)
def test_a_stored_reason_finds_its_template_again(text: str, template: str, values: dict[str, str]) -> None:
    found = row_reason(text)
    assert isinstance(found, Message)
    assert (str(found), found.template, dict(found.values)) == (text, template, values)


def test_a_reason_with_braces_of_the_file_or_of_no_template_stays_as_it_stands() -> None:
    assert str(row_reason("time {zone}\n'; DROP cannot be read")) == "time {zone}\n'; DROP cannot be read"
    assert row_reason("something that nobody wrote") == "something that nobody wrote"


def test_every_reason_that_sql_writes_has_a_template() -> None:
    written = set()
    for name in ("cleaning", "merging", "robots", "orders", "outliers", "attributes", "other_tables"):
        source = (ROOT / f"core/ingest/{name}.py").read_text()
        for fates in re.findall(r"INSERT INTO (?:fates|final\.merged|strays)(.*?)(?:\"\"\"|\n\n)", source, re.DOTALL):
            written |= {text for text in re.findall(r"'([a-z0-9{}_ ,]+?)'", fates) if " " in text.strip()}
    assert len(written) > 15
    ours = " | ".join(reason.template for reason in row_reasons._REASONS)
    plain = re.sub(r"\{\w+\}", "", ours)
    assert [text for text in sorted(written) if re.sub(r"\{\w+\}", "", text).strip(" ,") not in plain] == []


def test_a_chinese_screen_says_the_reason_in_chinese() -> None:
    set_language("zh")
    try:
        assert said(row_reason("equal to row 13")) == "与第 13 行相同"
    finally:
        set_language("en")
