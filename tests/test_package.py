"""The package as a whole: its surface, the direction of its imports, what it ships."""

import ast
import importlib
import re
import subprocess
import sys
from importlib.metadata import packages_distributions, requires
from importlib.resources import files
from pathlib import Path

import pytest

import cameval
import cameval.data
import cameval.errors

SOURCE = Path(__file__).parents[1] / "src" / "cameval"

# The one way through the house: a room may import from the rooms above it.
ROOMS = [
    ["errors", "sharing"],
    ["arrays", "data", "geometry"],
    ["networks", "maps"],
    ["methods", "thresholds"],
    ["extractor", "binarizers", "metrics"],
    ["sweep", "sanity", "baselines", "losses", "plots"],
    ["statistics"],
    ["evaluation"],
    ["report"],
    ["cli"],
]
LEVEL = {room: level for level, rooms in enumerate(ROOMS) for room in rooms}


def imports(path: Path) -> set[str]:
    """Rooms of cameval that a file imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("cameval"):
            room = node.module.partition(".")[2].partition(".")[0]
            found |= {room} if room else {alias.name for alias in node.names}
    return found


@pytest.mark.parametrize(
    "path", sorted(SOURCE.rglob("*.py")), ids=lambda p: str(p.relative_to(SOURCE))
)
def test_imports_go_one_way(path: Path) -> None:
    room = path.relative_to(SOURCE).parts[0].removesuffix(".py")
    if room in ("__init__", "__main__"):
        return
    wrong = {other for other in imports(path) - {room} if LEVEL[other] >= LEVEL[room]}
    assert not wrong, f"{room} must not import {wrong}"


@pytest.mark.parametrize("module", [cameval, cameval.data, cameval.errors])
def test_all_names_what_there_is(module) -> None:
    assert list(module.__all__) == sorted(set(module.__all__))
    for name in module.__all__:
        assert hasattr(module, name)


def test_the_names_that_users_rely_on_are_there() -> None:
    promised = """
        adapt split CAMModel GAPHead CAMExtractor CAMResult cam grad_cam hires_cam layer_cam
        MeanBinarizer MedianBinarizer PercentileBinarizer OtsuBinarizer AdaptiveBinarizer
        SkimageBinarizer iou dice coverage precision informedness size_standardized_iou
        pointing_game relevance_mass_accuracy relevance_rank_accuracy pixel_auroc
        pixel_average_precision normalize_maps
    """
    assert set(promised.split()) <= set(cameval.__all__)


@pytest.mark.parametrize(
    "path", sorted(SOURCE.rglob("*.py")), ids=lambda p: str(p.relative_to(SOURCE))
)
def test_every_module_lists_its_names(path: Path) -> None:
    parts = path.relative_to(SOURCE.parent).with_suffix("").parts
    module = importlib.import_module(".".join(p for p in parts if p != "__init__"))
    assert sorted(module.__all__) == list(module.__all__)
    assert all(hasattr(module, name) for name in module.__all__)


def test_types_ship() -> None:
    assert (files("cameval") / "py.typed").is_file()


def test_importing_changes_nothing_and_asks_for_no_extra() -> None:
    code = """
import sys, warnings
import numpy, torch
before = (torch.get_default_dtype(), torch.is_grad_enabled(), torch.get_num_threads(),
          torch.random.get_rng_state().sum(), numpy.geterr(), list(warnings.filters))
import cameval, cameval.plots
after = (torch.get_default_dtype(), torch.is_grad_enabled(), torch.get_num_threads(),
         torch.random.get_rng_state().sum(), numpy.geterr(), list(warnings.filters))
assert all(a == b for a, b in zip(before[:5], after[:5])), (before, after)
heavy = {"jinja2", "matplotlib", "sklearn"} & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_what_is_imported_is_declared() -> None:
    declared = {re.match(r"[\w.-]+", line)[0].lower() for line in requires("cameval")}
    provided_by = packages_distributions()
    for path in SOURCE.rglob("*.py"):
        for module in outside_modules(path):
            assert declared & {name.lower() for name in provided_by[module]}, (path, module)


def outside_modules(path: Path) -> set[str]:
    """Return the packages, neither cameval nor Python's own, that a file imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module.partition(".")[0])
    return found - sys.stdlib_module_names - {"cameval"}


def test_no_annotation_needs_a_newer_scipy() -> None:
    # Before SciPy 1.16 a sparse array's class takes no parameters.
    code = """
import importlib, pkgutil
import scipy.sparse

for made in {scipy.sparse.sparray, scipy.sparse.spmatrix, *scipy.sparse.csc_array.__mro__}:
    if "__class_getitem__" in vars(made):
        del made.__class_getitem__
import cameval

for module in pkgutil.walk_packages(cameval.__path__, "cameval."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_error_is_one_of_ours_and_a_builtin() -> None:
    for name in cameval.errors.__all__:
        error = getattr(cameval.errors, name)
        assert issubclass(error, cameval.errors.CamevalError)
        if error is not cameval.errors.CamevalError:
            assert issubclass(error, TypeError | ValueError | IndexError | RuntimeError | OSError)
            assert name in cameval.errors.__doc__
