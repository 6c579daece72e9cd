"""The worker's side of a job: what it says of itself while it works."""

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

from core.artifacts import read_json, write_json
from core.errors import CancelledError
from core.jobs.cancelling import GRACE_SECONDS
from core.messages import revived, say, with_messages

HEARTBEAT_SECONDS = 0.5
ECHO_SECONDS = 1.0
"""A terminal hears a sentence of the same form no more often than that, and nothing at all no longer than that and a heartbeat."""

SURE_AFTER_SECONDS, SURE_SHARE = 10.0, 0.02
"""Time left is told once work has gone on for so long and come so far."""


class Reporter:
    """The worker's side: keeps status.json alive and turns a cancel into CancelledError.

    Calling it is a `Progress`. Stages of a chain report 0-1 each; `stage` maps them onto the whole, which never goes back.
    """

    def __init__(self, folder: Path | None, echo: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._folder, self._echo, self._clock = folder, echo, clock
        self._status: dict[str, Any] = revived(read_json(folder / "status.json")) if folder else {}
        self._lock, self._writing = threading.Lock(), threading.Lock()
        self._stage, self._begin, self._end = "", 0.0, 1.0
        self._reached = 0.0
        self._kind, self._since, self._began = "", 0.0, clock()
        self._first, self._speed, self._left = 0.0, 0.0, 0.0
        self._line, self._echoed = "", 0.0
        self.peak_mb = 0.0
        self._closed = threading.Event()

    def __call__(self, share: float, message: str) -> None:
        if self._folder and (self._folder / "cancel").exists():
            raise CancelledError("The job was cancelled; the last good result stays.")
        total = self._begin + (self._end - self._begin) * min(max(share, 0.0), 1.0)
        total = self._reached = max(total, self._reached)  # texts read again for an older cutoff do not undo what is done
        kind, now = getattr(message, "template", message), self._clock()
        with self._lock:
            is_new = kind != self._kind
            if is_new:
                self._kind, self._since = kind, now
                self._status["step_started"] = time.time()
            self._measure(getattr(message, "values", {}), now, is_new)
            self._status |= {"share": total, "message": message, "stage": self._stage, "rate": self._speed, "step_left": self._left}
            self._line = f"[{total:4.0%}] {self._stage}: {message}"
            if is_new or now - self._echoed > ECHO_SECONDS or share >= 1:
                self._echo(self._line + self._notes(now))
                self._echoed = now

    def _measure(self, values: Mapping[str, Any], now: float, is_new: bool) -> None:
        """Tell rate and time left of a step that says how much of how much is done; 0 where it does not, or has just begun."""
        done, whole = values.get("done"), values.get("total")
        self._speed = self._left = 0.0
        if not isinstance(done, int | float) or not isinstance(whole, int | float):
            return
        if is_new or done < self._first:
            self._first, self._since = float(done), now
        elif done > self._first and now > self._since:
            self._speed = (done - self._first) / (now - self._since)
            self._left = max(whole - done, 0) / self._speed

    def _notes(self, now: float, *, with_life: bool = False) -> str:
        told = [f"{now - self._since:.0f} s"] if with_life else []
        elapsed, total = now - self._began, self._reached
        if self._speed:
            told.append(f"{self._speed:,.0f} a second")
        if self._left:
            told.append(f"about {_length(self._left)} left of this step")
        if elapsed >= SURE_AFTER_SECONDS and SURE_SHARE < total < 1:
            told.append(f"about {_length(elapsed * (1 - total) / total)} left in all")
        return f" ({', '.join(told)})" if told else ""

    def show_life(self) -> None:
        """Say how long the present step has taken, when the terminal has heard nothing for a while."""
        now = self._clock()
        with self._lock:
            if self._line and now - self._echoed > ECHO_SECONDS:
                self._echo(self._line + self._notes(now, with_life=True))
                self._echoed = now

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
            self._line = ""  # what is over takes no longer

    def set(self, **values: Any) -> None:
        """Write values into the status at once."""
        with self._lock:
            self._status |= values
        self._write(lasting=True)

    def close(self) -> None:
        self._closed.set()

    def beat(self, memory_limit_mb: float) -> None:
        """Run in a thread: heartbeat, memory, signs of life, and the end of a worker that holds too much memory."""
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
            self._write(lasting=False)
            with suppress(OSError, ValueError):  # a terminal that is gone ends the work by its next sentence
                self.show_life()
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

    def _write(self, *, lasting: bool) -> None:
        if self._folder:
            with self._writing:  # one after the other, or an older state might replace a newer one
                with self._lock:
                    record = {**self._status, "heartbeat": time.time()}
                with suppress(OSError):  # a full disk must not end the work that may free it; a removed folder nobody reads
                    write_json(self._folder / "status.json", with_messages(record), lasting=lasting)


def _length(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 60 else f"{seconds / 60:.0f} min" if seconds < 3600 else f"{seconds / 3600:.1f} h"
