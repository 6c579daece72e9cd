"""Lines and bars over time and over names."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
import plotly.graph_objects as go

from pages.parts.charts.look import PALETTE, Group, Look, add_hidden, cut, date_axis, empty_figure
from pages.parts.text import hover, people, small_cells

LETTER, HALF, WHOLE = 7, 450, 950
"""Width of a letter and of half a screen's chart, pixels."""
SMALL = ",.6~f"
"""Form of ticks below one: 0.0001, not 100μ."""
LONGEST_TEXT = 0.5
BAR_LETTERS = 50
"""Longer words beside a bar would take its room; hovering tells them whole."""


def trend(frame: pd.DataFrame, measure: str, label: str, partial_label: str, look: Look, *, is_share: bool = False) -> go.Figure:
    """A line over periods; periods that the log covers only in part are hollow and dotted."""
    figure = empty_figure(look, height=300)
    dates, values = pd.to_datetime(frame["period"]), frame[measure].astype(float)
    has_clock = bool((dates != dates.dt.normalize()).any())
    tip = f"%{{x|%Y-%m-%d{' %H:%M' if has_clock else ''}}}<br>%{{y:{'.1%' if is_share else ',.6~g'}}}"
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
        hovertemplate=f"{tip}<extra></extra>",
        showlegend=False,
    )
    if (~whole).any():
        figure.add_scatter(
            x=dates[~whole],
            y=values[~whole],
            mode="markers",
            name=hover(partial_label),
            marker={"color": look.ground, "line": {"color": look.accent, "width": 1.8}, "size": 9},
            hovertemplate=f"{tip}<extra>{hover(partial_label)}</extra>",
            showlegend=True,
        )
    date_axis(figure, dates)
    figure.update_yaxes(title_text=hover(label), rangemode="tozero", tickformat=".1~%" if is_share else None)
    return figure


def days(frame: pd.DataFrame, labels: dict[str, str], look: Look) -> go.Figure:
    """Events per day as thin bars, one colour for each kind of event; days without events stay empty.

    Args:
        frame: day, event_type, events.
        labels: Words of the kinds, and of the axis under "events".
        look: Colours of the theme.
    """
    figure = empty_figure(look, height=240)
    sizes = frame.groupby("event_type", observed=True)["events"].sum().sort_values(ascending=False)
    for place, kind in enumerate(sizes.index):
        part = frame[frame["event_type"] == kind]
        figure.add_bar(
            x=part["day"],
            y=part["events"],
            name=hover(labels[kind]),
            marker={"color": PALETTE[place % len(PALETTE)], "line": {"width": 0}},
            hovertemplate="%{x|%Y-%m-%d}<br>%{y:,}<extra>" + hover(labels[kind]) + "</extra>",
        )
    figure.update_layout(barmode="stack", bargap=0.05, showlegend=len(sizes) > 1)
    date_axis(figure, pd.to_datetime(frame["day"]))
    figure.update_yaxes(title_text=hover(labels["events"]), rangemode="tozero")
    return figure


def missing(frame: pd.DataFrame, columns: Sequence[tuple[str, str]], label: str, look: Look) -> go.Figure:
    """Where in time values are missing: a row for each column, a cell for each period, darker where more is missing.

    Args:
        frame: period and, for each column, the share of events without a value.
        columns: (column, word), top to bottom.
        label: Word of the share.
        look: Colours of the theme.
    """
    figure = empty_figure(look, height=130 + 24 * len(columns))
    figure.add_heatmap(
        z=[list(100 * pd.to_numeric(frame[name])) for name, _word in columns],
        x=pd.to_datetime(frame["period"]),
        y=[hover(word) for _name, word in columns],
        zmin=0,
        zmax=100,
        colorscale=list(look.ramp),
        ygap=1.5,
        colorbar={
            "title": {"text": hover(label)},
            "ticksuffix": "%",
            "outlinewidth": 0,
            "thickness": 10,
            "tickfont": {"color": look.quiet},
        },
        hovertemplate="%{y}, %{x|%Y-%m-%d}<br>%{z:.1f}%<extra></extra>",
    )
    figure.update_yaxes(autorange="reversed", showgrid=False)
    date_axis(figure, pd.to_datetime(frame["period"]))
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
    is_share: bool = False,
    wide: bool = False,
) -> go.Figure:
    """Horizontal bars, first on top, each with its figure in words; optional intervals and a reference line.

    `wide` is for a chart over the whole page: its words take a smaller part of the axis.
    """
    figure = empty_figure(look, height=60 + 30 * max(len(labels), 2))
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
    room, places_of_text = _room(labels, values, shown, WHOLE if wide else HALF)
    figure.add_bar(
        x=list(values),
        y=places,
        orientation="h",
        marker={"color": list(colours) if colours else PALETTE[0]},
        error_x=error,
        text=[hover(s) for s in shown] if error is None else None,
        textposition=places_of_text,
        cliponaxis=False,
        customdata=np.array([[hover(n), hover(s)] for n, s in zip(labels, shown, strict=True)]) if labels else None,
        hovertemplate="%{customdata[0]}<br>%{customdata[1]}<extra></extra>",
    )
    figure.update_yaxes(
        tickvals=places,
        ticktext=[hover(cut(name, BAR_LETTERS)) for name in labels],
        autorange="reversed",
        showgrid=False,
        tickfont={"color": look.ink},
    )
    figure.update_xaxes(
        title_text=hover(axis), showgrid=True, tickformat=".0%" if is_share else SMALL if 0 < max(values, default=0) < 1 else None
    )
    if error is None and room > 1:
        figure.update_xaxes(range=[0, room * max(values)])
    if small_cells() and not any(values):
        figure.update_xaxes(range=[0, 1], showticklabels=False)
    if line_at is not None:
        figure.add_vline(x=line_at, line={"color": look.warn, "dash": "dash", "width": 1.5})
    figure.update_layout(showlegend=False)
    return figure


