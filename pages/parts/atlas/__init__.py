"""The Map page: picture, selection, segments on two levels, comparison, change over time, trust."""

from pages.parts.atlas.comparing import compare_sides
from pages.parts.atlas.graphics import ask_browser
from pages.parts.atlas.periods import periods
from pages.parts.atlas.picture import draw_map
from pages.parts.atlas.segments import segment_detail, segment_table
from pages.parts.atlas.selecting import selection
from pages.parts.atlas.trust import quality_figures

__all__ = ["ask_browser", "compare_sides", "draw_map", "periods", "quality_figures", "segment_detail", "segment_table", "selection"]
