"""Arguments of the command line that several verbs share: how they are asked for, checked, and turned into options."""

import argparse
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from core.errors import FileError, RuleError
from core.pipeline.drawing import choice_on_screen
from core.pipeline.encoding import FAST, PRECISIONS, TEXT_MODELS, check_blocks, options_in_use
from core.pipeline.insight_tables import QUESTIONS
from core.pipeline.options import CHOICES, FEWEST_SEGMENTS, MOST_SEGMENTS, AudienceOptions, IngestOptions, MapChoice, ProfileOptions
from core.pipeline.tuning import kept_model
from core.store import Dataset, Home
from core.windows import parse_horizon, parse_time

TABLE_ENDINGS = (".csv", ".parquet", ".json", ".jsonl")
"""Files that an audience is written to."""


def add_files(parser: argparse.ArgumentParser, *, required: bool) -> None:
    """Ask for the files of a log and how to read them."""
    parser.add_argument("--events", nargs="+", required=required, metavar="FILE", help="files, folders or globs of behaviour events")
    parser.add_argument("--items", metavar="FILE", help="item catalogue")
    parser.add_argument("--users", metavar="FILE", help="demographics")
    parser.add_argument("--facts", metavar="FILE", help="further facts of items: an item id and any other columns")
    parser.add_argument("--map", metavar="MAP.json", help="mapping of columns; what it leaves out is guessed")
    parser.add_argument("--pseudonyms", metavar="COLUMN,…", help="columns stored as pseudonyms, such as user_id when it is an address")
    parser.add_argument("--append", action="store_true", help="add to the dataset's events instead of replacing them")
    parser.add_argument("--time-zone", default="UTC", help="zone of times that carry none, such as Asia/Shanghai")
    parser.add_argument("--session-gap", type=positive, default=30, metavar="MINUTES")


def add_model(parser: argparse.ArgumentParser) -> None:
    """Ask for the cutoff and for what makes a profile."""
    parser.add_argument("--cutoff", metavar="T", help="behave as if the log ended at T (exclusive), such as 2017-12-01")
    parser.add_argument("--blocks", help="blocks of the profile, such as counts,text; default: those of the profiles on screen")
    parser.add_argument(
        "--model",
        help="auto, fast (the small English one), tuned (what `tune` kept), a Hugging Face name, or a folder; default: as on screen",
    )
    parser.add_argument(
        "--half-life", type=half_life, metavar="DAYS|auto", help="after which an act counts half in text profiles; auto: chosen"
    )
    parser.add_argument(
        "--memory",
        type=segments,
        metavar="N",
        help="segments that each layer of the behaviour transformer keeps, 1 to 7: a vector tells of the newest (2N + 1) x 64 acts",
    )
    parser.add_argument("--picture-model", help="what reads pictures of items: auto, classic, a Hugging Face name, or a folder")
    parser.add_argument("--pictures", metavar="DIR", help="folder that pictures of items may be read from; default: the catalogue's own")
    parser.add_argument(
        "--user-facts",
        action=argparse.BooleanOptionalAction,
        help="let the block `facts` hold what is known of shoppers themselves, such as age or income",
    )
    parser.add_argument("--device", default="auto", help="auto, cuda, mps or cpu")
    parser.add_argument("--precision", choices=PRECISIONS, help="in which the text model reads; default: as on screen, at first auto")
    parser.add_argument(
        "--retrain", type=share, default=0.1, metavar="SHARE", help="of new acts, above which behaviour transformer and graph are made anew"
    )
    parser.add_argument("--seed", type=seed_number, default=0)


