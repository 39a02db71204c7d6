"""Predictions of a classifier whose maps were made elsewhere."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike
from typing import Any, TypeAlias

from cameval.data import Prediction, Sample, read_predictions
from cameval.data.targets import class_index
from cameval.errors import ArrayTypeError, DataError
from cameval.evaluation._plan import Task

PredictionsGiven: TypeAlias = str | PathLike[str] | Mapping[str, Any]
"""The path of a CSV file, or from a sample's name to class, ``(class, probability)`` or
`Prediction`."""


@dataclass(frozen=True)
class GivenPredictions:
    """From a sample to its predicted class and probability, as they are given by name."""

    by_name: Mapping[str, Prediction] = field(repr=False)

    @classmethod
    def of(cls, given: PredictionsGiven, class_names: Sequence[str]) -> "GivenPredictions":
        """Read predictions from a file, or check those of a mapping."""
        if isinstance(given, str | PathLike):
            return cls(read_predictions(given, class_names=class_names))
        if not isinstance(given, Mapping):
            raise ArrayTypeError(
                "predictions must be the path of a CSV file or a mapping from names, got "
                f"{type(given).__name__}"
            )
        return cls({name: _prediction(name, one) for name, one in given.items()})

    @property
    def task(self) -> Task | None:
        """``"multilabel"`` if there are only probabilities by class; else it is not known."""
        return "multilabel" if all(p.predicted is None for p in self.by_name.values()) else None

    def __call__(self, sample: Sample) -> tuple[int | None, float | None]:
        """Return the class and the probability of a sample with one target.

        Raises
        ------
        DataError
            If the sample has no prediction.
        """
        found = self.by_name.get(sample.name)
        if found is None:
            raise DataError(f"predictions must have every sample, got none for {sample.name!r}")
        return found.of(sample.label)


def _prediction(name: str, given: Any) -> Prediction:
    """Return the prediction of one sample of a mapping."""
    if isinstance(given, Prediction):
        return given
    predicted, probability = given if isinstance(given, tuple | list) else (given, None)
    return Prediction(class_index(predicted, f"predicted class of {name!r}"), probability)
