"""Command-line options and their help."""

import argparse
from collections.abc import Iterable, Sequence
from importlib.metadata import version

from cameval.cli._words import BASELINES, BINARIZERS, METHODS, METRICS

_DESCRIPTION = """\
Where a CNN classifier looks, and how well that agrees with ground-truth masks.

  cameval models                 which networks there are, and whether their CAM is exact
  cameval evaluate --help        score where a network looks on images with masks
  cameval report FOLDER          make the report of a finished run again
"""


_EVALUATE = """\
Score where networks look on images with masks, beside what blind maps score.

example:
  cameval evaluate --model resnet50 --weights DEFAULT --images photos --masks masks \\
      --labels labels.csv --method grad_cam hires_cam --binarizer percentile:95 otsu --out run

The folder --out ends with results.csv (one row for each image, method, binarizer and metric),
summary.csv (means with intervals), report.html (open it in a browser) and figures/. A run that was
interrupted goes on when the same command is given again. Several processes share the work:
  torchrun --nproc-per-node 2 -m cameval evaluate ...
"""


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line; what it asks for is in ``command``."""
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
        help="score where networks look on images with masks",
        description=_EVALUATE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    network = parser.add_argument_group("the network")
    network.add_argument(
        "--model",
        nargs="+",
        required=True,
        metavar="NAME",
        help="one or more of torchvision's classifiers; `cameval models` lists them",
    )
    network.add_argument(
        "--weights",
        nargs="+",
        default=["none"],
        metavar="W",
        help="DEFAULT (a download), none (untrained), a file of weights, or a folder with a file "
        "NAME.pth or NAME-*.pth; one for all models or one for each (none)",
    )
    network.add_argument("--num-classes", type=int, metavar="N", help="classes of the weights")
    network.add_argument("--layer", metavar="NAME", help="explain at this layer, as layer3")
    network.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1, mps (cpu)")

    data = parser.add_argument_group("the images, in one of five forms")
    data.add_argument(
        "--images", metavar="DIR", help="folder of images; goes with --masks or --coco"
    )
    data.add_argument("--masks", metavar="DIR", help="masks with the images' names")
    data.add_argument("--manifest", metavar="CSV", help="columns image, mask, name, label, group")
    data.add_argument("--coco", metavar="JSON", help="COCO-style boxes and polygons")
    data.add_argument("--figshare", metavar="DIR", help="brain-tumor slices (.mat) of figshare")
    data.add_argument("--phantom", type=int, metavar="N", help="N painted slices, to try it out")
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
        help="column of --labels; what belongs together, as a patient",
    )
    data.add_argument(
        "--mask-orientation",
        choices=["stored", "upright"],
        help="whether masks are of photographs as their files store them or of the upright ones, "
        "where a camera noted an orientation (their size tells, or else as stored)",
    )
    data.add_argument(
        "--names", metavar="FILE", help="evaluate only the images named here, one on a line"
    )
    data.add_argument(
        "--cache", metavar="FILE", help="keep the decoded images in this HDF5 file and read that"
    )

    what = parser.add_argument_group("what is scored (a name may have settings: percentile:95)")
    _add_names(what, "--method", ["grad_cam"], METHODS)
    _add_names(what, "--binarizer", ["percentile:95", "otsu"], BINARIZERS)
    _add_names(what, "--metric", None, METRICS)
    _add_names(what, "--baseline", None, [*BASELINES, "mean_mask", "untrained"])
    what.add_argument(
        "--classes",
        nargs="+",
        default=["predicted"],
        choices=["predicted", "true"],
        help="explain the predicted class, the true one, or both (predicted)",
    )

    what.add_argument(
        "--task",
        choices=["auto", "multiclass", "binary"],
        help="what the outputs are: scores of several classes, or one score of yes or no (auto)",
    )

    how = parser.add_argument_group("how")
    how.add_argument(
        "--alignment",
        default="half_pixel",
        choices=["half_pixel", "receptive_field"],
        help="how maps are laid on the image (half_pixel)",
    )
    how.add_argument("--size", type=int, default=224, metavar="PX", help="input side (224)")
    how.add_argument(
        "--crop", type=float, metavar="SHARE", help="keep this share of the shorter side, as .875"
    )
    how.add_argument("--batch-size", type=int, default=16, metavar="N", help="images at once (16)")
    how.add_argument("--workers", type=int, default=0, metavar="N", help="reading processes (0)")
    how.add_argument(
        "--threads",
        type=int,
        metavar="N",
        help="threads of each process (torch's default: all cores, one under torchrun); the last "
        "digits of a score depend on it, so give it where tables shall agree to the bit",
    )
    how.add_argument("--seed", type=int, default=0, metavar="N", help="seed of all chance (0)")

    output = parser.add_argument_group("where it goes")
    output.add_argument("--out", required=True, metavar="DIR", help="folder of the run")
    output.add_argument("--parquet", action="store_true", help="write results.parquet too")
    output.add_argument("--no-report", action="store_true", help="write the tables alone")


def _add_names(
    group: "argparse._ArgumentGroup",
    option: str,
    default: list[str] | None,
    known: Iterable[str],
) -> None:
    shown = "the default set" if default is None else " ".join(default)
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
        help="make the report of a run again",
        description="Make report.html and figures/ of what `cameval evaluate` has written.",
    )
    parser.add_argument("folder", metavar="FOLDER", help="the --out of the run")
    parser.add_argument("--title", help="the report's title")


def _add_models(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "models",
        help="list the networks, and what can be seen of each",
        description="Every classifier of torchvision: the kind of its head, the grid of its maps, "
        "whether its class activation map is exact, and where the grid's cells lie in the image.",
    )
    parser.add_argument("name", nargs="*", metavar="NAME", help="only these")
    parser.add_argument("--size", type=int, default=224, metavar="PX", help="input side (224)")
