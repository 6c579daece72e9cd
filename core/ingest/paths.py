"""How a path is given to DuckDB."""

import re
from pathlib import Path


def literal_path(path: Path) -> str:
    """Spell a path so that DuckDB does not take its brackets and stars for a pattern."""
    return re.sub(r"([\[*?])", r"[\1]", str(path))
