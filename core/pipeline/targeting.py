"""An audience from the command line: the same sizes and files as on the page."""

from pathlib import Path
from typing import Any

from core.audiences.exports import ExportOptions
from core.audiences.sizes import Value, as_record
from core.pipeline import outcomes, screens
from core.pipeline.options import AudienceOptions
from core.pipeline.telling import Result
from core.store import Dataset, Home


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
    return {
        "dataset": dataset.name,
        **told,
        "users": size["everyone"]["users"],
        "exported": size["exported"]["users"],
        "holdout": size["holdout_users"],
        "expected_buyers": size["exported"]["expected_buyers"],
        "expected_buyers_sd": size["exported"]["sd"],
        "size": size,
        "warnings": list(size["warnings"]),
    }
