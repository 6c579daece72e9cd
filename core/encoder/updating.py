"""What an append leaves as it was: which histories are read again, and how far each shopper's profile moved.

U users now, V users of the earlier run, D values of a profile.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from core.encoder.histories import Histories
from core.encoder.items import ItemVectors
from core.encoder.sequence import SequenceEncoder, sequence_profiles
from core.schema import Progress, silent

Floats = npt.NDArray[np.float32]
Keys = npt.NDArray[np.uint8]
Pair = tuple[Floats, Floats]

KEY_BYTES = 16
CHANGES = ("same", "changed", "new", "gone")


@dataclass(frozen=True)
class Former:
    """Sequence profiles of an earlier run, made by the same network from the same vectors of texts."""

    user_ids: list[str]
    keys: Keys
    """(V, 16)"""
    profiles: Floats
    """(V, D)"""


def history_keys(histories: Histories, items: ItemVectors) -> Keys:
    """Hash all that the network reads of each user (U, 16): the acts with their items' ids and texts, but no row numbers."""
    touched = np.unique(histories.item[histories.item >= 0])
    own = np.zeros(len(items.item_ids) + 1, np.uint64)  # the last stands for no item
    for row in touched:
        text = items.texts[items.index[row]] if items.index[row] >= 0 else ""
        digest = hashlib.blake2b(f"{items.item_ids[row]}\0{text}".encode("utf-8", "surrogatepass"), digest_size=8)
        own[row] = int.from_bytes(digest.digest(), "little")
    columns: list[npt.NDArray[Any]] = [
        own[histories.item],
        histories.kind,
        histories.gap,
        histories.dwell,
        histories.position,
        histories.price,
    ]
    rows = np.concatenate([column.reshape(-1, 1).view(np.uint8) for column in columns], axis=1)  # (N, 25)
    data, size, starts = rows.tobytes(), rows.shape[1], histories.starts
    joined = b"".join(
        hashlib.blake2b(data[start * size : end * size], digest_size=KEY_BYTES).digest()
        for start, end in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True)
    )
    return np.frombuffer(joined, np.uint8).reshape(-1, KEY_BYTES).copy()


def update_profiles(
    encoder: SequenceEncoder, histories: Histories, items: ItemVectors, keys: Keys, former: Former | None, progress: Progress = silent
) -> tuple[Floats, int]:
    """Read the histories that are not those of the earlier run; all others keep their bits.

    Args:
        encoder: The network, the one of the earlier run when there is one.
        histories: Of everyone.
        items: Text vectors, for the texts of the earlier run the same as there.
        keys: From `history_keys`.
        former: Profiles to keep; None reads everyone.
        progress: Told the share of acts done.

    Returns:
        Profiles (U, D), and how many users were read.
    """
    if former is None:
        return sequence_profiles(encoder, histories, items, progress=progress), len(histories.user_ids)
    row = {user: place for place, user in enumerate(former.user_ids)}
    before = np.array([row.get(user, -1) for user in histories.user_ids])
    is_same = before >= 0
    is_same[is_same] = (keys[is_same] == former.keys[before[is_same]]).all(axis=1)
    profiles = np.zeros((len(before), former.profiles.shape[1]), np.float32)
    profiles[is_same] = former.profiles[before[is_same]]
    if not is_same.all():
        profiles[~is_same] = sequence_profiles(encoder, of_users(histories, np.flatnonzero(~is_same)), items, progress=progress)
    return profiles, int((~is_same).sum())


def of_users(histories: Histories, users: npt.NDArray[np.int64]) -> Histories:
    """The histories of some users, in the order given."""
    lengths = histories.lengths[users]
    starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    rows = np.arange(starts[-1]) - np.repeat(starts[:-1], lengths) + np.repeat(histories.starts[users], lengths)
    columns = {name: getattr(histories, name)[rows] for name in ("item", "kind", "gap", "dwell", "position", "price")}
    return Histories([histories.user_ids[int(user)] for user in users], starts, **columns, left_out=0)


def profile_drift(former_ids: Sequence[str], user_ids: Sequence[str], blocks: Mapping[str, Pair]) -> pa.Table:
    """Tell for every shopper of either run how far each learned block moved.

    Args:
        former_ids: V users of the earlier run.
        user_ids: U users now.
        blocks: Of each block that lies in one space in both runs, profiles before (V, D) and now (U, D).

    Returns:
        user_id (sorted), change (`same` where every block has the same bits, `changed`, `new`, `gone`; null for a user of both
        runs when no block can be compared), and <block>_cosine: null for new and gone users, and where a profile is empty on
        one side alone it is 0, on both 1.
    """
    rows, former = ({user: place for place, user in enumerate(ids)} for ids in (user_ids, former_ids))
    everyone = sorted(rows.keys() | former.keys())
    now, then = (np.array([places.get(user, -1) for user in everyone], np.int64) for places in (rows, former))
    both = (now >= 0) & (then >= 0)
    is_same, columns = np.ones(len(everyone), bool), {}
    for name, (before, after) in blocks.items():
        old, new = before[then[both]].astype(np.float64), after[now[both]].astype(np.float64)
        lengths = np.linalg.norm(old, axis=1) * np.linalg.norm(new, axis=1)
        equal = (before[then[both]] == after[now[both]]).all(axis=1)
        cosine = np.divide((old * new).sum(axis=1), lengths, out=np.zeros(len(old)), where=lengths > 0)
        values = np.full(len(everyone), np.nan)
        values[both] = np.where(equal, 1.0, np.clip(cosine, -1, 1))
        columns[f"{name}_cosine"] = pa.array(np.round(values, 6), pa.float64(), mask=~both)
        is_same[both] &= equal
    known = np.where(is_same, "same", "changed").astype(object) if blocks else np.full(len(everyone), None, object)
    change = np.where(then < 0, "new", np.where(now < 0, "gone", known))
    return pa.table({"user_id": pa.array(everyone, pa.string()), "change": pa.array(change.tolist(), pa.string()), **columns})
