"""The study's settings, from the command line to the record that a resumed run must match."""

import argparse
import dataclasses
import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, get_args

import torch

from cameval.errors import CamevalError, SettingError
from cameval.extractor import Alignment
from study.augmentation import AUGMENTATIONS, Augmentation
from study.candidates import HEADS, OF_THE_PAPER, SINCE_THEN, SMALL, Candidate

Protocol = Literal["strict", "paper"]
FoldOrder = Literal["shuffled", "numeric", "lexicographic"]
ThresholdOn = Literal["upsampled", "coarse-values", "coarse-mask"]
TruthGrid = Literal["input", "native"]
Switches = Literal["maps", "all", "none"]

DESCRIPTION = (
    "Where a network looks that tells brain tumors apart, and how well that fits the tumors."
)
EXAMPLES = """\
examples:
  %(prog)s
      phantom slices and two small networks: a few minutes on two cores
  %(prog)s --download DIR
      fetch the figshare data into DIR, and study it
  %(prog)s --data DIR --protocol paper
      the paper's protocol: AlexNet, VGG-16 and VGG-19, fine-tuned from ImageNet's weights
  %(prog)s --data DIR --models resnet50 resnet50@448 vgg16:no-last-pool
      any network of torchvision's, other resolutions, other heads
  %(prog)s --data DIR --models mobilenet_v2 --pretrained weights/ --freeze
      weights at hand, and the linear layer alone is trained: minutes on a CPU
  torchrun --nproc-per-node 4 %(prog)s --data DIR --out OUT
      folds shared by four processes, each on a GPU of its own where there are four
"""


@dataclasses.dataclass(frozen=True)
class Settings:
    """What determines the result, and hence what a resumed run must share with the first."""

    protocol: Protocol
    data: str
    models: list[str]
    pretrained: str
    freeze: bool
    gain: list[float] | None
    folds: int
    epochs: int
    patience: int
    class_weights: Literal["balanced", "none"]
    augment: Augmentation
    mixed_precision: bool
    size: int
    crop: float | None
    alignment: Alignment
    fold_order: FoldOrder
    stratified: bool
    threshold_on: ThresholdOn
    inclusive: bool
    truth_grid: TruthGrid
    switches: Switches
    slices: int
    seed: int

    @property
    def candidates(self) -> list[Candidate]:
        """The networks that compete."""
        return [Candidate.parse(text) for text in self.models]

    @property
    def mining(self) -> tuple[float, float]:
        """Slope and threshold of GAIN's soft mask."""
        if self.gain is None:
            raise SettingError(
                "--gain OMEGA SIGMA must be given for models that are trained with +gain, got none"
            )
        return self.gain[0], self.gain[1]

    def trained_as(self, candidate: Candidate) -> Candidate:
        """Return a candidate with its size, so that those are equal that are one network."""
        return dataclasses.replace(candidate, size=self.size_of(candidate))

    def size_of(self, candidate: Candidate) -> int:
        """Return the height and width of a candidate's input."""
        return candidate.size or self.size


@dataclasses.dataclass(frozen=True)
class Run:
    """Where a study is written, where it is computed, and whether it goes on."""

    out: Path
    device: torch.device
    resume: bool
    download: Path | None


