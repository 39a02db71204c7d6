"""The protocol of CheXlocalize: thresholds by finding, IoU and pointing game, bootstrap."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cameval._checks import check_count, finite_number
from cameval.binarizers import OtsuBinarizer
from cameval.errors import SettingError
from cameval.evaluation._pairs import (
    Floats,
    Label,
    MapOfTarget,
    Pairs,
    each_target,
    kept_pixels,
    pointing_score,
)
from cameval.metrics import iou
from cameval.statistics import Interval

__all__ = ["CheXlocalizeProtocol", "CheXlocalizeScores"]

Thresholds = Mapping[Label, float | None]


@dataclass(frozen=True)
class CheXlocalizeScores:
    """Scores of `CheXlocalizeProtocol` for each finding, with intervals.

    Attributes
    ----------
    iou
        Mean IoU over the images that have the finding and a mask that is not empty.
    iou_all
        Mean IoU over all images that have the finding or a marked pixel: 0 if the finding is
        missed, and 0 for any mark on an image without the finding. Images with neither have no
        score. It depends on how many images without the finding there are.
    pointing
        Share of the images with the finding whose maximum lies in it.
    thresholds
        The thresholds that were used; None is Otsu's of each map.

    Examples
    --------
    >>> from cameval.evaluation import CheXlocalizeScores
    >>> from cameval.statistics import Interval
    >>> mean = Interval(estimate=0.5, low=0.3, high=0.7, n=8, n_groups=8, n_undefined=2)
    >>> scores = CheXlocalizeScores({0: mean}, {0: mean}, {0: mean}, thresholds={0: 0.4})
    >>> scores.iou[0].estimate
    0.5
    >>> scores.to_pandas(["edema"])[["finding", "threshold", "score", "mean", "n"]]
      finding  threshold     score  mean  n
    0   edema        0.4       iou   0.5  8
    1   edema        0.4   iou_all   0.5  8
    2   edema        0.4  pointing   0.5  8
    """

    iou: Mapping[Label, Interval]
    iou_all: Mapping[Label, Interval]
    pointing: Mapping[Label, Interval]
    thresholds: Thresholds

    def to_pandas(self, class_names: Sequence[str] = ()) -> pd.DataFrame:
        """Return the scores as a table, one row for each finding and score.

        Its columns are ``finding`` (the name where `class_names` has it, else the label),
        ``threshold`` (NaN where it is Otsu's), ``score`` (``"iou"``, ``"iou_all"`` or
        ``"pointing"``), ``mean``, ``low``, ``high``, ``n`` and ``n_undefined``.
        """
        rows = []
        for label, threshold in self.thresholds.items():
            named = label is not None and label < len(class_names)
            finding = class_names[label] if label is not None and named else label
            cut = float("nan") if threshold is None else threshold
            for score in ("iou", "iou_all", "pointing"):
                of: Interval = getattr(self, score)[label]
                ends = (of.estimate, of.low, of.high, of.n, of.n_undefined)
                rows.append((finding, cut, score, *ends))
        columns = ["finding", "threshold", "score", "mean", "low", "high", "n", "n_undefined"]
        return pd.DataFrame(rows, columns=columns)


@dataclass(frozen=True)
class CheXlocalizeProtocol:
    """The protocol of Saporta et al. for findings on chest X-rays.

    A map is scaled to [0, 1] by its own extremes, and its mask is ``map > threshold``. `tune`
    chooses a threshold for each finding on validation images: the one of `grid` with the highest
    mean IoU over the images that have the finding and a mask that is not empty, the lowest of
    equals. A finding without such an image gets Otsu's threshold, the default of the released code.
    Calling the object scores test images with these thresholds.

    A constant map, such as zeros where the classifier does not predict the finding, has an empty
    mask.

    Parameters
    ----------
    grid
        Thresholds to choose from, in [0, 1).
    replicates
        Number of bootstrap samples.
    confidence
        Confidence of the intervals, in (0, 1): percentiles of the replicates.
    unit
        What is drawn: ``"sample"``, as published, or ``"group"``. Images of one patient are not
        independent, so intervals of samples are too short where patients have several.
    seed
        Seed of the random draws.

    Raises
    ------
    SettingError
        If a setting is out of its range.

    Notes
    -----
    Formulas are those of the released code, ``eval.py`` of commit a9619f8: its ``iou`` with
    ``true_pos_only`` is the attribute ``iou`` of the scores, and without it ``iou_all``. An earlier
    version (0e45730) gives a mark on an image without the finding no score instead of 0.
    Both draw from all images with replacement, and leave out undefined scores in each replicate.
    What differs:

    - The estimate here is the mean over the images; commit a9619f8 reports the mean of the
      replicates.
    - Of several maxima their share counts here; the released code takes the first. Its commit
      a9619f8 takes the first pixel of the mask by Otsu's threshold instead of the maximum; the
      earlier version takes the maximum of the map, and so does this class.
    - Otsu's threshold here is that of the map; in the released code the map is rounded to 256
      levels first.
    - The released code tunes a finding without positive images to its lowest threshold, .2.
    - Cut-offs of the probability, which the paper uses for scores over all images, are not part of
      it. Give zeros as the map where the probability is below the cut-off.

    References
    ----------
    A. Saporta et al., "Benchmarking Saliency Methods for Chest X-ray Interpretation", Nature
    Machine Intelligence 4 (2022), and the code at github.com/rajpurkarlab/cheXlocalize:
    ``eval.py``, ``heatmap_to_segmentation.py`` and ``tune_heatmap_threshold.py``.

    Examples
    --------
    >>> import numpy as np
    >>> from cameval import Sample, Target
    >>> from cameval.evaluation import CheXlocalizeProtocol
    >>> image = np.zeros((1, 4), np.float32)
    >>> effusion = Target(2, np.array([[True, True, False, False]]))
    >>> edema = Target(5, np.array([[False, False, False, False]]))
    >>> sample = Sample("x-ray 7", image, targets=[effusion, edema])
    >>> maps = np.array([[[3.0, 2.0, 1.0, 0.0]], [[0.0, 0.0, 0.0, 1.0]]])
    >>> protocol = CheXlocalizeProtocol()
    >>> thresholds = protocol.tune([(maps, sample)])
    >>> thresholds
    {2: 0.4, 5: None}
    >>> scores = protocol([(maps, sample)], thresholds)
    >>> scores.iou[2].estimate, scores.iou_all[5].estimate, scores.pointing[2].estimate
    (1.0, 0.0, 1.0)
    """

    grid: tuple[float, ...] = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
    replicates: int = 1000
    confidence: float = 0.95
    unit: Literal["sample", "group"] = "sample"
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the settings."""
        inside = all(0 <= finite_number("grid", each) < 1 for each in self.grid)
        if not self.grid or not inside or (np.diff(self.grid) <= 0).any():
            raise SettingError(f"grid must be increasing numbers in [0, 1), got {self.grid}")
        check_count("replicates", self.replicates)
        if not 0 < finite_number("confidence", self.confidence) < 1:
            raise SettingError(f"confidence must be in (0, 1), got {self.confidence}")
        if self.unit not in ("sample", "group"):
            raise SettingError(f"unit must be 'sample' or 'group', got {self.unit!r}")

    def tune(self, validation: Pairs, /) -> dict[Label, float | None]:
        """Return the threshold of each finding that occurs; None where none can be chosen.

        Parameters
        ----------
        validation
            Pairs of maps and samples, which the scored ones should not share.

        Raises
        ------
        ArrayTypeError, ShapeError, NonFiniteError
            If a pair is not a map and its sample.
        """
        sums: dict[Label, Floats] = {}
        for one in each_target(validation):
            total = sums.setdefault(one.target.label, np.zeros((2, len(self.grid))))
            truth = kept_pixels(one.target.mask, one)
            if not truth.any():
                continue
            for step, threshold in enumerate(self.grid):
                mask = _mask(one, threshold)
                if mask.any():
                    total[:, step] += float(iou(mask, truth)), 1
        return {label: self._best(*total) for label, total in sums.items()}

    def _best(self, sums: Floats, counts: Floats) -> float | None:
        if not counts.any():
            return None
        means = np.divide(sums, counts, out=np.full(len(sums), -1.0), where=counts > 0)
        return self.grid[int(means.argmax())]

    def __call__(self, test: Pairs, thresholds: Thresholds, /) -> CheXlocalizeScores:
        """Score maps.

        Parameters
        ----------
        test
            Pairs of maps and samples.
        thresholds
            The result of `tune`: from label to threshold. Labels that are missing get Otsu's
            threshold.

        Raises
        ------
        SettingError
            If `thresholds` has a key that is no label, or a threshold that is not in [0, 1).
        ArrayTypeError, ShapeError, NonFiniteError
            If a pair is not a map and its sample.
        """
        _check_thresholds(thresholds)
        names: list[str] = []
        units: list[str] = []
        seen: set[Label] = set()
        rows: list[tuple[int, Label, float, float, float]] = []
        for one in each_target(test):
            label = one.target.label
            if not names or one.sample.name != names[-1] or label in seen:  # another image
                names.append(one.sample.name)
                units.append(one.sample.group if self.unit == "group" else str(len(names)))
                seen.clear()
            seen.add(label)
            rows.append((len(names) - 1, label, *_scores(one, thresholds)))
        labels = list(dict.fromkeys(row[1] for row in rows))
        table = np.full((3, len(names), len(labels)), np.nan)
        for at, label, *found in rows:
            table[:, at, labels.index(label)] = found
        first, everything, pointing = (
            dict(zip(labels, self._intervals(scores, units), strict=True)) for scores in table
        )
        used = {label: thresholds.get(label) for label in labels}
        return CheXlocalizeScores(first, everything, pointing, used)

    def _intervals(self, scores: Floats, units: list[str]) -> Iterable[Interval]:
        """Return the mean of each column with its bootstrap interval."""
        numbers = pd.factorize(np.array(units, dtype=object))[0]  # in the order of the images
        size = int(numbers.max(initial=-1)) + 1
        sums, counts = np.zeros((2, size, scores.shape[1]))
        np.add.at(sums, numbers, np.nan_to_num(scores))
        np.add.at(counts, numbers, ~np.isnan(scores))
        draw = np.random.default_rng(self.seed)
        drawn = np.array(
            [np.bincount(draw.integers(size, size=size), minlength=size)
             for _ in range(self.replicates if size else 0)]
        ).reshape(-1, size)  # fmt: skip
        totals, numbers_drawn = drawn @ sums, drawn @ counts
        for column in range(scores.shape[1]):
            some = numbers_drawn[:, column] > 0
            means = totals[some, column] / numbers_drawn[some, column]
            defined = scores[~np.isnan(scores[:, column]), column]
            n = len(defined)
            low, high = self._percentiles(means)
            yield Interval(
                estimate=float(defined.mean()) if n else float("nan"),
                low=low,
                high=high,
                n=n,
                n_groups=int((counts[:, column] > 0).sum()),
                n_undefined=len(scores) - n,
            )

    def _percentiles(self, means: Floats) -> tuple[float, float]:
        """Return two order statistics of the replicates, as the released code counts them."""
        if not len(means):
            return float("nan"), float("nan")
        tail = (1 - self.confidence) / 2
        ranks = [int(share * len(means) + 1e-9) - 1 for share in (tail, 1 - tail)]
        low, high = np.sort(means)[np.maximum(ranks, 0)].tolist()
        return low, high


