"""Options that ``cameval evaluate``, ``score`` and ``map`` share, in groups."""

import argparse
from contextlib import suppress
from typing import Any, NoReturn, TypeAlias

from cameval.cli._group_name import add_group_name
from cameval.errors import SettingError

Group: TypeAlias = argparse._ArgumentGroup


class NamesAction(argparse.Action):
    """Option that takes names, such as those of metrics, which its help lists."""

    def __init__(self, *, with_network: bool, note: str = "", **settings: Any) -> None:
        super().__init__(metavar="NAME", **settings)
        self.with_network, self.note = with_network, note

    def __call__(self, parser: object, namespace: object, values: object, *more: object) -> None:
        """Store the names."""
        setattr(namespace, self.dest, values)

    def list_names(self) -> None:
        """Write the help; the names are those of packages that take seconds to import."""
        from cameval.cli._words import words_of

        names = words_of(self.option_strings[0], with_network=self.with_network)
        shown = "the default ones" if self.default is None else " ".join(self.default)
        self.help = f"{', '.join(names)} ({shown}){self.note}"


class Parser(argparse.ArgumentParser):
    """Parser with one line for a mistake; the help lists the names that options take."""

    def __init__(self, *names: Any, **settings: Any) -> None:
        super().__init__(*names, **settings)
        self.register("type", int, _whole_number)
        self.register("type", float, _number)

    def error(self, message: str) -> NoReturn:
        """Raise a mistake, which is printed in one line like all others."""
        raise SettingError(f"{message.removeprefix('argument ')}; see `{self.prog} --help`")

    def format_help(self) -> str:
        """Return the help, with the names."""
        for action in self._actions:
            if isinstance(action, NamesAction):
                action.list_names()
        return super().format_help()


