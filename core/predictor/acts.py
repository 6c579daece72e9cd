"""The newest acts of each user one by one, as networks over the history read them.

N rows (users), L acts at most, I items that are among them, D values of an item's text vector.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from zlib import crc32

import numpy as np
import numpy.typing as npt

LENGTH = 64
"""Newest acts that are read; the counted features know of the others."""
BUCKETS = 4096
"""Item ids share so many learned vectors, by a hash that no machine or run changes; the first bucket stands for no item."""
DAY = 86_400.0


@dataclass(frozen=True)
class Acts:
    """Padded at the front: the newest act stands last."""

    item: npt.NDArray[np.int32]
    """(N, L) row of `vectors` and `bucket`; 0 is no item."""
    kind: npt.NDArray[np.int8]
    """(N, L) kind of event from 1; 0 is padding."""
    numbers: npt.NDArray[np.float32]
    """(N, L, 3): ln(1 + days since the act before), ln(1 + days until the cutoff), ln(1 + seconds of dwell); 0 where padded."""
    vectors: npt.NDArray[np.float32]
    """(I + 1, D) text vectors of the items met, zero for those without texts; D may be 0."""
    bucket: npt.NDArray[np.int32]
    """(I + 1,) hashed id."""

    def rows(self, index: npt.NDArray[np.int64]) -> "Acts":
        """Keep some rows."""
        return Acts(self.item[index], self.kind[index], self.numbers[index], self.vectors, self.bucket)


def pad_acts(
    starts: npt.NDArray[np.int64],
    item: npt.NDArray[np.int32],
    kind: npt.NDArray[np.int8],
    gap_seconds: npt.NDArray[np.float32],
    dwell_seconds: npt.NDArray[np.float32],
    last_age_seconds: npt.NDArray[np.float64],
    item_ids: Sequence[str],
    vectors: npt.NDArray[np.float32],
    length: int = LENGTH,
) -> Acts:
    """Lay acts, user by user and oldest first, into rows of equal length.

    Args:
        starts: Where each user's acts begin (N + 1,).
        item: Row of the item (M,), -1 for none.
        kind: Kind of event from 0 (M,).
        gap_seconds: Since the same user's act before (M,).
        dwell_seconds: (M,), NaN where not logged.
        last_age_seconds: From each user's last act to the cutoff (N,); NaN for users without acts.
        item_ids: Of the items (I,).
        vectors: Text vectors of the items (I, D).
        length: Acts kept of a user.
    """
    users = len(starts) - 1
    kept = np.minimum(np.diff(starts), length)
    ends = starts[1:]
    place = np.arange(length)[None, :] - (length - kept)[:, None]  # (N, L), below 0 where padded
    present = place >= 0
    source = (np.where(present, ends[:, None] - kept[:, None] + place, 0)).astype(np.int64)
    gaps = np.nan_to_num(gap_seconds.astype(np.float64))
    gap = np.where(present, gaps[source], 0.0) if len(gaps) else np.zeros((users, length))
    after = np.concatenate([gap[:, 1:], np.zeros((users, 1))], axis=1)[:, ::-1].cumsum(axis=1)[:, ::-1]
    age = np.where(present, after + np.nan_to_num(last_age_seconds)[:, None], 0.0)
    dwell = np.where(present, np.nan_to_num(dwell_seconds)[source], 0.0) if len(gaps) else np.zeros((users, length))
    numbers = np.stack([np.log1p(gap / DAY), np.log1p(age / DAY), np.log1p(dwell)], axis=2).astype(np.float32)
    hashed = np.array([0, *(1 + crc32(name.encode("utf-8")) % (BUCKETS - 1) for name in item_ids)], dtype=np.int32)
    padded = np.concatenate([np.zeros((1, vectors.shape[1]), np.float32), vectors.astype(np.float32)])
    there = len(item) > 0
    told = np.where(present, item[source] + 1, 0).astype(np.int32) if there else np.zeros((users, length), np.int32)
    used, row = np.unique(np.append(told, 0), return_inverse=True)  # 0 comes first, as no item
    return Acts(
        row[:-1].reshape(told.shape).astype(np.int32),
        np.where(present, kind[source] + 1, 0).astype(np.int8) if there else np.zeros((users, length), np.int8),
        numbers,
        padded[used],
        hashed[used],
    )


def no_acts(users: int, text_dim: int, length: int = LENGTH) -> Acts:
    """Of users without any act; `text_dim` is the width of item texts."""
    nothing = np.zeros((users, length))
    return pad_acts(
        np.zeros(users + 1, np.int64), np.zeros(0, np.int32), np.zeros(0, np.int8), np.zeros(0, np.float32), np.zeros(0, np.float32),
        nothing[:, 0], [], np.zeros((0, text_dim), np.float32), length,
    )  # fmt: skip


def stack_acts(parts: Sequence[Acts | None]) -> Acts | None:
    """Put acts of several cutoffs under each other; None unless all have them."""
    known = [part for part in parts if part is not None]
    if len(known) < len(parts) or not known:
        return None
    first = np.cumsum([0, *(len(part.bucket) for part in known)])
    item = [np.where(part.item > 0, part.item + start, 0) for part, start in zip(known, first[:-1].tolist(), strict=True)]
    return Acts(
        np.concatenate(item).astype(np.int32),
        np.concatenate([part.kind for part in known]),
        np.concatenate([part.numbers for part in known]),
        np.concatenate([part.vectors for part in known]),
        np.concatenate([part.bucket for part in known]),
    )