def parse(arguments: Sequence[str] | None) -> tuple[Settings, Run]:
    """Read the command line."""
    parser = _parser()
    given = vars(parser.parse_args(arguments))
    if given["resume"] and given["out"] is None:
        parser.error("--resume needs --out DIR, the study to go on with")
    if given["data"] and given["download"]:
        parser.error(
            "--data and --download must not both be given: the one fetches what the other has"
        )
    least = {"folds": 2, "epochs": 1, "slices": 30, "size": 32, "patience": 1}
    for name, bound in least.items():
        if given[name] is not None and given[name] < bound:
            parser.error(f"--{name} must be at least {bound}, got {given[name]}")
    if given["crop"] is not None and not 0 < given["crop"] <= 1:
        parser.error(f"--crop must be in (0, 1], got {given['crop']}")
    if given["protocol"] == "strict":
        if given["folds"] < 3:
            parser.error(
                "--folds must be at least 3 for a fold to train on, one to validate on and one to "
                f"test on, got {given['folds']}"
            )
        order = ("fold_order", "stratified")
        of_paper = (*order, "threshold_on", "inclusive", "truth_grid", "switches")
        for name in of_paper:
            if given[name] != parser.get_default(name):
                parser.error(
                    f"--{name.replace('_', '-')} must be given with --protocol paper, whose open "
                    "questions it answers; the strict protocol has its own"
                )
    device = _device(parser, given["device"])
    settings = _settings(given, device)
    try:
        _check_models(settings)
    except CamevalError as error:
        parser.error(f"--models: {error}")
    if len({settings.trained_as(one) for one in settings.candidates}) < len(settings.models):
        parser.error(f"--models must be different, got {' '.join(settings.models)}")
    now = datetime.now().astimezone().strftime("%Y-%m-%d-%H%M%S")
    out = given["out"] or Path("runs") / now
    return settings, Run(out, device, given["resume"], given["download"])


def _check_models(settings: Settings) -> None:
    for candidate in settings.candidates:
        if candidate.recipe == "gain":
            _ = settings.mining
        if settings.freeze and (candidate.recipe or candidate.head not in ("gap", "no-last-pool")):
            raise SettingError(
                f"recipes and heads of several layers must be trained whole, got {candidate} with "
                "--freeze"
            )


def _device(parser: argparse.ArgumentParser, name: str) -> torch.device:
    try:
        device = torch.device(name)
    except RuntimeError:
        parser.error(f"--device must be cpu, cuda, cuda:1, ..., got {name!r}")
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device.type == "cuda" and (device.index or 0) >= count:
        parser.error(f"--device must be one that is there, got {name!r} where CUDA has {count}")
    return device


