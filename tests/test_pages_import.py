"""The import form of the Data page: what it asks, what it refuses, and what the page shows afterwards."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from core.artifacts import write_json
from core.ingest.ingest import IngestRequest, ingest_log
from core.ingest.mapping import Mapping
from core.jobs.job import Job
from core.store import Home
from tests.test_pages import PAGES, open_page, words

HEADER = "user_id,item_id,event_type,event_time\n"


Started = list[tuple[list[str], dict[str, Any]]]


@pytest.fixture
def form(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., AppTest]:
    """Write a file and open the form for it by its path."""
    monkeypatch.setenv("SHOPPER_ATLAS_ROOTS", str(tmp_path))

    def show(text: str, name: str = "log.csv", lang: str = "en") -> AppTest:
        (tmp_path / name).write_text(text, encoding="utf-8")
        app = open_page("data", tmp_path / "home", monkeypatch, lang)
        app.radio(key="import-way").set_value(True).run()
        app.text_input(key="path-events-0").set_value(str(tmp_path / name)).run()
        assert not app.exception, words(app)
        return app

    return show


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Started:
    """Command lines and mappings of the jobs that the form starts; none runs."""
    given: Started = []

    def start(_home: Home, argv: list[str], _title: str) -> str:
        given.append((argv, json.loads(Path(argv[argv.index("--map") + 1]).read_text(encoding="utf-8"))))
        return "20240101-000000-abcdef"

    monkeypatch.setattr("pages.parts.importing.start_job", start)
    return given


def test_dates_that_nothing_decides_are_asked_for_before_the_import(form: Callable[..., AppTest], started: Started) -> None:
    app = form(HEADER + "u1,a,view,03/04/2024 10:00\nu2,b,view,05/02/2024 11:00\n")
    question = app.radio(key="date-order-log.csv")
    assert "03/04/2024" in question.label and question.value is None
    assert app.button(key="import").disabled and "the order of day and month" in words(app)
    question.set_value("month_first").run()
    app.button(key="import").click().run()
    assert started[0][1]["events"]["date_order"] == "month_first"


def test_dates_that_a_value_decides_are_not_asked_for(form: Callable[..., AppTest]) -> None:
    app = form(HEADER + "u1,a,view,03/04/2024 10:00\nu2,b,view,25/02/2024 11:00\n")
    assert not [radio for radio in app.radio if radio.key == "date-order-log.csv"]
    assert not app.button(key="import").disabled


def test_a_correlation_matrix_is_refused_with_what_it_lacks(form: Callable[..., AppTest]) -> None:
    names = ["BounceRates", "ExitRates", "PageValues"]
    rows = [",".join([name, *(f"{0.1 * (i + j):.3f}" for j in range(3))]) for i, name in enumerate(names)]
    app = form("\n".join([",".join(["", *names]), *rows]))
    assert "shows no column for user_id and event_time" in app.error[0].value.replace("\\", "")
    assert app.button(key="import").disabled


def test_a_log_with_words_of_its_own_is_proposed_by_its_values(form: Callable[..., AppTest]) -> None:
    rows = "".join(f"b{n % 5},2024-03-0{n} 10:00:00,view,a{n % 3}\n" for n in range(1, 9))
    app = form("Besucherin,Wannwars,Tatwort,Dingsda\n" + rows)
    assert not app.error and "shows no column" in app.warning[0].value
    chosen = {name: app.selectbox(key=f"map-events-log.csv-{name}").value for name in ("user_id", "event_time", "event_type", "item_id")}
    assert chosen == {"user_id": "Besucherin", "event_time": "Wannwars", "event_type": "Tatwort", "item_id": "Dingsda"}
    assert any("please check" in caption.value for caption in app.caption)


def test_a_column_of_a_few_words_is_not_proposed_as_the_shopper(form: Callable[..., AppTest]) -> None:
    lines = "".join(f"{'bts' if n % 2 else 'random'},2024-01-0{n % 9 + 1} 10:00:00,{n},1\n" for n in range(20))
    app = form("behavior_policy,timestamp,item_id,position\n" + lines)
    assert app.selectbox(key="map-events-log.csv-user_id").value == ""
    assert app.button(key="import").disabled and "Still to choose" in words(app)


def test_personal_values_are_masked_in_the_preview_until_asked_for(form: Callable[..., AppTest]) -> None:
    rows = "".join(f"u{n},a,view,2024-03-0{n} 10:00:00,anna.{n}@example.org\n" for n in range(1, 9))
    app = form(HEADER.strip() + ",email\n" + rows)
    assert "anna.1@example.org" not in app.dataframe[0].value.to_csv()
    assert "anna.1@example.org" not in words(app)
    assert any("never stored" in info.value for info in app.info)
    app.toggle(key="show-personal-events-log.csv").set_value(True).run()
    assert "anna.1@example.org" in app.dataframe[0].value.to_csv()


def test_a_mapped_personal_column_becomes_pseudonyms_unless_a_person_says_otherwise(form: Callable[..., AppTest], started: Started) -> None:
    rows = "".join(f"anna.{n}@example.org,a,view,2024-03-0{n} 10:00:00\n" for n in range(1, 9))
    app = form(HEADER + rows)
    assert "anna.1@example.org" not in words(app)
    assert app.radio(key="personal-events-log.csv-user_id").value == "pseudonyms"
    app.button(key="import").click().run()
    assert started[0][1]["pseudonyms"] == ["user_id"]


def test_a_new_data_set_is_shown_as_soon_as_it_is_there(form: Callable[..., AppTest], started: Started, tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    old = tmp_path / "old.csv"
    old.write_text(HEADER + "u1,a,view,2024-01-01 10:00:00\n", encoding="utf-8")
    ingest_log(home.dataset("old", create=True), IngestRequest(events=(old,)))
    app = form(HEADER + "u1,a,view,2024-03-01 10:00:00\nu2,b,view,2024-03-02 10:00:00\n", "spring.csv")
    assert app.selectbox(key="dataset-choice").value == "old"
    app.button(key="import").click().run()
    assert started[0][0][:3] == ["run", "--dataset", "spring"]
    assert app.selectbox(key="dataset-choice").value == "old", "nothing is there to be shown yet"
    assert not [radio for radio in app.radio if radio.key == "append-spring"]
    ingest_log(home.dataset("spring", create=True), IngestRequest(events=(tmp_path / "spring.csv",)))
    app.run()
    assert app.selectbox(key="dataset-choice").value == "spring" and "**spring**" in words(app)
    assert [field.value for field in app.text_input if field.key == "path-events-1"] == [""], "what was imported is no longer in the form"
    app.selectbox(key="dataset-choice").set_value("old").run()
    assert "**old**" in words(app)


def test_a_file_that_is_in_already_makes_no_version_and_the_page_says_so(
    form: Callable[..., AppTest], started: Started, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, spring = Home(tmp_path / "home"), tmp_path / "spring.csv"
    spring.write_text(HEADER + "u1,a,view,2024-03-01 10:00:00\nu2,b,view,2024-03-02 10:00:00\n", encoding="utf-8")
    dataset = home.dataset("spring", create=True)
    first = ingest_log(dataset, IngestRequest(events=(spring,)))
    again = ingest_log(dataset, IngestRequest(events=(spring,), append=True))
    assert again["version"] == first["version"] and again["unchanged"] and set(again["added"].values()) == {0}
    job = Job("20240101-000000-abcdef", "Importing spring", (), "done", "ingest", 1.0, "finished", 0.0, 1.0, 1.0, None, 9.0, again, None)
    monkeypatch.setattr("pages.parts.importing.list_jobs", lambda _home: [job])
    app = form(spring.read_text(encoding="utf-8"), "spring.csv")
    app.button(key="import").click().run()
    app.run()
    assert "spring holds these files already" in words(app) and "spring is loaded" not in words(app)


def test_rules_that_judged_earlier_rows_otherwise_are_told_beside_the_notes_of_every_import(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = Home(tmp_path / "home").dataset("shop", create=True)
    bot = "".join(f"bot,a,view,2024-03-01 {n // 60:02d}:{n % 60:02d}:{n % 7:02d}\n" for n in range(900))
    first, second = tmp_path / "first.csv", tmp_path / "second.csv"
    first.write_text(HEADER + bot + "u1,a,looked,2024-03-01 10:00:00\n", encoding="utf-8")
    second.write_text(
        HEADER + bot.replace("2024-03-01", "2024-03-02").replace("bot", "bot2") + ",a,view,2024-03-02 10:00:00\n", encoding="utf-8"
    )
    ingest_log(dataset, IngestRequest(events=(first,), mapping=Mapping.from_json({"rules": {"robots": False}})))
    record = ingest_log(dataset, IngestRequest(events=(second,), append=True))
    robots = next(rule for rule in record["rules"] if rule["id"] == "robots")
    assert robots["on"] and [one["on"] for one in robots["earlier"]] == [False] and robots["count"] > 600
    assert any("judged by other settings" in warning and "Robots" in warning for warning in record["warnings"])
    assert any("looked" in warning for warning in record["earlier_warnings"])
    app = open_page("data", tmp_path / "home", monkeypatch)
    assert not app.exception and not app.error, words(app)
    rules = next(frame.value for frame in app.dataframe if "state" in frame.value and "rule" in frame.value)
    assert "on; earlier imports: off" in set(rules["state"])
    caught = next(frame.value for frame in app.dataframe if "user_id" in frame.value and "events" in frame.value)
    assert caught.to_dict("records") == [{"user_id": "bot2", "rows": robots["count"], "events": 900 - robots["count"]}]
    assert any("looked" in text.value for text in app.markdown)


def test_the_quarantine_of_an_earlier_version_has_its_own_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = Home(tmp_path / "home").dataset("shop", create=True)
    log = tmp_path / "log.csv"
    for broken in (5, 2):
        log.write_text(HEADER + "u1,a,view,2024-03-01 10:00:00\n" + ",a,view,2024-03-01 10:00:00\n" * broken, encoding="utf-8")
        ingest_log(dataset, IngestRequest(events=(log,)))
    app = open_page("data", tmp_path / "home", monkeypatch)
    assert app.selectbox(key="quarantine-rule-v0002").options[0].endswith("2")
    app.selectbox(key="version-shop-v0002").set_value("v0001").run()
    assert app.selectbox(key="quarantine-rule-v0001").options[0].endswith("5")


def test_stricter_rules_count_what_they_would_take(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = Home(tmp_path / "home").dataset("shop", create=True)
    log = tmp_path / "log.csv"
    times = ["10:00:00", "10:00:01", "10:00:03", "10:00:20"]
    prices = [10, 10, 11, 10, 9, 10, 500]
    rows = [f"u1,a,view,2024-03-01 {time},1" for time in times]
    rows += [f"u2,b,view,2024-03-0{day + 1} 09:00:00,{price}" for day, price in enumerate(prices)]
    log.write_text("user_id,item_id,event_type,event_time,price\n" + "\n".join(rows) + "\n", encoding="utf-8")
    ingest_log(dataset, IngestRequest(events=(log,)))
    app = open_page("data", tmp_path / "home", monkeypatch)
    table = next(
        frame.value for frame in app.dataframe if "examples" in frame.value and "rows" in frame.value and "state" not in frame.value
    )
    assert table["rows"].tolist() == [1, 2, 2, 1]
    assert "price 500" in table["examples"].iloc[3]


def test_rows_with_a_session_but_no_shopper_are_asked_about(form: Callable[..., AppTest], started: Started) -> None:
    rows = "".join(f"{'' if n % 3 else f'u{n}'},s{n},a,view,2024-03-0{n} 10:00:00\n" for n in range(1, 9))
    app = form("user_id,session_id,item_id,event_type,event_time\n" + rows)
    question = app.radio(key="sessions-log.csv")
    assert "6 of 8 rows" in question.label and question.value is False
    question.set_value(True).run()
    app.button(key="import").click().run()
    assert Mapping.from_json(started[0][1]).rules == {"null_user": False}


def test_relative_days_are_named_on_every_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = tmp_path / "orders.csv"
    lines = [f"u{n % 4},{n // 4 + 1},{7 if n >= 4 else ''},p{n}" for n in range(12)]
    log.write_text("user_id,order_number,days_since_prior_order,product_id\n" + "\n".join(lines), encoding="utf-8")
    ingest_log(Home(tmp_path / "home").dataset("shop", create=True), IngestRequest(events=(log,)))
    for page in PAGES:
        assert "relative days, no calendar dates" in words(open_page(page, tmp_path / "home", monkeypatch)), page


@pytest.mark.parametrize(
    "more, shown, hidden",
    [
        ({"state": "queued"}, "starting", "another job"),
        ({"state": "queued", "message": "waiting for another job to finish"}, "waiting for another job to finish", "starting"),
        (
            {"state": "running", "stage": "ingest", "share": 0.7, "message": "sorting", "step_started": -9},
            "sorting · for 9 s",
            "another job",
        ),
        ({"state": "running", "stage": "ingest", "share": 0.7, "message": "sorting", "step_started": 0}, "sorting", "sorting ·"),
    ],
)
def test_a_job_says_what_it_does_and_a_long_step_how_long(
    more: dict[str, Any], shown: str, hidden: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1_800_000_000.0
    monkeypatch.setattr("core.jobs.job.time.time", lambda: now)
    monkeypatch.setattr("core.jobs.job.is_alive", lambda status: True)
    folder = tmp_path / "jobs" / "20240101-000000-abcdef"
    folder.mkdir(parents=True)
    known = {"title": "Importing shop", "argv": ["ingest"], "started": now - 20, "heartbeat": now, "pid": os.getpid()}
    times = {"step_started": now + more["step_started"]} if "step_started" in more else {}
    write_json(folder / "status.json", known | more | times)
    page = words(open_page("data", tmp_path, monkeypatch))
    assert "Importing shop" in page and shown in page and hidden not in page
