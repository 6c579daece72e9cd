"""The verb `privacy`: tell or choose below which count of people figures are hidden."""

import argparse
from collections.abc import Callable
from typing import Any

from core.jobs import Reporter
from core.store import Home


def add_privacy(add: Callable[..., argparse.ArgumentParser]) -> None:
    """Add the verb; `add` takes name, function, sentence, heavy and dataset, and returns its parser."""
    text = "Tell whether small counts of people are hidden, or choose it for every data set of the home."
    parser = add("privacy", _privacy, text, heavy=False, dataset=False)
    parser.add_argument("--small-cells", type=small_cells, metavar="K|off", help="hide counts of fewer than K shoppers, such as 20")


def small_cells(text: str) -> int:
    """A whole number of people, or `off`, which is 0."""
    return 0 if text == "off" else int(text)


def _privacy(arguments: argparse.Namespace, home: Home, report: Reporter) -> dict[str, Any]:
    if arguments.small_cells is not None:
        home.save_small_cells(arguments.small_cells)
    return {"small_cells": home.small_cells() or "off", "warnings": []}
