"""Who was treated: files of treated shoppers or of whole campaigns, as CSV or Parquet."""

import csv
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from core.errors import FileError, NotFoundError
from core.windows import parse_time

MOST_BYTES = 200_000_000
"""A list of treated shoppers is small; what is larger is another file."""
USER = ("user_id", "household_id", "customer_id", "shopper_id", "household_key")
CAMPAIGN = ("campaign_id", "campaign")
TREATED = ("treated", "treatment", "group")
START = ("start", "start_date", "start_time", "start_day")
YES = frozenset({"1", "1.0", "yes", "y", "true", "t", "treated", "treatment", "test", "是"})
NO = frozenset({"0", "0.0", "no", "n", "false", "f", "control", "holdout", "否"})
NAMED = 8
"""Campaigns named in a message."""


@dataclass(frozen=True)
class Treatment:
    """One campaign: who was treated, who was kept out of it on purpose, and when it began."""

    campaign: str | None
    start: datetime
    """First instant at which it may have changed anything, UTC."""
    treated: frozenset[str]
    held_out: frozenset[str] | None
    """Those written down as not treated; None when the file names only the treated, then all others of the log are compared."""
    elsewhere: frozenset[str]
    """Shoppers of other campaigns in the file that began within the asked-for span around the start."""


def read_treatment(path: Path, campaigns: Path | None, campaign: str | None, start: datetime | None, days_around: float = 0.0) -> Treatment:
    """Read one campaign.

    Args:
        path: A row for each treated shopper: user_id, and where there are any campaign_id, treated (1/0), start.
        campaigns: A row for each campaign: campaign_id and start_date; None without such a file.
        campaign: Which one; None when the file holds only one.
        start: When it began; None takes it from the files.
        days_around: Other campaigns that began so near are counted.

    Raises:
        FileError: A file cannot be read, lacks a column, or holds a word that says neither yes nor no.
        NotFoundError: There is no such campaign, or it has to be named.
    """
    rows, names = _rows(path), _columns(path)
    user, of, treated_in = (_named(names, known) for known in (USER, CAMPAIGN, TREATED))
    if user is None:
        raise FileError("{name} lacks a column of shoppers; call it user_id. It has: {columns}.", name=path.name, columns=_listed(names))
    starts = _starts(rows, names, of) | (_starts(_rows(campaigns), _columns(campaigns), None) if campaigns else {})
    known = Counter(_text(row[of]) for row in rows) if of else Counter({None: len(rows)})
    if of and campaign is None and len(known) > 1:
        most = [f"{name} ({n})" for name, n in known.most_common(NAMED)]
        raise NotFoundError("{name} holds {n} campaigns; name one. The largest: {most}.", name=path.name, n=len(known), most=_listed(most))
    if campaign is not None and (not of or campaign not in known):
        raise NotFoundError("{name} holds no campaign {campaign!r}.", name=path.name, campaign=campaign[:60])
    chosen = campaign if of and campaign is not None else next(iter(known), None)
    begun = start or starts.get(chosen)
    if begun is None:
        raise FileError("When the treatment began stands in no file; say it, such as 2017-05-08.")
    own = [row for row in rows if of is None or _text(row[of]) == chosen]
    treated, out = set[str](), set[str]()
    for number, row in enumerate(own, start=2):
        if name := _text(row[user]):
            (treated if treated_in is None or _is_treated(row[treated_in], number, path) else out).add(name)
    near = {name for name, when in starts.items() if name != chosen and abs((when - begun).total_seconds()) <= days_around * 86_400}
    elsewhere = {_text(row[user]) or "" for row in rows if of and _text(row[of]) in near}
    return Treatment(
        chosen, begun, frozenset(treated), frozenset(out - treated) if treated_in is not None else None, frozenset(elsewhere - {""})
    )


def _rows(path: Path) -> list[dict[str, Any]]:
    if not path.is_file():
        raise FileError("{path} does not exist; give a file of treated shoppers (.csv or .parquet).", path=str(path))
    if path.stat().st_size > MOST_BYTES:
        raise FileError(
            "A file of treated shoppers holds at most {most:,} bytes; this one has {have:,}.", most=MOST_BYTES, have=path.stat().st_size
        )
    try:
        if path.suffix.lower() == ".parquet":
            table = pq.read_table(path)
            return [dict(zip(table.column_names, values, strict=True)) for values in _tuples(table)]
        with path.open(encoding="utf-8-sig", newline="") as stream:
            return list(csv.DictReader(stream))
    except (OSError, UnicodeDecodeError, csv.Error, pa.ArrowException) as error:
        raise FileError("{name} cannot be read as a table in UTF-8: {error}.", name=path.name, error=str(error)[:200]) from error


def _tuples(table: pa.Table) -> Iterable[tuple[Any, ...]]:
    return zip(*(column.to_pylist() for column in table.columns), strict=True) if table.num_rows else ()


def _columns(path: Path) -> list[str]:
    if path.suffix.lower() == ".parquet":
        return list(pq.read_schema(path).names)
    with path.open(encoding="utf-8-sig", newline="") as stream:
        return next(csv.reader(stream), [])


def _named(names: Iterable[str], known: Iterable[str]) -> str | None:
    lower = {name.strip().lower(): name for name in names}
    return next((lower[name] for name in known if name in lower), None)


def _starts(rows: list[dict[str, Any]], names: list[str], of: str | None) -> dict[str | None, datetime]:
    """When each campaign began, as far as these rows say; without a column of campaigns there is one, called None."""
    when, of = _named(names, START), of or _named(names, CAMPAIGN)
    if when is None:
        return {}
    return {(_text(row[of]) if of else None): _time(row[when]) for row in rows if row[when] not in (None, "")}


def _time(value: Any) -> datetime:
    if isinstance(value, datetime):
        return value.replace(tzinfo=None)
    return datetime(value.year, value.month, value.day) if isinstance(value, date) else parse_time(str(value))


def _text(value: Any) -> str | None:
    return None if value is None or str(value).strip() == "" else str(value).strip()


def _is_treated(value: Any, number: int, path: Path) -> bool:
    word = str(value).strip().lower()
    if word not in YES | NO:
        raise FileError(
            "Line {number} of {name} says {word!r} of whether the shopper was treated; write 1 or 0.",
            number=number, name=path.name, word=word[:40],
        )  # fmt: skip
    return word in YES


def _listed(words: Iterable[str]) -> str:
    return ", ".join(word[:60] for word in words)
