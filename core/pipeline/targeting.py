"""An audience from the command line: the same sizes and files as on the page."""

from pathlib import Path
from typing import Any

from core.audiences.exports import ExportOptions, export_audience
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
            format=out.suffix.removeprefix("."),
            hash_salt=outcomes.dataset_salt(dataset) if options.hashed else None,
            holdout_share=options.holdout_share,
            value=Value(options.cost, options.margin),
            calibration_error=outcomes.calibration_error(screen),
            run_ids=screen.runs,
        )
        words = outcomes.vocabulary(screen)
        with screen.log.history() as connection:
            manifest = export_audience(
                connection, outcomes.rule_tables(screen), rule, out, cutoff=screen.log.until, options=chosen, vocabulary=words
            )
        size, told = manifest["size"], {key: manifest[key] for key in ("sentence", "sql", "sha256")} | {"out": str(out)}
        record = {
            "act": "export audience",
            "dataset": dataset.name,
            "audience": options.name,
            "rows": manifest["rows"],
            "hashed": options.hashed,
        }
        screens.audit(screen, record)
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
