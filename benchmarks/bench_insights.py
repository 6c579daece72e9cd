"""Wall and CPU seconds of every question of Overview and Behaviour on a large log, beside hand-written SQL and pandas.

    python -m core ingest --home HOME --dataset big --events log.csv     # such as the log of bench_ingest, 10 million rows
    python -m benchmarks.bench_insights --home HOME --dataset big
    python -m benchmarks.bench_insights --home HOME --dataset big --pandas
    python -m benchmarks.bench_insights --home HOME --dataset big --sort --clicks
    python -m benchmarks.bench_insights --home HOME --dataset big --pages

Each question is asked `rounds` times on open files; the first is told apart. Hand-written SQL is the shortest statement that gives the
main figure on the same file; pandas holds the few columns it needs in memory already, and is not charged for reading them.
"""

import argparse
import resource
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd

from core.insights import drivers, funnel, orders, overview, paths, retention, rfm
from core.insights.changes import what_changed
from core.insights.drivers import Drivers
from core.insights.funnel import Funnel, Step
from core.insights.orders import Pairs
from core.insights.overview import Period
from core.insights.paths import Paths
from core.insights.retention import Retention
from core.insights.rfm import Rfm
from core.insights.scope import Scope
from core.store import Home, Log, sort_events

STEPS = (Step("view"), Step("cart"), Step("purchase"))
BY_HAND = {
    "funnel": """
        WITH a AS (SELECT user_id, event_time AS t1 FROM events WHERE event_type = 'view'),
        b AS (SELECT a.user_id, t1, min(e.event_time) AS t2 FROM a JOIN events e ON e.user_id = a.user_id AND e.event_type = 'cart'
              AND e.event_time > t1 AND e.event_time <= t1 + INTERVAL 7 DAY GROUP BY ALL),
        c AS (SELECT DISTINCT b.user_id FROM b JOIN events e ON e.user_id = b.user_id AND e.event_type = 'purchase'
              AND e.event_time > t2 AND e.event_time <= t1 + INTERVAL 7 DAY)
        SELECT (SELECT count(DISTINCT user_id) FROM a), (SELECT count(DISTINCT user_id) FROM b), (SELECT count(*) FROM c)""",
    "retention, weeks": """
        WITH acts AS (SELECT DISTINCT user_id, date_trunc('week', event_time) AS week FROM events),
        firsts AS (SELECT user_id, min(week) AS cohort FROM acts GROUP BY user_id)
        SELECT cohort, date_diff('week', cohort, week) AS k, count(*) FROM acts JOIN firsts USING (user_id) GROUP BY ALL""",
    "RFM grid": """
        WITH b AS (SELECT user_id, max(event_time) AS r, count(DISTINCT event_time) AS f, sum(revenue) AS m FROM events
                   WHERE event_type = 'purchase' GROUP BY user_id)
        SELECT one, other, count(*)
        FROM (SELECT ntile(5) OVER (ORDER BY r) AS one, ntile(5) OVER (ORDER BY f, m) AS other FROM b) GROUP BY ALL""",
    "paths after cart": """
        WITH m AS (SELECT user_id, event_time, event_type,
                   coalesce(event_time - lag(event_time) OVER w > INTERVAL 30 MINUTE, true) AS starts
                   FROM events WINDOW w AS (PARTITION BY user_id ORDER BY event_time)),
        n AS (SELECT *, sum(starts::INT) OVER (PARTITION BY user_id ORDER BY event_time) AS session FROM m)
        SELECT event_type, next, count(*)
        FROM (SELECT event_type, lead(event_type) OVER (PARTITION BY user_id, session ORDER BY event_time) AS next FROM n)
        WHERE event_type = 'cart' GROUP BY ALL""",
    "figures": """
        SELECT count(*), count(DISTINCT user_id), count(DISTINCT user_id) FILTER (event_type = 'purchase'), sum(revenue),
               (SELECT count(*) FROM (SELECT event_time - lag(event_time) OVER (PARTITION BY user_id ORDER BY event_time) AS gap
                FROM events)
                WHERE gap IS NULL OR gap > INTERVAL 30 MINUTE) FROM events""",
    "stages of life": """
        WITH d AS (SELECT DISTINCT user_id, event_time::DATE AS day FROM events)
        SELECT median(gap) FROM (SELECT day - lag(day) OVER (PARTITION BY user_id ORDER BY day) AS gap FROM d)""",
    "time between orders": """
        SELECT quantile_cont(gap, [.25, .5, .75]) FROM (SELECT epoch(t - lag(t) OVER (PARTITION BY user_id ORDER BY t)) AS gap
        FROM (SELECT DISTINCT user_id, event_time AS t FROM events WHERE event_type = 'purchase'))""",
}


