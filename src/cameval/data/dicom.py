"""DICOM: images, series and multi-frame files, with masks as DICOM segmentations or pictures.

Needs pydicom, as in the extra ``medical``: ``pip install '.[medical]'`` in a checkout. Most
compressed files also need a decoder, as in ``pip install 'pylibjpeg[all]'``.

- Stored pixels are rescaled (slope and intercept, or modality LUT), also by frame. Then the window
  of the file is applied, as a viewer would show it, by its function: linear, linear exact, sigmoid.
  A file without a window has its table (VOI LUT), or else is scaled by its own range, a volume by
  that of all its slices.
- MONOCHROME1, in which low values are bright, is inverted: bright is always near 1.
- Padding is 0, and counts for nothing (``Sample.ignore``).
- Color is RGB; palettes and YBR are converted by pydicom. Windows do not apply to color.
- A file with several frames, a folder, or a list of files is a volume. Its slices are in the order
  of their positions along the normal, ``cross(rows, columns)``: of axial slices from the feet to
  the head. Frames without a position, as in ultrasound, keep their order.
- Spacing is that in the patient if the file states it, otherwise that of the detector
  (ImagerPixelSpacing), as in radiographs, which is larger than the object's by the magnification.
  It is in mm. A file that states none has none: distances in it are in pixels, and results warn if
  other files have one.
- Only the elements that are needed are read. Sizes are checked before pixels are.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cached_property
from os import PathLike
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cameval.data._dicom_files import is_dicom, list_files, raise_data_errors, read_header
from cameval.data._dicom_segments import Segment, read_segments
from cameval.data._dicom_volume import DicomImage, DicomSettings, read_image
from cameval.data._files import FOLDER, kind_at
from cameval.data._intensities import MOST_VALUES
from cameval.data._scan_tables import read_scans
from cameval.data.pictures import MaskFile
from cameval.data.records import MaskSource
from cameval.data.scans import AnyPath, Scan, ScanDataset, check_classes, check_mask, first_path
from cameval.errors import DataError

__all__ = ["DicomDataset", "DicomImage", "read_dicom"]

_TAGS: Mapping[str, str] = MappingProxyType(
    {
        "view": "ViewPosition",
        "modality": "Modality",
        "manufacturer": "Manufacturer",
        "sex": "PatientSex",
        "age": "PatientAge",
    }
)


def read_dicom(
    path: AnyPath | Sequence[AnyPath],
    *,
    frame: int | None = None,
    window: int | None = 0,
    value_range: tuple[float, float] | None = None,
    ignore_padding: bool = True,
    tags: Mapping[str, str] = _TAGS,
    group: str = "PatientID",
    slice_tolerance: float = 0.01,
    max_values: int = MOST_VALUES,
) -> DicomImage:
    """Read a DICOM image.

    Parameters
    ----------
    path
        A file; or a folder or a list of files with the slices of one series, which is a volume.
    frame
        The one frame to read of a file with several, counted from 0. By default all, as a volume.
    window
        Index of the file's window, which many files have several of. None: no window; the image is
        scaled by its own range.
    value_range
        Lowest and highest value, such as ``(-160, 240)`` in Hounsfield units, instead of a window;
        of a window with center `c` and width `w`, ``(c - w / 2, c + w / 2)``.
    ignore_padding
        Whether pixels with the file's padding value count for nothing.
    tags
        From a column of ``info`` to the keyword of the DICOM element. An age is in years.
    group
        Keyword of the element that is the group. Groups are in the tables and on the page of an
        evaluation: if nobody else may see an id, give groups of your own.
    slice_tolerance
        By how much distances between slices may differ, and slices be shifted sideways from one to
        the next, as a share of the mean distance.
    max_values
        How many values the image may have, so that no file takes all memory.

    Returns
    -------
    DicomImage
        Image, padding, spacing, and what the file states.

    Raises
    ------
    DataError
        If a file is missing, damaged, no DICOM image, compressed and not to be decoded, or too
        large; if a header contradicts itself; or if files are not the slices of one series.
    SettingError
        If a setting is out of its range, or pydicom is not installed.

    Examples
    --------
    >>> from pydicom.examples import get_path
    >>> from cameval.data import read_dicom
    >>> scan = read_dicom(get_path("ct"), value_range=(-160, 240))
    >>> scan
    DicomImage(spacing=(0.661468, 0.661468), info={'view': None, 'modality': 'CT', \
'manufacturer': 'GE MEDICAL SYSTEMS', 'sex': 'O', 'age': 0.0}, group='1CT1')
    >>> scan.image.shape
    (128, 128)
    """
    settings = DicomSettings(
        window, value_range, ignore_padding, tags, group, slice_tolerance, max_values
    )
    return _read(Scan(path, frame=frame), settings)


def _read(scan: Scan, settings: DicomSettings) -> DicomImage:
    files = _files(scan)
    volume = not isinstance(scan.image, Path) or kind_at(scan.image) == FOLDER
    return read_image(files, volume, scan.frame, settings)


def _files(scan: Scan) -> list[Path]:
    if isinstance(scan.image, Path):
        return list_files(scan.image)
    files: list[Any] = list(scan.image)  # type: ignore[arg-type]  # paths, as a Scan has them
    return files


class DicomDataset(ScanDataset):
    """DICOM images with masks as DICOM segmentations (SEG) or pictures.

    Frames of a segmentation are matched to those of the image by the source image that they name,
    or else by their position. Frames of other images are left out. Of a segmentation of fractions,
    pixels with at least half of the largest possible value are the object.

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
    segments
        From class index to the segments of a segmentation, by number or label, one or several:
        ``{0: "effusion", 1: (2, 3)}``. A scan then has all these classes, unless it has a label.
        By default a segmentation must hold one segment.
    mask_value, mask_threshold
        As `MaskFile`'s value and threshold, for masks that are pictures.
    group
        Keyword of the element that is the group of scans without one; where it is not stated, the
        name is. Groups are in the tables and on the page of an evaluation: if nobody else may see
        an id, give the scans groups of your own.
    window, value_range, ignore_padding, tags, slice_tolerance, max_values
        As in `read_dicom`.

    Raises
    ------
    DataError
        If there is no scan, a name comes twice, a label has no class name, or a table is not as
        described.
    SettingError
        If a setting is out of its range.

    Examples
    --------
    >>> from pydicom.examples import get_path
    >>> from cameval.data import DicomDataset, Scan
    >>> controls = DicomDataset([Scan(get_path("ct"), label=0)], class_names=["nodule"])
    >>> controls[0], controls[0].info["modality"], bool(controls[0].mask.any())
    (Sample(name='CT_small', label=0, group='1CT1'), 'CT', False)
    """

    def __init__(
        self,
        scans: Iterable[Scan | AnyPath] | AnyPath,
        class_names: Sequence[str] = (),
        *,
        segments: Mapping[int, Segment | Collection[Segment]] | None = None,
        mask_value: int | Collection[int] | None = None,
        mask_threshold: float | None = None,
        group: str = "PatientID",
        window: int | None = 0,
        value_range: tuple[float, float] | None = None,
        ignore_padding: bool = True,
        tags: Mapping[str, str] = _TAGS,
        slice_tolerance: float = 0.01,
        max_values: int = MOST_VALUES,
    ) -> None:
        tables: list[Path] = []
        if isinstance(scans, str | PathLike):
            tables = [Path(scans)]
            scans, class_names = read_scans(tables[0], class_names)
        self._reading = DicomSettings(
            window, value_range, ignore_padding, tags, group, slice_tolerance, max_values
        )
        self._segments = None if segments is None else check_classes(segments, "segments")
        self._mask = (mask_value, mask_threshold)
        MaskFile(Path(), *self._mask)  # checks the two
        settings = {
            "reading": self._reading,
            "segments": self._segments,
            "mask": self._mask,
        }
        super().__init__(scans, class_names, tables, settings, self._segments)

    @cached_property
    def _groups(self) -> tuple[str, ...]:
        return tuple(scan.group or self._group(scan) for scan in self._scans)

    def _group(self, scan: Scan) -> str:
        path, keyword = _files(scan)[0], self._reading.group
        header = read_header(path, [keyword])
        with raise_data_errors(path):
            return str(header.get(keyword) or "") or scan.name or ""

    @property
    def groups(self) -> tuple[str, ...]:
        """The groups of the images; they are read from the headers of the files."""
        return self._groups

    def _image_files(self, scan: Scan) -> list[Path]:
        return _files(scan)

    def _read_image(self, scan: Scan) -> tuple[DicomImage, str | None, dict[str, Any]]:
        found = _read(scan, self._reading)
        parts = found.parts
        return found, parts.pop("group", None), parts | {"size": found.size}

    def _read_masks(
        self, scan: Scan, label: int | None, source: Path | MaskSource, image: Any, size: Any
    ) -> dict[int | None, NDArray[np.bool_]]:
        most = self._reading.max_values
        if isinstance(source, Path) and is_dicom(source):
            segments = self._segments
            if segments is not None and label is not None:
                if label not in segments:
                    raise DataError(
                        f"{source}: segments must have the class {label} of this mask, got "
                        f"{list(segments)}"
                    )
                segments = {label: segments[label]}
            return read_segments(source, image, segments, label, most)
        mask: Any
        if isinstance(source, Path):
            if len(size) == 3:
                raise DataError(
                    f"{source}: the mask of a volume must be a DICOM segmentation (SEG), or a "
                    "callable of yours with the attribute path, got another file"
                )
            mask, path = MaskFile(source, *self._mask)(), source
        else:
            mask, path = source(), source.path
        if self._segments is not None and label is None:
            raise DataError(
                f"{path}: a mask that is no segmentation must have a label beside segments, got "
                f"none; use {{class: file}} as the mask of the Scan of {first_path(scan)}"
            )
        return {label: check_mask(path, mask, first_path(scan), size)}
