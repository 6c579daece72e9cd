"""The sections of a report on what shoppers do before they buy, and what is expected of them: paths, drivers, value."""

import pyarrow as pa
import pyarrow.compute as pc

from core.errors import GateError
from core.ingest.report_words import kind_name
from core.insights.drivers import DRIVER_WORDS
from core.insights.overview import Period
from core.insights.paths import END, OTHER
from core.messages import Message, say
from core.pipeline import behaviour, outcomes
from core.pipeline.behaviour import Drivers, Filters, Lifetime, Paths
from core.pipeline.cells import hidden_below
from core.pipeline.report_words import KIND_WORDS, NO_PURCHASES, NOTHING
from core.pipeline.screens import Screen
from core.report.record import Chart, Column, Exhibit, Section, shown
from core.small_cells import told_count

ANCHORS = ("cart", "purchase")
"""Acts that paths begin at, the first that the log has; else its most frequent kind."""
MOST_DRIVERS = 12
ACT_WORDS = {**KIND_WORDS, END: say("end of session"), OTHER: say("other acts")}


def paths(screen: Screen, filters: Filters, period: Period) -> Section:
    """What comes after the usual anchor, step by step."""
    title, question = say("Paths"), say("What do shoppers do next?")
    kinds = [row["event_type"] for row in behaviour.facts(screen).table.to_pylist()]
    alone = len(kinds) == 1 and bool(outcomes.category_names(screen))  # acts of one kind in a row count as one
    asked = Paths(next((kind for kind in ANCHORS if kind in kinds), kinds[0]), by_category=alone)
    answer = behaviour.paths(screen, filters, asked)
    sessions = answer.table.filter(pc.equal(answer.table["step"], 1))["sessions"]
    if not pc.sum(sessions).as_py():
        hidden = screen.small_cells and answer.table.num_rows
        return Section("paths", title, question, (), notes=(hidden_below(screen.small_cells) if hidden else NOTHING,))
    matrix = behaviour.step_matrix(screen, filters, asked)
    named = dict.fromkeys([*answer.table["source"].to_pylist(), *answer.table["target"].to_pylist(), *matrix["act"].to_pylist()])
    words = {act: _act_word(act) for act in named}
    acts, steps = list(dict.fromkeys(matrix["act"].to_pylist())), sorted(set(matrix["step"].to_pylist()))
    cells = {(row["act"], row["step"]): row["share"] for row in matrix.to_pylist()}
    definition = say(
        "Sessions with the act {act}, each counted from its first one: which share did what so many acts later. Equal acts in a row count "
        "as one; a session ends after 30 minutes of silence, and stays ended.",
        act=kind_name(asked.anchor),
    )
    exhibit = Exhibit(
        "paths.links",
        say("After the act {act}, step by step", act=kind_name(asked.anchor)),
        definition,
        (
            Column("step", say("Step"), "whole"),
            Column("source", say("From"), "text", words),
            Column("target", say("To"), "text", words),
            Column("sessions", say("Sessions"), "whole"),
        ),
        answer.table,
        answer.sql,
        Chart(
            "grid",
            tuple(words[act] for act in acts),
            tuple(tuple(cells.get((act, step)) for step in steps) for act in acts),
            say("share of sessions"),
            "percent",
            columns=tuple(f"+{step}" for step in steps),
        ),
    )
    return Section("paths", title, question, (exhibit,))


def _act_word(act: str) -> Message:
    """An act in words, with its category where paths are told by category."""
    if act in ACT_WORDS:
        return ACT_WORDS[act]
    kind, _, name = act.partition(" · ")
    return say("{kind} · {name}", kind=ACT_WORDS[kind], name=name)


