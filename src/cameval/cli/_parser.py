"""Command-line options and their help."""

import argparse
import sys
from collections.abc import Sequence
from typing import TypeAlias

import cameval
from cameval.cli._config import use_file
from cameval.cli._group_name import add_group_name
from cameval.cli._near_words import list_near_words
from cameval.cli._option_groups import (
    Parser,
    add_data,
    add_flag,
    add_maps,
    add_names,
    add_network,
    add_output,
    add_preparation,
    add_scores,
    add_settings,
    add_task,
)
from cameval.errors import SettingError

_DESCRIPTION = """\
Maps of image classifiers, compared with ground-truth masks.

  cameval map --help        draw the maps of a network on photos
  cameval models            list the networks, and whether their CAM is exact
  cameval evaluate --help   score the maps of a network on images with masks
  cameval score --help      score maps that were made elsewhere, without network
  cameval compare BASE NEW  test whether a run has worse scores than before
  cameval report FOLDER     write the report of a finished run again
"""

_EVALUATE = """\
Score the maps of networks, and of baselines, on images with masks.

example:
  cameval evaluate --model resnet50 --weights DEFAULT --images photos \\
      --masks masks --labels labels.csv --method grad_cam hires_cam \\
      --binarizer percentile:95 otsu --out run

The command writes to the folder --out: results.csv (one row for each image,
target, method, binarizer and metric), summary.csv (means with intervals),
report.html and report_files/, whose pictures are in report.html with
--report-single-file. To continue an interrupted run, give the same command
again. Several processes share the work:
  torchrun --nproc-per-node 2 -m cameval evaluate ...
"""

_SCORE = """\
Score maps that were made elsewhere, and baselines, on images with masks.

example:
  cameval score --maps theirs=maps ours=other_maps --images photos \\
      --masks masks --binarizer percentile:95 otsu --out run

A map is a file with the name of its image: .npy, .npz, .pt, or gray .png or
.tif; one for each image (NAME), or for each image and class (NAME_CLASS,
NAME/CLASS or CLASS/NAME, the class by index or by name). It may have any size.

The command writes to the folder --out: results.csv (one row for each image,
target, map, binarizer and metric), summary.csv (means with intervals),
report.html and report_files/; the pictures of report_files/ are in
report.html with --report-single-file. To continue an interrupted run, give
the same command again. Several processes share the work:
  torchrun --nproc-per-node 2 -m cameval score ...
"""

_COMPARE = """\
Test the difference of one score between two runs of the same images.

example:
  cameval compare main/results.csv run --metric iou --margin .02

BASE and NEW are folders of runs (--out), or files results.csv with their
results.json beside them, which holds the settings, the weights' hash and whether
more is better. Targets are paired by the name of their image and their label.
A note tells if both runs have the same weights. The exit code is 1 if NEW is
shown to be worse: if the whole 95 % interval of the difference, by group, is
worse than the margin; also if the mean fell by more than --largest-fall. It is 0
if not, which does not show that NEW is as good: with few images an interval is
wide. It is 2 after a mistake, also if the targets are not the same, or if the
mean fell in fewer than six groups, in which no test can show it.
"""

_MAP = """\
Draw the maps of a network on photos, without ground truth.

example:
  cameval map cat.jpg dog.jpg --model resnet18 --weights DEFAULT --out maps

For each photo the command writes NAME_map.png to the folder --out: the map over
the photo in gray, with a bar of its colors and its least and greatest value. It
prints a line for each photo: the predicted class, its probability, and the file.
"""

