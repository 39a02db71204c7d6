"""Fixtures of the tests of reports."""

from collections.abc import Iterator
from typing import Any

import pytest
from chromium import started

from cameval.report import _chart
from cameval.report._svg import Drawing


def not_drawn(draw: object, *, title: str, label: str, **_: object) -> Drawing:
    """Return a figure without marks."""
    return Drawing(title, label, "<svg></svg>", "<svg></svg>")


@pytest.fixture
def no_figures(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw no figures of the evaluation, which take most of the time."""
    if "figures_drawn" not in request.fixturenames:
        monkeypatch.setattr(_chart, "draw_twice", not_drawn)


@pytest.fixture
def figures_drawn() -> None:
    """Draw the figures in a test of a module that uses `no_figures`."""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """Start the browser."""
    with started() as browser:
        yield browser
