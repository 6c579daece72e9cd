"""What the Data page asks of a file before it is read: columns, guesses, words of acts, and whether a path may be read at all."""

import os
import re
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO, cast

from core.errors import FileError, MappingError, NotFoundError, StorageError
from core.ingest import rules
from core.ingest.date_order import ORDERS, DateOrder
from core.ingest.event_words import translate_words
from core.ingest.guessing import guess_mapping
from core.ingest.guessing_values import guess_values
from core.ingest.looking import count_words, open_dates
from core.ingest.mapping import Guess, Mapping, Role, RoleMapping, allowed_columns
from core.ingest.paths import WILD, files_of
from core.ingest.personal import SHARED, find_personal, kind_words
from core.ingest.preview import FilePreview
from core.ingest.reading import inspect_file
from core.jobs import read_job
from core.messages import Message
from core.privacy import PersonalColumn, mask
from core.schema import slug
from core.store import Home

RULES = rules.RULES
"""The cleaning rules in the order in which they judge a row: id, description, parameters, fixed."""
WORD_ROWS = 100_000
"""Rows whose kinds of events are listed; others that come later are reported by the import."""
MOST_WORDS = 40
DATE_ORDERS = ORDERS
BLOCK = 1 << 20
MOST_FILES = 1_000
"""Of one import by path."""
UNCLAIMED_SECONDS = 24 * 3600
"""How long an upload is kept that nobody imports."""
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
    personal: tuple[PersonalColumn, ...] = ()
    """Columns that look like personal data."""

    def masked_sample(self) -> list[list[str]]:
        """The sample with the values of personal columns masked, so that a form may be shown to others."""
        hidden = {self.columns.index(hit.column) for hit in self.personal}
        return [[mask(value) if place in hidden else value for place, value in enumerate(row)] for row in self.sample]


@dataclass(frozen=True)
class SavedMapping:
    """The mapping of an earlier file with the same columns."""

    dataset: str
    file: str
    part: dict[str, Any]
    """What the mapping says of this kind of file, as in its JSON."""
    pseudonyms: tuple[str, ...]


def look_at(path: Path, role: str) -> Look:
    """Look at a file and guess its mapping; a guess that fails leaves a question, never an error.

    Raises:
        FileError: The file is missing, empty, damaged, or no table.
    """
    preview, part = _preview(path), cast("Role", role)
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
    personal = tuple(find_personal(preview))
    hidden = {hit.column for hit in personal}
    guesses = tuple(
        (name, replace(guess, samples=tuple(map(mask, guess.samples))) if hidden & set(guess.source) else guess) for name, guess in guesses
    )
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
        personal,
    )


def may_be_replaced(role: str, canonical: str) -> bool:
    """Whether a canonical column can be stored as pseudonyms."""
    return canonical in SHARED or (role == "users" and canonical not in allowed_columns("events"))


def personal_words(hit: PersonalColumn) -> Message:
    """What a personal column seems to hold."""
    return kind_words(hit.kind)


def saved_mapping(home: Home, role: str, columns: tuple[str, ...], first: str | None = None) -> SavedMapping | None:
    """Find the mapping of a file with just these columns among the data sets' current versions, that of `first` before others."""
    names = sorted(home.datasets(), key=lambda name: (name != first, name))
    for name in names:
        try:
            manifest = home.dataset(name).manifest()
        except (NotFoundError, StorageError):  # a damaged data set has nothing to offer
            continue
        mapping = manifest.get("mapping") or {}
        for source in manifest.get("sources", []):
            if source.get("role") == role and set(source.get("columns") or ()) == set(columns) and mapping.get(role):
                part = dict(mapping[role])
                if role == "events" and (order := (manifest.get("time_reading") or {}).get("kind")) in ORDERS:
                    part.setdefault("date_order", order)
                return SavedMapping(name, str(source["name"]), part, tuple(mapping.get("pseudonyms", ())))
    return None


