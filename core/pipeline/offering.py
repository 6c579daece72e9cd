"""A merchant's rules over the lists of a dataset: saved sets, the preview of one shopper, and the file of everyone's lists."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from core.artifacts import read_table, sha256_of, write_json
from core.errors import NotFoundError, RuleError, StorageError
from core.messages import Message, joined, say
from core.offers.goods import Goods, bought_pairs, read_goods, rebuying, shown_pairs
from core.offers.lists import Offered, Past, barred_items, offer, taken_words
from core.offers.rules import RuleSet, record_of, rules_from
from core.offers.unknown import unknown_words
from core.offers.why_not import WhyNot
from core.offers.why_not import why_not as ask_why_not
from core.offers.words import rules_words
from core.pipeline import screens
from core.pipeline.screens import Screen
from core.pipeline.writing import write_rows
from core.schema import RECOMMENDATIONS

SAVED = "offer_rules"
KEPT_VERSIONS = 50
"""Versions of one rule set that are kept."""
EXPORTS = "lists"
"""Folder below a dataset's exports that remembers who was given what."""
GOODS_KEPT = 4
SHOPPERS_KEPT = 16
"""Shoppers whose candidates and purchases are remembered, so that a slider opens no file: they take megabytes at most."""
SEGMENT_ITEMS = 50
"""Items that are shown of a segment."""


@dataclass(frozen=True)
class Preview:
    """One shopper's list under rules."""

    table: pd.DataFrame
    """Columns of the candidates + title, category, brand, price, image."""
    taken: list[Message]
    short: bool


@lru_cache(maxsize=GOODS_KEPT)
def goods(screen: Screen) -> Goods:
    """Read the items of the pinned version; those read last are remembered, for versions never change."""
    with screen.log.history() as connection:
        return read_goods(connection)


def rebuyable(screen: Screen) -> pd.DataFrame:
    """Categories by the share of shopper–item pairs bought on a second day: category, pairs, share."""
    with screen.log.history() as connection:
        found: pd.DataFrame = rebuying(connection).to_pandas()
    return found


def preview(screen: Screen, user_id: str, rules: RuleSet, k: int = 10, _made: str = "") -> Preview:
    """Make one shopper's list under rules, from the candidates that the pinned run kept; `_made` tells which export was the last.

    What the set in force bars for everyone goes too, here and in every other list.

    Raises:
        NotFoundError: There is no list of that shopper.
    """
    every, rules = goods(screen), _held(screen, rules)
    made = offer(candidates_of(screen, user_id), every, rules, _past(screen, every, rules, user_id), k)
    return Preview(_told(every, made.table), taken_words(made.taken), bool(made.short))


def why_not(screen: Screen, user_id: str, rules: RuleSet, k: int, item_id: str) -> WhyNot:
    """Say why an item is not in a shopper's list (see `offers.why_not`).

    Raises:
        NotFoundError: There is no list of that shopper.
    """
    every, rules = goods(screen), _held(screen, rules)
    return ask_why_not(candidates_of(screen, user_id), every, rules, _past(screen, every, rules, user_id), k, item_id)


@lru_cache(maxsize=SHOPPERS_KEPT)
def candidates_of(screen: Screen, user_id: str) -> pa.Table:
    """Return what the pinned run kept of one shopper, best first; the list alone in runs that kept no candidates.

    Raises:
        NotFoundError: There is no run, or no list of that shopper.
    """
    path = _kept_path(screen)
    table = pq.read_table(path, filters=[("user_id", "=", user_id)])
    if not table.num_rows:
        raise NotFoundError("There is no list for the shopper {user!r}; pick another id.", user=user_id[:80])
    return table


def everyone(screen: Screen, rules: RuleSet, k: int, users: Collection[str] | None = None) -> Offered:
    """Make the lists of all shoppers, or of some, under rules.

    Raises:
        NotFoundError: There is no run of recommendations yet.
    """
    every, rules = goods(screen), _held(screen, rules)
    table = read_table(_kept_path(screen))
    if users is not None:
        table = table.filter(pc.is_in(table["user_id"], pa.array(sorted(users), pa.string())))
    return offer(table, every, rules, _past(screen, every, rules), k)


