"""Verbs that find: each reaches what it names, and refuses in a sentence what it cannot find."""

import json
from pathlib import Path
from typing import Any

import pytest

from core.__main__ import main
from tests.page_worlds import tiny_home


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_home(tmp_path_factory.mktemp("found"), users=240)


def ask(home: Path, capsys: pytest.CaptureFixture[str], verb: str, *words: str) -> tuple[int, Any]:
    status = main([verb, "--home", str(home), "--dataset", "tiny", *words, "--json"])
    return status, json.loads(capsys.readouterr().out)


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        (("audience", "--rule", "{}"), "RuleError"),
        (("search", "--like", "i1"), "ModelError"),
        (("ad", "--text", "tea"), "ModelError"),
        (("alike", "--ids", "/dev/null"), "NotFoundError"),
    ],
)
def test_each_verb_reaches_its_stage_which_says_what_is_missing(
    words: tuple[str, ...], kind: str, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, told = ask(home, capsys, *words)
    assert (status, told["kind"]) == (2, kind), told


def test_a_word_of_no_item_finds_nothing_and_says_so(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, told = ask(home, capsys, "search", "--query", "tea")
    assert status == 0 and told["results"] == []
    assert "No item uses “tea”." in told["warnings"]


def test_words_or_an_item_are_asked_for_not_both(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["search", "--home", str(home), "--dataset", "tiny", "--query", "tea", "--like", "i1"])
    assert ended.value.code == 2
    assert "not allowed with" in capsys.readouterr().err
