"""Why one shopper's chance is what it is, and what would change it: her history, the feature SQL and the kept model together.

A reading of one run is opened once and kept; then a question costs a few small statements in memory. What is asked here is
answered by the warm helper for pages and by the command line itself.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from core.errors import RuleError
from core.explain import acts as by_acts
from core.explain import histories
from core.explain.changes import Change, change_of, changed, possible_changes
from core.explain.named import Block, Rows, explain_features, join_names, name_groups
from core.explain.pasted import read_pasted
from core.explain.shapley import Bools, Floats
from core.explain.waterfall import lay_out
from core.pipeline.explaining_categories import open_categories, why_category
from core.pipeline.reading import Reading, open_reading
from core.pipeline.telling import Result
from core.store import Home

if TYPE_CHECKING:
    from core.predictor.matrix import Matrix


def why(reading: Reading, user_id: str, seed: int = 0) -> Result:
    """Tell what one shopper's chance is made of, by named features and by acts, and check the strongest act by leaving it out."""
    events = reading.history(user_id)
    matrix = reading.matrix(events, user_id=user_id)
    scored = reading.kept.score(matrix).to_pylist()[0]
    told = {
        "run": reading.run_id,
        **reading.asked,
        "cutoff": reading.cutoff.isoformat(),
        "model": reading.kept.name,
        **scored,
        "events": events.num_rows,
        "held": reading.held.names,
        "features": _by_features(reading, matrix, np.random.default_rng(seed)),
        "acts": by_act(reading, events, np.random.default_rng(seed)),
    }
    return told | {"warnings": []}


def what_if(reading: Reading, events: pa.Table, change: Change) -> Result:
    """Score a history before and after a change; what is held stays as it was."""
    after, user = changed(events, change, reading.cutoff), _user_of(events)
    both = [_renamed(events, "0"), _renamed(after, "1")] if after.num_rows else [_renamed(events, "0")]
    scored = reading.kept.score(reading.matrix(pa.concat_tables(both), user_id=user)).to_pylist()
    after_it = scored[1] if after.num_rows else _nothing_scored(reading, user)
    return {
        "before": _chance(scored[0]),
        "after": _chance(after_it),
        "events_before": events.num_rows,
        "events_after": after.num_rows,
        "unknown_items": _unknown_items(reading, after) if change.add else 0,
        "held": reading.held.names,
    }


def what_lifts(reading: Reading, events: pa.Table) -> Result:
    """Try the allowed changes on a history, best first: the model's view of other histories, not the effect of doing something."""
    names = [item for item in events["item_id"].to_pylist() if item is not None]
    liked = max(sorted(set(names)), key=names.count) if names else None
    tried = possible_changes(reading.kinds, list(dict.fromkeys([liked, reading.popular])), _has_prices(events))
    tables, user = [], _user_of(events)
    for number, change in enumerate([Change(), *tried]):
        tables.append(_renamed(changed(events, change, reading.cutoff), f"{number:04d}"))
    matrix = reading.matrix(pa.concat_tables(tables), user_id=user)
    scores = reading.kept.score(matrix)["propensity"].to_pylist()
    rows = [
        {**_told(change), "propensity": score, "difference": score - scores[0]} for change, score in zip(tried, scores[1:], strict=True)
    ]
    rows.sort(key=lambda row: (-row["difference"], str(row)))
    return {
        "user_id": user,
        "propensity": scores[0],
        "tried": rows,
        "liked_item": liked,
        "popular_item": reading.popular,
        "held": reading.held.names,
    }


def score_history(reading: Reading, text: str) -> Result:
    """Score one history that was typed or pasted (JSON rows or CSV); nothing is known of what happened after it, and nothing is held."""
    events = read_pasted(text, reading.cutoff, reading.gap_minutes)
    scored = reading.kept.score(reading.matrix(events, user_id=_user_of(events))).to_pylist()[0]
    return {
        "run": reading.run_id,
        **reading.asked,
        "cutoff": reading.cutoff.isoformat(),
        "model": reading.kept.name,
        **_chance(scored),
        "events": events.num_rows,
        "held": reading.held.names,
        "unknown_items": _unknown_items(reading, events),
        "warnings": [],
    }


