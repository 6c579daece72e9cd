"""Verbs that measure a chance beside the one on screen: past windows, few labels, and a question of one's own."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from core.arguments import cutoff_of, horizon_of, out_path, positive, profile_options
from core.errors import FileError
from core.jobs import Reporter
from core.pipeline.options import ProfileOptions
from core.schema import ACTS
from core.store import Home

Result = dict[str, Any]


def add_measuring_verbs(add: Callable[..., argparse.ArgumentParser]) -> list[argparse.ArgumentParser]:
    """Add `backtest`, `learn`, `ask` and `answer`; returns the parsers that take what makes a profile, those with a horizon first."""
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
    for parser in (ask, answer):
        parser.add_argument("--question", required=True, metavar="NAME", help="such as: buys gifts")
    return [past, learn, ask, answer]


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
