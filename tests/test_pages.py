"""Every page on an empty home, on a tiny dataset, and after one click; errors become sentences."""

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from streamlit.testing.v1 import AppTest
from streamlit.util import calc_hash

from core.artifacts import write_table
from core.ingest.ingest import IngestRequest, ingest_log
from core.ingest.mapping import Mapping
from core.ingest.rules import RULES, settle_rules
from core.pipeline import cards, outcomes, screens, shoppers
from core.pipeline.places import places
from core.store import Home
from pages.parts import cleaning
from pages.parts.words import rule_word
from tests.page_worlds import NASTY, tiny_home
from tests.worlds import at, publish_world

ROOT = Path(__file__).resolve().parents[1]
NOTHING = {
    "overlap": pa.array([], pa.float64()),
    "categories": pa.array([], pa.list_(pa.string())),
    "items": pa.array([], pa.int64()),
}
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


def test_an_unknown_shopper_is_answered_with_near_ids(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_page("shopper", tiny, monkeypatch)
    app.text_input(key="shopper-id").set_value("u00").run()
    assert "There is no shopper" in words(app)
    assert "u000" in [b.label for b in app.button if b.key and b.key.startswith("near-")]


def test_the_address_carries_the_shopper_who_is_typed_or_chosen(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_page("shopper", tiny, monkeypatch)
    assert "user" not in app.query_params, "nobody was chosen yet"
    app.text_input(key="shopper-id").set_value("u00").run()
    app.button(key="near-u000").click().run()
    assert app.query_params["user"] == "u000"
    app.text_input(key="shopper-id").set_value("u007").run()
    assert app.query_params["user"] == "u007"
    fresh = AppTest.from_string(f"import runpy\nrunpy.run_path({str(ROOT / 'app.py')!r})", default_timeout=60)
    fresh.query_params["user"] = "u007"
    go_to(fresh, "shopper")
    assert "Shopper u007" in words(fresh) and fresh.text_input(key="shopper-id").value == "u007"
    fresh.button(key="shopper-random").click().run()
    assert f"Shopper {fresh.query_params['user']}" in words(fresh)


@pytest.mark.parametrize("by_text", [True, False])
def test_every_one_of_the_most_alike_has_something_in_common_that_is_true(
    by_text: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tiny_home(tmp_path, users=40)
    dataset = Home(home).dataset("tiny")
    folder = dataset.run_path("profiles")
    ids, rng = [f"u{user:03d}" for user in range(40)], np.random.default_rng(0)
    made = {"events_all": rng.poisson(9, 40), "views_all": rng.poisson(9, 40), "days_since_event": rng.uniform(0, 40, 40)}
    with dataset.new_run("profiles", inputs={"version": "v0001"}, config={}, cutoff=None) as draft:
        write_table(draft.path / "counts.parquet", pa.table({"user_id": ids, **made, "price_mean": [None] * 20 + [2.5] * 20}))
        if by_text:
            shutil.copy(folder / "text.safetensors", draft.path)
    folder = dataset.run_path("profiles")
    monkeypatch.setattr(cards.shopper, "why_alike", lambda *_: pa.table({"user_id": pa.array([], pa.string()), **NOTHING}))
    app = open_page("shopper", home, monkeypatch)
    app.text_input(key="shopper-id").set_value("u001").run()
    assert not app.exception
    assert ("text profiles alone" if by_text else "has no text profiles") in words(app)
    near = next(table.value for table in app.dataframe if "similarity" in table.value.columns)
    counts = pq.read_table(folder / "counts.parquet").to_pandas().set_index("user_id")
    here = screens.open_screen(Home(home), "tiny")
    told = cards.alike_in(here, "u001", tuple(near["user_id"]))
    assert set(told["user_id"]) == set(near["user_id"]) and len(near) == 10
    for row in told.to_dict("records"):
        assert (row["own"], row["other"]) == (counts.loc["u001", row["feature"]], counts.loc[row["user_id"], row["feature"]])
    named = told.groupby("user_id")["feature"].agg(list)
    assert all(len(names) == 2 and "days_since_event" in names for names in named), "one of each group, none that is unknown"
    assert all("no category or item in common" in why and why.count(" and ") == 2 for why in near["why"])


def test_no_similarity_is_above_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = screens.open_screen(Home(tiny_home(tmp_path, users=12)), "tiny")
    above = np.full(12, 1.0000001, np.float32)
    monkeypatch.setattr(shoppers, "_similarities", lambda *_: (np.array([f"u{i:03d}" for i in range(12)], dtype=object), above))
    assert shoppers.nearest(here, "u001")["similarity"].max() == 1.0


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


def test_the_models_page_tells_what_each_block_of_the_profile_adds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_page("models", tiny_home(tmp_path, users=240), monkeypatch)
    assert not app.exception and not app.error, words(app)
    table = next(frame.value for frame in app.dataframe if "gain" in frame.value)
    assert table["blocks"].tolist() == ["counts", "the same, untaught", "counts + texts"], "sets without a block are told in sentences"
    assert table["weights"].tolist() == ["equal", "equal", "1 · 0.5"]
    assert table["gain"].tolist() == ["–", "-0.100 [-0.110, -0.090]", "+0.050 [+0.040, +0.060]"]
    assert table["behind"].tolist() == ["+0.050 [+0.040, +0.060]", "+0.150 [+0.140, +0.160]", "–"]
    unseen = next(frame.value for frame in app.dataframe if "positives" in frame.value and "band" in frame.value)
    assert unseen["band"].tolist() == ["all shoppers", "cold: 1 event", "hot: 5 or more events"]
    assert unseen["counts"].tolist() == ["0.700 [0.600, 0.800]"] * 3 and unseen["blocks"].tolist() == ["–"] * 3
    assert "**texts** helps: beside the others it adds +0.050 [+0.040, +0.060] of AUC." in words(app)
    assert "**graph** gets no weight" in words(app) and "**behaviour transformer**" not in words(app)
    assert "a difference of +0.010 [-0.010, +0.030]" in words(app)
    assert "Mean AUC over 4 categories within 7 days from 2024-03-13" in words(app)
    assert any(tile.label == "Surprise at the next item" and tile.value == "6.50 → 5.25" for tile in app.metric)
    assert any(tile.label == "Learned from" and tile.value == "960 acts" for tile in app.metric)
    assert "The newest 192 acts of a shopper reach the vector. 40 acts of 2 shoppers lie beyond;" in words(app)
    assert "for this version 2 of 240 histories were read, in 0.3 CPU s." in words(app)
    held = next(frame.value for frame in app.dataframe if "source" in frame.value).set_index("block")
    assert held.index.tolist() == [
        "counts", "behaviour transformer", "graph", "pictures", "facts", "items themselves", "histories told as text"
    ]  # fmt: skip
    assert held.loc["counts"].tolist()[1:] == ["2", "0.4", "0.0%"] and held.loc["histories told as text"].tolist()[1:] == [
        "24",
        "1.5",
        "0.0%",
    ]
    assert held.loc["behaviour transformer"].tolist()[1:] == ["128", "0.3", "0.4%"] and held.loc["graph", "empty"] == "–"
    foreseen = next(frame.value for frame in app.dataframe if "verdict" in frame.value)
    assert foreseen["verdict"].tolist() == ["better", "no clear difference"] and foreseen["interval"].tolist()[0] == "[0.250, 0.350]"
    assert any(tile.label == "Kept" and tile.value == "40.0%" for tile in app.metric)
    assert any(tile.label == "Budget" and tile.value == "64 tokens" for tile in app.metric)
    rivals = next(frame.value for frame in app.dataframe if "in_use" in frame.value)
    assert rivals["in_use"].tolist() == [False, True] and rivals["against"].tolist() == ["–", "+0.0100 [+0.0060, +0.0140]"]
    assert "An act counts half after **15 days**" in words(app)
    assert any(tile.label == "Items with a picture" and tile.value == "55.6%" for tile in app.metric)
    assert "colours and edges are counted" in words(app) and "2 name an address on the network, which is never fetched" in words(app)
    facts = next(frame.value for frame in app.dataframe if "read_as" in frame.value)
    assert facts["read_as"].tolist() == ["2 categories and “other”, 90.0% of the values stand alone", "number, mean 40.000, spread 9.000"]
    assert "sku: hardly any value comes twice" in words(app) and any("who they are" in warning.value for warning in app.warning)


def test_the_models_page_tells_what_was_measured_of_the_text_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_page("models", tiny_home(tmp_path, users=240), monkeypatch)
    assert not app.exception and not app.error, words(app)
    tables = [frame.value for frame in app.dataframe]
    tuned = next(table for table in tables if "trainable" in table)
    assert tuned["method"].tolist() == ["the model as it is", "LoRA", "counts, without the model"]
    assert "The weights of LoRA are kept" in words(app) and "which two halves belong to one history" in words(app)
    assert tuned["trainable"].tolist() == ["0.00%", "1.50%", "–"] and tuned["seconds"].tolist() == ["0", "42", "–"]
    assert tuned["gain"].tolist() == ["–", "+0.020 [+0.010, +0.030]", "+0.100 [+0.090, +0.110]"]
    form = next(table for table in tables if "cosine" in table).iloc[0].tolist()
    assert form[:5] == ["fewer layers, taught", "46 MB", "3,000", "0.900", "60.0%"]
    carried = next(table for table in tables if "labelled" in table)
    assert carried["gain"].tolist() == ["–", "+0.050 [+0.040, +0.060]"] and carried["alone"].tolist()[1] == "0.600"
    assert "Learned from other" in words(app)
    assert "Items themselves behind the profiles" in words(app)
    assert "16 of a budget of 16" in words(app) and "4 to each of 4 matrices" in words(app)
    drawn = next(
        f
        for f in (json.loads(chart.proto.spec) for chart in app.get("plotly_chart"))
        if f["data"][0].get("x") == ["attention.self.query", "output"]
    )
    assert drawn["data"][0]["y"] == ["layer 1: 4", "layer 2: 12"]


def test_measuring_the_text_model_starts_a_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started = []
    monkeypatch.setattr("pages.parts.jobs.start_job", lambda home, argv, title: started.append(argv) or "20240101-000000-abcdef")
    home = tiny_home(tmp_path / "home", users=240)
    pointers = home / "datasets" / "tiny" / "CURRENT"
    record = json.loads(pointers.read_text(encoding="utf-8"))
    record["runs"] = {kind: run for kind, run in record["runs"].items() if kind not in ("tuning", "compression")}
    pointers.write_text(json.dumps(record), encoding="utf-8")
    app = open_page("models", home, monkeypatch)
    app.button(key="measure-tuning").click().run()
    assert started == [["tune", "--dataset", "tiny"]]
    assert app.button(key="measure-compression").disabled and "The catalogue has 6 distinct texts; 40 are needed" in words(app)
    monkeypatch.setattr("core.pipeline.measurable.LEAST_TEXTS", 6)
    shutil.copytree(home, tmp_path / "again")
    app = open_page("models", tmp_path / "again", monkeypatch)
    app.button(key="measure-compression").click().run()
    assert started[1:] == [["compress", "--dataset", "tiny"]]


def test_a_statement_opens_the_events_behind_it_and_goes_with_them(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_page("shopper", tiny, monkeypatch)
    app.text_input(key="shopper-id").set_value("u001").run()
    assert "- Has ordered once" in words(app) and "Lookers › Part 2" in words(app).replace("\\", "")
    told = words(app).replace("\\", "")
    assert "- Stage of life: new" in told and "- RFM group: " in told
    ordered = next(b for b in app.button if b.key == "evidence-2")
    assert ordered.label == "events: 1"
    ordered.click().run()
    assert "Events behind the statement" in words(app)
    assert list(next(t.value for t in app.dataframe if "event_type" in t.value)["event_type"]) == ["purchase"]
    app.button(key="evidence-close").click().run()
    assert "Events behind the statement" not in words(app)
    app.get("button_group")[0].set_value(["view", "cart"]).run()
    assert not app.exception and "- Has ordered once" not in words(app) and "Has not bought" not in words(app)
    assert "Statements are made without these kinds of events: purchase" in words(app).replace("\\", "")
    app.get("button_group")[0].set_value(["view", "cart", "purchase"]).run()
    assert "Statements are made without" not in words(app)
    app.text_input(key="shopper-id").set_value("u003").run()
    assert not app.exception


def test_beside_a_shopper_of_few_events_stand_the_averages_of_her_segment(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = open_page("shopper", tiny, monkeypatch)
    app.text_input(key="shopper-id").set_value("u001").run()
    shown = words(app).replace("\\", "")
    assert "Known events of this shopper: 4. The averages of the segment below" in shown and "certainty" not in shown
    screen = screens.open_screen(Home(tiny), "tiny")
    everyone = places(screen)
    segment = int(everyone.segment_ids[everyone.row_of("u001") or 0])
    means = cards.segment_means(screen, segment)
    assert (
        means.shoppers == int((everyone.segment_ids == segment).sum()) and f"Averages of the segment (shoppers: {means.shoppers})" in shown
    )
    assert means.events == 4 and "- Events: 4.0" in shown
    assert abs(sum(share for _name, share in means.categories) - 1) < 1e-9 and means.categories[0][0] in shown
    bare = open_page("shopper", tiny_home(tmp_path, runs=False), monkeypatch)
    bare.text_input(key="shopper-id").set_value("u001").run()
    assert "There is no map with this shopper yet" in words(bare) and "Averages of the segment" not in words(bare)


def test_a_shopper_shows_the_segments_of_earlier_maps_one_for_each_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tiny_home(tmp_path, users=240)
    dataset = Home(home).dataset("tiny")
    first = dataset.run_path("atlas")
    table = pq.read_table(first / "users.parquet")
    moved = table.set_column(table.column_names.index("segment_id"), "segment_id", pc.subtract(1, table["segment_id"]).cast("int32"))
    for cutoff, users in ((at(5), moved), (at(5), table), (at(7), moved.filter(pc.not_equal(moved["user_id"], "u003")))):
        with dataset.new_run("atlas", inputs={"version": "v0001"}, config={}, cutoff=cutoff, make_current=False) as draft:
            write_table(draft.path / "users.parquet", users)
            write_table(draft.path / "segments.parquet", pq.read_table(first / "segments.parquet"))
    screen = screens.open_screen(Home(home), "tiny")
    past = cards.segment_history(screen, "u001")
    assert list(past["segment_id"]) == [1, 0, 1] and list(past["run"]) == ["atlas-0003", "atlas-0004", "atlas-0001"]
    assert list(past["as_of"].dt.to_pydatetime())[:2] == [at(5), at(7)]
    assert len(cards.segment_history(screen, "u003")) == 2, "the map of day 7 did not see her"
    (dataset.run_path("atlas", "atlas-0003") / "users.parquet").write_bytes(b"damaged")
    assert len(cards.segment_history(screen, "u001")) == 3, "the one before it, of the same reading, stands in"
    with dataset.new_run("atlas", inputs={"version": "v0001"}, config={}, cutoff=at(7.25), make_current=False) as draft:
        write_table(draft.path / "users.parquet", table)
        write_table(draft.path / "segments.parquet", pq.read_table(first / "segments.parquet"))
    app = open_page("shopper", home, monkeypatch)
    app.text_input(key="shopper-id").set_value("u001").run()
    assert not app.exception and [e.label for e in app.expander if "earlier maps" in e.label] == ["Segments on earlier maps (4)"]
    assert "- 2024-03-08 00:00: " in words(app) and "- 2024-03-08 06:00: " in words(app), "two maps of one day are told by the minute"


def test_the_map_page_tells_what_changed_since_the_earlier_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_page("map", tiny_home(tmp_path, users=240), monkeypatch)
    table = next(frame.value for frame in app.dataframe if "came" in frame.value)
    assert (table["before"] == table["stayed"] + table["left"] + table["gone"]).all() and table["before"].sum() == 239
    assert (table["now"] == table["stayed"] + table["came"] + table["new"]).all() and table["now"].sum() == 240
    assert table["segment"].tolist()[-1] == "Segment 2 of before"
    assert "238 of 239 shoppers (99.6%) stand in the same segment, 1 moved, 1 are new, 0 are gone" in words(app)
    assert any(tile.label == "Profiles changed" and tile.value == "2" for tile in app.metric)
