"""Seconds that the size of an audience takes while its rule is changed, rules of every kind, on a log of ten million events.

    python -m benchmarks.bench_audiences --home HOME --make 10000000     # makes the log, sorts it, counts features, makes chances up
    python -m benchmarks.bench_audiences --home HOME                     # a size as the page asks for it, every rule
    python -m benchmarks.bench_audiences --home HOME --bare              # the same before any stage has run
    python -m benchmarks.bench_audiences --home HOME --sizes sizes.json  # also every figure, to compare two states of the code

What is timed is what the page asks when a condition changes (`outcomes.size`: tables read, rule checked, counted, told in words and SQL).
The first rule is asked once before. Acts, categories, demographics and consent are those of the made log. Chances and segments are made
up by a hash and kept as runs, because a log of this size takes more than an hour to learn from; no time depends on how they came about.
"""

import argparse
import json
import os
import tempfile
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from benchmarks.bench_ingest import LOG_SQL
from core.__main__ import main as run_core
from core.artifacts import write_table
from core.audiences.sizes import as_record
from core.pipeline import outcomes
from core.pipeline.screens import Screen, open_screen
from core.store import Home, fetch

GOAL = 0.5
"""Seconds."""
SEGMENTS = 12
ITEMS_SQL = """
COPY (SELECT 1000000 + i AS product_id, 'Shelf ' || (i % 40) AS category, 'Brand ' || (i % 200) AS brand FROM range(60000) AS t(i))
TO '{path}' (HEADER)
"""
USERS_SQL = """
COPY (SELECT user_id, ['18-24', '25-44', '45-64', '65+'][1 + (hash(user_id) % 4)::INT] AS age,
             CASE WHEN hash(user_id * 5) % 10 < 8 THEN 'yes' ELSE 'no' END AS consent
      FROM (SELECT DISTINCT user_id FROM read_csv('{events}')))
TO '{path}' (HEADER)
"""
SCORES_SQL = "SELECT user_id, (hash(user_id || 'chance') % 9000 + 1) / 10000 AS propensity FROM users ORDER BY user_id"
PLACES_SQL = "SELECT user_id, (1 + hash(user_id || 'segment') % $n)::INTEGER AS segment_id FROM users ORDER BY user_id"

SHELF, BOUGHT = "Shelf 7", "purchase"
VIEWED = {"behaviour": {"event_type": "view", "at_least": 3, "days": 14}}
NOT_BOUGHT = {"behaviour": {"event_type": BOUGHT, "at_most": 0, "days": 14}}
BARE: dict[str, Any] = {
    "everyone": {"all": []},
    "3 views within 14 days": VIEWED,
    "the same, no purchase": {"all": [VIEWED, NOT_BOUGHT]},
    "3 views of a category within 14 days, no purchase": {
        "all": [{"behaviour": {"event_type": "view", "category": SHELF, "at_least": 3, "days": 14}}, NOT_BOUGHT]
    },
    "any act ever with a brand": {"behaviour": {"brand": "Brand 9", "at_least": 1}},
    "an item": {"behaviour": {"item": "1000123", "at_least": 1}},
    "bought at most once ever": {"behaviour": {"event_type": BOUGHT, "at_most": 1}},
    "leaning to a category": {"affinity": {"category": SHELF, "at_least": 200, "acts": 2}},
    "demographics": {"attribute": {"column": "age", "in": ["45-64", "65+"]}},
    "uploaded ids": {"users": [str(500_000_000 + number * 7) for number in range(20_000)]},
    "a nest of behaviour and demographics": {
        "any": [
            {"all": [VIEWED, {"not": {"attribute": {"column": "age", "in": ["18-24"]}}}]},
            {"all": [{"behaviour": {"event_type": "cart", "at_least": 1, "days": 7}}, {"not": {"behaviour": {"brand": "Brand 9"}}}]},
        ]
    },
}
FULL: dict[str, Any] = {
    "RFM groups": {"rfm": ["champions", "loyal"]},
    "stages of life": {"stage": ["slipping", "away"]},
    "chance": {"propensity": {"at_least": 0.3}},
    "best fifth": {"percentile": {"top": 20}},
    "a counted feature": {"feature": {"column": "orders_all", "op": ">=", "value": 2}},
    "segments": {"segment": [1, 4, 7]},
    "a saved audience": {"all": [{"audience": "saved"}, {"segment": [2, 3]}]},
    "a nest of everything": {
        "all": [
            {"any": [{"rfm": ["champions", "loyal", "at_risk"]}, {"percentile": {"top": 30}}]},
            {"any": [VIEWED, {"affinity": {"category": SHELF, "at_least": 150}}]},
            {"not": {"any": [{"segment": [5]}, {"stage": ["away"]}, {"attribute": {"column": "age", "in": ["18-24"]}}]}},
            NOT_BOUGHT,
        ]
    },
}
SAVED = {"all": [{"propensity": {"at_least": 0.2}}, VIEWED]}


