"""Work that tests kill: `python -m tests.resuming text|sequence FOLDER OUT`, with a checkpoint after every batch."""

import json
import sys
from pathlib import Path

import numpy as np
import torch

from core.encoder import encode, resuming
from core.encoder.encode import encode_texts, load_encoder
from core.encoder.sequence import SequenceOptions, sequence_profiles, train_sequence
from tests.encoders import WORDS
from tests.test_encoder_sequence import circle


def main(what: str, folder: Path, out: Path) -> None:
    torch.set_num_threads(1)
    encode.CHECKPOINT_SECONDS = resuming.EVERY_SECONDS = 0.0
    card = {}
    print("ready", flush=True)  # noqa: T201 - the test waits for it
    if what == "text":
        rng = np.random.default_rng(4)
        texts = sorted({" ".join(rng.choice(WORDS, rng.integers(1, 30))) for _ in range(2500)})
        encoder = load_encoder(str(folder / "tiny"), texts, "cpu", folder / "cache", "fp32", 1)
        vectors = encode_texts(encoder, texts, folder / "cache")
    else:
        histories, items = circle(users=300, length=60)
        trained = train_sequence(histories, items, SequenceOptions(epochs=2), checkpoints=folder / "checkpoints")
        vectors, card = sequence_profiles(trained, histories, items), trained.card
    np.save(out / "vectors.npy", vectors)
    (out / "card.json").write_text(json.dumps(card))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
