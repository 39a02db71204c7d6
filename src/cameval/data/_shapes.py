"""COCO segmentations (polygons, run lengths, boxes) and the pixels that they cover.

Coordinates are continuous: the pixel in row i and column j covers [j, j + 1] x [i, i + 1], and it
belongs to a polygon or a box if its center (j + 0.5, i + 0.5) lies in it or on its edge. The parts
of one object are united; a part that crosses itself is filled by the even-odd rule. An object that
is too small to hold a center has no pixels. Run lengths are exact: they run down the columns and
begin with pixels outside.
"""

from dataclasses import dataclass
from typing import Any, Protocol, TypeGuard

import numpy as np
from numpy.typing import NDArray
from skimage.draw import polygon2mask

from cameval.errors import DataError

_MOST_BITS = 60
"""Bits of a compressed run length; no image has as many pixels."""


_SLACK = 1.0
"""Pixels by which a point may lie outside the image, as rounding leaves it."""


class Shape(Protocol):
    """An object in an image."""

    @property
    def area(self) -> float:
        """The area in pixels, from the geometry."""

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

    def __call__(self, height: int, width: int) -> NDArray[np.bool_]:
        """Return the pixels whose centers are in a part or on its edge."""
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

    def __call__(self, height: int, width: int) -> NDArray[np.bool_]:
        """Return the pixels inside."""
        inside = np.arange(len(self.counts)) % 2 == 1
        return np.ascontiguousarray(np.repeat(inside, self.counts).reshape(width, height).T)


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
        return _parse_runs(segmentation, height, width, f"{where}.segmentation")
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
    >>> run_lengths("52203"), run_lengths("52203M"), run_lengths("`0")
    ([5, 2, 2, 2, 5], [5, 2, 2, 2, 5, -1], [16])
    """
    counts: list[int] = []
    value = shift = 0
    for letter in text:
        code = ord(letter) - 48
        if not 0 <= code < 64:
            raise ValueError(f"no such character: {letter!r}")
        if shift > _MOST_BITS:
            raise ValueError("a number of too many characters")
        value |= (code & 31) << shift
        shift += 5
        if not code & 32:
            if code & 16:
                value -= 1 << shift
            counts.append(value + (counts[-2] if len(counts) > 2 else 0))
            value = shift = 0
    if shift:
        raise ValueError("the last number is cut off")
    return counts


def is_whole(value: object, least: int) -> TypeGuard[int]:
    """Return whether a value of a JSON file is a whole number, from `least` on, of 63 bits."""
    return isinstance(value, int) and not isinstance(value, bool) and least <= value < 2**63


def is_number(value: object) -> TypeGuard[float]:
    """Return whether a value of a JSON file is a finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300


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
    x, y, w, h = map(float, box)
    if w <= 0 or h <= 0:
        raise DataError(f"{where}: width and height of a box must be above 0, got {short(box)}")
    _check_within([x, x + w], width, "x", where)
    _check_within([y, y + h], height, "y", where)
    return Polygons(((x, y, x + w, y, x + w, y + h, x, y + h),))


def _parse_runs(runs: dict[str, Any], height: int, width: int, where: str) -> Runs:
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


def short(value: object) -> str:
    """Return a value of a JSON file in at most 60 characters."""
    try:
        text = repr(value)
    except (RecursionError, ValueError):  # nested too deep, or of too many digits
        text = type(value).__name__
    return text if len(text) <= 60 else f"{text[:57]}..."
