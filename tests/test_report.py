"""Reports: self-contained, escaped, with every row and statement of what they show, on screen's own figures."""

import csv
import io
import json
import re
import zipfile
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

from core.artifacts import read_table
from core.errors import RuleError
from core.ingest.ingest import IngestRequest, ingest_log
from core.messages import say
from core.pipeline import behaviour, reporting, screens
from core.pipeline.behaviour import NO_FILTERS, Filters
from core.pipeline.exporting import RUN_TABLES
from core.pipeline.reporting import Asked, gather, make_report
from core.report.charts import plotly_figure
from core.report.drawings import drawing_of, round_ticks
from core.report.html import report_html
from core.report.paper import report_pdf
from core.report.record import Chart, Report
from core.report.speech import speaker
from core.store import Home
from tests.page_worlds import tiny_home
from tests.worlds import as_shown, at

NASTY = "<script>alert(1)</script> </script> “&” 漢字 😀"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_home(tmp_path_factory.mktemp("report"), users=60)


@pytest.fixture(scope="module")
def report(home: Path) -> Report:
    return gather(screens.open_screen(Home(home), "tiny"), Asked())


def test_the_page_needs_nothing_from_outside_and_no_word_of_the_data_becomes_code(report: Report) -> None:
    page = report_html(replace(report, title=NASTY, filters=(say("{x}", x=NASTY),)), str)
    assert "<script>alert" not in page and page.count("&lt;script&gt;alert(1)") == 3, "title, heading and filters"
    assert "default-src 'none'" in page
    own = re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)  # it opens none of its addresses
    assert not re.search(r"""(?:src|href)=["']?(?:https?:)?//""", own)
    assert "Plotly.newPlot" in page and len(page) > 3_000_000, "the library lies in the file"
    drawn = re.findall(r'data-figure="([^"]+)"', page)
    stored = {name: json.loads(text) for name, text in re.findall(r'<script type="application/json" id="([^"]+)">(.*?)</script>', page)}
    assert drawn and set(drawn) == set(stored) and all(figure["data"] for figure in stored.values())


def test_every_figure_has_its_definition_and_a_statement_that_gives_its_rows(home: Path, report: Report) -> None:
    log = screens.open_screen(Home(home), "tiny").log
    exhibits = [exhibit for section in report.sections for exhibit in section.exhibits]
    assert {exhibit.id for exhibit in exhibits} >= {"overview.figures", "funnel.steps", "retention.cohorts", "buyers.groups"}
    for exhibit in exhibits:
        if exhibit.id.startswith(("map.", "propensity.")):
            continue  # asked of exported tables, in the test below
        found = as_shown(log, behaviour.Answer(exhibit.table, exhibit.sql))
        names = [name for name in exhibit.table.column_names if found and name in found[0]]
        rows = [{name: row[name] for name in names} for row in found]
        assert names and all({name: row[name] for name in names} in rows for row in exhibit.table.to_pylist()), exhibit.id
        assert len(exhibit.definition) > 20


def test_the_statements_of_map_and_chances_run_on_the_exported_tables(home: Path, report: Report) -> None:
    """The rows of the map are found again; those of the chances are of no real run here, `verify` finds them on the samples."""
    dataset = Home(home).dataset("tiny")
    asked = [exhibit for part in report.sections if part.id in ("map", "propensity") for exhibit in part.exhibits]
    assert {exhibit.id for exhibit in asked} >= {"map.picture", "map.segments", "propensity.reliability", "propensity.lift"}
    with duckdb.connect() as connection:
        for name, (kind, file) in RUN_TABLES.items():
            if (path := dataset.run_path(kind) / file).is_file():
                connection.register(name, read_table(path))
        for exhibit in asked:
            found = connection.sql(exhibit.sql).to_arrow_table().to_pylist()
            names = [name for name in exhibit.table.column_names if name in found[0]]
            assert len(names) >= 2, exhibit.id
            for row in exhibit.table.to_pylist() if exhibit.id.startswith("map.") else []:
                assert any(all(row[name] == pytest.approx(other[name], abs=1e-6) for name in names) for other in found), exhibit.id


