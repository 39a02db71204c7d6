"""Lines that a command prints before it begins: what it uses, where that may not be expected."""

from argparse import Namespace
from collections.abc import Mapping, Sequence

from cameval.cli._inputs import (
    GROUP,
    LABEL,
    NAME,
    OF_MANIFEST,
    class_names,
    columns_of,
    group_column,
    manifest_column,
    names_of,
    split_name,
)
from cameval.cli._networks import NamedNetwork
from cameval.data import RESERVED_COLUMNS
from cameval.errors import SettingError

_SHOWN = 12
"""The most classes or photos of which names are printed."""


def random_networks(options: Namespace) -> list[str]:
    """Return the names, in the tables, of the networks whose weights are random.

    The network of a function has the weights with which the function returns it.
    """
    return [label for label, source in _without_weights(options) if not _is_own(source)]


def _without_weights(options: Namespace) -> list[tuple[str, str]]:
    """Return name in the tables and source of the networks without ``--weights``."""
    weights, models = options.weights, options.model
    of_each = weights * (1 if len(weights) > 1 else len(models))
    pairs = [(model, *split_name(model)) for model in models]
    return [
        (label or model, source)
        for (model, label, source), where in zip(pairs, of_each, strict=True)
        if where == "none"
    ]


def describe_weights(options: Namespace) -> list[str]:
    """Return lines on networks without weights: random, or as a function returns them."""
    lines = []
    several = len(options.model) > 1
    if random := random_networks(options):
        of_models = f" for {', '.join(random)}" if several else ""
        lines += [
            f"weights{of_models}: none (random); --weights DEFAULT or a file has trained ones"
        ]
    for label, source in _without_weights(options):
        if _is_own(source):
            of_model = f" for {label}" if several else ""
            lines += [f"weights{of_model}: as {source} returns them; --weights FILE loads others"]
    return lines


def describe_normalization(networks: Mapping[str, NamedNetwork], options: Namespace) -> list[str]:
    """Return a line if images of networks of the user's are normalized as ImageNet's."""
    if options.mean is not None:
        return []
    names = [
        name
        for name, network in networks.items()
        if _is_own(network.source) and len(network.prepare.mean) in (1, 3)
    ]
    if not names:
        return []
    of_models = f" for {', '.join(names)}" if len(networks) > 1 else ""
    return [
        f"images{of_models} are normalized with ImageNet's mean and std; --mean and --std, "
        "ImageNet's too, silence this line; for a network that does this itself give "
        "--mean 0 --std 1"
    ]


def _is_own(source: str) -> bool:
    """Tell whether the network of a name is that of a function of the user's."""
    return ":" in source and not source.startswith("timm:")


def describe_dark(photos: Sequence[str]) -> list[str]:
    """Return a line on the photos that are almost black."""
    if not photos:
        return []
    more = f" and {len(photos) - _SHOWN:,} more" if len(photos) > _SHOWN else ""
    return [
        "almost black, without a value above 1/8 of the range that the network expects: "
        f"{', '.join(photos[:_SHOWN])}{more}; --stretch-contrast scales each photo by its own range"
    ]


def describe_data(dataset: object, options: Namespace) -> list[str]:
    """Return the lines on the data: what is left out or not used, groups, and order of classes."""
    return [
        *describe_left_out(options.without_mask, options),
        *describe_columns(options),
        *describe_subfolders(dataset, options),
        *describe_groups(options),
        *describe_order(dataset, options),
    ]


def describe_left_out(names: Sequence[str], options: Namespace) -> list[str]:
    """Return a line on the images or targets without a mask, of these images, that are left out."""
    if not names:
        return []
    count = len(names)
    of_targets = len(options.masks or ()) > 1 or options.rows == "targets"
    what = "target" if of_targets else "image"
    are = f"{what} without a mask is" if count == 1 else f"{what}s without a mask are"
    return [f"{count:,} {are} left out"]


