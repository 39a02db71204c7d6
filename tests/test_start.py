"""What importing cameval costs: names come when they are used, and heavy packages with them."""

import ast
import importlib
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

import cameval
import cameval.data
from cameval.networks._module_types import is_compiled, unwrap_compiled

ROOT = Path(cameval.__file__).parent
LAZY = ["cameval", "cameval.data"]

HEAVY = {
    *("h5py", "IPython", "jinja2", "matplotlib", "pandas", "PIL", "pyarrow", "scipy", "skimage"),
    *("sklearn", "sympy", "torch._dynamo", "torch._inductor", "torchvision"),
}


def run(code: str) -> list[str]:
    """Run code in a fresh process, and return the lines that it prints."""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return done.stdout.splitlines()


def tables(package: str) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Return the names by module of a lazy package: for type checkers, and when it runs."""
    path = ROOT.joinpath(*package.split(".")[1:], "__init__.py")
    (block,) = (node for node in ast.parse(path.read_text()).body if isinstance(node, ast.If))
    typed: dict[str, list[str]] = {}
    for node in block.body:
        assert isinstance(node, ast.ImportFrom)
        names = [alias.name for alias in node.names]
        if node.module == package:
            typed |= {name: [] for name in names}
        else:
            typed[node.module.removeprefix(f"{package}.")] = names
    (table,) = (ast.literal_eval(n) for n in ast.walk(block) if isinstance(n, ast.Dict))
    return typed, table


@pytest.mark.parametrize("package", LAZY)
def test_the_names_of_a_package_are_the_same_when_types_are_checked_and_when_it_runs(
    package,
) -> None:
    typed, table = tables(package)
    module = importlib.import_module(package)
    assert {key: sorted(names) for key, names in typed.items()} == {
        key: sorted(names) for key, names in table.items()
    }
    names = [name for names in table.values() for name in names]
    modules = [name for name in table if name in module.__all__]
    assert sorted([*names, *modules]) == sorted(module.__all__)


@pytest.mark.parametrize("package", LAZY)
def test_every_name_is_that_of_its_module(package) -> None:
    module = importlib.import_module(package)
    for home, names in tables(package)[1].items():
        assert getattr(module, home) is sys.modules[f"{package}.{home}"]
        for name in names:
            value = getattr(module, name)
            assert value is getattr(sys.modules[f"{package}.{home}"], name)
            if callable(value):
                assert pickle.loads(pickle.dumps(value)) is value


@pytest.mark.parametrize("package", LAZY)
def test_no_name_is_that_of_a_module_which_would_replace_it(package) -> None:
    folder = ROOT.joinpath(*package.split(".")[1:])
    files = {path.stem for path in folder.glob("*.py")} | {path.name for path in folder.iterdir()}
    named = {name for names in tables(package)[1].values() for name in names}
    assert not named & files


@pytest.mark.parametrize("package", LAZY)
def test_all_names_are_listed_and_others_are_refused(package) -> None:
    (listed,) = run(f"import {package}; print(*dir({package}))")
    module = importlib.import_module(package)
    assert {*module.__all__, *tables(package)[1], "__all__", "__doc__"} <= {*listed.split()}
    with pytest.raises(AttributeError, match=rf"module '{package}' has no attribute 'iuo'"):
        _ = module.iuo
    with pytest.raises(ImportError, match="cannot import name 'iuo'"):
        exec(f"from {package} import iuo")


def test_modules_are_attributes_of_a_package_without_another_import() -> None:
    code = "import cameval; print(cameval.errors.__name__, cameval.data.folds.__name__)"
    assert run(code) == ["cameval.errors cameval.data.folds"]


def test_packages_that_take_seconds_to_import_wait_until_they_are_used() -> None:
    code = """
import sys, torch
before = {*sys.modules}  # torch may import some of them
import cameval
from cameval import OtsuBinarizer, Sample, Target, errors, iou, normalize_maps
import cameval.metrics, cameval.binarizers, cameval.statistics, cameval.plots, cameval.protocols
cameval.maps.upsample, cameval.data.targets, cameval.binarizers.skimage  # without another import
print(*{*sys.modules} - before)
from cameval import *
assert {*cameval.__all__} <= {*globals()}
print(*{*sys.modules} - before)
"""
    few, all_names = run(code)
    assert not HEAVY & {*few.split()}
    assert not HEAVY & {*all_names.split()} - {
        *("pandas", "PIL", "pyarrow", "sympy", "torchvision"),  # torchvision, or pandas, needs them
        *("torch._dynamo", "torch._inductor"),
    }


def test_the_compiler_is_not_imported_to_see_that_nothing_is_compiled(monkeypatch) -> None:
    compiled = torch.compile(nn.Linear(2, 2), backend="eager")
    assert is_compiled(compiled)
    monkeypatch.delitem(sys.modules, "torch._dynamo.eval_frame")
    net = nn.Linear(2, 2)
    assert not is_compiled(net)
    assert unwrap_compiled(net) is net
    assert "torch._dynamo.eval_frame" not in sys.modules


WITHOUT = """
import runpy, sys
for name in ("torch", "numpy", "scipy", "pandas", "torchvision"):
    sys.modules[name] = None  # importing it raises an error
runpy.run_module("cameval", run_name="__main__", alter_sys=True)
"""
"""``python -m cameval`` where these packages cannot be imported."""


@pytest.mark.parametrize(
    "words",
    [["--help"], ["--version"], ["models", "--help"], ["report", "--help"], ["evaluate"], ["x"]],
)
def test_help_version_and_wrong_commands_need_no_torch(words) -> None:
    command = [sys.executable, "-c", WITHOUT, *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == (0 if words[-1].startswith("--") else 2), done.stderr
    shown = done.stdout + done.stderr
    assert "Traceback" not in shown
    said = {"--version": "cameval 0", "--help": "usage: "}.get(words[-1], "error: ")
    assert said in shown
