"""What holds for every test and every docstring example."""

import gc
import os
from collections import Counter
from collections.abc import Iterator
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


_FEW = 3
"""After so many cases of a test in a row without a new line or branch, coverage is not measured."""

_without_news: Counter[str] = Counter()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Measure coverage in the cases of a test as long as they run lines that are new.

    All cases run; the measure doubles their time. The coverage is a lower bound.
    """
    plugin = item.config.pluginmanager.getplugin("_cov")
    name, bracket, _ = item.nodeid.partition("[")
    if plugin is None or plugin.cov_controller is None or not bracket:
        yield
        return
    data = plugin.cov_controller.cov._collector.data
    before = sum(map(len, data.values()))
    if _without_news[name] >= _FEW:
        item.add_marker("no_cover")
    yield
    news = sum(map(len, data.values())) > before
    _without_news[name] = 0 if news else _without_news[name] + 1


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
