"""Ablation-CAM: a channel weighs what the score loses without it."""

from dataclasses import dataclass

import torch
from torch import Tensor

from cameval._checks import check_count
from cameval.methods._rerun import images_at_once, refuse_graph, rest, scores_of
from cameval.networks import Activations, Target
from cameval.networks._outputs import output_of
from cameval.networks.activations import recording
from cameval.networks.heads import linear_head, pools_globally, positions

__all__ = ["AblationCAM", "ablation_cam"]


@dataclass(frozen=True)
class AblationCAM:
    r"""Ablation-CAM: channels weighted by the drop of the score when they are set to zero.

    .. math:: \operatorname{ReLU}\left(\sum_k w_k A_k\right), \qquad
              w_k = \frac{y - y_k}{|y|} ,

    where :math:`y_k` is the score with channel k set to zero. The paper divides by :math:`y`; for a
    negative score that would turn the map's sign, so that channels which speak for the class count
    against it. Where :math:`y = 0` the drop is not divided. Both concern one factor per image.

    Parameters
    ----------
    batch_size
        How many ablated feature maps the rest of the network sees at once.

    Raises
    ------
    SettingError
        If `batch_size` is not positive; in a call, with ``create_graph`` on other heads than
        :class:`GAPHead`.

    See Also
    --------
    ablation_cam : The same, as a function without settings.

    Notes
    -----
    Maps are ``(N, h, w)``, non-negative and unbounded. Cost: none on a :class:`GAPHead`, where the
    drop of a class is :math:`W_{ck} \operatorname{mean}(A_k)`; one pass per channel through the
    head on pooled features, where the head begins with global average pooling; one pass per channel
    through the head, elsewhere; and at an inner layer one pass per channel through the network.
    Not where channels work together: what two channels hold in common, neither loses alone.

    References
    ----------
    Desai and Ramaswamy, "Ablation-CAM: Visual Explanations for Deep Convolutional Network via
    Gradient-free Localization", WACV 2020.

    Examples
    --------
    >>> model = CAMModel(nn.Conv2d(3, 8, 3), GAPHead(nn.Linear(8, 2))).eval()
    >>> activations = model.activations(torch.rand(1, 3, 16, 16))
    >>> AblationCAM(batch_size=16)(activations, torch.tensor([1])).shape
    torch.Size([1, 14, 14])
    """

    batch_size: int = 64

    def __post_init__(self) -> None:
        check_count("batch_size", self.batch_size)

    def __call__(self, activations: Activations, target: Target, /) -> Tensor:
        """Map the target's score of each image."""
        features, head = activations.features, linear_head(activations.head)
        with recording(activations.create_graph):
            score = activations.score(target)
            if head is not None and isinstance(target, Tensor):
                column, sign = output_of(target, head.linear.out_features)
                drops = head.linear.weight[column] * features.mean(positions(features))
                drops = drops if sign is None else drops * sign[:, None]
            else:
                refuse_graph(activations, "AblationCAM on this network")
                drops = score[:, None] - self._ablated_scores(activations, target)
            size = score.abs()[:, None]
            weights = drops / size.where(size > 0, 1)
            return torch.einsum("nk,nk...->n...", weights, features).relu()

    def _ablated_scores(self, activations: Activations, target: Target) -> Tensor:
        """Scores ``(N, K)`` without each of the channels."""
        features = activations.features
        means = features.mean(positions(features), keepdim=True)
        if pools_globally(activations.head) and _same_outputs(activations, means):
            features = means
        at_once = images_at_once(activations, self.batch_size)
        scores = []
        for channels in torch.arange(features.shape[1], device=features.device).split(at_once):
            # A fresh copy each time: the rest of the network may begin with an in-place operation.
            ablated = features.repeat(len(channels), 1, *[1] * (features.ndim - 2))
            ablated[
                torch.arange(len(ablated), device=features.device),
                channels.repeat_interleave(len(features)),
            ] = 0
            scores.append(scores_of(activations, target, rest(activations, ablated)))
        return torch.cat(scores).T


def _same_outputs(activations: Activations, means: Tensor) -> bool:
    """Tell whether the head says the same of the channels' means, whatever hooks it has."""
    found, logits = rest(activations, means.clone()), activations.logits
    return found.shape == logits.shape and bool(
        (found - logits).abs().max() <= 256 * torch.finfo(logits.dtype).eps * logits.abs().max()
    )


def ablation_cam(activations: Activations, target: Target, /) -> Tensor:
    """Ablation-CAM: channels weighted by the drop of the score when they are set to zero.

    The formula, its cost and when not to use it are those of :class:`AblationCAM`, which has the
    size of the batches as a setting.

    Parameters
    ----------
    activations
        What the network left behind.
    target
        One class per image, shape ``(N,)``, or a function from the network's output to one score
        per image.

    Returns
    -------
    Tensor
        Maps ``(N, h, w)``, non-negative and unbounded.

    Raises
    ------
    ClassIndexError
        If a class is not one of the network's.
    LayerError
        At a layer whose features are made of its output by a grid, and cannot be put back.
    SettingError
        With ``create_graph``, on other heads than :class:`GAPHead`.

    References
    ----------
    Desai and Ramaswamy, "Ablation-CAM: Visual Explanations for Deep Convolutional Network via
    Gradient-free Localization", WACV 2020.

    Examples
    --------
    >>> model = CAMModel(nn.Conv2d(3, 8, 3), GAPHead(nn.Linear(8, 2))).eval()
    >>> ablation_cam(model.activations(torch.rand(1, 3, 16, 16)), torch.tensor([1])).shape
    torch.Size([1, 14, 14])
    """
    return AblationCAM()(activations, target)
