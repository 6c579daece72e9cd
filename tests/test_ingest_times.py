"""Times of a log: forms, zones, the order of day and month, and what lies far from the rest."""

from datetime import date, datetime

import duckdb
import pytest

from core.errors import MappingError
from core.ingest.date_order import weigh_date_order
from core.ingest.month_names import month_words
from core.store import Dataset
from tests.test_ingest import HEADER, Ingest, events, query


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1628810400", "2021-08-12 23:20:00"),
        ("1628810400000", "2021-08-12 23:20:00"),
        ("1628810400000000", "2021-08-12 23:20:00"),
        ("2021-08-12T23:20:00Z", "2021-08-12 23:20:00"),
        ("2021-08-13 07:20:00+08:00", "2021-08-12 23:20:00"),
        ("2021-08-12 23:20:00 UTC", "2021-08-12 23:20:00"),
        ("2021/08/12T23:20:00", "2021-08-12 23:20:00"),
        ("20210812", "2021-08-12 00:00:00"),
        ("20210812232000", "2021-08-12 23:20:00"),
        ("2021年8月12日 23:20", "2021-08-12 23:20:00"),
        ("8/25/2021 11:20 PM", "2021-08-25 23:20:00"),
        ("2021-08-25 11:20:00 pm", "2021-08-25 23:20:00"),
        ("2021-08-25 08:20:00 EST", "2021-08-25 13:20:00"),
        ("25.08.2021 23:20", "2021-08-25 23:20:00"),
        ("25-Aug-2021", "2021-08-25 00:00:00"),
    ],
)
def test_times_of_many_forms_become_utc(ingest: Ingest, dataset: Dataset, text: str, expected: str) -> None:
    ingest(f"user_id;item_id;event_type;event_time\nu1;a;view;{text}\n")
    assert events(dataset, "event_time") == [(datetime.fromisoformat(expected),)]


def test_times_without_a_zone_take_the_given_one(ingest: Ingest, dataset: Dataset) -> None:
    ingest(HEADER + "u1,a,view,2021-08-13 07:20:00,1\n", time_zone="Asia/Shanghai")
    assert events(dataset, "event_time") == [(datetime(2021, 8, 12, 23, 20),)]


def test_a_day_without_a_clock_starts_at_midnight_of_the_given_zone(ingest: Ingest, dataset: Dataset) -> None:
    ingest(HEADER + "u1,a,view,2021-08-13,1\n", time_zone="Asia/Shanghai")
    assert events(dataset, "event_time") == [(datetime(2021, 8, 12, 16),)]


def test_one_value_above_twelve_decides_day_first_for_all(ingest: Ingest, dataset: Dataset) -> None:
    record = ingest(HEADER + "u1,a,view,03/04/2024 10:00,1\nu1,a,view,25/04/2024 10:00,1\n")
    assert events(dataset, "event_time") == [(datetime(2024, 4, 3, 10),), (datetime(2024, 4, 25, 10),)]
    assert not any("day-first or month-first" in warning for warning in record["warnings"])


def test_undecided_dates_are_asked_for_and_never_guessed(ingest: Ingest, dataset: Dataset) -> None:
    log = HEADER + "u1,a,view,03/04/2024 10:00,1\nu1,a,view,05/04/2024 10:00,1\n"
    with pytest.raises(MappingError, match="may be day-first or month-first, and no value decides it"):
        ingest(log)
    assert dataset.current()["version"] is None
    ingest(log, mapping={"events": {"columns": {}, "date_order": "month_first"}})
    assert events(dataset, "event_time") == [(datetime(2024, 3, 4, 10),), (datetime(2024, 5, 4, 10),)]
    ingest(log, mapping={"events": {"columns": {}, "date_order": "day_first"}})
    assert events(dataset, "event_time") == [(datetime(2024, 4, 3, 10),), (datetime(2024, 4, 5, 10),)]


