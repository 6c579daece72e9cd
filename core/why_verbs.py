"""Verbs of the command line that ask a trained model: why, what if, score one history; and the helper that answers the dashboard."""

import argparse
from collections.abc import Callable
from typing import Any

from core.arguments import seed_number
from core.helper import serve
from core.jobs import Reporter
from core.messages import say
from core.store import Home

Result = dict[str, Any]


def add_questions(add: Callable[..., argparse.ArgumentParser]) -> None:
    """Add the verbs; `add` takes name, function, sentence, heavy and dataset, and returns the parser of the verb."""
    told = "Tell what the model looks at over all shoppers, and whether those scored are like those learned from."
    explain = add("explain", _explain, told, heavy=True)
    explain.add_argument("--groups", action="store_true", help="also compare groups of people by their demographics")
    explain.add_argument("--seed", type=seed_number, default=0)
    robust = add(
        "robustness", _robustness, "Tell how much worse chances get when events are lost, times move and items are mixed up.", heavy=True
    )
    robust.add_argument("--seed", type=seed_number, default=0)
    why = add("why", _why, "Tell what makes one shopper's chance, and what would change it by the model's view.", heavy=False)
    why.add_argument("--user", required=True, metavar="U")
    why.add_argument("--change", metavar="JSON", help='such as {"drop": [0], "closer_days": 3, "add": [{"event_type": "cart"}]}')
    why.add_argument("--category", metavar="C", help="instead the chance to buy in this category; the run needs chances by category")
    why.add_argument("--lift", action="store_true", help="try the allowed changes, best first")
    why.add_argument("--seed", type=seed_number, default=0)
    score_one = add("score-one", _score_one, "Score one history that is typed or pasted.", heavy=False)
    score_one.add_argument(
        "--history", required=True, metavar="FILE|TEXT", help="CSV or JSON rows: event_type, event_time or days_ago, item_id …"
    )
    for verb_parser in (explain, robust, why, score_one):
        verb_parser.add_argument("--run", metavar="R", help="a propensity run; default: the one on screen")
    add("helper", _helper, "Answer questions of the dashboard (started by it).", heavy=False, dataset=False)


def _explain(arguments: argparse.Namespace, home: Home, report: Reporter) -> Result:
    from core.pipeline.explaining_all import explain_all

    dataset = home.dataset(arguments.dataset)
    with report.stage("explain", 0.0, 1.0):
        return explain_all(home, dataset, run_id=arguments.run, groups=arguments.groups, seed=arguments.seed, progress=report)


def _robustness(arguments: argparse.Namespace, home: Home, report: Reporter) -> Result:
    from core.pipeline.damaging import measure_robustness

    dataset = home.dataset(arguments.dataset)
    with report.stage("robustness", 0.0, 1.0):
        return measure_robustness(home, dataset, run_id=arguments.run, seed=arguments.seed, progress=report)


def _why(arguments: argparse.Namespace, home: Home, report: Reporter) -> Result:
    from core.explain.changes import change_from
    from core.pipeline import explaining
    from core.pipeline.explaining_categories import open_categories, why_category
    from core.pipeline.reading import open_reading

    dataset = home.dataset(arguments.dataset)
    if arguments.category is not None:
        return why_category(open_categories(home, dataset, arguments.run), arguments.user, arguments.category)
    reading = open_reading(home, dataset, arguments.run)
    if arguments.change is None and not arguments.lift:
        return explaining.why(reading, arguments.user, arguments.seed)
    events = reading.history(arguments.user)
    if arguments.lift:
        view = say("New acts are set an hour before the cutoff. This is the model's view, no cause: to know an effect, keep a holdout.")
        return explaining.what_lifts(reading, events) | {"warnings": [view]}
    view = say("The model's view of another history. It tells what such shoppers do, not what happens when you make somebody act.")
    return explaining.what_if(reading, events, change_from(arguments.change)) | {"warnings": [view]}


def _score_one(arguments: argparse.Namespace, home: Home, report: Reporter) -> Result:
    from core.pipeline import explaining
    from core.pipeline.reading import open_reading

    reading = open_reading(home, home.dataset(arguments.dataset), arguments.run)
    return explaining.score_history(reading, explaining.history_text(arguments.history))


def _helper(arguments: argparse.Namespace, home: Home, report: Reporter) -> Result:
    from core.pipeline.explaining import ANSWERS

    return {"answered": serve(home, ANSWERS), "warnings": []}
