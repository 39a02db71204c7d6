"""Readers: datasets that name their files; records of images and masks; your own formats."""

import marshal
import operator
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from os import PathLike
from pathlib import Path
from types import FunctionType
from typing import Any, Literal, Protocol, TypeAlias, get_args, runtime_checkable
from warnings import warn

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset

from cameval.data.pictures import UPRIGHT, ImageFile, MaskFile, turn_upright
from cameval.data.samples import Sample
from cameval.errors import DataError, SettingError

__all__ = ["FileDataset", "MaskSource", "OrientationWarning", "PictureDataset", "Reader", "Record"]


class MaskSource(Protocol):
    """A callable that returns the mask of one image: `MaskFile`, or one of your own."""

    @property
    def path(self) -> Path:
        """The file that the mask comes from."""

    def __call__(self) -> NDArray[np.bool_]:
        """Return the mask ``(H, W)``."""


MaskOrientation: TypeAlias = Literal["stored", "upright"]
"""Orientation of masks whose files note none: see `Record`."""


class OrientationWarning(UserWarning):
    """A photograph is stored rotated or mirrored, and it is not known whether its mask is too."""


@dataclass(frozen=True)
class Record:
    """The files of one sample, and its name, label and group.

    A camera may store a photograph rotated or mirrored and note its orientation (EXIF). The image
    is always returned upright. A mask whose file notes another orientation than upright follows its
    own note. Any other mask can match the stored pixels or the upright photograph. If the sides of
    the photograph differ and the rotation swaps them, the size of the mask decides. Otherwise the
    mask is assumed to match the stored pixels and is rotated with them, unless its file notes that
    it is upright; an `OrientationWarning` is raised until `mask_orientation` is set.

    Parameters
    ----------
    name, label, group
        As in `Sample`.
    image
        The image's file.
    mask
        The mask's file, or another source of the mask; one that can be pickled, for workers.
    mask_orientation
        ``"stored"`` if masks whose files note no orientation match the pixels as stored,
        ``"upright"`` if they match the upright photograph.
    """

    name: str
    image: ImageFile
    mask: MaskSource
    label: int | None = None
    group: str | None = None
    mask_orientation: MaskOrientation | None = None

    def __post_init__(self) -> None:
        """Check the setting."""
        if self.mask_orientation not in (None, *get_args(MaskOrientation)):
            raise SettingError(
                "mask_orientation must be 'stored', 'upright' or None, "
                f"got {self.mask_orientation!r}"
            )

    def read(self) -> Sample:
        """Decode image and mask.

        Returns
        -------
        Sample
            The sample.

        Raises
        ------
        DataError
            If a file is not what it should be, or the mask is not of the image's size.
        """
        image, orientation = self.image.read()
        if isinstance(self.mask, MaskFile):
            mask, noted = self.mask.read()
        else:
            mask, noted = self.mask(), None
        if orientation != UPRIGHT and noted in (None, UPRIGHT):
            mask = self._turn_mask(mask, image.shape[:2], orientation, noted)
        if mask.shape != image.shape[:2]:
            raise DataError(
                f"{self.mask.path}: the mask must have the height and width of its image "
                f"{self.image.path}, got {mask.shape} and {image.shape[:2]}; nothing is resized"
            )
        return Sample(self.name, image, mask, self.label, self.group or self.name)

    def _turn_mask(
        self, mask: NDArray[np.bool_], size: tuple[int, ...], orientation: int, noted: int | None
    ) -> NDArray[np.bool_]:
        """Return the upright mask of an image of this upright size that is stored rotated."""
        upright, stored = mask.shape == size, turn_upright(mask, orientation).shape == size
        if self.mask_orientation is not None:
            turn = self.mask_orientation == "stored"
        elif upright and stored:
            turn = noted is None
            warn(
                f"{self.image.path} is stored rotated or mirrored (EXIF orientation {orientation}) "
                f"and the size of its mask {self.mask.path} does not show whether the mask is too; "
                f"it is assumed to be {'stored alike' if turn else 'upright'}: set "
                "mask_orientation to 'stored' or 'upright'",
                OrientationWarning,
                stacklevel=4,
            )
        else:
            turn = stored
        return turn_upright(mask, orientation) if turn else mask