def make(home: Path, name: str, rows: int) -> None:
    """Make the log, its sorted copy, counted features, and chances and segments."""
    with tempfile.TemporaryDirectory() as scratch:
        files = {what: f"{scratch}/{what}.csv" for what in ("events", "items", "users")}
        with duckdb.connect() as maker:
            maker.execute(LOG_SQL.replace("{path}", files["events"]), {"rows": rows})
            maker.execute(ITEMS_SQL.format(path=files["items"]))
            maker.execute(USERS_SQL.format(path=files["users"], events=files["events"]))
        common = ["--home", str(home), "--dataset", name, "--json"]
        sources = [word for what, path in files.items() for word in (f"--{what}", path)]
        if run_core(["ingest", *common, *sources]) or run_core(["sort", *common]) or run_core(["profile", *common, "--blocks", "counts"]):
            raise SystemExit("The log could not be made.")
    dataset = Home(home).dataset(name)
    inputs = {"version": dataset.current()["version"]}
    with dataset.log().history() as connection:
        scores = fetch(connection, SCORES_SQL)
        placed = fetch(connection, PLACES_SQL, {"n": SEGMENTS})
    numbers = np.arange(1, SEGMENTS + 1, dtype=np.int32)
    sizes = np.bincount(placed["segment_id"].to_numpy(), minlength=SEGMENTS + 1)[1:]
    places = np.random.default_rng(0).random((2, len(placed)), dtype=np.float32)
    with dataset.new_run("propensity", inputs=inputs, config={"act": BOUGHT, "horizon_hours": 168.0}, cutoff=None) as draft:
        write_table(draft.path / "scores.parquet", scores)
    with dataset.new_run("atlas", inputs=inputs, config={}, cutoff=None) as draft:
        write_table(
            draft.path / "users.parquet",
            placed.append_column("x", [places[0]]).append_column("y", [places[1]]).append_column("certainty", [np.full(len(placed), 0.9)]),
        )
        names = [f"Segment {number}" for number in numbers]
        write_table(draft.path / "segments.parquet", pa.table({"segment_id": numbers, "name": names, "size": sizes}))


def ask(screen: Screen, rule: dict[str, Any]) -> outcomes.Audience:
    """The size of a rule as the page asks for it."""
    return outcomes.size(screen, rule, holdout=0.1, cost=0.5, margin=20.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--dataset", default="audiences")
    parser.add_argument("--make", type=int, metavar="ROWS")
    parser.add_argument("--bare", action="store_true", help="as if no stage had run")
    parser.add_argument("--started", action="store_true", help="after what a server does as it starts")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sizes", type=Path, help="write every figure of every rule here")
    arguments = parser.parse_args()
    if arguments.make:
        make(arguments.home, arguments.dataset, arguments.make)
        return
    screen = open_screen(Home(arguments.home), arguments.dataset)
    rules = BARE if arguments.bare else BARE | FULL
    if arguments.bare:
        screen = replace(screen, runs=())
    else:
        outcomes.save_audience(screen, {"name": "saved", "rule": SAVED, "holdout": 0.1, "cost": 0.0, "margin": 0.0})
    if arguments.started:
        os.environ["SHOPPER_ATLAS_HOME"] = str(arguments.home)
        from pages.parts.warming import ask_first

        ask_first()
    began = time.perf_counter()
    ask(screen, {"all": []})
    print(f"{'the first':<52} {time.perf_counter() - began:6.2f} s")
    found, slowest = {}, timedelta()
    for name, rule in rules.items():
        walls, cpus = [], []
        for _round in range(arguments.rounds):
            began, cpu = time.perf_counter(), time.process_time()
            told = ask(screen, rule)
            walls.append(time.perf_counter() - began)
            cpus.append(time.process_time() - cpu)
        found[name] = as_record(told.size)
        slowest = max(slowest, timedelta(seconds=max(walls)))
        print(f"{name:<52} {min(walls):6.2f} to {max(walls):5.2f} s, CPU {min(cpus):5.2f} s, {told.size.everyone.users:>9,} shoppers")
    print(f"slowest {slowest.total_seconds():.2f} s; the goal of {GOAL} s is {'met' if slowest.total_seconds() < GOAL else 'missed'}")
    if arguments.sizes:
        arguments.sizes.write_text(json.dumps(found, indent=1, default=str), encoding="utf-8")


if __name__ == "__main__":
    main()
