"""Reading of NIfTI files: header by nibabel, values bounded, axes in one order.

A header can declare more than its file holds, and a compressed file can expand without limit. So
the size is checked first, and of a compressed file no more is expanded than the header declares.
"""

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from cameval._extras import import_extra
from cameval.data._files import open_file
from cameval.errors import CamevalError, DataError

_BLOCK = 2**20
"""How many bytes are expanded at a time."""

_MOST_EXTENSION = 2**26
"""How many bytes there may be between the header and the values."""

_SIZES = {b"n+1\0": (344, 348), b"n+2\0": (4, 540)}
"""By the text that marks a single NIfTI file: where it is, and the size of the header."""

_MILLIMETERS = {"meter": 1e3, "micron": 1e-3}


@dataclass(frozen=True, eq=False)
class StoredImage:
    """The values of a NIfTI file as stored, and how they are scaled and placed.

    `raw` has the axes (slices, rows, columns) and further ones; `affine` leads from indices in this
    order to millimeters. `flat` is the axis along which a two-dimensional image has one slice.
    """

    path: Path
    raw: NDArray[Any]
    slope: float
    inter: float
    affine: NDArray[np.float64]
    flat: int | None

    @property
    def spacing(self) -> tuple[float, ...]:
        """Distances between voxels along slices, rows and columns, in millimeters."""
        steps = np.linalg.norm(self.affine[:3, :3], axis=0)
        return tuple(float(n) for n in steps.round(6))  # headers hold them in single precision

    def values(self, part: NDArray[Any]) -> NDArray[np.float64]:
        """Return scaled values of a part of `raw`."""
        return part.astype(np.float64) * self.slope + self.inter


def read_stored(path: Path, canonical: bool, most: int) -> StoredImage:
    """Read a NIfTI file."""
    nibabel = import_extra("nibabel", "NIfTI files need")
    with open_file(path, "a NIfTI file") as file, _raise_data_errors(path):
        zipped = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        stream: Any = gzip.GzipFile(fileobj=file) if zipped else file
        header = _read_header(path, stream, nibabel)
        shape, dtype = _checked_shape(path, header, most), header.get_data_dtype()
        size = prod(shape) * dtype.itemsize
        start = int(header.get_data_offset())
        gap = start - header.sizeof_hdr
        if not 0 <= gap <= _MOST_EXTENSION:
            raise DataError(
                f"{path}: the values must begin at most {_MOST_EXTENSION} bytes after the header, "
                f"got vox_offset {start}; save the file again"
            )
        if not zipped and path.stat().st_size < start + size:
            raise _error_short(path, shape, dtype, path.stat().st_size - start)
        _take(stream, gap)
        block = _take(stream, size)
        if len(block) < size:
            raise _error_short(path, shape, dtype, len(block))
        if zipped:
            stream.read(_BLOCK)  # at the end of the file, its checksum is compared
        raw = np.frombuffer(block, dtype).reshape(shape, order="F")
        slope, inter = header.get_slope_inter()
        affine = _affine(path, header)
        return _oriented(path, raw, slope, inter, affine, canonical, nibabel)


@contextmanager
def _raise_data_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except CamevalError:
        raise
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(
            f"{path}: the compressed file must be complete and undamaged, got {error}; fetch or "
            "save it again"
        ) from error
    except Exception as error:  # on damaged headers nibabel raises anything
        raise DataError(
            f"{path}: the NIfTI file must be complete and valid, got {error!r}; save it again"
        ) from error


def _take(stream: BinaryIO, size: int) -> bytearray:
    """Read so many bytes, or fewer at the end; memory grows with what is there."""
    block = bytearray()
    while len(block) < size:
        part = stream.read(min(_BLOCK, size - len(block)))
        if not part:
            break
        block += part
    return block


