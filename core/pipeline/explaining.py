"""Why one shopper's chance is what it is, and what would change it: her history, the feature SQL and the kept model together.

A reading of one run is opened once and kept; then a question costs a few small statements in memory. What is asked here is
answered by the warm helper for pages and by the command line itself.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from core.artifacts import read_table
from core.errors import GateError, NotFoundError, RuleError
from core.explain import acts as by_acts
from core.explain import histories
from core.explain.changes import Change, change_of, changed, possible_changes
from core.explain.named import Rows, explain_features, join_names, name_groups
from core.explain.pasted import read_pasted
from core.explain.shapley import Floats
from core.explain.waterfall import lay_out
from core.features import compute_features, nothing_known
from core.metrics import CLIP
from core.pipeline.options import ProfileOptions
from core.pipeline.telling import Result
from core.pipeline.texts import TextProfiles
from core.store import Dataset, Home, Log
from core.store.small import CATALOGUE_FIELDS, small_log

if TYPE_CHECKING:
    from core.encoder.items import ItemVectors
    from core.predictor.keeping import KeptModel
    from core.predictor.matrix import Matrix

OPEN_RUNS = 3
"""Readings kept in memory."""


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
    half_life: float | None
    """Of acts in text profiles, in days; None is the usual one."""
    place: dict[str, int]
    """Row of each item in `vectors`."""
    kinds: tuple[str, ...]
    """Acts that the log knows."""
    popular: str | None
    """The item that most shoppers touched."""
    described: dict[str, dict[str, Any] | None] = field(default_factory=dict, repr=False, compare=False)
    """Catalogue rows that were asked for before; None for items that neither log nor catalogue knows."""

    def matrix(self, events: pa.Table, chosen: pa.Table | None = None) -> "Matrix":
        """Features and text profiles of the shoppers in the events (or of the invented ones in `chosen`), as the batch has them."""
        from core.encoder.pooling import HALF_LIFE_DAYS, pool_text_profiles
        from core.predictor.matrix import matrix_of

        items = histories.items_of(events)
        with small_log(events, self.catalogue(items), chosen) as connection:
            counts = compute_features(connection, self.cutoff, self._levels_of(items))
            text = None
            if self.vectors is not None:
                known = [item for item in items if item in self.place]
                index = self.vectors.index[[self.place[item] for item in known]] if known else np.zeros(0, np.int32)
                vectors = replace(self.vectors, item_ids=known, index=index)
                text = pool_text_profiles(connection, vectors, self.half_life or HALF_LIFE_DAYS)
        return matrix_of(counts, text)

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
        """One row: a shopper of whom nothing is known."""
        from core.predictor.matrix import Matrix

        text = None if self.vectors is None else np.zeros((1, self.vectors.vectors.shape[1]), np.float32)
        return Matrix(["nobody"], self.kept.columns, nothing_known(self.kept.columns)[None, :], text)

    def history(self, user_id: str) -> pa.Table:
        """A shopper's events before the cutoff, sorted by time.

        Raises:
            NotFoundError: There is none.
        """
        with self.log.history(self.cutoff) as connection:
            events = histories.history_of(connection, user_id)
        if not events.num_rows:
            raise NotFoundError("There is no shopper {user!r} before {cutoff}; ids are case-sensitive.", user=user_id, cutoff=self.cutoff)
        return events

    def _levels_of(self, items: list[str]) -> pa.Table:
        return self.levels.filter(pa.compute.is_in(self.levels["item_id"], pa.array(items, pa.string())))


_open: "OrderedDict[tuple[str, str], Reading]" = OrderedDict()


def open_reading(home: Home, dataset: Dataset, run_id: str | None = None) -> Reading:
    """Open a propensity run (default: the current one) to be asked about; the last few stay in memory.

    Raises:
        NotFoundError: There is no such run.
        StorageError: The run keeps no model.
        GateError: Its model looks at blocks that cannot be made anew for a changed history.
    """
    from core.predictor.keeping import load_background, load_model

    folder = dataset.run_path("propensity", run_id)
    key = (str(folder.resolve()), str(folder.stat().st_mtime_ns))
    if key in _open:
        _open.move_to_end(key)
        return _open[key]
    record = dataset.run_manifest("propensity", folder.name)
    kept = load_model(folder)
    if record["config"].get("attributes"):
        raise GateError(
            "The chances of run {run} look at shopper attributes, which are no acts that could be weighed or changed. "
            "Train chances without attributes to ask why.",
            run=folder.name,
        )
    if unread := [name for name in kept.blocks() if name.endswith(" profile") and name != "text profile"]:
        raise GateError(
            "The chances of run {run} look at blocks that are not made anew for a changed history: {blocks}. "
            "Train chances with blocks counts,text to ask why.",
            run=folder.name,
            blocks=", ".join(unread),
        )
    log = dataset.log(datetime.fromisoformat(record["cutoff"]) if record["cutoff"] else None, record["inputs"]["version"])
    texts = TextProfiles(home, log, ProfileOptions.of(record["config"]))
    vectors = texts.item_vectors(log.until) if "text profile" in kept.blocks() else None
    with log.history() as connection:
        kinds, popular = histories.kinds_of(connection), histories.most_popular(connection)
    background = load_background(folder)
    found = Reading(
        log=log,
        cutoff=log.until,
        run_id=folder.name,
        kept=kept,
        background=background if vectors is not None else background.counts_alone(),
        levels=read_table(folder / "item_levels.parquet"),
        vectors=vectors,
        half_life=texts.half_life,
        place={} if vectors is None else {item: row for row, item in enumerate(vectors.item_ids)},
        kinds=kinds,
        popular=popular,
    )
    _open[key] = found
    while len(_open) > OPEN_RUNS:
        _open.popitem(last=False)
    return found


def why(reading: Reading, user_id: str, seed: int = 0) -> Result:
    """Tell what one shopper's chance is made of, by named features and by acts, and check the strongest act by leaving it out."""
    events = reading.history(user_id)
    matrix = reading.matrix(events)
    scored = reading.kept.score(matrix).to_pylist()[0]
    told = {
        "run": reading.run_id,
        "cutoff": reading.cutoff.isoformat(),
        "model": reading.kept.name,
        **scored,
        "events": events.num_rows,
        "features": _by_features(reading, matrix, np.random.default_rng(seed)),
        "acts": by_act(reading, events, np.random.default_rng(seed)),
    }
    return told | {"warnings": []}


