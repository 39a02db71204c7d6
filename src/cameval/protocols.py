"""Protocols of the parts that users can write: methods, binarizers, metrics and baselines.

Each is a plain callable: a function, or a frozen dataclass if it has settings. There is no base
class and no registry. All arrays that `cameval.evaluate` passes to them are torch tensors.

==================  =======================================================  =====================
protocol            call                                                     returns
==================  =======================================================  =====================
`CAMMethod`         ``method(activations, target)``                          maps ``(N, h, w)``
`Binarizer`         ``binarizer(maps)``                                      masks ``(..., H, W)``
`MaskMetric`        ``metric(pred, target)``                                 scores ``(...)``
`MapMetric`         ``metric(maps, target)``                                 scores ``(...)``
`NetworkMetric`     ``metric(network, images, maps, classes)``               scores ``(N,)``
`Baseline`          ``baseline(batch)``, batch a `BaselineInput`             maps ``(N, H, W)``
==================  =======================================================  =====================

**Batches.** Binarizers and metrics get the maps or masks of a batch together, and must treat each
independently of the others: reduce over the last two axes, as in
``maps.mean((-2, -1), keepdim=True)``. `cameval.evaluate` and `cameval.evaluate_maps` call a
binarizer, or a metric of masks or maps, that is not one of the library's twice more in a run, with
three maps, and raise `cameval.errors.SettingError` if a result depends on the other maps. A metric
of masks or maps may also return a single number; it is then called for each image by itself.

**Types.** The types in the signatures are imported from where they are defined: `Activations` and
`ScoreTarget` from ``cameval.networks``, `Sample` from ``cameval.data``, `CellCenters` from
``cameval.maps``.

**Properties.** A metric has attributes for what it takes and whether higher is better. The
decorators `cameval.metrics.of_masks`, `cameval.metrics.of_maps` and `cameval.metrics.of_network`
set them. Its title, if it has one, is what reports and plots call it: the argument ``title`` of the
decorator, or an attribute or property of a class that tells its settings, such as ``"F2"``; without
it they show the label. A baseline has an attribute for what it knows of its sample, set by the
decorator `cameval.baselines.knows`. A class can have class attributes instead of a decorator.

**Labels.** In tables and on the command line a function is named by its attribute ``label`` or its
``__name__``. A class may have a class attribute ``label``, a single word; without it the label is
the ``repr`` of the object. The word is followed by the settings that differ from their defaults:
``percentile`` is the word of `PercentileBinarizer`, and ``percentile:95`` the label of
``PercentileBinarizer(95)`` (see `cameval.evaluation.label_of`). So settings should be numbers,
words, or other objects with labels.

    >>> from dataclasses import dataclass
    >>> from typing import ClassVar
    >>> import torch
    >>> @dataclass(frozen=True)
    ... class FixedBinarizer:
    ...     label: ClassVar[str] = "fixed"
    ...     value: float = 0.0
    ...     def __call__(self, maps):
    ...         return maps > self.value
    >>> FixedBinarizer(0.5)(torch.tensor([[0.0, 1.0]]))
    tensor([[False,  True]])
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias

from torch import Tensor

from cameval.data import Sample
from cameval.maps import CellCenters

if TYPE_CHECKING:  # needs torchvision, which binarizers and most metrics do not
    from cameval.networks import Activations, ScoreTarget

__all__ = [
    "Baseline",
    "BaselineInput",
    "Binarizer",
    "CAMMethod",
    "MapMetric",
    "MaskMetric",
    "Metric",
    "NetworkMetric",
]


class CAMMethod(Protocol):
    """Callable that computes one raw map per image from recorded activations.

    A raw map is on the feature grid, is not scaled, and is signed if the formula is.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> from cameval import CAMExtractor, CAMModel, GAPHead
    >>> def mean_activation(activations, target):
    ...     return activations.features.mean(1)
    >>> model = CAMModel(nn.Conv2d(3, 8, 3), GAPHead(nn.Linear(8, 2))).eval()
    >>> CAMExtractor(model, mean_activation)(torch.rand(1, 3, 16, 16)).coarse.shape
    torch.Size([1, 14, 14])
    """

    def __call__(self, activations: "Activations", target: "ScoreTarget", /) -> Tensor:
        """Return raw maps ``(N, h, w)``.

        Parameters
        ----------
        activations
            Recorded activations of a batch: ``features`` ``(N, K, h, w)``, ``logits`` ``(N, C)``
            and the gradients of a target's score, ``gradients(target)``.
        target
            Target class of each image, shape ``(N,)``, or a function from the network's output to
            one score per image.
        """
        ...


class Binarizer(Protocol):
    """Callable that computes boolean masks from maps, each map independently of the others.

    Examples
    --------
    >>> import torch
    >>> def positive(maps):
    ...     return maps > 0
    >>> positive(torch.tensor([[-1.0, 0.0, 2.0]]))
    tensor([[False, False,  True]])
    """

    def __call__(self, maps: Tensor, /) -> Tensor:
        """Return boolean masks ``(..., H, W)`` of real maps ``(..., H, W)``.

        The mask of a map must not depend on the other maps.
        """
        ...


class MaskMetric(Protocol):
    """Callable that scores predicted masks.

    Mark it with `cameval.metrics.of_masks`, or give its class ``takes = "masks"`` and
    ``higher_is_better``.

    Examples
    --------
    >>> import torch
    >>> from cameval.metrics import of_masks
    >>> @of_masks(higher_is_better=False)
    ... def area_error(pred, target):
    ...     return (pred.sum((-2, -1)) - target.sum((-2, -1))).abs().float()
    >>> area_error(torch.tensor([[True, True]]), torch.tensor([[True, False]]))
    tensor(1.)
    """

    def __call__(self, pred: Tensor, target: Tensor, /) -> Tensor:
        """Return scores ``(...)``.

        Parameters
        ----------
        pred
            Predicted boolean masks ``(..., H, W)``.
        target
            True boolean masks of that shape. A score that is undefined, as for an empty mask, is
            NaN.
        """
        ...


class MapMetric(Protocol):
    """Callable that scores maps, without a binarizer.

    Mark it with `cameval.metrics.of_maps`, or give its class ``takes = "maps"`` and
    ``higher_is_better``.

    Examples
    --------
    >>> import torch
    >>> from cameval.metrics import of_maps
    >>> @of_maps(higher_is_better=True)
    ... def mean_inside(maps, target):
    ...     return (maps * target).sum((-2, -1)) / target.sum((-2, -1))
    >>> mean_inside(torch.tensor([[3.0, 1.0]]), torch.tensor([[True, False]]))
    tensor(3.)
    """

    def __call__(self, maps: Tensor, target: Tensor, /) -> Tensor:
        """Return scores ``(...)``.

        Parameters
        ----------
        maps
            Real maps ``(..., H, W)``.
        target
            True boolean masks of that shape. A score that is undefined, as for an empty mask, is
            NaN.
        """
        ...


class NetworkMetric(Protocol):
    """Callable that runs the network on changed images; it does not use true masks.

    Mark it with `cameval.metrics.of_network`, or give its class ``takes = "network"`` and
    ``higher_is_better``.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> from cameval.metrics import of_network
    >>> @of_network(higher_is_better=False)
    ... def logit_of_masked_image(network, images, maps, classes):
    ...     masked = images * (maps <= 0)[:, None]
    ...     return network(masked).gather(1, classes[:, None])[:, 0]
    >>> network = nn.Sequential(nn.Flatten(), nn.Linear(12, 2))
    >>> images, maps, classes = torch.rand(5, 3, 2, 2), torch.rand(5, 2, 2), torch.zeros(5).long()
    >>> logit_of_masked_image(network, images, maps, classes).shape
    torch.Size([5])
    """

    def __call__(
        self,
        network: Callable[[Tensor], Tensor],
        images: Tensor,
        maps: Tensor,
        classes: Tensor,
        /,
    ) -> Tensor:
        """Return scores ``(N,)``.

        Parameters
        ----------
        network
            Function from images ``(N, channels, H, W)`` to logits ``(N, C)``, in evaluation mode
            and without a graph. `cameval.evaluate` passes logits whose softmax gives the class
            probabilities: a network with one logit has two here.
        images
            Input of the network, ``(N, channels, H, W)``, normalized.
        maps
            Raw maps in the size of the images, ``(N, H, W)``.
        classes
            Target class of each map, ``(N,)``.
        """
        ...


Metric: TypeAlias = MaskMetric | MapMetric | NetworkMetric | Callable[[Tensor, Tensor], float]
"""Any of the three kinds of metric; `cameval.metrics.takes` tells which one. Or a function of two
tensors that returns one number, which `cameval.evaluate` calls for each image by itself."""


@dataclass(frozen=True, eq=False)
class BaselineInput:
    """Input of a baseline: samples that are scored together, on one grid.

    Parameters
    ----------
    samples
        The `Sample` of each map, ``N`` of them, each with one target.
    images
        Input of the network, ``(N, channels, h, w)``, normalized.
    truth
        True boolean masks on the grid on which maps are scored, ``(N, H, W)``.
    classes
        Target class of each map, ``(N,)``.
    cells
        Height and width of the network's coarse maps; 7 along each axis where there is none.
    cell_centers
        Positions of the cells' centers in the image. None: the cells divide the image evenly.
    window
        First and last pixel (exclusive) of the input along each axis that show the image, where the
        input is padded. None: all of it.

    Examples
    --------
    A sample of height 1 and width 4, whose image is padded to 6 columns for the network:

    >>> import numpy as np
    >>> import torch
    >>> from cameval import Sample
    >>> from cameval.protocols import BaselineInput
    >>> sample = Sample("x-ray 7", np.ones((1, 4), np.float32), np.array([[0, 1, 1, 0]], bool))
    >>> images = torch.tensor([0.0, 1, 1, 1, 1, 0]).reshape(1, 1, 1, 6)
    >>> truth = torch.from_numpy(sample.mask)[None]
    >>> batch = BaselineInput(
    ...     [sample], images, truth, torch.tensor([0]), cells=(1, 3), window=((0, 1), (1, 5))
    ... )
    >>> batch.shown.shape, float(batch.shown.min())
    (torch.Size([1, 1, 1, 4]), 1.0)
    """

    samples: Sequence[Sample]
    images: Tensor
    truth: Tensor
    classes: Tensor
    cells: tuple[int, ...]
    cell_centers: CellCenters | None = None
    window: tuple[tuple[int, int], ...] | None = None

    @property
    def shown(self) -> Tensor:
        """The images without their padding."""
        if self.window is None:
            return self.images
        images = self.images
        for axis, (start, stop) in enumerate(self.window, start=2):
            images = images.narrow(axis, start, stop - start)
        return images


class Baseline(Protocol):
    """Callable that computes maps for comparison with those of the network.

    The map of a sample must not depend on the other samples of the batch. Mark a baseline with
    `cameval.baselines.knows`, or give its class an attribute ``knows``: ``"nothing"``,
    ``"labels"``, ``"image"`` or ``"truth"``. Without it the baseline is reported neither as a blind
    baseline nor as an upper bound.

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> from torch import nn
    >>> from cameval import Sample
    >>> from cameval.baselines import knows
    >>> from cameval.protocols import BaselineInput
    >>> @knows("image")
    ... def darkness(batch):
    ...     gray = -batch.images.mean(1, keepdim=True)
    ...     return nn.functional.interpolate(gray, batch.truth.shape[-2:])[:, 0]
    >>> image, mask = np.zeros((8, 8), np.float32), np.eye(8, dtype=bool)
    >>> sample = Sample("slice 7", image, mask, label=1)
    >>> images, truth = torch.rand(1, 3, 4, 4), torch.eye(8, dtype=torch.bool)[None]
    >>> batch = BaselineInput([sample], images, truth, torch.tensor([1]), cells=(2, 2))
    >>> darkness(batch).shape
    torch.Size([1, 8, 8])
    """

    def __call__(self, batch: BaselineInput, /) -> Tensor:
        """Return floating-point maps ``(N, H, W)`` on the grid of ``batch.truth``."""
        ...
