"""Groups to be counted with noise: one shopper more or less changes all counts of a table by no more than its sensitivity."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from core.insights import partitions, rfm
from core.insights.rfm import Rfm
from core.store import Log
from tests.worlds import at, publish_world

ITEMS = [{"item_id": f"i{n}", "category": f"C{n % 5}"} for n in range(10)]
END = at(120)
EACH = 2


def shop(seed: int, users: int = 12) -> list[dict[str, Any]]:
    rng = np.random.default_rng(seed)
    events = []
    for user in range(users):
        for _act in range(int(rng.integers(1, 14))):
            kind = str(rng.choice(["view", "cart", "purchase", "impression"]))
            when, item = float(rng.integers(0, 2800)) / 24, f"i{int(rng.integers(10))}"
            row = {"user_id": f"u{user:02d}", "item_id": item, "event_type": kind, "event_time": at(when)}
            events.append(row | ({"revenue": float(rng.integers(1, 9))} if kind == "purchase" else {}))
    return events


def tables(log: Log) -> dict[str, dict[tuple[Any, bool], int]]:
    ids = [f"u{user:02d}" for user in range(11)]  # one shopper is not on the map
    on_map = pa.table({"user_id": ids, "segment_id": [n % 3 for n in range(len(ids))]})
    found = {
        "segments": partitions.by_segment(log, on_map),
        "stages": partitions.by_stage(log, END),
        "rfm": partitions.by_rfm(log, END),
        "categories": partitions.by_category(log, END, EACH),
        "attribute": partitions.by_attribute(log, "region"),
    }
    return {name: {(row["cell"], row["bought"]): row["shoppers"] for row in table.to_pylist()} for name, table in found.items()}


def moved(one: dict[Any, int], other: dict[Any, int]) -> int:
    return sum(abs(one.get(key, 0) - other.get(key, 0)) for key in one.keys() | other.keys())


def world(home: Path, events: list[dict[str, Any]]) -> Log:
    people = {row["user_id"]: {"region": "north"} if int(row["user_id"][1:]) % 2 else {} for row in events}
    return publish_world(home, events, ITEMS, people)


@pytest.mark.parametrize("seed", [1, 2])
def test_leaving_out_any_shopper_changes_each_table_by_no_more_than_its_sensitivity(seed: int, tmp_path: Path) -> None:
    events = shop(seed)
    whole, names = tables(world(tmp_path / "all", events)), sorted({row["user_id"] for row in events})
    most = dict.fromkeys(whole, 0)
    for left_out in names:
        less = tables(world(tmp_path / left_out, [row for row in events if row["user_id"] != left_out]))
        most = {name: max(most[name], moved(whole[name], less[name])) for name in whole}
    assert most == {"segments": 1, "stages": 1, "rfm": 1, "categories": EACH, "attribute": 1}
    assert all(sum(table.values()) == len(names) for name, table in whole.items() if name != "categories")


def test_groups_of_the_pages_are_not_so(tmp_path: Path) -> None:
    """Why they are not what is shared: fifths of all buyers move others when one leaves."""

    def groups(log: Log) -> dict[Any, int]:
        return {row["rfm_group"]: row["users"] for row in rfm.rfm_grid(log, Rfm()).table.to_pylist() if row["r"] is None}

    events = shop(1)
    whole = groups(world(tmp_path / "all", events))
    most = max(
        moved(whole, groups(world(tmp_path / name, [row for row in events if row["user_id"] != name])))
        for name in sorted({row["user_id"] for row in events})
    )
    assert most > 1


def test_a_shopper_counts_in_the_categories_she_acted_most_in(tmp_path: Path) -> None:
    acts = [
        ("i0", "view", 1),
        ("i0", "view", 2),
        ("i1", "view", 3),
        ("i2", "purchase", 4),
        ("i3", "impression", 5),
        ("i3", "impression", 6),
    ]
    events = [{"user_id": "u01", "item_id": item, "event_type": kind, "event_time": at(day)} for item, kind, day in acts]
    found = partitions.by_category(world(tmp_path, events), END, 2).to_pylist()
    assert found == [{"cell": "C0", "bought": False, "shoppers": 1}, {"cell": "C2", "bought": True, "shoppers": 1}], "ties: the later act"


def test_fixed_cuts_and_gaps_put_shoppers_where_words_say(tmp_path: Path) -> None:
    def act(user: int, kind: str, day: float) -> dict[str, Any]:
        return {"user_id": f"u{user:02d}", "item_id": "i0", "event_type": kind, "event_time": at(day)}

    events = [
        *(act(1, "purchase", day) for day in (60, 70, 80, 90, 118)),  # five orders, the last within a week
        act(2, "purchase", 118),  # one order, as late
        act(3, "purchase", 20),  # one order, 100 days ago
        act(4, "view", 119),
    ]
    log = world(tmp_path, events)
    groups = {row["cell"]: (row["shoppers"], row["bought"]) for row in partitions.by_rfm(log, END).to_pylist()}
    assert groups == {"champions": (1, True), "recent": (1, True), "asleep": (1, True), "never": (1, False)}
    staged = {(row["cell"], row["bought"]): row["shoppers"] for row in partitions.by_stage(log, END).to_pylist()}
    assert staged == {("active", True): 1, ("new", True): 1, ("slipping", True): 1, ("new", False): 1}


def test_categories_are_the_catalogues_and_those_of_rows_only_without_one(tmp_path: Path) -> None:
    own = world(tmp_path / "own", shop(1))
    assert partitions.category_names(own, END) == (["C0", "C1", "C2", "C3", "C4"], True)
    bare = publish_world(tmp_path / "bare", shop(1))
    assert partitions.category_names(bare, END) == ([], True)


def test_the_cutoff_tells_the_day_of_the_last_event_and_no_more(tmp_path: Path) -> None:
    log = world(tmp_path, [{"user_id": "u01", "item_id": "i0", "event_type": "view", "event_time": at(3.7)}])
    assert partitions.last_midnight(log) == at(4)
