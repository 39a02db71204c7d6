"""What the paper leaves open, varied one at a time, and how much it moves the result."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from cameval import CAMExtractor, CAMModel, CAMResult, Preparation, coverage, iou
from cameval.baselines import area_bound
from study.candidates import Candidate, Head, class_map, ends_in_linear_layers
from study.folds import Indices
from study.looking import PAPER_BINARIZERS
from study.settings import Settings
from study.slices import Slices

BATCH = 32
TRAINED = ("crop", "fold_order", "stratified")
"""Settings of which another answer needs other networks."""


@dataclass(frozen=True)
class Variation:
    """One answer to one open question.

    Parameters
    ----------
    question, answer
        In words.
    changes
        Settings that differ from the study's.
    head
        Another head of the network.
    trains
        Whether a network has to be trained again.
    """

    question: str
    answer: str
    changes: tuple[tuple[str, Any], ...] = ()
    head: Head | None = None
    trains: bool = False

    def of(self, settings: Settings) -> Settings:
        """Return the study's settings with the changes."""
        return replace(settings, **dict(self.changes))


def variations(settings: Settings, best: Candidate) -> Iterator[Variation]:
    """Yield the study as it is, and then every other answer to every open question."""
    yield Variation("as run", "")
    if settings.switches == "none":
        return
    answers: dict[str, dict[str, Any]] = {
        "threshold_on": {
            "on the upsampled map": "upsampled",
            "on the coarse map's values": "coarse-values",
            "on the coarse map, mask enlarged": "coarse-mask",
        },
        "inclusive": {"above the threshold": False, "at the threshold too": True},
        "truth_grid": {"the network's input": "input", "the slice's own pixels": "native"},
        "alignment": {"evenly, half-pixel": "half_pixel", "by receptive fields": "receptive_field"},
    }
    questions = {
        "threshold_on": "where the threshold is taken",
        "inclusive": "which pixels are in the mask",
        "truth_grid": "grid of the IoU",
        "alignment": "how the map is aligned with the slice",
        "crop": "crop",
        "fold_order": "order of the slices in the folds",
        "stratified": "classes in the folds",
    }
    if settings.switches == "all":
        answers["crop"] = {"the whole frame": None, "center, 7/8 of the side": 0.875}
        answers["fold_order"] = {
            "shuffled": "shuffled",
            "by number": "numeric",
            "by name": "lexicographic",
        }
        answers["stratified"] = {"each in its share": True, "as the order has them": False}
    for name, several in answers.items():
        for answer, value in several.items():
            if value != getattr(settings, name):
                trains = name in TRAINED
                yield Variation(questions[name], answer, ((name, value),), trains=trains)
    if settings.switches == "all":
        for head, answer in _heads(settings, best).items():
            if head != best.head:
                yield Variation("head", answer, head=head, trains=True)


def _heads(settings: Settings, best: Candidate) -> dict[Head, str]:
    several: dict[Head, str] = {"gap": "pooling, one linear layer"}
    if settings.freeze:
        return several
    several["dropout"] = "dropout before the linear layer"
    if ends_in_linear_layers(best.network):
        several |= {
            "mlp": "three linear layers (Grad-CAM)",
            "conv": "last pooling out, a convolution in",
            "no-last-pool": "last pooling out",
        }
    return several


def paper_scores(
    model: CAMModel, slices: Slices, test: Indices, size: int, settings: Settings
) -> pd.DataFrame:
    """Score the masks of one network: one row for each slice and threshold."""
    device = next(model.parameters()).device
    extract = CAMExtractor(model, class_map, settings.alignment)
    grid = (size, size) if settings.truth_grid == "input" else None
    prepare = Preparation(size, settings.crop, truth_size=grid)
    rows = []
    for one in torch.from_numpy(test).split(
        BATCH if grid else 1
    ):  # own pixels may differ in number
        at = one.tolist()
        samples = [slices[index] for index in at]
        images, truths = zip(*map(prepare, samples), strict=True)
        truth = torch.stack(truths).to(device)
        result = extract(torch.stack(images).to(device), size=tuple(truth.shape[1:]))
        for name in PAPER_BINARIZERS:
            masks = paper_masks(result, name, settings)
            scores = {
                "iou": iou(masks, truth),
                "coverage": coverage(masks, truth),
                "area_bound": area_bound(masks, truth),
                "mask_area": masks.float().mean((1, 2)),
            }
            about = {
                "slice": [sample.name for sample in samples],
                "patient": [sample.group for sample in samples],
                "label": [slices.class_of(index) for index in at],
                "predicted": [slices.class_names[c] for c in result.logits.argmax(1)],
                "threshold": name,
            }
            values = {key: value.cpu().numpy() for key, value in scores.items()}
            rows.append(pd.DataFrame(about | values))
    return pd.concat(rows, ignore_index=True)


def paper_masks(result: CAMResult, binarizer: str, settings: Settings) -> Tensor:
    """Turn maps into masks as the settings say.

    The threshold is that of the upsampled map; or that of the coarse map's cells, for the upsampled
    map; or the coarse map becomes a mask itself, whose cells are then enlarged.
    """
    rule = PAPER_BINARIZERS[binarizer]
    maps = result.maps if settings.threshold_on == "upsampled" else result.coarse
    threshold = torch.as_tensor(rule.threshold(maps))[:, None, None]  # type: ignore[attr-defined]
    shown = (result.coarse if settings.threshold_on == "coarse-mask" else result.maps).double()
    masks = shown >= threshold if settings.inclusive else shown > threshold
    if settings.threshold_on == "coarse-mask":
        size = result.maps.shape[1:]
        masks = interpolate(masks[:, None].float(), size, mode="nearest-exact")[:, 0] > 0
    return masks
