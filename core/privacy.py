"""Privacy: personal data found in columns, pseudonyms, cells that a spreadsheet would run."""

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
"""What makes a spreadsheet run a cell as a formula."""

_EMAIL = re.compile(r"^[^@\s]{1,64}@[^@\s.]+(\.[^@\s.]+)+$")
_PHONE = re.compile(r"^\+?\d{0,3}[\s./-]*(\(\d{1,5}\)|\d{1,5})([\s./-]*\d{2,5}){1,5}$")
_INSIDE = {
    "email": re.compile(r"[\w.%+-]{1,64}@[\w-]+(?:\.[\w-]+)+"),
    "phone": re.compile(r"(?<![\w.])\+\d[\d ()./-]{6,18}\d|(?<!\d)1[3-9]\d{9}(?!\d)"),
    "ip": re.compile(r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.])"),
}
"""Shapes that are clear enough to be masked inside longer text."""
_CHINESE_MOBILE = re.compile(r"^(\+?86[ -]?)?1[3-9]\d[ -]?\d{4}[ -]?\d{4}$")
_CHINESE_PAPER = re.compile(r"^[1-8]\d{5}(19|20)\d{2}(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])\d{3}[\dXx]$")
_ADDRESS = re.compile(
    r"^\d{1,5}[a-z]?,? .*\b(street|st|road|rd|avenue|ave|lane|ln|drive|dr|boulevard|blvd|court|way)\b"
    r"|\b\w+(straße|strasse|str\.) \d+|(省|市|区|县|镇).*(路|街|道|巷|村|弄).*\d+(号|室|楼|栋|幢)",
    re.IGNORECASE,
)
_IP = re.compile(r"^(\d{1,3}\.){3}\d{1,3}$|^[0-9a-f]{0,4}(:[0-9a-f]{0,4}){3,7}$", re.IGNORECASE)
_DATE = re.compile(r"^\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|^\d{1,2}[-/.]\d{1,2}[-/.]\d{4}$")
_PHONE_NAME = re.compile(r"(phone|mobile|telephone|msisdn|whatsapp|手机|电话)|(^|_)tel($|_)", re.IGNORECASE)
_CARD_NAME = re.compile(r"card_?(number|no|num)|credit_?card|(^|_)pan($|_)|卡号", re.IGNORECASE)
_PERSON_NAME = re.compile(
    r"(first|last|full|sur|given|family|customer|client|contact|buyer|recipient|billing|shipping|delivery)[_ -]?name$"
    r"|^((billing|shipping|delivery|postal|home|street)[_ -]?)?(address|street)[_ -]?(line)?[_ -]?\d?$"
    r"|^(vorname|nachname|prénom|nom de famille|apellidos?|passport\w*|ssn|id_card\w*)$"
    r"|姓名$|^(收货|收件|联系|通讯|家庭)?地址$|^(收货|收件|联系)人$|^身份证号?码?$",
    re.IGNORECASE,
)
"""Names of columns that hold names, addresses or papers of people, whatever their values look like."""
CARD_STARTS = ("3", "4", "5", "6", "2")
"""First digits of payment cards in use (ISO/IEC 7812)."""


@dataclass(frozen=True)
class PersonalColumn:
    """A column that seems to hold personal data."""

    column: str
    kind: str
    """email, phone, card, ip, papers (identity cards), address, or person (names and papers, by the column's name)."""
    share: float
    """Share of the sampled values that look like it; 1.0 when the column's name says so."""
    example: str
    """One value, masked."""


def guard_cell(text: str) -> str:
    """Put an apostrophe before text that a spreadsheet would run as a formula; everything else passes unchanged."""
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text


def guard_column(cells: pa.Array) -> pa.Array:
    """Guard a whole column of text at once; NULL stays NULL."""
    starts = pc.utf8_slice_codeunits(cells, 0, 1)
    risky = pc.fill_null(pc.is_in(starts, value_set=pa.array(FORMULA_STARTS)), False)
    return pc.if_else(risky, pc.binary_join_element_wise("'", cells, ""), cells)


def pseudonym(user_id: str, salt: str) -> str:
    """SHA-256 (64 hex digits) of the salt followed by the id, UTF-8: the same in SQL, `sha256(salt || user_id)`."""
    return hashlib.sha256(f"{salt}{user_id}".encode()).hexdigest()


