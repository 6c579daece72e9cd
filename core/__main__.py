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
from pathlib import Path
from typing import Any

from core import __version__
from core.arguments import (
    add_files,
    add_model,
    add_question,
    cutoff_of,
    days,
    horizon_of,
    ingest_options,
    map_choice,
    out_path,
    positive,
    profile_options,
    read_file,
    relations_of,
    segment_count,
)
from core.errors import CancelledError, CoreError
from core.finding_verbs import add_finding_verbs
from core.jobs import Reporter, cancel_job, job_log, list_jobs, working
from core.measuring_verbs import add_measuring_verbs
from core.pipeline import screens, work
from core.pipeline.drawing import draw_map
from core.pipeline.encoding import check_blocks
from core.pipeline.insight_tables import insight
from core.pipeline.options import PredictOptions, RecommendChoice
from core.pipeline.predicting import kept_for_chances, predict
from core.pipeline.sorting import sort
from core.pipeline.verifying import verify
from core.printing import show
from core.privacy_verb import add_privacy
from core.report_verb import add_report
from core.run_verbs import add_run_verbs
from core.schema import ACTS, OPTIMIZERS
from core.store import Home, peak_memory_mb
from core.why_verbs import add_questions

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
            peak = max(reporter.peak_mb, peak_memory_mb())
            result |= {"seconds": round(time.time() - began, 2), "cpu_seconds": round(time.process_time() - cpu, 2), "peak_mb": round(peak)}
            show(result, as_json=arguments.json)  # before the job says that it is done, so that its reader finds the result
    except (CancelledError, KeyboardInterrupt) as error:
        return _fail(arguments, error, str(error) or "Cancelled; the last good result stays.", 130)
    except CoreError as error:
        return _fail(arguments, error, str(error), 2)
    except Exception as error:  # noqa: BLE001 - our bug, whatever it is, and shown whole
        _log.exception("this is a mistake of Shopper Atlas, not yours")
        return _fail(arguments, error, f"{type(error).__name__}: {error}", 1)
    return 1 if arguments.verb is _verify and result["failed"] else 0


def _ingest(arguments: argparse.Namespace, home: Home, report: Reporter) -> Result:
    with report.stage("ingest", 0.0, 1.0):
        return work.ingest(home, arguments.dataset, ingest_options(arguments), report)


def _quality(arguments: argparse.Namespace, home: Home, report: Reporter) -> Result:
    return work.quality(home.dataset(arguments.dataset), Path(arguments.out) if arguments.out else None)


def _profile(arguments: argparse.Namespace, home: Home, report: Reporter) -> Result:
    with report.stage("profile", 0.0, 1.0):
        return work.profile(
            home, home.dataset(arguments.dataset), cutoff=cutoff_of(arguments), options=profile_options(arguments, home), progress=report
        )


def _map(arguments: argparse.Namespace, home: Home, report: Reporter) -> Result:
    dataset, cutoff = home.dataset(arguments.dataset), cutoff_of(arguments)
    with report.stage("profile", 0.0, 0.5):
        work.profile(home, dataset, cutoff=cutoff, options=profile_options(arguments, home), progress=report)
    with report.stage("map", 0.5, 1.0):
        return draw_map(
            home,
            dataset,
            cutoff=cutoff,
            options=profile_options(arguments, home),
            seed=arguments.seed,
            redraw=arguments.redraw,
            weights=arguments.weights,
            choice=map_choice(arguments, dataset),
            progress=report,
        )


def _insights(arguments: argparse.Namespace, home: Home, report: Reporter) -> Result:
    return insight(home, home.dataset(arguments.dataset), arguments.question, vars(arguments), out_path(arguments))


def _estimate(arguments: argparse.Namespace, home: Home, report: Reporter) -> Result:
    from core.pipeline.estimating import estimates
    from core.pipeline.screens import open_screen

    blocks = tuple(arguments.blocks.split(",")) if arguments.blocks else None
    if blocks:
        check_blocks(blocks)
    return estimates(open_screen(home, arguments.dataset), blocks)


def _word(arguments: argparse.Namespace, home: Home, report: Reporter) -> Result:
    from core.pipeline.screens import writer_setting
    from core.pipeline.wording import word_map

    with report.stage("word", 0.0, 1.0):
        return word_map(home.dataset(arguments.dataset), arguments.writer or writer_setting(), arguments.language, report)


def _predict(arguments: argparse.Namespace, home: Home, report: Reporter) -> Result:
    out = out_path(arguments)
    options = PredictOptions(
        act=arguments.act,
        horizon=horizon_of(arguments),
        category=arguments.category,
        seed=arguments.seed,
        models=tuple(name for name in (arguments.models or "").split(",") if name),
        optimizer=arguments.optimizer,
        look_back_days=arguments.look_back,
        revenue=arguments.revenue,
        attributes=arguments.attributes,
    )
    cutoff = cutoff_of(arguments)
    with report.stage("predict", 0.0, 1.0):
        return predict(
            home,
            home.dataset(arguments.dataset),
            cutoff=cutoff,
            options=options,
            profile=profile_options(arguments, home, lambda dataset: kept_for_chances(dataset, cutoff, options.horizon)),
            out=out,
            inherited=arguments.model is None,
            progress=report,
        )


