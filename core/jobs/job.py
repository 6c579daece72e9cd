"""What is known of a job: read from its folder by whoever asks."""

import json
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from core.artifacts import read_json
from core.errors import NotFoundError, StorageError
from core.messages import revived, say
from core.store import Home

LOST_AFTER_SECONDS = 30.0
"""A running job without a heartbeat for this long is taken for dead."""
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
    step_seconds: float
    """How long the step that the message names has taken."""
    eta_seconds: float | None
    """Of the whole job, by its share."""
    memory_mb: float
    result: dict[str, Any] | None
    error: str | None
    rate: float = 0.0
    """What the step does in a second, in the units of its message; 0 where it does not count."""
    step_left_seconds: float = 0.0
    """Of the step, by its rate; 0 where that is unknown."""

    @property
    def is_live(self) -> bool:
        return self.state in LIVE_STATES


def read_job(home: Home, job_id: str) -> Job:
    """Read a job's state; one whose process died without a word is reported as failed.

    Raises:
        NotFoundError: There is no such job.
    """
    folder = home.path / "jobs" / job_id
    if not job_id or Path(job_id).name != job_id or not (folder / "status.json").is_file():
        raise NotFoundError("There is no job {job!r}; `jobs` lists them.", job=job_id)
    status = read_status(folder)
    state, error = status["state"], status.get("error")
    if state in LIVE_STATES and not is_alive(status):
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
        step_seconds=max(0.0, ended - status.get("step_started", ended)),
        eta_seconds=seconds * (1 - share) / share if state == "running" and share > 0.02 else None,
        rate=float(status.get("rate", 0.0)),
        step_left_seconds=float(status.get("step_left", 0.0)),
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


def job_log(home: Home, job_id: str) -> str:
    """Return the last 20,000 characters of what a job wrote to its log.

    Raises:
        NotFoundError: There is no such job.
    """
    read_job(home, job_id)
    path = home.path / "jobs" / job_id / "log.txt"
    return path.read_text(encoding="utf-8", errors="replace")[-20_000:] if path.is_file() else ""


def read_status(folder: Path) -> dict[str, Any]:
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


def is_alive(status: dict[str, Any]) -> bool:
    pid = status.get("pid")
    if pid is None:  # started, but has not said its pid yet
        return bool(time.time() - status["heartbeat"] < LOST_AFTER_SECONDS)
    try:
        process = psutil.Process(pid)
        same = abs(process.create_time() - status.get("created", 0)) < 2
        return same and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False
