"""Maps of a network that has learned nothing, made once for each slice."""

from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor

from cameval import CAMExtractor
from cameval.baselines import Knowledge
from cameval.maps import upsample
from cameval.protocols import BaselineInput
from cameval.target_classes import all_classes
from study.candidates import Candidate, class_map


@dataclass(frozen=True, eq=False, repr=False)
class Untrained:
    """The maps of a candidate before its training: what its architecture alone shows.

    It is the same network in every fold, so that each slice passes it once, whichever fold and
    whichever class asks; what is kept of a slice are its coarse maps of all classes.
    """

    knows: ClassVar[Knowledge] = "image"

    candidate: Candidate
    seed: int
    num_classes: int
    device: torch.device
    kept: dict[str, Tensor] = field(default_factory=dict)

    def __call__(self, batch: BaselineInput, /) -> Tensor:
        """Return maps ``(N, H, W)`` of the class that each map of the batch explains."""
        names = [sample.name for sample in batch.samples]
        new = [k for k, name in enumerate(names) if name not in self.kept]
        if new:
            coarse = CAMExtractor(self.network(), class_map)(batch.images[new], all_classes).coarse
            self.kept.update(zip([names[k] for k in new], coarse.cpu(), strict=True))
        chosen = torch.stack(
            [self.kept[name][k] for name, k in zip(names, batch.classes.tolist(), strict=True)]
        )
        return upsample(
            chosen.to(self.device),
            tuple(batch.truth.shape[1:]),
            cell_centers=batch.cell_centers,
            image_size=tuple(batch.images.shape[2:]),
        )

    def network(self) -> torch.nn.Module:
        """Return the network with the weights that chance gave it."""
        with torch.random.fork_rng([]):
            torch.manual_seed(self.seed)
            return self.candidate.build("none", self.num_classes).eval().to(self.device)

    def __reduce__(self) -> tuple[Any, ...]:
        """Leave out the maps of the slices that were seen: they are made again when needed."""
        return type(self), (self.candidate, self.seed, self.num_classes, self.device)

    def __repr__(self) -> str:
        return f"untrained {self.candidate.trunk}, seed {self.seed}"
