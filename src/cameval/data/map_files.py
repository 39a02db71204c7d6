"""Maps made elsewhere, read from files: a folder of maps, or one file of many.

Each is a function of a sample, as `cameval.evaluate_maps` takes it. Maps are returned as they are
stored, raw and signed, and of any size. The formats are:

- ``.npy``, and ``.npz`` with one array, or with an array for each class;
- ``.pt`` and ``.pth`` of a tensor, or of a dict of tensors by class, as `torch.save` writes them;
- gray PNG and TIFF, of 8 or 16 bits or floating point, with the values that they hold.

Files that could run code when they are read are refused: pickles, arrays of objects, and ``.pt``
files of anything but tensors. So are pictures of maps in colors. A file is refused as well if it
declares more than it holds, or an array of more than 2**28 values.
"""

import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from os import PathLike
from pathlib import Path
from string import Formatter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cameval.data._files import is_file, list_folder
from cameval.data._map_arrays import (
    MAP_SUFFIXES,
    REFUSED_SUFFIXES,
    MapArrays,
    as_floats,
    open_arrays,
)
from cameval.data.readers import shorten_names
from cameval.data.samples import Sample
from cameval.errors import DataError, NonFiniteError, SettingError, ShapeError

__all__ = ["MapFile", "MapFolder"]

_LAYOUTS = (
    "{name}",
    *("{name}_{label}", "{name}/{label}", "{label}/{name}"),
    *("{name}_{class}", "{name}/{class}", "{class}/{name}"),
)
"""The names under which the map of a sample is looked for."""


