"""Charts of a report as plotly reads them: plain JSON, so that core loads no plotting library."""

from dataclasses import replace
from html import escape
from typing import Any

from core.report.record import NOTHING, Chart, Tell, shown

BLUE, QUIET, LINE = "#2479AA", "#6B7885", "rgba(128,140,152,0.25)"
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
RAMP = [[0.0, "#D5E4EE"], [0.35, "#7FB2D0"], [0.7, "#2479AA"], [1.0, "#0B3A57"]]


def plotly_figure(chart: Chart, tell: Tell) -> dict[str, Any]:
    """Return `data` and `layout` of a chart; words of the data are escaped, as plotly reads some HTML."""
    labels = [escape(cut(tell(label)), quote=False) for label in chart.labels]
    draw = {"bars": _bars, "line": _line, "grid": _grid, "points": _points}[chart.kind]
    data, layout = draw(replace(chart, columns=tuple(map(tell, chart.columns))), labels, escape(tell(chart.axis), quote=False))
    axis = {"gridcolor": LINE, "zeroline": False, "automargin": True, "linecolor": LINE}
    for name in ("xaxis", "yaxis"):
        layout[name] = {**axis, **layout.get(name, {})}
    common = {
        "margin": {"l": 10, "r": 20, "t": 10, "b": 30},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": "system-ui, 'Segoe UI', 'PingFang SC', 'Microsoft YaHei', 'Noto Sans CJK SC', sans-serif", "size": 12},
        "showlegend": False,
        "hoverlabel": {"align": "left"},
    }
    return {"data": data, "layout": {**common, **layout}}


def cut(text: str, most: int = 40) -> str:
    """A label that leaves room for the picture."""
    return text if len(text) <= most else text[: most - 1] + "…"


def _bars(chart: Chart, labels: list[str], axis: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    places = list(range(len(labels)))
    told = [escape(chart.told(value), quote=False) for value in chart.values]
    trace: dict[str, Any] = {
        "type": "bar",
        "orientation": "h",
        "x": list(chart.values),
        "y": places,
        "marker": {"color": BLUE},
        "cliponaxis": False,
        "customdata": [[label, text] for label, text in zip(labels, told, strict=True)],
        "hovertemplate": "%{customdata[0]}<br>%{customdata[1]}<extra></extra>",
    }
    if chart.low:
        pairs = [(value or 0, low or 0, high or 0) for value, low, high in zip(chart.values, chart.low, chart.high, strict=True)]
        trace["error_x"] = {
            "type": "data",
            "symmetric": False,
            "array": [max(high - value, 0) for value, _low, high in pairs],
            "arrayminus": [max(value - low, 0) for value, low, _high in pairs],
            "color": QUIET,
            "thickness": 1.4,
            "width": 4,
        }
    else:
        trace |= {"text": told, "textposition": "auto"}
        if chart.nothing != NOTHING and None in chart.values:  # a hidden count: its words stand where its bar would begin
            trace |= {
                "x": [value or 0 for value in chart.values],
                "textposition": ["outside" if value is None else "auto" for value in chart.values],
            }
    layout = {
        "height": 60 + 28 * max(len(labels), 2),
        "xaxis": {"title": {"text": axis}, "rangemode": "tozero", "tickformat": _tick(chart)},
        "yaxis": {"tickvals": places, "ticktext": labels, "autorange": "reversed", "showgrid": False},
    }
    return [trace], layout


def _line(chart: Chart, labels: list[str], axis: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    hollow = chart.hollow or (False,) * len(labels)
    told = [escape(chart.told(value), quote=False) for value in chart.values]
    trace = {
        "type": "scatter",
        "mode": "lines+markers" if len(labels) <= 60 else "lines",
        "x": labels,
        "y": list(chart.values),
        "line": {"color": BLUE, "width": 2},
        "marker": {"size": 7, "symbol": ["circle-open" if open_ else "circle" for open_ in hollow]},
        "customdata": told,
        "hovertemplate": "%{x}<br>%{customdata}<extra></extra>",
    }
    layout = {
        "height": 300,
        "xaxis": {"type": "date"} if labels and labels[0][:4].isdigit() else {"type": "category"},
        "yaxis": {"title": {"text": axis}, "rangemode": "tozero", "tickformat": _tick(chart)},
    }
    return [trace], layout


def _grid(chart: Chart, labels: list[str], axis: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    trace = {
        "type": "heatmap",
        "z": [list(row) for row in chart.values],
        "x": [escape(name, quote=False) for name in chart.columns],
        "y": labels,
        "colorscale": RAMP,
        "xgap": 1.5,
        "ygap": 1.5,
        "text": [[shown(value, chart.form) for value in row] for row in chart.values],
        "hovertemplate": "%{y} · %{x}<br>%{text}<extra></extra>",
        "colorbar": {"title": {"text": axis, "side": "right"}, "outlinewidth": 0, "thickness": 10, "tickformat": _tick(chart)},
    }
    layout = {
        "height": 90 + 26 * len(labels),
        "xaxis": {"type": "category", "showgrid": False},
        "yaxis": {"type": "category", "autorange": "reversed", "showgrid": False},
    }
    return [trace], layout


def _points(chart: Chart, labels: list[str], axis: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    traces = [
        {
            "type": "scatter",
            "mode": "markers",
            "name": label,
            "x": [x for x, _y, group in chart.values if group == place],
            "y": [y for _x, y, group in chart.values if group == place],
            "marker": {"color": PALETTE[place % len(PALETTE)], "size": 4, "opacity": 0.75}
            | ({"symbol": "x"} if place >= len(PALETTE) else {}),  # colours come again
            "hovertemplate": "%{fullData.name}<extra></extra>",
        }
        for place, label in enumerate(labels)
    ]
    bare = {"visible": False, "showgrid": False}
    layout = {"height": 460, "xaxis": bare, "yaxis": {**bare, "scaleanchor": "x"}, "showlegend": True, "legend": {"title": {"text": axis}}}
    return traces, layout


def _tick(chart: Chart) -> str:
    return ".0%" if chart.form == "percent" else ",~s"
