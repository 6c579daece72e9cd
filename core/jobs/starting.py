"""Starting a job: its folder, its process, and room for it among the older ones."""

import shutil
import subprocess
import sys
import threading
import time
import uuid
from contextlib import suppress
from pathlib import Path

from core.artifacts import write_json
from core.errors import NotFoundError, StorageError
from core.jobs.job import read_job
from core.messages import with_messages
from core.store import Home

KEPT_JOBS = 200
"""Older jobs that are over are removed when a new one starts."""


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
                cwd=Path(__file__).resolve().parents[2],
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


def _prune(home: Home) -> None:
    """Remove the folders of old jobs that are over, the newest KEPT_JOBS stay."""
    folders = sorted((p for p in (home.path / "jobs").glob("*") if p.is_dir()), key=lambda path: path.name, reverse=True)
    for folder in folders[KEPT_JOBS - 1 :]:
        with suppress(NotFoundError):
            if read_job(home, folder.name).is_live:
                continue
        shutil.rmtree(folder, ignore_errors=True)