def _recommend(arguments: argparse.Namespace, home: Home, report: Reporter) -> Result:
    out = out_path(arguments)
    options = RecommendChoice(
        k=arguments.k,
        source=arguments.source,
        new_only=arguments.new_only,
        horizon=horizon_of(arguments),
        seed=arguments.seed,
    )
    with report.stage("recommend", 0.0, 1.0):
        return work.recommend(
            home,
            home.dataset(arguments.dataset),
            cutoff=cutoff_of(arguments),
            options=options,
            profile=profile_options(arguments, home),
            out=out,
            rules=read_file(arguments.rules) if arguments.rules else None,
            relations=relations_of(arguments),
            progress=report,
        )


def _lists(arguments: argparse.Namespace, home: Home, report: Reporter) -> Result:
    from core.pipeline.offering import lists

    screen, out = screens.open_screen(home, arguments.dataset), out_path(arguments)
    assert out is not None  # --out is required
    return lists(screen, read_file(arguments.rules) if arguments.rules else None, k=arguments.k, new_only=arguments.new_only, out=out)


def _export(arguments: argparse.Namespace, home: Home, report: Reporter) -> Result:
    return work.export(home, home.dataset(arguments.dataset), Path(arguments.out), form=arguments.format, progress=report)


def _verify(arguments: argparse.Namespace, home: Home, report: Reporter) -> Result:
    with report.stage("verify", 0.0, 1.0):
        return verify(home, home.dataset(arguments.dataset), Path(arguments.out) if arguments.out else None, report)


def _sort(arguments: argparse.Namespace, home: Home, report: Reporter) -> Result:
    with report.stage("sort", 0.0, 1.0):
        return sort(home.dataset(arguments.dataset), report)


