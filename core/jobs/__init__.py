"""Long work in a process of its own: started from a page, seen by every window, cancelled by anyone, survived by the screen.

A job is `python -m core <verb> …` in its own session. Its folder `<home>/jobs/<job>/` holds status.json (state, stage,
share, message, estimate, memory, heartbeat), log.txt (everything it wrote to stderr), result.json (what it printed) and
the flag `cancel`. One heavy job at a time for each home; others wait in the queue.
"""

from core.jobs.cancelling import cancel_job
from core.jobs.job import Job, job_log, list_jobs, read_job
from core.jobs.reporter import Reporter
from core.jobs.starting import KEPT_JOBS, start_job
from core.jobs.working import working

__all__ = ["KEPT_JOBS", "Job", "Reporter", "cancel_job", "job_log", "list_jobs", "read_job", "start_job", "working"]
