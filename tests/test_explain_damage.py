"""Damaged logs: lost, moved and mixed up is exactly that, nothing after the cutoff is seen, and what rests on it gets worse."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.__main__ import main
from core.artifacts import read_table
from core.explain.damage import KINDS, damage_history, keep_shoppers
from core.explain.robustness import compare_chances, compare_groups_damaged
from core.store import Log, fetch
from tests.kept_worlds import TEST, kept_shop
from tests.worlds import at, publish_world

ALL = "SELECT user_id, item_id, event_type::VARCHAR AS kind, event_time FROM history ORDER BY source_file, source_row"


def shop(home: Path, *, later: bool = False) -> Log:
    """398 views by 4 shoppers in 20 days; with `later`, also acts after the cutoff, day 19.9."""
    rows = [{"user_id": f"u{n % 4}", "item_id": f"i{n % 7}", "event_type": "view", "event_time": at(20 * n / 400)} for n in range(398)]
    rows.append({"user_id": "u3", "item_id": "i0", "event_type": "view", "event_time": at(19.9)})  # the log reaches the cutoff
    more = [{"user_id": "u0", "item_id": "i0", "event_type": "purchase", "event_time": at(19.9 + n / 10)} for n in range(50)]
    return publish_world(home, rows + (more if later else []))


def damaged(log: Log, kind: str, strength: float, seed: int = 0) -> list[dict[str, Any]]:
    with log.history(at(19.9)) as connection:
        keep_shoppers(connection, ["u0", "u1", "u2"])
        damage_history(connection, kind, strength, at(19.9), seed)
        rows: list[dict[str, Any]] = fetch(connection, ALL).to_pylist()
        return rows


def test_each_damage_is_what_its_name_says(tmp_path: Path) -> None:
    log = shop(tmp_path)
    sound = damaged(log, "drop", 0.0)
    assert len(sound) == 299 and {row["user_id"] for row in sound} == {"u0", "u1", "u2"}
    half = damaged(log, "drop", 0.5)
    assert 115 < len(half) < 185 and all(row in sound for row in half)
    moved = damaged(log, "jitter", 1.0)
    days = np.array([(a["event_time"] - b["event_time"]).total_seconds() / 86_400 for a, b in zip(moved, sound, strict=True)])
    assert 0.75 < days[:250].std() < 1.25 and max(row["event_time"] for row in moved) < at(19.9)
    assert [row["item_id"] for row in moved] == [row["item_id"] for row in sound]
    mixed = damaged(log, "swap", 0.5)
    assert [row["event_time"] for row in mixed] == [row["event_time"] for row in sound]
    other = sum(a["item_id"] != b["item_id"] for a, b in zip(mixed, sound, strict=True))
    assert 90 < other < 170  # half of them, of which a seventh falls on the same item


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_damages_the_same_and_later_events_change_nothing(kind: str, tmp_path: Path) -> None:
    log, longer = shop(tmp_path / "a"), shop(tmp_path / "b", later=True)
    assert damaged(log, kind, 0.3) == damaged(longer, kind, 0.3) != damaged(log, kind, 0.3, seed=1)


def test_figures_of_a_damage_are_those_of_the_same_shoppers() -> None:
    rng = np.random.default_rng(0)
    labels = (np.arange(200) % 2).astype(float)
    sound, guess = np.where(labels > 0, 0.8, 0.2), np.full(200, 0.5)
    same, lost = (compare_chances("drop", 0.5, labels, sound, other, rng) for other in (sound, guess))
    assert same["auc"] == 1 and same["auc_loss"] == same["log_loss_rise"] == same["log_loss_rise_high"] == 0
    assert lost["auc"] == 0.5 and lost["auc_loss"] == 0.5 and lost["log_loss_rise"] == pytest.approx(np.log(2) + np.log(0.8))
    half = np.where(np.arange(200) < 100, sound, guess)
    groups = {"stage": ["new"] * 100 + ["away"] * 90 + ["active"] * 10}
    rows = compare_groups_damaged("drop", 0.3, labels, sound, half, groups)
    assert [row["group"] for row in rows] == ["away", "new"] and rows[1]["rise"] == 0 and float(str(rows[0]["low"])) > 0


def test_the_verb_scores_the_sound_log_as_the_run_did_and_finds_what_the_chance_rests_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dataset = kept_shop(tmp_path / "home")
    verb = ["robustness", "--home", str(tmp_path / "home"), "--dataset", "tiny", "--json"]
    assert main(verb) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["unlike_the_kept"] < 1e-12 and found["test"][:10] == f"{TEST:%Y-%m-%d}"
    table = {(row["damage"], row["strength"]): row for row in read_table(dataset.run_path("robustness") / "robustness.parquet").to_pylist()}
    assert len(table) == 12 and table["drop", 0.0]["auc_loss"] == 0
    assert table["drop", 0.5]["auc_loss_low"] > 0 and table["jitter", 7.0]["auc_loss_low"] > 0
    assert abs(table["swap", 0.5]["auc_loss"]) < 0.05, "which item it was does not matter here"
    assert found["worst"]["rise"] > 0 and found["worst"]["users"] >= 50
    assert main(verb) == 0
    again = json.loads(capsys.readouterr().out)
    assert again["reused"] and again["run"] == found["run"]
