"""The gallery: each script is listed, compiles, names what exists, and runs."""

import ast
import runpy
import sys
from pathlib import Path
from typing import Any

import pytest

DOCS = Path(__file__).parents[1] / "docs"
SCRIPTS = sorted((DOCS / "gallery").glob("plot_*.py"))
PAGES = runpy.run_path(str(DOCS / "gallery_order.py"))["PAGES"]
NAMES = [script.stem for script in SCRIPTS]


def test_every_script_has_a_place_in_the_order() -> None:
    assert sorted(f"plot_{page}" for page in PAGES) == NAMES
    assert len(set(PAGES)) == len(PAGES) == 10


@pytest.mark.parametrize("script", SCRIPTS, ids=NAMES)
def test_a_script_begins_with_a_title_and_explains_its_steps(script: Path) -> None:
    text = script.read_text(encoding="utf-8")
    tree = ast.parse(text)
    title, line, *_ = (ast.get_docstring(tree) or "").splitlines()
    assert set(line) == {"="}
    assert len(line) == len(title)
    assert text.count("# %%\n# ") > 2


@pytest.mark.parametrize("script", SCRIPTS, ids=NAMES)
def test_a_script_imports_names_that_exist(script: Path) -> None:
    """Names of `trained` are read from its text: importing it would set the number of threads."""
    helper = ast.parse((DOCS / "gallery" / "trained.py").read_text(encoding="utf-8"))
    own = {getattr(node, "name", "") for node in helper.body}
    own |= {n.targets[0].id for n in helper.body if isinstance(n, ast.Assign)}
    for node in ast.walk(ast.parse(script.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.ImportFrom):
            continue
        assert node.module is not None
        names = {alias.name for alias in node.names}
        if node.module == "trained":
            assert names <= own
        elif node.module.startswith("cameval"):
            module = __import__(node.module, fromlist=sorted(names))
            assert all(hasattr(module, name) for name in names)


@pytest.mark.slow
@pytest.mark.parametrize("script", SCRIPTS, ids=NAMES)
def test_a_script_runs(script: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    matplotlib: Any = pytest.importorskip("matplotlib")
    matplotlib.use("agg")
    monkeypatch.syspath_prepend(str(script.parent))
    monkeypatch.chdir(script.parent)
    runpy.run_path(str(script))
    pyplot = sys.modules["matplotlib.pyplot"]
    try:
        assert pyplot.get_fignums()
    finally:
        pyplot.close("all")
