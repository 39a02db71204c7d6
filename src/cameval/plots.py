"""Plots of maps and masks on their images. They need matplotlib: install ``cameval[report]``."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from cameval._arrays import Maps, Masks, as_masks, as_tensor, finite_maps
from cameval.errors import ShapeError
from cameval.maps import normalize_maps

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["overlay"]

TRUTH_COLOR, MASK_COLOR = "#ffffff", "#56b4e9"  # distinct in any color vision


def overlay(
    axes: "Axes",
    image: Tensor | NDArray[Any],
    *,
    score_map: Maps | None = None,
    mask: Masks | None = None,
    truth: Masks | None = None,
    ignore: Masks | None = None,
) -> None:
    """Plot an image with a map in colors, and a mask and the truth as outlines.

    Parameters
    ----------
    axes
        Matplotlib axes; ticks and frame are removed.
    image
        Gray ``(H, W)`` or color ``(H, W, 3)``, with values in [0, 1].
    score_map
        A map ``(H, W)``, scaled to [0, 1] for display.
    mask
        A predicted mask ``(H, W)``, outlined in dashed blue.
    truth
        The true mask ``(H, W)``, outlined in solid white.
    ignore
        Pixels ``(H, W)`` that count for nothing, in gray stripes. The map is scaled without them.

    Raises
    ------
    ShapeError
        If map or masks are not of the image's height and width.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("agg")
    >>> from matplotlib.figure import Figure
    >>> from cameval.baselines import center_disc
    >>> truth = center_disc((32, 32))
    >>> image, score_map = torch.rand(32, 32), center_map((32, 32))
    >>> overlay(Figure().subplots(), image, score_map=score_map, truth=truth)
    """
    picture = as_tensor(image, "image").float().cpu().numpy()
    ignored = None
    if ignore is not None:
        ignored = _check_size(as_masks(ignore, "ignore"), picture, "ignore")
    axes.imshow(picture, cmap="gray", vmin=0, vmax=1)
    if score_map is not None:
        checked = _check_size(finite_maps(score_map, "score_map"), picture, "score_map")
        if ignored is not None and not ignored.all():
            checked = checked.masked_fill(ignored, checked[~ignored].min())
        values = np.asarray(normalize_maps(checked.float()))
        axes.imshow(values, cmap="inferno", alpha=0.25 + 0.5 * values, vmin=0, vmax=1)
    if ignored is not None and ignored.any():
        axes.imshow(_stripes(np.asarray(ignored)))
    for name, outline, color, style in (
        ("mask", mask, MASK_COLOR, "dashed"),
        ("truth", truth, TRUTH_COLOR, "solid"),
    ):
        if outline is not None:
            inside = np.asarray(_check_size(as_masks(outline, name), picture, name))
            if inside.any() and not inside.all():
                for width, ink in ((2.6, "#000000"), (1.4, color)):  # visible on any background
                    axes.contour(
                        inside, levels=[0.5], colors=ink, linewidths=width, linestyles=style
                    )
    axes.set_axis_off()


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
    return array.cpu()
