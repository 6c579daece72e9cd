"""How acts fade is chosen where a log tells, kept after an append, fixed when asked, and never by what comes after the cutoff."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.artifacts import read_arrays
from core.encoder.items import encode_items
from core.encoder.pooling import EVENT_WEIGHTS, HALF_LIFE_DAYS, pool_text_profiles
from core.encoder.pooling_choice import mean_auc, read_acts
from core.encoder.probe import aucs
from core.pipeline.encoding import options_in_use
from core.pipeline.options import ProfileOptions
from core.pipeline.profiling import profile
from core.store import Home
from tests.encoders import WORDS, save_tiny_encoder
from tests.worlds import at, publish_world

KINDS = ("dress", "phone", "tea", "cup", "bean")
ITEMS = [{"item_id": f"{kind}{n}", "title": f"{WORDS[n]} {kind}", "category": kind} for kind in KINDS for n in range(3)]
USERS = 260


def events(stays: float, days: int, seed: int = 0, first: int = 0) -> list[dict[str, Any]]:
    """Shoppers with one taste a week; it stays the next week with this chance, else another one comes."""
    rng, rows = np.random.default_rng(seed), []
    for user in range(USERS):
        taste = int(rng.integers(len(KINDS)))
        for week in range(first // 7, days // 7):
            taste = taste if rng.random() < stays else int(rng.integers(len(KINDS)))
            for day in np.sort(rng.uniform(7 * week, 7 * week + 7, 3)):
                kind = KINDS[taste if rng.random() < 0.85 else int(rng.integers(len(KINDS)))]
                act = "purchase" if rng.random() < 0.7 else "view"
                item = f"{kind}{rng.integers(3)}"
                rows.append({"user_id": f"u{user:03d}", "item_id": item, "event_type": act, "event_time": at(float(day))})
    return rows


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    path = tmp_path_factory.mktemp("pooling")
    fickle = events(0.75, 84)
    publish_world(path, fickle, ITEMS, dataset="fickle")
    publish_world(path, [*fickle, *events(0.0, 112, 1, first=84)], ITEMS, dataset="longer")
    publish_world(path, events(1.0, 84), ITEMS, dataset="steady")
    publish_world(path, events(0.75, 14), ITEMS, dataset="short")
    save_tiny_encoder(path / "tiny")
    return Home(path)


def made(home: Home, name: str, **more: Any) -> dict[str, Any]:
    chosen = ProfileOptions(("counts", "text"), str(home.path / "tiny"), "cpu", half_life=more.pop("half_life", None))
    return profile(home, home.dataset(name), options=chosen, **more)


def test_acts_pooled_for_the_choice_give_the_profiles_that_are_kept(home: Home) -> None:
    with home.dataset("fickle").log().history(at(60)) as connection:
        items = encode_items(connection, model=str(home.path / "tiny"), device="cpu")
        assert items is not None
        users, kept = pool_text_profiles(connection, items, 30.0)
        acts = read_acts(connection, items, users)
        assert np.allclose(acts.pool(items, 30.0, EVENT_WEIGHTS), kept, atol=1e-5)
        assert not np.allclose(acts.pool(items, 5.0, EVENT_WEIGHTS), kept, atol=1e-3)


def test_the_parts_of_an_auc_tell_its_error() -> None:
    rng = np.random.default_rng(0)
    labels = rng.random((400, 3)) < 0.3
    scores = labels + rng.normal(size=(400, 3)).round(1)
    value, parts = mean_auc(scores, labels)
    assert value == pytest.approx(aucs(scores, labels).mean())
    drawn = [np.nanmean(aucs(scores[rows], labels[rows])) for rows in rng.integers(0, 400, (400, 400))]
    assert np.sqrt((parts**2).sum()) == pytest.approx(np.std(drawn), rel=0.15)


def test_where_tastes_change_acts_fade_sooner_and_where_they_stay_nothing_changes(home: Home) -> None:
    fickle, steady = (made(home, name)["pooling"] for name in ("fickle", "steady"))
    assert fickle["half_life_days"] < HALF_LIFE_DAYS and "foretells better" in str(fickle["why"])
    best = next(rival for rival in fickle["rivals"] if rival["half_life_days"] == fickle["half_life_days"])
    assert best["low"] > 0 and {rival["half_life_days"] for rival in fickle["rivals"] if rival["weights"] == "usual"} == {
        15,
        30,
        60,
        120,
        365,
    }
    assert {rival["weights"] for rival in fickle["rivals"]} == {"usual", "alike", "looks a tenth", "purchases alone"}
    assert steady["half_life_days"] >= HALF_LIFE_DAYS and steady["weights"] == "usual"
    assert made(home, "short")["pooling"]["half_life_days"] == HALF_LIFE_DAYS


def test_the_choice_sees_nothing_after_the_cutoff(home: Home) -> None:
    one, other = (made(home, name, cutoff=at(84)) for name in ("fickle", "longer"))
    timeless = [{name: value for name, value in told["pooling"].items() if name != "cpu_seconds"} for told in (one, other)]
    assert timeless[0] == timeless[1]
    folders = [home.dataset(name).run_path("profiles", told["run"]) for name, told in (("fickle", one), ("longer", other))]
    assert np.array_equal(*(read_arrays(folder / "text.safetensors")["text"] for folder in folders))


def test_an_append_keeps_what_was_chosen_and_a_fixed_one_is_taken(home: Home, tmp_path: Path) -> None:
    fickle = events(0.75, 84)
    publish_world(tmp_path, [row for row in fickle if row["event_time"] < at(2)], ITEMS)
    save_tiny_encoder(tmp_path / "tiny")
    shop = Home(tmp_path)
    assert made(shop, "tiny")["pooling"]["rivals"] == []
    publish_world(tmp_path, fickle, ITEMS)
    first = made(shop, "tiny")
    assert first["pooling"]["rivals"], "a log that was too short for a choice makes it when it has grown"
    publish_world(tmp_path, [*fickle, *events(0.0, 112, 1, first=84)], ITEMS)
    second = made(shop, "tiny")
    assert second["pooling"]["half_life_days"] == first["pooling"]["half_life_days"] and "kept" in str(second["pooling"]["why"])
    fixed = made(shop, "tiny", half_life=7.0)
    assert fixed["pooling"]["half_life_days"] == 7 and fixed["pooling"]["rivals"] == []
    assert options_in_use(shop.dataset("tiny")).half_life == 7
