"""The figshare brain tumor data as a dataset: a folder of slices, and its published folds."""

from dataclasses import replace
from functools import cached_property
from os import PathLike
from pathlib import Path
from string import ascii_letters

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset

from cameval.data._files import list_folder
from cameval.data._hdf5 import field_error, open_mat, read_vector
from cameval.data.readers import check_index
from cameval.data.slices import CLASS_NAMES, FigshareSample, read_label, read_patient, read_slice
from cameval.errors import DataError

__all__ = ["FigshareDataset", "read_folds"]

_FOLDS_FILE = "cvind.mat"


def read_folds(path: str | PathLike[str]) -> NDArray[np.intp]:
    """Read the cross-validation folds of the dataset, which keep the slices of a patient together.

    Parameters
    ----------
    path
        The file ``cvind.mat``.

    Returns
    -------
    NDArray[np.intp]
        The fold of each slice, counted from 0; slice number ``n`` is at index ``n - 1``.

    Raises
    ------
    DataError
        If the file is missing, damaged or not a MATLAB v7.3 file, or ``cvind`` is missing or not a
        row or column of whole numbers from 1. The message names file and field.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from cameval.data import read_folds, write_phantom
    >>> with TemporaryDirectory() as folder:
    ...     read_folds(write_phantom(folder, slices=8, patients=5, size=32) / "cvind.mat").shape
    (8,)
    """
    with open_mat(Path(path)) as file:
        folds = read_vector(file, "cvind", "iuf")
        wrong = folds[(folds < 1) | (folds != np.floor(folds)) | ~np.isfinite(folds)]
        if wrong.size:
            raise field_error(file, "cvind", f"must hold whole numbers from 1, got {wrong[0]}")
    return folds.astype(np.intp) - 1


class FigshareDataset(Dataset[FigshareSample]):
    """The slices in a folder in the order of their numbers, each read when it is asked for.

    Files stay closed between reads, so the dataset can be pickled and used by any number of
    workers. A `torch.utils.data.DataLoader` needs ``collate_fn=list`` or a function of yours, as
    slices differ in size.

    Parameters
    ----------
    folder
        The folder of ``<number>.mat`` files: the four archives of the dataset, or a part of them,
        unpacked into one folder. ``cvind.mat`` and hidden files are left out. Files whose names are
        not numbers come last.
    merge_ids
        Whether ids of patients that differ in letters at their end alone, which may be of one
        person, are one group. A person is then not on two sides of a split by group.

    Raises
    ------
    DataError
        If the folder does not exist or holds no such file.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> import numpy as np
    >>> from cameval.data import FigshareDataset, write_phantom
    >>> with TemporaryDirectory() as folder:
    ...     dataset = FigshareDataset(write_phantom(folder, slices=12, patients=3, size=64))
    ...     dataset.names[-3:], dataset[-1].name, np.bincount(dataset.labels).tolist()
    (('10', '11', '12'), '12', [3, 6, 3])
    """

    def __init__(self, folder: str | PathLike[str], *, merge_ids: bool = True) -> None:
        self._folder, self._merge_ids = Path(folder), merge_ids
        files = [path for path in list_folder(self._folder) if path.suffix == ".mat"]
        wanted = [f for f in files if f.name != _FOLDS_FILE and not f.name.startswith(".")]
        self._paths = tuple(sorted(wanted, key=_numeric_order))
        if not self._paths:
            raise DataError(
                f"{self._folder}: the folder must hold <number>.mat files, got none; unpack the "
                "archives of doi 10.6084/m9.figshare.1512427 into it"
            )

    def __repr__(self) -> str:
        """Return the folder and the number of slices."""
        return f"FigshareDataset({str(self._folder)!r}: {len(self)} slices)"

    def __len__(self) -> int:
        """Return the number of slices."""
        return len(self._paths)

    def __getitem__(self, index: int, /) -> FigshareSample:
        """Read the slice at `index`; negative indices count from the end."""
        found = read_slice(self._paths[check_index(index, len(self))])
        return replace(found, group=self._group(found.group))

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the slices: file names without ``.mat``."""
        return tuple(path.stem for path in self._paths)

    @property
    def labels(self) -> NDArray[np.intp]:
        """The classes of the slices, read without their images."""
        return np.array([label for label, _ in self._labels_and_groups], dtype=np.intp)

    @property
    def groups(self) -> tuple[str, ...]:
        """The patients of the slices, read without their images."""
        return tuple(self._group(patient) for _, patient in self._labels_and_groups)

    def _group(self, patient: str) -> str:
        """Return the group of a patient's id."""
        return (patient.rstrip(ascii_letters) or patient) if self._merge_ids else patient

    @property
    def class_names(self) -> tuple[str, ...]:
        """The class of label 0, 1 and 2: `CLASS_NAMES`."""
        return CLASS_NAMES

    @property
    def sources(self) -> tuple[Path, ...]:
        """Every file that the slices are read from."""
        return self._paths

    @property
    def settings(self) -> str:
        """Everything else that the slices depend on: how patients are told apart."""
        return f"FigshareDataset(merge_ids={self._merge_ids})"

    @cached_property
    def _labels_and_groups(self) -> tuple[tuple[int, str], ...]:
        return tuple(map(_read_label_and_group, self._paths))

    def folds(self, path: str | PathLike[str]) -> NDArray[np.intp]:
        """Return the dataset's own fold of each slice.

        Parameters
        ----------
        path
            The file ``cvind.mat``.

        Returns
        -------
        NDArray[np.intp]
            Folds counted from 0, in the order of the slices.

        Raises
        ------
        DataError
            If `read_folds` fails, or the name of a slice is not a number for which there is a fold.

        Examples
        --------
        >>> from pathlib import Path
        >>> from tempfile import TemporaryDirectory
        >>> from cameval.data import FigshareDataset, write_phantom
        >>> with TemporaryDirectory() as folder:
        ...     dataset = FigshareDataset(write_phantom(folder, slices=12, patients=6, size=32))
        ...     folds, patients = dataset.folds(Path(folder) / "cvind.mat"), dataset.groups
        >>> folds.shape, len(set(patients)), len(set(zip(patients, folds.tolist(), strict=True)))
        ((12,), 6, 6)
        """
        folds = read_folds(path)
        return folds[[_slice_number(slice_path, len(folds)) - 1 for slice_path in self._paths]]


def _read_label_and_group(path: Path) -> tuple[int, str]:
    with open_mat(path) as file:
        return read_label(file), read_patient(file)


def _is_number(name: str) -> bool:
    return name.isascii() and name.isdecimal()


def _numeric_order(path: Path) -> tuple[bool, int, str]:
    number = _is_number(path.stem)
    return not number, int(path.stem) if number else 0, path.stem


def _slice_number(path: Path, count: int) -> int:
    if not _is_number(path.stem) or not 1 <= int(path.stem) <= count:
        raise DataError(
            f"{path}: the file's name must be a slice number from 1 to {count}, for which cvind "
            f"has a fold, got {path.stem!r}"
        )
    return int(path.stem)