def what_if(reading: Reading, events: pa.Table, change: Change) -> Result:
    """Score a history before and after a change."""
    after = changed(events, change, reading.cutoff)
    both = [_renamed(events, "0"), _renamed(after, "1")] if after.num_rows else [_renamed(events, "0")]
    scored = reading.kept.score(reading.matrix(pa.concat_tables(both))).to_pylist()
    after_it = scored[1] if after.num_rows else reading.kept.score(reading.nothing()).to_pylist()[0]
    return {
        "before": _chance(scored[0]),
        "after": _chance(after_it),
        "events_before": events.num_rows,
        "events_after": after.num_rows,
    }


def what_lifts(reading: Reading, events: pa.Table) -> Result:
    """Try the allowed changes on a history, best first: the model's view of other histories, not the effect of doing something."""
    names = [item for item in events["item_id"].to_pylist() if item is not None]
    liked = max(sorted(set(names)), key=names.count) if names else None
    tried = possible_changes(reading.kinds, list(dict.fromkeys([liked, reading.popular])), _has_prices(events))
    tables, user = [], events["user_id"][0].as_py()
    for number, change in enumerate([Change(), *tried]):
        tables.append(_renamed(changed(events, change, reading.cutoff), f"{number:04d}"))
    matrix = reading.matrix(pa.concat_tables(tables))
    scores = reading.kept.score(matrix)["propensity"].to_pylist()
    rows = [
        {**_told(change), "propensity": score, "difference": score - scores[0]} for change, score in zip(tried, scores[1:], strict=True)
    ]
    rows.sort(key=lambda row: (-row["difference"], str(row)))
    return {"user_id": user, "propensity": scores[0], "tried": rows, "liked_item": liked, "popular_item": reading.popular}


def score_history(reading: Reading, text: str) -> Result:
    """Score one history that was typed or pasted (JSON rows or CSV); nothing is known of what happened after it."""
    events = read_pasted(text, reading.cutoff)
    scored = reading.kept.score(reading.matrix(events)).to_pylist()[0]
    return {
        "run": reading.run_id,
        "cutoff": reading.cutoff.isoformat(),
        "model": reading.kept.name,
        **_chance(scored),
        "events": events.num_rows,
        "unknown_items": _unknown_items(reading, events),
        "warnings": [],
    }


def _by_features(reading: Reading, matrix: "Matrix", rng: np.random.Generator) -> Result:
    from core.predictor.keeping import exact_shares
    from core.predictor.matrix import Matrix

    output = float(reading.log_odds(matrix)[0])
    exact = exact_shares(reading.kept, matrix)
    if exact is not None:
        columns, shares, base = exact
        names, values = join_names(columns, shares[0])
        errors, method = np.zeros(len(names)), "trees" if reading.kept.name.startswith("lightgbm") else "linear"
        background, coalitions = "training", 0
    else:

        def score(rows: Rows) -> Floats:
            people = [""] * len(rows.values)
            return reading.log_odds(Matrix(people, reading.kept.columns, rows.values, rows.blocks.get("text profile")))

        rows, others = _rows(matrix), _rows(reading.background)
        names, found = explain_features(score, reading.kept.columns, rows, others, rng)
        values, errors, base, method, coalitions = found.values, found.errors, found.base, found.method, found.coalitions
        background = "scored"
    counted = dict(zip(matrix.columns, matrix.values[0].tolist(), strict=True))
    groups = name_groups(matrix.columns)
    parts = [
        {
            "name": name,
            "log_odds": float(value),
            "error": float(error),
            "counted": {matrix.columns[place]: _finite(counted[matrix.columns[place]]) for place in groups.get(name, [])},
        }
        for name, value, error in zip(names, values, errors, strict=True)
    ]
    return lay_out(parts, base, output) | {
        "method": method,
        "background": background,
        "background_rows": len(reading.background.user_ids) if background == "scored" else None,
        "coalitions": coalitions,
    }


