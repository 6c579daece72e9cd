"""Funnels, retention, flows between acts."""

from collections.abc import Sequence

import plotly.graph_objects as go

from pages.parts.charts.look import PALETTE, Look, empty_figure
from pages.parts.text import hover


def steps(
    labels: Sequence[str], users: Sequence[int], lost: Sequence[int], notes: Sequence[str], words: tuple[str, str], look: Look
) -> go.Figure:
    """A funnel as bars, first step on top; what was lost before a step stands pale beside it. Trace 0 are the takers, 1 the lost.

    Args:
        labels: Of the steps.
        users: Shoppers who took each.
        lost: Shoppers who took the step before and not this one.
        notes: What hovering tells of each step.
        words: Of both colours.
        look: Colours of the theme.
    """
    figure = empty_figure(look, height=90 + 46 * len(labels))
    places = list(range(len(labels)))
    for values, colour, word in ((users, PALETTE[0], words[0]), (lost, look.line, words[1])):
        figure.add_bar(
            x=list(values),
            y=places,
            orientation="h",
            name=hover(word),
            marker={"color": colour, "line": {"width": 0}},
            text=[f"{value:,}" if value else "" for value in values],
            textposition="inside" if colour != look.line else "auto",
            insidetextanchor="end" if colour != look.line else "middle",
            customdata=[[hover(label), hover(note)] for label, note in zip(labels, notes, strict=True)],
            hovertemplate="%{customdata[0]}<br>%{x:,} " + hover(word) + "<br>%{customdata[1]}<extra></extra>",
        )
    figure.update_layout(barmode="stack", clickmode="event+select")
    figure.update_yaxes(
        tickvals=places, ticktext=[hover(label) for label in labels], autorange="reversed", showgrid=False, tickfont={"color": look.ink}
    )
    return figure
