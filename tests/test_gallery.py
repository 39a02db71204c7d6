"""The gallery: each script is listed, compiles, names what exists, and runs."""

import ast
import re
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


def test_a_page_names_the_files_that_its_script_reads() -> None:
    page = runpy.run_path(str(DOCS / "gallery_pages.py"))
    end = "\n.. _sphx_glr_download_generated_gallery_plot_x.py:\n"
    for mark, (path, _) in page["FILES"].items():
        assert (DOCS / path.removeprefix("/")).is_file()
        source = [mark + end]
        page["name_files"](None, "generated/gallery/plot_x", source)
        named, links = source[0].split(end)[0], re.findall(r":download:`.+ <(.+)>`", source[0])
        assert links == [path]
        assert named.startswith(mark)
    for name in ("guide", "generated/gallery/plot_x"):
        source = ["nothing is read here" + end]
        page["name_files"](None, name, source)
        assert source == ["nothing is read here" + end]


def test_every_local_file_that_a_script_reads_is_one_of_them() -> None:
    files = runpy.run_path(str(DOCS / "gallery_pages.py"))["FILES"]
    for script in SCRIPTS:
        text = script.read_text(encoding="utf-8")
        names = {
            node.module for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ImportFrom)
        }
        local = {name for name in names if name and (script.parent / f"{name}.py").is_file()}
        assert {f"from {name} import" for name in local} <= set(files)
        assert len(local) or "study_numbers.txt" in text


def test_a_picture_is_linked_to_its_file() -> None:
    link = runpy.run_path(str(DOCS / "gallery_pages.py"))["link_pictures"]
    picture = '<img src="../a.png" alt="a" class = "sphx-glr-single-img"/>'
    context = {"body": f"<p>{picture}</p>"}
    link(None, "generated/gallery/plot_x", "", context, None)
    assert context["body"] == f'<p><a href="../a.png">{picture}</a></p>'
    other = {"body": picture}
    link(None, "guide", "", other, None)
    assert other == {"body": picture}
