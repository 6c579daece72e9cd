"""Long work in a process of its own: started from a page, seen by every window, cancelled by anyone, survived by the screen.

A job is `python -m core <verb> …` in its own session. Its folder `<home>/jobs/<job>/` holds status.json (state, stage,
share, message, estimate, memory, heartbeat), log.txt (everything it wrote to stderr), result.json (what it printed) and
the flag `cancel`. One heavy job at a time for each home; others wait in the queue.
"""

import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from filelock import FileLock, Timeout

from core.artifacts import read_json, write_json
from core.errors import BusyError, CancelledError, CoreError, NotFoundError, StorageError
from core.messages import revived, say, with_messages
from core.store import Home, storage_error

_log = logging.getLogger(__name__)

HEARTBEAT_SECONDS = 1.0
LOST_AFTER_SECONDS = 30.0
"""A running job without a heartbeat for this long is taken for dead."""
GRACE_SECONDS = 8.0
"""Between the polite and the final signal of a cancel."""
MEMORY_SHARE = 0.8
"""A job that holds more than this share of the machine's memory ends itself, so that the screen's server never falls."""
QUEUE_SECONDS = 0.5
"""Between two looks of a queued job at whether it is its turn."""
KEPT_JOBS = 200
"""Older jobs that are over are removed when a new one starts."""
LIVE_STATES = ("queued", "running")


@dataclass(frozen=True)
class Job:
    """What is known of one job now."""

    job_id: str
    title: str
    argv: tuple[str, ...]
    state: str
    """queued, running, done, failed or cancelled."""
    stage: str
    share: float
    """Done share of the whole job, 0-1."""
    message: str
    started: float
    """Seconds since the epoch."""
    seconds: float
    eta_seconds: float | None
    memory_mb: float
    result: dict[str, Any] | None
    error: str | None

    @property
    def is_live(self) -> bool:
        return self.state in LIVE_STATES


def start_job(home: Home, argv: list[str], title: str) -> str:
    """Start `python -m core <argv>` as a job of its own and return its id at once.

    Args:
        home: Where the job reads and writes.
        argv: Verb and options, without --home and --json.
        title: What a person called the work.
    """
    job_id = f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{uuid.uuid4().hex[:6]}"
    folder = home.path / "jobs" / job_id
    _prune(home)
    try:
        folder.mkdir(parents=True)
        write_json(
            folder / "status.json",
            with_messages({"title": title, "argv": argv, "state": "queued", "started": time.time(), "heartbeat": time.time()}),
        )
        with (folder / "result.json").open("wb") as out, (folder / "log.txt").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "core", *argv, "--home", str(home.path.resolve()), "--json", "--job", job_id],
                stdout=out,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                cwd=Path(__file__).resolve().parent.parent,
            )
    except OSError as error:
        raise StorageError(
            "The job {title!r} cannot be started in {folder} ({error}). Free space or check permissions.",
            title=title,
            folder=folder,
            error=error,
        ) from error
    threading.Thread(target=process.wait, daemon=True).start()  # reaps the child, or it would stay a zombie of the screen
    return job_id


def read_job(home: Home, job_id: str) -> Job:
    """Read a job's state; one whose process died without a word is reported as failed.

    Raises:
        NotFoundError: There is no such job.
    """
    folder = home.path / "jobs" / job_id
    if not job_id or Path(job_id).name != job_id or not (folder / "status.json").is_file():
        raise NotFoundError("There is no job {job!r}; `jobs` lists them.", job=job_id)
    status = _read_status(folder)
    state, error = status["state"], status.get("error")
    if state in LIVE_STATES and not _is_alive(status):
        if (folder / "cancel").exists():
            state = "cancelled"
        else:
            state = "failed"
            error = say(
                "The worker stopped without a word during {stage!r} (killed, out of memory, or the machine restarted). "
                "Nothing was published half-way; the last good result stays. Start it again: finished stages are reused.",
                stage=status.get("stage") or say("its start"),
            )
    result = None
    if state == "done":
        with suppress(ValueError, OSError):
            result = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    ended = time.time() if state in LIVE_STATES else status.get("ended", status["heartbeat"])
    seconds, share = ended - status["started"], float(status.get("share", 0.0))
    return Job(
        job_id=job_id,
        title=status["title"],
        argv=tuple(status["argv"]),
        state=state,
        stage=status.get("stage", ""),
        share=1.0 if state == "done" else share,
        message=status.get("message", ""),
        started=status["started"],
        seconds=seconds,
        eta_seconds=seconds * (1 - share) / share if state == "running" and share > 0.02 else None,
        memory_mb=float(status.get("memory_mb", 0.0)),
        result=result,
        error=error,
    )


