"""Forecasts through time, and quality by number of labels."""

from math import log10

import pandas as pd
import plotly.graph_objects as go

from pages.parts.charts.look import PALETTE, Look, add_band, date_axis, empty_figure
from pages.parts.text import hover


def backtest(frame: pd.DataFrame, labels: dict[str, str], look: Look) -> go.Figure:
    """Acts foretold for each past window, with the range of pure chance, beside those that happened.

    Args:
        frame: cutoff, happened, and expected, sd (missing where a window was not judged).
        labels: Words of expected, band, happened, y.
        look: Colours of the theme.
    """
    figure = empty_figure(look, height=320)
    known = frame.dropna(subset=["expected"])
    low, high = known["expected"] - 1.96 * known["sd"], known["expected"] + 1.96 * known["sd"]
    add_band(figure, known["cutoff"], low, high, PALETTE[0], hover(labels["band"]))
    figure.add_scatter(
        x=known["cutoff"],
        y=known["expected"],
        mode="lines+markers",
        name=hover(labels["expected"]),
        line={"color": PALETTE[0], "width": 2},
        marker={"size": 6},
        customdata=known[["sd"]].to_numpy(),
        hovertemplate="%{x|%Y-%m-%d}<br>%{y:,.0f} ± %{customdata[0]:,.0f}<extra></extra>",
    )
    figure.add_scatter(
        x=frame["cutoff"],
        y=frame["happened"],
        mode="lines+markers",
        name=hover(labels["happened"]),
        line={"color": PALETTE[1], "width": 2, "dash": "dot"},
        marker={"size": 7, "symbol": "diamond"},
        hovertemplate="%{x|%Y-%m-%d}<br>%{y:,}<extra></extra>",
    )
    date_axis(figure, pd.to_datetime(frame["cutoff"]))
    figure.update_yaxes(title_text=hover(labels["y"]), rangemode="tozero")
    return figure


def by_labels(frame: pd.DataFrame, gate: int, words: dict[str, str], labels: dict[str, str], look: Look) -> go.Figure:
    """AUC by number of positive labels, one line with its band a model, and the gate below which there is no chance on screen.

    Args:
        frame: positives, model, auc, low, high.
        gate: Positives that the product asks for.
        words: Names of models, in the order drawn.
        labels: Words of x, y, gate, guess.
        look: Colours of the theme.
    """
    figure = empty_figure(look, height=340)
    for place, (model, word) in enumerate(words.items()):
        part = frame[frame["model"] == model].sort_values("positives")
        if not len(part):
            continue
        colour = PALETTE[place]
        add_band(figure, part["positives"], part["low"], part["high"], colour)
        figure.add_scatter(
            x=part["positives"],
            y=part["auc"],
            mode="lines+markers",
            name=hover(word),
            line={"color": colour, "width": 2},
            marker={"size": 6},
            customdata=part[["low", "high"]].to_numpy(),
            hovertemplate="n = %{x:,}<br>%{y:.3f} [%{customdata[0]:.3f}, %{customdata[1]:.3f}]<extra>" + hover(word) + "</extra>",
        )
    figure.add_vline(x=gate, line={"color": look.warn, "dash": "dash", "width": 1.6})
    figure.add_annotation(
        x=log10(gate), y=1, yref="paper", text=hover(labels["gate"]), showarrow=False, xanchor="left", xshift=4, font={"size": 11}
    )  # on a logarithmic axis annotations count in powers of ten, lines do not
    figure.add_hline(y=0.5, line={"color": look.quiet, "dash": "dot", "width": 1.2})
    sizes = sorted(frame["positives"].unique())
    span = [log10(min(sizes[0], gate) / 1.15), log10(max(sizes[-1], gate) * 1.15)]
    figure.update_xaxes(title_text=hover(labels["x"]), type="log", range=span, tickvals=sizes, ticktext=[f"{size:,}" for size in sizes])
    figure.update_yaxes(title_text=hover(labels["y"]))
    return figure
