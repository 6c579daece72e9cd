"""What people do on the Map page without a mouse: colour, find, select, compare, save."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from streamlit.testing.v1 import AppTest

from core.artifacts import read_manifest, seal, write_table
from core.pipeline import behaviour, outcomes, screens, shoppers
from core.pipeline.behaviour import Filters
from core.pipeline.places import places
from core.store import Home
from pages.parts import frame
from pages.parts.atlas import graphics, picture, selecting
from pages.parts.words import feature_word
from tests.page_worlds import tiny_home
from tests.test_pages import go_to, open_page, words

USERS = 240
NEW_TABLES = ("subsegments", "subsegment_traits", "leanings", "leaning_traits", "habits")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tiny_home(tmp_path, users=USERS)


@pytest.fixture
def app(home: Path, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    return open_page("map", home, monkeypatch)


def saved_rules(home: Path) -> list[object]:
    return [record["rule"] for record in outcomes.saved_audiences(screens.open_screen(Home(home), "tiny"))]


def test_every_colour_of_the_map_can_be_drawn(app: AppTest) -> None:
    offered = app.selectbox(key="map-colour").options
    assert {"Segment", "Fine segment", "Purchase chance", "Taste for a category …", "Certainty of the segment"} <= set(offered)
    for colour in ("subsegment", "propensity", "taste", "certainty", "active_days_all", "segment"):
        app.selectbox(key="map-colour").set_value(colour).run()
        assert not app.exception and not app.error, colour


def publish_counts(home: Path, **columns: Any) -> None:
    """Publish another run of profiles, with these counted features, and a map of it."""
    here = screens.open_screen(Home(home), "tiny")
    users = places(here).user_ids.tolist()
    with here.dataset.new_run("profiles", inputs={"version": here.version}, config={}, cutoff=None) as draft:
        write_table(draft.path / "counts.parquet", pa.table({"user_id": users, **columns}))


def test_only_features_by_which_shoppers_differ_colour_the_map(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    none, many = pa.array([None] * USERS, pa.float64()), np.arange(USERS) % 7
    publish_counts(home, events_all=many, orders_all=np.full(USERS, 3), price_mean=none, days_since_event=[None, *[2.0] * (USERS - 1)])
    told = " ".join(open_page("map", home, monkeypatch).selectbox(key="map-colour").options)
    assert feature_word("events_all") in told
    assert not [name for name in ("orders_all", "price_mean", "days_since_event") if feature_word(name) in told]


def test_a_colour_tells_who_has_no_value_and_where_its_scale_is_cut(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.where(np.arange(USERS) < 200, np.arange(USERS) / 10, 1e-11)
    values[-1] = 1e6
    publish_counts(home, price_mean=pa.array([None if i % 4 == 0 else value for i, value in enumerate(values.tolist())], pa.float64()))
    app = open_page("map", home, monkeypatch)
    app.selectbox(key="map-colour").set_value("price_mean").run()
    missing, known = (trace for trace in picture_of(app)["data"] if trace["type"].startswith("scatter"))
    assert missing["showlegend"] and missing["name"] == "no value" and len(missing["text"]) == USERS // 4
    told = known["marker"]["colorbar"]["ticktext"]
    assert told[0] == "0" and told[-1].startswith("≥ ") and not any("e" in text for text in told), told
    assert ":,.1~f}" in known["hovertemplate"], "a hair's breadth above 0 reads 0"


def test_the_note_of_rfm_groups_tells_revenue_only_where_the_log_does(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bought = {"days_since_purchase": np.arange(USERS) % 50, "orders_all": np.arange(USERS) % 5}
    for revenue, told in ((np.zeros(USERS), "the log tells no revenue"), (np.arange(USERS), "orders and revenue are averaged")):
        publish_counts(home, **bought, revenue_all=revenue)
        app = open_page("map", home, monkeypatch)
        app.selectbox(key="map-colour").set_value("rfm").run()
        assert told in words(app) and not app.exception


def test_blocks_are_listed_as_the_language_lists(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = screens.open_screen(Home(home), "tiny")
    path = here.dataset.run_path("atlas", here.run_id("atlas"))
    record = read_manifest(path) | {"blocks": {"held": ["counts", "text"], "shares": None}}
    seal(path, {name: value for name, value in record.items() if name not in ("seal", "files")})
    assert "by counts, texts, weighed" in words(open_page("map", home, monkeypatch))
    told = words(open_page("map", home, monkeypatch, "zh"))
    assert "计数、" in told and "计数, " not in told


def test_segments_chosen_from_a_list_are_selected_compared_and_saved(app: AppTest, home: Path) -> None:
    app.multiselect(key="map-segments").set_value([("segment", 0)]).run()
    assert f"{USERS // 2} shoppers selected" in words(app)
    app.multiselect(key="map-segments").set_value([("segment", 0), ("fine", 2)]).run()
    assert f"{USERS // 2 + USERS // 4} shoppers selected" in words(app)
    app.button(key="lasso-save").click().run()
    assert not app.exception
    (rule,) = saved_rules(home)
    assert isinstance(rule, dict) and len(rule["users"]) == USERS // 2 + USERS // 4


def test_the_map_zooms_to_what_the_keyboard_selected_and_back(app: AppTest) -> None:
    assert app.button(key="map-zoom-in").disabled and app.button(key="map-zoom-out").disabled
    app.text_input(key="map-around").set_value("u007").run()
    app.number_input(key="map-around-number").set_value(20).run()
    app.button(key="map-zoom-in").click().run()
    assert "20 shoppers selected" in words(app) and "range" in picture_of(app)["layout"]["xaxis"]
    app.button(key="map-zoom-out").click().run()
    assert f"{USERS} of {USERS} shoppers are drawn" in words(app) and "range" not in picture_of(app)["layout"]["xaxis"]


@pytest.mark.parametrize("most", [120, 3000])
def test_a_zoomed_map_shows_everybody_who_can_be_selected_as_a_point_or_in_the_shade(
    most: int, app: AppTest, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(picture, "PLAIN_POINTS", most)
    app.session_state[graphics.LACKING] = True
    app.text_input(key="map-around").set_value("u007").run()
    app.number_input(key="map-around-number").set_value(20).run()
    app.button(key="map-zoom-in").click().run()
    traces = picture_of(app)["data"]
    drawn = {point for trace in traces if trace["type"] == "scatter" for point in trace["text"]}
    everyone = places(screens.open_screen(Home(home), "tiny"))
    zoom = app.session_state[selecting.ZOOM][1]
    assert set(everyone.user_ids[everyone.framed(*zoom)]) <= drawn, "all of the part that is zoomed to, and of its surroundings"
    if most > USERS:
        assert len(drawn) == USERS, "who stands beside the frame is seen, too: equal axes show more than the frame"
    else:
        assert 20 < len(drawn) < USERS and "a shade stands for the others" in words(app)
        assert any(trace["type"] == "heatmap" for trace in traces)


def picture_of(app: AppTest) -> Any:
    """The map's figure as the browser gets it."""
    return json.loads(app.get("plotly_chart")[0].proto.spec)