_Commands: TypeAlias = "argparse._SubParsersAction[Parser]"


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the options; the name of the command is in ``command``.

    Raises
    ------
    DataError
        If a file of settings cannot be read, or is not one.
    SettingError
        If an option, or a setting of a file, is not as it must be.
    """
    parser = Parser(
        "cameval", description=_DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--version", action="version", version=f"cameval {cameval.__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    with_settings = {"evaluate": _add_evaluate(commands), "score": _add_score(commands)}
    _add_map(commands)
    _add_compare(commands)
    _add_report(commands)
    _add_models(commands)
    words = list(sys.argv[1:] if arguments is None else arguments)
    command = with_settings.get(words[0]) if words else None
    if command is None:
        return _parse(parser, commands, words)
    path = _path_of_settings(words[1:])
    if path is not None:
        use_file(command, path)
    options = _parse(parser, commands, words)
    if options.config != path:
        raise SettingError("--config must be written in full, got an abbreviation")
    return options


def _parse(parser: Parser, commands: _Commands, words: Sequence[str]) -> argparse.Namespace:
    """Parse the words; near names are told of an option that the command does not have."""
    options, strange = parser.parse_known_args(words)
    if strange:
        command = commands.choices[options.command]
        known = [word for action in command._actions for word in action.option_strings]
        near = list_near_words(strange[0].partition("=")[0], known)
        hint = (
            f"near names: {near}" if strange[0].startswith("-") else "an option takes fewer words"
        )
        command.error(f"unrecognized arguments: {' '.join(strange)}; {hint}")
    return options


def _path_of_settings(words: Sequence[str]) -> str | None:
    """Return the file of settings, which is read before the other options are checked."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("--config")
    try:
        found: str | None = parser.parse_known_args(words)[0].config
    except argparse.ArgumentError:  # without a file, which the whole parser describes
        return None
    return found


def _add_evaluate(commands: _Commands) -> Parser:
    parser = _add_command(
        commands, "evaluate", "score the maps of networks on images with masks", _EVALUATE
    )
    add_network(parser, several=True)
    add_data(parser)

    what = parser.add_argument_group("what is scored (names may have settings: percentile:95)")
    add_names(what, "--method", ["grad_cam"])
    add_scores(what, with_network=True)
    what.add_argument(
        "--classes",
        nargs="+",
        metavar="CLASS",
        help="target class of the maps: predicted, true, or the index of a class; one or more "
        "(predicted; true with --task multilabel)",
    )
    add_task(what)

    maps = parser.add_argument_group("maps made elsewhere, scored beside those of the network")
    add_maps(maps, required=False)

    how = parser.add_argument_group("settings")
    add_preparation(how)
    how.add_argument(
        "--precision",
        default="exact",
        choices=["exact", "channels_last", "folded", "bfloat16"],
        help="how the network computes: as it is; with the channels last in memory; also with "
        "batch normalizations folded into convolutions; or in bfloat16 up to the features, where "
        "the device has units for it (exact)",
    )
    add_settings(how)
    _add_sanity(parser)
    add_output(parser)
    return parser


def _add_sanity(parser: argparse.ArgumentParser) -> None:
    checks = parser.add_argument_group("checks of the maps on some of the images")
    checks.add_argument(
        "--sanity",
        action="store_true",
        help="compare the maps with those of random weights, and measure insertion, deletion, ROAD "
        "and ADCC beside the scores; the progress bar states the passes through the network",
    )
    checks.add_argument(
        "--sanity-samples", type=int, metavar="N", help="number of images of the checks (24)"
    )
    checks.add_argument(
        "--checkpoints",
        nargs="+",
        metavar="FILE",
        help="weights of other trainings of the network, whose maps are compared with its maps; "
        "implies --sanity",
    )


def _add_score(commands: _Commands) -> Parser:
    parser = _add_command(commands, "score", "score maps that were made elsewhere", _SCORE)
    maps = parser.add_argument_group("the maps")
    add_maps(maps, required=True)
    maps.add_argument(
        "--predictions",
        metavar="CSV",
        help="what a classifier predicted: columns name, predicted and, if known, probability; or "
        "name, label and probability, where an image has several classes",
    )
    maps.add_argument(
        "--name", default="maps", help="name of the source of the maps in the tables (maps)"
    )
    add_data(parser)
    what = parser.add_argument_group("what is scored (names may have settings: percentile:95)")
    add_scores(what, with_network=False)
    add_settings(parser.add_argument_group("settings"))
    add_output(parser)
    return parser


