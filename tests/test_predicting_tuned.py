"""Chances that rest on a text model tuned to the log: only on one that learned before all windows, and said aloud where it did not."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.__main__ import main
from core.artifacts import read_table
from core.errors import ModelError
from core.pipeline.options import PredictOptions, ProfileOptions
from core.pipeline.predicting import kept_for_chances, predict
from core.pipeline.tuning import tune_texts
from core.store import Home
from core.windows import newest_learned
from tests.encoders import WORDS, save_tiny_encoder
from tests.worlds import at, publish_world

WEEK = timedelta(days=7)
ASKED = PredictOptions(horizon=WEEK)
ITEMS = [{"item_id": f"i{n}", "title": f"{word} {WORDS[(n + 1) % 9]}", "category": word} for n, word in enumerate(WORDS[:9])]


def events(days: int, seed: int = 0, users: int = 260) -> list[dict[str, Any]]:
    """Shoppers who look around among a few items of their own; lovers of the first three buy more."""
    rows = []
    for user in range(users):
        rng = np.random.default_rng([seed, user])
        taste = int(rng.integers(9))
        for day in range(days):
            if rng.random() < 0.3:
                kind = "purchase" if rng.random() < (0.5 if taste < 3 else 0.12) else "view"
                item = f"i{taste}" if rng.random() < 0.8 else f"i{rng.integers(9)}"
                rows.append({"user_id": f"u{user:03d}", "item_id": item, "event_type": kind, "event_time": at(day + rng.random())})
    return rows


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> tuple[Home, dict[str, str]]:
    """A shop of eight weeks, and two tunings of it: to its end (on screen) and as of day 28."""
    path = tmp_path_factory.mktemp("tuned")
    whole = events(56)
    publish_world(path, whole, ITEMS, dataset="whole")
    early = [row for row in whole if row["event_time"] < at(49)]
    publish_world(path, [*early, {**early[0], "event_time": at(49)}], ITEMS, dataset="early")
    save_tiny_encoder(path / "tiny")
    home, plain = Home(path), ProfileOptions(model=str(path / "tiny"), device="cpu")
    kept = {}
    for name, cutoff in (("late", None), ("before", at(28))):
        dataset = home.dataset("whole")
        found = tune_texts(home, dataset, cutoff=cutoff, horizon=WEEK, shoppers=120, epochs=1, keep="lora", options=plain)
        kept[name] = str(dataset.run_path("tuning", found["run"]) / found["kept_folder"])
    return home, kept


def test_windows_are_learned_from_up_to_three_horizons_before_the_end() -> None:
    assert newest_learned(at(0), at(56), WEEK) == at(35) and newest_learned(at(0), at(28), WEEK) == at(7)
    assert newest_learned(at(0), at(21), WEEK) == at(7) and newest_learned(at(0), at(14), WEEK) == at(7)


def test_weights_tuned_on_windows_that_are_judged_are_refused_with_the_way_out(world: tuple[Home, dict[str, str]]) -> None:
    home, kept = world
    with pytest.raises(ModelError, match=r"tune --dataset whole --cutoff 2024-04-0\dT[0-9:]+ --keep lora"):
        predict(home, home.dataset("whole"), options=ASKED, profile=ProfileOptions(model=kept["late"], device="cpu"))
    counts = ProfileOptions(blocks=("counts",), model=kept["late"], device="cpu")
    assert not predict(home, home.dataset("whole"), options=ASKED, profile=counts)["reused"], "no text is read, so nothing is refused"


def test_weights_tuned_before_the_windows_make_a_run_of_their_own(world: tuple[Home, dict[str, str]]) -> None:
    home, kept = world
    dataset, plain = home.dataset("whole"), ProfileOptions(model=str(home.path / "tiny"), device="cpu")
    usual = predict(home, dataset, options=ASKED, profile=plain)
    tuned = predict(home, dataset, options=ASKED, profile=ProfileOptions(model=kept["before"], device="cpu"))
    assert not tuned["reused"] and tuned["run"] != usual["run"]
    record = dataset.run_manifest("propensity", tuned["run"])
    assert record["config"]["model"] == kept["before"] and record["text_model_learned_until"] == at(28).isoformat()
    assert record["windows"]["train"] and min(record["windows"]["train"]) >= at(28).isoformat()[:10]
    scores = [read_table(dataset.run_path("propensity", run["run"]) / "scores.parquet")["propensity"].to_numpy() for run in (usual, tuned)]
    assert not np.array_equal(*scores)


def test_chances_on_tuned_texts_see_nothing_after_the_cutoff(world: tuple[Home, dict[str, str]]) -> None:
    home, kept = world
    found = []
    for name in ("whole", "early"):
        run = predict(home, home.dataset(name), cutoff=at(49), options=ASKED, profile=ProfileOptions(model=kept["before"], device="cpu"))
        found.append(read_table(home.dataset(name).run_path("propensity", run["run"]) / "scores.parquet"))
    assert found[0].equals(found[1])


def test_a_tuned_model_that_nobody_named_gives_way_and_the_run_says_so(world: tuple[Home, dict[str, str]]) -> None:
    home, kept = world
    late = ProfileOptions(blocks=("counts", "narrative"), model=kept["late"], device="cpu")
    told = predict(home, home.dataset("whole"), options=PredictOptions(horizon=WEEK, act="view"), profile=late, inherited=True)
    assert home.dataset("whole").run_manifest("propensity", told["run"])["config"]["model"] == "auto"
    assert any("here the model `auto` reads the texts" in str(warning) for warning in told["warnings"])


def test_the_verb_takes_the_newest_weights_that_learned_before_the_windows(
    world: tuple[Home, dict[str, str]], capsys: pytest.CaptureFixture[str]
) -> None:
    home, kept = world
    assert kept_for_chances(home.dataset("whole"), None, WEEK) == kept["before"]
    asked = ["--dataset", "whole", "--horizon", "7d", "--model", "tuned", "--blocks", "counts,text", "--json"]
    assert main(["predict", "--home", str(home.path), *asked]) == 0
    told = json.loads(capsys.readouterr().out)
    record = home.dataset("whole").run_manifest("propensity", told["run"])
    assert Path(record["config"]["model"]) == Path(kept["before"])
    shown = ["--dataset", "whole", "--home", str(home.path), "--json"]
    for verb in (["why", "--user", "u001"], ["explain"]):
        assert main([*verb, *shown]) == 0, capsys.readouterr().out
