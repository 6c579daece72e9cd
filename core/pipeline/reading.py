"""One propensity run, opened to be asked about: its model, and all that its features rest on, as of its cutoff."""

from collections import OrderedDict
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from core.artifacts import read_table
from core.errors import GateError, NotFoundError
from core.explain import histories
from core.explain.shapley import Bools, Floats
from core.features import compute_features, nothing_known
from core.metrics import CLIP
from core.pipeline.knowing import read_acts
from core.pipeline.options import ProfileOptions
from core.pipeline.telling import one_category
from core.pipeline.texts import TextProfiles
from core.store import Connection, Dataset, Home, Log
from core.store.small import CATALOGUE_FIELDS, small_log

if TYPE_CHECKING:
    from core.encoder.items import ItemVectors
    from core.predictor.acts import Acts
    from core.predictor.held import Held
    from core.predictor.keeping import KeptModel
    from core.predictor.matrix import Matrix

OPEN_RUNS = 3
"""Readings kept in memory."""
KEPT_HISTORIES = 8
"""Of shoppers, in each of them."""


@dataclass(frozen=True)
class Reading:
    """One propensity run, its model and what its features rest on, all as of its cutoff."""

    log: Log
    cutoff: datetime
    run_id: str
    kept: "KeptModel"
    background: "Matrix"
    levels: pa.Table
    vectors: "ItemVectors | None"
    """Of items, where the model looks at text profiles or at the texts of acts."""
    half_life: float | None
    """Of acts in text profiles, in days; None is the usual one."""
    place: dict[str, int]
    """Row of each item in `vectors`."""
    kinds: tuple[str, ...]
    """Acts that the log knows."""
    popular: str | None
    """The item that most shoppers touched."""
    held: "Held"
    """What of a shopper is not made anew for another history."""
    with_text: bool
    """Whether matrices have text profiles."""
    gap_minutes: int | None = None
    """Longest silence within a session of the log; None where it has no sessions."""
    asked: dict[str, Any] = field(default_factory=dict)
    """What the chance is of: act, category (None for any), horizon_days."""
    described: dict[str, dict[str, Any] | None] = field(default_factory=dict, repr=False, compare=False)
    """Catalogue rows that were asked for before; None for items that neither log nor catalogue knows."""
    histories: "OrderedDict[str, pa.Table]" = field(default_factory=OrderedDict, repr=False, compare=False)
    """Of the last shoppers: whoever is asked about is asked about again, and opening the log costs a sixth of an answer."""

    def matrix(self, events: pa.Table, chosen: pa.Table | None = None, *, user_id: str | None = None) -> "Matrix":
        """What the model sees of the shoppers in the events (or of the invented ones in `chosen`), as the batch has it.

        Args:
            events: Of one shopper, or of invented ones.
            chosen: See small_log.
            user_id: Who it is; the held parts are hers. None leaves them out, to be added by `held.added_to`.
        """
        from core.encoder.pooling import HALF_LIFE_DAYS, pool_text_profiles
        from core.predictor.matrix import matrix_of

        items = histories.items_of(events)
        with small_log(events, self.catalogue(items), chosen) as connection:
            counts = compute_features(connection, self.cutoff, self._levels_of(items))
            vectors = self._vectors_of(items)
            text = None
            if self.with_text and vectors is not None:
                text = pool_text_profiles(connection, vectors, self.half_life or HALF_LIFE_DAYS)
            found = matrix_of(counts, text)
            if self.kept.reads_acts:
                found = replace(found, acts=self._acts(connection, vectors))
        return found if user_id is None else self.held.added_to(found, user_id)

    def catalogue(self, items: list[str]) -> pa.Table:
        """What is known of some items; those asked for before come from memory."""
        if missing := [item for item in items if item not in self.described]:
            with self.log.history(self.cutoff) as connection:
                found = histories.catalogue_of(connection, missing)
            self.described.update(dict.fromkeys(missing) | {row["item_id"]: row for row in found.to_pylist()})
        rows = [row for item in items if (row := self.described[item]) is not None]
        return pa.Table.from_pylist(rows, schema=CATALOGUE_FIELDS)

    def log_odds(self, matrix: "Matrix") -> Floats:
        """Of the calibrated chance (N,)."""
        chance = np.clip(self.kept.propensities(matrix), CLIP, 1 - CLIP)
        return np.asarray(np.log(chance / (1 - chance)))

    def nothing(self) -> "Matrix":
        """One row: a shopper of whom nothing is known; without held parts."""
        from core.predictor.acts import no_acts
        from core.predictor.matrix import Matrix

        columns = [name for name in self.kept.columns if name not in self.held.columns]
        width = self.vectors.vectors.shape[1] if self.vectors is not None else 0
        text = np.zeros((1, width), np.float32) if self.with_text else None
        acts = no_acts(1, width) if self.kept.reads_acts else None
        return Matrix(["nobody"], columns, nothing_known(columns)[None, :], text, acts=acts)

    def of_coalitions(self, user_id: str, found: "Matrix | None", names: list[str], shown: Bools) -> "Matrix":
        """Rows of invented users in the order of `names` (C,), each with the held parts that it has (C, H).

        Args:
            user_id: Whose held parts.
            found: Of the invented users that have acts; the others are shoppers of whom nothing is known.
            names: Of all invented users.
            shown: Held parts of each.
        """
        from core.predictor.matrix import stack

        known = {} if found is None else {user: row for row, user in enumerate(found.user_ids)}
        rows = self.nothing() if found is None else stack([found, self.nothing()])
        return self.held.added_to(rows.rows(np.array([known.get(name, len(known)) for name in names], dtype=np.int64)), user_id, shown)

    def history(self, user_id: str) -> pa.Table:
        """A shopper's events before the cutoff, sorted by time.

        Raises:
            NotFoundError: There is none.
        """
        if user_id not in self.histories:
            with self.log.history(self.cutoff) as connection:
                events = histories.history_of(connection, user_id)
            if not events.num_rows:
                raise NotFoundError(
                    "There is no shopper {user!r} before {cutoff}; ids are case-sensitive.", user=user_id, cutoff=self.cutoff
                )
            self.histories[user_id] = events
            while len(self.histories) > KEPT_HISTORIES:
                self.histories.popitem(last=False)
        return self.histories[user_id]

    def _levels_of(self, items: list[str]) -> pa.Table:
        return self.levels.filter(pc.is_in(self.levels["item_id"], pa.array(items, pa.string())))

    def _vectors_of(self, items: list[str]) -> "ItemVectors | None":
        if self.vectors is None:
            return None
        known = [item for item in items if item in self.place]
        index = self.vectors.index[[self.place[item] for item in known]] if known else np.zeros(0, np.int32)
        return replace(self.vectors, item_ids=known, index=index)

    def _acts(self, connection: Connection, vectors: "ItemVectors | None") -> "Acts":
        from core.encoder.items import without_texts

        return read_acts(connection, self.cutoff, vectors or without_texts(connection))


