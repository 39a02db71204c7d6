"""The package as a whole: its surface, the direction of its imports, what it ships."""

import ast
import importlib
import json
import pickle
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import packages_distributions, requires, version
from importlib.resources import files
from pathlib import Path

import pytest

import cameval
from cameval._extras import EXTRAS, import_extra, needed_by
from cameval.errors import MissingPackageError

SOURCE = Path(__file__).parents[1] / "src" / "cameval"

# The one way through the package: a module may import from the levels above its own.
LEVELS = [
    ["errors"],
    ["_deferred", "_extras", "_memo", "_names", "_other_names"],
    ["_lazy"],
    ["_arrays", "_checks", "data", "distributed"],
    ["_sorting", "_spatial"],
    ["maps"],
    ["networks", "plots"],
    ["protocols", "target_classes"],
    ["methods"],
    ["extractor", "binarizers", "metrics"],
    ["sanity", "baselines", "losses"],
    ["statistics"],
    ["evaluation"],
    ["report", "training"],
    ["cli"],
]
LEVEL = {module: level for level, modules in enumerate(LEVELS) for module in modules}


def imports(path: Path) -> set[str]:
    """Return the modules and sub-packages of cameval that a file imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("cameval"):
            module = node.module.partition(".")[2].partition(".")[0]
            found |= {module} if module else {alias.name for alias in node.names}
    return found


@pytest.mark.parametrize(
    "path", sorted(SOURCE.rglob("*.py")), ids=lambda p: str(p.relative_to(SOURCE))
)
def test_imports_go_one_way(path: Path) -> None:
    module = path.relative_to(SOURCE).parts[0].removesuffix(".py")
    if module in ("__init__", "__main__"):
        return
    wrong = {other for other in imports(path) - {module} if LEVEL[other] >= LEVEL[module]}
    assert not wrong, f"{module} must not import {wrong}"


PROMISED = """
    adapt split CAMModel GAPHead CAMExtractor CAMResult
    cam grad_cam grad_cam_pp xgrad_cam hires_cam layer_cam eigen_cam ScoreCAM
    MeanBinarizer MedianBinarizer PercentileBinarizer OtsuBinarizer AdaptiveBinarizer
    SkimageBinarizer
    iou dice coverage precision informedness size_standardized_iou
    pointing_game relevance_mass_accuracy relevance_rank_accuracy pixel_auroc
    pixel_average_precision
    center_map Sample Target Preparation evaluate evaluate_maps Results choose_binarizers concat
    normalize_maps
"""


def test_the_names_that_users_rely_on_are_at_the_top_and_few_others() -> None:
    assert set(PROMISED.split()) <= set(cameval.__all__)
    assert len(cameval.__all__) <= 45


def test_the_version_is_that_of_the_distribution() -> None:
    assert cameval.__version__ == version("cameval")


def public_modules() -> list[str]:
    """Return the names of the modules that users may import from."""
    paths = sorted(SOURCE.rglob("*.py"))
    names = [".".join(path.relative_to(SOURCE.parent).with_suffix("").parts) for path in paths]
    return [name.removesuffix(".__init__") for name in names if "._" not in name.replace("__", "")]


@pytest.mark.parametrize("name", public_modules())
def test_a_public_module_lists_names_that_its_package_exports(name: str) -> None:
    module = importlib.import_module(name)
    assert all(hasattr(module, each) for each in module.__all__)
    package = name.rpartition(".")[0]
    if package not in ("", "cameval"):  # the modules at the top are imported from themselves
        exported = set(importlib.import_module(package).__all__)
        assert module.__all__, f"{name} has no public name: begin its own with an underscore"
        assert set(module.__all__) <= exported, set(module.__all__) - exported


def test_a_private_module_has_no_public_names() -> None:
    for path in SOURCE.rglob("_*.py"):
        if path.name not in ("__init__.py", "__main__.py"):
            assert not re.search("^__all__", path.read_text(), re.MULTILINE), path


@pytest.mark.parametrize("folder", ["examples", "benchmarks", "docs", "src/cameval/cli"])
def test_users_code_imports_public_names_only(folder: str) -> None:
    root = SOURCE.parents[1]
    paths = [p for p in (root / folder).rglob("*") if p.suffix in (".py", ".rst")]
    assert paths
    for path in paths:
        if "_build" in path.parts or "generated" in path.parts:
            continue
        for module, names in users_imports(path):
            if module.startswith("cameval.cli"):
                continue
            exported = importlib.import_module(module).__all__
            for name in names:
                submodule = f"{module}.{name}"
                assert name in exported or submodule in public_modules(), (path, module, name)


def users_imports(path: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield each import from cameval in a script, or in the examples of a page."""
    if path.suffix == ".py":
        sources = [path.read_text()]
    else:
        lines = path.read_text().splitlines()
        code = [re.sub(r"^\s*(>>> |\.\.\. )?", "", line) for line in lines]
        sources = [line for line in code if re.match(r"from cameval[\w.]* import \w", line)]
    for source in sources:
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("cameval"):
                yield node.module, [alias.name for alias in node.names]


