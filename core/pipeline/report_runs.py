"""The sections of a report on what was computed from the log: the map with its segments, and purchase chances.

Their statements are those by which `verify` finds the figures again in the exported tables.
"""

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from core import recount
from core.insights.overview import Period
from core.messages import Message, say
from core.pipeline import outcomes, screens, shoppers
from core.pipeline.behaviour import Filters
from core.pipeline.places import places
from core.pipeline.screens import Screen
from core.report.record import Chart, Column, Exhibit, Section, shown

MOST_POINTS = 2500
"""Shoppers drawn on the map, every so manyth by id: paper holds each as a dot."""
DEPTHS = (0.05, 0.1, 0.2, 0.5, 1.0)
WHOLE = say("Of all shoppers, whatever part of the log is looked at elsewhere.")


def map_(screen: Screen, filters: Filters, period: Period) -> Section:
    """The map and its segments."""
    title, question = say("Map and segments"), say("Which kinds of shoppers are there?")
    if screen.run_id("atlas") is None:
        return Section("map", title, question, (), notes=(say("The map has not been drawn yet; `map` or `run` draws it."),))
    frame = shoppers.segments(screen)
    columns = [name for name in ("segment_id", "name", "size", "share", "buyers", "buyer_rate", "revenue_per_user") if name in frame]
    table = pa.Table.from_pandas(frame[columns], preserve_index=False)
    rows = table.to_pylist()
    segments = Exhibit(
        "map.segments",
        say("Segments"),
        say("Shoppers alike in what they do, each in one segment; conversion is the share with a purchase."),
        (
            Column("name", say("Segment"), "text"),
            Column("size", say("Shoppers"), "whole"),
            Column("share", say("Share"), "percent"),
            *((Column("buyer_rate", say("Conversion"), "percent"),) if "buyer_rate" in columns else ()),
            *((Column("revenue_per_user", say("Revenue of a shopper"), "amount"),) if "revenue_per_user" in columns else ()),
        ),
        table,
        _statement("map.segments"),
        Chart("bars", tuple(row["name"] for row in rows), tuple(row["size"] for row in rows), say("Shoppers")),
    )
    exhibits = (segments,) if screen.small_cells else (_picture(screen, rows), segments)
    return Section("map", title, question, exhibits, notes=(WHOLE,))