def describe_columns(options: Namespace) -> list[str]:
    """Return a line on the columns of ``--labels`` or ``--manifest`` that are not used."""
    path = options.labels or options.manifest
    if path is None:
        return []
    columns = columns_of(path)
    if options.labels is None:
        used: set[str | None] = {manifest_column(role, options) or role for role in OF_MANIFEST}
        named = manifest_column("group", options) or GROUP
        group = named if named in columns else None
    else:
        group = group_column(options)
        used = {options.name_column or NAME, options.label_column or LABEL, group or ""}
    used |= {*(options.info or ())}
    left = [column for column in columns if column and column not in used]
    if not left:
        return []
    several = len(left) > 1
    one = "one of them" if several else left[0]
    way = f"--group-column {one} takes it as groups"
    if group is not None:
        kept = [column for column in left if column not in RESERVED_COLUMNS]
        them = "them" if several else "it"
        way = f"--info {' '.join(kept)} keeps {them if kept == left else 'these'} in the tables"
        if not kept:
            way = f"other names and --info keep {them} in the tables"
    are = f"columns {', '.join(left)} are" if several else f"column {left[0]} is"
    return [f"{are} not used; {way}"]


def describe_groups(options: Namespace) -> list[str]:
    """Return a line if patients' ids of DICOM files become groups, which tables and page show."""
    if options.dicom is None or GROUP in columns_of(options.dicom):
        return []
    return [
        "groups: the PatientID of each file, which tables and page then show; a column group of "
        f"{options.dicom} replaces it"
    ]


def describe_subfolders(dataset: object, options: Namespace) -> list[str]:
    """Return a line if the subfolders of the images are taken as classes."""
    if options.labels is not None or options.class_names is not None or not options.images:
        return []
    if options.coco is not None or options.chexlocalize is not None or len(options.masks or ()) > 1:
        return []
    if not any("/" in name for name in names_of(dataset)):
        return []
    names = class_names(dataset, options) or []
    return [
        f"classes: the subfolders of {options.images}, in the order of their names: "
        f"{_numbered(names)} ({len(names):,}); if the network has another order, --class-names "
        "FILE gives it; if they are no classes, such as patients, --labels CSV has the classes"
    ]


def describe_order(dataset: object, options: Namespace) -> list[str]:
    """Return a line on which class is which, if the names of a table were sorted."""
    tables = (options.manifest, options.dicom, options.nifti)
    if tables == (None, None, None) or options.class_names is not None:
        return []
    names = class_names(dataset, options) or []
    if not names:
        return []
    return [
        f"classes, in the order of their names: {_numbered(names)}; if the network has another "
        "order, --class-names FILE gives it"
    ]


def _numbered(names: Sequence[str]) -> str:
    """Return the first classes with their indices."""
    some = [f"{label} {name}" for label, name in enumerate(names[:_SHOWN])]
    return ", ".join(some + ["..."] * (len(names) > _SHOWN))


def describe_grid(cells: Sequence[int]) -> list[str]:
    """Return a line if maps have one cell alone, height and width, and are thus constant."""
    if max(cells) > 1:
        return []
    grid = " x ".join(map(str, cells))
    return [f"every map is constant: the grid of the maps is {grid}; a larger --size has more"]


def describe_classes(
    name: str,
    count: int,
    known: Sequence[str] | None,
    given: Sequence[str] | None,
    options: Namespace,
) -> list[str]:
    """Return a line if the classes of the data are not those of a network.

    Raises
    ------
    SettingError
        If ``--class-names`` has another number of names than the network has classes, of which the
        names are not known.

    Parameters
    ----------
    name
        Name of the network in the tables.
    count
        The number of its outputs.
    known
        The names of its classes, if they are known.
    given
        The names of the classes of the data, if they have any.
    options
        The options.
    """
    if not given or count in (1, len(given)) or options.task == "multilabel":
        return []
    common = len({*given} & {*(known or ())})
    if known is None:
        if options.class_names is not None:
            raise SettingError(
                f"--class-names must have a name for each of {count:,} classes of the network, got "
                f"{len(given):,}"
            )
        are = f"the data have {len(given):,}"
    else:
        both = f"{common:,} names are" if common > 1 else "1 name is" if common else "no name is"
        are = f"the data have {len(given):,}, and {both} in both"
    of_predicted = options.classes in (None, ["predicted"])
    of = "; maps are for the class that it predicts" if of_predicted else ""
    whose = f"the network {name}" if len(options.model) > 1 else "the network"
    return [f"{whose} has {count:,} classes, {are}{of}"]
