"""The parts of the pages on past windows, labels and questions: drawn from runs, in both languages, and their buttons."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from core.__main__ import _parser
from core.artifacts import write_table
from core.errors import FileError
from core.jobs import list_jobs
from core.pipeline import questions, screens
from core.predictor.backtest import SCHEMA as WINDOWS
from core.predictor.few_labels import SCHEMA as FEW
from core.predictor.learning_curve import SCHEMA as CURVE
from core.store import Home
from pages.parts import item_cards, jobs
from pages.parts.run_room import _setting
from tests.page_worlds import tiny_home
from tests.test_pages import open_page, words
from tests.worlds import at


def publish_room(home: Path, gain: float = 0.05) -> None:
    """Publish a back-test of three windows, of which one could not be judged, a learning curve and answers."""
    dataset = Home(home).dataset("tiny")
    inputs = {"version": dataset.current()["version"]}
    asked = {"act": "purchase", "horizon_hours": 168.0}
    judged = {"expected": 10.0, "sd": 2.0, "auc": 0.7, "auc_low": 0.6, "auc_high": 0.8, "log_loss": 0.5, "log_loss_low": 0.4,
              "log_loss_high": 0.6, "base_log_loss": 0.6, "calibration_error": 0.02}  # fmt: skip
    with dataset.new_run("backtest", inputs=inputs, config=asked, cutoff=None) as draft:
        rows: list[dict[str, Any]] = [
            {"cutoff": at(n), "end": at(n + 7), "users": 100, "happened": 9 + n, "trained_on": 100} | (judged if n else {})
            for n in (0, 7, 14)
        ]
        write_table(draft.path / "backtest.parquet", pa.Table.from_pylist(rows, schema=WINDOWS))
        figure = {"value": 0.7, "low": 0.65, "high": 0.75, "n": 2}
        metrics = {"windows": 2, "auc": figure, "log_loss_gain": figure, "expected": 20.0, "happened": 39.0, "within": 0.5, "off": 0.3}
        draft.record |= {"act": "purchase", "predictor": "lightgbm", "members": 2, "train_windows": 4, "metrics": metrics}
    with dataset.new_run("learning", inputs=inputs, config=asked, cutoff=None) as draft:
        curve = [
            {"positives": n, "users": 3 * n, "model": model, "auc": 0.6 + n / 1000, "low": 0.55, "high": 0.8, "log_loss": 0.6,
             "difference": gain, "difference_low": gain - 0.02, "difference_high": gain + 0.02, "draws": 5}
            for n in (50, 130) for model in ("counts", "profiles", "both", "lightgbm")
        ]  # fmt: skip
        few = [
            {"way": way, "labelled": 50, "auc": 0.61, "plain": 0.6, "gain": gain, "gain_low": gain - 0.02, "gain_high": gain + 0.02,
             "accepted": 0.5 if way == "pseudo" else None, "draws": 8}
            for way in ("pseudo", "active")
        ]  # fmt: skip
        write_table(draft.path / "learning.parquet", pa.Table.from_pylist(curve, schema=CURVE))
        write_table(draft.path / "few.parquet", pa.Table.from_pylist(few, schema=FEW))
        draft.record |= {
            "act": "purchase", "gate": 100, "learned_at": at(3).isoformat(), "judged_at": at(10).isoformat(), "shoppers": [90, 80],
            "acted": [130, 30],
        }  # fmt: skip
    with dataset.new_run("answers", inputs=inputs, config={"question": "buys [gifts](x)"}, cutoff=None) as draft:
        write_table(draft.path / "answers.parquet", pa.table({"user_id": ["u001"], "score": [0.5]}))
        draft.record |= {"metrics": {"auc": figure}, "answered": 60, "yes": 20}


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tiny_home(tmp_path_factory.mktemp("room"), users=60)
    publish_room(home)
    return home


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_past_windows_are_told_and_drawn(room: Path, lang: str, monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_page("propensity", room, monkeypatch, lang)
    assert not app.exception and not app.error
    told = words(app)
    if lang == "en":
        assert "Over 2 windows of 7 days, 20 times a shopper was foretold to do the act purchase, and 39 times one did. In 50% of" in told
    else:
        assert "在 2 个 7 天的窗口中，预测有 20 人次做出行为“购买”，实际为 39。" in told
    table = next(t.value for t in app.dataframe if "ece" in t.value and "happened" in t.value and "base" in t.value)
    assert list(table["expected"]) == ["–", "10 ± 2", "10 ± 2"] and list(table["happened"]) == [9, 16, 23]


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_labels_and_questions_are_told_and_drawn(room: Path, lang: str, monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_page("models", room, monkeypatch, lang)
    assert not app.exception and not app.error
    table = next(t.value for t in app.dataframe if "labelled" in t.value and "accepted" in t.value)
    assert list(table["gain"])[:2] == ["+0.050 [+0.030, +0.070]"] * 2 and list(table["accepted"])[:2] == ["50%", "–"]
    told = words(app)
    assert "buys \\[gifts\\]\\(x\\)" in told and "[gifts](x)" not in told
    assert ("With 50 labelled shoppers who act" in told) == (lang == "en")
    assert any("other" in str(cell) for cell in table["way"]), "lessons of another dataset stand beside them"


def test_profiles_that_add_nothing_are_said_to_add_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tiny_home(tmp_path)
    publish_room(home, gain=0.0)
    told = words(open_page("models", home, monkeypatch))
    assert "profiles beside counts change AUC by +0.000 [-0.020, +0.020]: no gain within the interval." in told.replace("\\", "")


@pytest.mark.parametrize(
    ("page", "button", "argv"),
    [
        ("propensity", "backtest-start", ["backtest", "--dataset", "tiny", "--act", "purchase", "--horizon", "168h"]),
        ("models", "learn-start", ["learn", "--dataset", "tiny"]),
    ],
)
def test_what_was_not_measured_is_started_by_a_button(
    page: str, button: str, argv: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[list[str]] = []
    monkeypatch.setattr(jobs, "start", lambda words, title: started.append(words))
    app = open_page(page, tiny_home(tmp_path), monkeypatch)
    app.button(key=button).click().run()
    assert not app.exception and started == [argv] and not list_jobs(Home(tmp_path))


def test_a_question_is_asked_and_its_answers_are_learned_from_by_buttons(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[list[str]] = []
    monkeypatch.setattr(jobs, "start", lambda words, title: started.append(words))
    app = open_page("models", tiny_home(tmp_path), monkeypatch)
    assert app.button(key="question-answer").disabled
    app.text_input(key="question").set_value("-- buys *gifts*").run()
    app.button(key="question-ask").click().run()
    dataset = Home(tmp_path).dataset("tiny")
    file = str(dataset.path / "exports" / "ask-buys_gifts.csv")
    assert started == [["ask", "--dataset", "tiny", "--question=-- buys *gifts*", "--count", "50", "--out", file]]
    assert _parser().parse_args(started[0]).question == "-- buys *gifts*"
    dataset.save("answers -- buys *gifts*", {"answers": {"u001": 1, "u002": 0, "u003": 0}})
    app.run()
    assert not app.exception and "3 answers so far, 1 of them yes." in words(app)
    app.button(key="question-answer").click().run()
    assert started[1:] == [["answer", "--dataset", "tiny", "--question=-- buys *gifts*"]]


def test_a_file_of_answers_is_kept_beside_the_dataset_and_a_huge_one_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = screens.open_screen(Home(tiny_home(tmp_path)), "tiny")
    path = questions.keep_answers(here, "../../Buys gifts?", b"user_id,answer\n")
    assert path == Home(tmp_path).dataset("tiny").path / "exports" / "answers-buys_gifts.csv" and path.read_bytes() == b"user_id,answer\n"
    monkeypatch.setattr(questions, "MOST_BYTES", 3)
    with pytest.raises(FileError, match="at most 3 bytes; this one has 4"):
        questions.keep_answers(here, "x", b"1234")


def test_settings_are_read_without_brackets_and_a_missing_seed_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert _setting(["counts", "text", "other"]) == "counts, texts, other"
    assert (_setting([]), _setting(None), _setting(0.5), _setting(672.0), _setting(False)) == ("–", "–", "0.5", "672", "no")
    assert _setting(["gru"]) == "GRU over single acts"
    app = open_page("models", tiny_home(tmp_path), monkeypatch)
    facts = next(frame.value for frame in app.dataframe if "fact" in frame.value)
    assert "Seed" not in facts["fact"].tolist() and "Made" in facts["fact"].tolist()


def test_settings_and_figures_are_named_in_the_language_of_the_screen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tiny_home(tmp_path)
    dataset = Home(home).dataset("tiny")
    inputs = {"version": dataset.current()["version"]}
    for models in ([], ["gru"]):
        config = {"act": "purchase", "models": models, "category": None, "horizon_hours": 168.0}
        with dataset.new_run("propensity", inputs=inputs, config=config, cutoff=None) as draft:
            draft.record["metrics"] = {"models": {"propensity": {"auc": {"value": 0.8, "low": 0.75, "high": 0.85, "n": 9}, "brier": 0.2,
                                                                 "intervals": {"brier": [0.19, 0.21]}}}}  # fmt: skip
    table = next(frame.value for frame in open_page("models", home, monkeypatch, "zh").dataframe if "config" in frame.value)
    row = table[table["run"] == draft.run_id].iloc[0]
    assert (
        row["config"] == "行动: 购买 · 预测期（小时）: 168 · 其他模型: 读取单个行为的 GRU" and row["figure"] == "AUC 0.800 [0.750, 0.850]"
    )
    assert not {"null", "[]", '["gru"]'} & set(" ".join(table["config"]).split())
    app = open_page("models", home, monkeypatch)
    app.selectbox(key="room-run").set_value(draft.run_id).run()
    figures = next(frame.value for frame in app.dataframe if "figure" in frame.value and "value" in frame.value)
    assert figures.set_index("figure").loc["Brier", "value"] == "0.200 [0.190, 0.210]"


def test_what_was_measured_is_shown_before_there_are_profiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tiny_home(tmp_path, runs=False)
    publish_room(home)
    app = open_page("models", home, monkeypatch)
    assert not app.exception and any("labelled" in frame.value for frame in app.dataframe)


def test_the_name_of_a_picture_network_shows_without_backslashes(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Any] = []
    monkeypatch.setattr(item_cards.frame, "tiles", lambda key, figures: drawn.extend(figures))
    fates = {"read": 1}
    item_cards.image_card(
        {"image": {"kind": "network", "model": "efficientnet-lite0", "licence": "-", "why": "asked for", "items": 1, "fates": fates,
                   "distinct": 1, "encoded": 1, "cpu_seconds": 0.1, "values": 8}}
    )  # fmt: skip
    assert drawn[1][1] == "efficientnet-lite0", "the tile itself escapes what it shows"
