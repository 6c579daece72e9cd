"""Blocks of everyone as of several cutoffs: what learns, learns once and early; what cannot be fed says why."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.pipeline.blocks import BlocksAt, shuffled
from core.pipeline.encoding import options_in_use
from core.pipeline.judging import judge_blocks
from core.pipeline.options import PredictOptions, ProfileOptions
from core.pipeline.predicting import predict
from core.pipeline.profiling import profile
from core.pipeline.texts import TextProfiles
from core.store import Home, Log
from tests.encoders import save_tiny_encoder
from tests.worlds import at, publish_world

USERS = 330
ITEMS = [{"item_id": f"i{n:02d}", "title": ("red dress", "green tea", "blue cup")[n % 3], "category": f"c{n % 3}"} for n in range(12)]


def events(days: float, seed: int = 0, first: float = 0) -> list[dict[str, Any]]:
    """Shoppers who walk through the items of their shelf, buying each fourth."""
    rng, rows = np.random.default_rng(seed), []
    for user in range(USERS):
        for step, day in enumerate(np.sort(rng.uniform(first, days, int(days - first)))):
            kind = "purchase" if step % 4 == 3 and user % 3 else "view"
            item = f"i{(3 * int(rng.integers(4)) + user % 3):02d}"
            rows.append({"user_id": f"u{user:03d}", "item_id": item, "event_type": kind, "event_time": at(float(day))})
    return rows


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    path = tmp_path_factory.mktemp("blocks")
    early = events(30)
    publish_world(path, [*early, *events(40, 1, first=30)], ITEMS, dataset="whole")
    publish_world(path, [*early, {**early[0], "event_time": at(30)}], ITEMS, dataset="early")
    publish_world(path, events(30), dataset="bare")
    save_tiny_encoder(path / "tiny")
    return Home(path)


def options(home: Home, *blocks: str) -> ProfileOptions:
    return ProfileOptions(("counts", *blocks), str(home.path / "tiny"), "cpu")


def blocks_at(home: Home, name: str, *blocks: str, with_twins: bool = False) -> BlocksAt:
    chosen, log = options(home, *blocks), home.dataset(name).log(at(30))
    return BlocksAt(log, TextProfiles(home, log, chosen), chosen, with_twins=with_twins)


@pytest.mark.slow
def test_no_block_sees_what_comes_after_its_cutoff(home: Home) -> None:
    names = ("text", "sequence", "graph", "narrative")
    for days in (20, 26):
        found = []
        for name in ("whole", "early"):
            made = blocks_at(home, name, *names)
            made(at(16))
            found.append(made(at(days)))
        assert found[0][0] == found[1][0] and found[0][1].keys() == {"counts", *names}
        assert all(np.array_equal(found[0][1][block], found[1][1][block], equal_nan=True) for block in found[0][1])


def test_what_learned_from_a_cutoff_is_not_asked_about_an_earlier_one(home: Home) -> None:
    made = blocks_at(home, "whole", "sequence")
    made(at(20))
    with pytest.raises(AssertionError, match="after this cutoff"):
        made(at(16))


def test_shuffled_histories_change_the_sequence_block_and_keep_each_shoppers_acts(home: Home) -> None:
    from core.encoder.histories import read_histories

    _users, found = blocks_at(home, "whole", "sequence", with_twins=True)(at(20))
    assert not np.allclose(found["sequence"], found["shuffled"], atol=0.01)
    assert not np.allclose(found["sequence"], found["untaught"], atol=0.01)
    log: Log = home.dataset("whole").log()
    with log.history(at(20)) as connection:
        histories = read_histories(connection, [str(item["item_id"]) for item in ITEMS])
    mixed = shuffled(histories, np.random.default_rng(0))
    first, second = (np.split(h.item, h.starts[1:-1]) for h in (histories, mixed))
    assert all(sorted(a.tolist()) == sorted(b.tolist()) for a, b in zip(first, second, strict=True))
    assert any(a.tolist() != b.tolist() for a, b in zip(first, second, strict=True))


def test_blocks_that_a_log_cannot_feed_say_why(home: Home) -> None:
    made = blocks_at(home, "bare", "text", "narrative", "image", "facts", "graph")
    _users, found = made(at(20))
    assert found.keys() == {"counts", "graph"}
    assert {block: str(why).split(",")[0] for block, why in made.missing.items()} == {
        "text": "no item has a text",
        "narrative": "no item has a text",
        "image": "the catalogue names no picture",
        "facts": "No fact of items can be used: –. Give a file with --facts when the log is read",
    }


def test_profiles_hold_what_was_asked_for_and_later_stages_take_it_up(home: Home) -> None:
    dataset = home.dataset("whole")
    told = profile(home, dataset, options=options(home, "graph", "narrative", "image"))
    folder: Path = dataset.run_path("profiles", told["run"])
    assert (folder / "graph.safetensors").is_file() and (folder / "narrative.safetensors").is_file()
    assert told["graph"]["nodes"]["category"] == 3 and told["narrative"]["users"] == USERS
    assert [str(warning) for warning in told["warnings"]] == ["Profiles hold no pictures: the catalogue names no picture."]
    assert options_in_use(dataset).blocks == ("counts", "graph", "narrative", "image")
    assert options_in_use(home.dataset("bare")).blocks == ("counts", "text")


@pytest.mark.slow
def test_chances_with_the_order_of_acts_see_nothing_after_the_cutoff(home: Home) -> None:
    found = []
    for name in ("whole", "early"):
        dataset = home.dataset(name)
        asked = PredictOptions(horizon=at(4) - at(0))
        told = predict(home, dataset, cutoff=at(30), options=asked, profile=options(home, "sequence", "graph"))
        found.append((told["verdict"], (dataset.run_path("propensity", told["run"]) / "scores.parquet").read_bytes()))
        assert told["sequence"]["acts"] < 30 * USERS, "the transformer learned before the first training cutoff"
    assert found[0] == found[1]
    assert {"mlp_sequence", "lightgbm_sequence", "mean_sequence"} <= found[0][0]["log_losses"].keys() and "sequence" in found[0][0]


def test_the_taught_network_is_told_against_its_untaught_twin_on_the_same_shoppers(home: Home) -> None:
    told = judge_blocks(home, home.dataset("early"), horizon=at(5) - at(0), options=options(home, "sequence"))
    rows = {(row["blocks"], row["weighing"]): row for row in told["rows"]}
    taught, twin, pair = (rows[key] for key in (("sequence", "equal"), ("untaught", "equal"), ("sequence", "against untaught")))
    assert pair["auc"] == taught["auc"] and pair["gain"] == taught["auc"] - twin["auc"]
    assert pair["gain_low"] <= pair["gain"] <= pair["gain_high"]
    assert pair["gain_high"] - pair["gain_low"] < (taught["high"] - taught["low"]) + (twin["high"] - twin["low"]), "on the same draws"
    assert told["rows"][-1]["weighing"] == "chosen"
