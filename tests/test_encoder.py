"""The text encoder around its weights: batches, cache, memory, choice of files."""

import dataclasses
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from core.encoder import encode
from core.encoder.encode import TextEncoder, encode_texts, load_encoder, plan_batches
from core.encoder.models import count_parameters, find_checkpoint
from core.encoder.network import multiplies_bf16
from core.errors import CancelledError, ModelError
from tests.encoders import WORDS, save_tiny_encoder


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Two threads that share one tiny product stall each other on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_encoder(tmp_path_factory.mktemp("models") / "tiny")


def sentences(count: int, seed: int = 1) -> list[str]:
    """Distinct texts of 1 to 40 words, so that every width and the limit occur."""
    rng = np.random.default_rng(seed)
    return sorted({" ".join(rng.choice(WORDS, rng.integers(1, 41))) for _ in range(count)})


def opened(folder: Path, cache: Path, **options: Any) -> TextEncoder:
    return load_encoder(str(folder), sentences(20), cache=cache, **{"precision": "fp32", "device": "cpu", **options})


def with_network(encoder: TextEncoder, wrap: Callable[[Any], Any]) -> TextEncoder:
    """The same encoder with its real network behind a gate that counts or refuses batches."""
    copy = dataclasses.replace(encoder)
    copy.__dict__["network"] = wrap(encoder.network)
    return copy