def _run(arguments: argparse.Namespace, home: Home, report: Reporter) -> Result:
    ingest = ingest_options(arguments) if arguments.events else None
    if ingest is None:
        home.dataset(arguments.dataset)
    return work.run(
        home,
        arguments.dataset,
        ingest=ingest,
        cutoff=cutoff_of(arguments),
        horizon=horizon_of(arguments),
        profile=profile_options(arguments, home),
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
        return common(verbs.add_parser(name, help=text, description=text), verb=verb, heavy=heavy, dataset=dataset)

    def common(verb_parser: argparse.ArgumentParser, *, verb: Verb, heavy: bool, dataset: bool = True) -> argparse.ArgumentParser:
        verb_parser.set_defaults(verb=verb, heavy=heavy)
        verb_parser.add_argument("--home", default=os.environ.get("SHOPPER_ATLAS_HOME", "workspace"), help="folder that holds everything")
        verb_parser.add_argument("--json", action="store_true", help="print one JSON object")
        verb_parser.add_argument("--job", help=argparse.SUPPRESS)
        if dataset:
            verb_parser.add_argument("--dataset", required=True, metavar="D", help="name of the dataset: lower-case letters, digits, _")
        return verb_parser

    ingest = add("ingest", _ingest, "Read a behaviour log into a dataset, every row accounted for.", heavy=True)
    add_files(ingest, required=True)
    quality = add("quality", _quality, "Print the quality report of a dataset.", heavy=False)
    quality.add_argument("--out", metavar="FILE", help="write it here (.html, one file without scripts, or .json)")

    add_question(add("insights", _insights, "Tell what happened: tables of the pages Overview and Behaviour, with their SQL.", heavy=False))
    guess = add("estimate", _estimate, "Tell how long each stage will take on this machine, and how much memory.", heavy=False)
    guess.add_argument("--blocks", help="blocks of the profile, such as counts,text,sequence; default: those of the profiles on screen")
    profile = add("profile", _profile, "Encode a profile of every shopper.", heavy=True)
    draw = add("map", _map, "Draw the map of shoppers and their segments (makes profiles when they are missing).", heavy=True)
    draw.add_argument("--redraw", action="store_true", help="lay the whole picture out again, known shoppers included")
    draw.add_argument(
        "--segments", type=segment_count, metavar="N|auto", help="how many, 2 to 12; auto: as many as are stable; default: as on screen"
    )
    draw.add_argument(
        "--demographics",
        action=argparse.BooleanOptionalAction,
        help="tell what the users file says of people (age, region …) among the traits of segments; default: as on screen, else not",
    )
    draw.add_argument(
        "--weights", default="auto", choices=("auto", "usual"), help="of blocks: as `blocks` measured them on this log, or as usual"
    )
    word = add("word", _word, "Let a language model word the segments of the map, from their facts alone.", heavy=True)
    word.add_argument("--writer", metavar="W", help="local:FOLDER, or https://host/v1#MODEL (default: SHOPPER_ATLAS_WRITER)")
    word.add_argument("--language", default="en", choices=("en", "zh"))
    predict = add("predict", _predict, "Train and score: the calibrated chance that each shopper acts within the horizon.", heavy=True)
    predict.add_argument("--act", default="purchase", choices=ACTS)
    predict.add_argument("--category", metavar="C|all", help="a category, or all of them: chance to buy in it")
    predict.add_argument(
        "--models",
        metavar="M,…",
        help="further models that compete: cnn, gru, transformer (over single acts, some minutes each), lightgbm_text, "
        "mlp_tasks (one network for other acts, shorter horizons and single categories, too)",
    )
    predict.add_argument("--optimizer", default="adamw", choices=OPTIMIZERS, help="of the networks")
    predict.add_argument("--look-back", type=days, metavar="DAYS", help="only shoppers with an event in so many days, such as 45 to 90")
    predict.add_argument("--revenue", action="store_true", help="also what each shopper will spend within the horizon")
    predict.add_argument("--attributes", action="store_true", help="let models see shopper attributes (age, region …); off by default")
    recommend = add("recommend", _recommend, "Rank items for every shopper.", heavy=True)
    recommend.add_argument("--k", type=positive, default=20)
    recommend.add_argument("--source", default="blend", help="blend, or one source alone")
    recommend.add_argument("--new-only", action="store_true", help="leave out what the shopper bought before")
    recommend.add_argument("--rules", metavar="FILE", help="a merchant's rules for the lists of --out (docs/offer-rules.md)")
    recommend.add_argument(
        "--relations", metavar="FILE", help="what goes with what (docs/relations.md), kept for later lists; none lifts those that are kept"
    )
    run = add("run", _run, "Everything, in order: ingest (with --events), profiles, map, propensity, recommendations.", heavy=True)
    add_files(run, required=False)
    measured, foretold = add_measuring_verbs(add)
    for verb_parser in (profile, draw, predict, recommend, run, *measured, *foretold):
        add_model(verb_parser)
    for verb_parser in (predict, recommend, run, *foretold):
        verb_parser.add_argument("--horizon", default="auto", help="such as 28d, 7d, 12h; auto fits it to the log's length")
    for verb_parser in (predict, recommend):
        verb_parser.add_argument("--out", metavar="FILE", help="write the table here (.parquet or .csv)")

    lists = add("lists", _lists, "Write everyone's lists of the run on screen to a file, without ranking again.", heavy=False)
    lists.add_argument("--out", required=True, metavar="FILE", help="write the lists here (.parquet or .csv)")
    lists.add_argument("--k", type=positive, default=20, help="items of a list, as far as the run has candidates")
    lists.add_argument("--new-only", action="store_true", help="leave out what the shopper bought before")
    lists.add_argument("--rules", metavar="FILE", help="a merchant's rules (docs/offer-rules.md)")

    add_finding_verbs(add)
    add_questions(add)
    add_report(add)
    add_privacy(add)

    export = add("export", _export, "Write every table of a dataset, one file each.", heavy=False)
    export.add_argument("--out", required=True, metavar="DIR")
    export.add_argument("--format", default="parquet", choices=("parquet", "csv"))

    text = "List, show, compare and choose runs, go back to earlier ones, make one again from its record."
    add_run_verbs(verbs.add_parser("runs", help=text, description=text, epilog="Each takes --home, --dataset and --json."), common, _parser)
    check = add("verify", _verify, "Count the figures of the pages again, in a fresh process, from an export alone.", heavy=False)
    check.add_argument("--out", metavar="DIR", help="keep the export, the figures and what was found")

    add(
        "sort",
        _sort,
        "Sort a copy of a large log by shopper, so that questions are answered fast.",
        heavy=True,
    )
    jobs = add("jobs", _jobs, "List, read or cancel long work.", heavy=False, dataset=False)
    jobs.add_argument("--cancel", metavar="ID")
    jobs.add_argument("--log", metavar="ID")
    add("samples", _samples, "Load the bundled samples when the home is empty, and start computing them.", heavy=True, dataset=False)
    return parser


def _echo(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _fail(arguments: argparse.Namespace, error: BaseException, message: str, status: int) -> int:
    _echo(f"{arguments.verb.__name__.strip('_')}: {message}")
    if arguments.json:
        print(json.dumps({"error": message, "kind": type(error).__name__}, ensure_ascii=False))
    return status


if __name__ == "__main__":
    if sys.platform == "linux" and sys.argv[1:2] != ["helper"]:  # somebody waits for what the helper says
        os.nice(5)  # the dashboard beside us stays quick
    status = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)  # DuckDB's binding would print a page of its own leaked names while the interpreter is taken down