def detect_personal_columns(samples: Mapping[str, Iterable[object]], least_share: float = 0.1) -> list[PersonalColumn]:
    """Find columns whose values look like e-mail addresses, phone or card numbers, or network addresses.

    Plain digits count as phone or card numbers only when the column's name says so or (cards) when nearly all pass the
    check digit: ids and times are digits, too.

    Args:
        samples: Some values of each column; None and empty values are left out.
        least_share: Share of values that must look alike for a finding.

    Returns:
        At most one finding per column, in the order of `samples`.
    """
    found = []
    for column, raw in samples.items():
        values = [text for value in raw if value is not None and (text := str(value).strip())]
        if not values:
            continue
        shares = {
            "email": _share(values, lambda text: bool(_EMAIL.match(text) or _INSIDE["email"].search(text))),
            "ip": _share(values, lambda text: bool(_IP.match(text))),
            "card": _card_share(column, values),
            "phone": _phone_share(column, values),
            "papers": _share(values, _is_paper),
            "address": _share(values, lambda text: bool(_ADDRESS.search(text))),
            "person": 1.0 if _PERSON_NAME.search(column) else 0.0,
        }
        kind, share = max(shares.items(), key=lambda pair: pair[1])
        if share >= least_share:
            found.append(PersonalColumn(column, kind, round(share, 4), mask(values[0])))
    return found


def mask(text: str) -> str:
    """Show that there is a value without telling it: the first character and the length class."""
    return f"{text[0]}{'•' * min(len(text) - 1, 8)}" if text else ""


def looks_like(kind: str, text: str) -> bool:
    """Tell whether a single value has the shape of a kind of personal data; kinds known by their column's name never do."""
    bare = text.strip()
    if kind == "email":
        return bool(_EMAIL.match(bare))
    if kind == "phone":
        return bool(_CHINESE_MOBILE.match(bare)) or _phone_share("phone", [bare]) > 0
    if kind == "card":
        return _card_share("card_number", [bare]) > 0
    if kind == "ip":
        return bool(_IP.match(bare))
    if kind == "papers":
        return _is_paper(bare)
    return kind == "address" and bool(_ADDRESS.search(bare))


def mask_inside(text: str, kinds: Iterable[str]) -> str:
    """Mask addresses and numbers of some kinds wherever they stand in a text."""
    for kind in kinds:
        if (shape := _INSIDE.get(kind)) is not None:
            text = shape.sub(lambda found: mask(found.group()), text)
    return text


def passes_luhn(digits: str) -> bool:
    """Check digit of payment cards (ISO/IEC 7812-1, annex B)."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (2 if place % 2 else 1)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def _share(values: list[str], test: Callable[[str], bool]) -> float:
    return sum(map(test, values)) / len(values)


def _card_share(column: str, values: list[str]) -> float:
    def is_card(text: str) -> bool:
        digits = re.sub(r"[ -]", "", text)
        return digits.isascii() and digits.isdigit() and 13 <= len(digits) <= 19 and digits.startswith(CARD_STARTS) and passes_luhn(digits)

    share = _share(values, is_card)
    # one in ten numbers passes the check digit by chance
    return share if share >= 0.8 or _CARD_NAME.search(column) else 0.0


def _is_paper(text: str) -> bool:
    """Resident identity number (GB 11643-1999): region, birthday, and a check digit to base 11."""
    if not _CHINESE_PAPER.match(text):
        return False
    total = sum(int(digit) * pow(2, 17 - place, 11) for place, digit in enumerate(text[:17]))
    return "10X98765432"[total % 11] == text[17].upper()


def _phone_share(column: str, values: list[str]) -> float:
    named = bool(_PHONE_NAME.search(column))
    # 11 digits from 13 to 19 on: one in fourteen ids looks so by chance, a whole column does not
    all_mobile = not named and _share(values, lambda text: bool(_CHINESE_MOBILE.match(text))) >= 0.8

    def is_phone(text: str) -> bool:
        digits = sum(c.isdigit() for c in text)
        if all_mobile:
            return bool(_CHINESE_MOBILE.match(text))
        if not 7 <= digits <= 15 or not _PHONE.match(text) or _DATE.match(text):
            return False
        return named or text.startswith("+") or ("(" in text and digits >= 9)

    return _share(values, is_phone)
