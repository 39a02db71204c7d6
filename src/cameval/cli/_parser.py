"""Command-line options and their help."""

import argparse
from collections.abc import Iterable, Sequence
from importlib.metadata import version

from cameval.cli._words import BASELINES, BINARIZERS, METHODS, METRICS, OF_THE_RUN

_DESCRIPTION = """\
Class activation maps of image classifiers, compared with ground-truth masks.

  cameval models                 list the networks, and whether their CAM is exact
  cameval evaluate --help        score the maps of a network on images with masks
  cameval report FOLDER          write the report of a finished run again
"""


_EVALUATE = """\
Score the maps of networks, and of baselines, on images with masks.

example:
  cameval evaluate --model resnet50 --weights DEFAULT --images photos --masks masks \\
      --labels labels.csv --method grad_cam hires_cam --binarizer percentile:95 otsu --out run

The command writes to the folder --out: results.csv (one row for each image, method, binarizer and
metric), summary.csv (means with intervals), report.html and figures/. To continue an interrupted
run, give the same command again. Several processes share the work:
  torchrun --nproc-per-node 2 -m cameval evaluate ...
"""


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the options; the name of the command is in ``command``."""
    parser = argparse.ArgumentParser(
        "cameval", description=_DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--version", action="version", version=f"cameval {version('cameval')}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    _add_evaluate(commands)
    _add_report(commands)
    _add_models(commands)
    return parser.parse_args(arguments)


def _add_evaluate(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "evaluate",
        help="score the maps of networks on images with masks",
        description=_EVALUATE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    network = parser.add_argument_group("the network")
    network.add_argument(
        "--model",
        nargs="+",
        required=True,
        metavar="NAME",
        help="one or more classifiers of torchvision; `cameval models` lists them",
    )
    network.add_argument(
        "--weights",
        nargs="+",
        default=["none"],
        metavar="W",
        help="DEFAULT (downloaded), none (untrained), a file of weights, or a folder with a file "
        "NAME.pth or NAME-*.pth; one for all models or one for each (none)",
    )
    network.add_argument(
        "--num-classes", type=int, metavar="N", help="number of classes of the weights"
    )
    network.add_argument(
        "--layer", metavar="NAME", help="compute the maps at this layer, such as layer3"
    )
    network.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1, mps (cpu)")

    data = parser.add_argument_group("the images, in one of five forms")
    data.add_argument(
        "--images", metavar="DIR", help="folder of images; goes with --masks or --coco"
    )
    data.add_argument("--masks", metavar="DIR", help="masks with the images' names")
    data.add_argument("--manifest", metavar="CSV", help="columns image, mask, name, label, group")
    data.add_argument("--coco", metavar="JSON", help="COCO-style boxes and polygons")
    data.add_argument("--figshare", metavar="DIR", help="brain-tumor slices (.mat) of figshare")
    data.add_argument(
        "--phantom", type=int, metavar="N", help="N synthetic slices, for a trial run"
    )
    data.add_argument(
        "--labels",
        metavar="CSV",
        help="for --images --masks: a table of the images' names, class indices and groups",
    )
    data.add_argument(
        "--name-column", default="name", metavar="C", help="column of --labels (name)"
    )
    data.add_argument(
        "--label-column", default="label", metavar="C", help="column of --labels (label)"
    )
    data.add_argument(
        "--group-column",
        metavar="C",
        help="column of --labels with groups, such as patients",
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

    what = parser.add_argument_group("what is scored (names may have settings: percentile:95)")
    _add_names(what, "--method", ["grad_cam"], METHODS)
    _add_names(what, "--binarizer", ["percentile:95", "otsu"], BINARIZERS)
    _add_names(what, "--metric", None, METRICS)
    _add_names(what, "--baseline", None, [*BASELINES, *OF_THE_RUN])
    what.add_argument(
        "--classes",
        nargs="+",
        default=["predicted"],
        choices=["predicted", "true"],
        help="target class of the maps: the predicted class, the true class, or both (predicted)",
    )

    what.add_argument(
        "--task",
        choices=["auto", "multiclass", "binary"],
        help="multiclass: one output for each class; binary: one or two outputs (auto)",
    )

    how = parser.add_argument_group("settings")
    how.add_argument(
        "--alignment",
        default="half_pixel",
        choices=["half_pixel", "receptive_field"],
        help="how maps are aligned with the image (half_pixel)",
    )
    how.add_argument(
        "--size", type=int, default=224, metavar="PX", help="side of the network's input (224)"
    )
    how.add_argument(
        "--crop",
        type=float,
        metavar="SHARE",
        help="keep the centered square with this share of the shorter side, such as .875",
    )
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

    output = parser.add_argument_group("output")
    output.add_argument("--out", required=True, metavar="DIR", help="folder of the run")
    output.add_argument("--parquet", action="store_true", help="also write results.parquet")
    output.add_argument("--no-report", action="store_true", help="write only the tables")


def _add_names(
    group: "argparse._ArgumentGroup",
    option: str,
    default: list[str] | None,
    known: Iterable[str],
) -> None:
    shown = "the default ones" if default is None else " ".join(default)
    group.add_argument(
        option,
        nargs="+",
        default=default,
        metavar="NAME",
        help=f"{', '.join(known)} ({shown})",
    )


def _add_report(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "report",
        help="write the report of a run again",
        description="Write report.html again from the results of `cameval evaluate`.",
    )
    parser.add_argument("folder", metavar="FOLDER", help="the --out of the run")
    parser.add_argument("--title", help="the report's title")


def _add_models(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "models",
        help="list the networks",
        description="List the classifiers of torchvision: the kind of the head, whether the class "
        "activation map is exact, the grid of the maps, and the positions of its cells.",
    )
    parser.add_argument("name", nargs="*", metavar="NAME", help="names of networks (all)")
    parser.add_argument(
        "--size", type=int, default=224, metavar="PX", help="side of the network's input (224)"
    )
