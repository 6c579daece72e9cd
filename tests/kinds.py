"""One small log in every kind of file that is read, and the means to make such files."""

import gzip
import json
import zipfile
from datetime import datetime
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

NAMES = ("user_id", "item_id", "event_type", "event_time", "price")
ROWS = [(f"u{i % 4}", f"{i:03d}", "view", f"2024-03-01 10:{i:02d}:00", "1.5") for i in range(12)]
CSV = "\n".join(map(",".join, [NAMES, *ROWS])) + "\n"
HEADER = ",".join(NAMES) + "\n"
OBJECTS = [dict(zip(NAMES, row, strict=True)) for row in ROWS]
LINES = "\n".join(map(json.dumps, OBJECTS)) + "\n"
TYPED = [(user, item, kind, datetime.fromisoformat(time), float(price)) for user, item, kind, time, price in ROWS]
FILES = Path(__file__).parent / "files"


def zipped(path: Path, members: dict[str, str | bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def workbook(path: Path, sheets: dict[str, list[Any]]) -> Path:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(list(row))
    book.save(path)
    return path


def ods(path: Path) -> Path:
    cells = "".join(
        "<table:table-row>"
        + "".join(f'<table:table-cell office:value-type="string"><text:p>{value}</text:p></table:table-cell>' for value in row)
        + "</table:table-row>"
        for row in [NAMES, *ROWS]
    )
    spaces = "".join(f' xmlns:{name}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"' for name in ("office", "table", "text"))
    content = (
        f'<?xml version="1.0"?><office:document-content{spaces}><office:body><office:spreadsheet><table:table table:name="Log">'
        f"{cells}</table:table></office:spreadsheet></office:body></office:document-content>"
    )
    kind = "application/vnd.oasis.opendocument.spreadsheet"
    manifest = (
        '<?xml version="1.0"?><manifest:manifest xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0">'
        f'<manifest:file-entry manifest:full-path="/" manifest:media-type="{kind}"/></manifest:manifest>'
    )
    return zipped(path, {"mimetype": kind, "META-INF/manifest.xml": manifest, "content.xml": content})


def parquet(path: Path) -> Path:
    pq.write_table(pa.table(dict(zip(NAMES, zip(*TYPED, strict=True), strict=True))), path)
    return path


def put(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def every_kind(folder: Path) -> dict[str, Path]:
    """The same log in every kind; the names say nothing true."""
    texts: dict[str, str | bytes] = {
        "csv": CSV,
        "csv.gz": gzip.compress(CSV.encode()),
        "csv.zst": zstandard.compress(CSV.encode()),
        "csv.zst of two frames": zstandard.compress(CSV[:200].encode()) + zstandard.compress(CSV[200:].encode()),
        "jsonl": LINES,
        "jsonl without a last line end": LINES.rstrip(),
        "jsonl.gz": gzip.compress(LINES.encode()),
        "jsonl.zst": zstandard.compress(LINES.encode()),
        "json array": json.dumps(OBJECTS),
        "json array, indented": json.dumps(OBJECTS, indent=2),
        "json array in UTF-16": json.dumps(OBJECTS).encode("utf-16"),
        "json.gz": gzip.compress(json.dumps(OBJECTS).encode()),
        "json object": json.dumps({"meta": {"shop": "x", "codes": [1, 2]}, "data": {"events": OBJECTS}, "count": 12}, indent=1),
        "json objects in a row": "\n".join(json.dumps(o, indent=1) for o in OBJECTS),
    }
    found = {kind: put(folder / f"{place}.dat", content) for place, (kind, content) in enumerate(texts.items())}
    found["parquet"] = parquet(folder / "p.csv")
    found["xlsx"] = workbook(folder / "x.csv", {"Log": [NAMES, *TYPED]})
    found["xls"] = put(folder / "old.csv", (FILES / "tiny.xls").read_bytes())
    found["ods"] = ods(folder / "o.json")
    found["zip of csv"] = zipped(folder / "z.csv", {"log.csv": CSV})
    found["zip of two csv"] = zipped(
        folder / "z2.csv", {"log/1.csv": CSV[: CSV.index("u0,004")], "log/2.csv": HEADER + CSV[CSV.index("u0,004") :]}
    )
    found["zip of jsonl"] = zipped(folder / "z3.csv", {"log.jsonl": LINES, "__MACOSX/._log.jsonl": b"\0\5", "ReadMe.txt": "hello"})
    found["zip of xlsx"] = zipped(folder / "z4.csv", {"log.xlsx": found["xlsx"].read_bytes()})
    found["zip of parquet"] = zipped(folder / "z5.csv", {"log.parquet": found["parquet"].read_bytes()})
    return found


KINDS = [
    *("csv", "csv.gz", "csv.zst", "csv.zst of two frames", "jsonl", "jsonl without a last line end", "jsonl.gz", "jsonl.zst"),
    *("json array", "json array, indented", "json array in UTF-16", "json.gz", "json object", "json objects in a row"),
    *("parquet", "xlsx", "xls", "ods", "zip of csv", "zip of two csv", "zip of jsonl", "zip of xlsx", "zip of parquet"),
]
