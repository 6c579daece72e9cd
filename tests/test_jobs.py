"""Jobs tell their state whatever happens to them: done, failed, cancelled, killed; and one heavy job goes at a time."""

import ast
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from core.artifacts import read_json, write_json
from core.errors import BusyError, CancelledError, EmptyLogError, NotFoundError
from core.jobs import KEPT_JOBS, Job, cancel_job, list_jobs, read_job, start_job, working
from core.jobs.reporter import Reporter
from core.messages import revived, say, with_messages
from core.store import Home
from pages.parts.jobs import STAGES
from pages.parts.text import said, set_language

ROOT = Path(__file__).resolve().parents[1]


def wait_until_over(home: Home, job_id: str, seconds: float = 60) -> Job:
    """Poll a job until it is over; the bound only keeps a broken job from hanging the tests."""
    until = time.monotonic() + seconds
    while (job := read_job(home, job_id)).is_live and time.monotonic() < until:
        time.sleep(0.1)
    return job


def holder(home: Home) -> subprocess.Popen[bytes]:
    """Another process that holds the home's heavy lock until it is killed."""
    code = (
        "import sys, time; from pathlib import Path; from core.jobs import working; from core.store import Home\n"
        "with working(Home(Path(sys.argv[1])), None, heavy=True, echo=lambda line: None):\n"
        "    print('held', flush=True); time.sleep(600)"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(home.path)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"held\n"
    return process


def test_a_title_keeps_its_parts_while_the_job_works_so_that_every_reader_has_it_in_her_language(tmp_path: Path) -> None:
    title = say("Measuring the blocks of {name}", name="rees46")
    write_json(tmp_path / "status.json", with_messages({"title": title, "argv": [], "state": "queued", "started": 0.0, "heartbeat": 0.0}))
    reporter = Reporter(tmp_path, lambda line: None)
    reporter(0.1, say("starting"))
    reporter.set(state="cancelled")
    kept = revived(read_json(tmp_path / "status.json"))["title"]
    set_language("zh")
    assert "rees46" in said(kept) and "Measuring" not in said(kept)
    set_language("en")
    assert said(kept) == "Measuring the blocks of rees46"


def test_every_stage_of_core_has_words_on_screen() -> None:
    named = re.compile(r'(?:\.stage|_measured|step)\(\s*"(\w+)"')
    used = {name for path in (ROOT / "core").rglob("*.py") for name in named.findall(path.read_text(encoding="utf-8"))}
    assert {"profile", "tune", "compress", "map"} <= used <= set(STAGES)


def test_every_page_names_its_jobs_by_what_each_reader_can_be_told() -> None:
    for path in (ROOT / "pages").rglob("*.py"):
        for call in (node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)):
            if ast.unparse(call.func) in ("jobs.start", "start_job") and path.name != "jobs.py":
                assert ast.unparse(call.args[-1]).startswith("say("), path


def test_a_finished_job_hands_over_its_result(tmp_path: Path) -> None:
    home = Home(tmp_path)
    job = wait_until_over(home, start_job(home, ["jobs"], "List"))
    assert (job.state, job.share, job.error) == ("done", 1.0, None)
    assert job.result is not None
    assert [j.job_id for j in list_jobs(home)] == [job.job_id]


def test_a_job_that_meets_a_mendable_error_says_it_in_words(tmp_path: Path) -> None:
    home = Home(tmp_path)
    job = wait_until_over(home, start_job(home, ["map", "--dataset", "nowhere"], "Map"))
    assert job.state == "failed"
    assert job.error is not None
    assert "There is no dataset 'nowhere'" in job.error


def test_a_terminal_is_told_at_once_when_the_home_is_busy(tmp_path: Path) -> None:
    home = Home(tmp_path)
    other = holder(home)
    try:
        with pytest.raises(BusyError, match="Another job is working"), working(home, None, heavy=True, echo=lambda line: None):
            pass
    finally:
        other.kill()
        other.wait()


def test_a_queued_job_can_be_cancelled_and_a_freed_lock_lets_the_next_one_go(tmp_path: Path) -> None:
    home = Home(tmp_path)
    other = holder(home)
    try:
        job_id = start_job(home, ["map", "--dataset", "nowhere"], "Map")
        until = time.monotonic() + 60
        while "waiting" not in read_job(home, job_id).message and time.monotonic() < until:
            time.sleep(0.1)
        assert read_job(home, job_id).state == "queued"
        cancel_job(home, job_id)
        assert wait_until_over(home, job_id).state == "cancelled"
    finally:
        other.kill()
        other.wait()
    with working(home, None, heavy=True, echo=lambda line: None) as report:
        report(0.5, "the lock of a killed process is free")


