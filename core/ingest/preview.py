"""What is known of a file after the look at it, and whether it is still the file that was looked at."""

from dataclasses import dataclass, replace
from pathlib import Path

from core.errors import FileError
from core.ingest.kinds import changed
from core.messages import Message

SAMPLE_ROWS = 50


@dataclass(frozen=True)
class FilePreview:
    """What can be said of a file without casting a value."""

    path: Path
    """What is read: the file itself, or what was unpacked or converted from it."""
    kind: str
    """csv, csv.gz, csv.zst, parquet, json, jsonl (also .gz, .zst) or workbook."""
    bytes: int
    sha256: str
    delimiter: str | None
    """None for Parquet; " " stands for runs of blanks."""
    encoding: str | None
    has_header: bool
    columns: tuple[str, ...]
    """Names from the file, from the mapping's header, or column_1 … column_n."""
    sample: list[list[str]]
    """At most 50 rows as text, "" for null."""
    row_estimate: int
    """Exact for Parquet; physical lines without header for text."""
    skip: int = 0
    """Physical lines before the header or first record."""
    types: tuple[str, ...] = ()
    """Parquet's own types."""
    routes: tuple[tuple[int, ...], ...] = ()
    """Where each column lies in Parquet: its place, and its places inside structures."""
    is_converted: bool = False
    """Whether `path` is a text table (`text_table`) made of the file."""
    broken: int = 0
    """Rows of a converted file that are no rows."""
    blank: int = 0
    """Blank rows of a converted file."""
    origin: Path | None = None
    """The file that a person gave."""
    member: str = ""
    """Table inside the file: a path in an archive, a sheet of a workbook."""
    stamp: tuple[int, int] = (0, 0)
    """Size and time of the given file when it was looked at."""
    notes: tuple[Message, ...] = ()
    """What a person should know of how it was read."""
    folders: tuple[tuple[str, str], ...] = ()
    """Columns that the names of the file's folders give, as `dt=2024-01-31` does: the last of `columns`, each with its one value."""

    @property
    def name(self) -> str:
        """File name for screens; the full path is nobody's business there."""
        given = (self.origin or self.path).name
        return f"{given}/{self.member}" if self.member else given

    @property
    def given(self) -> Path:
        """The file that a person gave."""
        return self.origin or self.path

    @property
    def stored(self) -> "FilePreview":
        """The file alone, without the columns of its folders."""
        if not self.folders:
            return self
        own = len(self.columns) - len(self.folders)
        return replace(self, columns=self.columns[:own], sample=[row[:own] for row in self.sample], folders=())

    @property
    def identity(self) -> str:
        """What tells the same rows given twice: the checksum, and the folders, which may say another day of the same bytes."""
        return "/".join([self.sha256, *(f"{name}={value}" for name, value in self.folders)])

    def with_folders(self, folders: tuple[tuple[str, str], ...]) -> "FilePreview":
        """Return the preview with columns of folders; one that the file has itself is not taken."""
        known = {name.strip().casefold() for name in self.columns}
        new = tuple(pair for pair in folders if pair[0].casefold() not in known)
        values = [value for _name, value in new]
        return replace(
            self, columns=(*self.columns, *(name for name, _value in new)), sample=[[*row, *values] for row in self.sample], folders=new
        )

    def check_unchanged(self) -> None:
        """Compare the given file with what it was when it was looked at.

        Raises:
            FileError: It changed or vanished.
        """
        if self.origin is not None:
            check_stamp(self.origin, self.stamp)

    def values(self, column: str) -> list[str]:
        """Sample values of a column that are not empty."""
        place = self.columns.index(column)
        return [row[place].strip() for row in self.sample if row[place].strip()]


def stamp_of(path: Path) -> tuple[int, int]:
    """Return size and time of the last change, to notice a file that grows or is replaced.

    Raises:
        FileError: The file is gone.
    """
    try:
        stat = path.stat()
    except OSError as error:
        raise FileError("{file} vanished while it was read; put it back and try again.", file=path.name) from error
    return stat.st_size, stat.st_mtime_ns


def check_stamp(path: Path, stamp: tuple[int, int]) -> None:
    """Compare a file with its stamp of before.

    Raises:
        FileError: It changed or vanished.
    """
    if stamp_of(path) != stamp:
        raise changed(path.name)


def one_column(name: str, columns: tuple[str, ...]) -> FileError:
    """Return the error of a file that is no table."""
    return FileError(
        "{file} has only the column {column}; an event log needs at least user and time.", file=name, column=", ".join(columns)
    )
