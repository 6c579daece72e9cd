"""A figure's course as a small drawing in a tile."""

from collections.abc import Sequence

from pages.parts.charts.look import Look

WIDTH, HEIGHT, ROOM = 200.0, 44.0, 3.0


def course(values: Sequence[float], look: Look) -> str:
    """Draw values from left to right as SVG.

    A metric of Streamlit can draw this, but loads a charting library for it that nothing else on the screen needs.

    Args:
        values: At least one, finite; the lowest and the highest touch the edges, values that are all alike lie in the middle.
        look: Colours of the theme.
    """
    low, high = min(values), max(values)
    step = WIDTH / max(len(values) - 1, 1)
    heights = [(value - low) / (high - low) if high > low else 0.5 for value in values]
    points = [(place * step, HEIGHT - ROOM - height * (HEIGHT - 2 * ROOM)) for place, height in enumerate(heights)]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH:g} {HEIGHT:g}" fill="none">'
        f'<polygon points="0,{HEIGHT:g} {line} {WIDTH:g},{HEIGHT:g}" fill="{look.quiet}" fill-opacity="0.1"/>'
        f'<polyline points="{line}" stroke="{look.quiet}" stroke-width="1.6" stroke-linejoin="round"/></svg>'
    )
