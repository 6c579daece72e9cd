"""A damaged log loads as its truth, or it is said what happened to it: never a changed figure without a word."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.damage import SILENT, ingest_bytes, judge, make_case, run
from tests.damages import DAMAGES


@pytest.mark.parametrize("damage", sorted(DAMAGES))
def test_each_damage_is_read_through_or_told(damage: str, tmp_path: Path) -> None:
    verdict = judge(make_case(20_240_301, damage), tmp_path)

    assert verdict.outcome != SILENT, verdict.detail


def test_damages_at_random_are_read_through_or_told() -> None:
    silent = [f"{case.seed} {case.damages}: {verdict.detail}" for case, verdict in run(25, 7) if verdict.outcome == SILENT]

    assert not silent, "\n".join(silent)


def test_the_oracle_sees_a_value_that_changed_without_a_word(tmp_path: Path) -> None:
    case = make_case(3, "mixed_newlines")
    sound = replace(case, data=case.clean)
    changed = replace(sound, truth=((*case.truth[0][:4], Decimal(1), *case.truth[0][5:]), *case.truth[1:]))

    assert judge(sound, tmp_path / "sound").outcome == "truth"
    assert judge(changed, tmp_path / "changed").outcome == SILENT


# A sound file of any values

_IDS = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=12).filter(
    lambda text: text == text.strip()
)
_PRICES = st.none() | st.integers(1, 10**7).map(lambda cents: Decimal(cents) / 100)
_ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "user_id": _IDS.map(lambda text: "u" + text + "0"),
            "item_id": _IDS.map(lambda text: "i" + text + "0"),
            "event_type": st.sampled_from(["view", "cart", "favourite", "purchase", "share", "click"]),
            "event_time": st.integers(1_600_000_000, 1_700_000_000).map(lambda second: datetime.fromtimestamp(second, UTC)),
            "price": _PRICES,
            "quantity": st.none() | st.integers(1, 99),
        }
    ),
    min_size=3,
    max_size=30,
    unique_by=lambda row: (row["user_id"], row["item_id"], row["event_type"], row["event_time"]),
)


@settings(
    max_examples=15,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(rows=_ROWS, delimiter=st.sampled_from([",", ";", "\t", "|"]), newline=st.sampled_from(["\n", "\r\n"]))
def test_what_is_written_is_what_is_read(rows: list[dict[str, Any]], delimiter: str, newline: str) -> None:
    table = pd.DataFrame(rows).assign(
        event_time=[row["event_time"].strftime("%Y-%m-%dT%H:%M:%SZ") for row in rows],
        order_id=[f"order-{number}" for number in range(len(rows))],
        query=None,
    )
    data = table.to_csv(index=False, sep=delimiter, lineterminator=newline).encode()

    with TemporaryDirectory() as folder:
        loaded = ingest_bytes(data, Path(folder) / "sound" / "log.csv")

    assert not loaded.quarantined
    assert loaded.events == Counter(
        (
            row["user_id"],
            row["item_id"],
            row["event_type"],
            row["event_time"].replace(tzinfo=None),
            None if row["price"] is None else row["price"].normalize(),
            None if row["quantity"] is None else Decimal(row["quantity"]).normalize(),
            None,
            f"order-{number}",
        )
        for number, row in enumerate(rows)
    )


@pytest.mark.parametrize("first", ['Our 5" nails', '5" nails', 'query 5",'])
def test_a_quote_above_the_header_opens_no_value(first: str, tmp_path: Path) -> None:
    queries = ['"x\ny"' if n == 12 else "tea" for n in range(30)]
    rows = [f"u{n},i{n},view,2024-03-01 10:{n:02}:00,{query}" for n, query in enumerate(queries)]
    data = "\n".join([first, "user_id,item_id,event_type,event_time,query", *rows, ""]).encode()

    loaded = ingest_bytes(data, tmp_path / "case" / "log.csv")

    assert loaded.events.total() == 30
    assert any("no part of the table" in warning for warning in loaded.warnings)


def test_shoppers_and_items_that_change_places_in_the_middle_are_told(tmp_path: Path) -> None:
    rows = [f"u{n % 7},p{n % 5},view,2024-03-{1 + n % 28:02d} 10:00:00" for n in range(60)]
    swapped = [",".join([row.split(",")[1], row.split(",")[0], *row.split(",")[2:]]) for row in rows[50:]]
    header = "user_id,item_id,event_type,event_time"
    found = ingest_bytes("\n".join([header, *rows[:50], *swapped, ""]).encode(), tmp_path / "a" / "log.csv")
    assert [w for w in found.warnings if w.startswith("From row 51 of log.csv on, rows hold what is an item elsewhere as shopper")]
    clean = ingest_bytes("\n".join([header, *rows, ""]).encode(), tmp_path / "b" / "log.csv")
    plain = [row.replace("u", "").replace("p", "") for row in rows]
    numbers = ingest_bytes("\n".join([header, *plain, ""]).encode(), tmp_path / "c" / "log.csv")
    assert not [w for w in (*clean.warnings, *numbers.warnings) if "as shopper" in w]
