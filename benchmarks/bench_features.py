"""CPU seconds and memory of the feature table at the end of a log, beside pandas for five of its columns.

python benchmarks/bench_features.py --home HOME --dataset cj
"""

import argparse
import resource
import time
from pathlib import Path

from core.features import FEATURES, compute_features
from core.store import Home, fetch, scalar


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--dataset", required=True)
    arguments = parser.parse_args()
    log = Home(arguments.home).dataset(arguments.dataset).log()
    with log.history() as connection:
        events = scalar(connection, "SELECT count(*) FROM history")
        began = time.process_time()
        table = compute_features(connection, log.until)
        seconds = time.process_time() - began
        print(f"{events:,} events, {table.num_rows:,} users, {len(FEATURES)} features: {seconds:.2f} CPU s", end=" ")
        print(f"({seconds / events * 1e6:.2f} per million events), peak {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")
        rows = fetch(
            connection, "SELECT user_id, event_time, event_type::VARCHAR AS kind, item_id, revenue::DOUBLE AS revenue FROM history"
        )
    frame = rows.to_pandas()
    began = time.process_time()
    groups = frame.groupby("user_id", sort=True)
    few = groups.agg(events=("kind", "size"), last=("event_time", "max"), items=("item_id", "nunique"), revenue=("revenue", "sum"))
    few["days"] = frame.assign(day=frame["event_time"].dt.floor("D")).groupby("user_id")["day"].nunique()
    print(f"pandas, {few.shape[1]} features: {time.process_time() - began:.2f} CPU s")
    assert few["events"].tolist() == table["events_all"].to_pylist()
    assert few["days"].tolist() == table["active_days_all"].to_pylist()


if __name__ == "__main__":
    main()
