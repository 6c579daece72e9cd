"""Profiles after an append: what of the earlier version still holds, and what changed since.

Only the run at the end of the log keeps anything; a run as of a cutoff is made from its own history alone, so that it is the
same, bit for bit, in whichever home and after whichever append (docs/decisions/0016).
"""

import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from core.artifacts import is_whole, read_arrays, read_table, write_arrays, write_table
from core.errors import GateError, NotFoundError, StorageError
from core.messages import Message, joined, say
from core.pipeline.encoding import PROFILE_BLOCKS
from core.pipeline.options import ProfileOptions
from core.pipeline.texts import TEXT_SPACE, Kept
from core.schema import Progress, part_of
from core.store import Dataset, Home, Log, RunDraft

if TYPE_CHECKING:
    from core.encoder.items import ItemVectors
    from core.encoder.texts import PricePoints
    from core.encoder.updating import Pair


@dataclass(frozen=True)
class Earlier:
    """The newest run of a kind at the end of an earlier version."""

    run: str
    version: str
    folder: Path
    record: dict[str, Any]
    is_continued: bool
    """Whether the version now holds all files of events of that one."""

    @property
    def told(self) -> dict[str, str]:
        return {"run": self.run, "version": self.version}


def earlier_run(dataset: Dataset, kind: str, config: dict[str, Any] | None = None) -> Earlier | None:
    """Find the newest whole run of a kind at the end of a version before the current one, rather one that this version continues.

    Args:
        dataset: Whose runs.
        kind: One of schema.RUN_KINDS.
        config: What it must have been made with; None takes any.
    """
    version = dataset.version_path().name
    other = None
    for run in reversed(dataset.runs(kind)):
        try:
            record = dataset.run_manifest(kind, run)
            made_from = str(record["inputs"]["version"])
            wanted = config is None or record.get("config") == config
            if wanted and record.get("cutoff") is None and made_from < version and is_whole(dataset.run_path(kind, run)):
                found = Earlier(run, made_from, dataset.run_path(kind, run), record, _continues(dataset, made_from))
                if found.is_continued:
                    return found
                other = other or found  # somebody went back before it and appended there
        except (StorageError, NotFoundError, KeyError):  # damaged, or of a version that is no longer there
            continue
    return other


def _continues(dataset: Dataset, version: str) -> bool:
    now, before = dataset.manifest(), dataset.manifest(version)
    known = {source.get("sha256") for source in now.get("sources", []) if source["role"] == "events"}
    kept = all(source.get("sha256") in known for source in before.get("sources", []) if source["role"] == "events")
    return kept and datetime.fromisoformat(before["last_event"]) <= datetime.fromisoformat(now["last_event"])


def kept_of_texts(dataset: Dataset, earlier: Earlier | None) -> Kept:
    """What of the texts of an earlier run may stay: the centre of its vectors, and the prices at which the words for a price change."""
    if earlier is None or not earlier.is_continued or not (earlier.folder / "item_vectors.safetensors").is_file():
        return Kept()
    card = earlier.record["card"]
    points = card.get("price_points")
    if points is None:  # a run of an earlier release, which always took those of its own catalogue
        from core.encoder.texts import price_points

        with dataset.log(version=earlier.version).history() as connection:
            points = price_points(connection).points
    centre = read_arrays(earlier.folder / "item_vectors.safetensors").get("centre")
    return Kept(str(card["fingerprint"]), centre, tuple(points))


