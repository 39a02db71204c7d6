"""The settings of a study: read from the command line, checked, and kept beside the results."""

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, get_args

import torch

from cameval.errors import CamevalError, SettingError
from study.networks import HEADS, OF_THE_PAPER, SINCE_THEN, SMALL, Candidate

Alignment = Literal["half_pixel", "receptive_field"]
Augmentation = Literal["none", "mirror", "affine"]
FoldOrder = Literal["shuffled", "numeric", "lexicographic"]
ThresholdOn = Literal["upsampled", "coarse-values", "coarse-mask"]

QUESTIONS = {  # what the paper leaves open, by the name of the switch
    "threshold-on": "where the threshold is taken",
    "inclusive": "which pixels are in the mask",
    "truth-grid": "grid of the IoU",
    "alignment": "how the map is aligned with the slice",
    "crop": "crop",
    "fold-order": "order of the slices in the folds",
    "stratified": "classes in the folds",
    "head": "head",
    "epochs": "epochs",
    "learning-rate": "highest learning rate",
    "layers": "layers that train",
    "training-seed": "seed of the training",
}
OF_MAPS = ("threshold-on", "inclusive", "truth-grid", "alignment")  # they need no training
OF_TRAINING = (  # what a trained network depends on, beside its name, its start and its folds
    *("freeze", "freeze_until", "keep", "gain", "epochs", "learning_rate", "patience"),
    *("class_weights", "augment", "mixed_precision", "size", "crop", "seed"),
)

DESCRIPTION = "Where networks look that classify brain tumors, and how well it fits the tumors."
EXAMPLES = """\
examples:
  %(prog)s                       phantom slices, two small networks: minutes
  %(prog)s --download DIR        fetch the figshare data, and study them
  %(prog)s --data DIR --protocol paper
  %(prog)s --data DIR --models resnet50 resnet50@448 vgg16:no-last-pool
  %(prog)s --data DIR --models mobilenet_v2 --pretrained weights/ --freeze
  torchrun --nproc-per-node 4 %(prog)s --data DIR --out OUT
"""
OF_PAPER = ("fold_order", "stratified", "threshold_on", "inclusive", "truth_grid", "switches")


@dataclass(frozen=True)
class Settings:
    """What determines the result, and hence what a resumed study must share with the first run."""

    protocol: Literal["strict", "paper"]
    data: str
    known_patients: bool
    merge_ids: bool
    models: list[str]
    pretrained: str
    freeze: bool
    freeze_until: str | None
    keep: Literal["float16", "float32", "none"]
    gain: list[float] | None
    folds: int
    epochs: int
    learning_rate: float | None
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
    truth_grid: Literal["input", "native"]
    switches: list[str]
    slices: int
    seed: int

    @property
    def candidates(self) -> list[Candidate]:
        """The networks that compete."""
        return [Candidate.parse(text) for text in self.models]

    def size_of(self, candidate: Candidate) -> int:
        """Return the height and width of a candidate's input."""
        return candidate.size or self.size

    def is_pretrained(self, candidate: Candidate) -> bool:
        """Tell whether a candidate starts from weights."""
        return candidate.network not in SMALL and self.pretrained != "none"

    def rate_of(self, candidate: Candidate) -> float:
        """Return the highest learning rate of a candidate."""
        return self.learning_rate or (3e-4 if self.is_pretrained(candidate) else 3e-3)

    def epochs_of(self, candidate: Candidate) -> int:
        """Return the most epochs of a candidate; ``longer`` has as many passes as ``gain``."""
        return self.epochs * (2 if candidate.recipe == "longer" else 1)


@dataclass(frozen=True)
class Run:
    """Where a study is written and computed, and whether it is resumed."""

    out: Path
    device: torch.device
    resume: bool
    download: Path | None
    features: Path | None = None
    checkpoints: Path | None = None

    @property
    def kept_outputs(self) -> Path:
        """Where outputs of frozen layers are kept."""
        return self.features or self.out / "features"


def parse(arguments: Sequence[str] | None) -> tuple[Settings, Run]:
    """Read the command line."""
    parser = _parser()
    given = vars(parser.parse_args(arguments))
    try:
        given["device"] = torch.device(given["device"])
        settings = _settings(given)
        _check(given, settings)
        for name in OF_PAPER:
            if settings.protocol == "strict" and given[name] != parser.get_default(name):
                option = name.replace("_", "-")
                raise SettingError(f"--{option} must be given with --protocol paper, got strict")
    except (CamevalError, RuntimeError) as error:  # the latter of torch.device
        parser.error(str(error))
    now = datetime.now().astimezone().strftime("%Y-%m-%d-%H%M%S")
    out = given["out"] or Path("runs") / now
    places = given["download"], given["features"], given["checkpoints"]
    return settings, Run(out, given["device"], given["resume"], *places)


