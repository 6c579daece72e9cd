"""Search against catalogues that fit in the head: words, slips of the pen, fusion, a shopper's own order, time."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.artifacts import write_arrays, write_table
from core.errors import CutoffError, NotFoundError
from core.pipeline import screens, searching
from core.search.fusing import fuse
from core.search.meaning import find_meaning
from core.search.personal import reorder
from core.search.tokens import query_words, stem, words_of
from core.search.words import WordIndex, find_words, open_index
from core.store import Connection, Home, Log
from tests.encoders import save_tiny_encoder
from tests.worlds import at, publish_world

ITEMS = [
    {"item_id": "a1", "title": "Red summer dress", "category": "Dresses", "brand": "Lumio", "price": 30},
    {"item_id": "a2", "title": "Blue summer dress", "category": "Dresses", "brand": "Orvello", "price": 40},
    {"item_id": "a3", "title": "Green tea", "category": "Tea", "description": "red box"},
    {"item_id": "a4", "title": "女士碎花长裙", "category": "连衣裙"},
    {"item_id": "a5", "title": "Blue shirt", "category": "Shirts", "brand": "Lumio"},
    {"item_id": "a6", "title": "Running shoes", "category": "Shoes"},
]
HOSTILE = [
    "'; DROP TABLE events; --",
    "<script>alert(1)</script>",
    'title:"dress" AND (',
    "👗👗👗",
    "dress " * 2_000,
    "\x00\x01",
    "* ? ~ ^ \\ /",
    "🇨🇳" * 500,
]


def event(user: str, item: str, kind: str, day: float, **more: Any) -> dict[str, Any]:
    return {"user_id": user, "item_id": item, "event_type": kind, "event_time": at(day)} | more


EVENTS = [
    event("ann", "a2", "view", 1),
    event("ann", "a2", "purchase", 2, price=40, revenue=40, quantity=1),
    event("bo", "a1", "view", 3),
    event("bo", "a3", "view", 4),
    *(event(user, None, "search", 5, query="Dres ") for user in ("ann", "bo", "cy")),
    *(event(user, None, "search", 6, query="lamp") for user in ("ann", "bo", "cy")),
    event("bo", None, "search", 6, query="bo's own address"),
    event("cy", "a6", "view", 8),
    event("bo", "a5", "view", 9),
]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("search")
    publish_world(path, EVENTS, items=ITEMS)
    return path


@pytest.fixture
def screen(home: Path) -> screens.Screen:
    return screens.open_screen(Home(home), "tiny")


@pytest.fixture(scope="module")
def index_of(home: Path) -> Callable[[Connection], WordIndex]:
    return lambda connection: open_index(connection, home / "cache" / "words")


@pytest.fixture
def log(home: Path) -> Log:
    return Home(home).dataset("tiny").log()


def found(log: Log, index_of: Callable[[Connection], WordIndex], query: str) -> list[str]:
    with log.history() as connection:
        index = index_of(connection)
        return [index.items["item_id"][row].as_py() for row, _ in find_words(connection, index, query).rows]


def test_words_are_folded_lose_a_plural_s_and_chinese_is_read_by_one_and_two_signs() -> None:
    assert words_of("ＲＥＤ Dresses") == [("red", "red"), ("dresses", "dress")]
    assert [looked for _, looked in words_of("长裙")] == ["长", "裙", "长裙"]
    assert [looked for _, looked in query_words("碎花长裙 L")] == ["碎花", "花长", "长裙", "l"]
    assert [stem(word) for word in ("shoes", "berries", "boxes", "glass", "bus", "gas")] == ["shoe", "berry", "box", "glass", "bus", "gas"]


def test_an_item_that_has_all_the_words_comes_first_and_a_title_beats_a_description(log: Log, index_of: Any) -> None:
    assert found(log, index_of, "red dress") == ["a1", "a2", "a3"]
    assert found(log, index_of, "lumio")[0] in ("a1", "a5") and set(found(log, index_of, "lumio")) == {"a1", "a5"}


def test_chinese_is_found_by_any_two_neighbouring_signs(log: Log, index_of: Any) -> None:
    assert found(log, index_of, "长裙") == ["a4"]
    assert found(log, index_of, "裙长") == []


def test_of_items_that_fit_equally_well_the_more_wanted_one_comes_first(log: Log, index_of: Any) -> None:
    assert found(log, index_of, "blue") == ["a5", "a2"]  # the shorter title fits better
    with log.history() as connection:
        wanted = index_of(connection).items.select(["item_id", "users"]).to_pylist()
    assert [row["item_id"] for row in wanted] == ["a1", "a2", "a3", "a5", "a6", "a4"]


@pytest.mark.parametrize(
    ("typed", "near"), [("sumer", "summer"), ("drses", "dress"), ("shrit", "shirt"), ("runing", "running"), ("tae", "tea")]
)
def test_a_slip_of_the_pen_is_looked_up_as_the_nearest_word_of_the_catalogue(log: Log, index_of: Any, typed: str, near: str) -> None:
    with log.history() as connection:
        match = find_words(connection, index_of(connection), typed)
    assert match.corrected == {typed: near} and match.rows


def test_another_word_of_the_same_length_is_no_slip(log: Log, index_of: Any) -> None:
    with log.history() as connection:
        match = find_words(connection, index_of(connection), "zx9 winter umbrella 12345")
    assert not match.corrected and not match.rows and match.unknown == ["zx9", "winter", "umbrella", "12345"]


@pytest.mark.parametrize("query", HOSTILE)
def test_a_hostile_query_harms_nothing(screen: screens.Screen, query: str) -> None:
    found = searching.search(screen, query, "ann")
    json.dumps(searching.search_record(found))
    assert len(found.rows) <= 6
    with screen.log.history() as connection:
        assert connection.execute("SELECT count(*) FROM history").fetchone() == (len(EVENTS),)


def test_an_empty_query_finds_nothing_and_asks_for_one(screen: screens.Screen) -> None:
    for query in ("", "   "):
        found = searching.search(screen, query)
        assert not len(found.rows) and found.notes[0] == "Type what a shopper would search for."


def test_a_damaged_index_is_built_again(log: Log, home: Path) -> None:
    folder = home / "cache" / "damaged"
    with log.history() as connection:
        before = open_index(connection, folder).items
        (folder / "terms.parquet").write_bytes(b"no table")
        assert open_index(connection, folder).items.equals(before)
        assert (folder / "terms.parquet").read_bytes() != b"no table"


def test_reciprocal_rank_fusion_adds_one_over_sixty_plus_rank() -> None:
    fused = fuse([[7, 8], [8, 9]], 10)
    assert [row for row, _ in fused] == [8, 7, 9]
    assert fused[0][1] == pytest.approx(1 / 62 + 1 / 61) and fused[2][1] == pytest.approx(1 / 62)
    assert fuse([[1], [2]], 1) == [(1, 1 / 61)]


def test_meaning_finds_what_stands_out_and_nothing_when_all_are_alike() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((200, 16)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    index = np.array([-1, 3, 5], np.int32)
    assert [row for row, _ in find_meaning(vectors, index, vectors[3])] == [1]
    assert find_meaning(np.tile(vectors[:1], (50, 1)), np.arange(50, dtype=np.int32), vectors[0]) == []


def test_strength_0_is_the_plain_order_and_1_the_shoppers_own() -> None:
    signals = {"closeness": np.array([0.1, 0.2, np.nan, 0.9]), "touches": np.zeros(4)}
    assert reorder(signals, 0.0)[0] == [0, 1, 2, 3]
    assert reorder(signals, 1.0)[0] == [3, 1, 2, 0]
    assert reorder({"touches": np.zeros(4)}, 1.0)[0] == [0, 1, 2, 3]


def test_a_shopper_sees_the_same_matches_with_what_she_bought_higher(screen: screens.Screen) -> None:
    plain = searching.search(screen, "summer dress")
    none = searching.search(screen, "summer dress", "ann", strength=0.0)
    assert list(none.rows["item_id"]) == list(plain.rows["item_id"]) == list(none.plain["item_id"])
    assert (none.rows["moved"] == 0).all()
    ann, bo = (searching.search(screen, "summer dress", user, strength=1.0) for user in ("ann", "bo"))
    assert [list(one.rows["item_id"]) for one in (ann, bo)] == [["a2", "a1"], ["a1", "a2"]]
    assert "bought 1×" in ann.rows["why"][0] and "bought" not in ann.rows["why"][1]
    assert list(ann.plain["item_id"]) == list(plain.rows["item_id"])
    assert sorted(ann.rows["place"]) == [1, 2] and int(ann.rows["moved"].sum()) == 0


def test_search_ignores_events_from_the_cutoff_on(screen: screens.Screen) -> None:
    before = searching.search(screen, "summer dress", "ann", strength=1.0, cutoff=at(1.5))
    assert "bought" not in " ".join(before.rows["why"]) and "viewed 1×" in " ".join(before.rows["why"])
    with pytest.raises(NotFoundError, match="no shopper 'bo'"):
        searching.search(screen, "dress", "bo", cutoff=at(1.5))
    with pytest.raises(CutoffError):
        searching.search(screen, "dress", cutoff=at(0.5))


def test_queries_of_the_log_are_listed_with_what_they_find_and_those_of_few_shoppers_are_not(screen: screens.Screen) -> None:
    table = searching.asked(screen)
    assert table is not None
    assert table[["query", "searches", "users", "items", "corrected"]].to_dict("records") == [
        {"query": "dres", "searches": 3, "users": 3, "items": 2, "corrected": "dres → dress"},
        {"query": "lamp", "searches": 3, "users": 3, "items": 0, "corrected": ""},
    ]


def test_a_log_without_queries_has_no_list_of_them(tmp_path: Path) -> None:
    publish_world(tmp_path, EVENTS[:4], items=ITEMS)
    assert searching.asked(screens.open_screen(Home(tmp_path), "tiny")) is None


def test_examples_are_queries_of_the_log_or_words_of_its_most_wanted_items(screen: screens.Screen, tmp_path: Path) -> None:
    assert searching.examples(screen) == ["dres", "lamp"]
    publish_world(tmp_path, [event for event in EVENTS if event["event_type"] == "purchase"], items=ITEMS)
    held = screens.open_screen(Home(tmp_path), "tiny")
    wanted, found = searching.most_wanted(held), searching.examples(held)
    assert found and set(found) <= {*wanted["category"].dropna(), *wanted["title"].dropna()}
    assert all(len(searching.search(held, example).rows) for example in found)


def test_a_catalogue_without_words_has_no_examples_but_wanted_items(tmp_path: Path) -> None:
    acts = [{key: value for key, value in event.items() if key != "query"} for event in EVENTS if event.get("item_id")]
    publish_world(tmp_path, acts)
    held = screens.open_screen(Home(tmp_path), "tiny")
    assert searching.examples(held) == []
    assert len(searching.most_wanted(held, 2)) == 2


def test_items_are_found_by_meaning_with_the_model_that_encoded_them(tmp_path: Path) -> None:
    from core.pipeline.options import ProfileOptions
    from core.pipeline.work import profile

    tiny = save_tiny_encoder(tmp_path / "model")
    many = [
        {"item_id": f"b{n}", "title": title} for n, title in enumerate(["smart phone case", "coffee bean cup", "very low price", "tea"])
    ]
    publish_world(tmp_path, EVENTS, items=ITEMS + many)
    home = Home(tmp_path)
    profile(home, home.dataset("tiny"), options=ProfileOptions(model=str(tiny), device="cpu"))
    here = searching.reading(screens.open_screen(home, "tiny"))
    item_ids, text_index, vectors = searching.item_vectors(here)
    vector = searching.query_vector(here, "smart phone case")
    assert vectors[text_index[item_ids.index("b0")]] @ vector == pytest.approx(1.0, abs=1e-4)


def test_profiles_without_texts_leave_the_words_and_say_so(tmp_path: Path) -> None:
    publish_world(tmp_path, EVENTS, items=ITEMS)
    target = Home(tmp_path).dataset("tiny")
    with target.new_run("profiles", inputs={"version": "v0001"}, config={}, cutoff=None) as draft:
        write_table(draft.path / "counts.parquet", open_counts())
        write_arrays(draft.path / "text.safetensors", {"text": np.zeros((3, 4), np.float32)})
    found = searching.search(screens.open_screen(Home(tmp_path), "tiny"), "dress", "ann")
    assert len(found.rows) == 2 and any("no text vectors" in note for note in found.notes)


def open_counts() -> Any:
    import pyarrow as pa

    return pa.table({"user_id": ["ann", "bo", "cy"]})
