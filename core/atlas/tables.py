"""The tables that the atlas publishes: segments, subsegments and their traits, one row each."""

import json
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from core.atlas.names import Named, describe, make_distinct, name_segments, spell, trait_sentence, trait_words
from core.atlas.traits import Trait
from core.metrics import wilson

REST = "The others"
"""Name of a subsegment that no trait sets apart within its segment."""

BySegment = Mapping[int, Sequence[Trait]]
Titles = Mapping[str, str]


def by_size(ids: npt.NDArray[np.int32]) -> list[int]:
    """Distinct ids, the largest first, ties by id."""
    found, sizes = np.unique(ids, return_counts=True)
    return [int(found[i]) for i in np.lexsort((found, -sizes))]


def segment_table(
    by_segment: BySegment, titles: Titles, segment_ids: npt.NDArray[np.int32], certainty: npt.NDArray[np.float64],
    habit: pa.Table, colours: Mapping[int, int], earlier: Mapping[int, Named] = MappingProxyType({}),
) -> pa.Table:  # fmt: skip
    """Name, size and figures of each segment (SEGMENT_SCHEMA), in the order of `by_segment`; `earlier` is how they were named."""
    single = len(by_segment) == 1
    parts = name_segments(by_segment, titles, earlier)
    names = make_distinct(
        {s: "All shoppers" if single else spell(parts[s], titles) for s in by_segment},
        {} if single else {s: named.name for s, named in earlier.items()},
    )
    figures = _Figures(habit)
    rows = []
    for segment, own in parts.items():
        inside = segment_ids == segment
        size = int(inside.sum())
        rows.append({
            "segment_id": segment, "name": names[segment], "colour": colours[segment],
            "description": _of_all(size) if single else describe(own, titles, size, size / len(segment_ids)),
            "name_parts": json.dumps([part_of_name(trait, titles) for trait in own], ensure_ascii=False),
            "size": size, "share": size / len(segment_ids), "certainty_mean": round(float(certainty[inside].mean()), 4),
            **figures.of(inside),
        })  # fmt: skip
    return pa.Table.from_pylist(rows, SEGMENT_SCHEMA)


def subsegment_table(
    inner: BySegment, parents: Mapping[int, int], names: Mapping[int, Named], titles: Titles, subsegment_ids: npt.NDArray[np.int32],
    habit: pa.Table, shades: Mapping[int, int], stability: Mapping[int, float], earlier: Mapping[int, Named] = MappingProxyType({}),
) -> pa.Table:  # fmt: skip
    """Name, parent, size and figures of each subsegment (SUBSEGMENT_SCHEMA), in the order of `inner`.

    Args:
        inner: Traits of each subsegment against the other shoppers of its segment.
        parents: Segment of each subsegment.
        names: Of each segment, with their parts: a part of it repeats none of them.
        titles: Titles of items by id.
        subsegment_ids: (U,).
        habit: What `leanings.habits` returned.
        shades: Shade of each subsegment within its segment's colour.
        stability: Of the split of each segment that is split.
        earlier: How subsegments were named within their segments.
    """
    children: dict[int, list[int]] = {}
    for subsegment in inner:
        children.setdefault(parents[subsegment], []).append(subsegment)
    own_names: dict[int, str] = {}
    parts: dict[int, list[Trait]] = {}
    for segment, family in children.items():
        before = {s: earlier[s] for s in family if s in earlier}
        found = name_segments({s: inner[s] for s in family}, titles, before, names[segment].parts)
        parts |= found
        told = {s: spell(found[s], titles) if found[s] else REST for s in family}
        own_names |= make_distinct(told, {s: named.name for s, named in before.items()})
    figures, rows = _Figures(habit), []
    sizes = {s: int((subsegment_ids == s).sum()) for s in inner}
    for subsegment in inner:
        segment = parents[subsegment]
        is_split = len(children[segment]) > 1
        rows.append({
            "subsegment_id": subsegment, "segment_id": segment, "shade": shades[subsegment],
            "name": f"{names[segment].name} › {own_names[subsegment]}" if is_split else names[segment].name,
            "own_name": own_names[subsegment] if is_split else None,
            "name_parts": json.dumps([part_of_name(trait, titles) for trait in parts[subsegment]], ensure_ascii=False),
            "size": sizes[subsegment], "share": sizes[subsegment] / len(subsegment_ids),
            "share_of_segment": sizes[subsegment] / sum(sizes[s] for s in children[segment]),
            "split_stability": stability.get(segment) if is_split else None,
            **figures.of(subsegment_ids == subsegment),
        })  # fmt: skip
    return pa.Table.from_pylist(rows, SUBSEGMENT_SCHEMA)


