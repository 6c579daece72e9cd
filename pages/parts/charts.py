"""Pictures: a table in, a figure out. One template in two looks; colours checked for contrast and colour blindness."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import plotly.graph_objects as go

from pages.parts.text import hover

PALETTE = (
    "#2479AA",
    "#E76D00",
    "#187900",
    "#9286F3",
    "#B64992",
    "#499EAA",
    "#C23D0C",
    "#927961",
    "#6D9E31",
    "#8661DB",
    "#B68679",
    "#866161",
)
"""Twelve marks of at least 3:1 on white and on the dark ground, chosen greedily for distance in normal, red-blind,
green-blind and blue-blind sight; the first eight are the safest."""
RAMP_LIGHT = ((0.0, "#D5E4EE"), (0.35, "#7FB2D0"), (0.7, "#2479AA"), (1.0, "#0B3A57"))
RAMP_DARK = ((0.0, "#1F3342"), (0.35, "#2B6C95"), (0.7, "#67B3DE"), (1.0, "#E3F4FF"))
SCATTER_LIGHT = ((0.0, "#8FA3B3"), (0.25, "#5D9FC2"), (0.6, "#2479AA"), (1.0, "#0B3A57"))
SCATTER_DARK = ((0.0, "#5B6C7B"), (0.25, "#3F86B3"), (0.6, "#7CC0E8"), (1.0, "#F1FAFF"))
FONT = "Inter, 'Segoe UI', 'Helvetica Neue', Roboto, 'PingFang SC', 'Microsoft YaHei', 'Noto Sans CJK SC', Arial, sans-serif"


@dataclass(frozen=True)
class Look:
    """The colours of one theme."""

    mode: str
    ground: str
    panel: str
    ink: str
    quiet: str
    line: str
    accent: str
    warn: str
    ramp: tuple[tuple[float, str], ...]
    scatter: tuple[tuple[float, str], ...]


LIGHT = Look("light", "#FFFFFF", "#F3F6F9", "#17212B", "#55626F", "#D8DFE6", "#1B6690", "#B2480B", RAMP_LIGHT, SCATTER_LIGHT)
DARK = Look("dark", "#12171D", "#1B222A", "#E6EBF0", "#A5B1BD", "#35404B", "#67B3DE", "#F0975A", RAMP_DARK, SCATTER_DARK)


def template(look: Look) -> go.layout.Template:
    """The one template of all figures in a look."""
    axis = {
        "gridcolor": look.line,
        "linecolor": look.line,
        "zerolinecolor": look.line,
        "tickfont": {"color": look.quiet, "size": 12},
        "title": {"font": {"color": look.quiet, "size": 12}, "standoff": 8},
        "automargin": True,
        "separatethousands": True,
    }
    return go.layout.Template(
        layout={
            "font": {"family": FONT, "color": look.ink, "size": 13},
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "colorway": list(PALETTE),
            "xaxis": {**axis, "showgrid": False},
            "yaxis": axis,
            "margin": {"l": 8, "r": 8, "t": 16, "b": 8},
            "hoverlabel": {"bgcolor": look.panel, "bordercolor": look.line, "font": {"color": look.ink, "family": FONT}, "align": "left"},
            "legend": {
                "orientation": "h",
                "y": 1.02,
                "yanchor": "bottom",
                "x": 0,
                "font": {"color": look.ink, "size": 12},
                "title": {"text": ""},
            },
            "separators": ".,",
            "hovermode": "closest",
            "dragmode": False,
            "bargap": 0.28,
        }
    )


def trend(frame: pd.DataFrame, measure: str, label: str, partial_label: str, look: Look) -> go.Figure:
    """A line over periods; periods that the log covers only in part are hollow and dotted."""
    figure = _figure(look, height=300)
    dates, values = frame["period"], frame[measure].astype(float)
    whole = ~frame["partial"].astype(bool)
    figure.add_scatter(
        x=dates, y=values, mode="lines", line={"color": look.accent, "width": 1.2, "dash": "dot"}, showlegend=False, hoverinfo="skip"
    )
    figure.add_scatter(
        x=dates,
        y=values.where(whole),
        mode="lines+markers" if len(frame) <= 60 else "lines",
        name=hover(label),
        line={"color": look.accent, "width": 2.2},
        marker={"size": 5},
        connectgaps=False,
        hovertemplate="%{x|%Y-%m-%d}<br>%{y:,.6~g}<extra></extra>",
        showlegend=False,
    )
    if (~whole).any():
        figure.add_scatter(
            x=dates[~whole],
            y=values[~whole],
            mode="markers",
            name=hover(partial_label),
            marker={"color": look.ground, "line": {"color": look.accent, "width": 1.8}, "size": 9},
            hovertemplate="%{x|%Y-%m-%d}<br>%{y:,.6~g}<extra>" + hover(partial_label) + "</extra>",
            showlegend=True,
        )
    figure.update_yaxes(title_text=hover(label), rangemode="tozero")
    return figure


def days(frame: pd.DataFrame, label: str, look: Look) -> go.Figure:
    """Events per day as thin bars; days without events stay empty."""
    figure = _figure(look, height=220)
    figure.add_bar(
        x=frame["day"],
        y=frame["events"],
        marker={"color": PALETTE[0], "line": {"width": 0}},
        hovertemplate="%{x|%Y-%m-%d}<br>%{y:,}<extra></extra>",
    )
    figure.update_layout(bargap=0.05, showlegend=False)
    figure.update_yaxes(title_text=hover(label), rangemode="tozero")
    return figure


def bars(
    labels: Sequence[str],
    values: Sequence[float],
    shown: Sequence[str],
    axis: str,
    look: Look,
    *,
    low: Sequence[float] | None = None,
    high: Sequence[float] | None = None,
    colours: Sequence[str] | None = None,
    line_at: float | None = None,
) -> go.Figure:
    """Horizontal bars, first on top, each with its figure in words; optional intervals and a reference line."""
    figure = _figure(look, height=60 + 30 * max(len(labels), 2))
    places = list(range(len(labels)))
    error = None
    if low is not None and high is not None:
        pairs = list(zip(values, low, high, strict=True))
        error = {
            "type": "data",
            "symmetric": False,
            "array": [max(h - v, 0) for v, _l, h in pairs],
            "arrayminus": [max(v - less, 0) for v, less, _h in pairs],
            "color": look.quiet,
            "thickness": 1.4,
            "width": 4,
        }
    figure.add_bar(
        x=list(values),
        y=places,
        orientation="h",
        marker={"color": list(colours) if colours else PALETTE[0]},
        error_x=error,
        text=[hover(s) for s in shown] if error is None else None,
        textposition="auto",
        cliponaxis=False,
        customdata=np.array([[hover(n), hover(s)] for n, s in zip(labels, shown, strict=True)]) if labels else None,
        hovertemplate="%{customdata[0]}<br>%{customdata[1]}<extra></extra>",
    )
    figure.update_yaxes(
        tickvals=places, ticktext=[hover(name) for name in labels], autorange="reversed", showgrid=False, tickfont={"color": look.ink}
    )
    figure.update_xaxes(title_text=hover(axis), showgrid=True)
    if line_at is not None:
        figure.add_vline(x=line_at, line={"color": look.warn, "dash": "dash", "width": 1.5})
    figure.update_layout(showlegend=False)
    return figure


def heat(grid: npt.NDArray[np.float64], rows: Sequence[str], columns: Sequence[str], label: str, look: Look) -> go.Figure:
    """A grid of counts, such as weekday × hour."""
    figure = _figure(look, height=70 + 32 * len(rows))
    figure.add_heatmap(
        z=grid,
        x=list(columns),
        y=[hover(r) for r in rows],
        colorscale=list(look.ramp),
        xgap=1.5,
        ygap=1.5,
        colorbar={"title": {"text": hover(label), "side": "right"}, "outlinewidth": 0, "thickness": 10, "tickfont": {"color": look.quiet}},
        hovertemplate="%{y} %{x}:00<br>%{z:,}<extra></extra>",
    )
    figure.update_yaxes(autorange="reversed", showgrid=False)
    figure.update_xaxes(type="category")
    return figure


def waterfall(labels: Sequence[str], values: Sequence[float], kinds: Sequence[str], look: Look) -> go.Figure:
    """From rows read to rows kept; `kinds` are `absolute`, `relative` or `total`."""
    figure = _figure(look, height=280)
    figure.add_waterfall(
        x=[hover(name) for name in labels],
        y=list(values),
        measure=list(kinds),
        connector={"line": {"color": look.line}},
        increasing={"marker": {"color": PALETTE[0]}},
        decreasing={"marker": {"color": PALETTE[1]}},
        totals={"marker": {"color": PALETTE[0]}},
        text=[f"{value:,.0f}" for value in values],
        textposition="outside",
        cliponaxis=False,
        hovertemplate="%{x}<br>%{y:,}<extra></extra>",
    )
    figure.update_layout(showlegend=False, margin={"t": 32})
    return figure


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


def reliability(frame: pd.DataFrame, labels: dict[str, str], look: Look) -> go.Figure:
    """Foretold against happened, with Wilson bands; a perfect forecast lies on the diagonal."""
    figure = _figure(look, height=340)
    figure.add_scatter(
        x=[0, 1],
        y=[0, 1],
        mode="lines",
        line={"color": look.quiet, "dash": "dash", "width": 1.3},
        name=hover(labels["perfect"]),
        hoverinfo="skip",
    )
    figure.add_scatter(
        x=frame["mean_propensity"],
        y=frame["rate"],
        mode="lines+markers",
        name=hover(labels["model"]),
        marker={"size": 8, "color": PALETTE[0]},
        line={"color": PALETTE[0], "width": 1.6},
        customdata=frame[["n", "low", "high"]].to_numpy(),
        error_y={
            "type": "data",
            "symmetric": False,
            "array": (frame["high"] - frame["rate"]).clip(lower=0),
            "arrayminus": (frame["rate"] - frame["low"]).clip(lower=0),
            "color": PALETTE[0],
            "thickness": 1.2,
            "width": 4,
        },
        hovertemplate=hover(labels["x"])
        + ": %{x:.1%}<br>"
        + hover(labels["y"])
        + ": %{y:.1%} [%{customdata[1]:.1%}, %{customdata[2]:.1%}]<br>n = %{customdata[0]:,}<extra></extra>",
    )
    top = min(1.0, float(max(frame["mean_propensity"].max(), frame["high"].max())) * 1.08) if len(frame) else 1.0
    figure.update_xaxes(title_text=hover(labels["x"]), range=[0, top], tickformat=".0%", showgrid=True)
    figure.update_yaxes(title_text=hover(labels["y"]), range=[0, top], tickformat=".0%")
    return figure


def gains(frame: pd.DataFrame, depth: float, labels: dict[str, str], look: Look) -> go.Figure:
    """Share of all buyers found against share of shoppers contacted, with the chosen depth marked."""
    figure = _figure(look, height=340)
    figure.add_scatter(
        x=[0, 1],
        y=[0, 1],
        mode="lines",
        line={"color": look.quiet, "dash": "dash", "width": 1.3},
        name=hover(labels["random"]),
        hoverinfo="skip",
    )
    figure.add_scatter(
        x=np.append(0.0, frame["depth"].to_numpy()),
        y=np.append(0.0, frame["gain"].to_numpy()),
        mode="lines",
        name=hover(labels["model"]),
        line={"color": PALETTE[0], "width": 2.4},
        hovertemplate=hover(labels["x"]) + ": %{x:.0%}<br>" + hover(labels["y"]) + ": %{y:.1%}<extra></extra>",
    )
    figure.add_vline(x=depth, line={"color": look.warn, "width": 1.8})
    figure.update_xaxes(title_text=hover(labels["x"]), range=[0, 1], tickformat=".0%", showgrid=True)
    figure.update_yaxes(title_text=hover(labels["y"]), range=[0, 1.02], tickformat=".0%")
    return figure


def histogram(
    edges: npt.NDArray[np.float64], counts: npt.NDArray[np.int64], axis: str, label: str, look: Look, *, line_at: float | None = None
) -> go.Figure:
    """Counts by chance, in equal steps."""
    figure = _figure(look, height=260)
    centres, width = (edges[:-1] + edges[1:]) / 2, np.diff(edges)
    figure.add_bar(
        x=centres,
        y=counts,
        width=width * 0.94,
        marker={"color": PALETTE[0]},
        customdata=np.column_stack([edges[:-1], edges[1:]]),
        hovertemplate="%{customdata[0]:.1%} – %{customdata[1]:.1%}<br>%{y:,}<extra></extra>",
    )
    if line_at is not None:
        figure.add_vline(x=line_at, line={"color": look.warn, "dash": "dash", "width": 1.5})
    figure.update_xaxes(title_text=hover(axis), tickformat=".0%")
    figure.update_yaxes(title_text=hover(label), rangemode="tozero")
    figure.update_layout(showlegend=False)
    return figure


def timeline(frame: pd.DataFrame, order: Sequence[tuple[str, str]], look: Look) -> go.Figure:
    """A shopper's events on one lane per kind: columns local_time, event_type, card."""
    figure = _figure(look, height=90 + 34 * max(len(order), 1))
    for place, (kind, name) in enumerate(order):
        part = frame[frame["event_type"] == kind]
        figure.add_scatter(
            x=part["local_time"],
            y=np.full(len(part), place),
            mode="markers",
            name=hover(name),
            customdata=part["card"].to_numpy(),
            marker={"size": 9, "color": PALETTE[place % len(PALETTE)], "opacity": 0.7},
            hovertemplate="%{customdata}<extra></extra>",
        )
    figure.update_yaxes(
        tickvals=list(range(len(order))),
        ticktext=[hover(name) for _kind, name in order],
        range=[-0.6, len(order) - 0.4],
        tickfont={"color": look.ink},
    )
    figure.update_layout(showlegend=False)
    return figure


