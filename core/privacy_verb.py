"""The verbs `privacy`, below which count of people figures are hidden, and `share`, counts with noise to give away."""

import argparse
from collections.abc import Callable
from typing import Any

from core.arguments import out_path, positive
from core.jobs import Reporter
from core.store import Home


def add_privacy(add: Callable[..., argparse.ArgumentParser]) -> None:
    """Add the verbs; `add` takes name, function, sentence, heavy and dataset, and returns its parser."""
    text = "Tell whether small counts of people are hidden, or choose it for every data set of the home."
    parser = add("privacy", _privacy, text, heavy=False, dataset=False)
    parser.add_argument("--small-cells", type=small_cells, metavar="K|off", help="hide counts of fewer than K shoppers, such as 20")
    shared = add("share", _share, "Write counts of shoppers by group with noise (differential privacy), to give away.", heavy=False)
    shared.add_argument(
        "--epsilon", default="1", metavar="E", help="budget of the whole file, its tables get equal parts: less, more noise"
    )
    shared.add_argument(
        "--tables", metavar="T,…", help="of segments, stages, rfm, categories, attribute:COLUMN; default: stages,rfm,categories"
    )
    shared.add_argument("--each", type=positive, default=3, metavar="L", help="categories that a shopper counts in at most")
    shared.add_argument("--language", default="en", choices=("en", "zh"))
    shared.add_argument("--out", required=True, metavar="FILE", help=".csv with a header of # lines, or .parquet with the same as metadata")


def small_cells(text: str) -> int:
    """A whole number of people, or `off`, which is 0."""
    return 0 if text == "off" else int(text)


def _privacy(arguments: argparse.Namespace, home: Home, report: Reporter) -> dict[str, Any]:
    if arguments.small_cells is not None:
        home.save_small_cells(arguments.small_cells)
    return {"small_cells": home.small_cells() or "off", "warnings": []}


def _share(arguments: argparse.Namespace, home: Home, report: Reporter) -> dict[str, Any]:
    from core.pipeline.screens import open_screen
    from core.pipeline.sharing import USUAL, Sharing, share

    out = out_path(arguments)
    assert out is not None  # it is required
    tables = USUAL if arguments.tables is None else tuple(name.strip() for name in arguments.tables.split(",") if name.strip())
    asked = Sharing(arguments.epsilon, tables, arguments.each, arguments.language)
    return share(open_screen(home, arguments.dataset), asked, out)