def _check_thresholds(thresholds: Thresholds) -> None:
    for label, cut in thresholds.items():
        if not (label is None or (isinstance(label, int) and not isinstance(label, bool))):
            raise SettingError(
                "thresholds must have labels (class indices) as keys, as those of tune have, got "
                f"{label!r}"
            )
        if cut is not None and not 0 <= finite_number("threshold", cut) < 1:
            raise SettingError(f"thresholds must be None or in [0, 1), got {cut} for {label}")


def _scores(one: MapOfTarget, thresholds: Thresholds) -> tuple[float, float, float]:
    """Return IoU, IoU over all, and the pointing game of one image; NaN where undefined."""
    truth = kept_pixels(one.target.mask, one)
    mask = _mask(one, thresholds.get(one.target.label))
    nan = float("nan")
    if truth.any():
        score = float(iou(mask, truth))
        return (score if mask.any() else nan), score, pointing_score(one)
    return nan, (0.0 if mask.any() else nan), nan


def _mask(one: MapOfTarget, threshold: float | None) -> NDArray[np.bool_]:
    """Return the mask of the pixels that count, ``(1, n)``."""
    values = kept_pixels(one.map, one)
    if threshold is None:
        otsu: NDArray[np.bool_] = OtsuBinarizer()(values)
        return otsu
    low, high = values.min(), values.max()
    return (values - low) / (high - low) > threshold if high > low else np.zeros_like(values, bool)
