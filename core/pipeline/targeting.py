"""An audience from the command line: the same sizes and files as on the page."""

from pathlib import Path
from typing import Any

from core.audiences.exports import ExportOptions
from core.audiences.platforms import PLATFORMS
from core.audiences.sizes import Value, as_record
from core.pipeline import outcomes, screens
from core.pipeline.options import AudienceOptions
from core.pipeline.screens import Screen
from core.pipeline.telling import Result
from core.small_cells import told_count
from core.store import Dataset, Home

__all__ = ["PLATFORMS", "audience", "contact_fields", "export_file", "guess_contacts"]

CONTACT_NAMES = {
    "email": ("email", "e_mail", "mail"),
    "phone": ("phone", "mobile", "msisdn"),
    "first_name": ("first_name", "firstname", "given_name"),
    "last_name": ("last_name", "lastname", "surname", "family_name"),
    "country": ("country",),
    "zip": ("zip", "postcode", "postal"),
}
"""Parts of the names of columns that hold contacts."""


def contact_fields(platform: str) -> list[str]:
    """Fields of a person that a platform's file may hold, in its order."""
    return list(PLATFORMS[platform].headers)


def guess_contacts(columns: list[str]) -> dict[str, str]:
    """Guess which attribute columns hold contacts, by their names; people confirm it."""
    found: dict[str, str] = {}
    for field, words in CONTACT_NAMES.items():
        fitting = [column for column in columns if any(word in column for word in words) and "consent" not in column]
        if fitting:
            found[field] = fitting[0]
    return found


def export_file(
    screen: Screen, record: dict[str, Any], *, form: str, hashed: bool, contacts: dict[str, str], calling_code: str
) -> tuple[Path, dict[str, Any]]:
    """Write the file of an audience as it stands on screen (see `outcomes.export`).

    Args:
        screen: What to read.
        record: name, rule, holdout, cost, margin.
        form: One of `exports.FORMATS`.
        hashed: Whether ids are replaced by salted hashes.
        contacts: Field → attribute column, for the file of a platform.
        calling_code: Of national phone numbers.

    Raises:
        RuleError: The rule or a contact column does not fit, or the file is too small.
        StorageError: The file cannot be written.
    """
    chosen = ExportOptions(
        format=form,
        hash_salt=outcomes.dataset_salt(screen.dataset) if hashed else None,
        holdout_share=record.get("holdout", 0.1),
        value=Value(record.get("cost", 0.0), record.get("margin", 0.0)),
        contacts=contacts,
        calling_code=calling_code,
        least_users=outcomes.least_users(screen),
    )
    return outcomes.export(screen, record["name"], record["rule"], chosen)


def audience(home: Home, dataset: Dataset, *, rule: Any, options: AudienceOptions, out: Path | None = None) -> Result:
    """Size an audience rule on the current runs; with `out`, write its shoppers without the holdout, and a line into the audit trail.

    Raises:
        RuleError: The rule is malformed or asks for something this dataset does not have.
        StorageError: The file cannot be written.
    """
    screen = screens.open_screen(home, dataset.name)
    if out is None:
        found = outcomes.size(screen, rule, holdout=options.holdout_share, cost=options.cost, margin=options.margin)
        size, told = as_record(found.size), {"sentence": found.sentence, "sql": found.sql}
    else:
        chosen = ExportOptions(
            format=options.platform or out.suffix.removeprefix(".").replace("jsonl", "json"),
            hash_salt=outcomes.dataset_salt(dataset) if options.hashed else None,
            holdout_share=options.holdout_share,
            value=Value(options.cost, options.margin),
            contacts=dict(options.contacts),
            calling_code=options.calling_code,
            least_users=options.least_users if options.least_users is not None else outcomes.least_users(screen),
        )
        _path, manifest = outcomes.export_to(screen, options.name, rule, out, chosen)
        size = manifest["size"]
        told = {key: manifest[key] for key in ("sentence", "sql", "sha256", "rows", "format")} | {"out": str(out)}
        if "rejected" in manifest:
            told["rejected"] = manifest["rejected"]
            size = {**size, "warnings": [*size["warnings"], *manifest["warnings"]]}
    return {
        "dataset": dataset.name,
        **told,
        "users": _told(size["everyone"]["users"], screen),
        "exported": _told(size["exported"]["users"], screen),
        "holdout": _told(size["holdout_users"], screen),
        "expected_buyers": size["exported"]["expected_buyers"],
        "expected_buyers_sd": size["exported"]["sd"],
        "size": size,
        "warnings": list(size["warnings"]),
    }


def _told(count: int | None, screen: Screen) -> int | str:
    return told_count(None, screen.small_cells) if count is None else count
