"""Sessions where none are given: the how-manieth run of its user, cut by silences, an event is in."""

from typing import Any

import numpy as np
import numpy.typing as npt

from core.ingest.ids import numbers_of, parts_by_user
from core.ingest.watching import Tick
from core.store import Connection, scalar

PART_ROWS = 4_000_000
"""Events that are sorted at once, about 40 bytes each; a longer log is cut into parts by user."""


def number_sessions(connection: Connection, gap_minutes: int, tick: Tick, part_rows: int = PART_ROWS) -> npt.NDArray[np.int32]:
    """Number each user's sessions from 1.

    E events. Sorting them by user costs a tenth of the windows that SQL would need.

    Args:
        connection: Holds `ordered_cells`, in order of time.
        gap_minutes: A longer silence starts a session.
        tick: Told the share.
        part_rows: Largest number of events to sort at once, about.

    Returns:
        The number of each event's session (E), int32, in the order of `ordered_cells`.
    """
    rows = int(scalar(connection, "SELECT count(*) FROM ordered_cells"))
    numbers = np.empty(rows, dtype=np.int32)
    # rowids come in order: a scan of a table keeps the order of its rows
    for table in parts_by_user(connection, "rowid, user_id, epoch_us(event_time) AS time", "ordered_cells", part_rows, tick):
        if not table.num_rows:
            continue  # few users may leave a part without any
        users, _ = numbers_of(table["user_id"])
        order = _order_by_user(users)
        users, times = users[order], table["time"].to_numpy()[order]
        numbers[table["rowid"].to_numpy()[order]] = _number_runs(users, times, gap_minutes * 60_000_000)
    return numbers


def _order_by_user(users: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Return the order that brings each user's rows together and leaves them as they stand (E)."""
    bits = len(users).bit_length()
    least = int(users.min())
    if (int(users.max()) - least).bit_length() + bits > 62:
        return np.argsort(users, kind="stable")
    # User and place in one number: numpy sorts numbers ten times as fast as it sorts places by numbers.
    keys = ((users - least) << bits) | np.arange(len(users), dtype=np.int64)
    keys.sort()
    return keys & ((1 << bits) - 1)


def _number_runs(users: npt.NDArray[Any], times: npt.NDArray[np.int64], gap: int) -> npt.NDArray[np.int32]:
    """Number the runs of each user: rows are sorted by user and time, and a run ends before a distance above `gap` (E)."""
    fresh = np.ones(len(users), dtype=bool)
    fresh[1:] = users[1:] != users[:-1]
    starts = fresh.copy()
    starts[1:] |= times[1:] - times[:-1] > gap
    runs = np.cumsum(starts, dtype=np.int32)
    before = runs[fresh] - 1
    return runs - np.repeat(before, np.diff(np.append(np.flatnonzero(fresh), len(users))))
