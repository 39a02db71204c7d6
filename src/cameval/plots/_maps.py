"""Maps of one call in a row, and a small picture of them."""

from base64 import b64encode
from collections.abc import Sequence
from importlib.util import find_spec
from io import BytesIO
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from cameval.errors import SettingError, ShapeError
from cameval.plots._axes import matplotlib_module, row_of_axes, without_math
from cameval.plots._overlay import OPAQUE, Alpha, check_alpha, overlay

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST_SMALL = 6
"""How many maps a small picture has."""


def plot_maps(
    maps: Tensor,
    classes: Tensor,
    images: Tensor | None,
    axes: "Axes | Sequence[Axes] | None",
    class_names: Sequence[str],
    alpha: Alpha = OPAQUE,
) -> "list[Axes]":
    """Draw maps ``(N, H, W)`` or ``(N, k, H, W)`` of classes ``(N)`` or ``(N, k)`` in a row.

    Raises
    ------
    ShapeError
        If the maps are volumes, or the images are not of the maps.
    SettingError
        If there are no maps, axes of another number are given, or `alpha` is out of range.
    MissingPackageError
        If Matplotlib is not installed.
    """
    check_alpha(alpha)
    size = (maps.shape[-2], maps.shape[-1])
    if maps.ndim != classes.ndim + 2:
        raise ShapeError(
            f"maps must be of images to be plotted in a row, got {tuple(maps.shape)}; plot a slice "
            "with cameval.plots.overlay"
        )
    flat, of_class = maps.detach().reshape(-1, *size), classes.reshape(-1).tolist()
    if not len(flat):
        raise SettingError("there must be a map to be plotted, got none")
    pictures = _pictures(images, len(maps), size).repeat_interleave(len(flat) // len(maps), 0)
    panels = row_of_axes(axes, len(flat))
    for panel, picture, score_map, label in zip(panels, pictures, flat, of_class, strict=True):
        overlay(panel, picture, score_map=score_map, alpha=alpha)
        named = 0 <= label < len(class_names)
        title = class_names[label] if named else f"class {label}" if label >= 0 else "target"
        panel.set_title(without_math(title), fontsize="medium")
    return panels


def _pictures(images: Tensor | None, count: int, size: tuple[int, int]) -> Tensor:
    """Return gray images in [0, 1] of the size of the maps; even gray without images."""
    if images is None:
        return torch.full((count, *size), 0.25)
    if images.ndim != 4 or len(images) != count:
        raise ShapeError(
            f"images must be those of the call, (N, channels, H, W) with N = {count}, got "
            f"{tuple(images.shape)}"
        )
    gray = images.detach().float().cpu().mean(1)
    low, high = gray.amin((1, 2), keepdim=True), gray.amax((1, 2), keepdim=True)
    scaled = (gray - low) / (high - low).where(high > low, torch.ones_like(low))
    if tuple(scaled.shape[1:]) == size:
        return scaled
    resized: Tensor = interpolate(scaled[:, None], size=size, mode="bilinear", antialias=True)
    return resized[:, 0].clamp(0, 1)


def small_picture(maps: Tensor, classes: Tensor) -> str:
    """Return the first maps as an element of a page; empty without Matplotlib, or for volumes."""
    if find_spec("matplotlib") is None or maps.ndim != classes.ndim + 2 or not maps.numel():
        return ""
    maps, classes = maps.reshape(-1, *maps.shape[-2:])[:_MOST_SMALL], classes.reshape(-1)
    if not maps.isfinite().all():
        return ""
    figure = matplotlib_module("figure").Figure(figsize=(1.1 * len(maps), 1.35), dpi=80)
    panels = figure.subplots(1, len(maps), squeeze=False).ravel()
    figure.subplots_adjust(0.01, 0.01, 0.99, 0.84, 0.04)
    plot_maps(maps, classes[: len(maps)], None, panels, ())
    for panel in panels:
        panel.title.set_fontsize(7)
    stream = BytesIO()
    figure.savefig(stream, format="png", metadata={"Software": None})
    data = b64encode(stream.getvalue()).decode()
    return f'<img alt="the first {len(maps)} maps" src="data:image/png;base64,{data}">'
