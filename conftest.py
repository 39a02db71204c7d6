"""What holds for every test and every docstring example."""

import gc
import os
from collections import Counter
from importlib import import_module
from importlib.util import find_spec

import pytest
import torch

# A module of these packages has the name of a public function, such as `methods.cam`. A package
# that is imported already keeps the function: pytest puts the module in its place otherwise.
for _package in ("evaluation", "methods", "metrics", "networks", "statistics"):
    import_module(f"cameval.{_package}")

_EXTRA = {"torchmetrics": "_torchmetrics.py", "lightning": "_lightning.py"}
collect_ignore = [
    f"src/cameval/training/{file}" for package, file in _EXTRA.items() if find_spec(package) is None
]


def pytest_configure() -> None:
    """Give each of several workers one thread, or their threads wait for one another.

    What a test starts in a process of its own has as many threads as anywhere.
    """
    if "PYTEST_XDIST_WORKER" in os.environ:
        torch.set_num_threads(1)


_MEASURED = 2
"""Coverage, which doubles the time, is measured in so many cases of a test. All cases run."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Measure coverage in the first cases of each test alone; it is a lower bound."""
    cases: Counter[str] = Counter()
    for item in items:
        name, _, case = item.nodeid.partition("[")
        cases[name] += 1
        if case and cases[name] > _MEASURED:
            item.add_marker("no_cover")


def pytest_collection_finish() -> None:
    """Spare the garbage collector what stays to the end: a million objects of modules and tests.

    Later it looks at what remains a seventh as often.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(5_000, 10, 10)


def pytest_sessionfinish() -> None:
    """Give back to the collector what the modules of extensions want to see gone at the exit."""
    gc.unfreeze()


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)
