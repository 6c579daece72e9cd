"""Long work on screen: progress, estimate, cancel, and what became of it; any window shows the same."""

import time

import streamlit as st

from core.errors import CoreError, StorageError
from core.jobs import Job, cancel_job, list_jobs, start_job
from core.messages import Message, say
from core.pipeline import sorting
from core.pipeline.screens import Screen
from core.store import Home
from pages.parts import state
from pages.parts.text import _, duration, plain, said, whole

RECENT_SECONDS = 1800
"""A failure or a cancel stays on screen this long, or until it is dismissed."""
SLOW_SECONDS = 2.0
"""A step that takes longer says how long: its share may stand still."""
STAGES = {
    "ingest": "reading and cleaning the log",
    "sort": "sorting the log by shopper",
    "profile": "encoding shoppers",
    "map": "drawing the map",
    "blocks": "measuring the blocks of the profile",
    "word": "wording the segments",
    "predict": "training purchase chances",
    "recommend": "ranking recommendations",
    "backtest": "judging past windows",
    "learn": "learning from few labels",
    "ask": "learning from answers",
    "report": "writing a report",
    "explain": "explaining chances over all shoppers",
    "uplift": "measuring what a campaign changed",
    "robustness": "scoring from damaged logs",
    "tune": "tuning the text model",
    "compress": "making the text model smaller",
    "transfer": "transferring what another data set taught",
    "brief": "writing a brief",
    "verify": "counting the figures again",
    "samples": "loading the samples",
}


KINDS = {
    "profile": "profiles", "map": "atlas", "predict": "propensity", "recommend": "recommendations", "blocks": "blocks",
    "backtest": "backtest", "learn": "learning", "tune": "tuning", "compress": "compression", "transfer": "transfer",
    "explain": "explanations", "uplift": "uplift", "robustness": "robustness",
}  # fmt: skip
"""Kind of run that a verb makes."""


def start(argv: list[str], title: Message) -> None:
    """Start a job and draw the page again, with its progress on top; every window says the title in its own language."""
    state.put("watched_job", start_job(state.home(), argv, title))
    st.rerun()


def sort_large(here: Screen) -> None:
    """Start sorting a large log in the background, once a window, so that the questions after this one are answered faster."""
    asked = f"sorting_{here.name}_{here.version}"
    if state.flag(asked) or not sorting.wants_sorting(here):
        return
    state.put(asked, True)
    if live_job(state.home(), here.name) is None:
        start_job(state.home(), ["sort", "--dataset", here.name], say("Sorting {name} by shopper", name=here.name))


def panel() -> None:
    """Draw the progress of running jobs, and failures and cancels of the last half hour that nobody has dismissed."""
    jobs = list_jobs(state.home())
    if any(job.is_live for job in jobs):
        _watch("top")
    dismissed = state.flag("dismissed_jobs") or set()
    for job in jobs[:5]:
        fresh = time.time() - job.started - job.seconds < RECENT_SECONDS
        superseded = any(other.argv[:3] == job.argv[:3] and other.started > job.started for other in jobs)
        if job.state in ("failed", "cancelled") and fresh and not superseded and job.job_id not in dismissed:
            _ended(job, dismissed)


def live_job(home: Home, dataset: str | None = None) -> Job | None:
    """Return a running or queued job (of a dataset), or None."""
    return next((job for job in list_jobs(home) if job.is_live and (dataset is None or dataset in job.argv)), None)


def follow(job: Job) -> None:
    """Draw how a job comes on, where it was started."""
    _watch("here", job.job_id)


@st.fragment(run_every=1.0)
def _watch(place: str, only: str | None = None) -> None:
    state.begin()
    live = [job for job in list_jobs(state.home()) if job.is_live]
    seen = state.flag(f"live_jobs_{place}") or []
    state.put(f"live_jobs_{place}", [job.job_id for job in live])
    if not live or set(seen) - {job.job_id for job in live} or state.has_arrived():
        st.rerun(scope="app")
    for job in live:
        if only in (None, job.job_id):
            _progress(job, place)


def _progress(job: Job, place: str) -> None:
    with st.container(border=True):
        stage = _(STAGES[job.stage]) if job.stage in STAGES else job.stage
        waits = job.state == "queued" and bool(job.message)  # one that only starts has said nothing yet
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(
                f"**{plain(said(job.title))}** · " + (_("waiting for another job to finish") if waits else plain(stage or _("starting"))),
                width="stretch",
            )
            cancelled = st.button(_("Cancel"), key=f"cancel-{place}-{job.job_id}")
        if cancelled:
            try:
                cancel_job(state.home(), job.job_id)
            except CoreError as error:
                st.error(plain(said(error)))
        parts = [
            _("{share:.0%} done", share=job.share),
            _("running for {time}", time=duration(job.seconds)),
            _("about {time} left", time=duration(job.eta_seconds)) if job.eta_seconds else "",
            _("{memory:,.0f} MB memory", memory=job.memory_mb) if job.memory_mb else "",
        ]
        st.progress(min(max(job.share, 0.0), 1.0), text=" · ".join(part for part in parts if part))
        if job.message and job.message not in ("starting", "finished"):
            told = [
                plain(said(job.message)),
                _("for {time}", time=duration(job.step_seconds)) if job.step_seconds >= SLOW_SECONDS else "",
                _("{n} a second", n=whole(job.rate)) if job.rate >= 1 else "",
                _("about {time} left of this step", time=duration(job.step_left_seconds)) if job.step_left_seconds else "",
            ]
            st.caption(" · ".join(part for part in told if part))


def _ended(job: Job, dismissed: set[str]) -> None:
    with st.container(border=True):
        title = f"**{plain(said(job.title))}**" + (f" · {_(STAGES[job.argv[0]])}" if job.argv and job.argv[0] in STAGES else "")
        if job.state == "cancelled":
            st.info(f"{title} – " + _("cancelled"))
        else:
            st.error(f"{title} – " + plain(said(job.error or _("It stopped without a word."))))
        with st.container(horizontal=True, vertical_alignment="center"):
            told = (
                _("The last good result stays on screen. Log id: {id}", id=plain(job.job_id))
                if _has_result(job)
                else _("Nothing was kept of it. Log id: {id}", id=plain(job.job_id))
            )
            st.caption(told, width="stretch")
            if st.button(_("Dismiss"), key=f"dismiss-{job.job_id}"):
                state.put("dismissed_jobs", dismissed | {job.job_id})
                st.rerun()


def _has_result(job: Job) -> bool:
    """Whether an earlier result of the job's verb is on screen; of verbs that make no run, whether the data set is there."""
    if "--dataset" not in job.argv[:-1]:
        return True
    name = job.argv[job.argv.index("--dataset") + 1]
    if name not in state.home().datasets():
        return False
    try:
        pointers = state.home().dataset(name).current()
    except StorageError:
        return False
    kind = KINDS.get(job.argv[0])
    return bool(pointers["version"]) if kind is None else kind in pointers["runs"]