@dataclass(frozen=True)
class _MapFiles(ABC):
    """What `MapFolder` and `MapFile` share: their settings, and how a map is found by name."""

    path: str | PathLike[str]
    _: KW_ONLY
    pattern: str | None = None
    class_names: Sequence[str] = ()
    per_class: bool = False
    stretch: bool = False
    _entries: Mapping[str, tuple[str, ...]] = field(init=False, repr=False, compare=False)
    _state: dict[str, Any] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Check the settings, and list what is there."""
        names = (self.class_names,) if isinstance(self.class_names, str) else self.class_names
        object.__setattr__(self, "path", Path(self.path))
        object.__setattr__(self, "class_names", tuple(names))
        object.__setattr__(self, "_state", {})
        if self.pattern is not None:
            _check_pattern(self.pattern)
        object.__setattr__(self, "_entries", self._list())

    def __getstate__(self) -> dict[str, Any]:
        """Return the state without what belongs to this process."""
        return vars(self) | {"_state": {}}

    @property
    def settings(self) -> str:
        """Everything but the files that the maps depend on, as text: equal text, equal maps."""
        return repr(
            (type(self).__name__, self.pattern, self.class_names, self.per_class, self.stretch)
        )

    @property
    def _path(self) -> Path:
        return Path(self.path)

    @abstractmethod
    def _list(self) -> Mapping[str, tuple[str, ...]]:
        """Return the entries (files, or arrays of a file) by each name under which they are."""

    def _find(self, sample: Sample) -> str:
        """Return the one entry of a sample.

        The first sample decides under which names maps are, and the others are then looked for
        under these alone. Otherwise ``scan_1.npy``, the map of an image ``scan_1``, could be read
        as that of class 1 of an image ``scan``.
        """
        pattern = self.pattern or self._state.get("pattern")
        patterns = _LAYOUTS if pattern is None else (pattern,)
        names = {each: _fill(each, sample, self.class_names) for each in patterns}
        found = {
            entry: each
            for each, name in names.items()
            if name is not None
            for entry in self._entries.get(name, ())
        }
        if len(found) > 1:
            raise DataError(
                f"{self._path}: sample {sample.name!r} must have one map, got "
                f"{shorten_names(found)}; give the pattern of the right one, as in pattern="
                f"{next(iter(found.values())) + Path(next(iter(found))).suffix!r}"
            )
        if not found:
            raise DataError(self._explain_missing(sample, names))
        entry, used = found.popitem()
        self._state.setdefault("pattern", used)
        return entry

    def _explain_missing(self, sample: Sample, names: Mapping[str, str | None]) -> str:
        tried = [name for name in dict.fromkeys(names.values()) if name is not None]
        which = f"sample {sample.name!r}"
        if sample.label is not None:
            which += f" of class {sample.label}"
        text = f"{self._path}: {which} must have a map, got none named {' or '.join(tried)}"
        if not tried:
            text = (
                f"{self._path}: {which} must have a class that pattern {next(iter(names))!r} names,"
                f" got label {sample.label} of {len(self.class_names)} class names"
            )
        elif self.pattern is None and len(names) == 1:
            text += f"; the maps of the samples before it are named as {next(iter(names))!r}"
        elif any(name is None for name in names.values()) and sample.label is None:
            text += "; the sample has no label, so no map of a class is looked for"
        return f"{text}; there is {shorten_names(self._entries) or 'nothing'}{self._hint(tried)}"

    def _hint(self, tried: Iterable[str]) -> str:
        """Return why a file that is there is not read; empty text if there is none."""
        return ""

    def _select(self, array: NDArray[Any], sample: Sample, where: str) -> NDArray[np.floating[Any]]:
        """Return the map of a sample: without leading axes of length 1, of its class, finite."""
        axes = len(sample.shape)
        wanted = axes + 1 if self.per_class else axes
        came = array.shape
        while array.ndim > wanted and array.shape[0] == 1:
            array = array[0]
        if array.ndim != wanted:
            hint = ""
            if array.ndim == axes + 1:
                hint = "; set per_class=True if the first axis is the class"
            raise ShapeError(
                f"{where}: a map must have {axes} axes, as the image has"
                f"{', after the axis of the classes' if self.per_class else ''}, got {came}{hint}"
            )
        if self.per_class:
            array = array[self._class_of(sample, len(array), where)]
        floats = as_floats(array)
        if not np.isfinite(floats).all():
            count = int((~np.isfinite(floats)).sum())
            raise NonFiniteError(
                f"{where}: the map of sample {sample.name!r} must be finite, got {count} NaN or "
                "infinite values; look for an overflow or a division by zero where it was made"
            )
        return floats

    def _class_of(self, sample: Sample, classes: int, where: str) -> int:
        names = len(self.class_names)
        if names not in (0, classes):
            raise ShapeError(
                f"{where}: the axis of the classes must have the length of class_names, {names}, "
                f"got {classes}"
            )
        if sample.label is None or sample.label >= classes:
            raise DataError(
                f"{where}: sample {sample.name!r} must have a label below {classes}, the number of "
                f"maps by class, got {sample.label}"
            )
        return sample.label


@dataclass(frozen=True)
class MapFolder(_MapFiles):
    """Maps in a folder, one file for each image, or one for each image and class.

    Without a `pattern`, the map of a sample is the file named ``NAME``, ``NAME_LABEL``,
    ``NAME/LABEL`` or ``LABEL/NAME``, where the class may be given by its index or by its name. If
    files of several such names exist, an error lists them. The first sample decides; the maps of
    the others must be named in the same way. The folder is listed once, when the object is made.
    Hidden files are left out.

    A file of several arrays, ``.npz`` or a dict of tensors, has them by class (index or name) or by
    the name of the sample.

    Parameters
    ----------
    path
        The folder. `cameval.data.map_files` lists the formats.
    pattern
        The path of a map in the folder: text with ``{name}`` and, where each class has a map,
        ``{label}`` (the index) or ``{class}`` (the name), such as ``"{label}/{name}_cam"``. With a
        suffix, as in ``"{name}.npy"``, other files of the name are left out.
    class_names
        The class of label 0, 1, ..., where files or arrays have the names of classes.
    per_class
        Whether the first axis of every array is the class, ``(C, h, w)``; the map of the sample's
        label is taken.
    stretch
        Whether maps may be of another aspect ratio than the images, as where images were resized to
        a square for the network. Otherwise such a map is refused when it is scored: it may be of a
        crop.

    Raises
    ------
    SettingError
        If the pattern is not as described.
    DataError
        If the folder is missing or holds no map. When called: if the sample has no map or several,
        or its file is damaged, holds other than numbers, or is of a format that is not read.
    ShapeError
        When called: if the map has another number of axes than the image.
    NonFiniteError
        When called: if the map has NaN or infinite values.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> import numpy as np
    >>> from cameval import Sample
    >>> from cameval.data import MapFolder
    >>> image = np.zeros((4, 6), np.float32)
    >>> sample = Sample("x-ray 7", image, image > 0, label=2)
    >>> with TemporaryDirectory() as folder:
    ...     np.save(Path(folder) / "x-ray 7_2.npy", np.array([[-1.0, 0.5, 2.0]]))
    ...     maps = MapFolder(folder)
    ...     maps(sample)
    array([[-1. ,  0.5,  2. ]])
    """

    def __call__(self, sample: Sample) -> NDArray[np.floating[Any]]:
        """Return the map of a sample with one target, as it is stored, float32 or float64."""
        path = self._path / self._find(sample)
        arrays = open_arrays(path)
        try:
            key = _choose_key(arrays, sample, self.class_names, path)
            return self._select(arrays.read(key), sample, f"{path}{f': {key!r}' if key else ''}")
        finally:
            arrays.close()

    @property
    def sources(self) -> tuple[Path, ...]:
        """Every file of maps in the folder."""
        files = {entry for entries in self._entries.values() for entry in entries}
        return tuple(self._path / file for file in sorted(files))

    def _list(self) -> Mapping[str, tuple[str, ...]]:
        files = sorted(_walk(self._path))
        entries: dict[str, tuple[str, ...]] = {}
        for file in files:
            stem, suffix = os.path.splitext(file)  # noqa: PTH122  # the text, not a path
            if suffix.lower() in MAP_SUFFIXES:
                entries[stem] = (*entries.get(stem, ()), file)
        if not entries:
            raise DataError(
                f"{self._path}: the folder must hold maps ({', '.join(sorted(MAP_SUFFIXES))}), got "
                f"{shorten_names(files) or 'no files'}{_reason_of(files)}"
            )
        if self.pattern is not None and Path(self.pattern).suffix.lower() in MAP_SUFFIXES:
            return {file: (file,) for found in entries.values() for file in found}
        return entries

    def _hint(self, tried: Iterable[str]) -> str:
        found = [
            f"{name}{suffix}"
            for name in tried
            for suffix in REFUSED_SUFFIXES
            if is_file(self._path / f"{name}{suffix}")
        ]
        return f", and {found[0]!r}{_reason_of(found)}" if found else ""


@dataclass(frozen=True)
class MapFile(_MapFiles):
    """Maps in one file: an ``.npz`` with an array for each sample, or a ``.pt`` with a dict.

    The arrays are found by name as the files of a `MapFolder` are: ``NAME``, ``NAME_LABEL``,
    ``NAME/LABEL`` or ``LABEL/NAME``. A dict of dicts of tensors, by sample and then by class or in
    the other order, is read in the same way. Maps are read one by one.

    Parameters
    ----------
    path
        The file, ``.npz``, ``.pt`` or ``.pth``.
    pattern, class_names, per_class, stretch
        As in `MapFolder`; the pattern is of the names of the arrays.

    Raises
    ------
    SettingError
        If the pattern is not as described.
    DataError
        If the file is missing, damaged, or of a format that is not read. When called: if the sample
        has no map or several, or an array holds other than numbers.
    ShapeError
        When called: if the map has another number of axes than the image.
    NonFiniteError
        When called: if the map has NaN or infinite values.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> import numpy as np
    >>> from cameval import Sample
    >>> from cameval.data import MapFile
    >>> image = np.zeros((4, 6), np.float32)
    >>> with TemporaryDirectory() as folder:
    ...     np.savez(Path(folder) / "maps.npz", first=np.eye(2), second=np.ones((2, 3)))
    ...     MapFile(Path(folder) / "maps.npz")(Sample("second", image, image > 0))
    array([[1., 1., 1.],
           [1., 1., 1.]])
    """

    def __call__(self, sample: Sample) -> NDArray[np.floating[Any]]:
        """Return the map of a sample with one target, as it is stored, float32 or float64."""
        key = self._find(sample)
        return self._select(self._open().read(key), sample, f"{self._path}: {key!r}")

    @property
    def sources(self) -> tuple[Path, ...]:
        """The file."""
        return (self._path,)

    def _list(self) -> Mapping[str, tuple[str, ...]]:
        arrays = self._open()
        if arrays.keys == ("",):
            raise DataError(
                f"{self._path}: the file must hold an array for each sample by its name, got one "
                "array; save them with np.savez(path, **maps), or one file for each in a folder"
            )
        return {key: (key,) for key in arrays.keys}

    def _open(self) -> MapArrays:
        """Return the open file of this process."""
        process = os.getpid()
        if self._state.get("process") != process:
            self._state.update(arrays=open_arrays(self._path), process=process)
        arrays: MapArrays = self._state["arrays"]
        return arrays


def maps_at(path: str | PathLike[str], class_names: Sequence[str] = ()) -> MapFolder | MapFile:
    """Return the maps at a path, a folder or one file of many maps."""
    one_file = is_file(Path(path)) and Path(path).suffix.lower() in (".npz", ".pt", ".pth")
    return (MapFile if one_file else MapFolder)(path, class_names=class_names)


def _check_pattern(pattern: str) -> None:
    try:
        parts = list(Formatter().parse(pattern))
    except ValueError as error:
        raise SettingError(f"pattern must be text with fields in braces, {error}") from error
    fields = [name for _, name, _, _ in parts if name is not None]
    plain = not any(spec or conversion for _, _, spec, conversion in parts)
    if "name" not in fields or not plain or not {*fields} <= {"name", "label", "class"}:
        raise SettingError(
            "pattern must have the field {name}, and {label} or {class} where each class has a "
            f"map, got {pattern!r}"
        )
    if Path(pattern).is_absolute() or ".." in Path(pattern).parts:
        raise SettingError(f"pattern must be a path within the folder, got {pattern!r}")


def _fill(pattern: str, sample: Sample, class_names: Sequence[str]) -> str | None:
    """Return the name of a sample's map; None if it has no class, or its class has no name."""
    words: dict[str, object] = {"name": sample.name}
    if sample.label is not None:
        words["label"] = sample.label
        if sample.label < len(class_names):
            words["class"] = class_names[sample.label]
    try:
        return pattern.format_map(words)
    except KeyError:
        return None