def drivers(screen: Screen, filters: Filters, period: Period) -> Section:
    """What later buyers did early more often than the others."""
    title, question = say("Drivers"), say("What do later buyers do early more often than the others?")
    if "purchase" not in behaviour.facts(screen).table["event_type"].to_pylist():
        return Section("drivers", title, question, (), notes=(NO_PURCHASES,))
    asked = Drivers()
    answer = behaviour.drivers(screen, filters, asked)
    told = [row for row in answer.table.to_pylist() if row["odds_ratio"] is not None][:MOST_DRIVERS]
    if not told:
        few = say(
            "Too few shoppers did something on either side, or could be followed for {days} days from their first act.",
            days=asked.early_days + asked.later_days,
        )
        return Section("drivers", title, question, (), notes=(few,))
    words = {**KIND_WORDS, **DRIVER_WORDS}
    exhibit = Exhibit(
        "drivers.odds",
        say("Odds of a later purchase"),
        say(
            "Shoppers who did something in the first {early} days after their first act: the odds that they buy in the {later} days after "
            "that ÷ the odds of all others; 1 is no difference, lines are 95% intervals. Who bought early or could not be followed so "
            "long is left out.",
            early=asked.early_days,
            later=asked.later_days,
        ),
        (
            Column("driver", say("Did early"), "text", words),
            Column("did", say("Shoppers"), "whole"),
            Column("rate", say("Bought later"), "percent"),
            Column("other_rate", say("Of the others"), "percent"),
            Column("odds_ratio", say("Odds ratio"), "number"),
            Column("low", say("from"), "number"),
            Column("high", say("to"), "number"),
        ),
        answer.table,
        answer.sql,
        Chart(
            "bars",
            tuple(words[row["driver"]] for row in told),
            tuple(row["odds_ratio"] for row in told),
            say("odds ratio, 1 is no difference"),
            "number",
            low=tuple(row["low"] for row in told),
            high=tuple(row["high"] for row in told),
        ),
        notes=(
            say("Not causal: who is about to buy does more of everything. Several are compared, so one in twenty differs by chance alone."),
        ),
    )
    return Section("drivers", title, question, (exhibit,))


def value(screen: Screen, filters: Filters, period: Period) -> Section:
    """What buyers are expected to buy, and the check on held-out time."""
    title, question = say("Expected value"), say("What will buyers still buy?")
    if "purchase" not in behaviour.facts(screen).table["event_type"].to_pylist():
        return Section("value", title, question, (), notes=(NO_PURCHASES,))
    asked = Lifetime(zone=screen.zone)
    try:
        found = behaviour.forecast(screen, filters, asked)
    except GateError as error:
        return Section("value", title, question, (), notes=(error.message,))
    bands = found.bands.to_pylist()
    names = {row["from_x"]: say("{n} or more", n=row["from_x"]) if row is bands[-1] else str(row["from_x"]) for row in bands}
    definition = say(
        "Buyers by the purchases they made after their first. Expected by BG/NBD within {days} days, a purchase is a day with at least "
        "one; value by Gamma-Gamma, before refunds, at full margin and without discount.",
        days=asked.horizon_days,
    )
    told = Exhibit(
        "value.bands",
        say("Expected purchases of the next {days} days", days=asked.horizon_days),
        definition,
        (
            Column("from_x", say("Repeat purchases, from"), "text", names),
            Column("buyers", say("Buyers"), "whole"),
            Column("alive", say("Still there"), "whole"),
            Column("expected", say("Expected purchases"), "whole"),
            Column("value", say("Expected value"), "amount"),
        ),
        found.bands,
        found.sql,
        Chart("bars", tuple(names[row["from_x"]] for row in bands), tuple(row["expected"] for row in bands), say("Expected purchases")),
        notes=(say("The statement gives the buyers' purchases that the model is fitted to; the model itself is no statement."),),
    )
    exhibits = [told]
    if found.held_out.num_rows:
        exhibits.append(_check(found.held_out, found.held_out_days, found.sql))
    k = screen.small_cells
    tiles: list[tuple[Message, str, Message | None]] = [
        (say("Buyers still there"), shown(found.alive, "whole"), say("of {n:,} buyers", n=found.buyers)),
        (say("Expected purchases"), shown(found.expected, "whole"), _range(found.expected_low, found.expected_high)),
    ]
    if found.value is not None and found.value_low is not None and found.value_high is not None:
        tiles.append((say("Expected value"), shown(found.value, "amount"), _range(found.value_low, found.value_high)))
    if k and not found.buyers:
        tiles = [(say("Buyers"), told_count(None, k), None)]
    return Section("value", title, question, tuple(exhibits), tuple(tiles))


def _range(low: float, high: float) -> Message:
    return say("95% interval {low:,.0f} – {high:,.0f}", low=low, high=high)


def _check(held_out: pa.Table, days: int, sql: str) -> Exhibit:
    """Expected against happened in the time held out."""
    rows = held_out.to_pylist()
    names = {row["from_x"]: say("all buyers") if row["from_x"] is None else str(row["from_x"]) for row in rows}
    return Exhibit(
        "value.check",
        say("Check: the last {days} days, foretold without them", days=days),
        say(
            "Fitted without the last {days} days: purchases that the model expected of buyers known by then, and those that happened.",
            days=days,
        ),
        (
            Column("from_x", say("Repeat purchases, from"), "text", names),
            Column("buyers", say("Buyers"), "whole"),
            Column("expected", say("Expected"), "whole"),
            Column("happened", say("Happened"), "whole"),
        ),
        held_out,
        sql,
    )