def _parser() -> argparse.ArgumentParser:
    style, either = argparse.RawDescriptionHelpFormatter, argparse.BooleanOptionalAction
    parser = argparse.ArgumentParser(
        usage="%(prog)s [options]", description=DESCRIPTION, epilog=EXAMPLES, formatter_class=style
    )
    add = parser.add_argument
    text = "strict (default): folds by patient, thresholds chosen on others; paper: as the paper"
    add("--protocol", choices=["strict", "paper"], default="strict", help=text)
    either_of = parser.add_mutually_exclusive_group().add_argument
    either_of("--data", metavar="DIR", help="folder of the figshare .mat files (default: phantom)")
    either_of("--download", type=Path, metavar="DIR", help="fetch the figshare data into DIR first")
    text = "leave out slices with an id F1 to F5, a fold"
    add("--known-patients", action="store_true", help=text)
    text = "ids that differ in a trailing letter are one patient (default)"
    add("--merge-ids", action=either, default=True, help=text)
    text = f"NETWORK[:HEAD][@SIZE][+RECIPE]: {', '.join(SMALL)}, or a name of torchvision's; "
    text += f"heads: {', '.join(HEADS)}; recipes: gain, longer (default: the small ones for the "
    text += f"phantom; paper: {', '.join(OF_THE_PAPER)}; strict: {', '.join(SINCE_THEN)})"
    add("--models", nargs="+", metavar="MODEL", help=text)
    text = "imagenet (a download, the default), none, or a file or folder of weights"
    add("--pretrained", default="imagenet", metavar="WHAT", help=text)
    add("--freeze", action="store_true", help="train a linear layer on frozen features")
    text = "freeze features up to this layer, or block1, block2, ..., and keep their outputs"
    add("--freeze-until", metavar="LAYER", help=text)
    text = "type of kept outputs (float16)"
    add("--keep", choices=["float16", "float32", "none"], default="float16", help=text)
    text = "where they are kept (OUT/features)"
    add("--features", type=Path, metavar="DIR", help=text)
    pair, text = ("OMEGA", "SIGMA"), "slope and threshold of the mask of attention mining (+gain)"
    add("--gain", nargs=2, type=float, metavar=pair, help=text)
    add("--folds", type=int, default=5, metavar="K", help="folds of the cross-validation (5)")
    add("--epochs", type=int, default=8, metavar="N", help="most passes through the training (8)")
    text = "highest learning rate (3e-4; without pretraining 3e-3)"
    add("--learning-rate", type=float, metavar="RATE", help=text)
    text = "late epochs without a better validation loss before training stops (3)"
    add("--patience", type=int, default=3, metavar="N", help=text)
    text = "weights in the loss (strict: balanced; paper: none)"
    add("--class-weights", choices=["balanced", "none"], help=text)
    add(
        "--augment",
        choices=get_args(Augmentation),
        default="mirror",
        help="random changes of training slices",
    )
    add("--mixed-precision", action=either, help="half precision where safe (on a GPU)")
    add("--size", type=int, metavar="PX", help="input size (224; phantom: 128)")
    add("--crop", type=float, metavar="SHARE", help="keep the centered square of this side (all)")
    text = "how maps are aligned with the slices (half_pixel)"
    add("--alignment", choices=get_args(Alignment), default="half_pixel", help=text)
    add("--slices", type=int, default=400, metavar="N", help="slices of the phantom (400)")
    add("--seed", type=int, default=0, help="of folds, training and phantom (0)")
    device, text = "cuda" if torch.cuda.is_available() else "cpu", "cpu, cuda, cuda:1, ..."
    add("--device", default=device, metavar="DEVICE", help=text)
    add("--out", type=Path, metavar="DIR", help="where to write (runs/DATE-TIME)")
    text = "trained networks of another study (OUT/checkpoints)"
    add("--checkpoints", type=Path, metavar="DIR", help=text)
    add("--resume", action="store_true", help="continue the study in --out")

    add = parser.add_argument_group("what the paper leaves open (--protocol paper)").add_argument
    text = "order of the slices before they are divided (shuffled)"
    add("--fold-order", choices=get_args(FoldOrder), default="shuffled", help=text)
    add("--stratified", action=either, default=True, help="classes in equal shares (default)")
    text = "map that the threshold is computed from (upsampled)"
    add("--threshold-on", choices=get_args(ThresholdOn), default="upsampled", help=text)
    add("--inclusive", action="store_true", help="a pixel at the threshold is in the mask")
    text = "grid of the IoU: the network's input, or the pixels of the slice (input)"
    add("--truth-grid", choices=["input", "native"], default="input", help=text)
    text = f"what is varied: {', '.join(QUESTIONS)}; maps (what needs no training), all, or none"
    several = ["maps", "all", "none", *QUESTIONS]
    add("--switches", nargs="+", choices=several, default=["maps"], metavar="QUESTION", help=text)
    return parser


