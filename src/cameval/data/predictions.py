"""Predictions of a classifier, from a table: classes and probabilities."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from numbers import Real
from os import PathLike
from pathlib import Path
from types import MappingProxyType
from typing import Any

from cameval.data._csv import cell_error, read_csv
from cameval.data.targets import class_index, parse_class
from cameval.errors import DataError

__all__ = ["Prediction", "read_predictions"]


@dataclass(frozen=True)
class Prediction:
    """The prediction of a classifier for one image.

    Parameters
    ----------
    predicted
        The predicted class, counted from 0; None where it is not known, or where several classes
        may be present.
    probability
        The probability of the predicted class; None where it is not known.
    probabilities
        Probabilities by class.

    Raises
    ------
    DataError
        If a class is no class index, a probability is not in [0, 1], or the probability is another
        than that of the predicted class.

    Examples
    --------
    >>> from cameval.data import Prediction
    >>> Prediction(predicted=2, probability=0.9).of(5)
    (2, 0.9)

    Of several findings, each is present or not:

    >>> findings = Prediction(probabilities={2: 0.9, 5: 0.3})
    >>> findings.of(2), findings.of(5)
    ((2, 0.9), (None, 0.3))
    """

    predicted: int | None = None
    probability: float | None = None
    probabilities: Mapping[int, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check all parts."""
        predicted = class_index(self.predicted, "predicted")
        by_class = {
            _checked_class(label): _checked_probability(value, f"probability of class {label}")
            for label, value in self.probabilities.items()
        }
        if self.probability is not None:
            probability = _checked_probability(self.probability, "probability")
            if predicted is None:
                raise DataError("probability must be of a predicted class, got predicted None")
            if by_class.get(predicted, probability) != probability:
                raise DataError(
                    f"probability must be that of class {predicted} in probabilities, "
                    f"{by_class[predicted]}, got {probability}"
                )
            object.__setattr__(self, "probability", probability)
        elif predicted in by_class:
            object.__setattr__(self, "probability", by_class[predicted])
        object.__setattr__(self, "predicted", predicted)
        object.__setattr__(self, "probabilities", MappingProxyType(by_class))

    def __reduce__(self) -> Any:
        """Pickle the fields, for worker processes."""
        return type(self), (self.predicted, self.probability, dict(self.probabilities))

    def of(self, label: int | None) -> tuple[int | None, float | None]:
        """Return the predicted class and the probability for a target of this class.

        They are the predicted class and its probability. Where no class is predicted, but
        probabilities are known, they are the target's class if its probability is above one half,
        else None, and the probability of the target's class.
        """
        if self.predicted is not None or label is None or label not in self.probabilities:
            return self.predicted, self.probability
        probability = self.probabilities[label]
        return (label if probability > 0.5 else None), probability