def of_segment(screen: Screen, users: Collection[str], rules: RuleSet, k: int = 10, _made: str = "") -> pd.DataFrame:
    """Items that stand most often among the first `k` of some shoppers under rules: item_id, users, share, title …; at most SEGMENT_ITEMS.

    Raises:
        NotFoundError: There is no run of recommendations yet.
    """
    listed = everyone(screen, rules, k, users).table
    counted: pd.DataFrame = listed.select(["item_id"]).to_pandas().value_counts("item_id").rename("users").reset_index()
    counted["share"] = counted["users"] / max(len(users), 1)
    first = counted.sort_values(["users", "item_id"], ascending=[False, True], kind="stable", ignore_index=True).head(SEGMENT_ITEMS)
    return _with_facts(goods(screen), first)


def in_force(screen: Screen) -> RuleSet | None:
    """Return the rule set that holds for every list of the dataset, or None."""
    record = screen.dataset.saved(SAVED) or {}
    name = record.get("in_force")
    return saved_set(screen, str(name)) if name in (record.get("sets") or {}) else None


def put_in_force(screen: Screen, name: str | None) -> None:
    """Let a saved rule set hold for every list of the dataset; None lifts it.

    Raises:
        NotFoundError: There is no rule set of that name.
    """
    if name is not None:
        saved_set(screen, name)
    record = screen.dataset.saved(SAVED) or {}
    screen.dataset.save(SAVED, {**record, "in_force": name})
    screens.audit(screen, {"act": "put rules in force", "dataset": screen.name, "rules": name})


def forbidden(screen: Screen, rules: RuleSet) -> frozenset[str]:
    """Ids of items that the rules bar for everyone."""
    every = goods(screen)
    masks = list(barred_items(every, rules).values())
    return frozenset(every.item_ids[i] for i in np.flatnonzero(np.any(masks, axis=0)).tolist()) if masks else frozenset()


def allowed(screen: Screen, table: pd.DataFrame) -> pd.DataFrame:
    """Leave out of lists (user_id, rank, item_id) what the rule set in force bars for everyone; ranks close up."""
    barred = barred_now(screen)
    if not barred or not len(table):
        return table
    kept: pd.DataFrame = table[~table["item_id"].isin(barred)].reset_index(drop=True)
    return kept.assign(rank=kept.groupby("user_id").cumcount() + 1)


def allowed_table(table: pa.Table, barred: Collection[str]) -> pa.Table:
    """Leave barred items out of lists as a run keeps them, sorted by user_id (by `list` first where there are two); ranks close up."""
    kept = table.filter(pc.invert(pc.is_in(table["item_id"], pa.array(sorted(barred), table.schema.field("item_id").type))))
    names = [name for name in ("list", "user_id") if name in kept.column_names]
    codes = [kept[name].combine_chunks().dictionary_encode().indices.to_numpy().astype(np.int64) for name in names]
    owner = sum(code * kept.num_rows**place for place, code in enumerate(codes))
    begins = np.flatnonzero(np.r_[True, owner[1:] != owner[:-1]][: kept.num_rows])
    rank = np.arange(kept.num_rows) - np.repeat(begins, np.diff(np.r_[begins, kept.num_rows])) + 1
    return kept.set_column(kept.column_names.index("rank"), "rank", pa.array(rank, table.schema.field("rank").type))


def barred_now(screen: Screen) -> frozenset[str]:
    """Ids of items that the rule set in force bars for everyone; none without one."""
    rules = in_force(screen)
    return forbidden(screen, rules) if rules is not None else frozenset()


def saved_sets(screen: Screen) -> dict[str, list[dict[str, Any]]]:
    """Return every version of each saved rule set, newest first: version, saved, rules."""
    return dict((screen.dataset.saved(SAVED) or {}).get("sets") or {})


def saved_set(screen: Screen, name: str, version: int | None = None) -> RuleSet:
    """Return a saved rule set, its newest version unless one is named.

    Raises:
        NotFoundError: There is none of that name or version.
    """
    for kept in saved_sets(screen).get(name, []):
        if version is None or kept["version"] == version:
            return rules_from(kept["rules"])
    raise NotFoundError("There is no saved rule set {name!r}; save it first, or pick another name.", name=name[:80])


