"""The verb `privacy`: its argument; what it does is told in test_small_cells."""

import pytest

from core.privacy_verb import small_cells


def test_a_number_or_off() -> None:
    assert (small_cells("off"), small_cells("20")) == (0, 20)
    with pytest.raises(ValueError, match="twenty"):
        small_cells("twenty")
