"""Images and masks in files: one record each, and the dataset that decodes them one at a time."""

import operator
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset

from cameval.data.pictures import ImageFile
from cameval.data.samples import Sample
from cameval.errors import DataError

__all__ = [
    "MaskSource",
    "PictureDataset",
    "Reader",
    "Record",
    "few",
    "group_of",
    "position",
    "twice",
]


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


@dataclass(frozen=True)
class Record:
    """Where one sample is, and what is known of it before it is read.

    Parameters
    ----------
    name, label, group
        As in `Sample`.
    image
        The image's file.
    mask
        The mask's file, or another source of the mask; one that can be pickled, for workers.
    """

    name: str
    image: ImageFile
    mask: MaskSource
    label: int
    group: str

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
        image, mask = self.image(), self.mask()
        if mask.shape != image.shape[:2]:
            raise DataError(
                f"{self.mask.path}: the mask must have the height and width of its image "
                f"{self.image.path}, got {mask.shape} and {image.shape[:2]}; nothing is resized"
            )
        return Sample(self.name, image, mask, self.label, self.group)


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
        if class_names and max(record.label for record in self._records) >= len(class_names):
            raise DataError(
                f"labels must be below {len(class_names)}, the number of classes, "
                f"got {max(record.label for record in self._records)}"
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
        return self._records[position(index, len(self))].read()

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the images."""
        return tuple(record.name for record in self._records)

    @property
    def labels(self) -> NDArray[np.intp]:
        """The classes of the images."""
        return np.array([record.label for record in self._records], dtype=np.intp)

    @property
    def groups(self) -> tuple[str, ...]:
        """The groups of the images."""
        return tuple(record.group for record in self._records)

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


def position(index: Any, length: int) -> int:
    """Check an index of a dataset; negative indices count from the end."""
    place = operator.index(index)
    if not -length <= place < length:
        raise IndexError(f"index must be in [{-length}, {length}), got {place}")
    return place


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
