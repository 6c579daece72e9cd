"""The command line: every verb of the dashboard without a screen.

`python -m core VERB --home DIR --json …`; one JSON object on stdout with --json, progress on stderr.
Exit status: 0 done, 2 the user can mend it (message on stderr), 1 our bug, 130 cancelled.
"""

import argparse
import io
import json
import logging
import os
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from core import __version__
from core.errors import CancelledError, CoreError, FileError, RuleError
from core.jobs import Reporter, cancel_job, job_log, list_jobs, working
from core.pipeline import targeting, work
from core.pipeline.drawing import draw_map
from core.pipeline.options import AudienceOptions, IngestOptions, PredictOptions, ProfileOptions, RecommendChoice
from core.pipeline.predicting import predict
from core.schema import ACTS
from core.store import Home
from core.windows import parse_horizon, parse_time

_log = logging.getLogger("core")

Result = dict[str, Any]
Verb = Callable[[argparse.Namespace, Home, Reporter], Result]


def main(argv: list[str] | None = None) -> int:
    """Run one verb and return its exit status."""
    arguments = _parser().parse_args(argv)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a file name may hold bytes that are no text
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    home = Home(Path(arguments.home))
    began, cpu = time.time(), time.process_time()
    try:
        with working(home, arguments.job, heavy=arguments.heavy, echo=_echo) as reporter:
            result: Result = arguments.verb(arguments, home, reporter)
            peak = max(reporter.peak_mb, work.peak_memory_mb())
            result |= {"seconds": round(time.time() - began, 2), "cpu_seconds": round(time.process_time() - cpu, 2), "peak_mb": round(peak)}
            _show(result, as_json=arguments.json)  # before the job says that it is done, so that its reader finds the result
    except (CancelledError, KeyboardInterrupt) as error:
        return _fail(arguments, error, str(error) or "Cancelled; the last good result stays.", 130)
    except CoreError as error:
        return _fail(arguments, error, str(error), 2)
    except Exception as error:  # noqa: BLE001 - our bug, whatever it is, and shown whole
        _log.exception("this is a mistake of Shopper Atlas, not yours")
        return _fail(arguments, error, f"{type(error).__name__}: {error}", 1)
    return 0


def _ingest(arguments: argparse.Namespace, home: Home, report: Reporter) -> Result:
    with report.stage("ingest", 0.0, 1.0):
        return work.ingest(home, arguments.dataset, _ingest_options(arguments), report)


def _quality(arguments: argparse.Namespace, home: Home, report: Reporter) -> Result:
    return work.quality(home.dataset(arguments.dataset), Path(arguments.out) if arguments.out else None)


def _profile(arguments: argparse.Namespace, home: Home, report: Reporter) -> Result:
    with report.stage("profile", 0.0, 1.0):
        return work.profile(
            home, home.dataset(arguments.dataset), cutoff=_cutoff(arguments), options=_profile_options(arguments), progress=report
        )


def _blocks(arguments: argparse.Namespace, home: Home, report: Reporter) -> Result:
    from core.pipeline.judging import judge_blocks

    horizon = None if arguments.horizon == "auto" else parse_horizon(arguments.horizon)
    with report.stage("blocks", 0.0, 1.0):
        return judge_blocks(
            home,
            home.dataset(arguments.dataset),
            cutoff=_cutoff(arguments),
            horizon=horizon,
            options=replace(_profile_options(arguments), blocks=("counts", "text", "sequence")),
            seed=arguments.seed,
            progress=report,
        )


def _map(arguments: argparse.Namespace, home: Home, report: Reporter) -> Result:
    dataset, cutoff = home.dataset(arguments.dataset), _cutoff(arguments)
    with report.stage("profile", 0.0, 0.5):
        work.profile(home, dataset, cutoff=cutoff, options=_profile_options(arguments), progress=report)
    with report.stage("map", 0.5, 1.0):
        return draw_map(
            home,
            dataset,
            cutoff=cutoff,
            options=_profile_options(arguments),
            seed=arguments.seed,
            redraw=arguments.redraw,
            progress=report,
        )