def _read_header(path: Path, stream: BinaryIO, nibabel: Any) -> Any:
    start = bytes(_take(stream, 348))
    kind = next((m for m, (at, _) in _SIZES.items() if start[at : at + 4] == m), None)
    if kind is None:
        pair = start[344:348] == b"ni1\0" or start[4:8] == b"ni2\0"
        raise DataError(
            f"{path}: the file must be NIfTI in one piece (.nii or .nii.gz), got "
            f"{'one of a pair (.hdr and .img)' if pair else repr(start[:8]) + ' at its start'}; "
            "convert it, as with nibabel.save(image, 'image.nii.gz')"
        )
    start += bytes(_take(stream, _SIZES[kind][1] - 348))
    version = nibabel.Nifti1Header if kind == b"n+1\0" else nibabel.Nifti2Header
    return version(start, check=True)


def _checked_shape(path: Path, header: Any, most: int) -> tuple[int, ...]:
    """Return the size, without axes of one value after the third."""
    shape = [int(n) for n in header.get_data_shape()]
    while len(shape) > 3 and shape[-1] == 1:
        shape.pop()
    if not 2 <= len(shape) <= 4 or min(shape) < 1:
        raise DataError(
            f"{path}: the image must have 2, 3 or 4 axes with at least one value, got "
            f"{tuple(shape)}; save the part that is needed by itself"
        )
    if prod(shape) > most:
        raise DataError(
            f"{path}: the image must have at most {most} values, got {tuple(shape)}; set "
            "max_values higher if you trust the file"
        )
    dtype = header.get_data_dtype()
    if dtype.kind not in "iuf":
        kind = "colors" if dtype.fields else "complex numbers"
        raise DataError(
            f"{path}: the image must hold real numbers, got {kind}; save each part as an image by "
            "itself"
        )
    return tuple(shape)


def _error_short(path: Path, shape: tuple[int, ...], dtype: Any, held: int) -> DataError:
    return DataError(
        f"{path}: the file must hold the values that its header declares, got {shape} of {dtype} "
        f"in {max(held, 0)} bytes; it is truncated or damaged"
    )


def _affine(path: Path, header: Any) -> NDArray[np.float64]:
    """Return the matrix from indices to millimeters, checked."""
    affine = np.array(header.get_best_affine(), np.float64)
    affine[:3] *= _MILLIMETERS.get(header.get_xyzt_units()[0], 1.0)
    lengths = np.linalg.norm(affine[:3, :3], axis=0)
    if not np.isfinite(affine).all() or not lengths.min() > 0:
        raise DataError(
            f"{path}: the affine must be finite and its voxels have a size, got "
            f"{affine[:3].round(3).tolist()}; correct sform, qform or pixdim"
        )
    if abs(np.linalg.det(affine[:3, :3] / lengths)) < 1e-3:
        raise DataError(
            f"{path}: the axes of the affine must be independent, got "
            f"{affine[:3].round(3).tolist()}; correct sform or qform"
        )
    return affine


def _oriented(
    path: Path,
    raw: NDArray[Any],
    slope: float | None,
    inter: float | None,
    affine: NDArray[np.float64],
    canonical: bool,
    nibabel: Any,
) -> StoredImage:
    """Return the image with axes (slices, rows, columns), along the body's if `canonical`."""
    two = raw.ndim == 2 or raw.shape[2] == 1
    raw = raw[..., None] if raw.ndim == 2 else raw
    ways = nibabel.orientations
    third = 2
    if canonical:
        change = ways.ornt_transform(ways.io_orientation(affine), ways.axcodes2ornt("LPS"))
        affine = affine @ ways.inv_ornt_aff(change, raw.shape[:3])
        raw = ways.apply_orientation(raw, change)
        third = int(change[2, 0])
    order = [2, 1, 0]
    affine = affine[:, [*order, 3]]
    raw = raw.transpose(*order, *range(3, raw.ndim))
    return StoredImage(
        path,
        raw,
        1.0 if slope is None else float(slope),
        0.0 if inter is None else float(inter),
        affine,
        order.index(third) if two else None,
    )
