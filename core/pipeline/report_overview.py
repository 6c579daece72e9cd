"""The sections of a report that the page Overview shows: figures, trend, kinds of events, hours, categories."""

from typing import Any

from core.ingest.report_words import kind_name
from core.insights.overview import Period
from core.insights.statement import Answer
from core.messages import Message, say
from core.metrics import wilson
from core.pipeline import behaviour, screens
from core.pipeline.behaviour import Filters
from core.pipeline.cells import hidden_below
from core.pipeline.report_words import KIND_WORDS, NO_ITEMS, NO_PURCHASES, NOTHING
from core.pipeline.screens import Screen
from core.report.record import Chart, Column, Exhibit, Section, shown
from core.small_cells import told_count

WEEKDAYS = (say("Mon"), say("Tue"), say("Wed"), say("Thu"), say("Fri"), say("Sat"), say("Sun"))
MOST_BARS = 12
DAY = 86_400
"""Seconds; a log whose times are days has no hours."""


def overview(screen: Screen, filters: Filters, period: Period) -> Section:
    """Figures with their change, trend, kinds of events, hours of the week."""
    now = behaviour.figures(screen, filters, period)
    before = screens.previous_period(screen, period) if filters.since is None and filters.until is None else None
    then = behaviour.figures(screen, filters, before).table.to_pylist()[0] if before else None
    row = now.table.to_pylist()[0]
    if row["events"] == 0:
        return Section("overview", say("Overview"), say("How is the shop doing?"), (), notes=(NOTHING,))
    figures = Exhibit(
        "overview.figures",
        say("Figures of the period"),
        say(
            "Shoppers: distinct users with an event. Session: a run of events without a gap of more than 30 minutes. Buyers: shoppers "
            "with a purchase. Orders: order ids, or purchases of one shopper at one instant. Revenue: sum of purchases before refunds."
        ),
        tuple(
            Column(name, title, "amount" if name == "revenue" else "whole")
            for name, title in (
                ("events", say("Events")),
                ("users", say("Shoppers")),
                ("sessions", say("Sessions")),
                ("buyers", say("Buyers")),
                ("repeat_buyers", say("Buyers with two orders or more")),
                ("buying_sessions", say("Sessions with a purchase")),
                ("orders", say("Orders")),
                ("revenue", say("Revenue")),
            )
        ),
        now.table,
        now.sql,
    )
    trend = behaviour.trend(screen, filters, period, "week")
    weeks = trend.table.to_pylist()
    mix = behaviour.event_mix(screen, filters, period)
    kinds = mix.table.to_pylist()
    hours = behaviour.hours(screen, filters, period, "all")
    exhibits = (
        figures,
        Exhibit(
            "overview.trend",
            say("Active shoppers by week"),
            say("Distinct shoppers with an event in the week; hollow weeks are covered only in part."),
            (
                Column("period", say("Week from"), "day"),
                Column("users", say("Shoppers"), "whole"),
                Column("events", say("Events"), "whole"),
                Column("buyers", say("Buyers"), "whole"),
                Column("orders", say("Orders"), "whole"),
                Column("revenue", say("Revenue"), "amount"),
            ),
            trend.table,
            trend.sql,
            Chart(
                "line",
                tuple(f"{week['period']:%Y-%m-%d}" for week in weeks),
                tuple(week["users"] for week in weeks),
                say("Shoppers"),
                hollow=tuple(bool(week["partial"]) for week in weeks),
            ),
        ),
        Exhibit(
            "overview.event_mix",
            say("Kinds of events"),
            say("Events of each kind, and their share of all events."),
            (
                Column("event_type", say("Kind of event"), "text", KIND_WORDS),
                Column("events", say("Events"), "whole"),
                Column("users", say("Shoppers"), "whole"),
                Column("share", say("Share"), "percent"),
            ),
            mix.table,
            mix.sql,
            Chart("bars", tuple(kind_name(kind["event_type"]) for kind in kinds), tuple(kind["events"] for kind in kinds), say("Events")),
        ),
        _hours(screen, hours),
    )
    is_bought = _is_bought(screen)
    tiles = _tiles(row, then, screen.small_cells)
    if not is_bought:
        tiles = (*tiles[:2], *((title, "–", None) for title, _figure, _note in tiles[2:]))
    notes = () if is_bought else (NO_PURCHASES,)
    return Section("overview", say("Overview"), say("How is the shop doing?"), exhibits, tiles, notes=notes)


def _is_bought(screen: Screen) -> bool:
    """Whether the log knows purchases at all."""
    return "purchase" in behaviour.facts(screen).table["event_type"].to_pylist()