def mapping_json(record: dict[str, Any]) -> str:
    """Write a mapping as `--map` takes it.

    Raises:
        MappingError: It names a column or rule that means nothing here.
    """
    return Mapping.from_json(record).to_json()


def pin_left_out(path: Path, role: str, part: dict[str, Any]) -> dict[str, Any]:
    """Name as null every column that would be guessed although a person left it open, so that it stays empty."""
    columns = dict(part["columns"])
    for _round in range(len(allowed_columns(cast("Role", role))) + 100):
        try:
            settled = Mapping.from_json({role: {**part, "columns": columns}})
            guessed = guess_mapping(_preview(path), cast("Role", role), getattr(settled, role))
        except MappingError:  # said by the import itself
            break
        extra = [name for name in guessed.columns if name not in columns]
        if not extra:
            break
        columns |= dict.fromkeys(extra)
    return {**part, "columns": columns}


def event_words(path: Path, column: str, look: Look) -> list[tuple[str, str | None, int]]:
    """List the distinct words of a column with the act each seems to mean (None: unknown) and how often it comes.

    Reads all of a Parquet column, the first WORD_ROWS rows of any other file; empty when it has too many words to be acts.
    """
    counts = _counted(path, column, *_state(path)) if column in look.columns else Counter[str]()
    if len(counts) > MOST_WORDS:
        return []
    words = [word for word, _count in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))]
    meant, unknown = translate_words(words, {})
    return [(word, None if word in unknown else meant[word], counts[word]) for word in words]


def open_date_order(paths: tuple[Path, ...], columns: tuple[str, ...]) -> DateOrder | None:
    """Tell what the dates of event files leave open between day-first and month-first; None when nothing is open.

    Reads all of Parquet files, the first WORD_ROWS rows of any other.
    """
    return _weighed(paths, columns, tuple(_state(path) for path in paths))


def take_upload(home: Home, name: str, stream: BinaryIO) -> Path:
    """Spool an uploaded file into a folder of its own below the home, under its own name as far as that is harmless."""
    folder = home.path / "uploads" / os.urandom(4).hex()
    folder.mkdir(parents=True, exist_ok=True)
    harmless = re.sub(r"[^\w.\- ()]", "_", name.replace("\\", "/").rsplit("/", 1)[-1]).lstrip(". ")[-100:]
    target = folder / (harmless or "file")
    with target.open("wb") as out:
        while block := stream.read(BLOCK):
            out.write(block)
    return target


def release_uploads(home: Home) -> None:
    """Delete spooled uploads whose import has ended, each job notes its files beside them, and those nobody imported for a day."""
    uploads = home.path / "uploads"
    kept: set[Path] = set()
    for note in uploads.glob("*.job"):
        job_id, *paths = note.read_text(encoding="utf-8").splitlines()
        try:
            live = read_job(home, job_id).is_live
        except NotFoundError:
            live = False
        if live:
            kept.update(map(Path, paths))
            continue
        for path in [*map(Path, paths), note]:
            if path.is_relative_to(uploads) and ".." not in path.parts:
                path.unlink(missing_ok=True)
    for path in uploads.glob("*/*"):
        with suppress(OSError):
            if path not in kept and time.time() - path.stat().st_mtime > UNCLAIMED_SECONDS:
                path.unlink()
    for folder in uploads.glob("*/"):
        with suppress(OSError):  # not empty
            folder.rmdir()


def note_uploads(home: Home, job_id: str, paths: list[Path]) -> None:
    """Remember which spooled files a job reads."""
    (home.path / "uploads" / f"{job_id}.job").write_text("\n".join([job_id, *map(str, paths)]), encoding="utf-8")


