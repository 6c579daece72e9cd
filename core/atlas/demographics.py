"""What the users table says of shoppers themselves, as yes-or-no traits; read only when somebody asks for it."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from core.store import Connection, fetch

MOST_VALUES = 12
"""Values of a column that are told apart, most frequent first."""
MOST_KINDS = 20
"""Distinct numbers up to which a column of numbers is taken for kinds; with more, its quarters are told."""
PEOPLE_SQL = "SELECT p.place, u.* EXCLUDE (user_id) FROM placed AS p JOIN users AS u USING (user_id) ORDER BY p.place"


KNOWN = "known"
"""Kind of what is no trait: that a column of the users table says something of a shopper; its code is the column."""


def column_of(code: str) -> str:
    """Return the column of a demographic code: `age` of `age=35-44`, `age<=27` and `age>=61`."""
    return parts_of(code)[0]


def parts_of(code: str) -> tuple[str, str, str]:
    """Part a demographic code into column, sign and value."""
    return next(part for part in (code.partition("<="), code.partition(">="), code.partition("=")) if part[1])


def demographic_bands(connection: Connection, least: int) -> Iterator[tuple[str, str, npt.NDArray[np.int64]]]:
    """Tell who has which value of each column of the users table.

    Args:
        connection: Has the table `placed` (user_id, place) beside the log.
        least: Fewest shoppers of a value that is told.

    Yields:
        Kind `demographic` with `column=value`, or `column<=number` and `column>=number` for the outer quarters of a column of
        many numbers, and the rows of the shoppers who have it; before them kind KNOWN with the column and the rows of those of
        whom it says anything: who is missing there has not the other value.
    """
    table = fetch(connection, PEOPLE_SQL)
    places = table["place"].to_numpy().astype(np.int64)
    for name in sorted(set(table.column_names) - {"place"}):
        values = table[name].cast(pa.string()).combine_chunks().dictionary_encode()
        codes = values.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
        words = values.dictionary.to_pylist()
        numbers = _numbers(words)
        if numbers is not None and len(words) > MOST_KINDS:
            figures = np.append(numbers, np.nan)[codes]
            is_known = np.isfinite(figures)
            low, high = np.nanquantile(figures, [0.25, 0.75])
            bands = [(f"{name}<={low:g}", figures <= low), (f"{name}>={high:g}", figures >= high)]
        else:
            sizes = np.bincount(codes[codes >= 0], minlength=len(words))
            first = sorted((i for i in range(len(words)) if words[i].strip()), key=lambda i: (-sizes[i], words[i]))[:MOST_VALUES]
            is_known = np.isin(codes, [i for i in range(len(words)) if words[i].strip()])
            bands = [(f"{name}={words[i]}", codes == i) for i in first]
        told = [(code, has) for code, has in bands if least <= has.sum() < is_known.sum()]
        if told:
            yield KNOWN, name, places[is_known]
        for code, has in told:
            yield "demographic", code, places[has]


def _numbers(words: list[str]) -> npt.NDArray[np.float64] | None:
    try:
        return np.array([float(word) for word in words])
    except ValueError:
        return None
