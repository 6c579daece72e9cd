"""Texts of items, their vectors in a run, and users as pools of them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.encoder.encode import encode_texts, load_encoder
from core.encoder.items import ItemVectors, centred, encode_items, read_item_vectors, save_item_vectors
from core.encoder.pooling import EVENT_WEIGHTS, pool_text_profiles
from core.encoder.texts import PricePoints, item_texts, price_points
from core.errors import RuleError
from core.store import Log
from tests.encoders import save_tiny_encoder
from tests.worlds import at

MakeLog = Callable[..., Log]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_encoder(tmp_path_factory.mktemp("models") / "tiny")


def event(user: str, item: str | None, kind: str, days: float) -> dict[str, Any]:
    return {"user_id": user, "item_id": item, "event_type": kind, "event_time": at(days)}


def axes(*item_ids: str) -> ItemVectors:
    """Items along the axes of space: a profile's values are the weights themselves, made unit."""
    return ItemVectors(list(item_ids), np.arange(len(item_ids), dtype=np.int32), np.eye(len(item_ids), dtype=np.float32), list(item_ids))


def texts_of(log: Log) -> dict[str, str | None]:
    with log.history() as connection:
        table = item_texts(connection)
    assert table["item_id"].to_pylist() == sorted(table["item_id"].to_pylist())
    return dict(zip(table["item_id"].to_pylist(), table["text"].to_pylist(), strict=True))


def test_earlier_price_points_serve_while_they_call_few_items_otherwise(make_log: MakeLog) -> None:
    items = [{"item_id": f"i{n:02d}", "title": f"t{n}", "price": n + 1} for n in range(40)]
    with make_log([event("u", "i00", "view", 1)], items=items).history() as connection:
        own = price_points(connection)
        assert own == PricePoints((4.0, 12.0, 28.0, 36.0))
        near, far = (4.0, 14.0, 28.0, 38.0), (4.0, 14.0, 29.0, 38.0)  # four and five of forty items
        assert price_points(connection, near) == PricePoints(near, kept=True, moved=0.1)
        assert price_points(connection, far) == own
        assert price_points(connection, (5.0, 5.0, 5.0, 5.0)) == own, "points that tell no prices apart"
        told = item_texts(connection, PricePoints(near))["text"].to_pylist()
        assert told[12] == "t12 | low price" and item_texts(connection)["text"].to_pylist()[12] == "t12 | medium price"
    with make_log([event("u", "i00", "view", 1)], items=[{"item_id": "a", "title": "t"}]).history() as connection:
        assert price_points(connection, near) == PricePoints(())


def test_a_text_joins_the_parts_that_are_there(make_log: MakeLog) -> None:
    items = [
        {"item_id": "a", "title": "Red dress", "category": "Clothes", "brand": "Ann", "description": "A dress"},
        {"item_id": "b", "title": "", "category": "Tea"},
        {"item_id": "c", "title": "  <b>Big</b>\n\tcup &amp; saucer <br/>", "description": "size < 5 > 3"},
        {"item_id": "d", "title": "智能手机 📱"},
        {"item_id": "e", "title": " ", "price": 3},
        {"item_id": "f", "title": "x" * 5000},
    ]
    texts = texts_of(make_log([event("u", "z", "view", 1)], items=items))
    assert texts["a"] == "Red dress | Clothes | Ann | A dress"
    assert texts["b"] == "Tea"
    assert texts["c"] == "Big cup & saucer | size < 5 > 3"
    assert texts["d"] == "智能手机 📱"
    assert texts["e"] is None and texts["z"] is None
    assert texts["f"] == "x" * 300


