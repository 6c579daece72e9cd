"""The map step from profiles to a published run: shoppers stay where they were, a map made before is found again."""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.arguments import segment_count
from core.artifacts import read_table
from core.atlas.layout import plane
from core.pipeline.drawing import draw_map
from core.pipeline.options import MapChoice, ProfileOptions
from core.pipeline.reproducing import command_of
from core.pipeline.work import profile
from core.store import Dataset, Home
from tests.worlds import at, publish_world

COUNTS = ProfileOptions(blocks=("counts",))
OLD, NEW = 300, 24


def events(users: int) -> list[dict[str, Any]]:
    rng = np.random.default_rng(0)
    return [
        {"user_id": f"u{user:03d}", "item_id": f"i{user % 3}", "event_type": "purchase" if user % 3 else "view", "event_time": at(day)}
        | ({"revenue": 5, "price": 5, "quantity": 1} if user % 3 else {})
        for user in range(users)
        for day in np.sort(rng.uniform(0, 40, 3 + 4 * (user % 3)))
    ]


def drawn(home: Path, dataset: Dataset, **more: Any) -> tuple[dict[str, Any], dict[str, tuple[float, float]]]:
    profile(Home(home), dataset, options=COUNTS)
    told = draw_map(Home(home), dataset, options=COUNTS, **more)
    table = read_table(dataset.run_path("atlas") / "users.parquet").to_pydict()
    return told, dict(zip(table["user_id"], zip(table["x"], table["y"], strict=True), strict=True))


@pytest.fixture(autouse=True)
def without_umap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.atlas.landmarks.lay_out", lambda points, graph, seed, start: plane(points))


def test_after_an_append_known_shoppers_stay_and_new_ones_join_until_a_redraw_is_asked(tmp_path: Path) -> None:
    home = tmp_path / "home"
    publish_world(home, events(OLD))
    dataset = Home(home).dataset("tiny")
    first, before = drawn(home, dataset)
    assert first["metrics"]["drawn_users"] == OLD and not first["metrics"]["picture_kept"]
    publish_world(home, events(OLD + NEW))
    second, after = drawn(home, dataset)
    assert second["metrics"]["picture_kept"] and second["metrics"]["placed_users"] == NEW and second["metrics"]["drawn_users"] == OLD
    assert {user: after[user] for user in before} == before and len(after) == OLD + NEW
    again, _ = drawn(home, dataset)
    assert again["reused"] and again["run"] == second["run"]
    third, moved = drawn(home, dataset, redraw=True)
    assert not third["reused"] and not third["metrics"]["picture_kept"] and third["metrics"]["drawn_users"] == OLD + NEW
    assert {user: moved[user] for user in before} != before


def shades(users: int, later: int, seed: int = 1) -> list[dict[str, Any]]:
    """Shoppers of every shade between seldom and often, no kinds apart; `later` known ones look once more at the end."""
    rng = np.random.default_rng(seed)
    money = {"revenue": 5, "price": 5, "quantity": 1}
    rows: list[dict[str, Any]] = []
    for user in range(users):
        for day in np.sort(rng.uniform(0, 40, 1 + int(rng.gamma(1.5, 4)))):
            buys = rng.random() < 0.3
            event = {"user_id": f"u{user:03d}", "item_id": f"i{user % 5}", "event_time": at(float(day))}
            rows.append(event | ({"event_type": "purchase"} | money if buys else {"event_type": "view"}))
    return rows + [{"user_id": f"u{user * 7:03d}", "item_id": "i0", "event_type": "view", "event_time": at(40.5)} for user in range(later)]


def segments_of(dataset: Dataset) -> tuple[dict[str, int], dict[str, int]]:
    table = read_table(dataset.run_path("atlas") / "users.parquet").to_pydict()
    return tuple(dict(zip(table["user_id"], table[key], strict=True)) for key in ("segment_id", "subsegment_id"))  # type: ignore[return-value]


def test_six_more_acts_leave_segments_and_almost_all_shoppers_in_them_where_they_were(tmp_path: Path) -> None:
    publish_world(tmp_path, shades(400, 0))
    dataset = Home(tmp_path).dataset("tiny")
    first, _ = drawn(tmp_path, dataset)
    before, parts = segments_of(dataset)
    publish_world(tmp_path, shades(400, 6))
    second, _ = drawn(tmp_path, dataset)
    after, parts_after = segments_of(dataset)
    assert second["metrics"]["segments"] == first["metrics"]["segments"] and second["metrics"]["method"] == first["metrics"]["method"]
    assert second["metrics"]["segments_kept"] and not first["metrics"]["segments_kept"]
    assert np.mean([before[user] == after[user] for user in before]) >= 0.95
    assert np.mean([parts[user] == parts_after[user] for user in parts]) >= 0.8
    assert second["metrics"]["sought_users"] == 400


