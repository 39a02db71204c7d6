"""`Scan`: the files of one DICOM or NIfTI image and of its masks; tables of them."""

from abc import abstractmethod
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset

from cameval.data._intensities import check_position
from cameval.data.readers import check_index, find_repeated, label_array, shorten_names
from cameval.data.records import MaskSource
from cameval.data.samples import Info, Sample
from cameval.data.targets import Target, class_index
from cameval.errors import ArrayTypeError, CamevalError, DataError, SettingError

__all__ = ["Scan"]

AnyPath: TypeAlias = str | PathLike[str]
AnyMask: TypeAlias = AnyPath | MaskSource | None
Mask: TypeAlias = Path | MaskSource | None


@dataclass(frozen=True)
class Scan:
    """The files of one medical image, its masks, and what is known about it.

    Parameters
    ----------
    image
        The file of the image. Of DICOM also a folder, or a list of files, with the slices of one
        series.
    mask
        The file of the mask, or another source of it: a callable with the attribute ``path``. An
        image without the object has none, and its mask is empty. Of an image with several
        classes, a dictionary from class index to file or None.
    label
        Class index of the mask.
    name
        By default the name of the file without suffix, or of the folder.
    group
        By default the patient of a DICOM file, and the name of other images.
    frame
        Of a DICOM file with several frames, or a NIfTI file with several volumes, the one to read,
        counted from 0. By default all frames, as a volume.
    info
        As in `Sample`.

    Raises
    ------
    ArrayTypeError
        If image or mask is not of these types.
    DataError
        If a label is no class index, or there is a label beside a dictionary of masks.
    SettingError
        If the frame is not counted from 0.

    Examples
    --------
    >>> from cameval.data import Scan
    >>> Scan("patient 3/flair.nii.gz", "patient 3/tumor.nii.gz", label=1).name
    'flair'
    >>> Scan("chest.dcm", {0: "effusion.png", 1: None}).targets
    ((0, PosixPath('effusion.png')), (1, None))
    """

    image: AnyPath | Sequence[AnyPath]
    mask: AnyMask | Mapping[int, AnyMask] = None
    label: int | None = None
    name: str | None = None
    group: str | None = None
    frame: int | None = None
    info: Mapping[str, Info] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check the parts, and find the name."""
        paths = _paths(self.image)
        if isinstance(self.mask, Mapping):
            if self.label is not None or not self.mask:
                raise DataError(
                    f"{paths[0]}: a dictionary of masks must have its labels as keys, one at least,"
                    f" got {len(self.mask)} masks and label {self.label!r}"
                )
            mask: Any = {_class(paths[0], k): _mask(paths[0], v) for k, v in self.mask.items()}
        else:
            mask = _mask(paths[0], self.mask)
        several = not isinstance(self.image, str | PathLike)
        values = {
            "image": tuple(paths) if several else paths[0],
            "mask": mask,
            "label": class_index(self.label, f"{paths[0]}: label"),
            "name": name_of(paths[0]) if self.name is None else self.name,
            "frame": check_position(self.frame, f"{paths[0]}: frame"),
            "info": dict(self.info),
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)

    @property
    def targets(self) -> tuple[tuple[int | None, Mask], ...]:
        """Pairs of label and mask."""
        mask: Any = self.mask
        return tuple(mask.items()) if isinstance(mask, dict) else ((self.label, mask),)


def name_of(path: Path) -> str:
    """Return the name of a file without the suffixes of medical images."""
    name = path.name
    for suffix in (".gz", ".nii", ".dcm", ".dicom", ".ima"):
        if name.lower().endswith(suffix) and len(name) > len(suffix):
            name = name[: -len(suffix)]
    return name or str(path)


def _paths(image: object) -> list[Path]:
    several = [image] if isinstance(image, str | PathLike) else image
    if not isinstance(several, Sequence) or not all(isinstance(p, str | PathLike) for p in several):
        raise ArrayTypeError(
            f"image of a scan must be a path or a list of paths, got {type(image).__name__}"
        )
    if not several:
        raise DataError("image of a scan must be at least one path, got an empty list")
    return [Path(path) for path in several]


def _mask(image: Path, mask: object) -> Mask:
    if isinstance(mask, str | PathLike):
        return Path(mask)
    if mask is None or (callable(mask) and hasattr(mask, "path")):
        return mask
    raise ArrayTypeError(
        f"{image}: mask of a scan must be a path, a callable with a path, a dictionary of these or "
        f"None, got {type(mask).__name__}"
    )


def _class(image: Path, label: object) -> int:
    index = class_index(label, f"{image}: the key of a mask")
    if index is None:
        raise DataError(f"{image}: the key of a mask must be a class index, got None")
    return index


class ScanDataset(Dataset[Sample]):
    """What `DicomDataset` and `NiftiDataset` share: the list of scans, and what it tells.

    A subclass reads the image of a scan, and the masks of a source by class.
    """

    def __init__(
        self,
        scans: Iterable[Scan | AnyPath],
        class_names: Sequence[str],
        tables: Sequence[Path],
        settings: Mapping[str, object],
        classes: Iterable[int] | None,
    ) -> None:
        self._scans = tuple(scan if isinstance(scan, Scan) else Scan(scan) for scan in scans)
        self._class_names = tuple(class_names)
        self._tables = tuple(tables)
        self._settings = dict(settings)
        self._classes = None if classes is None else tuple(classes)
        if not self._scans:
            raise DataError("a dataset must hold at least one scan, got none")
        if again := find_repeated(self.names):
            raise DataError(
                f"names must differ, got {shorten_names(again)} more than once; set the name of "
                "each Scan"
            )
        labels = [label for scan in self._scans for label, _ in scan.targets]
        known = [label for label in (*labels, *(self._classes or ())) if label is not None]
        if class_names and known and max(known) >= len(class_names):
            raise DataError(
                f"labels must be below {len(class_names)}, the number of classes, got {max(known)}"
            )

    def __repr__(self) -> str:
        """Return the numbers of images and of named classes."""
        classes = f", {len(self._class_names)} named classes" if self._class_names else ""
        return f"{type(self).__name__}({len(self)} images{classes})"

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self._scans)

    def __getitem__(self, index: int, /) -> Sample:
        """Read the sample at `index`; negative indices count from the end."""
        scan = self._scans[check_index(index, len(self))]
        image, group, parts = self._read_image(scan)
        size: tuple[int, ...] = parts.pop("size")
        targets: list[Target] = []
        for label, source in scan.targets:
            classes = (label,) if self._classes is None or label is not None else self._classes
            if source is None:
                targets += [Target(each, np.zeros(size, np.bool_)) for each in classes]
            else:
                masks = self._read_masks(scan, label, source, image, size)
                targets += [_target(each, mask) for each, mask in masks.items()]
        parts["info"] = {**parts.get("info", {}), **scan.info}
        name = scan.name or ""
        try:
            return Sample(name, targets=targets, group=scan.group or group or name, **parts)
        except CamevalError as error:
            raise DataError(f"{first_path(scan)}: {error}") from error

    @abstractmethod
    def _read_image(self, scan: Scan) -> tuple[Any, str | None, dict[str, Any]]:
        """Return what is read, the group, and the parts of the sample with the ``size``."""

    @abstractmethod
    def _read_masks(
        self, scan: Scan, label: int | None, source: Path | MaskSource, image: Any, size: Any
    ) -> Mapping[int | None, NDArray[Any]]:
        """Return the mask of each class in a source, or the numbers of its objects."""

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the images."""
        return tuple(scan.name or "" for scan in self._scans)

    @property
    def labels(self) -> NDArray[Any]:
        """The classes of the images; None where it is not known, or there are several."""
        return label_array(
            scan.targets[0][0] if len(scan.targets) == 1 else None for scan in self._scans
        )

    @property
    def groups(self) -> tuple[str, ...]:
        """The groups of the images."""
        return tuple(scan.group or scan.name or "" for scan in self._scans)

    @property
    def class_names(self) -> tuple[str, ...]:
        """The class of label 0, 1, ...; empty if the classes have no names."""
        return self._class_names

    @property
    def sources(self) -> tuple[Path, ...]:
        """Every file that the samples are read from."""
        files = list(self._tables)
        for scan in self._scans:
            files += self._image_files(scan)
            for _, source in scan.targets:
                if source is not None:
                    files.append(source if isinstance(source, Path) else source.path)
        return tuple(dict.fromkeys(files))

    @property
    def settings(self) -> str:
        """Everything else that the samples depend on, as text: equal text, equal samples."""
        return repr((self._scans, self._class_names, self._settings))

    def _image_files(self, scan: Scan) -> list[Path]:
        """Return the files of a scan's image."""
        return _paths(scan.image)


