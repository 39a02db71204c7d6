"""Samples and maps from command-line options."""

import csv
import warnings
from argparse import Namespace
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from torch.utils.data import Subset

from cameval.data import (
    CHEXLOCALIZE_FINDINGS,
    CLASS_NAMES,
    VOC_CLASSES,
    CheXlocalizeDataset,
    CocoDataset,
    DicomDataset,
    FigshareDataset,
    FigshareSample,
    FolderDataset,
    ManifestDataset,
    MapFile,
    MapFolder,
    MaskValueWarning,
    NiftiDataset,
    VocDataset,
    cached,
    phantom_samples,
    read_info,
    read_labels,
    read_names,
)
from cameval.distributed import first_alone
from cameval.errors import DataError, SettingError

# --- Samples --------------------------------------------------------------------------------------

_FORMS = (
    *("masks", "manifest", "coco", "voc", "chexlocalize", "dicom", "nifti", "figshare"),
    "phantom",
)
"""The options that say where the truth is."""

_WITH_IMAGES = ("masks", "coco", "chexlocalize")
"""Those of them that go with a folder of images."""

_DESCRIBED = (
    "--images with --masks, --coco or --chexlocalize, --manifest, --voc, --dicom, --nifti, "
    "--figshare or --phantom"
)

_GOES_WITH: Mapping[str, tuple[tuple[str, ...], str]] = {
    "labels": (("masks",), "--images and --masks"),
    "missing_masks": (
        ("masks", "manifest", "chexlocalize"),
        "--masks, --manifest or --chexlocalize",
    ),
    "negatives": (("coco", "voc"), "--coco or --voc"),
    "largest": (("coco",), "--coco"),
    "segmentation": (("voc",), "--voc"),
    **dict.fromkeys(("rows", "image_column", "mask_column"), (("manifest",), "--manifest")),
    "info": (("masks", "manifest"), "--manifest or --labels"),
    "value_range": (("dicom", "nifti"), "--dicom or --nifti"),
    "mask_suffix": (("masks",), "--images and --masks"),
    **dict.fromkeys(
        ("mask_value", "mask_threshold", "resize_masks", "stretch_contrast"),
        (("masks", "manifest"), "--masks or --manifest"),
    ),
    "mask_orientation": (("masks", "manifest", "coco", "voc"), "photographs"),
}
"""For options that are only for some forms of data: these forms, and their description."""

_OF_TABLES = ("name_column", "label_column", "group_column")
"""The options of the tables ``--labels`` and ``--manifest``."""

NAME, LABEL, GROUP = "name", "label", "group"
"""The columns of these tables, unless these options name others."""

OF_MANIFEST = ("image", "mask", NAME, LABEL, GROUP, "ignore")
"""The columns of ``--manifest`` that have a meaning, unless options name others."""


def load_samples(options: Namespace) -> Any:
    """Return the samples that the options describe, a map-style dataset."""
    form = _choose_form(options)
    dataset = _open_dataset(form, options)
    options.without_mask = _check_masks(dataset, form, options)
    if options.cache is not None:
        if isinstance(dataset, list):
            raise SettingError("--cache must go with images in files, got --phantom")
        source = dataset
        dataset = first_alone(lambda: cached(source, options.cache))
    options.n_unnamed = 0
    if options.names is None or form == "voc":  # its reader reads the named images alone
        return dataset
    selected = _select(dataset, options.names, options.without_mask)
    options.n_unnamed = len(dataset) - len(selected)
    return selected


def _check_masks(dataset: Any, form: str, options: Namespace) -> list[str]:
    """Return the names of wanted images that are left out; an error unless that is asked for."""
    left = list(getattr(dataset, "without_mask", ()))
    if options.names is not None and form != "voc":
        wanted = {*read_names(options.names)}
        left = [name for name in left if name in wanted]
    if left and _missing(options) != "skip":
        raise DataError(
            f"{' '.join(options.masks or [options.manifest])}: every image in {options.names} must "
            f"have a mask, got none for {_shorten(left)}; if they have no object, --missing-masks "
            "negative; if it is not drawn, --missing-masks skip"
        )
    return left


def _missing(options: Namespace) -> Any:
    """Return what an image without a mask is, by default an error."""
    return options.missing_masks or "error"


def _read_missing(options: Namespace) -> Any:
    """Return what it is to a reader, which does not refuse images that ``--names`` leaves out."""
    missing = _missing(options)
    return "skip" if missing == "error" and options.names is not None else missing


def _choose_form(options: Namespace) -> str:
    """Return the one option that says where the truth is, checked with the others."""
    given = [form for form in _FORMS if getattr(options, form) is not None]
    asked = " ".join(f"--{form}" for form in (*(["images"] if options.images else []), *given))
    if not given and options.images is not None and options.missing_masks == "negative":
        given = ["masks"]
    if len(given) != 1 or (options.images is not None) != (given[0] in _WITH_IMAGES):
        raise SettingError(
            f"the images must be given by one of {_DESCRIBED}, got {asked or 'none'}"
        )
    for option, (forms, described) in _GOES_WITH.items():
        if getattr(options, option) not in (None, False) and given[0] not in forms:
            name = option.replace("_", "-")
            raise SettingError(f"--{name} must go with {described}, got --{given[0]}")
    if options.labels is None and given[0] != "manifest":
        for option in (*_OF_TABLES, "info"):
            if getattr(options, option) is not None:
                name = option.replace("_", "-")
                raise SettingError(f"--{name} must go with --labels, got no --labels")
    return given[0]