class PictureDataset(Dataset[Sample]):
    """The samples of a list of records, each decoded when it is asked for.

    `FolderDataset`, `ManifestDataset` and `CocoDataset` are subclasses that find the records. For a
    layout of your own, make the list of records yourself. Files stay closed between reads, so the
    dataset can be pickled and used by any number of workers. A `torch.utils.data.DataLoader` needs
    ``collate_fn=list`` or a function of your own, as images differ in size.

    Parameters
    ----------
    records
        At least one, with names that differ.
    class_names
        The class of label 0, 1, ...; empty if the classes have no names.

    Raises
    ------
    DataError
        If there is no record, a name comes twice, or a label has no class name.

    Examples
    --------
    >>> from cameval.data import ImageFile, MaskFile
    >>> records = [
    ...     Record(name, ImageFile(Path(f"{name}.jpg")), MaskFile(Path(f"{name}.png")), 0, "cat 1")
    ...     for name in ("first", "second")
    ... ]
    >>> PictureDataset(records, ["asleep", "awake"])
    PictureDataset(2 images, 2 named classes)
    """

    def __init__(self, records: Iterable[Record], class_names: Sequence[str] = ()) -> None:
        self._records = tuple(records)
        self._class_names = tuple(class_names)
        if not self._records:
            raise DataError("a dataset must hold at least one record, got none")
        if again := find_repeated(self.names):
            raise DataError(f"names must differ, got {shorten_names(again)} more than once")
        known = [record.label for record in self._records if record.label is not None]
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
        return len(self._records)

    def __getitem__(self, index: int, /) -> Sample:
        """Read the sample at `index`; negative indices count from the end."""
        return self._records[check_index(index, len(self))].read()

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the images."""
        return tuple(record.name for record in self._records)

    @property
    def labels(self) -> NDArray[Any]:
        """The classes of the images; of dtype object, with None, where one is not known."""
        return label_array(record.label for record in self._records)

    @property
    def groups(self) -> tuple[str, ...]:
        """The groups of the images."""
        return tuple(record.group or record.name for record in self._records)

    @property
    def class_names(self) -> tuple[str, ...]:
        """The class of label 0, 1, ...; empty if the classes have no names."""
        return self._class_names

    @property
    def sources(self) -> tuple[Path, ...]:
        """Every file that the samples are read from."""
        files = [path for record in self._records for path in (record.image.path, record.mask.path)]
        return tuple(dict.fromkeys(files))

    @property
    def settings(self) -> str:
        """Everything else that the samples depend on, as text: equal text, equal samples."""
        return repr((self._records, self._class_names))


def check_index(index: Any, length: int) -> int:
    """Check an index of a dataset; negative indices count from the end."""
    position = operator.index(index)
    if not -length <= position < length:
        raise IndexError(f"index must be in [{-length}, {length}), got {position}")
    return position


def label_array(labels: Iterable[int | None]) -> NDArray[Any]:
    """Return labels as integers, or as objects if one of them is None."""
    found = list(labels)
    return np.array(found, dtype=object if None in found else np.intp)


def assign_group(groups: Callable[[str], str] | None, name: str, where: object) -> str:
    """Return the group of a name: by the function, or else the name itself."""
    group = name if groups is None else groups(name)
    if not isinstance(group, str) or not group:
        raise DataError(
            f"{where}: groups must give a text that is not empty, got {group!r} for {name!r}"
        )
    return group


def find_repeated(names: Iterable[str]) -> list[str]:
    """Return the names that occur more than once."""
    return [name for name, times in Counter(names).items() if times > 1]


def shorten_names(names: Collection[str]) -> str:
    """Return the first three names, and how many more there are."""
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(map(repr, list(names)[:3])) + more


ReadFile: TypeAlias = Callable[[Path], Sample]
"""From the path of a file to the sample in it."""


@runtime_checkable
class Reader(Protocol):
    """A dataset that `cached` accepts: it names its files and settings.

    `FigshareDataset`, `FolderDataset`, `ManifestDataset`, `CocoDataset`, `PictureDataset` and
    `FileDataset` are readers. A class of your own is one if it has these four members.
    """

    @property
    def sources(self) -> tuple[Path, ...]:
        """Every file that the samples are read from."""

    @property
    def settings(self) -> str:
        """Everything else that the samples depend on, as text: equal text, equal samples."""

    def __len__(self) -> int:
        """Return the number of samples."""

    def __getitem__(self, index: int, /) -> Sample:
        """Read one sample."""


class FileDataset(Dataset[Sample]):
    """The samples of a list of files, one in each, read by a function of yours.

    It is for formats that have no reader here, such as DICOM or ``.npz``. Each file is read when
    its sample is asked for.

    Parameters
    ----------
    files
        Paths of at least one file, in the order of the samples.
    read
        From the path of a file to its `Sample`. For worker processes it must be one that can be
        pickled: a function of a module, or a ``functools.partial`` of one. `cached` notices changes
        of its code and settings, but not of other functions that it calls.
    class_names
        The class of label 0, 1, ...; empty if the classes have no names.

    Raises
    ------
    DataError
        If there are no files.
    SettingError
        In `cached`, if `read` is no function, ``functools.partial`` of one or object whose `repr`
        says its settings, so that a change cannot be noticed.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from cameval.data import cached
    >>> def read_npz(path):
    ...     with np.load(path) as arrays:
    ...         return Sample(path.stem, arrays["image"], arrays["mask"])
    >>> with TemporaryDirectory() as folder:
    ...     image = np.zeros((8, 8), np.float32)
    ...     np.savez(Path(folder) / "scan 1.npz", image=image, mask=image > 0)
    ...     scans = FileDataset(sorted(Path(folder).glob("*.npz")), read_npz)
    ...     cached(scans, Path(folder) / "scans.h5")[0]
    Sample(name='scan 1', label=None, group='scan 1')
    """

    def __init__(
        self,
        files: Iterable[str | PathLike[str]],
        read: ReadFile,
        class_names: Sequence[str] = (),
    ) -> None:
        self._files = tuple(Path(file) for file in files)
        self._read = read
        self._class_names = tuple(class_names)
        if not self._files:
            raise DataError("files must name at least one file, got none")

    def __repr__(self) -> str:
        """Return the number of files."""
        return f"FileDataset({len(self)} files)"

    def __len__(self) -> int:
        """Return the number of files."""
        return len(self._files)

    def __getitem__(self, index: int, /) -> Sample:
        """Read the sample at `index`; negative indices count from the end."""
        return self._read(self._files[check_index(index, len(self))])

    @property
    def class_names(self) -> tuple[str, ...]:
        """The class of label 0, 1, ...; empty if the classes have no names."""
        return self._class_names

    @property
    def sources(self) -> tuple[Path, ...]:
        """The files."""
        return self._files

    @property
    def settings(self) -> str:
        """The code and the settings of the function that reads, and the names of the classes."""
        text = f"{_write(self._read)} {self._class_names}"
        if " at 0x" in text:
            raise SettingError(
                "read must be a function, a partial of one or an object whose repr says its "
                f"settings, got {self._read!r}, of which some part cannot be compared"
            )
        return text


def _write(read: Any) -> str:
    """Return text that changes if the code or the settings of a function change."""
    if isinstance(read, partial):
        return f"{_write(read.func)} {read.args!r} {read.keywords!r}"
    if not isinstance(read, FunctionType):
        return repr(read)
    cells = [cell.cell_contents for cell in read.__closure__ or ()]
    code = sha256(marshal.dumps(read.__code__, 2)).hexdigest()
    return f"{read.__qualname__} {code} {read.__defaults__} {read.__kwdefaults__} {cells}"
