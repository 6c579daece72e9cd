"""Pictures: a table in, a figure out."""

from pages.parts.charts.behaviour import flow, points, shares_grid, spans, steps
from pages.parts.charts.belief import gains, histogram, learning, profit, reliability
from pages.parts.charts.chances import chance_steps
from pages.parts.charts.course import course
from pages.parts.charts.look import DARK, LIGHT, PALETTE, Group, Look, slot, template
from pages.parts.charts.places import Scale, add_density, mark, marker_size, panels, scatter_groups, scatter_values, zoomed
from pages.parts.charts.room import backtest, by_labels
from pages.parts.charts.series import bars, contrast, days, heat, missing, shares, timeline, trend, waterfall
from pages.parts.charts.uplift import gaps, small_lines, two_groups, uplift_curve

__all__ = [
    "DARK",
    "LIGHT",
    "PALETTE",
    "Group",
    "Look",
    "Scale",
    "add_density",
    "backtest",
    "bars",
    "by_labels",
    "chance_steps",
    "contrast",
    "course",
    "days",
    "flow",
    "gains",
    "gaps",
    "heat",
    "histogram",
    "learning",
    "mark",
    "marker_size",
    "missing",
    "panels",
    "points",
    "profit",
    "reliability",
    "scatter_groups",
    "scatter_values",
    "shares",
    "shares_grid",
    "slot",
    "small_lines",
    "spans",
    "steps",
    "template",
    "timeline",
    "trend",
    "two_groups",
    "uplift_curve",
    "waterfall",
    "zoomed",
]
