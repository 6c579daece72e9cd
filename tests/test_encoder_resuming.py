"""Encoding and training that are cancelled or killed go on where they were, and end with the same bits."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from core.encoder import resuming
from core.encoder.sequence import SequenceOptions, sequence_profiles, train_sequence
from core.errors import CancelledError
from tests.encoders import save_tiny_encoder
from tests.test_encoder_sequence import circle

ROOT = Path(__file__).resolve().parents[1]


def cancelled_after(share: float, options: SequenceOptions, checkpoints: Path) -> None:
    """Train until so much is done, then cancel as a person would."""

    def stop(done: float, message: str) -> None:
        if done > share:
            raise CancelledError("stopped")

    with pytest.raises(CancelledError):
        train_sequence(*circle(users=200), options, stop, checkpoints)


@pytest.fixture
def every_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resuming, "EVERY_SECONDS", 0.0)


@pytest.mark.usefixtures("every_batch")
@pytest.mark.parametrize("share", [0.3, 0.55, 0.97])
def test_a_cancelled_training_ends_with_the_same_bits(share: float, tmp_path: Path) -> None:
    histories, items = circle(users=200)
    options = SequenceOptions(epochs=4)
    whole = train_sequence(histories, items, options)
    cancelled_after(share, options, tmp_path)
    resumed = train_sequence(histories, items, options, checkpoints=tmp_path)
    assert resumed.card["resumed_at_act"] > 0 and not resumed.card["checkpoint_damaged"]
    assert np.array_equal(sequence_profiles(resumed, histories, items), sequence_profiles(whole, histories, items))
    assert resumed.card["losses"] == whole.card["losses"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("every_batch")
def test_a_checkpoint_serves_no_other_training(tmp_path: Path) -> None:
    histories, items = circle(users=200)
    cancelled_after(0.5, SequenceOptions(epochs=4), tmp_path)
    (kept,) = tmp_path.iterdir()
    for others, options in (((histories, items), SequenceOptions(epochs=4, seed=1)), (circle(users=201), SequenceOptions(epochs=4))):
        assert train_sequence(*others, options, checkpoints=tmp_path).card["resumed_at_act"] == 0
    assert list(tmp_path.iterdir()) == [kept]


@pytest.mark.usefixtures("every_batch")
@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "text"])
def test_a_damaged_checkpoint_is_told_and_training_starts_again(damage: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    histories, items = circle(users=200)
    options = SequenceOptions(epochs=4)
    cancelled_after(0.5, options, tmp_path)
    (kept,) = tmp_path.iterdir()
    payload = bytearray(kept.read_bytes())
    payload[-9] ^= 4
    kept.write_bytes({"flip": bytes(payload), "cut": bytes(payload[: len(payload) // 2]), "empty": b"", "text": b"{}" * 50}[damage])
    said: list[str] = []
    again = train_sequence(histories, items, options, lambda share, message: said.append(str(message)), tmp_path)
    assert again.card["checkpoint_damaged"] and again.card["resumed_at_act"] == 0
    assert any("damaged; training starts again" in sentence for sentence in said) and "damaged" in caplog.text
    whole = train_sequence(histories, items, options)
    assert np.array_equal(sequence_profiles(again, histories, items), sequence_profiles(whole, histories, items))


def test_old_checkpoints_of_others_are_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "old.safetensors").write_bytes(b"")
    monkeypatch.setattr(resuming, "KEPT_SECONDS", -1.0)
    resuming.Resumption(tmp_path, "mine")
    assert list(tmp_path.iterdir()) == []


class Workshop:
    """A process that forks others which work; one at a time."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.resuming"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def start(self, what: str, folder: Path, out: Path) -> int:
        """Start work, past its imports; returns its process."""
        out.mkdir(exist_ok=True)
        return self._ask(json.dumps([what, str(folder), str(out)]))

    def wait(self) -> int:
        """Wait for what was started; returns how it ended, a signal as a number below zero."""
        return self._ask("")

    def close(self) -> None:
        self._process.communicate()

    def _ask(self, line: str) -> int:
        assert self._process.stdin is not None and self._process.stdout is not None
        print(line, file=self._process.stdin, flush=True)
        return int(self._process.stdout.readline())


@pytest.fixture(scope="module")
def workshop() -> Iterator[Workshop]:
    opened = Workshop()
    yield opened
    opened.close()


@pytest.mark.slow
@pytest.mark.parametrize("what", ["text", "sequence"])
def test_a_process_killed_at_random_moments_ends_with_the_same_bits(what: str, workshop: Workshop, tmp_path: Path) -> None:
    folders = [tmp_path / "undisturbed", tmp_path / "killed"]
    for folder in folders:
        save_tiny_encoder(folder / "tiny")
    workshop.start(what, folders[0], tmp_path / "one")
    began = time.monotonic()
    assert workshop.wait() == 0
    seconds, rng, killed = time.monotonic() - began, np.random.default_rng(), 0
    for _ in range(2):
        process = workshop.start(what, folders[1], tmp_path / "two")
        time.sleep(float(rng.uniform(0, 0.7 * seconds)))
        os.kill(process, signal.SIGKILL)
        killed += workshop.wait() == -signal.SIGKILL
    assert killed
    workshop.start(what, folders[1], tmp_path / "two")
    assert workshop.wait() == 0
    one, two = (np.load(tmp_path / out / "vectors.npy") for out in ("one", "two"))
    assert one.any() and np.array_equal(one, two)
    if what == "sequence":
        cards = [json.loads((tmp_path / out / "card.json").read_text()) for out in ("one", "two")]
        assert cards[0]["losses"] == cards[1]["losses"]
        assert [path.name for path in (folders[1] / "checkpoints").iterdir() if not path.name.startswith(".")] == []
