"""What is evaluated: maps, thresholds, metrics, baselines, and the paper's open questions."""

import re
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
from study.networks import HEADS, Candidate, Head, class_map, ends_in_linear_layers
from study.settings import OF_MAPS, QUESTIONS, Run, Settings
from study.training import with_frozen

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
    candidate: Candidate, slices: Slices, fold: Fold, settings: Settings, run: Run
) -> dict[str, Baseline]:
    """Return the baselines of one fold; nothing is learned from the slices that are tested.

    They are the mean mask of the training slices of a class, the network before training, and
    those of the library.
    """
    classes = len(slices.class_names)
    _, masks = slices.pictures(settings.size_of(candidate), settings.crop)
    labels = torch.from_numpy(slices.labels[fold.train])
    untrained = candidate.build_seeded("none", classes, settings.seed).to(run.device)
    untrained = with_frozen(untrained, candidate, settings, run.kept_outputs).eval()
    own: dict[str, Baseline] = {
        CLASS_MEAN: ClassMeanBaseline(class_mean_masks(masks[fold.train], labels, classes)),
        "untrained": UntrainedBaseline(CAMExtractor(untrained, class_map, settings.alignment)),
    }
    return own | default_baselines(settings.seed)


# --- What the paper leaves open, varied one at a time ---------------------------------------------

ANSWERS: dict[str, Mapping[Any, str]] = {
    "threshold-on": {
        "upsampled": "on the upsampled map",
        "coarse-values": "on the coarse map's values",
        "coarse-mask": "on the coarse map, mask enlarged",
    },
    "inclusive": {False: "above the threshold", True: "at the threshold too"},
    "truth-grid": {"input": "the network's input", "native": "the slice's own pixels"},
    "alignment": {"half_pixel": "evenly, half-pixel", "receptive_field": "by receptive fields"},
    "crop": {None: "the whole frame", 0.875: "center, 7/8 of the side"},
    "fold-order": {"shuffled": "shuffled", "numeric": "by number", "lexicographic": "by name"},
    "stratified": {True: "each in its share", False: "as the order has them"},
}
HEAD_ANSWERS: dict[Head, str] = {
    "gap": "pooling, one linear layer",
    "dropout": "dropout before the linear layer",
    "mlp": "three linear layers (Grad-CAM)",
    "conv": "last pooling out, a convolution in",
    "no-last-pool": "last pooling out",
}


Change = tuple[str, Any]


@dataclass(frozen=True)
class Variation:
    """One answer to one open question, with the settings or the head that it changes.

    `trains` tells that it needs another network, `divides` that it needs other folds too.
    """

    question: str
    answer: str
    changes: tuple[Change, ...] = ()
    head: Head | None = None
    trains: bool = False
    divides: bool = False


def variations(settings: Settings, best: Candidate) -> Iterator[Variation]:
    """Yield the study as it is, and then every other answer to the questions that are asked."""
    yield Variation("as run", "")
    for name in settings.switches:
        question, trains = QUESTIONS[name], name not in OF_MAPS
        if name == "head":
            for head, answer in _heads(settings, best).items():
                yield Variation(question, answer, head=head, trains=trains)
            continue
        for change, answer in _answers(name, settings, best):
            if change[1] != getattr(settings, change[0]):
                divides = name in ("fold-order", "stratified")
                yield Variation(question, answer, (change,), None, trains, divides)


def _answers(name: str, settings: Settings, best: Candidate) -> Iterator[tuple[Change, str]]:
    """Yield the answers to a question; a linear layer alone has no epochs, rate or seed.

    The layers are the linear layer alone, and one block more than those that train.
    """
    if name in ANSWERS:
        for value, answer in ANSWERS[name].items():
            yield (name.replace("-", "_"), value), answer
    elif name == "layers":
        block = re.fullmatch(r"block([2-9])", settings.freeze_until or "")
        if block and not settings.freeze:
            yield ("freeze", True), "the linear layer alone"
            yield ("freeze_until", f"block{int(block[1]) - 1}"), f"from block {block[1]} on"
    elif not settings.freeze:
        rate = settings.rate_of(best)
        near: dict[str, tuple[str, list[float]]] = {
            "epochs": ("epochs", [settings.epochs // 2 or 2, 2 * settings.epochs]),
            "learning-rate": ("learning_rate", [rate / 3, rate * 3]),
            "training-seed": ("seed", [settings.seed + 1, settings.seed + 2]),
        }
        field, values = near[name]
        for number in values:
            yield (field, number), f"{number:.1g}" if name == "learning-rate" else str(number)


def _heads(settings: Settings, best: Candidate) -> dict[Head, str]:
    """Return the other heads that a network can have."""
    ends = not settings.freeze and ends_in_linear_layers(best.network)
    known = HEADS if ends else ("gap",) if settings.freeze else ("gap", "dropout")
    return {head: HEAD_ANSWERS[head] for head in HEADS if head in known and head != best.head}


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
