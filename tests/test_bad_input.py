"""Whatever is thrown at it: every verb works or says what is wrong, nothing is published half-way, and the last good state stays."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from core.__main__ import main
from core.jobs import cancel_job, read_job, start_job
from core.store import Home
from tests.bad_logs import FORMULA, HEADER, ODD, ROWS, SLOW_VERB, flip, leftovers, odd_log, write
from tests.test_jobs import wait_until_over

Cli = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture
def cli(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Cli:
    def call(*words: object, home: Path = tmp_path / "home") -> tuple[int, dict[str, Any]]:
        status = main([*map(str, words), "--home", str(home), "--json"])
        told: dict[str, Any] = json.loads(capsys.readouterr().out)
        return status, told

    return call


@pytest.fixture
def good(tmp_path: Path) -> Path:
    return write(tmp_path / "good.csv", HEADER + "".join(ROWS))


@pytest.fixture(scope="module")
def good_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home in which the good log is the dataset `d`."""
    folder = tmp_path_factory.mktemp("good")
    log = write(folder / "good.csv", HEADER + "".join(ROWS))
    assert main(["ingest", "--dataset", "d", "--events", str(log), "--home", str(folder / "home")]) == 0
    return folder / "home"


@pytest.fixture
def loaded(good_home: Path, tmp_path: Path) -> Path:
    """A copy of the good home, where `cli` works."""
    return shutil.copytree(good_home, tmp_path / "home")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is empty"),
        (HEADER, "a header and no row"),
        (b"\x00" * 500, "binary"),
        (b"\x89PNG\r\n" + bytes(range(256)), "PNG image"),
        ("user\n" + "a\n" * 30, "only one column"),
        ("user_id,item_id,event_type\n" + "".join(f"u{i},i,view\n" for i in range(30)), "no column for event_time"),
    ],
)
def test_a_file_that_is_no_log_is_refused_and_leaves_no_dataset(cli: Cli, tmp_path: Path, content: str | bytes, sentence: str) -> None:
    status, told = cli("run", "--dataset", "d", "--events", write(tmp_path / "bad.csv", content))
    assert (status, sentence in told["error"]) == (2, True), told
    assert not (tmp_path / "home" / "datasets" / "d").exists()


def test_a_pipe_is_refused_instead_of_waited_for(cli: Cli, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    status, told = cli("ingest", "--dataset", "d", "--events", tmp_path / "pipe.csv")
    assert (status, "a pipe or a device" in told["error"]) == (2, True), told


@pytest.mark.parametrize(
    ("mapping", "sentence"),
    [
        ('{"events": {"columns": {"user_id": "nope"}}}', "'nope'"),
        ("[1, 2]", "must be a JSON object"),
        (b"\xff\xfe\x00\x80", "not UTF-8"),
        ("", "no valid JSON"),
        ("[" * 100_000, "no valid JSON"),
        ('{"events": {"event_types": ["a"]}}', "event_types"),
        ('{"events": {"time_zone": 5}}', "must be a text"),
        ('{"events": {"time_format": 5}}', "must be a text"),
        ('{"events": {"encoding": ["a"]}}', "must be a text"),
        ('{"events": {"delimiter": "abc"}}', "must be one character"),
        ('{"events": {"header": 5}}', "list of column names"),
        ('{"events": {"header": [1, 2, 3, 4]}}', "list of column names"),
        ('{"rules": {"time_out_of_range": {"earliest_year": 99999}}}', "four digits"),
        ('{"rules": {"duplicates": {"seconds": NaN}}}', "must be a number"),
    ],
)
def test_a_wrong_mapping_is_told_with_its_value(cli: Cli, tmp_path: Path, good: Path, mapping: str | bytes, sentence: str) -> None:
    status, told = cli("ingest", "--dataset", "d", "--events", good, "--map", write(tmp_path / "map.json", mapping))
    assert (status, sentence in told["error"]) == (2, True), told
    assert not (tmp_path / "home" / "datasets" / "d").exists()


@pytest.mark.parametrize("name", ["../x", "a/b", "..", "", "A b", ".hidden", "x\0y", "é", "a" * 300, "-x"])
def test_a_dataset_name_is_never_a_path(cli: Cli, tmp_path: Path, good: Path, name: str) -> None:
    for words in (("ingest", "--events", good), ("map",), ("quality",), ("export", "--out", tmp_path / "out")):
        status, told = cli(words[0], f"--dataset={name}", *words[1:])
        assert (status, "cannot name a dataset" in told["error"]) == (2, True), told
    assert sorted(path.name for path in tmp_path.iterdir()) in (["good.csv", "home"], ["good.csv"])


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("profile", "--cutoff", "2020-01-01"), "No event lies before the cutoff"),
        (("profile", "--cutoff", "2024-03-01 10:00:00"), "No event lies before the cutoff"),
        (("profile", "--cutoff", "9999-12-31T23:59:59-12:00"), "is not a date or time"),
        (("profile", "--blocks", ""), "no profile block"),
        (("blocks", "--blocks", "counts,horoscope"), "no profile block 'horoscope'"),
        (("recommend", "--source", "zap"), "no source 'zap'"),
        (("predict", "--horizon", "7d"), "Too little to learn from"),
        (("predict", "--horizon", "nan"), "not a horizon"),
        (("audience", "--rule", "[" * 100_000), "not JSON"),
        (("audience", "--rule", '{"segment": "x"}'), "segment"),
        (("audience", "--rule", "[]"), ""),
    ],
)
def test_a_question_that_cannot_be_answered_is_refused_in_a_sentence(cli: Cli, loaded: Path, words: tuple[str, ...], sentence: str) -> None:
    status, told = cli(words[0], "--dataset", "d", *words[1:])
    assert (status, sentence in told["error"]) == (2, True), told