def list_jobs(home: Home) -> list[Job]:
    """List all jobs of a home, newest first."""
    folder = home.path / "jobs"
    names = [p.name for p in folder.iterdir() if (p / "status.json").is_file()] if folder.is_dir() else []
    jobs: list[Job] = []
    for name in names:
        with suppress(NotFoundError):  # removed since it was listed
            jobs.append(read_job(home, name))
    return sorted(jobs, key=lambda job: (job.started, job.job_id), reverse=True)


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
    status = _read_status(folder)
    pid = status.get("pid")
    if pid and _is_alive(status):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        timer = threading.Timer(GRACE_SECONDS, _kill, args=(status,))
        timer.daemon = True
        timer.start()
    until = time.monotonic() + GRACE_SECONDS + 4
    while wait and time.monotonic() < until and read_job(home, job_id).is_live:
        time.sleep(0.1)


def job_log(home: Home, job_id: str) -> str:
    """Return the last 20,000 characters of what a job wrote to its log.

    Raises:
        NotFoundError: There is no such job.
    """
    read_job(home, job_id)
    path = home.path / "jobs" / job_id / "log.txt"
    return path.read_text(encoding="utf-8", errors="replace")[-20_000:] if path.is_file() else ""


class Reporter:
    """The worker's side: keeps status.json alive and turns a cancel into CancelledError.

    Calling it is a `Progress`. Stages of a chain report 0-1 each; `stage` maps them onto the whole.
    """

    def __init__(self, folder: Path | None, echo: Callable[[str], None]) -> None:
        self._folder, self._echo = folder, echo
        self._status: dict[str, Any] = read_json(folder / "status.json") if folder else {}
        self._lock = threading.Lock()
        self._stage, self._begin, self._end = "", 0.0, 1.0
        self._said = ("", 0.0)
        self.peak_mb = 0.0
        self._closed = threading.Event()

    def __call__(self, share: float, message: str) -> None:
        if self._folder and (self._folder / "cancel").exists():
            raise CancelledError("The job was cancelled; the last good result stays.")
        total = self._begin + (self._end - self._begin) * min(max(share, 0.0), 1.0)
        with self._lock:
            self._status |= {"share": total, "message": message, "stage": self._stage}
        if message != self._said[0] or time.time() - self._said[1] > 5:
            self._echo(f"[{total:4.0%}] {self._stage}: {message}")
            self._said = (message, time.time())

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


def _read_status(folder: Path) -> dict[str, Any]:
    """Read status.json; one that was damaged becomes a failed job that says so, or one bad file would hide all jobs."""
    try:
        status = revived(read_json(folder / "status.json"))
        if isinstance(status, dict) and {"title", "argv", "state", "started", "heartbeat"} <= status.keys():
            return status
    except StorageError:
        pass
    return {
        "title": folder.name,
        "argv": [],
        "state": "failed",
        "started": 0.0,
        "heartbeat": 0.0,
        "error": say(
            "{path} is damaged, so nothing is known of this job. Start it again: finished stages are reused.", path=folder / "status.json"
        ),
    }


def _is_behind(home: Home, job_id: str) -> bool:
    """Tell whether a live job that was started earlier still waits."""
    for job in reversed(list_jobs(home)):
        if job.job_id == job_id:
            return False
        if job.state == "queued":
            return True
    return False


def _prune(home: Home) -> None:
    """Remove the folders of old jobs that are over, the newest KEPT_JOBS stay."""
    folders = sorted((p for p in (home.path / "jobs").glob("*") if p.is_dir()), key=lambda path: path.name, reverse=True)
    for folder in folders[KEPT_JOBS - 1 :]:
        with suppress(NotFoundError):
            if read_job(home, folder.name).is_live:
                continue
        shutil.rmtree(folder, ignore_errors=True)


def _is_alive(status: dict[str, Any]) -> bool:
    pid = status.get("pid")
    if pid is None:  # started, but has not said its pid yet
        return bool(time.time() - status["heartbeat"] < LOST_AFTER_SECONDS)
    try:
        process = psutil.Process(pid)
        same = abs(process.create_time() - status.get("created", 0)) < 2
        return same and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _kill(status: dict[str, Any]) -> None:
    if _is_alive(status):
        with suppress(psutil.Error):
            psutil.Process(status["pid"]).kill()
