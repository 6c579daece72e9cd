"""One warm process for each home that answers small questions to models, so that the screen holds none.

`ask` writes a question as one line of JSON to the helper's input and reads one line back. The helper is `python -m core helper`,
started when the first question comes, started again when it has died, and it ends by itself when nobody has asked for a while
or when the process that asks is gone.
"""

import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TextIO

from core import errors
from core.errors import CoreError, ModelError
from core.messages import Message, revived, with_messages
from core.store import Home

IDLE_SECONDS = 900.0
"""After so long without a question the helper gives its memory back."""
PATIENCE_SECONDS = 300.0
"""The first question loads libraries and perhaps a text model: some eight CPU seconds, on a machine that may be busy."""
Answer = Callable[[Home, dict[str, Any]], dict[str, Any]]

_log = logging.getLogger(__name__)
_helpers: dict[Path, "Helper"] = {}
_starting = threading.Lock()


class Helper:
    """The asker's side: one process, one question at a time."""

    def __init__(self, home: Home) -> None:
        self._home, self._lock = home, threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def ask(self, question: str, values: dict[str, Any]) -> dict[str, Any]:
        """Ask, and start the helper once more when it is found dead.

        Raises:
            CoreError: What the helper raised.
            ModelError: It died twice, or did not answer in time.
        """
        line = (json.dumps({"question": question, "values": values}, default=str) + "\n").encode()
        with self._lock:
            for _attempt in range(2):
                process = self._running()
                reply = _exchange(process, line)
                if reply:
                    return _taken(json.loads(reply))
                self._end()
        raise ModelError("The helper that holds the model gave no answer to {question!r}; ask again.", question=question)

    def pid(self) -> int | None:
        """Of the process now running, None without one."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def close(self) -> None:
        """End the process."""
        with self._lock:
            self._end()

    def _running(self) -> "subprocess.Popen[bytes]":
        if self._process is None or self._process.poll() is not None:
            self._end()
            self._process = subprocess.Popen(
                [sys.executable, "-m", "core", "helper", "--home", str(self._home.path.resolve())],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                cwd=Path(__file__).resolve().parents[1],
            )
        return self._process

    def _end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            for stream in (self._process.stdin, self._process.stdout):
                if stream is not None:
                    stream.close()
            self._process = None


def helper_of(home: Home) -> Helper:
    """The helper of a home, the same for all threads of this process."""
    with _starting:
        return _helpers.setdefault(home.path.resolve(), Helper(home))


def serve(home: Home, answers: Mapping[str, Answer], idle_seconds: float = IDLE_SECONDS) -> int:
    """Answer questions from standard input until it ends or nobody asks; returns how many were answered.

    Whatever libraries print goes to standard error, so that it cannot be taken for an answer.
    """
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as out:
        os.dup2(2, 1)
        answered = 0
        while True:
            clock = threading.Timer(idle_seconds, os._exit, args=(0,))  # a pipe cannot be waited for with a limit on every system
            clock.daemon = True
            clock.start()
            line = sys.stdin.readline()
            clock.cancel()
            if not line:
                return answered
            _reply(out, home, answers, line)
            answered += 1


def _reply(out: TextIO, home: Home, answers: Mapping[str, Answer], line: str) -> None:
    began = time.perf_counter()
    try:
        asked = json.loads(line)
        found: dict[str, Any] = {"answer": answers[asked["question"]](home, asked["values"])}
    except CoreError as error:
        found = {"error": error.message, "kind": type(error).__name__}
    except Exception as error:  # noqa: BLE001 - the helper lives on; the asker raises it
        _log.exception("a question failed")
        found = {"bug": f"{type(error).__name__}: {error}"}
    found["milliseconds"] = round(1000 * (time.perf_counter() - began), 1)
    out.write(json.dumps(with_messages(found), ensure_ascii=False, default=str) + "\n")
    out.flush()


def _exchange(process: "subprocess.Popen[bytes]", line: bytes) -> bytes:
    """Send a line and read one; nothing when the process is dead or silent."""
    assert process.stdin is not None and process.stdout is not None
    clock = threading.Timer(PATIENCE_SECONDS, process.kill)
    clock.daemon = True
    clock.start()
    try:
        process.stdin.write(line)
        process.stdin.flush()
        reply = process.stdout.readline()
    except OSError:
        return b""
    finally:
        clock.cancel()
    return reply if reply.endswith(b"\n") else b""


def _taken(found: dict[str, Any]) -> dict[str, Any]:
    found = revived(found)
    if "answer" in found:
        return {**found["answer"], "milliseconds": found["milliseconds"]}
    if "error" in found:
        kind = getattr(errors, found.get("kind", ""), CoreError)
        message = found["error"]
        raise kind(message) if isinstance(message, Message) else kind("{text}", text=message)
    raise RuntimeError(found.get("bug", "the helper answered nothing"))