def test_types_ship() -> None:
    assert (files("cameval") / "py.typed").is_file()


def test_importing_changes_nothing_and_asks_for_no_extra() -> None:
    code = """
import sys, warnings
import numpy, torch
before = (torch.get_default_dtype(), torch.is_grad_enabled(), torch.get_num_threads(),
          torch.random.get_rng_state().sum(), numpy.geterr(), list(warnings.filters))
import cameval.plots
from cameval import *
after = (torch.get_default_dtype(), torch.is_grad_enabled(), torch.get_num_threads(),
         torch.random.get_rng_state().sum(), numpy.geterr(), list(warnings.filters))
assert all(a == b for a, b in zip(before[:5], after[:5])), (before, after)
heavy = {"jinja2", "matplotlib", "sklearn"} & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_what_is_imported_is_declared() -> None:
    declared = {re.match(r"[\w.-]+", line)[0].lower() for line in requires("cameval")}
    provided_by = {name: [name] for name in ("torchmetrics", "lightning")}  # may be missing
    provided_by |= packages_distributions()
    for path in SOURCE.rglob("*.py"):
        for module in outside_modules(path):
            assert declared & {name.lower() for name in provided_by[module]}, (path, module)


FORKS = """
import json, os, sys, torch
import pandas, PIL.Image, scipy.ndimage, scipy.optimize, scipy.stats, skimage.filters
import torchvision.transforms.v2
for line in sys.stdin:
    child = os.fork()
    if not child:
        exec(json.loads(line), {"__name__": "__main__"})
        os._exit(0)
    print(os.waitpid(child, 0)[1], flush=True)
"""
"""Runs each code in a process of its own, which has what cameval needs, and nothing of cameval."""


@pytest.fixture(scope="module")
def run_apart() -> Iterator[Callable[[str], None]]:
    """Return a function that runs code in a process of its own; see `FORKS`."""
    command = [sys.executable, "-c", FORKS]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:

        def run(code: str) -> None:
            parent.stdin.write(json.dumps(code) + "\n")
            parent.stdin.flush()
            assert parent.stdout.readline() == "0\n", code

        yield run


def test_each_public_part_is_an_attribute_and_in_the_list_of_the_package(run_apart) -> None:
    names = {name.split(".")[1] for name in public_modules() if "." in name} - {"__main__", "cli"}
    assert {name for name in names if f"`{name}`" not in cameval.__doc__} == set()
    code = """
