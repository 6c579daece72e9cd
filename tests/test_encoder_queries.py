"""A query read in NumPy has the vector that the network gives it."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from core.encoder.encode import encode_texts, load_encoder
from core.encoder.models import MINILM, find_checkpoint
from core.encoder.queries import MOST_TOKENS, encode_query, query_checkpoint
from core.errors import ModelError
from tests.encoders import save_tiny_encoder

TEXTS = ["red summer dress", "green tea cup, very low price", "凉鞋", ""]


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_a_query_has_the_vector_that_the_network_gives_it(pooling: str, tmp_path: Path) -> None:
    encoder = load_encoder(str(save_tiny_encoder(tmp_path / "model")), TEXTS, "cpu", tmp_path, "fp32")
    encoder = dataclasses.replace(encoder, checkpoint=dataclasses.replace(encoder.checkpoint, pooling=pooling))
    wanted = encode_texts(encoder, TEXTS)
    made = np.stack([encode_query(encoder.checkpoint, text, None) for text in TEXTS])
    assert np.abs(made - wanted).max() < 1e-5


def test_the_shipped_model_reads_a_query_as_the_network_does(tmp_path: Path) -> None:
    encoder = load_encoder(MINILM, TEXTS, "cpu", tmp_path, "fp32")
    wanted = encode_texts(encoder, TEXTS[:2])
    made = np.stack([encode_query(encoder.checkpoint, text, None) for text in TEXTS[:2]])
    assert (made * wanted).sum(1).min() > 0.9999


def test_a_centre_is_taken_out_of_a_query_as_of_the_items(tmp_path: Path) -> None:
    checkpoint = find_checkpoint(str(save_tiny_encoder(tmp_path / "model")), tmp_path)
    vector = encode_query(checkpoint, "red dress", None)
    centred = encode_query(checkpoint, "red dress", vector * 0.5)
    assert centred @ vector == pytest.approx(1.0, abs=1e-5) and np.linalg.norm(centred) == pytest.approx(1.0, abs=1e-5)
    assert not encode_query(checkpoint, "red dress", vector).any()


def test_a_long_text_is_cut_and_read(tmp_path: Path) -> None:
    checkpoint = find_checkpoint(str(save_tiny_encoder(tmp_path / "model")), tmp_path)
    assert np.array_equal(encode_query(checkpoint, "red " * 10_000, None), encode_query(checkpoint, "red " * MOST_TOKENS, None))


def test_another_model_than_the_one_of_the_items_is_refused(tmp_path: Path) -> None:
    folder = save_tiny_encoder(tmp_path / "model")
    card = {"model": str(folder), "checkpoint": folder.name, "fingerprint": find_checkpoint(str(folder), tmp_path).fingerprint}
    assert query_checkpoint(card, tmp_path).folder == folder
    with pytest.raises(ModelError, match="not the one that encoded"):
        query_checkpoint(card | {"fingerprint": "other"}, tmp_path)