def questions(log: Log) -> dict[str, Callable[[], object]]:
    """Every question as the pages ask it, with its usual values."""
    whole = overview.whole_log(log)
    return {
        "figures": lambda: overview.figures(log, whole),
        "trend, weeks": lambda: overview.trend(log, whole, "week"),
        "event mix": lambda: overview.event_mix(log, whole),
        "categories": lambda: overview.goods(log, whole),
        "what changed, newness": lambda: what_changed(log, *_weeks(log), "newness"),
        "what changed, category": lambda: what_changed(log, *_weeks(log), "category"),
        "hours of the week": lambda: overview.hours(log, whole),
        "funnel": lambda: funnel.count_steps(log, Funnel(STEPS)),
        "funnel, strict": lambda: funnel.count_steps(log, Funnel(STEPS, "strict")),
        "funnel, any order": lambda: funnel.count_steps(log, Funnel(STEPS, "any")),
        "funnel, times": lambda: funnel.times_to_convert(log, Funnel(STEPS)),
        "funnel, shoppers": lambda: funnel.members(log, Funnel(STEPS), 2),
        "retention, weeks": lambda: retention.retention(log, Retention()),
        "retention, recurring days": lambda: retention.retention(log, Retention(grain="day", recurring=True)),
        "cohort revenue": lambda: retention.cohort_revenue(log, Retention(grain="month")),
        "RFM grid": lambda: rfm.rfm_grid(log, Rfm()),
        "RFM cuts": lambda: rfm.rfm_cuts(log, Rfm()),
        "stages of life": lambda: rfm.stage_moves(log, back_days=14),
        "paths after cart": lambda: paths.links(log, Paths("cart")),
        "time between orders": lambda: orders.gaps(log),
        "ordering again": lambda: orders.repeat_rates(log, 7),
        "bought together": lambda: orders.bought_together(log, Pairs("item", 5)),
        "drivers": lambda: drivers.drivers(log, Drivers(early_days=7, later_days=14)),
    }


def timed(ask: Callable[[], object], rounds: int) -> tuple[float, float, float]:
    """Wall seconds of the first time and of the slowest later one, and the fewest CPU seconds."""
    walls, cpus = [], []
    for _round in range(rounds):
        began, cpu = time.perf_counter(), time.process_time()
        ask()
        walls.append(time.perf_counter() - began)
        cpus.append(time.process_time() - cpu)
    return walls[0], max(walls[1:] or walls), min(cpus)