def _predict(arguments: argparse.Namespace, home: Home, report: Reporter) -> Result:
    out = _out(arguments)
    options = PredictOptions(
        act=arguments.act,
        horizon=parse_horizon(arguments.horizon) if arguments.horizon != "auto" else None,
        category=arguments.category,
        seed=arguments.seed,
    )
    with report.stage("predict", 0.0, 1.0):
        return predict(
            home,
            home.dataset(arguments.dataset),
            cutoff=_cutoff(arguments),
            options=options,
            profile=_profile_options(arguments),
            out=out,
            progress=report,
        )


def _recommend(arguments: argparse.Namespace, home: Home, report: Reporter) -> Result:
    out = _out(arguments)
    options = RecommendChoice(
        k=arguments.k,
        source=arguments.source,
        new_only=arguments.new_only,
        horizon=parse_horizon(arguments.horizon) if arguments.horizon != "auto" else None,
        seed=arguments.seed,
    )
    with report.stage("recommend", 0.0, 1.0):
        return work.recommend(
            home,
            home.dataset(arguments.dataset),
            cutoff=_cutoff(arguments),
            options=options,
            profile=_profile_options(arguments),
            out=out,
            progress=report,
        )


def _audience(arguments: argparse.Namespace, home: Home, report: Reporter) -> Result:
    text = arguments.rule
    try:
        if not text.lstrip().startswith(("{", "[")):
            text = Path(text).read_text(encoding="utf-8")
        rule = json.loads(text)
    except OSError as error:
        raise FileError(
            "The rule file {path!r} cannot be read ({error}); give a JSON file or JSON text.", path=arguments.rule, error=error.strerror
        ) from error
    except (ValueError, RecursionError) as error:
        raise RuleError("The rule is not JSON ({error}); see docs/audience-rules.md for the form.", error=error) from error
    return targeting.audience(
        home,
        home.dataset(arguments.dataset),
        rule=rule,
        options=AudienceOptions(
            name=arguments.name,
            holdout_share=arguments.holdout,
            margin=arguments.margin,
            cost=arguments.cost,
            hashed=arguments.hashed,
        ),
        out=_out(arguments),
    )


def _export(arguments: argparse.Namespace, home: Home, report: Reporter) -> Result:
    return work.export(home, home.dataset(arguments.dataset), Path(arguments.out), form=arguments.format, progress=report)


def _run(arguments: argparse.Namespace, home: Home, report: Reporter) -> Result:
    ingest = _ingest_options(arguments) if arguments.events else None
    if ingest is None:
        home.dataset(arguments.dataset)
    return work.run(
        home,
        arguments.dataset,
        ingest=ingest,
        cutoff=_cutoff(arguments),
        horizon=parse_horizon(arguments.horizon) if arguments.horizon != "auto" else None,
        profile=_profile_options(arguments),
        seed=arguments.seed,
        report=report,
    )


def _samples(arguments: argparse.Namespace, home: Home, report: Reporter) -> Result:
    return work.samples(home, report)


