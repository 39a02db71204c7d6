"""Means over fewer images than others: how many scores are undefined, and why."""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from cameval.evaluation._class_names import with_class_names
from cameval.evaluation._score_table import ScoreTable
from cameval.evaluation._summaries import split_rows
from cameval.evaluation.meaning import CONSTANT, REASONS
from cameval.statistics import Summary


@dataclass(frozen=True)
class Fewer:
    """A mean over fewer images than another in its row.

    Parameters
    ----------
    n
        Number of images with a score.
    n_undefined
        Number of the others.
    reasons
        Number of undefined scores of each reason.
    """

    n: int
    n_undefined: int
    reasons: Mapping[str, int]

    @classmethod
    def of(cls, score: Summary, n: int, reasons: Mapping[str, int]) -> "Fewer | None":
        """Return the counts of a mean that is over fewer than `n` images, else None."""
        return cls(score.n, score.n_undefined, reasons) if score.n < n else None


def count_reasons(codes: NDArray[np.uint8], values: NDArray[np.float64]) -> dict[str, int]:
    """Return how many scores of one column are undefined, by reason.

    Examples
    --------
    >>> import numpy as np
    >>> from cameval.evaluation._undefined import count_reasons
    >>> count_reasons(np.array([0, 3, 3, 0], np.uint8), np.array([0.5, np.nan, np.nan, np.nan]))
    {'empty prediction': 2, 'reason not known': 1}
    """
    found = codes[np.isnan(values)] & ~np.uint8(CONSTANT)
    counts = {reason: int((found == code).sum()) for code, reason in enumerate(REASONS) if code}
    counts["reason not known"] = int((found == 0).sum())
    return {reason: n for reason, n in counts.items() if n}


def is_due_to_maps(reasons: Iterable[str]) -> bool:
    """Tell whether a score is undefined for another reason than the truth of its image.

    Examples
    --------
    >>> from cameval.evaluation._undefined import is_due_to_maps
    >>> is_due_to_maps(["empty truth"]), is_due_to_maps(["empty truth", "empty prediction"])
    (False, True)
    """
    return bool({*reasons} - {"empty truth", "truth is everything"})


def reasons_of_summary(results: ScoreTable, by: Sequence[str] = ()) -> list[dict[str, int]]:
    """Return why scores are undefined, for each row of `Results.summary`, in its order."""
    split = ["model", *by]
    samples = with_class_names(results.samples, results.class_names, split)
    parts = split_rows(samples, split, multilabel=results.task == "multilabel")
    return [
        count_reasons(codes, values)
        for _, part in parts
        for codes, values in zip(
            results.codes[part.index].T, results.values[part.index].T, strict=True
        )
    ]


Key = TypeVar("Key", bound=Hashable)


class HasReasons(Protocol):
    """Counts of scores, and of those that are undefined by reason."""

    @property
    def n(self) -> int:
        """Number of defined scores."""

    @property
    def n_undefined(self) -> int:
        """Number of the others."""

    @property
    def reasons(self) -> Mapping[str, int]:
        """Number of the others, by reason."""


def find_fewer(scores: Mapping[Key, HasReasons]) -> dict[Key, Fewer]:
    """Return which of the means of a figure are over fewer images than others, or than they could.

    Examples
    --------
    >>> from cameval.evaluation._undefined import Fewer, find_fewer
    >>> scores = {"cam": Fewer(21, 7, {"empty prediction": 7}), "center": Fewer(28, 0, {})}
    >>> list(find_fewer(scores))
    ['cam']
    """
    most = max((one.n for one in scores.values()), default=0)
    return {
        key: Fewer(one.n, one.n_undefined, one.reasons)
        for key, one in scores.items()
        if one.n < most or is_due_to_maps(one.reasons)
    }


def list_fewer(named: Sequence[tuple[str, Fewer]]) -> str:
    """Return over how many images the means are that have a mark, with the names of their rows.

    Spaces before and within a count do not break.

    Examples
    --------
    >>> from cameval.evaluation._undefined import Fewer, list_fewer
    >>> few, more = Fewer(21, 7, {}), Fewer(27, 1, {})
    >>> list_fewer([("cam", few), ("center", more), ("edges", few)]).replace("\u00a0", " ")
    'cam, edges 21 of 28; center 27 of 28'
    """
    names: dict[tuple[int, int], list[str]] = {}
    for name, one in named:
        names.setdefault((one.n, one.n + one.n_undefined), []).append(name)
    return "; ".join(
        f"{', '.join(of)}\u00a0{n:,}\u00a0of\u00a0{total:,}" for (n, total), of in names.items()
    )


def describe_fewer(several: Iterable[Fewer], rows: Callable[[int], str]) -> str:
    """Return over how many images means are, and why others have no score.

    Examples
    --------
    >>> from cameval.evaluation._undefined import Fewer, describe_fewer
    >>> one = Fewer(21, 7, {"empty prediction": 7})
    >>> describe_fewer([one], "{} images".format)
    'over 21 of 28 images; undefined in 7 (empty prediction 7)'
    >>> describe_fewer([one, Fewer(27, 1, {"empty truth": 1})], "{} images".format)
    'over 21 to 27 of 28 images; undefined in 1 to 7 (empty truth 0 to 1, empty prediction 0 to 7)'
    """
    found = list(several)
    known = {reason for one in found for reason in one.reasons}
    reasons = ", ".join(
        f"{reason} {_span(one.reasons.get(reason, 0) for one in found)}"
        for reason in (*REASONS, "reason not known")
        if reason in known
    )
    counts = _span(one.n_undefined for one in found)
    why = f" ({reasons})" if reasons else ""
    totals = {one.n + one.n_undefined for one in found}
    if len(totals) > 1:
        return f"undefined in {counts} of {min(totals):,} to {rows(max(totals))}{why}"
    return f"over {span_fewer(found, rows)}; undefined in {counts}{why}"


def span_fewer(several: Iterable[HasReasons], rows: Callable[[int], str]) -> str:
    """Return over how many images means are; `rows` writes a number of images.

    Examples
    --------
    >>> from cameval.evaluation._undefined import Fewer, span_fewer
    >>> span_fewer([Fewer(21, 7, {}), Fewer(27, 1, {})], "{} images".format)
    '21 to 27 of 28 images'
    """
    found = list(several)
    most = max((one.n + one.n_undefined for one in found), default=0)
    return f"{_span(one.n for one in found)} of {rows(most)}"


def _span(counts: Iterable[int]) -> str:
    """Return a number, or the least and the greatest."""
    several = list(counts)
    low, high = min(several, default=0), max(several, default=0)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"
