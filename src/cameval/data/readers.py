"""Readers: datasets that name their files, as `cached` needs, and one for your own formats."""

import marshal
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from hashlib import sha256
from os import PathLike
from pathlib import Path
from types import FunctionType
from typing import Any, Protocol, TypeAlias, runtime_checkable

from torch.utils.data import Dataset

from cameval.data.records import check_index
from cameval.data.samples import Sample
from cameval.errors import DataError, SettingError

__all__ = ["FileDataset", "Reader"]

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