def test_segments_are_looked_for_anew_when_the_log_grew_or_the_choice_is_another(tmp_path: Path) -> None:
    publish_world(tmp_path, shades(300, 0))
    dataset = Home(tmp_path).dataset("tiny")
    drawn(tmp_path, dataset)
    asked, _ = drawn(tmp_path, dataset, choice=MapChoice(segments=3))
    assert asked["segments"] == 3 and not asked["metrics"]["segments_kept"], "a number asked for is the stronger"
    publish_world(tmp_path, shades(320, 0))
    again, _ = drawn(tmp_path, dataset)
    assert again["segments"] == 3 and again["metrics"]["segments_kept"], "and goes on from its own centres"
    publish_world(tmp_path, shades(380, 0))
    grown, _ = drawn(tmp_path, dataset)
    assert not grown["metrics"]["segments_kept"] and grown["metrics"]["sought_users"] == 380, (
        "by more than a quarter since they were sought"
    )


def test_a_map_as_of_a_cutoff_does_not_lean_on_the_map_on_screen(tmp_path: Path) -> None:
    home = tmp_path / "home"
    publish_world(home, events(OLD))
    dataset = Home(home).dataset("tiny")
    drawn(home, dataset)
    profile(Home(home), dataset, options=COUNTS, cutoff=at(30))
    told = draw_map(Home(home), dataset, options=COUNTS, cutoff=at(30))
    assert told["metrics"]["moved"] is None and not told["metrics"]["picture_kept"] and told["as_of"] == at(30).isoformat()
    assert dataset.current()["runs"]["atlas"] != told["run"]


def test_every_block_of_the_profiles_counts_with_the_weight_that_was_measured_for_it(tmp_path: Path) -> None:
    publish_world(tmp_path, events(OLD))
    home, chosen = Home(tmp_path), ProfileOptions(blocks=("counts", "graph"))
    dataset = home.dataset("tiny")
    profile(home, dataset, options=chosen)
    usual = draw_map(home, dataset, options=chosen)
    assert usual["blocks"] == {"held": ["counts", "graph"], "shares": None, "measured": None}
    config = {"model": "auto", "blocks": ["counts", "graph"]}
    weights = {"other": {"counts": 1.0}, "chosen": {"counts": 0.5, "graph": 1.0}}
    for name, version in (("other", dataset.version_path().name), ("chosen", "v-another"), ("chosen", dataset.version_path().name)):
        with dataset.new_run("blocks", inputs={"version": version}, config=config, cutoff=None) as draft:
            draft.record |= {"weights": weights[name]}
        if version == "v-another" or name == "other":
            assert draw_map(home, dataset, options=chosen)["run"] == usual["run"], "of another version, or of other blocks"
    told = draw_map(home, dataset, options=chosen)
    assert told["blocks"] == {"held": ["counts", "graph"], "shares": {"counts": 0.25, "graph": 1.0}, "measured": draft.run_id}
    assert draw_map(home, dataset, options=chosen, weights="usual")["run"] == usual["run"]
    profile(home, dataset, options=chosen, cutoff=at(30))
    early = draw_map(home, dataset, options=chosen, cutoff=at(30))
    assert early["blocks"]["measured"] is None, "what was weighed at the end of the log says nothing as of a cutoff before it"


def test_a_count_asked_for_is_kept_until_another_choice(tmp_path: Path) -> None:
    home = tmp_path / "home"
    publish_world(home, events(OLD))
    dataset = Home(home).dataset("tiny")
    first, _ = drawn(home, dataset, choice=MapChoice(segments=4))
    assert first["metrics"]["segments_asked"] == 4 and first["metrics"]["method"].startswith("k-means")
    assert dataset.run_manifest("atlas", first["run"])["config"] == {"seed": 0, "segments": 4}
    assert command_of("tiny", "atlas", dataset.run_manifest("atlas", first["run"]))[-2:] == ["--segments", "4"]
    publish_world(home, events(OLD + NEW))
    second, _ = drawn(home, dataset)
    assert second["metrics"]["segments_asked"] == 4, "as decided for the map on screen"
    third, _ = drawn(home, dataset, choice=MapChoice())
    assert third["metrics"]["segments_asked"] is None


def test_the_command_line_takes_a_count_in_range_or_auto() -> None:
    assert (segment_count("auto"), segment_count("2"), segment_count("12")) == (0, 2, 12)
    for wrong in ("1", "13", "few", "-3"):
        with pytest.raises(argparse.ArgumentTypeError):
            segment_count(wrong)
