"""A line without axes, as a small picture: it stands in a tile and loads no plotting library."""

from collections.abc import Sequence
from html import escape

from pages.parts.charts.look import Look

WIDTH, HEIGHT, EDGE = 160, 28, 3
"""Pixels."""


def spark(values: Sequence[float | None], alt: str, look: Look) -> str:
    """The course of a figure as SVG, from its lowest to its highest value; "" where there are fewer than three values.

    Args:
        values: Period by period; None leaves a gap in time, over which the line goes on.
        alt: What a reader of the screen hears.
        look: Colours of the theme.
    """
    known = [(place, value) for place, value in enumerate(values) if value is not None]
    if len(known) < 3:
        return ""
    low, high = min(value for _place, value in known), max(value for _place, value in known)
    step, size = (WIDTH - 2 * EDGE) / (len(values) - 1), (HEIGHT - 2 * EDGE) / (high - low) if high > low else 0.0
    points = [(EDGE + step * place, HEIGHT - EDGE - size * (value - low)) for place, value in known]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    x, y = points[-1]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}">'
        f'<title>{escape(alt)}</title><polyline points="{line}" fill="none" stroke="{look.accent}" stroke-width="1.5" '
        f'stroke-linejoin="round"/><circle cx="{x:.1f}" cy="{y:.1f}" r="2.4" fill="{look.accent}"/></svg>'
    )
