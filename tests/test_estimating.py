"""What a run will cost: grows with the log, is set right by this home's own first runs, and is said before the button is pressed."""

import json
from pathlib import Path

import pytest

from core.__main__ import main
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
    assert 0 < estimating._cost(kind, small, ()) < estimating._cost(kind, large, ())
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
        return record | {"cpu_seconds": seconds.get(str(record["id"]), record["seconds"])}

    monkeypatch.setattr(type(dataset), "run_manifest", manifest)
    version = dataset.manifest() | {"events": 48, "users": 12, "items": 6}
    monkeypatch.setattr(type(dataset), "manifest", lambda self, name=None: version)
    found = estimate(screen(home), ("atlas",))
    assert found.runs == 1 and found.seconds == pytest.approx(2 * fresh.seconds, rel=0.01)
    seconds["atlas-0001"] = 1e6
    assert estimate(screen(home), ("atlas",)).seconds == pytest.approx(5 * fresh.seconds, rel=0.01), (
        "one odd run moves the guess five times at most"
    )


@pytest.mark.parametrize("block", sorted(estimating._BLOCK_CPU))
def test_each_block_costs_and_costs_more_on_a_larger_log(block: str) -> None:
    small, large = Size(1_000, 100, 50, 500, 5), Size(10_000_000, 500_000, 60_000, 900_000, 60_000)
    bare, with_it, on_large = (estimating._cost("profiles", *asked) for asked in ((small, ()), (small, (block,)), (large, (block,))))
    assert bare <= with_it < on_large and (bare < with_it or block == "counts")


def test_a_million_acts_of_the_behaviour_transformer_cost_minutes_not_seconds(tmp_path: Path) -> None:
    here = screen(tiny_home(tmp_path, runs=False))
    plain, taught = (estimate(here, ("profiles",), blocks) for blocks in (("counts",), ("counts", "sequence")))
    assert taught.seconds > plain.seconds
    million = Size(1_000_000, 20_000, 10_000, 0.0)
    assert (
        300 < (estimating._cost("profiles", million, ("sequence",)) - estimating._cost("profiles", million, ())) / estimating._probe() < 900
    )


def test_a_past_run_of_the_same_blocks_scales_the_estimate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = ("counts", "text", "sequence")
    here = screen(tiny_home(tmp_path / "home", runs=False))
    dataset, fresh = Home(tmp_path / "home").dataset("tiny"), estimate(here, ("profiles",), blocks)
    version = dataset.manifest() | {"events": 48, "users": 12, "items": 6}
    monkeypatch.setattr(type(dataset), "manifest", lambda self, name=None: version)
    taken = 3 * estimating._cost("profiles", Size(48, 12, 6, 0.0), blocks)
    inputs = {"version": dataset.current()["version"]}
    with dataset.new_run("profiles", inputs=inputs, config={"blocks": list(blocks)}, cutoff=None):
        pass
    read = type(dataset).run_manifest
    monkeypatch.setattr(type(dataset), "run_manifest", lambda self, *asked: read(self, *asked) | {"cpu_seconds": taken})
    found = estimate(here, ("profiles",), blocks)
    assert (fresh.runs, found.runs) == (0, 1)
    assert found.seconds == pytest.approx(3 * fresh.seconds, rel=0.01) and found.cpu_seconds == pytest.approx(
        3 * fresh.cpu_seconds, rel=0.01
    )


def test_the_command_line_estimates_the_blocks_that_are_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tiny_home(tmp_path, runs=False)
    told = []
    for blocks in ("counts", "counts,sequence,graph"):
        assert main(["estimate", "--home", str(tmp_path), "--dataset", "tiny", "--blocks", blocks, "--json"]) == 0
        told.append(json.loads(capsys.readouterr().out)["stages"]["profiles"]["cpu_seconds"])
    assert told[0] < told[1]
    assert main(["estimate", "--home", str(tmp_path), "--dataset", "tiny", "--blocks", "user_id", "--json"]) == 2


def test_all_stages_together_take_the_sum_of_times_and_the_largest_memory(tmp_path: Path) -> None:
    told = estimates(screen(tiny_home(tmp_path, runs=False)))
    whole, stages = told["stages"]["all"], [told["stages"][kind] for kind in KINDS]
    assert whole["seconds"] == pytest.approx(sum(stage["seconds"] for stage in stages), abs=3)
    assert whole["peak_mb"] == max(stage["peak_mb"] for stage in stages)


def test_a_damaged_run_tells_nothing(tmp_path: Path) -> None:
    home = tiny_home(tmp_path)
    write_json(Home(home).dataset("tiny").run_path("profiles") / "manifest.json", {"seconds": "many"})
    assert estimate(screen(home), ("profiles",)).runs == 0
