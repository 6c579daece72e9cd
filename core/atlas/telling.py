"""What a map tells of its segments and subsegments: traits, names, figures, colours. U users."""

from collections.abc import Mapping
from datetime import datetime

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from core.atlas.leanings import Leanings, base_masks, habits, least_users, read_leanings
from core.atlas.levels import SHADES, slots
from core.atlas.names import Named, trait_words
from core.atlas.options import AtlasOptions, Previous
from core.atlas.tables import by_size, names_of, segment_table, subsegment_table, trait_table
from core.atlas.traits import Trait, count_carriers, find_traits
from core.store import Connection, fetch

COLOURS = 12
"""Colours of segments that a person can tell apart."""
TOP_ITEMS_SQL = "SELECT item_id, title FROM catalogue WHERE title IS NOT NULL AND list_contains($items, item_id) ORDER BY item_id"


def tell_segments(
    user_ids: list[str], segment_ids: npt.NDArray[np.int32], subsegment_ids: npt.NDArray[np.int32], certainty: npt.NDArray[np.float64],
    counts: pa.Table, connection: Connection, cutoff: datetime, options: AtlasOptions, previous: Previous | None,
    stability: dict[int, float],
) -> tuple[dict[str, pa.Table], npt.NDArray[np.int32]]:  # fmt: skip
    """Find what is typical of segments and subsegments, name both: all tables of an Atlas but `users`, and the subsegments kept.

    Args:
        user_ids: Sorted; U users.
        segment_ids: (U,) from 1.
        subsegment_ids: (U,) from 1.
        certainty: (U,), 0 to 1.
        counts: Counted features in the order of `user_ids`.
        connection: The log as of the cutoff.
        cutoff: Recency is counted back from it.
        options: Choices of people.
        previous: An earlier map, whose colours, shades and names stay.
        stability: segment_id → adjusted Rand index of its split against resamples.
    """
    connection.register("placed", pa.table({"user_id": pa.array(user_ids, pa.string()), "place": np.arange(len(user_ids), dtype=np.int32)}))
    habit = habits(connection, cutoff)
    leanings = read_leanings(connection, habit, options.time_zone, options.tokens, demographics=options.demographics)
    connection.unregister("placed")
    segments = by_size(segment_ids)
    inner, traits, subsegment_ids = _typical(leanings, counts, base_masks(habit), segment_ids, subsegment_ids)
    ordered = list(inner)
    first = {fine: int(np.argmax(subsegment_ids == fine)) for fine in ordered}
    parents = {fine: int(segment_ids[row]) for fine, row in first.items()}
    titles = _titles(connection, [t for found in (*traits.values(), *inner.values()) for t in found], leanings)
    colours = slots(segments, _kept(previous.segments if previous else None, "segment_id", "colour"), COLOURS)
    table = segment_table(traits, titles, segment_ids, certainty, habit, colours, _named(previous, fine=False))
    names = names_of(table, "segment_id", "name")
    former_shades = _kept(previous.subsegments if previous else None, "subsegment_id", "shade")
    shades: dict[int, int] = {}
    for segment in segments:
        shades |= slots([fine for fine in ordered if parents[fine] == segment], former_shades, SHADES)
    tables = {
        "segments": table,
        "subsegments": subsegment_table(inner, parents, names, titles, subsegment_ids, habit, shades, stability,
                                        _named(previous, fine=True)),
        "traits": trait_table(traits, titles),
        "subsegment_traits": trait_table(inner, titles, "subsegment_id"),
        "leanings": pa.table({"user": leanings.users, "trait": leanings.traits}),
        "leaning_traits": pa.table({
            "kind": leanings.kinds, "code": leanings.codes,
            "words": [trait_words(Trait(0, kind, code, 1, 1, 1, 0, 0, 0, 0), titles)
                      for kind, code in zip(leanings.kinds, leanings.codes, strict=True)],
        }, schema=pa.schema([("kind", pa.string()), ("code", pa.string()), ("words", pa.string())])),
        "habits": habit,
    }  # fmt: skip
    return tables, subsegment_ids


def _typical(
    leanings: Leanings, counts: pa.Table, masks: Mapping[str, npt.NDArray[np.bool_]], segment_ids: npt.NDArray[np.int32],
    subsegment_ids: npt.NDArray[np.int32],
) -> tuple[dict[int, list[Trait]], dict[int, list[Trait]], npt.NDArray[np.int32]]:  # fmt: skip
    """Traits of subsegments against their segment, by segment, largest first; of segments against all; and the subsegments kept.

    Parts of a segment that nothing sets apart from its others are one part: a split that nobody can name tells nothing.
    """
    least, segments = least_users(len(segment_ids)), by_size(segment_ids)
    while True:
        fine_ids, index, sizes = np.unique(subsegment_ids, return_inverse=True, return_counts=True)
        parents = segment_ids[np.unique(index, return_index=True)[1]]
        carriers = count_carriers(leanings, counts, index, len(fine_ids))
        among = {kind: np.bincount(index[mask], minlength=len(fine_ids)) for kind, mask in masks.items()}
        inner: dict[int, list[Trait]] = {}
        joined = subsegment_ids.copy()
        for segment in segments:
            own = np.flatnonzero(parents == segment)
            own = own[np.argsort(-sizes[own], kind="stable")]
            found = [(kind, code, numbers[own]) for kind, code, numbers in carriers]
            ids = fine_ids[own].tolist()
            family = _grouped(ids, find_traits(found, ids, sizes[own].tolist(), least, {k: n[own] for k, n in among.items()}))
            nameless = [i for i in ids if not family[i]]
            if len(nameless) > 1:
                joined[np.isin(subsegment_ids, nameless)] = nameless[0]
            inner |= family
        if np.array_equal(joined, subsegment_ids):
            break
        subsegment_ids = joined
    belongs = (parents[:, None] == np.array(segments)[None, :]).astype(np.int64)
    coarse = [(kind, code, numbers @ belongs) for kind, code, numbers in carriers]
    whole_bases = {kind: numbers @ belongs for kind, numbers in among.items()}
    typical = find_traits(coarse, segments, (sizes @ belongs).tolist(), least, whole_bases)
    return inner, _grouped(segments, typical), subsegment_ids


def _named(previous: Previous | None, *, fine: bool) -> dict[int, Named]:
    if previous is None:
        return {}
    return names_of(previous.subsegments, "subsegment_id", "own_name") if fine else names_of(previous.segments, "segment_id", "name")


def _grouped(ids: list[int], traits: list[Trait]) -> dict[int, list[Trait]]:
    grouped: dict[int, list[Trait]] = {i: [] for i in ids}
    for trait in traits:
        grouped[trait.segment_id].append(trait)
    return grouped


def _kept(table: pa.Table | None, key: str, column: str) -> dict[int, int]:
    if table is None or column not in table.column_names:
        return {}
    return {int(i): int(slot) for i, slot in zip(table[key].to_pylist(), table[column].to_pylist(), strict=True)}


def _titles(connection: Connection, traits: list[Trait], leanings: Leanings) -> dict[str, str]:
    leant = {code for kind, code in zip(leanings.kinds, leanings.codes, strict=True) if kind == "item"}
    items = sorted({trait.code for trait in traits if trait.kind == "item"} | leant)
    table = fetch(connection, TOP_ITEMS_SQL, {"items": items}).to_pydict() if items else {"item_id": [], "title": []}
    return dict(zip(table["item_id"], table["title"], strict=True))
