"""Gray photos of samples, and ready-made overlays of a map, a mask and the truth on them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from itertools import accumulate

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch import Tensor
from torch.nn.functional import interpolate

from cameval.data import Sample
from cameval.evaluation import Preparation
from cameval.evaluation.preparation import Fit, Prepare

THUMB, LARGE, STRIP = 224, 640, 320
"""The longer sides of thumbnails, of large photos at most, and of ready-made overlays."""

_QUALITY = 72
_LUMA = (0.299, 0.587, 0.114)
_NETWORK, _TRUTH, _DARK = (255, 138, 40), (102, 182, 245), (16, 20, 24)
_RAMP = np.array([[194, 80, 10], [255, 150, 30], [255, 226, 90]], np.float32)
"""Colors of a map at its minimum, in the middle and at its maximum."""

_OPACITY = 0.72
"""The opacity of a map at its maximum; at its minimum it is 0."""


@dataclass(frozen=True, eq=False)
class Photo:
    """The part of an image on which maps were scored, in gray.

    Parameters
    ----------
    gray
        Its pixels ``(h, w)``, of 8 bits; of a volume all slices, ``(D, h, w)``.
    aspect
        Width over height, of pixels that may not be square.
    """

    gray: NDArray[np.uint8]
    aspect: float

    def slice(self, number: int) -> "Photo":
        """Return one slice of a volume."""
        return replace(self, gray=self.gray[number])

    def webp(self, longest: int) -> bytes:
        """Return the photo with sides of at most this many pixels; it is not enlarged."""
        return _webp(self._resized(min(longest, max(self.gray.shape))))

    def _resized(self, longest: int) -> Image.Image:
        width, height = (self.aspect, 1.0) if self.aspect <= 1 else (1.0, 1 / self.aspect)
        size = max(1, round(longest * width)), max(1, round(longest * height))
        return Image.fromarray(self.gray).resize(size, Image.Resampling.LANCZOS)

    def overlay(
        self,
        score_map: NDArray[np.float32] | None,
        mask: Sequence[Sequence[int]],
        truth: Sequence[Sequence[int]],
        grid: tuple[int, int],
    ) -> bytes:
        """Return the photo with a map in [0, 1], the solid outline of a mask, and a dashed truth.

        Parameters
        ----------
        score_map
            The map ``(H, W)`` on the grid of the truth; None if it is constant.
        mask, truth
            Outlines as of `trace_mask`.
        grid
            Height and width of the grid of the truth.
        """
        photo = self._resized(STRIP)
        colors = np.asarray(photo, np.float32)[..., None].repeat(3, 2)
        if score_map is not None:
            resized = Image.fromarray(score_map).resize(photo.size, Image.Resampling.BILINEAR)
            level = np.clip(np.asarray(resized), 0, 1)
            ramp = np.stack([np.interp(level, (0, 0.5, 1), c) for c in _RAMP.T], 2)
            opacity = (_OPACITY * level)[..., None]
            colors = (1 - opacity) * colors + opacity * ramp
        picture = Image.fromarray(colors.round().astype(np.uint8))
        twice = picture.resize((2 * picture.width, 2 * picture.height), Image.Resampling.BILINEAR)
        drawn = ImageDraw.Draw(twice)
        scale = twice.width / (2 * grid[1]), twice.height / (2 * grid[0])
        for width, color in ((9, _DARK), (5, _NETWORK)):
            for line in _corners(mask, scale):
                drawn.line(line, fill=color, width=width, joint="curve")
        for width, color in ((9, _DARK), (5, _TRUTH)):
            for line in _corners(truth, scale):
                for dash in _dashes(line):
                    drawn.line(dash, fill=color, width=width, joint="curve")
        return _webp(twice.resize(picture.size, Image.Resampling.BOX))


def photo_of(
    sample: Sample, prepare: Prepare, seen: Tensor, size: tuple[int, ...], spacing: Sequence[float]
) -> Photo:
    """Return the part of the image that the truth covers, in gray.

    Parameters
    ----------
    sample, prepare, seen
        The sample, how it was prepared, and the input of the network.
    size
        Shape of the truth.
    spacing
        Distance between pixels along each axis of the truth.
    """
    fine = size
    if len(size) == 2 and isinstance(prepare, Preparation):
        factor = min(LARGE / max(size), max(1.0, min(sample.shape) / min(size)))
        fine = tuple(max(1, round(factor * n)) for n in size)
    image = crop_image(sample, prepare, seen, fine)
    gray = image if image.ndim == len(size) else image @ np.array(_LUMA, image.dtype)
    rows, columns = size[-2:]
    aspect = columns * spacing[-1] / (rows * spacing[-2])
    return Photo(np.round(gray.clip(0, 1) * 255).astype(np.uint8), aspect)


def crop_image(
    sample: Sample, prepare: Prepare, seen: Tensor, size: tuple[int, ...]
) -> NDArray[np.float32]:
    """Return the part of the image that the truth covers, on a grid of this size, in [0, 1]."""
    if isinstance(prepare, Preparation):
        fit: Fit = "crop" if prepare.fit == "crop" else "squeeze"  # the grid has no padding
        seen, _ = replace(prepare, size=size, fit=fit).image(sample)
        axes = (slice(None), *(None for _ in size))
        mean, std = (torch.tensor(v)[axes] for v in (prepare.mean, prepare.std))
        image = np.asarray((seen * std + mean).clamp(0, 1).movedim(0, -1))
    elif sample.shape == size:
        image = np.asarray(sample.image)
    else:  # another part of the image: show the input of the network
        low, high = seen.min(), seen.max()
        scaled = ((seen - low) / (high - low).clamp(min=1e-12)).float().cpu()
        mode = "bilinear" if len(size) == 2 else "trilinear"
        resized = interpolate(scaled[None], size=size, mode=mode, antialias=len(size) == 2)[0]
        image = np.asarray(resized.clamp(0, 1).movedim(0, -1))
    if image.ndim > len(size) and image.shape[-1] != 3:
        image = image.mean(-1)
    return image


def _webp(picture: Image.Image) -> bytes:
    stream = BytesIO()
    picture.save(stream, "WEBP", quality=_QUALITY, method=4)
    return stream.getvalue()


def _corners(
    outlines: Sequence[Sequence[int]], scale: tuple[float, float]
) -> Iterator[list[tuple[float, float]]]:
    """Yield the corners of each outline in pixels of a picture, the first also at the end."""
    for outline in outlines:
        x, y = (accumulate(outline[axis::2]) for axis in (0, 1))
        line = [(a * scale[0], b * scale[1]) for a, b in zip(x, y, strict=True)]
        yield [*line, line[0]]


def _dashes(
    line: Sequence[tuple[float, float]], length: float = 14.0, gap: float = 9.0
) -> Iterator[list[tuple[float, float]]]:
    """Yield the dashes of a line."""
    points = np.array(line)
    steps = np.hypot(*np.diff(points, axis=0).T)
    along = np.concatenate([[0.0], np.cumsum(steps)])
    for start in np.arange(0.0, along[-1], length + gap):
        stop = min(start + length, along[-1])
        inside = (along > start) & (along < stop)
        at = np.concatenate([[start], along[inside], [stop]])
        x, y = (np.interp(at, along, points[:, axis]) for axis in (0, 1))
        yield list(zip(x.tolist(), y.tolist(), strict=True))
