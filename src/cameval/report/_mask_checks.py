"""Checks that the masks that are drawn are those that were scored."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from inspect import isfunction
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from cameval import metrics
from cameval._spatial import read_pixelwise
from cameval.errors import DataError, SettingError
from cameval.evaluation import Choice, Results
from cameval.evaluation._digests import digest_of, digest_or_none
from cameval.evaluation._run_folder import runs
from cameval.metrics.properties import takes, truth_of
from cameval.protocols import Binarizer

TOLERANCE = 0.05
"""The largest difference of two scores of the same mask, beside that of two pixels."""

NOISE = 1e-4
"""Below this share of its largest value the range of a map may be that of rounding."""


@dataclass(frozen=True, eq=False)
class MaskScore:
    """The score of a mask that is drawn, and how far another computation may be from it."""

    value: float
    tolerance: float

    @classmethod
    def of(
        cls,
        metric: Callable[..., Any],
        mask: NDArray[np.bool_],
        truth: NDArray[np.bool_],
        keep: NDArray[np.bool_] | None,
    ) -> "MaskScore":
        """Return the score of a mask by a metric that depends on the values of pixels alone."""
        of_pixels = np.ones_like(mask) if keep is None else keep
        given, true = (torch.from_numpy(one[of_pixels])[None, None] for one in (mask, truth))
        value = float(metric(given, true)[0]) if of_pixels.any() else np.nan
        return cls(value, TOLERANCE + 2 / max(1, int((given | true).sum())))

    def agrees(self, other: float) -> bool:
        """Tell whether another score may be that of the same mask."""
        if np.isnan(self.value) or np.isnan(other):
            return bool(np.isnan(self.value) and np.isnan(other))
        return abs(self.value - other) <= self.tolerance


def is_noise(low: float, high: float) -> bool:
    """Tell whether the range of a map may be that of rounding, which is not the same again."""
    return high - low <= NOISE * max(abs(low), abs(high))


def metric_to_check(results: Results, label: str) -> Callable[..., Any] | None:
    """Return the metric of a label, by which the masks can be scored again.

    It is one of cameval's own metrics of masks: that which has the contents that the record of the
    run has of the label. Without such a record, or if the network computed in another precision,
    the masks cannot be checked.
    """
    recorded = _recorded(results, "metrics", label)
    settings = [run.get("settings") or {} for run in runs(results.provenance)]
    if len(recorded) != 1 or any(one.get("precision", "exact") != "exact" for one in settings):
        return None
    for metric in vars(metrics).values():
        is_of_masks = isfunction(metric) and takes(metric) == "masks" and truth_of(metric) == "mask"
        if is_of_masks and read_pixelwise(metric) and digest_of(metric) in recorded:
            found: Callable[..., Any] = metric
            return found
    return None


def check_binarizers(results: Results, binarizers: Mapping[str, Binarizer]) -> None:
    """Check that binarizers have the contents that the record of the run has of their labels.

    Raises
    ------
    SettingError
        If one has others.
    """
    for label, binarizer in binarizers.items():
        recorded = _recorded(results, "binarizers", label)
        found = digest_or_none(digest_of, binarizer)
        if found is not None and len(recorded) == 1 and found not in recorded:
            raise SettingError(
                f"binarizer {label!r} must be the one that was evaluated, got {binarizer!r} with "
                "other settings"
            )


def _recorded(results: Results, kind: str, label: str) -> set[str]:
    """Return the digests of the contents of a label in the runs of results."""
    found = set()
    for run in runs(results.provenance):
        things = (run.get("identity") or {}).get(kind) or {}
        if digest := things.get(label):
            found.add(str(digest))
    return found


def check_choices(
    results: Results,
    choices: Mapping[str, Choice],
    binarizers: Mapping[str, Binarizer],
    maps: Sequence[tuple[str, str]],
) -> None:
    """Check that choices are those of the results, and that the chosen binarizers are given.

    Parameters
    ----------
    maps
        Target class and method of each map.

    Raises
    ------
    SettingError
        If a label is also that of a binarizer, the results have another choice of the label, or a
        binarizer that was chosen is not given.
    """
    for label, choice in choices.items():
        if label in binarizers:
            raise SettingError(f"choices must have labels of no binarizer, got {label!r} in both")
        records = [(run.get("chosen") or {}).get(label) for run in runs(results.provenance)]
        if any(
            record is not None
            and record.get("model", choice.model) == choice.model
            and _chosen(record) != _chosen(choice.record())
            for record in records
        ):
            raise SettingError(
                f"choices must be those that were applied to the results, got another choice "
                f"{label!r}"
            )
        labels = {*choice.labels, None}
        for target_class, method in maps:
            for one in labels:
                wanted = choice.binarizer(target_class, "method", method, one)
                if wanted not in binarizers:
                    raise SettingError(
                        f"binarizers must have those that were chosen, got no {wanted!r}, which "
                        f"{label!r} has for {method}"
                    )


def _chosen(record: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    """Return what was chosen for which map and label."""
    fields = ("target_class", "kind", "method", "label", "binarizer")
    return [tuple(row.get(field) for field in fields) for row in record["binarizers"]]


def check_scores(
    found: Sequence[MaskScore | None],
    known: Sequence[float],
    pairs: Sequence[tuple[str, str, str, str]],
    name: str,
) -> None:
    """Check the scores of the masks of a target against the table.

    Raises
    ------
    DataError
        If one differs; the message has the name of the sample.
    """
    for score, value, pair in zip(found, known, pairs, strict=True):
        if score is not None and not score.agrees(value):
            of_map = " ".join(pair[1:3])
            raise DataError(
                f"the masks that are drawn must be those that were scored, got {pair[3]} "
                f"{score.value:.3f} of {of_map} for sample {name!r}, which has {value:.3f} in the "
                "results; give the network, methods, binarizers, maps, prepare and alignment of "
                "the evaluation, and choices for binarizers that were chosen"
            )
