"""Fixtures of the tests of reports."""

import pytest

from cameval.report import page


@pytest.fixture
def no_figures(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw no figures of the evaluation, which take most of the time."""
    if "figures_drawn" not in request.fixturenames:
        monkeypatch.setattr(page, "draw_figures", lambda *values: [])


@pytest.fixture
def figures_drawn() -> None:
    """Draw the figures in a test of a module that uses `no_figures`."""
