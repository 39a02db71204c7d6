"""CheXlocalize: radiologists' segmentations of ten findings in chest X-rays."""

import csv
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from io import StringIO
from os import PathLike
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from cameval.data._documents import is_number, is_whole, read_json, short
from cameval.data._files import FOLDER, is_file, kind_at, list_folder, read_file
from cameval.data._shapes import Runs, parse_runs
from cameval.data.pictures import FILE_SUFFIXES, ImageFile
from cameval.data.readers import PictureDataset, assign_group, check_choice
from cameval.data.records import Record, TargetRecord
from cameval.data.samples import Info
from cameval.errors import DataError, SettingError

__all__ = ["CHEXLOCALIZE_FINDINGS", "CheXlocalizeDataset"]

CHEXLOCALIZE_FINDINGS = (
    *("Enlarged Cardiomediastinum", "Cardiomegaly", "Lung Lesion", "Airspace Opacity", "Edema"),
    *("Consolidation", "Atelectasis", "Pneumothorax", "Pleural Effusion", "Support Devices"),
)
"""The ten findings, in the order of the CheXlocalize repository."""

_SYNONYMS = {"Lung Opacity": "Airspace Opacity"}
"""Names in CheXpert's tables and in later files, and the same findings above."""

Unlisted: TypeAlias = Literal["dropped", "negative"]

_PICKLES = frozenset({".pkl", ".pickle", ".pt", ".pth"})


class CheXlocalizeDataset(PictureDataset):
    """Chest X-rays in the layout of CheXlocalize, with one target for each finding.

    The truth is one of two files. In ``gt_segmentations_val.json`` each image has the run lengths
    of each finding. In ``gt_annotations_val.json`` each image has its size and the contours of the
    findings that it has; each contour is an object. A finding that an image does not have is a
    negative. An image is in ``patient1/study1/view1_frontal.jpg`` or
    ``patient1_study1_view1_frontal.jpg``; the latter is its name. Its group is the patient, and its
    info the ``view``.

    Contours are filled as in the repository, with Pillow: their pixels are those of its run
    lengths. The files are checked at once. Images are decoded when they are asked for.

    Parameters
    ----------
    images
        The folder of the images, such as ``CheXpert-v1.0/valid``.
    truth
        The JSON file of segmentations or of annotations.
    class_names
        The classes of the network, in its order. The findings among them are the targets, with
        their indices. By default the ten findings. Airspace Opacity and Lung Opacity are one.
    unlisted
        What images are that the file does not have, which are those without any finding:
        ``"dropped"``, as in the repository, or ``"negative"`` for every finding.
    table
        CheXpert's table, such as ``CheXpert-v1.0/valid.csv``: its columns ``Sex``, ``Age`` and
        ``AP/PA`` are then info too, as ``sex``, ``age`` and ``projection``.
    groups
        From the name of an image to its group. By default the text before the first ``_``.
    stretch
        As in `ImageFile`.

    Raises
    ------
    SettingError
        If no finding is among the class names, or a setting is none of its values.
    DataError
        If a file is missing, is no JSON or a pickle, an image of it does not exist, a finding is
        not one of the ten, or a segmentation is not what is described. The message names file,
        image and finding.

    Notes
    -----
    The maps of CheXlocalize are pickles, ``patient1_study1_view1_frontal_Edema_map.pkl``. A pickle
    can run any code, so no reader here opens one. Convert those that you trust once, in an
    environment of your own::

        info = pickle.load(open(path, "rb"))
        np.save(path.with_suffix(".npy"), info["map"].squeeze().numpy())

    References
    ----------
    .. [1] Saporta, A., et al. (2022). Benchmarking saliency methods for chest X-ray interpretation.
       Nature Machine Intelligence 4, 867-878.

    Examples
    --------
    >>> import json
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from PIL import Image
    >>> from cameval.data import CheXlocalizeDataset
    >>> contour = [[1, 1], [4, 1], [4, 2], [1, 2]]
    >>> content = {"patient1_study1_view1_frontal": {"img_size": [4, 6], "Edema": [contour]}}
    >>> with TemporaryDirectory() as root:
    ...     folder = Path(root) / "valid" / "patient1" / "study1"
    ...     folder.mkdir(parents=True)
    ...     Image.new("L", (6, 4)).save(folder / "view1_frontal.jpg")
    ...     _ = (Path(root) / "gt_annotations_val.json").write_text(json.dumps(content))
    ...     dataset = CheXlocalizeDataset(
    ...         Path(root) / "valid", Path(root) / "gt_annotations_val.json"
    ...     )
    ...     sample = dataset[0]
    >>> sample.group, dict(sample.info), [t.label for t in sample.targets if t.mask.any()]
    ('patient1', {'view': 'frontal'}, [4])
    """

    def __init__(
        self,
        images: str | PathLike[str],
        truth: str | PathLike[str],
        *,
        class_names: Sequence[str] = CHEXLOCALIZE_FINDINGS,
        unlisted: Unlisted = "dropped",
        table: str | PathLike[str] | None = None,
        groups: Callable[[str], str] | None = None,
        stretch: bool = False,
    ) -> None:
        check_choice("unlisted", unlisted, Unlisted)
        folder, path = Path(images), Path(truth)
        if path.suffix.lower() in _PICKLES:
            raise DataError(
                f"{path}: truth must be a JSON file, got a pickle, which can run any code; convert "
                "it once in an environment of your own"
            )
        names = [_SYNONYMS.get(name, name) for name in class_names]
        labels = {names.index(each): each for each in CHEXLOCALIZE_FINDINGS if each in names}
        if not labels or len(set(names)) < len(names):
            raise SettingError(
                f"class_names must differ and hold one of {list(CHEXLOCALIZE_FINDINGS)}, "
                f"got {list(class_names)}"
            )
        listed = read_json(path, "with a list of findings for each image")
        files = dict.fromkeys(listed, None) | (
            _all_images(folder) if unlisted == "negative" else {}
        )
        known = {} if table is None else _read_table(Path(table))
        records = []
        for name, file in files.items():
            size, found = _findings(path, name, listed[name]) if name in listed else (None, {})
            picture = file or _image(folder, name, path)
            records.append(
                Record(
                    name,
                    ImageFile(picture, stretch),
                    group=assign_group(groups or _patient, name, picture),
                    mask_orientation="stored",
                    targets={
                        label: found.get(finding, TargetRecord(path=path if found else None))
                        for label, finding in sorted(labels.items())
                    },
                    info=_info(name, known, table),
                    size=size,
                )
            )
        if not records:
            raise DataError(f"{path}: the file must hold at least one image, got none")
        super().__init__(records, tuple(class_names))
        self._own = (path, *([] if table is None else [Path(table)]))

    @property
    def sources(self) -> tuple[Path, ...]:
        """Every file that the samples are read from, the truth first."""
        return tuple(dict.fromkeys((*self._own, *super().sources)))