def pandas_questions(path: Path) -> dict[str, Callable[[], object]]:
    """The main figure of some questions in pandas, on columns that are in memory."""
    with duckdb.connect(str(path), read_only=True) as connection:
        frame = connection.sql("SELECT user_id, event_time, event_type::VARCHAR AS kind, revenue::DOUBLE AS revenue FROM events").df()
    frame["kind"] = frame["kind"].astype("category")

    def first_view_funnel() -> object:
        began = frame[frame["kind"] == "view"].groupby("user_id")["event_time"].min()
        carts = frame[frame["kind"] == "cart"].merge(began.rename("t1"), left_on="user_id", right_index=True)
        carts = carts[(carts["event_time"] > carts["t1"]) & (carts["event_time"] <= carts["t1"] + timedelta(days=7))]
        return carts["user_id"].nunique()

    def weeks() -> object:
        acts = frame.assign(week=frame["event_time"].dt.to_period("W").dt.start_time)[["user_id", "week"]].drop_duplicates()
        cohort = acts.groupby("user_id")["week"].transform("min")
        return acts.assign(k=(acts["week"] - cohort).dt.days // 7, cohort=cohort).groupby(["cohort", "k"]).size()

    def buyers() -> object:
        bought = frame[frame["kind"] == "purchase"]
        return bought.groupby("user_id").agg(r=("event_time", "max"), f=("event_time", "nunique"), m=("revenue", "sum"))

    def sessions() -> object:
        ordered = frame.sort_values(["user_id", "event_time"])
        return int((ordered.groupby("user_id")["event_time"].diff().fillna(pd.Timedelta(days=1)) > pd.Timedelta(minutes=30)).sum())

    return {"figures": sessions, "funnel": first_view_funnel, "retention, weeks": weeks, "RFM grid": buyers}


def clicks(log: Log) -> list[Callable[[], object]]:
    """Views as one person asks for them one after the other: the pages' figures with filters, steps and anchors that change."""
    whole = overview.whole_log(log)
    scopes = [Scope(), Scope(since=whole.since + timedelta(days=20)), Scope(event_types=("view", "cart", "purchase"))]
    found: list[Callable[[], object]] = []
    for scope in scopes:
        for period in (whole, overview.last_days(log, 28), overview.last_days(log, 7)):
            found += [
                lambda p=period, s=scope: overview.figures(log, p, s),
                lambda p=period, s=scope: overview.trend(log, p, "day", s),
                lambda p=period, s=scope: overview.hours(log, p, "all", s),
                lambda p=period, s=scope: overview.goods(log, p, "category", s),
            ]
        for order in funnel.ORDERS:
            for days in (1, 7):
                found.append(lambda o=order, d=days, s=scope: funnel.count_steps(log, Funnel(STEPS, o, timedelta(days=d), scope=s)))
        for anchor in ("cart", "purchase"):
            found += [lambda a=anchor, f=forward, s=scope: paths.links(log, Paths(a, f, scope=s)) for forward in (True, False)]
        found.append(lambda s=scope: retention.retention(log, Retention(scope=s)))
        found.append(lambda s=scope: retention.cohort_revenue(log, Retention(grain="month", scope=s)))
        found.append(lambda s=scope: rfm.rfm_grid(log, Rfm(scope=s)))
        found += [lambda d=days, s=scope: rfm.stage_moves(log, s, d) for days in (7, 14)]
        found += [lambda d=days, s=scope: drivers.drivers(log, Drivers(early_days=7, later_days=d, scope=s)) for days in (7, 14)]
        found += [lambda s=scope: orders.gaps(log, s), lambda s=scope: orders.repeat_rates(log, 7, scope=s)]
        found.append(lambda s=scope: orders.bought_together(log, Pairs("item", 5, s)))
        found += [lambda p=parts, s=scope: what_changed(log, *_weeks(log), p, s) for parts in ("newness", "category")]
    return found


def pages(log: Log) -> dict[str, Callable[[], object]]:
    """Everything that a page asks when a filter was changed, one question after the other."""
    whole = overview.last_days(log, 28)
    before, period = _weeks(log)
    value = Retention(grain="month", most=24)

    def all_of(*asked: Callable[[Scope], object]) -> Callable[[], object]:
        fresh = iter(range(1, 1000))
        return lambda: [ask(replace(Scope(), since=log.start + timedelta(seconds=number))) for number in [next(fresh)] for ask in asked]

    funnels = {
        f"funnel, {order}": all_of(
            lambda s, o=order: funnel.count_steps(log, Funnel(STEPS, o, scope=s)),
            lambda s, o=order: funnel.times_to_convert(log, Funnel(STEPS, o, scope=s)),
        )
        for order in funnel.ORDERS
    }
    return {
        "overview": all_of(
            lambda s: overview.figures(log, whole, s),
            lambda s: overview.trend(log, whole, "week", s),
            lambda s: overview.event_mix(log, whole, s),
            lambda s: overview.hours(log, whole, scope=s),
            lambda s: overview.goods(log, whole, "category", s),
            lambda s: what_changed(log, before, period, "newness", s),
        ),
        **funnels,
        "retention": all_of(lambda s: retention.retention(log, Retention(scope=s))),
        "paths": all_of(lambda s: paths.links(log, Paths("cart", scope=s))),
        "buyers and value": all_of(
            lambda s: rfm.rfm_grid(log, Rfm(scope=s)),
            lambda s: rfm.rfm_cuts(log, Rfm(scope=s)),
            lambda s: rfm.stage_moves(log, s, 14),
            lambda s: retention.cohort_revenue(log, replace(value, scope=s)),
        ),
        "orders and baskets": all_of(
            lambda s: orders.gaps(log, s),
            lambda s: orders.repeat_rates(log, 7, scope=s),
            lambda s: orders.bought_together(log, Pairs("category", 5, s)),
        ),
        "drivers": all_of(lambda s: drivers.drivers(log, Drivers(early_days=7, later_days=14, scope=s))),
    }


def _weeks(log: Log) -> tuple[Period, Period]:
    period = overview.last_days(log, 7)
    before = overview.previous(period, log)
    assert before is not None
    return before, period


def click_through(log: Log) -> None:
    """Print quantiles of wall and CPU seconds over the clicks, and the memory of four people who click at once."""
    walls, cpus = [], []
    for ask in clicks(log):
        began, cpu = time.perf_counter(), time.process_time()
        ask()
        walls.append(time.perf_counter() - began)
        cpus.append(time.process_time() - cpu)
    for name, seconds in (("wall", walls), ("CPU", cpus)):
        middle, high = np.quantile(seconds[1:], [0.5, 0.95])
        print(f"{len(seconds) - 1} clicks, {name} s: median {middle:.2f}, 95th percentile {high:.2f}, most {max(seconds[1:]):.2f}")
    print(f"first: {walls[0]:.2f} s wall, {cpus[0]:.2f} s CPU; one person: peak {peak():.0f} MB", flush=True)
    with ThreadPoolExecutor(4) as people:
        list(people.map(lambda ask: ask(), clicks(log)))
    print(f"four people at once: peak {peak():.0f} MB")


def peak() -> float:
    """Largest resident size of this process so far, in MB; mapped pages of the sorted copy count."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--pandas", action="store_true", help="also in pandas; needs about 2 GB for 10 million events")
    parser.add_argument("--only", default="", help="questions whose name holds this")
    parser.add_argument("--sort", action="store_true", help="make the sorted copy first")
    parser.add_argument("--pages", action="store_true", help="everything that a page asks at once, in place of single questions")
    parser.add_argument("--clicks", action="store_true", help="only the views of one person, and the memory of four")
    arguments = parser.parse_args()
    dataset = Home(arguments.home).dataset(arguments.dataset)
    log = dataset.log()
    if arguments.sort:
        began, cpu = time.perf_counter(), time.process_time()
        sort_events(log.path, dataset.sorted_path())
        print(f"sorted copy: {time.perf_counter() - began:.1f} s wall, {time.process_time() - cpu:.1f} s CPU")
    if arguments.clicks:
        click_through(log)
        return
    print(f"{'question':28}{'first s':>9}{'later s':>9}{'CPU s':>8}{'by hand CPU s':>15}")
    for name, ask in (pages(log) if arguments.pages else questions(log)).items():
        if arguments.only not in name:
            continue
        first, later, cpu = timed(ask, arguments.rounds)
        hand = ""
        if name in BY_HAND and not arguments.pages:
            with duckdb.connect(str(log.path), read_only=True, config={"threads": 2}) as connection:
                hand = f"{timed(lambda sql=BY_HAND[name], c=connection: c.sql(sql).fetchall(), arguments.rounds)[2]:.2f}"
        print(f"{name:28}{first:9.2f}{later:9.2f}{cpu:8.2f}{hand:>15}", flush=True)
    if arguments.pandas:
        for name, ask in pandas_questions(log.path).items():
            print(f"pandas, {name:20}{timed(ask, arguments.rounds)[2]:26.2f}", flush=True)
    print(f"peak {peak():.0f} MB")


if __name__ == "__main__":
    main()