def _settings(given: dict[str, Any], device: torch.device) -> Settings:
    """Fill in what depends on the rest."""
    if given["mixed_precision"] is None:
        given["mixed_precision"] = device.type == "cuda"
    given["data"] = given["data"] or given["download"]
    strict = given["protocol"] == "strict"
    if given["models"] is None:
        of_slices = SINCE_THEN if strict else OF_THE_PAPER
        given["models"] = list(of_slices if given["data"] else SMALL)
    given["size"] = given["size"] or (224 if given["data"] else 128)
    given["data"] = str(given["data"] or "phantom")
    given["class_weights"] = given["class_weights"] or ("balanced" if strict else "none")
    names = {field.name for field in dataclasses.fields(Settings)}
    return Settings(**{name: value for name, value in given.items() if name in names})


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add(
        "--protocol",
        choices=get_args(Protocol),
        default="strict",
        help="strict (the default): folds by patient, thresholds chosen on other patients; "
        "paper: folds by slice and the paper's networks and thresholds",
    )
    add("--data", metavar="DIR", help="folder of the figshare .mat files (default: a phantom)")
    add("--download", type=Path, metavar="DIR", help="fetch the figshare data into DIR first")
    add(
        "--models",
        nargs="+",
        metavar="MODEL",
        help=f"candidates, NETWORK[:HEAD][@SIZE][+RECIPE]: {', '.join(SMALL)}, or torchvision's "
        f"names (default: the small ones for the phantom; {', '.join(OF_THE_PAPER)} for the "
        f"paper; {', '.join(SINCE_THEN)}); heads: {', '.join(HEADS)}",
    )
    add(
        "--pretrained",
        default="imagenet",
        metavar="WHAT",
        help="where torchvision's networks start: imagenet (a download, the default), none, or a "
        "file or a folder of weights",
    )
    add("--freeze", action="store_true", help="train the linear layer alone, on frozen features")
    add(
        "--gain",
        nargs=2,
        type=float,
        metavar=("OMEGA", "SIGMA"),
        help="slope and threshold of the soft mask of attention mining (GAIN), such as 10 0.5, for "
        "models written +gain; compare them with +longer, which has as many passes without it",
    )
    add("--folds", type=int, default=5, metavar="K", help="folds of the cross-validation (5)")
    add("--epochs", type=int, default=8, metavar="N", help="most passes through the training (8)")
    add(
        "--patience",
        type=int,
        default=3,
        metavar="N",
        help="epochs of the second half without a better validation loss after which training "
        "stops (3)",
    )
    add(
        "--class-weights",
        choices=["balanced", "none"],
        help="weigh rare classes up in the loss (strict: balanced; paper: none)",
    )
    add(
        "--augment",
        choices=AUGMENTATIONS,
        default="mirror",
        help="how training slices are changed at random: mirrored left to right (the default); "
        "affine: also turned, shifted and scaled; none",
    )
    add(
        "--mixed-precision",
        action=argparse.BooleanOptionalAction,
        help="train in half precision where that is safe (default: on a GPU)",
    )
    add("--size", type=int, metavar="PX", help="input size (224; phantom: 128)")
    add("--crop", type=float, metavar="SHARE", help="keep the centered square of this side (all)")
    add(
        "--alignment",
        choices=get_args(Alignment),
        default="half_pixel",
        help="how maps are aligned with the slices: spread evenly over the frame (half_pixel, the "
        "default), or by the receptive fields (receptive_field)",
    )
    paper = parser.add_argument_group("what the paper leaves open (--protocol paper)")
    paper.add_argument(
        "--fold-order",
        choices=get_args(FoldOrder),
        default="shuffled",
        help="order in which slices are divided into folds: shuffled (the default), or unshuffled "
        "by the numbers or by the names of the files",
    )
    paper.add_argument(
        "--stratified",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="give each fold its share of every class (the default)",
    )
    paper.add_argument(
        "--threshold-on",
        choices=get_args(ThresholdOn),
        default="upsampled",
        help="where the threshold is taken: on the upsampled map (the default); on the coarse map, "
        "for the upsampled one; or on the coarse map, whose mask is then enlarged",
    )
    paper.add_argument(
        "--inclusive", action="store_true", help="a pixel at the threshold is in the mask"
    )
    paper.add_argument(
        "--truth-grid",
        choices=get_args(TruthGrid),
        default="input",
        help="grid of the IoU: the network's input (the default) or the slice's own pixels",
    )
    paper.add_argument(
        "--switches",
        choices=get_args(Switches),
        default="maps",
        help="what of this is varied, one at a time: what needs no training (maps, the default), "
        "all, or none",
    )
    add("--slices", type=int, default=400, metavar="N", help="slices of the phantom (400)")
    add("--seed", type=int, default=0, help="of folds, training and phantom (0)")
    add(
        "--device",
        default="cuda" if torch.cuda.is_available() else "cpu",
        help="where to compute: cpu, cuda, cuda:1, ...",
    )
    add("--out", type=Path, metavar="DIR", help="where to write (runs/DATE-TIME)")
    add("--resume", action="store_true", help="go on with the study in --out")
    return parser


def claim(run: Run, settings: Settings) -> None:
    """Make sure that no other study is overwritten, and that a resumed one is the same.

    Raises
    ------
    SettingError
        If the folder holds a study and is not to be resumed, or holds one with other settings.
    """
    kept = run.out / "settings.json"
    if not kept.exists():
        return
    if not run.resume:
        raise SettingError(
            f"--out must be new, got {run.out}, which holds a study; give --resume to go on with it"
        )
    now, before = dataclasses.asdict(settings), json.loads(kept.read_text())
    changed = {key: before.get(key) for key in now if before.get(key) != now[key]}
    if changed:
        raise SettingError(
            f"a resumed study must have the settings of {kept}, got others for "
            f"{', '.join(changed)}; they were {changed}"
        )
