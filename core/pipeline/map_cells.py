"""Frames that count people, with small cells hidden: segments and their traits, two sides compared, moves, who was active when."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from core.errors import GateError
from core.pipeline.comparing import Comparison
from core.pipeline.places import Chosen, Places
from core.pipeline.screens import Screen
from core.small_cells import Cells, Rate, hide, middle, rate, shares

FRAME_KEY = "small_cells"
"""Key of a frame's attributes: {column of counts: k}."""


def _of_everyone(table: pa.Table) -> dict[str, list[Any]]:
    rows = table.to_pylist()
    told: dict[str, list[Any]] = {"share": shares([row["size"] for row in rows])}
    for name, whole in (("orders_per_user", "orders"), ("revenue_per_user", "revenue")):
        told[name] = [row[whole] / row["size"] if row.get(whole) is not None and row["size"] else None for row in rows]
    if "segment_id" in table.column_names and "subsegment_id" in table.column_names:
        sums: dict[int, float] = {}
        for row in rows:
            sums[row["segment_id"]] = sums.get(row["segment_id"], 0) + (row["size"] or 0)
        told["share_of_segment"] = [rate(row["size"], sums[row["segment_id"]])[0] for row in rows]
    return told


SEGMENTS = Cells(
    labels=(
        "segment_id", "subsegment_id", "name", "own_name", "segment_name", "name_parts", "description", "colour", "shade",
        "split_stability",
    ),
    people=("size", "buyers"),
    acts={"orders": "buyers"},
    amounts={"revenue": "buyers"},
    typical=dict.fromkeys(("certainty_mean", "events_per_user", "recency_days", "propensity"), "size"),
    rates={"buyer_rate": Rate("buyers", "size", "buyer_low", "buyer_high")},
    derived=("share", "share_of_segment", "orders_per_user", "revenue_per_user"),
    derive=_of_everyone,
)  # fmt: skip
BALANCE = Cells(labels=("segment_id", "is_there"), people=("before", "stayed", "left", "gone", "came", "new", "now"))
FLOWS = Cells(labels=("from_segment", "to_segment"), people=("shoppers",))
ACTIVE = Cells(
    labels=("period", "partial", "segment_id"), people=("users", "active"), rates={"share": Rate("users", "active", "low", "high")}
)
REASONS = Cells(labels=("feature",), people=("users",), typical={"strength": "users", "mean_contribution": "users"})


def told_frame(screen: Screen, cells: Cells, frame: pd.DataFrame) -> pd.DataFrame:
    """A frame as it may be shown: hidden counts are NaN, and the attribute FRAME_KEY names the columns that hold some."""
    k = screen.small_cells
    if not k:
        return frame
    labels = [name for name in cells.labels if name in frame]
    texts = {name: frame[name].astype(str) for name in labels if frame[name].dtype == object}
    table = hide(pa.Table.from_pandas(frame.assign(**texts), preserve_index=False), cells, k)
    found: pd.DataFrame = table.to_pandas().set_index(frame.index).assign(**{name: frame[name] for name in labels})
    found.attrs[FRAME_KEY] = {name: k for name in (*cells.people, *cells.acts) if name in found}
    return found


