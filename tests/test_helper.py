"""The warm helper answers what the pipeline answers, says what went wrong, and comes back when it was killed."""

import json

import pytest

from core.errors import NotFoundError
from core.helper import Helper
from core.pipeline import explaining
from core.pipeline.explaining import Reading, open_reading
from core.store import Dataset, Home
from tests.kept_worlds import kept_shop, scores_of


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return kept_shop(tmp_path_factory.mktemp("shop") / "home")


@pytest.fixture(scope="module")
def reading(shop: Dataset) -> Reading:
    return open_reading(Home(shop.path.parents[1]), shop)


def test_the_helper_answers_what_the_pipeline_answers_and_comes_back_when_it_is_killed(shop: Dataset, reading: Reading) -> None:
    helper = Helper(Home(shop.path.parents[1]))
    try:
        asked = {"dataset": "tiny", "user_id": "u042"}
        first = helper.ask("why", asked)
        assert {k: v for k, v in first.items() if k != "milliseconds"} == json.loads(json.dumps(explaining.why(reading, "u042")))
        with pytest.raises(NotFoundError, match="nobody"):
            helper.ask("why", {"dataset": "tiny", "user_id": "nobody"})
        assert helper._process is not None
        before = helper.pid()
        helper._process.kill()
        helper._process.wait()
        change = {"add": [{"event_type": "cart", "item_id": "i1"}]}
        again = helper.ask("what_if", {**asked, "change": change})
        assert again["before"]["propensity"] == scores_of(shop)["u042"] and helper.pid() not in (None, before)
        with pytest.raises(RuntimeError, match="KeyError"):
            helper.ask("no such question", {})
    finally:
        helper.close()
    assert helper.pid() is None
