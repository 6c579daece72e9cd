"""Words, colours, downloads, settings: what holds on every page."""

import ast
import json
import re
import subprocess
import sys
import time
import tomllib
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from babel.messages.pofile import read_po

from core.atlas.names import WORDS as TRAIT_WORDS
from core.atlas.names import describe, spell, trait_words
from core.atlas.traits import Trait
from core.features.catalogue import FEATURES
from core.ingest.rules import RULES
from core.jobs import Job
from core.messages import say
from core.pipeline.places import DENSITY_CELLS, SAMPLE_POINTS
from core.predictor.judge import WHY, write_verdict
from core.predictor.models import BLENDS, EXTRA, FITS
from core.predictor.propensity import CLEARLY
from core.recommender.reasons import CODES
from pages.parts import chances, charts, jobs, text, traits, verdict, words
from pages.parts.downloads import csv_bytes
from pages.parts.text import _, chance, hover, percent, plain, points, set_language, short, whole, written
from tests.page_worlds import tiny_home
from tests.test_pages import open_page
from tests.test_pages import words as all_words

ROOT = Path(__file__).resolve().parents[1]
CONFIG = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text(encoding="utf-8"))
WORD_TABLES = {"PERIODS", "STAGES", "COVERAGE", "SOURCES", "WEEKDAYS"}


@pytest.fixture(autouse=True)
def english() -> Iterator[None]:
    set_language("en")
    yield
    set_language("en")


def core_words() -> set[str]:
    """English words of core that pages look up by code: features, cleaning rules, traits."""
    traits = {word for pair in TRAIT_WORDS.values() for word in pair}
    return {feature.description for feature in FEATURES} | {rule.description for rule in RULES} | traits


