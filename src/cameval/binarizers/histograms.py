"""One threshold for a map, from the histogram of its values."""

from dataclasses import dataclass

from torch import Tensor

from cameval import thresholds as rules
from cameval.arrays import Array
from cameval.binarizers.door import masks, thresholds
from cameval.binarizers.settings import whole_number
from cameval.errors import SettingError

__all__ = ["MultiOtsuBinarizer", "OtsuBinarizer"]


@dataclass(frozen=True)
class OtsuBinarizer:
    """Mark the pixels above Otsu's threshold, which best separates a map into two classes.

    The threshold is that of `skimage.filters.threshold_otsu`: 256 bins between the smallest and the
    largest value, in the dtype of the map (float32 for half precision). Integer maps have one bin
    for each value. Where scikit-image cannot answer, the definition still holds: values too small
    or too large to be squared are scaled by a power of two first, and a range too narrow for 256
    bins has one bin for each value.

    References
    ----------
    N. Otsu, "A Threshold Selection Method from Gray-Level Histograms", IEEE Trans. SMC 9 (1979).

    Examples
    --------
    >>> OtsuBinarizer()(torch.tensor([[0.0, 1.0, 8.0, 9.0]]))
    tensor([[False, False,  True,  True]])
    """

    def threshold(self, maps: Array, /) -> Array:
        """Return Otsu's threshold of each map, shape ``(...)``."""
        return thresholds(maps, rules.otsu)

    def __call__(self, maps: Array, /) -> Array:
        """Return boolean masks of maps ``(..., H, W)``."""
        return masks(maps, rules.otsu)


@dataclass(frozen=True)
class MultiOtsuBinarizer:
    """Mark the top class of a map that Otsu's criterion divides into several.

    The threshold is the last of `skimage.filters.threshold_multiotsu`: the center of the highest
    bin below the top class, so that few bins move the mask a little. Integer maps have one bin for
    each value if there are at most `nbins`. Where scikit-image raises, there is an answer: a map
    that fills fewer bins than `classes` has as many classes as filled bins, and a range too narrow
    for the bins has one bin for each value.

    Parameters
    ----------
    classes
        Number of classes, at least 2. The time grows steeply with it.
    nbins
        Number of bins, at least `classes`. The default of scikit-image is 256.

    Raises
    ------
    SettingError
        If a setting is out of its range.

    References
    ----------
    P.-S. Liao, T.-S. Chen and P.-C. Chung, "A Fast Algorithm for Multilevel Thresholding", Journal
    of Information Science and Engineering 17 (2001).

    Examples
    --------
    >>> MultiOtsuBinarizer()(torch.tensor([[0.0, 0.0, 4.0, 4.0, 8.0, 9.0]]))
    tensor([[False, False, False, False,  True,  True]])
    """

    classes: int = 3
    nbins: int = 64

    def __post_init__(self) -> None:
        """Check the settings."""
        object.__setattr__(self, "classes", whole_number("classes", self.classes, 2))
        object.__setattr__(self, "nbins", whole_number("nbins", self.nbins, 2))
        if self.nbins < self.classes:
            raise SettingError(
                f"nbins must be at least the number of classes, got {self.nbins} bins for "
                f"{self.classes} classes"
            )

    def threshold(self, maps: Array, /) -> Array:
        """Return lower end of each map's top class, shape ``(...)``."""
        return thresholds(maps, self._of)

    def __call__(self, maps: Array, /) -> Array:
        """Return boolean masks of maps ``(..., H, W)``."""
        return masks(maps, self._of)

    def _of(self, maps: Tensor) -> Tensor:
        return rules.multi_otsu(maps, self.classes, self.nbins)