@pytest.mark.parametrize("words", [("--seed", "-1"), ("--seed", "x")])
def test_a_seed_below_zero_is_a_matter_of_usage(cli: Cli, words: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit, match="2"):
        cli("map", "--dataset", "d", *words)


ONE_USER = HEADER + "".join("u1" + row[row.index(",") :] for row in ROWS)
SHAPES = {
    "one row": HEADER + ROWS[0],
    "one user": ONE_USER,
    "one kind": HEADER + "".join(row.replace("purchase", "view") for row in ROWS),
    "no items": "user_id,event_type,event_time\n" + "".join(",".join([row.split(",")[0], *row.split(",")[2:]]) for row in ROWS),
    "one time": HEADER + "".join(",".join([*row.split(",")[:3], "2024-03-01 10:00:00\n"]) for row in ROWS),
}


@pytest.mark.parametrize("shape", sorted(SHAPES))
def test_a_log_of_an_odd_shape_goes_through_every_verb(cli: Cli, tmp_path: Path, shape: str) -> None:
    status, told = cli("run", "--dataset", "d", "--events", write(tmp_path / "odd.csv", SHAPES[shape]))
    assert status == 0, told
    assert {"ingest", "profile", "map"} <= told["results"].keys()
    assert any("predict was left out" in warning for warning in told["warnings"])
    for words in (("quality",), ("export", "--out", tmp_path / "out", "--format", "csv"), ("map",)):
        assert cli(words[0], "--dataset", "d", *words[1:])[0] == 0
    for words in (("predict",), ("recommend",), ("audience", "--rule", '{"segment": [0]}')):
        assert cli(words[0], "--dataset", "d", *words[1:])[0] in (0, 2)
    assert leftovers(tmp_path / "home") == []


def test_odd_ids_and_titles_come_out_as_they_went_in_and_harmless_in_a_spreadsheet(cli: Cli, tmp_path: Path) -> None:
    log = odd_log(tmp_path / "odd.csv")
    status, told = cli("ingest", "--dataset", "d", "--events", log)
    assert (status, told["rows_kept"], told["users"]) == (0, len(ODD) * 28, len(ODD))
    assert cli("profile", "--dataset", "d", "--blocks", "counts")[0] == 0
    assert cli("recommend", "--dataset", "d", "--blocks", "counts", "--out", tmp_path / "lists.csv")[0] == 0
    assert cli("export", "--dataset", "d", "--out", tmp_path / "whole")[0] == 0
    for column, place in (("user_id", 0), ("item_id", 1)):
        found = set(pq.read_table(tmp_path / "whole" / "events.parquet")[column].to_pylist())
        assert found == {row[place] for row in ODD}
    assert set(pq.read_table(tmp_path / "whole" / "items.parquet")["title"].to_pylist()) == {row[2] for row in ODD}
    assert cli("export", "--dataset", "d", "--out", tmp_path / "sheets", "--format", "csv")[0] == 0
    files = [tmp_path / "lists.csv", *(tmp_path / "sheets").glob("*.csv")]
    assert len(files) > 5
    for path in files:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            assert not [cell for row in csv.reader(stream) for cell in row if cell.startswith(FORMULA)], path.name