def msgids() -> set[str]:
    found: set[str] = core_words()
    for path in [ROOT / "app.py", *(ROOT / "pages").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("_", "say") and node.args:
                found |= {node.args[0].value} if isinstance(node.args[0], ast.Constant) else set()
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                name = node.targets[0].id
                if name.endswith("_WORDS") or name in WORD_TABLES:
                    values = node.value.values if isinstance(node.value, ast.Dict) else node.value.elts
                    found |= {v.value for v in values if isinstance(v, ast.Constant)}
    return found


def test_every_sentence_on_screen_has_a_chinese_translation_with_the_same_placeholders() -> None:
    words = text.catalogue("zh")
    missing = sorted(msgids() - words.keys())
    assert not missing
    fields = re.compile(r"\{[^}]*\}")
    assert not [m for m in msgids() if sorted(fields.findall(m)) != sorted(fields.findall(words[m]))]


def test_the_pages_know_every_model_and_the_rule_by_which_one_is_chosen() -> None:
    assert chances.EXTRA_MODELS == EXTRA and chances.CLEARLY == CLEARLY
    models = {*FITS, *BLENDS, *EXTRA}
    assert {name: str(why) for name, why in WHY.items()} == {name: why for name, why in verdict.WHY_WORDS.items() if name}
    assert models <= words.MODEL_WORDS.keys() and models <= verdict.CONTENDER_WORDS.keys()


def chinese(sentence: str) -> bool:
    return re.search(r"[\u4e00-\u9fff]", sentence) is not None


def test_each_trait_rule_reason_and_feature_has_a_chinese_label() -> None:
    set_language("zh")
    assert [code for kind, code in TRAIT_WORDS if not chinese(traits.trait_word(kind, code, "?"))] == []
    assert [rule.id for rule in RULES if not (chinese(words.rule_word(rule.id)) and chinese(words.rule_sentence(rule.id)))] == []
    assert [feature.name for feature in FEATURES if not chinese(words.feature_word(feature.name))] == []
    assert [code for code in CODES if not chinese(words.reasons_shown([code], ["x"], ["English."])[0])] == []


def some_parts() -> list[Trait]:
    figures = {"lift": 2.25, "low": 1.9, "high": 2.6, "n": 1312, "share_in": 0.41, "share_all": 0.18, "strength": 1.0}
    kinds = [("category", "SOFT DRINKS"), ("cadence", "weekly"), ("spend", "high"), ("feature", "price_mean"), ("item", "77")]
    return [Trait(1, kind, code, **figures) for kind, code in kinds]


def as_json(parts: list[Trait]) -> str:
    return json.dumps([{**vars(part), "words": trait_words(part, {})} for part in parts])


def test_segment_names_and_descriptions_are_put_together_as_core_does_and_speak_chinese() -> None:
    parts = [part for part in some_parts() if part.kind != "feature"]  # core's tables name the column, the page what it counts
    row = {"name_parts": as_json(parts), "size": 4321, "share": 0.123}
    assert traits.segment_name(spell(parts, {}) + " 2", row["name_parts"]) == spell(parts, {}) + " 2"
    assert traits.description(row) == describe(parts, {}, 4321, 0.123)
    assert traits.description({**row, "name_parts": "[]"}) == describe([], {}, 4321, 0.123)
    assert traits.segment_name("Mixed shoppers 3", "[]") == "Mixed shoppers 3"
    assert traits.trait_word("feature", "price_mean", "High price mean") == "High: mean price of the events that carry one"
    set_language("zh")
    assert traits.segment_name(spell(parts[:3], {}), as_json(parts[:3])) == "Soft Drinks · 每周 · 高消费"
    assert traits.segment_name("Mixed shoppers 3", "[]") == "混合顾客 3"
    assert traits.segment_name("Evening people", "[]") == "Evening people"
    assert "4,321 位顾客（12.3%）" in traits.description(row) and "2.2 倍" in traits.description(row)


@pytest.mark.parametrize("winner", ["mlp", "lightgbm"])
def test_the_verdict_on_screen_says_what_core_says_and_speaks_chinese(winner: str) -> None:
    labels = np.array([0, 1, 0, 0, 1, 0, 0, 1], dtype=float)
    chances = {name: np.linspace(low, 0.7, 8) for name, low in (("mlp", 0.1), ("mlp_counts", 0.2), ("lightgbm", 0.3), ("logistic", 0.4))}
    chances["lightgbm_text"] = np.linspace(0.15, 0.6, 8)
    chances["mean" if winner == "mlp" else "lightgbm"] = np.where(labels > 0, 0.6, 0.2)
    pair = ("lightgbm_text", "lightgbm") if winner == "lightgbm" else ("mlp", "mlp_counts")
    where, why = "Test window 2024-01-11 to 2024-01-18", "usual" if winner == "mlp" else "clearly"
    told = write_verdict(say("purchase"), labels, chances, winner, ["lightgbm", "logistic"], pair, where, why=why)
    manifest = {
        "verdict": told,
        "metrics": {"users": 8, "base_rate": labels.mean(), "base_log_loss": 0.6616},
        "windows": {"test": "2024-01-11T00:00:00", "horizon_days": 7.0},
        "config": {"act": "purchase"},
    }
    shown = verdict.sentences(manifest)
    assert shown[:2] == told["sentences"][:2]
    figures = re.compile(r"[+-]\d\.\d{4}")
    assert [figures.findall(s) for s in shown] == [figures.findall(s) for s in told["sentences"]]
    set_language("zh")
    assert all(chinese(sentence) for sentence in verdict.sentences(manifest))
    assert [figures.findall(s) for s in verdict.sentences(manifest)] == [figures.findall(s) for s in shown]
    assert verdict.sentences({"verdict": {"sentences": ["Counting wins here."]}}) == ["Counting wins here."]


def test_the_catalogue_holds_no_sentence_that_is_no_longer_used() -> None:
    with (ROOT / "locale/zh_CN/LC_MESSAGES/atlas.po").open("rb") as stream:
        used = {str(m.id) for m in read_po(stream, locale="zh_CN") if m.id}
    assert not sorted(used - msgids())


def test_a_point_sends_its_id_and_chance_once_and_what_a_group_shares_stands_in_its_template() -> None:
    points = pd.DataFrame({"x": [0.0, 1.0], "y": [0.0, 1.0], "user_id": ["<a>", "b"], "chance": ["1.0%", "–"], "group": [1, 1]})
    figure = charts.scatter_groups(points, [charts.Group(1, "Tea & nuts", "#000000")], charts.LIGHT, ("shopper", "chance"))
    trace = figure.data[0]
    assert list(trace.text) == ["&lt;a&gt;", "b"] and list(trace.hovertext) == ["1.0%", "–"]
    assert "Tea &amp; nuts" in trace.hovertemplate and trace.x.dtype == "float32"


def test_a_hover_card_counts_events_and_orders_and_the_largest_sample_stays_below_a_megabyte() -> None:
    rng, n = np.random.default_rng(0), SAMPLE_POINTS
    ids = [str(uuid.UUID(bytes=rng.bytes(16))) for _point in range(n)]
    counts = {"events": rng.poisson(30, n), "orders": rng.poisson(3, n)}
    points = pd.DataFrame({"x": rng.normal(size=n), "y": rng.normal(size=n), "user_id": ids, "chance": "12.3%", "group": 1, **counts})
    words_ = ("shopper", "chance", "events", "orders")
    figure = charts.scatter_groups(points, [charts.Group(1, "Tea", "#000000")], charts.LIGHT, words_)
    figure = charts.add_density(figure, rng.integers(0, 255, (DENSITY_CELLS, DENSITY_CELLS)).astype(np.uint8), (0, 1, 0, 1), charts.LIGHT)
    trace = figure.data[-1]
    assert trace.customdata.tolist() == points[["events", "orders"]].to_numpy().tolist()
    assert "<br>chance %{hovertext}<br>events %{customdata[0]:,}<br>orders %{customdata[1]:,}" in trace.hovertemplate
    assert len(figure.to_json()) < 1_000_000
    marked = charts.mark(figure, points[:2].assign(note=["", "similarity 0.9"]), ("u", "most alike"), charts.LIGHT, words_).data[-2]
    assert list(marked.hovertext) == ["similarity 0.9<br>chance 12.3%"] and "<br>%{hovertext}<br>events" in marked.hovertemplate


def test_a_long_name_stands_in_a_legend_in_lines_and_whole() -> None:
    name = "Smartphone · Buying directly · Very active · Premium prices & more"
    group = charts.Group(1, f"Low prices › {name}", "#000000", family="Low prices", part=name)
    shown = str(group.legend()["name"])
    assert shown.replace("<br>", " ") == name.replace("&", "&amp;") and "<br>" in shown
    assert group.legend()["legendgrouptitle"] == {"text": "Low prices"}
    assert charts.Group(1, "word " * 60, "#000000").legend()["name"].endswith("…")


def test_one_shopper_is_not_several() -> None:
    row = {"name_parts": "[]", "size": 1, "share": 1.0}
    assert traits.description(row) == "The only shopper of the log."


def test_the_server_listens_here_only_and_tells_nobody() -> None:
    server = CONFIG["server"]
    assert server["address"] == "127.0.0.1"
    assert server["allowedHosts"] == ["localhost", "127.0.0.1"]
    assert server["maxUploadSize"] == 200 and server["enableXsrfProtection"] and server["enableStaticServing"] is False
    assert CONFIG["browser"]["gatherUsageStats"] is False
    assert CONFIG["client"]["showErrorDetails"] == "none"
    assert "http" not in (ROOT / ".streamlit/config.toml").read_text(encoding="utf-8")


def test_nothing_draws_raw_html_or_a_fetched_icon() -> None:
    for path in [ROOT / "app.py", *(ROOT / "pages").rglob("*.py")]:
        source = path.read_text(encoding="utf-8").replace("st.html(sheet)", "")  # our own style sheets, files
        source = source.replace("st.html(drawing.rule(FIRST_PARTS[what]))", "")  # and one of a random word
        assert "unsafe_allow_html" not in source and "st.html" not in source, path
        assert 'page_icon=":material' not in source and "https://" not in source, path


def test_markup_in_data_is_shown_as_it_stands() -> None:
    assert plain("![x](http://e.example)") == "\\!\\[x\\]\\(http\\:\u2060//e.example\\)"
    assert plain(":red[hi] :material/home:") == "\\:\u2060red\\[hi\\] \\:\u2060material/home\\:"
    assert plain("a\n# b") == "a \\# b"
    assert hover("<b>%{x}</b>") == "&lt;b&gt;% {x}&lt;/b&gt;"
    assert hover('13" screen & case') == '13" screen &amp; case'


def test_cells_that_could_run_as_formulas_are_disarmed_and_numbers_are_not() -> None:
    table = pa.table({"title": ["=1+1", "@x", "-2", "ok", None], "value": [-1.5, 2.0, 3.0, 4.0, 5.0]})
    lines = csv_bytes(table).decode("utf-8-sig").splitlines()
    assert lines[1:] == ["'=1+1,-1.5", "'@x,2.0", "'-2,3.0", "ok,4.0", ",5.0"]
    assert csv_bytes(pd.DataFrame({"=a": ["商品"]})).startswith(b"\xef\xbb\xbf'=a")


def test_numbers_are_written_for_people() -> None:
    assert whole(987994) == "987,994" and short(987994) == "988K"
    set_language("zh")
    assert short(987994) == "98.8万"
    set_language("en")
    assert percent(0.0312) == "3.1%" and percent(0.0001) == "<0.1%" and percent(0.0) == "0.0%"
    assert chance(0.0) == "<0.1%" and chance(1.0) == ">99.9%" and chance(0.5) == "50.0%"
    assert whole(None) == "–" and percent(float("nan")) == "–"


def test_items_of_one_title_are_told_apart_by_their_ids() -> None:
    rows = pd.DataFrame({"item_id": ["1", "2", "3", "4"], "title": ["Juice", "Soup", None, "Juice"]})
    assert words.item_names(rows) == ["Juice · 1", "Soup", "3", "Juice · 4"]
    assert words.item_names(rows.head(0)) == []


def test_a_sentence_without_translation_stays_english() -> None:
    set_language("zh")
    assert _("never translated {n}", n=1) == "never translated 1"


def test_the_screen_process_loads_no_model_library() -> None:
    code = (
        "import sys, importlib, json\n"
        "names = 'frame state jobs charts controls importing quality atlas portrait chances lists audiences overview'\n"
        "for m in names.split():\n"
        "    importlib.import_module('pages.parts.' + m)\n"
        "heavy = ('torch','transformers','umap','lightgbm','sklearn','faiss','implicit','graspologic_native')\n"
        "print(json.dumps([m for m in heavy if m in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []


def test_a_course_touches_both_edges_and_a_flat_one_lies_in_the_middle() -> None:
    def heights(values: list[float]) -> list[float]:
        line = re.findall(r'<polyline points="([^"]+)"', charts.course(values, charts.LIGHT))[0]
        return [float(point.split(",")[1]) for point in line.split()]

    assert heights([1.0, 3.0, 2.0]) == [41.0, 3.0, 22.0] and set(heights([5.0, 5.0])) == {22.0} and heights([7.0]) == [22.0]


def test_chances_that_lose_against_one_for_everybody_are_doubted_in_both_languages() -> None:
    drift = say("The log drifts: in the window from {day} {happened:,.0f} shoppers acted.", day="2024-03-01", happened=20)
    other = say("Chances rest on no {block}.", block="text")

    def manifest(loss: float, low: float) -> dict[str, Any]:
        area = {"value": low + 0.02, "low": low, "high": low + 0.04}
        return {
            "metrics": {"base_log_loss": 0.25, "models": {"propensity": {"log_loss": {"value": loss}, "auc": area}}},
            "warnings": [other, drift] if loss > 0.5 else [other],
        }

    assert verdict.doubts(manifest(0.2, 0.7)) == [] == verdict.doubts({})
    (guessing,) = verdict.doubts(manifest(0.2, 0.49))
    assert "AUC 0.510 [0.490, 0.530]" in guessing
    worse, drifts = verdict.doubts(manifest(0.617, 0.7))
    assert "log loss 0.250 against 0.617" in worse and drifts.startswith("The log drifts") and not verdict.is_drift(other)
    set_language("zh")
    assert all(chinese(sentence) for sentence in verdict.doubts(manifest(0.617, 0.4))[:2])


def test_a_run_without_a_text_profile_says_that_none_was_looked_at_and_nothing_of_the_log() -> None:
    losses = {"logistic": 0.4, "lightgbm": 0.5}
    told = {"winner": "logistic", "best_baseline": "logistic", "log_losses": losses, "difference": {"value": 0.0, "low": 0.0, "high": 0.0}}
    shown = verdict.sentences({"verdict": told, "metrics": {"users": 8, "base_rate": 0.5, "base_log_loss": 0.69}})
    assert shown[-1] == "No texts of items were looked at, so the chance rests on counts."


def test_a_markdown_file_escapes_only_what_would_be_read_as_a_sign() -> None:
    assert written("Favours tea: 14 of 14 acts (100%, 3.7 times). A-b #1!") == "Favours tea: 14 of 14 acts (100%, 3.7 times). A-b #1!"
    assert written("![x](http://e.example) <b>*a*_b_ snake_case") == "!\\[x\\](http://e.example) \\<b\\>\\*a\\*\\_b\\_ snake_case"
    assert [written(text) for text in ("# a", "- a", "1. a", "a\n# b")] == ["\\# a", "\\- a", "1\\. a", "a # b"]


def test_a_difference_that_rounds_to_nothing_has_no_sign() -> None:
    assert [points(value) for value in (-0.0002, 0.0, 0.0002, -0.012)] == ["0.0 points", "0.0 points", "0.0 points", "-1.2 points"]


def test_words_beside_bars_leave_most_of_the_axis_to_the_bars_and_small_ticks_are_no_millionths() -> None:
    labels = ["Days since the last event, and how regularly they came"] * 4
    figure = charts.bars(labels, [2059, 1700, 900, 60], [f"{n:,} · raises" for n in (2059, 1700, 900, 60)], "", charts.LIGHT, wide=True)
    assert figure.layout.xaxis.range is None or figure.layout.xaxis.range[1] < 3000
    half = charts.bars(labels, [2059, 1700, 900, 60], ["2,059 shoppers · raises the chance"] * 4, "", charts.LIGHT)
    assert half.layout.xaxis.range is None or half.layout.xaxis.range[1] <= 2 * 2059
    assert charts.bars(["a", "b"], [0.0001, 0.0003], ["", ""], "", charts.LIGHT).layout.xaxis.tickformat == ",.6~f"


@pytest.mark.parametrize(("verb", "told"), [("predict", "The last good result stays"), ("uplift", "Nothing was kept of it")])
def test_a_failed_job_is_named_by_its_stage_and_tells_of_a_result_only_where_there_is_one(
    verb: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    argv = (verb, "--dataset", "tiny")
    failed = Job(
        "20240101-000000-abcdef", "Computing tiny", argv, "failed", verb, 0.5, "", 0.0, time.time(), 1.0, None, 9.0, None, "No room"
    )
    monkeypatch.setattr(jobs, "list_jobs", lambda _home: [failed])
    app = open_page("models", tiny_home(tmp_path), monkeypatch)
    assert told in all_words(app)
    stage = {"predict": "training purchase chances", "uplift": "measuring what a campaign changed"}[verb]
    assert any(f"**Computing tiny** · {stage} – No room" in error.value for error in app.error)
