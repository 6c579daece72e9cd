"""Publishing is all or nothing, readers see time through the log alone, and every door to the outside is closed."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import duckdb
import pytest

from core.artifacts import write_json
from core.errors import CutoffError, NotFoundError, StorageError
from core.pipeline import screens
from core.pipeline.exporting import export_tables
from core.store import Home, Log, connect, fetch, identifier, scalar
from tests.worlds import at, publish_world

EVENTS = [
    {"user_id": "007", "item_id": "x", "event_type": "view", "event_time": at(1)},
    {"user_id": "7", "item_id": "x", "event_type": "purchase", "event_time": at(2)},
    {"user_id": "7", "item_id": "y", "event_type": "view", "event_time": at(3)},
]


def test_history_ends_just_before_the_cutoff(make_log: Callable[..., Log]) -> None:
    log = make_log(EVENTS)
    with log.history(at(2)) as connection:
        assert fetch(connection, "SELECT user_id FROM history").to_pylist() == [{"user_id": "007"}]
    with log.history(at(2) + timedelta(microseconds=1)) as connection:
        assert scalar(connection, "SELECT count(*) FROM history") == 2


def test_the_default_end_of_a_log_includes_its_last_event(make_log: Callable[..., Log]) -> None:
    with make_log(EVENTS).history() as connection:
        assert scalar(connection, "SELECT count(*) FROM history") == 3


def test_the_catalogue_knows_only_items_seen_before_the_cutoff(make_log: Callable[..., Log]) -> None:
    with make_log(EVENTS).history(at(2.5)) as connection:
        assert fetch(connection, "SELECT item_id FROM catalogue").to_pylist() == [{"item_id": "x"}]


def test_a_label_window_shows_the_future_and_stops_at_the_end_of_the_log(make_log: Callable[..., Log]) -> None:
    log = make_log(EVENTS)
    with log.label_window(at(1.5), timedelta(days=1)) as connection:
        assert scalar(connection, "SELECT count(*) FROM future") == 1
    with pytest.raises(CutoffError, match="The label window ends"), log.label_window(at(2.5), timedelta(days=1)):
        pass


def test_a_cutoff_outside_the_log_is_refused_in_words(make_log: Callable[..., Log]) -> None:
    log = make_log(EVENTS)
    with pytest.raises(CutoffError, match="No event lies before"), log.history(at(1)):
        pass
    with pytest.raises(CutoffError, match="after the end of the log"), log.history(at(30)):
        pass


def test_a_reader_cannot_reach_files_or_settings(make_log: Callable[..., Log], tmp_path: Path) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_text("a\n1\n")
    with make_log(EVENTS).history() as connection:
        for attack in (
            f"SELECT * FROM read_csv('{secret}')",
            f"COPY history TO '{secret}'",
            "SET enable_external_access = true",
            "INSTALL httpfs",
        ):
            with pytest.raises(duckdb.Error):
                connection.execute(attack).fetchall()
        with pytest.raises(duckdb.Error, match="read-only"):
            connection.execute("DELETE FROM main.event_cells")


def test_many_readers_of_one_file_are_all_closed_to_the_outside(make_log: Callable[..., Log]) -> None:
    log = make_log(EVENTS)

    def read(_: int) -> object:
        with log.history() as outer, log.history(at(2)) as inner:
            assert scalar(inner, "SELECT current_setting('TimeZone')") == "UTC"
            with pytest.raises(duckdb.Error):
                inner.execute("SET enable_external_access = true")
            return scalar(outer, "SELECT count(*) FROM history"), scalar(inner, "SELECT count(*) FROM history")

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(read, range(40))) == {(3, 1)}


def test_a_failed_version_leaves_the_last_good_one(tmp_path: Path) -> None:
    publish_world(tmp_path, EVENTS)
    dataset = Home(tmp_path).dataset("tiny")
    with pytest.raises(ZeroDivisionError), dataset.new_version() as draft:
        (draft.path / "half").write_text("written")
        _ = 1 / 0
    assert dataset.versions() == ["v0001"]
    assert dataset.current()["version"] == "v0001"
    assert [p.name for p in (dataset.path / "versions").iterdir()] == ["v0001"]


def test_runs_are_numbered_pointed_to_and_found_again(tmp_path: Path) -> None:
    publish_world(tmp_path, EVENTS)
    dataset = Home(tmp_path).dataset("tiny")
    for seed in (1, 2):
        with dataset.new_run("profiles", inputs={"version": "v0001"}, config={"seed": seed}, cutoff=None) as draft:
            write_json(draft.path / "x.json", seed)
    assert dataset.runs("profiles") == ["profiles-0001", "profiles-0002"]
    assert dataset.current()["runs"] == {"profiles": "profiles-0002"}
    assert dataset.find_run("profiles", inputs={"version": "v0001"}, config={"seed": 1}, cutoff=None) == "profiles-0001"
    assert dataset.find_run("profiles", inputs={"version": "v0001"}, config={"seed": 3}, cutoff=None) is None


def test_a_run_that_is_not_to_be_shown_does_not_move_the_pointer(tmp_path: Path) -> None:
    publish_world(tmp_path, EVENTS)
    dataset = Home(tmp_path).dataset("tiny")
    with dataset.new_run("atlas", inputs={}, config={}, cutoff=at(2), make_current=False):
        pass
    assert dataset.current()["runs"] == {}
    with pytest.raises(NotFoundError, match="has no atlas yet"):
        dataset.run_path("atlas")


def test_missing_things_are_named(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with pytest.raises(NotFoundError, match="There is no dataset 'shop'"):
        home.dataset("shop")
    with pytest.raises(NotFoundError, match="cannot name a dataset"):
        home.dataset("../shop", create=True)
    with pytest.raises(StorageError, match="cannot be opened"):
        connect(tmp_path / "none.duckdb")


@pytest.mark.parametrize("damage", ["cut", "flipped"])
def test_damage_that_only_reading_finds_is_told_in_words(tmp_path: Path, damage: str) -> None:
    events = ({"user_id": f"user {n}", "item_id": f"item {n}", "event_type": "view", "event_time": at(n / 100)} for n in range(3000))
    log = publish_world(tmp_path, events)
    whole = log.path.read_bytes()
    half = len(whole) // 2 if damage == "cut" else len(whole) * 2 // 5
    log.path.write_bytes(whole[:half] if damage == "cut" else whole[:half] + bytes(b ^ 255 for b in whole[half:]))
    screen = screens.open_screen(Home(tmp_path), "tiny")
    for asked in (screens.counts, screens.coverage, lambda screen: export_tables(screen.dataset, tmp_path / "out")):
        with pytest.raises(StorageError, match=r"events\.duckdb is damaged or cannot be read"):
            asked(screen)


def test_only_slugs_become_identifiers() -> None:
    assert identifier("household_size") == '"household_size"'
    with pytest.raises(ValueError, match="not a slug"):
        identifier('x"; DROP TABLE events; --')


def test_saved_records_survive_and_are_replaced_whole(tmp_path: Path) -> None:
    publish_world(tmp_path, EVENTS)
    dataset = Home(tmp_path).dataset("tiny")
    assert dataset.saved("segment_names") is None
    dataset.save("segment_names", {"1": "夜猫子"})
    assert dataset.saved("segment_names") == {"1": "夜猫子"}
