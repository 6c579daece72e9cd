"""Arguments of the command line that several verbs share: how they are asked for, checked, and turned into options."""

import argparse
from datetime import datetime, timedelta
from pathlib import Path

from core.errors import FileError
from core.pipeline.options import IngestOptions, ProfileOptions
from core.pipeline.profiling import blocks_in_use
from core.store import Home
from core.windows import parse_horizon, parse_time


def add_files(parser: argparse.ArgumentParser, *, required: bool) -> None:
    """Ask for the files of a log and how to read them."""
    parser.add_argument("--events", nargs="+", required=required, metavar="FILE", help="files, folders or globs of behaviour events")
    parser.add_argument("--items", metavar="FILE", help="item catalogue")
    parser.add_argument("--users", metavar="FILE", help="demographics")
    parser.add_argument("--map", metavar="MAP.json", help="mapping of columns; what it leaves out is guessed")
    parser.add_argument("--append", action="store_true", help="add to the dataset's events instead of replacing them")
    parser.add_argument("--time-zone", default="UTC", help="zone of times that carry none, such as Asia/Shanghai")
    parser.add_argument("--session-gap", type=positive, default=30, metavar="MINUTES")


def add_model(parser: argparse.ArgumentParser) -> None:
    """Ask for the cutoff and for what makes a profile."""
    parser.add_argument("--cutoff", metavar="T", help="behave as if the log ended at T (exclusive), such as 2017-12-01")
    parser.add_argument("--blocks", help="blocks of the profile, such as counts,text; default: those of the profiles on screen")
    parser.add_argument("--model", default="auto", help="auto, a Hugging Face name, or a folder")
    parser.add_argument("--device", default="auto", help="auto, cuda, mps or cpu")
    parser.add_argument(
        "--retrain", type=share, default=0.1, metavar="SHARE", help="of new acts, above which the behaviour transformer is trained anew"
    )
    parser.add_argument("--seed", type=seed_number, default=0)


def ingest_options(arguments: argparse.Namespace) -> IngestOptions:
    """Return which files were asked for and how they are read."""
    return IngestOptions(
        events=tuple(arguments.events),
        items=arguments.items,
        users=arguments.users,
        mapping=arguments.map,
        append=arguments.append,
        time_zone=arguments.time_zone,
        session_gap_minutes=arguments.session_gap,
    )


def profile_options(arguments: argparse.Namespace, home: Home) -> ProfileOptions:
    """What was asked for; blocks that nobody named are those of the profiles on screen, so that one choice serves all stages."""
    blocks = ProfileOptions.blocks
    if arguments.blocks is not None:
        blocks = tuple(arguments.blocks.split(","))
    elif arguments.dataset in home.datasets():
        blocks = blocks_in_use(home.dataset(arguments.dataset))
    return ProfileOptions(blocks=blocks, model=arguments.model, device=arguments.device, retrain=arguments.retrain)


def horizon_of(arguments: argparse.Namespace) -> timedelta | None:
    """Return the horizon; None where it fits itself to the log."""
    return None if arguments.horizon == "auto" else parse_horizon(arguments.horizon)


def cutoff_of(arguments: argparse.Namespace) -> datetime | None:
    """Return the cutoff; None for the end of the log."""
    return parse_time(arguments.cutoff) if arguments.cutoff else None


def out_path(arguments: argparse.Namespace) -> Path | None:
    """Return where a table is written; None where nobody asked.

    Raises:
        FileError: The name ends in neither .parquet nor .csv, or its folder is missing.
    """
    if not arguments.out:
        return None
    path = Path(arguments.out)
    if path.suffix not in (".parquet", ".csv"):
        raise FileError("{path!r} must end in .parquet or .csv.", path=arguments.out)
    if not path.parent.is_dir():
        raise FileError("The folder {path} does not exist; make it, or choose another.", path=path.parent)
    return path


def positive(text: str) -> int:
    """A whole number from 1 on."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not at least 1")
    return number


def seed_number(text: str) -> int:
    """A whole number below 2³²."""
    number = int(text)
    if not 0 <= number < 2**32:
        raise argparse.ArgumentTypeError(f"{text} is not from 0 to {2**32 - 1}")
    return number


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
