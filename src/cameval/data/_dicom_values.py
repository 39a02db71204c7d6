"""From stored pixels to gray values in [0, 1]: rescaling, window, inversion and padding.

Formulas of DICOM PS3.3: C.11.1 (modality LUT), C.11.2 (window), C.7.5.1.1.2 (padding).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cameval._extras import import_extra
from cameval.data._dicom_files import macro, numbers
from cameval.errors import DataError

FUNCTIONS = ("LINEAR", "LINEAR_EXACT", "SIGMOID")


@dataclass(frozen=True)
class Window:
    """A window of values that a viewer would show, by its center, width and function."""

    center: float
    width: float
    function: str

    def __call__(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return values in [0, 1]."""
        if self.function == "SIGMOID":
            with np.errstate(over="ignore"):  # far below the window: 1 / infinity
                scaled = 1 / (1 + np.exp(-4 * (values - self.center) / self.width))
            return np.asarray(scaled)
        if self.function == "LINEAR_EXACT":
            return np.clip((values - self.center) / self.width + 0.5, 0, 1)
        if self.width == 1:
            return (values > self.center - 0.5).astype(np.float64)
        return np.clip((values - (self.center - 0.5)) / (self.width - 1) + 0.5, 0, 1)


def window_of(path: Path, header: Any, frame: int, index: int) -> Window | None:
    """Return a window of a frame by its index; None if the frame has no window."""
    item = macro(header, frame, "FrameVOILUTSequence")
    centers = numbers(path, item, "WindowCenter")
    widths = numbers(path, item, "WindowWidth")
    if centers is None or widths is None or len(centers) != len(widths):
        if centers is None and widths is None:
            return None
        raise DataError(
            f"{path}: WindowCenter and WindowWidth must have as many values, got {centers} and "
            f"{widths}; set window=None or value_range"
        )
    if index >= len(centers):
        raise DataError(
            f"{path}: window must be below {len(centers)}, the number of the file's windows, got "
            f"{index}; they have centers {centers} and widths {widths}"
        )
    function = str(item.get("VOILUTFunction") or "LINEAR")
    if function not in FUNCTIONS:
        raise DataError(
            f"{path}: VOILUTFunction must be LINEAR, LINEAR_EXACT or SIGMOID, got {function!r}; "
            "set window=None or value_range"
        )
    lowest = 1 if function == "LINEAR" else 0
    width = widths[index]
    if width < lowest or width == 0:
        raise DataError(
            f"{path}: WindowWidth must be {'1 or more' if lowest else 'above 0'} for {function}, "
            f"got {width:g}; set window=None or value_range"
        )
    return Window(centers[index], width, function)


def rescale(path: Path, header: Any, frame: int, raw: NDArray[Any]) -> NDArray[np.float64]:
    """Return the measured values of the stored pixels of a frame, such as Hounsfield units."""
    if header.get("ModalityLUTSequence"):
        processing = import_extra("pydicom.pixels.processing", "DICOM files need")
        return np.asarray(processing.apply_modality_lut(raw, header), np.float64)
    item = macro(header, frame, "PixelValueTransformationSequence")
    slope = (numbers(path, item, "RescaleSlope", 1) or [1.0])[0]
    intercept = (numbers(path, item, "RescaleIntercept", 1) or [0.0])[0]
    if slope == 0:
        raise DataError(
            f"{path}: RescaleSlope must not be 0, which makes all pixels equal; correct the "
            "file's header"
        )
    values: NDArray[np.float64] = raw * np.float64(slope) + intercept
    if raw.dtype.kind == "f" and not np.isfinite(values).all():
        raise DataError(
            f"{path}: pixels must be finite, got NaN or infinite values; replace them first"
        )
    return values


def apply_table(path: Path, header: Any, values: NDArray[Any], index: int) -> NDArray[np.float64]:
    """Return values in [0, 1] by the file's table (VOI LUT) with this index."""
    tables = header.VOILUTSequence
    if index >= len(tables):
        raise DataError(
            f"{path}: window must be below {len(tables)}, the number of the file's tables of "
            f"values (VOI LUT), got {index}"
        )
    processing = import_extra("pydicom.pixels.processing", "DICOM files need")
    top = 2 ** int(tables[index].LUTDescriptor[2]) - 1
    found = processing.apply_voi(np.rint(values).astype(np.int64), header, index)
    return np.asarray(np.clip(np.asarray(found, np.float64) / top, 0, 1))


def padding_of(header: Any, raw: NDArray[Any]) -> NDArray[np.bool_] | None:
    """Return the pixels that are padding, by the stored value; None if the file names no value."""
    value, limit = header.get("PixelPaddingValue"), header.get("PixelPaddingRangeLimit")
    if value in (None, ""):
        return None
    ends = [int(value), int(value if limit in (None, "") else limit)]
    if raw.dtype.kind == "i":  # a signed value that is written as an unsigned one
        bits = raw.dtype.itemsize * 8
        ends = [end - 2**bits if end >= 2 ** (bits - 1) else end for end in ends]
    low, high = min(ends), max(ends)
    return np.asarray((raw >= low) & (raw <= high))