class Gate:
    def __init__(self, network: Any, most_tokens: int | None = None) -> None:
        self.network, self.most_tokens, self.rows, self.shapes = network, most_tokens, 0, []

    def __call__(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> Any:
        if self.most_tokens is not None and input_ids.numel() > self.most_tokens:
            raise torch.OutOfMemoryError("out of memory")
        self.rows += len(input_ids)
        self.shapes.append(tuple(input_ids.shape))
        return self.network(input_ids=input_ids, attention_mask=attention_mask)


def one_by_one(encoder: TextEncoder, text: str) -> np.ndarray:
    """Mean over the true tokens of a single forward pass, as the textbook says."""
    ids = encoder.tokenizer.encode(encoder.checkpoint.prefix + text).ids
    with torch.inference_mode():
        hidden = encoder.network(input_ids=torch.tensor([ids]), attention_mask=torch.ones(1, len(ids), dtype=torch.long)).last_hidden_state
    mean = hidden[0].float().mean(0).numpy()
    return mean / np.linalg.norm(mean)


def test_vectors_are_unit_and_equal_those_of_one_text_at_a_time(tiny: Path, tmp_path: Path) -> None:
    encoder, texts = opened(tiny, tmp_path), sentences(120)
    vectors = encode_texts(encoder, texts)
    assert vectors.dtype == np.float32 and vectors.shape == (len(texts), 24)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    assert np.allclose(vectors, [one_by_one(encoder, text) for text in texts], atol=1e-5)


@pytest.mark.parametrize("precision", ["fp32", "bf16", "int8"])
def test_a_text_has_the_same_bits_whatever_is_encoded_with_it(tiny: Path, tmp_path: Path, precision: str) -> None:
    encoder, texts = opened(tiny, tmp_path, precision=precision), sentences(400)
    whole = encode_texts(encoder, texts)
    rng = np.random.default_rng(3)
    for size in (1, 7, len(texts) // 2, len(texts)):
        chosen = rng.permutation(len(texts))[:size]
        assert np.array_equal(encode_texts(encoder, [texts[i] for i in chosen]), whole[chosen])


def test_the_number_of_threads_changes_no_bit(tiny: Path, tmp_path: Path) -> None:
    texts = sentences(200)
    one, three = (encode_texts(opened(tiny, tmp_path, threads=threads), texts) for threads in (1, 3))
    assert np.array_equal(one, three)


def test_a_texts_shape_depends_on_its_length_alone() -> None:
    lengths = np.array([5] * 70 + [33] * 3 + [100])
    for width, rows in plan_batches(lengths, 256, "cpu"):
        assert set(lengths[rows]) == {{5: 5, 36: 33, 104: 100}[width]}
    assert sorted(np.concatenate([rows for _, rows in plan_batches(lengths, 256, "cpu")])) == list(range(74))
    assert [len(rows) for width, rows in plan_batches(lengths, 256, "cpu") if width == 5] == [51, 19]


def test_repeated_texts_are_encoded_once(tiny: Path, tmp_path: Path) -> None:
    encoder = with_network(opened(tiny, tmp_path, threads=1), Gate)
    vectors = encode_texts(encoder, ["red dress", "blue shirt", "red dress"])
    assert np.array_equal(vectors[0], vectors[2]) and not np.array_equal(vectors[0], vectors[1])
    assert len(encoder.network.shapes) == 1


def test_no_text_gives_no_vector(tiny: Path, tmp_path: Path) -> None:
    assert encode_texts(opened(tiny, tmp_path), [], tmp_path).shape == (0, 24)


def test_a_second_call_reads_the_cache_and_new_texts_alone_are_encoded(tiny: Path, tmp_path: Path) -> None:
    encoder, texts = opened(tiny, tmp_path), sentences(100)
    first = encode_texts(encoder, texts, tmp_path)
    gated = with_network(encoder, Gate)
    assert np.array_equal(encode_texts(gated, texts[::-1], tmp_path), first[::-1])
    assert gated.network.rows == 0
    grown = encode_texts(gated, [*texts, "green tea cup"], tmp_path)
    assert np.array_equal(grown[:-1], first) and len(gated.network.shapes) == 1


def test_another_model_or_precision_does_not_read_these_vectors(tiny: Path, tmp_path: Path) -> None:
    texts = sentences(30)
    encoder = opened(tiny, tmp_path)
    first = encode_texts(encoder, texts, tmp_path)
    other = opened(save_tiny_encoder(tmp_path / "other", seed=5), tmp_path)
    assert np.abs(encode_texts(other, texts, tmp_path) - first).max() > 0.01
    assert opened(tiny, tmp_path, precision="bf16").cache_name != encoder.cache_name != other.cache_name
    assert np.array_equal(encode_texts(encoder, texts, tmp_path), first)


@pytest.mark.parametrize("damage", [b"", b"nonsense", None])
def test_a_damaged_cache_is_made_again(tiny: Path, tmp_path: Path, damage: bytes | None) -> None:
    encoder, texts = opened(tiny, tmp_path), sentences(30)
    first = encode_texts(encoder, texts, tmp_path)
    (shard,) = (tmp_path / "vectors" / encoder.cache_name).glob("*.safetensors")
    payload = bytearray(shard.read_bytes())
    payload[-7] ^= 1
    shard.write_bytes(payload if damage is None else damage)
    assert np.array_equal(encode_texts(encoder, texts, tmp_path), first)
    assert np.array_equal(encode_texts(encoder, texts, tmp_path), first)


def test_a_killed_call_goes_on_from_its_checkpoint(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encode, "CHECKPOINT_SECONDS", 0.0)
    encoder, texts = opened(tiny, tmp_path, threads=1), sentences(300)

    def stop(share: float, message: str) -> None:
        if share > 0.5:
            raise CancelledError("stopped")

    with pytest.raises(CancelledError):
        encode_texts(encoder, texts, tmp_path, stop)
    gated = with_network(encoder, Gate)
    resumed = encode_texts(gated, texts, tmp_path)
    fresh = with_network(encoder, Gate)
    assert np.array_equal(resumed, encode_texts(fresh, texts))
    assert 0 < len(gated.network.shapes) < 0.7 * len(fresh.network.shapes)
    assert len(list((tmp_path / "vectors" / encoder.cache_name).glob("*"))) <= 40


def test_vectors_in_the_batches_of_a_gpu_agree_with_those_of_a_processor(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder, texts, width = opened(tiny, tmp_path), sentences(300), encode.batch_width
    processor = encode_texts(encoder, texts)
    monkeypatch.setattr(encode, "batch_width", lambda length, device: width(length, "cuda"))
    monkeypatch.setattr(encode, "CPU_BUDGET", encode.GPU_BUDGET)
    gated = with_network(encoder, Gate)
    assert np.allclose(encode_texts(gated, texts), processor, atol=1e-5)
    assert all(places[1] % 8 == 0 for places in gated.network.shapes) and max(places[0] for places in gated.network.shapes) > 256


def test_running_out_of_memory_halves_the_batches_and_goes_on(tiny: Path, tmp_path: Path) -> None:
    encoder, texts = opened(tiny, tmp_path), sentences(80)
    poor = with_network(encoder, lambda network: Gate(network, most_tokens=70))
    assert np.allclose(encode_texts(poor, texts), encode_texts(encoder, texts), atol=1e-5)
    assert max(rows * width for rows, width in poor.network.shapes) <= 70


def test_a_text_that_never_fits_is_a_sentence(tiny: Path, tmp_path: Path) -> None:
    poor = with_network(opened(tiny, tmp_path), lambda network: Gate(network, most_tokens=3))
    with pytest.raises(ModelError, match="does not fit in memory"):
        encode_texts(poor, sentences(5))


def test_the_card_counts_unknown_tokens_and_cut_texts(tiny: Path, tmp_path: Path) -> None:
    card = load_encoder(str(tiny), ["red tea", "红 tea", "red " * 50], device="cpu", cache=tmp_path).card
    # own tokens: 2 + 2 + the 30 that 32 places leave beside two marks
    assert card["tokens"] == 4 + 4 + 32
    assert card["unknown_share"] == pytest.approx(1 / 34)
    assert card["truncated_texts"] == 1 and card["truncated_share"] == pytest.approx(1 / 3)
    assert card["dim"] == 24 and card["max_tokens"] == 32 and card["licence"] == "not stated"
    assert card["parameters"] == count_parameters(tiny) > 0
    assert "asked for" in card["why"]


def test_pooling_by_the_first_token_is_honoured(tiny: Path, tmp_path: Path) -> None:
    folder = save_tiny_encoder(tmp_path / "cls")
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text('{"pooling_mode_cls_token": true}')
    texts = sentences(10)
    assert np.abs(encode_texts(opened(folder, tmp_path), texts) - encode_texts(opened(tiny, tmp_path), texts)).max() > 0.01


def test_a_model_that_is_not_at_hand_is_refused_without_asking_the_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    asked: list[Any] = []

    def refuse(self: socket.socket, address: Any) -> None:
        asked.append(address)
        raise OSError("no network in this test")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    for name in ("BAAI/bge-m3", "no/such/place", "nonsense name"):
        with pytest.raises(ModelError, match="nothing is downloaded here"):
            find_checkpoint(name, tmp_path)
    with pytest.raises(ModelError, match="'' is no name; give a Hugging Face name or a folder"):
        find_checkpoint("", tmp_path)
    assert asked == []


def test_a_folder_without_weights_names_what_is_missing(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelError, match=r"config\.json, tokenizer\.json, \*\.safetensors"):
        find_checkpoint(str(tmp_path / "empty"), tmp_path)


def test_a_folder_that_is_no_text_encoder_is_a_sentence(tmp_path: Path) -> None:
    folder = save_tiny_encoder(tmp_path / "odd")
    (folder / "config.json").write_text('{"model_type": "never-heard-of"}')
    with pytest.raises(ModelError, match="name a BERT-like encoder"):
        load_encoder(str(folder), ["red"], cache=tmp_path)
    (folder / "tokenizer.json").write_text("{")
    with pytest.raises(ModelError, match="cannot be read as a tokenizer"):
        load_encoder(str(folder), ["red"], cache=tmp_path)


def test_int8_keeps_the_direction_and_is_for_processors_alone(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = sentences(60)
    exact, small = (encode_texts(opened(tiny, tmp_path, precision=precision), texts) for precision in ("fp32", "int8"))
    assert (exact * small).sum(1).min() > 0.99 and not np.array_equal(exact, small)
    monkeypatch.setattr(encode, "choose_device", lambda device: "cuda")
    with pytest.raises(ModelError, match="int8 is for processors"):
        opened(tiny, tmp_path, precision="int8")


@pytest.mark.parametrize(("option", "value"), [("device", "tpu"), ("precision", "int3")])
def test_unknown_devices_and_precisions_are_refused(tiny: Path, tmp_path: Path, option: str, value: str) -> None:
    with pytest.raises(ModelError, match=value):
        load_encoder(str(tiny), ["red"], cache=tmp_path, **{option: value})


@pytest.mark.parametrize(
    ("capabilities", "pays"),
    [
        ({"cpu_name": "Intel Xeon", "avx512_bf16": True, "amx_bf16": True}, True),
        ({"cpu_name": "Intel Xeon", "avx512_bf16": True}, False),
        ({"cpu_name": "AMD EPYC", "avx512_bf16": True}, True),
        ({"cpu_name": "AMD EPYC"}, False),
        ({"arm_bf16": True}, True),
        ({}, False),
    ],
)
def test_bfloat16_is_taken_where_the_chip_is_faster_in_it(
    monkeypatch: pytest.MonkeyPatch, capabilities: dict[str, Any], pays: bool
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    assert multiplies_bf16("cpu") is pays


def test_the_choice_of_precision_is_remembered(tiny: Path, tmp_path: Path) -> None:
    first = load_encoder(str(tiny), sentences(20), device="cpu", cache=tmp_path).precision
    assert load_encoder(str(tiny), sentences(20, seed=9), device="cpu", cache=tmp_path).precision == first
    for file in (tmp_path / "vectors").glob("precision-*.json"):
        file.write_text("{")
    assert load_encoder(str(tiny), sentences(20), device="cpu", cache=tmp_path).precision == first
