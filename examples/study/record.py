"""What is kept of a study so that it can only go on as what it was."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import torch

from cameval.errors import DataError
from study.folds import Split
from study.settings import Settings
from study.slices import Slices


def record(
    out: Path,
    settings: Settings,
    slices: Slices,
    splits: list[Split],
    starts: dict[str, str],
    device: torch.device,
) -> None:
    """Keep settings, the fold of every slice, and what the networks start from and are trained by.

    That is hashes of the weights, and what decides how numbers are rounded: kind of device, number
    of threads, version of torch.

    Raises
    ------
    DataError
        If the study that is resumed had other slices or folds: what its networks were trained on
        would be tested. Or if it started from other weights, or was computed otherwise: its
        networks would be a mixture.
    """
    out.mkdir(parents=True, exist_ok=True)
    began = {
        "weights": starts,
        "device": device.type,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }
    started = out / "starts.json"
    if started.exists():
        _check_start(started, began)
    started.write_text(json.dumps(began, indent=2) + "\n")
    folds = {slices.names[i]: split.fold for split in splits for i in split.test.tolist()}
    kept = out / "folds.json"
    if kept.exists() and json.loads(kept.read_text()) != folds:
        raise DataError(
            f"a resumed study must have the slices and folds of {kept}, got others; has the data "
            "changed? Start again with another --out"
        )
    kept.write_text(json.dumps(folds) + "\n")
    (out / "settings.json").write_text(json.dumps(dataclasses.asdict(settings), indent=2) + "\n")


def _check_start(started: Path, now: dict[str, Any]) -> None:
    before = json.loads(started.read_text())
    if before.get("weights") != now["weights"]:
        raise DataError(
            f"a resumed study must start from the weights of {started}, got others; have the files "
            "of --pretrained changed? Start again with another --out"
        )
    ways_out = {
        "device": "give --device",
        "threads": "set OMP_NUM_THREADS (torchrun sets it to 1)",
        "torch": "install that version",
    }
    for name, way_out in ways_out.items():
        if before.get(name) != now[name]:
            raise DataError(
                f"a resumed study must be computed as it began, to end with the same numbers: "
                f"{name} was {before.get(name)}, got {now[name]}; {way_out}, or start again with "
                "another --out"
            )