def draw(app: AppTest, home: Path, **shapes: object) -> int:
    """Have the browser tell of shapes on the map; returns how many shoppers lie in them."""
    here = screens.open_screen(Home(home), "tiny")
    drawn = selecting.shapes_of({"lasso": [], "box": [], **shapes})
    app.session_state[selecting.DRAWN] = (("tiny", here.run_id("atlas")), drawn)
    app.run()
    assert not app.exception
    return int(sum(places(here).inside(x, y) for x, y in drawn).sum())


def corners(home: Path) -> tuple[list[float], list[float]]:
    """Left, right and bottom, top of the middle of the map."""
    everyone = places(screens.open_screen(Home(home), "tiny"))
    return [float(np.quantile(everyone.x, q)) for q in (0.2, 0.7)], [float(np.quantile(everyone.y, q)) for q in (0.2, 0.9)]


def test_the_map_offers_the_box_beside_the_lasso() -> None:
    assert not {"select2d", "lasso2d"} & set(frame.map_config()["modeBarButtonsToRemove"])


def test_a_box_counts_everyone_between_its_corners_as_a_lasso_around_them_does(
    app: AppTest, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(picture, "PLAIN_POINTS", 20)
    app.session_state[graphics.LACKING] = True
    (left, right), (bottom, top) = corners(home)
    everyone = places(screens.open_screen(Home(home), "tiny"))
    between = int(((everyone.x >= left) & (everyone.x < right) & (everyone.y >= bottom) & (everyone.y < top)).sum())
    lasso = {"x": [left, right, right, left], "y": [bottom, bottom, top, top]}
    for shapes in ({"box": [{"x": [right, left], "y": [top, bottom]}]}, {"lasso": [lasso]}):
        assert draw(app, home, **shapes) == between > 20, "more than are drawn"
        assert "20 of 240 shoppers are drawn" in words(app)
        assert f"{between} shoppers selected" in words(app)


def test_what_is_drawn_stays_selected_in_another_colour_and_frame_until_it_is_taken_off(app: AppTest, home: Path) -> None:
    x, y = corners(home)
    selected = f"{draw(app, home, box=[{'x': x, 'y': y}])} shoppers selected"
    assert selected in words(app)
    app.selectbox(key="map-colour").set_value("certainty").run()
    assert selected in words(app)
    app.button(key="map-zoom-in").click().run()
    assert selected in words(app) and any("measure" in table.value.columns for table in app.dataframe)
    app.button(key="map-zoom-out").click().run()
    assert selected in words(app)
    app.button(key="map-lift").click().run()
    assert "shoppers selected" not in words(app) and app.button(key="map-lift").disabled


def test_a_browser_without_webgl_gets_fewer_points_by_itself(app: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture, "PLAIN_POINTS", 20)
    app.run()
    assert f"{USERS} of {USERS} shoppers are drawn" in words(app) and '"scattergl"' in app.get("plotly_chart")[0].proto.spec
    app.session_state[graphics.LACKING] = True  # what the browser answers
    app.run()
    assert "20 of 240 shoppers are drawn" in words(app) and "This browser lacks WebGL" in words(app)
    assert '"scattergl"' not in app.get("plotly_chart")[0].proto.spec


@pytest.mark.parametrize("lacks", [True, False])
def test_the_picture_waits_for_what_the_browser_says_of_its_graphics_card(lacks: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, str] = {}
    kept: dict[str, object] = {}
    monkeypatch.setattr(graphics.frame, "PATIENCE", 5.0)
    monkeypatch.setattr(graphics.state, "flag", kept.get)
    monkeypatch.setattr(graphics.state, "put", kept.__setitem__)
    monkeypatch.setattr(graphics.st.components.v2, "component", lambda *_a, **_k: lambda **mounted: asked.update(mounted["data"]))
    answer = graphics.ask_browser()
    for name in ("lacks", "answered") if lacks else ("answered",):
        graphics.Drawing.tell(asked[name].rpartition("/")[2].removesuffix(".gif"))
    assert answer() is lacks
    asked.clear()
    assert graphics.ask_browser()() is lacks and not asked, "asked once a window"


@pytest.mark.parametrize("kind", ["box", "fine segment", "segment", "around"])
def test_a_selection_is_sent_to_behaviour_as_its_filter_with_the_same_count(kind: str, app: AppTest, home: Path) -> None:
    app.session_state["category"] = "C1"  # filtered there before
    if kind == "box":
        x, y = corners(home)
        draw(app, home, box=[{"x": x, "y": y}])
    elif kind == "around":
        app.text_input(key="map-around").set_value("u007").run()
        app.number_input(key="map-around-number").set_value(25).run()
    else:
        app.multiselect(key="map-segments").set_value([("segment", 1) if kind == "segment" else ("fine", 1)]).run()
    count = int(re.findall(r"(\d+) shoppers selected", words(app))[0])
    app.button(key="lasso-send").click().run()
    assert not app.exception and app.title[0].value == "Behaviour"
    told = "Segment" if kind == "segment" else f"Audience “Sent from the map: {count} shoppers”"
    assert "Looking only at: " in words(app) and told.replace(":", "") in words(app).replace("\\", "").replace(":", ""), words(app)
    here = screens.open_screen(Home(home), "tiny")
    filters = Filters(segment=1) if kind == "segment" else Filters(audience=f"Sent from the map: {count} shoppers")
    scope = behaviour.scope(here, filters)
    assert scope.members is not None and scope.members.num_rows == count
    assert app.selectbox(key="category").value is None, "by these shoppers alone"
    assert [kept["users"] for kept in outcomes.saved_audiences(here)] == ([] if kind == "segment" else [count])


def test_the_nearest_on_the_map_are_selected_around_a_shopper(app: AppTest) -> None:
    app.text_input(key="map-around").set_value("u007").run()
    app.number_input(key="map-around-number").set_value(25).run()
    assert "25 shoppers selected" in words(app)
    app.text_input(key="map-around").set_value("nobody").run()
    assert "There is no shopper nobody on the map" in words(app) and "shoppers selected" not in words(app)


def test_a_shopper_is_found_with_those_most_alike_and_an_unknown_one_is_answered_with_near_ids(app: AppTest) -> None:
    app.text_input(key="map-shopper").set_value("u003").run()
    assert "Shopper u003" in words(app) and not app.exception
    assert any("similarity" in table.value.columns and len(table.value) == 10 for table in app.dataframe)
    app.text_input(key="map-shopper").set_value("u03").run()
    assert "There is no shopper u03 on the map" in words(app) and "u030" in words(app)


def test_a_fine_segment_is_looked_at_renamed_and_becomes_an_audience_of_its_size(
    app: AppTest, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app.selectbox(key="segment-choice").set_value(("fine", 2)).run()
    assert "Lookers › Part 2" in words(app)
    app.text_input(key="rename-fine-2").set_value("Window shoppers").run()
    app.button(key="rename-save").click().run()
    again = open_page("map", home, monkeypatch)
    assert "Lookers › Window shoppers" in again.selectbox(key="segment-choice").options
    again.selectbox(key="segment-choice").set_value(("fine", 2)).run()
    again.button(key="segment-save").click().run()
    assert saved_rules(home) == [{"subsegment": [2]}]
    here = screens.open_screen(Home(home), "tiny")
    found = outcomes.size(here, {"subsegment": [2]}, holdout=0.0, cost=0.0, margin=0.0)
    assert found.size.everyone.users == USERS // 4
    assert found.sentence == "Shoppers who are in fine segment “Lookers › Window shoppers”."
    go_to(again, "audiences")
    assert not again.exception


@pytest.mark.parametrize(
    ("chosen", "name"),
    [(("segment", 0), "lookers"), (("fine", 2), "Part 4"), (("segment", 0), "Lookers › Part 4"), (("segment", 1), "All  others ")],
)
def test_a_name_that_another_segment_has_is_refused(chosen: tuple[str, int], name: str, app: AppTest, home: Path) -> None:
    options = app.selectbox(key="segment-choice").options
    app.selectbox(key="segment-choice").set_value(chosen).run()
    app.text_input(key=f"rename-{'fine-' if chosen[0] == 'fine' else ''}{chosen[1]}").set_value(name).run()
    app.button(key="rename-save").click().run()
    assert "Another segment is called" in app.error[0].value and not app.exception
    here = screens.open_screen(Home(home), "tiny")
    assert not shoppers.segment_names(here) and not shoppers.segment_names(here, fine=True)
    assert app.selectbox(key="segment-choice").options == options and len(set(options)) == len(options)


def test_segments_that_share_a_name_are_each_looked_at_and_compared(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = screens.open_screen(Home(home), "tiny")
    here.dataset.save("segment_names", {"0": "Twins", "1": "Twins"})  # given before names were refused, or found after a refresh
    here.dataset.save("subsegment_names", {"1": "Half", "3": "Half"})
    app = open_page("map", home, monkeypatch)
    for key in ("segment-choice", "compare-left", "compare-right"):
        options = app.selectbox(key=key).options
        assert len(set(options)) == len(options), options
    app.selectbox(key="segment-choice").set_value(("segment", 1)).run()
    assert not app.exception and app.text_input(key="rename-1").value.startswith("Twins")
    app.selectbox(key="compare-left").set_value(("segment", 0)).run()
    app.selectbox(key="compare-right").set_value(("segment", 1)).run()
    assert not app.exception and "One side is empty" not in words(app) and "on both sides" not in words(app)


def test_two_sides_are_compared_and_nobody_counts_twice(app: AppTest) -> None:
    app.selectbox(key="compare-left").set_value(("fine", 1)).run()
    app.selectbox(key="compare-right").set_value(("segment", 0)).run()
    assert not app.exception
    assert f"{USERS // 4} shoppers are on both sides" in words(app)
    table = next(table.value for table in app.dataframe if "measure" in table.value.columns)
    assert table.set_index("measure").loc["Shoppers", ["left", "right"]].tolist() == [str(USERS // 4)] * 2


def test_a_map_drawn_before_segments_were_split_still_opens(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NEW_TABLES:
        (home / f"datasets/tiny/runs/atlas-0001/{name}.parquet").unlink()
    app = open_page("map", home, monkeypatch)
    assert not app.exception and not app.error, words(app)
    assert "Fine segment" not in app.selectbox(key="map-colour").options
    assert len(app.selectbox(key="segment-choice").options) == 2
