"""What is measured of the text model on a log: tuning, smaller forms, transfer; without a look ahead, with reasons where nothing is."""

import shutil
from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from core.artifacts import read_table
from core.encoder import network
from core.errors import GateError, ModelError, NotFoundError
from core.pipeline.drawing import draw_map
from core.pipeline.judging import judge_blocks
from core.pipeline.options import ProfileOptions
from core.pipeline.profiling import profile
from core.pipeline.texts import untuned
from core.pipeline.transferring import transfer
from core.pipeline.tuning import compress_texts, kept_model, tune_texts
from core.store import Home
from tests.encoders import WORDS, save_tiny_encoder
from tests.worlds import at, publish_world

WEEK = timedelta(days=7)
ITEMS = [{"item_id": f"{a} {b}", "title": f"{a} {b}", "price": 3 + n} for a in WORDS[:9] for n, b in enumerate(WORDS[:9]) if a != b]


def events(seed: int, days: int, first: int = 0) -> list[dict[str, Any]]:
    """A hundred shoppers: lovers of red buy every few days, those of tea seldom; all of them look around."""
    rng, rows = np.random.default_rng(seed), []
    for user in range(100):
        word, often = ("red", 0.25) if user % 2 else ("tea", 0.03)
        for day in range(first, days):
            if rng.random() < 0.35 or day == 0:
                kind = "purchase" if rng.random() < often / 0.35 else "view"
                item = f"{word if word in WORDS[:9] else 'blue'} {rng.choice([w for w in WORDS[:9] if w not in (word, 'blue')])}"
                rows.append({"user_id": f"u{user:03d}", "item_id": item, "event_type": kind, "event_time": at(day + rng.random())})
    return rows


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Datasets `whole` and `early`, the same before day 28; `other`, another shop; `bare`, without texts."""
    path = tmp_path_factory.mktemp("measures")
    early = events(0, 28)
    publish_world(path, [*early, *events(1, 40, first=28)], ITEMS, dataset="whole")
    publish_world(path, [*early, {**early[0], "event_time": at(28)}], ITEMS, dataset="early")
    publish_world(path, events(2, 28), ITEMS, dataset="other")
    publish_world(path, events(3, 28), dataset="bare")
    save_tiny_encoder(path / "tiny")
    return Home(path)


@pytest.fixture(scope="module")
def options(home: Home) -> ProfileOptions:
    return ProfileOptions(model=str(home.path / "tiny"), device="cpu")


def measured(home: Home, name: str, options: ProfileOptions) -> dict[str, Any]:
    found = tune_texts(home, home.dataset(name), cutoff=at(28), horizon=WEEK, shoppers=80, epochs=1, options=options)
    for row in found["rows"]:
        row.pop("cpu_seconds")
    return found


def test_tuning_sees_nothing_after_the_cutoff_and_is_found_again(home: Home, options: ProfileOptions) -> None:
    whole, early = (measured(home, name, options) for name in ("whole", "early"))
    assert whole["rows"] == early["rows"] and whole["losses"] == early["losses"]
    assert [row["method"] for row in whole["rows"]] == ["head", "lora", "adalora", "ia3", "full", "counts"]
    assert all(row["low"] <= row["auc"] <= row["high"] for row in whole["rows"]) and whole["rows"][0]["gain"] == 0
    ranks = read_table(home.dataset("whole").run_path("tuning", whole["run"]) / "ranks.parquet")
    assert set(ranks["depth"].to_pylist()) == {0, 1} and "attention.self.query" in ranks["part"].to_pylist()
    given = ranks.group_by("method").aggregate([("rank", "sum")]).to_pylist()
    assert {row["method"]: row["rank_sum"] for row in given} == whole["rank_budget"] == {"lora": 96, "adalora": 96}
    again = tune_texts(home, home.dataset("whole"), cutoff=at(28), horizon=WEEK, shoppers=80, epochs=1, options=options)
    assert again["reused"] and again["run"] == whole["run"]
    assert home.dataset("whole").current()["runs"] == {}, "a run as of a cutoff is not put on screen"


def test_weights_tuned_by_contrast_are_kept_see_nothing_after_the_cutoff_and_read_nothing_before_it(
    home: Home, options: ProfileOptions
) -> None:
    asked: dict[str, Any] = {"cutoff": at(28), "horizon": WEEK, "shoppers": 80, "epochs": 1, "labels": "contrastive", "keep": "lora"}
    folders = []
    for name in ("whole", "early"):
        found = tune_texts(home, home.dataset(name), options=options, **asked)
        folders.append(home.dataset(name).run_path("tuning", found["run"]) / found["kept_folder"])
        assert found["kept"] == "lora" and folders[-1].name == "tiny-lora"
    assert folders[0].joinpath("model.safetensors").read_bytes() == folders[1].joinpath("model.safetensors").read_bytes()
    chosen = replace(options, model=str(folders[0]))
    told = profile(home, home.dataset("whole"), cutoff=at(28), options=chosen)
    assert told["card"]["checkpoint"] == "tiny-lora" and told["card"]["fingerprint"] != ""
    with pytest.raises(ModelError, match="tuned on events until"):
        profile(home, home.dataset("whole"), cutoff=at(20), options=chosen)
    assert untuned(chosen).model == "auto" and untuned(options) == options
    with pytest.raises(NotFoundError):
        kept_model(home.dataset("early"))


def test_counts_and_text_tell_who_buys_in_this_shop(home: Home, options: ProfileOptions) -> None:
    rows = {row["method"]: row for row in measured(home, "whole", options)["rows"]}
    assert rows["counts"]["low"] > 0.6 and rows["head"]["auc"] > 0.6


@pytest.mark.parametrize("there", [True, False])
def test_smaller_forms_tell_where_8_bits_save_no_time(
    home: Home, options: ProfileOptions, monkeypatch: pytest.MonkeyPatch, *, there: bool
) -> None:
    monkeypatch.setattr(network, "multiplies_int8", lambda device: there)
    told = " ".join(compress_texts(home, home.dataset("other"), options=options, texts=50 + there)["warnings"])
    assert ("does not multiply 8-bit integers" in told) != there and ("times the speed of 32 bits" in told) != there


def test_smaller_forms_are_measured_on_texts_that_nothing_learned_from(home: Home, options: ProfileOptions) -> None:
    found = compress_texts(home, home.dataset("whole"), options=options)
    assert found["taught"] + found["judged"] == len(ITEMS)
    assert found["rows"][0]["form"] == "fp32" and found["rows"][0]["neighbours"] == 1
    assert home.dataset("whole").current()["runs"] == {"compression": found["run"]}


def test_one_shop_teaches_another_and_sees_nothing_after_the_cutoff(home: Home, options: ProfileOptions) -> None:
    rows = []
    for name in ("whole", "early"):
        asked = {"cutoff": at(28), "source_cutoff": at(28), "horizon": WEEK, "options": options}
        rows.append(transfer(home, home.dataset("other"), home.dataset(name), **asked)["rows"])
    assert rows[0] == rows[1]
    none = {row["blocks"]: row for row in rows[0] if row["labelled"] == 0}
    assert none.keys() == {"counts", "text", "counts + text"} and none["counts + text"]["low"] > 0.6
    assert {row["labelled"] for row in rows[0]} == {0, 50, 100}


def test_without_texts_counts_are_carried_alone_and_tuning_is_refused(home: Home, options: ProfileOptions) -> None:
    found = transfer(home, home.dataset("other"), home.dataset("bare"), cutoff=at(28), source_cutoff=at(28), horizon=WEEK, options=options)
    assert {row["blocks"] for row in found["rows"]} == {"counts"}
    assert found["warnings"] == ["One of the logs has no item texts, so only counts are carried over."]
    with pytest.raises(GateError, match="nothing for a text model to read"):
        tune_texts(home, home.dataset("bare"), cutoff=at(28), horizon=WEEK, options=options)


def test_what_cannot_be_measured_is_refused_with_numbers(home: Home, options: ProfileOptions) -> None:
    with pytest.raises(NotFoundError, match="'whole' cannot be learned from and judged at once"):
        transfer(home, home.dataset("whole"), home.dataset("whole"), options=options)
    with pytest.raises(GateError, match=r"Of 30 shoppers drawn at .* 20 of each are needed"):
        tune_texts(home, home.dataset("whole"), cutoff=at(28), horizon=WEEK, shoppers=30, options=options)


def test_other_weights_in_the_same_folder_make_other_runs(home: Home) -> None:
    folder, dataset = home.path / "changing", home.dataset("early")
    asked = ProfileOptions(("counts", "text"), str(folder), "cpu")
    window = {"cutoff": at(28), "horizon": WEEK, "options": asked}

    def made() -> list[dict[str, Any]]:
        return [
            profile(home, dataset, options=asked),
            draw_map(home, dataset, options=asked),
            compress_texts(home, dataset, options=asked, texts=40),
            judge_blocks(home, dataset, **window),
            transfer(home, home.dataset("other"), dataset, source_cutoff=at(28), **window),
        ]

    runs = []
    for seed in (0, 9, 0):
        save_tiny_encoder(folder, seed)
        runs.append(made())
    assert [run.get("reused", False) for found in runs for run in found] == [False] * 10 + [True] * 5
    assert [run["run"] for run in runs[0]] == [run["run"] for run in runs[2]] != [run["run"] for run in runs[1]]
    assert runs[0][0]["card"]["fingerprint"] != runs[1][0]["card"]["fingerprint"]
    shutil.rmtree(folder)
    assert draw_map(home, dataset, options=asked)["run"] == runs[0][1]["run"], "a map reads profiles, not the model"
    with pytest.raises(ModelError, match="nothing is downloaded here"):
        profile(home, dataset, options=asked)


def test_a_window_of_hours_is_told_in_hours(home: Home, options: ProfileOptions) -> None:
    hour, dataset = {"horizon": timedelta(hours=1), "options": options}, home.dataset("early")
    for ask in (
        lambda: tune_texts(home, dataset, **hour),
        lambda: transfer(home, home.dataset("other"), dataset, **hour),
        lambda: judge_blocks(home, dataset, **hour),
    ):
        with pytest.raises(GateError, match="act within 1 hour"):
            ask()
