"""The slices: read from a folder, brought to one size, or generated as a phantom."""

import re
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset
from tqdm import tqdm

from cameval import Preparation, Sample
from cameval.data import FigshareDataset, Fold, cached, write_phantom
from study.networks import Candidate
from study.settings import Run, Settings


class Slices(Dataset[Sample]):
    """The slices of a folder; the group of a slice is its patient.

    They are packed into one file first, which is read many times faster than the folder.
    """

    def __init__(
        self, folder: Path, packed: Path, *, known_patients: bool = False, merge_ids: bool = True
    ) -> None:
        files = FigshareDataset(folder, merge_ids=merge_ids)
        self._samples = cached(files, packed)
        taken = [k for k, one in enumerate(files.groups) if not (known_patients and unknown(one))]
        self._taken = taken
        self.names = [files.names[k] for k in taken]
        self.class_names = files.class_names
        self.labels: NDArray[np.intp] = files.labels[taken]
        self.patients = np.array([files.groups[k] for k in taken])
        self.unknown_patients = sum(map(unknown, self.patients))
        published = folder / "cvind.mat"
        self.published_folds = files.folds(published)[taken] if published.exists() else None
        self._pictures: dict[tuple[int, float | None], tuple[Tensor, Tensor]] = {}

    def __len__(self) -> int:
        """Return the number of slices."""
        return len(self._taken)

    def __getitem__(self, index: int) -> Sample:
        """Read a slice."""
        return replace(self._samples[self._taken[index]], group=str(self.patients[index]))

    def pictures(self, size: int, crop: float | None) -> tuple[Tensor, Tensor]:
        """Read every slice once: images ``(N, S, S)`` in [0, 1], and masks, at an input size."""
        if (size, crop) not in self._pictures:
            square = (size, size)
            prepare = Preparation(size, crop, truth_size=square, mean=(0, 0, 0), std=(1, 1, 1))
            images = torch.empty(len(self), *square)
            masks = torch.empty(len(self), *square, dtype=torch.bool)
            for index in tqdm(range(len(self)), desc=f"reading slices, {size} px", unit="slice"):
                channels, masks[index] = prepare(self[index])
                images[index] = channels[0]
            self._pictures[size, crop] = images, masks
        return self._pictures[size, crop]


def unknown(patient: str) -> bool:
    """Tell whether an id is F1 to F5, the fold of a slice whose patient is not known."""
    return re.fullmatch("F[1-5]", patient) is not None


def make_phantom(folder: Path, slices: int, size: int, seed: int) -> None:
    """Write synthetic slices, whole or not at all."""
    part = folder.with_suffix(".part")
    shutil.rmtree(part, ignore_errors=True)  # of a run that was interrupted here
    write_phantom(part, slices=slices, patients=max(15, slices // 6), size=size, seed=seed)
    part.rename(folder)


@dataclass(frozen=True, eq=False)
class Study:
    """The settings of a study, where it runs, its slices and its folds."""

    settings: Settings
    run: Run
    slices: Slices
    folds: list[Fold]

    def file(self, candidate: Candidate, fold: Fold) -> Path:
        """Return the file of a trained network."""
        return self.checkpoints / f"{candidate.file}-fold{fold.number}.pth"

    @property
    def checkpoints(self) -> Path:
        """Where the trained networks are."""
        return self.run.checkpoints or self.run.out / "checkpoints"
