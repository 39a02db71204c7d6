"""The slices of the study: read, brought to one size, or made where there are none."""

import shutil
import string
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset
from tqdm import tqdm

from cameval import Preparation
from cameval.data import FigshareDataset, Sample, cached, write_phantom
from study.settings import Settings


@dataclass(frozen=True, eq=False)
class Pictures:
    """All slices as the network sees them, before normalization."""

    images: Tensor  # (N, S, S), in [0, 1]
    masks: Tensor  # (N, S, S), boolean


class Slices(Dataset[Sample]):
    """The slices in a folder, each with the person that it is of as its group.

    They are packed into one file first, which is read many times faster than the folder's own.
    """

    def __init__(self, folder: Path, packed: Path) -> None:
        files = FigshareDataset(folder)
        self._samples = cached(files, packed)
        self.names = files.names
        self.class_names = files.class_names
        self.labels: NDArray[np.intp] = files.labels
        self.patients = np.array([person(patient) for patient in files.groups])
        own = folder / "cvind.mat"
        self.published_folds = files.folds(own) if own.exists() else None
        self._pictures: dict[tuple[int, float | None], Pictures] = {}

    def __len__(self) -> int:
        """Return the number of slices."""
        return len(self._samples)

    def __getitem__(self, index: int) -> Sample:
        """Read a slice."""
        found = self._samples[index]
        return replace(found, group=person(found.group))

    def class_of(self, index: int) -> str:
        """Return the name of a slice's class."""
        return self.class_names[int(self.labels[index])]

    def pictures(self, size: int, crop: float | None) -> Pictures:
        """Read every slice once, at the network's input size."""
        if (size, crop) not in self._pictures:
            prepare = Preparation(
                size, crop, truth_size=(size, size), mean=(0, 0, 0), std=(1, 1, 1)
            )
            images = torch.empty(len(self), size, size)
            masks = torch.empty(len(self), size, size, dtype=torch.bool)
            bar = tqdm(range(len(self)), desc=f"reading slices, {size} px", unit="slice")
            for index in bar:
                channels, masks[index] = prepare(self[index])
                images[index] = channels[0]
            self._pictures[size, crop] = Pictures(images, masks)
        return self._pictures[size, crop]


def person(patient: str) -> str:
    """Return a patient id without its trailing letter: 049453 and 049453B may be one person."""
    return patient.rstrip(string.ascii_letters) or patient


def make_phantom(folder: Path, settings: Settings) -> None:
    """Write the phantom's slices, whole or not at all."""
    part = folder.with_suffix(".part")
    shutil.rmtree(part, ignore_errors=True)  # of a run that was interrupted here
    patients = max(15, settings.slices // 6)
    size, seed = settings.size, settings.seed
    write_phantom(part, slices=settings.slices, patients=patients, size=size, seed=seed)
    part.rename(folder)
