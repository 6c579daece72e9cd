"""The verbs `runs …`: list, show and compare runs, put one on screen, go back, and make one again from its record."""

import argparse
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from core.jobs import Reporter
from core.pipeline import model_room
from core.pipeline.reproducing import command_of, compare_files, home_of_its_own, kind_of, why_not
from core.schema import RUN_KINDS
from core.store import Home

Result = dict[str, Any]
Common = Callable[..., argparse.ArgumentParser]
"""Gives a parser what every verb takes; keywords verb, heavy."""


def add_run_verbs(parser: argparse.ArgumentParser, common: Common, again: Callable[[], argparse.ArgumentParser]) -> None:
    """Add what may be done with runs.

    Args:
        parser: Of `runs`.
        common: See `Common`.
        again: Makes the whole command line, by which a run is made again.
    """
    acts = parser.add_subparsers(title="what to do", required=True, metavar="WHAT")

    def add(name: str, verb: Callable[..., Result], text: str, *, heavy: bool = False) -> argparse.ArgumentParser:
        return common(acts.add_parser(name, help=text, description=text), verb=verb, heavy=heavy)

    listed = add("list", _list, "List the runs of a dataset, newest first.")
    listed.add_argument("--kind", choices=RUN_KINDS)
    shown = add("show", _show, "Show one run: settings, figures, costs, data, code, and the command that makes it.")
    shown.add_argument("run", metavar="RUN")
    compared = add(
        "compare", _compare, "Put two runs of a kind side by side, with their paired difference where they judged the same window."
    )
    compared.add_argument("run", metavar="RUN")
    compared.add_argument("other", metavar="OTHER")
    used = add("use", _use, "Put a run on screen.")
    used.add_argument("run", metavar="RUN")
    rolled = add("rollback", _roll_back, "Put the run on screen that was there before.")
    rolled.add_argument("kind", choices=RUN_KINDS, metavar="KIND", help=", ".join(RUN_KINDS))
    reproduced = add(
        "reproduce",
        _reproduce,
        "Make a run again from its record, and say whether the bytes are the same (but for the seconds it took).",
        heavy=True,
    )
    reproduced.add_argument("run", metavar="RUN")
    reproduced.set_defaults(again=again)


def _list(arguments: argparse.Namespace, home: Home, report: Reporter) -> Result:
    found = model_room.list_runs(home.dataset(arguments.dataset), arguments.kind)
    return {"dataset": arguments.dataset, "runs": [asdict(run) for run in found], "warnings": []}


def _show(arguments: argparse.Namespace, home: Home, report: Reporter) -> Result:
    dataset = home.dataset(arguments.dataset)
    run = model_room.facts(dataset, arguments.run)
    return {
        "dataset": dataset.name,
        "run": run.run,
        "record": asdict(run),
        "warnings": list(dataset.run_manifest(run.kind, run.run).get("warnings", [])),
    }


def _compare(arguments: argparse.Namespace, home: Home, report: Reporter) -> Result:
    found = model_room.compare(home.dataset(arguments.dataset), arguments.run, arguments.other)
    figures = [{"name": row["name"], **{side: row[side] and asdict(row[side]) for side in ("one", "other")}} for row in found.figures]
    return {
        "dataset": arguments.dataset,
        "one": found.one.run,
        "other": found.other.run,
        "settings": [row for row in found.settings if row["differs"]],
        "figures": figures,
        "paired": asdict(found.paired) if found.paired else None,
        "warnings": [found.why_unpaired] if found.why_unpaired else [],
    }


def _use(arguments: argparse.Namespace, home: Home, report: Reporter) -> Result:
    run = model_room.use(home, home.dataset(arguments.dataset), arguments.run)
    return {"dataset": arguments.dataset, "run": run.run, "kind": run.kind, "warnings": []}


def _roll_back(arguments: argparse.Namespace, home: Home, report: Reporter) -> Result:
    run = model_room.roll_back(home, home.dataset(arguments.dataset), arguments.kind)
    return {"dataset": arguments.dataset, "run": run.run, "kind": run.kind, "warnings": []}


def _reproduce(arguments: argparse.Namespace, home: Home, report: Reporter) -> Result:
    dataset, kind = home.dataset(arguments.dataset), kind_of(arguments.run)
    facts = model_room.facts(dataset, arguments.run)
    record = dataset.run_manifest(kind, arguments.run)
    argv = command_of(dataset.name, kind, record)
    with home_of_its_own(home, dataset, record) as own:
        parsed = arguments.again().parse_args(argv)
        made = parsed.verb(parsed, own, report)
        again = own.dataset(dataset.name)
        files = compare_files(dataset.run_path(kind, arguments.run), again.run_path(kind, made["run"]))
        same_figures = model_room.facts(again, made["run"]).figures == facts.figures
    why = why_not(kind, record)
    return {
        "dataset": dataset.name,
        "run": arguments.run,
        "command": facts.command,
        "equal": all(row["equal_but_costs"] for row in files),
        "costs_in": [row["file"] for row in files if row["equal_but_costs"] and not row["equal"]],
        "figures_equal": same_figures,
        "files": files,
        "warnings": [why] if why else [],
    }