@dataclass(frozen=True)
class _Contours:
    """The masks of contours, one for each, filled as the repository fills them."""

    path: Path
    size: tuple[int, int]
    contours: tuple[tuple[tuple[float, float], ...], ...] = field(repr=False)

    def __call__(self) -> NDArray[np.bool_]:
        """Return the masks ``(n, H, W)``; contours that cover no pixel of the image are left out.

        Pillow marks the pixels on the line and inside.
        """
        masks = []
        for points in self.contours:
            picture = Image.new("1", self.size[::-1])
            ImageDraw.Draw(picture).polygon(points, outline=1, fill=1)
            masks.append(np.asarray(picture, np.bool_))
        kept = [mask for mask in masks if mask.any()]
        return np.stack(kept) if kept else np.zeros((0, *self.size), np.bool_)


@dataclass(frozen=True)
class _RunMask:
    """A mask of run lengths."""

    path: Path
    size: tuple[int, int]
    runs: Runs = field(repr=False)

    def __call__(self) -> NDArray[np.bool_]:
        """Return the mask ``(H, W)``."""
        return self.runs(*self.size)


def _findings(
    path: Path, name: str, entry: Any
) -> tuple[tuple[int, int] | None, dict[str, TargetRecord]]:
    """Return the size of an image, where it is noted, and the findings that it has."""
    where = f"{path}: {name!r}"
    if not isinstance(entry, dict):
        raise DataError(f"{where} must hold findings, got {short(entry)}")
    size = _size(entry["img_size"], f"{where}.img_size") if "img_size" in entry else None
    found: dict[str, TargetRecord] = {}
    for key, value in entry.items():
        if key == "img_size":
            continue
        finding = _SYNONYMS.get(key, key)
        if finding not in CHEXLOCALIZE_FINDINGS or finding in found:
            raise DataError(
                f"{where}: findings must be different ones of {', '.join(CHEXLOCALIZE_FINDINGS)}, "
                f"got {key!r}"
            )
        parse = partial(_parse_contours, size=size) if size is not None else _parse_mask
        found[finding] = parse(path, value, where=f"{where}.{key}")
    return size, found


def _parse_mask(path: Path, value: Any, where: str) -> TargetRecord:
    """Return the target of run lengths."""
    if not isinstance(value, dict):
        raise DataError(
            f"{where} must be run lengths with size and counts, got {short(value)}; contours must "
            "have the img_size of their image"
        )
    height, width = _size(value.get("size"), f"{where}.size")
    runs = parse_runs(value, height, width, where)
    return TargetRecord(_RunMask(path, (height, width), runs))


