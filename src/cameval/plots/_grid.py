"""A grid of plots: a row for each image, a column for each method."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray
from torch import Tensor

from cameval._arrays import Maps, Masks
from cameval.errors import SettingError, ShapeError
from cameval.plots._axes import new_figure, without_math
from cameval.plots._overlay import OPAQUE, Alpha, check_alpha, overlay

if TYPE_CHECKING:
    from matplotlib.figure import Figure


_LETTERS_PER_INCH = 11
"""Of a title, of the height of its row, which has some space above and below the image."""


_MOST_LINES = 3
"""Of a title."""


def grid(
    images: Tensor | NDArray[Any] | Sequence[Tensor | NDArray[Any]],
    maps_by_method: Mapping[str, Maps | Sequence[Maps]],
    *,
    masks_by_method: Mapping[str, Masks | Sequence[Masks]] | None = None,
    truth: Masks | Sequence[Masks] | None = None,
    ignore: Masks | Sequence[Masks] | None = None,
    titles: Sequence[str] = (),
    figure: "Figure | None" = None,
    alpha: Alpha = OPAQUE,
) -> "Figure":
    """Plot the maps of several methods on several images, with their masks and the truth.

    Parameters
    ----------
    images
        N images as for :func:`overlay`: ``(N, H, W)``, ``(N, H, W, 3)``, or a list of images, which
        may differ in size.
    maps_by_method
        Maps ``(N, H, W)``, or a list of maps, by the name of the method. Each map is scaled by its
        own minimum and maximum.
    masks_by_method
        Predicted masks ``(N, H, W)``, or a list of masks, by the name of the method.
    truth, ignore
        True masks, and pixels that count for nothing, ``(N, H, W)`` or a list.
    titles
        A title for each image, written at its left, in three lines at most. Line breaks are kept,
        and longer lines are broken.
    figure
        An empty figure of Matplotlib; by default a new one of pyplot, which a notebook shows. No
        other global state of Matplotlib is changed.
    alpha
        The opacity of the maps, a number in [0, 1] or ``"map"``, as of :func:`overlay`.

    Returns
    -------
    matplotlib.figure.Figure
        The figure: a row for each image; in the first column the image with the truth, then a
        column for each method.

    Raises
    ------
    SettingError
        If there is no image or no method, a name of `masks_by_method` is none of the methods,
        the number of maps, masks or titles is not that of the images, or `alpha` is out of range.
    ShapeError
        If a map or a mask is not of the size of its image.

    Examples
    --------
    >>> import torch
    >>> from matplotlib.figure import Figure
    >>> from cameval import OtsuBinarizer
    >>> from cameval.plots import grid
    >>> images, maps = torch.rand(2, 32, 32), {"a": torch.rand(2, 32, 32)}
    >>> masks = {"a": OtsuBinarizer()(maps["a"])}
    >>> len(grid(images, maps, masks_by_method=masks, figure=Figure()).axes)
    4
    """
    check_alpha(alpha)
    pictures = _listed(images)
    if not pictures or not maps_by_method:
        raise SettingError(
            f"a grid must have an image and a method, got {len(pictures)} images and "
            f"{len(maps_by_method)} methods"
        )
    masks_by_method = masks_by_method or {}
    if strange := [name for name in masks_by_method if name not in maps_by_method]:
        raise SettingError(
            f"masks_by_method must have names of methods ({', '.join(maps_by_method)}), got "
            f"{strange[0]!r}"
        )
    count = len(pictures)
    maps = {name: _one_each(f"maps of {name!r}", m, count) for name, m in maps_by_method.items()}
    masks = {name: _one_each(f"masks of {name!r}", m, count) for name, m in masks_by_method.items()}
    true, ignored = _one_each("truth", truth, count), _one_each("ignore", ignore, count)
    names = _one_each("titles", titles or None, count)
    height, width = _size_of(pictures[0])
    columns = len(maps) + 1
    shape = (1.9 * columns, 1.9 * count * min(max(height / width, 0.3), 3) + 0.4)
    drawn_in = figure or new_figure(shape)
    line = max(8, int(drawn_in.get_figheight() / count * _LETTERS_PER_INCH))
    panels = drawn_in.subplots(count, columns, squeeze=False)
    for k, picture in enumerate(pictures):
        shared = {"truth": true[k], "ignore": ignored[k]}
        overlay(panels[k, 0], picture, **shared)
        if names[k] is not None:
            panels[k, 0].text(
                -0.04, 0.5, without_math(_in_lines(str(names[k]), line)), rotation=90,
                ha="right", va="center", multialignment="center",
                transform=panels[k, 0].transAxes, fontsize="medium",
            )  # fmt: skip
        for j, name in enumerate(maps, start=1):
            mask = masks[name][k] if name in masks else None
            score_map = maps[name][k]
            overlay(panels[k, j], picture, score_map=score_map, mask=mask, alpha=alpha, **shared)
    for panel, name in zip(panels[0], ["image", *maps], strict=True):
        panel.set_title(without_math(name), fontsize="medium")
    found: Figure = panels[0, 0].get_figure()
    return found


def _in_lines(title: str, length: int) -> str:
    """Return a title in lines of a length, so that it is no longer than its row.

    Line breaks of the title are kept.
    """
    lines = [part for line in title.splitlines() for part in textwrap.wrap(line, length)]
    if len(lines) > _MOST_LINES:
        last = lines[_MOST_LINES - 1][: length - 2].rstrip()
        lines = [*lines[: _MOST_LINES - 1], f"{last} …"]
    return "\n".join(lines)


def _listed(several: Any) -> list[Any]:
    """Return the parts of a batch or of a sequence."""
    return [several[k] for k in range(len(several))]


def _one_each(what: str, several: Any, count: int) -> list[Any]:
    """Return one for each image; None for each if there are none."""
    if several is None:
        return [None] * count
    found = _listed(several)
    if len(found) != count:
        raise SettingError(f"{what} must be one for each of the {count} images, got {len(found)}")
    return found


def _size_of(picture: Any) -> tuple[int, int]:
    """Return height and width of an image."""
    shape = tuple(picture.shape)
    if len(shape) not in (2, 3):
        raise ShapeError(f"an image must be (H, W) or (H, W, 3), got {shape}")
    return shape[0], shape[1]