def test_the_zip_holds_all_rows_and_guards_formulas(report: Report) -> None:
    section = report.sections[1]
    exhibit = section.exhibits[0]
    table = exhibit.table.set_column(0, "category", [["=HYPERLINK(1)", *exhibit.table["category"].to_pylist()[1:]]])
    changed = replace(report, sections=(replace(section, exhibits=(replace(exhibit, table=table),)),))
    archive = zipfile.ZipFile(io.BytesIO(reporting.report_zip(changed, str)))
    assert set(archive.namelist()) == {"categories.table.csv", "categories.table.sql", "contents.json"}
    rows = list(csv.DictReader(io.StringIO(archive.read("categories.table.csv").decode("utf-8-sig"))))
    assert len(rows) == table.num_rows and rows[0]["category"] == "'=HYPERLINK(1)"
    assert archive.read("categories.table.sql").decode() == exhibit.sql


def test_paper_takes_any_letter_and_says_the_same_twice(report: Report) -> None:
    strange = replace(report, title=NASTY, filters=(say("{x}", x=NASTY),))
    first = report_pdf(strange, speaker("zh"))
    assert first.startswith(b"%PDF") and first == report_pdf(strange, speaker("zh"))
    assert b"STSong-Light" in first and b"STSong-Light" not in report_pdf(replace(report, sections=()), str)


@pytest.mark.parametrize(
    "chart",
    [
        Chart("bars", ("a",), (0,), say("Events")),
        Chart("bars", ("a", "a"), (None, 2), say("Events"), "percent", low=(0.0, 1.0), high=(0.0, 3.0)),
        Chart("line", ("2024-03-01",), (5,), say("Events"), hollow=(True,)),
        Chart("line", ("2024-03-01", "2024-03-08"), (None, None), say("Events")),
        Chart("grid", ("x", "y"), ((None, 1), (0, None)), say("Events"), columns=("0", "1")),
    ],
)
def test_a_chart_of_little_data_is_drawn_on_both(chart: Chart) -> None:
    figure = plotly_figure(chart, str)
    json.dumps(figure, allow_nan=False)
    assert figure["data"] and drawing_of(chart, str, 300).contents


@pytest.mark.parametrize("rows", [60, 400])
def test_a_chart_of_many_rows_fits_on_a_page_of_paper(rows: int, report: Report) -> None:
    labels = tuple(f"2019-{n:03d}" for n in range(rows))
    tall = Chart("bars", labels, tuple(range(rows)), say("Orders"), low=tuple(range(rows)), high=tuple(range(1, rows + 1)))
    wide = Chart("grid", labels, ((0.5, None),) * rows, say("Orders"), "percent", columns=("a", "b"))
    first = report.sections[0]
    exhibits = tuple(replace(first.exhibits[0], chart=chart) for chart in (tall, wide))
    made = report_pdf(replace(report, sections=(replace(first, exhibits=exhibits),)), str)
    assert made.startswith(b"%PDF")


def test_a_report_speaks_chinese_throughout(report: Report) -> None:
    tell = speaker("zh")
    exhibits = [exhibit for section in report.sections for exhibit in section.exhibits]
    told = [exhibit.title for exhibit in exhibits] + [exhibit.definition for exhibit in exhibits]
    told += [column.title for exhibit in exhibits for column in exhibit.columns] + [section.question for section in report.sections]
    assert not [sentence for sentence in told if tell(sentence) == sentence]
    assert tell(say("Report of {dataset}", dataset="x")) == "x 报告" and speaker("en")(told[0]) == told[0]


