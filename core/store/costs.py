"""What making something cost, and which code made it."""

import subprocess
import sys
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[2]
GIT_SECONDS = 10
"""A git that does not answer by then leaves the commit unsaid."""


@dataclass(frozen=True)
class Began:
    """When work began, by the clock on the wall and by the processor."""

    wall: float
    """Seconds since the epoch."""
    cpu: float
    """Processor seconds of this process until then, all threads together."""

    @classmethod
    def now(cls) -> "Began":
        """Begin."""
        return cls(time.time(), time.process_time())

    def costs(self) -> dict[str, float]:
        """Return seconds and cpu_seconds since then, and peak_mb: the largest resident size of this process so far."""
        return {
            "seconds": round(time.time() - self.wall, 2),
            "cpu_seconds": round(time.process_time() - self.cpu, 2),
            "peak_mb": round(peak_memory_mb()),
        }


def peak_memory_mb() -> float:
    """Return the largest resident size of this process so far, in MB."""
    if sys.platform == "win32":
        return float(psutil.Process().memory_info().peak_wset) / 2**20
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10


@cache
def code_commit() -> str | None:
    """Return the git commit that the code stands at, with `+` when tracked files were changed since; None outside a checkout."""
    if not (ROOT / ".git").exists():
        return None
    try:
        head = _git("rev-parse", "HEAD")
        return head + ("+" if _git("status", "--porcelain", "--untracked-files=no") else "") if head else None
    except (OSError, subprocess.SubprocessError):
        return None


def _git(*words: str) -> str:
    command = ["git", "-C", str(ROOT), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=GIT_SECONDS, stdin=subprocess.DEVNULL)
    return done.stdout.strip()
