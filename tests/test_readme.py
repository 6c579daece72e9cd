"""What the README and the other pages for people say is true: commands exist, code runs, links lead somewhere."""

import argparse
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from core.__main__ import _parser
from core.pipeline.exporting_profiles import export_profiles
from core.pipeline.options import ProfileOptions
from core.pipeline.work import profile
from core.store import Home
from tests.encoders import save_tiny_encoder
from tests.worlds import at, publish_world

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "data" / "sample" / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks(language: str) -> list[str]:
    return [text for kind, text in BLOCK.findall(README) if kind == language]


def commands() -> list[str]:
    lines = "".join(blocks("bash") + blocks("powershell")).splitlines()
    return [line.partition("  #")[0].strip() for line in lines if line.strip()]


CORE_COMMANDS = sorted({command for command in commands() if " -m core " in command})


def test_the_readme_shows_make_and_core_commands() -> None:
    assert len(CORE_COMMANDS) >= 10
    assert {"make run", "make test"} <= {re.split(r"\s{2,}", command)[0] for command in commands()}


@pytest.mark.parametrize("command", sorted({c for c in commands() if c.startswith("make ")}))
def test_every_make_command_is_a_target(command: str) -> None:
    target = command.split()[1]
    assert re.search(rf"^{re.escape(target)}:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE), target


@pytest.mark.parametrize("command", CORE_COMMANDS)
def test_every_core_command_is_understood_by_the_command_line(command: str) -> None:
    given = shlex.split(command.replace("\\", "/"))
    words = given[given.index("core") + 1 :]
    parsed = _parser().parse_args(words)
    assert callable(parsed.verb)


def test_every_verb_explains_itself() -> None:
    actions = [action for action in _parser()._actions if isinstance(action, argparse._SubParsersAction)]
    verbs = sorted(actions[0].choices)
    assert {"ingest", "profile", "map", "predict", "recommend", "audience", "export", "run", "jobs", "samples"} <= set(verbs)
    for verb in verbs:
        text = actions[0].choices[verb].format_help()
        assert "--home" in text
        assert "--json" in text
    done = subprocess.run([sys.executable, "-m", "core", "--help"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0
    assert all(verb in done.stdout for verb in verbs)


@pytest.mark.parametrize("snippet", blocks("python"))
def test_every_python_snippet_runs(snippet: str, tmp_path: Path) -> None:
    acts = [{"user_id": "1", "item_id": "a", "event_type": "view", "event_time": at(0)}]
    publish_world(tmp_path / "workspace", acts, [{"item_id": "a", "title": "red dress"}], dataset="clickstream")
    if "tables/" in snippet:
        home, model = Home(tmp_path / "workspace"), save_tiny_encoder(tmp_path / "tiny")
        profile(home, home.dataset("clickstream"), options=ProfileOptions(model=str(model), device="cpu"))
        (tmp_path / "tables").mkdir()
        export_profiles(home.dataset("clickstream"), tmp_path / "tables")
    done = subprocess.run(
        [sys.executable, "-c", snippet],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert ("tiny@" if "tables/" in snippet else "view") in done.stdout


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_and_file_names_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+)", text):
        if "://" not in target:
            assert (page.parent / target).exists(), target
    for name in re.findall(r"`((?:core|pages|data|docs|tests|benchmarks)/[\w/.-]+\.(?:py|md|sql|json))`", text):
        assert (ROOT / name).is_file(), name


def test_the_changelog_has_a_place_for_what_comes_next() -> None:
    assert "## [Unreleased]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_the_licence_is_the_whole_apache_licence_and_the_notice_names_all_sources() -> None:
    licence = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Apache License" in licence
    assert "END OF TERMS AND CONDITIONS" in licence
    notice = (ROOT / "NOTICE").read_text(encoding="utf-8")
    for source in ("Complete Journey", "CC0", "all-MiniLM-L6-v2", "multilingual-e5-small", "synthetic"):
        assert source in notice, source
