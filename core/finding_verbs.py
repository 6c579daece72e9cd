"""Verbs of the command line that find: items by words or likeness, shoppers by rule, by others like them, or by an advertisement."""

import argparse
from collections.abc import Callable
from typing import Any

from core.arguments import TABLE_ENDINGS, add_audience, audience_options, cutoff_of, out_path, positive, read_file, rule_of, strength
from core.jobs import Reporter
from core.pipeline import screens, targeting
from core.store import Home

Result = dict[str, Any]


def add_finding_verbs(add: Callable[..., argparse.ArgumentParser]) -> None:
    """Add the verbs; `add` takes name, function, sentence, heavy and dataset, and returns the parser of the verb."""
    search = add("search", _search, "Find items by words and by meaning, in everybody's order or in a shopper's own.", heavy=False)
    wanted = search.add_mutually_exclusive_group(required=True)
    wanted.add_argument("--query", metavar="Q")
    wanted.add_argument("--like", metavar="ITEM", help="list the items whose texts and pictures are most like this one's")
    search.add_argument("--user", metavar="U", help="whose order; without it everybody's")
    search.add_argument("--strength", type=strength, default=0.5, help="0: everybody's order, 1: the shopper's own alone")
    search.add_argument("--k", type=positive, default=20)
    search.add_argument("--cutoff", metavar="T", help="behave as if the log ended at T (exclusive)")

    add_audience(add("audience", _audience, "Size an audience rule and write its shoppers to a file.", heavy=False))
    alike = add("alike", _alike, "Find the shoppers most like a list of others, and tell how well that works.", heavy=False)
    alike.add_argument("--ids", required=True, metavar="FILE", help="CSV, or one id a line")
    ad = add("ad", _ad, "Find the shoppers most likely to answer an advertisement, and tell how well that works.", heavy=False)
    ad.add_argument("--text", default="", help="of the advertisement")
    ad.add_argument("--items", nargs="+", metavar="ITEM", help="items that it shows")
    for verb_parser in (alike, ad):
        verb_parser.add_argument("--k", type=positive, default=1000)
        verb_parser.add_argument("--out", metavar="FILE", help="write the shoppers here (.parquet or .csv)")


def _search(arguments: argparse.Namespace, home: Home, report: Reporter) -> Result:
    screen = screens.open_screen(home, arguments.dataset)
    if arguments.like is not None:
        from core.pipeline.alike import alike

        return alike(screen, arguments.like, arguments.k, cutoff_of(arguments))
    from core.pipeline.searching import search, search_record

    return search_record(search(screen, arguments.query, arguments.user, arguments.strength, arguments.k, cutoff_of(arguments)))


def _audience(arguments: argparse.Namespace, home: Home, report: Reporter) -> Result:
    dataset, out = home.dataset(arguments.dataset), out_path(arguments, TABLE_ENDINGS)
    return targeting.audience(home, dataset, rule=rule_of(arguments), options=audience_options(arguments), out=out)


def _alike(arguments: argparse.Namespace, home: Home, report: Reporter) -> Result:
    from core.pipeline.planning import alike_record

    return alike_record(screens.open_screen(home, arguments.dataset), read_file(arguments.ids), arguments.k, out_path(arguments))


def _ad(arguments: argparse.Namespace, home: Home, report: Reporter) -> Result:
    from core.pipeline.matching import match_ad, match_record

    found = match_ad(screens.open_screen(home, arguments.dataset), arguments.text, arguments.items or (), arguments.k)
    return match_record(found, out_path(arguments))
