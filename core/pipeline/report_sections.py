"""The sections that a report can have: the tables of the pages Overview and Behaviour, each with its definition."""

from collections.abc import Callable
from datetime import timedelta

import pyarrow.compute as pc

from core.audiences.words import RFM_WORDS
from core.errors import CoreError
from core.ingest.report_words import kind_name
from core.insights.overview import Period
from core.messages import say
from core.pipeline import behaviour
from core.pipeline.behaviour import Filters, Funnel, Retention, Rfm, Step
from core.pipeline.report_journeys import drivers, paths, value
from core.pipeline.report_overview import categories, overview
from core.pipeline.report_runs import map_, propensity
from core.pipeline.report_words import NO_PURCHASES, NOTHING
from core.pipeline.screens import Screen
from core.report.record import Chart, Column, Exhibit, Section

FOLLOW_UP_DAYS = 90


def funnel(screen: Screen, filters: Filters, period: Period) -> Section:
    """The funnel that the page begins with."""
    title, question = say("Funnel"), say("Where do shoppers stop?")
    chosen = behaviour.usual_steps({row["event_type"]: row["events"] or 0 for row in behaviour.facts(screen).table.to_pylist()})
    if len(chosen) < 2:
        return Section(
            "funnel",
            title,
            question,
            (),
            notes=(say("This log has only one of the kinds view, cart and purchase; a column of the kind of event would bring more."),),
        )
    asked = Funnel(tuple(Step(kind) for kind in chosen), "ordered", timedelta(days=7))
    answer = behaviour.funnel(screen, filters, asked)
    rows = answer.table.to_pylist()
    if all(row["users"] == 0 for row in rows):
        return Section("funnel", title, question, (), notes=(NOTHING,))
    names = {number: say("{step} {act}", step=number, act=kind_name(kind)) for number, kind in enumerate(chosen, 1)}
    exhibit = Exhibit(
        "funnel.steps",
        say("Shoppers by step"),
        say(
            "Shoppers who took the steps in this order within 7 days of the first one, other acts may lie between. Shares are of the first "
            "step, and of the step before."
        ),
        (
            Column("step", say("Step"), "text", names),
            Column("users", say("Shoppers"), "whole"),
            Column("overall", say("Of the first step"), "percent"),
            Column("from_previous", say("Of the step before"), "percent"),
        ),
        answer.table,
        answer.sql,
        Chart("bars", tuple(names[row["step"]] for row in rows), tuple(row["users"] for row in rows), say("Shoppers")),
    )
    return Section("funnel", title, question, (exhibit,))


def retention(screen: Screen, filters: Filters, period: Period) -> Section:
    """Weekly cohorts of first acts."""
    title, question = say("Retention"), say("Who comes back?")
    answer = behaviour.retained(screen, filters, Retention(zone=screen.zone))
    rows = answer.table.to_pylist()
    if not rows:
        return Section("retention", title, question, (), notes=(NOTHING,))
    mean = [row for row in rows if row["cohort"] is None and row["number"] > 0]
    cohorts = sorted({row["cohort"] for row in rows if row["cohort"] is not None})[-14:]
    cells = {(row["cohort"], row["number"]): row for row in rows}
    last = max(row["number"] for row in rows)
    grid = tuple(tuple(cells.get((c, n), {}).get("on") for n in range(last + 1)) for c in cohorts)
    exhibits = [
        Exhibit(
            "retention.cohorts",
            say("Kept, cohort by cohort"),
            say(
                "Of the shoppers whose first act lies in a week, the share with an act so many weeks later. Weeks that are not over at the "
                "end of the log read too low; the earliest cohort also holds old shoppers."
            ),
            (
                Column("cohort", say("Cohort"), "day"),
                Column("number", say("Week after"), "whole"),
                Column("users", say("Shoppers"), "whole"),
                Column("on_users", say("Active then"), "whole"),
                Column("on", say("Kept"), "percent"),
            ),
            answer.table.filter(pc.is_valid(answer.table["cohort"])),
            answer.sql,
            Chart(
                "grid",
                tuple(f"{c:%Y-%m-%d}" for c in cohorts),
                grid,
                say("Kept"),
                "percent",
                columns=tuple(map(str, range(last + 1))),
            ),
        )
    ]
    if mean:
        exhibits.insert(
            0,
            Exhibit(
                "retention.mean",
                say("Kept, mean of all cohorts"),
                say("Mean of complete cohorts, weighted by their shoppers; lines are 95% intervals."),
                (
                    Column("number", say("Week after"), "whole"),
                    Column("users", say("Shoppers"), "whole"),
                    Column("on_users", say("Active then"), "whole"),
                    Column("on", say("Kept"), "percent"),
                ),
                answer.table.filter(pc.and_(pc.is_null(answer.table["cohort"]), pc.greater(answer.table["number"], 0))),
                answer.sql,
                Chart(
                    "bars",
                    tuple(say("week {n}", n=row["number"]) for row in mean),
                    tuple(row["on"] for row in mean),
                    say("Kept"),
                    "percent",
                    low=tuple(row["on_low"] for row in mean),
                    high=tuple(row["on_high"] for row in mean),
                ),
            ),
        )
    return Section("retention", title, question, tuple(exhibits))