def test_texts_that_are_cut_count_once_whoever_cuts_them(make_log: MakeLog, tmp_path: Path) -> None:
    items = [
        {"item_id": "a", "title": "x" * 10_000},
        {"item_id": "b", "title": "x" * 300},  # the same text, whole
        {"item_id": "c", "title": "tea cup", "description": "<p>" + "red " * 400},
        {"item_id": "d", "title": "green " * 40},  # within LONGEST, above the 32 tokens that the model takes
        {"item_id": "e", "title": "tea", "description": "<b>" * 300 + "blue"},  # mark-up is not counted
        {"item_id": "f", "title": "summer dress", "brand": "ab" * 41},
    ]
    with make_log([event("u", "a", "view", 1)], items=items).history() as connection:
        table = item_texts(connection)
        assert dict(zip(table["item_id"].to_pylist(), table["is_cut"].to_pylist(), strict=True)) == {
            "a": True, "b": False, "c": True, "d": False, "e": False, "f": True
        }  # fmt: skip
        found = encode_items(
            connection, tmp_path / "cache", model=str(save_tiny_encoder(tmp_path / "tiny")), device="cpu", precision="fp32"
        )
    assert found is not None and found.card["distinct_texts"] == found.card["texts_counted"] == 5
    assert found.card["truncated_texts"] == 4 and found.card["truncated_share"] == pytest.approx(4 / 5)


def test_price_bands_follow_the_catalogues_deciles(make_log: MakeLog) -> None:
    items = [{"item_id": f"{n:02}", "title": "cup", "price": n} for n in range(1, 11)]
    texts = texts_of(make_log([event("u", "01", "view", 1)], items=items))
    bands = [str(texts[f"{n:02}"]).removeprefix("cup | ") for n in range(1, 11)]
    assert bands == ["very low price", *["low price"] * 2, *["medium price"] * 4, *["high price"] * 2, "very high price"]


def test_one_price_for_all_tells_nothing(make_log: MakeLog) -> None:
    items = [{"item_id": f"{n}", "title": "cup", "price": 5} for n in range(3)]
    assert set(texts_of(make_log([event("u", "0", "view", 1)], items=items)).values()) == {"cup"}


def test_items_are_encoded_once_a_text_and_read_back_as_saved(make_log: MakeLog, tiny: Path, tmp_path: Path) -> None:
    items = [{"item_id": i, "title": t} for i, t in (("b", "red tea"), ("a", "blue cup"), ("c", "red tea"), ("d", None))]
    with make_log([event("u", "a", "view", 1)], items=items).history() as connection:
        vectors = encode_items(connection, tmp_path, model=str(tiny), precision="fp32", device="cpu")
    assert vectors is not None
    assert vectors.item_ids == ["a", "b", "c", "d"] and vectors.texts == ["blue cup", "red tea"]
    assert vectors.index.tolist() == [0, 1, 1, -1] and vectors.index.dtype == np.int32
    assert vectors.vectors.shape == (2, 24) and vectors.centre is None
    assert (vectors.card["items"], vectors.card["items_without_text"], vectors.card["distinct_texts"]) == (4, 1, 2)
    save_item_vectors(tmp_path, vectors)
    back = read_item_vectors(tmp_path, vectors.card)
    assert back.item_ids == vectors.item_ids and back.texts == vectors.texts
    assert np.array_equal(back.index, vectors.index) and np.array_equal(back.vectors, vectors.vectors)


def test_a_catalogue_without_text_loads_no_model(make_log: MakeLog) -> None:
    with make_log([event("u", "a", "view", 1)]).history() as connection:
        assert encode_items(connection, model="no/such/model") is None


def test_centring_takes_out_what_all_texts_share() -> None:
    rng = np.random.default_rng(0)
    raw = np.float32(rng.normal(size=(50, 8)) * 0.1 + 1)
    raw /= np.linalg.norm(raw, axis=1, keepdims=True)
    moved = centred(raw, raw.mean(0))
    assert (raw @ raw.T).mean() > 0.9 and abs((moved @ moved.T).mean()) < 0.1
    assert np.allclose(np.linalg.norm(moved, axis=1), 1, atol=1e-5)
    assert centred(raw, None) is raw


