"""Samples and networks from command-line options."""

from argparse import Namespace
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

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
    read_labels,
    read_names,
)
from cameval.distributed import first_alone
from cameval.errors import DataError, SettingError
from cameval.networks import adapt, load_network, network_names

_FORMS = "--images with --masks, --images with --coco, --manifest, --figshare or --phantom"


def load_samples(options: Namespace) -> Any:
    """Return the samples that the options describe, a map-style dataset."""
    dataset = _open_dataset(options)
    if options.cache is not None:
        if isinstance(dataset, list):
            raise SettingError("--cache must go with images in files, got --phantom")
        source = dataset
        dataset = first_alone(lambda: cached(source, options.cache))
    return dataset if options.names is None else _select(dataset, options.names)


def _open_dataset(options: Namespace) -> Any:
    forms = ("masks", "manifest", "coco", "figshare", "phantom")
    given = [form for form in forms if getattr(options, form) is not None]
    if len(given) != 1 or (options.images is not None) != (given[0] in ("masks", "coco")):
        asked = " ".join(f"--{form}" for form in (*(["images"] if options.images else []), *given))
        raise SettingError(f"the images must be given by one of {_FORMS}, got {asked or 'none'}")
    if options.labels is not None and given[0] != "masks":
        raise SettingError(f"--labels must go with --images and --masks, got --{given[0]}")
    if options.mask_orientation is not None and given[0] in ("figshare", "phantom"):
        raise SettingError(f"--mask-orientation must go with photographs, got --{given[0]}")
    match given[0]:
        case "manifest":
            return ManifestDataset(options.manifest, mask_orientation=options.mask_orientation)
        case "coco":
            return CocoDataset(
                options.coco,
                options.images,
                classes="largest",
                mask_orientation=options.mask_orientation,
            )
        case "figshare":
            return FigshareDataset(options.figshare)
        case "phantom":
            if options.phantom < 1:
                raise SettingError(f"--phantom must be at least 1, got {options.phantom}")
            return list(islice(phantom_samples(seed=options.seed), options.phantom))
    return _open_folders(options)


def _open_folders(options: Namespace) -> FolderDataset:
    labels, groups = None, None
    if options.labels is not None:
        labels, groups = read_labels(
            options.labels,
            name=options.name_column,
            label=options.label_column,
            group=options.group_column,
        )
    return FolderDataset(
        options.images,
        options.masks,
        labels=labels,
        groups=groups.__getitem__ if groups else None,
        mask_orientation=options.mask_orientation,
    )


def _select(dataset: Any, path: str) -> Any:
    """Return the samples that a file names."""
    wanted = read_names(path)
    names = getattr(dataset, "names", None) or [sample.name for sample in dataset]
    indices = {name: index for index, name in enumerate(names)}
    missing = [name for name in wanted if name not in indices]
    if missing or not wanted:
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        came = ", ".join(map(repr, missing[:3])) + more if missing else "none"
        raise DataError(f"{path} must name images that are there, got {came}")
    return Subset(dataset, [indices[name] for name in wanted])


def load_networks(options: Namespace) -> dict[str, nn.Module]:
    """Return the networks by name, in evaluation mode on their device."""
    models, weights = options.model, options.weights
    if len(weights) not in (1, len(models)):
        raise SettingError(
            f"--weights must be one for all or one for each of {len(models)} models, "
            f"got {len(weights)}"
        )
    if again := [name for name in models if models.count(name) > 1]:
        raise SettingError(f"--model must name each network once, got {again[0]} twice")
    for name in set(models) - set(network_names()):
        load_network(name)  # raises an error that lists similar names
    loaded: dict[str, nn.Module] = {}
    for name, source in zip(models, _repeat(weights, len(models)), strict=True):
        net = load_network(
            name, _find_file(source, name), num_classes=options.num_classes, seed=options.seed
        )
        try:
            net = net.to(options.device)
        except (RuntimeError, AssertionError) as error:
            raise SettingError(
                f"--device must be available, got {options.device!r}: {error}"
            ) from error
        loaded[name] = net if options.layer is None else adapt(net, layer=options.layer)
    return loaded


def _repeat(weights: Sequence[str], count: int) -> list[str]:
    return list(weights) * count if len(weights) == 1 else list(weights)


def _find_file(source: str, name: str) -> str:
    """Return the file of weights in a folder, anything else as it is."""
    try:
        if not Path(source).is_dir():
            return source
    except (OSError, ValueError):  # a path that cannot be
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
    if named := getattr(whole, "class_names", None):
        return list(named)
    for entry in torchvision.models.get_model_weights(model):
        if len(entry.meta.get("categories", ())) == classes:
            return list(entry.meta["categories"])
    return None
