"""What the Models page reads and keeps of questions of one's own; choosing and learning are jobs (see `answering`)."""

from pathlib import Path
from typing import Any

from core.errors import FileError
from core.pipeline.screens import Screen
from core.schema import slug

MOST_BYTES = 50_000_000
"""A file of answers is small; what is larger is another file."""


def question_file(screen: Screen, question: str) -> Path:
    """Return where the shoppers to be answered for are written; makes the folder."""
    folder = screen.dataset.path / "exports"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"ask-{slug(question)}.csv"


def keep_answers(screen: Screen, question: str, content: bytes) -> Path:
    """Keep a file of answers beside the dataset and return where.

    Raises:
        FileError: It is too large.
    """
    if len(content) > MOST_BYTES:
        raise FileError("A file of answers holds at most {most:,} bytes; this one has {have:,}.", most=MOST_BYTES, have=len(content))
    path = question_file(screen, question).with_name(f"answers-{slug(question)}.csv")
    path.write_bytes(content)
    return path


def answers_so_far(screen: Screen, question: str) -> tuple[int, int]:
    """Return how many shoppers were answered with yes, and how many in all."""
    record: dict[str, Any] = screen.dataset.saved(f"answers {question}") or {}
    answers = [int(value) for value in (record.get("answers") or {}).values()]
    return sum(answers), len(answers)
