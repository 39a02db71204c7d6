"""Published protocols: the settings of a paper as one object, which scores maps with samples.

======================  ============================================  ==============================
protocol                what it fixes                                 scores
======================  ============================================  ==============================
`WSOLProtocol`          thresholds, boxes, IoU .3, .5, .7             MaxBoxAcc, MaxBoxAccV2, PxAP
`PointingProtocol`      15 pixels, difficult images, mean of classes  accuracy
`CheXlocalizeProtocol`  thresholds by finding, bootstrap of images    IoU, pointing game
`kang_protocol`         five thresholds of each map                   mean IoU
======================  ============================================  ==============================

Each takes pairs of a map and its `Sample`. A map is ``(H, W)``; a sample with several targets has
maps ``(T, H, W)``, one for each target in their order, or one map ``(H, W)`` for all of them::

    WSOLProtocol()((make_map(sample), sample) for sample in samples)

`pair_maps` makes the pairs from files of maps or from a function, and interpolates the maps to the
size of the image. Pixels that a sample ignores count for nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from cameval._checks import finite_number, non_negative_number
from cameval.binarizers import MeanBinarizer, MedianBinarizer, PercentileBinarizer
from cameval.errors import SettingError, ShapeError
from cameval.evaluation._pairs import (
    Label,
    MapOfTarget,
    Pairs,
    each_target,
    kept_pixels,
    pointing_score,
)
from cameval.evaluation.labels import label_of
from cameval.metrics import MaxBoxAcc, PxAP, iou

__all__ = [
    "KangScores",
    "PointingProtocol",
    "PointingScores",
    "WSOLProtocol",
    "WSOLScores",
    "kang_protocol",
]

_FIVE = (MeanBinarizer(), MedianBinarizer(), *map(PercentileBinarizer, (75, 90, 95)))


@dataclass(frozen=True)
class WSOLScores:
    """Scores of `WSOLProtocol`, in [0, 1]; NaN if no image has an object.

    Attributes
    ----------
    max_box_acc
        MaxBoxAcc: box of the largest component, IoU .5, best threshold.
    max_box_acc_v2
        MaxBoxAccV2: mean of `max_box_acc_at`.
    max_box_acc_at
        For each IoU, the share of images with any correct box at the best threshold for this IoU.
    px_ap
        PxAP: average precision of all pixels.
    n
        Number of maps whose target has an object. The others count for `px_ap` only.

    Examples
    --------
    >>> import numpy as np
    >>> from cameval import Sample, Target, center_map
    >>> from cameval.evaluation import WSOLProtocol
    >>> target = Target(0, boxes=np.array([[4, 4, 12, 12]]))
    >>> sample = Sample("1", np.zeros((16, 16), np.float32), targets=[target])
    >>> scores = WSOLProtocol(step=0.01)([(center_map(sample.shape), sample)])
    >>> scores.max_box_acc, scores.max_box_acc_v2, scores.n
    (1.0, 1.0, 1)
    """

    max_box_acc: float
    max_box_acc_v2: float
    max_box_acc_at: Mapping[float, float]
    px_ap: float
    n: int


@dataclass(frozen=True)
class WSOLProtocol:
    """Weakly supervised object localization, after Choe et al.

    Maps are scaled to [0, 1] by their own extremes and compared with the thresholds 0, .001, ...,
    .999. `MaxBoxAcc` takes the box of the largest component and an IoU of .5; MaxBoxAccV2 takes the
    boxes of all components and the mean over the IoU .3, .5 and .7. A box is correct if it matches
    any annotated box. `PxAP` has bins of .001. Thresholds are chosen on the scored images.

    The papers report MaxBoxAcc(V2) on CUB and ILSVRC, whose truth is boxes, and PxAP on OpenImages,
    whose truth is masks.

    Parameters
    ----------
    ious
        Smallest IoU of a correct box of MaxBoxAccV2.
    step
        Distance of the thresholds, and width of the bins of PxAP: 1 divided by a whole number. The
        time for boxes is proportional to the number of thresholds; .01 is ten times faster.

    Raises
    ------
    SettingError
        If an IoU is not in (0, 1], or the step does not divide 1.

    Notes
    -----
    The released code resizes maps and boxes to 224 x 224 pixels, rounds maps to 256 levels, marks
    ``map > t * max``, and adds a pixel to the sides of each box. This class scores maps on the grid
    of the image, marks ``map >= t``, as the papers write, and takes boxes as they are.

    References
    ----------
    J. Choe et al., "Evaluating Weakly Supervised Object Localization Methods Right", CVPR 2020.
    J. Choe et al., "Evaluation for Weakly Supervised Object Localization: Protocol, Metrics, and
    Datasets", arXiv:2007.04178 (2020).

    Examples
    --------
    The blind center map, without a network:

    >>> import numpy as np
    >>> from cameval import Sample, Target, center_map
    >>> from cameval.evaluation import WSOLProtocol
    >>> boxes = [np.array([[4, 4, 12, 12]]), np.array([[0, 0, 5, 16]])]
    >>> image = np.zeros((16, 16), np.float32)
    >>> samples = [Sample(str(n), image, targets=[Target(0, boxes=b)]) for n, b in enumerate(boxes)]
    >>> scores = WSOLProtocol()((center_map(sample.shape), sample) for sample in samples)
    >>> scores.max_box_acc, scores.max_box_acc_at
    (0.5, {0.3: 0.5, 0.5: 0.5, 0.7: 0.5})
    """

    ious: tuple[float, ...] = (0.3, 0.5, 0.7)
    step: float = 0.001

    def __post_init__(self) -> None:
        """Check the settings."""
        if not self.ious or not all(0 < finite_number("ious", each) <= 1 for each in self.ious):
            raise SettingError(f"ious must be numbers in (0, 1], got {self.ious}")
        step = finite_number("step", self.step)
        if not 0 < step <= 1 or abs(round(1 / step) - 1 / step) > 1e-6:
            raise SettingError(f"step must be 1 divided by a whole number, got {self.step}")

    def __call__(self, pairs: Pairs, /) -> WSOLScores:
        """Score maps.

        Raises
        ------
        ArrayTypeError, ShapeError, NonFiniteError
            If a pair is not a map and its sample.
        """
        bins = round(1 / self.step)
        grid = np.arange(bins) / bins
        correct = np.zeros((1 + len(self.ious), bins))
        pixels: PxAP | None = None
        n = 0
        for one in each_target(pairs):
            objects, ignore = one.target.objects, one.sample.ignore
            counts = PxAP.of_objects(one.map, objects, ignore=ignore, bins=bins)
            pixels = counts if pixels is None else pixels + counts
            if not len(objects):
                continue
            found = MaxBoxAcc.of_objects(one.map, objects, ignore=ignore, thresholds=grid)
            n += 1
            correct[0] += found.curve(0.5)
            for row, least in enumerate(self.ious, start=1):
                correct[row] += found.curve(least, any_box=True)
        best = correct.max(1) / n if n else np.full(len(correct), np.nan)
        return WSOLScores(
            max_box_acc=float(best[0]),
            max_box_acc_v2=float(best[1:].mean()),
            max_box_acc_at=dict(zip(self.ious, best[1:].tolist(), strict=True)),
            px_ap=float("nan") if pixels is None else pixels.average_precision,
            n=n,
        )


@dataclass(frozen=True)
class PointingScores:
    """Scores of `PointingProtocol`; NaN if there is no image to score.

    Attributes
    ----------
    accuracy, accuracy_difficult
        Mean over classes of the share of images whose maximum counts: of all images, and of the
        difficult ones.
    by_class, by_class_difficult
        The share for each class.
    n, n_difficult
        Number of scored pairs of an image and a class.

    Examples
    --------
    >>> import numpy as np
    >>> from cameval import Sample, Target, center_map
    >>> from cameval.evaluation import PointingProtocol
    >>> image = np.zeros((40, 40), np.float32)
    >>> boxes = [np.array([[0, 0, 4, 4]]), np.array([[10, 10, 30, 30]])]  # a corner, the center
    >>> samples = [Sample(str(n), image, targets=[Target(n, boxes=b)]) for n, b in enumerate(boxes)]
    >>> scores = PointingProtocol()((center_map(sample.shape), sample) for sample in samples)
    >>> scores.by_class, scores.accuracy, scores.n
    ({0: 0.0, 1: 1.0}, 0.5, 2)
    >>> scores.n_difficult, scores.accuracy_difficult  # each image has one class
    (0, nan)
    """

    accuracy: float
    accuracy_difficult: float
    by_class: Mapping[Label, float]
    by_class_difficult: Mapping[Label, float]
    n: int
    n_difficult: int


@dataclass(frozen=True)
class PointingProtocol:
    """The pointing game of Zhang et al., as in TorchRay: 15 pixels, all and difficult images.

    `pointing_game` scores whether the maximum of the map lies in an object of its class, or less
    than 15 pixels beside it. The accuracy of a class is the mean over the images that have it, and
    the accuracy is the mean over classes.

    An image is difficult for a class if the areas of the objects of this class add up to less than
    a quarter of the image, and there is an object of another class. So a sample must have all its
    classes as targets, and maps ``(T, H, W)``.

    Parameters
    ----------
    tolerance
        A distance in pixels.

    Raises
    ------
    SettingError
        If the tolerance is negative or not finite.

    Notes
    -----
    TorchRay's documentation has the accuracies of the center of the image, which need no network:
    .696 (difficult .424) on PASCAL VOC 2007 test, with boxes as truth, and .278 (.195) on COCO 2014
    val, with outlines. Objects that VOC marks as difficult are truth there, but a class all of
    whose objects are marked so is not scored. TorchRay reads difficult images from the lists of
    Zhang et al. The mean there has all classes of the data set; here those that occur.

    References
    ----------
    J. Zhang et al., "Top-Down Neural Attention by Excitation Backprop", IJCV 126 (2018).
    R. Fong, M. Patrick, A. Vedaldi, "Understanding Deep Networks via Extremal Perturbations and
    Smooth Masks", ICCV 2019, and its code TorchRay, ``docs/pointing.csv``.

    Examples
    --------
    >>> import numpy as np
    >>> from cameval import Sample, Target, center_map
    >>> from cameval.evaluation import PointingProtocol
    >>> cat = Target(0, boxes=np.array([[0, 0, 8, 8]]))
    >>> dog = Target(1, boxes=np.array([[20, 0, 40, 40]]))
    >>> sample = Sample("both", np.zeros((40, 40), np.float32), targets=[cat, dog])
    >>> scores = PointingProtocol()([(center_map(sample.shape), sample)])
    >>> scores.by_class, scores.by_class_difficult
    ({0: 0.0, 1: 1.0}, {0: 0.0})
    """

    tolerance: float = 15

    def __post_init__(self) -> None:
        """Check the setting."""
        non_negative_number("tolerance", self.tolerance)

    def __call__(self, pairs: Pairs, /) -> PointingScores:
        """Score maps.

        Raises
        ------
        ArrayTypeError, NonFiniteError
            If a pair is not a map and its sample.
        ShapeError
            If a map is not of the size of the image, or the image is a volume.
        """
        every: dict[Label, list[float]] = {}
        difficult: dict[Label, list[float]] = {}
        for one in each_target(pairs):
            if len(one.sample.shape) != 2:
                raise ShapeError(
                    f"samples must be images, got a volume {one.sample.shape} for sample "
                    f"{one.sample.name!r}; use the metric pointing_game for volumes"
                )
            score = pointing_score(one, self.tolerance)
            if np.isnan(score):
                continue
            every.setdefault(one.target.label, []).append(score)
            if _is_difficult(one):
                difficult.setdefault(one.target.label, []).append(score)
        classes, hard = ({label: float(np.mean(each)) for label, each in found.items()}
                         for found in (every, difficult))  # fmt: skip
        return PointingScores(
            accuracy=_mean(list(classes.values())),
            accuracy_difficult=_mean(list(hard.values())),
            by_class=classes,
            by_class_difficult=hard,
            n=sum(map(len, every.values())),
            n_difficult=sum(map(len, difficult.values())),
        )


def _is_difficult(one: MapOfTarget) -> bool:
    others = [target for target in one.sample.targets if target is not one.target]
    small = 4 * int(one.target.objects.masks.sum()) < one.target.mask.size
    return small and any(target.mask.any() for target in others)


def _mean(values: list[float]) -> float:
    return float(np.mean(values)) if values else float("nan")


@dataclass(frozen=True)
class KangScores:
    """Scores of `kang_protocol`.

    Attributes
    ----------
    mean_iou
        Mean IoU over slices for the label of each binarizer; NaN if no slice has an object.
    best
        The label with the highest mean IoU; empty without a slice.
    n
        Number of slices with an object.

    Examples
    --------
    The truth is the 8 highest of 16 pixels. The masks have 8, 8, 4, 2 and 1 of them:

    >>> import numpy as np
    >>> from cameval import Sample
    >>> from cameval.evaluation import kang_protocol
    >>> values = np.arange(16.0).reshape(4, 4)
    >>> sample = Sample("slice 1", np.zeros((4, 4), np.float32), values > 7)
    >>> scores = kang_protocol([(values, sample)])
    >>> list(scores.mean_iou.values())
    [1.0, 1.0, 0.5, 0.25, 0.125]
    >>> scores.best, scores.n
    ('mean', 1)
    """

    mean_iou: Mapping[str, float]
    best: str
    n: int


def kang_protocol(pairs: Pairs, /) -> KangScores:
    """Score the masks at five thresholds, as in the paper that this library starts from.

    The thresholds are the mean, the median, and the percentiles 75, 90 and 95 of each raw map. The
    mask is ``map > threshold``, and the score is the mean IoU over all slices with an object. The
    paper reports the best of the five, .153 on the brain tumors of the figshare data set, and does
    not say on which slices it was chosen; here it is chosen on the scored ones.

    Parameters
    ----------
    pairs
        Pairs of maps and samples.

    Returns
    -------
    KangScores
        The mean IoU of each binarizer.

    Raises
    ------
    ArrayTypeError, ShapeError, NonFiniteError
        If a pair is not a map and its sample.

    References
    ----------
    H. Kang et al., "Towards a Quantitative Analysis of Class Activation Mapping for Deep
    Learning-based Computer-Aided Diagnosis".

    Examples
    --------
    >>> import numpy as np
    >>> from cameval import Sample
    >>> from cameval.evaluation import kang_protocol
    >>> image, values = np.zeros((9, 9), np.float32), np.arange(81.0).reshape(9, 9)
    >>> scores = kang_protocol([(values, Sample("slice 1", image, values > 72))])
    >>> scores.best, scores.mean_iou[scores.best]
    ('percentile:90', 1.0)
    """
    scores: list[list[float]] = []
    for one in each_target(pairs):
        truth = kept_pixels(one.target.mask, one)
        if truth.any():
            values = kept_pixels(one.map, one)
            scores.append([float(iou(each(values), truth)) for each in _FIVE])
    means = np.mean(scores, axis=0) if scores else np.full(len(_FIVE), np.nan)
    labels = [label_of(each) for each in _FIVE]
    best = labels[int(means.argmax())] if scores else ""
    return KangScores(dict(zip(labels, means.tolist(), strict=True)), best, len(scores))
