"""Files of the figshare brain tumor data: one MRI slice each (MATLAB v7.3), read and written.

Jun Cheng, brain tumor dataset, doi 10.6084/m9.figshare.1512427, CC BY 4.0: 3,064 slices of 233
patients with a meningioma, a glioma or a pituitary tumor, its outline drawn by hand.

`read_slice` undoes these peculiarities of the files:

- MATLAB stores columns first, so h5py sees image and mask transposed.
- The image is int16 and its range differs from slice to slice (maxima from 558 to 12,728): each is
  scaled by its own minimum and maximum, in floating point because int16 would overflow.
- ``label`` is 1, 2 or 3 as a (1, 1) float; here classes count from 0.
- ``PID`` is a column of character codes. Ids that differ in a letter at the end alone, such as
  049453 and 049453B, may be of one person: `FigshareDataset` leaves it out, `read_slice` does not.
- ``tumorBorder`` is x1, y1, x2, y2, ...: the **column** comes first, and both count from 1. Checked
  on 30 files: less one, every point is within 1.4 pixels of an outline pixel of the mask (up to 163
  with rows first), and the polygon fills the mask with a mean IoU of 0.996. The points are corners
  of a hand-drawn polygon: fractions of pixels, far apart, the first not repeated at the end.
- Most slices are 512 x 512, fifteen are 256 x 256; any size is read.
"""

from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from cameval.data._files import raise_output_errors
from cameval.data._hdf5 import USERBLOCK, field_error, open_mat, read_array, read_vector
from cameval.data.samples import Sample
from cameval.errors import ArrayTypeError, DataError, ShapeError

__all__ = ["CLASS_NAMES", "FigshareSample", "read_slice", "write_slice"]

CLASS_NAMES = ("meningioma", "glioma", "pituitary")
"""The class of label 0, 1 and 2."""

_LAST_CODE = 0xFFFF
"""The last character that MATLAB's codes of 16 bits have."""


@dataclass(frozen=True, eq=False)
class FigshareSample(Sample):
    """A slice of the figshare dataset: a `Sample` with its outline and its intensities.

    Parameters
    ----------
    name, mask, group
        As in `Sample`: the slice number, the tumor, the patient.
    image
        float32 array ``(H, W)`` in [0, 1], upright.
    label
        Index into `CLASS_NAMES`.
    border
        float64 array ``(k, 2)``: points x, y on the outline of the tumor, counted from 0, so that
        pixel ``mask[y, x]`` has its center at ``(x, y)``.
    intensity
        Least and greatest int16 value of the slice before it was scaled to [0, 1].

    Raises
    ------
    ArrayTypeError, NonFiniteError
        As in `Sample`; also if the border is not a float64 array.
    ShapeError
        As in `Sample`; also if the image has channels or the border is not ``(k, 2)``.
    DataError
        As in `Sample`; also if the label is no class of this dataset or the intensities are not an
        increasing pair of int16 values.

    Examples
    --------
    >>> import numpy as np
    >>> from cameval.data import CLASS_NAMES, FigshareSample
    >>> mask = np.zeros((4, 4), bool)
    >>> mask[1:3, 1:3] = True
    >>> border = np.array([[1.0, 1.0], [2.0, 1.0], [2.0, 2.0], [1.0, 2.0]])
    >>> image = mask.astype(np.float32)
    >>> one = FigshareSample("1", image, mask, label=2, border=border, intensity=(0, 900))
    >>> CLASS_NAMES[one.label], one.border.shape, int(one.mask.sum())
    ('pituitary', (4, 2), 4)
    """

    label: int = field(kw_only=True)
    border: NDArray[np.float64] = field(repr=False, kw_only=True)
    intensity: tuple[int, int] = field(kw_only=True)

    def __post_init__(self) -> None:
        """Check the label, the border and the intensities."""
        super().__post_init__()
        if self.image.ndim != 2:
            raise ShapeError(f"image must have shape (H, W), got {self.image.shape}")
        if self.label not in range(len(CLASS_NAMES)):
            raise DataError(f"label must be 0, 1 or 2, got {self.label}")
        if not isinstance(self.border, np.ndarray) or self.border.dtype != np.float64:
            came = getattr(self.border, "dtype", type(self.border).__name__)
            raise ArrayTypeError(f"border must be a float64 NumPy array, got {came}")
        if self.border.ndim != 2 or self.border.shape[1] != 2:
            raise ShapeError(f"border must have shape (k, 2), got {self.border.shape}")
        low, high = self.intensity
        limits = np.iinfo(np.int16)
        if not limits.min <= low <= high <= limits.max:
            raise DataError(f"intensity must be low <= high within int16, got {self.intensity}")


