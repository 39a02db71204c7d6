"""NIfTI: volumes and slices in ``.nii`` and ``.nii.gz``, with masks of one or several classes.

Needs nibabel, as in the extra ``medical``: ``pip install '.[medical]'`` in a checkout.

- Axes are brought to one order, whichever is stored: the volume is ``(slices, rows, columns)``,
  slices from the feet to the head, rows from front to back, columns from the patient's right to
  left (LPS). It is the order of an axial DICOM series, and of SimpleITK's arrays of one. An oblique
  image keeps its voxels; each axis goes to the nearest one of the body. ``canonical=False`` keeps
  the stored axes, reversed: the third is that of the slices.
- The orientation is that of the sform, else that of the qform, else it is not known and the
  stored axes are taken as left, anterior, superior, as nibabel does.
- Spacing is in millimeters, by the same matrix.
- An image with one slice along the third stored axis is two-dimensional, ``(H, W)``.
- Intensities have no range of their own. They are scaled by the image's percentiles, or by a range
  in the file's units after its slope and intercept.
- Of a compressed file, no more is expanded than its header declares.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from numbers import Real
from os import PathLike
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from cameval.data._intensities import (
    MOST_VALUES,
    check_most_values,
    check_position,
    check_range,
    to_unit,
)
from cameval.data._nifti_files import StoredImage, read_stored
from cameval.data._scan_tables import read_scans
from cameval.data.records import MaskSource
from cameval.data.scans import AnyPath, Scan, ScanDataset, check_classes, check_mask, first_path
from cameval.errors import DataError, SettingError

__all__ = ["NiftiDataset", "NiftiImage", "read_nifti"]

_MISSING = Literal["error", "ignore"]


@dataclass(frozen=True, eq=False)
class NiftiImage:
    """A NIfTI image, and where it is; made by `read_nifti`.

    Parameters
    ----------
    image
        float32 array in [0, 1]: ``(D, H, W)``, ``(D, H, W, C)`` with channels, or ``(H, W)``.
    ignore
        Boolean array ``(D, H, W)`` or ``(H, W)``, true where the file holds no number; None if
        there is no such place.
    size
        Depth, height and width; of a two-dimensional image height and width.
    spacing
        Distances between voxels along these axes, in millimeters.
    affine
        Matrix ``(4, 4)`` from (slice, row, column, 1) to millimeters: to the patient's right,
        anterior and superior, as NIfTI has it.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> import nibabel
    >>> import numpy as np
    >>> from cameval import Sample
    >>> from cameval.data import read_nifti
    >>> voxels = np.arange(24, dtype=np.int16).reshape(2, 3, 4)  # x, y, z
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder) / "scan.nii.gz"
    ...     nibabel.save(nibabel.Nifti1Image(voxels, np.diag([1, 1, 5, 1])), path)
    ...     scan = read_nifti(path)
    >>> scan.image.shape, scan.spacing, scan.affine.shape
    ((4, 3, 2), (5.0, 1.0, 1.0), (4, 4))
    >>> Sample("scan 1", mask=scan.image > 0.5, **scan.parts).shape
    (4, 3, 2)
    """

    image: NDArray[np.float32] = field(repr=False)
    ignore: NDArray[np.bool_] | None = field(repr=False)
    size: tuple[int, ...]
    spacing: tuple[float, ...]
    affine: NDArray[np.float64] = field(repr=False)

    @property
    def parts(self) -> dict[str, Any]:
        """Arguments for `Sample`: image, ignore and spacing."""
        return {"image": self.image, "ignore": self.ignore, "spacing": self.spacing}


@dataclass(frozen=True)
class _Settings:
    """How NIfTI images are read: see `read_nifti`."""

    channels: bool
    value_range: tuple[float, float] | None
    percentiles: tuple[float, float]
    missing: _MISSING
    canonical: bool
    max_values: int

    def __post_init__(self) -> None:
        check_most_values(self.max_values)
        object.__setattr__(self, "value_range", check_range(self.value_range))
        ends = tuple(self.percentiles) if isinstance(self.percentiles, Sequence) else ()
        numbers = all(isinstance(end, Real) for end in ends)
        if len(ends) != 2 or not numbers or not 0 <= ends[0] < ends[1] <= 100:
            raise SettingError(
                "percentiles must be two numbers in [0, 100], the lower one first, got "
                f"{self.percentiles!r}"
            )
        if self.value_range is not None and ends != (0, 100):
            raise SettingError("only one of value_range and percentiles may be set, got both")
        object.__setattr__(self, "percentiles", ends)
        if self.missing not in get_args(_MISSING):
            raise SettingError(f"missing must be 'error' or 'ignore', got {self.missing!r}")


def read_nifti(
    path: AnyPath,
    *,
    frame: int | None = None,
    channels: bool = False,
    value_range: tuple[float, float] | None = None,
    percentiles: tuple[float, float] = (0, 100),
    missing: Literal["error", "ignore"] = "error",
    canonical: bool = True,
    max_values: int = MOST_VALUES,
) -> NiftiImage:
    """Read a NIfTI image.

    Parameters
    ----------
    path
        A ``.nii`` or ``.nii.gz`` file, recognized by content.
    frame
        Of an image with four axes, the volume to read, counted from 0.
    channels
        Whether the fourth axis is that of channels, as of several MRI sequences.
    value_range
        Lowest and highest value, instead of percentiles. Values outside are clipped.
    percentiles
        Percentiles of the image that become 0 and 1, such as ``(0.5, 99.5)``. Values outside are
        clipped. Each channel has its own.
    missing
        ``"ignore"``: NaN and infinite values are 0, and count for nothing (``Sample.ignore``).
    canonical
        Whether the axes are brought to one order, as `cameval.data.nifti` describes.
    max_values
        How many values the image may have, so that no file takes all memory.

    Returns
    -------
    NiftiImage
        Image, values that are missing, spacing and affine.

    Raises
    ------
    DataError
        If the file is missing, damaged, no NIfTI file or too large, has more than four axes, four
        without `frame` or `channels`, colors, complex numbers, missing values or no affine.
    SettingError
        If a setting is out of its range, or nibabel is not installed.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> import nibabel
    >>> import numpy as np
    >>> from cameval.data import read_nifti
    >>> voxels = np.arange(24, dtype=np.int16).reshape(2, 3, 4)  # x, y, z
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder) / "scan.nii.gz"
    ...     nibabel.save(nibabel.Nifti1Image(voxels, np.diag([1, 1, 5, 1])), path)
    ...     read_nifti(path)
    NiftiImage(size=(4, 3, 2), spacing=(5.0, 1.0, 1.0))
    """
    settings = _Settings(channels, value_range, percentiles, missing, canonical, max_values)
    return _read(Path(path), check_position(frame, "frame"), settings)


def _read(path: Path, frame: int | None, settings: _Settings) -> NiftiImage:
    stored = read_stored(path, settings.canonical, settings.max_values)
    raw = _selected(stored, frame, settings.channels)
    valid = np.isfinite(raw) if raw.dtype.kind == "f" else None
    if valid is not None and not valid.all():
        if settings.missing == "error":
            raise DataError(
                f"{path}: values must be finite, got {valid.size - int(valid.sum())} NaN or "
                "infinite ones; set missing='ignore' if they are outside the field of view"
            )
        if not valid.any():
            raise DataError(f"{path}: some values must be finite, got none")
    image = np.empty(raw.shape, np.float32)
    channels = range(raw.shape[3]) if raw.ndim == 4 else [None]
    for c in channels:
        at = (...,) if c is None else (..., c)
        _scale(stored, raw[at], None if valid is None else valid[at], image[at], settings)
    ignore = None
    if valid is not None and not valid.all():
        ignore = ~(valid if valid.ndim == 3 else valid.all(3))
        image[ignore] = 0
    size, spacing = raw.shape[:3], stored.spacing
    if stored.flat is not None:
        image = np.ascontiguousarray(image.squeeze(stored.flat))
        ignore = None if ignore is None else ignore.squeeze(stored.flat)
        size = tuple(n for k, n in enumerate(size) if k != stored.flat)
        spacing = tuple(n for k, n in enumerate(spacing) if k != stored.flat)
    return NiftiImage(image, ignore, size, spacing, stored.affine)


def _selected(stored: StoredImage, frame: int | None, channels: bool) -> NDArray[Any]:
    """Return the volume, with channels or without."""
    raw = stored.raw
    if raw.ndim == 3:
        if frame:
            raise DataError(f"{stored.path}: frame must be 0 of an image with one, got {frame}")
        return raw
    if frame is not None:
        if frame >= raw.shape[3]:
            raise DataError(
                f"{stored.path}: frame must be below {raw.shape[3]}, the number of volumes, got "
                f"{frame}"
            )
        return raw[..., frame]
    if not channels:
        raise DataError(
            f"{stored.path}: the image must have one volume, got {raw.shape[3]}; set frame to the "
            "index of one, or channels=True to read all as channels"
        )
    return raw


def _scale(
    stored: StoredImage,
    raw: NDArray[Any],
    valid: NDArray[np.bool_] | None,
    image: NDArray[np.float32],
    settings: _Settings,
) -> None:
    """Fill an image with values scaled to [0, 1], a slice at a time."""
    if settings.value_range is not None:
        low, high = settings.value_range
    else:
        seen = raw if valid is None else raw[valid]
        if not seen.size:
            image[:] = 0
            return
        if settings.percentiles == (0, 100):
            ends = np.array([seen.min(), seen.max()])
        else:
            falling = stored.slope < 0  # the highest stored value is the lowest one
            shares = [100 - p if falling else p for p in settings.percentiles]
            ends = np.percentile(seen, shares)
        low, high = sorted(stored.values(ends).tolist())
    for k in range(len(raw)):
        part = raw[k] if valid is None else np.where(valid[k], raw[k], 0)
        image[k] = to_unit(stored.values(part), low, high)


class NiftiDataset(ScanDataset):
    """NIfTI images with masks that are NIfTI files on the same grid.

    Parameters
    ----------
    scans
        A list of `Scan`, or of paths of images without a mask; or the path of a CSV file. Its
        columns are ``image`` and, as far as needed, ``mask``, ``label``, ``name``, ``group`` and
        ``frame``; others are ``info``. Paths are relative to its folder. An image with several
        classes has a row for each. An empty mask is that of an image without the object.
    class_names
        The class of label 0, 1, ...; in a CSV file labels can be names. By default the names in a
        CSV file, sorted.
    values
        From class index to the mask's values of the class, one or several: ``{0: (1, 2, 4), 1:
        4}``; classes may overlap. A scan then has all these classes, unless it has a label. A value
        that does not occur gives an empty mask. By default a mask must hold 0 and one other value.
    instances
        Whether the values of a mask are numbers of objects, which are kept apart also where they
        touch. With `values` these are the objects of a class; without, all of the scan's class.
    affine_tolerance
        How far the corners of mask and image may be apart, in voxels.
    channels, value_range, percentiles, missing, canonical, max_values
        As in `read_nifti`.

    Raises
    ------
    DataError
        If there is no scan, a name comes twice, a label has no class name, or a table is not as
        described.
    SettingError
        If a setting is out of its range.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> import nibabel
    >>> import numpy as np
    >>> from cameval.data import NiftiDataset, Scan
    >>> voxels = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    >>> with TemporaryDirectory() as folder:
    ...     image, mask = Path(folder) / "flair.nii.gz", Path(folder) / "tumor.nii.gz"
    ...     nibabel.save(nibabel.Nifti1Image(voxels, np.eye(4)), image)
    ...     nibabel.save(nibabel.Nifti1Image(voxels // 8, np.eye(4)), mask)
    ...     dataset = NiftiDataset([Scan(image, mask)], values={0: (1, 2), 1: 2})
    ...     [int(target.mask.sum()) for target in dataset[0].targets]
    [16, 8]
    """

    def __init__(
        self,
        scans: Iterable[Scan | AnyPath] | AnyPath,
        class_names: Sequence[str] = (),
        *,
        values: Mapping[int, int | Collection[int]] | None = None,
        instances: bool = False,
        affine_tolerance: float = 0.05,
        channels: bool = False,
        value_range: tuple[float, float] | None = None,
        percentiles: tuple[float, float] = (0, 100),
        missing: Literal["error", "ignore"] = "error",
        canonical: bool = True,
        max_values: int = MOST_VALUES,
    ) -> None:
        tables: list[Path] = []
        if isinstance(scans, str | PathLike):
            tables = [Path(scans)]
            scans, class_names = read_scans(tables[0], class_names)
        self._reading = _Settings(
            channels, value_range, percentiles, missing, canonical, max_values
        )
        self._values = None if values is None else check_classes(values, "values")
        if not isinstance(instances, bool):
            raise SettingError(f"instances must be True or False, got {instances!r}")
        self._instances = instances
        if not 0 <= affine_tolerance < 1:
            raise SettingError(f"affine_tolerance must be in [0, 1), got {affine_tolerance!r}")
        self._tolerance = affine_tolerance
        settings = {
            "reading": self._reading,
            "values": self._values,
            "instances": instances,
            "affine_tolerance": affine_tolerance,
        }
        super().__init__(scans, class_names, tables, settings, self._values)

    def _read_image(self, scan: Scan) -> tuple[NiftiImage, str | None, dict[str, Any]]:
        if not isinstance(scan.image, Path):
            raise DataError(
                f"{first_path(scan)}: a NIfTI image must be one file, got a list of "
                f"{len(scan.image)}"  # type: ignore[arg-type]  # a tuple of paths
            )
        found = _read(scan.image, scan.frame, self._reading)
        return found, None, found.parts | {"size": found.size}

    def _read_masks(
        self, scan: Scan, label: int | None, source: Path | MaskSource, image: Any, size: Any
    ) -> dict[int | None, NDArray[Any]]:
        if not isinstance(source, Path):
            return {label: check_mask(source.path, source(), first_path(scan), size)}
        stored = read_stored(source, self._reading.canonical, self._reading.max_values)
        held = self._checked(stored, image, first_path(scan)).reshape(size)
        if self._values is None and self._instances:
            return {label: self._numbers(source, held)}
        if self._values is None:
            others = np.unique(held[held != 0])
            if others.size > 1:
                raise DataError(
                    f"{source}: the mask must hold 0 and one other value, got "
                    f"{', '.join(f'{n:g}' for n in others[:6])}{', ...' * (others.size > 6)}; set "
                    "values to those of each class, as in values={0: 1, 1: 2}, or instances=True "
                    "if they number the objects of one class"
                )
            return {label: held != 0}
        if label is not None and label not in self._values:
            raise DataError(
                f"{source}: values must have the class {label} of this mask, got "
                f"{list(self._values)}"
            )
        chosen = self._values if label is None else {label: self._values[label]}
        masks: dict[int | None, NDArray[Any]] = {
            each: np.isin(held, value) for each, value in chosen.items()
        }
        if not self._instances:
            return masks
        numbers = self._numbers(source, held)
        return {each: numbers * mask for each, mask in masks.items()}

    def _numbers(self, source: Path, held: NDArray[Any]) -> NDArray[np.int64]:
        """Return the numbers of the objects in a mask."""
        if (held < 0).any():
            raise DataError(
                f"{source}: numbers of objects must be 0 or more, got {held.min():g}; set "
                "instances=False"
            )
        return held.astype(np.int64)

    def _checked(self, stored: StoredImage, image: NiftiImage, path: Path) -> NDArray[Any]:
        """Return the values of a mask, which must be whole numbers on the image's grid."""
        where, raw = stored.path, stored.raw
        if raw.ndim != 3:
            raise DataError(
                f"{where}: a mask must have one volume, got {raw.shape[3]}; save each class as a "
                "file by itself"
            )
        size = tuple(n for k, n in enumerate(raw.shape) if k != stored.flat)
        away = "resample it, as with nibabel.processing.resample_from_to(mask, image, order=0)"
        if size != image.size:
            raise DataError(
                f"{where}: the mask must have the size of its image {path}, got {size} and "
                f"{image.size}; {away}"
            )
        ends = product(*((0, n - 1) for n in raw.shape))
        corners = np.array([(*end, 1) for end in ends])
        apart = np.linalg.norm((corners @ (stored.affine - image.affine).T)[:, :3], axis=1).max()
        if apart > self._tolerance * min(stored.spacing):
            raise DataError(
                f"{where}: the mask must be where its image {path} is, got corners {apart:.3g} mm "
                f"apart; {away}, or set affine_tolerance if the affine of one is wrong"
            )
        if raw.dtype.kind == "f" and not np.isfinite(raw).all():
            raise DataError(f"{where}: the values of a mask must be finite, got NaN or infinity")
        if (stored.slope, stored.inter) == (1.0, 0.0) and raw.dtype.kind != "f":
            return raw
        values = stored.values(raw)
        whole = np.rint(values)
        if np.abs(values - whole).max() > 1e-3:
            raise DataError(
                f"{where}: the values of a mask must be whole numbers, got "
                f"{values[values != whole][0]:g}; set a threshold and save it again"
            )
        return whole
