"""Spacings of the images of a run: how many have one, and the unit of distances that follows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cameval._checks import warn_user
from cameval.data import Sample
from cameval.errors import DataError
from cameval.evaluation._run_folder import runs
from cameval.evaluation.meaning import Meanings

__all__ = ["MixedSpacingWarning"]

RECORD = "spacings"
"""Where the record of a run has the counts."""

ADVICE = (
    "give every sample a spacing, leave out those without one, or have all lengths in pixels, as "
    "in HausdorffDistance(spacing=(1, 1))"
)


class MixedSpacingWarning(UserWarning):
    """Some images have a spacing and others have none, and a metric uses it.

    Distances are in the unit of the spacing where an image has one, which is mm for files of DICOM
    and NIfTI, and in pixels where it has none. A mean over both mixes the units, and so does a
    tolerance. Give every sample a spacing, leave out those without one, or choose one for all:
    with ``spacing=(1, 1)``, or ``(1, 1, 1)`` for volumes, all lengths are in pixels.
    """


@dataclass(frozen=True)
class Spacings:
    """How many images of a run have a spacing on the grid of the scores.

    Parameters
    ----------
    known, unknown
        Images with a spacing, and without.
    steps
        The spacing of all images that have one, along each axis; empty if they differ.
    axes
        The number of spatial axes of all images; None if it differs or is not known.
    """

    known: int = 0
    unknown: int = 0
    steps: tuple[float, ...] = ()
    axes: int | None = None

    @classmethod
    def count(
        cls, names: NDArray[np.str_], spacing: NDArray[np.float64], axes: NDArray[np.int64]
    ) -> "Spacings":
        """Return the counts of rows, several of which may be of one image.

        `spacing` is ``(N, 3)``, that of the last axes, with NaN before it and where there is none.
        """
        _, first = np.unique(names, return_index=True)
        has_one = ~np.isnan(spacing[first, -1])
        known = np.unique(np.nan_to_num(spacing[first][has_one]), axis=0)  # NaN is never equal
        steps = tuple(known[0][known[0] > 0].tolist()) if len(known) == 1 else ()
        of_images = np.unique(axes)
        one = int(of_images[0]) if len(of_images) == 1 else None
        return cls(int(has_one.sum()), int((~has_one).sum()), steps, one)

    @classmethod
    def of(cls, run: Mapping[str, Any]) -> "Spacings":
        """Return the counts in the record of one run; zeros if it has none."""
        record = run.get(RECORD)
        found = record if isinstance(record, Mapping) else {}
        known, unknown, axes = (found.get(name) for name in ("known", "unknown", "axes"))
        steps = found.get("steps")
        if not (isinstance(known, int) and isinstance(unknown, int) and min(known, unknown) >= 0):
            return cls()
        good = isinstance(steps, list | tuple) and all(isinstance(s, int | float) for s in steps)
        return cls(known, unknown, tuple(steps) if good else (), axes if axes in (2, 3) else None)  # type: ignore[arg-type]

    @classmethod
    def of_all(cls, provenance: Mapping[str, Any]) -> "Spacings":
        """Return the counts of all runs of a table together; zeros if one of them has none."""
        found = [cls.of(run) for run in runs(provenance)]
        if not all(one.known + one.unknown for one in found):
            return cls()
        total, *others = found
        for one in others:
            total += one
        return total

    def to_record(self) -> dict[str, Any]:
        """Return what the record of a run has of them; nothing without an image."""
        return {RECORD: dict(vars(self))} if self.known or self.unknown else {}

    @property
    def are_mixed(self) -> bool:
        """Whether some images have a spacing and others have none."""
        return self.known > 0 and self.unknown > 0

    @property
    def pixels(self) -> str:
        """What the elements of an image are called."""
        return "voxels" if self.axes == 3 else "pixels"

    @property
    def unit(self) -> str | None:
        """The unit of distances in a title; None if it is not known."""
        if not self.known and not self.unknown:
            return None
        if self.are_mixed:
            return "px or unit of spacing, mixed"
        if self.known:
            return "unit of spacing"
        return "voxels" if self.axes == 3 else "px"

    def __add__(self, other: "Spacings") -> "Spacings":
        """Return the counts of two runs together."""
        steps = {one.steps for one in (self, other) if one.known}
        return Spacings(
            self.known + other.known,
            self.unknown + other.unknown,
            steps.pop() if len(steps) == 1 else (),
            self.axes if self.axes == other.axes else None,
        )

    def __str__(self) -> str:
        """Return how many images have no spacing, in words."""
        total = self.known + self.unknown
        return f"{self.unknown:,} of {total:,} images"


def spaced_metrics(meanings: Meanings, labels: Sequence[str]) -> list[str]:
    """Return the labels of metrics with a length in the unit of each sample's spacing."""
    known = meanings.metrics
    return [label for label in dict.fromkeys(labels) if label in known and known[label].unit]


def warn_of_mixed_spacings(provenance: Mapping[str, Any]) -> None:
    """Warn if some images of a run have no spacing, others have one, and a metric uses it."""
    found, meanings = Spacings.of(provenance), Meanings.of(provenance.get("meanings"))
    if found.are_mixed and (labels := spaced_metrics(meanings, [*meanings.metrics])):
        warn_user(
            f"all samples must have a spacing, or none, for {', '.join(labels)}, got {found} "
            f"without one: their lengths are in {found.pixels}, the others in the unit of the "
            f"spacing, and the mean mixes them; {ADVICE}",
            MixedSpacingWarning,
        )


def check_spacings(samples: Sequence[object], meanings: Meanings) -> None:
    """Check that all samples in memory have a spacing, or none, if a metric uses it.

    Raises
    ------
    DataError
        If only some have one.
    """
    labels = spaced_metrics(meanings, [*meanings.metrics])
    if not labels or not all(isinstance(one, Sample) for one in samples):
        return
    without = sum(one.spacing is None for one in samples if isinstance(one, Sample))
    if 0 < without < len(samples):
        raise DataError(
            f"all samples must have a spacing, or none, for {', '.join(labels)}, got {without:,} "
            f"of {len(samples):,} without one; {ADVICE}"
        )
