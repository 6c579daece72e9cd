"""Counts of shoppers to give away: noise by differential privacy, a header that says so, and an account of what was given away so far."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from random import Random
from secrets import SystemRandom
from typing import Any

import pyarrow as pa

from core.artifacts import sha256_of
from core.audiences.words import RFM_WORDS, STAGE_WORDS
from core.errors import RuleError, StorageError
from core.insights import partitions
from core.messages import Message, say
from core.noise import MOST_EPSILON, discrete_laplace, epsilon_of, exact_text, noise_bound
from core.pipeline import choosing, outcomes, screens, shoppers
from core.pipeline.screens import Screen
from core.pipeline.writing import write_rows
from core.privacy import detect_personal_columns
from core.report.speech import speaker
from core.small_cells import marked, middle, worded
from core.store import Home

Result = dict[str, Any]

TABLES = ("segments", "stages", "rfm", "categories")
ATTRIBUTE = "attribute:"
USUAL = ("stages", "rfm", "categories")
"""What every log has."""
MOST_VALUES = 60
"""Of a column that is counted by; with more of them a value is soon a person."""
MOST_EACH = 20
ACT = "share"
"""Name of the entries in the audit trail."""
SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("table", "group", "name")),
        ("bought", pa.bool_()),
        *((name, pa.int64()) for name in ("shoppers", "low", "high")),
    ]
)
MECHANISM = say("discrete Laplace (two-sided geometric), whole numbers drawn exactly from the system's source of chance, anew for each row")
GUARANTEE = say(
    "One shopper more or less, with all her acts and attributes, changes the chance of any content of this file by a factor of at most "
    "e^epsilon."
)
COUNTS = say(
    "Counts carry noise and no bias, so they may be negative and do not add up. Rows of groups without anybody are there too. "
    "From low to high lies the true count with a chance of at least 95 %."
)
NOT_PROTECTED = say(
    "Files add up: who holds several of the same shoppers knows as much as the sum of their epsilons allows. Not protected: a person with "
    "several ids, as one of whom each id counts; that the dataset exists, its version and its cutoff; which groups there are and what they "
    "are called; figures that left in other ways."
)


@dataclass(frozen=True)
class Sharing:
    """What is asked for."""

    epsilon: str = "1"
    """Of the whole file, as it is written; the tables get equal parts of it."""
    tables: tuple[str, ...] = USUAL
    """Names of TABLES, or `attribute:COLUMN`."""
    each: int = 3
    """Categories in which a shopper counts at most: more of them need more noise."""
    language: str = "en"


@dataclass(frozen=True)
class Shared:
    """One table before its noise."""

    name: str
    sensitivity: int
    """How much one shopper more or less changes all counts together at most."""
    basis: Message
    """What its groups stand on."""
    rows: tuple[tuple[str, str | Message, bool], ...]
    """group, name, bought: all there can be, whether anybody is in them or not."""
    counts: dict[tuple[str, bool], int] = field(repr=False)
    """Exact, by group and bought."""


def share(screen: Screen, asked: Sharing, out: Path, rng: Random | None = None) -> Result:
    """Write noised counts of shoppers by group, and whether they bought, as .csv or .parquet, and a line into the audit trail.

    The line comes before the file: what it spends is counted even if the file then cannot be written.

    Args:
        screen: What to read.
        asked: Tables, epsilon.
        out: File to write; CSV begins with lines of `# key: text`, Parquet holds the same as metadata of its schema.
        rng: Chance of a test; that of the system without it.

    Returns:
        header (what the file says of itself), rows, epsilon, epsilon_spent (on this dataset, with this file), sha256, warnings.

    Raises:
        RuleError: epsilon, a table, a column or `each` is none that can be shared.
        NotFoundError: Segments are asked for and there is no map.
        StorageError: The file cannot be written, or the audit trail cannot be read.
    """
    epsilon, home = epsilon_of(asked.epsilon), Home(screen.home)
    tables = exact_tables(screen, asked)
    part = epsilon / len(tables)
    chance, tell = rng or SystemRandom(), speaker(asked.language)
    rows = [row for table in tables for row in _noised(table, part, screen.small_cells, chance)]
    told = pa.Table.from_pylist([{**row, "name": tell(row["name"])} for row in rows], schema=SCHEMA)
    told = marked(told, ("shoppers",), screen.small_cells)
    spent = epsilon_spent(home, screen.name) + epsilon
    header = {key: tell(text) for key, text in _header(screen, tables, epsilon, spent).items()}
    partial = out.with_name(f".{datetime.now(UTC):%H%M%S%f}-{out.name}")
    try:
        if out.suffix == ".parquet":
            write_rows(partial, told.replace_schema_metadata(header))
        else:
            write_rows(partial, worded(told), head=[f"# {key}: {text}" for key, text in header.items()])
        record = {"version": screen.version, "epsilon": exact_text(epsilon), "tables": [table.name for table in tables]}
        sha256 = sha256_of(partial)
        home.append_audit({"act": ACT, "dataset": screen.name, **record, "file": out.name, "sha256": sha256})
        partial.replace(out)
    except OSError as error:
        raise StorageError("{path} cannot be written ({error}). Free space or choose another place.", path=out, error=error) from error
    finally:
        partial.unlink(missing_ok=True)
    warnings = [say("All that was shared of this dataset adds up to an epsilon of {spent}, which protects next to nothing.",
                    spent=exact_text(spent))] if spent > MOST_EPSILON else []  # fmt: skip
    return {
        "dataset": screen.name, "out": str(out), "epsilon": exact_text(epsilon), "epsilon_spent": exact_text(spent),
        "rows": told.num_rows, "header": header, "sha256": sha256, "warnings": warnings,
    }  # fmt: skip


def epsilon_spent(home: Home, dataset: str) -> Fraction:
    """The sum of the epsilons of all files shared of a dataset, whichever its version: one shopper may stand in all of them.

    Raises:
        StorageError: The audit trail cannot be read.
    """
    shared = [entry for entry in home.audit_trail() if entry.get("act") == ACT and entry.get("dataset") == dataset]
    try:
        return sum((epsilon_of(str(entry.get("epsilon"))) for entry in shared), Fraction(0))
    except RuleError as error:
        raise StorageError("The audit trail holds an epsilon that nobody can have spent ({error}). Restore it.", error=error) from error


def exact_tables(screen: Screen, asked: Sharing) -> list[Shared]:
    """Count shoppers by each table that is asked for, without noise; see `share` for errors."""
    names = list(dict.fromkeys(asked.tables))
    if not names:
        raise RuleError("Nothing is asked for; name tables of {known}.", known=_known())
    if not 1 <= asked.each <= MOST_EACH:
        raise RuleError("A shopper counts in 1 to {most} categories; got {each}.", most=MOST_EACH, each=asked.each)
    return [_exact(screen, name, asked.each) for name in names]


def shareable(screen: Screen) -> list[str]:
    """Names of the tables that this dataset has, those of columns last."""
    columns = outcomes.attributes(screen)
    return [*(name for name in TABLES if name != "segments" or screen.run_id("atlas")), *(f"{ATTRIBUTE}{column}" for column in columns)]


def _exact(screen: Screen, name: str, each: int) -> Shared:
    log = screen.log
    end = partitions.last_midnight(log)
    if name == "segments":
        found, _fine = shoppers.segments_in_words(screen)
        names = {str(i): found[i] for i in sorted(found)}  # their order on screen is that of their exact sizes
        known = screens.run_table(screen, "atlas", "users", ["user_id", "segment_id"])
        basis = say("segments of the map {run}: their borders and names were learned from the log and are taken as public",
                    run=str(screen.run_id("atlas")))  # fmt: skip
        return _table(name, 1, basis, {**names, "": say("not on the map")}, partitions.by_segment(log, known))
    if name == "stages":
        basis = say("stage of life by each shopper's own gaps between days; 28 days stand for a gap that she does not have")
        return _table(name, 1, basis, STAGE_WORDS, partitions.by_stage(log, end))
    if name == "rfm":
        basis = say("RFM group by fixed cuts instead of the fifths of all buyers: a last purchase within {days} days, more orders than "
                    "{orders}; money is left out", days=_list(partitions.RECENCY_DAYS), orders=_list(partitions.ORDERS))  # fmt: skip
        return _table(name, 1, basis, RFM_WORDS, partitions.by_rfm(log, end), lambda group, bought: bought == (group != "never"))
    if name == "categories":
        categories, own = partitions.category_names(log, end)
        if not categories:
            raise RuleError("This log knows no categories; leave the table `categories` out.")
        basis = say("the {each} categories that a shopper acted most in, so that she is missing in her others; bought: in that category; "
                    "the catalogue is taken as public", each=each)  # fmt: skip
        if not own:
            basis = say("{basis}; here it comes from rows of the log, so that a category is there tells of an act in it", basis=basis)
        return _table(name, each, basis, dict(zip(categories, categories, strict=True)), partitions.by_category(log, end, each))
    return _attribute(screen, name)


def _attribute(screen: Screen, name: str) -> Shared:
    columns, column = choosing.user_columns(screen), name.removeprefix(ATTRIBUTE)
    if not name.startswith(ATTRIBUTE):
        raise RuleError("There is no table {name!r} to share; there are {known}.", name=name[:60], known=_known())
    if column not in columns:
        raise RuleError("The users table has no column {column!r}; it has {known}.", column=column[:60], known=", ".join(columns) or "–")
    values = partitions.values_of(screen.log, column, MOST_VALUES + 1)
    if len(values) > MOST_VALUES:
        raise RuleError("Column {column!r} has more than {most} values, which may tell persons; choose another.", column=column,
                        most=MOST_VALUES)  # fmt: skip
    if detect_personal_columns({column: values}):
        raise RuleError("Column {column!r} looks like personal data; choose another.", column=column)
    basis = say("values of the column {column}, which are taken as public", column=column)
    groups = {**dict(zip(values, values, strict=True)), "": say("not known")}
    return _table(name, 1, basis, groups, partitions.by_attribute(screen.log, column))


def _table(
    name: str,
    sensitivity: int,
    basis: Message,
    groups: Mapping[str, str | Message],
    counted: pa.Table,
    can_be: Callable[[str, bool], bool] = lambda group, bought: True,
) -> Shared:
    counts: dict[tuple[str, bool], int] = {}
    for row in counted.to_pylist():
        key = (row["cell"] or "", row["bought"])
        counts[key] = counts.get(key, 0) + row["shoppers"]  # NULL and an empty text are one group
    rows = tuple((group, title, bought) for group, title in groups.items() for bought in (True, False) if can_be(group, bought))
    return Shared(name, sensitivity, basis, rows, counts)


def _noised(table: Shared, epsilon: Fraction, k: int, rng: Random) -> Iterator[Result]:
    rate = epsilon / table.sensitivity
    bound = noise_bound(rate)
    for group, name, bought in table.rows:
        shown, low, high = _shown(table.counts.get((group, bought), 0) + discrete_laplace(rate, rng), bound, k)
        yield {"table": table.name, "group": group, "name": name, "bought": bought, "shoppers": shown, "low": low, "high": high}


def _shown(count: int, bound: int, k: int) -> tuple[int | None, int | None, int | None]:
    """What is told of a noised count, and between what the true one lies; steps of k hide small ones when k is not 0."""
    if not k:
        return count, count - bound, count + bound
    shown = middle(max(count, 0), k)
    if not shown:
        return (None, None, None) if shown is None else (0, -bound, bound)
    first = shown - k // 2
    return shown, first - bound, first + k - 1 + bound


def _header(screen: Screen, tables: list[Shared], epsilon: Fraction, spent: Fraction) -> dict[str, str]:
    """What a file says of itself; the keys are for machines, the sentences for people."""
    part = epsilon / len(tables)
    found: dict[str, str] = {
        "about": say("Counts of shoppers with noise, by user-level differential privacy"),
        "dataset": screen.name,
        "version": screen.version,
        "cutoff": f"{partitions.last_midnight(screen.log):%Y-%m-%d} UTC",
        "made": f"{datetime.now(UTC):%Y-%m-%d} UTC",
        "epsilon": exact_text(epsilon),
        "epsilon_spent": exact_text(spent),
        "composition": say(
            "The epsilon of the file is the sum of those of its tables; epsilon_spent is that of all files of this dataset."
        ),
        "mechanism": MECHANISM,
        "guarantee": GUARANTEE,
        "counts": COUNTS,
        "not_protected": NOT_PROTECTED,
    }
    if screen.small_cells:
        found["small_cells"] = say(
            "Small counts are hidden on top: a noised count below {k} is left out, any other is told by the middle of its step of {k}.",
            k=screen.small_cells,
        )
    for table in tables:
        bound = noise_bound(part / table.sensitivity)
        found[table.name] = say("epsilon {epsilon}, sensitivity {sensitivity}, noise within ±{bound} (95 %): {basis}",
                                epsilon=exact_text(part), sensitivity=table.sensitivity, bound=bound, basis=table.basis)  # fmt: skip
    return found


def _known() -> str:
    return ", ".join((*TABLES, f"{ATTRIBUTE}COLUMN"))


def _list(numbers: Iterable[int]) -> str:
    return ", ".join(str(number) for number in sorted(numbers))