def add_question(parser: argparse.ArgumentParser) -> None:
    """Ask for a question of what happened, the part of the log that is looked at, and how it is asked."""
    parser.add_argument("question", choices=tuple(QUESTIONS))
    add_filters(parser)
    parser.add_argument(
        "--steps",
        metavar="KIND:CATEGORY:BRAND:ITEM:FROM-TO,…",
        help="funnel: kinds of events, each with a category, brand, item and prices if wanted: view:Shoes,cart::::10-20,purchase",
    )
    parser.add_argument("--order", choices=("ordered", "strict", "any"), help="funnel: of the steps")
    parser.add_argument(
        "--window", type=float, metavar="DAYS", help="funnel: from the first step to the last; positions, dwell: to the outcome"
    )
    parser.add_argument("--exclude", metavar="KINDS", help="funnel: acts that remove a shopper")
    parser.add_argument("--breakdown", help="funnel: category, segment or a column of the users file")
    parser.add_argument("--step", type=positive, help="funnel: list the shoppers who took this step")
    parser.add_argument("--stopped", action="store_true", help="funnel: only those who went no further")
    parser.add_argument("--start-act", help="retention: kind of event that begins it")
    parser.add_argument("--return-act", help="retention: kind of event that counts as a return")
    parser.add_argument("--grain", choices=("hour", "day", "week", "month"), help="retention, cohort-revenue, trend; hour: trend alone")
    parser.add_argument("--recurring", action="store_true", help="retention: cohorts of all who acted, not only of new shoppers")
    parser.add_argument("--depth", type=positive, help="retention: periods; paths: steps")
    parser.add_argument("--act", help="paths: the act in the middle; positions: the act that has a position; hours")
    parser.add_argument("--backward", action="store_true", help="paths: what came before the act")
    parser.add_argument("--top", type=positive, help="paths: acts that keep their names")
    parser.add_argument("--frequency", choices=("orders", "days"), help="rfm: what F counts")
    parser.add_argument("--back-days", type=positive, help="stages: moves over so many days")
    parser.add_argument("--horizon-days", type=positive, help="value: how far purchases are expected")
    parser.add_argument("--margin", type=float, help="value: share of revenue that is earned")
    parser.add_argument("--discount", type=float, help="value: discount a month, such as 0.01")
    parser.add_argument("--follow-up", type=positive, metavar="DAYS", help="repeat: time in which a second order counts")
    parser.add_argument("--level", choices=("item", "brand", "category"), help="baskets: what is paired; products: what is counted")
    parser.add_argument("--least", type=positive, help="baskets: orders that a pair needs")
    parser.add_argument("--outcome", help="positions, dwell, drivers: the kind of event that counts as success")
    parser.add_argument("--out", metavar="FILE", help="write the table here (.parquet or .csv)")


def add_filters(parser: argparse.ArgumentParser) -> None:
    """Ask for the part of the log that is looked at."""
    parser.add_argument("--since", metavar="T", help="only events from T on, such as 2017-12-01 (cohorts, for retention)")
    parser.add_argument("--until", metavar="T", help="only events before T")
    parser.add_argument("--events", metavar="KINDS", help="only these kinds of events, such as view,cart")
    parser.add_argument("--category", help="only events of items of this category")
    parser.add_argument("--brand", help="only events of items of this brand")
    parser.add_argument("--segment", type=int, help="only shoppers of this segment of the map")
    parser.add_argument("--audience", help="only shoppers of this saved audience")
    parser.add_argument("--attribute", metavar="COLUMN=VALUE", help="only shoppers with this value of a column of the users file")
    parser.add_argument("--days", type=positive, help="the last so many days (overview, trend, products, report)")


def add_audience(parser: argparse.ArgumentParser) -> None:
    """Ask for a rule, what its audience is worth, and how its file is written."""
    parser.add_argument("--rule", required=True, help='JSON text or a JSON file; a saved audience is {"audience": "its name"}')
    parser.add_argument("--name", default="audience")
    parser.add_argument("--holdout", type=share, default=0.1, metavar="SHARE", help="share kept out of the file to measure the effect")
    parser.add_argument("--margin", type=amount, default=0.0, help="margin of one purchase")
    parser.add_argument("--cost", type=amount, default=0.0, help="cost of one contact")
    parser.add_argument("--hashed", action="store_true", help="write salted SHA-256 of the ids instead of the ids")
    parser.add_argument("--platform", choices=("google", "meta", "tiktok"), help="write the file that this ad platform takes")
    parser.add_argument(
        "--contact",
        type=contact,
        nargs="+",
        default=[],
        metavar="FIELD=COLUMN",
        help="columns of the users table, email=mail",
    )
    parser.add_argument("--calling-code", default="", metavar="CODE", help="of national phone numbers, such as 1, 44 or 86")
    parser.add_argument("--least", type=int, metavar="K", help="refuse a file of fewer shoppers (default: the dataset's setting)")
    parser.add_argument("--out", metavar="FILE", help="write the shoppers here (.csv, .parquet or .json)")


