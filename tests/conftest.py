"""What the tests share: hypothesis settings and the place of the real data."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("ci", derandomize=True, deadline=None, max_examples=50)
settings.load_profile("ci")

_VARIABLE = "CAMEVAL_TEST_DATA"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the folder of real test data that the environment names."""
    named = os.environ.get(_VARIABLE)
    if not named:
        pytest.skip(f"real data: set {_VARIABLE} to the folder that holds data/figshare/mat")
    root = Path(named)
    if not root.is_dir():
        pytest.skip(f"real data: {_VARIABLE} names {root}, which is no folder")
    return root


@pytest.fixture(scope="session")
def real_slices(shared_data: Path) -> Path:
    """Return the folder of untouched files of the figshare dataset."""
    folder = shared_data / "data" / "figshare" / "mat"
    if not folder.is_dir():
        pytest.skip(f"real data: {folder} is no folder")
    return folder


@pytest.fixture
def no_figures(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw no figures of the evaluation, which take most of the time of a report."""
    if "figures_drawn" not in request.fixturenames:
        from pages import not_drawn

        from cameval.report import _chart

        monkeypatch.setattr(_chart, "draw_twice", not_drawn)
