"""Targets other than the logit of one class: the difference to similar classes."""

from dataclasses import dataclass
from math import isfinite
from typing import ClassVar, Literal, get_args

import torch
from torch import Tensor

from cameval._checks import check_count
from cameval.errors import SettingError
from cameval.networks.activations import check_classes

__all__ = ["FinerTarget"]

Weighting = Literal["mean", "probability"]
"""How the similar classes of :class:`FinerTarget` are averaged."""


@dataclass(frozen=True, eq=False)
class FinerTarget:
    r"""Difference between a class and the classes most similar to it (Finer-CAM).

    .. math:: y_c - \gamma \operatorname{mean}_{d \in S} y_d

    where S are the classes whose logits are closest to that of c. With `grad_cam` this is
    Finer-CAM. It is a target: every method that takes a function of the output can use it.

    Parameters
    ----------
    classes
        The target class c: one for all images, or one per image ``(N,)``.
    similar
        Number of similar classes.
    strength
        The factor :math:`\gamma`; with 0 the target is the logit of c.
    weighting
        How the similar classes are averaged: ``"mean"`` for equal weights, or ``"probability"`` for
        weights by softmax probability.

    Raises
    ------
    SettingError
        If `similar` is not positive, `strength` not finite or `weighting` not one of the two; in a
        call, if the network has no more than `similar` classes.
    ClassIndexError
        In a call, if a class is not one of the network's.

    Notes
    -----
    Experimental: the text of the paper could not be consulted. The unweighted mean agrees with the
    first target of the authors' code (``FinerDefaultTarget``), the weighted mean with their later
    code and with pytorch-grad-cam (``FinerWeightedTarget``). As there, the weights are
    differentiated too.

    References
    ----------
    Zhang et al., "Finer-CAM: Spotting the Difference Reveals Finer Details for Visual Explanation",
    CVPR 2025.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> from cameval import CAMExtractor, CAMModel, GAPHead
    >>> from cameval.methods import FinerTarget
    >>> FinerTarget(classes=0, similar=1)(torch.tensor([[3.0, -9.0, 2.0]]))
    tensor([1.])
    >>> model = CAMModel(nn.Conv2d(3, 8, 3), GAPHead(nn.Linear(8, 5))).eval()
    >>> result = CAMExtractor(model)(torch.rand(2, 3, 16, 16), target=FinerTarget(classes=4))
    >>> result.coarse.shape
    torch.Size([2, 14, 14])
    """

    label: ClassVar[str] = "finer_target"
    experimental: ClassVar[bool] = True

    classes: int | Tensor
    similar: int = 3
    strength: float = 1.0
    weighting: Weighting = "mean"

    def __post_init__(self) -> None:
        check_count("similar", self.similar)
        if not isfinite(self.strength):
            raise SettingError(f"strength must be finite, got {self.strength}")
        if self.weighting not in get_args(Weighting):
            raise SettingError(
                f"weighting must be one of {', '.join(get_args(Weighting))}, got {self.weighting!r}"
            )

    def __call__(self, logits: Tensor, /) -> Tensor:
        """Return one score per image of logits ``(N, C)``."""
        classes = torch.as_tensor(self.classes, device=logits.device)
        if classes.ndim == 0:
            classes = classes.expand(len(logits))
        check_classes(classes, logits)
        if logits.shape[1] <= self.similar:
            raise SettingError(
                f"similar must be less than the network's {logits.shape[1]} classes, "
                f"got {self.similar}"
            )
        own = logits.gather(1, classes[:, None])
        distance = (logits - own).detach().abs().scatter(1, classes[:, None], float("inf"))
        nearest = distance.topk(self.similar, dim=1, largest=False).indices
        others = logits.gather(1, nearest)
        if self.weighting == "mean":
            return own[:, 0] - self.strength * others.mean(1)
        # The normalized probabilities of the similar classes are the softmax of their logits.
        return own[:, 0] - self.strength * (others.softmax(1) * others).sum(1)