def by_act(reading: Reading, events: pa.Table, rng: np.random.Generator) -> Result:
    """Share a history's chance out among its acts, and check the strongest by leaving it out."""
    players = by_acts.find_players(events)

    def score(tagged: pa.Table, chosen: pa.Table) -> dict[str, float]:
        matrix = reading.matrix(tagged, chosen)
        return dict(zip(matrix.user_ids, reading.log_odds(matrix).tolist(), strict=True))

    nothing = float(reading.log_odds(reading.nothing())[0])
    found = by_acts.explain_acts(score, nothing, events, players, rng)
    items = events["item_id"].to_pylist()
    parts = []
    for player, value, error in zip(players, found.values.tolist(), found.errors.tolist(), strict=True):
        touched = [items[row] for row in player.rows if items[row] is not None]
        parts.append(
            {
                "name": str(player.number),
                "log_odds": value,
                "error": error,
                "kind": player.kind,
                "event_type": player.event_type,
                "events": player.events,
                "first": player.first.isoformat(),
                "last": player.last.isoformat(),
                "items": touched[:3],
                "different_items": len(set(touched)),
            }
        )
    told = lay_out(parts, found.base, found.output) | {"method": found.method, "background": "nothing", "coalitions": found.coalitions}
    strongest = max(range(len(players)), key=lambda number: abs(found.values[number]))
    without = events.take(np.setdiff1d(np.arange(events.num_rows), players[strongest].rows))
    left = _score_or_nothing(reading, without)["propensity"]
    return told | {"check": {"name": str(strongest), "with": told["propensity"], "without": left}}


def _score_or_nothing(reading: Reading, events: pa.Table) -> Result:
    matrix = reading.matrix(events) if events.num_rows else reading.nothing()
    found: Result = reading.kept.score(matrix).to_pylist()[0]
    return found


def _renamed(events: pa.Table, user_id: str) -> pa.Table:
    return events.set_column(0, "user_id", pa.array([user_id] * events.num_rows, pa.string()))


def _chance(scored: Result) -> Result:
    return {name: scored[name] for name in ("propensity", "low", "high")}


def _told(change: Change) -> Result:
    act = change.add[0] if change.add else None
    return {
        "closer_days": change.closer_days,
        "price_factor": change.price_factor,
        "event_type": act.event_type if act else None,
        "item_id": act.item_id if act else None,
        "times": act.times if act else 0,
    }


def _has_prices(events: pa.Table) -> bool:
    return any(events[name].null_count < events.num_rows for name in ("price", "revenue"))


def _unknown_items(reading: Reading, events: pa.Table) -> int:
    items = histories.items_of(events)
    return len(items) - int(reading.catalogue(items).num_rows)


def _rows(matrix: "Matrix") -> Rows:
    return Rows(matrix.values, matrix.learned())


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None


def _ask_why(home: Home, asked: dict[str, Any]) -> Result:
    return why(_of(home, asked), asked["user_id"])


def _ask_what_if(home: Home, asked: dict[str, Any]) -> Result:
    reading = _of(home, asked)
    return what_if(reading, _events(reading, asked), change_of(asked["change"]))


def _ask_what_lifts(home: Home, asked: dict[str, Any]) -> Result:
    reading = _of(home, asked)
    return what_lifts(reading, _events(reading, asked))


def _ask_score(home: Home, asked: dict[str, Any]) -> Result:
    return score_history(_of(home, asked), asked["history"])


def _of(home: Home, asked: dict[str, Any]) -> Reading:
    return open_reading(home, home.dataset(asked["dataset"]), asked.get("run"))


def _events(reading: Reading, asked: dict[str, Any]) -> pa.Table:
    return read_pasted(asked["history"], reading.cutoff) if asked.get("history") else reading.history(asked["user_id"])


ANSWERS: dict[str, Callable[[Home, dict[str, Any]], Result]] = {
    "why": _ask_why,
    "what_if": _ask_what_if,
    "what_lifts": _ask_what_lifts,
    "score": _ask_score,
}
"""Questions that the warm helper knows."""


def history_text(argument: str) -> str:
    """The text of a history: a file's content when there is a file of that name, else the argument itself.

    Raises:
        RuleError: It is empty.
    """
    path = Path(argument)
    text = path.read_text(encoding="utf-8") if len(argument) < 4096 and path.is_file() else argument
    if not text.strip():
        raise RuleError("The history is empty; give rows of event_type, event_time and item_id as CSV or JSON.")
    return text
