"""How charts and themes look: contrast, colours and marks, scales that say where they are cut."""

import tomllib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pages.parts import charts
from pages.parts.atlas.levels import Levels
from pages.parts.text import set_language

CONFIG = tomllib.loads((Path(__file__).resolve().parents[1] / ".streamlit" / "config.toml").read_text(encoding="utf-8"))


@pytest.fixture(autouse=True)
def english() -> Iterator[None]:
    set_language("en")
    yield
    set_language("en")


def luminance(colour: str) -> float:
    parts = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_marks_at_nothing_and_at_the_largest_share_are_drawn_whole() -> None:
    figure = charts.contrast(["a", "b"], [0.0, 0.4], [0.8, 0.0], ["", ""], ("one", "two"), "share", charts.LIGHT)
    assert figure.layout.xaxis.range[0] < 0 and figure.layout.xaxis.range[1] > 0.8 and figure.layout.yaxis.zeroline is False


def test_the_waterfall_gives_each_step_a_line_with_its_name_and_figure_at_one_size() -> None:
    figure = charts.waterfall(
        ["Rows read", "No shopper id", "Rows kept"], [30604, -334, 30270], ["absolute", "relative", "total"], charts.LIGHT
    )
    assert figure.data[0].orientation == "h" and figure.data[0].text is None, "text in bars shrinks with them"
    left, right = figure.layout.yaxis, figure.layout.yaxis2
    assert list(left.ticktext) == ["Rows read", "No shopper id", "Rows kept"] and list(right.ticktext) == ["30,604", "-334", "30,270"]
    assert list(left.tickvals) == list(right.tickvals) and left.range == right.range
    assert left.tickfont.size == right.tickfont.size


@pytest.mark.parametrize("look", [charts.LIGHT, charts.DARK], ids=["light", "dark"])
def test_text_reaches_4_5_and_marks_reach_3_on_their_ground(look: charts.Look) -> None:
    for ground in (look.ground, look.panel):
        assert contrast(look.ink, ground) >= 4.5 and contrast(look.quiet, ground) >= 4.5
    assert contrast(look.accent, look.ground) >= 3 and contrast(look.warn, look.ground) >= 3
    assert [c for c in charts.PALETTE if contrast(c, look.ground) < 3] == []


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_the_theme_reaches_the_contrast_of_its_use(mode: str) -> None:
    theme, ground = CONFIG["theme"][mode], CONFIG["theme"][mode]["backgroundColor"]
    for side in (theme, {**theme, **theme["sidebar"]}):
        for back in (side["backgroundColor"], side["secondaryBackgroundColor"]):
            assert contrast(side["textColor"], back) >= 4.5 and contrast(side["grayTextColor"], back) >= 4.5
    assert contrast(theme["linkColor"], ground) >= 4.5
    assert contrast("#FFFFFF", theme["primaryColor"]) >= 4.5, "white words on a primary button"
    assert contrast(theme["primaryColor"], ground) >= 3
    assert ground == (charts.LIGHT if mode == "light" else charts.DARK).ground


@pytest.mark.parametrize("look", [charts.LIGHT, charts.DARK], ids=["light", "dark"])
def test_every_shade_of_a_segment_stands_out_and_differs_from_its_sisters_in_colour_and_symbol(look: charts.Look) -> None:
    for colour in range(len(charts.PALETTE)):
        found = [charts.slot(colour, step, look) for step in range(5)]
        assert all(contrast(shade, look.ground) >= 3 for shade, _symbol in found)
        assert len({shade for shade, _symbol in found}) == len({symbol for _shade, symbol in found}) == 5


def test_more_segments_than_colours_differ_in_their_marks() -> None:
    segments = pd.DataFrame({"segment_id": range(14), "name": [f"S{i}" for i in range(14)], "colour": [i % 12 for i in range(14)]})
    groups = Levels(segments, segments.assign(subsegment_id=segments["segment_id"], own_name=None)).groups(fine=False)
    assert len({(group.colour, group.symbol) for group in groups}) == 14
    assert len({group.symbol for group in groups[:12]}) == 1


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ([0.0] * 60 + [1.0] * 39 + [10.0], ["0", "≥ 1"]),
        ([0.0] * 99 + [10.0], ["0", "5", "10"]),
        (list(range(101)), ["≤ 2", "50", "≥ 98"]),
        ([-3.0, *[0.5] * 98, 4.0], ["-3", "0", "2", "4"]),
    ],
)
def test_a_scale_says_where_it_is_cut(values: list[float], told: list[str]) -> None:
    scale = charts.Scale.of(np.array([*values, np.nan]), "carts", "no value")
    places, texts = scale.ticks()
    assert places == sorted(places) and len(set(texts)) == len(texts)
    assert (texts[0], texts[-1]) == (told[0], told[-1]) and set(told) <= set(texts)


def test_shares_are_told_in_percent_and_one_value_of_all_stands_in_the_legend() -> None:
    assert charts.Scale.of(np.linspace(0.002, 0.02, 50), "chance", "–", is_share=True).told(0.0123) == "1.2%"
    points = pd.DataFrame({"x": [0.0, 1.0], "y": [0.0, 1.0], "user_id": ["a", "b"], "chance": ["", ""], "value": [3.0, np.nan]})
    scale = charts.Scale.of(points["value"].to_numpy(), "carts", "no value")
    missing, known = charts.scatter_values(points, scale, charts.LIGHT, ("shopper", "chance")).data
    assert (missing.name, known.name) == ("no value", "carts: 3") and missing.showlegend and known.showlegend
    assert not known.marker.showscale