def test_the_same_file_again_adds_nothing_and_an_overlapping_one_only_what_is_new(cli: Cli, tmp_path: Path, good: Path) -> None:
    assert cli("ingest", "--dataset", "d", "--events", good)[1]["rows_kept"] == 300
    status, told = cli("ingest", "--dataset", "d", "--events", good, "--append")
    assert (status, told["rows_kept"], told["version"]) == (0, 300, "v0001")
    assert "already in" in told["warnings"][0]
    more = write(tmp_path / "more.csv", HEADER + "".join(ROWS[200:]) + "new,i1,view,2024-04-01 10:00:00\n")
    status, told = cli("ingest", "--dataset", "d", "--events", more, "--append")
    assert (status, told["version"]) == (0, "v0002")
    assert [told[name] for name in ("rows_read", "rows_kept", "rows_merged", "users")] == [401, 301, 100, 8]


@pytest.mark.parametrize(("cutoff", "shuffled"), [("2024-03-12 10:30:00", False), ("2024-03-16 10:15:00", True)])
def test_a_cutoff_equals_a_file_that_ends_there(cli: Cli, tmp_path: Path, cutoff: str, shuffled: bool) -> None:
    head = HEADER.strip() + ",title,category,price,country\n"
    rows = [f"{row.strip()},Thing {i % 5 + i // 150},C{i % 3},{i % 11},L{i // 100}\n" for i, row in enumerate(ROWS)]
    if shuffled:
        rows = rows[1::2] + rows[::-2]
    made = {}
    for name, kept in (("full", rows), ("cut", [row for row in rows if row.split(",")[3] < cutoff])):
        assert cli("ingest", "--dataset", name, "--events", write(tmp_path / f"{name}.csv", head + "".join(kept)))[0] == 0
        status, told = cli("map", "--dataset", name, "--cutoff", cutoff, "--blocks", "counts")
        assert status == 0, told
        lists = tmp_path / f"{name}.parquet"
        assert cli("recommend", "--dataset", name, "--cutoff", cutoff, "--blocks", "counts", "--horizon", "2d", "--out", lists)[0] == 0
        runs = tmp_path / "home" / "datasets" / name / "runs"
        made[name] = {p.relative_to(runs).as_posix(): p.read_bytes() for p in sorted(runs.rglob("*.parquet"))} | {"": lists.read_bytes()}
    assert made["full"].keys() == made["cut"].keys()
    assert [name for name in made["full"] if made["full"][name] != made["cut"][name]] == []


def test_damaged_files_are_told_and_running_again_mends_them(cli: Cli, tmp_path: Path, loaded: Path) -> None:
    assert cli("map", "--dataset", "d", "--blocks", "counts")[0] == 0
    dataset = Home(tmp_path / "home").dataset("d")
    users = dataset.run_path("atlas") / "users.parquet"
    flip(users, 0.5)
    status, told = cli("export", "--dataset", "d", "--out", tmp_path / "out")
    assert (status, "sha256" in told["error"]) == (2, True), told
    status, told = cli("map", "--dataset", "d", "--blocks", "counts")
    assert (status, told["reused"], told["run"]) == (0, False, "atlas-0002")
    assert cli("export", "--dataset", "d", "--out", tmp_path / "out")[0] == 0

    events = dataset.version_path() / "events.duckdb"
    for damage in (lambda: flip(events, *(i / 100 for i in range(100))), lambda: events.write_bytes(events.read_bytes()[:5000])):
        whole = events.read_bytes()
        damage()
        for words in (("quality",), ("export", "--out", tmp_path / "out"), ("profile", "--cutoff", "2024-03-10", "--blocks", "counts")):
            status, told = cli(words[0], "--dataset", "d", *words[1:])
            assert (status, told.get("kind")) == (2, "StorageError"), told
        events.write_bytes(whole)

    manifest = dataset.version_path() / "manifest.json"
    whole = manifest.read_bytes()
    for damaged in (b"", b"[]", b"\xff", whole.replace(b'"rows_kept": 300', b'"rows_kept": 900')):
        assert damaged != whole
        manifest.write_bytes(damaged)
        status, told = cli("quality", "--dataset", "d")
        assert (status, "manifest.json" in told["error"]) == (2, True), told
    manifest.write_bytes(whole)
    assert cli("quality", "--dataset", "d")[0] == 0


