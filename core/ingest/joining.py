"""One canonical value of several columns: ids joined by a dash, a day and its clock, flags of acts as one event word."""

from core.ingest.event_words import BETWEEN, FLAG
from core.ingest.guessing_times import is_hour

_YES = "('1', '1.0', 'true', 'yes', 't', 'y', '是')"
_NO = "('0', '0.0', 'false', 'no', 'f', 'n', '否')"


def joined_value(name: str, pieces: list[str], columns: tuple[str, ...]) -> str:
    """Return the SQL that makes one canonical value.

    Args:
        name: The canonical column.
        pieces: SQL of each column's text, NULL where it is empty.
        columns: The file's names of these columns.
    """
    if len(pieces) == 1:
        return pieces[0]
    if name == "event_type":
        return _event_word(pieces)
    if name == "event_time":
        return _day_and_clock(pieces, columns) if len(pieces) == 2 else _calendar(pieces)
    # Half an id is no id: a row without the user has no session of its own either.
    return " || '-' || ".join(pieces) if name.endswith("_id") else f"concat_ws(' ', {', '.join(pieces)})"


def _event_word(pieces: list[str]) -> str:
    said = ", ".join(
        f"CASE WHEN lower({piece}) IN {_YES} THEN '{FLAG}{place}' WHEN lower({piece}) IN {_NO} THEN NULL ELSE {piece} END"
        for place, piece in enumerate(pieces)
    )
    return f"concat_ws('{BETWEEN}', {said})"


def _day_and_clock(pieces: list[str], columns: tuple[str, ...]) -> str:
    day, clock = pieces
    # A calendar day may come with a clock of its own at midnight ("2019-10-01 00:00:00" + "08:05").
    day = f"regexp_replace({day}, '[ T]00:00(:00(\\.0+)?)?$', '')"
    if is_hour(columns[1]):
        spelled = f"CASE WHEN contains({clock}, ':') THEN {clock} ELSE lpad(split_part({clock}, '.', 1), 2, '0') || ':00' END"
    else:
        # A clock without colons, 1631 or 5 (five past midnight), has lost its leading zeros.
        spelled = (
            f"CASE WHEN contains({clock}, ':') THEN {clock}"
            f" WHEN strlen({clock}) <= 4 THEN left(lpad({clock}, 4, '0'), 2) || ':' || right(lpad({clock}, 4, '0'), 2)"
            f" WHEN strlen({clock}) <= 6 THEN regexp_replace(lpad({clock}, 6, '0'), '^(..)(..)(..)$', '\\1:\\2:\\3')"
            f" ELSE {clock} END"
        )
    return f"{day} || COALESCE(' ' || {spelled}, '')"


def _calendar(pieces: list[str]) -> str:
    date = " || '-' || ".join(
        f"lpad(split_part({piece}, '.', 1), 2, '0')" if i else f"split_part({piece}, '.', 1)" for i, piece in enumerate(pieces[:3])
    )
    clock = [f"lpad(split_part(COALESCE({piece}, '0'), '.', 1), 2, '0')" for piece in pieces[3:6]]
    clock = clock + ["'00'"] * (3 - len(clock))
    return f"{date} || ' ' || {' || chr(58) || '.join(clock)}"
