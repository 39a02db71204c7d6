"""Readers: datasets that name their files, from lists of records or in formats of your own."""

import marshal
import operator
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from hashlib import sha256
from os import PathLike
from pathlib import Path
from types import FunctionType
from typing import Any, Protocol, TypeAlias, get_args, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset

from cameval.data.records import Record
from cameval.data.samples import Sample
from cameval.errors import DataError, SettingError

__all__ = ["FileDataset", "PictureDataset", "Reader"]


class PictureDataset(Dataset[Sample]):
    """The samples of a list of records, each decoded when it is asked for.

    The readers of folders, tables and public datasets are subclasses that find the records. For a
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
    >>> from pathlib import Path
    >>> from cameval.data import ImageFile, MaskFile, PictureDataset, Record
    >>> records = [
    ...     Record(name, ImageFile(Path(f"{name}.jpg")), MaskFile(Path(f"{name}.png")), 0, "cat 1")
    ...     for name in ("first", "second")
    ... ]
    >>> PictureDataset(records, ["asleep", "awake"])
    PictureDataset(2 images, 2 named classes)
    """

    def __init__(self, records: Iterable[Record], class_names: Sequence[str] = ()) -> None:
        self._records = tuple(records)
        self._without_mask: tuple[str, ...] = ()
        self._class_names = tuple(class_names)
        if not self._records:
            raise DataError("a dataset must hold at least one record, got none")
        if again := find_repeated(self.names):
            raise DataError(f"names must differ, got {shorten_names(again)} more than once")
        known = [label for labels in self.target_labels for label in labels if label is not None]
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
    def without_mask(self) -> tuple[str, ...]:
        """The names of the images that are left out as they have no mask (``"skip"``).

        Where images have several targets, the name of the image of each target that is left out.
        """
        return self._without_mask

    @property
    def labels(self) -> NDArray[Any]:
        """The classes of the images; of dtype object, with None, where one is not known.

        An image with several targets has None here, and its classes in `target_labels`.
        """
        return only_labels(self.target_labels)

    @property
    def target_labels(self) -> tuple[tuple[int | None, ...], ...]:
        """The classes of the targets of each image, negatives included."""
        return tuple(record.labels for record in self._records)

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
        return tuple(dict.fromkeys(path for record in self._records for path in record.paths))

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


def check_choice(what: str, value: object, choices: Any) -> None:
    """Check that a setting is one of the values of a `Literal`."""
    if value not in get_args(choices):
        words = " or ".join(map(repr, get_args(choices)))
        raise SettingError(f"{what} must be {words}, got {value!r}")


def check_class_names(names: Sequence[str] | None) -> tuple[str, ...]:
    """Return the names of the classes, which must differ; none if they are None."""
    given = tuple(names or ())
    if again := find_repeated(given):
        raise SettingError(f"class_names must differ, got {shorten_names(again)} more than once")
    return given


def label_array(labels: Iterable[int | None]) -> NDArray[Any]:
    """Return labels as integers, or as objects if one of them is None."""
    found = list(labels)
    return np.array(found, dtype=object if None in found else np.intp)


def only_labels(labels: Iterable[Sequence[int | None]]) -> NDArray[Any]:
    """Return the label of each image with one target, None of each with several."""
    return label_array(own[0] if len(own) == 1 else None for own in labels)


def assign_group(
    groups: Mapping[str, str] | Callable[[str], str] | None, name: str, where: object
) -> str:
    """Return the group of a name: by the mapping or function, or else the name itself."""
    if groups is None:
        group = name
    elif callable(groups):
        group = groups(name)
    elif name in groups:
        group = groups[name]
    else:
        raise DataError(f"{where}: groups must have each image, got none for {name!r}")
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

    Every dataset of this package that reads files is a reader. A class of your own is one if it has
    these four members.
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

    It is for formats that have no reader here, such as ``.npz``. DICOM and NIfTI have readers of
    their own: :class:`DicomDataset` and :class:`NiftiDataset`. Each file is read when its sample is
    asked for.

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
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> import numpy as np
    >>> from cameval import Sample
    >>> from cameval.data import FileDataset, cached
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
