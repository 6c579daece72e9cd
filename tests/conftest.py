"""Fixtures shared by all tests."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.store import Log
from tests.worlds import publish_world


@pytest.fixture
def make_log(tmp_path: Path) -> Callable[..., Log]:
    """A function that publishes rows as a dataset in a fresh home and opens its log."""

    def make(events: list[dict[str, Any]], **more: Any) -> Log:
        return publish_world(tmp_path / "home", events, **more)

    return make