def _picture(screen: Screen, rows: list[dict[str, Any]]) -> Exhibit:
    """The map: a mark for each shopper, every so manyth where there are many."""
    everyone = places(screen)
    step = -(-len(everyone.x) // MOST_POINTS)
    place = {row["segment_id"]: number for number, row in enumerate(rows)}
    known = [
        (float(x), float(y), place[int(segment)])
        for x, y, segment in zip(everyone.x[::step], everyone.y[::step], everyone.segment_ids[::step], strict=True)
        if int(segment) in place
    ]
    drawn = say("Every {n}th shopper is drawn.", n=step) if step > 1 else say("Every shopper is drawn.")
    return Exhibit(
        "map.picture",
        say("The map"),
        say("Shoppers near each other are alike; distances far apart, areas and axes mean nothing."),
        (),
        pa.table({"x": [x for x, _y, _place in known], "y": [y for _x, y, _place in known]}),
        "SELECT x, y, segment_id FROM segments ORDER BY user_id",
        Chart("points", tuple(row["name"] for row in rows), tuple(known), say("Segment")),
        notes=(drawn,),
    )


def propensity(screen: Screen, filters: Filters, period: Period) -> Section:
    """How well purchase chances held in the test window, and what they expect."""
    title, question = say("Purchase chances"), say("Who is likely to buy, and how far are the chances to be believed?")
    record = screens.run_manifest(screen, "propensity")
    metrics = (record or {}).get("metrics") or {}
    if record is None or "propensity" not in metrics.get("models", {}):
        return Section(
            "propensity", title, question, (), notes=(say("Purchase chances have not been trained yet; `predict` or `run` does."),)
        )
    days, measured = screens.horizon_days(record), metrics["models"]["propensity"]
    exhibits = [exhibit for exhibit in (_reliability(screen, days), _lift(screen, days), _categories(screen, days)) if exhibit is not None]
    depth = outcomes.expected_at(screen, 0.2)
    auc = measured["auc"]
    tiles: tuple[tuple[Message, str, Message | None], ...] = (
        (say("Shoppers in the test"), shown(metrics["users"], "whole"), None),
        (say("Acted in the test"), shown(metrics["base_rate"], "percent"), None),
        (
            say("AUC"),
            shown(auc["value"], "number"),
            None if auc.get("low") is None else say("95% interval {low:.2f} – {high:.2f}", low=auc["low"], high=auc["high"]),
        ),
        (
            say("Expected of the best fifth"),
            shown(depth.expected_buyers, "whole"),
            say("who act within {days:g} days from the end of the log", days=days),
        ),
    )
    return Section("propensity", title, question, tuple(exhibits), tiles, notes=(WHOLE,))


def _reliability(screen: Screen, days: float) -> Exhibit | None:
    table = screens.run_table(screen, "propensity", "reliability")
    if table is None:
        return None
    table = table.filter(pc.equal(table["model"], "propensity")).select(["bin", "n", "mean_propensity", "rate", "low", "high"])
    rows = [row for row in table.to_pylist() if row["rate"] is not None]
    return Exhibit(
        "propensity.reliability",
        say("What was foretold, and what happened"),
        say(
            "Shoppers of the test in ten groups of equal size by their chance of the next {days:g} days: share who acted, lines are 95% "
            "intervals; a chance is right where it lies within them.",
            days=days,
        ),
        (
            Column("bin", say("Group"), "whole"),
            Column("n", say("Shoppers"), "whole"),
            Column("mean_propensity", say("Foretold"), "percent"),
            Column("rate", say("Happened"), "percent"),
        ),
        table,
        _statement("propensity.reliability"),
        Chart(
            "bars",
            tuple(say("foretold {share:.1%}", share=row["mean_propensity"]) for row in rows),
            tuple(row["rate"] for row in rows),
            say("share who acted"),
            "percent",
            low=tuple(row["low"] for row in rows),
            high=tuple(row["high"] for row in rows),
        ),
    )


def _lift(screen: Screen, days: float) -> Exhibit | None:
    table = screens.run_table(screen, "propensity", "lift")
    if table is None:
        return None
    table = table.filter(pc.is_in(pc.round(table["depth"], 6), pa.array(DEPTHS))).select(["depth", "users", "buyers", "lift"])
    return Exhibit(
        "propensity.lift",
        say("Likeliest shoppers first"),
        say(
            "Of the test: the likeliest share of shoppers, how many of them acted within {days:g} days, and how often against all.",
            days=days,
        ),
        (
            Column("depth", say("Likeliest"), "percent"),
            Column("users", say("Shoppers"), "whole"),
            Column("buyers", say("Acted"), "whole"),
            Column("lift", say("Times as often as all"), "number"),
        ),
        table,
        _statement("propensity.lift"),
    )


def _categories(screen: Screen, days: float) -> Exhibit | None:
    frame = outcomes.category_chances(screen)
    if not len(frame):
        return None
    table = pa.Table.from_pandas(frame[["category", "expected"]], preserve_index=False)
    rows = table.slice(0, 12).to_pylist()
    return Exhibit(
        "propensity.by_category",
        say("Expected buyers by category"),
        say("Sum of the chances of all shoppers to buy in a category within {days:g} days from the end of the log.", days=days),
        (Column("category", say("Category"), "text"), Column("expected", say("Expected buyers"), "whole")),
        table,
        _statement("propensity.by_category"),
        Chart("bars", tuple(row["category"] for row in rows), tuple(row["expected"] for row in rows), say("Expected buyers")),
    )


def _statement(figure: str) -> str:
    """The statement that finds a figure again, its lines as far to the left as they go."""
    lines = recount.SQL[figure].strip("\n").splitlines()
    indent = min(len(line) - len(line.lstrip()) for line in lines if line.strip())
    return "\n".join(line[indent:] for line in lines)
