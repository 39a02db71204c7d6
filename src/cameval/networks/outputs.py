"""What the outputs of a classifier say: classes, and their probabilities."""

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from cameval.arrays import exact

__all__ = [
    "are_probabilities",
    "class_probabilities",
    "count_classes",
    "log_class_probabilities",
    "output_of",
]


def count_classes(logits: Tensor) -> int:
    """Return how many classes outputs ``(N, C)`` tell apart: one logit tells two."""
    return max(2, logits.shape[1])


def output_of(classes: Tensor, outputs: int) -> tuple[Tensor, Tensor | None]:
    """Return the output that stands for each class and its sign, None where all are positive.

    One output z stands for two classes: z for class 1, and -z for class 0.

    Examples
    --------
    >>> from cameval.networks.outputs import output_of
    >>> output_of(torch.tensor([0, 1]), 1)
    (tensor([0, 0]), tensor([-1,  1]))
    """
    return (classes, None) if outputs > 1 else (torch.zeros_like(classes), 2 * classes - 1)


def are_probabilities(outputs: Tensor) -> bool:
    """Tell whether all rows ``(N, C)`` hold probabilities: in [0, 1], with sum 1 but for rounding.

    Of a single number a row that cannot be told.

    Examples
    --------
    >>> from cameval.networks.outputs import are_probabilities
    >>> logits = torch.tensor([[2.0, 1.0], [0.5, 3.0]])
    >>> are_probabilities(logits), are_probabilities(logits.softmax(1))
    (False, True)
    """
    if outputs.shape[1] < 2 or not outputs.is_floating_point():
        return False
    rounding = min(64 * torch.finfo(outputs.dtype).eps, 1e-2)
    numbers = exact(outputs)
    sums_to_one = (numbers.sum(1) - 1).abs() <= rounding
    return bool(((numbers >= 0) & (numbers <= 1)).all() and sums_to_one.all())


def class_probabilities(outputs: Tensor, *, already: bool = False) -> Tensor:
    r"""Return the probability of each class, in float64.

    One logit z gives two classes, :math:`1 - \sigma(z)` and :math:`\sigma(z)`. Several give their
    softmax.

    Parameters
    ----------
    outputs
        What the network returned, ``(N, C)``.
    already
        Whether they are probabilities already.

    Returns
    -------
    Tensor
        Shape ``(N, max(C, 2))``.

    Examples
    --------
    >>> from cameval.networks.outputs import class_probabilities
    >>> class_probabilities(torch.tensor([[0.0]]))
    tensor([[0.5000, 0.5000]], dtype=torch.float64)
    >>> class_probabilities(torch.tensor([[0.25, 0.75]]), already=True)
    tensor([[0.2500, 0.7500]], dtype=torch.float64)
    """
    numbers = exact(outputs)
    if outputs.shape[1] == 1:
        return torch.cat([(-numbers).sigmoid(), numbers.sigmoid()], 1)
    return numbers if already else numbers.softmax(1)


def log_class_probabilities(logits: Tensor) -> Tensor:
    """Return the logarithms of `class_probabilities`, exact where these round to 0 or 1."""
    numbers = exact(logits)
    if logits.shape[1] == 1:
        return logsigmoid(torch.cat([-numbers, numbers], 1))
    return numbers.log_softmax(1)
