"""Pictures: a table in, a figure out."""

from pages.parts.charts.belief import gains, histogram, learning, reliability
from pages.parts.charts.look import DARK, LIGHT, PALETTE, Group, Look, slot, template
from pages.parts.charts.places import add_density, mark, marker_size, panels, scatter_groups, scatter_values, zoomed
from pages.parts.charts.series import bars, contrast, days, heat, missing, shares, timeline, trend, waterfall
from pages.parts.charts.steps import steps

__all__ = [
    "DARK",
    "LIGHT",
    "PALETTE",
    "Group",
    "Look",
    "add_density",
    "bars",
    "contrast",
    "days",
    "gains",
    "heat",
    "histogram",
    "learning",
    "mark",
    "marker_size",
    "missing",
    "panels",
    "reliability",
    "scatter_groups",
    "scatter_values",
    "shares",
    "slot",
    "steps",
    "template",
    "timeline",
    "trend",
    "waterfall",
    "zoomed",
]
