"""Work that tests kill, with a checkpoint after every batch: `python -m tests.resuming` forks a process for each line of its input.

The libraries are read once, before there is any thread: that takes longer than all of the work.
"""

import json
import os
import sys
import traceback
from pathlib import Path

import numpy as np
import torch

from core.encoder import encode, resuming
from core.encoder.encode import encode_texts, load_encoder
from core.encoder.sequence import SequenceOptions, sequence_profiles, train_sequence
from tests.encoders import WORDS
from tests.test_encoder_sequence import circle


def work(what: str, folder: Path, out: Path) -> None:
    torch.set_num_threads(1)
    encode.CHECKPOINT_SECONDS = resuming.EVERY_SECONDS = 0.0
    card = {}
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


def main() -> None:
    """For each line `[what, folder, out]`: say the process that does it, and, once asked by a further line, how that ended."""
    for line in sys.stdin:
        what, folder, out = json.loads(line)
        if not (pid := os.fork()):
            done = 1
            try:
                work(what, Path(folder), Path(out))
                done = 0
            except Exception:  # noqa: BLE001 - whatever it was, the child must not go on as its parent would
                traceback.print_exc()
            finally:
                os._exit(done)
        print(pid, flush=True)  # noqa: T201 - the test waits for it
        sys.stdin.readline()  # until then its number is nobody else's, and the test may kill it
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)  # noqa: T201 - likewise


if __name__ == "__main__":
    main()
