"""Colors of all plots, and axes that are given or made."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from cameval._extras import import_extra
from cameval.errors import ArrayTypeError, SettingError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NETWORK, GUESS, BOUND = "#C2500A", "#6B7480", "#0067A8"
"""On white. Orange: maps of the network. Gray: the best guess. Blue: the truth, and bounds."""


MASK, TRUTH, HALO = "#FF9A4A", "#66B6F5", "#101418"
"""On images: the same orange and blue for dark ground, and the ground itself."""


def matplotlib_module(name: str) -> Any:
    """Import a module of Matplotlib, which is an extra.

    Raises
    ------
    MissingPackageError
        If Matplotlib is not installed.
    """
    return import_extra(f"matplotlib.{name}", "plots need")


def new_figure(size: tuple[float, float]) -> "Figure":
    """Return a new figure of pyplot, which a notebook shows."""
    figure: Figure = matplotlib_module("pyplot").figure(figsize=size, layout="constrained")
    return figure


def axes_or_new(axes: "Axes | None", size: tuple[float, float]) -> "Axes":
    """Return the axes, or those of a new figure of pyplot.

    Raises
    ------
    MissingPackageError
        If Matplotlib is not installed.
    ArrayTypeError
        If it is something else than axes.
    """
    return new_figure(size).subplots() if axes is None else checked_axes(axes)


def row_of_axes(axes: "Axes | Sequence[Axes] | None", count: int) -> "list[Axes]":
    """Return so many axes: those given, or a row of them in a new figure of pyplot.

    Raises
    ------
    SettingError
        If another number is given.
    MissingPackageError
        If Matplotlib is not installed.
    ArrayTypeError
        If one is something else than axes.
    """
    if axes is None:
        made = new_figure((2.3 * count, 2.7)).subplots(1, count, squeeze=False)
        return list(made.ravel())
    several = list(getattr(axes, "flat", axes)) if hasattr(axes, "__iter__") else [axes]
    if len(several) != count:
        raise SettingError(f"axes must be one for each of the {count} maps, got {len(several)}")
    return [checked_axes(one) for one in several]


def checked_axes(axes: object) -> "Axes":
    """Return axes of Matplotlib, or raise an error."""
    if not isinstance(axes, matplotlib_module("axes").Axes):
        raise ArrayTypeError(f"axes must be Axes of Matplotlib, got {type(axes).__name__}")
    return cast("Axes", axes)


def without_math(text: str) -> str:
    """Return text whose dollars are dollars."""
    parses = import_extra("matplotlib", "plots need").rcParams["text.parse_math"]
    return text.replace("$", r"\$") if parses else text