def add_sequence(
    home: Home,
    log: Log,
    vectors: "ItemVectors | None",
    options: ProfileOptions,
    draft: RunDraft,
    earlier: Earlier | None,
    progress: Progress,
) -> dict[str, Any] | None:
    """Add what a behaviour transformer says of every user: the one of the earlier run while that holds, else one trained anew.

    A log too small to learn from says so.

    Returns:
        {"network": kept or trained, "why", "encoded", "kept"}; None when nothing was added.
    """
    from core.encoder.histories import read_histories
    from core.encoder.items import without_texts
    from core.encoder.sequence import SequenceOptions, beyond_reach, load_sequence, save_sequence, train_sequence
    from core.encoder.updating import Former, history_keys, update_profiles

    began = time.process_time()
    with log.history() as connection:
        items = vectors or without_texts(connection)
        histories = read_histories(connection, items.item_ids)
    former, why = None, _why_trained(earlier, vectors, len(histories.item) + histories.left_out, options.retrain)
    if why is None and earlier is not None:
        encoder = load_sequence(earlier.folder, options.device)
        arrays = read_arrays(earlier.folder / "sequence.safetensors")
        former = Former(
            read_table(earlier.folder / "counts.parquet", ["user_id"])["user_id"].to_pylist(), arrays["keys"], arrays["sequence"]
        )
    else:
        try:
            chosen = SequenceOptions(device=options.device, memory=options.memory)
            encoder = train_sequence(histories, items, chosen, part_of(progress, 0.0, 0.9), home.path / "cache" / "trainings")
        except GateError as error:
            draft.record["warnings"].append(say("Profiles hold no sequence: {why}", why=error.message))
            return None
        if encoder.card["checkpoint_damaged"]:
            draft.record["warnings"].append(say("The checkpoint of an interrupted training was damaged; it was trained from the start."))
    keys = history_keys(histories, items)
    profiles, encoded = update_profiles(encoder, histories, items, keys, former, part_of(progress, 0.9, 1.0))
    empty = int((~profiles.any(axis=1)).sum())
    now = {"acts": len(histories.item), "users": len(histories.user_ids), "cpu_seconds": round(time.process_time() - began, 1)}
    encoder.card.update({"users_without_acts": empty, "reach": encoder.network.shape.reach, **beyond_reach(encoder.network, histories)})
    if former is None:
        encoder.card.update({"cpu_seconds": now["cpu_seconds"], "acts_learned_from": len(histories.item) + histories.left_out})
    elif earlier is not None:
        _tell_later(encoder.card, earlier, now | {"encoded": encoded})
    save_sequence(draft.path, encoder)
    write_arrays(draft.path / "sequence.safetensors", {"sequence": profiles, "keys": keys})
    draft.record["sequence"] = encoder.card
    kept = len(profiles) - encoded
    told = say("1 history read") if encoded == 1 else say("{n:,} histories read", n=encoded)
    stays = say("1 profile kept as it was") if kept == 1 else say("{n:,} profiles kept as they were", n=kept)
    progress(1.0, joined([told, stays]))
    return {"network": "trained" if former is None else "kept", "why": why, "encoded": encoded, "kept": kept}


def _tell_later(card: dict[str, Any], earlier: Earlier, now: dict[str, Any]) -> None:
    """Leave what the training cost as it was told then, and tell beside it what a kept network read since."""
    told = earlier.record.get("sequence") or {}
    was_kept = ((earlier.record.get("update") or {}).get("sequence") or {}).get("network") == "kept"
    if was_kept and "update" not in told:  # kept by an earlier release, which wrote the cost of its update over that of the training
        card.pop("cpu_seconds", None)
    else:
        card["cpu_seconds"] = told.get("cpu_seconds")
    card["update"] = now


def _why_trained(earlier: Earlier | None, vectors: "ItemVectors | None", acts: int, limit: float) -> Message | None:
    """Say why the earlier network does not hold, or None while it does."""
    why = why_not_kept(earlier, "sequence", acts, limit)
    if earlier is not None and earlier.is_continued and _learned(earlier, "sequence") and not _is_same_space(earlier, vectors):
        return say("item texts are read by another model, or about another centre, than in {version}", version=earlier.version)
    return why


def _learned(earlier: Earlier, block: str) -> int:
    """Acts that a block of an earlier run learned from; 0 where it holds none, or does not say."""
    return int((earlier.record.get(block) or {}).get("acts_learned_from") or 0)


def why_not_kept(earlier: Earlier | None, block: str, acts: int, limit: float) -> Message | None:
    """Say why what a block learned in an earlier run does not serve for so many acts, or None while it does."""
    if earlier is None or not _learned(earlier, block):
        return say("there is no earlier network") if block == "sequence" else say("there is no earlier graph")
    if not earlier.is_continued:
        return say("the log of {version} is not a part of this one", version=earlier.version)
    growth = acts / _learned(earlier, block) - 1
    if growth > limit:
        return say("{growth:.1%} more acts than it learned from, above the limit of {limit:.0%}", growth=growth, limit=limit)
    return None


def _is_same_space(earlier: Earlier, vectors: "ItemVectors | None") -> bool:
    """Whether texts of both runs have vectors in one space, bit for bit."""
    card = earlier.record.get("card") or {}
    if vectors is None or not card:
        return vectors is None and not card
    if any(card.get(name) != vectors.card.get(name) for name in TEXT_SPACE):
        return False
    centre = read_arrays(earlier.folder / "item_vectors.safetensors").get("centre")
    return bool(np.array_equal(centre, vectors.centre)) if centre is not None and vectors.centre is not None else centre is vectors.centre


