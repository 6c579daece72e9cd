"""The shape of the code: what may load what, which doors stay closed, what never enters the repository."""

import ast
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MODEL_LIBRARIES = ("torch", "transformers", "umap", "lightgbm", "sklearn", "faiss", "implicit", "graspologic_native", "numba")
CODE = [
    ROOT / "app.py",
    *sorted(
        path
        for folder in ("core", "pages", "data", "benchmarks", "tests")
        for path in (ROOT / folder).rglob("*.py")
        if "__pycache__" not in path.parts
    ),
]
SHIPPED = [path for path in CODE if "tests" not in path.relative_to(ROOT).parts]


def modules(folder: str) -> list[str]:
    return sorted(
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for path in (ROOT / folder).rglob("*.py")
        if "__pycache__" not in path.parts
    )


def loaded_after_importing(names: list[str]) -> set[str]:
    """Import modules in a fresh process and return the top-level names of everything that is loaded then."""
    program = (
        "import importlib, sys\n"
        f"for name in {names!r}: importlib.import_module(name)\n"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def tracked_files() -> Iterator[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        pytest.skip("not a git checkout: there is no list of tracked files")
    for name in listed.stdout.split("\0"):
        path = ROOT / name
        if name and path.is_file():
            yield path


def test_the_modules_of_the_screen_load_no_model_library() -> None:
    loaded = loaded_after_importing([*modules("pages/parts"), "core.pipeline.screens", "core.jobs", "core.store"])
    assert "streamlit" in loaded
    assert loaded.isdisjoint(MODEL_LIBRARIES), sorted(loaded.intersection(MODEL_LIBRARIES))


def test_opening_the_dashboard_on_an_empty_home_loads_no_model_library(tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "from streamlit.testing.v1 import AppTest\n"
        "app = AppTest.from_file('app.py', default_timeout=60).run()\n"
        "assert not app.exception, app.exception\n"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    surroundings = {**os.environ, "SHOPPER_ATLAS_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=surroundings, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    loaded = set(done.stdout.split())
    assert {"streamlit", "core", "pages"} <= loaded
    assert loaded.isdisjoint(MODEL_LIBRARIES), sorted(loaded.intersection(MODEL_LIBRARIES))


def test_core_loads_no_streamlit() -> None:
    headless = [
        "core",
        "core.store",
        "core.jobs",
        "core.windows",
        "core.metrics",
        "core.pipeline.screens",
        "core.pipeline.work",
        "core.__main__",
    ]
    assert loaded_after_importing(headless).isdisjoint({"streamlit", "plotly", "pages"})


def test_the_command_line_starts_without_model_libraries() -> None:
    assert loaded_after_importing(["core.__main__"]).isdisjoint(MODEL_LIBRARIES)


def test_the_settings_that_close_streamlits_open_doors_stand() -> None:
    config = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text(encoding="utf-8"))
    assert config["server"]["address"] == "127.0.0.1"
    assert set(config["server"]["allowedHosts"]) == {"localhost", "127.0.0.1"}
    assert config["server"]["enableXsrfProtection"] is True
    assert config["server"]["enableCORS"] is True
    assert config["server"]["enableStaticServing"] is False
    assert config["server"]["maxUploadSize"] <= 200
    assert config["browser"]["gatherUsageStats"] is False
    assert config["client"]["showErrorDetails"] == "none"
    assert {"light", "dark"} <= set(config["theme"])


def test_the_theme_fetches_no_font_from_outside() -> None:
    text = (ROOT / ".streamlit" / "config.toml").read_text(encoding="utf-8")
    assert "://" not in text
    assert "fontFaces" not in text


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_pickle_no_eval_no_unsafe_html(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        where = f"{path.name}:{getattr(node, 'lineno', 0)}"
        if isinstance(node, ast.Import):
            assert not {"pickle", "joblib", "dill", "marshal", "shelve"} & {alias.name.partition(".")[0] for alias in node.names}, where
        elif isinstance(node, ast.ImportFrom):
            assert (node.module or "").partition(".")[0] not in {"pickle", "joblib", "dill", "marshal", "shelve"}, where
        elif isinstance(node, ast.Call):
            if isinstance(node.func, ast.Name):
                assert node.func.id not in {"eval", "exec"}, where
            given = {keyword.arg: keyword.value for keyword in node.keywords}
            for door in ("unsafe_allow_html", "unsafe_allow_javascript", "allow_pickle", "trust_remote_code", "shell"):
                value = given.get(door)
                assert value is None or (isinstance(value, ast.Constant) and value.value is False), f"{where} {door}"
            if ast.unparse(node.func) == "torch.load":
                assert "weights_only" in given, where


@pytest.mark.parametrize("path", sorted((ROOT / "core").rglob("__init__.py")), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_package_file_holds_only_words_and_names(path: Path) -> None:
    body = ast.parse(path.read_text(encoding="utf-8")).body
    allowed = (ast.Import, ast.ImportFrom, ast.Assign, ast.AnnAssign, ast.Expr)
    assert [type(node).__name__ for node in body if not isinstance(node, allowed)] == []


def test_no_dumping_ground_is_named() -> None:
    names = {path.stem for path in CODE} | {path.parent.name for path in CODE}
    assert names.isdisjoint({"utils", "util", "common", "helpers", "misc"})


@pytest.mark.parametrize("name", sorted(p.stem for p in (ROOT / "core").iterdir() if p.suffix == ".py" or (p / "__init__.py").is_file()))
def test_every_core_module_has_its_test_file(name: str) -> None:
    if name in {"__init__", "errors"}:  # a version string; classes without behaviour
        return
    stem = {"__main__": "chain", "pipeline": "chain"}.get(name, name)  # these two only compose: the whole chain is their test
    assert list((ROOT / "tests").glob(f"test_{stem}*.py")), f"core/{name} has no tests/test_{stem}*.py"


def test_nothing_left_undone_is_in_the_code() -> None:
    unfinished = re.compile(r"\b(" + "|".join(("TO" + "DO", "FIX" + "ME", "X" + "XX")) + r")\b|NotImplemented" + "Error")
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in SHIPPED
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if unfinished.search(line)
    ]
    assert found == []


def test_tracked_files_name_no_machine_path_and_no_package_index() -> None:
    forbidden = re.compile(
        "|".join(
            (
                "/wo" + "rk/",
                "/ro" + "ot/",
                r"/home/\w",
                r"C:\\Users",
                "index" + "-url",
                "find" + "-links",
                "trusted" + "-host",
                r"files\.python",
                r"pypi\." + "org",
            )
        )
    )
    found = []
    for path in tracked_files():
        if path.suffix in {".parquet", ".png", ".mo", ".gz", ".zip", ".jpg", ".xlsx", ".safetensors"}:
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        found += [f"{path.relative_to(ROOT)}:{number}" for number, line in enumerate(text.splitlines(), start=1) if forbidden.search(line)]
    assert found == []


def test_requirements_are_pinned_exactly() -> None:
    for name in ("requirements.txt", "requirements-dev.txt", "constraints.txt"):
        for line in (ROOT / name).read_text(encoding="utf-8").splitlines():
            if line and not line.startswith(("#", "-")):
                assert re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.]+(; .+)?", line), f"{name}: {line}"
    assert "torch==2.13.0" in (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
