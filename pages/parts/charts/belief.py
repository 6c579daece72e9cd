"""Whether a chance can be believed: reliability, gains, spread, learning."""

import numpy as np
import numpy.typing as npt
import pandas as pd
import plotly.graph_objects as go

from pages.parts.charts.look import PALETTE, Look, add_band, empty_figure
from pages.parts.text import hover


def reliability(frame: pd.DataFrame, labels: dict[str, str], look: Look) -> go.Figure:
    """Foretold against happened, with Wilson bands; a perfect forecast lies on the diagonal."""
    figure = empty_figure(look, height=340)
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
    figure = empty_figure(look, height=340)
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
    figure = empty_figure(look, height=260)
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


def learning(frame: pd.DataFrame, best: pd.DataFrame, labels: dict[str, str], look: Look) -> go.Figure:
    """Training and validation loss by epoch, one pair of lines per member; `best` holds the row of each member's best epoch."""
    figure = empty_figure(look, height=260)
    for place, (_model, part) in enumerate(frame.groupby("member", sort=True)):
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
    figure.add_scatter(
        x=best["epoch"],
        y=best["validation"],
        mode="markers",
        name=hover(labels["best"]),
        marker={"color": look.ground, "size": 10, "line": {"color": PALETTE[1], "width": 2}},
        hovertemplate=hover(labels["x"]) + " %{x}<br>%{y:.4f}<extra></extra>",
    )
    figure.update_xaxes(title_text=hover(labels["x"]), dtick=1 if frame["epoch"].max() <= 12 else None)
    figure.update_yaxes(title_text=hover(labels["y"]))
    return figure


def profit(frame: pd.DataFrame, marks: dict[str, float], labels: dict[str, str], look: Look) -> go.Figure:
    """Profit by depth: expected of those scored now, and measured in the test window with its band.

    Args:
        frame: depth, users, expected, and measured, low, high where a test window is there.
        marks: Depths to mark, by the word that names them.
        labels: Words of x, y, expected, measured, band.
        look: Colours of the theme.
    """
    figure = empty_figure(look, height=340)
    if "measured" in frame:
        add_band(figure, frame["depth"], frame["low"], frame["high"], PALETTE[0], hover(labels["band"]))
        figure.add_scatter(
            x=frame["depth"],
            y=frame["measured"],
            mode="lines",
            name=hover(labels["measured"]),
            line={"color": PALETTE[0], "width": 2.2},
            customdata=frame[["low", "high"]].to_numpy(),
            hovertemplate="%{x:.0%}<br>%{y:,.2f} [%{customdata[0]:,.2f}, %{customdata[1]:,.2f}]<extra></extra>",
        )
    figure.add_scatter(
        x=frame["depth"],
        y=frame["expected"],
        mode="lines",
        name=hover(labels["expected"]),
        line={"color": PALETTE[1], "width": 2.2, "dash": "dash"},
        customdata=frame["users"].to_numpy(),
        hovertemplate="%{x:.0%}, n = %{customdata:,}<br>%{y:,.2f}<extra></extra>",
    )
    for place, (word, depth) in enumerate(marks.items()):
        figure.add_vline(
            x=depth,
            line={"color": look.warn, "width": 1.6, "dash": "solid" if place == 0 else "dot"},
            annotation={"text": hover(word), "font": {"color": look.quiet, "size": 11}, "yshift": -14 * place, "bgcolor": look.ground},
        )
    figure.add_hline(y=0, line={"color": look.line, "width": 1})
    figure.update_xaxes(title_text=hover(labels["x"]), range=[0, 1], tickformat=".0%", showgrid=True)
    figure.update_yaxes(title_text=hover(labels["y"]), tickformat=",.6~g")
    return figure
