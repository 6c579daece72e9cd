"""CPU seconds and memory of the feature table at the end of a log, beside what reading its columns alone costs and what the same
figures cost as plain SQL.

    python -m benchmarks.bench_features --home HOME --dataset cj
    python -m benchmarks.bench_features --home HOME --dataset cj --sql      # also the statements of tests/features_in_sql, compared
    python -m benchmarks.bench_features --home HOME --dataset cj --pandas   # also five of the columns by pandas
"""

import argparse
import time
from pathlib import Path

import numpy as np
import pyarrow as pa

from core.features import FEATURES, compute_features
from core.store import Connection, Home, fetch, peak_memory_mb, scalar
from tests.test_features_in_sql import in_sql

READ_SQL = """
SELECT count(*), count(DISTINCT user_id), bit_xor(hash(item_id)), bit_xor(hash(session)), bit_xor(hash(order_id)),
       sum(epoch_us(event_time)), max(event_type), sum(price), sum(revenue), sum(quantity), sum(dwell_seconds), count(position)
FROM history_cells
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--sql", action="store_true")
    parser.add_argument("--pandas", action="store_true")
    arguments = parser.parse_args()
    log = Home(arguments.home).dataset(arguments.dataset).log()
    with log.history() as connection:
        began = time.process_time()
        table = compute_features(connection, log.until)
        seconds = time.process_time() - began
        events = scalar(connection, "SELECT count(*) FROM history")
        print(f"{events:,} events, {table.num_rows:,} users, {len(FEATURES)} features: {seconds:.2f} CPU s", end=" ")
        print(f"({seconds / events * 1e6:.2f} per million events), peak {peak_memory_mb():.0f} MB, the table {table.nbytes / 2**20:.0f} MB")
        began = time.process_time()
        connection.execute(READ_SQL).fetchall()
        print(f"reading the columns once and telling shoppers apart: {time.process_time() - began:.2f} CPU s")
        if arguments.sql:
            began = time.process_time()
            told = in_sql(connection, log.until)
            print(f"as plain SQL: {time.process_time() - began:.2f} CPU s, peak {peak_memory_mb():.0f} MB")
            compare(table, told)
        if arguments.pandas:
            five_by_pandas(connection, table)


def compare(table: pa.Table, told: dict[str, pa.Array]) -> None:
    """Print how far the two ways lie apart."""
    apart = 0.0
    for name, column in told.items():
        ours, theirs = (np.array(values.cast(pa.float64()).fill_null(0.0)) for values in (table[name], column))
        apart = max(apart, float((np.abs(ours - theirs) / np.maximum(1, np.abs(theirs))).max(initial=0)))
    print(f"largest difference of {len(told)} columns: {apart:.1e}")


def five_by_pandas(connection: Connection, table: pa.Table) -> None:
    """Print what pandas needs for five columns."""
    sql = "SELECT user_id, event_time, event_type::VARCHAR AS kind, item_id, revenue::DOUBLE AS revenue FROM history"
    frame = fetch(connection, sql).to_pandas()
    began = time.process_time()
    groups = frame.groupby("user_id", sort=True)
    few = groups.agg(events=("kind", "size"), last=("event_time", "max"), items=("item_id", "nunique"), revenue=("revenue", "sum"))
    few["days"] = frame.assign(day=frame["event_time"].dt.floor("D")).groupby("user_id")["day"].nunique()
    print(f"pandas, {few.shape[1]} features: {time.process_time() - began:.2f} CPU s")
    assert few["events"].tolist() == table["events_all"].to_pylist()
    assert few["days"].tolist() == table["active_days_all"].to_pylist()


if __name__ == "__main__":
    main()
