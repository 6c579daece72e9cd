"""Words of the notes and of the quality report: what rules, gates, shapes and kinds of events are called."""

from datetime import timedelta
from typing import Any

from core.messages import Message, say
from core.windows import say_days

Row = dict[str, Any]


def rule_name(rule: str) -> Message:
    """What a rule or step of the waterfall is called."""
    names = {
        "rows_read": say("Rows read"),
        "rows_kept": say("Rows kept"),
        "duplicates": say("Exact or near duplicates"),
        "broken_row": say("Broken line"),
        "other_table": say("Another table, or its header"),
        "null_user": say("No shopper id"),
        "bad_time": say("Unreadable time"),
        "time_out_of_range": say("Time out of range"),
        "null_item": say("No item id"),
        "bad_price": say("Unreadable price"),
        "negative_price": say("Negative price"),
        "bad_quantity": say("Unreadable quantity"),
        "bad_dwell": say("Unreadable dwell time"),
        "negative_dwell": say("Negative dwell time"),
        "dwell_cap": say("Dwell time cut to the cap"),
        "order_heads": say("Orders joined to their lines"),
        "robots": say("Robots"),
        "no_catalogue": say("Item outside the catalogue"),
        "price_outliers": say("Price far from the item's others"),
        "currency_mix": say("Another currency"),
    }
    return names.get(rule, Message(rule, {}))


def quoted_rule(rule: str) -> Message:
    """What a rule is called, in quotation marks, as it stands inside a sentence."""
    return say("“{name}”", name=rule_name(rule))


def partial_day_sentence(day: Row) -> Message:
    """Which part of a day the log covers, and how many events that are against a usual day."""
    if day["events"] == 1:
        return say(
            "{day} is covered in part only: 1 event, at {time}; {usual:,} on a usual day.",
            day=day["day"],
            time=day["from"],
            usual=day["usual_events"],
        )
    if day["from"] == day["to"]:
        return say(
            "{day} is covered in part only: {n:,} events, all at {time}; {usual:,} on a usual day.",
            day=day["day"],
            n=day["events"],
            time=day["from"],
            usual=day["usual_events"],
        )
    return say(
        "{day} is covered in part only, {begin} to {end}: {n:,} events, {usual:,} on a usual day.",
        day=day["day"],
        begin=day["from"],
        end=day["to"],
        n=day["events"],
        usual=day["usual_events"],
    )


def gap_days_sentence(days: list[str], shown: int) -> Message:
    """How many days have no event, and the first of them."""
    if not days:
        return say("No day without events.")
    listed = ", ".join(days[:shown]) + (" …" if len(days) > shown else "")
    return (
        say("{n:,} days without events: {days}", n=len(days), days=listed)
        if len(days) > 1
        else say("1 day without events: {days}", days=listed)
    )


def gate_sentence(record: Row) -> Message:
    """What the label counts of a horizon are enough for, with both numbers."""
    needs, train = record["needs"], record.get("train") or {"users": record["users"], "positives": record["positives"]}
    others = train["users"] - train["positives"]
    if record["gate"] == "too_short":
        have, need = (say_days(timedelta(days=days)) for days in (record["history_days"], needs["history_days"]))
        return say("Too short: {have} of history, {need} are needed.", have=have, need=need)
    if record["gate"] == "too_few":
        return say(
            "Too few: {buyers:,} buyers and {others:,} others to train on, {need} of each are needed.",
            buyers=train["positives"],
            others=others,
            need=needs["train"],
        )
    if record["gate"] == "rough":
        return say("Rough: enough for one window, too little to train, calibrate and test on windows of their own.")
    if record["gate"] == "enough":
        return say(
            "Enough: {buyers:,} buyers and {others:,} others to train on; from {good} of each on a model is expected to hold.",
            buyers=train["positives"],
            others=others,
            good=needs["good"],
        )
    return say("Good: {buyers:,} buyers and {others:,} others to train on.", buyers=train["positives"], others=others)


def shape_name(shape: str) -> Message:
    """What a compared shape is called."""
    return {"event_mix": say("Kinds of events"), "hour": say("Hour of the day"), "price": say("Prices")}[shape]


def level_name(level: str) -> Message:
    """What the size of a shift is called."""
    return {"small": say("small"), "moderate": say("moderate"), "large": say("large")}[level]


def kind_name(kind: str) -> Message:
    """What a canonical kind of event is called."""
    names = {
        "impression": say("impression"),
        "view": say("view"),
        "click": say("click"),
        "search": say("search"),
        "favourite": say("favourite"),
        "share": say("share"),
        "cart": say("cart"),
        "remove_from_cart": say("removal from cart"),
        "purchase": say("purchase"),
        "refund": say("refund"),
        "other": say("other"),
    }
    return names.get(kind, Message(kind, {}))
