"""Every page on an empty home, on a tiny dataset, and after one click; errors become sentences."""

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest
from streamlit.util import calc_hash

from core.ingest.ingest import IngestRequest, ingest_log
from core.ingest.mapping import Mapping
from core.ingest.rules import RULES, settle_rules
from core.pipeline import outcomes, screens, shoppers
from core.store import Home
from pages.parts import cleaning
from pages.parts.words import rule_word
from tests.page_worlds import NASTY, tiny_home
from tests.worlds import at, publish_world

ROOT = Path(__file__).resolve().parents[1]
PAGES = ("data", "overview", "behaviour", "map", "shopper", "propensity", "why", "recommendations", "models", "search", "audiences")


def open_page(page: str, home: Path, monkeypatch: pytest.MonkeyPatch, lang: str = "en") -> AppTest:
    monkeypatch.setenv("SHOPPER_ATLAS_HOME", str(home))
    monkeypatch.chdir(ROOT)
    # from a string: beside app.py the test harness takes the folder pages/ for old-style pages and never runs app.py
    app = AppTest.from_string(f"import runpy\nrunpy.run_path({str(ROOT / 'app.py')!r})", default_timeout=60)
    app.query_params["lang"] = lang
    return go_to(app, page)


def go_to(app: AppTest, page: str) -> AppTest:
    app._page_hash = "" if page == "data" else calc_hash(page)
    return app.run()


def words(app: AppTest) -> str:
    return "\n".join(
        str(e.value) for kind in ("title", "markdown", "caption", "info", "warning", "error", "subheader") for e in app.get(kind)
    )


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_home(tmp_path_factory.mktemp("tiny"), users=240)


