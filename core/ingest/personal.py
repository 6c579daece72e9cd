"""Personal data of a log: found before a row is stored, replaced by pseudonyms, masked in the rows that are set aside."""

import json
import re
import secrets
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from core.errors import MappingError
from core.ingest.dialect import BLANKS, COLONS
from core.ingest.mapping import Mapping, RoleMapping
from core.ingest.preview import FilePreview
from core.messages import Message, say
from core.privacy import PersonalColumn, detect_personal_columns, looks_like, mask, mask_inside, pseudonym
from core.store import Connection, Dataset

DIGITS: Final = 32
"""Hex digits of a pseudonym: 128 bits, so that two of a billion users meet by chance once in 10^20 logs."""
_WHOLE: Final = "CASE WHEN ends_with(x, '.0') AND regexp_matches(x, '^[0-9]+\\.0$') THEN x[:-3] ELSE x END"
"""An id that one export writes as 17850 and the next as 17850.0 gets one pseudonym."""
SALT_RECORD: Final = "pseudonyms"
"""Name of the record in the dataset's folder `saved` that holds the salt; exports never hold it."""
SHARED: Final = ("user_id", "session_id")
"""Columns of events that may be replaced; of users also any attribute. Other text is left out by mapping it to null."""


@dataclass(frozen=True)
class Cover:
    """Which canonical columns become pseudonyms, by which salt."""

    columns: frozenset[str] = frozenset()
    salt: str = ""


@dataclass(frozen=True)
class Shield:
    """How the text of one file's rejected rows is covered."""

    columns: tuple[str, ...]
    delimiter: str | None
    replaced: frozenset[int]
    """Places of columns whose values become pseudonyms."""
    masked: frozenset[int]
    """Places of personal columns that nothing uses."""
    kinds: frozenset[str]
    """Kinds found; a value of such a kind is masked wherever it stands, for rejected rows may be shifted."""
    salt: str

    def cover(self, text: str) -> str:
        """Return a row's text without what is personal; a line that cannot be cut into the table's columns is masked whole."""
        if text.startswith("{"):
            with suppress(ValueError):
                record = json.loads(text)
                if isinstance(record, dict):
                    return json.dumps(self._cover_record(record), ensure_ascii=False)
        pieces = _cut(text, self.delimiter or ",")
        if len(pieces) != len(self.columns):
            return _mask_line(text)
        covered = [self._cover_piece(place, piece) for place, piece in enumerate(pieces)]
        return (" " if self.delimiter == BLANKS else self.delimiter or ",").join(covered)

    def cover_words(self, text: str) -> str:
        """Mask addresses and numbers of the kinds found inside a sentence."""
        return mask_inside(text, self.kinds)

    def _cover_record(self, record: dict[str, Any]) -> dict[str, Any]:
        places = {name: place for place, name in enumerate(self.columns)}
        return {
            name: value if value is None else self._cover_value(places.get(name, -1), str(value), value) for name, value in record.items()
        }

    def _cover_piece(self, place: int, piece: str) -> str:
        bare = piece.strip()
        quoted = len(bare) >= 2 and bare[0] == bare[-1] == '"'
        value = bare[1:-1].replace('""', '"') if quoted else bare
        covered = str(self._cover_value(place, value, value))
        if covered == value:
            return piece
        return '"' + covered.replace('"', '""') + '"' if quoted else covered

    def _cover_value(self, place: int, text: str, value: Any) -> Any:
        if not text:
            return value
        if place in self.replaced:
            return short_pseudonym(text.strip(), self.salt)
        if place in self.masked or any(looks_like(kind, text) for kind in self.kinds):
            return mask(text)
        covered = mask_inside(text, self.kinds)
        return value if covered == text else covered


def short_pseudonym(text: str, salt: str) -> str:
    """Return the pseudonym that staging stores: the first DIGITS of `privacy.pseudonym`."""
    return pseudonym(text[:-2] if re.fullmatch(r"[0-9]+\.0", text) else text, salt)[:DIGITS]


def make_pseudonyms(connection: Connection, cover: Cover) -> None:
    """Define pseudonymised(text) on the staging connection; NULL stays NULL."""
    if not re.fullmatch(r"[0-9a-f]*", cover.salt):
        raise ValueError("a salt is hex digits")
    connection.execute(f"CREATE OR REPLACE TEMP MACRO pseudonymised(x) AS substr(sha256('{cover.salt}' || {_WHOLE}), 1, {DIGITS})")


