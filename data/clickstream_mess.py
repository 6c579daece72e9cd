"""What every real log holds besides shoppers: robots, duplicates, broken and late rows."""

import numpy as np
import pyarrow as pa

from data.clickstream_people import PAGE_SHARES, Catalogue

ROBOTS = 0.0025
"""Share of users; measured shops have 0.2-1 %, each with more than 800 events."""
DUPLICATES = 0.003
NULL_USERS = 0.004
BAD_TIMES = 0.002
NEGATIVE_DWELL = 0.002
LATE = 0.002
BROKEN_TIMES = ("2025-02-30 10:61:00", "yesterday", "00:00", "31.04.25 noon", "NaT", "2025-13-01 08:00:00")


def add_robots(
    rng: np.random.Generator, events: dict[str, np.ndarray], catalogue: Catalogue, users: int, days: int
) -> dict[str, np.ndarray]:
    """Append robots: four or five raids of 200 to 300 views, one to three seconds each, over the whole catalogue by daylight."""
    robots = max(1, round(ROBOTS * users))
    raids = np.repeat(np.arange(robots), rng.integers(4, 6, robots))
    sizes = rng.integers(205, 300, len(raids))
    raid = np.repeat(np.arange(len(raids)), sizes)
    count = len(raid)
    start = rng.integers(0, days, len(raids)) * 86400 + rng.integers(8 * 3600, 21 * 3600, len(raids))
    pause = rng.integers(1, 4, count).cumsum()
    first = np.repeat(sizes.cumsum() - sizes, sizes)
    more = {
        "session": events["session"].max() + 1 + raid,
        "user": users + raids[raid],
        "item": rng.integers(0, len(catalogue.item_ids), count),
        "kind": np.full(count, "view", dtype=object),
        "seconds": start[raid] + pause - pause[first],
        "dwell": rng.uniform(0.2, 1.0, count).round(1),
        "page": rng.choice(5, count, p=PAGE_SHARES) + 1,
        "quantity": np.zeros(count, dtype=np.int64),
        "order": np.full(count, -1),
        "query": np.full(count, -1),
    }
    return {name: np.concatenate([column, more[name]]) for name, column in events.items()}


def add_mess(rng: np.random.Generator, table: pa.Table) -> pa.Table:
    """Break some rows of a clean event table, repeat some, and let some arrive late; the rest stays as it is."""
    count = table.num_rows
    times = table["event_time"].to_pylist()
    for row in np.flatnonzero(rng.random(count) < BAD_TIMES):
        times[row] = BROKEN_TIMES[rng.integers(len(BROKEN_TIMES))]
    no_user = rng.random(count) < NULL_USERS
    users = pa.array([None if gone else user for user, gone in zip(table["user_id"].to_pylist(), no_user, strict=True)])
    dwell = table["dwell"].to_numpy().copy()
    negative = rng.random(count) < NEGATIVE_DWELL
    dwell[negative] = -np.abs(dwell[negative])
    table = table.set_column(0, "event_time", pa.array(times)).set_column(1, "user_id", users)
    table = table.set_column(table.column_names.index("dwell"), "dwell", pa.array(dwell, from_pandas=True))
    place = np.arange(count, dtype=np.float64)
    place[rng.random(count) < LATE] += rng.integers(50, 5000)
    again = np.flatnonzero(rng.random(count) < DUPLICATES)
    rows = np.concatenate([np.arange(count), again])
    return table.take(pa.array(rows[np.argsort(np.concatenate([place, place[again] + 0.5]), kind="stable")]))
