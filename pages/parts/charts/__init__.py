"""Pictures: a table in, a figure out."""

from pages.parts.charts.belief import gains, histogram, learning, reliability
from pages.parts.charts.look import DARK, LIGHT, PALETTE, Look, template
from pages.parts.charts.places import add_density, marker_size, scatter_groups, scatter_values, zoomed
from pages.parts.charts.series import bars, days, heat, missing, timeline, trend, waterfall

__all__ = [
    "DARK",
    "LIGHT",
    "PALETTE",
    "Look",
    "add_density",
    "bars",
    "days",
    "gains",
    "heat",
    "histogram",
    "learning",
    "marker_size",
    "missing",
    "reliability",
    "scatter_groups",
    "scatter_values",
    "template",
    "timeline",
    "trend",
    "waterfall",
    "zoomed",
]