def _add_map(commands: _Commands) -> None:
    parser = _add_command(commands, "map", "draw the maps of a network on photos", _MAP)
    parser.add_argument("photo", nargs="+", metavar="PHOTO", help="image files")
    add_network(parser, several=False)
    what = parser.add_argument_group("what is drawn")
    add_names(what, "--method", ["grad_cam"], nargs=1)
    what.add_argument(
        "--target-class",
        metavar="CLASS",
        help="index or name of the class of the maps (the predicted one of each photo)",
    )
    what.add_argument(
        "--class-names",
        metavar="FILE",
        help="names of the classes, one on each line, in the order of the network's outputs (those "
        "of ImageNet, for torchvision's networks with as many classes)",
    )
    add_task(what)
    settings = parser.add_argument_group("settings")
    add_preparation(settings)
    add_flag(
        settings,
        "--stretch-contrast",
        "scale each photo by its own minimum and maximum, as where 12 bits are in a file of 16",
    )
    output = parser.add_argument_group("output")
    output.add_argument(
        "--out", "--output", default="maps", metavar="DIR", help="folder of the pictures (maps)"
    )
    add_flag(output, "--npy", "also write the raw map, in the pixels of the photo, as NAME_map.npy")
    parser.set_defaults(maps=None, seed=0)


def _add_command(commands: _Commands, name: str, summary: str, description: str) -> Parser:
    return commands.add_parser(
        name,
        help=summary,
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def _add_compare(commands: _Commands) -> None:
    parser = _add_command(commands, "compare", "test whether scores fell between runs", _COMPARE)
    parser.add_argument("base", metavar="BASE", help="the run that was there before")
    parser.add_argument("new", metavar="NEW", help="the run that is tested")
    parser.add_argument("--metric", default="iou", metavar="NAME", help="the score (iou)")
    parser.add_argument(
        "--model", metavar="NAME", help="the model, where the runs have several; in both runs"
    )
    parser.add_argument("--method", metavar="NAME", help="the maps, where the runs have several")
    parser.add_argument(
        "--binarizer", metavar="NAME", help="the binarizer, where the runs have several"
    )
    parser.add_argument(
        "--target-class",
        metavar="CLASS",
        help="the target class of the maps, where the runs have several: a word of --classes of "
        "`cameval evaluate`",
    )
    parser.add_argument(
        "--margin",
        type=float,
        default=0.0,
        metavar="X",
        help="a fall that is accepted: the test must show a larger one, in units of the score (0)",
    )
    parser.add_argument(
        "--largest-fall",
        type=float,
        metavar="X",
        help="also fail if the mean itself fell by more than X, without a test; with it, runs of "
        "which too few groups differ for a test are no mistake",
    )
    parser.add_argument(
        "--allow-unpaired",
        action="store_true",
        help="leave out targets that have a score in one of the runs only, which are a mistake "
        "otherwise",
    )


def _add_report(commands: _Commands) -> None:
    parser = commands.add_parser(
        "report",
        help="write the report of a run again",
        description="Write report.html again from the results of `cameval evaluate` or `cameval "
        "score`.",
    )
    parser.add_argument("folder", metavar="FOLDER", help="the --out of the run")
    parser.add_argument("--title", help="the report's title")
    parser.add_argument(
        "--report-images",
        type=int,
        metavar="0",
        help="0 removes the pictures of the images from the folder, and the report is without them",
    )
    parser.add_argument(
        "--report-single-file",
        action="store_true",
        help="move the pictures of the folder report_files into report.html, of at most 100 "
        "images, so that the page can be sent alone; a page that has them keeps them",
    )
    add_group_name(parser)
    parser.add_argument(
        "--facts",
        metavar="FILE",
        help="a TOML or JSON file of what only the author knows, such as truth_drawn_by, for the "
        "section for reviewers",
    )


def _add_models(commands: _Commands) -> None:
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
