"""Files of ad platforms: each normalises addresses in its own way before it hashes them, so each has its own writer.

A platform finds a person only when the hash of its normalised value equals ours; one rule for all would find fewer everywhere.
Sources: the platforms' help pages on customer files (Google Customer Match, Meta Custom Audiences, TikTok), whose published examples
are the tests.
"""

import hashlib
import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pyarrow as pa

from core.errors import RuleError
from core.messages import Message, say

CONTACT_FIELDS = ("email", "phone", "first_name", "last_name", "country", "zip")
"""What a platform may be told of a person, each from an attribute column that somebody chose."""
KEYS = ("email", "phone")
"""One of them must be there: a name and a postcode alone are matched by no platform here."""
LEAST_DIGITS, MOST_DIGITS = 8, 15
"""Digits of an international number, the country's included (ITU-T E.164 allows at most 15)."""
KEEPS_ZERO = ("39", "378", "225", "241", "242")
"""Countries whose numbers keep their leading 0 behind the country code (Italy, San Marino, Côte d'Ivoire, Gabon, Congo)."""

_HEX = re.compile(r"^[0-9a-f]{64}$", re.IGNORECASE)
_EMAIL = re.compile(r"^[^@\s,;<>()\[\]\\]{1,64}@[^@\s.,;]+(\.[^@\s.,;]+)+$")
_GMAIL = ("gmail.com", "googlemail.com")


@dataclass(frozen=True)
class Platform:
    """How a platform wants its file."""

    headers: Mapping[str, str]
    """Field → column, in the order of the file."""
    normalise: Mapping[str, Callable[[str, str], str | None]]
    """Field → (value, calling code) → normalised value, None where it cannot be."""
    clear: frozenset[str]
    """Fields that are written as they are, not hashed."""
    least: int
    """Entries below which the platform refuses a list."""


def is_hashed(text: str) -> bool:
    """Whether a value is a SHA-256 already, which passes unchanged."""
    return bool(_HEX.match(text.strip()))


def digest(text: str) -> str:
    """SHA-256 of a text, UTF-8, without salt: 64 hex digits, lower case."""
    return hashlib.sha256(text.encode()).hexdigest()


def international_number(raw: str, calling_code: str) -> str | None:
    """Write a phone number as E.164 digits without the `+`.

    Args:
        raw: `+44 20 7183 8750`, `0044…`, or a national number.
        calling_code: Of the country whose national numbers these are, digits only; "" takes international numbers alone.

    Returns:
        Digits with the country's code; None for what is no phone number or lacks its country.
    """
    text = unicodedata.normalize("NFKC", raw).strip()
    if re.search(r"[^\W\d_]", re.sub(r"(ext|x)\.?\s*\d+$", "", text, flags=re.IGNORECASE)):
        return None
    text = re.sub(r"(ext|x)\.?\s*\d+$", "", text, flags=re.IGNORECASE)
    digits = "".join(c for c in text if c.isdecimal() and c.isascii())
    if text.startswith("+"):
        whole = digits
    elif digits.startswith("00"):
        whole = digits[2:]
    elif not calling_code:
        return None
    elif calling_code == "1" and len(digits) == 11 and digits.startswith("1"):
        whole = digits
    elif calling_code == "7" and len(digits) == 11 and digits.startswith(("7", "8")):
        whole = f"7{digits[1:]}"
    elif calling_code in KEEPS_ZERO:
        whole = calling_code + digits
    else:
        whole = calling_code + digits.removeprefix("0")
    return whole if LEAST_DIGITS <= len(whole) <= MOST_DIGITS and not whole.startswith("0") else None


