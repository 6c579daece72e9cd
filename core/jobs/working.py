"""Doing a verb's work as a job: one heavy job at a time, and a state left behind on every way out."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
from filelock import FileLock, Timeout

from core.errors import BusyError, CancelledError, CoreError
from core.jobs.job import list_jobs
from core.jobs.reporter import Reporter
from core.messages import say
from core.store import Home, storage_error

MEMORY_SHARE = 0.8
"""A job that holds more than this share of the machine's memory ends itself, so that the screen's server never falls."""
QUEUE_SECONDS = 0.5
"""Between two looks of a queued job at whether it is its turn."""


@contextmanager
def working(home: Home, job_id: str | None, *, heavy: bool, echo: Callable[[str], None]) -> Iterator[Reporter]:
    """Do a verb's work as a job: heartbeat, heavy lock, cancel by signal; states are written on every way out.

    Args:
        home: The home folder.
        job_id: The job started by `start_job`, or None when a person runs the verb in a terminal.
        heavy: Whether it must have the home for itself: a job queues, a terminal is told at once.
        echo: Where progress lines go.

    Raises:
        BusyError: In a terminal, when another heavy job is going.
        StorageError: The disk is full, closed or damaged, or memory ran out, whatever class a library made of it.
        CancelledError: A person cancelled.
    """
    folder = home.path / "jobs" / job_id if job_id else None
    reporter = Reporter(folder, echo)
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _raise_cancelled)
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500", encoding="ascii")  # the kernel shall end the worker first, not the server
    limit = psutil.virtual_memory().total / 2**20 * MEMORY_SHARE
    threading.Thread(target=reporter.beat, args=(limit,), daemon=True).start()
    reporter.set(pid=os.getpid(), created=psutil.Process().create_time(), state="queued" if heavy else "running")
    try:
        with _heavy_lock(home, folder, reporter) if heavy else _no_lock():
            reporter.set(state="running", started_work=time.time())
            yield reporter
        reporter.set(state="done", share=1.0, ended=time.time())
    except BaseException as error:  # every way out must leave a state behind; the error goes on
        if _was_cancelled(error, folder):
            reporter.set(state="cancelled", ended=time.time(), message=say("cancelled; the last good result stays"))
            if isinstance(error, CancelledError | KeyboardInterrupt):
                raise
            raise CancelledError("The job was cancelled; the last good result stays.") from error
        if isinstance(error, CoreError):
            reporter.set(state="failed", ended=time.time(), error=error.message)
            raise
        if (known := storage_error(error, home.path)) is not None:
            reporter.set(state="failed", ended=time.time(), error=known.message)
            raise known from error
        reporter.set(
            state="failed",
            ended=time.time(),
            error=say("Our own mistake ({kind}); the log of job {job} tells more.", kind=type(error).__name__, job=str(job_id)),
        )
        raise
    finally:
        reporter.close()


@contextmanager
def _heavy_lock(home: Home, folder: Path | None, reporter: Reporter) -> Iterator[None]:
    home.path.mkdir(parents=True, exist_ok=True)
    lock = FileLock(home.path / "heavy.lock")
    try:
        while True:
            try:
                if folder is not None and _is_behind(home, folder.name):
                    reporter(0.0, say("waiting for another job to finish"))
                    time.sleep(QUEUE_SECONDS)
                    continue
                lock.acquire(timeout=0 if folder is None else QUEUE_SECONDS)
                home.sweep(older_than=0)  # we are the only writer now
                break
            except Timeout:
                if folder is None:
                    raise BusyError(
                        "Another job is working in {home}; wait until `jobs` shows it done, or cancel it with `jobs --cancel ID`.",
                        home=home.path,
                    ) from None
                reporter(0.0, say("waiting for another job to finish"))
        yield
    finally:
        lock.release()


@contextmanager
def _no_lock() -> Iterator[None]:
    yield


def _was_cancelled(error: BaseException, folder: Path | None) -> bool:
    """Tell whether a person ended the work: libraries in the middle of it make errors of their own of the signal."""
    if folder is not None and (folder / "cancel").exists():
        return True
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, CancelledError | KeyboardInterrupt):
            return True
        seen = seen.__cause__ or seen.__context__
    return False


def _raise_cancelled(signum: int, frame: object) -> None:
    raise CancelledError("The job was cancelled; the last good result stays.")


def _is_behind(home: Home, job_id: str) -> bool:
    """Tell whether a live job that was started earlier still waits."""
    for job in reversed(list_jobs(home)):
        if job.job_id == job_id:
            return False
        if job.state == "queued":
            return True
    return False