def _room(labels: Sequence[str], values: Sequence[float], shown: Sequence[str], across: int) -> tuple[float, list[str]]:
    """How many times the longest bar the axis must be, and whether each figure stands inside its bar or, where that is short, outside.

    Words may take LONGEST_TEXT of the axis, or room for those of a middling bar would make all bars short.
    """
    most = max(values, default=0)
    if most <= 0 or min(values) < 0:
        return 1.0, ["auto" if value else "outside" for value in values]
    named = max(min(len(label), BAR_LETTERS) for label in labels)
    letter = LETTER / max(across - LETTER * named, across / 3)
    pairs = [(value / most, min(letter * (len(text) + 3), LONGEST_TEXT)) for value, text in zip(values, shown, strict=True)]
    room = 1.0
    for _ in range(3):  # a longer axis leaves less of it to a bar
        room = max([room, *(part / (1 - text) for part, text in pairs if part < text * room)])
    return room, ["inside" if part >= text * room else "outside" for part, text in pairs]


def heat(
    grid: npt.NDArray[np.float64],
    rows: Sequence[str],
    columns: Sequence[str],
    label: str,
    look: Look,
    *,
    hover_form: str = "%{y} %{x}:00<br>%{z:,}",
    cell_form: str | None = None,
) -> go.Figure:
    """A grid of counts or shares, such as weekday × hour; NaN is a hidden one. With `cell_form` each cell says its figure."""
    figure = empty_figure(look, height=70 + 32 * len(rows))
    figure.add_heatmap(
        z=np.where(np.isnan(grid), None, grid) if (gaps := np.isnan(grid)).any() else grid,
        x=[hover(c) for c in columns],
        y=[hover(r) for r in rows],
        colorscale=list(look.ramp),
        xgap=1.5,
        ygap=1.5,
        colorbar={"title": {"text": hover(label), "side": "right"}, "outlinewidth": 0, "thickness": 10, "tickfont": {"color": look.quiet}},
        hovertemplate=f"{hover_form}<extra></extra>",
        hoverongaps=not gaps.any(),
        texttemplate=cell_form,
    )
    if gaps.any():
        figure.data[0].update(zmin=0, zmax=max(float(np.nan_to_num(grid).max()), 1.0))
        add_hidden(figure, gaps.tolist(), rows, columns, [[people(None)] * len(columns)] * len(rows), look)
    figure.update_yaxes(autorange="reversed", showgrid=False)
    figure.update_xaxes(type="category")
    return figure


def waterfall(labels: Sequence[str], values: Sequence[float], kinds: Sequence[str], look: Look) -> go.Figure:
    """From rows read to rows kept, a step a line, first on top; `kinds` are `absolute`, `relative` or `total`.

    The figures are the labels of a second axis on the right: both axes take the room that their words need, at one size.
    """
    figure = empty_figure(look, height=40 + 30 * max(len(labels), 2))
    places = list(range(len(labels)))
    figure.add_waterfall(
        x=list(values),
        y=places,
        orientation="h",
        measure=list(kinds),
        connector={"line": {"color": look.line}},
        increasing={"marker": {"color": PALETTE[0]}},
        decreasing={"marker": {"color": PALETTE[1]}},
        totals={"marker": {"color": PALETTE[0]}},
        customdata=[[hover(name), f"{value:,.0f}"] for name, value in zip(labels, values, strict=True)],
        hovertemplate="%{customdata[0]}<br>%{customdata[1]}<extra></extra>",
    )
    figure.add_scatter(x=[None], y=[None], yaxis="y2", hoverinfo="skip")  # an axis without a trace is not drawn
    side = {"tickvals": places, "range": [len(labels) - 0.5, -0.5], "showgrid": False, "zeroline": False}
    figure.update_layout(
        showlegend=False,
        yaxis={**side, "ticktext": [hover(name) for name in labels], "tickfont": {"color": look.ink}},
        yaxis2={
            **side,
            "ticktext": [f"{value:,.0f}" for value in values],
            "tickfont": {"color": look.ink},
            "side": "right",
            "overlaying": "y",
        },
        xaxis={"showticklabels": False, "rangemode": "tozero"},
    )
    return figure


