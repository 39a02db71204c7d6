"""Cache of samples in one HDF5 file, which is read in a fraction of the time of decoding.

The file holds images losslessly, all targets with their masks, boxes and instances, and all else
that a `Sample` has. What is read is equal to the `Sample` that was packed, to the last bit, without
the attributes of a subclass, such as the outline of a figshare slice. For a reader, the size and
the time of change of every file and a hash of the settings are packed too, so that an outdated
cache is noticed.
"""

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from os import PathLike
from pathlib import Path
from typing import Any, Protocol, cast, runtime_checkable
from uuid import uuid4

import h5py
from numpy.typing import NDArray
from torch.utils.data import Dataset

from cameval.data._files import NOTHING, kind_at, raise_output_errors
from cameval.data._hdf5 import find_array
from cameval.data._packed import (
    check_is_file,
    decode,
    open_cache,
    raise_data_errors,
    read_index,
    read_text,
    write_samples,
)
from cameval.data.readers import Reader, check_index, only_labels, shorten_names
from cameval.data.samples import Sample
from cameval.errors import ArrayTypeError, DataError, SettingError

__all__ = ["CachedDataset", "cached", "pack"]


@runtime_checkable
class _Items(Protocol):
    """A dataset with a length and items."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Sample: ...


def pack(
    samples: Iterable[Sample] | Dataset[Any] | Reader,
    path: str | PathLike[str],
    *,
    version: str | None = None,
) -> None:
    """Write samples to one file, for `CachedDataset` to read.

    The file appears under its name only when it is complete, and replaces a cache that is there.

    Parameters
    ----------
    samples
        A dataset or an iterable; samples are not held in memory together. If it is a `Reader`, its
        files and settings are noted too.
    path
        Where to write. Folders are made as needed.
    version
        As in `cached`.

    Raises
    ------
    SettingError
        If the version is an empty text, or no text.
    DataError
        If there are no samples, one is no `Sample` or has info that cannot be written, a source
        vanished, or another file has the path.
    OutputError
        If the file cannot be written, as on a full disk.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> import numpy as np
    >>> from cameval.data import CachedDataset, pack, phantom_samples
    >>> samples = list(phantom_samples(slices=3, patients=3, size=32))
    >>> with TemporaryDirectory() as folder:
    ...     pack(samples, Path(folder) / "phantom.h5")
    ...     again = CachedDataset(Path(folder) / "phantom.h5")[2]
    >>> again.name, np.array_equal(again.image, samples[2].image)
    ('3', True)
    """
    path = Path(path)
    if kind_at(path) != NOTHING:
        with open_cache(path):  # raises on what is no cache
            pass
    text: dict[str, Any] = {"class_names": list(getattr(samples, "class_names", ()))}
    text |= _state(samples, version)
    temporary = path.with_name(f".{uuid4().hex}.part")
    with raise_output_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with raise_output_errors(path):
            file = h5py.File(temporary, "w-")
        try:
            write_samples(file, path, _iterate(samples), text)
            with raise_output_errors(path):
                file.close()
                temporary.replace(path)
        finally:
            with suppress(OSError, RuntimeError):  # closing again what could not be written
                file.close()
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def cached(
    dataset: Reader | Dataset[Any] | Sequence[Sample],
    path: str | PathLike[str],
    *,
    version: str | None = None,
) -> "CachedDataset":
    """Return the cache of a dataset; it is written first if it is missing or outdated.

    Parameters
    ----------
    dataset
        A `Reader`: a dataset with the attributes ``sources`` (its files) and ``settings`` (text).
        Those of this package are readers; for a format of your own use `FileDataset`. Any other
        dataset with a length and items, or a list, needs a version.
    path
        The cache.
    version
        A text of your own that stands for the state of the data, such as ``"2"`` or a date. With
        another version the cache is written again. It is all that is compared for a dataset that
        does not name its files, beside its length.

    Returns
    -------
    CachedDataset
        The same samples in the same order.

    Raises
    ------
    ArrayTypeError
        If the dataset has no length and items, or does not name its files and has no version.
    SettingError
        If the version is an empty text, or no text.
    DataError
        If the path is that of another or a damaged file, or a sample cannot be read.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from cameval.data import FigshareDataset, cached, write_phantom
    >>> with TemporaryDirectory() as folder:
    ...     slices = FigshareDataset(write_phantom(folder, slices=3, patients=3, size=32))
    ...     cached(slices, Path(folder) / "slices.h5").names
    ('1', '2', '3')

    A dataset that does not name its files:

    >>> from cameval.data import phantom_samples
    >>> with TemporaryDirectory() as folder:
    ...     samples = list(phantom_samples(slices=3, patients=3, size=32))
    ...     cached(samples, Path(folder) / "list.h5", version="1")[0].name
    '1'
    """
    if not isinstance(dataset, _Items) or not (isinstance(dataset, Reader) or version):
        raise ArrayTypeError(
            "dataset must be a reader with sources, settings, a length and items, got "
            f"{type(dataset).__name__}; make it of its files with FileDataset(files, read), or set "
            "a version, as in cached(dataset, path, version='1'), and change it when the data does"
        )
    if kind_at(Path(path)) == NOTHING or CachedDataset(path)._staleness(dataset, version):
        pack(cast(Reader, dataset), path, version=version)
    return CachedDataset(path, sources=dataset, version=version)


class CachedDataset(Dataset[Sample]):
    """The samples in a file written by `pack`, in their order, each read when it is asked for.

    Every process opens the file for itself, when it first reads, so the dataset can be pickled and
    used by any number of workers. A `torch.utils.data.DataLoader` needs ``collate_fn=list`` or a
    function of yours where images differ in size.

    Parameters
    ----------
    path
        The cache.
    sources
        The reader of the original samples: the cache is then refused if files of the reader were
        changed, added or removed since, or its settings differ.
    version
        As in `cached`.

    Raises
    ------
    DataError
        If the file is missing, damaged, no cache or one of another version of cameval, or outdated.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from cameval.data import CachedDataset, pack, phantom_samples
    >>> with TemporaryDirectory() as folder:
    ...     pack(phantom_samples(slices=4, patients=3, size=32), Path(folder) / "phantom.h5")
    ...     dataset = CachedDataset(Path(folder) / "phantom.h5")
    ...     len(dataset), dataset.names, dataset[-1].name, dataset[0].shape
    (4, ('1', '2', '3', '4'), '4', (32, 32))
    """

    def __init__(
        self,
        path: str | PathLike[str],
        *,
        sources: Reader | Dataset[Any] | Sequence[Sample] | None = None,
        version: str | None = None,
    ) -> None:
        self._path = Path(path)
        self._pixels: h5py.Dataset | None = None
        self._process = 0
        check_is_file(self._path)
        self._stamp = _stamp(self._path)
        with open_cache(self._path) as file:
            self._index = read_index(file)
            self._text = read_text(file, len(self._index))
        if sources is not None and (changed := self._staleness(sources, version)):
            raise DataError(
                f"{self._path}: the cache must be of the dataset as it is now, {changed}; "
                "pack it again, or use cached"
            )

    def __repr__(self) -> str:
        """Return the file and the number of samples."""
        return f"CachedDataset({str(self._path)!r}: {len(self)} samples)"

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self._index)

    def __getitem__(self, index: int, /) -> Sample:
        """Read the sample at `index`; negative indices count from the end."""
        at = check_index(index, len(self))
        offset, size = self._index[at].tolist()
        name = self._text["names"][at]
        pixels = self._open()
        if offset + size > pixels.shape[0]:
            raise DataError(
                f"{self._path}: pixels must hold sample {name!r}, got an end at {pixels.shape[0]} "
                f"before {offset + size}; delete the file and pack again"
            )
        with raise_data_errors(self._path, "pixels"):
            raw = pixels[offset : offset + size]
        try:
            return decode(raw, name, self._text["groups"][at])
        except DataError as error:
            raise DataError(
                f"{self._path}: pixels of sample {name!r} must be those that were packed; "
                f"{error}; delete the file and pack again"
            ) from error

    def __getstate__(self) -> dict[str, Any]:
        """Return the state without the open file, which belongs to this process."""
        return vars(self) | {"_pixels": None, "_process": 0}

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the samples."""
        return tuple(self._text["names"])

    @property
    def labels(self) -> NDArray[Any]:
        """The classes of the samples; of dtype object, with None, where one is not known.

        A sample with several targets has None here, and its classes in `target_labels`.
        """
        return only_labels(self.target_labels)

    @property
    def target_labels(self) -> tuple[tuple[int | None, ...], ...]:
        """The classes of the targets of each sample, negatives included.

        Examples
        --------
        >>> from pathlib import Path
        >>> from tempfile import TemporaryDirectory
        >>> import numpy as np
        >>> from cameval import Sample
        >>> from cameval.data import CachedDataset, Target, pack
        >>> mask = np.zeros((2, 2), bool)
        >>> samples = [
        ...     Sample("one", mask.astype(np.float32), mask, label=4),
        ...     Sample("two", mask.astype(np.float32), targets=[Target(2, mask), Target(5, mask)]),
        ... ]
        >>> with TemporaryDirectory() as folder:
        ...     pack(samples, Path(folder) / "samples.h5")
        ...     dataset = CachedDataset(Path(folder) / "samples.h5")
        >>> dataset.target_labels, dataset.labels.tolist()
        (((4,), (2, 5)), [4, None])
        """
        return tuple(map(tuple, self._text["labels"]))

    @property
    def groups(self) -> tuple[str, ...]:
        """The groups of the samples."""
        return tuple(self._text["groups"])

    @property
    def class_names(self) -> tuple[str, ...]:
        """The class of label 0, 1, ...; empty if the classes have no names."""
        return tuple(self._text["class_names"])

    def _open(self) -> h5py.Dataset:
        if self._pixels is None or self._process != os.getpid():
            if _stamp(self._path) != self._stamp:
                raise DataError(
                    f"{self._path}: the cache must not be replaced while it is open, got another "
                    "file at this path; open it again"
                )
            with raise_data_errors(self._path, "pixels"):
                # Without a chunk cache, HDF5 reads the wanted bytes instead of whole chunks.
                file = h5py.File(self._path, "r", rdcc_nbytes=0)
                self._pixels = find_array(file, "pixels", stored=True)
            self._process = os.getpid()
        return self._pixels

    def _staleness(self, dataset: Any, version: str | None) -> str:
        """Return a description of what changed in the dataset; empty text if nothing did."""
        now, then = _state(dataset, version), self._text
        before, after = then["sources"], now["sources"]
        for names, what in (
            ([name for name in before if name not in after], "is no longer read"),
            ([name for name in after if name not in before], "is new"),
            ([name for name in after if before.get(name) != after[name]], "was changed since"),
        ):
            if names:
                return f"got {shorten_names(names)}, which {what}"
        if now["settings"] != then["settings"]:
            return "got other settings of the reader or another version"
        if len(dataset) != len(self):
            return f"got {len(dataset)} samples instead of {len(self)}"
        return ""


def _state(dataset: Any, version: str | None) -> dict[str, Any]:
    """Return the files of a reader with their stamps, and a hash of its settings and version."""
    if version is not None and (not isinstance(version, str) or not version):
        raise SettingError(f"version must be a text that is not empty, got {version!r}")
    reader = isinstance(dataset, Reader)
    words = [dataset.settings] if reader else []
    words += [] if version is None else [f"version {version}"]
    text = "\0".join(words).encode("utf-8", "surrogatepass")
    return {
        "sources": {str(p.absolute()): _stamp(p) for p in dataset.sources} if reader else {},
        "settings": hashlib.sha256(text).hexdigest() if words else "",
    }


def _iterate(samples: Any) -> Iterator[Any]:
    """Return the samples one after the other; those of a dataset by its length."""
    if not hasattr(samples, "__iter__") and isinstance(samples, _Items):
        return (samples[i] for i in range(len(samples)))
    return iter(samples)


def _stamp(path: Path) -> list[int]:
    try:
        found = path.stat()
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: the source must exist, got {kind_at(path)}") from error
    return [found.st_size, found.st_mtime_ns]
