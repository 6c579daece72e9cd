"""Funnels, retention, flows between acts."""

import math
from collections.abc import Sequence

import pandas as pd
import plotly.graph_objects as go

from pages.parts.charts.look import PALETTE, Look, add_hidden, add_pale, empty_figure
from pages.parts.text import hover, is_missing, people


def steps(
    labels: Sequence[str],
    users: Sequence[int | None],
    lost: Sequence[int | None],
    notes: Sequence[str],
    words: tuple[str, str],
    look: Look,
) -> go.Figure:
    """A funnel as bars, first step on top; what was lost before a step stands pale beside it. Trace 0 are the takers, 1 the lost.

    Args:
        labels: Of the steps.
        users: Shoppers who took each; None is a hidden count, whose bar has no length.
        lost: Shoppers who took the step before and not this one.
        notes: What hovering tells of each step.
        words: Of both colours.
        look: Colours of the theme.
    """
    figure = empty_figure(look, height=90 + 46 * len(labels))
    places = list(range(len(labels)))
    for values, colour, word in ((users, PALETTE[0], words[0]), (lost, look.line, words[1])):
        figure.add_bar(
            x=[value or 0 for value in values],
            y=places,
            orientation="h",
            name=hover(word),
            marker={"color": colour, "line": {"width": 0}},
            text=["" if value == 0 else hover(people(value)) for value in values],
            textposition=["outside" if value is None else "inside" if colour != look.line else "auto" for value in values],
            insidetextanchor="end" if colour != look.line else "middle",
            customdata=[[hover(label), hover(note), hover(people(n))] for label, note, n in zip(labels, notes, values, strict=True)],
            hovertemplate="%{customdata[0]}<br>%{customdata[2]} " + hover(word) + "<br>%{customdata[1]}<extra></extra>",
        )
    if all(not value for value in (*users, *lost)):
        figure.update_xaxes(range=[0, 1], showticklabels=False)
    figure.update_layout(barmode="stack", clickmode="event+select")
    figure.update_yaxes(
        tickvals=places, ticktext=[hover(label) for label in labels], autorange="reversed", showgrid=False, tickfont={"color": look.ink}
    )
    return figure


def shares_grid(
    rows: Sequence[str],
    columns: Sequence[str],
    values: Sequence[Sequence[float | None]],
    notes: Sequence[Sequence[str]],
    label: str,
    look: Look,
    *,
    pale: Sequence[Sequence[bool]] | None = None,
    form: str = ".0%",
) -> go.Figure:
    """A table of figures as a heat map, each figure in its cell; pale cells bear a star and do not set the colours.

    Args:
        rows: Words, top to bottom.
        columns: Words, left to right.
        values: By row and column; None stays empty, NaN is a hidden figure.
        notes: What hovering tells.
        label: Of the colours.
        look: Colours of the theme.
        pale: Cells that are not complete.
        form: How a value is written.
    """
    figure = empty_figure(look, height=90 + 28 * max(len(rows), 2))
    hidden = [[value is not None and is_missing(value) for value in line] for line in values]
    values = [[None if is_missing(value) else value for value in line] for line in values]
    top = max(
        (
            v
            for line, p in zip(values, pale or [[False] * len(line) for line in values], strict=True)
            for v, unsure in zip(line, p, strict=True)
            if v is not None and not unsure
        ),
        default=1,
    )
    written = [
        ["" if value is None else f"{value:{form}}" + ("*" if pale and pale[i][j] else "") for j, value in enumerate(line)]
        for i, line in enumerate(values)
    ]
    text = [[word if not (pale and pale[i][j]) else "" for j, word in enumerate(line)] for i, line in enumerate(written)]
    figure.add_heatmap(
        z=[[None if pale and pale[i][j] else value for j, value in enumerate(line)] for i, line in enumerate(values)],
        x=[hover(word) for word in columns],
        y=[hover(word) for word in rows],
        zmin=0,
        zmax=top,
        colorscale=list(look.ramp),
        xgap=1.5,
        ygap=1.5,
        text=text,
        texttemplate="%{text}",
        customdata=[[hover(note) for note in line] for line in notes],
        hovertemplate="%{customdata}<extra></extra>",
        hoverongaps=False,
        colorbar={
            "title": {"text": hover(label)},
            "outlinewidth": 0,
            "thickness": 10,
            "tickfont": {"color": look.quiet},
            "tickformat": form,
        },
    )
    if pale:
        unsure = [[value if pale[i][j] else None for j, value in enumerate(line)] for i, line in enumerate(values)]
        words = [[word if pale[i][j] else "" for j, word in enumerate(line)] for i, line in enumerate(written)]
        add_pale(figure, unsure, words, rows, columns, notes, look)
    if any(map(any, hidden)):
        add_hidden(figure, hidden, rows, columns, notes, look)
    figure.update_yaxes(autorange="reversed", showgrid=False, type="category", tickfont={"color": look.ink})
    figure.update_xaxes(type="category", side="top")
    return figure


