"""The settings of a `FileDataset` change with the code and the settings of its function."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from cameval.data import FileDataset, Sample

PATHS = [Path("scan.npy")]


def define(body: str, parameters: str = "path") -> Callable[[Path], Sample]:
    """Define a function `read` with this body; all have the same name."""
    names = {"np": np, "Sample": Sample}
    exec(f"def read({parameters}):\n    {body}", names)
    return names["read"]


def settings(read: Callable[..., Sample]) -> str:
    return FileDataset(PATHS, read).settings


LOAD = "return Sample(path.stem, np.load(path) / 255, np.load(path) > 9)"


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(LOAD.replace("255", "256"), id="another constant"),
        pytest.param(LOAD.replace("> 9", "< 9"), id="another operator"),
        pytest.param(LOAD.replace("path.stem", "path.name"), id="another attribute"),
    ],
)
def test_functions_of_one_name_and_other_code_have_other_settings(body: str) -> None:
    assert settings(define(LOAD)) == settings(define(LOAD))
    assert settings(define(body)) != settings(define(LOAD))


def test_defaults_and_arguments_are_settings() -> None:
    first, second = (define(LOAD, f"path, level={level}") for level in (1, 2))
    assert settings(first) != settings(second)
    first, second = (define(LOAD, f"path, *, level={level}") for level in (1, 2))
    assert settings(first) != settings(second)
    first, second = (partial(define(LOAD, "path, level"), level=level) for level in (1, 2))
    assert settings(first) != settings(second)
