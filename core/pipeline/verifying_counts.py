"""Figures of Overview and Behaviour that `verify` has found again: what is asked, and what the pages answer."""

from datetime import timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from core.insights import funnel, overview, products, retention
from core.insights.changes import what_changed
from core.insights.funnel import Funnel, Step
from core.insights.overview import Period
from core.insights.retention import Retention
from core.insights.statement import ask
from core.pipeline import behaviour
from core.pipeline.screens import Screen
from core.store import Log

Figure = dict[str, Any]
"""{"id", "page", "value"}; a value is a number, or a table as {"columns", "rows"}."""
USUAL = (("view", "click", "impression"), ("cart", "favourite"), ("purchase",))
"""Kinds that the funnel takes, the first of each that the log has; two purchases where there is nothing else."""
NARROWED_SQL = """
SELECT (SELECT median(price) FROM catalogue)::DOUBLE AS price,
       (SELECT item_id FROM history WHERE event_type::VARCHAR = $kind AND item_id IS NOT NULL GROUP BY item_id
        ORDER BY count(*) DESC, item_id LIMIT 1) AS item
"""
"""What the steps of a second funnel are narrowed to: the upper half of prices, and the item most often taken in its second step."""
WINDOW_DAYS = 7
CHANGED_DAYS = 7


def settings(screen: Screen, log: Log) -> dict[str, Any]:
    """Values that the statements of the counting program bind."""
    steps = [*_steps(screen), None, None]
    told: dict[str, Any] = {f"step_{number}": steps[number - 1] for number in (1, 2, 3)}
    told |= {"window_days": WINDOW_DAYS, "end": overview.last_instant(log).isoformat(sep=" ")}
    if (narrowed := _narrowed(screen, log)) is not None:
        told |= {"narrowed_price": narrowed[0].price_from, "narrowed_item": narrowed[1].item}
    if (periods := _periods(screen, log)) is not None:
        instants = {"before": periods[0].since, "since": periods[1].since, "until": periods[1].until}
        told |= {f"changed_{name}": instant.isoformat(sep=" ") for name, instant in instants.items()}
    return told


def figures(screen: Screen, log: Log) -> list[Figure]:
    """What the pages answer without filters, asked of `log`: the screen's own, or the same events read in another way."""
    return [*_overview(screen, log), *_changed(screen, log), *_behaviour(screen, log)]


def _overview(screen: Screen, log: Log) -> list[Figure]:
    whole = overview.whole_log(log, screen.zone)
    found = [figure("overview", name, value) for name, value in overview.figures(log, whole).table.to_pylist()[0].items()]
    trend = overview.trend(log, whole, "day").table
    trend = trend.filter(pc.greater(trend["events"], 0)).drop_columns(["partial", "order_value"])
    return [
        *found,
        rows_of("overview", "trend", trend.set_column(0, "period", trend["period"].cast(pa.string()))),
        rows_of("overview", "event_mix", overview.event_mix(log, whole).table),
        *_products(log, whole),
        rows_of("overview", "hours", overview.hours(log, whole).table),
    ]


def _products(log: Log, period: Period) -> list[Figure]:
    """The tables by category, brand and item, and what stands out in each."""
    found = []
    for level in products.LEVELS:
        answer = products.products(log, period, level)
        apart = products.standing_out(log, answer, level).table
        extra = [name for name in ("title", "category") if level == "item"]
        found += [
            rows_of("overview", f"products_{level}", answer.table.drop_columns(extra)),
            rows_of("overview", f"standing_out_{level}", apart.drop_columns([*extra, "revenue", "products"])),
        ]
    return found


def _changed(screen: Screen, log: Log) -> list[Figure]:
    """Every part of the change over the last days, and the sum of all effects, which is the change of the whole."""
    periods, segments = _periods(screen, log), behaviour.segments(screen)
    if periods is None:
        return []
    found: list[Figure] = []
    for parts in ("newness", "category", *(["segment"] if segments is not None else [])):
        change = what_changed(log, *periods, parts, segments=segments)
        if change is None:
            continue
        table = change.answer.table
        sums = {name: pc.sum(table[name]).as_py() for name in ("mix", "rate", "revenue_mix", "revenue_rate")}
        found += [
            rows_of("overview", f"changed_{parts}", table.drop_columns(["revenue_mix", "revenue_rate"])),
            figure("overview", f"conversion_change_{parts}", sums["mix"] + sums["rate"]),
            figure("overview", f"revenue_change_{parts}", sums["revenue_mix"] + sums["revenue_rate"] + change.revenue_size),
        ]
    return found


def _behaviour(screen: Screen, log: Log) -> list[Figure]:
    found = []
    for name, steps in (("funnel", tuple(Step(kind) for kind in _steps(screen))), ("funnel_narrowed", _narrowed(screen, log))):
        if steps is not None:
            answer = funnel.count_steps(log, Funnel(steps, window=timedelta(days=WINDOW_DAYS)))
            if answer.table.num_rows:
                found.append(rows_of("behaviour", name, answer.table.select(["step", "users", "overall", "from_previous"])))
    for grain in ("week", "day"):
        table = retention.retention(log, Retention(grain=grain, zone=screen.zone)).table
        cohort = pc.fill_null(table["cohort"].cast(pa.string()), "mean")
        columns = ["cohort", "number", "users", "on_users", "later_users", "on", "on_or_after"]
        found.append(rows_of("behaviour", f"retention_{grain}s", table.set_column(0, "cohort", cohort).select(columns)))
    return found


def _steps(screen: Screen) -> list[str]:
    kinds = behaviour.facts(screen).table["event_type"].to_pylist()
    usual = [kind for kind in (next((k for k in choice if k in kinds), None) for choice in USUAL) if kind]
    return usual if len(usual) > 1 else [kinds[0], kinds[0]]


def _narrowed(screen: Screen, log: Log) -> tuple[Step, ...] | None:
    """The usual steps, the first of expensive items and the second of one item; None without prices or items."""
    first, second, *rest = _steps(screen)
    with log.history() as connection:
        found = ask(connection, NARROWED_SQL, {"kind": second}).table.to_pylist()[0]
    if found["price"] is None or found["item"] is None:
        return None
    return Step(first, price_from=found["price"]), Step(second, item=found["item"]), *(Step(kind) for kind in rest)


def _periods(screen: Screen, log: Log) -> tuple[Period, Period] | None:
    period = overview.last_days(log, CHANGED_DAYS, screen.zone)
    before = overview.previous(period, log)
    return None if before is None else (before, period)


def figure(page: str, name: str, value: Any) -> Figure:
    """A figure that is one value."""
    return {"id": f"{page}.{name}", "page": page, "value": value}


def rows_of(page: str, name: str, table: pa.Table) -> Figure:
    """A figure that is a table."""
    rows = [[cell.item() if hasattr(cell, "item") else cell for cell in row.values()] for row in table.to_pylist()]
    return {"id": f"{page}.{name}", "page": page, "value": {"columns": table.column_names, "rows": rows}}