def save_set(screen: Screen, rules: RuleSet) -> int:
    """Keep a rule set under its name as its next version, and return that version; an unchanged one stays.

    Raises:
        RuleError: It has no name.
    """
    if not rules.name:
        raise RuleError("The rule set has no name; give it one before it is saved.")
    record = screen.dataset.saved(SAVED) or {}
    sets = dict(record.get("sets") or {})
    past = list(sets.get(rules.name) or [])
    if past and past[0]["rules"] == json.loads(json.dumps(record_of(rules))):
        return int(past[0]["version"])
    version = 1 + (int(past[0]["version"]) if past else 0)
    made = {"version": version, "saved": datetime.now(UTC).isoformat(timespec="seconds"), "rules": record_of(rules)}
    sets[rules.name] = [made, *past][:KEPT_VERSIONS]
    screen.dataset.save(SAVED, {**record, "sets": sets})
    return version


def read_rules(text: bytes) -> RuleSet:
    """Read a rule set from the bytes of a JSON file.

    Raises:
        RuleError: It is not JSON, or not a rule set.
    """
    try:
        return rules_from(json.loads(text.decode("utf-8-sig")))
    except (ValueError, RecursionError) as error:
        raise RuleError("The rules are not JSON ({error}); see docs/offer-rules.md for the form.", error=str(error)[:160]) from error


def words(rules: RuleSet) -> list[Message]:
    """Tell a rule set in sentences."""
    return rules_words(rules)


def doubts(screen: Screen, rules: RuleSet) -> list[Message]:
    """Say what a rule set names that the log does not have, such as a price range where no price is known."""
    return unknown_words(goods(screen), rules)


def rules_json(rules: RuleSet) -> str:
    """Return a rule set as the JSON text that `read_rules` takes."""
    return json.dumps(record_of(rules), ensure_ascii=False, indent=2) + "\n"


def export_lists(screen: Screen, rules: RuleSet, k: int, path: Path) -> dict[str, Any]:
    """Write everyone's lists under rules with a manifest beside them, remember who was given what, and add to the audit trail.

    Args:
        screen: What to read.
        rules: What is asked; whatever the set in force bars for everyone goes too.
        k: Longest list.
        path: .csv or .parquet.

    Returns:
        rows, users, short, empty, taken, sha256, warnings, out.

    Raises:
        NotFoundError: There is no run of recommendations yet.
        RuleError: The rules leave no item for anybody.
        StorageError: The file cannot be written.
    """
    holding, doubted = in_force(screen), doubts(screen, rules)
    made = everyone(screen, rules, k)
    if not made.table.num_rows:
        raise RuleError(
            "The rules leave no item for anybody, so no file is made. {why}",
            why=joined([*doubted, *taken_words(made.taken)] or [say("The run of recommendations has no list.")], "{first} {second}"),
        )
    table = made.table.select([*RECOMMENDATIONS, *(n for n in ("chance", "is_new") if n in made.table.column_names)])
    write_rows(path, table)
    short = [say("{n:,} shoppers have fewer than {k} items.", n=made.short, k=k), *taken_words(made.taken)] if made.short else []
    result = {
        "rows": table.num_rows, "users": len(pc.unique(table["user_id"])), "k": k, "short": made.short, "empty": made.empty,
        "taken": made.taken, "sha256": sha256_of(path),
    }  # fmt: skip
    manifest = {
        **result, "dataset": screen.name, "version": screen.version, "run": screen.run_id("recommendations"), "file": path.name,
        "columns": table.column_names, "rules": record_of(rules), "rules_in_force": holding.name if holding else None,
        "words": [str(word) for word in rules_words(rules)], "made": datetime.now(UTC).isoformat(timespec="seconds"),
    }  # fmt: skip
    try:
        write_json(path.with_name(f"{path.name}.manifest.json"), manifest)
        folder = screen.dataset.path / "exports" / EXPORTS
        folder.mkdir(parents=True, exist_ok=True)
        stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S-%f")
        write_rows(folder / f"{stamp}.parquet", table.select(["user_id", "item_id"]))
    except OSError as error:
        raise StorageError("{path} cannot be written ({error}). Free space or choose another place.", path=path, error=error) from error
    screens.audit(
        screen,
        {"act": "export recommendations", "dataset": screen.name, "version": screen.version, "rows": table.num_rows,
         "rules": rules.name, "file": path.name, "sha256": result["sha256"]},
    )  # fmt: skip
    return {**result, "out": str(path), "words": manifest["words"], "warnings": [*doubted, *short]}


