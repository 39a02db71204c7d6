"""`DicomImage`, and how it is put together of the frames of one file or the files of a series."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cameval.data._dicom_files import (
    SEGMENTATIONS,
    check_size,
    raise_data_errors,
    read_header,
    read_pixels,
)
from cameval.data._dicom_planes import Plane, plane_of, sort_planes
from cameval.data._dicom_values import apply_table, padding_of, rescale, window_of
from cameval.data._intensities import check_most_values, check_position, check_range, to_unit
from cameval.data.samples import Info
from cameval.errors import DataError, SettingError

_GRAY = ("MONOCHROME1", "MONOCHROME2")
_COLOR = ("RGB", "PALETTE COLOR", "YBR_FULL", "YBR_FULL_422", "YBR_RCT", "YBR_ICT")


@dataclass(frozen=True)
class DicomSettings:
    """How DICOM images are read: see `read_dicom`, which has the same parameters."""

    window: int | None
    value_range: tuple[float, float] | None
    ignore_padding: bool
    tags: Mapping[str, str]
    group: str
    slice_tolerance: float
    max_values: int

    def __post_init__(self) -> None:
        """Check the settings."""
        check_position(self.window, "window")
        check_most_values(self.max_values)
        object.__setattr__(self, "value_range", check_range(self.value_range))
        words = [*self.tags, *self.tags.values(), self.group]
        if not all(isinstance(word, str) and word for word in words):
            raise SettingError(f"tags and group must be keywords of elements, got {words}")
        object.__setattr__(self, "tags", dict(self.tags))
        if not 0 <= self.slice_tolerance < 1:
            raise SettingError(f"slice_tolerance must be in [0, 1), got {self.slice_tolerance!r}")

    @property
    def keywords(self) -> list[str]:
        """The keywords of the elements that describe the image."""
        return [*self.tags.values(), self.group]


@dataclass(frozen=True, eq=False)
class DicomImage:
    """A DICOM image, and what its file says about it; made by `read_dicom`.

    Parameters
    ----------
    image
        float32 array in [0, 1], ``(H, W)`` or ``(H, W, 3)``; a volume is ``(D, H, W)`` or
        ``(D, H, W, 3)``.
    ignore
        Boolean array of the same height and width (and depth), true on padding; None if there is
        none.
    size
        Height and width; depth, height and width of a volume.
    spacing
        Distances between pixels in millimeters, ``(rows, columns)`` or ``(slices, rows, columns)``;
        None if one of them is not known.
    info
        The elements that were asked for, by column.
    group
        The patient, or another element that was asked for; None if the file does not state it.
    planes
        The frames with their places, in the order of the slices.

    Examples
    --------
    >>> from pydicom.examples import get_path
    >>> from cameval.data import read_dicom
    >>> scan = read_dicom(get_path("ct"))
    >>> scan.size, scan.image.shape, scan.spacing, scan.info["modality"]
    ((128, 128), (128, 128), (0.661468, 0.661468), 'CT')
    """

    image: NDArray[np.float32] = field(repr=False)
    ignore: NDArray[np.bool_] | None = field(repr=False)
    size: tuple[int, ...] = field(repr=False)
    spacing: tuple[float, ...] | None
    info: Mapping[str, Info]
    group: str | None
    planes: tuple[Any, ...] = field(repr=False)

    @property
    def parts(self) -> dict[str, Any]:
        """Arguments for `Sample`: image, ignore, spacing and info; group where it is known.

        Examples
        --------
        >>> from pydicom.examples import get_path
        >>> from cameval import Sample
        >>> from cameval.data import read_dicom
        >>> scan = read_dicom(get_path("ct"))
        >>> Sample("scan 1", mask=scan.image > 0.9, label=0, **scan.parts)
        Sample(name='scan 1', label=0, group='1CT1')
        """
        parts = {
            "image": self.image,
            "ignore": self.ignore,
            "spacing": self.spacing,
            "info": dict(self.info),
        }
        return parts if self.group is None else parts | {"group": self.group}


def read_image(
    files: Sequence[Path], volume: bool, frame: int | None, settings: DicomSettings
) -> DicomImage:
    """Read the frames of one file, or the files of a series, in the order of the slices."""
    headers = [read_header(path, settings.keywords) for path in files]
    shapes = []
    for path, header in zip(files, headers, strict=True):
        with raise_data_errors(path):
            shapes.append(_check_image(path, header, frame, settings))
    _check_series(files, headers, shapes, frame, settings)
    if frame is not None:
        taken = [(0, frame)]
    else:
        taken = [(k, f) for k, shape in enumerate(shapes) for f in range(shape[0])]
    planes = []
    for k, f in taken:
        with raise_data_errors(files[k]):
            planes.append(plane_of(files[k], headers[k], f))
    order, step = sort_planes(planes, settings.slice_tolerance)
    image, ignore = _fill(files, headers, shapes, [taken[i] for i in order], frame, settings)
    planes = [planes[i] for i in order]
    flat = not volume and len(planes) == 1
    with raise_data_errors(files[0]):
        info = {column: _value(headers[0], tag) for column, tag in settings.tags.items()}
        group = str(headers[0].get(settings.group) or "") or None
    return DicomImage(
        image[0] if flat else image,
        None if ignore is None else ignore[0] if flat else ignore,
        image.shape[1:3] if flat else image.shape[:3],
        _spacing(planes, step, flat),
        info,
        group,
        tuple(planes),
    )


def _check_image(
    path: Path, header: Any, frame: int | None, settings: DicomSettings
) -> tuple[int, int, int, int]:
    if header.get("SOPClassUID") in SEGMENTATIONS:
        raise DataError(
            f"{path}: an image is needed, got a segmentation; give it as the mask of its image"
        )
    shape = check_size(path, header, settings.max_values, frame)
    kind = str(header.PhotometricInterpretation)
    if kind not in _GRAY + _COLOR or (kind in _GRAY) != (shape[3] == 1 and "PALETTE" not in kind):
        raise DataError(
            f"{path}: the photometric interpretation must be one of "
            f"{', '.join(_GRAY + _COLOR)} with samples that fit, got {kind} with {shape[3]}; "
            "convert the image to RGB or gray first"
        )
    if frame is not None and frame >= shape[0]:
        raise DataError(
            f"{path}: frame must be below {shape[0]}, the number of frames, got {frame}"
        )
    return shape


def _check_series(
    files: Sequence[Path],
    headers: Sequence[Any],
    shapes: Sequence[tuple[int, int, int, int]],
    frame: int | None,
    settings: DicomSettings,
) -> None:
    """Raise a `DataError` if several files are not the slices of one series."""
    if len(files) == 1:
        return
    if frame is not None:
        raise DataError(
            f"{files[0]}: frame is for one file with several frames, got {len(files)} files"
        )
    total = sum(shape[1] * shape[2] * shape[3] for shape in shapes)
    if total > settings.max_values:
        raise DataError(
            f"{files[0]}: the volume must have at most {settings.max_values} values, got {total}; "
            "set max_values higher if you trust the files"
        )
    for path, header, shape in zip(files, headers, shapes, strict=True):
        if shape[0] != 1:
            raise DataError(
                f"{path}: each file of a series must have one frame, got {shape[0]}; read a file "
                "with several frames by itself"
            )
        for what, came, wanted in (
            ("series", header.get("SeriesInstanceUID"), headers[0].get("SeriesInstanceUID")),
            ("size", shape[1:], shapes[0][1:]),
            *(
                (tag, header.get(tag), headers[0].get(tag))
                for tag in ("PhotometricInterpretation", "PixelSpacing")
            ),
        ):
            if came != wanted:
                raise DataError(
                    f"{path}: the files of a volume must be of one {what}, got {came} and {wanted} "
                    f"in {files[0]}; list the files of one series"
                )


def _fill(
    files: Sequence[Path],
    headers: Sequence[Any],
    shapes: Sequence[tuple[int, int, int, int]],
    taken: Sequence[tuple[int, int]],
    frame: int | None,
    settings: DicomSettings,
) -> tuple[NDArray[np.float32], NDArray[np.bool_] | None]:
    """Return the frames in this order, scaled to [0, 1], and the padding."""
    _, rows, columns, _ = shapes[0]
    gray = str(headers[0].PhotometricInterpretation) in _GRAY
    image = np.empty((len(taken), rows, columns) + (() if gray else (3,)), np.float32)
    ignore = np.zeros(image.shape[:3], np.bool_)
    unscaled = np.zeros(len(taken), np.bool_)
    by_file: dict[int, list[int]] = {}
    for place, (k, _) in enumerate(taken):
        by_file.setdefault(k, []).append(place)
    for k, places in by_file.items():
        path, header = files[k], headers[k]
        raw = read_pixels(path, header, shapes[k], frame)
        for place in places:
            f = taken[place][1]
            one = raw[0 if frame is not None else f]
            if not gray:
                image[place] = _color(header, one)
                continue
            with raise_data_errors(path):
                padding = padding_of(header, one) if settings.ignore_padding else None
                if padding is not None:
                    ignore[place] = padding
                image[place], unscaled[place] = _shown(path, header, f, one, settings)
    if unscaled.any():
        _stretch(image, ignore, unscaled)
    if gray:
        inverted = str(headers[0].PhotometricInterpretation) == "MONOCHROME1"
        for place in range(len(image)):
            if inverted:
                np.subtract(1, image[place], out=image[place])
            image[place][ignore[place]] = 0
    if ignore.all():
        raise DataError(
            f"{files[0]}: some pixels must not be padding, got the padding value in all; set "
            "ignore_padding=False"
        )
    return image, ignore if ignore.any() else None


def _shown(
    path: Path, header: Any, frame: int, raw: NDArray[Any], settings: DicomSettings
) -> tuple[NDArray[Any], bool]:
    """Return a frame in [0, 1], or its values and that they are not yet scaled."""
    values = rescale(path, header, frame, raw)
    if settings.value_range is not None:
        return to_unit(values, *settings.value_range), False
    if settings.window is None:
        return values, True
    window = window_of(path, header, frame, settings.window)
    if window is not None:
        return window(values), False
    if header.get("VOILUTSequence"):
        return apply_table(path, header, values, settings.window), False
    if settings.window > 0:
        raise DataError(
            f"{path}: window must be the index of one of the file's windows, got "
            f"{settings.window} and no window; set value_range"
        )
    return values, True


def _stretch(
    image: NDArray[np.float32], ignore: NDArray[np.bool_], unscaled: NDArray[np.bool_]
) -> None:
    """Scale frames by the range that all of them have together, without padding."""
    places = np.flatnonzero(unscaled)
    ends = [
        (float(seen.min()), float(seen.max()))
        for place in places
        if (seen := image[place][~ignore[place]]).size
    ]
    low, high = min((e[0] for e in ends), default=0.0), max((e[1] for e in ends), default=0.0)
    for place in places:
        image[place] = to_unit(image[place], low, high)


def _color(header: Any, raw: NDArray[Any]) -> NDArray[np.float32]:
    """Return a frame of colors in [0, 1]; the transparency of a palette is left out."""
    palette = str(header.PhotometricInterpretation) == "PALETTE COLOR"
    bits = raw.dtype.itemsize * 8 if palette else int(header.get("BitsStored") or 8)
    return to_unit(raw[..., :3], 0, 2**bits - 1)


def _spacing(planes: Sequence[Plane], step: float | None, flat: bool) -> tuple[float, ...] | None:
    inside = planes[0].spacing
    if inside is None or any(plane.spacing != inside for plane in planes):
        return None
    if flat:
        return inside
    return None if step is None else (step, *inside)


def _value(header: Any, keyword: str) -> Info:
    """Return an element as text, as a number, or an age as years; None if it is not stated."""
    if keyword not in header:
        return None
    element = header[keyword]
    value = element.value
    if value is None or value == "" or element.VR in ("SQ", "OB", "OW", "UN"):
        return None
    if element.VR == "AS" and len(value) == 4 and value[:3].isdigit():
        years = {"Y": 1.0, "M": 1 / 12, "W": 7 / 365.25, "D": 1 / 365.25}.get(value[3].upper())
        return None if years is None else int(value[:3]) * years
    if element.VM == 1 and element.VR in ("IS", "SL", "SS", "UL", "US"):
        return int(value)
    if element.VM == 1 and element.VR in ("DS", "FL", "FD"):
        return float(value)
    return str(value).replace("\r", " ").replace("\0", "").strip() or None