def buyers(screen: Screen, filters: Filters, period: Period) -> Section:
    """Groups of buyers by recency, frequency and money."""
    title, question = say("Buyers"), say("Who buys lately, often and much?")
    answer = behaviour.rfm_grid(screen, filters, Rfm(zone=screen.zone))
    table = answer.table.filter(pc.is_null(answer.table["r"]))
    rows = table.to_pylist()
    if not rows:
        is_bought = "purchase" in behaviour.facts(screen).table["event_type"].to_pylist()
        return Section("buyers", title, question, (), notes=(NOTHING if is_bought else NO_PURCHASES,))
    exhibit = Exhibit(
        "buyers.groups",
        say("Groups of buyers"),
        say(
            "All buyers, scored 1 to 5 at the fifths of days since the last purchase, of orders and of revenue; champions bought lately, "
            "often and much."
        ),
        (
            Column("rfm_group", say("Group"), "text", RFM_WORDS),
            Column("users", say("Buyers"), "whole"),
            Column("share", say("Share"), "percent"),
            Column("frequency", say("Orders"), "whole"),
            Column("money", say("Revenue"), "amount"),
            Column("recency_days", say("Days since, median"), "whole"),
        ),
        table,
        answer.sql,
        Chart("bars", tuple(RFM_WORDS[row["rfm_group"]] for row in rows), tuple(row["users"] for row in rows), say("Buyers")),
    )
    return Section("buyers", title, question, (exhibit,))


def orders(screen: Screen, filters: Filters, period: Period) -> Section:
    """Time between orders, and who orders again."""
    title, question = say("Orders"), say("When do buyers order again?")
    if "purchase" not in behaviour.facts(screen).table["event_type"].to_pylist():
        return Section("orders", title, question, (), notes=(NO_PURCHASES,))
    gaps = behaviour.order_gaps(screen, filters)
    rows = gaps.table.to_pylist()
    if all(row["gaps"] == 0 for row in rows):
        return Section("orders", title, question, (), notes=(say("Nobody ordered twice in the part of the log that is looked at."),))
    labels = tuple(
        say("{begin} days and more", begin=row["from_days"])
        if row["to_days"] is None
        else say("{begin} to {end} days", begin=row["from_days"] or 0, end=row["to_days"])
        for row in rows
    )
    exhibits = [
        Exhibit(
            "orders.gaps",
            say("Time between orders"),
            say("All pairs of an order and the next one of the same shopper; gaps longer than the log are not seen."),
            (
                Column("bar", say("Days between"), "text", {row["bar"]: label for row, label in zip(rows, labels, strict=True)}),
                Column("gaps", say("Gaps between orders"), "whole"),
                Column("users", say("Shoppers"), "whole"),
            ),
            gaps.table,
            gaps.sql,
            Chart("bars", labels, tuple(row["gaps"] for row in rows), say("Gaps between orders")),
        )
    ]
    again = behaviour.repeat_rates(screen, filters, FOLLOW_UP_DAYS)
    months = [row for row in again.table.to_pylist() if row["cohort"] is not None]
    if months:
        exhibits.append(
            Exhibit(
                "orders.repeat",
                say("Ordered again, by month of the first order"),
                say("Share of buyers who ordered a second time, of those who could be followed for {days} days.", days=FOLLOW_UP_DAYS),
                (
                    Column("cohort", say("Month"), "day"),
                    Column("buyers", say("Buyers"), "whole"),
                    Column("again", say("Ordered again"), "whole"),
                    Column("rate", say("Share"), "percent"),
                ),
                again.table.filter(pc.is_valid(again.table["cohort"])),
                again.sql,
                Chart(
                    "bars",
                    tuple(f"{row['cohort']:%Y-%m}" for row in months),
                    tuple(row["rate"] for row in months),
                    say("Share"),
                    "percent",
                    low=tuple(row["low"] for row in months),
                    high=tuple(row["high"] for row in months),
                ),
            )
        )
    return Section("orders", title, question, tuple(exhibits))


SECTIONS: dict[str, Callable[[Screen, Filters, Period], Section]] = {
    "overview": overview,
    "categories": categories,
    "funnel": funnel,
    "retention": retention,
    "buyers": buyers,
    "orders": orders,
    "paths": paths,
    "drivers": drivers,
    "value": value,
    "map": map_,
    "propensity": propensity,
}
"""Name on the command line and in the page → what makes it."""


def section(name: str, screen: Screen, filters: Filters, period: Period) -> Section:
    """Make one of SECTIONS; where a question is refused, the section holds the reason."""
    try:
        return SECTIONS[name](screen, filters, period)
    except CoreError as error:
        return Section(name, say("Not answered: {section}", section=name), error.message, (), notes=(error.message,))
