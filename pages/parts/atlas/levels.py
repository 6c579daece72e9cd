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
        slots = self._slots()
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

    def _slots(self) -> dict[int, int]:
        """Slot of the palette of each segment; those that share a colour, more than it has, stand a whole palette apart."""
        ordered = self.segments.sort_values("segment_id", kind="stable")
        rounds = ordered.groupby("colour").cumcount()
        slots = ordered["colour"] + len(charts.PALETTE) * rounds
        return {int(segment): int(slot) for segment, slot in zip(ordered["segment_id"], slots, strict=True)}

    def options(self) -> dict[tuple[str, int], str]:
        """Names by ("segment", id) and, of the parts of a segment that is split, by ("fine", id): each a choice of its own."""
        parts = self.fine[self.fine["own_name"].notna()]
        fine = {("fine", int(i)): str(name) for i, name in zip(parts["subsegment_id"], parts["name"], strict=True)}
        return {("segment", key): name for key, name in self.names(fine=False).items()} | fine

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