def trait_table(by_segment: BySegment, titles: Titles, key: str = "segment_id") -> pa.Table:
    """All traits, strongest first in each segment, items of one title once; `key` names the column of the segment."""
    rows = []
    for segment, found in by_segment.items():
        told: set[tuple[str, str]] = set()
        for trait in found:
            words = trait_words(trait, titles)
            if (trait.kind, words) in told:  # items of one title
                continue
            told.add((trait.kind, words))
            among = "all shoppers" if key == "segment_id" else "the segment"
            text = trait_sentence(trait, words, among)
            rows.append({key: segment, "place": len(told), "text": text, **part_of_name(trait, titles), "trait": words})
    return pa.Table.from_pylist(rows, TRAIT_SCHEMA if key == "segment_id" else SUBSEGMENT_TRAIT_SCHEMA)


def names_of(table: pa.Table | None, key: str, column: str) -> dict[int, Named]:
    """How the segments (or subsegments: `own_name`) of an earlier map were named, by id; those without a name of their own are left out."""
    if table is None or not {column, "name_parts"} <= set(table.column_names):
        return {}
    rows = table.select([key, column, "name_parts"]).to_pylist()
    return {
        int(row[key]): Named(row[column], tuple((part["kind"], part["code"]) for part in json.loads(row["name_parts"] or "[]")))
        for row in rows
        if row[column]
    }


def part_of_name(trait: Trait, titles: Titles) -> dict[str, Any]:
    """A trait as plain values, rounded: what names and sentences in any language are put together from."""
    return {
        "kind": trait.kind, "code": trait.code, "words": trait_words(trait, titles), "lift": round(trait.lift, 4),
        "low": round(trait.low, 4), "high": round(trait.high, 4), "n": trait.n, "share_in": round(trait.share_in, 6),
        "share_all": round(trait.share_all, 6), "base": trait.base, "base_in": trait.base_in, "base_all": trait.base_all,
    }  # fmt: skip


class _Figures:
    """Buyers, orders, revenue, events and recency of a part of the users; NULL where the log knows no purchases or no revenue."""

    def __init__(self, habit: pa.Table) -> None:
        names = ("events", "orders", "revenue", "recency_days")
        self.values = {n: habit[n].cast(pa.float64()).to_numpy(zero_copy_only=False) for n in names}
        self.has_orders = bool(np.nansum(self.values["orders"]))
        self.has_revenue = bool(np.isfinite(self.values["revenue"]).any())

    def of(self, inside: npt.NDArray[np.bool_]) -> dict[str, Any]:
        size = int(inside.sum())
        buyers, orders = int((self.values["orders"][inside] > 0).sum()), int(np.nansum(self.values["orders"][inside]))
        low, high = wilson(buyers, size)
        revenue = round(float(np.nansum(self.values["revenue"][inside])), 2)
        return {
            "buyers": buyers if self.has_orders else None, "buyer_rate": buyers / size if self.has_orders else None,
            "buyer_low": low if self.has_orders else None, "buyer_high": high if self.has_orders else None,
            "orders": orders if self.has_orders else None, "revenue": revenue if self.has_revenue else None,
            "orders_per_user": orders / size if self.has_orders else None,
            "revenue_per_user": revenue / size if self.has_revenue else None,
            "events_per_user": float(np.nansum(self.values["events"][inside])) / size,
            "recency_days": round(float(np.median(self.values["recency_days"][inside])), 3),
        }  # fmt: skip


_FIGURES = (
    *((name, pa.float64() if name in ("buyer_rate", "buyer_low", "buyer_high", "revenue") else pa.int64())
      for name in ("buyers", "buyer_rate", "buyer_low", "buyer_high", "orders", "revenue")),
    *((name, pa.float64()) for name in ("orders_per_user", "revenue_per_user", "events_per_user", "recency_days")),
)  # fmt: skip
SEGMENT_SCHEMA = pa.schema(
    [("segment_id", pa.int32()), ("name", pa.string()), ("description", pa.string()), ("name_parts", pa.string()), ("colour", pa.int32()),
     ("size", pa.int64()), ("share", pa.float64()), ("certainty_mean", pa.float64()), *_FIGURES]
)  # fmt: skip
SUBSEGMENT_SCHEMA = pa.schema(
    [("subsegment_id", pa.int32()), ("segment_id", pa.int32()), ("name", pa.string()), ("own_name", pa.string()),
     ("name_parts", pa.string()), ("shade", pa.int32()), ("size", pa.int64()), ("share", pa.float64()), ("share_of_segment", pa.float64()),
     ("split_stability", pa.float64()), *_FIGURES]
)  # fmt: skip
_TRAIT = [
    ("place", pa.int32()), ("kind", pa.string()), ("code", pa.string()), ("trait", pa.string()), ("text", pa.string()),
    ("lift", pa.float64()), ("low", pa.float64()), ("high", pa.float64()), ("n", pa.int64()), ("share_in", pa.float64()),
    ("share_all", pa.float64()), ("base", pa.string()), ("base_in", pa.int64()), ("base_all", pa.int64()),
]  # fmt: skip
TRAIT_SCHEMA = pa.schema([("segment_id", pa.int32()), *_TRAIT])
SUBSEGMENT_TRAIT_SCHEMA = pa.schema([("subsegment_id", pa.int32()), *_TRAIT])


def _of_all(size: int) -> str:
    return f"All {size:,} shoppers of the log." if size > 1 else "The only shopper of the log."
