"""The notebooks are those of their sources, are small, show something, and run."""

import json
import re
import subprocess
import sys
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import cameval

ROOT = Path(cameval.__file__).parents[2]
SCRIPT = ROOT / ".ci" / "notebooks.py"
SOURCES = sorted((ROOT / "examples" / "notebooks").glob("*.py"))
MISSING = [name for name in ("nbclient", "ipykernel", "matplotlib") if find_spec(name) is None]

each_source = pytest.mark.parametrize("source", SOURCES, ids=[path.stem for path in SOURCES])


@pytest.fixture(scope="module")
def script() -> ModuleType:
    """Return the script that writes the notebooks."""
    spec = spec_from_file_location("notebooks", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def stored(source: Path) -> list[dict[str, Any]]:
    """Return the cells of the notebook of a source."""
    text = source.with_suffix(".ipynb").read_text(encoding="utf-8")
    cells: list[dict[str, Any]] = json.loads(text)["cells"]
    return cells


def shown(source: Path) -> list[dict[str, Any]]:
    """Return the stored outputs of a notebook."""
    return [output for cell in stored(source) for output in cell.get("outputs", [])]


def test_a_source_is_cut_into_cells(script: ModuleType) -> None:
    source = "# %% [markdown]\n# # Title\n#\n# text\n\n# %%\nx = 1\n\n# a comment\nx\n"
    assert script.cells(source) == [
        ("markdown", "# Title\n\ntext"),
        ("code", "x = 1\n\n# a comment\nx"),
    ]
    with pytest.raises(SystemExit, match="must begin with a cell"):
        script.cells("x = 1\n# %%\n")


def test_there_are_three() -> None:
    assert len(SOURCES) == 3
    assert len(list(SOURCES[0].parent.glob("*.ipynb"))) == 3


@each_source
def test_the_notebook_is_that_of_its_source(script: ModuleType, source: Path) -> None:
    cells = [(cell["cell_type"], "".join(cell["source"])) for cell in stored(source)]
    assert cells == script.cells(source.read_text(encoding="utf-8")), "run `make notebooks`"


@each_source
def test_the_notebook_is_small_and_of_no_machine(source: Path) -> None:
    text = source.with_suffix(".ipynb").read_text(encoding="utf-8")
    assert len(text) < 300 * 1024
    assert not re.search(r"/(home|root|tmp|work|Users)/", text)


@each_source
def test_every_cell_ran_in_order_and_pictures_and_tables_are_stored(source: Path) -> None:
    code = [cell for cell in stored(source) if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    kinds = [kind for output in shown(source) for kind in output.get("data", {})]
    assert sum(kind.startswith("image/") for kind in kinds) >= 3
    assert kinds.count("text/html") >= 2
    assert not [
        o for o in shown(source) if o["output_type"] == "error" or o.get("name") == "stderr"
    ]


@each_source
def test_links_between_notebooks_lead_somewhere(source: Path) -> None:
    text = "".join("".join(cell["source"]) for cell in stored(source))
    for link in re.findall(r"\]\(([^)]+)\)", text):
        assert (source.parent / link).exists()


@pytest.mark.skipif(bool(MISSING), reason=f"of the extra notebooks, not installed: {MISSING}")
@each_source
def test_no_cell_fails(source: Path) -> None:
    command = [sys.executable, str(SCRIPT), "--check", str(source.with_suffix(".ipynb"))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.skipif(bool(MISSING), reason=f"of the extra notebooks, not installed: {MISSING}")
def test_a_cell_that_fails_is_an_error(script: ModuleType, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.ipynb"
    wrong.write_text(json.dumps(script.notebook("# %%\n1 / 0\n")))
    command = [sys.executable, str(SCRIPT), "--check", str(wrong)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "ZeroDivisionError" in done.stderr
