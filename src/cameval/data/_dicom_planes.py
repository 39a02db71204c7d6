"""Where the frames of DICOM files lie in the patient: order and distances of slices."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cameval.data._dicom_files import macro, numbers
from cameval.errors import DataError

SAME_DIRECTION = 1e-3
"""How far components of two equal directions may differ."""

SAME_PLACE = 0.1
"""How far two equal positions may differ, in pixels."""

_NEAR = 1e-3
"""Slices that are closer, in millimeters, are at one position."""


@dataclass(frozen=True)
class Plane:
    """A frame of a file: its identity, and its place in the patient as far as it is known."""

    path: Path
    frame: int
    instance: str
    reference: str
    position: tuple[float, ...] | None
    orientation: tuple[float, ...] | None
    spacing: tuple[float, ...] | None
    step: float | None

    @property
    def normal(self) -> NDArray[np.float64]:
        """The direction of the slices: of the rows' cross that of the columns."""
        way = np.array(self.orientation)
        return np.cross(way[:3], way[3:])


def plane_of(path: Path, header: Any, frame: int) -> Plane:
    """Return the place of a frame."""
    measures = macro(header, frame, "PixelMeasuresSequence")
    spacing = numbers(path, measures, "PixelSpacing", 2)
    for keyword in ("ImagerPixelSpacing", "NominalScannedPixelSpacing"):
        spacing = spacing or numbers(path, header, keyword, 2)
    if spacing and min(spacing) <= 0:
        raise DataError(
            f"{path}: the distance between pixels must be positive, got {spacing}; correct the "
            "file's header"
        )
    position = numbers(
        path, macro(header, frame, "PlanePositionSequence"), "ImagePositionPatient", 3
    )
    orientation = numbers(
        path, macro(header, frame, "PlaneOrientationSequence"), "ImageOrientationPatient", 6
    )
    if orientation is not None:
        way = np.array(orientation).reshape(2, 3)
        if not np.allclose(way @ way.T, np.eye(2), atol=0.01):
            raise DataError(
                f"{path}: ImageOrientationPatient must be two unit vectors at a right angle, got "
                f"{orientation}; correct the file's header"
            )
    step = numbers(path, measures, "SpacingBetweenSlices", 1)
    step = step or numbers(path, measures, "SliceThickness", 1)
    return Plane(
        path,
        frame,
        str(header.get("SOPInstanceUID", "")),
        str(header.get("FrameOfReferenceUID", "")),
        None if position is None else tuple(position),
        None if orientation is None else tuple(orientation),
        None if spacing is None else tuple(spacing),
        None if not step or step[0] <= 0 else step[0],
    )


def sort_planes(planes: Sequence[Plane], tolerance: float) -> tuple[list[int], float | None]:
    """Return the order of planes along their normal, and the distance between them.

    Frames of one file whose place is not stated, or is one for all, keep their order.
    """
    files = len({plane.path for plane in planes})
    path, order = planes[0].path, list(range(len(planes)))
    if any(plane.position is None or plane.orientation is None for plane in planes):
        if files > 1:
            bad = next(p for p in planes if p.position is None or p.orientation is None)
            raise DataError(
                f"{bad.path}: a file of a series must have ImagePositionPatient and "
                "ImageOrientationPatient, got none; read single images by their files"
            )
        return order, planes[0].step
    ways = np.array([plane.orientation for plane in planes])
    if np.abs(ways - ways[0]).max() > SAME_DIRECTION:
        odd = planes[int(np.abs(ways - ways[0]).max(1).argmax())]
        raise DataError(
            f"{odd.path}: the slices of a volume must be parallel, got orientation "
            f"{odd.orientation} and {planes[0].orientation} in {path}; leave out localizers"
        )
    positions = np.array([plane.position for plane in planes])
    along = positions @ planes[0].normal
    order = np.argsort(along, kind="stable").tolist()
    steps = np.diff(along[order])
    if len(planes) == 1:
        return order, planes[0].step
    if files == 1 and np.abs(steps).max() < _NEAR:
        return list(range(len(planes))), None  # frames over time
    if steps.min() < _NEAR:
        at = int(steps.argmin())
        first, second = planes[order[at]], planes[order[at + 1]]
        raise DataError(
            f"{second.path}: the slices of a volume must be at different positions, got frame "
            f"{second.frame} where frame {first.frame} of {first.path} is; these are several "
            "series, echoes or times: read each by itself"
        )
    step = float(steps.mean())
    if np.abs(steps - step).max() > tolerance * step:
        at = int(np.abs(steps - step).argmax())
        raise DataError(
            f"{planes[order[at + 1]].path}: the slices of a volume must have equal distances, got "
            f"{steps.min():g} to {steps.max():g}; a file is missing, or set slice_tolerance higher "
            f"than {tolerance:g}"
        )
    aside = np.linalg.norm(np.diff(positions[order], axis=0), axis=1)
    shift = float(np.sqrt(np.maximum(aside**2 - steps**2, 0)).max())
    if shift > max(tolerance * step, SAME_PLACE * min(planes[0].spacing or (0.0,))):
        raise DataError(
            f"{path}: the slices of a volume must lie along their normal, got some that are "
            f"shifted sideways by {shift:g} from one to the next, as by a tilted gantry; resample "
            f"the volume, or set slice_tolerance higher than {tolerance:g}"
        )
    return order, step


def same_grid(first: Plane, second: Plane) -> bool:
    """Return whether two planes, where both state it, have one orientation and pixel spacing."""
    if first.orientation and second.orientation:
        gap = np.abs(np.array(first.orientation) - np.array(second.orientation)).max()
        if gap > SAME_DIRECTION:
            return False
    return not (first.spacing and second.spacing) or np.allclose(
        first.spacing, second.spacing, rtol=1e-3
    )


def same_place(first: Plane, second: Plane) -> bool:
    """Return whether two planes with positions are at one place."""
    size = min(first.spacing or second.spacing or (1.0,))
    gap = np.linalg.norm(np.array(first.position) - np.array(second.position))
    return bool(gap <= SAME_PLACE * size)
