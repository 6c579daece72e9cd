"""The map period by period: counts by hand, and nothing after the map."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from core.artifacts import write_table
from core.metrics import wilson
from core.pipeline import colours, places
from core.pipeline.over_time import over_time
from core.pipeline.screens import Screen, open_screen
from core.store import Home
from tests.worlds import at, publish_world

USERS = [f"u{number:02d}" for number in range(12)]
ITEMS = [{"item_id": "a", "category": "TEA"}, {"item_id": "b", "category": "NUTS"}]


def events(days: int = 30) -> list[dict[str, Any]]:
    """Shoppers 0-5 act every day, 6-11 in the first week only; the odd ones take tea."""
    return [
        {"user_id": user, "item_id": "a" if number % 2 else "b", "event_type": "view", "event_time": at(day + number / 24)}
        for number, user in enumerate(USERS)
        for day in range(days)
        if number < 6 or day < 7
    ]


def publish_map(home: Path, as_of: str) -> None:
    """Publish a map of two segments, 0-5 and 6-11, made from the version on screen."""
    target = Home(home).dataset("tiny")
    with target.new_run("atlas", inputs={"version": target.current()["version"]}, config={}, cutoff=None) as draft:
        where = np.linspace(0, 1, 12)
        segment = np.repeat(np.array([1, 2], np.int32), 6)
        write_table(draft.path / "users.parquet", pa.table({
            "user_id": USERS, "x": where, "y": where[::-1], "segment_id": segment, "certainty": np.ones(12), "subsegment_id": segment,
        }))  # fmt: skip
        draft.record |= {"as_of": as_of}


def screen_of(home: Path) -> Screen:
    return open_screen(Home(home), "tiny")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    log = publish_world(tmp_path / "home", events(), ITEMS)
    publish_map(tmp_path / "home", log.until.isoformat())
    return tmp_path / "home"


def test_each_period_counts_its_active_shoppers_by_place_and_segment(home: Path) -> None:
    found = over_time(screen_of(home))
    assert found.grain == "week" and found.periods[0] == pd.Timestamp("2024-02-26")
    active = found.shares.groupby("period")["users"].sum().tolist()
    assert active == found.panels.sum(axis=(1, 2)).tolist() == [12, 12, 6, 6, 6][: len(active)]
    assert found.everyone.sum() == 12 and (found.panels <= found.everyone).all()
    first, last = found.shares.iloc[0], found.shares[found.shares["segment_id"] == 1].iloc[-1]
    assert (first["users"], first["active"], first["share"]) == (6, 12, 0.5)
    assert (last["users"], last["share"]) == (6, 1.0)
    assert (first["low"], first["high"]) == pytest.approx(wilson(6, 12))


def test_periods_that_the_log_covers_in_part_are_marked(home: Path) -> None:
    found = over_time(screen_of(home))
    assert found.partial[0] and not any(found.partial[1:4])


def test_an_act_counts_only_shoppers_who_did_it(home: Path) -> None:
    assert over_time(screen_of(home), "purchase").panels.sum() == 0
    assert over_time(screen_of(home), "view").panels.sum() == over_time(screen_of(home)).panels.sum()


def figures(home: Path) -> list[Any]:
    screen = screen_of(home)
    found = over_time(screen)
    tastes = [colours.affinity(screen, name).tolist() for name in colours.categories(screen)]
    return [found.grain, found.periods, found.partial, found.panels.tolist(), found.shares.to_dict("records"), tastes]


def test_events_after_the_map_change_no_period_and_no_taste(home: Path) -> None:
    before = figures(home)
    later = [{"user_id": user, "item_id": "a", "event_type": "purchase", "event_time": at(40)} for user in USERS]
    publish_world(home, [*events(), *later], ITEMS)
    assert screen_of(home).version == "v0002"
    places.places.cache_clear()
    assert figures(home) == before


def test_events_after_the_map_stay_out_when_its_own_version_is_gone(home: Path) -> None:
    before = figures(home)
    later = [{"user_id": user, "item_id": "a", "event_type": "purchase", "event_time": at(40)} for user in USERS]
    publish_world(home, [*events(), *later], ITEMS)
    version = Home(home).dataset("tiny").path / "versions" / "v0001"
    version.rename(version.with_name("gone"))
    places.places.cache_clear()
    assert figures(home) == before


def test_a_taste_is_the_share_of_the_category_in_a_shoppers_acts(home: Path) -> None:
    shares = colours.affinity(screen_of(home), "TEA")
    assert shares.tolist() == [0.0, 1.0] * 6
