"""Users, items, categories and brands as one graph: neighbours by shared items, new items by their category, no look ahead."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from core.encoder.graph import Graph, fit_graph, graph_items, graph_profiles, load_graph, save_graph
from core.errors import GateError
from core.store import Log
from tests.worlds import at

MakeLog = Callable[..., Log]
ITEMS = [{"item_id": f"{shelf}{n}", "category": f"shelf {shelf}", "brand": f"brand {n % 2}"} for shelf in ("a", "b") for n in range(6)] + [
    {"item_id": "a_new", "category": "shelf a"},
    {"item_id": "b_new", "category": "shelf b"},
    {"item_id": "bare"},
]


def event(user: str, item: str, days: float, kind: str = "purchase") -> dict[str, Any]:
    return {"user_id": user, "item_id": item, "event_type": kind, "event_time": at(days)}


def two_shelves(users: int = 20, seed: int = 0) -> list[dict[str, Any]]:
    """Even users buy from shelf a, odd ones from b."""
    rng = np.random.default_rng(seed)
    return [
        event(f"u{user:02d}", f"{'ab'[user % 2]}{rng.integers(6)}", 1 + step / 10 + user / 1000)
        for user in range(users)
        for step in range(4)
    ]


def fitted(log: Log, days: float = 5, seed: int = 0) -> Graph:
    with log.history(at(days)) as connection:
        return fit_graph(connection, seed=seed)


def profiles(graph: Graph, log: Log, days: float = 5) -> tuple[list[str], npt.NDArray[np.float32]]:
    with log.history(at(days)) as connection:
        return graph_profiles(graph, connection)


def test_shoppers_of_a_shelf_are_nearer_to_each_other_than_to_the_other_shelf(make_log: MakeLog) -> None:
    log = make_log([*two_shelves(), event("u99", "a0", 7)], items=ITEMS)
    users, found = profiles(fitted(log), log)
    assert users == [f"u{user:02d}" for user in range(20)]
    assert np.allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
    likeness, same = found @ found.T, (np.arange(20)[:, None] - np.arange(20)) % 2 == 0
    assert likeness[same].mean() > likeness[~same].mean() + 0.5


def test_a_later_shopper_of_a_new_item_is_placed_by_its_category(make_log: MakeLog) -> None:
    events = [*two_shelves(), event("v_a", "a_new", 6), event("v_b", "b_new", 6), event("v_bare", "bare", 6), event("u00", "a0", 9)]
    log = make_log(events, items=ITEMS)
    users, found = profiles(fitted(log), log, 8)
    place = {user: row for row, user in enumerate(users)}
    likeness = found[[place["v_a"], place["v_b"]]] @ found[:20].T
    assert likeness[0, ::2].mean() > likeness[0, 1::2].mean() + 0.5 and likeness[1, 1::2].mean() > likeness[1, ::2].mean() + 0.5
    assert not found[place["v_bare"]].any(), "nothing is known of an item without category that came later"


def test_later_events_change_neither_graph_nor_profile(make_log: MakeLog, tmp_path: Path) -> None:
    found = []
    for later in ([event("w", "a0", 5)], [event(f"u{n:02d}", f"{'ba'[n % 2]}{n % 6}", 5 + n / 10, "view") for n in range(20)]):
        log = make_log([*two_shelves(), *later], items=ITEMS)
        graph = fitted(log)
        found.append((graph.vectors, profiles(graph, log)[1]))
    assert all(np.array_equal(found[0][0][kind], found[1][0][kind]) for kind in ("item", "category", "brand"))
    assert np.array_equal(found[0][1], found[1][1])


def test_who_touched_what_matters_shuffled_items_give_other_profiles(make_log: MakeLog) -> None:
    events = two_shelves()
    log = make_log([*events, event("u00", "a0", 9)], items=ITEMS)
    mixed = [row["item_id"] for row in events]
    np.random.default_rng(1).shuffle(mixed)
    other = make_log(
        [*({**row, "item_id": item} for row, item in zip(events, mixed, strict=True)), event("u00", "a0", 9)], items=ITEMS, dataset="mixed"
    )
    same = (np.arange(20)[:, None] - np.arange(20)) % 2 == 0
    gaps = []
    for each in (log, other):
        found = profiles(fitted(each), each)[1]
        likeness = found @ found.T
        gaps.append(likeness[same].mean() - likeness[~same].mean())
    assert gaps[0] > 0.5 > 0.2 > abs(gaps[1])


def test_the_same_seed_gives_the_same_bytes_and_a_saved_graph_reads_alike(make_log: MakeLog, tmp_path: Path) -> None:
    log = make_log([*two_shelves(), event("u00", "a0", 9)], items=ITEMS)
    graph, again = fitted(log), fitted(log)
    first = profiles(graph, log)[1]
    assert np.array_equal(first, profiles(again, log)[1])
    save_graph(tmp_path, graph)
    kept = load_graph(tmp_path, graph.card)
    assert kept.names == graph.names and np.array_equal(first, profiles(kept, log)[1])


def test_the_card_counts_nodes_and_edges_and_an_item_of_two_is_no_node(make_log: MakeLog) -> None:
    touched = [("u", "a0"), ("u", "a0"), ("v", "a0"), ("v", "b1"), ("w", "a0"), ("w", "b1"), ("u", "b3")]
    log = make_log([*(event(user, item, 1 + n / 10) for n, (user, item) in enumerate(touched)), event("w", "b2", 9)], items=ITEMS)
    graph = fitted(log)
    assert graph.names == {"item": ["a0"], "category": ["shelf a", "shelf b"], "brand": ["brand 0", "brand 1"]}
    assert graph.card["users"] == 3 and graph.card["edges"] == {"item": 3, "category": 6, "brand": 6}
    assert 0 < graph.card["kept_share"] <= 1 + 1e-6 and graph.card["values"] == 2


def test_a_log_without_catalogue_is_a_graph_of_items_alone(make_log: MakeLog) -> None:
    log = make_log([*two_shelves(), event("u00", "a0", 9)])
    graph = fitted(log)
    assert list(graph.names) == ["item"]
    with log.history(at(5)) as connection:
        items = graph_items(graph, connection)
    by_item: dict[str, set[str]] = {}
    for row in two_shelves():
        by_item.setdefault(row["item_id"], set()).add(row["user_id"])
    assert [items.item_ids[row] for row in np.flatnonzero(items.index >= 0)] == sorted(i for i, users in by_item.items() if len(users) > 2)


def test_a_handful_of_touches_is_no_graph_and_the_message_has_both_numbers(make_log: MakeLog) -> None:
    log = make_log([event("u", "a0", 1), event("v", "a0", 2), event("u", "a1", 9)], items=ITEMS)
    with pytest.raises(GateError, match="0 shoppers share 0 items, categories and brands; a graph needs 3 of each"):
        fitted(log)
