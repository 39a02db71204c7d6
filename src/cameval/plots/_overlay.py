"""An image in gray with a map, a mask and the truth on it."""

from numbers import Real
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from cameval._arrays import Maps, Masks, as_masks, as_tensor, finite_maps
from cameval.errors import SettingError, ShapeError
from cameval.maps import is_constant, normalize_maps
from cameval.plots._axes import HALO, MASK, TRUTH

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LOW, _HIGH = (0.94, 0.42, 0.05), (1.0, 0.93, 0.35)
"""Red, green and blue of the map: orange where it begins to be seen, yellow at its maximum."""


OPAQUE = 0.8
"""The opacity of the map at its maximum."""


Alpha = float | Literal["map"]
"""The opacity of a map: a number in [0, 1], or ``"map"`` where it follows the map."""


_LUMA = np.array([0.299, 0.587, 0.114])
"""The weights of red, green and blue in the brightness of a color (ITU-R BT.601)."""


def overlay(
    axes: "Axes",
    image: Tensor | NDArray[Any],
    *,
    score_map: Maps | None = None,
    mask: Masks | None = None,
    truth: Masks | None = None,
    ignore: Masks | None = None,
    alpha: Alpha = OPAQUE,
) -> None:
    """Plot an image in gray with a map in orange, and a mask and the truth as outlines.

    Parameters
    ----------
    axes
        Matplotlib axes; ticks and frame are removed.
    image
        Gray ``(H, W)`` or color ``(H, W, 3)``, with values in [0, 1]. A color is shown as its
        brightness, so that all color in the plot is of the map and the masks.
    score_map
        A map ``(H, W)``, scaled to [0, 1] for display: transparent at its minimum, orange, and
        yellow at its maximum. A constant map is not drawn, and the axes are labeled "constant map".
    mask
        A predicted mask ``(H, W)``, with a solid orange outline on a dark line.
    truth
        The true mask ``(H, W)``, with a dashed blue outline on a dark line.
    ignore
        Pixels ``(H, W)`` that count for nothing, in gray stripes. The map is scaled without them.
    alpha
        The opacity of the map at its maximum, in [0, 1]. Elsewhere the opacity is `alpha` times the
        scaled map. With ``"map"`` it is .8 times the square of the scaled map: low values, as often
        in the air around a body, are nearly transparent, and the maximum looks as by default.

    Raises
    ------
    SettingError
        If `alpha` is neither a number in [0, 1] nor ``"map"``.
    ShapeError
        If map or masks are not of the image's height and width.

    Examples
    --------
    >>> import torch
    >>> from matplotlib.figure import Figure
    >>> from cameval import center_map
    >>> from cameval.baselines import center_disc
    >>> from cameval.plots import overlay
    >>> truth = center_disc((32, 32))
    >>> image, score_map = torch.rand(32, 32), center_map((32, 32))
    >>> overlay(Figure().subplots(), image, score_map=score_map, truth=truth)

    Low values of the map are nearly transparent:

    >>> overlay(Figure().subplots(), image, score_map=score_map, alpha="map")
    """
    check_alpha(alpha)
    picture = as_tensor(image, "image").detach().float().cpu().numpy()
    ignored = None
    if ignore is not None:
        ignored = _check_size(as_masks(ignore, "ignore"), picture, "ignore")
    if picture.ndim == 3 and picture.shape[-1] == 3:
        picture = picture @ _LUMA.astype(picture.dtype)
    axes.imshow(picture, cmap="gray", vmin=0, vmax=1)
    if score_map is not None:
        checked = _check_size(finite_maps(score_map, "score_map"), picture, "score_map")
        if ignored is not None and not ignored.all():
            checked = checked.masked_fill(ignored, checked[~ignored].min())
        if is_constant(checked):
            _label(axes, "constant map")
        else:
            values = np.asarray(normalize_maps(checked.float()))
            axes.imshow(_ramp(values, alpha))
    if ignored is not None and ignored.any():
        axes.imshow(_stripes(np.asarray(ignored)))
    for name, outline, color, style in (
        ("mask", mask, MASK, "solid"),
        ("truth", truth, TRUTH, "dashed"),
    ):
        if outline is not None:
            inside = np.asarray(_check_size(as_masks(outline, name), picture, name))
            if inside.any() and not inside.all():
                _outline(axes, inside, color, style)
    axes.set_axis_off()


def check_alpha(alpha: object) -> None:
    """Raise an error unless it is the opacity of a map."""
    is_number = isinstance(alpha, Real) and not isinstance(alpha, bool)
    if not (is_number and 0 <= float(alpha) <= 1) and alpha != "map":  # type: ignore[arg-type]
        raise SettingError(f"alpha must be a number in [0, 1] or 'map', got {alpha!r}")


def _ramp(values: NDArray[np.floating[Any]], alpha: Alpha) -> NDArray[np.float32]:
    """Return a scaled map as a color image, from transparent over orange to yellow."""
    share = values[..., None]
    colors = (1 - share**2) * np.array(_LOW) + share**2 * np.array(_HIGH)
    opacity = OPAQUE * share**2 if alpha == "map" else float(alpha) * share
    return np.concatenate([colors, opacity], -1).astype(np.float32)


def _outline(axes: "Axes", inside: NDArray[np.bool_], color: str, style: str) -> None:
    """Draw the outline of a mask on a dark line."""
    for width, ink, dash in ((3.4, HALO, "solid"), (1.5, color, style)):
        axes.contour(inside, levels=[0.5], colors=ink, linewidths=width, linestyles=dash)


def _label(axes: "Axes", text: str) -> None:
    """Write a short text on the image."""
    box = {"facecolor": HALO, "edgecolor": "none", "boxstyle": "round,pad=0.3"}
    axes.text(
        *(0.03, 0.04), text, color="white", fontsize="small", transform=axes.transAxes, bbox=box
    )


def _stripes(ignored: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return gray stripes where pixels are ignored, as a color image with transparency."""
    rows, columns = np.indices(ignored.shape)
    width = max(2, max(ignored.shape) // 40)
    light = (rows + columns) // width % 2 == 0
    shades = np.where(light, 0.62, 0.45)[..., None].repeat(3, -1)
    return np.concatenate([shades, ignored[..., None]], -1).astype(np.float32)


def _check_size(array: Tensor, picture: NDArray[Any], name: str) -> Tensor:
    if array.shape != picture.shape[:2]:
        raise ShapeError(
            f"{name} must have the image's height and width {picture.shape[:2]}, "
            f"got {tuple(array.shape)}"
        )
    return array.detach().cpu()