def _by_features(reading: Reading, matrix: "Matrix", rng: np.random.Generator) -> Result:
    from core.predictor.keeping import exact_shares

    output = float(reading.log_odds(matrix)[0])
    exact = exact_shares(reading.kept, matrix)
    if exact is not None:
        columns, shares, base = exact
        names, values = join_names(columns, shares[0])
        errors, method = np.zeros(len(names)), "trees" if reading.kept.name.startswith("lightgbm") else "linear"
        background, coalitions = "training", 0
    else:
        rows, others = _seen(reading, matrix, 1.0), _seen(reading, reading.background, 0.0)
        names, found = explain_features(_score_of_rows(reading, matrix), reading.kept.columns, rows, others, rng)
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


def _seen(reading: Reading, matrix: "Matrix", acts: float) -> Rows:
    """What the model looks at of some rows; all single acts together are one block, 1 where they are there and 0 where not."""
    from core.predictor.history_networks import HISTORY

    looked = {name for name in reading.kept.blocks() if reading.with_text or name != "text profile"}
    blocks: dict[str, Block] = {name: block for name, block in matrix.learned().items() if name in looked}
    if reading.kept.reads_acts:
        blocks[HISTORY] = np.full((len(matrix.values), 1), acts, np.float32)
    return Rows(matrix.values, blocks)


def _score_of_rows(reading: Reading, shopper: "Matrix") -> Callable[[Rows], Floats]:
    """Log-odds of rows that mix a shopper with others; those without her acts have none."""
    from core.predictor.acts import no_acts, stack_acts
    from core.predictor.history_networks import HISTORY
    from core.predictor.matrix import Matrix

    both = None
    if shopper.acts is not None:
        both = stack_acts([no_acts(1, shopper.acts.vectors.shape[1]), shopper.acts])

    def score(rows: Rows) -> Floats:
        blocks = dict(rows.blocks)
        acts = None if both is None else both.rows(blocks.pop(HISTORY)[:, 0].astype(np.int64))
        text = blocks.pop("text profile", None)
        further = {name.removesuffix(" profile"): block for name, block in blocks.items()}
        return reading.log_odds(Matrix([""] * len(rows.values), reading.kept.columns, rows.values, text, further, acts))

    return score


def by_act(reading: Reading, events: pa.Table, rng: np.random.Generator) -> Result:
    """Share a history's chance out among its acts and what is held beside them, and check the strongest act by leaving it out."""
    players, user, held = by_acts.find_players(events), _user_of(events), reading.held.names

    def score(tagged: pa.Table, chosen: pa.Table, names: list[str], shown: Bools) -> Floats:
        found = reading.matrix(tagged, chosen) if chosen.num_rows else None
        return reading.log_odds(reading.of_coalitions(user, found, names, shown))

    found = by_acts.explain_acts(score, events, players, rng, held=len(held))
    items = events["item_id"].to_pylist()
    of_acts, of_held = found.values[: len(players)], found.values[len(players) :]
    parts: list[dict[str, Any]] = [
        {"name": name, "log_odds": float(value), "error": float(error), "kind": "held"}
        for name, value, error in zip(held, of_held, found.errors[len(players) :], strict=True)
    ]
    for player, value, error in zip(players, of_acts.tolist(), found.errors.tolist(), strict=False):
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
    strongest = int(np.abs(of_acts).argmax())
    without = events.take(np.setdiff1d(np.arange(events.num_rows), players[strongest].rows))
    if without.num_rows:
        left = reading.kept.score(reading.matrix(without, user_id=user)).to_pylist()[0]["propensity"]
    else:
        left = _nothing_scored(reading, user)["propensity"]
    check = next(part for part in parts if part["name"] == str(strongest))
    return told | {"check": {**check, "with": told["propensity"], "without": left}}


def _nothing_scored(reading: Reading, user_id: str) -> Result:
    found: Result = reading.kept.score(reading.held.added_to(reading.nothing(), user_id)).to_pylist()[0]
    return found


def _user_of(events: pa.Table) -> str:
    return str(events["user_id"][0].as_py()) if events.num_rows else ""


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


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None


def _ask_why(home: Home, asked: dict[str, Any]) -> Result:
    return why(_of(home, asked), asked["user_id"])


def _ask_why_category(home: Home, asked: dict[str, Any]) -> Result:
    dataset = home.dataset(asked["dataset"])
    return why_category(open_categories(home, dataset, asked.get("run")), asked["user_id"], asked["category"])


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
    return read_pasted(asked["history"], reading.cutoff, reading.gap_minutes) if asked.get("history") else reading.history(asked["user_id"])


ANSWERS: dict[str, Callable[[Home, dict[str, Any]], Result]] = {
    "why": _ask_why,
    "why_category": _ask_why_category,
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
