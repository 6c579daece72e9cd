"""The map of shoppers: points by group or by value, over a density of everyone; and the same picture period by period."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from pages.parts.charts.look import Group, Look, cut, empty_figure
from pages.parts.text import hover

PANELS_IN_A_ROW = 4


def scatter_groups(frame: pd.DataFrame, groups: Sequence[Group], look: Look, words: Sequence[str], *, webgl: bool = True) -> go.Figure:
    """The map coloured by group: columns x, y, group, user_id, chance (words, '' without), perhaps events and orders.

    Ids and chances are sent once for each point; what points of a group have in common stands in its template. Without
    `webgl` points are vector marks.

    Args:
        frame: The points.
        groups: In the order of the legend; groups without points are named there, too.
        look: Colours of the theme.
        words: "shopper", "chance", "events" and "orders" in the language of the screen.
        webgl: Whether the browser draws on its graphics card.
    """
    figure = _map(look)
    for group in groups:
        part = frame[frame["group"] == group.id]
        (figure.add_scattergl if webgl else figure.add_scatter)(
            **_points(part, words, f"<br>{hover(group.name)}"),
            **group.legend(),
            marker={"size": marker_size(len(frame)), "color": group.colour, "opacity": 0.85, "symbol": group.symbol},
        )
    return figure


@dataclass(frozen=True)
class Scale:
    """The scale of a value that points are coloured by: from its 2nd to its 98th percentile, what lies beyond has the colour of the end."""

    label: str
    missing: str
    """What the legend calls points without a value."""
    low: float
    high: float
    least: float
    """Of all values; `most` likewise."""
    most: float
    is_share: bool = False
    is_whole: bool = False
    """Whether all values are whole numbers."""

    @classmethod
    def of(cls, values: npt.NDArray[np.float64], label: str, missing: str, *, is_share: bool = False) -> "Scale":
        """Lay the scale over the values (U,) of everyone, NaN where there is none; all of them where the percentiles are one value."""
        known = values[np.isfinite(values)]
        if not len(known):
            return cls(label, missing, 0.0, 0.0, 0.0, 0.0)
        low, high, least, most = (float(end) for end in (*np.quantile(known, [0.02, 0.98]), known.min(), known.max()))
        if least < low and most > high and high == low:
            low, high = least, most
        elif high == low:
            low, high = (least, high) if least < low else (low, most)
        return cls(label, missing, low, high, least, most, is_share, bool((known == np.floor(known)).all()))

    @property
    def decimals(self) -> int:
        """Decimals of three digits of the range, in percent for shares: finer ones are noise."""
        range_ = (self.high - self.low) * (100 if self.is_share else 1)
        return int(np.clip(2 - np.floor(np.log10(range_)), 0, 6)) if range_ > 0 else 2

    def told(self, value: float) -> str:
        """A value as the scale says it."""
        decimals = max(self.decimals - (1 if self.is_share else 0), 0)
        found = f"{100 * value if self.is_share else value:,.{decimals}f}"
        found = found.rstrip("0").rstrip(".") if "." in found else found
        return f"{'0' if found == '-0' else found}{'%' if self.is_share else ''}"

    def ticks(self) -> tuple[list[float], list[str]]:
        """Both ends, an end that was cut with its sign, and even steps between them."""
        span = self.high - self.low
        step = _even(max(span / 4, 1) if self.is_whole else span / 4)
        between = np.arange(np.ceil(self.low / step), np.floor(self.high / step) + 1) * step
        between = between[(between > self.low + 0.4 * step) & (between < self.high - 0.4 * step)]
        first, last = ("≤ " if self.least < self.low else ""), ("≥ " if self.most > self.high else "")
        places = [self.low, *(float(value) for value in between), self.high]
        return places, [first + self.told(self.low), *map(self.told, between), last + self.told(self.high)]


def _even(step: float) -> float:
    """The next larger of 1, 2, 5 and their tenfolds."""
    power = 10.0 ** np.floor(np.log10(step))
    return float(next(digit for digit in (1, 2, 5, 10) if digit * power >= 0.999 * step) * power)


def scatter_values(frame: pd.DataFrame, scale: Scale, look: Look, words: Sequence[str], *, webgl: bool = True) -> go.Figure:
    """The map coloured by a value: columns x, y, value, user_id, chance. As `scatter_groups`.

    Shoppers without a value are grey rings, which the legend names; it also tells the value where all have one.
    """
    figure = _map(look)
    values = frame["value"].astype(float).to_numpy()
    known = np.isfinite(values)
    if (~known).any():
        (figure.add_scattergl if webgl else figure.add_scatter)(
            **_points(frame[~known], words, ""),
            name=hover(scale.missing),
            marker={"size": marker_size(len(frame)), "color": look.faded, "symbol": "circle-open"},
            showlegend=True,
        )
    part = frame[known].assign(_v=values[known]).sort_values("_v", kind="stable")
    varies = scale.high > scale.low
    form = f",.{scale.decimals}~{'%' if scale.is_share else 'f'}"
    places, told = scale.ticks() if varies else ([], [])
    (figure.add_scattergl if webgl else figure.add_scatter)(
        **_points(part, words, f"<br>{hover(scale.label)} %{{marker.color:{form}}}"),
        name=hover(cut(f"{scale.label}: {scale.told(scale.low)}")),
        showlegend=not varies and bool(known.any()),
        marker={
            "size": marker_size(len(frame)),
            "color": part["_v"].to_numpy(np.float32),
            "colorscale": list(look.scatter),
            "cmin": scale.low,
            "cmax": scale.high if varies else scale.low + 1,
            "showscale": varies,
            "colorbar": {
                **_bar(scale.label, look),
                "thickness": 12,
                "tickvals": places,
                "ticktext": told,
                "len": 0.9,  # the buttons of the figure stand above it
                "y": 0,
                "yanchor": "bottom",
            },
        },
    )
    return figure


def add_density(
    figure: go.Figure, grid: npt.NDArray[np.uint8], frame: tuple[float, float, float, float], look: Look, *, smooth: bool = False
) -> go.Figure:  # fmt: skip
    """Lay a density image under the drawn points.

    Args:
        figure: The map.
        grid: 0 where nobody stands, else 1-255; rows upwards.
        frame: Left, right, bottom and top edge of the grid.
        look: Colours of the theme.
        smooth: Whether cells run into each other: those of a map that is zoomed into are large.
    """
    left, right, bottom, top = frame
    step_x, step_y = (right - left) / grid.shape[1], (top - bottom) / grid.shape[0]
    figure.add_heatmap(
        x0=left + step_x / 2,
        dx=step_x or 1,
        y0=bottom + step_y / 2,
        dy=step_y or 1,
        z=grid,
        zmin=0,
        zmax=255,
        zsmooth="fast" if smooth else False,
        showscale=False,
        colorscale=[[0, "rgba(0,0,0,0)"], [0.5 / 255, "rgba(0,0,0,0)"], [0.5 / 255, look.line], [1, look.quiet]],
        opacity=0.75,
        hoverinfo="skip",
    )
    figure.data = (figure.data[-1], *figure.data[:-1])
    return figure


def mark(
    figure: go.Figure, frame: pd.DataFrame, names: tuple[str, str], look: Look, words: Sequence[str], *, webgl: bool = True
) -> go.Figure:  # fmt: skip
    """Mark one shopper, the first row, by a star and the others, alike to her, by rings: columns x, y, user_id, chance, note.

    `names` are those of the star and of the rings in the legend.
    """
    for part, name, marker in (
        (frame.iloc[1:], names[1], {"symbol": "circle-open", "size": 15, "color": look.ink, "line": {"width": 2.5, "color": look.ink}}),
        (frame.iloc[:1], names[0], {"symbol": "star", "size": 20, "color": look.warn, "line": {"width": 1.5, "color": look.ground}}),
    ):
        (figure.add_scattergl if webgl else figure.add_scatter)(  # vector marks would lie under those of the graphics card
            **_points(part, words, "", list(part["note"])),
            name=hover(name),
            marker={**marker, "opacity": 1},
        )
    return figure


def zoomed(figure: go.Figure, frame: tuple[float, float, float, float]) -> go.Figure:
    """Show one part of a map: left, right, bottom, top."""
    left, right, bottom, top = frame
    figure.update_xaxes(range=[left, right])
    figure.update_yaxes(range=[bottom, top])
    figure.update_layout(uirevision=f"map {left:.6g} {right:.6g} {bottom:.6g} {top:.6g}")
    return figure


def panels(
    grids: npt.NDArray[np.int64], everyone: npt.NDArray[np.int64], titles: Sequence[str], label: str, look: Look
) -> go.Figure:  # fmt: skip
    """The same picture several times: the share of the shoppers of each cell who were active, one scale for all.

    Args:
        grids: (panels, cells, cells), rows upwards.
        everyone: (cells, cells).
        titles: One for each panel.
        label: What is counted.
        look: Colours of the theme.
    """
    columns = min(PANELS_IN_A_ROW, len(grids))
    rows = -(-len(grids) // columns)
    gap = 0.28 / (rows + 1)
    figure = make_subplots(rows, columns, subplot_titles=[hover(t) for t in titles], horizontal_spacing=0.02, vertical_spacing=gap)
    figure.update_layout(template=empty_figure(look, 10).layout.template, height=40 + 235 * rows, showlegend=False)
    shares = np.divide(grids, everyone, out=np.full(grids.shape, np.nan), where=everyone > 0)
    most = float(np.nanquantile(shares, 0.98)) or 1.0
    for place, grid in enumerate(grids):
        figure.add_heatmap(
            z=shares[place].astype(np.float32),
            customdata=np.stack([grid, everyone], axis=-1).astype(np.int32),
            coloraxis="coloraxis",
            hovertemplate=f"{hover(label)}: %{{z:.0%}}<br>%{{customdata[0]:,}} / %{{customdata[1]:,}}<extra>{hover(titles[place])}</extra>",
            row=place // columns + 1,
            col=place % columns + 1,
        )
    hidden: dict[str, Any] = {"showgrid": False, "zeroline": False, "showticklabels": False, "showline": False, "ticks": ""}
    figure.update_xaxes(**hidden)
    figure.update_yaxes(**hidden)
    figure.update_layout(
        coloraxis={
            "colorscale": list(look.ramp),
            "cmin": 0,
            "cmax": most,
            "colorbar": {**_bar(label, look), "thickness": 10, "tickformat": ".0%"},
        },
        margin={"t": 34},
    )  # fmt: skip
    figure.update_annotations(font={"size": 12, "color": look.ink})
    return figure


def _bar(label: str, look: Look) -> dict[str, Any]:
    """The scale of a colour, lettered as axes are."""
    font = {"color": look.quiet, "size": 12}
    return {"title": {"text": hover(cut(label)), "side": "right", "font": font}, "tickfont": font, "outlinewidth": 0}


def marker_size(points: int) -> float:
    """Smaller marks for more of them."""
    return 9 if points < 500 else 7 if points < 3000 else 5 if points < 10000 else 4


def _points(part: pd.DataFrame, words: Sequence[str], more: str, notes: Sequence[str] = ()) -> dict[str, Any]:
    """Places and hover cards of points: id, chance and counts of each, `more` of the template, and a note for each point.

    Words stand in the template, once; counts travel as numbers of four bytes.
    """
    lines = [hover(note) for note in notes] or [""] * len(part)
    if (part["chance"] != "").any():
        said = [f"{words[1]} {chance}" for chance in part["chance"]] if notes else list(part["chance"])
        lines = [f"{line}<br>{chance}" if line else chance for line, chance in zip(lines, said, strict=True)]
        more += "<br>%{hovertext}" if notes else f"<br>{words[1]} %{{hovertext}}"
    elif notes:
        more += "<br>%{hovertext}"
    if "events" in part:
        more += f"<br>{words[2]} %{{customdata[0]:,}}<br>{words[3]} %{{customdata[1]:,}}"
    return {
        "x": part["x"].to_numpy(np.float32),
        "y": part["y"].to_numpy(np.float32),
        "mode": "markers",
        "text": [hover(user) for user in part["user_id"]],
        "hovertext": lines if any(lines) else None,
        "customdata": part[["events", "orders"]].to_numpy(np.int32) if "events" in part else None,
        "hovertemplate": f"<b>{words[0]} %{{text}}</b>{more}<extra></extra>",
    }


def _map(look: Look) -> go.Figure:
    figure = empty_figure(look, height=620)
    hidden: dict[str, Any] = {"showgrid": False, "zeroline": False, "showticklabels": False, "showline": False, "ticks": ""}
    figure.update_xaxes(**hidden)
    figure.update_yaxes(**hidden, scaleanchor="x", scaleratio=1)
    figure.update_layout(
        dragmode="lasso",
        uirevision="map",
        modebar={"bgcolor": "rgba(0,0,0,0)", "color": look.quiet, "activecolor": look.accent},
        legend={
            "itemsizing": "constant",
            "orientation": "v",
            "x": 1.01,
            "y": 0.98,
            "yanchor": "top",
            "xanchor": "left",
            "tracegroupgap": 4,
            "grouptitlefont": {"size": 12, "color": look.quiet},
        },
        newselection={"line": {"color": look.ink, "width": 1.5, "dash": "dot"}},
    )
    return figure
