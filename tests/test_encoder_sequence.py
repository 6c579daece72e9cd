"""Histories as arrays, the behaviour transformer that reads them, and the probe that judges blocks of a profile."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from core.encoder.acts import PADDING, TOKENS, batches_of
from core.encoder.behaviour import Shape
from core.encoder.foresight import _found, judge_foresight
from core.encoder.histories import KINDS, Histories, read_histories
from core.encoder.items import ItemVectors
from core.encoder.probe import equal, probe_blocks
from core.encoder.sequence import (
    FEWEST_ACTS,
    SequenceEncoder,
    SequenceOptions,
    beyond_reach,
    held_out,
    load_sequence,
    make_encoder,
    save_sequence,
    sequence_profiles,
    source_of,
    train_sequence,
)
from core.errors import GateError
from core.store import Log
from tests.worlds import at

MakeLog = Callable[..., Log]
ITEMS = 24


def event(user: str, item: str | None, kind: str, days: float, **more: Any) -> dict[str, Any]:
    return {"user_id": user, "item_id": item, "event_type": kind, "event_time": at(days), **more}


def circle(users: int = 60, length: int = 40, seed: int = 0) -> tuple[Histories, ItemVectors]:
    """Users who walk through the items in a circle, half of them backwards, starting anywhere: only the order tells what comes next."""
    rng = np.random.default_rng(seed)
    start, way = rng.integers(0, ITEMS, users), np.where(np.arange(users) % 2, 1, -1)
    item = ((start[:, None] + way[:, None] * np.arange(length)) % ITEMS).astype(np.int32).ravel()
    n, nothing = users * length, np.full(users * length, np.nan, np.float32)
    vectors = rng.standard_normal((ITEMS, 16)).astype(np.float32)
    items = ItemVectors(
        [f"i{k:02d}" for k in range(ITEMS)],
        np.arange(ITEMS, dtype=np.int32),
        vectors / np.linalg.norm(vectors, axis=1, keepdims=True),
        [f"text {k:02d}" for k in range(ITEMS)],
    )
    gap = np.full(n, 3600, np.float32)
    gap[::length] = 0
    starts = np.arange(0, n + 1, length, dtype=np.int64)
    names = [f"u{k:03d}" for k in range(users)]
    return Histories(names, starts, item, np.zeros(n, np.int8), gap, nothing, nothing, nothing, 0), items


@pytest.fixture(scope="module")
def walked() -> tuple[SequenceEncoder, Histories, ItemVectors]:
    histories, items = circle()
    return train_sequence(histories, items, SequenceOptions(epochs=60, rate=1e-2)), histories, items


def test_histories_are_the_acts_of_each_user_in_order_before_the_cutoff(make_log: MakeLog) -> None:
    log = make_log(
        [
            event("b", "y", "view", 2, dwell_seconds=30, position=3, price=9),
            event("b", "x", "cart", 1),
            event("b", "x", "impression", 1.5),
            event("a", None, "search", 3),
            event("a", "new", "purchase", 5, price=7),
            event("c", "x", "impression", 1),
            event("b", "x", "view", 9),
        ],
        items=[{"item_id": "x", "price": 4}],
    )
    with log.history(at(6)) as connection:
        found = read_histories(connection, ["x", "y"])
    assert found.user_ids == ["a", "b", "c"] and found.starts.tolist() == [0, 2, 4, 4]
    assert found.item.tolist() == [-1, -1, 0, 1]
    assert [KINDS[kind] for kind in found.kind] == ["search", "purchase", "cart", "view"]
    assert found.gap.tolist() == [0, 2 * 86400, 0, 86400]
    assert found.price[1:].tolist() == [7, 4, 9] and np.isnan(found.price[0])
    assert found.dwell[3] == 30 and found.position[3] == 3 and np.isnan(found.dwell[:3]).all()
    with log.history(at(6)) as connection:
        newest = read_histories(connection, ["x", "y"], most=1)
    assert newest.starts.tolist() == [0, 1, 2, 2] and newest.item.tolist() == [-1, 1] and newest.left_out == 2


def test_later_events_change_no_profile(make_log: MakeLog, walked: tuple[SequenceEncoder, Histories, ItemVectors]) -> None:
    encoder, _, items = walked
    early = [event(f"u{n % 7}", f"i{n % ITEMS:02d}", "view", 1 + n / 50) for n in range(200)]
    late = [event(f"u{n % 9}", f"i{n % 5:02d}", "purchase", 8 + n / 50) for n in range(100)]
    profiles = []
    for events in (early, early + late):
        log = make_log(events)
        with log.history(at(4.5)) as connection:
            histories = read_histories(connection, items.item_ids)
        profiles.append(sequence_profiles(encoder, histories, items))
    assert np.array_equal(*profiles)


def direction(profiles: npt.NDArray[np.float32], histories: Histories) -> float:
    """AUC of a linear probe for the way that users walk, learned on half of them."""
    ways = (np.arange(len(histories.user_ids)) % 2 == 1)[:, None]
    half = len(ways) // 2
    row = probe_blocks({"x": profiles[:half]}, {"x": profiles[half:]}, [equal("x")], ways[:half], ways[half:], np.random.default_rng(0))
    return row[0].auc


def test_it_learns_the_order_of_acts_which_its_untaught_twin_and_a_shuffled_history_do_not_tell(
    walked: tuple[SequenceEncoder, Histories, ItemVectors],
) -> None:
    encoder, _, items = walked
    others, _ = circle(users=120, seed=5)
    rng = np.random.default_rng(1)
    users = np.repeat(np.arange(len(others.user_ids)), others.lengths)
    mixed = replace(others, item=others.item[np.lexsort((rng.random(len(users)), users))])
    taught = sequence_profiles(encoder, others, items)
    assert encoder.card["losses"][-1]["next_item"] < 0.5 * encoder.card["losses"][0]["next_item"]
    assert direction(taught, others) > 0.95
    assert direction(sequence_profiles(encoder, mixed, items), others) < 0.75
    assert not np.allclose(taught, sequence_profiles(encoder, mixed, items), atol=0.01)


def test_training_twice_gives_the_same_and_a_saved_one_reads_alike(tmp_path: Path) -> None:
    histories, items = circle(users=40, length=30)
    options = SequenceOptions(epochs=2)
    one, two = (train_sequence(histories, items, options) for _ in range(2))
    profiles = sequence_profiles(one, histories, items)
    assert np.array_equal(profiles, sequence_profiles(two, histories, items))
    assert profiles.shape == (40, 2 * options.width) and profiles.dtype == np.float32
    assert np.allclose(np.linalg.norm(profiles.reshape(40, 2, -1), axis=2), 1, atol=1e-5)
    save_sequence(tmp_path, one)
    assert np.array_equal(profiles, sequence_profiles(load_sequence(tmp_path), histories, items))
    assert not np.array_equal(profiles, sequence_profiles(make_encoder(histories, items, options), histories, items))


def test_a_profile_does_not_depend_on_who_else_is_encoded(walked: tuple[SequenceEncoder, Histories, ItemVectors]) -> None:
    encoder, histories, items = walked
    alone = Histories(
        histories.user_ids[:1],
        histories.starts[:2],
        *(getattr(histories, name)[: histories.starts[1]] for name in ("item", "kind", "gap", "dwell", "position", "price")),
        left_out=0,
    )
    assert np.allclose(sequence_profiles(encoder, alone, items)[0], sequence_profiles(encoder, histories, items)[0], atol=1e-4)


def test_what_lies_before_the_newest_segment_is_remembered(walked: tuple[SequenceEncoder, Histories, ItemVectors]) -> None:
    encoder, _, items = walked
    length = 2 * encoder.network.shape.segment
    histories, _ = circle(users=3, length=length)
    other = histories.item.copy()
    other[:8] = (other[:8] + 7) % ITEMS  # of the first user, a segment and more before the end
    before, after = (sequence_profiles(encoder, replace(histories, item=item), items) for item in (histories.item, other))
    assert not np.allclose(before[0], after[0], atol=1e-4) and np.allclose(before[1:], after[1:], atol=1e-5)


def test_a_user_without_acts_has_zeros_and_a_new_item_is_read_by_its_text(walked: tuple[SequenceEncoder, Histories, ItemVectors]) -> None:
    encoder, _, items = walked
    nothing = np.full(1, np.nan, np.float32)
    one = Histories(
        ["a", "b"],
        np.array([0, 1, 1]),
        np.array([ITEMS], np.int32),
        np.zeros(1, np.int8),
        np.zeros(1, np.float32),
        nothing,
        nothing,
        nothing,
        0,
    )
    grown = [
        ItemVectors([*items.item_ids, "new"], np.append(items.index, text).astype(np.int32), items.vectors, items.texts) for text in (3, 4)
    ]
    first, second = (sequence_profiles(encoder, one, catalogue) for catalogue in grown)
    assert not first[1].any() and first[0].any()
    assert not np.allclose(first[0], second[0], atol=1e-3)


def test_too_few_acts_are_refused_with_both_numbers() -> None:
    histories, items = circle(users=5, length=10)
    learned = 9 * int((~held_out(histories.user_ids)).sum())
    with pytest.raises(GateError, match=f"{learned} acts.*{FEWEST_ACTS} are needed"):
        train_sequence(histories, items)


def test_the_probe_tells_what_a_block_adds_and_that_noise_adds_nothing() -> None:
    rng = np.random.default_rng(3)
    signal, more, noise = (rng.standard_normal((1200, 4)) for _ in range(3))
    labels = np.stack([signal[:, k] + more[:, k] + rng.standard_normal(1200) > 0 for k in range(4)], axis=1)
    train, test = ({"a": signal[part], "b": more[part], "noise": noise[part]} for part in (slice(0, 600), slice(600, 1200)))
    rows = probe_blocks(train, test, [equal("a"), equal("a", "b"), equal("a", "noise"), equal("noise")], labels[:600], labels[600:], rng)
    assert rows[0].gain == 0 and rows[0].targets == 4
    assert rows[1].gain_low > 0.03
    assert rows[2].gain_low < 0.005 and abs(rows[2].gain) < 0.02
    assert rows[3].low < 0.55 and rows[3].gain_high < 0


def test_a_trained_network_foresees_shoppers_it_never_learned_from_better_than_the_most_frequent(
    walked: tuple[SequenceEncoder, Histories, ItemVectors],
) -> None:
    encoder, histories, _items = walked
    told = encoder.card["foresight"]
    assert set(told) == {"masked_item", "next_item", "next_kind"}
    assert told["next_item"]["low"] > 0.9 and told["next_item"]["frequent"] == pytest.approx(10 / ITEMS, abs=0.05)
    assert told["masked_item"]["low"] > told["masked_item"]["frequent"]
    assert told["next_kind"]["value"] == told["next_kind"]["frequent"] == 1.0, "everyone only looks"
    held = held_out(histories.user_ids)
    assert told["next_item"]["users"] == held.sum() and told["next_item"]["n"] == 39 * held.sum()


def test_held_out_shoppers_teach_nothing_and_are_the_same_at_every_cutoff() -> None:
    histories, items = circle()
    held = held_out(histories.user_ids)
    assert 0 < held.sum() < len(held) / 5
    assert (held_out(histories.user_ids[::-1]) == held[::-1]).all()
    noise = np.repeat(held, histories.lengths)
    item = np.where(noise, (histories.item * 7 + 3) % ITEMS, histories.item).astype(np.int32)
    other = train_sequence(replace(histories, item=item), items, SequenceOptions(epochs=1))
    same = train_sequence(histories, items, SequenceOptions(epochs=1))
    assert other.card["losses"] == same.card["losses"] and other.frequent == same.frequent


def test_an_untaught_network_foresees_no_better_than_chance() -> None:
    histories, items = circle()
    twin = make_encoder(histories, items, SequenceOptions())
    told = judge_foresight(source_of(twin, histories, items), held_out(histories.user_ids))
    assert told["next_item"]["value"] < 0.75 and told["next_item"]["low"] < 10 / ITEMS + 0.15


def test_ties_count_half_so_that_equal_vectors_win_nothing() -> None:
    network = make_encoder(*circle(), SequenceOptions()).network
    every = torch.ones(100, 4) / 2
    assert not _found(network, torch.ones(3, 4), torch.tensor([0, 50, 99]), every).any()
    assert _found(network, torch.ones(3, 4), torch.tensor([0, 5, 9]), every[:12]).all()


@pytest.mark.parametrize("epochs", [1, 3, 4])
def test_a_training_of_a_few_steps_has_a_schedule(epochs: int) -> None:
    histories, items = circle(users=140, length=60)  # three batches of one piece: nine steps in three epochs
    encoder = train_sequence(histories, items, SequenceOptions(epochs=epochs))
    assert len(encoder.card["losses"]) == epochs and np.isfinite(sequence_profiles(encoder, histories, items)).all()


@pytest.mark.parametrize("least", [1, 2])
def test_batches_are_sized_by_their_longest_history_so_that_little_is_padding(least: int) -> None:
    rng = np.random.default_rng(0)
    one_short = np.array([2, *rng.integers(150, 1025, 953)])
    skewed = np.minimum(np.round(rng.lognormal(2.0, 1.4, 4_000)), 1024).astype(np.int64)
    for lengths in (one_short, skewed, np.array([1, 0, 1024]), np.full(10, 64)):
        batches = batches_of(lengths, 64, least)
        read = np.concatenate([users for users, _, _ in batches])
        assert sorted(read) == np.flatnonzero(lengths >= least).tolist(), "everyone once"
        for users, pieces, width in batches:
            assert len(users) * width <= TOKENS and lengths[users].max() <= pieces * width and width <= 64
        places = sum(len(users) * pieces * width for users, pieces, width in batches)
        own = sum(-(-n // 64) * 64 if n > 64 else max(4, -(-n // 4) * 4) for n in lengths[lengths >= least])
        assert places <= own / (1 - PADDING)
        again = batches_of(lengths, 64, least)
        assert all(np.array_equal(a[0], b[0]) and a[1:] == b[1:] for a, b in zip(batches, again, strict=True))
    batches = batches_of(one_short, 64, least)
    places = sum(len(users) * pieces * width for users, pieces, width in batches)
    assert len(batches) >= 15 and 1 - one_short.sum() / places < 0.2


def newest(histories: Histories, most: int) -> Histories:
    """The newest acts of each user, as they would be read with this limit."""
    kept = np.minimum(histories.lengths, most)
    rows = np.concatenate([np.arange(end - n, end) for end, n in zip(histories.starts[1:], kept, strict=True)])
    starts = np.concatenate([[0], np.cumsum(kept)]).astype(np.int64)
    columns = {name: getattr(histories, name)[rows] for name in ("item", "kind", "gap", "dwell", "position", "price")}
    columns["gap"] = columns["gap"].copy()
    columns["gap"][starts[:-1]] = 0  # nothing is known before the first one read
    return replace(histories, starts=starts, left_out=len(histories.item) - len(rows), **columns)


@pytest.mark.parametrize("memory", [1, 2])
def test_acts_within_the_reach_change_a_vector_and_those_beyond_it_change_no_bit(memory: int) -> None:
    histories, items = circle(users=70, length=500)
    encoder = make_encoder(histories, items, SequenceOptions(memory=memory))
    reach = encoder.network.shape.reach
    assert reach == encoder.card["reach"] == (2 * memory + 1) * 64
    profiles = sequence_profiles(encoder, histories, items)
    for cap in (reach + 1, reach + 100):
        assert np.array_equal(sequence_profiles(encoder, newest(histories, cap), items), profiles), cap
    assert beyond_reach(encoder.network, newest(histories, reach + 30)) == {"acts_beyond": 70 * (500 - reach), "users_beyond": 70}
    for place, changes in ((reach, True), (reach + 1, False)):
        item = histories.item.copy()
        item[histories.starts[1:] - place] = (item[histories.starts[1:] - place] + 5) % ITEMS
        assert np.array_equal(sequence_profiles(encoder, replace(histories, item=item), items), profiles) != changes


def test_a_vector_has_the_bits_that_reading_everything_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    histories, items = circle(users=64, length=500)
    encoder = make_encoder(histories, items, SequenceOptions())
    profiles = sequence_profiles(encoder, histories, items)
    monkeypatch.setattr(Shape, "reach", 1024)
    assert np.array_equal(sequence_profiles(encoder, histories, items), profiles)


def test_a_longer_memory_changes_long_histories_alone() -> None:
    histories, items = circle(users=40, length=400)
    short = np.arange(40) % 2 == 0
    kept = [np.arange(start if not few else start + 350, start + 400) for start, few in zip(histories.starts, short, strict=False)]
    lengths, rows = np.array([len(part) for part in kept]), np.concatenate(kept)
    columns = {name: getattr(histories, name)[rows] for name in ("item", "kind", "gap", "dwell", "position", "price")}
    histories = replace(histories, starts=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64), **columns)
    networks = [make_encoder(histories, items, SequenceOptions(memory=n)) for n in (1, 3)]
    same = {name: value for name, value in networks[0].network.state_dict().items() if "distance" not in name}  # distances begin at 0
    networks[1].network.load_state_dict(same, strict=False)
    one, three = (sequence_profiles(network, histories, items) for network in networks)
    assert np.allclose(one[short], three[short], atol=1e-6)  # what else lies in a batch may change its last bits
    assert (np.abs(one[~short] - three[~short]).max(axis=1) > 1e-4).all()
