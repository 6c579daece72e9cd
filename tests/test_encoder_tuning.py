"""Histories as texts, ways of tuning a text model to a question, and its smaller forms."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from core.encoder.compression import CompressionOptions, Form, compress
from core.encoder.encode import TextEncoder, load_encoder
from core.encoder.narrative import MOST_ACTS, cut_to, narratives
from core.encoder.probe import aucs
from core.encoder.sparse import read_sparse, write_sparse
from core.encoder.tuning import METHODS, Task, TuningOptions, save_tuned, tune
from core.store import Log
from tests.encoders import WORDS, save_tiny_encoder
from tests.worlds import at

MakeLog = Callable[..., Log]
ITEMS = [{"item_id": "t", "title": "green tea", "category": "drinks"}, {"item_id": "c", "category": "cups"}, {"item_id": "x"}]


def event(user: str, item: str | None, kind: str, days: float) -> dict[str, Any]:
    return {"user_id": user, "item_id": item, "event_type": kind, "event_time": at(days)}


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> TextEncoder:
    folder = tmp_path_factory.mktemp("tuning")
    return load_encoder(str(save_tiny_encoder(folder / "tiny")), WORDS, "cpu", folder / "cache", "fp32")


def told(log: Log, days: float) -> dict[str, str]:
    with log.history(at(days)) as connection:
        return dict(zip(*narratives(connection), strict=True))


def test_a_history_is_told_newest_first_and_equal_acts_once(make_log: MakeLog) -> None:
    log = make_log(
        [
            event("a", "t", "purchase", 1),
            event("a", "c", "view", 2),
            event("a", "t", "purchase", 3),
            event("a", "x", "cart", 3.5),
            event("a", "c", "impression", 3.6),
            event("c", "c", "impression", 3.6),
            event("b", None, "search", 1),
            event("a", "c", "purchase", 9),
        ],
        items=ITEMS,
    )
    assert told(log, 5) == {
        "a": "2 purchases of 4 acts in 3 days: bought green tea x2, viewed cups",
        "b": "0 purchases of 1 acts in 1 days",
        "c": "no acts",
    }


def test_later_events_and_acts_beyond_the_newest_are_not_told(make_log: MakeLog) -> None:
    early = [event("a", "t", "view", 1), *(event("a", "c", "view", 2 + n / 1000) for n in range(MOST_ACTS)), event("b", "t", "cart", 4)]
    log, longer = make_log([*early, event("b", "c", "view", 9)], items=ITEMS), make_log([*early, event("a", "t", "cart", 5)], items=ITEMS)
    assert told(log, 5) == told(longer, 5)
    assert told(log, 5)["a"] == f"0 purchases of {MOST_ACTS + 1} acts in 2 days: viewed cups x{MOST_ACTS}"


def test_a_text_is_cut_to_its_budget_at_the_end_of_a_token(encoder: TextEncoder) -> None:
    texts, cut = cut_to(encoder.tokenizer, ["red dress summer", "tea", ""], 4)
    assert texts == ["red dress", "tea", ""] and cut == 1
    assert all(len(encoder.tokenizer.encode(text).ids) <= 4 for text in texts)


def sentences(rows: int, seed: int) -> tuple[list[str], npt.NDArray[np.bool_]]:
    """Six words each; who names tea beside coffee acts, which no single word tells."""
    rng = np.random.default_rng(seed)
    texts = [" ".join(rng.choice(WORDS[:10], 4)) + rng.choice([" tea", " cup"]) + rng.choice([" coffee", " bean"]) for _ in range(rows)]
    return texts, np.array([("tea" in text) == ("coffee" in text) for text in texts])


@pytest.mark.parametrize("method", METHODS)
def test_each_way_trains_its_own_weights_and_gives_the_same_twice(encoder: TextEncoder, method: str) -> None:
    (texts, labels), (test_texts, _) = sentences(48, 0), sentences(16, 1)
    one, two = (tune(encoder, Task(texts, labels, test_texts), method, TuningOptions(epochs=1)) for _ in range(2))
    assert np.array_equal(one.scores, two.scores) and len(one.scores) == 16
    assert (one.trainable == 0) == (method == "head") and (one.trainable == one.parameters) == (method == "full")
    if method in ("lora", "ia3"):
        assert 0 < one.trainable < one.parameters
    head = tune(encoder, Task(texts, labels, test_texts), "head", TuningOptions())
    assert (method == "head") == bool(np.allclose(one.scores, head.scores, atol=1e-6))


def test_neither_tuning_nor_keeping_weights_prints_what_a_library_says(
    encoder: TextEncoder, tmp_path: Path, capfd: pytest.CaptureFixture[str], recwarn: pytest.WarningsRecorder
) -> None:
    (texts, labels), (test_texts, _) = sentences(48, 0), sentences(16, 1)
    for method in ("lora", "adalora", "ia3"):
        save_tuned(tmp_path / method, encoder, tune(encoder, Task(texts, labels, test_texts), method, TuningOptions(epochs=1)), {})
    assert capfd.readouterr() == ("", "") and not recwarn.list


def test_adalora_moves_rank_between_layers_and_ends_with_its_budget(encoder: TextEncoder) -> None:
    (texts, labels), (test_texts, _) = sentences(160, 0), sentences(8, 1)
    even, moved = (
        tune(encoder, Task(texts, labels, test_texts), way, TuningOptions(epochs=2, rank=3)).ranks for way in ("lora", "adalora")
    )
    assert list(even) == list(moved) and len(even) == 12  # two layers of six matrices
    assert set(even.values()) == {3} and sum(moved.values()) == 36 == sum(even.values())
    assert len(set(moved.values())) > 1 and max(moved.values()) <= 6
    assert tune(encoder, Task(texts, labels, test_texts), "full", TuningOptions(epochs=1)).ranks == {}


def test_tuning_learns_what_a_linear_head_cannot(encoder: TextEncoder) -> None:
    (texts, labels), (test_texts, test_labels) = sentences(300, 0), sentences(200, 1)
    areas = {}
    for method in ("head", "full"):
        found = tune(encoder, Task(texts, labels, test_texts), method, TuningOptions(epochs=25, rate=3e-3))
        areas[method] = float(aucs(found.scores[:, None], test_labels[:, None])[0])
    assert areas["full"] > areas["head"] + 0.1 and areas["full"] > 0.75


def test_the_model_at_hand_stays_as_it_was(encoder: TextEncoder) -> None:
    (texts, labels), (test_texts, _) = sentences(32, 0), sentences(8, 1)
    before = [weight.clone() for weight in encoder.network.parameters()]
    tune(encoder, Task(texts, labels, test_texts), "full", TuningOptions(epochs=1))
    assert all(bool((a == b).all()) for a, b in zip(before, encoder.network.parameters(), strict=True))
    assert encoder.network.training is False


@pytest.fixture(scope="module")
def forms(encoder: TextEncoder) -> dict[str, Form]:
    (texts, _), (test_texts, _) = sentences(400, 0), sentences(80, 1)
    return {form.form: form for form in compress(encoder, texts, test_texts, CompressionOptions(layers=1, epochs=12, rate=5e-3))}


def test_the_full_model_is_like_itself_and_the_others_are_measured_against_it(forms: dict[str, Form]) -> None:
    full = forms["fp32"]
    assert full.cosine == pytest.approx(1, abs=1e-6) and full.neighbours == full.low == full.high == 1
    assert {"int8", "pruned", "fewer layers", "student"} <= forms.keys()
    assert all(-1 <= form.cosine <= 1.0001 and 0 <= form.low <= form.neighbours <= form.high <= 1 for form in forms.values())
    assert forms["int8"].megabytes < full.megabytes and forms["int8"].cosine > 0.98
    assert forms["student"].megabytes < full.megabytes and forms["pruned"].megabytes < 0.9 * full.megabytes


def test_pruned_weights_are_saved_without_their_zeros_and_read_back_the_same(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    weights = {"a.weight": rng.standard_normal((31, 7)).astype(np.float32), "a.bias": np.zeros(31, np.float32),
               "a.mask": np.ones(3, np.float32), "none": np.zeros((4, 5), np.float32)}  # fmt: skip
    weights["a.weight"][rng.random((31, 7)) < 0.5] = 0
    write_sparse(tmp_path / "sparse.safetensors", weights, {"a.weight", "none"})
    back = read_sparse(tmp_path / "sparse.safetensors")
    assert back.keys() == weights.keys()
    assert all(np.array_equal(back[name], weight) and back[name].dtype == weight.dtype for name, weight in weights.items())
    sizes = []
    large = {"w": np.where(rng.random((200, 200)) < 0.5, 0, 1).astype(np.float32)}
    for name, pruned in (("dense", set()), ("sparse", {"w"})):
        write_sparse(tmp_path / name, large, pruned)
        sizes.append((tmp_path / name).stat().st_size)
    assert sizes[1] < 0.56 * sizes[0]  # half of the values, and a bit for each


def test_a_taught_student_is_nearer_to_its_teacher_than_the_same_layers_untaught(forms: dict[str, Form]) -> None:
    assert forms["student"].cosine > forms["fewer layers"].cosine + 0.1
    assert forms["student"].cpu_seconds > forms["fewer layers"].cpu_seconds