def audience_options(arguments: argparse.Namespace) -> AudienceOptions:
    """Return what an audience is worth and how its file is written."""
    return AudienceOptions(
        name=arguments.name,
        holdout_share=arguments.holdout,
        margin=arguments.margin,
        cost=arguments.cost,
        hashed=arguments.hashed,
        platform=arguments.platform,
        contacts=tuple(arguments.contact),
        calling_code=arguments.calling_code,
        least_users=arguments.least,
    )


def rule_of(arguments: argparse.Namespace) -> Any:
    """Return the rule, from JSON text or a JSON file.

    Raises:
        FileError: The file cannot be read.
        RuleError: It is not JSON.
    """
    text = arguments.rule
    if not text.lstrip().startswith(("{", "[")):
        text = read_file(text).decode("utf-8", errors="replace")
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RuleError("The rule is not JSON ({error}); see docs/audience-rules.md for the form.", error=error) from error


def relations_of(arguments: argparse.Namespace) -> bytes | None:
    """Return the file of relations between items; empty for `none`, None where nobody asked.

    Raises:
        FileError: The file cannot be read.
        RuleError: It is empty.
    """
    if arguments.relations is None or arguments.relations == "none":
        return None if arguments.relations is None else b""
    if not (data := read_file(arguments.relations)):
        raise RuleError("The file of relations is empty; write --relations none to lift those that are kept.")
    return data


def read_file(path: str) -> bytes:
    """Read a file whole.

    Raises:
        FileError: It cannot be read.
    """
    try:
        return Path(path).read_bytes()
    except (OSError, ValueError) as error:
        raise FileError("The file {path!r} cannot be read ({error}); name another.", path=path, error=error) from error


def ingest_options(arguments: argparse.Namespace) -> IngestOptions:
    """Return which files were asked for and how they are read."""
    return IngestOptions(
        events=tuple(arguments.events),
        items=arguments.items,
        users=arguments.users,
        facts=arguments.facts,
        mapping=arguments.map,
        pseudonyms=tuple(name.strip() for name in (arguments.pseudonyms or "").split(",") if name.strip()),
        append=arguments.append,
        time_zone=arguments.time_zone,
        session_gap_minutes=arguments.session_gap,
    )


def profile_options(arguments: argparse.Namespace, home: Home, tuned: Callable[[Dataset], str] = kept_model) -> ProfileOptions:
    """What was asked for; what nobody named is as in the profiles on screen, so that one choice serves all stages.

    Args:
        arguments: Of the verb.
        home: Where the dataset lies.
        tuned: Finds the weights that `--model tuned` means.
    """
    in_use = options_in_use(home.dataset(arguments.dataset)) if arguments.dataset in home.datasets() else ProfileOptions()
    asked = {name: getattr(arguments, name) for name in CHOICES if getattr(arguments, name) is not None}
    if "half_life" in asked:
        asked["half_life"] = asked["half_life"] or None
    if asked.get("model") == FAST:
        asked["model"] = TEXT_MODELS[0]  # so that its runs are found by either name
    if asked.get("model") == "tuned":
        asked["model"] = tuned(home.dataset(arguments.dataset))
    if arguments.blocks is not None:
        asked["blocks"] = tuple(arguments.blocks.split(","))
        check_blocks(asked["blocks"])
    return replace(in_use, device=arguments.device, retrain=arguments.retrain, **asked)