def _open_dataset(form: str, options: Namespace) -> Any:
    orientation = options.mask_orientation
    match form:
        case "masks":
            return _open_folders(options)
        case "manifest":
            with warnings.catch_warnings():
                # The others are said by `describe_order` and `describe_columns`.
                warnings.simplefilter("ignore", UserWarning)
                warnings.simplefilter("default", MaskValueWarning)
                return ManifestDataset(
                    options.manifest,
                    mask_orientation=orientation,
                    missing_masks=_read_missing(options),
                    **_pixel_settings(options),
                    rows=options.rows or "images",
                    info=options.info or (),
                    class_names=_given_names(options),
                    **_own_columns(options),
                )
        case "coco":
            return CocoDataset(
                options.coco,
                options.images,
                classes="largest" if options.largest else "all",
                negatives=options.negatives,
                mask_orientation=orientation,
            )
        case "voc":
            return VocDataset(
                options.voc,
                options.names,
                segmentation=options.segmentation,
                negatives=options.negatives,
                class_names=_given_names(options) or VOC_CLASSES,
                mask_orientation=orientation,
            )
        case "chexlocalize":
            return CheXlocalizeDataset(
                options.images,
                options.chexlocalize,
                class_names=_given_names(options) or CHEXLOCALIZE_FINDINGS,
                unlisted="negative" if _missing(options) == "negative" else "dropped",
            )
        case "dicom" | "nifti":
            reader = DicomDataset if form == "dicom" else NiftiDataset
            return reader(
                getattr(options, form),
                _given_names(options),
                value_range=None if options.value_range is None else tuple(options.value_range),
            )
        case "figshare":
            return FigshareDataset(options.figshare)
    if options.phantom < 1:
        raise SettingError(f"--phantom must be at least 1, got {options.phantom}")
    return list(islice(phantom_samples(seed=options.seed), options.phantom))


def _open_folders(options: Namespace) -> FolderDataset:
    masks: str | dict[str, str] | None = None
    if options.masks is not None:
        first, *others = options.masks
        masks = _by_name(options.masks, "--masks") if others or split_name(first)[0] else first
    table = {}
    if options.labels is not None:
        table = _read_table(options, of_classes=not isinstance(masks, dict))
        if options.names is not None:
            _fill_table(table, options)
    return FolderDataset(
        options.images,
        masks,
        mask_orientation=options.mask_orientation,
        missing_masks=_read_missing(options),
        class_names=_given_names(options),
        mask_suffix=options.mask_suffix or "",
        extra_masks=options.names is not None,
        **_pixel_settings(options),
        **table,
    )


def _pixel_settings(options: Namespace) -> dict[str, Any]:
    """Return how the pixels of images and masks are read."""
    return {
        "mask_value": options.mask_value,
        "mask_threshold": options.mask_threshold,
        "resize_masks": options.resize_masks,
        "stretch": options.stretch_contrast,
    }


def _read_table(options: Namespace, *, of_classes: bool) -> dict[str, Any]:
    """Return labels, groups and info of images from a table; labels only if it has the classes."""
    if not of_classes and options.label_column is not None:
        raise SettingError(
            "--label-column must go with one folder of masks, got a folder for each class"
        )
    group = group_column(options)
    if not of_classes and group is None and not options.info:
        raise SettingError(
            "--labels beside a folder of masks for each class must go with --group-column or "
            "--info, or have a column group, got none of them"
        )
    name = options.name_column or NAME
    labels, groups = read_labels(
        options.labels,
        name=name,
        label=(options.label_column or LABEL) if of_classes else None,
        group=group,
        class_names=_given_names(options),
    )
    return {
        "labels": labels if of_classes else None,
        "groups": None if group is None else groups,
        "info": read_info(options.labels, options.info, name=name) if options.info else None,
    }


def _fill_table(table: dict[str, Any], options: Namespace) -> None:
    """Complete a table for the images that ``--names`` leaves out, which need no row in it."""
    wanted = set(read_names(options.names))
    everything = FolderDataset(
        options.images, None, labels=lambda name: None, missing_masks="negative"
    )
    images = everything.names
    others = {name: name for name in images if name not in wanted}
    for key, missing in (
        ("labels", dict.fromkeys(others)),
        ("groups", others),
        ("info", {name: {} for name in others}),
    ):
        if table.get(key) is not None:
            table[key] = _Rows(table[key], missing)


class _Rows(dict[str, Any]):
    """The rows of a table, which is complete without those of the images that are left out."""

    def __init__(self, rows: Mapping[str, Any], others: Mapping[str, Any]) -> None:
        super().__init__(rows)
        self._others = others

    def __contains__(self, name: object) -> bool:
        return super().__contains__(name) or name in self._others

    def __missing__(self, name: str) -> Any:
        return self._others[name]


