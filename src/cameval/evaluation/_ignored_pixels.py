"""Pixels that are ignored: their share of each image, in the record of a run."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cameval.evaluation._numbers import format_percent
from cameval.evaluation._run_folder import runs
from cameval.evaluation._score_table import ScoreTable

RECORD = "ignored_pixels"
"""Where the record of a run has the share of each image that has any."""


def ignored_record(
    names: NDArray[np.str_], shares: NDArray[np.float64]
) -> dict[str, dict[str, float]]:
    """Return what the record of a run has: the share of the pixels of an image that are ignored."""
    some = shares > 0
    found = dict(zip(names[some].tolist(), shares[some].tolist(), strict=True))
    return {RECORD: found} if found else {}


@dataclass(frozen=True)
class IgnoredPixels:
    """On how many images of a table pixels are ignored, and what share of them.

    Parameters
    ----------
    images, n_images
        How many images have ignored pixels, and of how many.
    median
        The median of their shares of the image.
    """

    images: int
    n_images: int
    median: float

    @classmethod
    def of(cls, results: ScoreTable) -> "IgnoredPixels | None":
        """Return them for the images of a table; None if no pixel is ignored."""
        names = results.samples["sample"].astype(str).unique()
        known: dict[str, float] = {}
        for run in runs(results.provenance):
            record = run.get(RECORD)
            known |= record if isinstance(record, Mapping) else {}
        shares = [
            share for name in names if isinstance(share := known.get(name), float | int) and share
        ]
        return cls(len(shares), len(names), float(np.median(shares))) if shares else None

    def describe(self, one: str = "image") -> str:
        """Return a sentence on them; `one` is what an image is called."""
        least = "in the median " * (self.images > 1)
        return (
            f"In {self.images:,} of {self.n_images:,} {one}s pixels are ignored, {least}"
            f"{format_percent(self.median)} of the {one}: scores, bounds and areas are of the "
            "other pixels."
        )
