"""Damaged logs with known truth: does each load as the truth, or is it said what happened to it?

`python -m tests.damage --count 2000 --seed 1` prints a table of damages and outcomes, and each file that loaded differently
without a word. The same seed makes the same files.
"""

import argparse
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from random import Random
from typing import Any

from core.errors import CoreError
from core.ingest.ingest import IngestRequest, ingest_log
from core.messages import Message
from core.store import Home
from tests.damages import DAMAGES, clean_draft

OUTCOMES = ("truth", "truth, with a word", "rows set aside", "said in a warning", "refused", "WITHOUT A WORD")
SILENT = OUTCOMES[-1]

Event = tuple[Any, ...]
_FIELDS = "user_id, item_id, event_type, event_time, price, quantity, query, order_id"


@dataclass(frozen=True)
class Case:
    """One damaged file."""

    seed: int
    damages: tuple[str, ...]
    data: bytes
    clean: bytes
    truth: tuple[Event, ...]


@dataclass(frozen=True)
class Verdict:
    """What became of it."""

    outcome: str
    detail: str
    """The error, the warnings, or the rows that differ."""


@dataclass(frozen=True)
class Loaded:
    """What a version holds."""

    events: Counter[Event]
    quarantined: tuple[str, ...]
    warnings: tuple[Message, ...]


def make_case(seed: int, damage: str | None = None) -> Case:
    """Make the file of a seed; with one damage, rarely two, unless one is named."""
    rng = Random(seed)
    draft = clean_draft(rng)
    clean = draft.render()
    names = [damage] if damage else rng.sample(sorted(DAMAGES), 2 if rng.random() < 0.15 else 1)
    for name in names:
        DAMAGES[name](draft, rng)
    return Case(seed, tuple(names), draft.render(), clean, tuple(map(_typed, draft.truth)))


def judge(case: Case, folder: Path) -> Verdict:
    """Ingest a damaged file and say which outcome it is.

    A row of the truth that is missing must stand in quarantine with its text, and a row that is not of the truth needs a
    warning that the clean file does not bring; a warning with a count excuses as many rows as it counts.
    """
    try:
        loaded = ingest_bytes(case.data, folder / "damaged" / "log.csv")
    except CoreError as error:
        return Verdict("refused", str(error))
    truth = Counter(case.truth)
    missing, foreign = truth - loaded.events, loaded.events - truth
    usual = _usual_warnings(case.clean) if loaded.warnings else ()
    said = [warning for warning in loaded.warnings if warning not in usual]
    if not missing and not foreign:
        return Verdict(OUTCOMES[1] if said else OUTCOMES[0], " | ".join(map(str, said)))
    lost = _not_set_aside(list(missing.elements()), [str(event[-1]) for event in case.truth], loaded.quarantined)
    if not lost and not foreign:
        return Verdict(OUTCOMES[2], " | ".join(map(str, said)))
    told, excused = _excuses(said, list(foreign.elements()))
    if excused >= max(len(lost), foreign.total()):
        return Verdict(OUTCOMES[3], " | ".join(told))
    return Verdict(
        SILENT,
        f"lost {lost[:3]} ({len(lost)})\n    foreign {list(foreign)[:3]} ({foreign.total()})"
        f"\n    set aside {len(loaded.quarantined)}; said {[str(warning) for warning in said]}",
    )


@lru_cache(maxsize=4)  # damages of one seed have the same clean file
def _usual_warnings(clean: bytes) -> tuple[Message, ...]:
    with tempfile.TemporaryDirectory() as folder:
        return ingest_bytes(clean, Path(folder) / "clean" / "log.csv").warnings


def _not_set_aside(missing: list[Event], marks: list[str], quarantined: tuple[str, ...]) -> list[Event]:
    """Missing rows that no quarantined row can be: by the mark, or, where the damage took the mark, by number."""
    aside = "\n".join(quarantined)
    unmarked = sum(not any(mark in text for mark in marks) for text in quarantined)
    lost = [event for event in missing if str(event[-1]) not in aside]
    return lost[unmarked:]


