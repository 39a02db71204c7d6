"""Fixtures of the tests of reports."""

from collections.abc import Iterator
from typing import Any

import pytest
from chromium import started
from matplotlib.figure import Figure

from cameval.report import _svg
from cameval.report._svg import svg_of


@pytest.fixture
def one_width(monkeypatch: pytest.MonkeyPatch) -> None:
    """Write each figure of the evaluation in its first width alone, which takes half the time."""
    titles: set[str] = set()

    def svg_once(figure: Figure, *, title: str, label: str) -> str:
        if title in titles:
            return "<svg></svg>"
        titles.add(title)
        return svg_of(figure, title=title, label=label)

    monkeypatch.setattr(_svg, "svg_of", svg_once)


@pytest.fixture
def figures_drawn() -> None:
    """Draw the figures in a test of a module that uses `no_figures`."""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """Start the browser."""
    with started() as browser:
        yield browser
