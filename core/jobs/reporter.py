"""The worker's side of a job: what it says of itself while it works."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

from core.artifacts import read_json, write_json
from core.errors import CancelledError
from core.jobs.cancelling import GRACE_SECONDS
from core.messages import say, with_messages

HEARTBEAT_SECONDS = 1.0
ECHO_SECONDS = 1.4
"""A terminal hears a sentence of the same form no more often than that."""


class Reporter:
    """The worker's side: keeps status.json alive and turns a cancel into CancelledError.

    Calling it is a `Progress`. Stages of a chain report 0-1 each; `stage` maps them onto the whole, which never goes back.
    """

    def __init__(self, folder: Path | None, echo: Callable[[str], None]) -> None:
        self._folder, self._echo = folder, echo
        self._status: dict[str, Any] = read_json(folder / "status.json") if folder else {}
        self._lock = threading.Lock()
        self._stage, self._begin, self._end = "", 0.0, 1.0
        self._said = ("", 0.0)
        self._reached = 0.0
        self.peak_mb = 0.0
        self._closed = threading.Event()

    def __call__(self, share: float, message: str) -> None:
        if self._folder and (self._folder / "cancel").exists():
            raise CancelledError("The job was cancelled; the last good result stays.")
        total = self._begin + (self._end - self._begin) * min(max(share, 0.0), 1.0)
        total = self._reached = max(total, self._reached)  # texts read again for an older cutoff do not undo what is done
        with self._lock:
            self._status |= {"share": total, "message": message, "stage": self._stage}
        kind = getattr(message, "template", message)
        if kind != self._said[0] or time.time() - self._said[1] > ECHO_SECONDS or share >= 1:
            self._echo(f"[{total:4.0%}] {self._stage}: {message}")
            self._said = (kind, time.time())

    @contextmanager
    def stage(self, name: str, begin: float, end: float) -> Iterator["Reporter"]:
        """Map what is reported inside the block onto `begin`…`end` of the whole job, under a stage name."""
        previous = self._stage, self._begin, self._end
        self._stage, self._begin, self._end = name, begin, end
        self(0.0, say("starting"))
        try:
            yield self
            self(1.0, say("finished"))
        finally:
            self._stage, self._begin, self._end = previous

    def set(self, **values: Any) -> None:
        """Write values into the status at once."""
        with self._lock:
            self._status |= values
            self._write()

    def close(self) -> None:
        self._closed.set()

    def beat(self, memory_limit_mb: float) -> None:
        """Run in a thread: heartbeat, memory, and the end of a worker that holds too much memory."""
        process, cancelled = psutil.Process(), 0.0
        while not self._closed.wait(HEARTBEAT_SECONDS):
            if self._folder and (self._folder / "cancel").exists():
                cancelled = cancelled or time.monotonic()
                if time.monotonic() - cancelled > GRACE_SECONDS:  # deep in a library that does not listen, and the canceller may be gone
                    self.set(state="cancelled", ended=time.time(), message=say("cancelled; the last good result stays"))
                    os._exit(130)
            memory = process.memory_info().rss / 2**20
            self.peak_mb = max(self.peak_mb, memory)
            with self._lock:
                self._status["memory_mb"] = memory
                self._write()
            if memory > memory_limit_mb:
                self.set(
                    state="failed",
                    ended=time.time(),
                    error=say(
                        "The worker held {memory:,.0f} MB, more than its limit of {limit:,.0f} MB, and was stopped; "
                        "nothing was published half-way. Use a smaller log, fewer blocks, or a machine with more memory.",
                        memory=memory,
                        limit=memory_limit_mb,
                    ),
                )
                os._exit(1)

    def _write(self) -> None:
        if self._folder:
            with suppress(OSError):  # a full disk must not end the work that may free it; a removed folder nobody reads
                write_json(self._folder / "status.json", with_messages({**self._status, "heartbeat": time.time()}))
