"""Contributions laid end to end: each bar goes from one chance to the next."""

from collections.abc import Sequence

import plotly.graph_objects as go

from pages.parts.charts.look import PALETTE, Look, empty_figure
from pages.parts.text import hover


def chance_steps(labels: Sequence[str], starts: Sequence[float], ends: Sequence[float], notes: Sequence[str], look: Look) -> go.Figure:
    """Bars from `starts` to `ends` (chances), first on top; those that raise are blue, those that lower orange, the rest grey.

    The first and last bar are no steps: they begin at 0.
    """
    figure = empty_figure(look, height=70 + 30 * len(labels))
    places = list(range(len(labels)))
    colours = [
        look.quiet if place in (0, len(labels) - 1) else PALETTE[0] if end >= start else PALETTE[1]
        for place, (start, end) in enumerate(zip(starts, ends, strict=True))
    ]
    figure.add_bar(
        x=[end - start for start, end in zip(starts, ends, strict=True)],
        base=list(starts),
        y=places,
        orientation="h",
        marker={"color": colours},
        customdata=[[hover(label), hover(note)] for label, note in zip(labels, notes, strict=True)],
        hovertemplate="%{customdata[0]}<br>%{customdata[1]}<extra></extra>",
    )
    figure.add_scatter(x=[None], y=[None], yaxis="y2", hoverinfo="skip")  # an axis without a trace is not drawn
    side = {"tickvals": places, "range": [len(labels) - 0.5, -0.5], "showgrid": False, "zeroline": False}
    figure.update_layout(
        showlegend=False,
        bargap=0.35,
        yaxis={**side, "ticktext": [hover(label) for label in labels], "tickfont": {"color": look.ink}},
        yaxis2={
            **side,
            "ticktext": [hover(note) for note in notes],
            "tickfont": {"color": look.ink},
            "side": "right",
            "overlaying": "y",
        },
        xaxis={"tickformat": ".0%" if max([*starts, *ends]) > 0.1 else ".1%", "showgrid": True, "rangemode": "tozero"},
    )
    return figure
