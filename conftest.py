"""Names that every docstring example may use without an import."""

import gc
import os
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import cameval

_EXTRA = {"torchmetrics": "_torchmetrics.py", "lightning": "_lightning.py"}
collect_ignore = [
    f"src/cameval/training/{file}" for package, file in _EXTRA.items() if find_spec(package) is None
]

# Read before pytest imports the modules, which it puts in the place of functions of their names.
_NAMES = {name: getattr(cameval, name) for name in cameval.__all__}


def pytest_configure() -> None:
    """Give each of several workers one thread, or their threads wait for one another.

    What a test starts in a process of its own has as many threads as anywhere.
    """
    if "PYTEST_XDIST_WORKER" in os.environ:
        torch.set_num_threads(1)


def pytest_collection_finish() -> None:
    """Spare the garbage collector what stays to the end: a million objects of modules and tests."""
    gc.collect()
    gc.freeze()


def pytest_sessionfinish() -> None:
    """Give back to the collector what the modules of extensions want to see gone at the exit."""
    gc.unfreeze()


@pytest.fixture(autouse=True)
def _example_names(doctest_namespace: dict[str, Any]) -> None:
    torch.manual_seed(0)
    doctest_namespace.update(np=np, torch=torch, nn=nn)
    doctest_namespace.update(_NAMES)
