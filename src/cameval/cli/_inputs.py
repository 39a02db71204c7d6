"""Samples and networks from command-line options."""

import csv
from argparse import Namespace
from collections.abc import Sequence
from io import StringIO
from itertools import islice
from pathlib import Path
from typing import Any

import torch.distributed as dist
import torchvision
from torch import nn
from torch.utils.data import Subset

from cameval.data import (
    CLASS_NAMES,
    CocoDataset,
    FigshareDataset,
    FigshareSample,
    FolderDataset,
    ManifestDataset,
    cached,
    phantom_samples,
)
from cameval.data._files import FOLDER, kind_at, read_file
from cameval.data.records import few
from cameval.data.samples import class_of_text
from cameval.errors import DataError, SettingError
from cameval.networks import adapt
from cameval.networks.zoo import check_name, load_network

_FORMS = "--images with --masks, --images with --coco, --manifest, --figshare or --phantom"


def samples(options: Namespace) -> Any:
    """Return the samples that the options describe, a map-style dataset."""
    dataset = _dataset(options)
    if options.cache is not None:
        dataset = _cached(dataset, options.cache)
    return dataset if options.names is None else _only(dataset, Path(options.names))


def _cached(dataset: Any, path: str) -> Any:
    """Return the packed copy of the samples; of several processes the first one packs it."""
    if isinstance(dataset, list):
        raise SettingError("--cache must go with images in files, got --phantom")
    several = dist.is_initialized()
    if several and dist.get_rank() > 0:
        dist.barrier()
        return cached(dataset, path)
    try:
        return cached(dataset, path)
    finally:
        if several:
            dist.barrier()


def _dataset(options: Namespace) -> Any:
    forms = ("masks", "manifest", "coco", "figshare", "phantom")
    given = [form for form in forms if getattr(options, form) is not None]
    if len(given) != 1 or (options.images is not None) != (given[0] in ("masks", "coco")):
        asked = " ".join(f"--{form}" for form in (*(["images"] if options.images else []), *given))
        raise SettingError(f"the images must come by one of {_FORMS}, got {asked or 'none'}")
    if options.labels is not None and given[0] != "masks":
        raise SettingError(f"--labels must go with --images and --masks, got --{given[0]}")
    if options.mask_orientation is not None and given[0] in ("figshare", "phantom"):
        raise SettingError(f"--mask-orientation must go with photographs, got --{given[0]}")
    match given[0]:
        case "manifest":
            return ManifestDataset(options.manifest, mask_orientation=options.mask_orientation)
        case "coco":
            return CocoDataset(
                options.coco, options.images, mask_orientation=options.mask_orientation
            )
        case "figshare":
            return FigshareDataset(options.figshare)
        case "phantom":
            if options.phantom < 1:
                raise SettingError(f"--phantom must be at least 1, got {options.phantom}")
            return list(islice(phantom_samples(seed=options.seed), options.phantom))
    labels, groups = None, None
    if options.labels is not None:
        labels, groups = _labels(Path(options.labels), options)
    return FolderDataset(
        options.images,
        options.masks,
        labels=labels,
        groups=None if groups is None else groups.__getitem__,
        mask_orientation=options.mask_orientation,
    )


def _labels(path: Path, options: Namespace) -> tuple[dict[str, int | None], dict[str, str] | None]:
    """Read the labels, and the groups if there is a column of them, of a table by name."""
    try:
        text = read_file(path, "a table of labels").decode("utf-8-sig")
        rows = list(csv.DictReader(StringIO(text, newline="")))
    except (DataError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} must be a table of labels as CSV in UTF-8, got {error}") from error
    wanted = [options.name_column, options.label_column]
    wanted += [options.group_column] if options.group_column else []
    for column in wanted:
        if not rows or column not in rows[0]:
            there = ", ".join(rows[0]) if rows else "no rows"
            raise DataError(f"{path} must have a column {column!r}, got {there}")
    labels: dict[str, int | None] = {}
    groups: dict[str, str] = {}
    for line, row in enumerate(rows, start=2):
        name, text = row[options.name_column], (row[options.label_column] or "").strip()
        where = f"{path}, line {line}: {options.label_column}"
        label = class_of_text(text, where)
        if text and label is None:
            raise DataError(f"{where} must be a class index, got {text!r}")
        if not name or name in labels:
            raise DataError(
                f"{path}, line {line}: {options.name_column} must name an image once, got {name!r}"
            )
        labels[name] = label
        if options.group_column:
            groups[name] = row[options.group_column] or ""
    return labels, groups or None


def _only(dataset: Any, path: Path) -> Any:
    """Return the samples that a file names."""
    try:
        lines = read_file(path, "a list of names").decode("utf-8-sig").splitlines()
    except (DataError, UnicodeDecodeError) as error:
        raise DataError(f"{path} must be a list of names, got {error}") from error
    wanted = [line.strip() for line in lines if line.strip()]
    names = getattr(dataset, "names", None) or [sample.name for sample in dataset]
    places = {name: index for index, name in enumerate(names)}
    missing = [name for name in wanted if name not in places]
    if missing or not wanted:
        came = few(missing) if missing else "none"
        raise DataError(f"{path} must name images that are there, got {came}")
    return Subset(dataset, [places[name] for name in wanted])


def networks(options: Namespace) -> dict[str, nn.Module]:
    """Return the networks by name, in evaluation mode on their device."""
    models, weights = options.model, options.weights
    if len(weights) not in (1, len(models)):
        raise SettingError(
            f"--weights must be one for all or one for each of {len(models)} models, "
            f"got {len(weights)}"
        )
    if twice := [name for name in models if models.count(name) > 1]:
        raise SettingError(f"--model must name each network once, got {twice[0]} twice")
    for name in models:
        check_name(name)
    loaded: dict[str, nn.Module] = {}
    for name, source in zip(models, _per_model(weights, len(models)), strict=True):
        net = load_network(
            name, _file(source, name), num_classes=options.num_classes, seed=options.seed
        )
        try:
            net = net.to(options.device)
        except (RuntimeError, AssertionError) as error:
            raise SettingError(
                f"--device must be there, got {options.device!r}: {error}"
            ) from error
        loaded[name] = net if options.layer is None else adapt(net, layer=options.layer)
    return loaded


def _per_model(weights: Sequence[str], count: int) -> list[str]:
    return list(weights) * count if len(weights) == 1 else list(weights)


def _file(source: str, name: str) -> str:
    """Return the file of weights in a folder, anything else as it is."""
    if kind_at(Path(source)) != FOLDER:
        return source
    files = sorted([*Path(source).glob(f"{name}.pth"), *Path(source).glob(f"{name}-*.pth")])
    if len(files) != 1:
        raise DataError(
            f"{source} must hold one file {name}.pth or {name}-*.pth, "
            f"got {', '.join(file.name for file in files) or 'none'}"
        )
    return str(files[0])


def class_names(dataset: Any, model: str, classes: int) -> list[str] | None:
    """Return the names of the classes: the dataset's, or ImageNet's of a network that has them."""
    whole = getattr(dataset, "dataset", dataset)  # of a subset
    if isinstance(whole, list) and isinstance(whole[0], FigshareSample):  # the phantom
        return list(CLASS_NAMES)
    named = getattr(whole, "class_names", None)
    if named:
        return list(named)
    for entry in torchvision.models.get_model_weights(model):
        if len(entry.meta.get("categories", ())) == classes:
            return list(entry.meta["categories"])
    return None