def _jobs(arguments: argparse.Namespace, home: Home, report: Reporter) -> Result:
    if arguments.cancel:
        cancel_job(home, arguments.cancel, wait=True)
        return {"cancelled": arguments.cancel, "warnings": []}
    if arguments.log:
        return {"log": job_log(home, arguments.log), "warnings": []}
    shown = [
        {"job": j.job_id, "title": j.title, "state": j.state, "stage": j.stage, "share": round(j.share, 3), "seconds": round(j.seconds, 1),
         "message": j.error or j.message}
        for j in list_jobs(home)
    ]  # fmt: skip
    return {"jobs": shown, "warnings": []}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m core", description="Shopper Atlas without a screen.")
    parser.add_argument("--version", action="version", version=__version__)
    verbs = parser.add_subparsers(title="verbs", required=True, metavar="VERB")

    def add(name: str, verb: Verb, text: str, *, heavy: bool, dataset: bool = True) -> argparse.ArgumentParser:
        verb_parser = verbs.add_parser(name, help=text, description=text)
        verb_parser.set_defaults(verb=verb, heavy=heavy)
        verb_parser.add_argument("--home", default=os.environ.get("SHOPPER_ATLAS_HOME", "workspace"), help="folder that holds everything")
        verb_parser.add_argument("--json", action="store_true", help="print one JSON object")
        verb_parser.add_argument("--job", help=argparse.SUPPRESS)
        if dataset:
            verb_parser.add_argument("--dataset", required=True, metavar="D", help="name of the dataset: lower-case letters, digits, _")
        return verb_parser

    ingest = add("ingest", _ingest, "Read a behaviour log into a dataset, every row accounted for.", heavy=True)
    _add_files(ingest, required=True)
    quality = add("quality", _quality, "Print the quality report of a dataset.", heavy=False)
    quality.add_argument("--out", metavar="FILE", help="write it here (.html, one file without scripts, or .json)")

    profile = add("profile", _profile, "Encode a profile of every shopper.", heavy=True)
    blocks = add("blocks", _blocks, "Tell what each block of a profile adds on this log: a linear probe, with intervals.", heavy=True)
    draw = add("map", _map, "Draw the map of shoppers and their segments (makes profiles when they are missing).", heavy=True)
    draw.add_argument("--redraw", action="store_true", help="lay the whole picture out again, known shoppers included")
    predict = add("predict", _predict, "Train and score: the calibrated chance that each shopper acts within the horizon.", heavy=True)
    predict.add_argument("--act", default="purchase", choices=ACTS)
    predict.add_argument("--category", metavar="C|all", help="a category, or all of them: chance to buy in it")
    recommend = add("recommend", _recommend, "Rank items for every shopper.", heavy=True)
    recommend.add_argument("--k", type=_positive, default=20)
    recommend.add_argument("--source", default="blend", help="blend, or one source alone")
    recommend.add_argument("--new-only", action="store_true", help="leave out what the shopper bought before")
    run = add("run", _run, "Everything, in order: ingest (with --events), profiles, map, propensity, recommendations.", heavy=True)
    _add_files(run, required=False)
    for verb_parser in (profile, blocks, draw, predict, recommend, run):
        _add_model(verb_parser)
    for verb_parser in (blocks, predict, recommend, run):
        verb_parser.add_argument("--horizon", default="auto", help="such as 28d, 7d, 12h; auto fits it to the log's length")
    for verb_parser in (predict, recommend):
        verb_parser.add_argument("--out", metavar="FILE", help="write the table here (.parquet or .csv)")

    audience = add("audience", _audience, "Size an audience rule and write its shoppers to a file.", heavy=False)
    audience.add_argument("--rule", required=True, help="JSON text or a JSON file")
    audience.add_argument("--name", default="audience")
    audience.add_argument("--holdout", type=_share, default=0.1, metavar="SHARE", help="share kept out of the file to measure the effect")
    audience.add_argument("--margin", type=_amount, default=0.0, help="margin of one purchase")
    audience.add_argument("--cost", type=_amount, default=0.0, help="cost of one contact")
    audience.add_argument("--hashed", action="store_true", help="write salted SHA-256 of the ids instead of the ids")
    audience.add_argument("--out", metavar="FILE", help="write the shoppers here (.parquet or .csv)")

    export = add("export", _export, "Write every table of a dataset, one file each.", heavy=False)
    export.add_argument("--out", required=True, metavar="DIR")
    export.add_argument("--format", default="parquet", choices=("parquet", "csv"))

    jobs = add("jobs", _jobs, "List, read or cancel long work.", heavy=False, dataset=False)
    jobs.add_argument("--cancel", metavar="ID")
    jobs.add_argument("--log", metavar="ID")
    add("samples", _samples, "Load the bundled samples when the home is empty, and start computing them.", heavy=True, dataset=False)
    return parser