@pytest.mark.parametrize(
    ("dates", "day", "why"),
    [
        (["03.04.2024", "05.04.2024"], datetime(2024, 4, 3), "with points between"),
        (["01/02/2024", "02/02/2024", "05/02/2024", "06/02/2024", "01/03/2024", "04/03/2024"], datetime(2024, 2, 1), "follow one another"),
        (["02/01/2024", "02/02/2024", "02/05/2024", "02/06/2024", "03/01/2024", "03/04/2024"], datetime(2024, 2, 1), "follow one another"),
        (["03/03/2024", "05/05/2024"], datetime(2024, 3, 3), ""),
    ],
)
def test_points_and_the_order_of_rows_decide_dates_without_asking(
    ingest: Ingest, dataset: Dataset, dates: list[str], day: datetime, why: str
) -> None:
    record = ingest(HEADER + "".join(f"u{i},a,view,{date},1\n" for i, date in enumerate(dates)))
    assert min(events(dataset, "event_time")) == (day,)
    assert any("day-first" in w or "month-first" in w for w in record["warnings"]) == bool(why)
    assert any(why in w for w in record["warnings"]) or not why


def test_an_order_of_dates_that_the_dates_contradict_is_refused(ingest: Ingest) -> None:
    log = HEADER + "u1,a,view,03/14/2024,1\nu1,a,view,03/15/2024,1\n"
    with pytest.raises(MappingError, match="says that dates are day-first, but 2 of them cannot be"):
        ingest(log, mapping={"events": {"columns": {}, "date_order": "day_first"}})
    with pytest.raises(MappingError, match="must be one of day_first, month_first"):
        ingest(log, mapping={"events": {"columns": {}, "date_order": "dmy"}})


def test_dates_that_would_lie_in_the_future_the_other_way_decide_it() -> None:
    with duckdb.connect(":memory:") as connection:
        connection.execute(
            "CREATE TABLE raw AS SELECT 0 AS source_file, 1 AS source_row, unnest(['01/02/2024', '01/04/2024']) AS event_time"
        )
        assert weigh_date_order(connection, date(2024, 1, 20)).found == "month_first"
        assert weigh_date_order(connection, date(2024, 6, 1)).found is None


def test_an_appended_file_is_read_in_the_order_of_the_rows_before(ingest: Ingest, dataset: Dataset) -> None:
    ingest(HEADER + "u1,a,view,25/04/2024,1\n")
    record = ingest(HEADER + "u1,a,view,03/05/2024,1\n", append=True)
    assert events(dataset, "event_time") == [(datetime(2024, 4, 25),), (datetime(2024, 5, 3),)]
    assert any("as in the rows before" in warning for warning in record["warnings"])


@pytest.mark.parametrize(
    ("usual", "odd"),
    [
        ("2024-03-0{n} 10:00:00", "1709460000"),
        ("2024-03-0{n}T10:00:00Z", "1709460000000"),
        ("17092{n}0000", "2024-03-03 10:00:00"),
        ("17092{n}0000", "1709460000000"),
        ("17092{n}0000000", "1709460000"),
        ("2{n}/03/2024 10:00", "2024-03-03 10:00:00"),
    ],
)
def test_a_time_in_another_form_is_read_when_it_can_mean_only_one_time_and_told(
    ingest: Ingest, dataset: Dataset, usual: str, odd: str
) -> None:
    rows = "".join(f"u{n},a,view,{usual.format(n=n)},1\n" for n in range(1, 6))
    record = ingest(HEADER + rows, HEADER + f"odd,a,view,{odd},1\n")
    assert record["rows_kept"] == 6
    assert query(dataset, "SELECT event_time FROM main.events WHERE user_id = 'odd'") == [(datetime(2024, 3, 3, 10),)]
    assert any("1 time is written in another form" in warning for warning in record["warnings"])


def test_a_unit_that_a_person_gave_holds_for_every_time(ingest: Ingest) -> None:
    rows = "".join(f"u{n},a,view,17092{n}0000,1\n" for n in range(1, 6))
    record = ingest(HEADER + rows + "odd,a,view,1709460000000,1\n", mapping={"events": {"columns": {}, "time_unit": "s"}})
    assert (record["rows_kept"], record["rows_quarantined"]) == (5, 1)


