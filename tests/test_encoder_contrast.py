"""Tuning by contrast: halves of one history belong together; tuned weights are kept as a model that others can name."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch

from core.encoder.encode import TextEncoder, encode_texts, load_encoder
from core.encoder.narrative import halves
from core.encoder.tokens import tokenise
from core.encoder.tuning import Task, TuningOptions, encode, save_tuned, tune
from core.pipeline.texts import tuned_until
from core.store import Log
from tests.encoders import WORDS, save_tiny_encoder
from tests.test_encoder_tuning import ITEMS, event, sentences
from tests.worlds import at

MakeLog = Callable[..., Log]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> TextEncoder:
    folder = tmp_path_factory.mktemp("contrast")
    return load_encoder(str(save_tiny_encoder(folder / "tiny")), WORDS, "cpu", folder / "cache", "fp32")


MINE = [event("u1", "t", "purchase", 1), event("u1", "t", "purchase", 2), event("u1", "c", "view", 3), event("u1", "x", "view", 4)]


def test_halves_of_a_history_are_told_apart_without_days_and_sums(make_log: MakeLog) -> None:
    log = make_log([*MINE, event("u2", "t", "view", 2), event("u1", "t", "cart", 9)], items=ITEMS)
    with log.history(at(5)) as connection:
        assert halves(connection) == (["u1"], ["viewed cups, bought green tea"], ["bought green tea"])


def tastes(rows: int, seed: int) -> tuple[tuple[list[str], list[str]], npt.NDArray[np.int64]]:
    """Two halves of histories of five tastes, a word and its partner each; nothing but the taste is in both halves."""
    rng = np.random.default_rng(seed)
    taste = rng.integers(5, size=rows)
    newer = [f"{WORDS[kind]} {rng.choice(WORDS[10:16])}" for kind in taste]
    older = [f"{WORDS[5 + kind]} {rng.choice(WORDS[10:16])}" for kind in taste]
    return (newer, older), taste


def test_contrast_learns_which_halves_belong_together_and_reads_no_label(encoder: TextEncoder) -> None:
    pairs, taste = tastes(160, 0)
    task = Task(pairs[0][:40], taste[:40] < 2, pairs[1][:40], pairs)
    other = Task(task.texts, ~task.labels, task.test_texts, pairs)
    one, flipped = (tune(encoder, some, "lora", TuningOptions(epochs=1, rate=3e-3)) for some in (task, other))
    weights = [dict(way.network.named_parameters()) for way in (one, flipped)]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0]), "labels reach the head alone"
    found = {method: tune(encoder, task, method, TuningOptions(epochs=15, rate=3e-3)) for method in ("head", "full")}
    (newer, older), kinds = tastes(100, 1)
    right = {}
    for method, way in found.items():
        first, second = (encode(way.network, encoder, tokenise(encoder.tokenizer, encoder.checkpoint, half)) for half in (newer, older))
        right[method] = float((kinds[(first @ second.T).argmax(1).numpy()] == kinds).mean())
    assert right["full"] > 0.5 > 0.3 > right["head"], right
    assert found["full"].losses[-1] < found["full"].losses[0] and found["head"].losses == []


@pytest.mark.parametrize("method", ["lora", "adalora", "ia3", "full"])
def test_tuned_weights_in_a_folder_give_the_vectors_that_they_were_judged_by(encoder: TextEncoder, tmp_path: Path, method: str) -> None:
    (texts, labels), (test_texts, _) = sentences(48, 0), sentences(16, 1)
    way = tune(encoder, Task(texts, labels, test_texts), method, TuningOptions(epochs=1, rate=3e-3))
    save_tuned(tmp_path / "tiny-tuned", encoder, way, {"learned_until": at(5).isoformat()})
    again = load_encoder(str(tmp_path / "tiny-tuned"), WORDS, "cpu", tmp_path / "cache", "fp32")
    kept = encode(way.network, encoder, tokenise(encoder.tokenizer, encoder.checkpoint, test_texts)).numpy()
    assert np.allclose(encode_texts(again, test_texts), kept, atol=1e-5)
    assert not np.allclose(encode_texts(again, test_texts), encode_texts(encoder, test_texts), atol=1e-5)
    assert again.checkpoint.max_tokens == encoder.checkpoint.max_tokens and again.checkpoint.fingerprint != encoder.checkpoint.fingerprint
    assert tuned_until(str(tmp_path / "tiny-tuned")) == at(5) and tuned_until(str(encoder.checkpoint.folder)) is None
