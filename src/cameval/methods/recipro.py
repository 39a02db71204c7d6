"""Recipro-CAM: the score of the head where it sees one cell of the features alone."""

from dataclasses import dataclass
from functools import reduce
from typing import ClassVar

import torch
from torch import Tensor

from cameval._checks import check_count
from cameval.methods._rerun import (
    check_no_graph,
    count_variants_per_batch,
    probability_of_variants,
    rerun_from_features,
    score_variants,
)
from cameval.networks import Activations, ScoreTarget
from cameval.networks.activations import without_graph

__all__ = ["ReciproCAM"]


@dataclass(frozen=True)
class ReciproCAM:
    r"""Recipro-CAM: the probability of the class where all cells of the features but one are zero.

    .. math:: L_p = \operatorname{softmax}\left(\operatorname{head}(A \odot M_p)\right)_c

    where the mask :math:`M_p` is 1 at cell p and 0 at the others.

    Parameters
    ----------
    gaussian
        Whether the vector of features at cell p is spread over the neighboring cells, with the
        weights 1/4, 1/2, 1/4 along each axis.
    softmax
        Whether the value is the probability of the class, as in the paper, or its logit. If the
        target is a function of the output, the value is that of the function.
    batch_size
        Number of masked feature maps in one pass through the rest of the network.

    Raises
    ------
    SettingError
        If `batch_size` is not positive; in a call, with ``create_graph``.
    LayerError
        In a call, at a layer whose features are computed from its output by a grid, and cannot be
        put back.

    Notes
    -----
    Maps are ``(N, h, w)``, in [0, 1] if they are probabilities. No gradient is needed. Cost: one
    pass per cell through the head, 49 for a grid of 7 x 7; at an inner layer one pass per cell
    through the network. The head sees feature maps that no image has, whose mean is far smaller
    than usual. On a :class:`GAPHead` the map of logits is :math:`b + \mathrm{CAM} / (h w)`, in the
    order of `cam`.

    Experimental: the text of the paper could not be consulted. The formula is that of the authors'
    code, with its default, no Gaussian. That code scales each map to [0, 1], which is left to
    `cameval.normalize_maps`.

    References
    ----------
    Byun and Lee, "ReciproCAM: Lightweight Gradient-free Class Activation Map for Post-hoc
    Explanations", CVPR Workshops 2024; arXiv 2209.14074.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> from cameval import CAMModel, GAPHead
    >>> from cameval.methods import ReciproCAM
    >>> model = CAMModel(nn.Conv2d(3, 8, 3), GAPHead(nn.Linear(8, 2))).eval()
    >>> activations = model.activations(torch.rand(1, 3, 16, 16))
    >>> ReciproCAM()(activations, torch.tensor([1])).shape
    torch.Size([1, 14, 14])
    """

    label: ClassVar[str] = "recipro_cam"
    experimental: ClassVar[bool] = True

    gaussian: bool = False
    softmax: bool = True
    batch_size: int = 64

    def __post_init__(self) -> None:
        check_count("batch_size", self.batch_size)

    def __call__(self, activations: Activations, target: ScoreTarget, /) -> Tensor:
        """Return one map per image, ``(N, h, w)``."""
        check_no_graph(activations, "ReciproCAM")
        features = activations.features
        size = tuple(features.shape[2:])
        score = probability_of_variants if self.softmax else score_variants
        with without_graph():
            values = features.flatten(2)
            scores = []
            cells = torch.arange(values.shape[2], device=features.device)
            for some in cells.split(count_variants_per_batch(activations, self.batch_size)):
                masks = _cell_masks(some, size, gaussian=self.gaussian).to(features)
                # With a Gaussian, a neighbor is given the features of the cell itself.
                kept = values[..., some].movedim(2, 0)[(..., *(None for _ in size))]
                masked = (kept * masks[:, None, None]).flatten(0, 1)
                outputs = rerun_from_features(activations, masked)
                scores.append(score(activations, target, outputs))
            maps = torch.cat(scores).T.reshape(len(features), *size)
        return maps.to(features.dtype)


def _cell_masks(cells: Tensor, size: tuple[int, ...], *, gaussian: bool) -> Tensor:
    """Return one mask ``(m, h, w)`` for each cell: 1 at the cell, or a Gaussian around it."""
    masks = []
    for cell in torch.stack(torch.unravel_index(cells, size), 1).tolist():
        lines = []
        for place, length in zip(cell, size, strict=True):
            away = (torch.arange(length) - place).abs()
            line = (2 - away).clamp(min=0) / 4 if gaussian else (away == 0).double()
            lines.append(line)
        masks.append(reduce(lambda mask, line: mask[..., None] * line, lines))
    return torch.stack(masks)