def _settings(given: dict[str, Any]) -> Settings:
    """Fill in what depends on other settings."""
    strict, data = given["protocol"] == "strict", given["data"] or given["download"]
    of_slices = SINCE_THEN if strict else OF_THE_PAPER
    chosen = given | {"data": str(data or "phantom")}
    chosen["models"] = given["models"] or list(of_slices if data else SMALL)
    chosen["size"] = (224 if data else 128) if given["size"] is None else given["size"]
    chosen["class_weights"] = given["class_weights"] or ("balanced" if strict else "none")
    chosen["switches"] = _questions(given["switches"])
    if given["mixed_precision"] is None:
        chosen["mixed_precision"] = given["device"].type == "cuda"
    return Settings(**{field.name: chosen[field.name] for field in fields(Settings)})


def _questions(given: Sequence[str]) -> list[str]:
    """Return the questions that are varied, in their order."""
    if "none" in given and len(given) > 1:
        raise SettingError(f"--switches must be none or others, got {' '.join(given)}")
    wide = {"all": list(QUESTIONS), "maps": list(OF_MAPS)}
    asked = {question for one in given for question in wide.get(one, [one])}
    return [question for question in QUESTIONS if question in asked]


def _check(given: dict[str, Any], settings: Settings) -> None:
    if given["resume"] and given["out"] is None:
        raise SettingError("--resume needs --out DIR, the study to continue")
    folds = 3 if settings.protocol == "strict" else 2  # to train on, to validate on, to test on
    least = {"folds": folds, "epochs": 1, "slices": 30, "size": 32, "patience": 1}
    for name, bound in least.items():
        if getattr(settings, name) < bound:
            raise SettingError(f"--{name} must be at least {bound}, got {getattr(settings, name)}")
    if settings.crop is not None and not 0 < settings.crop <= 1:
        raise SettingError(f"--crop must be in (0, 1], got {settings.crop}")
    device, candidates = given["device"], settings.candidates
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise SettingError(f"--device must exist, got {device}")
    if settings.learning_rate is not None and not 0 < settings.learning_rate < 1:
        raise SettingError(f"--learning-rate must be in (0, 1), got {settings.learning_rate}")
    for one in candidates:
        if settings.freeze_until is not None:
            _check_frozen(one, settings)
        if one.recipe == "gain" and settings.gain is None:
            raise SettingError(f"--gain OMEGA SIGMA must be given for {one}, got none")
        if settings.freeze and (one.recipe or one.head not in ("gap", "no-last-pool")):
            raise SettingError(f"{one} must be trained whole, got --freeze: take the head gap")
    if len({replace(one, size=settings.size_of(one)) for one in candidates}) < len(candidates):
        raise SettingError(f"--models must be different, got {' '.join(settings.models)}")


def _check_frozen(candidate: Candidate, settings: Settings) -> None:
    """Check that layers of a network can be frozen from the start."""
    if not settings.is_pretrained(candidate):
        raise SettingError(
            f"--freeze-until must be used with networks that have weights, got {candidate} "
            "without; give --pretrained"
        )
    if candidate.recipe == "gain":
        raise SettingError(
            f"--freeze-until must be used without attention mining, whose gradient passes all "
            f"layers, got {candidate}"
        )
    if settings.augment == "affine" and settings.keep != "none":
        raise SettingError(
            "--augment must be mirror or none where outputs are kept, got affine; give --keep none"
        )


# --- What a resumed study is compared with --------------------------------------------------------


def check_kept(file: Path, now: dict[str, Any], *, resume: bool) -> None:
    """Refuse another study, or one that is not to be resumed: the result would be a mixture."""
    if not file.exists():
        return
    if not resume:
        raise SettingError(
            f"--out must be new, got {file.parent}, which holds a study; give --resume to continue"
        )
    before = json.loads(file.read_text())
    for name, value in now.items():
        if before.get(name) != value:
            raise SettingError(
                f"a resumed study must have the {name} of {file}, {str(before.get(name))[:60]}, "
                f"got {str(value)[:60]}; start again with another --out"
            )
