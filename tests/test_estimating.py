"""What a run will cost: grows with the log, is set right by this home's own first runs, and is said before the button is pressed."""

from pathlib import Path

import pytest

from core.artifacts import write_json
from core.pipeline import estimating, screens
from core.pipeline.estimating import KINDS, Size, estimate, estimates, size_of
from core.store import Home
from tests.page_worlds import tiny_home
from tests.worlds import at, publish_world


def screen(home: Path, name: str = "tiny") -> screens.Screen:
    return screens.open_screen(Home(home), name)


def test_the_size_of_a_log_counts_distinct_texts_once(tmp_path: Path) -> None:
    items = [{"item_id": f"i{n}", "title": "Tea cup", "category": "Tea"} for n in range(3)] + [{"item_id": "x", "title": "abcd"}]
    publish_world(tmp_path, [{"user_id": "a", "item_id": "i0", "event_type": "view", "event_time": at(1)}], items)
    assert size_of(screen(tmp_path)) == Size(1, 1, 4, (len("Tea cup Tea") + len("abcd")) / 4)


@pytest.mark.parametrize("kind", KINDS)
def test_a_larger_log_never_costs_less(kind: str) -> None:
    small, large = Size(1_000, 100, 50, 500), Size(10_000_000, 500_000, 60_000, 900_000)
    assert 0 < estimating._SECONDS[kind](small) < estimating._SECONDS[kind](large)
    assert 0 < estimating._PEAK_MB[kind](small) < estimating._PEAK_MB[kind](large)


def test_first_runs_of_this_home_set_the_formula_right_and_later_ones_do_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tiny_home(tmp_path / "home")
    fresh = estimate(screen(tiny_home(tmp_path / "fresh", runs=False)), ("atlas",))
    assert fresh.runs == 0
    seconds = {"atlas-0001": 2 * fresh.seconds, "atlas-0002": 100 * fresh.seconds}
    dataset = Home(home).dataset("tiny")
    with dataset.new_run("atlas", inputs={"version": dataset.current()["version"]}, config={}, cutoff=None):
        pass
    read = type(dataset).run_manifest

    def manifest(self: object, kind: str, run_id: str | None = None) -> dict[str, object]:
        record = read(dataset, kind, run_id)
        return record | {"seconds": seconds.get(str(record["id"]), record["seconds"])}

    monkeypatch.setattr(type(dataset), "run_manifest", manifest)
    version = dataset.manifest() | {"events": 48, "users": 12, "items": 6}
    monkeypatch.setattr(type(dataset), "manifest", lambda self, name=None: version)
    found = estimate(screen(home), ("atlas",))
    assert found.runs == 1 and found.seconds == pytest.approx(2 * fresh.seconds, rel=0.01)
    seconds["atlas-0001"] = 1e6
    assert estimate(screen(home), ("atlas",)).seconds == pytest.approx(5 * fresh.seconds, rel=0.01), (
        "one odd run moves the guess five times at most"
    )


def test_all_stages_together_take_the_sum_of_times_and_the_largest_memory(tmp_path: Path) -> None:
    told = estimates(screen(tiny_home(tmp_path, runs=False)))
    whole, stages = told["stages"]["all"], [told["stages"][kind] for kind in KINDS]
    assert whole["seconds"] == pytest.approx(sum(stage["seconds"] for stage in stages), abs=3)
    assert whole["peak_mb"] == max(stage["peak_mb"] for stage in stages)


def test_a_damaged_run_tells_nothing(tmp_path: Path) -> None:
    home = tiny_home(tmp_path)
    write_json(Home(home).dataset("tiny").run_path("profiles") / "manifest.json", {"seconds": "many"})
    assert estimate(screen(home), ("profiles",)).runs == 0