def _add_files(parser: argparse.ArgumentParser, *, required: bool) -> None:
    parser.add_argument("--events", nargs="+", required=required, metavar="FILE", help="files, folders or globs of behaviour events")
    parser.add_argument("--items", metavar="FILE", help="item catalogue")
    parser.add_argument("--users", metavar="FILE", help="demographics")
    parser.add_argument("--map", metavar="MAP.json", help="mapping of columns; what it leaves out is guessed")
    parser.add_argument("--append", action="store_true", help="add to the dataset's events instead of replacing them")
    parser.add_argument("--time-zone", default="UTC", help="zone of times that carry none, such as Asia/Shanghai")
    parser.add_argument("--session-gap", type=_positive, default=30, metavar="MINUTES")


def _add_model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--cutoff", metavar="T", help="behave as if the log ended at T (exclusive), such as 2017-12-01")
    parser.add_argument("--blocks", default="counts,text", help="blocks of the profile")
    parser.add_argument("--model", default="auto", help="auto, a Hugging Face name, or a folder")
    parser.add_argument("--device", default="auto", help="auto, cuda, mps or cpu")
    parser.add_argument("--seed", type=_seed, default=0)


def _ingest_options(arguments: argparse.Namespace) -> IngestOptions:
    return IngestOptions(
        events=tuple(arguments.events),
        items=arguments.items,
        users=arguments.users,
        mapping=arguments.map,
        append=arguments.append,
        time_zone=arguments.time_zone,
        session_gap_minutes=arguments.session_gap,
    )


def _profile_options(arguments: argparse.Namespace) -> ProfileOptions:
    return ProfileOptions(blocks=tuple(arguments.blocks.split(",")), model=arguments.model, device=arguments.device)


def _cutoff(arguments: argparse.Namespace) -> datetime | None:
    return parse_time(arguments.cutoff) if arguments.cutoff else None


def _out(arguments: argparse.Namespace) -> Path | None:
    if not arguments.out:
        return None
    path = Path(arguments.out)
    if path.suffix not in (".parquet", ".csv"):
        raise FileError("{path!r} must end in .parquet or .csv.", path=arguments.out)
    if not path.parent.is_dir():
        raise FileError("The folder {path} does not exist; make it, or choose another.", path=path.parent)
    return path


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not at least 1")
    return number


def _seed(text: str) -> int:
    number = int(text)
    if not 0 <= number < 2**32:
        raise argparse.ArgumentTypeError(f"{text} is not from 0 to {2**32 - 1}")
    return number


def _amount(text: str) -> float:
    number = float(text)
    if not abs(number) < 1e12:
        raise argparse.ArgumentTypeError(f"{text} is not an amount of money")
    return number


def _share(text: str) -> float:
    share = float(text)
    if not 0 <= share < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a share from 0 to below 1")
    return share


def _echo(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _fail(arguments: argparse.Namespace, error: BaseException, message: str, status: int) -> int:
    _echo(f"{arguments.verb.__name__.strip('_')}: {message}")
    if arguments.json:
        print(json.dumps({"error": message, "kind": type(error).__name__}, ensure_ascii=False))
    return status


def _show(result: Result, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(result, ensure_ascii=False, default=str, allow_nan=False), flush=True)
        return
    for key, value in result.items():
        if isinstance(value, list) and value:
            print(f"{key}:")
            for row in value:
                print(f"  {row}")
        elif not isinstance(value, dict | list):
            print(f"{key}: {value}")


if __name__ == "__main__":
    if sys.platform == "linux":
        os.nice(5)  # the dashboard beside us stays quick
    status = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)  # DuckDB's binding would print a page of its own leaked names while the interpreter is taken down