def platform_rows(platform: str, contacts: pa.Table, calling_code: str, barred: pa.Table | None = None) -> tuple[pa.Table, pa.Table]:
    """Normalise and hash the contacts of users as a platform wants it.

    Who has two ids is one person to a platform: a row that shares its address or its number with a barred user is left out too.

    Args:
        platform: One of PLATFORMS.
        contacts: user_id, and a text column for each field of CONTACT_FIELDS that somebody chose; NULL where unknown.
        calling_code: See `international_number`.
        barred: Contacts of users that must not be reached (the holdout, who did not consent), as `contacts`.

    Returns:
        The platform's file (rows that name at least an address or a number, in the order of `contacts`, without repeats), and the
        rejected values: user_id, field, reason (a message).

    Raises:
        RuleError: Neither an address nor a number was chosen, or the calling code is none.
    """
    form, fields = PLATFORMS[platform], [name for name in CONTACT_FIELDS if name in contacts.column_names]
    keys = [name for name in KEYS if name in fields]
    if not keys:
        raise RuleError("A file for {platform} needs a column with e-mail addresses or phone numbers; choose one.", platform=platform)
    if calling_code and not (calling_code.isdecimal() and calling_code.isascii() and len(calling_code) <= 3 and calling_code[0] != "0"):
        raise RuleError("A calling code is 1 to 3 digits such as 1, 44 or 86; got {code}.", code=calling_code[:20])
    chosen = [name for name in form.headers if name in fields]
    rejected: list[tuple[str, str, Message]] = []
    kept: dict[tuple[str, ...], None] = {}
    shut = {
        cell
        for user in (barred.select(keys).to_pylist() if barred else ())
        for name in keys
        if (cell := _cell(form, name, user[name], calling_code))
    }
    for user in contacts.select(["user_id", *fields]).to_pylist():
        cells = {name: _cell(form, name, user[name], calling_code) for name in chosen}
        refused = [name for name in chosen if cells[name] is None]
        rejected += [(user["user_id"], name, REASONS[name]) for name in refused]
        if any(cells.get(name) for name in keys):
            row = tuple(cells[name] or "" for name in chosen)
            if not shut.isdisjoint(cells[name] for name in keys):
                rejected.append((user["user_id"], keys[0], say("the contact of a shopper who is held out or did not consent")))
            elif row in kept:
                rejected.append((user["user_id"], keys[0], say("the contacts of another shopper of the file")))
            else:
                kept[row] = None
        elif not any(name in keys for name in refused):
            rejected.append((user["user_id"], keys[0], say("no address and no number is known")))
    columns = list(zip(*kept, strict=True)) or [()] * len(chosen)
    rows = pa.table({form.headers[name]: pa.array(list(column), pa.string()) for name, column in zip(chosen, columns, strict=True)})
    users, names, reasons = (list(part) for part in zip(*rejected, strict=True)) if rejected else ([], [], [])
    return rows, pa.table(
        {"user_id": pa.array(users, pa.string()), "field": pa.array(names, pa.string()), "reason": pa.array(map(str, reasons), pa.string())}
    )


def _cell(form: Platform, name: str, raw: str | None, calling_code: str) -> str | None:
    """The cell of a value: "" where nothing is known, None where it cannot be normalised."""
    text = (raw or "").strip()
    if not text:
        return ""
    if is_hashed(text) and name not in form.clear:
        return text.lower()
    normal = form.normalise[name](text, calling_code)
    if not normal:
        return None
    return normal if name in form.clear else digest(normal)


def _address(text: str) -> str | None:
    """Lower case without any white space; None for what is no address."""
    bare = "".join(unicodedata.normalize("NFKC", text).lower().split())
    return bare if _EMAIL.match(bare) else None


def _google_email(text: str, _code: str) -> str | None:
    address = _address(text)
    if address is None:
        return None
    name, _, domain = address.partition("@")
    if domain in _GMAIL:  # Google's own mail ignores dots and what follows a plus; elsewhere they are another mailbox
        name = name.partition("+")[0].replace(".", "")
    return f"{name}@{domain}" if name else None


def _meta_email(text: str, _code: str) -> str | None:
    return _address(text)


def _tiktok_email(text: str, _code: str) -> str | None:
    address = _address(text)
    if address is None:
        return None
    name, _, domain = address.partition("@")
    name = name.partition("+")[0]
    return f"{name}@{domain}" if name else None


def _with_plus(text: str, code: str) -> str | None:
    digits = international_number(text, code)
    return f"+{digits}" if digits else None


def _google_name(text: str, _code: str) -> str | None:
    return " ".join(text.lower().split()) or None


def _meta_name(text: str, _code: str) -> str | None:
    return (
        "".join(c for c in unicodedata.normalize("NFKC", text).lower() if not unicodedata.category(c).startswith(("P", "S", "Z"))) or None
    )


def _country(text: str, _code: str) -> str | None:
    return text.lower() if len(text) == 2 and text.isascii() and text.isalpha() else None


def _google_country(text: str, code: str) -> str | None:
    found = _country(text, code)
    return found.upper() if found else None


def _google_zip(text: str, _code: str) -> str | None:
    return text if len(text) <= 12 else None


def _meta_zip(text: str, _code: str) -> str | None:
    bare = "".join(text.lower().split()).partition("-")[0]
    return bare if bare.isalnum() and len(bare) <= 12 else None


PLATFORMS: Mapping[str, Platform] = {
    "google": Platform(
        {"email": "Email", "phone": "Phone", "first_name": "First Name", "last_name": "Last Name", "country": "Country", "zip": "Zip"},
        {"email": _google_email, "phone": _with_plus, "first_name": _google_name, "last_name": _google_name, "country": _google_country,
         "zip": _google_zip},
        frozenset({"country", "zip"}),
        100,
    ),
    "meta": Platform(
        {"email": "email", "phone": "phone", "first_name": "fn", "last_name": "ln", "zip": "zip", "country": "country"},
        {"email": _meta_email, "phone": international_number, "first_name": _meta_name, "last_name": _meta_name, "country": _country,
         "zip": _meta_zip},
        frozenset(),
        100,
    ),
    "tiktok": Platform(
        {"email": "Email_SHA256", "phone": "Phone_SHA256"},
        {"email": _tiktok_email, "phone": international_number},
        frozenset(),
        1_000,
    ),
}  # fmt: skip
REASONS: Mapping[str, Message] = {
    "email": say("no e-mail address"),
    "phone": say("no phone number, or its country is not known"),
    "first_name": say("no name"),
    "last_name": say("no name"),
    "country": say("no country code of two letters"),
    "zip": say("no postcode"),
}