def test_a_killed_worker_is_reported_and_not_waited_for(tmp_path: Path) -> None:
    home = Home(tmp_path)
    other = holder(home)
    try:
        job_id = start_job(home, ["map", "--dataset", "nowhere"], "Map")
        until = time.monotonic() + 60
        while "waiting" not in read_job(home, job_id).message and time.monotonic() < until:
            time.sleep(0.1)
        from core.artifacts import read_json

        os.kill(read_json(home.path / "jobs" / job_id / "status.json")["pid"], signal.SIGKILL)
        job = wait_until_over(home, job_id)
        assert job.state == "failed"
        assert job.error is not None
        assert "stopped without a word" in job.error
    finally:
        other.kill()
        other.wait()


def test_stages_map_their_share_onto_the_whole(tmp_path: Path) -> None:
    lines: list[str] = []
    with working(Home(tmp_path), None, heavy=False, echo=lines.append) as report, report.stage("profile", 0.2, 0.4) as progress:
        progress(0.5, "halfway")
    assert any(line.startswith("[ 30%] profile: halfway") for line in lines)


def test_every_way_out_lets_the_error_through(tmp_path: Path) -> None:
    for error in (EmptyLogError("empty"), CancelledError("stop")):
        with pytest.raises(type(error)), working(Home(tmp_path), None, heavy=True, echo=lambda line: None):
            raise error


def test_a_cancel_that_a_library_makes_another_error_of_is_still_a_cancel(tmp_path: Path) -> None:
    for wrapped in (RuntimeError("Query interrupted"), EmptyLogError("unreadable (cancelled)")):
        with pytest.raises(CancelledError), working(Home(tmp_path), None, heavy=True, echo=lambda line: None):
            try:
                raise CancelledError("stop")
            except CancelledError as error:
                raise wrapped from error


def test_an_unknown_job_or_a_path_is_refused(tmp_path: Path) -> None:
    for name in ("none", "../jobs", ""):
        with pytest.raises(NotFoundError, match="There is no job"):
            read_job(Home(tmp_path), name)


def test_a_silent_step_says_how_long_it_takes() -> None:
    said: list[str] = []
    now = 100.0
    reporter = Reporter(None, said.append, clock=lambda: now)

    reporter.show_life()
    with reporter.stage("ingest", 0.0, 1.0):
        reporter(0.5, "sorting")
        for second in (100.5, 101.0, 101.5, 102.0, 102.5, 103.0):
            now = second
            reporter.show_life()
        now = 103.5
        reporter(0.6, "sorting")
        now = 106.0
        reporter(0.7, "sorting")
        now = 108.0
        reporter.show_life()
    now = 200.0
    reporter.show_life()

    assert said == [
        "[  0%] ingest: starting",
        "[ 50%] ingest: sorting",
        "[ 50%] ingest: sorting (2 s)",
        "[ 50%] ingest: sorting (3 s)",
        "[ 70%] ingest: sorting",
        "[ 70%] ingest: sorting (8 s)",
        "[100%] ingest: finished",
    ]


def test_a_step_that_counts_says_its_rate_and_the_time_left(tmp_path: Path) -> None:
    said: list[str] = []
    now = 0.0
    reporter = Reporter(None, said.append, clock=lambda: now)
    with reporter.stage("profile", 0.0, 1.0):
        for second in (0.0, 2.0, 4.0, 12.0):
            now = second
            done = int(1000 + 500 * second)
            reporter(0.8 * second / 12, say("{done:,} of {total:,} tokens encoded", done=done, total=10_000))
        now = 14.0
        reporter.show_life()
        reporter(0.9, say("writing"))
    assert said[1:-2] == [
        "[  0%] profile: 1,000 of 10,000 tokens encoded",
        "[ 13%] profile: 2,000 of 10,000 tokens encoded (500 a second, about 16 s left of this step)",
        "[ 27%] profile: 3,000 of 10,000 tokens encoded (500 a second, about 14 s left of this step)",
        "[ 80%] profile: 7,000 of 10,000 tokens encoded (500 a second, about 6 s left of this step, about 3 s left in all)",
        "[ 80%] profile: 7,000 of 10,000 tokens encoded (14 s, 500 a second, about 6 s left of this step, about 3 s left in all)",
    ]
    assert said[-2] == "[ 90%] profile: writing (about 2 s left in all)" and said[-1] == "[100%] profile: finished"