def _excuses(said: list[Message], foreign: list[Event]) -> tuple[list[str], float]:
    """Warnings that speak of changed values or lost lines, and how many rows they excuse together."""
    told, rows = [], 0.0
    for warning in said:
        if "quarantined" in warning or "merged by rule" in warning or "no part of the table" in warning:
            continue  # those rows are looked up by their text
        told.append(str(warning))
        count = warning.values.get("n")
        if "event words" in warning:
            rows += sum(event[2] == "other" for event in foreign)
        else:
            each = 2 if "inside" in warning else 1  # a line end inside a value stands between two rows that became one
            rows += each * (float(count) if isinstance(count, int) else 1 if warning.startswith("1 ") else float("inf"))
    return told, rows


def ingest_bytes(data: bytes, path: Path) -> Loaded:
    """Write a file and ingest it into a home beside it."""
    path.parent.mkdir(parents=True)
    path.write_bytes(data)
    dataset = Home(path.parent / "home").dataset("d", create=True)
    record = ingest_log(dataset, IngestRequest((path,)))
    assert record["rows_read"] == record["rows_kept"] + record["rows_quarantined"] + record["rows_merged"]
    with dataset.log().history() as connection:
        rows = connection.execute(f"SELECT {_FIELDS} FROM main.events").fetchall()
        texts = [text or "" for (text,) in connection.execute("SELECT text FROM main.quarantine").fetchall()]
    assert len(texts) == record["rows_quarantined"]
    events = Counter((*row[:4], _number(row[4]), _number(row[5]), *row[6:]) for row in rows)
    return Loaded(events, tuple(texts), tuple(record["warnings"]))


def _typed(row: dict[str, Any]) -> Event:
    return (
        *(row[name] for name in ("user_id", "item_id", "event_type", "event_time")),
        _number(row["price"]),
        _number(row["quantity"]),
        row["query"] or None,
        row["order_id"],
    )


def _number(value: object) -> Decimal | None:
    return None if value is None else Decimal(str(value)).normalize()


def run(count: int, seed: int, only: str | None = None) -> Iterator[tuple[Case, Verdict]]:
    """Yield cases and their verdicts."""
    for number in range(count):
        case = make_case(seed * 1_000_000 + number, only)
        with tempfile.TemporaryDirectory() as folder:
            yield case, judge(case, Path(folder))


def main(words: list[str] | None = None) -> int:
    """Run the script; 1 when a file loaded differently without a word."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--damage", choices=sorted(DAMAGES), help="only this one")
    parser.add_argument("--keep", type=Path, help="folder for the files that loaded differently without a word")
    parser.add_argument("--show", action="store_true", help="print every verdict")
    given = parser.parse_args(words)
    table: dict[str, Counter[str]] = defaultdict(Counter)
    started = time.monotonic()
    for case, verdict in run(given.count, given.seed, given.damage):
        table[case.damages[0] if len(case.damages) == 1 else "two at once"][verdict.outcome] += 1
        if given.show or verdict.outcome == SILENT:
            sys.stdout.write(f"{case.seed} {'+'.join(case.damages)}: {verdict.outcome}\n    {verdict.detail}\n")
            sys.stdout.flush()
        if given.keep and verdict.outcome == SILENT:
            given.keep.mkdir(parents=True, exist_ok=True)
            (given.keep / f"{case.seed}.csv").write_bytes(case.data)
    total = sum(table.values(), Counter[str]())
    for name, counts in [("damage", None), *sorted(table.items()), ("all", total)]:
        cells = OUTCOMES if counts is None else [str(counts[outcome]).rjust(len(outcome)) for outcome in OUTCOMES]
        sys.stdout.write(f"| {name:44} | {' | '.join(cells)} |\n")
    sys.stdout.write(f"{given.count} files in {time.monotonic() - started:.0f} s\n")
    return int(total[SILENT] > 0)


if __name__ == "__main__":
    raise SystemExit(main())
