"""COCO segmentations (polygons, run lengths, boxes) and the pixels that they cover.

Coordinates are continuous: the pixel in row i and column j covers [j, j + 1] x [i, i + 1], and it
belongs to a polygon or a box if its center (j + 0.5, i + 0.5) lies in it or on its edge. The parts
of one object are united; a part that crosses itself is filled by the even-odd rule. An object that
is too small to hold a center has no pixels. Run lengths are exact: they run down the columns and
begin with pixels outside.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from cameval.data._documents import is_number, is_whole, short
from cameval.data.objects import fill_box
from cameval.data.records import Box
from cameval.errors import DataError

_MOST_LETTERS = 8
"""Characters of a compressed run length, of 5 bits each; no image has as many pixels."""


_SLACK = 1.0
"""Pixels by which a point may lie outside the image, as rounding leaves it."""


class Shape(Protocol):
    """An object in an image."""

    @property
    def area(self) -> float:
        """The area in pixels, from the geometry."""

    def box(self, height: int, width: int) -> Box | None:
        """Return the box that just holds the object; None if it has no pixels."""

    def __call__(self, height: int, width: int) -> NDArray[np.bool_]:
        """Return the pixels that the object covers."""


@dataclass(frozen=True)
class Polygons:
    """The polygons of one object: points x, y, x, y, ... of each."""

    parts: tuple[tuple[float, ...], ...]

    @property
    def area(self) -> float:
        """The sum of the areas of the parts."""
        return sum(abs(_signed_area(part)) for part in self.parts)

    def box(self, height: int, width: int) -> Box | None:
        """Return the box that just holds the points, in an image of any size."""
        x, y = np.concatenate([np.array(part).reshape(-1, 2) for part in self.parts]).T
        return (x.min(), y.min(), x.max(), y.max())

    def __call__(self, height: int, width: int) -> NDArray[np.bool_]:
        """Return the pixels whose centers are in a part or on its edge."""
        from skimage.draw import polygon2mask

        mask = np.zeros((height, width), dtype=np.bool_)
        for part in self.parts:
            points = np.array(part).reshape(-1, 2)[:, ::-1] - 0.5
            mask |= polygon2mask((height, width), points)
        return mask


@dataclass(frozen=True)
class Runs:
    """Run lengths down the columns, of pixels outside and inside by turns."""

    counts: tuple[int, ...]

    @property
    def area(self) -> float:
        """The number of pixels inside."""
        return float(sum(self.counts[1::2]))

    def box(self, height: int, width: int) -> Box | None:
        """Return the box that just holds the pixels."""
        mask = self(height, width)
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        if not len(rows):
            return None
        return (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)

    def __call__(self, height: int, width: int) -> NDArray[np.bool_]:
        """Return the pixels inside."""
        inside = np.arange(len(self.counts)) % 2 == 1
        return np.ascontiguousarray(np.repeat(inside, self.counts).reshape(width, height).T)


@dataclass(frozen=True)
class Outlines:
    """A mask that is the union of shapes, computed when called.

    Parameters
    ----------
    path
        The file that the shapes are from.
    height, width
        The size of the mask.
    shapes
        The objects; none give an empty mask.
    without
        Objects whose pixels are not part of the mask.
    """

    path: Path
    height: int
    width: int
    shapes: tuple[Shape, ...] = field(repr=False)
    without: tuple[Shape, ...] = field(default=(), repr=False)

    def __call__(self) -> NDArray[np.bool_]:
        """Return the mask ``(H, W)``."""
        mask = np.zeros((self.height, self.width), dtype=np.bool_)
        for shape in self.shapes:
            mask |= shape(self.height, self.width)
        for shape in self.without:
            mask &= ~shape(self.height, self.width)
        return mask


@dataclass(frozen=True)
class Instances:
    """Masks of shapes, one for each, computed when called.

    An object that is too small to hold the center of a pixel has the pixels of its box.

    Parameters
    ----------
    path
        The file that the shapes are from.
    height, width
        The size of the masks.
    shapes
        The objects.
    boxes
        The box of each object, within the image.
    """

    path: Path
    height: int
    width: int
    shapes: tuple[Shape, ...] = field(repr=False)
    boxes: tuple[Box, ...] = field(repr=False)

    def __call__(self) -> NDArray[np.bool_]:
        """Return the masks ``(n, H, W)``."""
        size = (self.height, self.width)
        masks = np.zeros((len(self.shapes), *size), dtype=np.bool_)
        for mask, shape, box in zip(masks, self.shapes, self.boxes, strict=True):
            mask[:] = shape(*size)
            if not mask.any():
                mask[:] = fill_box(np.array(box), size)
        return masks


def parse_shape(annotation: dict[str, Any], height: int, width: int, where: str) -> Shape:
    """Check the shape of one annotation: its segmentation or, if it has none, its box.

    Parameters
    ----------
    annotation
        An entry of ``annotations``.
    height, width
        The size of the image.
    where
        The file and the entry, for messages.

    Returns
    -------
    Shape
        The object.

    Raises
    ------
    DataError
        If it is not what COCO describes, or not within the image.
    """
    segmentation = annotation.get("segmentation")
    if isinstance(segmentation, dict):
        return parse_runs(segmentation, height, width, f"{where}.segmentation")
    if segmentation is not None and not isinstance(segmentation, list):
        raise DataError(
            f"{where}.segmentation: must be a list of polygons or run lengths, "
            f"got {short(segmentation)}"
        )
    if segmentation:
        return Polygons(
            tuple(
                _parse_polygon(part, height, width, f"{where}.segmentation[{i}]")
                for i, part in enumerate(segmentation)
            )
        )
    return _parse_box(annotation.get("bbox"), height, width, f"{where}.bbox")


def run_lengths(text: str) -> list[int]:
    """Decode COCO's compressed run lengths.

    Each number is written in characters from code 48 on: five bits a character, the lowest first;
    32 says that more follow, and 16 in the last one that the number is negative. From the fourth
    number on it is the difference from the number two before.

    Parameters
    ----------
    text
        The string under ``counts``.

    Returns
    -------
    list[int]
        Run lengths, pixels outside first.

    Raises
    ------
    ValueError
        If a character is none of these, a number is too long, or the last one is cut off.

    Examples
    --------
    >>> from cameval.data._shapes import run_lengths
    >>> run_lengths("52203"), run_lengths("52203M"), run_lengths("`0")
    ([5, 2, 2, 2, 5], [5, 2, 2, 2, 5, -1], [16])
    """
    letters = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4")
    codes = letters.astype(np.int64) - 48
    strange = (codes < 0) | (codes > 63)
    if strange.any():
        raise ValueError(f"no such character: {text[int(strange.argmax())]!r}")
    if not text:
        return []
    last = (codes & 32) == 0
    if not last[-1]:
        raise ValueError("the last number is cut off")
    ends = np.flatnonzero(last)
    starts = np.concatenate([[0], ends[:-1] + 1])
    lengths = ends - starts + 1
    if lengths.max() > _MOST_LETTERS or len(ends) > 2**22:  # the sums below stay under 2**63
        raise ValueError("a number of too many characters, or too many numbers")
    places = np.arange(len(codes)) - np.repeat(starts, lengths)
    numbers = np.add.reduceat((codes & 31) << 5 * places, starts)
    numbers -= np.where(codes[ends] & 16, 1 << 5 * lengths, 0)
    numbers[1::2] = np.cumsum(numbers[1::2])
    numbers[2::2] = np.cumsum(numbers[2::2])
    counts: list[int] = numbers.tolist()
    return counts


def _parse_polygon(part: Any, height: int, width: int, where: str) -> tuple[float, ...]:
    if not isinstance(part, list) or not all(map(is_number, part)):
        raise DataError(f"{where}: a polygon must be a list of finite numbers, got {short(part)}")
    if len(part) % 2 or len(part) < 6:
        raise DataError(
            f"{where}: a polygon must be pairs of x and y of at least 3 points, "
            f"got {len(part)} numbers"
        )
    _check_within(part[::2], width, "x", where)
    _check_within(part[1::2], height, "y", where)
    return tuple(map(float, part))


def _parse_box(box: Any, height: int, width: int, where: str) -> Polygons:
    if not isinstance(box, list) or len(box) != 4 or not all(map(is_number, box)):
        raise DataError(
            f"{where}: an object without segmentation must have a box of four finite numbers "
            f"x, y, width, height, got {short(box)}"
        )
    if box[2] <= 0 or box[3] <= 0:
        raise DataError(f"{where}: width and height of a box must be above 0, got {short(box)}")
    x0, y0, x1, y1 = _corners(box, height, width, where)
    return Polygons(((x0, y0, x1, y0, x1, y1, x0, y1),))


def parse_box(box: Any, height: int, width: int, where: str) -> Box:
    """Check a box ``[x, y, width, height]``, and return its corners ``x0, y0, x1, y1``.

    Raises
    ------
    DataError
        If it is not four finite numbers, has a negative side, or lies outside the image.
    """
    if not isinstance(box, list) or len(box) != 4 or not all(map(is_number, box)):
        raise DataError(
            f"{where}: a box must be four finite numbers x, y, width, height, got {short(box)}"
        )
    if box[2] < 0 or box[3] < 0:
        raise DataError(f"{where}: width and height of a box must be 0 or more, got {short(box)}")
    return _corners(box, height, width, where)


def _corners(box: list[float], height: int, width: int, where: str) -> Box:
    x, y, w, h = map(float, box)
    _check_within([x, x + w], width, "x", where)
    _check_within([y, y + h], height, "y", where)
    return (x, y, x + w, y + h)


def parse_runs(runs: dict[str, Any], height: int, width: int, where: str) -> Runs:
    """Check run lengths, which must be those of an image of this size.

    Raises
    ------
    DataError
        If they are not what COCO describes, or do not add up to the pixels of the image.
    """
    if runs.get("size") != [height, width]:
        raise DataError(
            f"{where}.size: must be [height, width] of the image, {[height, width]}, "
            f"got {short(runs.get('size'))}"
        )
    counts = runs.get("counts")
    try:
        counts = run_lengths(counts) if isinstance(counts, str) else counts
    except ValueError as error:
        raise DataError(f"{where}.counts: must be compressed run lengths, {error}") from error
    if not isinstance(counts, list) or not all(is_whole(count, 0) for count in counts):
        raise DataError(
            f"{where}.counts: must be run lengths, whole numbers from 0, got {short(counts)}"
        )
    if sum(counts) != height * width:
        raise DataError(
            f"{where}.counts: run lengths must add up to {height} x {width} = {height * width} "
            f"pixels, got {sum(counts)}"
        )
    return Runs(tuple(counts))


def _check_within(values: list[float], limit: int, axis: str, where: str) -> None:
    low, high = min(values), max(values)
    if low < -_SLACK or high > limit + _SLACK:
        raise DataError(
            f"{where}: {axis} must be within the image, 0 to {limit}, got {low:g} to {high:g}"
        )


def _signed_area(part: tuple[float, ...]) -> float:
    x, y = np.array(part).reshape(-1, 2).T
    return float(np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y)) / 2