@pytest.mark.parametrize("pointer", [b"", b"[]", b'{"version": 5, "runs": {}}', b'{"version": "v9999", "runs": {}}', None])
def test_a_lost_pointer_is_told_and_a_new_ingest_mends_it(
    cli: Cli, tmp_path: Path, good: Path, loaded: Path, pointer: bytes | None
) -> None:
    current = tmp_path / "home" / "datasets" / "d" / "CURRENT"
    if pointer is None:
        current.unlink()
    else:
        current.write_bytes(pointer)
    for words in (("quality",), ("map",), ("export", "--out", tmp_path / "out"), ("audience", "--rule", '{"segment": [0]}')):
        status, told = cli(words[0], "--dataset", "d", *words[1:])
        assert (status, "again" in told["error"]) == (2, True), told
    status, told = cli("ingest", "--dataset", "d", "--events", write(tmp_path / "empty.csv", HEADER))
    assert (status, "no row" in told["error"]) == (2, True), told
    assert cli("ingest", "--dataset", "d", "--events", good)[1]["version"] == "v0002"
    assert cli("quality", "--dataset", "d")[0] == 0


def test_a_pointer_to_a_run_that_is_gone_reads_as_a_stage_that_was_not_run(cli: Cli, tmp_path: Path, loaded: Path) -> None:
    assert cli("profile", "--dataset", "d", "--blocks", "counts")[0] == 0
    shutil.rmtree(tmp_path / "home" / "datasets" / "d" / "runs" / "profiles-0001")
    status, told = cli("export", "--dataset", "d", "--out", tmp_path / "out")
    assert status == 0
    assert "features is not there: the dataset has no profiles yet." in told["warnings"]
    assert cli("profile", "--dataset", "d", "--blocks", "counts")[1]["reused"] is False


@contextmanager
def mounted(path: Path, options: str) -> Iterator[Path]:
    """A small disk of its own; the test is left out where mounting is not allowed."""
    path.mkdir(exist_ok=True)
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(path)], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {done.stderr.strip()}")
    try:
        yield path
    finally:
        subprocess.run(["umount", "-l", str(path)], check=False, capture_output=True)


@pytest.mark.skipif(not shutil.which("mount"), reason="needs mount to make a small disk")
def test_a_full_disk_is_told_and_the_last_good_version_stays(cli: Cli, tmp_path: Path, good: Path) -> None:
    big = write(
        tmp_path / "big.csv",
        HEADER + "".join(f"user{i % 9000},item{i * 7919 % 50021},view,2024-03-01 10:00:{i % 60:02d}\n" for i in range(120_000)),
    )
    with mounted(tmp_path / "disk", "size=7m") as home:
        assert cli("ingest", "--dataset", "d", "--events", good, home=home)[0] == 0
        status, told = cli("ingest", "--dataset", "d", "--events", big, home=home)
        assert (status, told["kind"]) == (2, "StorageError"), told
        assert "ree space" in told["error"]
        assert leftovers(home) == []
        job = wait_until_over(Home(home), start_job(Home(home), ["ingest", "--dataset", "d", "--events", str(big)], "Big"))
        assert job.state == "failed"
        assert job.error is not None
        assert "ree space" in job.error
        status, told = cli("quality", "--dataset", "d", home=home)
        assert status == 0
        assert Home(home).dataset("d").current()["version"] == "v0001"
        fill = home / "fill"
        with pytest.raises(OSError, match="No space"), fill.open("wb") as stream:
            while True:
                stream.write(b"x" * 65536)
        for words in (("profile", "--blocks", "counts"), ("export", "--out", home / "out")):
            status, told = cli(words[0], "--dataset", "d", *words[1:], home=home)
            assert (status, told["kind"]) == (2, "StorageError"), told
        fill.unlink()
        assert cli("profile", "--dataset", "d", "--blocks", "counts", home=home)[0] == 0


