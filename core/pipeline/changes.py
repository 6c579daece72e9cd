"""What changed since an earlier version, as the Map page shows it: moves between segments, drift of profiles."""

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from core.pipeline import screens
from core.pipeline.map_cells import BALANCE, FLOWS, told_frame
from core.pipeline.screens import Screen

MOVED_FAR = 0.95
"""Cosine below which a profile points elsewhere than before."""


def moves(screen: Screen) -> pa.Table | None:
    """One row per shopper of the map now or of the earlier version's: user_id, from_segment, to_segment, move."""
    return screens.run_table(screen, "atlas", "moves")


def drift(screen: Screen) -> pa.Table | None:
    """One row per shopper of the profiles now or of the earlier version's: user_id, change, <block>_cosine."""
    return screens.run_table(screen, "profiles", "drift")


def segment_changes(screen: Screen) -> pd.DataFrame | None:
    """Balance of every segment of either map, largest now first; None without an earlier map.

    before = stayed + left + gone and now = stayed + came + new, for each segment.

    Returns:
        segment_id, before, stayed, left, gone, came, new, now, is_there (whether the map now has it).
    """
    table = moves(screen)
    if table is None:
        return None
    rows = table.to_pandas()
    came_from, went_to = (rows.dropna(subset=[name]).astype({name: int}) for name in ("from_segment", "to_segment"))
    columns = {
        "before": came_from.groupby("from_segment").size(),
        "stayed": _count(went_to, "to_segment", "stayed"),
        "left": _count(came_from, "from_segment", "moved"),
        "gone": _count(came_from, "from_segment", "gone"),
        "came": _count(went_to, "to_segment", "moved"),
        "new": _count(went_to, "to_segment", "new"),
        "now": went_to.groupby("to_segment").size(),
    }
    found = pd.DataFrame(columns).fillna(0).astype(int).rename_axis("segment_id").reset_index()
    found = found.assign(is_there=found["now"] > 0).sort_values(["now", "segment_id"], ascending=[False, True], ignore_index=True)
    return told_frame(screen, BALANCE, found)


def flows(screen: Screen) -> pd.DataFrame:
    """How many shoppers moved between each two segments, most first: from_segment, to_segment, shoppers."""
    table = moves(screen)
    if table is None:
        return pd.DataFrame(columns=["from_segment", "to_segment", "shoppers"])
    rows = table.to_pandas()
    moved = rows[rows["move"] == "moved"].astype({"from_segment": int, "to_segment": int})
    found: pd.DataFrame = moved.groupby(["from_segment", "to_segment"], as_index=False).agg(shoppers=("user_id", "size"))
    found = found.sort_values(["shoppers", "from_segment", "to_segment"], ascending=[False, True, True], ignore_index=True)
    return told_frame(screen, FLOWS, found)


def drift_figures(screen: Screen) -> dict[str, Any] | None:
    """How far profiles moved since the earlier version; None without one.

    Returns:
        {"after": {"run", "version"}, "users": {same, changed, new, gone}, "texts": {encoded, kept} or None, "sequence", "graph": how they
        came about, "not_compared": other blocks, "blocks": {block: {"median", "far", "changed"}} of the changed shoppers alone}.
    """
    record = screens.run_manifest(screen, "profiles") or {}
    told, table = record.get("update") or {}, drift(screen)
    if table is None or "after" not in told:
        return None
    rows = table.to_pandas()
    changed = rows[rows["change"] == "changed"]
    blocks = {}
    for name in told["compared"]:
        cosines = changed[f"{name}_cosine"].to_numpy(np.float64)
        median = float(np.median(cosines)) if len(cosines) else None
        blocks[name] = {"median": median, "far": int((cosines < MOVED_FAR).sum()), "changed": len(cosines)}
    return {"texts": None, "sequence": None, "graph": None, "not_compared": [], **told, "blocks": blocks}


def _count(rows: pd.DataFrame, by: str, move: str) -> "pd.Series[int]":
    return rows[rows["move"] == move].groupby(by).size()
