"""Questions of the Behaviour and Overview pages from the command line: the same rows and the same statements."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa

from core.errors import RuleError
from core.insights.orders import LEVELS
from core.insights.overview import usual_grain
from core.insights.retention import GRAINS
from core.insights.statement import Answer
from core.messages import say
from core.pipeline import behaviour, screens
from core.pipeline.behaviour import Drivers, Exposure, Filters, Funnel, Lifetime, Pairs, Paths, Retention, Rfm, Step
from core.pipeline.cells import hidden_below
from core.pipeline.screens import Screen
from core.pipeline.telling import Result
from core.pipeline.writing import write_rows
from core.small_cells import hidden_cells, worded
from core.store import Dataset, Home
from core.windows import parse_time

Options = Mapping[str, Any]
NOTHING = say("No event of the part that is looked at answers this; ask of another part or another act.")
NOTHING_APART = say("Nothing stands out beyond chance; that takes views or clicks, and things that are bought at different rates.")
_PRICES = re.compile(r"(?:(?P<low>\d*\.?\d+)?-(?P<high>\d*\.?\d+)?)?")


def insight(home: Home, dataset: Dataset, question: str, options: Options, out: Path | None = None) -> Result:
    """Ask one of QUESTIONS of a dataset; the rows come back, or with `out` go into a file. `looked_at` tells the filters in force.

    Args:
        home: Where the dataset lives.
        dataset: What is asked.
        question: A name in QUESTIONS.
        options: See `python -m core insights --help`; what is None takes its usual value.
        out: A .parquet or .csv file.

    Raises:
        RuleError: The question has no answer as it was asked.
        GateError: Too little data for an honest answer.
        NotFoundError: A segment or audience that does not exist.
    """
    screen = screens.open_screen(home, dataset.name)
    filters = filters_of(options)
    found = QUESTIONS[question](screen, filters, {name: value for name, value in options.items() if value is not None})
    table, sql, more = (found.table, found.sql, {}) if isinstance(found, Answer) else found
    empty = not table.num_rows or (question == "overview" and table["events"][0].as_py() == 0)
    nothing = [NOTHING_APART if question == "standing-out" else NOTHING] if empty else []
    looked_at = {name: _plain(value) for name, value in asdict(filters).items() if value not in (None, ())}
    if screen.small_cells:
        nothing.append(hidden_below(screen.small_cells))
        more = {**more, "small_cells": screen.small_cells, "hidden": hidden_cells(table)}
    told: Result = {"question": question, "looked_at": looked_at, "rows": table.num_rows, "sql": sql, **more, "warnings": nothing}
    if out is None:
        return {**told, "table": _rows(table)}
    noted = table.replace_schema_metadata({"looked_at": json.dumps(looked_at)})  # a CSV file has no place for it
    write_rows(out, noted if out.suffix == ".parquet" else worded(table))
    return {**told, "out": str(out)}


def filters_of(options: Options) -> Filters:
    """What the options leave of the log; times without a zone are UTC.

    Raises:
        RuleError: An attribute that is not written like region=north.
    """
    attribute = options.get("attribute")
    if attribute is not None and "=" not in attribute:
        raise RuleError("{text!r} is no filter of an attribute; write it like region=north.", text=attribute)
    return Filters(
        since=parse_time(options["since"]) if options.get("since") else None,
        until=parse_time(options["until"]) if options.get("until") else None,
        event_types=tuple(_words(options.get("events"))),
        category=options.get("category"),
        brand=options.get("brand"),
        segment=options.get("segment"),
        audience=options.get("audience"),
        attribute=None if attribute is None else tuple(attribute.split("=", 1)),
    )


def _overview(screen: Screen, filters: Filters, options: Options) -> Answer:
    return behaviour.figures(screen, filters, screens.period_of(screen, options.get("days")))


def _trend(screen: Screen, filters: Filters, options: Options) -> Answer:
    period = screens.period_of(screen, options.get("days"))
    return behaviour.trend(screen, filters, period, options.get("grain", usual_grain(period)))


def _products(screen: Screen, filters: Filters, options: Options, *, apart: bool = False) -> Answer:
    ask = behaviour.standing_out if apart else behaviour.products
    return ask(screen, filters, screens.period_of(screen, options.get("days")), options.get("level", "category"))


def _step_of(text: str) -> Step:
    """A step as it is written: kind, and after colons a category, a brand, an item and prices from-to, each empty or left out."""
    kind, category, brand, item, prices, *more = [*text.split(":"), *[""] * 4]
    bounds = _PRICES.fullmatch(prices)
    if any(more) or bounds is None:
        raise RuleError("{text!r} is no step; write kind:category:brand:item:from-to, such as view:Shoes or cart::::10-20.", text=text)
    low, high = (float(bound) if bound else None for bound in (bounds["low"], bounds["high"]))
    return Step(kind, category or None, brand or None, item or None, low, high)


def _funnel_of(options: Options) -> Funnel:
    return Funnel(
        tuple(_step_of(text) for text in _words(options["steps"])),
        options.get("order", "ordered"),
        timedelta(days=options.get("window", 7.0)),
        tuple(_words(options.get("exclude"))),
        options.get("breakdown", ""),
    )


def _funnel(screen: Screen, filters: Filters, options: Options) -> Answer:
    asked = _funnel_of({"steps": "view,cart,purchase", **options})
    if "step" in options:
        return behaviour.funnel_members(screen, filters, asked, options["step"], bool(options.get("stopped")))
    return behaviour.funnel(screen, filters, asked)


def _retention_of(screen: Screen, options: Options) -> Retention:
    return Retention(
        options.get("start_act", "any"), options.get("return_act", "any"), _one_of(GRAINS, options, "grain", "week"),
        bool(options.get("recurring")),
        screen.zone, options.get("depth", 12),
    )  # fmt: skip


def _value(screen: Screen, filters: Filters, options: Options) -> tuple[pa.Table, str, Result]:
    asked = Lifetime(
        options.get("horizon_days", 365), options.get("margin", 1.0), options.get("discount", 0.0), screen.zone
    )  # fmt: skip
    found = behaviour.forecast(screen, filters, asked)
    models: dict[str, Any] = {}
    for model in (found.purchases, found.spend):
        if model is not None:
            models |= {name: value for name, value in asdict(model).items() if name not in ("covariance", "log_likelihood")}
    names = ("buyers", "alive", "expected", "expected_low", "expected_high", "value", "value_low", "value_high", "correlation")
    told = {name: _plain(getattr(found, name)) for name in (*names, "held_out_days")}
    return found.bands, found.sql, {"forecast": told, "models": models, "held_out": _rows(found.held_out)}


QUESTIONS: dict[str, Callable[[Screen, Filters, Options], Answer | tuple[pa.Table, str, Result]]] = {
    "overview": _overview,
    "trend": _trend,
    "event-mix": lambda screen, filters, options: behaviour.event_mix(screen, filters, screens.period_of(screen, options.get("days"))),
    "hours": lambda screen, filters, options: behaviour.hours(
        screen, filters, screens.period_of(screen, options.get("days")), options.get("act", "all")
    ),
    "products": _products,
    "standing-out": lambda screen, filters, options: _products(screen, filters, options, apart=True),
    "funnel": _funnel,
    "retention": lambda screen, filters, options: behaviour.retained(screen, filters, _retention_of(screen, options)),
    "cohort-revenue": lambda screen, filters, options: behaviour.cohort_revenue(screen, filters, _retention_of(screen, options)),
    "paths": lambda screen, filters, options: behaviour.paths(
        screen,
        filters,
        Paths(options.get("act", "purchase"), not options.get("backward"), options.get("depth", 4), options.get("top", 6)),
    ),
    "rfm": lambda screen, filters, options: behaviour.rfm_grid(screen, filters, Rfm(options.get("frequency", "orders"), screen.zone)),
    "rfm-cuts": lambda screen, filters, options: behaviour.rfm_cuts(screen, filters, Rfm(options.get("frequency", "orders"), screen.zone)),
    "stages": lambda screen, filters, options: behaviour.stage_moves(screen, filters, options.get("back_days", 28)),
    "value": _value,
    "order-gaps": lambda screen, filters, options: behaviour.order_gaps(screen, filters),
    "repeat": lambda screen, filters, options: behaviour.repeat_rates(screen, filters, options.get("follow_up", 90)),
    "baskets": lambda screen, filters, options: behaviour.bought_together(
        screen, filters, Pairs(_one_of(LEVELS, options, "level", "category"), options.get("least", 20))
    ),
    "positions": lambda screen, filters, options: behaviour.by_position(screen, filters, _exposure_of(options)),
    "dwell": lambda screen, filters, options: behaviour.dwell(screen, filters, _exposure_of(options)),
    "drivers": lambda screen, filters, options: behaviour.drivers(screen, filters, Drivers(options.get("outcome", "purchase"))),
}
"""Name on the command line → the question with its usual values."""


def _one_of(choices: tuple[str, ...], options: Options, name: str, usual: str) -> str:
    value = str(options.get(name, usual))
    if value not in choices:
        raise RuleError(
            "{name} {value!r} does not suit this question; choose one of {all}.", name=name, value=value, all=", ".join(choices)
        )
    return value


def _exposure_of(options: Options) -> Exposure:
    return Exposure(options.get("act", "impression"), options.get("outcome", "purchase"), timedelta(days=options.get("window", 1 / 24)))


def _rows(table: pa.Table) -> list[dict[str, Any]]:
    return [{name: _plain(value) for name, value in row.items()} for row in worded(table).to_pylist()]


def _words(text: str | None) -> list[str]:
    return [word.strip() for word in (text or "").split(",") if word.strip()]


def _plain(value: Any) -> Any:
    """A value that JSON holds: NaN becomes None, dates their text."""
    if isinstance(value, float):
        return value if value == value and abs(value) != float("inf") else None
    return value if value is None or isinstance(value, str | int | bool) else str(value)
