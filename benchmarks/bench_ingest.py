"""CPU seconds and memory of ingest beside DuckDB's own typed read of the same CSV into Parquet.

    python -m benchmarks.bench_ingest                       # 10 million rows, about 500 MB, two rounds
    python -m benchmarks.bench_ingest --rows 3000000 --rounds 3
    python -m benchmarks.bench_ingest --events log.csv      # a file of your own
    python -m benchmarks.bench_ingest --profile             # also where the time goes

The log has six events to a visit and two visits to a shopper, in order of time, as REES46 has.

Each run is a process of its own, the two take turns, and the ratio is that of the two medians. DuckDB's read types the columns and writes
Parquet; ingest also accounts for every row, looks for duplicates and robots, cuts sessions, and writes catalogue, users and rollups.
"""

import argparse
import itertools
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import duckdb

ROOT = Path(__file__).resolve().parent.parent
THREADS = 2
LOG_SQL = """
COPY (
    SELECT strftime(TIMESTAMP '2019-10-01' + to_seconds(CAST(i * 2592000 / $rows AS BIGINT)), '%Y-%m-%d %H:%M:%S UTC') AS event_time,
           CASE WHEN hash(i * 3) % 100 < 90 THEN 'view' WHEN hash(i * 3) % 100 < 96 THEN 'cart' ELSE 'purchase' END AS event_type,
           1000000 + hash(i * 7) % 60000 AS product_id,
           round((hash(i * 7) % 60000) / 100.0 + 1, 2) AS price,
           500000000 + hash(i // 600 * 100 + i % 100) % greatest($rows // 12, 1) AS user_id
    FROM range($rows) AS t(i))
TO '{path}' (HEADER)
"""
TYPED = """
import duckdb, sys
connection = duckdb.connect()
connection.execute("SET threads = {threads}")
connection.execute("COPY (SELECT * FROM read_csv(?)) TO '{out}'", [{path!r}])
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--events", type=Path)
    parser.add_argument("--profile", action="store_true", help="print the seconds between ingest's progress messages")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        path = arguments.events or Path(scratch) / "log.csv"
        if not arguments.events:
            duckdb.connect().execute(LOG_SQL.replace("{path}", str(path)), {"rows": arguments.rows})
        print(f"{path.name}: {path.stat().st_size / 1e6:,.0f} MB")
        typed, ours = [], []
        for turn in range(arguments.rounds):
            typed.append(measure([sys.executable, "-c", TYPED.format(threads=THREADS, out=f"{scratch}/typed.parquet", path=str(path))]))
            home = f"{scratch}/home{turn}"
            command = ["-m", "core", "ingest", "--home", home, "--dataset", "bench", "--events", str(path), "--json"]
            ours.append(measure([sys.executable, *command], show=arguments.profile and not turn))
        for name, runs in (("DuckDB typed read to Parquet", typed), ("ingest", ours)):
            print(
                f"{name:<30} CPU {statistics.median(run['cpu'] for run in runs):7.1f} s   "
                f"wall {statistics.median(run['wall'] for run in runs):7.1f} s   peak {max(run['peak'] for run in runs):,.0f} MB"
            )
        ratio = statistics.median(run["cpu"] for run in ours) / statistics.median(run["cpu"] for run in typed)
        print(f"ratio of CPU seconds: {ratio:.2f}")
        print({key: ours[0]["result"][key] for key in ("rows_read", "rows_kept", "rows_quarantined", "rows_merged")})


def measure(command: list[str], *, show: bool = False) -> dict:
    """Run a command and return its CPU and wall seconds, its peak resident MB and what it printed as JSON."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ})
    assert process.stderr is not None and process.stdout is not None
    stamps = [(began, "start")]
    said = []
    for line in process.stderr:
        said.append(line)
        stamps.append((time.monotonic(), line.strip()))
    out = process.stdout.read()
    _, status, used = os.wait4(process.pid, 0)
    if status:
        raise SystemExit("".join(said))
    stamps.append((time.monotonic(), "end"))
    if show:
        for (start, name), (end, _) in itertools.pairwise(stamps[1:]):
            if end - start > 0.05:
                print(f"  {end - start:7.2f} s  {name}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "cpu": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        "wall": time.monotonic() - began,
        "peak": used.ru_maxrss / 1024,
        "result": json.loads(out) if out.startswith("{") else {},
    }


if __name__ == "__main__":
    main()
