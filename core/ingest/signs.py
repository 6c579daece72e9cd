"""Signs that should make one doubt a text: control signs inside values, and lines that begin like comments."""

import numpy as np
import numpy.typing as npt

MARKS = (b"#", b"//")
"""How comments begin."""

_TAB, _NEWLINE, _RETURN, _BLANK = 9, 10, 13, 32


def count_controls(array: npt.NDArray[np.uint8]) -> int:
    """Count control signs that are neither tab nor line end."""
    low = int(np.count_nonzero(array < _BLANK)) - int(np.count_nonzero(array == _NEWLINE))
    return low - int(np.count_nonzero((array == _TAB) | (array == _RETURN))) if low else 0


def count_marked(block: bytes, starts: npt.NDArray[np.int64]) -> int:
    """Count lines of a block that begin like a comment.

    Args:
        block: Bytes.
        starts: Where its lines begin; a start behind the end is none.
    """
    if not any(mark[:1] in block for mark in MARKS):
        return 0
    array = np.frombuffer(block, dtype=np.uint8)
    starts = starts[starts < len(array)]
    return sum(block.startswith(MARKS, int(start)) for start in starts[np.isin(array[starts], [mark[0] for mark in MARKS])])