def read_predictions(
    path: str | PathLike[str], *, class_names: Sequence[str] = ()
) -> dict[str, Prediction]:
    r"""Read the predictions of a classifier from a CSV file.

    The first line names the columns, in any order; others are left out. There are two forms. With
    the column ``predicted``, each row is an image: its ``name``, the predicted class and, if known,
    the ``probability`` of this class. A column ``label`` is then not read, as it may be the truth.
    Without it, each row is an image and a class, for tasks with several classes an image: ``name``,
    ``label``, and the ``probability`` of this class.

    Parameters
    ----------
    path
        The file, in UTF-8, with commas.
    class_names
        The class of label 0, 1, ..., where the table has names of classes. Whole numbers are class
        indices. Text that is one of these names is always the class of that name.

    Returns
    -------
    dict
        The prediction of each image by its name.

    Raises
    ------
    DataError
        If the file cannot be read, a column is missing, a class is none of the classes, a
        probability is not in [0, 1], or an image has two predictions. The message names file, line
        and column.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from cameval.data import read_predictions
    >>> with TemporaryDirectory() as folder:
    ...     table = Path(folder) / "predictions.csv"
    ...     _ = table.write_text("name,predicted,probability\nscan 1,edema,0.75\nscan 2,1,\n")
    ...     found = read_predictions(table, class_names=["effusion", "edema"])
    >>> found["scan 1"].predicted, found["scan 1"].probability
    (1, 0.75)
    >>> found["scan 2"].predicted, found["scan 2"].probability
    (1, None)
    """
    path = Path(path)
    rows = _read_rows(path)
    found: dict[str, Prediction] = {}
    lines: dict[tuple[str, int | None], int] = {}
    for line, row in rows:
        name = row["name"]
        label = _class(path, line, "label", row.get("label", ""), class_names)
        if (name, label) in lines:
            what = repr(name) if label is None else f"{name!r} of class {label}"
            raise cell_error(
                path, line, "name", f"must come once, got {what} as in line {lines[name, label]}"
            )
        lines[name, label] = line
        predicted = _class(path, line, "predicted", row.get("predicted", ""), class_names)
        probability = _probability(path, line, row.get("probability", ""))
        if label is not None:
            known = dict(found[name].probabilities) if name in found else {}
            more = {} if probability is None else {label: probability}
            found[name] = Prediction(probabilities=known | more)
        elif predicted is None and probability is not None:
            raise cell_error(path, line, "predicted", "must be given with a probability, got ''")
        else:
            found[name] = Prediction(predicted, probability)
    return found


_COLUMNS = ("name", "label", "predicted", "probability")


def _read_rows(path: Path) -> list[tuple[int, dict[str, str]]]:
    """Return the number of each row's line, and its cells by column."""
    lines = [
        (line, [cell.strip() for cell in row])
        for line, row in read_csv(path, "a table of predictions")
        if any(row)
    ]
    columns = lines[0][1] if lines else []
    there = {column for column in _COLUMNS if columns.count(column) == 1}
    again = any(columns.count(column) > 1 for column in _COLUMNS)
    if again or "name" not in there or not ("predicted" in there or len(there) == 3):
        raise DataError(
            f"{path}: the columns must be name and predicted, or name, label and probability, each "
            f"once, got {', '.join(columns) or 'nothing'}"
        )
    rows = []
    for line, cells in lines[1:]:
        if len(cells) != len(columns):
            raise DataError(
                f"{path}, line {line}: the row must have {len(columns)} cells, got {len(cells)}"
            )
        row = {key: cell for key, cell in zip(columns, cells, strict=True) if key in there}
        if "predicted" in row:
            row.pop("label", None)
        for column in ("name", "label"):
            if row.get(column) == "":
                raise cell_error(path, line, column, "must not be empty, got ''")
        rows.append((line, row))
    if not rows:
        raise DataError(f"{path}: the file must hold at least one row, got its header alone")
    return rows


def _class(path: Path, line: int, column: str, text: str, class_names: Sequence[str]) -> int | None:
    """Return the class of a cell, given by its name or its index; None if it is empty."""
    if not text:
        return None
    if text in class_names:
        return list(class_names).index(text)
    index = parse_class(text, f"{path}, line {line}: {column}")
    if index is None or (class_names and index >= len(class_names)):
        out = "" if class_names else "; give class_names where the table has names of classes"
        of = f" of {len(class_names)} or its name" if class_names else ""
        raise cell_error(path, line, column, f"must be a class index{of}, got {text!r}{out}")
    return index


def _probability(path: Path, line: int, text: str) -> float | None:
    if not text:
        return None
    try:
        return _checked_probability(float(text), "")
    except (ValueError, DataError) as error:
        raise cell_error(
            path, line, "probability", f"must be a number in [0, 1], got {text!r}"
        ) from error


def _checked_probability(value: object, what: str) -> float:
    if not isinstance(value, Real) or not isfinite(value) or not 0 <= float(value) <= 1:
        raise DataError(f"{what} must be a number in [0, 1], got {value!r}")
    return float(value)


def _checked_class(label: object) -> int:
    index = class_index(label, "a class of probabilities")
    if index is None:
        raise DataError("a class of probabilities must be a class index, got None")
    return index
