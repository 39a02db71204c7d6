"""Imports between files go one way: no circle, however it is written."""

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import cameval

ROOT = Path(cameval.__file__).parent


def files(root: Path, package: str) -> dict[str, Path]:
    """Return the file of each module below a folder."""
    found = {}
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        parts = parts[:-1] if parts[-1] == "__init__" else parts
        found[".".join((package, *parts))] = path
    return found


def imported(name: str, path: Path, modules: dict[str, Path]) -> Iterator[str]:
    """Yield what a file imports anywhere: in functions and under TYPE_CHECKING too."""
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in modules)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - max(node.level - 1, 0)]
            origin = ".".join([*above, node.module or ""]) if node.level else node.module or ""
            origin = origin.rstrip(".")
            for alias in node.names:
                inside = f"{origin}.{alias.name}"
                target = inside if inside in modules else origin
                if target in modules:
                    yield target


def graph(root: Path, package: str) -> dict[str, set[str]]:
    modules = files(root, package)
    return {name: {*imported(name, path, modules)} - {name} for name, path in modules.items()}


def test_no_file_imports_itself_by_way_of_others() -> None:
    try:
        order = [*TopologicalSorter(graph(ROOT, "cameval")).static_order()]
    except CycleError as error:
        pytest.fail(f"circle of imports: {' -> '.join(error.args[1])}")
    assert len(order) > 100


def test_a_circle_is_seen_in_annotations_and_functions_too(tmp_path) -> None:
    (tmp_path / "__init__.py").write_text("")
    (tmp_path / "a.py").write_text("from typing import TYPE_CHECKING\nfrom p import c\n")
    (tmp_path / "b.py").write_text("if TYPE_CHECKING:\n    from p.a import A\n")
    (tmp_path / "c.py").write_text("def f():\n    from . import b\n")
    with pytest.raises(CycleError):
        [*TopologicalSorter(graph(tmp_path, "p")).static_order()]
