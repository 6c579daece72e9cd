"""Files that people take away: CSV that a spreadsheet opens rightly and cannot be tricked by."""

from collections.abc import Callable

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import streamlit as st

from core.pipeline.map_cells import FRAME_KEY
from core.small_cells import told_count, worded
from pages.parts import state
from pages.parts.text import _, guarded, is_missing

LONGEST_NAME = 200
"""Bytes of a file's name before its ending; file systems hold 255."""


def file_name(name: str, ending: str) -> str:
    """Name a file, with the filters in force in words: `trend, Category “Shoes”, from 2024-03-01.csv`.

    A table in a file stays a table: nothing is written above its header, which would shift it for whoever reads it.
    """
    words = ", ".join([name, *(state.flag(state.FILTERS) or [])])
    safe = "".join(" " if letter in '/\\:*?"<>|' or ord(letter) < 32 else letter for letter in words)
    if len(safe.encode()) > LONGEST_NAME:
        safe = safe.encode()[: LONGEST_NAME - 3].decode(errors="ignore") + "…"
    return f"{safe}.{ending}"


def csv_bytes(table: pa.Table | pd.DataFrame) -> bytes:
    """Write a table as CSV: UTF-8 with byte order mark, and every text cell that could run as a formula disarmed.

    Hidden counts say `< 20`.
    """
    frame = worded(table).to_pandas() if isinstance(table, pa.Table) else _told(table)
    for column in frame.columns:
        if not pd.api.types.is_numeric_dtype(frame[column]) and not pd.api.types.is_datetime64_any_dtype(frame[column]):
            frame[column] = [guarded(value) for value in frame[column]]
    frame.columns = [str(guarded(str(column))) for column in frame.columns]
    text: str = frame.to_csv(index=False, lineterminator="\r\n", date_format="%Y-%m-%d %H:%M:%S")
    return b"\xef\xbb\xbf" + text.encode("utf-8")


def _told(table: pd.DataFrame) -> pd.DataFrame:
    """A copy whose hidden counts say so (see `map_cells.told_frame`)."""
    frame = table.copy()
    for name, k in table.attrs.get(FRAME_KEY, {}).items():
        if name in frame and frame[name].isna().any():
            frame[name] = [told_count(None, k) if is_missing(value) else f"{value:.15g}" for value in frame[name]]
    return frame


def parquet_button(make: Callable[[], pa.Table], name: str, *, label: str, key: str | None = None) -> None:
    """Offer a table as a Parquet file, values as they are; the table is made only when the button is pressed."""
    st.download_button(
        label,
        data=lambda: _parquet(make()),
        file_name=file_name(name, "parquet"),
        mime="application/vnd.apache.parquet",
        key=key or f"parquet-{name}",
        on_click="ignore",
    )


def as_arrow(table: pa.Table | pd.DataFrame, about: dict[str, str]) -> pa.Table:
    """A table for a Parquet file, which tells what it is about (see `file_name` for the filters) in its metadata.

    A column that holds texts beside numbers becomes text.
    """
    if isinstance(table, pd.DataFrame):
        try:
            table = pa.Table.from_pandas(table, preserve_index=False)
        except (pa.ArrowInvalid, pa.ArrowTypeError):
            mixed = table.select_dtypes("object").columns
            table = pa.Table.from_pandas(table.astype(dict.fromkeys(mixed, "string")), preserve_index=False)
    looked_at = "; ".join(state.flag(state.FILTERS) or [])
    return table.replace_schema_metadata({**(table.schema.metadata or {}), **about, "looked_at": looked_at})


def _parquet(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    return bytes(sink.getvalue())


def csv_button(make: Callable[[], pa.Table | pd.DataFrame], name: str, *, label: str | None = None, key: str | None = None) -> None:
    """Offer a table as a CSV file; the table is made only when the button is pressed."""
    st.download_button(
        label or _("Download CSV"),
        data=lambda: csv_bytes(make()),
        file_name=file_name(name, "csv"),
        mime="text/csv",
        key=key or f"csv-{name}",
        on_click="ignore",
    )
