"""The verbs `report`, ticked sections as HTML, PDF and ZIP, and `brief`, a page about each of some shoppers."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from core.arguments import add_filters
from core.jobs import Reporter
from core.pipeline.insight_tables import filters_of
from core.pipeline.report_sections import SECTIONS
from core.store import Home


def add_report(add: Callable[..., argparse.ArgumentParser]) -> None:
    """Add the verbs; `add` takes name, function, sentence and heavy, and returns its parser."""
    parser = add("report", _report, "Write a report: HTML that works without a network, PDF, and a ZIP of CSV and SQL.", heavy=False)
    parser.add_argument("--sections", default=",".join(SECTIONS), metavar="S,…", help=f"of {', '.join(SECTIONS)}; default: all")
    parser.add_argument("--title", default="", help="default: names the dataset")
    parser.add_argument("--language", default="en", choices=("en", "zh"))
    parser.add_argument("--out", metavar="DIR", help="also put the three files here")
    add_filters(parser)
    told = add("brief", _brief, "Write one page about each of some shoppers, for service: HTML and PDF.", heavy=False)
    told.add_argument("--users", nargs="+", default=[], metavar="U", help="ids of shoppers")
    told.add_argument("--ids", metavar="FILE", help="a file of ids, one a line")
    told.add_argument("--language", default="en", choices=("en", "zh"))
    told.add_argument("--out", required=True, metavar="DIR", help="takes brief.html and brief.pdf")
    told.add_argument("--writer", metavar="W", help="a language model puts the facts into words: local:FOLDER, or https://host/v1#MODEL")


def _report(arguments: argparse.Namespace, home: Home, report: Reporter) -> dict[str, Any]:
    from core.pipeline.reporting import Asked, make_report

    sections = tuple(name.strip() for name in arguments.sections.split(",") if name.strip())
    asked = Asked(sections, arguments.title, arguments.language, arguments.days, filters_of(vars(arguments)))
    out = Path(arguments.out) if arguments.out else None
    with report.stage("report", 0.0, 1.0):
        return make_report(home, home.dataset(arguments.dataset), asked, out, report)


def _brief(arguments: argparse.Namespace, home: Home, report: Reporter) -> dict[str, Any]:
    from core.pipeline.briefing import listed_ids, write_briefs

    ids = [*arguments.users, *(listed_ids(Path(arguments.ids)) if arguments.ids else [])]
    words = None
    if arguments.writer:
        from core.pipeline.wording import brief_words

        words = brief_words(arguments.writer, arguments.language)
    users, out = list(dict.fromkeys(ids)), Path(arguments.out)
    with report.stage("brief", 0.0, 1.0):
        return write_briefs(home, home.dataset(arguments.dataset), users, out, arguments.language, words, report)
