"""Words, colours, downloads, settings: what holds on every page."""

import ast
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
from babel.messages.pofile import read_po

from pages.parts import charts, text
from pages.parts.downloads import csv_bytes
from pages.parts.text import _, chance, hover, percent, plain, set_language, short, whole

ROOT = Path(__file__).resolve().parents[1]
CONFIG = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text(encoding="utf-8"))
WORD_TABLES = {"PERIODS", "STAGES", "COVERAGE", "SOURCES", "WEEKDAYS", "GROUNDS"}


@pytest.fixture(autouse=True)
def english() -> None:
    set_language("en")


def luminance(colour: str) -> float:
    parts = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def msgids() -> set[str]:
    found: set[str] = set()
    for path in [ROOT / "app.py", *(ROOT / "pages").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "_" and node.args:
                found |= {node.args[0].value} if isinstance(node.args[0], ast.Constant) else set()
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                name = node.targets[0].id
                if name.endswith("_WORDS") or name in WORD_TABLES:
                    values = node.value.values if isinstance(node.value, ast.Dict) else node.value.elts
                    found |= {v.value for v in values if isinstance(v, ast.Constant)}
    return found


def test_every_sentence_on_screen_has_a_chinese_translation_with_the_same_placeholders() -> None:
    words = text.catalogue("zh")
    missing = sorted(msgids() - words.keys())
    assert not missing
    fields = re.compile(r"\{[^}]*\}")
    assert not [m for m in msgids() if sorted(fields.findall(m)) != sorted(fields.findall(words[m]))]


def test_the_catalogue_holds_no_sentence_that_is_no_longer_used() -> None:
    with (ROOT / "locale/zh_CN/LC_MESSAGES/atlas.po").open("rb") as stream:
        used = {str(m.id) for m in read_po(stream, locale="zh_CN") if m.id}
    assert not sorted(used - msgids())


@pytest.mark.parametrize("look", [charts.LIGHT, charts.DARK], ids=["light", "dark"])
def test_text_reaches_4_5_and_marks_reach_3_on_their_ground(look: charts.Look) -> None:
    for ground in (look.ground, look.panel):
        assert contrast(look.ink, ground) >= 4.5 and contrast(look.quiet, ground) >= 4.5
    assert contrast(look.accent, look.ground) >= 3 and contrast(look.warn, look.ground) >= 3
    assert [c for c in charts.PALETTE if contrast(c, look.ground) < 3] == []


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_the_theme_reaches_the_contrast_of_its_use(mode: str) -> None:
    theme, ground = CONFIG["theme"][mode], CONFIG["theme"][mode]["backgroundColor"]
    for side in (theme, {**theme, **theme["sidebar"]}):
        for back in (side["backgroundColor"], side["secondaryBackgroundColor"]):
            assert contrast(side["textColor"], back) >= 4.5 and contrast(side["grayTextColor"], back) >= 4.5
    assert contrast(theme["linkColor"], ground) >= 4.5
    assert contrast("#FFFFFF", theme["primaryColor"]) >= 4.5, "white words on a primary button"
    assert contrast(theme["primaryColor"], ground) >= 3
    assert ground == (charts.LIGHT if mode == "light" else charts.DARK).ground


def test_the_server_listens_here_only_and_tells_nobody() -> None:
    server = CONFIG["server"]
    assert server["address"] == "127.0.0.1"
    assert server["allowedHosts"] == ["localhost", "127.0.0.1"]
    assert server["maxUploadSize"] == 200 and server["enableXsrfProtection"] and server["enableStaticServing"] is False
    assert CONFIG["browser"]["gatherUsageStats"] is False
    assert CONFIG["client"]["showErrorDetails"] == "none"
    assert "http" not in (ROOT / ".streamlit/config.toml").read_text(encoding="utf-8")


def test_nothing_draws_raw_html_or_a_fetched_icon() -> None:
    for path in [ROOT / "app.py", *(ROOT / "pages").rglob("*.py")]:
        source = path.read_text(encoding="utf-8")
        assert "unsafe_allow_html" not in source and "st.html" not in source, path
        assert 'page_icon=":material' not in source and "https://" not in source, path


def test_markup_in_data_is_shown_as_it_stands() -> None:
    assert plain("![x](http://e.example)") == "\\!\\[x\\]\\(http\\:\u2060//e.example\\)"
    assert plain(":red[hi] :material/home:") == "\\:\u2060red\\[hi\\] \\:\u2060material/home\\:"
    assert plain("a\n# b") == "a \\# b"
    assert hover("<b>%{x}</b>") == "&lt;b&gt;% {x}&lt;/b&gt;"


def test_cells_that_could_run_as_formulas_are_disarmed_and_numbers_are_not() -> None:
    table = pa.table({"title": ["=1+1", "@x", "-2", "ok", None], "value": [-1.5, 2.0, 3.0, 4.0, 5.0]})
    lines = csv_bytes(table).decode("utf-8-sig").splitlines()
    assert lines[1:] == ["'=1+1,-1.5", "'@x,2.0", "'-2,3.0", "ok,4.0", ",5.0"]
    assert csv_bytes(pd.DataFrame({"=a": ["商品"]})).startswith(b"\xef\xbb\xbf'=a")


def test_numbers_are_written_for_people() -> None:
    assert whole(987994) == "987,994" and short(987994) == "988K"
    set_language("zh")
    assert short(987994) == "98.8万"
    set_language("en")
    assert percent(0.0312) == "3.1%" and percent(0.0001) == "<0.1%" and percent(0.0) == "0.0%"
    assert chance(0.0) == "<0.1%" and chance(1.0) == ">99.9%" and chance(0.5) == "50.0%"
    assert whole(None) == "–" and percent(float("nan")) == "–"


def test_a_sentence_without_translation_stays_english() -> None:
    set_language("zh")
    assert _("never translated {n}", n=1) == "never translated 1"


def test_the_screen_process_loads_no_model_library() -> None:
    code = (
        "import sys, importlib, json\n"
        "names = 'frame state jobs charts controls importing quality atlas portrait chances lists targets overview'\n"
        "for m in names.split():\n"
        "    importlib.import_module('pages.parts.' + m)\n"
        "heavy = ('torch','transformers','umap','lightgbm','sklearn','faiss','implicit','sknetwork')\n"
        "print(json.dumps([m for m in heavy if m in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []
