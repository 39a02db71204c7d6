"""A binarizer whose parameter is chosen on validation images."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isnan
from typing import Any, NoReturn

import torch
from torch import Tensor

from cameval._arrays import Array, maps_and_truth
from cameval._memo import memo
from cameval.errors import ArrayTypeError, NonFiniteError, SettingError, ShapeError
from cameval.protocols import Binarizer

__all__ = ["CandidateScore", "FittedBinarizer", "TunedBinarizer"]


@dataclass(frozen=True)
class CandidateScore:
    """What one candidate scored on the validation set.

    Attributes
    ----------
    label
        Label of the candidate.
    score
        Mean over the images with a score; NaN if there are none.
    images
        Number of images with a score.
    undefined
        Number of images whose score is NaN and was left out, such as those with an empty truth.
    """

    label: str
    score: float
    images: int
    undefined: int


@dataclass(frozen=True, repr=False)
class FittedBinarizer:
    """The binarizer that scored best on a validation set, and how; called like any other.

    `TunedBinarizer.fit` makes it.

    Attributes
    ----------
    binarizer
        The chosen candidate.
    chosen
        Its label and score.
    table
        Label and score of every candidate, in their order.
    """

    binarizer: Binarizer
    chosen: CandidateScore
    table: tuple[CandidateScore, ...]

    def __call__(self, maps: Array, /) -> Array:
        """Return boolean masks of maps ``(..., H, W)`` by the chosen binarizer."""
        masks: Any = self.binarizer(maps)  # type: ignore[arg-type]
        return masks  # type: ignore[no-any-return]

    def __repr__(self) -> str:
        """Write what was chosen, and its score on how many images."""
        best = self.chosen
        return f"FittedBinarizer({best.label}, score={best.score:.4f}, images={best.images})"


@dataclass(frozen=True, init=False)
class TunedBinarizer:
    """Candidates of which the best on a validation set is to be chosen.

    Parameters
    ----------
    candidates
        Binarizers, in a sequence or by label. Of equal scores the first wins.
    metric
        From masks and truth to one score for each image, of which more is better. Of a distance
        pass the negative. A metric whose NaN depends on the mask compares the candidates on
        different images: see :class:`CandidateScore`.

    Raises
    ------
    SettingError
        If there are no candidates, two have one label, or something cannot be called.

    Examples
    --------
    >>> maps = torch.arange(16.0).reshape(1, 4, 4)
    >>> tuned = TunedBinarizer([PercentileBinarizer(p) for p in (50, 75, 90)], iou)
    >>> fitted = tuned.fit([(maps, maps > 11)])
    >>> fitted
    FittedBinarizer(PercentileBinarizer(percentile=75), score=1.0000, images=1)
    >>> fitted(-maps).sum()
    tensor(4)
    """

    candidates: tuple[tuple[str, Binarizer], ...]
    metric: Callable[[Tensor, Tensor], Tensor]

    def __init__(
        self,
        candidates: Sequence[Binarizer] | Mapping[str, Binarizer],
        metric: Callable[[Tensor, Tensor], Tensor],
    ) -> None:
        if isinstance(candidates, Mapping):
            labeled = list(candidates.items())
        elif isinstance(candidates, Sequence):
            labeled = [(getattr(each, "__name__", repr(each)), each) for each in candidates]
        else:
            raise SettingError(
                f"candidates must be a sequence or a mapping of binarizers, got {candidates!r}"
            )
        if not labeled:
            raise SettingError("candidates must hold at least one binarizer, got none")
        for label, candidate in labeled:
            if not callable(candidate):
                raise SettingError(f"candidate {label!r} must be callable, got {candidate!r}")
        if not callable(metric):
            raise SettingError(f"metric must be callable, got {metric!r}")
        labels = [label for label, _ in labeled]
        if twice := [label for label in labels if labels.count(label) > 1]:
            raise SettingError(
                f"candidates must have different labels, got {twice[0]!r} twice; "
                "name them, as in {'first': ..., 'second': ...}"
            )
        object.__setattr__(self, "candidates", tuple(labeled))
        object.__setattr__(self, "metric", metric)

    def __call__(self, maps: object, /) -> NoReturn:
        """Raise an error: what `fit` returns is the binarizer."""
        raise SettingError(
            f"a binarizer must be fitted before it is used, got candidates "
            f"{[label for label, _ in self.candidates]}; use what fit(batches) returns"
        )

    def fit(self, batches: Iterable[tuple[Array, Array]], /) -> FittedBinarizer:
        """Choose the candidate with the highest mean score on a validation set.

        Parameters
        ----------
        batches
            Pairs of real maps and boolean masks of one shape ``(..., H, W)``, read once and one at
            a time. For a single batch pass ``[(maps, truth)]``.

        Returns
        -------
        FittedBinarizer
            The chosen binarizer with the scores of all.

        Raises
        ------
        ArrayTypeError
            If a batch is not such a pair.
        ShapeError
            If maps and masks differ in shape, or the metric gives other than one score an image.
        NonFiniteError
            If a map has NaN or infinity, or no candidate has a score on any image.
        """
        totals = [_Total() for _ in self.candidates]
        for batch in batches:
            maps, truth = maps_and_truth(*_pair(batch))
            with memo():
                for total, (_, candidate) in zip(totals, self.candidates, strict=True):
                    total.add(self._scores(candidate(maps), truth))
        table = tuple(
            total.score(label) for total, (label, _) in zip(totals, self.candidates, strict=True)
        )
        ranked = [row for row in table if not isnan(row.score)]
        if not ranked:
            seen = table[0].images + table[0].undefined
            raise NonFiniteError(
                "at least one image must have a score, "
                f"got {seen} images of which none has; fit on images whose truth is not empty"
            )
        best = max(ranked, key=lambda row: row.score)
        return FittedBinarizer(dict(self.candidates)[best.label], best, table)

    def _scores(self, masks: Tensor, truth: Tensor) -> Tensor:
        scores = torch.as_tensor(self.metric(masks, truth))
        if scores.shape != truth.shape[:-2]:
            raise ShapeError(
                f"metric must return one score for each image, shape {tuple(truth.shape[:-2])}, "
                f"got {tuple(scores.shape)}"
            )
        return scores


@dataclass
class _Total:
    """Running sum of the scores of one candidate."""

    sum: float = 0.0
    images: int = 0
    undefined: int = 0

    def add(self, scores: Tensor) -> None:
        scored = scores[~scores.isnan()].double()
        self.sum += float(scored.sum())
        self.images += scored.numel()
        self.undefined += scores.numel() - scored.numel()

    def score(self, label: str) -> CandidateScore:
        mean = self.sum / self.images if self.images else float("nan")
        return CandidateScore(label, mean, self.images, self.undefined)


def _pair(batch: object) -> tuple[Any, Any]:
    if not isinstance(batch, tuple | list) or len(batch) != 2:
        raise ArrayTypeError(
            f"batches must hold pairs of maps and masks, got {type(batch).__name__}; "
            "for a single batch pass [(maps, truth)]"
        )
    return batch[0], batch[1]
