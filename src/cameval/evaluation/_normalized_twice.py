"""Whether the images of a run are normalized by the preparation and by the network again."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from cameval._checks import warn_user
from cameval.extractor import NormalizedTwiceWarning
from cameval.networks._placement import Placement

RECORD = "normalized_twice"
"""Where the record of a run has it."""

ADVICE = "prepare=Preparation(mean=(0, 0, 0), std=(1, 1, 1))"


@dataclass(frozen=True)
class NormalizedTwice:
    """The largest value at the first convolution, if the first image is normalized twice.

    Examples
    --------
    >>> from cameval.evaluation._normalized_twice import NormalizedTwice
    >>> bool(NormalizedTwice(11.2)), bool(NormalizedTwice())
    (True, False)
    """

    largest: float | None = None

    @classmethod
    def of_image(cls, placement: Placement, image: Tensor) -> "NormalizedTwice":
        """Judge a prepared image ``(channels, H, W)`` by what the network does to it."""
        return cls(placement.largest_if_normalized_twice(image[None]))

    @classmethod
    def of_run(cls, run: Mapping[str, Any]) -> "NormalizedTwice":
        """Return what the record of a run has."""
        found = run.get(RECORD)
        return cls(float(found) if isinstance(found, int | float) else None)

    def to_record(self) -> dict[str, Any]:
        """Return what the record of a run has of it; nothing if images are normalized once."""
        return {} if self.largest is None else {RECORD: self.largest}

    def __bool__(self) -> bool:
        """Return whether images are normalized twice."""
        return self.largest is not None


def warn_of_normalized_twice(run: Mapping[str, Any]) -> None:
    """Warn if images are normalized by the preparation and by the network again."""
    if found := NormalizedTwice.of_run(run):
        warn_user(
            "images must be normalized once, got a network that normalizes them itself, and values "
            f"up to {found.largest:.3g} at its first convolution; give {ADVICE}",
            NormalizedTwiceWarning,
        )
