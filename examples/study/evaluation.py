"""What is evaluated: maps, thresholds, metrics, baselines, and the paper's open questions."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import pandas as pd
import torch
from torch import Tensor
from torch.nn.functional import interpolate

import cameval
from cameval import CAMExtractor, CAMModel, CAMResult
from cameval.baselines import ClassMeanBaseline, UntrainedBaseline, area_bound, class_mean_masks
from cameval.binarizers import MeanSDBinarizer
from cameval.data import Fold
from cameval.evaluation import Choice, Preparation, Results, default_baselines
from cameval.methods import OtherClass
from cameval.metrics import Outcomes, overlap_coefficient, volumetric_similarity
from cameval.protocols import Baseline, Binarizer, CAMMethod, MapMetric, MaskMetric
from study.data import Slices
from study.networks import Candidate, Head, class_map, ends_in_linear_layers
from study.settings import Settings

MAP, WRONG_CLASS = "CAM", "wrong class"
CLASS_MEAN, TRUTH = "class mean", "truth"
VALIDATED, OPTIMUM = "validated", "test optimum"

P95 = "percentile:95"  # the best of the paper's five thresholds
PAPER_BINARIZERS: dict[str, Binarizer] = {
    "mean": cameval.MeanBinarizer(),
    "median": cameval.MedianBinarizer(),
    **{f"percentile:{p}": cameval.PercentileBinarizer(p) for p in (75, 90, 95)},
}
BINARIZERS: dict[str, Binarizer] = PAPER_BINARIZERS | {
    **{f"percentile:{p}": cameval.PercentileBinarizer(p) for p in (98, 99)},
    "mean_sd": MeanSDBinarizer(2),
    "otsu": cameval.OtsuBinarizer(),
    "adaptive": cameval.AdaptiveBinarizer(block_size=51),
}
METHODS: dict[str, CAMMethod] = {
    MAP: class_map,
    "Grad-CAM": cameval.grad_cam,
    "Grad-CAM++": cameval.grad_cam_pp,
    "LayerCAM": cameval.layer_cam,
    "Eigen-CAM": cameval.eigen_cam,
    WRONG_CLASS: OtherClass(class_map),
}
PAPER_METRICS: dict[str, MapMetric | MaskMetric] = {
    "pointing_game": cameval.pointing_game,
    "pixel_auroc": cameval.pixel_auroc,
    "pixel_average_precision": cameval.pixel_average_precision,
    "relevance_rank_accuracy": cameval.relevance_rank_accuracy,
    "iou": cameval.iou,
    "area_bound": area_bound,
    "size_standardized_iou": cameval.size_standardized_iou,
    "coverage": cameval.coverage,
    "informedness": cameval.informedness,
    "overlap_coefficient": overlap_coefficient,
    "volumetric_similarity": volumetric_similarity,
}
METRICS: dict[str, MapMetric | MaskMetric] = PAPER_METRICS | {
    "sIoU_.01": partial(cameval.size_standardized_iou, reference=0.01),
    "sIoU_.10": partial(cameval.size_standardized_iou, reference=0.10),
    "outcome": Outcomes(),
}


class FoldResult(NamedTuple):
    """The scores of one fold, the thresholds that were chosen, and the validation accuracy."""

    results: Results
    validated: Choice
    optimum: Choice
    validation_accuracy: float


def baselines_of(
    candidate: Candidate, slices: Slices, fold: Fold, settings: Settings, device: torch.device
) -> dict[str, Baseline]:
    """Return the baselines of one fold; nothing is learned from the slices that are tested.

    They are the mean mask of the training slices of a class, the network before training, and
    those of the library.
    """
    classes = len(slices.class_names)
    _, masks = slices.pictures(settings.size_of(candidate), settings.crop)
    labels = torch.from_numpy(slices.labels[fold.train])
    untrained = candidate.build_seeded("none", classes, settings.seed).to(device)
    own: dict[str, Baseline] = {
        CLASS_MEAN: ClassMeanBaseline(class_mean_masks(masks[fold.train], labels, classes)),
        "untrained": UntrainedBaseline(CAMExtractor(untrained, class_map, settings.alignment)),
    }
    return own | default_baselines(settings.seed)


# --- What the paper leaves open, varied one at a time ---------------------------------------------

QUESTIONS = {  # of each setting that has more than one answer
    "threshold_on": "where the threshold is taken",
    "inclusive": "which pixels are in the mask",
    "truth_grid": "grid of the IoU",
    "alignment": "how the map is aligned with the slice",
    "crop": "crop",
    "fold_order": "order of the slices in the folds",
    "stratified": "classes in the folds",
}
ANSWERS: dict[str, Mapping[Any, str]] = {
    "threshold_on": {
        "upsampled": "on the upsampled map",
        "coarse-values": "on the coarse map's values",
        "coarse-mask": "on the coarse map, mask enlarged",
    },
    "inclusive": {False: "above the threshold", True: "at the threshold too"},
    "truth_grid": {"input": "the network's input", "native": "the slice's own pixels"},
    "alignment": {"half_pixel": "evenly, half-pixel", "receptive_field": "by receptive fields"},
    "crop": {None: "the whole frame", 0.875: "center, 7/8 of the side"},
    "fold_order": {"shuffled": "shuffled", "numeric": "by number", "lexicographic": "by name"},
    "stratified": {True: "each in its share", False: "as the order has them"},
}
HEAD_ANSWERS: dict[Head, str] = {
    "gap": "pooling, one linear layer",
    "dropout": "dropout before the linear layer",
    "mlp": "three linear layers (Grad-CAM)",
    "conv": "last pooling out, a convolution in",
    "no-last-pool": "last pooling out",
}
TRAINED = ("crop", "fold_order", "stratified")  # another answer needs another network


@dataclass(frozen=True)
class Variation:
    """One answer to one open question, with the settings or the head that it changes."""

    question: str
    answer: str
    changes: tuple[tuple[str, Any], ...] = ()
    head: Head | None = None
    trains: bool = False


def variations(settings: Settings, best: Candidate) -> Iterator[Variation]:
    """Yield the study as it is, and then every other answer to every open question."""
    yield Variation("as run", "")
    for name, question in QUESTIONS.items():
        if settings.switches == "all" or (settings.switches == "maps" and name not in TRAINED):
            for value, answer in ANSWERS[name].items():
                if value != getattr(settings, name):
                    yield Variation(question, answer, ((name, value),), trains=name in TRAINED)
    for head, answer in HEAD_ANSWERS.items():
        known = head == "gap" or (head == "dropout" and not settings.freeze)
        ends = not settings.freeze and ends_in_linear_layers(best.network)
        if settings.switches == "all" and head != best.head and (known or ends):
            yield Variation("head", answer, head=head, trains=True)


def paper_scores(
    model: CAMModel, slices: Slices, fold: Fold, size: int, settings: Settings
) -> pd.DataFrame:
    """Score the masks of one network on its test slices: one row for each slice and threshold."""
    device, names = next(model.parameters()).device, slices.class_names
    extract = CAMExtractor(model, class_map, settings.alignment)
    grid = (size, size) if settings.truth_grid == "input" else None
    prepare = Preparation(size, settings.crop, truth_size=grid)
    metrics = {"iou": cameval.iou, "coverage": cameval.coverage, "area_bound": area_bound}
    rows = []
    for batch in torch.from_numpy(fold.test).split(32 if grid else 1):  # pixels may differ
        chosen = batch.numpy()
        images, truths = zip(*(prepare(slices[index]) for index in chosen), strict=True)
        truth = torch.stack(truths).to(device)
        result = extract(torch.stack(images).to(device), size=tuple(truth.shape[1:]))
        about = pd.DataFrame({"slice": [slices.names[index] for index in chosen]})
        about["patient"] = slices.patients[chosen]
        about["label"] = [names[label] for label in slices.labels[chosen]]
        about["predicted"] = [names[label] for label in result.logits.argmax(1)]
        for name in PAPER_BINARIZERS:
            masks = paper_masks(result, name, settings)
            scores = {key: metric(masks, truth) for key, metric in metrics.items()}
            scores["mask_area"] = masks.float().mean((1, 2))
            values = {key: value.cpu().numpy() for key, value in scores.items()}
            rows.append(about.assign(threshold=name, **values))
    return pd.concat(rows, ignore_index=True)


def paper_masks(result: CAMResult, binarizer: str, settings: Settings) -> Tensor:
    """Turn maps into masks as the settings say.

    The threshold is that of the upsampled map; or that of the coarse map's cells, for the upsampled
    map; or the coarse map becomes a mask itself, whose cells are then enlarged.
    """
    maps = result.maps if settings.threshold_on == "upsampled" else result.coarse
    rule: Any = PAPER_BINARIZERS[binarizer]
    threshold = torch.as_tensor(rule.threshold(maps))[:, None, None]
    values = (result.coarse if settings.threshold_on == "coarse-mask" else result.maps).double()
    masks = values >= threshold if settings.inclusive else values > threshold
    if settings.threshold_on == "coarse-mask":
        size = result.maps.shape[1:]
        masks = interpolate(masks[:, None].float(), size, mode="nearest-exact")[:, 0] > 0
    return masks