def first_path(scan: Scan) -> Path:
    """Return the path of a scan's image, or of its first file."""
    return _paths(scan.image)[0]


def check_mask(path: Path, mask: object, image: Path, size: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return the mask that a source gave, which must be boolean and of the image's size."""
    if not isinstance(mask, np.ndarray) or mask.dtype != np.bool_:
        came = getattr(mask, "dtype", type(mask).__name__)
        raise DataError(f"{path}: the mask must be a boolean NumPy array, got {came}")
    if mask.shape != size:
        raise DataError(
            f"{path}: the mask must have the size of its image {image}, got {mask.shape} and "
            f"{size}; nothing is resized"
        )
    return mask


def check_classes(classes: object, what: str) -> dict[int, Any]:
    """Return a dictionary from class index to what holds the class, checked."""
    if not isinstance(classes, Mapping) or not classes:
        raise SettingError(
            f"{what} must be a dictionary from class index to what holds the class, got {classes!r}"
        )
    found: dict[int, Any] = {}
    for key, held in classes.items():
        try:
            index = class_index(key, f"the key of {what}")
        except DataError as error:
            raise SettingError(str(error)) from error
        several = isinstance(held, Collection) and not isinstance(held, str)
        if index is None or isinstance(held, bool) or not (several or isinstance(held, int | str)):
            raise SettingError(
                f"{what} must have numbers, labels or lists of these for each class index, got "
                f"{held!r} for {key!r}"
            )
        found[index] = tuple(held) if several else held
    return found


def _target(label: int | None, mask: NDArray[Any]) -> Target:
    """Return a target of a mask, or of numbers of objects."""
    return Target(label, mask) if mask.dtype == np.bool_ else Target(label, instances=mask)