def settle_cover(dataset: Dataset, given: Mapping, previous: dict[str, Any] | None, warnings: list[str]) -> Cover:
    """Decide which columns become pseudonyms; the salt is made once for a dataset, so that appended logs meet.

    Args:
        dataset: Keeps the salt.
        given: What a person settled.
        previous: Manifest of the version that is continued.
        warnings: Told when the continued version decides.

    Raises:
        MappingError: The version that is continued holds the ids in clear.
    """
    asked = frozenset(given.pseudonyms)
    if previous is not None:
        before = frozenset(previous.get("mapping", {}).get("pseudonyms", []))
        shared = frozenset(SHARED)
        if clear := sorted((asked - before) & shared):
            raise MappingError(
                "{dataset} holds {column} in clear, so pseudonyms cannot be added to it; import all files anew without append.",
                dataset=dataset.name,
                column=clear[0],
            )
        if taken := sorted(before - asked):
            warnings.append(say("Pseudonyms stand for {columns}, as in the version before.", columns=", ".join(taken)))
        asked |= before
    return Cover(asked, _salt(dataset)) if asked else Cover()


def check_cover(cover: Cover, parts: list[RoleMapping]) -> None:
    """Refuse pseudonyms for columns that no file has.

    Raises:
        MappingError: Such a column is named.
    """
    known = {name for part in parts for name in part.columns}
    if cover.columns and not cover.columns & known:
        raise MappingError(
            "`pseudonyms` names {column}, which no file is mapped to; the mapped columns are {known}.",
            column=min(cover.columns),
            known=", ".join(sorted(known)),
        )


def find_personal(preview: FilePreview) -> list[PersonalColumn]:
    """Look for personal data in the sample of a file."""
    return detect_personal_columns({column: preview.values(column) for column in preview.columns})


def make_shield(preview: FilePreview, part: RoleMapping, cover: Cover) -> Shield | None:
    """Return how the text of a file's rejected rows is covered, None when nothing personal was found or is replaced."""
    stored = preview.stored
    found = find_personal(stored)
    used = {piece for pieces in part.columns.values() for piece in pieces}
    places = {column: place for place, column in enumerate(stored.columns)}
    pieces = (piece for name, pieces in part.columns.items() if name in cover.columns for piece in pieces)
    replaced = frozenset(places[piece] for piece in pieces if piece in places)
    masked = frozenset(places[hit.column] for hit in found if hit.column not in used)
    if not replaced and not masked:
        return None
    hidden = {hit.kind for hit in found if places[hit.column] in replaced | masked} - {"person"}
    return Shield(stored.columns, preview.delimiter, replaced, masked - replaced, frozenset(hidden), cover.salt)


def tell_personal(preview: FilePreview, part: RoleMapping, cover: Cover) -> Iterator[Message]:
    """Say which columns look personal and what becomes of them."""
    meaning = {piece: name for name, pieces in part.columns.items() for piece in pieces}
    for hit in find_personal(preview):
        name, kind = meaning.get(hit.column), kind_words(hit.kind)
        if name is None:
            yield say(
                "Column {column} of {file} looks like {kind}: it is not used, so it is never stored; "
                "in rows that are set aside its values are masked.",
                column=hit.column,
                file=preview.name,
                kind=kind,
            )
        elif name in cover.columns:
            yield say(
                "Column {column} of {file} looks like {kind}: pseudonyms are stored in its place.",
                column=hit.column,
                file=preview.name,
                kind=kind,
            )
        else:
            yield say(
                "Column {column} of {file} looks like {kind} and is stored in clear as {name}. "
                "Name it in `pseudonyms` of the mapping or with `--pseudonyms {name}`, or map {name} to null to leave it out.",
                column=hit.column,
                file=preview.name,
                kind=kind,
                name=name,
            )


def kind_words(kind: str) -> Message:
    """What a kind of personal data is called."""
    words = {
        "email": say("e-mail addresses"),
        "phone": say("phone numbers"),
        "card": say("payment card numbers"),
        "ip": say("network addresses"),
        "papers": say("identity card numbers"),
        "address": say("postal addresses"),
    }
    return words.get(kind, say("names or addresses of people"))


def _salt(dataset: Dataset) -> str:
    record = dataset.saved(SALT_RECORD)
    if isinstance(record, dict) and re.fullmatch(r"[0-9a-f]{32,}", str(record.get("salt"))):
        return str(record["salt"])
    salt = secrets.token_hex(32)
    dataset.save(SALT_RECORD, {"salt": salt})
    with suppress(OSError):
        (dataset.path / "saved" / f"{SALT_RECORD}.json").chmod(0o600)
    return salt


def _cut(text: str, delimiter: str) -> list[str]:
    """Cut a line at its delimiters outside quotes; pieces stay as they stand."""
    if delimiter == COLONS:
        return text.split(COLONS)
    if delimiter == BLANKS:
        return text.split()
    if '"' not in text:
        return text.split(delimiter)
    pieces, start, inside = [], 0, False
    for place, sign in enumerate(text):
        if sign == '"':
            inside = not inside
        elif sign == delimiter and not inside:
            pieces.append(text[start:place])
            start = place + 1
    return [*pieces, text[start:]]


def _mask_line(text: str) -> str:
    """Mask every run of letters and digits; delimiters, quotes and lengths still show what is wrong with the line."""
    return re.sub(r"[^\W_]+(?:[._+@-]+[^\W_]+)*", lambda found: mask(found.group()), text)