def test_items_and_profiles_ignore_what_comes_after_the_cutoff(make_log: MakeLog, tiny: Path, tmp_path: Path) -> None:
    past = [event("u", "a", "view", 1), event("v", "b", "purchase", 2), event("v", "a", "cart", 3)]
    items = [{"item_id": "a", "title": "red tea", "price": 1}, {"item_id": "b", "title": "blue cup", "price": 9}]
    future = [event("u", "b", "purchase", 6), event("w", "c", "view", 7)]
    seen = []
    for number, events in enumerate((past, past + future)):
        log = make_log(events, items=items, dataset=f"d{number}")
        with log.history(at(5) if number else log.until) as connection:
            vectors = encode_items(connection, tmp_path / str(number), model=str(tiny), device="cpu")
            assert vectors is not None
            seen.append((vectors, *pool_text_profiles(connection, vectors)))
    (short, short_users, short_profiles), (long, long_users, long_profiles) = seen
    assert short.item_ids == long.item_ids and np.array_equal(short.vectors, long.vectors)
    assert short_users == long_users == ["u", "v"] and np.array_equal(short_profiles, long_profiles)


def test_a_profile_is_the_weighted_pool_of_what_was_touched(make_log: MakeLog) -> None:
    events = [
        event("u", "a", "purchase", 0),
        event("u", "b", "view", 60),
        event("u", "b", "view", 60),
        event("v", "b", "cart", 60),
        event("w", None, "search", 60),
        event("x", "a", "impression", 60),
        event("y", "no text", "purchase", 60),
    ]
    with make_log(events).history() as connection:
        users, profiles = pool_text_profiles(connection, axes("a", "b"), half_life_days=60)
    assert users == ["u", "v", "w", "x", "y"] and profiles.dtype == np.float32
    a, b = np.log1p(EVENT_WEIGHTS["purchase"] * 0.5), np.log1p(2 * EVENT_WEIGHTS["view"])
    assert profiles[0] == pytest.approx(np.array([a, b]) / np.hypot(a, b), abs=1e-6)
    assert profiles[1].tolist() == [0, 1]
    assert not profiles[2:].any()


def test_stronger_and_newer_acts_move_a_profile_further(make_log: MakeLog) -> None:
    events = [event("act", "a", "view", 1), event("act", "b", "purchase", 1), event("age", "a", "cart", 1), event("age", "b", "cart", 50)]
    with make_log(events).history() as connection:
        _, profiles = pool_text_profiles(connection, axes("a", "b"))
        _, only_views = pool_text_profiles(connection, axes("a", "b"), weights={"view": 1.0})
    assert (profiles[:, 1] > profiles[:, 0]).all()
    assert only_views.tolist() == [[1, 0], [0, 0]]


def test_profiles_do_not_depend_on_the_order_of_rows(make_log: MakeLog) -> None:
    rng = np.random.default_rng(2)
    kinds = list(EVENT_WEIGHTS)
    events = [event(f"u{rng.integers(30)}", f"i{rng.integers(9)}", kinds[rng.integers(6)], float(rng.random() * 50)) for _ in range(150)]
    vectors = ItemVectors([f"i{n}" for n in range(9)], np.arange(9, dtype=np.int32), np.float32(rng.normal(size=(9, 5))), [])
    profiles = []
    for number, order in enumerate((events, events[::-1])):
        with make_log(order, dataset=f"d{number}").history() as connection:
            profiles.append(pool_text_profiles(connection, vectors)[1])
    assert np.array_equal(*profiles)


@pytest.mark.parametrize(
    "options", [{"half_life_days": 0}, {"weights": {"buy": 1.0}}, {"weights": {"view": -1.0}}, {"weights": {"view": float("nan")}}]
)
def test_impossible_weights_are_refused(make_log: MakeLog, options: dict[str, Any]) -> None:
    with make_log([event("u", "a", "view", 1)]).history() as connection, pytest.raises(RuleError):
        pool_text_profiles(connection, axes("a"), **options)


def test_the_card_and_vectors_of_a_loaded_encoder_serve_several_cutoffs(make_log: MakeLog, tiny: Path, tmp_path: Path) -> None:
    encoder = load_encoder(str(tiny), ["red tea"], device="cpu", cache=tmp_path, precision="fp32")
    log = make_log([event("u", "a", "view", 1)], items=[{"item_id": "a", "title": "red tea"}])
    with log.history() as connection:
        vectors = encode_items(connection, tmp_path, encoder=encoder)
    assert vectors is not None and np.array_equal(vectors.vectors, encode_texts(encoder, ["red tea"]))
