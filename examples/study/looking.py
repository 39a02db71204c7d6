"""Where trained networks look, scored beside baselines; thresholds chosen on other patients."""

from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset
from tqdm import tqdm

from cameval import (
    AdaptiveBinarizer,
    CAMExtractor,
    CAMModel,
    MeanBinarizer,
    MedianBinarizer,
    OtsuBinarizer,
    PercentileBinarizer,
    Preparation,
    Results,
    coverage,
    eigen_cam,
    evaluate,
    grad_cam,
    grad_cam_pp,
    informedness,
    iou,
    layer_cam,
    pixel_auroc,
    pixel_average_precision,
    pointing_game,
    relevance_rank_accuracy,
    size_standardized_iou,
)
from cameval.baselines import ClassMeanBaseline, area_bound, class_mean_masks
from cameval.binarizers import MeanSDBinarizer
from cameval.data import Sample
from cameval.evaluation import Choice, choose_binarizers
from cameval.evaluation.defaults import default_baselines
from cameval.methods import OtherClass
from cameval.metrics import Outcomes, overlap_coefficient, volumetric_similarity
from cameval.protocols import Baseline, Binarizer, CAMMethod, Metric
from study.candidates import Candidate, class_map
from study.folds import Split
from study.processes import count
from study.settings import Settings
from study.slices import Slices
from study.untrained import Untrained

MAP, WRONG_CLASS = "CAM", "wrong class"
CLASS_MEAN, TRUTH_ON_GRID = "class mean", "truth"
VALIDATED, OPTIMUM = "validated", "test optimum"

PAPER_BINARIZERS: dict[str, Binarizer] = {
    "mean": MeanBinarizer(),
    "median": MedianBinarizer(),
    "p75": PercentileBinarizer(75),
    "p90": PercentileBinarizer(90),
    "p95": PercentileBinarizer(95),
}
BINARIZERS: dict[str, Binarizer] = PAPER_BINARIZERS | {
    "p98": PercentileBinarizer(98),
    "p99": PercentileBinarizer(99),
    "mean+2sd": MeanSDBinarizer(2),
    "otsu": OtsuBinarizer(),
    "adaptive": AdaptiveBinarizer(block_size=51),
}
METHODS: dict[str, CAMMethod] = {
    MAP: class_map,
    "Grad-CAM": grad_cam,
    "Grad-CAM++": grad_cam_pp,
    "LayerCAM": layer_cam,
    "Eigen-CAM": eigen_cam,
    WRONG_CLASS: OtherClass(class_map),
}
MAP_METRICS: dict[str, Metric] = {
    "pointing_game": pointing_game,
    "pixel_auroc": pixel_auroc,
    "pixel_average_precision": pixel_average_precision,
    "relevance_rank_accuracy": relevance_rank_accuracy,
}
MASK_METRICS: dict[str, Metric] = {
    "iou": iou,
    "area_bound": area_bound,
    "size_standardized_iou": size_standardized_iou,
    "coverage": coverage,
    "informedness": informedness,
    "overlap_coefficient": overlap_coefficient,
    "volumetric_similarity": volumetric_similarity,
}
SMALL_TRUTH: dict[str, Metric] = {
    "sIoU_.01": partial(size_standardized_iou, reference=0.01),
    "sIoU_.10": partial(size_standardized_iou, reference=0.10),
    "outcome": Outcomes(),
}


class Looked(NamedTuple):
    """The scores of one fold, which thresholds were taken, and what the validation slices say."""

    results: Results
    validated: Choice
    optimum: Choice
    validation_accuracy: float


class Part(Dataset[Sample]):
    """The slices of one part of a split, which move a progress bar as they are read.

    Several processes share them, so that for each that is read here others are read elsewhere.
    """

    def __init__(self, slices: Slices, chosen: NDArray[np.intp], bar: "tqdm[None]") -> None:
        self.slices, self.chosen, self.bar = slices, chosen, bar
        self.class_names = slices.class_names

    def __len__(self) -> int:
        """Return the number of slices."""
        return len(self.chosen)

    def __getitem__(self, index: int) -> Sample:
        """Read a slice."""
        self.bar.update(count())
        return self.slices[int(self.chosen[index])]