def test_a_job_tells_its_rate_to_whoever_reads_it(tmp_path: Path) -> None:
    home, folder = Home(tmp_path), tmp_path / "jobs" / "j"
    folder.mkdir(parents=True)
    status = {"title": "t", "argv": [], "state": "done", "started": 1.0, "heartbeat": 2.0}
    write_json(folder / "status.json", status)
    assert (read_job(home, "j").rate, read_job(home, "j").step_left_seconds) == (0.0, 0.0), "one of an earlier release knows none"
    write_json(folder / "status.json", status | {"rate": 250.0, "step_left": 8.0})
    assert (read_job(home, "j").rate, read_job(home, "j").step_left_seconds) == (250.0, 8.0)


def test_a_job_that_computes_without_a_word_still_moves(tmp_path: Path) -> None:
    home, folder = Home(tmp_path), tmp_path / "jobs" / "j"
    folder.mkdir(parents=True)
    write_json(folder / "status.json", {"title": "t", "argv": [], "state": "queued", "started": time.time(), "heartbeat": time.time()})
    lines: list[str] = []
    with working(home, "j", heavy=False, echo=lines.append) as report, report.stage("ingest", 0.0, 1.0):
        report(0.3, "sorting")
        seen = [read_job(home, "j").step_seconds]
        until = time.monotonic() + 60
        while not any("sorting (" in line for line in lines) and time.monotonic() < until:
            time.sleep(0.05)
        seen.append(read_job(home, "j").step_seconds)
    assert any(line.startswith("[ 30%] ingest: sorting (") for line in lines)
    assert seen[1] > seen[0]


def test_a_disk_that_is_slow_to_confirm_does_not_hold_progress_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    monkeypatch.setattr("core.artifacts.os.fsync", synced.append)
    write_json(tmp_path / "status.json", {})
    assert len(synced) == 1
    reporter = Reporter(tmp_path, lambda line: None)
    reporter(0.5, "sorting")
    threading.Thread(target=reporter.beat, args=(1e9,), daemon=True).start()
    until = time.monotonic() + 60
    while read_json(tmp_path / "status.json").get("message") != "sorting" and time.monotonic() < until:
        time.sleep(0.05)
    reporter.close()
    assert read_json(tmp_path / "status.json")["message"] == "sorting"
    assert len(synced) == 1


def test_progress_never_goes_back() -> None:
    said: list[str] = []
    reporter = Reporter(None, said.append)

    with reporter.stage("predict", 0.5, 1.0):
        reporter(0.6, "fitting")
        reporter(0.1, "reading texts again")

    assert [line[:6] for line in said] == ["[ 50%]", "[ 80%]", "[ 80%]", "[100%]"]


def test_queued_jobs_run_in_the_order_they_were_started(tmp_path: Path) -> None:
    home = Home(tmp_path)
    other = holder(home)
    try:
        names = [start_job(home, ["map", "--dataset", f"none_{i}"], f"Map {i}") for i in range(3)]
        until = time.monotonic() + 60
        while not all("waiting" in read_job(home, name).message for name in names) and time.monotonic() < until:
            time.sleep(0.05)
        told = subprocess.run(
            [sys.executable, "-m", "core", "run", "--dataset", "d", "--home", str(tmp_path), "--json"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert (told.returncode, json.loads(told.stdout)["kind"]) == (2, "BusyError")
        assert [read_job(home, name).state for name in names] == ["queued"] * 3
    finally:
        other.kill()
        other.wait()
    ended = [(lambda job: job.started + job.seconds)(wait_until_over(home, name)) for name in names]
    assert ended == sorted(ended)
    assert [job.job_id for job in list_jobs(home)] == names[::-1]


def test_hundreds_of_old_jobs_are_listed_at_once_and_pruned(tmp_path: Path) -> None:
    home = Home(tmp_path)
    for number in range(500):
        folder = tmp_path / "jobs" / f"20240101-{number:06d}-abcdef"
        folder.mkdir(parents=True)
        record = {"title": "Old", "argv": ["map"], "state": "done", "started": float(number), "heartbeat": float(number)}
        (folder / "status.json").write_text(json.dumps(record), encoding="utf-8")
    (tmp_path / "jobs" / "20240101-000499-abcdef" / "status.json").write_bytes(b"{")
    began = time.monotonic()
    jobs = list_jobs(home)
    assert time.monotonic() - began < 2
    assert len(jobs) == 500
    assert "damaged" in next(job.error or "" for job in jobs if job.state == "failed")
    job_id = start_job(home, ["jobs"], "List")
    assert len(list_jobs(home)) == KEPT_JOBS
    assert wait_until_over(home, job_id).state == "done"
    assert (tmp_path / "jobs" / "20240101-000499-abcdef").exists()
    assert not (tmp_path / "jobs" / "20240101-000000-abcdef").exists()
