"""Packages that only some functions need, with the way to install them."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from cameval.errors import MissingPackageError

EXTRAS = {
    "jinja2": ("jinja2", "report"),
    "lightning": ("lightning", "training"),
    "matplotlib": ("matplotlib", "report"),
    "nibabel": ("nibabel", "medical"),
    "pooch": ("pooch", "study"),
    "pyarrow": ("pyarrow", "parquet"),
    "pydicom": ("pydicom", "medical"),
    "requests": ("requests", "study"),
    "safetensors": ("safetensors", "safetensors"),
    "sklearn": ("scikit-learn", "study"),
    "timm": ("timm", "timm"),
    "torchmetrics": ("torchmetrics", "training"),
}
"""From the name that is imported to the package that is installed, and its extra."""


@contextmanager
def needed_by(needs: str, otherwise: str = "") -> Iterator[None]:
    """Raise a typed error where the block imports a package of an extra that is not installed.

    Of two such blocks, one in the other, the outer one names what needs the package.

    Parameters
    ----------
    needs
        What needs the package, with its verb: ``"NIfTI files need"``.
    otherwise
        What else helps, as in ``"or write CSV"``.

    Raises
    ------
    MissingPackageError
        If the package is not installed.

    Examples
    --------
    >>> from cameval._extras import needed_by
    >>> with needed_by("NIfTI files need"):
    ...     raise ModuleNotFoundError(name="nibabel")
    Traceback (most recent call last):
    cameval.errors.MissingPackageError: NIfTI files need nibabel, which is not installed; install \
it with pip install nibabel, or cameval with its extra 'medical'
    """
    try:
        yield
    except (ModuleNotFoundError, MissingPackageError) as error:
        module = (error.name or "").partition(".")[0]
        if module not in EXTRAS:
            raise
        package, extra = EXTRAS[module]
        missing = MissingPackageError(
            f"{needs} {package}, which is not installed; install it with pip install {package}, "
            f"or cameval with its extra {extra!r}" + (f", {otherwise}" if otherwise else "")
        )
        missing.name = module
        raise missing from error


def import_extra(module: str, needs: str) -> Any:
    """Import a module of an extra; `needs` is what needs it, with its verb."""
    with needed_by(needs):
        return import_module(module)
