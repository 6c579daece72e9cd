"""Cancelling a job: a flag that it looks for, a polite signal, and the end by force."""

import os
import signal
import threading
import time
from contextlib import suppress
from typing import Any

import psutil

from core.jobs.job import is_alive, read_job, read_status
from core.store import Home

GRACE_SECONDS = 8.0
"""Between the polite and the final signal of a cancel."""


def cancel_job(home: Home, job_id: str, *, wait: bool = False) -> None:
    """Ask a job to stop, and end it by force after a grace time; published results stay.

    Args:
        home: Where the job works.
        job_id: Which.
        wait: Come back when it is over; else at once.

    Raises:
        NotFoundError: There is no such job.
    """
    job = read_job(home, job_id)
    if not job.is_live:
        return
    folder = home.path / "jobs" / job_id
    (folder / "cancel").touch()
    status = read_status(folder)
    pid = status.get("pid")
    if pid and is_alive(status):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        timer = threading.Timer(GRACE_SECONDS, _kill, args=(status,))
        timer.daemon = True
        timer.start()
    until = time.monotonic() + GRACE_SECONDS + 4
    while wait and time.monotonic() < until and read_job(home, job_id).is_live:
        time.sleep(0.1)


def _kill(status: dict[str, Any]) -> None:
    if is_alive(status):
        with suppress(psutil.Error):
            psutil.Process(status["pid"]).kill()