def _choose_key(arrays: MapArrays, sample: Sample, class_names: Sequence[str], path: Path) -> str:
    """Return which array of a sample's file is its map: that of its class, of its name, the only.

    The only array of a file is not the map of another class, as its name says.
    """
    wanted = [sample.name, sample.name.rpartition("/")[2]]
    if sample.label is not None:
        wanted += [str(sample.label), *class_names[sample.label : sample.label + 1]]
    found = [key for key in arrays.keys if key in wanted]
    if not found and len(arrays.keys) == 1:
        key = arrays.keys[0]
        if not (key.isdecimal() or key in class_names):
            return key
    if len(found) != 1:
        raise DataError(
            f"{path}: the file must have one array for sample {sample.name!r} of class "
            f"{sample.label}, named {' or '.join(dict.fromkeys(wanted[1:]))}, got "
            f"{shorten_names(found or arrays.keys)}"
        )
    return found[0]


def _walk(folder: Path, prefix: str = "", outer: frozenset[Path] = frozenset()) -> Iterable[str]:
    """Yield the files under a folder as paths in it; no link that leads back is followed."""
    entries = list_folder(folder)
    here = folder.resolve()
    if here in outer:
        return
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            yield from _walk(entry, f"{prefix}{entry.name}/", outer | {here})
        else:
            yield prefix + entry.name


def _reason_of(files: Iterable[str]) -> str:
    """Return why the first of the files that are known and not read is refused."""
    for file in map(Path, files):
        if reason := REFUSED_SUFFIXES.get(file.suffix.lower()):
            return f"; {reason.format(stem=file.stem, name=file.name)}"
    return ""
