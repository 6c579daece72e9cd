"""Verbs that measure when somebody asks: what blocks and texts add, what other logs teach, past windows, few labels, own questions."""

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from core.arguments import cutoff_of, horizon_of, out_path, positive, profile_options
from core.errors import FileError
from core.jobs import Reporter
from core.pipeline.options import ProfileOptions
from core.pipeline.treatments import OUTCOMES
from core.schema import ACTS
from core.store import Home
from core.windows import parse_time

Result = dict[str, Any]


def add_measuring_verbs(add: Callable[..., argparse.ArgumentParser]) -> tuple[list[argparse.ArgumentParser], list[argparse.ArgumentParser]]:
    """Add the verbs; all take what makes a profile. Returns their parsers: those without a horizon, and those that look ahead."""
    blocks = add("blocks", _blocks, "Tell what each block of a profile adds on this log: a linear probe, with intervals.", heavy=True)
    tune = add("tune", _tune, "Tune the text model on histories told as texts, by several ways, and say what it adds.", heavy=True)
    tune.add_argument("--act", default="purchase", choices=ACTS)
    tune.add_argument(
        "--labels", default="acts", choices=("acts", "contrastive"), help="who acts, or which halves of histories belong together"
    )
    tune.add_argument(
        "--keep",
        default="best",
        choices=("best", "lora", "adalora", "ia3", "full", "none"),
        help="whose weights stay for profile --model tuned",
    )
    tune.add_argument("--shoppers", type=positive, default=600, help="drawn to learn from, and as many to judge")
    tune.add_argument("--tokens", type=positive, default=32, help="of a history told as a text")
    tune.add_argument("--epochs", type=positive, default=2)
    tune.add_argument("--rank", type=positive, default=8, help="of LoRA in each layer, and of AdaLoRA in the mean over layers")
    compress = add("compress", _compress, "Make smaller forms of the text model: size, speed and what they still say.", heavy=True)
    compress.add_argument("--texts", type=positive, default=2000, help="drawn from the catalogue: half teach, half judge")
    transfer = add("transfer", _transfer, "Foretell who acts by what another dataset taught: with no, few and all labels.", heavy=True)
    transfer.add_argument("--from", dest="source", required=True, metavar="A", help="the dataset that is learned from")
    transfer.add_argument("--from-cutoff", dest="source_cutoff", metavar="T", help="behave as if that log ended at T")
    transfer.add_argument("--act", default="purchase", choices=ACTS)
    past = add("backtest", _backtest, "Foretell every past window from what was known before it: predicted against happened.", heavy=True)
    past.add_argument("--predictor", default="auto", help="auto (the model on screen, where affordable), lightgbm, logistic, mlp, mean …")
    past.add_argument("--windows", type=positive, default=24, help="newest windows judged")
    learn = add(
        "learn", _learn, "Tell how a chance grows with its labels: counts against profiles, pseudo-labels, clever questions.", heavy=True
    )
    for parser in (past, learn):
        parser.add_argument("--act", default="purchase", choices=ACTS)
    ask = add("ask", _ask, "Choose shoppers to be answered for, for a question of your own: the least sure, unlike each other.", heavy=True)
    ask.add_argument("--count", type=positive, default=50)
    ask.add_argument("--out", required=True, metavar="FILE", help="write them here (.csv or .parquet)")
    answer = add("answer", _answer, "Take in answers and foretell the answer of every shopper.", heavy=True)
    answer.add_argument("--answers", metavar="FILE.csv", help="columns user_id and answer; left out: the answers already taken in")
    answer.add_argument("--out", metavar="FILE", help="write the scores of all shoppers here (.parquet or .csv)")
    uplift = add(
        "uplift",
        _uplift,
        "Measure what a campaign changed: groups alike or not, effect, Qini, placebos; from a file of who was treated.",
        heavy=True,
    )
    uplift.add_argument("--treatment", required=True, metavar="FILE", help="columns user_id, and if known campaign_id, treated, start")
    uplift.add_argument("--campaigns", metavar="FILE", help="columns campaign_id, start_date")
    uplift.add_argument("--campaign", metavar="C", help="which one, where the file holds several")
    uplift.add_argument("--start", metavar="T", help="when it began; features are of before; default: as the files say")
    uplift.add_argument("--act", default="purchase", choices=OUTCOMES, help="what it may have changed within the horizon")
    for parser in (ask, answer):
        parser.add_argument("--question", required=True, metavar="NAME", help="such as: buys gifts")
    return [compress, ask, answer], [blocks, tune, transfer, past, learn, uplift]


