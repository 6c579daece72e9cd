"""Why a shopper's chance in one category is what it is: her own pairs, counted anew, and the kept model by category."""

from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.compute as pc

from core.artifacts import read_table
from core.errors import GateError, NotFoundError
from core.explain import histories
from core.explain.pairs import PairRows, explain_pair
from core.explain.shapley import Floats
from core.explain.waterfall import lay_out
from core.features import category_counts
from core.pipeline.options import ProfileOptions
from core.pipeline.reading import Reading, open_reading
from core.pipeline.telling import Result
from core.pipeline.texts import TextProfiles
from core.store import Dataset, Home
from core.store.small import small_log

if TYPE_CHECKING:
    from core.predictor.category_keeping import KeptCategories
    from core.predictor.grid import Grid
    from core.predictor.matrix import Matrix

OPEN_RUNS = 2
"""Models by category kept in memory."""


@dataclass(frozen=True)
class CategoryReading:
    """A propensity run whose chances by category can be asked about."""

    reading: Reading
    """With texts where the model by category looks at them."""
    kept: "KeptCategories"

    def grid(self, user_id: str) -> "Grid":
        """All pairs of one shopper, as the batch has them."""
        events = self.reading.history(user_id)
        people = self.reading.matrix(events, user_id=user_id)
        with small_log(events, self.reading.catalogue(histories.items_of(events))) as connection:
            counts = category_counts(connection, self.reading.cutoff, self.kept.categories)
        return self.kept.pairs(people, counts)


_open: "OrderedDict[tuple[str, str], CategoryReading]" = OrderedDict()


def open_categories(home: Home, dataset: Dataset, run_id: str | None = None) -> CategoryReading:
    """Open the chances by category of a run (default: the current one) to be asked about.

    Raises:
        NotFoundError: There is no such run.
        GateError: It has none, or an earlier release made it, or its model looks at blocks that were not kept.
    """
    from core.predictor.category_keeping import TEXT, load_categories
    from core.predictor.held import load_held

    folder = dataset.run_path("propensity", run_id)
    key = (str(folder.resolve()), str(folder.stat().st_mtime_ns))
    if key in _open:
        _open.move_to_end(key)
        return _open[key]
    reading, kept = open_reading(home, dataset, folder.name), load_categories(folder)
    if kept is None:
        raise GateError(
            "The run {run} keeps no chances by category that could be asked about; train the chances again, with categories.",
            run=folder.name,
        )
    reading = replace(reading, held=load_held(folder, kept.blocks))
    if unkept := sorted(kept.blocks - {TEXT} - set(reading.held.names)):
        raise GateError(
            "The chances by category of run {run} look at {blocks}, which an earlier release did not keep. "
            "Train the chances again to ask why.",
            run=folder.name,
            blocks=", ".join(unkept),
        )
    if TEXT in kept.blocks and not reading.with_text:
        texts = TextProfiles(home, reading.log, ProfileOptions.of(dataset.run_manifest("propensity", folder.name)["config"]))
        vectors = texts.item_vectors(reading.cutoff)
        if vectors is not None:
            place = {item: row for row, item in enumerate(vectors.item_ids)}
            reading = replace(reading, vectors=vectors, place=place, half_life=texts.half_life, with_text=True)
    found = CategoryReading(reading, kept)
    _open[key] = found
    while len(_open) > OPEN_RUNS:
        _open.popitem(last=False)
    return found


def chances_of(dataset: Dataset, user_id: str, run_id: str | None = None) -> list[dict[str, Any]]:
    """A shopper's chances by category as the run has them, largest first: category, propensity, low, high; none where there are none."""
    file = dataset.run_path("propensity", run_id) / "categories.parquet"
    if not file.is_file():
        return []
    table = read_table(file)
    rows = table.filter(pc.equal(table["user_id"].cast("string"), user_id)).to_pylist()
    return sorted(rows, key=lambda row: (-row["propensity"], row["category"]))


def why_category(opened: CategoryReading, user_id: str, category: str) -> Result:
    """Tell what one shopper's chance in one category is made of.

    Raises:
        NotFoundError: There is no such shopper, or no chance for such a category.
    """
    from core.predictor.category_keeping import baskets_of, of_category

    kept, reading = opened.kept, opened.reading
    if category not in kept.categories:
        raise NotFoundError(
            "There is no chance for the category {category!r}; there are {n}, such as {some}.",
            category=category[:80],
            n=len(kept.categories),
            some=", ".join(kept.categories[:5]),
        )
    place = kept.categories.index(category)
    grid = opened.grid(user_id)
    pair = of_category(grid, place)
    shopper, others = (_rows(kept, of_category(one, place), baskets_of(one)) for one in (grid, kept.background))

    def score(rows: PairRows) -> Floats:
        return kept.log_odds(place, replace(pair, people=_people(pair.people, rows), values=rows.values), rows.baskets)

    names, found = explain_pair(score, pair.columns, pair.pair_columns, place, shopper, others)
    counted = {name: _finite(value) for name, value in zip(pair.columns, pair.values[0].tolist(), strict=True) if name in pair.pair_columns}
    parts = [{"name": name, "log_odds": float(value)} for name, value in zip(names, found.values, strict=True)]
    chance = 1 / (1 + np.exp(-np.array([found.output])))
    low, high = kept.ranges.around(chance, np.zeros(1))
    return {
        "run": reading.run_id,
        "cutoff": reading.cutoff.isoformat(),
        "user_id": user_id,
        "category": category,
        "model": kept.winner,
        "low": float(low[0]),
        "high": float(high[0]),
        "counted": counted,
        **lay_out(parts, found.base, found.output),
        "method": found.method,
        "background_rows": len(kept.background.user_ids),
        "coalitions": found.coalitions,
        "warnings": [],
    }


def _rows(kept: "KeptCategories", pair: "Grid", baskets: Any) -> PairRows:
    blocks = {name: block for name, block in pair.people.learned().items() if name in kept.blocks}
    return PairRows(pair.values, baskets, pair.people.values, blocks)


def _people(people: "Matrix", rows: PairRows) -> "Matrix":
    blocks = dict(rows.blocks)
    text = blocks.pop("text profile", None)
    further = {name.removesuffix(" profile"): block for name, block in blocks.items()}
    return replace(people, user_ids=[""] * len(rows.people), values=rows.people, text=text, further=further, acts=None)


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None
