"""The quality report: it adds up, and says it in words that fit."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.ingest.report import quality_report
from core.ingest.report_page import report_page
from core.ingest.report_words import gap_days_sentence, partial_day_sentence
from core.ingest.rules import RULES
from core.store import Dataset

EXPORTS = Path(__file__).parent / "files" / "exports"
HEADER = "user_id,item_id,event_type,event_time,price\n"

Ingest = Callable[..., dict[str, Any]]


def test_the_report_adds_up(ingest: Ingest, dataset: Dataset) -> None:
    record = ingest(
        HEADER
        + "u1,a,view,2024-03-01 10:00:00,1\nu1,a,view,2024-03-01 10:00:00,1\n"
        + ",a,view,2024-03-03 10:00:00,1\nu2,a,cart,2024-03-04 11:00:00,1\n"
    )
    with dataset.log().history() as connection:
        report = quality_report(connection, dataset.manifest())
    assert report["accounting_closes"]
    assert sum(step["rows"] for step in report["waterfall"][:-1]) == record["rows_kept"]
    assert report["gap_days"] == ["2024-03-02", "2024-03-03"]
    assert {rule["id"]: rule["examples"] for rule in report["rules"]}["null_user"][0]["text"] == ",a,view,2024-03-03 10:00:00,1"
    assert report["users"]["one_event_share"] == 1.0


def test_orders_joined_to_their_lines_are_not_called_duplicates(ingest: Ingest, dataset: Dataset) -> None:
    ingest(EXPORTS / "instacart_orders.csv", EXPORTS / "instacart_order_products.csv")
    with dataset.log().history() as connection:
        report = quality_report(connection, dataset.manifest())
    assert [(step["step"], step["rows"]) for step in report["waterfall"]] == [("rows_read", 12), ("order_heads", -5), ("rows_kept", 7)]
    assert report["duplicates"] == {"rows": 0, "share": 0.0} and report["accounting_closes"]


def test_the_report_as_a_page_calls_rules_by_their_names(ingest: Ingest, dataset: Dataset) -> None:
    ingest("user_id,item_id,event_type,event_time,price,currency\n,a,view,2024-03-01 10:00:00,1,USD\nu1,a,view,2024-03-02 10:00:00,1,EUR\n")
    with dataset.log().history() as connection:
        page = report_page(quality_report(connection, dataset.manifest()))
    assert "1 row was quarantined by rule “No shopper id”." in page and "switch the rule “Another currency” on" in page
    assert not [rule.id for rule in RULES if "_" in rule.id and rule.id in page]


@pytest.mark.parametrize(
    ("events", "begin", "end", "told"),
    [
        (1, "00:00", "00:00", "1 event, at 00:00; 1,000 on a usual day."),
        (2, "00:00", "00:00", "2 events, all at 00:00; 1,000 on a usual day."),
        (1500, "09:00", "21:30", "09:00 to 21:30: 1,500 events, 1,000 on a usual day."),
    ],
)
def test_a_day_covered_in_part_is_told_in_words_that_fit_its_events(events: int, begin: str, end: str, told: str) -> None:
    day = {"day": "2024-03-01", "from": begin, "to": end, "events": events, "usual_events": 1000}
    assert partial_day_sentence(day).endswith(told)


def test_days_without_events_are_counted_in_words_that_fit() -> None:
    assert gap_days_sentence([], 2) == "No day without events."
    assert gap_days_sentence(["2024-03-01"], 2) == "1 day without events: 2024-03-01"
    assert gap_days_sentence(["2024-03-01", "2024-03-02", "2024-03-04"], 2) == "3 days without events: 2024-03-01, 2024-03-02 …"


def test_the_report_tells_when_values_are_missing_and_of_what(ingest: Ingest, dataset: Dataset) -> None:
    rows = ["user_id,item_id,event_type,event_time,price,quantity,dwell_seconds"]
    rows += [f"u{n},a,view,2024-03-01 0{n}:00:00,5,,30" for n in range(4)]
    rows += [f"u{n},a,view,2024-03-02 0{n}:00:00,,,{'' if n else 30}" for n in range(4)]
    rows += ["u1,a,purchase,2024-03-02 05:00:00,5,2,", "u2,a,purchase,2024-03-02 06:00:00,5,,"]
    manifest = ingest("\n".join(rows) + "\n")
    with dataset.log().history() as connection:
        report = quality_report(connection, manifest)
    nulls = {row["column"]: (row["nulls"], row["share"], row["of"]) for row in report["nulls"]}
    assert nulls["price"] == (4, 0.4, "events")
    assert nulls["quantity"] == (1, 0.5, "purchases"), "a view has no quantity to lack"
    assert nulls["dwell_seconds"] == (5, 0.5, "events")
    periods = report["nulls_by_period"]
    assert periods["unit"] == "day"
    first, second = periods["periods"]
    assert (first["period"], first["price"], first["quantity"], first["dwell_seconds"]) == ("2024-03-01", 0.0, None, 0.0)
    assert (second["price"], second["quantity"]) == (pytest.approx(4 / 6), 0.5)
    assert second["dwell_seconds"] == pytest.approx(5 / 6)
