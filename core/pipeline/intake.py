"""What the Data page asks of a file before it is read: columns, guesses, words of acts, and whether a path may be read at all."""

import csv
import gzip
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO, cast

import pyarrow.parquet as pq

from core.errors import FileError, MappingError, NotFoundError
from core.ingest import rules
from core.ingest.event_words import translate_words
from core.ingest.guessing import guess_mapping
from core.ingest.mapping import Guess, Role, allowed_columns
from core.ingest.reading import FilePreview, inspect_file
from core.jobs import read_job
from core.schema import slug
from core.store import Home

RULES = rules.RULES
"""The cleaning rules in the order in which they judge a row: id, description, parameters, fixed."""
WORD_ROWS = 100_000
"""Rows whose kinds of events are listed; others that come later are reported by the import."""
MOST_WORDS = 40
BLOCK = 1 << 20
ROOTS_VARIABLE = "SHOPPER_ATLAS_ROOTS"
"""Folders, separated as in PATH, below which logs may be read by path; without it the person's own folder and the home."""


@dataclass(frozen=True)
class Look:
    """A file as the mapping form shows it."""

    kind: str
    bytes: int
    row_estimate: int
    has_header: bool
    columns: tuple[str, ...]
    sample: list[list[str]]
    delimiter: str | None
    encoding: str | None
    canonical: tuple[str, ...]
    """What may be chosen, needed ones first."""
    needed: tuple[str, ...]
    columns_guessed: tuple[tuple[str, Guess], ...]
    default_event_type: str | None
    question: str
    """What could not be guessed, or ''."""


def look_at(path: Path, role: str) -> Look:
    """Look at a file and guess its mapping; a guess that fails leaves a question, never an error.

    Raises:
        FileError: The file is missing, empty, damaged, or no table.
    """
    preview, part = inspect_file(path), cast("Role", role)
    question = ""
    guesses: tuple[tuple[str, Guess], ...] = ()
    default: str | None = None
    try:
        guessed = guess_mapping(preview, part)
        guesses = tuple((guess.canonical, guess) for guess in guessed.guesses)
        default = guessed.default_event_type
    except MappingError as error:
        question = error.message
        guesses = _by_hand(preview, part)
    needed = {"events": ("user_id", "event_time"), "items": ("item_id",), "users": ("user_id",)}[role]
    if {"order_number", "days_since_prior_order"} <= {name for name, _guess in guesses}:
        needed = ("user_id",)
    known = [name for name, _guess in guesses]
    main = (
        "user_id",
        "event_time",
        "event_type",
        "item_id",
        "price",
        "quantity",
        "revenue",
        "order_id",
        "dwell_seconds",
        "position",
        "title",
        "category",
    )
    options = dict.fromkeys([*needed, *(n for n in main if role == "events"), *allowed_columns(part), *known])
    return Look(
        preview.kind,
        preview.bytes,
        preview.row_estimate,
        preview.has_header,
        preview.columns,
        preview.sample,
        preview.delimiter,
        preview.encoding,
        tuple(options),
        needed,
        guesses,
        default,
        question,
    )


def event_words(path: Path, column: str, look: Look) -> list[tuple[str, str | None, int]]:
    """List the distinct words of a column with the act each seems to mean (None: unknown) and how often it comes.

    Reads all of a Parquet column, the first WORD_ROWS rows of a text file; empty when it has too many words to be acts.
    """
    counts = Counter(value for value in _values(path, column, look) if value)
    if len(counts) > MOST_WORDS:
        return []
    words = [word for word, _count in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))]
    meant, unknown = translate_words(words, {})
    return [(word, None if word in unknown else meant[word], counts[word]) for word in words]


def take_upload(home: Home, name: str, stream: BinaryIO) -> Path:
    """Spool an uploaded file into the home under a safe name; it is released after the import."""
    folder = home.path / "uploads"
    folder.mkdir(parents=True, exist_ok=True)
    suffixes = "".join(Path(name).suffixes[-2:])[-12:].lower()
    suffix = suffixes if suffixes.replace(".", "").isalnum() else ""
    target = folder / f"{slug(Path(name).name.split('.')[0])}-{os.urandom(4).hex()}{suffix}"
    with target.open("wb") as out:
        while block := stream.read(BLOCK):
            out.write(block)
    return target


def release_uploads(home: Home) -> None:
    """Delete spooled uploads whose import has ended; each job notes its files beside them."""
    for note in (home.path / "uploads").glob("*.job"):
        job_id, *paths = note.read_text(encoding="utf-8").splitlines()
        try:
            live = read_job(home, job_id).is_live
        except NotFoundError:
            live = False
        if not live:
            for path in [*map(Path, paths), note]:
                if path.parent == home.path / "uploads":
                    path.unlink(missing_ok=True)


def note_uploads(home: Home, job_id: str, paths: list[Path]) -> None:
    """Remember which spooled files a job reads."""
    (home.path / "uploads" / f"{job_id}.job").write_text("\n".join([job_id, *map(str, paths)]), encoding="utf-8")


def allowed_path(home: Home, text: str) -> Path:
    """Resolve a typed path, links followed, and check that it lies below an allowed folder.

    Raises:
        FileError: It does not exist, or lies elsewhere.
    """
    try:
        path = Path(text.strip()).expanduser().resolve(strict=True)
    except (OSError, RuntimeError, ValueError) as error:
        raise FileError("{path!r} does not exist on this machine; check the path.", path=text) from error
    given = os.environ.get(ROOTS_VARIABLE)
    roots = (
        [Path(p).resolve() for p in given.split(os.pathsep)]
        if given
        else [Path.home().resolve(), home.path.resolve(), Path.cwd().resolve()]
    )
    if not any(path.is_relative_to(root) for root in roots):
        raise FileError(
            "{path} lies outside the folders that may be read ({folders}); move it there or set {variable}.",
            path=path,
            folders=", ".join(map(str, roots)),
            variable=ROOTS_VARIABLE,
        )
    if path.is_dir():
        raise FileError("{path} is a folder; name one file here, or use the command line for several.", path=path)
    return path


def _by_hand(preview: FilePreview, role: Role) -> tuple[tuple[str, Guess], ...]:
    """Columns whose names say what they are, when the file as a whole could not be guessed."""
    found = []
    for column in preview.columns:
        name = slug(column)
        if name in allowed_columns(role):
            found.append((name, Guess(name, (column,), 0.6, tuple(dict.fromkeys(preview.values(column)))[:3])))
    return tuple(found)


def _values(path: Path, column: str, look: Look) -> Iterator[str]:
    if look.kind == "parquet":
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(columns=[column]):
                for entry in batch.column(0).value_counts().to_pylist():
                    yield from [str(entry["values"])] * entry["counts"] if entry["values"] is not None else []
        return
    place = look.columns.index(column)
    opened = (
        gzip.open(path, "rt", encoding=look.encoding or "utf-8", errors="replace", newline="")  # noqa: SIM115 - closed by the with below
        if look.kind == "csv.gz"
        else path.open(encoding=look.encoding or "utf-8", errors="replace", newline="")
    )
    with opened as stream:
        rows = (line.split() for line in stream) if look.delimiter == " " else csv.reader(stream, delimiter=look.delimiter or ",")
        for row in islice(rows, int(look.has_header), WORD_ROWS):
            if len(row) > place:
                yield row[place].strip()