def horizon_of(arguments: argparse.Namespace) -> timedelta | None:
    """Return the horizon; None where it fits itself to the log."""
    return None if arguments.horizon == "auto" else parse_horizon(arguments.horizon)


def cutoff_of(arguments: argparse.Namespace) -> datetime | None:
    """Return the cutoff; None for the end of the log."""
    return parse_time(arguments.cutoff) if arguments.cutoff else None


def out_path(arguments: argparse.Namespace, endings: tuple[str, ...] = (".parquet", ".csv")) -> Path | None:
    """Return where a table is written; None where nobody asked.

    Raises:
        FileError: The name has none of the endings, or its folder is missing.
    """
    if not arguments.out:
        return None
    path = Path(arguments.out)
    if path.suffix not in endings:
        raise FileError("{path!r} must end in {endings}.", path=arguments.out, endings=" or ".join(endings))
    if not path.parent.is_dir():
        raise FileError("The folder {path} does not exist; make it, or choose another.", path=path.parent)
    return path


def contact(text: str) -> tuple[str, str]:
    """A field and the column that holds it, FIELD=COLUMN."""
    field, sign, column = text.partition("=")
    if not (field and sign and column):
        raise argparse.ArgumentTypeError(f"{text} is not FIELD=COLUMN")
    return field, column


def positive(text: str) -> int:
    """A whole number from 1 on."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not at least 1")
    return number


def segments(text: str) -> int:
    """A whole number from 1 to 7: with 8 the reach would pass the 1,024 acts that are read of a shopper."""
    number = int(text)
    if not 1 <= number <= 7:
        raise argparse.ArgumentTypeError(f"{text} is not from 1 to 7 segments")
    return number


def seed_number(text: str) -> int:
    """A whole number below 2³²."""
    number = int(text)
    if not 0 <= number < 2**32:
        raise argparse.ArgumentTypeError(f"{text} is not from 0 to {2**32 - 1}")
    return number


def segment_count(text: str) -> int:
    """Segments wanted; 0 stands for `auto`."""
    if text != "auto" and not (text.isdecimal() and FEWEST_SEGMENTS <= int(text) <= MOST_SEGMENTS):
        raise argparse.ArgumentTypeError(f"{text} is neither auto nor a number from {FEWEST_SEGMENTS} to {MOST_SEGMENTS}")
    return 0 if text == "auto" else int(text)


def map_choice(arguments: argparse.Namespace, dataset: Dataset) -> MapChoice:
    """What was asked of a map; what nobody named is as in the map on screen, as of a cutoff it is left open."""
    held = MapChoice() if arguments.cutoff else choice_on_screen(dataset)
    segments = held.segments if arguments.segments is None else arguments.segments or None
    return MapChoice(segments, held.demographics if arguments.demographics is None else arguments.demographics)


def half_life(text: str) -> float:
    """Days above 0; 0 stands for `auto`."""
    days = 0.0 if text == "auto" else float(text)
    if text != "auto" and not 0 < days < 100_000:
        raise argparse.ArgumentTypeError(f"{text} is not a number of days above 0")
    return days


def amount(text: str) -> float:
    """An amount of money."""
    number = float(text)
    if not abs(number) < 1e12:
        raise argparse.ArgumentTypeError(f"{text} is not an amount of money")
    return number


def days(text: str) -> float:
    """A number of days from 1 to 3650; `90d` is read too."""
    number = float(text.lower().rstrip("d"))
    if not 1 <= number <= 3650:
        raise argparse.ArgumentTypeError(f"{text} is not from 1 to 3650 days")
    return number


def share(text: str) -> float:
    """A share from 0 to below 1."""
    share = float(text)
    if not 0 <= share < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a share from 0 to below 1")
    return share


def strength(text: str) -> float:
    """A share from 0 to 1."""
    strength = float(text)
    if not 0 <= strength <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not from 0 to 1")
    return strength
