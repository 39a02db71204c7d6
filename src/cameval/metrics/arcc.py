"""ARCC: ROAD, coherency and complexity in one number."""

from dataclasses import dataclass, field
from typing import ClassVar

from torch import Tensor

from cameval._arrays import as_scores, exact
from cameval.metrics._network import (
    Extract,
    Network,
    check_extract,
    check_network_inputs,
    given_extract,
    maps_of_masked_images,
)
from cameval.metrics.faithfulness import coherency, complexity
from cameval.metrics.properties import Takes
from cameval.metrics.road import ROAD

__all__ = ["ARCC"]


@dataclass(frozen=True)
class ARCC:
    r"""Harmonic mean of coherency, of one minus complexity and of ROAD on a scale from 0 to 1.

    .. math:: 3 \left( \frac{1}{\text{coherency}} + \frac{1}{1 - \text{complexity}}
              + \frac{1}{\min(1, \max(0, 2 \, \text{ROAD}))} \right)^{-1}

    See `coherency`, `complexity` and :class:`ROAD`. It is :class:`ADCC` with ROAD in place of the
    average drop, and 0 where one of the three terms is 0: also where ROAD is not above chance.

    Parameters
    ----------
    extract
        The source of the maps: a :class:`CAMExtractor`, or any function of images and classes whose
        result has ``maps`` on the images. It is called with the images times their maps. None is
        for `cameval.evaluate`, which then gives each method and baseline its own source.
    road
        The ROAD score with its settings.

    Raises
    ------
    SettingError
        If `extract` is not callable, or it is None in a call.

    Notes
    -----
    Called as ``metric(network, images, maps, classes)``, it gives one score in [0, 1] for each
    image ``(N,)``, higher is better. A constant map scores 0. With an `extract` it is valid for
    maps of this `extract` only. The errors of a call are those of `average_drop`, and a
    `ShapeError` if `extract` gives other maps. Volumes are refused, as by :class:`ROAD`.

    Experimental: the text of the paper was not available. The formula is that of its authors'
    implementation in pytorch-grad-cam, which calls it a geometric mean and computes a harmonic one.
    There, the map must be scaled to [0, 1] already; here it is scaled by its own extremes.

    Cost: that of ROAD, and one call of `extract`.

    References
    ----------
    L. Domeniconi et al., "How to Evaluate and Refine your CAM", arXiv 2605.14641 (2026).

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> from cameval import CAMExtractor, CAMModel, GAPHead
    >>> from cameval.metrics import ARCC
    >>> model = CAMModel(nn.Conv2d(3, 8, 3), GAPHead(nn.Linear(8, 2))).eval()
    >>> extract, images = CAMExtractor(model), torch.rand(4, 3, 16, 16)
    >>> result = extract(images)
    >>> ARCC(extract)(model, images, result.maps, result.classes).shape
    torch.Size([4])
    """

    label: ClassVar[str] = "arcc"
    takes: ClassVar[Takes] = "network"
    uses_extract: ClassVar[bool] = True
    higher_is_better: ClassVar[bool | None] = True
    value_range: ClassVar[tuple[float, float]] = (0, 1)

    extract: Extract | None = None
    road: ROAD = field(default_factory=ROAD)

    def __post_init__(self) -> None:
        check_extract(self.extract)

    @property
    def title(self) -> str:
        """The name with its settings, for reports and plots."""
        return "ARCC" if self.road == ROAD() else f"ARCC with {self.road.title}"

    def __call__(
        self, network: Network, images: Tensor, maps: Tensor, classes: Tensor, /
    ) -> Tensor:
        """Return the score of each image, ``(N,)``."""
        extract = given_extract(self.extract, "ARCC")
        checked = check_network_inputs(images, maps, classes)
        removal = exact(self.road(network, *checked))
        again = maps_of_masked_images(extract, checked)
        coherent, sparse = coherency(checked.maps, again), 1 - complexity(checked.maps)
        above = (2 * removal).clamp(0, 1)
        return as_scores(3 / (1 / exact(coherent) + 1 / exact(sparse) + 1 / above), images)