def tell_update(
    draft: RunDraft,
    user_ids: list[str],
    vectors: "ItemVectors | None",
    read: dict[str, dict[str, Any] | None],
    earlier: Earlier | None,
    points: "PricePoints | None" = None,
) -> None:
    """Write how many texts and histories were encoded and, after an earlier version, how far each shopper's profile moved.

    Args:
        draft: Holds all blocks.
        user_ids: Of its rows.
        vectors: Of item texts, where they were read.
        read: Of `sequence` and `graph`: whether the earlier one reads on, and why not; None where the profiles hold none.
        earlier: The run of an earlier version, if there is one.
        points: Where the words for a price change, where texts were read.
    """
    from core.encoder.updating import CHANGES, profile_drift

    told: dict[str, Any] = dict(read)
    if vectors is not None:
        told["texts"] = {"encoded": vectors.encoded, "kept": len(vectors.texts) - vectors.encoded}
    if earlier is not None:
        if points is not None and points.points:
            told["price_words"] = {"kept": points.kept, "moved": points.moved}
        blocks: dict[str, Pair] = {}
        not_compared = []
        for name in PROFILE_BLOCKS[1:]:
            if (draft.path / f"{name}.safetensors").is_file():
                if _is_comparable(name, draft, earlier, vectors, read):
                    now, before = (read_arrays(folder / f"{name}.safetensors")[name] for folder in (draft.path, earlier.folder))
                    blocks[name] = (before, now)
                else:
                    not_compared.append(name)
        former_ids = read_table(earlier.folder / "counts.parquet", ["user_id"])["user_id"].to_pylist()
        drift = profile_drift(former_ids, user_ids, blocks)
        write_table(draft.path / "drift.parquet", drift)
        changes = drift["change"].to_pylist()
        told |= {
            "after": earlier.told,
            "compared": sorted(blocks),
            "not_compared": not_compared,
            "users": {change: changes.count(change) for change in CHANGES},
        }
    draft.record["update"] = told


def _is_comparable(
    name: str, draft: RunDraft, earlier: Earlier, vectors: "ItemVectors | None", read: dict[str, dict[str, Any] | None]
) -> bool:
    """Whether a block lies in one space in both runs: same model, or what it learned was kept, or was found again the same."""
    if not (earlier.folder / f"{name}.safetensors").is_file():
        return False
    now, before = (record.get(name) or {} for record in (draft.record, earlier.record))
    if name == "text":
        return vectors is not None and _is_same_space(earlier, vectors)
    if name in ("sequence", "graph"):
        return "kept" in (read.get(name) or {}).values()
    if name == "narrative":
        before = {**(earlier.record.get("card") or {}), **before}  # earlier releases told the model of item texts alone
        return all(now.get(part) == before.get(part) for part in TEXT_SPACE)
    if name == "image":
        inputs = ((record.get("inputs") or {}).get("picture_model") for record in (draft.record, earlier.record))
        return len(set(inputs)) == 1 and all(now.get(part) == before.get(part) for part in ("model", "values", "device"))
    if name == "facts":
        return _scales(now) == _scales(before)
    items = [folder / "item_ids.parquet" for folder in (draft.path, earlier.folder)]
    return all(path.is_file() for path in items) and read_table(items[0]).equals(read_table(items[1]))


def _scales(card: dict[str, Any]) -> list[dict[str, Any]]:
    """What facts are encoded by."""
    return [{part: column[part] for part in ("name", "of", "mean", "std", "values")} for column in card.get("columns", [])]


def tell_moves(dataset: Dataset, draft: RunDraft, users: pa.Table, profiles: str, earlier: Earlier | None) -> None:
    """Write who changed segment since the map of an earlier version, and whose learned profile changed since.

    Args:
        dataset: Whose map.
        draft: Of the map.
        users: Its table of that name.
        profiles: The run that it was drawn from.
        earlier: The map of the earlier version, if there is one.
    """
    from core.atlas.moves import MOVES, segment_moves, with_profiles

    if earlier is None:
        return
    moves = segment_moves(read_table(earlier.folder / "users.parquet", ["user_id", "segment_id"]), users)
    drift, compared = _drift_between(dataset, profiles, earlier)
    moves = with_profiles(moves, drift)
    write_table(draft.path / "moves.parquet", moves)
    found = moves["move"].to_pylist()
    changed = None
    if compared:
        changed = sum(move == "moved" and bool(is_so) for move, is_so in zip(found, moves["profile_changed"].to_pylist(), strict=True))
    draft.record["moves"] = {"after": earlier.told, **{move: found.count(move) for move in MOVES}, "changed": changed, "compared": compared}


def _drift_between(dataset: Dataset, run: str, earlier: Earlier) -> tuple[pa.Table | None, list[str]]:
    """How the learned profiles of this map differ from those of the earlier map, where their run was compared with just those."""
    before = (earlier.record.get("inputs") or {}).get("profiles")
    try:
        told = dataset.run_manifest("profiles", run).get("update") or {}
        if told.get("compared") and told["after"]["run"] == before:
            return read_table(dataset.run_path("profiles", run) / "drift.parquet", ["user_id", "change"]), list(told["compared"])
    except (StorageError, NotFoundError, KeyError):  # made before drift was told
        pass
    return None, []