def learning(frame: pd.DataFrame, labels: dict[str, str], look: Look) -> go.Figure:
    """Training and validation loss by epoch, one pair of lines per network of the ensemble."""
    figure = _figure(look, height=260)
    for place, (_model, part) in enumerate(frame.groupby("model", sort=True)):
        figure.add_scatter(
            x=part["epoch"],
            y=part["train"],
            mode="lines",
            name=hover(labels["train"]),
            line={"color": PALETTE[0], "width": 1.3, "dash": "dot"},
            showlegend=place == 0,
        )
        figure.add_scatter(
            x=part["epoch"],
            y=part["validation"],
            mode="lines",
            name=hover(labels["validation"]),
            line={"color": PALETTE[1], "width": 1.8},
            showlegend=place == 0,
        )
    figure.update_xaxes(title_text=hover(labels["x"]))
    figure.update_yaxes(title_text=hover(labels["y"]))
    return figure


def marker_size(points: int) -> float:
    """Smaller marks for more of them."""
    return 9 if points < 500 else 7 if points < 3000 else 5 if points < 10000 else 4


MISSING_NAME = "–"


def _symbol(place: int) -> str:
    return ("circle", "diamond", "square", "triangle-up")[place // len(PALETTE) % 4]


def _map(look: Look) -> go.Figure:
    figure = _figure(look, height=620)
    hidden: dict[str, Any] = {"showgrid": False, "zeroline": False, "showticklabels": False, "showline": False}
    figure.update_xaxes(**hidden)
    figure.update_yaxes(**hidden, scaleanchor="x", scaleratio=1)
    figure.update_layout(
        dragmode="lasso",
        uirevision="map",
        legend={"itemsizing": "constant", "orientation": "v", "x": 1.01, "y": 0.94, "yanchor": "top", "xanchor": "left"},
        newselection={"line": {"color": look.ink, "width": 1.5, "dash": "dot"}},
    )
    return figure


def _figure(look: Look, height: int) -> go.Figure:
    figure = go.Figure()
    figure.update_layout(template=template(look), height=height)
    return figure
