"""CPU seconds and memory of lists for everyone on a made-up log, and the time of one preview.

    python -m benchmarks.bench_recommend_speed [--users 100000] [--items 50000] [--events 20] [--k 100] [--previews 20]

Made up with numpy: item demand falls as 1 / rank^0.8, every shopper has three favourite categories, times are uniform over
a year; a view each and every fifth act a purchase. The goal is a top 100 for all below 600 CPU s and 6 GB, and one preview
below 0.5 s after the first.
"""

import argparse
import resource
import tempfile
import time
import warnings
from datetime import datetime
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from core.recommender.options import RecommendOptions, RecommendResult
from core.recommender.recommend import prepare, preview, recommend
from core.store import EVENT_TYPES_SQL, EVENTS_FILE, TABLES_SQL, Home, Log, events_sql

START = datetime(2024, 1, 1)
CATEGORIES = 400
BRANDS = 2000


def make_log(home: Path, users: int, items: int, events: int, seed: int = 0) -> Log:
    """Publish a made-up log of `events` acts a user on average."""
    rng = np.random.default_rng(seed)
    category = rng.integers(0, CATEGORIES, items)
    demand = 1 / np.arange(1, items + 1) ** 0.8
    by_category = [np.flatnonzero(category == code) for code in range(CATEGORIES)]
    falling = [np.cumsum(demand[own]) / demand[own].sum() for own in by_category]
    number = users * events
    user = np.sort(rng.integers(0, users, number))
    favourites = rng.integers(0, CATEGORIES, (users, 3))
    chosen = favourites[user, rng.integers(0, 3, number)]
    item = np.searchsorted(np.cumsum(demand) / demand.sum(), rng.random(number)).clip(max=items - 1)
    draw, inside = rng.random(number), rng.random(number) < 0.7
    for code in range(CATEGORIES):
        rows = np.flatnonzero((chosen == code) & inside)
        if len(by_category[code]):
            item[rows] = by_category[code][np.searchsorted(falling[code], draw[rows]).clip(max=len(by_category[code]) - 1)]
    acts = pa.table({  # noqa: F841  # read by DuckDB
        "user": user, "item": item, "minute": rng.integers(0, 365 * 1440, number), "is_purchase": np.arange(number) % 5 == 0,
    })  # fmt: skip
    goods = pa.table({"item": np.arange(items), "category": category, "brand": rng.integers(0, BRANDS, items),  # noqa: F841
                      "price": np.round(np.exp(rng.normal(3, 1, items)), 2)})  # fmt: skip
    dataset = Home(home).dataset("speed", create=True)
    with dataset.new_version() as draft:
        connection = duckdb.connect(str(draft.path / EVENTS_FILE))
        connection.execute(TABLES_SQL)
        connection.execute(f"CREATE TABLE event_cells ({', '.join(f'{name} {kind}' for name, kind in EVENT_TYPES_SQL.items())})")
        connection.execute(f"CREATE VIEW events AS {events_sql(EVENT_TYPES_SQL, numbered=False)}")
        connection.execute("CREATE TABLE users (user_id VARCHAR)")
        connection.execute("INSERT INTO users SELECT DISTINCT printf('u%06d', \"user\") FROM acts")
        connection.execute("""INSERT INTO event_cells BY NAME SELECT printf('u%06d', "user") AS user_id, printf('i%06d', item) AS item_id,
            $start::TIMESTAMP + to_minutes(minute) AS event_time, if(is_purchase, 'purchase', 'view') AS event_type,
            0 AS source_file, row_number() OVER () AS source_row FROM acts""", {"start": START})  # fmt: skip
        connection.execute("""INSERT INTO items BY NAME SELECT printf('i%06d', item) AS item_id, true AS in_catalogue,
            $start::TIMESTAMP AS first_seen, printf('category %d', category) AS category, printf('brand %d', brand) AS brand, price
            FROM goods""", {"start": START})  # fmt: skip
        first, last = connection.execute("SELECT min(event_time), max(event_time) FROM event_cells").fetchall()[0]
        connection.close()
        draft.record = {"first_event": first.isoformat(), "last_event": last.isoformat(), "rows_read": number, "rows_kept": number,
                        "columns_present": ["user_id", "item_id", "event_time", "event_type"]}  # fmt: skip
    return dataset.log()


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--users", type=int, default=100_000)
    arguments.add_argument("--items", type=int, default=50_000)
    arguments.add_argument("--events", type=int, default=20, help="acts of a shopper on average")
    arguments.add_argument("--k", type=int, default=100)
    arguments.add_argument(
        "--previews", type=int, default=20, help="shoppers whose preview is timed; the sources are fitted once more for it"
    )
    chosen = arguments.parse_args()
    warnings.filterwarnings("ignore")
    with tempfile.TemporaryDirectory() as folder:
        log = make_log(Path(folder), chosen.users, chosen.items, chosen.events)
        told: list[tuple[float, str]] = []
        options, began = RecommendOptions(k=chosen.k), time.process_time()
        result = recommend(log, None, options, progress=lambda _, words: told.append((time.process_time(), words)))
        spent = time.process_time() - began
        listing = time.process_time() - next(at for at, words in told if words == told[-1][1])
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"{result.record['users']:,} users x {result.record['items']:,} items, {chosen.users * chosen.events:,} acts, top {chosen.k}")
        print(f"{result.recommendations.num_rows:,} rows: {spent:.0f} CPU s, {listing:.0f} of them for the lists; peak {peak:.0f} MB",
              flush=True)  # fmt: skip
        if chosen.previews:
            time_previews(log, options, chosen.previews, result)


def time_previews(log: Log, options: RecommendOptions, number: int, result: RecommendResult) -> None:
    """Print how long single previews take, and check that they are what the lists hold."""
    ready, seconds = prepare(log, None, options), []
    users = ready.context.known.user_ids
    kept = result.candidates
    assert kept is not None
    for user_id in users[:: max(len(users) // number, 1)][:number]:
        began = time.process_time()
        alone = preview(ready, [user_id])
        seconds.append(time.process_time() - began)
        own = kept.filter(pc.equal(kept["user_id"], user_id))
        assert alone.select(["item_id", "rank"]).to_pylist() == own.select(["item_id", "rank"]).to_pylist(), "no preview of the lists"
    print(f"preview of a shopper: first {seconds[0] * 1000:.0f} ms, then median {np.median(seconds[1:]) * 1000:.0f} ms, "
          f"longest {max(seconds[1:]) * 1000:.0f} ms of CPU")  # fmt: skip


if __name__ == "__main__":
    main()
