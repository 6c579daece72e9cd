"""Names that come from people's files become safe identifiers and stay distinct."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.schema import ACTS, EVENT_TYPES, INTEREST_TYPES, slug
from core.store import identifier


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Household Size", "household_size"),
        ("  age ", "age"),
        ("年龄", "u5e74_u9f84"),
        ("2nd column", "c_2nd_column"),
        ("", "c"),
        ('a"; DROP', "a_drop"),
    ],
)
def test_a_name_becomes_lower_case_letters_digits_and_underscores(name: str, expected: str) -> None:
    assert slug(name).strip("_") == expected


@given(st.text(max_size=40))
def test_any_text_at_all_becomes_an_identifier_that_needs_no_escape(name: str) -> None:
    made = slug(name)
    assert 0 < len(made) <= 60
    assert set(made) <= set("abcdefghijklmnopqrstuvwxyz0123456789_")
    assert not made[0].isdigit()


def test_two_chinese_headers_stay_two_columns() -> None:
    assert slug("性别") != slug("年龄")


def test_text_of_a_person_never_becomes_an_identifier_unslugged() -> None:
    with pytest.raises(ValueError, match="not a slug"):
        identifier('age"; DROP TABLE events; --')


def test_every_act_that_can_be_asked_for_is_an_event_type_that_shows_interest() -> None:
    assert set(ACTS) <= set(EVENT_TYPES)
    assert set(ACTS) == set(INTEREST_TYPES)
