"""What each metric asks, and when its score misleads: sentences for reports and reviewers.

A metric of cameval has an entry here. A metric of your own is given one by `asks`; without one,
reports list it as not documented.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, TypeVar, get_args

from cameval._spatial import read_property
from cameval.errors import SettingError
from cameval.metrics.arcc import ARCC
from cameval.metrics.boxes import box_iou, box_precision
from cameval.metrics.centroid import CentroidDistance
from cameval.metrics.chance_corrected import (
    chance_corrected_overlap,
    cohen_kappa,
    informedness,
    matthews_correlation,
    size_standardized_iou,
)
from cameval.metrics.curves import AreaToCover, CoverageAtArea, max_iou
from cameval.metrics.faithfulness import (
    ADCC,
    average_drop,
    average_gain,
    complexity,
    increase_in_confidence,
)
from cameval.metrics.mass import (
    dual_polarity_precision,
    energy_pointing_game,
    grid_pointing_game,
    relevance_mass_accuracy,
    relevance_mass_ratio,
    relevance_mass_skill,
)
from cameval.metrics.objects import FalsePositivesPerImage, ObjectF1, ObjectRecall
from cameval.metrics.outcome import Outcomes, ZeroWithoutObject
from cameval.metrics.overlap import (
    BoundaryIoU,
    FBeta,
    Tversky,
    dice,
    iou,
    overlap_coefficient,
    volumetric_similarity,
)
from cameval.metrics.peaks import pointing_recall
from cameval.metrics.perturbation import Deletion, Insertion
from cameval.metrics.pointing import pointing_game
from cameval.metrics.ranking import (
    average_precision_skill,
    iou_at_true_area,
    pixel_auroc,
    pixel_average_precision,
    relevance_rank_accuracy,
)
from cameval.metrics.rates import coverage, false_positive_rate, marked_area, precision, specificity
from cameval.metrics.road import ROAD
from cameval.metrics.surface import AverageSurfaceDistance, HausdorffDistance, SurfaceDice

__all__ = ["MetricQuestion", "asks", "question_of"]

F = TypeVar("F", bound=Callable[..., object])

Aspect = Literal[
    "overlap",
    "size",
    "border",
    "position",
    "objects",
    "ranking",
    "mass",
    "marked area",
    "faithfulness",
    "bound",
]
"""What a metric is about: overlap of areas; equal size; distance of borders; place of a maximum or
a center; finding of objects; order of the pixels' values; share of the map's sum; what is marked,
also without an object; the network; or the bound of another metric."""


BestMask = Literal["empty", "whole"]
"""A mask that does not depend on the truth."""


@dataclass(frozen=True)
class MetricQuestion:
    """The question that a metric answers, and when its score misleads.

    Parameters
    ----------
    aspect
        What the metric is about.
    question
        The question, as one sentence.
    misleads
        When the score misleads, or what it does not say, in one or two sentences.
    falls_with_size
        Whether smaller objects have lower scores for maps that are equally well placed.
    best_mask
        Which mask has the best score for every truth: ``"empty"`` or ``"whole"``, the mask of the
        whole image; None if neither has. Such a score alone does not show that the object is found.

    Raises
    ------
    SettingError
        If the aspect or the mask is another, or a sentence is empty.

    Examples
    --------
    >>> from cameval import iou
    >>> from cameval.metrics import question_of
    >>> question_of(iou).question
    'What share of the union of mask and truth is in both?'
    """

    aspect: Aspect
    question: str
    misleads: str
    falls_with_size: bool = False
    best_mask: BestMask | None = None

    def __post_init__(self) -> None:
        if self.aspect not in get_args(Aspect):
            raise SettingError(
                f"aspect must be one of {', '.join(get_args(Aspect))}, got {self.aspect!r}"
            )
        for name in ("question", "misleads"):
            text = getattr(self, name)
            if not isinstance(text, str) or not text.strip():
                raise SettingError(f"{name} must be a sentence, got {text!r}")
        if not isinstance(self.falls_with_size, bool):
            raise SettingError(
                f"falls_with_size must be True or False, got {self.falls_with_size!r}"
            )
        if self.best_mask is not None and self.best_mask not in get_args(BestMask):
            raise SettingError(
                f"best_mask must be one of {', '.join(get_args(BestMask))} or None, got "
                f"{self.best_mask!r}"
            )


def asks(question: MetricQuestion) -> Callable[[F], F]:
    """Mark a metric with the question that it answers.

    A class has the attribute ``question`` instead.

    Parameters
    ----------
    question
        The question.

    Returns
    -------
    Callable
        A decorator that returns the same function.

    Raises
    ------
    SettingError
        If it is no `MetricQuestion`.

    Examples
    --------
    >>> from cameval.metrics import MetricQuestion, asks, of_masks, question_of
    >>> missed = MetricQuestion("overlap", "How much of the truth is missed?", "A full mask has 0.")
    >>> @of_masks(higher_is_better=False)
    ... @asks(missed)
    ... def miss_rate(pred, target):
    ...     return (target & ~pred).sum((-2, -1)) / target.sum((-2, -1))
    >>> question_of(miss_rate).aspect
    'overlap'
    """
    _check_question(question, "asks")

    def mark(one: F) -> F:
        vars(one)["question"] = question
        return one

    return mark


def question_of(metric: object) -> MetricQuestion | None:
    """Return the question that a metric answers, or None if it is not documented.

    A ``functools.partial`` has the question of its function, unless it has its own. A subclass of a
    metric of cameval is another metric.

    Raises
    ------
    SettingError
        If the property ``question`` is something else.

    Examples
    --------
    >>> from functools import partial
    >>> from cameval import iou
    >>> from cameval.metrics import HausdorffDistance, question_of
    >>> question_of(HausdorffDistance(95)).aspect, question_of(partial(iou)).aspect
    ('border', 'overlap')
    >>> print(question_of(lambda pred, target: pred.sum((-2, -1))))
    None
    """
    own = read_property(metric, "question")
    if own is not None:
        return _check_question(own, repr(metric))
    while isinstance(metric, partial):
        metric = metric.func
    return _BY_FUNCTION.get(id(metric)) or _BY_CLASS.get(type(metric))


def _check_question(question: Any, whose: str) -> MetricQuestion:
    if not isinstance(question, MetricQuestion):
        raise SettingError(f"question must be a MetricQuestion, got {question!r} of {whose}")
    return question


_FULL_MASK = "A mask of the whole image has the best score."
_EMPTY_MASK = "An empty mask has the best score."
_SMALL = "A mask that is larger than a small object scores low although it contains the object."
_UNLIKE = "Images with removed pixels are unlike those of the training."
_NO_TRUTH = "No truth is used: the score does not say whether the object is found."
_OFFSET = "It depends on the offset of the map."

_OF_FUNCTIONS: Mapping[Callable[..., object], MetricQuestion] = {
    iou: MetricQuestion(
        "overlap",
        "What share of the union of mask and truth is in both?",
        f"{_SMALL} Borders and single objects are not assessed.",
        falls_with_size=True,
    ),
    dice: MetricQuestion(
        "overlap",
        "What share of mask and truth, counted together, is in both?",
        f"{_SMALL} It orders masks of one image as IoU does.",
        falls_with_size=True,
    ),
    overlap_coefficient: MetricQuestion(
        "overlap",
        "What share of the smaller one, mask or truth, is in the other?",
        _FULL_MASK,
        best_mask="whole",
    ),
    volumetric_similarity: MetricQuestion(
        "size", "Have mask and truth the same area?", "It says nothing about the place."
    ),
    coverage: MetricQuestion(
        "overlap", "What share of the truth is marked?", _FULL_MASK, best_mask="whole"
    ),
    precision: MetricQuestion(
        "overlap",
        "What share of the mask is true?",
        "One true pixel has the best score. A mask larger than the object cannot reach 1.",
        falls_with_size=True,
    ),
    false_positive_rate: MetricQuestion(
        "marked area",
        "What share of the pixels that are not true is marked?",
        f"{_EMPTY_MASK} A mask much larger than a small object can have a low rate.",
        best_mask="empty",
    ),
    specificity: MetricQuestion(
        "marked area",
        "What share of the pixels that are not true is unmarked?",
        f"{_EMPTY_MASK} A mask much larger than a small object can score high.",
        best_mask="empty",
    ),
    marked_area: MetricQuestion("marked area", "What share of the image is marked?", _NO_TRUTH),
    informedness: MetricQuestion(
        "overlap",
        "By how much does the marked share of the truth exceed that of the background?",
        "With a large background, a mask much larger than the object can score high.",
    ),
    matthews_correlation: MetricQuestion(
        "overlap",
        "How do mask and truth correlate over the pixels?",
        "It is lower for smaller objects at equal coverage and false-positive rate.",
        falls_with_size=True,
    ),
    cohen_kappa: MetricQuestion(
        "overlap",
        "How far do mask and truth agree beyond what their areas alone give?",
        "It is lower for smaller objects at equal coverage and false-positive rate.",
        falls_with_size=True,
    ),
    chance_corrected_overlap: MetricQuestion(
        "overlap",
        "How far is the overlap above that of a random place, relative to the largest possible?",
        "A mask that contains the object, or lies in it, has the best score at any size.",
    ),
    size_standardized_iou: MetricQuestion(
        "overlap",
        "What would the IoU be if the object had a fixed share of the image?",
        "It depends on that share, and is not the IoU of these images.",
    ),
    box_iou: MetricQuestion(
        "overlap",
        "Do the bounding boxes of mask and truth overlap?",
        "The box of a diagonal or branched object is mostly background.",
        falls_with_size=True,
    ),
    box_precision: MetricQuestion(
        "overlap",
        "What share of the box of the mask is in the box of the truth?",
        "A box of one pixel in the truth has the best score.",
        falls_with_size=True,
    ),
    pointing_game: MetricQuestion(
        "position",
        "Is the maximum of the map in the truth?",
        "It uses one place of the map. A random place is in the truth with its area share.",
        falls_with_size=True,
    ),
    pointing_recall: MetricQuestion(
        "objects",
        "What share of the objects has one of the highest peaks?",
        "It takes as many peaks as there are objects, a number that only the truth gives.",
        falls_with_size=True,
    ),
    relevance_mass_accuracy: MetricQuestion(
        "mass",
        "What share of the map's positive sum is in the truth?",
        f"A uniform map scores the area share of the truth. {_OFFSET}",
        falls_with_size=True,
    ),
    energy_pointing_game: MetricQuestion(
        "mass",
        "What share of the map's positive sum is in the truth?",
        f"A uniform map scores the area share of the truth. {_OFFSET}",
        falls_with_size=True,
    ),
    grid_pointing_game: MetricQuestion(
        "mass",
        "What share of the map's positive sum is in the cell of its class, in a mosaic of images?",
        "Mosaics are unlike the training images. It does not say where in the cell the map is.",
    ),
    dual_polarity_precision: MetricQuestion(
        "mass",
        "What share of the map is positive in the truth or negative outside it?",
        "It needs maps whose zero means no evidence. Values outside a small object can decide.",
    ),
    relevance_mass_skill: MetricQuestion(
        "mass",
        "How far is the share of the map's sum in the truth beyond that of a uniform map?",
        _OFFSET,
        falls_with_size=True,
    ),
    relevance_mass_ratio: MetricQuestion(
        "mass",
        "How many times higher is the map in the truth than on average?",
        f"It can reach 1 / area, so that small objects can dominate the mean. {_OFFSET}",
    ),
    relevance_rank_accuracy: MetricQuestion(
        "ranking",
        "What share of the highest pixels is true, of as many as the truth has?",
        "It uses the area of the truth. By chance it is the area share of the truth.",
        falls_with_size=True,
    ),
    iou_at_true_area: MetricQuestion(
        "ranking",
        "What is the IoU of a mask of the highest pixels, as many as the truth has?",
        "It uses the area of the truth, which no threshold has in practice.",
        falls_with_size=True,
    ),
    pixel_auroc: MetricQuestion(
        "ranking",
        "How often is a true pixel higher than another pixel?",
        "With a small object most other pixels are far away, and a coarse map can score high.",
    ),
    pixel_average_precision: MetricQuestion(
        "ranking",
        "How high is the precision over all thresholds?",
        "By chance it is the area share, so that objects of different sizes do not compare.",
        falls_with_size=True,
    ),
    average_precision_skill: MetricQuestion(
        "ranking",
        "How far is the average precision beyond that of a constant map?",
        "It corrects for chance, not for the difficulty of small objects.",
        falls_with_size=True,
    ),
    max_iou: MetricQuestion(
        "ranking",
        "What is the IoU at the best threshold of each image?",
        "The threshold is chosen with the truth of the same image: it is optimistic.",
        falls_with_size=True,
    ),
    complexity: MetricQuestion(
        "marked area", "How much of the image does the map mark?", _NO_TRUTH
    ),
    average_drop: MetricQuestion(
        "faithfulness",
        "How much of the class's probability is lost if only the marked part is seen?",
        f"{_UNLIKE} A map that marks nearly everything has the best score.",
    ),
    average_gain: MetricQuestion(
        "faithfulness",
        "How much does the class's probability gain if only the marked part is seen?",
        f"{_UNLIKE} It is 0 where the probability falls.",
    ),
    increase_in_confidence: MetricQuestion(
        "faithfulness",
        "Does the class's probability rise if only the marked part is seen?",
        f"{_UNLIKE} It does not say by how much.",
    ),
}

_OF_CLASSES: Mapping[type[object], MetricQuestion] = {
    FBeta: MetricQuestion(
        "overlap",
        "How good are precision and coverage together, with a chosen weight?",
        f"{_SMALL} The weight is a setting.",
        falls_with_size=True,
    ),
    Tversky: MetricQuestion(
        "overlap",
        "What share of mask and truth is in both, with chosen weights of both errors?",
        f"{_SMALL} The weights are settings.",
        falls_with_size=True,
    ),
    ZeroWithoutObject: MetricQuestion(
        "overlap",
        "How well do mask and truth overlap, if any mark without an object scores 0?",
        "The mean depends on how many images have no object.",
        falls_with_size=True,
    ),
    Outcomes: MetricQuestion(
        "overlap",
        "Is the object matched, missed, or is one of mask and truth inside the other?",
        "The classes depend on limits, which are settings.",
    ),
    BoundaryIoU: MetricQuestion(
        "border",
        "How well do the rims of mask and truth overlap?",
        "The width of the rim is a setting. A coarse map cannot follow a border.",
        falls_with_size=True,
    ),
    HausdorffDistance: MetricQuestion(
        "border",
        "How far apart are the borders, at worst or at a percentile?",
        "A stray pixel of mask or truth can set the maximum. An empty mask has no distance.",
    ),
    AverageSurfaceDistance: MetricQuestion(
        "border",
        "How far apart are the borders on average?",
        "An empty mask has no distance: the mean leaves it out.",
    ),
    SurfaceDice: MetricQuestion(
        "border",
        "What share of the borders is within a tolerance of each other?",
        "The tolerance is a setting; it should be the disagreement of readers.",
    ),
    CentroidDistance: MetricQuestion(
        "position",
        "How far apart are the centers of mask and truth?",
        "Size and shape are not assessed. The center of several parts can be outside of all.",
    ),
    ObjectRecall: MetricQuestion(
        "objects",
        "What share of the objects does the mask detect?",
        "A mask of the whole image can detect all of them.",
    ),
    FalsePositivesPerImage: MetricQuestion(
        "objects",
        "How many parts of the mask detect no object?",
        f"{_EMPTY_MASK} One large part counts as one.",
        best_mask="empty",
    ),
    ObjectF1: MetricQuestion(
        "objects",
        "How many objects and parts of the mask can be matched one to one?",
        "The least overlap of a match is a setting.",
    ),
    CoverageAtArea: MetricQuestion(
        "ranking",
        "What share of the truth do the highest pixels cover, for a fixed share of the image?",
        "The share is a setting. An object larger than it cannot be covered.",
    ),
    AreaToCover: MetricQuestion(
        "ranking",
        "What share of the image must be read to see a fixed share of the truth?",
        "One part of the object where the map is low decides.",
    ),
    ADCC: MetricQuestion(
        "faithfulness",
        "Does the map keep the prediction, mark little, and repeat on the marked image?",
        f"{_UNLIKE} Three properties are in one number.",
    ),
    ARCC: MetricQuestion(
        "faithfulness",
        "Does the prediction change on removal, and is the map short and repeatable?",
        f"{_UNLIKE} Several properties are in one number.",
    ),
    Deletion: MetricQuestion(
        "faithfulness",
        "How fast does the class's probability fall as the highest pixels are removed?",
        _UNLIKE,
    ),
    Insertion: MetricQuestion(
        "faithfulness",
        "How fast does the class's probability rise as the highest pixels are inserted?",
        _UNLIKE,
    ),
    ROAD: MetricQuestion(
        "faithfulness",
        "Do the highest pixels matter more to the class than the lowest?",
        "Pixels filled from their neighbors can still be unlike those of the training images.",
    ),
}

_BY_FUNCTION = {id(function): question for function, question in _OF_FUNCTIONS.items()}
_BY_CLASS = dict(_OF_CLASSES)
