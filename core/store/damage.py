"""What a full, closed or damaged disk says through any library, as a sentence that names the way out."""

import errno
import re
from pathlib import Path

import duckdb

from core.errors import StorageError

_DAMAGED = (duckdb.IOException, duckdb.FatalException, duckdb.SerializationException, duckdb.InternalException)


def storage_error(error: BaseException, place: Path) -> StorageError | None:
    """Return the sentence for an error that a full, closed, damaged disk or too little memory stands behind, or None.

    Args:
        error: Any error, with what caused it; each library has a class of its own for a full disk.
        place: The file or folder that was worked on.
    """
    cause: BaseException | None = error
    while cause is not None:
        text, number, named = str(cause), getattr(cause, "errno", None), getattr(cause, "filename", None) or place
        if number in (errno.ENOSPC, errno.EDQUOT) or re.search(r"No space left on device|disk is full", text):
            return StorageError("The disk that holds {place} is full. The last good result stays; free space and try again.", place=place)
        if number in (errno.EROFS, errno.EACCES, errno.EPERM):
            return StorageError("{path} may not be written or read ({error}). Check its permissions.", path=named, error=text)
        if number in (errno.EEXIST, errno.ENOTDIR, errno.ENAMETOOLONG) and not isinstance(cause, duckdb.Error):
            return StorageError("{path} cannot be used ({error}). Choose another place.", path=named, error=text)
        if isinstance(cause, MemoryError | duckdb.OutOfMemoryException):
            return StorageError(
                "The work in {place} needs more memory than there is ({error}). Use a smaller log or a larger machine.",
                place=place,
                error=text[:160],
            )
        if isinstance(cause, _DAMAGED) or (isinstance(cause, duckdb.Error) and "Corrupt database file" in text):
            return StorageError(
                "{path} is damaged or cannot be read ({error}). Restore it or ingest the log again.", path=place, error=text[:160]
            )
        cause = cause.__cause__ or cause.__context__
    return None