def _blocks(arguments: argparse.Namespace, home: Home, report: Reporter) -> Result:
    from core.pipeline.judging import OFFERED, judge_blocks

    held = profile_options(arguments, home).blocks
    chosen = held if arguments.blocks else (*OFFERED, *(block for block in held if block not in OFFERED))
    return _measured("blocks", judge_blocks, arguments, home, report, chosen, horizon=horizon_of(arguments))


def _tune(arguments: argparse.Namespace, home: Home, report: Reporter) -> Result:
    from core.pipeline.tuning import tune_texts

    asked = {name: getattr(arguments, name) for name in ("act", "labels", "keep", "shoppers", "tokens", "epochs", "rank")}
    return _measured("tune", tune_texts, arguments, home, report, horizon=horizon_of(arguments), **asked)


def _compress(arguments: argparse.Namespace, home: Home, report: Reporter) -> Result:
    from core.pipeline.tuning import compress_texts

    return _measured("compress", compress_texts, arguments, home, report, texts=arguments.texts)


def _transfer(arguments: argparse.Namespace, home: Home, report: Reporter) -> Result:
    from core.pipeline.transferring import transfer

    earlier = parse_time(arguments.source_cutoff) if arguments.source_cutoff else None
    asked = {"source": home.dataset(arguments.source), "source_cutoff": earlier, "act": arguments.act, "horizon": horizon_of(arguments)}
    return _measured("transfer", transfer, arguments, home, report, **asked)


def _measured(
    stage: str,
    measure: Callable[..., Result],
    arguments: argparse.Namespace,
    home: Home,
    report: Reporter,
    blocks: tuple[str, ...] = ProfileOptions.blocks,
    **asked: Any,
) -> Result:
    """Run what is measured only when somebody asks."""
    asked |= {"options": replace(profile_options(arguments, home), blocks=blocks), "seed": arguments.seed}
    with report.stage(stage, 0.0, 1.0):
        return measure(home, dataset=home.dataset(arguments.dataset), cutoff=cutoff_of(arguments), progress=report, **asked)


def _backtest(arguments: argparse.Namespace, home: Home, report: Reporter) -> Result:
    from core.pipeline.backtesting import back_test

    with report.stage("backtest", 0.0, 1.0):
        return back_test(
            home,
            home.dataset(arguments.dataset),
            cutoff=cutoff_of(arguments),
            act=arguments.act,
            horizon=horizon_of(arguments),
            predictor=arguments.predictor,
            windows=arguments.windows,
            options=profile_options(arguments, home),
            seed=arguments.seed,
            progress=report,
        )


def _learn(arguments: argparse.Namespace, home: Home, report: Reporter) -> Result:
    from core.pipeline.learning import learn_curve

    with report.stage("learn", 0.0, 1.0):
        return learn_curve(
            home,
            home.dataset(arguments.dataset),
            cutoff=cutoff_of(arguments),
            act=arguments.act,
            horizon=horizon_of(arguments),
            options=profile_options(arguments, home),
            seed=arguments.seed,
            progress=report,
        )


def _uplift(arguments: argparse.Namespace, home: Home, report: Reporter) -> Result:
    from core.pipeline.uplifting import measure_uplift

    with report.stage("uplift", 0.0, 1.0):
        return measure_uplift(
            home,
            home.dataset(arguments.dataset),
            treatment=Path(arguments.treatment),
            campaigns=Path(arguments.campaigns) if arguments.campaigns else None,
            campaign=arguments.campaign,
            start=parse_time(arguments.start) if arguments.start else None,
            cutoff=cutoff_of(arguments),
            act=arguments.act,
            horizon=horizon_of(arguments),
            seed=arguments.seed,
            progress=report,
        )


def _ask(arguments: argparse.Namespace, home: Home, report: Reporter) -> Result:
    from core.pipeline.answering import ask

    out = out_path(arguments)
    assert out is not None
    with report.stage("ask", 0.0, 1.0):
        return ask(home, question=arguments.question, count=arguments.count, out=out, **_asked(arguments, home, report))


def _answer(arguments: argparse.Namespace, home: Home, report: Reporter) -> Result:
    from core.pipeline.answering import answer

    file = Path(arguments.answers) if arguments.answers else None
    if file is not None and not file.is_file():
        raise FileError("The answers {path!r} do not exist; give the file that `ask` wrote, filled in.", path=arguments.answers)
    with report.stage("ask", 0.0, 1.0):
        return answer(home, question=arguments.question, file=file, out=out_path(arguments), **_asked(arguments, home, report))


def _asked(arguments: argparse.Namespace, home: Home, report: Reporter) -> dict[str, Any]:
    options: ProfileOptions = profile_options(arguments, home)
    asked = {"dataset": home.dataset(arguments.dataset), "cutoff": cutoff_of(arguments)}
    return {**asked, "options": options, "seed": arguments.seed, "progress": report}
