"""Images that are almost black, as 12 bits in files of 16: how they are judged and counted."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cameval._checks import warn_user
from cameval.data import Sample
from cameval.evaluation.preparation import Preparation, Prepare

__all__ = ["DarkImagesWarning", "is_almost_black"]

DARK = 1 / 8
"""The greatest value of an image in [0, 1] that is almost black."""

RECORD = "dark_images"
"""Where the record of a run has the counts."""


class DarkImagesWarning(UserWarning):
    """More than half of the images reach no more than 1/8 of the range that the network expects.

    Files of 16 bits are divided by 65,535. If their pixels have 12 bits, no value is above 1/16,
    and ``stretch=True`` of the reader, or ``--stretch-contrast`` of the command line, scales each
    image by its own range. Arrays that are divided by 255 twice are as dark.

    Judged is the whole image in [0, 1], before `Preparation` normalizes it. Images without a
    positive value do not count. Nothing is judged where `prepare` is a function of your own, or
    where the means and standard deviations of `Preparation` are those of images as dark.
    """


@dataclass(frozen=True)
class DarkImages:
    """How many images of a run are almost black.

    Parameters
    ----------
    dark
        Images with a positive value and none above `DARK`.
    judged
        Images with a positive value.
    black
        Images without one.
    """

    dark: int = 0
    judged: int = 0
    black: int = 0

    @classmethod
    def count(cls, names: NDArray[np.str_], brightest: NDArray[np.floating[Any]]) -> "DarkImages":
        """Return the counts of rows, several of which may be of one image."""
        _, first = np.unique(names, return_index=True)
        values = brightest[first]  # NaN where an image is not judged
        dark, judged, black = (values > 0) & (values <= DARK), values > 0, values == 0
        return cls(*(int(where.sum()) for where in (dark, judged, black)))

    @classmethod
    def of(cls, run: Mapping[str, Any]) -> "DarkImages":
        """Return the counts in the record of a run; zeros if it has none."""
        record = run.get(RECORD)
        known = record if isinstance(record, Mapping) else {}
        found = {name: known.get(name) for name in ("dark", "judged", "black")}
        return cls(**{name: n for name, n in found.items() if isinstance(n, int) and n >= 0})

    def to_record(self) -> dict[str, Any]:
        """Return what the record of a run has of them; nothing if no image was looked at."""
        return {RECORD: dict(vars(self))} if self.judged or self.black else {}

    @property
    def are_most(self) -> bool:
        """Whether they are more than half of the images."""
        return 2 * self.dark > self.judged

    def __add__(self, other: "DarkImages") -> "DarkImages":
        """Return the counts of two runs together."""
        return DarkImages(
            self.dark + other.dark, self.judged + other.judged, self.black + other.black
        )

    def __str__(self) -> str:
        """Return how many images have no value above `DARK`, in words."""
        total = self.judged + self.black
        return f"{self.dark + self.black:,} of {total:,} image{'s' * (total != 1)}"


def brightest_of(sample: Sample, prepare: Prepare) -> float:
    """Return the greatest value of an image in [0, 1]; NaN where it says nothing.

    A preparation of another type may scale the images itself, and one whose mean plus standard
    deviation is as dark was made for such images.
    """
    if type(prepare) is not Preparation:
        return float("nan")
    if max(m + s for m, s in zip(prepare.mean, prepare.std, strict=True)) <= DARK:
        return float("nan")
    return float(sample.image.max())


def is_almost_black(sample: Sample, prepare: Prepare) -> bool:
    """Tell whether an image reaches no more than 1/8 of the range that the network expects.

    :class:`DarkImagesWarning` describes what is judged.

    Parameters
    ----------
    sample
        A sample.
    prepare
        How it becomes the input of the network, as of :func:`~cameval.evaluate`.

    Returns
    -------
    bool
        Whether the image has a positive value, and none above 1/8. False where nothing is judged.

    Examples
    --------
    >>> import numpy as np
    >>> from cameval import Preparation, Sample
    >>> from cameval.evaluation import is_almost_black
    >>> pixels = np.array([[0, 2048], [1024, 4095]], np.uint16)  # 12 bits
    >>> of_16 = Sample("a", np.float32(pixels / 65535), pixels > 2000)
    >>> of_12 = Sample("a", np.float32(pixels / 4095), pixels > 2000)
    >>> is_almost_black(of_16, Preparation()), is_almost_black(of_12, Preparation())
    (True, False)
    """
    return 0 < brightest_of(sample, prepare) <= DARK


def warn_of_dark_images(run: Mapping[str, Any]) -> None:
    """Warn if most images of a run are almost black."""
    found = DarkImages.of(run)
    if found.are_most:
        warn_user(
            f"images must use the range [0, 1] that the network expects, got {found} without a "
            "value above 1/8; read files with stretch=True (--stretch-contrast on the command "
            "line), which scales each image by its own range, as 12 bits in files of 16 need it, "
            "and divide arrays by their largest possible value once",
            DarkImagesWarning,
        )
