"""What a treatment changed: groups before it, overlap, the uplift curve; and figures that depend on one number at a time."""

from collections.abc import Sequence
from textwrap import wrap

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from pages.parts.charts.look import PALETTE, Look, add_band, empty_figure, faint, template
from pages.parts.text import hover


def uplift_curve(frame: pd.DataFrame, labels: dict[str, str], form: str, look: Look) -> go.Figure:
    """Outcomes more by depth of contact, with its band, beside those of contacting by lot.

    Args:
        frame: depth, gain, low, high, random.
        labels: Words of x, y, model, band, random.
        form: Of the figures, as d3 has it.
        look: Colours of the theme.
    """
    figure = empty_figure(look, height=340)
    add_band(figure, frame["depth"], frame["low"], frame["high"], PALETTE[0], hover(labels["band"]))
    figure.add_scatter(
        x=frame["depth"],
        y=frame["random"],
        mode="lines",
        name=hover(labels["random"]),
        line={"color": look.quiet, "dash": "dash", "width": 1.4},
        hoverinfo="skip",
    )
    figure.add_scatter(
        x=frame["depth"],
        y=frame["gain"],
        mode="lines",
        name=hover(labels["model"]),
        line={"color": PALETTE[0], "width": 2.4},
        customdata=frame[["low", "high"]].to_numpy(),
        hovertemplate="%{x:.0%}<br>%{y:" + form + "} [%{customdata[0]:" + form + "}, %{customdata[1]:" + form + "}]<extra></extra>",
    )
    figure.add_hline(y=0, line={"color": look.line, "width": 1})
    figure.update_xaxes(title_text=hover(labels["x"]), range=[0, 1], tickformat=".0%", showgrid=True)
    figure.update_yaxes(title_text=hover(labels["y"]), tickformat=form)
    return figure


def two_groups(frame: pd.DataFrame, labels: dict[str, str], look: Look) -> go.Figure:
    """Shares of both groups by chance of treatment, one over the other.

    Args:
        frame: low, high, treated, others.
        labels: Words of x, y, treated, others.
        look: Colours of the theme.
    """
    figure = empty_figure(look, height=300)
    for place, name in enumerate(("others", "treated")):
        figure.add_bar(
            x=(frame["low"] + frame["high"]) / 2,
            y=frame[name] / max(int(frame[name].sum()), 1),
            width=frame["high"] - frame["low"],
            name=hover(labels[name]),
            marker={"color": PALETTE[place], "line": {"width": 0}},
            opacity=0.62,
            customdata=frame[["low", "high", name]].to_numpy(),
            hovertemplate="%{customdata[0]:.0%} – %{customdata[1]:.0%}<br>%{y:.1%}, n = %{customdata[2]:,}<extra></extra>",
        )
    figure.update_layout(barmode="overlay", bargap=0)
    figure.update_xaxes(title_text=hover(labels["x"]), range=[0, 1], tickformat=".0%")
    figure.update_yaxes(title_text=hover(labels["y"]), tickformat=".0%", rangemode="tozero")
    return figure


def gaps(
    names: Sequence[str], plain: Sequence[float], weighed: Sequence[float], mark: float, labels: dict[str, str], look: Look
) -> go.Figure:
    """Standardised differences of features, first on top, as they are and after weighing; lines mark what counts as alike.

    Args:
        names: Words of the features.
        plain: Differences in standard deviations.
        weighed: After weighing.
        mark: Size up to which a feature counts as alike.
        labels: Words of x, plain, weighed.
        look: Colours of the theme.
    """
    figure = empty_figure(look, height=90 + 26 * max(len(names), 2))
    places = list(range(len(names)))
    for values, name, symbol, colour in ((plain, "plain", "circle", PALETTE[1]), (weighed, "weighed", "diamond", PALETTE[0])):
        figure.add_scatter(
            x=list(values),
            y=places,
            mode="markers",
            name=hover(labels[name]),
            marker={"size": 9, "symbol": symbol, "color": colour},
            text=[hover(word) for word in names],
            hovertemplate="%{text}<br>%{x:+.2f}<extra></extra>",
        )
    for edge in (-mark, mark):
        figure.add_vline(x=edge, line={"color": look.warn, "dash": "dot", "width": 1.2})
    figure.add_vline(x=0, line={"color": look.line, "width": 1})
    figure.update_xaxes(title_text=hover(labels["x"]), showgrid=True)
    figure.update_yaxes(tickvals=places, ticktext=[hover(name) for name in names], autorange="reversed", showgrid=False)
    return figure


TITLE_LETTERS = 36
"""Letters of a line of a small picture's heading: longer ones run into the next picture."""


def small_lines(parts: Sequence[tuple[str, pd.DataFrame]], x: str, axis: str, form: str, look: Look, *, columns: int = 3) -> go.Figure:
    """Small pictures side by side on one scale: a line with its band for each of several numbers.

    Args:
        parts: Heading, and a table of the column `x`, value, low, high.
        x: Column that goes along.
        axis: Word of the vertical axis.
        form: Of the vertical figures, as d3 has it.
        look: Colours of the theme.
        columns: Pictures in a row.
    """
    rows = -(-len(parts) // columns)
    figure = make_subplots(
        rows=rows,
        cols=columns,
        shared_yaxes=True,
        subplot_titles=["<br>".join(hover(line) for line in wrap(name, TITLE_LETTERS)) for name, _part in parts],
        horizontal_spacing=0.04,
        vertical_spacing=0.3 / max(rows, 1),
    )
    for number, (name, part) in enumerate(parts):
        row, column = divmod(number, columns)
        where = {"row": row + 1, "col": column + 1}
        figure.add_scatter(
            x=pd.concat([part[x], part[x][::-1]]),
            y=pd.concat([part["high"], part["low"][::-1]]),
            fill="toself",
            mode="none",
            fillcolor=faint(PALETTE[0]),
            hoverinfo="skip",
            showlegend=False,
            **where,
        )
        figure.add_scatter(
            x=part[x],
            y=part["value"],
            mode="lines+markers",
            line={"color": PALETTE[0], "width": 2},
            marker={"size": 5},
            customdata=part[["low", "high"]].to_numpy(),
            hovertemplate=hover(name)
            + ": %{x:,.4~g}<br>%{y:"
            + form
            + "} [%{customdata[0]:"
            + form
            + "}, %{customdata[1]:"
            + form
            + "}]<extra></extra>",
            showlegend=False,
            **where,
        )
    figure.update_layout(template=template(look), height=90 + 190 * rows, margin={"t": 34})
    figure.update_annotations(font={"size": 12, "color": look.ink})
    figure.update_yaxes(tickformat=form)
    figure.update_yaxes(title_text=hover(axis), col=1)
    return figure
