"""The ZIP of a report: every table as CSV, every statement as SQL, and a list of both."""

import csv
import io
import json
import zipfile

import pyarrow as pa

from core.privacy import guard_cell
from core.report.record import APPENDIX, Report, Tell

_DAY_ONE = (1980, 1, 1, 0, 0, 0)
"""So that the same tables make the same bytes."""


def report_zip(report: Report, tell: Tell) -> bytes:
    """Write all rows of a report's tables (CSV, guarded against formulas), their SQL, and contents.json."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        listed = []
        for section in report.sections:
            for exhibit in section.exhibits:
                _put(archive, f"{exhibit.id}.csv", csv_bytes(exhibit.table))
                _put(archive, f"{exhibit.id}.sql", exhibit.sql.encode())
                listed.append(
                    {"id": exhibit.id, "title": tell(exhibit.title), "definition": tell(exhibit.definition), "rows": exhibit.table.num_rows}
                )
        contents = {
            "dataset": report.dataset,
            "made": report.made,
            "facts": [tell(fact) for fact in report.facts],
            "filters": [tell(one) for one in report.filters],
            "statements": tell(APPENDIX),
            "figures": listed,
        }
        _put(archive, "contents.json", json.dumps(contents, ensure_ascii=False, indent=1).encode())
    return target.getvalue()


def csv_bytes(table: pa.Table) -> bytes:
    """A table as CSV with a byte order mark; text that a spreadsheet would run is disarmed."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow([guard_cell(name) for name in table.column_names])
    for row in table.to_pylist():
        writer.writerow([guard_cell(cell) if isinstance(cell, str) else cell for cell in row.values()])
    return b"\xef\xbb\xbf" + text.getvalue().encode()


def _put(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    entry = zipfile.ZipInfo(name, _DAY_ONE)
    entry.compress_type = zipfile.ZIP_DEFLATED
    archive.writestr(entry, content)
