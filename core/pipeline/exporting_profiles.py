"""Profiles as files that two lines of pandas or one of NumPy read: ids, vectors, cutoff and model in each."""

import io
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from core.artifacts import read_arrays, read_table, sha256_of
from core.pipeline.writing import write_rows
from core.store import Dataset

LEARNED = ("text", "sequence", "graph", "narrative", "image", "facts", "ids")
"""Blocks that are vectors; the counts are the table `features`."""
_EPOCH = (1980, 1, 1, 0, 0, 0)
"""A fixed time inside the archive, so that the same profiles give the same bytes."""


def export_profiles(dataset: Dataset, folder: Path) -> dict[str, dict[str, Any]]:
    """Write the current profiles as profiles.parquet and profiles.npz; the row of a shopper is the same in both.

    Parquet: user_id, cutoff (first instant not seen, UTC), model (of the text block), and a list of float32 for each learned
    block. NumPy (read with allow_pickle off): user_id, cutoff, model, and a matrix (U, D) for each block. A shopper of whom a
    block says nothing has zeros.

    Returns:
        {file name: {"rows", "bytes", "sha256"}}; empty when the profiles are counts alone.

    Raises:
        NotFoundError: There are no profiles yet.
        OSError: A file cannot be written.
    """
    run = dataset.run_path("profiles")
    record = dataset.run_manifest("profiles")
    blocks = {name: read_arrays(run / f"{name}.safetensors")[name] for name in LEARNED if (run / f"{name}.safetensors").is_file()}
    if not blocks:
        return {}
    user_ids = read_table(run / "counts.parquet", ["user_id"])["user_id"].combine_chunks()
    cutoff = record.get("cutoff") or dataset.log(version=record["inputs"]["version"]).until.isoformat()
    model = model_id(record)
    table = pa.table(
        {
            "user_id": user_ids,
            "cutoff": pa.array(np.full(len(user_ids), np.datetime64(cutoff, "us"))),
            "model": pa.array([model] * len(user_ids), pa.string()),
            **{name: _lists(vectors) for name, vectors in blocks.items()},
        }
    )
    write_rows(folder / "profiles.parquet", table)
    arrays = {"user_id": np.array(user_ids.to_pylist(), np.str_), "cutoff": np.array(cutoff), "model": np.array(model), **blocks}
    _write_npz(folder / "profiles.npz", arrays)
    paths = (folder / "profiles.parquet", folder / "profiles.npz")
    return {path.name: {"rows": len(user_ids), "bytes": path.stat().st_size, "sha256": sha256_of(path)} for path in paths}


def model_id(record: dict[str, Any]) -> str:
    """Name the text model of a profiles run so that no other has the name: checkpoint, fingerprint, precision; '' without texts."""
    card = record.get("card") or {}
    return f"{card['checkpoint']}@{card['fingerprint'][:12]}/{card['precision']}" if "fingerprint" in card else ""


def _lists(vectors: npt.NDArray[np.float32]) -> pa.Array:
    offsets = np.arange(len(vectors) + 1, dtype=np.int32) * vectors.shape[1]
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(vectors.astype(np.float32).ravel()))


def _write_npz(path: Path, arrays: dict[str, npt.NDArray[Any]]) -> None:
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with zipfile.ZipFile(partial, "w", zipfile.ZIP_STORED) as archive:
            for name, array in arrays.items():
                payload = io.BytesIO()
                np.lib.format.write_array(payload, np.ascontiguousarray(array) if array.ndim else array, allow_pickle=False)
                archive.writestr(zipfile.ZipInfo(f"{name}.npy", _EPOCH), payload.getbuffer())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