def test_a_filter_is_said_in_words_and_holds(home: Path) -> None:
    here = screens.open_screen(Home(home), "tiny")
    narrow = gather(here, Asked(("overview",), filters=Filters(attribute=("region", "north"), since=at(3))))
    assert [str(word) for word in narrow.filters] == ["from 2024-03-04", "region “north”"]
    shown = narrow.sections[0].exhibits[0].table.to_pylist()
    period = screens.period_of(here, None)
    assert shown == behaviour.figures(here, Filters(attribute=("region", "north"), since=at(3)), period).table.to_pylist()
    assert shown != behaviour.figures(here, NO_FILTERS, period).table.to_pylist()


def test_nothing_left_is_a_sentence_in_every_section(home: Path) -> None:
    here = screens.open_screen(Home(home), "tiny")
    empty = gather(here, Asked(filters=Filters(brand="none of them")))
    of_the_part = [section for section in empty.sections if section.id not in ("map", "propensity")]
    assert all(section.notes and not section.exhibits for section in of_the_part), [s.id for s in of_the_part if s.exhibits]
    assert report_pdf(empty, str).startswith(b"%PDF") and "Nothing is left" in report_html(empty, str)


def test_a_log_of_days_without_purchases_tells_no_conversion_and_no_hours(tmp_path: Path) -> None:
    rows = "".join(f"u{n % 9},i{n % 4},2024030{1 + n % 7},view,C{n % 4}\n" for n in range(70))
    (tmp_path / "log.csv").write_text("user_id,item_id,date,event_type,category\n" + rows, encoding="utf-8")
    ingest_log(Home(tmp_path).dataset("looked", create=True), IngestRequest(events=(tmp_path / "log.csv",)))
    made = gather(screens.open_screen(Home(tmp_path), "looked"), Asked(("overview", "categories"), language="zh"))
    overview, categories = made.sections
    assert [figure for _title, figure, _note in overview.tiles][2:] == ["–"] * 6 and overview.notes
    days = next(exhibit for exhibit in overview.exhibits if exhibit.id == "overview.hours")
    assert days.chart is not None and days.chart.kind == "bars" and sum(days.chart.values) == 70
    assert "buyers" not in {column.name for column in categories.exhibits[0].columns}
    tell = speaker("zh")
    told = [days.title, days.definition, categories.exhibits[0].title, categories.exhibits[0].definition, *overview.notes]
    assert not [sentence for sentence in told if tell(sentence) == str(sentence)]
    assert report_pdf(made, tell).startswith(b"%PDF")


def test_a_section_or_language_that_does_not_exist_is_refused(home: Path) -> None:
    for asked in (Asked(("nothing",)), Asked(()), Asked(language="fr")):
        with pytest.raises(RuleError, match="choose from"):
            make_report(Home(home), Home(home).dataset("tiny"), asked)


@pytest.mark.parametrize(
    ("most", "whole", "ticks"),
    [
        (1, True, [0, 1]),
        (3, True, [0, 1, 2, 3]),
        (1441, True, [0, 500, 1000, 1500]),
        (8, True, [0, 2, 4, 6, 8]),
        (0.37, False, [0, 0.1, 0.2, 0.3, 0.4]),
    ],
)
def test_ticks_are_round_and_stand_once(most: float, whole: bool, ticks: list[float]) -> None:
    assert round_ticks(most, whole=whole) == pytest.approx(ticks)


def test_groups_beyond_the_colours_have_marks_of_their_own_on_screen_and_paper() -> None:
    chart = Chart(
        "points", tuple(f"S{place}" for place in range(14)), tuple((place, place % 3, place) for place in range(14)), say("Segment")
    )
    traces = plotly_figure(chart, str)["data"]
    assert len({(trace["marker"]["color"], trace["marker"].get("symbol")) for trace in traces}) == 14
    marks = [shape for shape in drawing_of(chart, str, 400).contents if hasattr(shape, "r")]
    assert len({(str(mark.fillColor), str(mark.strokeColor)) for mark in marks}) == 14