def test_a_given_time_format_settles_it(ingest: Ingest, dataset: Dataset) -> None:
    ingest(HEADER + "u1,a,view,03/04/2024 10:00,1\n", mapping={"events": {"columns": {}, "time_format": "%d/%m/%Y %H:%M"}})
    assert events(dataset, "event_time") == [(datetime(2024, 4, 3, 10),)]


def test_year_month_and_day_in_three_columns_are_joined(ingest: Ingest, dataset: Dataset) -> None:
    ingest("user_id,item_id,year,month,day\nu1,a,2024,3,1\nu1,b,2024,12,15\n")
    assert events(dataset, "event_time") == [(datetime(2024, 3, 1),), (datetime(2024, 12, 15),)]


def test_events_far_outside_the_bulk_are_named_and_kept(ingest: Ingest) -> None:
    usual = "".join(f"u{n % 9},a,view,2024-03-{1 + n % 28:02d} 10:{n % 60:02d}:00,1\n" for n in range(400))
    assert not any("outside the bulk" in warning for warning in ingest(HEADER + usual)["warnings"])
    record = ingest(HEADER + usual + "u1,a,view,2021-03-01 10:00:00,1\n")
    assert record["rows_kept"] == 401
    assert any("1 event lies far outside the bulk of the log, 2024-03-01 to 2024-03-28: on 2021-03-01" in w for w in record["warnings"])


MONTHS = {
    "French": ("lundi 4 mars 2024", "1er févr. 2024 à 14h05", "12 août 2023"),
    "German": ("3. März 2024, 14:05", "12. Dezember 2023", "4. Jan. 2024"),
    "Spanish": ("3 de enero de 2024 14:05", "12 feb 2024", "5 de septiembre de 2023"),
    "Polish": ("5 stycznia 2024", "7 maja 2024 10:01", "9 wrz 2023"),
    "Turkish": ("12 ağustos 2024", "3 kasım 2024", "1 Ocak 2024"),
}
READ = {
    "French": ["2024-03-04 00:00:00", "2024-02-01 14:05:00", "2023-08-12 00:00:00"],
    "German": ["2024-03-03 14:05:00", "2023-12-12 00:00:00", "2024-01-04 00:00:00"],
    "Spanish": ["2024-01-03 14:05:00", "2024-02-12 00:00:00", "2023-09-05 00:00:00"],
    "Polish": ["2024-01-05 00:00:00", "2024-05-07 10:01:00", "2023-09-09 00:00:00"],
    "Turkish": ["2024-08-12 00:00:00", "2024-11-03 00:00:00", "2024-01-01 00:00:00"],
}


@pytest.mark.parametrize("language", list(MONTHS))
def test_months_are_read_by_their_names_in_many_languages(ingest: Ingest, dataset: Dataset, language: str) -> None:
    text = "user_id,item_id,event,date\n" + "".join(f'u{i},i{i},view,"{date}"\n' for i, date in enumerate(MONTHS[language]))
    ingest(text)
    assert [row[1] for row in sorted(events(dataset, "source_row, event_time::VARCHAR"))] == READ[language]


def test_no_word_means_two_months() -> None:
    english = {"jan": 1, "feb": 2, "apr": 4, "jun": 6, "jul": 7, "sep": 9, "nov": 11}
    assert {word: month_words()[word] for word in english} == english
    assert (month_words()["marz"], month_words()["mai"], month_words()["dezember"]) == (3, 5, 12)


@pytest.mark.parametrize(("clock", "offset"), [("16:00", "+08:00"), ("18:30", "+05:30"), ("05:00", "-05:00")])
def test_a_log_of_days_says_whose_midnight_its_times_are(ingest: Ingest, clock: str, offset: str) -> None:
    record = ingest("user_id,item_id,event_type,event_time\n" + "".join(f"u{n},i{n},view,2024-03-0{n} {clock}:00\n" for n in range(1, 6)))
    assert any(f"which is midnight at UTC{offset}" in str(warning) for warning in record["warnings"])


def test_a_log_of_days_at_midnight_says_nothing_of_it(ingest: Ingest) -> None:
    record = ingest("user_id,item_id,event_type,event_time\n" + "".join(f"u{n},i{n},view,2024-03-0{n}\n" for n in range(1, 6)))
    assert not any("midnight" in str(warning) for warning in record["warnings"])