@pytest.mark.parametrize("page", PAGES)
def test_an_empty_home_offers_the_sample_on_every_page(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_page(page, tmp_path, monkeypatch)
    assert not app.exception and not app.error
    assert [b.label for b in app.button if b.key and b.key.startswith("empty-")] == ["Use the sample data", "Load a log"]


def test_load_a_log_on_an_empty_page_leads_to_the_form(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_page("map", tmp_path, monkeypatch)
    app.button(key="empty-load").click().run()
    assert not app.exception and app.title[0].value == "Data"


@pytest.mark.parametrize("lang", ["en", "zh"])
@pytest.mark.parametrize("page", PAGES)
def test_every_page_draws_a_tiny_dataset_in_both_languages_and_markup_in_a_title_as_it_stands(
    page: str, lang: str, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = open_page(page, tiny, monkeypatch, lang)
    assert not app.exception and not app.error, words(app)
    assert ("960 rows kept" if lang == "en" else "保留 960 行") in words(app)
    assert "tiny" in words(app)
    assert NASTY not in words(app) and "![x](" not in words(app)


@pytest.mark.parametrize("page", PAGES)
def test_every_page_draws_a_log_without_any_run(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_page(page, tiny_home(tmp_path, users=3, runs=False), monkeypatch)
    assert not app.exception and not app.error, words(app)
    if page in ("map", "propensity", "recommendations"):
        assert any(b.key and b.key.startswith("run-all-") for b in app.button)


def test_no_page_says_anything_in_english_when_chinese_is_chosen(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_page("overview", tiny, monkeypatch, "zh")
    assert app.title[0].value == "概览"
    assert [metric.label for metric in app.metric][:2] == ["顾客", "会话"]


def test_choosing_a_language_keeps_it_in_the_address(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_page("data", tiny, monkeypatch)
    app.selectbox(key="language-choice").set_value("zh").run()
    assert app.title[0].value == "数据"
    assert app.query_params["lang"] in ("zh", ["zh"])


def test_choosing_a_time_zone_moves_days_and_keeps_totals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_page("overview", tiny_home(tmp_path), monkeypatch)
    before = [metric.value for metric in app.metric]
    app.selectbox(key="zone-choice").set_value("Asia/Shanghai").run()
    assert "time zone Asia/Shanghai" in words(app)
    assert [metric.value for metric in app.metric] == before


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs made from v0001, whose last event is of 2024-03-12; the data on screen is v0002, which reaches a week further."""
    home = tiny_home(tmp_path_factory.mktemp("grown"))
    events = [{"user_id": f"u{n:03d}", "item_id": f"i{n % 6}", "event_type": "view", "event_time": at(n + 7)} for n in range(12)]
    publish_world(home, events, [{"item_id": f"i{n}", "title": f"Thing {n}"} for n in range(6)])
    return home


@pytest.mark.parametrize("page", PAGES)
def test_every_page_names_once_what_was_computed_from_which_older_version(page: str, grown: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_page(page, grown, monkeypatch)
    assert not app.exception and not app.error, words(app)
    told = "profiles, map and segments, purchase chances, recommendations computed from v0001; the data on screen is v0002."
    assert words(app).count(told) == 1
    assert words(app).count("the data on screen is") == 1 and not any("computed from" in warning.value for warning in app.warning)
    assert [b.label for b in app.button if b.label == "Compute everything"] == ["Compute everything"]


def test_a_chance_is_dated_by_the_end_of_the_log_that_it_was_computed_from(grown: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = words(open_page("overview", grown, monkeypatch)).replace("\u2011", "-")
    assert "2024-03-08 – 2024-03-19" in shown
    assert "chance of purchase within 7 days from 2024-03-12" in shown


def test_a_shopper_says_beside_each_result_that_it_is_of_an_older_version(grown: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_page("shopper", grown, monkeypatch)
    segment = next(text.value for text in app.markdown if text.value.startswith("**Segment**"))
    chance = next(text.value for text in app.caption if text.value.startswith("range"))
    assert segment.endswith("computed from v0001") and chance.endswith("computed from v0001")


def test_results_of_the_version_on_screen_need_no_word(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "computed from" not in words(open_page("shopper", tiny, monkeypatch))


def test_a_button_on_the_data_page_starts_a_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started = []
    monkeypatch.setattr("pages.parts.jobs.start_job", lambda home, argv, title: started.append(argv) or "20240101-000000-abcdef")
    app = open_page("data", tiny_home(tmp_path, runs=False), monkeypatch)
    app.button(key="compute").click().run()
    assert started == [["run", "--dataset", "tiny"]]


def test_saving_a_segment_as_audience_puts_it_on_the_audiences_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tiny_home(tmp_path)
    app = open_page("map", home, monkeypatch)
    app.button(key="segment-save").click().run()
    here = screens.open_screen(Home(home), "tiny")
    assert [record["rule"] for record in outcomes.saved_audiences(here)] == [{"segment": [0]}]
    go_to(app, "audiences")
    assert "Evening \\[bold\\] buyers" in words(app)


def test_a_renamed_segment_keeps_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tiny_home(tmp_path)
    app = open_page("map", home, monkeypatch)
    app.text_input(key="rename-0").set_value("Night owls").run()
    app.button(key="rename-save").click().run()
    assert not app.exception
    assert "Night owls" in words(open_page("map", home, monkeypatch))


def test_a_rule_sizes_and_exports_an_audience(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tiny_home(tmp_path, users=40)
    app = open_page("audiences", home, monkeypatch)
    app.selectbox(key="rule-event-1").set_value("purchase").run()
    assert not app.error, words(app)
    assert app.metric[0].value == "20"
    app.button(key="audience-export").click().run()
    assert not app.exception and not app.error, words(app)
    written = list((home / "datasets" / "tiny" / "exports").glob("*.csv"))
    assert len(written) == 1
    assert len(written[0].read_text(encoding="utf-8-sig").splitlines()) - 1 <= 20


def test_a_map_below_the_gate_says_both_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = words(open_page("map", tiny_home(tmp_path), monkeypatch)).replace("\\", "")
    assert f"needs {shoppers.LEAST_USERS} shoppers; this log has 12" in shown


def test_a_damaged_run_becomes_a_sentence_without_a_trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tiny_home(tmp_path)
    (home / "datasets/tiny/runs/atlas-0001/users.parquet").write_bytes(b"broken")
    app = open_page("map", home, monkeypatch)
    assert not app.exception
    assert "sha256" in app.error[0].value and "Traceback" not in words(app)


def test_our_own_mistake_becomes_a_sentence_with_a_log_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tiny_home(tmp_path)
    monkeypatch.setattr("core.pipeline.screens.coverage", lambda screen: 1 / 0)
    app = open_page("data", home, monkeypatch)
    assert not app.exception
    assert "Log id" in app.error[0].value and "ZeroDivision" not in words(app)


def test_switched_rules_and_their_numbers_reach_the_mapping_of_the_import(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[str] = []

    def start(_home: Home, argv: list[str], _title: str) -> str:
        given.append(Path(argv[argv.index("--map") + 1]).read_text(encoding="utf-8"))
        return "20240101-000000-abcdef"

    monkeypatch.setattr("pages.parts.importing.start_job", start)
    monkeypatch.setenv("SHOPPER_ATLAS_ROOTS", str(tmp_path))
    log = tmp_path / "log.csv"
    lines = [f"u{n % 5},i{n % 3},view,2024-01-0{1 + n % 7} 10:00:00" for n in range(40)]
    log.write_text("\n".join(["user_id,item_id,event_type,event_time", *lines]), encoding="utf-8")
    app = open_page("data", tmp_path / "home", monkeypatch)
    app.radio(key="import-way").set_value(True).run()
    app.text_input(key="path-events-0").set_value(str(log)).run()
    assert not app.exception and not app.error, words(app)
    app.toggle(key="rule-on-null_item").set_value(False).run()
    app.number_input(key="rule-duplicates-seconds").set_value(5).run()
    app.number_input(key="rule-robots-per_day").set_value(400).run()
    app.button(key="import").click().run()
    mapping = Mapping.from_json(given[0])
    assert mapping.rules == {"null_item": False, "duplicates": {"seconds": 5}, "robots": {"per_day": 400}}
    settled = settle_rules(mapping.rules)
    assert not settled["null_item"].on and settled["robots"].parameters["per_day"] == 400


LOG = """user_id,item_id,event_type,event_time,price,currency
u1,a,view,2024-03-01 10:00:00,1.50,USD
u1,a,view,2024-03-01 10:00:00,1.50,USD
,b,view,2024-03-02 10:00:00,2.50,USD
,c,cart,2024-03-02 11:00:00,a_long_word_in_the_place_of_a_price,USD
u2,a,purchase,2024-03-04 12:00:00,1.50,EUR
u3,a,purchase,2024-03-05 12:00:00,-1.50,USD
"""


@pytest.fixture(scope="module")
def soiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log of which several rules took rows."""
    folder = tmp_path_factory.mktemp("soiled")
    (folder / "log.csv").write_text(LOG, encoding="utf-8")
    ingest_log(Home(folder / "home").dataset("soiled", create=True), IngestRequest((folder / "log.csv",)))
    return folder / "home"


@pytest.mark.parametrize(("lang", "name"), [("en", "“No shopper id”"), ("zh", "“没有顾客编号”")])
def test_the_notes_of_the_import_call_rules_by_their_names(lang: str, name: str, soiled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = words(open_page("data", soiled, monkeypatch, lang)).replace("\\", "")
    assert name in shown
    assert not [rule.id for rule in RULES if "_" in rule.id and rule.id in shown]


def test_the_data_page_lists_each_rule_with_its_first_rows_whole(soiled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = words(open_page("data", soiled, monkeypatch)).replace("\\", "")
    lines = shown.splitlines()
    place = lines.index("- **No shopper id** · No user id. Switched off, rows with a session id are kept under that session.")
    assert lines[place + 1 : place + 3] == [f"    - {line}" for line in LOG.splitlines()[3:5]]
    assert all(f"- **{rule_word(rule.id)}** · {rule.description}" in lines for rule in RULES)


def test_every_number_of_every_rule_has_a_word() -> None:
    named = {f"{rule.id}.{name}" for rule in RULES if not rule.fixed for name in rule.parameters}
    assert named == cleaning.PARAMETER_WORDS.keys()


def test_the_map_page_tells_what_changed_since_the_earlier_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_page("map", tiny_home(tmp_path, users=240), monkeypatch)
    table = next(frame.value for frame in app.dataframe if "came" in frame.value)
    assert (table["before"] == table["stayed"] + table["left"] + table["gone"]).all() and table["before"].sum() == 239
    assert (table["now"] == table["stayed"] + table["came"] + table["new"]).all() and table["now"].sum() == 240
    assert table["segment"].tolist()[-1] == "Segment 2 of before"
    assert "238 of 239 shoppers (99.6%) stand in the same segment, 1 moved, 1 are new, 0 are gone" in words(app)
    assert any(tile.label == "Profiles changed" and tile.value == "2" for tile in app.metric)