def _hours(screen: Screen, hours: Answer) -> Exhibit:
    """Events by weekday and hour; by weekday alone where the log tells only days."""
    grid: list[list[int | None]] = [[0] * 24 for _day in range(7)]
    for cell in hours.table.to_pylist():
        grid[cell["weekday"] - 1][cell["hour"]] = cell["events"]
    title, definition = say("Hours of the week"), say("Events by weekday and hour, time zone {zone}.", zone=screen.zone)
    chart = Chart("grid", WEEKDAYS, tuple(map(tuple, grid)), say("Events"), columns=tuple(map(str, range(24))))
    if screen.log.time_resolution_seconds >= DAY:
        title, definition = say("Days of the week"), say("Events by weekday, time zone {zone}; the log tells no hours.", zone=screen.zone)
        days = tuple(None if None in day else sum(n or 0 for n in day) for day in grid)  # two hours where clocks change
        chart = Chart("bars", WEEKDAYS, days, say("Events"))
    columns = (
        Column("weekday", say("Weekday"), "text", dict(enumerate(WEEKDAYS, 1))),
        Column("hour", say("Hour"), "whole"),
        Column("events", say("Events"), "whole"),
    )
    return Exhibit("overview.hours", title, definition, columns, hours.table, hours.sql, chart)


def _tiles(row: dict[str, Any], then: dict[str, Any] | None, k: int) -> tuple[tuple[Message, str, Message | None], ...]:
    def count(name: str) -> str:
        return told_count(None, k) if row[name] is None else shown(row[name], "whole")

    def change(name: str) -> Message | None:
        if then is None or not then[name] or row[name] is None:
            return None
        return say("{change:+.1f}% against the period before", change=100 * (row[name] / then[name] - 1))

    def rate(part: str, base: str) -> tuple[str, Message | None]:
        if not row[base] or row[part] is None:
            return "–", None
        low, high = wilson(row[part], row[base])
        told = say("{part:,} of {base:,}, 95% interval {low:.1%} – {high:.1%}", part=row[part], base=row[base], low=low, high=high)
        return shown(row[part] / row[base], "percent"), told

    spent = row["revenue"] / row["orders"] if row["revenue"] is not None and row["orders"] else None
    return (
        (say("Shoppers"), count("users"), change("users")),
        (say("Sessions"), count("sessions"), change("sessions")),
        (say("Conversion of shoppers"), *rate("buyers", "users")),
        (say("Conversion of sessions"), *rate("buying_sessions", "sessions")),
        (say("Orders"), count("orders"), change("orders")),
        (say("Revenue"), shown(row["revenue"], "amount"), change("revenue")),
        (say("Average order value"), shown(spent, "amount"), None),
        (say("Repeat rate"), *rate("repeat_buyers", "buyers")),
    )


def categories(screen: Screen, filters: Filters, period: Period) -> Section:
    """The categories of items."""
    title, question = say("Categories"), say("What is looked at, and what is bought?")
    if not behaviour.has_items(screen):
        return Section("categories", title, question, (), notes=(NO_ITEMS,))
    answer = behaviour.products(screen, filters, period, "category")
    rows = [row for row in answer.table.to_pylist() if None not in (row["buyers"], row["users"])][:MOST_BARS]
    if not rows:
        is_hidden = screen.small_cells and answer.table.num_rows
        return Section("categories", title, question, (), notes=(hidden_below(screen.small_cells) if is_hidden else NOTHING,))
    names = {"": say("(no category)")}
    labels = tuple(names.get(row["category"], row["category"]) for row in rows)
    columns = (
        Column("category", say("Category"), "text", names),
        Column("items", say("Items"), "whole"),
        Column("users", say("Shoppers"), "whole"),
    )
    if not _is_bought(screen):
        told = say("Shoppers with an act on an item of the category, within the period.")
        chart = Chart("bars", labels, tuple(row["users"] for row in rows), say("Shoppers"))
        exhibit = Exhibit("categories.table", say("The largest categories"), told, columns, answer.table, answer.sql, chart)
        return Section("categories", title, question, (exhibit,))
    limits = [wilson(row["buyers"], row["users"]) for row in rows]
    exhibit = Exhibit(
        "categories.table",
        say("Conversion of the largest categories"),
        say("Conversion is the share of a category's active shoppers who bought in it, within the period; lines are 95% intervals."),
        (
            *columns,
            Column("purchases", say("Purchases"), "whole"),
            Column("buyers", say("Buyers"), "whole"),
            Column("buyer_rate", say("Conversion"), "percent"),
            Column("revenue", say("Revenue"), "amount"),
            Column("revenue_share", say("Share of revenue"), "percent"),
        ),
        answer.table,
        answer.sql,
        Chart(
            "bars",
            labels,
            tuple(row["buyer_rate"] for row in rows),
            say("Conversion"),
            "percent",
            low=tuple(low for low, _high in limits),
            high=tuple(high for _low, high in limits),
        ),
    )
    return Section("categories", title, question, (exhibit,))
