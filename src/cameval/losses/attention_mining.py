"""Attention mining: a loss on the class score of images without their attended regions."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from cameval._checks import finite_number, non_negative_number, positive_number
from cameval.errors import SettingError, ShapeError
from cameval.extractor import check_parts
from cameval.losses._checks import (
    check_class_weights,
    check_labels,
    check_masks,
    check_not_wrapped,
    check_scores,
    restore_buffers_on_failure,
)
from cameval.maps import upsample
from cameval.methods import grad_cam
from cameval.networks import Activations, adapt
from cameval.networks._copies import shared_tensor
from cameval.networks._images import check_images
from cameval.networks.activations import recording

__all__ = ["AttentionMining", "MiningLoss"]


def softmax(logits: Tensor, /) -> Tensor:
    """Return probabilities ``(N, C)`` of logits ``(N, C)``."""
    return logits.softmax(1)


@dataclass(frozen=True, eq=False)
class MiningLoss:
    """Result of :class:`AttentionMining`: the loss, its terms, logits and maps.

    Parameters
    ----------
    total
        ``classification + alpha * mining + alpha_supervised * supervision``: call its `backward`.
        A term with weight 0 is left out, even if it is NaN.
    classification
        Cross entropy of the original images; 0 where the weight of every image's class is 0.
    mining
        Mean score of the true classes on the images without their attended regions; by default a
        probability. Without a graph if `alpha` is 0.
    supervision
        Mean squared difference of maps and masks; 0 without masks.
    logits
        Class scores ``(N, C)`` of the original images.
    maps
        The map of each image's true class, ``(N, H, W)`` in [0, 1].

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> from cameval import CAMModel, GAPHead
    >>> from cameval.losses import AttentionMining
    >>> model = CAMModel(nn.Conv2d(3, 8, 3), GAPHead(nn.Linear(8, 2)))
    >>> gain = AttentionMining(omega=10.0, sigma=0.5, alpha=2.0)
    >>> loss = gain(model, torch.randn(4, 3, 16, 16), torch.tensor([0, 1, 1, 0]))
    >>> bool(loss.total == loss.classification + 2 * loss.mining), loss.supervision.item()
    (True, 0.0)
    >>> loss.logits.shape, loss.maps.shape
    (torch.Size([4, 2]), torch.Size([4, 16, 16]))
    """

    total: Tensor
    classification: Tensor
    mining: Tensor
    supervision: Tensor
    logits: Tensor
    maps: Tensor


@dataclass(frozen=True, eq=False)
class AttentionMining:
    r"""Attention mining, the loss of the Guided Attention Inference Network (GAIN).

    The network runs twice: on each image, and on the image without the region that its map marks.
    A high class score in the second pass means that the map has missed evidence: the loss is high.

    .. math::

        A = \operatorname{ReLU}\left(\sum_k w_k F_k\right), \qquad
        T = \frac{1}{1 + e^{-\omega (A' - \sigma)}}, \qquad
        I^* = I - T \odot (I - v)

    .. math::

        L = L_\mathrm{cl} + \alpha \operatorname{mean}_n s_{c_n}(I^*_n)

    :math:`A` is the map of `grad_cam` for the image's true class c, and :math:`A'` the same map
    on the image: interpolated by `upsample`, then scaled to [0, 1] by its own minimum and maximum.

    Parameters
    ----------
    omega
        Steepness of the soft mask T, positive. Published code uses 10 to 100 000, so there is no
        default. T lies between ``sigmoid(-omega * sigma)`` and ``sigmoid(omega * (1 - sigma))``:
        .007 and .993 for 10 and .5. For a larger omega the mask is harder, and fewer pixels have a
        gradient through it.
    sigma
        The value of the scaled map, in (0, 1), at which T is one half; .5 to .7 in published code,
        so there is no default either.
    alpha
        Weight of mining, not negative. 1 in the paper. With 0, mining is computed, but not added to
        the total.
    fill
        The values v that replace the removed regions, in the units of the images: one number, or
        one for each channel, also as an array or a tensor, which is copied. The default of 0, as in
        the paper's formula, is the mean color of the data set where images are normalized by mean
        and standard deviation.
    score
        From logits ``(N, C)`` to the scores s of the classes ``(N, C)``, by default softmax: the
        loss is bounded, but has a small gradient where a probability is close to 1.
        ``torch.sigmoid`` is for networks with a sigmoid for each class. Some published code uses
        the raw logit, ``lambda logits: logits``; it has no lower bound and can dominate the total.
    class_weights
        Weights ``(C,)`` of the classes in the cross entropy, as in
        :func:`torch.nn.functional.cross_entropy`, not all 0. If all images of a batch are of
        classes with weight 0, the cross entropy is 0 where torch's is NaN. Mining is an unweighted
        mean over the images.
    alpha_supervised
        Weight of the masks of a call; by default 0, without masks. See the notes.

    Raises
    ------
    SettingError
        If a setting is outside its range.
    ArrayTypeError
        If `class_weights` is not a floating tensor.
    ShapeError
        If `class_weights` has another shape than ``(C,)``.

    Notes
    -----
    **Masks.** With `alpha_supervised` the loss is that of GAIN_ext, with the mean squared
    difference of :math:`A'` and the masks. The network then learns from pixel masks, and its maps
    are no longer weakly supervised: report this, and evaluate them on other images. The paper's
    weight is 10. Each image of such a call must have a mask; use another call for images without.

    **Gradients** flow through T into the first pass, also through the weights :math:`w_k`, which
    are themselves a gradient of the head, computed with a graph. On a :class:`GAPHead` they are the
    layer's weights over ``h * w``, after dropout: they do not depend on the features, and have no
    second derivative. Other heads have one, and it is computed. Where a class has little evidence
    the range of A is small, and the gradient through :math:`A'` is large in proportion: clip
    gradients.

    **Constant maps**, up to rounding, become zeros: T is at its minimum everywhere, and almost
    nothing is removed. Mining then opposes the classification of that image, which dominates if
    `alpha` is at most 1 (with softmax, and without class weights).

    **Modes.** Both passes are in the network's own mode. In training mode each has its own dropout,
    which affects the map if it is in the head, and batch normalization updates its statistics with
    both batches, the original images and those with removed regions: two updates for each call.
    Switch such layers to evaluation mode to prevent this. A call that fails does not change the
    statistics. If a layer between map and logits combines the images of a batch, the maps depend on
    the batch.

    **Without autograd**, as under ``torch.no_grad()``, both passes are in evaluation mode, and the
    network is not changed.

    **Several processes.** A network within ``DistributedDataParallel`` is refused, since its
    gradients would not be exchanged. Wrap the loss instead: a module that holds the network and
    returns ``loss.total`` from its ``forward``.

    References
    ----------
    K. Li et al., "Tell Me Where to Look: Guided Attention Inference Network", CVPR 2018.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> from cameval import CAMModel, GAPHead
    >>> from cameval.losses import AttentionMining
    >>> model = CAMModel(nn.Conv2d(3, 8, 3), GAPHead(nn.Linear(8, 2)))
    >>> gain = AttentionMining(omega=10.0, sigma=0.5)
    >>> loss = gain(model, torch.randn(4, 3, 16, 16), torch.tensor([0, 1, 1, 0]))
    >>> loss.total.backward()
    >>> loss.maps.shape
    torch.Size([4, 16, 16])
    """

    omega: float
    sigma: float
    alpha: float = 1.0
    fill: float | Sequence[float] | NDArray[np.number[Any]] | Tensor = 0.0
    score: Callable[[Tensor], Tensor] = softmax
    class_weights: Tensor | None = None
    alpha_supervised: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "omega", positive_number("omega", self.omega))
        object.__setattr__(self, "sigma", finite_number("sigma", self.sigma))
        if not 0 < self.sigma < 1:
            raise SettingError(f"sigma must be in (0, 1), got {self.sigma}")
        for name in ("alpha", "alpha_supervised"):
            object.__setattr__(self, name, non_negative_number(name, getattr(self, name)))
        object.__setattr__(self, "fill", _finite_fill(self.fill))
        if not callable(self.score):
            raise SettingError(f"score must be callable as score(logits), got {self.score!r}")
        check_class_weights(self.class_weights)

    def __call__(
        self, model: nn.Module, images: Tensor, labels: Tensor, *, masks: Tensor | None = None
    ) -> MiningLoss:
        """Compute the loss of a batch from two passes of the network.

        Parameters
        ----------
        model
            A network that `adapt` supports: a :class:`CAMModel`, a :class:`LayerModel` for the map
            of an inner layer, or any other network. In training mode its batch
            statistics are updated; nothing else is changed.
        images
            Images ``(N, channels, H, W)``, normalized as the network expects, or volumes.
        labels
            The true class of each image, ``(N,)``.
        masks
            Boolean masks ``(N, H, W)`` of the regions that the maps should mark; to be given if and
            only if `alpha_supervised` is positive.

        Returns
        -------
        MiningLoss
            The loss, its terms, and the logits and maps of the first pass.

        Raises
        ------
        UnsupportedModelError
            If `adapt` does not support the network, or it is within a data-parallel wrapper.
        ArrayTypeError
            If an argument has the wrong type.
        ShapeError
            If there is no image; if labels, masks, `fill` or class weights do not fit the images
            and classes; if the features have a single position.
        ClassIndexError
            If a label is not one of the network's classes.
        SettingError
            If masks are given without `alpha_supervised`, or `alpha_supervised` without masks.
        """
        check_parts(model)
        check_not_wrapped(model)
        check_images(images)
        check_labels(labels, len(images))
        self._check_channels(images.shape[1])
        truth = check_masks(masks, self.alpha_supervised, (len(images), *images.shape[2:]))
        create_graph = torch.is_grad_enabled()
        with recording(create_graph), restore_buffers_on_failure(model, create_graph):
            activations = adapt(model).activations(images, create_graph=create_graph)
            logits = activations.logits
            classes = labels.to(logits.device, torch.int64, copy=True)
            maps = _attention_maps(activations, classes)
            classification = self._classification(_at_least_single(logits), classes)
            with recording(create_graph and self.alpha > 0):
                mining = self._mining(activations, maps, classes)
            supervision = torch.zeros_like(mining)
            if truth is not None:
                supervision = (maps - truth.to(maps)).square().mean()
            total = classification
            if self.alpha > 0:
                total = total + self.alpha * mining
            total = total + self.alpha_supervised * supervision
        return MiningLoss(total, classification, mining, supervision, logits, maps)

    def _mining(self, activations: Activations, maps: Tensor, classes: Tensor) -> Tensor:
        """Return the mean score of the classes on the images without their attended regions."""
        logits = _at_least_single(activations.network(self._remove(activations.images, maps)))
        scores = check_scores(self.score(logits), logits)
        return scores.gather(1, classes[:, None]).mean()

    def _remove(self, images: Tensor, maps: Tensor) -> Tensor:
        """Replace the attended regions by the fill, with a soft mask."""
        removed = torch.sigmoid(self.omega * (maps - self.sigma))[:, None].to(images.dtype)
        fill = images.new_tensor(self.fill).reshape(-1, *[1] * (images.ndim - 2))
        return images - removed * (images - fill)

    def _classification(self, logits: Tensor, classes: Tensor) -> Tensor:
        weights = self.class_weights
        if weights is not None:
            if weights.shape != logits.shape[1:]:
                raise ShapeError(
                    "class_weights must be one for each of the network's "
                    f"{logits.shape[1]} classes, got {len(weights)}"
                )
            weights = shared_tensor(weights).to(logits)
            if not weights[classes].any():  # a mean of nothing would be NaN
                return F.cross_entropy(logits, classes, weights, reduction="sum")
        return F.cross_entropy(logits, classes, weights)

    def _check_channels(self, channels: int) -> None:
        if isinstance(self.fill, tuple) and len(self.fill) != channels:
            raise ShapeError(
                f"fill must be one number, or one for each of the images' {channels} channels, "
                f"got {len(self.fill)}"
            )


def _attention_maps(activations: Activations, classes: Tensor) -> Tensor:
    """Return maps of the classes on the images, scaled to [0, 1]; constant maps become zeros."""
    features = activations.features
    if features[0, 0].numel() < 2:
        raise ShapeError(
            "the features must have at least 2 positions for a map, got "
            f"{tuple(features.shape)}; use larger images or an earlier layer"
        )
    maps = upsample(grad_cam(activations, classes), tuple(activations.images.shape[2:]))
    axes = tuple(range(1, maps.ndim))
    low, high = maps.amin(axes, keepdim=True), maps.amax(axes, keepdim=True)
    constant = high - low <= torch.finfo(features.dtype).eps * high
    span = (high - low).where(~constant, 1)
    return ((maps - low) / span).where(~constant, 0)


def _at_least_single(logits: Tensor) -> Tensor:
    """Return logits in single precision at least."""
    return logits.float() if logits.dtype in (torch.float16, torch.bfloat16) else logits


def _finite_fill(fill: object) -> float | tuple[float, ...]:
    values: object = fill.tolist() if isinstance(fill, Tensor | np.ndarray) else fill
    if isinstance(values, Iterable):
        return tuple(finite_number("each number of fill", value) for value in values)
    return finite_number("fill", values)
