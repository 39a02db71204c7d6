"""The slices of the study: read, brought to one size, or painted where there are none."""

import dataclasses
import shutil
import string
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from study_settings import Settings
from torch import Tensor
from torch.nn.functional import interpolate
from tqdm import tqdm

from cameval.data import FigshareDataset, write_phantom


@dataclasses.dataclass(frozen=True, eq=False)
class Slices:
    """All slices at the network's input size."""

    names: list[str]
    images: Tensor  # (N, S, S), in [0, 1]
    masks: Tensor  # (N, S, S), boolean
    labels: Tensor  # (N,)
    patients: NDArray[np.str_]  # (N,), see `person`
    folds: NDArray[np.intp] | None  # the data set's own folds by patient, if it has them


def load_slices(folder: Path, size: int) -> Slices:
    """Read every slice; resize images bilinearly and masks to the nearest pixel."""
    dataset = FigshareDataset(folder)
    images, masks = [], []
    for sample in tqdm(dataset, desc="reading slices", unit="slice"):
        image = torch.from_numpy(sample.image)[None, None]
        mask = torch.from_numpy(sample.mask)[None, None]
        if image.shape[-2:] != (size, size):
            image = interpolate(image, (size, size), mode="bilinear", antialias=True).clamp(0, 1)
            mask = interpolate(mask.float(), (size, size), mode="nearest-exact") > 0
        images.append(image[0, 0])
        masks.append(mask[0, 0])
    own = folder / "cvind.mat"
    return Slices(
        list(dataset.names),
        torch.stack(images),
        torch.stack(masks),
        torch.from_numpy(dataset.labels).long(),
        np.array([person(patient) for patient in dataset.groups]),
        dataset.folds(own) if own.exists() else None,
    )


def person(patient: str) -> str:
    """Return a patient id without its trailing letter: 049453 and 049453B may be one person."""
    return patient.rstrip(string.ascii_letters) or patient


def paint(folder: Path, settings: Settings) -> None:
    """Write the phantom's slices, whole or not at all."""
    part = folder.with_suffix(".part")
    shutil.rmtree(part, ignore_errors=True)  # of a run that was interrupted here
    patients = max(15, settings.slices // 6)
    size, seed = settings.size, settings.seed
    write_phantom(part, slices=settings.slices, patients=patients, size=size, seed=seed)
    part.rename(folder)