def baselines_of(
    candidate: Candidate, slices: Slices, split: Split, settings: Settings, untrained: Untrained
) -> dict[str, Baseline]:
    """Return the baselines of one fold; nothing is learned from the slices that are tested.

    They are the library's own, the mean mask of the training slices of the class that is explained,
    and the network before it has learned anything.
    """
    masks = slices.pictures(settings.size_of(candidate), settings.crop).masks[split.train]
    labels = torch.from_numpy(slices.labels[split.train])
    mean_masks = class_mean_masks(masks, labels, len(slices.class_names))
    learned: dict[str, Baseline] = {
        CLASS_MEAN: ClassMeanBaseline(mean_masks),
        "untrained": untrained,
    }
    return learned | default_baselines(settings.seed)


def strictly(
    candidate: Candidate,
    model: CAMModel,
    slices: Slices,
    split: Split,
    settings: Settings,
    untrained: Untrained,
    out: Path,
    bar: "tqdm[None]",
) -> Looked:
    """Score one fold; thresholds are chosen on its validation slices, for its test slices.

    Two more thresholds are reported for each map: ``validated``, the one that is best on the
    validation slices, and ``test optimum``, the one that is best on the test slices. The difference
    of the two is the optimism of choosing on the test slices.
    """
    extractor = CAMExtractor(model, alignment=settings.alignment)
    baselines = baselines_of(candidate, slices, split, settings, untrained)
    prepare = Preparation(settings.size_of(candidate), settings.crop)
    validation = evaluate(
        extractor,
        Part(slices, split.validation, bar),
        methods=METHODS,
        binarizers=BINARIZERS,
        metrics={"iou": iou},
        baselines=baselines,
        prepare=prepare,
        out=out / f"{candidate.file}-fold{split.fold}-validation",
        name=str(candidate),
        seed=settings.seed,
        progress=False,
    )
    test = evaluate(
        extractor,
        Part(slices, split.test, bar),
        methods=METHODS,
        binarizers=BINARIZERS,
        metrics=MAP_METRICS | MASK_METRICS | SMALL_TRUTH,
        baselines=baselines,
        classes=["predicted", "true"],
        prepare=prepare,
        out=out / f"{candidate.file}-fold{split.fold}-test",
        name=str(candidate),
        seed=settings.seed,
        progress=False,
    )
    validated, optimum = choose_binarizers(validation), choose_binarizers(test)
    results = optimum.apply(validated.apply(test, label=VALIDATED), label=OPTIMUM)
    seen = validation.samples
    right = (seen["label"] == seen["predicted"]).to_numpy(bool)
    return Looked(results, validated, optimum, float(right.mean()))


def as_in_the_paper(
    candidate: Candidate,
    model: CAMModel,
    slices: Slices,
    split: Split,
    settings: Settings,
    untrained: Untrained,
    out: Path,
    bar: "tqdm[None]",
) -> Results:
    """Score one fold with the paper's five thresholds, none of which is chosen before."""
    size = settings.size_of(candidate)
    grid = (size, size) if settings.truth_grid == "input" else None
    return evaluate(
        CAMExtractor(model, alignment=settings.alignment),
        Part(slices, split.test, bar),
        methods={MAP: class_map},
        binarizers=PAPER_BINARIZERS,
        metrics=MAP_METRICS | MASK_METRICS,
        baselines=baselines_of(candidate, slices, split, settings, untrained),
        prepare=Preparation(size, settings.crop, truth_size=grid),
        out=out / f"{candidate.file}-fold{split.fold}-test",
        name=str(candidate),
        seed=settings.seed,
        progress=False,
    )
