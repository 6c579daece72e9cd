"""Every page on an empty home, on a tiny dataset, and after one click; errors become sentences."""

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest
from streamlit.util import calc_hash

from core.ingest.mapping import Mapping
from core.ingest.rules import RULES, settle_rules
from core.pipeline import outcomes, screens, shoppers
from core.store import Home
from pages.parts import cleaning
from tests.page_worlds import NASTY, tiny_home

ROOT = Path(__file__).resolve().parents[1]
PAGES = ("data", "overview", "map", "shopper", "propensity", "recommendations", "audiences")


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
    assert [b.label for b in app.button if b.key == "empty-sample"] == ["Use the sample data"]


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


def test_an_unknown_shopper_is_answered_with_near_ids(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_page("shopper", tiny, monkeypatch)
    app.text_input(key="shopper-id").set_value("u00").run()
    assert "There is no shopper" in words(app)
    assert "u000" in [b.label for b in app.button if b.key and b.key.startswith("near-")]


def test_a_rule_sizes_and_exports_an_audience(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tiny_home(tmp_path, users=40)
    app = open_page("audiences", home, monkeypatch)
    app.selectbox(key="rule-event").set_value("purchase").run()
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
    app.text_input(key="path-events").set_value(str(log)).run()
    assert not app.exception and not app.error, words(app)
    app.toggle(key="rule-on-null_item").set_value(False).run()
    app.number_input(key="rule-duplicates-seconds").set_value(5).run()
    app.number_input(key="rule-robots-per_day").set_value(400).run()
    app.button(key="import").click().run()
    mapping = Mapping.from_json(given[0])
    assert mapping.rules == {"null_item": False, "duplicates": {"seconds": 5}, "robots": {"per_day": 400}}
    settled = settle_rules(mapping.rules)
    assert not settled["null_item"].on and settled["robots"].parameters["per_day"] == 400


def test_every_number_of_every_rule_has_a_word() -> None:
    named = {f"{rule.id}.{name}" for rule in RULES if not rule.fixed for name in rule.parameters}
    assert named == cleaning.PARAMETER_WORDS.keys()