import sys
import cameval
assert "cameval.{0}" not in sys.modules or "{0}" == "errors", "imported at once"
assert "{0}" in dir(cameval)
assert cameval.{0} is sys.modules["cameval.{0}"]
"""
    for name in sorted(names):
        run_apart(code.format(name))


def test_every_package_of_an_extra_is_known_with_its_extra() -> None:
    lines = [re.match(r"([\w.-]+).*extra == '(\w+)'", line) for line in requires("cameval")]
    declared = {(found[1].lower(), found[2]) for found in lines if found}
    assert set(EXTRAS.values()) <= declared
    needed = {line.partition(" ")[0].lower() for line in requires("cameval") if "extra" not in line}
    plain = {re.match(r"[\w.-]+", line)[0] for line in needed}
    imported = set().union(*(outside_modules(path) for path in SOURCE.rglob("*.py")))
    always = {"PIL": "pillow", "skimage": "scikit-image"}
    assert {one for one in imported if always.get(one, one) not in plain} <= set(EXTRAS)


MISSING = [
    ("jinja2", "from cameval.report import write_report"),
    ("matplotlib", "import cameval; cameval.report.write_report"),
    ("sklearn", "from cameval.data import folds_by_group; folds_by_group([0, 1], 'ab')"),
    ("sklearn", "from cameval.data import folds_by_sample; folds_by_sample([0, 1], 'ab')"),
    ("sklearn", "import cameval.networks as n; n.fit_linear_head(None, [], [], [])"),
    ("requests", "from cameval.data import fetch; fetch._download(None, None, False)"),
    ("lightning", "from cameval.training import MapScoreCallback"),
    ("torchmetrics", "from cameval.training import MapScoreMetric"),
    ("pyarrow", "from cameval.evaluation import _parquet_tables as t; t._pyarrow()"),
]


def test_a_missing_package_is_an_import_error_that_names_package_and_extra(run_apart) -> None:
    code = """
import inspect, sys
for name in [*sys.modules]:
    if name.startswith({0!r} + "."):
        del sys.modules[name]
sys.modules[{0!r}] = None
from cameval.errors import CamevalError
try:
    exec({1!r})
except ImportError as error:
    assert isinstance(error, CamevalError), error
    assert error.name == {0!r}
    assert "install {2}, or cameval with its extra '{3}'" in str(error), error
else:
    raise AssertionError("no error")
import cameval.training
inspect.getmembers(cameval.training)
from cameval.training import *
"""
    for missing, use in MISSING:
        run_apart(code.format(missing, use, *EXTRAS[missing]))


def test_the_error_of_a_missing_package_survives_a_process_and_others_pass() -> None:
    with pytest.raises(MissingPackageError) as caught, needed_by("plots need"):
        import_extra("matplotlib.no_such_module", "figures need")
    again = pickle.loads(pickle.dumps(caught.value))
    assert str(again) == str(caught.value)
    assert str(again).startswith("plots need matplotlib, ")
    assert again.name == "matplotlib"
    with pytest.raises(ModuleNotFoundError, match="no_such_package"), needed_by("plots need"):
        import_extra("no_such_package", "figures need")


def outside_modules(path: Path) -> set[str]:
    """Return the packages, neither cameval nor Python's own, that a file imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module.partition(".")[0])
    return found - sys.stdlib_module_names - {"cameval"}


def test_no_annotation_needs_a_newer_scipy(run_apart) -> None:
    # Before SciPy 1.16 a sparse array's class takes no parameters.
    code = """
import importlib, pkgutil
import scipy.sparse

for made in {scipy.sparse.sparray, scipy.sparse.spmatrix, *scipy.sparse.csc_array.__mro__}:
    if "__class_getitem__" in vars(made):
        del made.__class_getitem__
import cameval

for module in pkgutil.walk_packages(cameval.__path__, "cameval."):
    if not module.name.endswith(("__main__", "training._torchmetrics", "training._lightning")):
        importlib.import_module(module.name)
"""
    run_apart(code)


def test_every_error_is_one_of_ours_and_a_builtin() -> None:
    for name in cameval.errors.__all__:
        error = getattr(cameval.errors, name)
        assert issubclass(error, cameval.errors.CamevalError)
        if error is not cameval.errors.CamevalError:
            assert issubclass(error, TypeError | ValueError | IndexError | RuntimeError | OSError)
            assert name in cameval.errors.__doc__