def allowed_paths(home: Home, text: str) -> list[Path]:
    """Expand typed files, folders and globs, one a line, and check that each lies below an allowed folder, links followed.

    Raises:
        FileError: Nothing is there, it lies elsewhere, or they are more than MOST_FILES.
    """
    found: list[Path] = []
    for line in filter(None, map(str.strip, text.splitlines())):
        wild = WILD.search(line)
        if wild is None or Path(line).expanduser().exists():
            path = _allowed(home, line)
            found += [_allowed(home, str(inner)) for inner in files_of(str(path))] if path.is_dir() else [path]
            continue
        start = Path(line[: wild.start()] + "x").expanduser().parent  # before anything is looked for, where it would be
        base = _allowed(home, str(start))
        pattern = str(base / Path(line).expanduser().relative_to(start))
        found += [_allowed(home, str(inner)) for inner in files_of(pattern)]
    if len(found) > MOST_FILES:
        raise FileError(
            "{n} files are meant; at most {most} are read at once. Name a part of them, or join them first.", n=len(found), most=MOST_FILES
        )
    return list(dict.fromkeys(found))


def allowed_path(home: Home, text: str) -> Path:
    """Resolve the typed path of one file as `allowed_paths` does.

    Raises:
        FileError: It does not exist, lies elsewhere, or is a folder.
    """
    path = _allowed(home, text)
    if path.is_dir():
        raise FileError("{path} is a folder; only events may come from a folder, name one file here.", path=path)
    return path


def allowed_folder(home: Home, text: str) -> Path:
    """Resolve the typed path of a folder as `allowed_paths` does.

    Raises:
        FileError: It does not exist, or lies elsewhere.
    """
    return _allowed(home, text)


def _allowed(home: Home, text: str) -> Path:
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
    return path


def _preview(path: Path) -> FilePreview:
    return _inspected(path, *_state(path))


def _state(path: Path) -> tuple[int, int]:
    state = path.stat() if path.exists() else None
    return (state.st_size, state.st_mtime_ns) if state else (0, 0)


@lru_cache(maxsize=64)
def _inspected(path: Path, _size: int, _time: int) -> FilePreview:
    """A form is drawn anew with every click; a large file is looked through once."""
    return inspect_file(path)


def _by_hand(preview: FilePreview, role: Role) -> tuple[tuple[str, Guess], ...]:
    """Columns whose names or values say what they may be, when the file as a whole could not be guessed.

    Events without anything like a time are no log, so nothing is proposed for them.
    """
    found = {}
    for column in preview.columns:
        name = slug(column)
        if name in allowed_columns(role):
            found[name] = Guess(name, (column,), 0.6, tuple(dict.fromkeys(preview.values(column)))[:3])
    if role == "events":
        taken = {guess.source[0] for guess in found.values()}
        free = [column for column in preview.columns if column not in taken]
        by_values = guess_values(role, RoleMapping(), free, preview)
        believed = [
            guess for guess in by_values if not (preview.has_header and guess.canonical.endswith("_id")) or _like_ids(preview, guess)
        ]
        found = {guess.canonical: replace(guess, confidence=min(guess.confidence, 0.5)) for guess in believed} | found
        if "event_time" not in found:
            return ()
    return tuple(found.items())


def _like_ids(preview: FilePreview, guess: Guess) -> bool:
    """Whether values of a column whose name says nothing look like ids of many: nearly all with a digit, and more than a few of them."""
    values = preview.values(guess.source[0])
    return len(set(values)) > 2 and sum(any(sign.isdigit() for sign in value) for value in values) > 0.8 * len(values)


@lru_cache(maxsize=32)
def _counted(path: Path, column: str, size: int, time: int) -> Counter[str]:
    return count_words(_inspected(path, size, time), column, WORD_ROWS)


@lru_cache(maxsize=32)
def _weighed(paths: tuple[Path, ...], columns: tuple[str, ...], _states: tuple[tuple[int, int], ...]) -> DateOrder | None:
    return open_dates([_preview(path) for path in paths], columns, WORD_ROWS)
