"""Ablation-CAM: channel weights are the drops of the score when a channel is set to zero."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from cameval._checks import check_count
from cameval.methods._rerun import (
    check_no_graph,
    count_variants_per_batch,
    rerun_from_features,
    score_variants,
)
from cameval.networks import Activations, ScoreTarget
from cameval.networks._outputs import output_of
from cameval.networks.activations import recording
from cameval.networks.heads import linear_head, pools_globally, positions

__all__ = ["AblationCAM"]


@dataclass(frozen=True)
class AblationCAM:
    r"""Ablation-CAM: channels weighted by the drop of the score when they are set to zero.

    .. math:: \operatorname{ReLU}\left(\sum_k w_k A_k\right), \qquad
              w_k = \frac{y - y_k}{|y|} ,

    where :math:`y_k` is the score with channel k set to zero. The paper divides by :math:`y`; for a
    negative score that reverses the sign of the map, so that evidence for the class counts against
    it. Where :math:`y = 0` the drop is not divided. Both changes are one factor per image.

    Parameters
    ----------
    batch_size
        Number of ablated feature maps in one pass through the rest of the network.

    Raises
    ------
    SettingError
        If `batch_size` is not positive; in a call, with ``create_graph`` on other heads than
        :class:`GAPHead`.
    ClassIndexError
        In a call, if a class is not one of the network's.
    LayerError
        In a call, at a layer whose features are computed from its output by a grid, and cannot be
        put back.

    Notes
    -----
    Maps are ``(N, h, w)``, non-negative and unbounded. Cost: no additional pass on a
    :class:`GAPHead`, where the drop of a class is :math:`W_{ck} \operatorname{mean}(A_k)`; one pass
    per channel through the head on pooled features if the head begins with global average pooling;
    one pass per channel through any other head; and at an inner layer one pass per channel through
    the network. Redundant channels get low weights: if two channels carry the same evidence, the
    score changes little when one of them is set to zero.

    References
    ----------
    Desai and Ramaswamy, "Ablation-CAM: Visual Explanations for Deep Convolutional Network via
    Gradient-free Localization", WACV 2020.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> from cameval import CAMModel, GAPHead
    >>> from cameval.methods import AblationCAM
    >>> model = CAMModel(nn.Conv2d(3, 8, 3), GAPHead(nn.Linear(8, 2))).eval()
    >>> activations = model.activations(torch.rand(1, 3, 16, 16))
    >>> AblationCAM(batch_size=16)(activations, torch.tensor([1])).shape
    torch.Size([1, 14, 14])
    """

    label: ClassVar[str] = "ablation_cam"

    batch_size: int = 64

    def __post_init__(self) -> None:
        check_count("batch_size", self.batch_size)

    def __call__(self, activations: Activations, target: ScoreTarget, /) -> Tensor:
        """Return one map per image, ``(N, h, w)``."""
        features, head = activations.features, linear_head(activations.head)
        with recording(activations.create_graph):
            score = activations.score(target)
            if head is not None and isinstance(target, Tensor):
                column, sign = output_of(target, head.linear.out_features)
                drops = head.linear.weight[column] * features.mean(positions(features))
                drops = drops if sign is None else drops * sign[:, None]
            else:
                check_no_graph(activations, "AblationCAM on this network")
                drops = score[:, None] - self._ablated_scores(activations, target)
            magnitude = score.abs()[:, None]
            weights = drops / magnitude.where(magnitude > 0, 1)
            return torch.einsum("nk,nk...->n...", weights, features).relu()

    def _ablated_scores(self, activations: Activations, target: ScoreTarget) -> Tensor:
        """Return the scores ``(N, K)`` with each channel set to zero."""
        features = activations.features
        means = features.mean(positions(features), keepdim=True)
        if pools_globally(activations.head) and _means_suffice(activations, means):
            features = means
        at_once = count_variants_per_batch(activations, self.batch_size)
        scores = []
        for channels in torch.arange(features.shape[1], device=features.device).split(at_once):
            # A fresh copy each time: the rest of the network may begin with an in-place operation.
            ablated = features.repeat(len(channels), 1, *[1] * (features.ndim - 2))
            ablated[
                torch.arange(len(ablated), device=features.device),
                channels.repeat_interleave(len(features)),
            ] = 0
            outputs = rerun_from_features(activations, ablated)
            scores.append(score_variants(activations, target, outputs))
        return torch.cat(scores).T


def _means_suffice(activations: Activations, means: Tensor) -> bool:
    """Return whether the head, with its hooks, gives the same outputs for the channels' means."""
    outputs, logits = rerun_from_features(activations, means.clone()), activations.logits
    return outputs.shape == logits.shape and bool(
        (outputs - logits).abs().max() <= 256 * torch.finfo(logits.dtype).eps * logits.abs().max()
    )