def lists(screen: Screen, rules: bytes | None, *, k: int, new_only: bool, out: Path) -> dict[str, Any]:
    """Do as `export_lists`, for the command line.

    Args:
        screen: What to read.
        rules: JSON of a rule set; None for none but those in force.
        k: Longest list.
        new_only: Whether what a shopper bought before is left out, where the rules keep it.
        out: .csv or .parquet.

    Raises:
        RuleError: The rules are malformed.
        NotFoundError: There is no run of recommendations yet.
        StorageError: The file cannot be written.
    """
    asked = read_rules(rules) if rules is not None else RuleSet()
    if new_only and asked.bought == "keep":
        asked = replace(asked, bought="leave_out")
    return {"dataset": screen.name, **export_lists(screen, asked, k, out)}


def export(screen: Screen, rules: RuleSet, k: int, form: str) -> tuple[Path, dict[str, Any]]:
    """Do as `export_lists`, into a new file below the dataset's exports; `form` is csv or parquet."""
    folder = screen.dataset.path / "exports"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"recommendations-{datetime.now(UTC).strftime('%Y%m%d-%H%M%S-%f')[:-3]}.{form}"
    return path, export_lists(screen, rules, k, path)


def _held(screen: Screen, rules: RuleSet) -> RuleSet:
    """The rules, and with them whatever the set in force bars for everyone."""
    holding = in_force(screen)
    if holding is None or holding == rules:
        return rules
    return replace(rules, block=replace(rules.block, items=(*rules.block.items, *sorted(forbidden(screen, holding)))))


def _kept_path(screen: Screen) -> Path:
    run = screen.run_id("recommendations")
    if run is None:
        raise NotFoundError("Dataset {dataset!r} has no recommendations yet; rank them first.", dataset=screen.name)
    folder = screen.dataset.run_path("recommendations", run)
    path = folder / "candidates.parquet"
    return path if path.is_file() else folder / "recommendations.parquet"


def _past(screen: Screen, every: Goods, rules: RuleSet, user_id: str | None = None) -> Past:
    asked = rules.frequency
    bought: Mapping[str, Any] = {}
    seen = [pa.table({"user_id": pa.array([], pa.string()), "item_id": pa.array([], pa.string())})]
    if rules.bought != "keep":
        bought = _read_bought(screen, None) if user_id is None else _bought(screen, user_id)
    if asked.impressions:
        with screen.log.history() as connection:
            seen.append(shown_pairs(connection, screen.log.until - timedelta(days=asked.days), asked.impressions, user_id))
    if asked.exports:
        paths = sorted((screen.dataset.path / "exports" / EXPORTS).glob("*.parquet"))[-asked.exports :]
        for path in paths:
            table = pq.read_table(path, filters=None if user_id is None else [("user_id", "=", user_id)])
            seen.append(table.select(["user_id", "item_id"]))
    return Past(bought, _by_user(pa.concat_tables([t.cast(seen[0].schema) for t in seen]), every))


@lru_cache(maxsize=SHOPPERS_KEPT)
def _bought(screen: Screen, user_id: str) -> Mapping[str, Any]:
    return _read_bought(screen, user_id)


def _read_bought(screen: Screen, user_id: str | None) -> Mapping[str, Any]:
    with screen.log.history() as connection:
        return _by_user(bought_pairs(connection, user_id), goods(screen))


def _by_user(pairs: pa.Table, every: Goods) -> dict[str, Any]:
    if not pairs.num_rows:
        return {}
    frame = pairs.to_pandas()
    frame["place"] = [every.place.get(item, -1) for item in frame["item_id"]]
    frame = frame[frame["place"] >= 0]
    return {str(user): np.unique(part.to_numpy(np.int64)) for user, part in frame.groupby("user_id")["place"]}


def _told(every: Goods, table: pa.Table) -> pd.DataFrame:
    return _with_facts(every, table.to_pandas())


def _with_facts(every: Goods, found: pd.DataFrame) -> pd.DataFrame:
    places = [every.place[item] for item in found["item_id"]]
    for name, values in (("title", every.titles), ("category", every.categories), ("brand", every.brands), ("image", every.images)):
        found[name] = pd.Series([values[i] for i in places], dtype=object)
    found["price"] = every.prices[places]
    return found
