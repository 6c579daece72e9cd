"""Segments on both levels as the map shows them: names in the chosen language, colours that stay after a refresh."""

from dataclasses import dataclass

import pandas as pd

from core.pipeline.screens import Screen
from pages.parts import charts, state
from pages.parts.traits import segments_shown, subsegments_shown


@dataclass(frozen=True)
class Levels:
    """Segments and subsegments of one map."""

    segments: pd.DataFrame
    """Largest first."""
    fine: pd.DataFrame
    """By segment, largest first; the same segments when none is split."""

    @property
    def is_split(self) -> bool:
        """Whether any segment has subsegments."""
        return len(self.fine) > len(self.segments)

    def groups(self, *, fine: bool) -> list[charts.Group]:
        """Groups of the map in the order of the legend."""
        slots = {int(r["segment_id"]): int(r["colour"]) for r in self.segments.to_dict("records")}
        table, key = (self.fine, "subsegment_id") if fine else (self.segments, "segment_id")
        return [
            charts.Group(
                int(row[key]),
                str(row["name"]),
                *charts.slot(slots[int(row["segment_id"])], int(row.get("shade", 0)), state.look()),
                str(row["segment_name"]) if fine and isinstance(row["own_name"], str) else "",
                str(row["own_name"]) if fine and isinstance(row["own_name"], str) else "",
            )
            for row in table.to_dict("records")
        ]

    def names(self, *, fine: bool) -> dict[int, str]:
        """Names by id."""
        table, key = (self.fine, "subsegment_id") if fine else (self.segments, "segment_id")
        return {int(i): str(name) for i, name in zip(table[key], table["name"], strict=True)}


def levels_of(here: Screen) -> Levels:
    """Read the segments of the map on screen."""
    segments = segments_shown(here)
    if "colour" not in segments:  # drawn before colours were kept
        segments = segments.assign(colour=range(len(segments)))
    return Levels(segments, subsegments_shown(here, segments))