def _whole_number(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        hint = ""
        if text.lower() == "none":
            hint = (
                "; leave the option out for its default. Settings that may be None, such as the "
                "size of images that keep theirs, are those of cameval.Preparation in Python"
            )
        raise argparse.ArgumentTypeError(f"must be a whole number, got {text!r}{hint}") from None


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        hint = ""
        if text.endswith("%"):
            with suppress(ValueError):
                hint = f"; for {text} write {float(text[:-1]) / 100:g}"
        raise argparse.ArgumentTypeError(f"must be a number, got {text!r}{hint}") from None


def add_flag(group: Group, option: str, text: str) -> None:
    """Add an option without a value, and ``--no-...``, which undoes it in a file of settings."""
    group.add_argument(option, action="store_true", help=text)
    negative = f"--no-{option.removeprefix('--')}"
    dest = option.removeprefix("--").replace("-", "_")
    group.add_argument(negative, dest=dest, action="store_false", help=argparse.SUPPRESS)


def add_network(parser: argparse.ArgumentParser, *, several: bool) -> None:
    """Add the options of one network, or of several."""
    each = "; one for all models or one for each" if several else ""
    network = parser.add_argument_group("the network")
    network.add_argument(
        "--model",
        nargs="+" if several else 1,
        required=True,
        metavar="NAME",
        help=f"{'one or more networks' if several else 'the network'}: a classifier of torchvision "
        "(`cameval models` lists them), timm:NAME, or package.module:function or file.py:function, "
        "a function without arguments or of num_classes that returns the network; LABEL=NAME names "
        "it for the tables",
    )
    network.add_argument(
        "--weights",
        nargs="+" if several else 1,
        default=["none"],
        metavar="W",
        help="DEFAULT (downloaded), none (random, or as your function returns it), a file of "
        "weights (a state dict, a checkpoint, .safetensors), or a folder with a file NAME.pth or "
        f"NAME-*.pth (LABEL, if there is one){each} (none)",
    )
    network.add_argument(
        "--num-classes",
        type=int,
        metavar="N",
        help="number of classes of the weights (that of the file of weights, or of the network)",
    )
    network.add_argument(
        "--layer", metavar="NAME", help="compute the maps at this layer, such as layer3"
    )
    network.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1, mps (cpu)")


def add_task(what: Group) -> None:
    """Add the option that says what the outputs of the network are."""
    what.add_argument(
        "--task",
        choices=["auto", "multiclass", "binary", "multilabel"],
        help="multiclass: one output for each class; binary: one or two outputs; multilabel: one "
        "output for each class, several classes an image (auto: binary or multiclass)",
    )


def add_preparation(how: Group) -> None:
    """Add the options of the network's input and of the maps on it."""
    how.add_argument(
        "--alignment",
        default="half_pixel",
        choices=["half_pixel", "receptive_field"],
        help="how maps are aligned with the image (half_pixel)",
    )
    how.add_argument(
        "--size",
        type=int,
        metavar="PX",
        help="side of the network's input (224, or as timm has it)",
    )
    for option, what_of in (("--mean", "mean"), ("--std", "standard deviation")):
        how.add_argument(
            option,
            nargs="+",
            type=float,
            metavar="X",
            help=f"{what_of} by which images are normalized, one number for each channel of the "
            "input or one for all; for a network that normalizes its images itself --mean 0 --std "
            "1 (ImageNet's, or as timm has it)",
        )
    how.add_argument(
        "--fit",
        default="squeeze",
        choices=["squeeze", "crop", "pad"],
        help="how an image fits the input: each axis resized by itself, the largest centered part "
        "with the input's aspect ratio, or all of it with padding, which is not scored (squeeze)",
    )
    how.add_argument(
        "--crop",
        type=float,
        metavar="SHARE",
        help="keep the centered square with this share of the shorter side, such as .875",
    )


def add_maps(maps: Group, *, required: bool) -> None:
    """Add the options of maps that were made elsewhere."""
    maps.add_argument(
        "--maps",
        nargs="+",
        required=required,
        metavar="NAME=PATH",
        help="folders of maps, or .npz and .pt files with the maps of all images; each by a name "
        "for the tables, or else the name of the folder",
    )
    maps.add_argument(
        "--pattern",
        metavar="P",
        help="path of a map in its folder, with {name} and where needed {label} or {class}, such "
        "as {label}/{name}_cam.npy (what is there)",
    )
    add_flag(maps, "--per-class", "the first axis of every array is the class")
    add_flag(
        maps,
        "--stretch",
        "maps cover the whole image, whatever their aspect ratio, as where images were resized to "
        "a square",
    )


def add_data(parser: argparse.ArgumentParser) -> None:
    """Add the options of images and truth."""
    forms = parser.add_argument_group("the images and their truth, in one of these forms")
    forms.add_argument(
        "--images",
        metavar="DIR",
        help="folder of images, or of subfolders of the classes unless there is --labels; goes "
        "with --masks, --coco or --chexlocalize, or with --missing-masks negative if no image has "
        "an object",
    )
    forms.add_argument(
        "--masks",
        nargs="+",
        metavar="DIR",
        help="folder of masks with the images' names; or a folder for each of several classes of "
        "an image, CLASS=DIR",
    )
    forms.add_argument(
        "--manifest",
        metavar="CSV",
        help="columns image, mask, name, label, group, unless --image-column and the like name "
        "others",
    )
    forms.add_argument(
        "--coco", metavar="JSON", help="COCO-style boxes and polygons of the objects"
    )
    forms.add_argument("--voc", metavar="DIR", help="folder in the layout of PASCAL VOC")
    forms.add_argument(
        "--chexlocalize", metavar="JSON", help="segmentations or annotations of CheXlocalize"
    )
    forms.add_argument(
        "--dicom", metavar="CSV", help="DICOM images: columns image, mask, label, name, group"
    )
    forms.add_argument(
        "--nifti", metavar="CSV", help="NIfTI images and volumes: columns as for --dicom"
    )
    forms.add_argument("--figshare", metavar="DIR", help="brain-tumor slices (.mat) of figshare")
    forms.add_argument(
        "--phantom", type=int, metavar="N", help="N synthetic slices, for a trial run"
    )

    data = parser.add_argument_group("how they are read")
    data.add_argument(
        "--labels",
        metavar="CSV",
        help="for --images --masks: a table of the images' names, classes, groups and --info, in "
        "the columns name, label and group unless the next options name others; classes only where "
        "--masks is one folder",
    )
    for role in ("image", "mask"):
        data.add_argument(
            f"--{role}-column",
            metavar="C",
            help=f"column of --manifest with the files of the {role}s ({role})",
        )
    data.add_argument(
        "--name-column",
        metavar="C",
        help="column of --labels or --manifest with the images' names; in --labels they may have "
        "the suffix of the file, such as .jpg (name)",
    )
    data.add_argument(
        "--label-column",
        metavar="C",
        help="column of --labels or --manifest with class indices, or with names of --class-names "
        "(label)",
    )
    data.add_argument(
        "--group-column",
        metavar="C",
        help="column of --labels or --manifest with groups, such as patients (group, if there is "
        "one; else each image is its own group)",
    )
    data.add_argument(
        "--class-names",
        metavar="FILE",
        help="names of the classes, one on each line, in the order of the network's outputs; it "
        "is also that of the names in --labels, --manifest and --masks CLASS=DIR",
    )
    data.add_argument(
        "--missing-masks",
        choices=["error", "negative", "skip"],
        help="what an image without a mask is, for --masks, --manifest and --chexlocalize: an "
        "error, one without an object, or to be left out, as where the object is not drawn (error)",
    )
    data.add_argument(
        "--mask-suffix",
        metavar="TEXT",
        help="for --masks: what the names of masks end in, such as _mask where the mask of a.png "
        "is a_mask.png; --masks may then be the folder of --images",
    )
    data.add_argument(
        "--mask-value",
        nargs="+",
        type=int,
        metavar="N",
        help="for --masks and --manifest: the pixels of these values are the object, in masks "
        "with several labels (all but 0, of which there may be one)",
    )
    data.add_argument(
        "--mask-threshold",
        type=float,
        metavar="T",
        help="for --masks and --manifest: the pixels above this value are the object, in masks "
        "with compression noise",
    )
    add_flag(
        data,
        "--resize-masks",
        "for --masks and --manifest: masks of another size than their image are resized to it",
    )
    add_flag(
        data,
        "--stretch-contrast",
        "for --masks and --manifest: scale each image by its own minimum and maximum, as where "
        "pixels have no fixed range",
    )
    add_flag(
        data,
        "--negatives",
        "for --coco and --voc: the classes that an image does not have are targets too, without "
        "an object",
    )
    add_flag(
        data,
        "--largest",
        "for --coco: only the class of the largest object of each image is a target",
    )
    add_flag(
        data,
        "--segmentation",
        "for --voc: the objects are those of the segmentations, not of the boxes",
    )
    data.add_argument(
        "--rows",
        choices=["images", "targets"],
        help="for --manifest: whether a row is an image, or one of several classes of an image "
        "(images)",
    )
    data.add_argument(
        "--info",
        nargs="+",
        metavar="C",
        help="more columns of --manifest or --labels to keep in the tables, such as view or site",
    )
    data.add_argument(
        "--value-range",
        nargs=2,
        type=float,
        metavar=("LOW", "HIGH"),
        help="for --dicom and --nifti: the values that are black and white, such as -160 240",
    )
    data.add_argument(
        "--mask-orientation",
        choices=["stored", "upright"],
        help="whether masks match photographs as stored or upright, if the camera noted an "
        "orientation (by size; stored if that does not decide)",
    )
    data.add_argument(
        "--names",
        metavar="FILE",
        help="evaluate only the images named in this file, one on each line",
    )
    data.add_argument(
        "--cache",
        metavar="FILE",
        help="write the decoded images to this HDF5 file, and read them from it",
    )


_OF_METRICS = (
    "; settings after a colon, as hausdorff_distance:100 for the maximum (the 95th percentile by "
    "default); what each measures is in the documentation, under Metrics (docs/api/metrics.rst)"
)


def add_scores(what: Group, *, with_network: bool) -> None:
    """Add the options of binarizers, metrics and baselines."""
    add_names(what, "--binarizer", ["percentile:95", "otsu"], with_network=with_network)
    add_flag(
        what,
        "--largest-component",
        "keep the largest connected part of the mask of each binarizer",
    )
    what.add_argument(
        "--choose-on",
        metavar="FILE",
        help="choose the binarizer of each map, and the method, on the images named in this file, "
        "one on each line, by their mean score in the first metric of masks; tables and report are "
        "of the other images",
    )
    add_names(what, "--metric", None, with_network=with_network, note=_OF_METRICS)
    add_names(what, "--baseline", None, with_network=with_network)


def add_names(
    group: Group,
    option: str,
    default: list[str] | None,
    *,
    with_network: bool = True,
    nargs: int | str = "+",
    note: str = "",
) -> None:
    """Add an option that takes names, with those that need a network or without them."""
    group.add_argument(
        option,
        action=NamesAction,
        nargs=nargs,
        default=default,
        with_network=with_network,
        note=note,
    )


def add_settings(how: Group) -> None:
    """Add the options that say how a run is done."""
    how.add_argument(
        "--batch-size", type=int, default=16, metavar="N", help="images in a batch (16)"
    )
    how.add_argument(
        "--workers", type=int, default=0, metavar="N", help="processes that read images (0)"
    )
    how.add_argument(
        "--threads",
        type=int,
        metavar="N",
        help="threads of each process (all cores; one under torchrun); the last digits of a score "
        "depend on it",
    )
    how.add_argument(
        "--seed", type=int, default=0, metavar="N", help="seed of all random numbers (0)"
    )


def add_output(parser: argparse.ArgumentParser) -> None:
    output = parser.add_argument_group("output")
    output.add_argument("--out", required=True, metavar="DIR", help="folder of the run")
    add_flag(output, "--parquet", "also write results.parquet")
    output.add_argument("--no-report", action="store_true", help="write only the tables")
    output.add_argument("--report", dest="no_report", action="store_false", help=argparse.SUPPRESS)
    output.add_argument(
        "--report-images",
        type=int,
        metavar="N",
        help="the most images that the report shows, from the folder report_files, which leaves "
        "with the page; of more it shows some of each class; 0 for none, as where nobody else may "
        "see the images (5000; with --report-single-file 100, which is the most there)",
    )
    add_flag(
        output,
        "--report-single-file",
        "write the pictures into report.html instead of the folder report_files, so that the page "
        "can be sent alone",
    )
    add_group_name(output)
    output.add_argument(
        "--config",
        metavar="FILE",
        help="TOML file of settings with the names of these options, such as method = "
        '["grad_cam", "cam"] and parquet = true; options of the command line override it, '
        "--no-parquet a true; each run writes its own as settings.toml",
    )
