"""What the page keeps of files of treated shoppers; measuring is a job (see `uplifting`)."""

from pathlib import Path

from core.errors import FileError
from core.pipeline.screens import Screen
from core.schema import ACTS

OUTCOMES = (*ACTS, "revenue")
"""What a treatment may change: whether somebody acts, or what she spends."""
MOST_BYTES = 200_000_000
"""A file of treated shoppers is small; what is larger is another file."""
ENDINGS = (".csv", ".parquet")


def keep_treatment(screen: Screen, role: str, name: str, content: bytes) -> Path:
    """Keep a file beside the dataset and return where.

    Args:
        screen: The pinned dataset.
        role: `treatment` or `campaigns`.
        name: As its owner calls it; only its ending is used.
        content: Its bytes.

    Raises:
        FileError: It is too large, or of another kind.
    """
    ending = Path(name).suffix.lower()
    if ending not in ENDINGS:
        raise FileError("A file of treated shoppers is .csv or .parquet, not {ending!r}.", ending=ending[:20])
    if len(content) > MOST_BYTES:
        raise FileError(
            "A file of treated shoppers holds at most {most:,} bytes; this one has {have:,}.", most=MOST_BYTES, have=len(content)
        )
    folder = screen.dataset.path / "exports"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{role}{ending}"
    path.write_bytes(content)
    return path