def _own_columns(options: Namespace) -> dict[str, Any]:
    """Return the columns of ``--manifest`` that options name, as `ManifestDataset` takes them."""
    columns = {role: manifest_column(role, options) for role in OF_MANIFEST}
    return {f"{role}_column": column for role, column in columns.items() if column is not None}


def manifest_column(role: str, options: Namespace) -> str | None:
    """Return the column of ``--manifest`` that an option names for a role, None without it."""
    given = getattr(options, f"{role}_column", None)
    return None if given is None else str(given)


def group_column(options: Namespace) -> str | None:
    """Return the column of ``--labels`` with the groups; None if there is none."""
    if options.group_column is not None:
        return str(options.group_column)
    return GROUP if GROUP in columns_of(options.labels) else None


def columns_of(path: str) -> list[str]:
    """Return the columns of a CSV file; none if it cannot be read, which its reader describes."""
    try:
        with Path(path).open(encoding="utf-8-sig", newline="") as file:
            return next(csv.reader(file), [])
    except (OSError, ValueError, csv.Error):
        return []


def _by_name(words: Sequence[str], option: str) -> dict[str, str]:
    """Return paths by their names; a folder without a name has its own."""
    found: dict[str, str] = {}
    for word in words:
        name, path = split_name(word)
        name = name or Path(path).name or path
        if not path:
            raise SettingError(f"{option} must be NAME=PATH or PATH, got {word!r}")
        if name in found:
            raise SettingError(
                f"{option} must have names that differ, got {name!r} twice; give them as NAME=PATH"
            )
        found[name] = path
    return found


def split_name(word: str) -> tuple[str, str]:
    """Return name and path of ``NAME=PATH``; the name of a path alone is empty."""
    name, found, path = word.partition("=")
    return (name, path) if found and name and "/" not in name else ("", word)


def names_of(dataset: Any) -> list[str]:
    """Return the names of the samples; images are read only where the data set has no names."""
    if isinstance(dataset, Subset):
        names = names_of(dataset.dataset)
        return [names[index] for index in dataset.indices]
    return list(getattr(dataset, "names", None) or [sample.name for sample in dataset])


def _select(dataset: Any, path: str, without_mask: Sequence[str]) -> Any:
    """Return the samples that a file names, but for those that are left out."""
    given = read_names(path)
    names = names_of(dataset)
    indices = {name: index for index, name in enumerate(names)}
    left = {*without_mask} - {*names}
    wanted = [name for name in given if name not in left]
    if given and not wanted:
        raise DataError(f"{path} must name an image with a mask, got none of {len(given)}")
    missing = [name for name in wanted if name not in indices]
    if missing or not wanted:
        came = _shorten(missing) if missing else "none"
        known = ", ".join(map(repr, names[:2]))
        raise DataError(
            f"{path} must name images that are there, got {came}; their names are such as {known}"
        )
    return Subset(dataset, [indices[name] for name in wanted])


def _shorten(names: Sequence[str]) -> str:
    """Return the first three names, and how many more there are."""
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(map(repr, names[:3])) + more


def _given_names(options: Namespace) -> list[str]:
    """Return the names of the classes in the file of that option, none without it."""
    return [] if options.class_names is None else read_names(options.class_names)


def class_names(dataset: Any, options: Namespace) -> list[str] | None:
    """Return the names of the classes, those of the dataset or of a file; None without any."""
    whole = getattr(dataset, "dataset", dataset)  # of a subset
    given = _given_names(options)
    if isinstance(whole, list) and isinstance(whole[0], FigshareSample):  # the phantom
        named = list(CLASS_NAMES)
    else:
        named = list(getattr(whole, "class_names", None) or ())
    if given and named and given != named:
        raise SettingError(
            f"--class-names must be those of the data, {', '.join(named)}, or the data must have "
            f"none, got {', '.join(given)}"
        )
    return named or given or None


# --- Maps -----------------------------------------------------------------------------------------


def load_maps(options: Namespace, names: Sequence[str] | None) -> dict[str, MapFolder | MapFile]:
    """Return the maps that were made elsewhere, by their names in the tables."""
    for option in ("pattern", "per_class", "stretch"):
        if not options.maps and getattr(options, option):
            raise SettingError(f"--{option.replace('_', '-')} must go with --maps, got none")
    maps: dict[str, MapFolder | MapFile] = {}
    for name, path in _by_name(options.maps or (), "--maps").items():
        reader = MapFile if is_file(path) else MapFolder
        maps[name] = reader(
            path,
            pattern=options.pattern,
            class_names=names or (),
            per_class=options.per_class,
            stretch=options.stretch,
        )
    return maps


def is_file(path: str | Path) -> bool:
    """Tell whether there is a file at a path, which may be one that cannot be."""
    try:
        return Path(path).is_file()
    except (OSError, ValueError):  # a path that cannot be
        return False