_open: "OrderedDict[tuple[str, str], Reading]" = OrderedDict()


def open_reading(home: Home, dataset: Dataset, run_id: str | None = None) -> Reading:
    """Open a propensity run (default: the current one) to be asked about; the last few stay in memory.

    Raises:
        NotFoundError: There is no such run.
        StorageError: The run keeps no model.
        GateError: Its model looks at more than counts and texts, and the run does not keep that; it was made by an earlier release.
    """
    from core.predictor.held import ATTRIBUTES, held_parts, load_held
    from core.predictor.keeping import load_background, load_model

    folder = dataset.run_path("propensity", run_id)
    key = (str(folder.resolve()), str(folder.stat().st_mtime_ns))
    if key in _open:
        _open.move_to_end(key)
        return _open[key]
    record = dataset.run_manifest("propensity", folder.name)
    kept = load_model(folder)
    held = load_held(folder, kept.blocks())
    if unkept := sorted({*held_parts(kept, held.columns), *([ATTRIBUTES] if record["config"].get("attributes") else [])} - set(held.names)):
        raise GateError(
            "The chances of run {run} look at {parts}, which an earlier release did not keep. Train the chances again to ask why.",
            run=folder.name,
            parts=", ".join(unkept),
        )
    log = dataset.log(datetime.fromisoformat(record["cutoff"]) if record["cutoff"] else None, record["inputs"]["version"])
    texts = TextProfiles(home, log, ProfileOptions.of(record["config"]))
    with_text = "text profile" in kept.blocks()
    vectors = texts.item_vectors(log.until) if with_text or kept.reads_acts else None
    with log.history() as connection:
        kinds, popular = histories.kinds_of(connection), histories.most_popular(connection)
    background = load_background(folder)
    found = Reading(
        log=log,
        cutoff=log.until,
        run_id=folder.name,
        kept=kept,
        background=background,
        levels=read_table(folder / "item_levels.parquet"),
        vectors=vectors,
        half_life=texts.half_life,
        place={} if vectors is None else {item: row for row, item in enumerate(vectors.item_ids)},
        kinds=kinds,
        popular=popular,
        held=held,
        with_text=with_text and vectors is not None,
        gap_minutes=dataset.manifest(record["inputs"]["version"]).get("session_gap_minutes"),
        asked={
            "act": record["config"].get("act", "purchase"),
            "category": one_category(record),
            "horizon_days": (record.get("windows") or {}).get("horizon_days"),
        },
    )
    _open[key] = found
    while len(_open) > OPEN_RUNS:
        _open.popitem(last=False)
    return found
