"""What the pages Behaviour and Overview and `insights` read: a question asked of the part of a dataset that is looked at."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from core.audiences.rules import Rule, Tables, rule_sql, scope_of
from core.audiences.sizes import members
from core.errors import GateError, NotFoundError, RuleError
from core.insights import carts, exposure, lifetime, orders, overview, retention, rfm
from core.insights import changes as changing
from core.insights import drivers as driving
from core.insights import funnel as funnels
from core.insights import paths as walking
from core.insights import products as selling
from core.insights.changes import Change
from core.insights.drivers import Drivers
from core.insights.exposure import Exposure
from core.insights.funnel import Funnel, Step
from core.insights.lifetime import Forecast, Lifetime
from core.insights.orders import MOST_THINGS, Pairs
from core.insights.overview import Period
from core.insights.paths import Paths
from core.insights.retention import Retention
from core.insights.rfm import Rfm
from core.insights.scope import Scope
from core.insights.statement import Answer, ask, fill
from core.pipeline import choosing, outcomes, screens
from core.pipeline.cells import told, told_change, told_forecast, told_list
from core.pipeline.screens import MOST_NAMES, Screen
from core.small_cells import marked
from core.store import FACTS_SQL, Connection, sorted_events

__all__ = [
    "MOST_THINGS",
    "Change",
    "Drivers",
    "Exposure",
    "Filters",
    "Forecast",
    "Funnel",
    "Lifetime",
    "Pairs",
    "Paths",
    "Period",
    "Retention",
    "Rfm",
    "Step",
]

FACTS = pa.schema(
    [
        ("event_type", pa.string()),
        *((name, pa.int64()) for name in ("events", "with_item", "with_position", "with_dwell", "with_revenue", "days")),
    ]
)
BRANDS_SQL = """
SELECT c.brand, count(*) AS n FROM history h JOIN catalogue c ON h.item_id = c.item_id WHERE c.brand IS NOT NULL
GROUP BY c.brand ORDER BY n DESC, c.brand LIMIT $most
"""
ITEMS_SQL = "SELECT item_id FROM catalogue WHERE list_contains($items::VARCHAR[], item_id)"
ANY_SQL = "SELECT EXISTS (SELECT item_id FROM catalogue) AS items, EXISTS (SELECT item_id FROM catalogue WHERE price IS NOT NULL) AS prices"
TITLES_SQL = "SELECT item_id, title FROM catalogue WHERE title IS NOT NULL AND list_contains($items::VARCHAR[], item_id)"


@dataclass(frozen=True)
class Filters:
    """What is looked at, in plain values that an address can carry; what is not chosen is everything."""

    since: datetime | None = None
    """UTC, inclusive."""
    until: datetime | None = None
    """UTC, exclusive."""
    event_types: tuple[str, ...] = ()
    category: str | None = None
    brand: str | None = None
    segment: int | None = None
    audience: str | None = None
    attribute: tuple[str, str] | None = None


NO_FILTERS = Filters()
STEPS = (("view", "click", "impression"), ("cart", "favourite"), ("purchase",))
RARE = 10
EXPORTED_NAMES = {
    "history": "main.events",
    "catalogue": "items",
    "counts": "features",
    "scores": "propensity",
    "categories": "category_propensity",
}
"""Tables of a rule, and what they are called among the exported ones; `main.events` are all, where `events` are those of a filter."""


def scope(screen: Screen, filters: Filters) -> Scope:
    """Find out whose events and which of them the filters leave.

    Raises:
        NotFoundError: The segment or audience does not exist.
    """
    found = Scope(filters.since, filters.until, filters.event_types, filters.category, filters.brand, filters.attribute)
    chosen: pa.Table | None = None
    sql: list[str] = []
    if filters.segment is not None:
        table = screens.run_table(screen, "atlas", "users", ["user_id", "segment_id"])
        if table is None:
            raise NotFoundError("Dataset {dataset!r} has no map yet, so there is no segment to choose; draw it first.", dataset=screen.name)
        chosen = table.filter(pc.equal(table["segment_id"], filters.segment)).select(["user_id"])
        sql.append(f"SELECT user_id FROM segments WHERE segment_id = {int(filters.segment)}")  # noqa: S608 - a number
    if filters.audience is not None:
        rule = next((kept["rule"] for kept in outcomes.saved_audiences(screen) if kept["name"] == filters.audience), None)
        if rule is None:
            raise NotFoundError(
                "Dataset {dataset!r} has no audience {audience!r}; choose another.", dataset=screen.name, audience=filters.audience
            )
        rule = outcomes.resolved(screen, rule)
        tables = choosing.rule_tables(screen, rule)
        with screen.log.history() as connection:
            inside = members(connection, tables, rule, cutoff=screen.log.until, holdout_share=0.0, holdout_salt="").select(["user_id"])
            for name, table in tables.items():
                connection.register(name, table)
            sql.append(_shown_rule(rule, connection, tables, screen.log.until))
        chosen = inside if chosen is None else chosen.join(inside, keys="user_id", join_type="left semi")
    return found if chosen is None else replace(found, members=chosen, members_sql=" INTERSECT ".join(f"({one})" for one in sql))


def _shown_rule(rule: Rule, connection: Connection, tables: Tables, cutoff: datetime) -> str:
    """The statement of a rule as it runs on the exported tables, and without tables of runs, where it needs none, on `events.duckdb`."""
    try:
        sql = rule_sql(rule, scope_of(connection, {name: table for name, table in tables.items() if name != "counts"}, cutoff))
    except RuleError:  # it asks for a feature
        sql = rule_sql(rule, scope_of(connection, tables, cutoff))
    for name, exported in EXPORTED_NAMES.items():
        sql = re.sub(rf"\b(FROM|JOIN) {name}\b", rf"\1 {exported}", sql)
    return sql


def facts(screen: Screen) -> Answer:
    """One row per kind of event: events, with_item, with_position, with_dwell, with_revenue, days."""
    sql = FACTS_SQL.format(table="history")
    if (copy := sorted_events(screen.log.sorted_path)) is not None:
        return Answer(pa.Table.from_pylist(copy.facts(), schema=FACTS), fill(sql, {}))
    with screen.log.history() as connection:
        return ask(connection, sql, {})


def usual_steps(events: Mapping[str, int]) -> list[str]:
    """Kinds that a first funnel takes: of each of STEPS the first that the log has; favourites in place of carts that are RARE times rarer.

    Args:
        events: Acts of each kind.
    """
    steps = [known[0] for choice in STEPS if (known := [kind for kind in choice if kind in events])]
    is_rare = "cart" in steps and events.get("favourite", 0) >= RARE * events["cart"]
    return ["favourite" if kind == "cart" and is_rare else kind for kind in steps]


def brand_names(screen: Screen) -> list[str]:
    """Brands of the catalogue, most events first, at most MOST_NAMES."""
    with screen.log.history() as connection:
        return [str(name) for name in ask(connection, BRANDS_SQL, {"most": MOST_NAMES}).table["brand"].to_pylist()]


def items_there(screen: Screen, item_ids: list[str]) -> list[str]:
    """Those of some ids that are items of the log or its catalogue."""
    with screen.log.history() as connection:
        return [str(item) for item in ask(connection, ITEMS_SQL, {"items": item_ids}).table["item_id"].to_pylist()]


def has_items(screen: Screen) -> bool:
    """Whether the log or its catalogue has items."""
    return _any(screen, "items")


def has_prices(screen: Screen) -> bool:
    """Whether any item has a price."""
    return _any(screen, "prices")


def _any(screen: Screen, column: str) -> bool:
    with screen.log.history() as connection:
        return bool(ask(connection, ANY_SQL, {}).table[column][0].as_py())


def titles(screen: Screen, item_ids: list[str]) -> dict[str, str]:
    """Titles of items that have one."""
    with screen.log.history() as connection:
        found = ask(connection, TITLES_SQL, {"items": item_ids}).table.to_pylist()
    return {row["item_id"]: row["title"] for row in found}


def figures(screen: Screen, filters: Filters, period: Period) -> Answer:
    """See `core.insights.overview.figures`."""
    return told(screen, "figures", overview.figures(screen.log, period, scope(screen, filters)))


def trend(screen: Screen, filters: Filters, period: Period, grain: str) -> Answer:
    """See `core.insights.overview.trend`."""
    return told(screen, "trend", overview.trend(screen.log, period, grain, scope(screen, filters)))


def event_mix(screen: Screen, filters: Filters, period: Period) -> Answer:
    """See `core.insights.overview.event_mix`."""
    return told(screen, "event_mix", overview.event_mix(screen.log, period, scope(screen, filters)))


def products(screen: Screen, filters: Filters, period: Period, level: str) -> Answer:
    """See `core.insights.products.products`."""
    return told(screen, "products", selling.products(screen.log, period, level, scope(screen, filters)))


def judged(screen: Screen, filters: Filters, period: Period, level: str) -> tuple[Answer, Answer]:
    """`products`, and what stands out of them (`core.insights.products.standing_out`), judged by what may be shown; counted once."""
    every = products(screen, filters, period, level)
    apart = selling.standing_out(screen.log, every, level)
    return every, replace(apart, table=marked(apart.table, ("viewers", "viewing_buyers"), screen.small_cells))


def standing_out(screen: Screen, filters: Filters, period: Period, level: str) -> Answer:
    """The second of `judged`."""
    return judged(screen, filters, period, level)[1]


def hours(screen: Screen, filters: Filters, period: Period, act: str) -> Answer:
    """See `core.insights.overview.hours`."""
    return told(screen, "hours", overview.hours(screen.log, period, act, scope(screen, filters), people=screen.small_cells > 0))


def what_changed(screen: Screen, filters: Filters, before: Period, period: Period, parts: str) -> Change | None:
    """See `core.insights.changes.what_changed`."""
    known = segments(screen) if parts == "segment" else None
    return told_change(screen, changing.what_changed(screen.log, before, period, parts, scope(screen, filters), known))


def segments(screen: Screen) -> pa.Table | None:
    """user_id and segment_id of the pinned map, None without one."""
    return screens.run_table(screen, "atlas", "users", ["user_id", "segment_id"])


def funnel(screen: Screen, filters: Filters, asked: Funnel) -> Answer:
    """See `core.insights.funnel.count_steps`."""
    parts = segments(screen) if asked.breakdown == "segment" else None
    return told(screen, "funnel", funnels.count_steps(screen.log, _within(screen, filters, asked), parts))


def funnel_times(screen: Screen, filters: Filters, asked: Funnel) -> Answer:
    """See `core.insights.funnel.times_to_convert`."""
    return told(screen, "funnel_times", funnels.times_to_convert(screen.log, _within(screen, filters, asked)))


def funnel_members(screen: Screen, filters: Filters, asked: Funnel, step: int, stopped: bool) -> Answer:
    """See `core.insights.funnel.members`; raises GateError when small cells are hidden and these are fewer."""
    return told_list(screen, funnels.members(screen.log, _within(screen, filters, asked), step, stopped=stopped))


def retained(screen: Screen, filters: Filters, asked: Retention) -> Answer:
    """See `core.insights.retention.retention`."""
    return told(screen, "retained", retention.retention(screen.log, _within(screen, filters, asked)))


def cohort_revenue(screen: Screen, filters: Filters, asked: Retention) -> Answer:
    """See `core.insights.retention.cohort_revenue`."""
    return told(screen, "cohort_revenue", retention.cohort_revenue(screen.log, _within(screen, filters, asked)))


def rfm_grid(screen: Screen, filters: Filters, asked: Rfm) -> Answer:
    """See `core.insights.rfm.rfm_grid`."""
    return told(screen, "rfm_grid", rfm.rfm_grid(screen.log, _within(screen, filters, asked)))


def rfm_cuts(screen: Screen, filters: Filters, asked: Rfm) -> Answer:
    """See `core.insights.rfm.rfm_cuts`."""
    return told(screen, "rfm_cuts", rfm.rfm_cuts(screen.log, _within(screen, filters, asked)))


def rfm_members(screen: Screen, filters: Filters, asked: Rfm, group: str) -> Answer:
    """See `core.insights.rfm.rfm_members`; raises GateError when small cells are hidden and these are fewer."""
    found = told_list(screen, rfm.rfm_members(screen.log, _within(screen, filters, asked), group))
    if screen.small_cells:  # scores of each would count the cells of the grid that are hidden
        return replace(found, table=found.table.select(["user_id"]))
    return found


def stage_moves(screen: Screen, filters: Filters, back_days: int) -> Answer:
    """See `core.insights.rfm.stage_moves`."""
    return told(screen, "stage_moves", rfm.stage_moves(screen.log, scope(screen, filters), back_days))


def open_carts(screen: Screen, filters: Filters) -> Answer:
    """See `core.insights.carts.open_carts`; the end is that of the filters, or of the log."""
    until = min(filters.until or screen.log.until, screen.log.until)
    return told(screen, "open_carts", carts.open_carts(screen.log, until, scope(screen, filters)))


def forecast(screen: Screen, filters: Filters, asked: Lifetime) -> Forecast:
    """See `core.insights.lifetime.forecast`."""
    try:
        return told_forecast(screen, lifetime.forecast(screen.log, _within(screen, filters, asked)))
    except GateError as error:
        if screen.small_cells:  # the reason names how many buyers there are
            raise GateError("Too few buyers, too short a time or too few orders for expected purchases.") from error
        raise


def paths(screen: Screen, filters: Filters, asked: Paths) -> Answer:
    """See `core.insights.paths.links`."""
    return told(screen, "paths", walking.links(screen.log, _within(screen, filters, asked), people=screen.small_cells > 0))


def step_matrix(screen: Screen, filters: Filters, asked: Paths) -> pa.Table:
    """See `core.insights.paths.step_matrix`."""
    return marked(walking.step_matrix(paths(screen, filters, asked).table), ("sessions",), screen.small_cells)


def order_gaps(screen: Screen, filters: Filters) -> Answer:
    """See `core.insights.orders.gaps`."""
    return told(screen, "order_gaps", orders.gaps(screen.log, scope(screen, filters)))


def repeat_rates(screen: Screen, filters: Filters, follow_up_days: int) -> Answer:
    """See `core.insights.orders.repeat_rates`."""
    return told(screen, "repeat_rates", orders.repeat_rates(screen.log, follow_up_days, screen.zone, scope(screen, filters)))


def bought_together(screen: Screen, filters: Filters, asked: Pairs) -> Answer:
    """See `core.insights.orders.bought_together`."""
    return told(
        screen, "bought_together", orders.bought_together(screen.log, _within(screen, filters, asked), people=screen.small_cells > 0)
    )


def by_position(screen: Screen, filters: Filters, asked: Exposure) -> Answer:
    """See `core.insights.exposure.by_position`."""
    return told(screen, "by_position", exposure.by_position(screen.log, _within(screen, filters, asked), people=screen.small_cells > 0))


def dwell(screen: Screen, filters: Filters, asked: Exposure) -> Answer:
    """See `core.insights.exposure.dwell`."""
    return told(screen, "dwell", exposure.dwell(screen.log, _within(screen, filters, asked), people=screen.small_cells > 0))


def drivers(screen: Screen, filters: Filters, asked: Drivers) -> Answer:
    """See `core.insights.drivers.drivers`."""
    return told(screen, "drivers", driving.drivers(screen.log, _within(screen, filters, asked)))


def save_members(screen: Screen, name: str, user_ids: list[str]) -> None:
    """Keep shoppers as an audience of their ids."""
    rule = {"users": user_ids}
    outcomes.save_audience(screen, {"name": name[:80], "rule": rule, "holdout": 0.1, "cost": 0.0, "margin": 0.0, "users": len(user_ids)})


def _within(screen: Screen, filters: Filters, asked: Any) -> Any:
    return replace(asked, scope=scope(screen, filters))
