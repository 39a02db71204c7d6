"""The study's settings, from the command line to the record that a resumed run must match."""

import argparse
import dataclasses
import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import get_args

import numpy as np
import torch
from numpy.typing import NDArray
from training import SMALL

from cameval.errors import DataError, SettingError
from cameval.extractor import Alignment

DESCRIPTION = (
    "Where a network looks that tells brain tumors apart, and how well that fits the tumors."
)
EXAMPLES = """\
examples:
  %(prog)s
      phantom slices and two small networks: a few minutes on two cores
  %(prog)s --data DIR --models vgg19 alexnet
      the figshare .mat files in DIR, fine-tuning from ImageNet's weights (downloaded)
  %(prog)s --data DIR --models mobilenet_v2 --pretrained weights/ --freeze
      the same with weights at hand, training the linear layer alone: minutes on a CPU
"""


@dataclasses.dataclass(frozen=True)
class Settings:
    """What determines the result, and hence what a resumed run must share with the first."""

    data: str
    models: list[str]
    folds: int
    split: str
    pretrained: str
    freeze: bool
    epochs: int
    size: int
    alignment: Alignment
    slices: int
    seed: int


def parse(arguments: Sequence[str] | None) -> tuple[Settings, Path, torch.device, bool]:
    """Read the command line: settings, where to write, where to compute, whether to resume."""
    parser = argparse.ArgumentParser(
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--data", metavar="DIR", help="folder of the figshare .mat files (default: a phantom)")
    add(
        "--models",
        nargs="+",
        metavar="NAME",
        default=list(SMALL),
        help=f"candidates: {', '.join(SMALL)} (the default), or torchvision's names",
    )
    add("--folds", type=int, default=5, metavar="K", help="folds of the cross-validation (5)")
    add(
        "--split",
        choices=["patient", "slice", "file"],
        default="patient",
        help="what stays together in a fold: patients (the default); nothing, as in the paper "
        "(slice); neighbors in file order (file). The last two test on patients trained on",
    )
    add(
        "--pretrained",
        default="imagenet",
        metavar="WHAT",
        help="where torchvision's networks start: imagenet (a download, the default), none, or a "
        "file or a folder of weights",
    )
    add("--freeze", action="store_true", help="train the linear layer alone, on frozen features")
    add("--epochs", type=int, default=8, metavar="N", help="passes through the training folds (8)")
    add("--size", type=int, metavar="PX", help="input size (224; phantom: 128)")
    add(
        "--alignment",
        choices=get_args(Alignment),
        default="half_pixel",
        help="how maps are laid on the slices: evenly, as in the paper (half_pixel, the default), "
        "or where the receptive fields are (receptive_field)",
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
    given = vars(parser.parse_args(arguments))
    if given["resume"] and given["out"] is None:
        parser.error("--resume needs --out DIR, the study to go on with")
    for name, least in {"folds": 2, "epochs": 1, "slices": 30, "size": 32}.items():
        if given[name] is not None and given[name] < least:
            parser.error(f"--{name} must be at least {least}, got {given[name]}")
    given["size"] = given["size"] or (224 if given["data"] else 128)
    given["data"] = given["data"] or "phantom"
    names = {field.name for field in dataclasses.fields(Settings)}
    settings = Settings(**{name: value for name, value in given.items() if name in names})
    now = datetime.now().astimezone().strftime("%Y-%m-%d-%H%M%S")
    out = given["out"] or Path("runs") / now
    return settings, out, torch.device(given["device"]), given["resume"]


def claim(out: Path, settings: Settings, resume: bool) -> None:
    """Make sure that no other study is overwritten, and that a resumed one is the same.

    Raises
    ------
    SettingError
        If `out` holds a study and is not to be resumed, or holds one with other settings.
    """
    kept = out / "settings.json"
    if not kept.exists():
        return
    if not resume:
        raise SettingError(
            f"--out must be new, got {out}, which holds a study; give --resume to go on with it"
        )
    now, before = dataclasses.asdict(settings), json.loads(kept.read_text())
    changed = {key: before.get(key) for key in now if before.get(key) != now[key]}
    if changed:
        raise SettingError(
            f"a resumed study must have the settings of {kept}, got others for "
            f"{', '.join(changed)}; they were {changed}"
        )


def record(out: Path, settings: Settings, names: list[str], folds: NDArray[np.intp]) -> None:
    """Keep the settings and the fold of every slice, once all that they need is there.

    Raises
    ------
    DataError
        If the study that is resumed had other slices or folds: what its networks were trained on
        would be tested.
    """
    out.mkdir(parents=True, exist_ok=True)
    assigned = dict(zip(names, folds.tolist(), strict=True))
    kept = out / "folds.json"
    if kept.exists() and json.loads(kept.read_text()) != assigned:
        raise DataError(
            f"a resumed study must have the slices and folds of {kept}, got others; has the data "
            "changed? Start anew with another --out"
        )
    kept.write_text(json.dumps(assigned) + "\n")
    (out / "settings.json").write_text(json.dumps(dataclasses.asdict(settings), indent=2) + "\n")
