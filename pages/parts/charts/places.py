"""The map of shoppers: points by segment or by value, over a density of everyone."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import plotly.graph_objects as go

from pages.parts.charts.look import PALETTE, Look, empty_figure
from pages.parts.text import hover

MISSING_NAME = "–"


def scatter_groups(frame: pd.DataFrame, names: Sequence[tuple[int, str]], look: Look, *, webgl: bool = True) -> go.Figure:
    """The map coloured by segment: columns x, y, segment_id, card (escaped hover text); without `webgl` as vector marks."""
    figure = _map(look)
    for place, (segment, name) in enumerate(names):
        part = frame[frame["segment_id"] == segment]
        (figure.add_scattergl if webgl else figure.add_scatter)(
            x=part["x"].to_numpy(),
            y=part["y"].to_numpy(),
            mode="markers",
            name=hover(name),
            customdata=part["card"].to_numpy(),
            marker={"size": marker_size(len(frame)), "color": PALETTE[place % len(PALETTE)], "opacity": 0.85, "symbol": _symbol(place)},
            hovertemplate="%{customdata}<extra></extra>",
        )
    return figure


def scatter_values(frame: pd.DataFrame, label: str, look: Look, *, form: str = "", webgl: bool = True) -> go.Figure:
    """The map coloured by a value: columns x, y, value, card; shoppers without a value are hollow grey."""
    figure = _map(look)
    values = frame["value"].astype(float).to_numpy()
    known = np.isfinite(values)
    if (~known).any():
        part = frame[~known]
        (figure.add_scattergl if webgl else figure.add_scatter)(
            x=part["x"].to_numpy(),
            y=part["y"].to_numpy(),
            mode="markers",
            name=MISSING_NAME,
            customdata=part["card"].to_numpy(),
            marker={"size": marker_size(len(frame)), "color": look.line},
            hovertemplate="%{customdata}<extra></extra>",
            showlegend=False,
        )
    part = frame[known].assign(_v=values[known]).sort_values("_v")
    low, high = np.quantile(values[known], [0.02, 0.98]) if known.any() else (0.0, 1.0)
    (figure.add_scattergl if webgl else figure.add_scatter)(
        x=part["x"].to_numpy(),
        y=part["y"].to_numpy(),
        mode="markers",
        name=hover(label),
        customdata=part["card"].to_numpy(),
        showlegend=False,
        marker={
            "size": marker_size(len(frame)),
            "color": part["_v"].to_numpy(),
            "colorscale": list(look.scatter),
            "cmin": low,
            "cmax": high if high > low else low + 1,
            "colorbar": {"title": {"text": hover(label), "side": "right"}, "outlinewidth": 0, "thickness": 12, "tickformat": form},
        },
        hovertemplate="%{customdata}<extra></extra>",
    )
    return figure


def add_density(figure: go.Figure, x: npt.NDArray[np.float64], y: npt.NDArray[np.float64], look: Look, bins: int = 220) -> go.Figure:
    """Lay a density image of all shoppers under the drawn sample."""
    counts, edges_x, edges_y = np.histogram2d(x, y, bins=bins)
    grid = np.where(counts > 0, np.log1p(counts), np.nan).T
    figure.add_heatmap(
        x=edges_x,
        y=edges_y,
        z=grid.astype(np.float32),
        showscale=False,
        colorscale=[[0, look.panel], [1, look.quiet]],
        opacity=0.6,
        hoverinfo="skip",
    )
    figure.data = (figure.data[-1], *figure.data[:-1])
    return figure


def zoomed(figure: go.Figure, frame: tuple[float, float, float, float]) -> go.Figure:
    """Show one part of a map: left, right, bottom, top."""
    left, right, bottom, top = frame
    figure.update_xaxes(range=[left, right])
    figure.update_yaxes(range=[bottom, top])
    figure.update_layout(uirevision=f"map {left:.6g} {right:.6g} {bottom:.6g} {top:.6g}")
    return figure


def marker_size(points: int) -> float:
    """Smaller marks for more of them."""
    return 9 if points < 500 else 7 if points < 3000 else 5 if points < 10000 else 4


def _symbol(place: int) -> str:
    return ("circle", "diamond", "square", "triangle-up")[place // len(PALETTE) % 4]


def _map(look: Look) -> go.Figure:
    figure = empty_figure(look, height=620)
    hidden: dict[str, Any] = {"showgrid": False, "zeroline": False, "showticklabels": False, "showline": False}
    figure.update_xaxes(**hidden)
    figure.update_yaxes(**hidden, scaleanchor="x", scaleratio=1)
    figure.update_layout(
        dragmode="lasso",
        uirevision="map",
        modebar={"bgcolor": "rgba(0,0,0,0)", "color": look.quiet, "activecolor": look.accent},
        legend={"itemsizing": "constant", "orientation": "v", "x": 1.01, "y": 0.94, "yanchor": "top", "xanchor": "left"},
        newselection={"line": {"color": look.ink, "width": 1.5, "dash": "dot"}},
    )
    return figure
