"""What the Why page asks: questions for the warm helper, and the acts of one shopper with their titles; holds no model itself."""

import json
from datetime import datetime
from typing import Any

import pandas as pd
import pyarrow.compute as pc

from core.artifacts import read_table
from core.explain import histories
from core.helper import helper_of
from core.pipeline import screens
from core.pipeline.screens import Screen
from core.store import Home, Log


def why(screen: Screen, user_id: str) -> dict[str, Any]:
    """See `explaining.why`, of the pinned run."""
    return _ask(screen, "why", {"user_id": user_id})


def why_category(screen: Screen, user_id: str, category: str) -> dict[str, Any]:
    """See `explaining_categories.why_category`, of the pinned run."""
    return _ask(screen, "why_category", {"user_id": user_id, "category": category})


def category_chances(screen: Screen, user_id: str) -> pd.DataFrame:
    """A shopper's chances by category in the pinned run, largest first: category, propensity, low, high; no row where it knows none."""
    run_id = screen.run_id("propensity")
    file = screen.dataset.run_path("propensity", run_id) / "categories.parquet" if run_id else None
    if file is None or not file.is_file():
        return pd.DataFrame(columns=["category", "propensity", "low", "high"])
    table = read_table(file)
    table = table.filter(pc.equal(table["user_id"].cast("string"), user_id)).drop_columns(["user_id"])
    found: pd.DataFrame = table.sort_by([("propensity", "descending"), ("category", "ascending")]).to_pandas()
    return found


def what_if(screen: Screen, user_id: str, change: str) -> dict[str, Any]:
    """See `explaining.what_if`; the change as JSON text."""
    return _ask(screen, "what_if", {"user_id": user_id, "change": json.loads(change)})


def what_lifts(screen: Screen, user_id: str) -> dict[str, Any]:
    """See `explaining.what_lifts`."""
    return _ask(screen, "what_lifts", {"user_id": user_id})


def score(screen: Screen, history: str) -> dict[str, Any]:
    """See `explaining.score_history`."""
    return _ask(screen, "score", {"history": history})


def acts(screen: Screen, user_id: str) -> pd.DataFrame:
    """A shopper's events before the cutoff of the pinned run, oldest first: place, event_time, event_type, item_id, title, revenue."""
    log = _log(screen)
    with log.history() as connection:
        events = histories.history_of(connection, user_id)
        known = histories.catalogue_of(connection, histories.items_of(events)).to_pylist()
    titles = {row["item_id"]: row["title"] for row in known}
    table: pd.DataFrame = events.select(["event_time", "event_type", "item_id", "revenue"]).to_pandas()
    table.insert(0, "place", range(len(table)))
    return table.assign(title=[titles.get(item) or item for item in table["item_id"]])


def titles(screen: Screen, items: tuple[str, ...]) -> dict[str, str]:
    """Titles of items, their ids where there is none."""
    with _log(screen).history() as connection:
        known = {row["item_id"]: row["title"] for row in histories.catalogue_of(connection, sorted(set(items))).to_pylist()}
    return {item: known.get(item) or item for item in items}


def kinds(screen: Screen) -> list[str]:
    """Kinds of acts in the log."""
    with _log(screen).history() as connection:
        return list(histories.kinds_of(connection))


def _log(screen: Screen) -> Log:
    record = screens.run_manifest(screen, "propensity") or {}
    cutoff = datetime.fromisoformat(record["cutoff"]) if record.get("cutoff") else None
    return screen.dataset.log(cutoff, (record.get("inputs") or {}).get("version") or screen.version)


def _ask(screen: Screen, question: str, values: dict[str, Any]) -> dict[str, Any]:
    asked = {"dataset": screen.name, "run": screen.run_id("propensity"), **values}
    return helper_of(Home(screen.home)).ask(question, asked)
