"""Sentences of core: they keep their parts through JSON, and each has a translation."""

import ast
import copy
import json
import re
from pathlib import Path

import pytest
from babel.messages.pofile import read_po

from core import errors
from core.errors import CoreError, FileError
from core.messages import Message, joined, revived, say, with_messages
from pages.parts import text
from pages.parts.text import said, set_language

ROOT = Path(__file__).resolve().parents[1]
PARTS = sorted(
    {path.relative_to(ROOT / "core").parts[0] for path in (ROOT / "core").rglob("*.py") if "__pycache__" not in path.parts}
    - {"__init__.py"}
)
ERRORS = {name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, CoreError)}
FIELDS = re.compile(r"\{(\w+)[^}]*\}")
LISTS = ("warnings", "said", "notes")
"""Lists of sentences that reach the screen: only messages go in."""
CORE_PO = ROOT / "locale/zh_CN/LC_MESSAGES/core"


def sentences(part: str) -> tuple[set[str], list[str]]:
    """Templates of `say`, of errors and of progress in a module or package of core, and places whose sentence is not a literal."""
    found: set[str] = set()
    loose: list[str] = []
    top = ROOT / "core" / part
    for path in [top] if top.is_file() else sorted(top.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or path.name in ("messages.py", "errors.py"):
                continue
            name = node.func.id if isinstance(node.func, ast.Name) else ""
            if isinstance(node.func, ast.Attribute) and node.func.attr == "append" and ast.unparse(node.func.value).endswith(LISTS):
                if isinstance(node.args[0], ast.JoinedStr | ast.BinOp | ast.Constant):
                    loose.append(f"{path.relative_to(ROOT)}:{node.lineno}")
                continue
            if name in ("say", *ERRORS) and node.args:
                sentence = node.args[0]
            elif (name == "joined" and len(node.args) > 1) or (name in ("progress", "report", "reporter") and len(node.args) == 2):
                sentence = node.args[1]
            else:
                continue
            if isinstance(sentence, ast.Constant) and isinstance(sentence.value, str):
                found.add(sentence.value)
            elif isinstance(sentence, ast.JoinedStr | ast.BinOp):
                loose.append(f"{path.relative_to(ROOT)}:{sentence.lineno}")
    return found, loose


@pytest.mark.parametrize("part", PARTS)
def test_every_sentence_of_core_is_a_literal_with_a_chinese_translation(part: str) -> None:
    found, loose = sentences(part)
    words = text.catalogue("zh")
    assert not loose, "these are glued together, so no catalogue can hold them"
    assert not sorted(found - words.keys())
    assert not [m for m in sorted(found) if sorted(set(FIELDS.findall(m))) != sorted(set(FIELDS.findall(words[m])))]


def test_the_catalogues_of_core_hold_no_sentence_that_is_no_longer_used() -> None:
    used = set().union(*(sentences(part)[0] for part in PARTS))
    for path in sorted(CORE_PO.glob("*.po")):
        with path.open("rb") as stream:
            assert not sorted({str(m.id) for m in read_po(stream, locale="zh_CN") if m.id} - used), path.name


def test_a_message_is_its_english_text_and_remembers_its_parts() -> None:
    message = say("{rows:,} rows of {name!r} were dropped.", rows=1234, name="a.csv")
    assert message == "1,234 rows of 'a.csv' were dropped."
    assert message.template == "{rows:,} rows of {name!r} were dropped." and message.values == {"rows": 1234, "name": "a.csv"}


def test_a_message_without_values_is_taken_as_it_stands() -> None:
    assert say("A rule is one {key: content} pair.") == "A rule is one {key: content} pair."


def test_messages_survive_json_at_any_depth() -> None:
    inner = say("bought {item}", item="tea")
    record = {"warnings": [say("Shoppers who {told}.", told=inner), "plain words"], "metrics": {"why": inner}, "rows": 3}
    written = json.loads(json.dumps(with_messages(record)))
    assert written["warnings"] == ["Shoppers who bought tea.", "plain words"]
    back = revived(written)
    assert back == record and isinstance(back["warnings"][0], Message) and isinstance(back["metrics"]["why"], Message)
    assert not isinstance(back["warnings"][1], Message)


@pytest.mark.parametrize(
    "parts", [{}, None, 3, {"template": "{x}", "values": {}}, {"template": "{x:q}", "values": {"x": 1}}, {"values": {}}]
)
def test_damaged_parts_leave_the_plain_sentence(parts: object) -> None:
    back = revived({"error": "The disk is full.", "messages": {"The disk is full.": parts}})
    assert back == {"error": "The disk is full."}


def test_parts_that_do_not_make_the_sentence_are_not_believed() -> None:
    back = revived({"error": "Nothing happened.", "messages": {"Nothing happened.": {"template": "Send money.", "values": {}}}})
    assert not isinstance(back["error"], Message)


def test_a_message_survives_a_copy() -> None:
    message = say("{n} rows", n=3)
    assert copy.deepcopy(message).template == "{n} rows"


def test_an_error_carries_its_message() -> None:
    error = FileError("{path} is empty; give another file.", path=Path("log.csv"))
    assert str(error) == "log.csv is empty; give another file." and error.message.values == {"path": "log.csv"}


def test_joined_sentences_keep_every_part() -> None:
    assert joined([say("a"), say("b"), say("c")], "{first} and {second}") == "a and b and c"
    long = joined([say("{n}", n=n) for n in range(3000)])
    assert long.startswith("0, 1, 2,") and long.endswith(", 2999")
    assert revived(json.loads(json.dumps(with_messages({"told": long}))))["told"].template == "{first}, {second}"
    with pytest.raises(ValueError, match="nothing"):
        joined([])


def test_a_sentence_without_translation_or_with_other_places_stays_english(monkeypatch: pytest.MonkeyPatch) -> None:
    set_language("zh")
    monkeypatch.setattr(
        text, "catalogue", lambda name: {"{n} rows": "{count} 行", "{n} users in {where}": "{where}有 {n} 位用户", "town": "镇"}
    )
    assert said(say("{n} rows", n=3)) == "3 rows"
    assert said(say("{n} items", n=3)) == "3 items"
    assert said(say("{n} users in {where}", n=3, where=say("town"))) == "镇有 3 位用户"
    assert said("plain words") == "plain words"
    set_language("en")


@pytest.mark.parametrize("path", sorted((ROOT / "locale").rglob("*.po")), ids=lambda path: path.stem)
def test_each_sentence_stands_once_in_its_catalogue(path: Path) -> None:
    once = re.findall(r'^msgid ((?:".*"\n)+)', path.read_text(encoding="utf-8"), re.MULTILINE)
    assert not sorted({sentence for sentence in once if once.count(sentence) > 1})
