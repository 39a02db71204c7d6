"""LaFAM: the mean of the features over the channels."""

from torch import Tensor

from cameval.networks import Activations, ScoreTarget

__all__ = ["lafam"]


def lafam(activations: Activations, target: ScoreTarget, /) -> Tensor:
    r"""Label-free activation map: the mean of the features over the channels.

    .. math:: \frac{1}{K} \sum_k A_k

    Parameters
    ----------
    activations
        Recorded activations of a batch of images.
    target
        Ignored: the map is the same for every class.

    Returns
    -------
    Tensor
        Maps ``(N, h, w)``, signed if the features are. Cost: one sum; no gradient.

    Notes
    -----
    It shows where the features are large, not evidence for a class. Use it for networks without
    classes, and as a floor: a method that explains a class should score higher. The paper scales
    the map to [0, 1], which is left to `cameval.normalize_maps`.

    References
    ----------
    Karjauv and Albayrak, "LaFAM: Unsupervised Feature Attribution with Label-free Activation Maps",
    arXiv 2407.06059.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> from cameval import CAMModel, GAPHead
    >>> model = CAMModel(nn.Conv2d(3, 8, 3), GAPHead(nn.Linear(8, 2))).eval()
    >>> from cameval.methods import lafam
    >>> lafam(model.activations(torch.rand(1, 3, 16, 16)), torch.tensor([1])).shape
    torch.Size([1, 14, 14])
    """
    return activations.features.mean(1)