def drawable(everyone: Places, k: int) -> Chosen:
    """Whose points may be drawn (U,): of each fine segment a full number of steps of k, nobody of one with fewer.

    Who is left out is drawn by chance, always the same, so that other colours of the map leave out the same shoppers.
    """
    order = np.random.default_rng(0).permutation(len(everyone.fine_ids))
    place = pd.Series(everyone.fine_ids[order]).groupby(everyone.fine_ids[order]).cumcount().to_numpy()
    sizes = dict(zip(*np.unique(everyone.fine_ids, return_counts=True), strict=True))
    most = np.array([sizes[i] // k * k for i in everyone.fine_ids[order]])
    kept = np.zeros(len(order), dtype=bool)
    kept[order] = place < most
    return kept


def of_segment(everyone: int, k: int) -> Cells:
    """Items by how many shoppers of a segment of so many have them in their lists: item_id, users, share."""

    def share(table: pa.Table) -> dict[str, list[Any]]:
        return {"share": [rate(users, middle(everyone, k))[0] for users in table["users"].to_pylist()]}

    return Cells(labels=("item_id",), people=("users",), derived=("share",), derive=share)


def told_segments(screen: Screen, frame: pd.DataFrame, everyone: int) -> pd.DataFrame:
    """Segments or subsegments as they may be shown; what their names rest on is told anew.

    Args:
        screen: What is read.
        frame: size, share, name_parts … of each.
        everyone: Shoppers of the map.
    """
    if not screen.small_cells:
        return frame
    found = told_frame(screen, SEGMENTS, frame)
    parts = [
        json.dumps(_parts(json.loads(text or "[]"), size, everyone, screen.small_cells))
        for text, size in zip(frame["name_parts"], found["size"], strict=True)
    ]
    return found.assign(name_parts=parts, **({"description": ""} if "description" in found else {}))


def told_traits(screen: Screen, traits: pa.Table, sizes: dict[int, int], everyone: dict[int, int], key: str) -> pa.Table:
    """Traits of segments as they may be shown; those of fewer than k shoppers are left out.

    Args:
        screen: What is read.
        traits: segment_id or subsegment_id, n, share_in, share_all, lift with low and high, text.
        sizes: Shoppers by that id.
        everyone: Shoppers that each is held against.
        key: Which of both ids it is.
    """
    if not screen.small_cells:
        return traits
    rows = []
    for row in traits.to_pylist():
        group = int(row[key])
        told = _trait(row, middle(sizes.get(group, 0), screen.small_cells), everyone.get(group, 0), screen.small_cells)
        if told is not None:
            rows.append({**told, "text": ""})
    return pa.Table.from_pylist(rows, schema=traits.schema)


def _parts(parts: list[dict[str, Any]], size: float, everyone: int, k: int) -> list[dict[str, Any]]:
    told = [_trait(part, None if size != size else int(size), everyone, k) for part in parts]
    return [part for part in told if part is not None]


def _trait(row: dict[str, Any], size: int | None, everyone: int, k: int) -> dict[str, Any] | None:
    """Counts in steps of k, shares and lift of those counts with Katz's interval; None where a count is hidden."""
    if row.get("base"):  # shares are of buyers
        size, everyone = middle(row["base_in"], k), row["base_all"]
    n, all_, base = middle(row["n"], k), middle(round(row["share_all"] * everyone), k), middle(everyone, k)
    if not n or not size or not all_ or not base:
        return None
    inside, overall = min(n / size, 1.0), min(all_ / base, 1.0)
    lift, half = inside / overall, 1.96 * np.sqrt(max(1 / n - 1 / size, 0) + max(1 / all_ - 1 / base, 0))
    bounds = {"low": float(lift * np.exp(-half)), "high": float(lift * np.exp(half))}
    of_base = {"base_in": size, "base_all": base} if row.get("base") else {}
    return {**row, **of_base, "n": n, "share_in": inside, "share_all": overall, "lift": lift, **bounds}


def told_comparison(comparison: Comparison, k: int) -> Comparison:
    """Two sides as they may be shown.

    Raises:
        GateError: One side has fewer than k shoppers.
    """
    if not k or not comparison.left or not comparison.right:
        return comparison
    left, right = middle(comparison.left, k), middle(comparison.right, k)
    if left is None or right is None:
        raise GateError("One side has fewer than {k} shoppers, so while small cells are hidden the two are not compared.", k=k)
    figures = [_figure(row, comparison, left, right, k) for row in comparison.figures.to_dict("records")]
    traits = [_contrast(row, k) for row in comparison.traits.to_dict("records")]
    return replace(
        comparison,
        left=left,
        right=right,
        in_both=middle(comparison.in_both, k) or 0,
        figures=pd.DataFrame(figures, columns=comparison.figures.columns),
        traits=pd.DataFrame([row for row in traits if row is not None], columns=comparison.traits.columns),
    )


def _figure(row: dict[Any, Any], comparison: Comparison, left: int, right: int, k: int) -> dict[Any, Any]:
    """Means to three digits; the share of buyers anew from counts in steps of k, its difference by Newcombe's square-and-add."""
    if row["measure"] != "buyer_rate":
        return {name: value if isinstance(value, str) else float(f"{value:.3g}") for name, value in row.items()}
    told: dict[Any, Any] = {"measure": "buyer_rate"}
    for side, exact, shown in (("left", comparison.left, left), ("right", comparison.right, right)):
        found = rate(middle(round(row[side] * exact), k), shown)
        told |= dict(zip((side, f"{side}_low", f"{side}_high"), (np.nan if x is None else x for x in found), strict=True))
    gap = told["left"] - told["right"]
    under = np.hypot(told["left"] - told["left_low"], told["right_high"] - told["right"])
    over = np.hypot(told["left_high"] - told["left"], told["right"] - told["right_low"])
    return {**told, "difference": gap, "difference_low": gap - under, "difference_high": gap + over}


def _contrast(row: dict[Any, Any], k: int) -> dict[Any, Any] | None:
    n, m = middle(row["left_n"], k), middle(row["right_n"], k)
    if not n or not m:
        return None
    # whom the shares are of: all of a side, or those of whom a demographic is known
    left, right = (middle(round(row[f"{side}_n"] / row[f"{side}_share"]), k) for side in ("left", "right"))
    if not left or not right:
        return None
    one, other = min(n / left, 1.0), min(m / right, 1.0)
    ratio, half = one / other, 1.96 * np.sqrt(max(1 / n - 1 / left, 0) + max(1 / m - 1 / right, 0))
    bounds = {"low": float(ratio * np.exp(-half)), "high": float(ratio * np.exp(half))}
    return {**row, "left_n": n, "left_share": one, "right_n": m, "right_share": other, "ratio": ratio, **bounds}
