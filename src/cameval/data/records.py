"""Images and masks in files: one record each, and the dataset that decodes them one at a time."""

import operator
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias, get_args, runtime_checkable
from warnings import warn

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset

from cameval.data.pictures import UPRIGHT, ImageFile, MaskFile, turned
from cameval.data.samples import Sample
from cameval.errors import DataError, SettingError

__all__ = ["MaskSource", "OrientationWarning", "PictureDataset", "Reader", "Record"]


class MaskSource(Protocol):
    """Gives the mask of one image when called: `MaskFile`, or a callable of yours."""

    @property
    def path(self) -> Path:
        """The file that the mask comes from."""

    def __call__(self) -> NDArray[np.bool_]:
        """Return the mask ``(H, W)``."""


@runtime_checkable
class Reader(Protocol):
    """A dataset of samples that knows where they come from, so that a copy can be held against it.

    `FigshareDataset`, `FolderDataset`, `ManifestDataset` and `CocoDataset` are readers.
    """

    @property
    def sources(self) -> tuple[Path, ...]:
        """Every file that the samples are read from."""

    @property
    def settings(self) -> str:
        """What else decides the samples, written out: equal text, equal samples."""

    def __len__(self) -> int:
        """Return the number of samples."""

    def __getitem__(self, index: int, /) -> Sample:
        """Read one sample."""


MaskOrientation: TypeAlias = Literal["stored", "upright"]
"""What masks without a note of their own are drawn on: see `Record`."""


class OrientationWarning(UserWarning):
    """A photograph is stored turned, and nothing tells whether its mask is."""


@dataclass(frozen=True)
class Record:
    """Where one sample is, and what is known of it before it is read.

    A camera may store a photograph turned or mirrored and note its orientation (EXIF). The image is
    always upright. A mask whose file notes an orientation other than upright follows its own note.
    Any other mask can be of the stored pixels or of the upright photograph: where the photograph's
    sides differ and change places, the size of the mask tells. Elsewhere a mask is taken to be of
    the stored pixels, and is turned with them, unless its file notes that it is upright; as nothing
    proves either, an `OrientationWarning` says so until `mask_orientation` is set.

    Parameters
    ----------
    name, label, group
        As in `Sample`.
    image
        The image's file.
    mask
        The mask's file, or another source of the mask; one that can be pickled, for workers.
    mask_orientation
        ``"stored"`` if masks without a note of their own are of the pixels as the photograph's file
        stores them, ``"upright"`` if they are of the upright photograph.
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
            mask = self._beside_turned(mask, image.shape[:2], orientation, noted)
        if mask.shape != image.shape[:2]:
            raise DataError(
                f"{self.mask.path}: the mask must have the height and width of its image "
                f"{self.image.path}, got {mask.shape} and {image.shape[:2]}; nothing is resized"
            )
        return Sample(self.name, image, mask, self.label, self.group or self.name)

    def _beside_turned(
        self, mask: NDArray[np.bool_], size: tuple[int, ...], orientation: int, noted: int | None
    ) -> NDArray[np.bool_]:
        """Return the mask of an image of this upright size that is not stored upright."""
        upright, stored = mask.shape == size, turned(mask, orientation).shape == size
        if self.mask_orientation is not None:
            turn = self.mask_orientation == "stored"
        elif upright and stored:
            turn = noted is None
            warn(
                f"{self.image.path} notes that it is stored turned or mirrored (EXIF orientation "
                f"{orientation}), and the size of its mask {self.mask.path} does not tell whether "
                f"the mask is too; it is taken to be {'so' if turn else 'upright'}; set "
                "mask_orientation to 'stored' or 'upright'",
                OrientationWarning,
                stacklevel=4,
            )
        else:
            turn = stored
        return turned(mask, orientation) if turn else mask


class PictureDataset(Dataset[Sample]):
    """The samples of the records, in their order, each decoded when it is asked for.

    `FolderDataset`, `ManifestDataset` and `CocoDataset` are this dataset, with records found in
    three ways; a layout of your own needs no more than a list of records. Files stay closed between
    reads, so the dataset can be pickled and used by any number of workers. A
    `torch.utils.data.DataLoader` needs ``collate_fn=list`` or a function of yours, as images differ
    in size.

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
        if again := twice(self.names):
            raise DataError(f"names must differ, got {few(again)} more than once")
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
        return self._records[checked_position(index, len(self))].read()

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
        """What else decides the samples, written out: equal text, equal samples."""
        return repr((self._records, self._class_names))


def checked_position(index: Any, length: int) -> int:
    """Check an index of a dataset; negative indices count from the end."""
    position = operator.index(index)
    if not -length <= position < length:
        raise IndexError(f"index must be in [{-length}, {length}), got {position}")
    return position


def label_array(labels: Iterable[int | None]) -> NDArray[Any]:
    """Return labels as integers, or as objects if one of them is None."""
    found = list(labels)
    return np.array(found, dtype=object if None in found else np.intp)


def group_of(groups: Callable[[str], str] | None, name: str, where: object) -> str:
    """Return the group of a name: by the function, or else the name itself."""
    group = name if groups is None else groups(name)
    if not isinstance(group, str) or not group:
        raise DataError(
            f"{where}: groups must give a text that is not empty, got {group!r} for {name!r}"
        )
    return group


def twice(names: Iterable[str]) -> list[str]:
    """Return the names that come more than once."""
    return [name for name, times in Counter(names).items() if times > 1]


def few(names: Collection[str]) -> str:
    """Return the first few names, and how many more there are."""
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(map(repr, list(names)[:3])) + more