def timeline(frame: pd.DataFrame, order: Sequence[tuple[str, str]], look: Look) -> go.Figure:
    """A shopper's events on one lane per kind: columns local_time, event_type, card."""
    figure = empty_figure(look, height=90 + 34 * max(len(order), 1))
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
    date_axis(figure, frame["local_time"])
    figure.update_layout(showlegend=False)
    return figure


def contrast(
    labels: Sequence[str], left: Sequence[float], right: Sequence[float], notes: Sequence[str], names: tuple[str, str], axis: str,
    look: Look,
) -> go.Figure:  # fmt: skip
    """Two shares of each trait as dots on one line, first on top; the sides differ in colour and symbol.

    Args:
        labels: The traits.
        left: Shares of the left side, 0 to 1.
        right: Shares of the right side.
        notes: What else hovering tells of each trait.
        names: Of the two sides.
        axis: Title of the horizontal axis.
        look: Colours of the theme.
    """
    figure = empty_figure(look, height=90 + 26 * max(len(labels), 2))
    places = list(range(len(labels)))
    lines_x = [value for one, two in zip(left, right, strict=True) for value in (one, two, None)]
    lines_y = [value for place in places for value in (place, place, None)]
    figure.add_scatter(x=lines_x, y=lines_y, mode="lines", line={"color": look.line, "width": 3}, hoverinfo="skip", showlegend=False)
    for name, values, colour, symbol in ((names[0], left, PALETTE[0], "circle"), (names[1], right, PALETTE[1], "diamond")):
        figure.add_scatter(
            x=list(values),
            y=places,
            mode="markers",
            name=hover(name),
            marker={"size": 11, "color": colour, "symbol": symbol},
            customdata=[[hover(label), hover(note)] for label, note in zip(labels, notes, strict=True)],
            hovertemplate="%{customdata[0]}<br>" + hover(name) + ": %{x:.1%}<br>%{customdata[1]}<extra></extra>",
        )
    figure.update_yaxes(
        tickvals=places,
        ticktext=[hover(name) for name in labels],
        autorange="reversed",
        showgrid=False,
        zeroline=False,
        tickfont={"color": look.ink},
    )
    most = max([*left, *right, 0.01])  # room beside 0 and the largest, so that no mark is cut in half
    figure.update_xaxes(title_text=hover(axis), tickformat=".0%", range=[-0.03 * most, 1.05 * most], showgrid=True)
    return figure


def shares(frame: pd.DataFrame, groups: Sequence[Group], periods: Sequence[str], axis: str, look: Look) -> go.Figure:
    """Shares of groups period by period as lines with their intervals.

    Args:
        frame: period, segment_id, share, low, high, users; every group has a row for each period.
        groups: Colours and names of the segments, in the order of the legend.
        periods: Words of the periods, oldest first.
        axis: Title of the vertical axis.
        look: Colours of the theme.
    """
    figure = empty_figure(look, height=420)
    for group in groups:
        part = frame[frame["segment_id"] == group.id].sort_values("period", kind="stable")
        value, low, high = (part[name].astype(float) for name in ("share", "low", "high"))
        figure.add_scatter(
            x=list(periods),
            y=value,
            mode="lines+markers",
            **group.legend(),
            line={"color": group.colour, "width": 2},
            marker={"size": 7, "symbol": group.symbol},
            error_y={"type": "data", "symmetric": False, "array": high - value, "arrayminus": value - low, "thickness": 1, "width": 3},
            customdata=np.column_stack([part["users"], low, high]),
            hovertemplate="%{x}<br>%{y:.1%} [%{customdata[1]:.1%}, %{customdata[2]:.1%}]<br>n = %{customdata[0]:,}<extra>"
            + hover(group.name)
            + "</extra>",
        )
    figure.update_xaxes(type="category", tickfont={"size": 11})  # twelve months stand side by side
    figure.update_yaxes(title_text=hover(axis), tickformat=".0%", rangemode="tozero")
    figure.update_layout(legend={"orientation": "v", "x": 1.01, "y": 1, "yanchor": "top", "xanchor": "left"})
    return figure