@pytest.mark.skipif(not shutil.which("mount"), reason="needs mount to make a read-only disk")
def test_a_home_that_may_not_be_written_is_told_and_still_read(cli: Cli, tmp_path: Path, good: Path) -> None:
    with mounted(tmp_path / "disk", "size=20m") as home:
        assert cli("ingest", "--dataset", "d", "--events", good, home=home)[0] == 0
        assert subprocess.run(["mount", "-o", "remount,ro", str(home)], check=False, capture_output=True).returncode == 0
        for words in (("ingest", "--events", good), ("map",), ("run",)):
            status, told = cli(words[0], "--dataset", "d", *words[1:], home=home)
            assert (status, told["kind"]) == (2, "StorageError"), told
        assert cli("quality", "--dataset", "d", home=home)[0] == 0
        assert cli("jobs", home=home)[0] == 0


def test_a_home_that_is_a_file_is_told(cli: Cli, tmp_path: Path, good: Path) -> None:
    for words in (("ingest", "--dataset", "d", "--events", good), ("map", "--dataset", "d")):
        status, told = cli(*words, home=good)
        assert (status, told["kind"] in ("StorageError", "NotFoundError")) == (2, True), told


@pytest.mark.parametrize("how", ["killed", "cancelled"])
def test_a_worker_that_is_ended_while_it_writes_publishes_nothing(cli: Cli, tmp_path: Path, loaded: Path, how: str) -> None:
    home = Home(tmp_path / "home")
    assert cli("profile", "--dataset", "d", "--blocks", "counts")[0] == 0
    before = home.dataset("d").current()
    job_id = wait_until_over(home, start_job(home, ["jobs"], "Map")).job_id
    worker = subprocess.Popen([sys.executable, "-c", SLOW_VERB, str(home.path), job_id, str(tmp_path / "writing")])
    until = time.monotonic() + 60
    while not ((tmp_path / "writing").exists() and read_job(home, job_id).is_live) and time.monotonic() < until:
        time.sleep(0.05)
    if how == "killed":
        worker.send_signal(signal.SIGKILL)
    else:
        cancel_job(home, job_id)
    worker.wait(timeout=10)
    job = read_job(home, job_id)
    assert job.state == ("failed" if how == "killed" else "cancelled")
    assert how == "cancelled" or "last good result stays" in str(job.error)
    assert home.dataset("d").current() == before
    assert home.dataset("d").runs("atlas") == []
    assert cli("profile", "--dataset", "d", "--blocks", "counts")[1]["reused"] is True  # the next start takes the lock and sweeps
    assert leftovers(home.path) == []


def test_a_cancel_from_a_terminal_ends_even_a_worker_that_does_not_listen(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.jobs.cancelling.GRACE_SECONDS", 2.0)
    home = Home(tmp_path / "home")
    job_id = wait_until_over(home, start_job(home, ["jobs"], "Deaf")).job_id
    code = SLOW_VERB.split(", report.stage")[0] + ":\n    import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    code += "    Path(sys.argv[3]).touch(); time.sleep(600)\n"
    worker = subprocess.Popen([sys.executable, "-c", code, str(home.path), job_id, str(tmp_path / "deaf")])
    until = time.monotonic() + 60
    while not ((tmp_path / "deaf").exists() and read_job(home, job_id).is_live) and time.monotonic() < until:
        time.sleep(0.05)
    assert cli("jobs", "--cancel", job_id)[0] == 0
    worker.wait(timeout=5)
    assert read_job(home, job_id).state == "cancelled"
