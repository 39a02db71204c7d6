"""DICOM segmentations: the mask of each segment on the frames of an image."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from cameval.data._dicom_files import (
    SEGMENTATIONS,
    check_size,
    macro,
    raise_data_errors,
    read_header,
    read_pixels,
)
from cameval.data._dicom_planes import Plane, plane_of, same_grid, same_place
from cameval.data._dicom_volume import DicomImage
from cameval.errors import DataError

Segment: TypeAlias = int | str
"""The number of a segment, or its label."""


def read_segments(
    path: Path,
    image: DicomImage,
    segments: Mapping[int, Segment | Collection[Segment]] | None,
    label: int | None,
    most: int,
) -> dict[int | None, NDArray[np.bool_]]:
    """Return the mask of each class in a segmentation, of the image's size.

    Without `segments` the file must hold one segment, which is the class `label`.
    """
    header = read_header(path)
    with raise_data_errors(path):
        if header.get("SOPClassUID") not in SEGMENTATIONS:
            raise DataError(
                f"{path}: the mask must be a DICOM segmentation (SEG), got modality "
                f"{header.get('Modality', 'not stated')}; save the mask as SEG or PNG"
            )
        shape = check_size(path, header, most)
        rows = image.planes and image.size[-2:]
        if shape[1:] != (*rows, 1):
            raise DataError(
                f"{path}: the segmentation must have the rows and columns of its image "
                f"{image.planes[0].path}, got {shape[1:3]} and {rows}; resample it to the image"
            )
        held = _held(path, header)
        wanted = _wanted(path, held, segments, label)
        places = [_places(path, header, frame, image.planes) for frame in range(shape[0])]
        if not any(places) and not _refers(header, image.planes):
            raise DataError(
                f"{path}: the segmentation must be of its image {image.planes[0].path}, got frames "
                "and references of other images; check that the files belong together"
            )
        raw = read_pixels(path, header, shape)
        masks = {each: np.zeros((len(image.planes), *rows), np.bool_) for each in wanted}
        for frame, its_places in enumerate(places):
            if not its_places:
                continue
            marks = _marked(path, header, frame, raw[frame], held)
            for each, numbers in wanted.items():
                for number in numbers & marks.keys():
                    masks[each][its_places] |= marks[number]
    return {each: mask.reshape(image.size) for each, mask in masks.items()}


def _held(path: Path, header: Any) -> dict[int, str]:
    """Return the labels of a file's segments by number."""
    items = header.get("SegmentSequence") or ()
    held = {int(item.SegmentNumber): str(item.get("SegmentLabel", "")) for item in items}
    if not held or len(held) != len(items):
        raise DataError(
            f"{path}: the segmentation must have segments with numbers that differ, got "
            f"{[int(item.SegmentNumber) for item in items] or 'none'}; an image without the object "
            "has no mask file"
        )
    return held


def _wanted(
    path: Path,
    held: Mapping[int, str],
    segments: Mapping[int, Segment | Collection[Segment]] | None,
    label: int | None,
) -> dict[int | None, set[int]]:
    """Return the numbers of the segments of each class."""
    words = ", ".join(f"{number} {text!r}" for number, text in held.items())
    if segments is None:
        if len(held) > 1:
            raise DataError(
                f"{path}: the segmentation must hold one segment, got {words}; set segments to the "
                "segments of each class, as in segments={0: 1, 1: 2}"
            )
        return {label: set(held)}
    wanted: dict[int | None, set[int]] = {}
    for each, given in segments.items():
        several = [given] if isinstance(given, int | str) else list(given)
        wanted[each] = set()
        for segment in several:
            found = {n for n, text in held.items() if segment in (n, text)}
            if not found:
                raise DataError(
                    f"{path}: segment {segment!r} of class {each} must be in the segmentation, got "
                    f"{words}; give images without it a mask None for this class"
                )
            wanted[each] |= found
    return wanted


def _places(path: Path, header: Any, frame: int, planes: tuple[Plane, ...]) -> list[int]:
    """Return the positions of the image's frames that a frame of the segmentation is about."""
    own = plane_of(path, header, frame)
    sources = []
    group = macro(header, frame, "DerivationImageSequence")
    if group is not header:
        for item in group.get("SourceImageSequence") or ():
            numbers = item.get("ReferencedFrameNumber")
            several = [numbers] if isinstance(numbers, int | str) else list(numbers or ())
            sources.append((str(item.ReferencedSOPInstanceUID), {int(n) - 1 for n in several}))
    found = [
        k
        for k, plane in enumerate(planes)
        if any(plane.instance == uid and (not f or plane.frame in f) for uid, f in sources)
    ]
    if sources and (len(found) <= 1 or own.position is None):
        if len(found) > 1 and len(planes) > 1:
            raise _error_unplaced(path, frame)
        for k in found:
            _check_agrees(path, own, planes[k])
        return found
    candidates = found if sources else list(range(len(planes)))
    if own.position is None or any(planes[k].position is None for k in candidates):
        if len(planes) == 1 and _refers(header, planes):
            return [0]
        raise _error_unplaced(path, frame)
    if not sources and own.reference != planes[0].reference:
        return []
    for k in candidates:
        if not same_grid(own, planes[k]):
            raise _error_grid(path, planes[k])
    return [k for k in candidates if same_place(own, planes[k])]


def _check_agrees(path: Path, own: Plane, plane: Plane) -> None:
    """Raise a `DataError` if a frame that names another lies elsewhere."""
    if not own.reference or own.reference != plane.reference:
        return  # the places cannot be compared
    placed = own.position and plane.position
    if not same_grid(own, plane) or (placed and not same_place(own, plane)):
        raise _error_grid(path, plane)


def _error_grid(path: Path, plane: Plane) -> DataError:
    return DataError(
        f"{path}: the segmentation must have the position, orientation and pixel spacing of its "
        f"image {plane.path}, got others; resample it to the image"
    )


def _error_unplaced(path: Path, frame: int) -> DataError:
    return DataError(
        f"{path}: each frame of the segmentation must name its source image or its position, got "
        f"neither in frame {frame}; save it again with DerivationImageSequence"
    )


def _refers(header: Any, planes: tuple[Plane, ...]) -> bool:
    """Return whether a segmentation names one of the image's files as referenced."""
    named = {
        str(item.get("ReferencedSOPInstanceUID", ""))
        for series in header.get("ReferencedSeriesSequence") or ()
        for item in series.get("ReferencedInstanceSequence") or ()
    }
    return any(plane.instance in named for plane in planes)


def _marked(
    path: Path, header: Any, frame: int, raw: NDArray[Any], held: Mapping[int, str]
) -> dict[int, NDArray[np.bool_]]:
    """Return the pixels of each segment in a frame."""
    kind = str(header.get("SegmentationType", ""))
    if kind == "LABELMAP":
        return {number: np.asarray(raw == number) for number in held}
    if kind not in ("BINARY", "FRACTIONAL"):
        raise DataError(
            f"{path}: SegmentationType must be BINARY, FRACTIONAL or LABELMAP, got {kind!r}"
        )
    item = macro(header, frame, "SegmentIdentificationSequence")
    number = item.get("ReferencedSegmentNumber")
    if number not in held:
        raise DataError(
            f"{path}: each frame must be of one of the segments {list(held)}, got {number} in "
            f"frame {frame}"
        )
    if kind == "BINARY":
        return {number: raw != 0}
    return {number: raw >= int(header.get("MaximumFractionalValue") or 255) / 2}