def read_slice(path: str | PathLike[str]) -> FigshareSample:
    """Read one slice.

    Parameters
    ----------
    path
        A ``<number>.mat`` file of the dataset.

    Returns
    -------
    FigshareSample
        The slice upright, with the file's name, less ``.mat``, as its name. A constant image gives
        zeros.

    Raises
    ------
    DataError
        If the file is missing, damaged or not a MATLAB v7.3 file, or a field is missing or not
        what it should be. The message names file and field.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from cameval.data import CLASS_NAMES, read_slice, write_phantom
    >>> with TemporaryDirectory() as folder:
    ...     sample = read_slice(write_phantom(folder, slices=3, patients=3, size=64) / "2.mat")
    >>> sample.name, sample.image.shape, sample.image.dtype.name, CLASS_NAMES[sample.label]
    ('2', (64, 64), 'float32', 'meningioma')
    """
    path = Path(path)
    with open_mat(path) as file:
        image, intensity = _read_image(file)
        return FigshareSample(
            name=path.stem,
            image=image,
            mask=_read_mask(file, image.shape),
            label=read_label(file),
            group=read_patient(file),
            border=_read_border(file),
            intensity=intensity,
        )


def write_slice(path: str | PathLike[str], sample: FigshareSample) -> None:
    """Write one slice in the layout of the dataset: the inverse of `read_slice`.

    Parameters
    ----------
    path
        Where to write; a file that is there is replaced. The name of the sample is not stored, it
        is the file's name.
    sample
        The slice. Its image is brought back to its int16 intensities, exactly so if it was read
        from such a file.

    Raises
    ------
    DataError
        If the group has characters that such a file cannot hold.
    OutputError
        If the file cannot be written.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> import numpy as np
    >>> from cameval.data import phantom_sample, read_slice, write_slice
    >>> sample = phantom_sample(np.random.default_rng(0), label=2, size=64)
    >>> with TemporaryDirectory() as folder:
    ...     write_slice(Path(folder) / "1.mat", sample)
    ...     same = read_slice(Path(folder) / "1.mat")
    >>> np.array_equal(same.image, sample.image), same.group == sample.group
    (True, True)
    """
    low, high = sample.intensity
    image = np.rint(low + sample.image.astype(np.float64) * (high - low)).astype(np.int16)
    codes = [[ord(letter)] for letter in sample.group]
    if max(codes)[0] > _LAST_CODE:
        raise DataError(f"group must be of characters of 16 bits, got {sample.group!r}")
    with (
        raise_output_errors(Path(path)),
        h5py.File(Path(path), "w", userblock_size=USERBLOCK) as file,
    ):
        group = file.create_group("cjdata")
        group.create_dataset("image", data=image.T, compression="gzip")
        group.create_dataset("tumorMask", data=sample.mask.T.astype(np.uint8), compression="gzip")
        group["label"] = np.array([[sample.label + 1.0]])
        group["PID"] = np.array(codes, dtype=np.uint16)
        group["tumorBorder"] = (sample.border + 1).reshape(1, -1)


def _read_image(file: h5py.File) -> tuple[NDArray[np.float32], tuple[int, int]]:
    raw = read_array(file, "cjdata/image", "iu")
    if raw.ndim != 2 or raw.size == 0:
        raise field_error(
            file, "cjdata/image", f"must have two axes and at least one pixel, got {raw.shape}"
        )
    low, high = int(raw.min()), int(raw.max())
    limits = np.iinfo(np.int16)
    if low < limits.min or high > limits.max:
        raise field_error(file, "cjdata/image", f"must hold int16 values, got {low} to {high}")
    scaled = (raw.T.astype(np.float64) - low) / max(high - low, 1)
    return np.ascontiguousarray(scaled, dtype=np.float32), (low, high)


def _read_mask(file: h5py.File, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    raw = read_array(file, "cjdata/tumorMask", "biu").T
    if raw.shape != shape:
        raise field_error(
            file,
            "cjdata/tumorMask",
            f"must have the size of cjdata/image, got {raw.shape} and {shape}",
        )
    wrong = raw[(raw != 0) & (raw != 1)]
    if wrong.size:
        raise field_error(file, "cjdata/tumorMask", f"must hold 0 and 1 only, got {wrong[0]}")
    return np.ascontiguousarray(raw != 0)


def read_label(file: h5py.File) -> int:
    """Read the class of an open slice, counted from 0."""
    raw = read_vector(file, "cjdata/label", "iuf")
    if raw.size != 1 or raw[0] not in (1, 2, 3):
        raise field_error(file, "cjdata/label", f"must be 1, 2 or 3, got {raw[:9].tolist()}")
    return int(raw[0]) - 1


def read_patient(file: h5py.File) -> str:
    """Read the patient id of an open slice."""
    codes = read_vector(file, "cjdata/PID", "u").tolist()
    patient = "".join(chr(code) for code in codes if code <= _LAST_CODE)
    if len(patient) < len(codes) or not patient.strip() or not patient.isprintable():
        raise field_error(
            file, "cjdata/PID", f"must be codes of visible characters, got {codes[:9]}"
        )
    return patient


def _read_border(file: h5py.File) -> NDArray[np.float64]:
    values = read_vector(file, "cjdata/tumorBorder", "iuf")
    if values.size % 2:
        raise field_error(
            file, "cjdata/tumorBorder", f"must be pairs of x and y, got {values.size} numbers"
        )
    if not np.isfinite(values).all():
        raise field_error(file, "cjdata/tumorBorder", "must be finite, got NaN or infinite values")
    return values.reshape(-1, 2).astype(np.float64) - 1
