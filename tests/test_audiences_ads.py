"""Match of an advertisement: who leans to it comes first, later events change nothing, and past lists are judged rightly."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from core.artifacts import write_table
from core.audiences.ads import answered, lean_towards, match_score, near_categories
from core.errors import GateError, ModelError, NotFoundError
from core.pipeline import matching, screens
from core.pipeline.options import ProfileOptions
from core.pipeline.work import profile
from core.store import Home, Log
from tests.encoders import save_tiny_encoder
from tests.worlds import at, publish_world

ITEMS = [{"item_id": f"dress{n}", "title": f"red summer dress {n}", "category": "Dresses"} for n in range(30)]
ITEMS += [{"item_id": f"tea{n}", "title": f"green tea cup {n}", "category": "Tea"} for n in range(30)]


def event(user: str, item: str, day: float, kind: str = "view") -> dict[str, Any]:
    return {"user_id": user, "item_id": item, "event_type": kind, "event_time": at(day)}


def taste(user: int) -> str:
    return "dress" if user % 2 else "tea"


EVENTS = [event(f"u{n:02d}", f"{taste(n)}{(n + day) % 30}", day) for n in range(60) for day in range(3)]
FUTURE = [event(f"u{n:02d}", f"{taste(n)}{n % 30}", 11, "purchase") for n in range(60)] + [event("u00", "tea0", 12.5)]


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return publish_world(tmp_path / "home", EVENTS + FUTURE, items=ITEMS)


def leanings(log: Log, until: float) -> pa.Table:
    ids = [item["item_id"] for item in ITEMS]
    cosines = np.array([0.9 if item.startswith("dress") else 0.1 for item in ids], np.float32)
    with log.history(at(until)) as connection:
        return lean_towards(connection, ids, cosines, {"Dresses": 1.0}, at(until))


def test_who_touched_the_categories_of_an_advertisement_leans_to_it(log: Log) -> None:
    rows = {row["user_id"]: row for row in leanings(log, 10).to_pylist()}
    assert rows["u01"]["leaning"] > 0.8 > 0.2 > rows["u00"]["leaning"]
    assert rows["u01"]["closeness"] > rows["u00"]["closeness"]


def test_leanings_ignore_events_from_the_cutoff_on(log: Log, tmp_path: Path) -> None:
    later = [event("u00", "dress1", 10, "purchase"), event("late", "dress1", 11)]
    grown = publish_world(tmp_path / "grown", EVENTS + FUTURE + later, items=ITEMS)
    assert leanings(log, 10).equals(leanings(grown, 10))


def test_more_of_either_never_lowers_the_match() -> None:
    rng = np.random.default_rng(0)
    leaning, chance = rng.random(50), rng.random(50)
    before = match_score(leaning, chance)
    assert before.min() >= 0 and before.max() <= 1
    for values in (leaning, chance):
        values[7] += 0.3
        after = match_score(leaning, chance)
        assert after[7] >= before[7]
        values[7] -= 0.3


def test_categories_are_weighed_by_the_near_items_that_have_one() -> None:
    assert near_categories(["A", "A", None, "B"]) == {"A": 2 / 3, "B": 1 / 3}
    assert near_categories([None]) == {}


def test_a_list_that_finds_everyone_has_the_greatest_lift_and_one_by_chance_none() -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(1000) < 100
    found = answered(labels, -np.arange(1000.0), rng.random(1000), "acts", rng)
    assert found is not None and found.lift == pytest.approx(10) and found.rate == pytest.approx(0.1)
    assert 0 < found.propensity_lift < 2.5 and found.gain_low > 5
    assert answered(np.arange(1000) < 9, labels * 1.0, labels * 1.0, "acts", rng) is None


@pytest.fixture
def screen(tmp_path: Path) -> screens.Screen:
    home = Home(tmp_path / "shop")
    publish_world(home.path, EVENTS + FUTURE, items=ITEMS)
    tiny = save_tiny_encoder(tmp_path / "model")
    target = home.dataset("tiny")
    profile(home, target, options=ProfileOptions(model=str(tiny), device="cpu"))
    users = [f"u{n:02d}" for n in range(60)]
    with target.new_run("propensity", inputs={"version": "v0001"}, config={"horizon_hours": 36.0}, cutoff=None) as draft:
        for name in ("scores", "test"):
            write_table(draft.path / f"{name}.parquet", pa.table({"user_id": users, "propensity": np.full(60, 0.5)}))
        draft.record["windows"] = {"test": at(10.5).isoformat()}
    return screens.open_screen(home, "tiny")


def test_an_advertisement_of_items_finds_those_who_lean_to_them_and_is_judged_at_the_test_window(screen: screens.Screen) -> None:
    found = matching.match_ad(screen, item_ids=["dress1", "dress2"])
    assert found.categories == {"Dresses": 1.0} and len(found.near) == 6
    assert [int(user[1:]) % 2 for user in found.rows["user_id"].head(20)] == [1] * 20
    assert found.tested_at == at(10.5) and found.horizon_days == 1.5
    bought = next(one for one in found.evidence if one.act == "purchases")
    assert bought.users == 60 and bought.answered == 30 and bought.lift == pytest.approx(2.0)
    record = matching.match_record(found)
    assert record["users"] == 60 and len(record["rows"]) == 20
    assert timedelta(days=found.horizon_days) + at(10.5) <= screen.log.until


@pytest.mark.parametrize("text", ["<script>", "x" * 100_000, "'; DROP TABLE events; --", "🙂", "红色连衣裙"])
def test_hostile_texts_harm_nothing(screen: screens.Screen, text: str) -> None:
    assert len(matching.match_ad(screen, text).rows) == 60


def test_nothing_to_go_by_is_said(screen: screens.Screen, tmp_path: Path) -> None:
    with pytest.raises(GateError, match="nothing to match"):
        matching.match_ad(screen, "  ")
    with pytest.raises(NotFoundError, match="None of the 1 items"):
        matching.match_ad(screen, item_ids=["no such item"])
    publish_world(tmp_path / "bare", EVENTS, items=ITEMS)
    with pytest.raises(ModelError, match="no text vectors"):
        matching.match_ad(screens.open_screen(Home(tmp_path / "bare"), "tiny"), "red dress")
