"""One template in two looks; colours checked for contrast and colour blindness."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
import plotly.graph_objects as go

from core.report.charts import PALETTE as PALETTE
from pages.parts.text import hover, people

RAMP_LIGHT = ((0.0, "#D5E4EE"), (0.35, "#7FB2D0"), (0.7, "#2479AA"), (1.0, "#0B3A57"))
RAMP_DARK = ((0.0, "#1F3342"), (0.35, "#2B6C95"), (0.7, "#67B3DE"), (1.0, "#E3F4FF"))
SCATTER_LIGHT = ((0.0, "#8FA3B3"), (0.25, "#5D9FC2"), (0.6, "#2479AA"), (1.0, "#0B3A57"))
SCATTER_DARK = ((0.0, "#5B6C7B"), (0.25, "#3F86B3"), (0.6, "#7CC0E8"), (1.0, "#F1FAFF"))
FONT = "Inter, 'Segoe UI', 'Helvetica Neue', Roboto, 'PingFang SC', 'Microsoft YaHei', 'Noto Sans CJK SC', Arial, sans-serif"

LEGEND_LETTERS = 38
"""Longer lines would take the room of the picture."""
LEGEND_LINES = 3
"""Names of fine segments made of several traits have up to 90 letters."""
DAY, MONTH = 86_400_000, "M1"
DATE_TICKS = [
    {"dtickrange": [None, 60_000], "value": "%H:%M:%S\n%Y-%m-%d"},
    {"dtickrange": [60_000, DAY - 1], "value": "%H:%M\n%Y-%m-%d"},
    {"dtickrange": [DAY, MONTH], "value": "%m-%d\n%Y"},
    {"dtickrange": [MONTH, None], "value": "%Y-%m"},
]
"""Dates in figures, which are the same in every language; what follows the line break is written where it changes."""


@dataclass(frozen=True)
class Look:
    """The colours of one theme."""

    mode: str
    ground: str
    panel: str
    ink: str
    quiet: str
    line: str
    faded: str
    """Of marks that say that nothing is known, told apart from the pale end of a ramp."""
    accent: str
    warn: str
    ramp: tuple[tuple[float, str], ...]
    scatter: tuple[tuple[float, str], ...]


LIGHT = Look("light", "#FFFFFF", "#F3F6F9", "#17212B", "#55626F", "#D8DFE6", "#B4A79A", "#1B6690", "#B2480B", RAMP_LIGHT, SCATTER_LIGHT)
DARK = Look("dark", "#12171D", "#1B222A", "#E6EBF0", "#A5B1BD", "#35404B", "#A08C78", "#67B3DE", "#F0975A", RAMP_DARK, SCATTER_DARK)


@dataclass(frozen=True)
class Group:
    """Points of one colour."""

    id: int
    name: str
    colour: str
    symbol: str = "circle"
    family: str = ""
    """Name of the segment that it is a part of; the legend then tells `part` below it."""
    part: str = ""

    def legend(self) -> dict[str, object]:
        """How it stands in a legend: broken into lines, under its family."""
        name = {"name": lines_of(self.part or self.name)}
        return name | ({"legendgroup": self.family, "legendgrouptitle": {"text": lines_of(self.family)}} if self.family else {})


def lines_of(name: str) -> str:
    """A name in a legend, escaped: at most LEGEND_LINES lines of LEGEND_LETTERS, the last one cut where it is longer."""
    lines = textwrap.wrap(name, LEGEND_LETTERS) or [""]
    if len(lines) > LEGEND_LINES:
        lines = [*lines[: LEGEND_LINES - 1], cut(" ".join(lines[LEGEND_LINES - 1 :]))]
    return "<br>".join(hover(line) for line in lines)


def cut(name: str, most: int = LEGEND_LETTERS) -> str:
    """A name as a legend or an axis has room for it; hovering tells it whole."""
    return name if len(name) <= most else f"{name[: most - 1]}…"


SYMBOLS = ("circle", "diamond", "square", "triangle-up", "cross")
MORE_SYMBOLS = ("x", "star", "triangle-down", "hexagon", "pentagon")
"""Of groups beyond the colours of the palette, which begin anew."""


SHADES = (0.0, 0.25, 0.43, 0.6, 0.76)
"""How far a shade goes towards the ink: away from the ground, so that contrast only grows."""


def shade(colour: str, step: int, look: Look) -> str:
    """A colour of the same hue, nearer to the ink with each of five steps."""
    part = SHADES[step % len(SHADES)]
    mixed = (round((1 - part) * int(colour[i : i + 2], 16) + part * int(look.ink[i : i + 2], 16)) for i in (1, 3, 5))
    return "#" + "".join(f"{channel:02X}" for channel in mixed)


def slot(colour: int, step: int, look: Look) -> tuple[str, str]:
    """Colour and marker symbol of a slot of the palette and a shade of it: shades differ in symbol, too.

    From len(PALETTE) on colours come again, with other symbols.
    """
    symbols = SYMBOLS if colour < len(PALETTE) else MORE_SYMBOLS
    return shade(PALETTE[colour % len(PALETTE)], step, look), symbols[step % len(symbols)]


def faint(colour: str) -> str:
    """A colour for a band behind a line of the same one."""
    red, green, blue = (int(colour[place : place + 2], 16) for place in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.18)"


def add_band(figure: go.Figure, x: pd.Series, low: pd.Series, high: pd.Series, colour: str, name: str | None = None) -> None:
    """Draw the range from `low` to `high` pale behind a line of that colour; without a name the legend does not tell of it."""
    figure.add_scatter(
        x=pd.concat([x, x[::-1]]),
        y=pd.concat([high, low[::-1]]),
        fill="toself",
        mode="none",
        fillcolor=faint(colour),
        name=name,
        showlegend=name is not None,
        hoverinfo="skip",
    )


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


def empty_figure(look: Look, height: int) -> go.Figure:
    """A figure of `height` pixels with the template, and nothing in it yet."""
    figure = go.Figure()
    figure.update_layout(template=template(look), height=height)
    return figure


WIDEST_TOLD = 14
"""Columns of a grid up to which a hidden cell has room for its words; with more of them hovering tells."""


def add_hidden(
    figure: go.Figure,
    hidden: Sequence[Sequence[bool]],
    rows: Sequence[str],
    columns: Sequence[str],
    notes: Sequence[Sequence[str]],
    look: Look,
) -> None:
    """Lay empty-coloured cells that say `< 20` over the hidden ones of a grid; their height or colour tells nothing.

    Args:
        figure: With the grid of the same rows and columns.
        hidden: By row and column.
        rows: Words of the rows.
        columns: Words of the columns.
        notes: What hovering tells.
        look: Colours of the theme.
    """
    words = [[people(None) if cell and len(columns) <= WIDEST_TOLD else "" for cell in line] for line in hidden]
    add_pale(figure, [[0 if cell else None for cell in line] for line in hidden], words, rows, columns, notes, look)
    figure.data[-1].update(textfont={"size": 10, "color": look.quiet})


def add_pale(
    figure: go.Figure,
    values: Sequence[Sequence[float | None]],
    words: Sequence[Sequence[str]],
    rows: Sequence[str],
    columns: Sequence[str],
    notes: Sequence[Sequence[str]],
    look: Look,
) -> None:
    """Lay empty-coloured cells with words over a grid of the same rows and columns, where `values` is not None."""
    figure.add_heatmap(
        z=values,
        x=[hover(word) for word in columns],
        y=[hover(word) for word in rows],
        colorscale=[[0, look.panel], [1, look.panel]],
        showscale=False,
        xgap=1.5,
        ygap=1.5,
        text=[[hover(word) for word in line] for line in words],
        texttemplate="%{text}",
        customdata=[[hover(note) for note in line] for line in notes],
        hovertemplate="%{customdata}<extra></extra>",
        hoverongaps=False,
    )


def date_axis(figure: go.Figure, dates: pd.Series) -> None:
    """Write the dates of the horizontal axis in figures; a single date has a single tick, or plotly would show milliseconds."""
    if dates.nunique() == 1:
        figure.update_xaxes(tickvals=[dates.iloc[0]], tickformat="%Y-%m-%d")
    else:
        figure.update_xaxes(tickformatstops=DATE_TICKS)
