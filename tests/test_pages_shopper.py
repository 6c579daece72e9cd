"""The Shopper page: who is found, whom she is like, what her history says, where she stood before."""

import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from streamlit.testing.v1 import AppTest

from core.artifacts import write_table
from core.pipeline import cards, screens, shoppers
from core.pipeline.places import places
from core.store import Home
from tests.page_worlds import tiny_home
from tests.test_pages import ROOT, go_to, open_page, words
from tests.worlds import at

NOTHING = {
    "overlap": pa.array([], pa.float64()),
    "categories": pa.array([], pa.list_(pa.string())),
    "items": pa.array([], pa.int64()),
}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_home(tmp_path_factory.mktemp("tiny"), users=240)


def test_an_unknown_shopper_is_answered_with_near_ids(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_page("shopper", tiny, monkeypatch)
    app.text_input(key="shopper-id").set_value("u00").run()
    assert "There is no shopper" in words(app)
    assert "u000" in [b.label for b in app.button if b.key and b.key.startswith("near-")]


def test_the_address_carries_the_shopper_who_is_typed_or_chosen(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_page("shopper", tiny, monkeypatch)
    assert "user" not in app.query_params, "nobody was chosen yet"
    app.text_input(key="shopper-id").set_value("u00").run()
    app.button(key="near-u000").click().run()
    assert app.query_params["user"] == "u000"
    app.text_input(key="shopper-id").set_value("u007").run()
    assert app.query_params["user"] == "u007"
    fresh = AppTest.from_string(f"import runpy\nrunpy.run_path({str(ROOT / 'app.py')!r})", default_timeout=60)
    fresh.query_params["user"] = "u007"
    go_to(fresh, "shopper")
    assert "Shopper u007" in words(fresh) and fresh.text_input(key="shopper-id").value == "u007"
    fresh.button(key="shopper-random").click().run()
    assert f"Shopper {fresh.query_params['user']}" in words(fresh)


@pytest.mark.parametrize("by_text", [True, False])
def test_every_one_of_the_most_alike_has_something_in_common_that_is_true(
    by_text: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tiny_home(tmp_path, users=40)
    dataset = Home(home).dataset("tiny")
    folder = dataset.run_path("profiles")
    ids, rng = [f"u{user:03d}" for user in range(40)], np.random.default_rng(0)
    made = {"events_all": rng.poisson(9, 40), "views_all": rng.poisson(9, 40), "days_since_event": rng.uniform(0, 40, 40)}
    with dataset.new_run("profiles", inputs={"version": "v0001"}, config={}, cutoff=None) as draft:
        write_table(draft.path / "counts.parquet", pa.table({"user_id": ids, **made, "price_mean": [None] * 20 + [2.5] * 20}))
        if by_text:
            shutil.copy(folder / "text.safetensors", draft.path)
    folder = dataset.run_path("profiles")
    monkeypatch.setattr(cards.shopper, "why_alike", lambda *_: pa.table({"user_id": pa.array([], pa.string()), **NOTHING}))
    app = open_page("shopper", home, monkeypatch)
    app.text_input(key="shopper-id").set_value("u001").run()
    assert not app.exception
    assert ("text profiles alone" if by_text else "has no text profiles") in words(app)
    near = next(table.value for table in app.dataframe if "similarity" in table.value.columns)
    counts = pq.read_table(folder / "counts.parquet").to_pandas().set_index("user_id")
    here = screens.open_screen(Home(home), "tiny")
    told = cards.alike_in(here, "u001", tuple(near["user_id"]))
    assert set(told["user_id"]) == set(near["user_id"]) and len(near) == 10
    for row in told.to_dict("records"):
        assert (row["own"], row["other"]) == (counts.loc["u001", row["feature"]], counts.loc[row["user_id"], row["feature"]])
    named = told.groupby("user_id")["feature"].agg(list)
    assert all(len(names) == 2 and "days_since_event" in names for names in named), "one of each group, none that is unknown"
    assert all("no category or item in common" in why and why.count(" and ") == 2 for why in near["why"])


def test_no_similarity_is_above_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = screens.open_screen(Home(tiny_home(tmp_path, users=12)), "tiny")
    above = np.full(12, 1.0000001, np.float32)
    monkeypatch.setattr(shoppers, "_similarities", lambda *_: (np.array([f"u{i:03d}" for i in range(12)], dtype=object), above))
    assert shoppers.nearest(here, "u001")["similarity"].max() == 1.0


def test_a_statement_opens_the_events_behind_it_and_goes_with_them(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_page("shopper", tiny, monkeypatch)
    app.text_input(key="shopper-id").set_value("u001").run()
    assert "- Has ordered once" in words(app) and "Lookers › Part 2" in words(app).replace("\\", "")
    told = words(app).replace("\\", "")
    assert "- Stage of life: new" in told and "- RFM group: " in told
    ordered = next(b for b in app.button if b.key == "evidence-2")
    assert ordered.label == "events: 1"
    ordered.click().run()
    assert "Events behind the statement" in words(app)
    assert list(next(t.value for t in app.dataframe if "event_type" in t.value)["event_type"]) == ["purchase"]
    app.button(key="evidence-close").click().run()
    assert "Events behind the statement" not in words(app)
    app.get("button_group")[0].set_value(["view", "cart"]).run()
    assert not app.exception and "- Has ordered once" not in words(app) and "Has not bought" not in words(app)
    assert "Statements are made without these kinds of events: purchase" in words(app).replace("\\", "")
    app.get("button_group")[0].set_value(["view", "cart", "purchase"]).run()
    assert "Statements are made without" not in words(app)
    app.text_input(key="shopper-id").set_value("u003").run()
    assert not app.exception


def test_beside_a_shopper_of_few_events_stand_the_averages_of_her_segment(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = open_page("shopper", tiny, monkeypatch)
    app.text_input(key="shopper-id").set_value("u001").run()
    shown = words(app).replace("\\", "")
    assert "Known events of this shopper: 4. The averages of the segment below" in shown and "certainty" not in shown
    screen = screens.open_screen(Home(tiny), "tiny")
    everyone = places(screen)
    segment = int(everyone.segment_ids[everyone.row_of("u001") or 0])
    means = cards.segment_means(screen, segment)
    assert (
        means.shoppers == int((everyone.segment_ids == segment).sum()) and f"Averages of the segment (shoppers: {means.shoppers})" in shown
    )
    assert means.events == 4 and "- Events: 4.0" in shown
    assert abs(sum(share for _name, share in means.categories) - 1) < 1e-9 and means.categories[0][0] in shown
    bare = open_page("shopper", tiny_home(tmp_path, runs=False), monkeypatch)
    bare.text_input(key="shopper-id").set_value("u001").run()
    assert "There is no map with this shopper yet" in words(bare) and "Averages of the segment" not in words(bare)


def test_a_shopper_shows_the_segments_of_earlier_maps_one_for_each_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tiny_home(tmp_path, users=240)
    dataset = Home(home).dataset("tiny")
    first = dataset.run_path("atlas")
    table = pq.read_table(first / "users.parquet")
    moved = table.set_column(table.column_names.index("segment_id"), "segment_id", pc.subtract(1, table["segment_id"]).cast("int32"))
    for cutoff, users in ((at(5), moved), (at(5), table), (at(7), moved.filter(pc.not_equal(moved["user_id"], "u003")))):
        with dataset.new_run("atlas", inputs={"version": "v0001"}, config={}, cutoff=cutoff, make_current=False) as draft:
            write_table(draft.path / "users.parquet", users)
            write_table(draft.path / "segments.parquet", pq.read_table(first / "segments.parquet"))
    screen = screens.open_screen(Home(home), "tiny")
    past = cards.segment_history(screen, "u001")
    assert list(past["segment_id"]) == [1, 0, 1] and list(past["run"]) == ["atlas-0003", "atlas-0004", "atlas-0001"]
    assert list(past["as_of"].dt.to_pydatetime())[:2] == [at(5), at(7)]
    assert len(cards.segment_history(screen, "u003")) == 2, "the map of day 7 did not see her"
    (dataset.run_path("atlas", "atlas-0003") / "users.parquet").write_bytes(b"damaged")
    assert len(cards.segment_history(screen, "u001")) == 3, "the one before it, of the same reading, stands in"
    with dataset.new_run("atlas", inputs={"version": "v0001"}, config={}, cutoff=at(7.25), make_current=False) as draft:
        write_table(draft.path / "users.parquet", table)
        write_table(draft.path / "segments.parquet", pq.read_table(first / "segments.parquet"))
    app = open_page("shopper", home, monkeypatch)
    app.text_input(key="shopper-id").set_value("u001").run()
    assert not app.exception and [e.label for e in app.expander if "earlier maps" in e.label] == ["Segments on earlier maps (4)"]
    assert "- 2024-03-08 00:00: " in words(app) and "- 2024-03-08 06:00: " in words(app), "two maps of one day are told by the minute"