def flow(table: pd.DataFrame, words: dict[str, str], look: Look) -> go.Figure:
    """Links between acts step by step as a Sankey diagram.

    Args:
        table: step, source, target, sessions.
        words: Of the acts.
        look: Colours of the theme.
    """
    nodes: dict[tuple[int, str], int] = {}
    for row in table.itertuples():
        nodes.setdefault((row.step - 1, row.source), len(nodes))
        nodes.setdefault((row.step, row.target), len(nodes))
    order = {act: place for place, act in enumerate(dict.fromkeys(act for _step, act in nodes))}
    colours = [look.quiet if act == "" else PALETTE[order[act] % len(PALETTE)] for _step, act in nodes]
    sizes: dict[tuple[int, str], int] = {}
    for row in table.itertuples():
        sizes[row.step, row.target] = sizes.get((row.step, row.target), 0) + row.sessions
        if row.step == 1:
            sizes[0, row.source] = sizes.get((0, row.source), 0) + row.sessions
    everyone, filled, heights = max(sum(table.loc[table["step"] == 1, "sessions"]), 1), dict.fromkeys(range(99), 0.0), {}
    for node in sorted(nodes, key=lambda node: (node[0], node[1] == "", -sizes.get(node, 0))):
        height = 0.8 * sizes.get(node, 0) / everyone + 0.03
        heights[node] = min(max(filled[node[0]] + height / 2, 0.01), 0.98)
        filled[node[0]] += height
    steps_shown = max((step for step, _act in nodes), default=1)
    figure = empty_figure(look, height=430)
    figure.add_sankey(
        arrangement="snap",
        node={
            "label": [hover(words.get(act, act)) for _step, act in nodes],
            "color": colours,
            "pad": 14,
            "thickness": 14,
            "line": {"width": 0},
            "x": [0.001 + 0.998 * step / steps_shown for step, _act in nodes],
            "y": [heights[node] for node in nodes],
            "hovertemplate": "%{label}<br>%{value:,}<extra></extra>",
        },
        link={
            "source": [nodes[row.step - 1, row.source] for row in table.itertuples()],
            "target": [nodes[row.step, row.target] for row in table.itertuples()],
            "value": list(table["sessions"]),
            "color": "rgba(120,140,160,0.28)",
            "hovertemplate": "%{source.label} → %{target.label}<br>%{value:,}<extra></extra>",
        },
        textfont={"color": look.ink, "size": 12, "shadow": "none"},
    )
    return figure


def points(
    labels: Sequence[str],
    values: Sequence[float | None],
    low: Sequence[float | None],
    high: Sequence[float | None],
    notes: Sequence[str],
    axis: str,
    look: Look,
    *,
    line_at: float | None = None,
    log_scale: bool = False,
) -> go.Figure:
    """Figures as dots with their intervals, one a line, first on top; a hidden one, None, keeps its line."""
    values, low, high = ([math.nan if value is None else value for value in column] for column in (values, low, high))
    figure = empty_figure(look, height=90 + 30 * max(len(labels), 2))
    places = list(range(len(labels)))
    figure.add_scatter(
        x=list(values),
        y=places,
        mode="markers",
        marker={"size": 10, "color": PALETTE[0]},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": [h - v for h, v in zip(high, values, strict=True)],
            "arrayminus": [v - less for v, less in zip(values, low, strict=True)],
            "color": look.quiet,
            "thickness": 1.6,
            "width": 4,
        },
        customdata=[[hover(label), hover(note)] for label, note in zip(labels, notes, strict=True)],
        hovertemplate="%{customdata[0]}<br>%{customdata[1]}<extra></extra>",
    )
    figure.update_yaxes(
        tickvals=places, ticktext=[hover(label) for label in labels], autorange="reversed", showgrid=False, tickfont={"color": look.ink}
    )
    figure.update_xaxes(title_text=hover(axis), showgrid=True, type="log" if log_scale else "linear")
    if line_at is not None:
        figure.add_vline(x=line_at, line={"color": look.warn, "dash": "dash", "width": 1.5})
    figure.update_layout(showlegend=False)
    return figure


def spans(labels: Sequence[str], quantiles: Sequence[Sequence[float]], axis: str, look: Look) -> go.Figure:
    """Distributions as boxes from five quantiles each (tenth, quarter, middle, three quarters, nine tenths), first on top."""
    figure = empty_figure(look, height=100 + 44 * max(len(labels), 2))
    columns = list(zip(*quantiles, strict=True))
    figure.add_box(
        y=[hover(label) for label in labels],
        lowerfence=columns[0],
        q1=columns[1],
        median=columns[2],
        q3=columns[3],
        upperfence=columns[4],
        orientation="h",
        marker={"color": PALETTE[0]},
        fillcolor=look.panel,
    )
    figure.update_xaxes(title_text=hover(axis), rangemode="tozero", showgrid=True)
    figure.update_yaxes(autorange="reversed", showgrid=False, type="category", tickfont={"color": look.ink})
    figure.update_layout(showlegend=False)
    return figure