def _parse_contours(path: Path, value: Any, where: str, size: tuple[int, int]) -> TargetRecord:
    """Return the target of a list of contours."""
    if not isinstance(value, list):
        raise DataError(f"{where} must be a list of contours, got {short(value)}")
    contours = []
    for k, points in enumerate(value):
        if not isinstance(points, list) or len(points) < 2:
            raise DataError(
                f"{where}[{k}] must be a contour of 2 points or more, got {short(points)}"
            )
        for point in points:
            if not isinstance(point, list) or len(point) != 2 or not all(map(is_number, point)):
                raise DataError(f"{where}[{k}] must hold points [x, y], got {short(point)}")
            if not (-1 <= point[0] <= size[1] + 1 and -1 <= point[1] <= size[0] + 1):
                raise DataError(
                    f"{where}[{k}] must lie in the image of {size[1]} x {size[0]} pixels, got "
                    f"{short(point)}"
                )
        contours.append(tuple((float(x), float(y)) for x, y in points))
    return TargetRecord(instances=_Contours(path, size, tuple(contours)))


def _size(value: Any, where: str) -> tuple[int, int]:
    if not isinstance(value, list) or len(value) != 2 or not all(is_whole(n, 1) for n in value):
        raise DataError(f"{where} must be [height, width], got {short(value)}")
    height, width = value
    limit = Image.MAX_IMAGE_PIXELS
    if limit is not None and height * width > limit:
        raise DataError(
            f"{where}: an image must have at most {limit} pixels, got {height} x {width}; set "
            "PIL.Image.MAX_IMAGE_PIXELS higher if you trust it"
        )
    return height, width


def _patient(name: str) -> str:
    return name.partition("_")[0]


def _image(folder: Path, name: str, path: Path) -> Path:
    """Return the file of an image: in the folders of patient and study, or in one folder."""
    for stem in (name.replace("_", "/", 2), name):
        for suffix in sorted(FILE_SUFFIXES):
            if is_file(folder / f"{stem}{suffix}"):
                return folder / f"{stem}{suffix}"
    wanted = folder / f"{name.replace('_', '/', 2)}.jpg"
    raise DataError(f"{path}: the image of {name!r} must exist, got {kind_at(wanted)}: {wanted}")


def _all_images(folder: Path) -> dict[str, Path]:
    """Return all images of a folder by name."""
    found: dict[str, Path] = {}
    for path in _files_in(folder, depth=2):
        if path.suffix.lower() in FILE_SUFFIXES:
            name = "_".join(path.relative_to(folder).with_suffix("").parts)
            if name in found:
                raise DataError(f"{path}: names of images must differ, got {name!r} again")
            found[name] = path
    return found


def _files_in(folder: Path, depth: int) -> list[Path]:
    found = []
    for entry in list_folder(folder):
        if entry.name.startswith("."):
            continue
        if kind_at(entry) != FOLDER:
            found.append(entry)
        elif depth:
            found += _files_in(entry, depth - 1)
    return found


def _info(name: str, known: Mapping[str, Mapping[str, Info]], table: object) -> dict[str, Info]:
    view = re.search(r"_(frontal|lateral)$", name)
    found: dict[str, Info] = {} if view is None else {"view": view[1]}
    if table is not None:
        if name not in known:
            raise DataError(f"{table}: the table must have every image, got none for {name!r}")
        found |= known[name]
    return found


def _read_table(path: Path) -> dict[str, dict[str, Info]]:
    """Return sex, age and projection of the images in CheXpert's table."""
    try:
        text = read_file(path, "a table").decode("utf-8-sig")
        rows = list(csv.DictReader(StringIO(text, newline="")))
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: the table must be CSV in UTF-8, got {error}") from error
    wanted = {"Path", "Sex", "Age", "AP/PA"}
    if not rows or not wanted <= set(rows[0]):
        came = ", ".join(map(str, rows[0])) if rows else "no rows"
        raise DataError(f"{path}: the table must have columns {sorted(wanted)}, got {came}")
    found: dict[str, dict[str, Info]] = {}
    for line, row in enumerate(rows, start=2):
        age = (row["Age"] or "").strip()
        if age and not (age.isascii() and age.isdecimal() and len(age) < 4):
            raise DataError(f"{path}, line {line}: Age must be a whole number, got {short(age)}")
        name = "_".join(Path(row["Path"] or "").with_suffix("").parts[-3:])
        found[name] = {
            "sex": row["Sex"] or None,
            "age": int(age) if age else None,
            "projection": row["AP/PA"] or None,
        }
    return found
