"""Outputs of a classifier: number of classes, probabilities, numerical precision."""

import warnings
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from cameval._arrays import exact
from cameval.errors import UnsupportedModelError


def count_classes(logits: Tensor) -> int:
    """Return the number of classes of outputs ``(N, C)``: two for a single logit."""
    return max(2, logits.shape[1])


def output_of(classes: Tensor, outputs: int) -> tuple[Tensor, Tensor | None]:
    """Return the column of outputs for each class, and its sign, None if all are positive.

    A single output z has two classes: z is the logit of class 1, and -z that of class 0.

    Examples
    --------
    >>> import torch
    >>> from cameval.networks._outputs import output_of
    >>> output_of(torch.tensor([0, 1]), 1)
    (tensor([0, 0]), tensor([-1,  1]))
    """
    return (classes, None) if outputs > 1 else (torch.zeros_like(classes), 2 * classes - 1)


def are_probabilities(outputs: Tensor) -> bool:
    """Tell whether all rows ``(N, C)`` are probabilities: in [0, 1], with sum 1 up to rounding.

    For a single column, and without rows, it cannot be decided, and the answer is False.

    Examples
    --------
    >>> import torch
    >>> from cameval.networks._outputs import are_probabilities
    >>> logits = torch.tensor([[2.0, 1.0], [0.5, 3.0]])
    >>> are_probabilities(logits), are_probabilities(logits.softmax(1))
    (False, True)
    """
    if outputs.ndim != 2 or outputs.shape[1] < 2 or not len(outputs):
        return False
    if not outputs.is_floating_point():
        return False
    rounding = min(64 * torch.finfo(outputs.dtype).eps, 1e-2)
    numbers = exact(outputs)
    sums_to_one = (numbers.sum(1) - 1).abs() <= rounding
    return bool(((numbers >= 0) & (numbers <= 1)).all() and sums_to_one.all())


def check_no_sigmoid(outputs: Tensor, network: Callable[[Tensor], Tensor], images: Tensor) -> None:
    """Refuse a single output of a sigmoid, and warn of several.

    Parameters
    ----------
    outputs
        The outputs of the network for the images, ``(N, C)``.
    network
        From images to outputs. Where all outputs lie in [0, 1] it also runs on the images times
        1000 and -1000: logits leave the interval, sigmoids never do.
    images
        Images ``(N, channels, H, W)``.

    Raises
    ------
    UnsupportedModelError
        If the network has one output, and that lies in [0, 1] on all of them: as a logit it would
        be positive, and class 1 predicted, for every image.
    """
    if not are_sigmoids(outputs, network, images):
        return
    if outputs.shape[1] == 1:
        raise UnsupportedModelError(
            "pass the network without its last sigmoid: a network of one output must return the "
            "logit, got numbers in [0, 1] of all images, as of a sigmoid; if they are logits, pass "
            "cameval.CAMExtractor(net, check=False)"
        )
    warnings.warn(
        f"pass the network without its last sigmoid: all {outputs.shape[1]} outputs of the network "
        "lie in [0, 1] and do not sum to 1, as those of sigmoids; they are used as logits, and "
        "their softmax as probabilities",
        stacklevel=2,
    )


def are_sigmoids(outputs: Tensor, network: Callable[[Tensor], Tensor], images: Tensor) -> bool:
    """Tell whether outputs are those of sigmoids: in [0, 1], also for images times 1000."""
    inside = bool(((outputs > 0) & (outputs < 1)).any())
    if not inside or not _in_unit_interval(outputs):
        return False
    return all(_in_unit_interval(network(images * factor)) for factor in (1000, -1000))


def _in_unit_interval(outputs: Tensor) -> bool:
    return bool(((outputs >= 0) & (outputs <= 1)).all())


def class_probabilities(outputs: Tensor, *, already: bool = False) -> Tensor:
    r"""Return the probability of each class, in float64.

    One logit z gives two classes, :math:`1 - \sigma(z)` and :math:`\sigma(z)`. Several give their
    softmax.

    Parameters
    ----------
    outputs
        The outputs of the network, ``(N, C)``.
    already
        Whether they are probabilities already.

    Returns
    -------
    Tensor
        Shape ``(N, max(C, 2))``.

    Examples
    --------
    >>> import torch
    >>> from cameval.networks._outputs import class_probabilities
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


def tf32(*, convolutions: bool) -> bool:
    """Tell whether CUDA may use TF32 for products in single precision.

    True also where torch does not tell, because settings of its old and new interface are mixed.
    """
    try:
        in_convolutions = convolutions and torch.backends.cudnn.allow_tf32
        return in_convolutions or torch.backends.cuda.matmul.allow_tf32
    except RuntimeError:
        return True


def agree(found: Tensor, expected: Tensor) -> bool:
    """Tell whether two outputs of a network are equal up to rounding."""
    if found.shape != expected.shape or found.dtype != expected.dtype:
        return False
    if torch.equal(found, expected):
        return True
    finite = expected.isfinite()
    if not torch.equal(found.isfinite(), finite):
        return False
    gap, scale = (found - expected)[finite].abs(), expected[finite].abs()
    return not gap.numel() or bool(gap.max() <= _tolerance(expected) * scale.max())


def _tolerance(outputs: Tensor) -> float:
    """Return the difference that is allowed, relative to the largest output."""
    eps = torch.finfo(outputs.dtype).eps
    reduced = 2.0**-10 if outputs.is_cuda and tf32(convolutions=True) else 0.0
    short = max(eps, reduced)
    return 16 * short if short > 1e-6 else 256 * eps


def describe_noise(net: nn.Module, first: Tensor, second: Tensor) -> str:
    """Return that two outputs of a network for the same images differ, "" if they do not."""
    if first.shape != second.shape or agree(first, second):
        return ""
    return (
        "a network must give the same output twice in evaluation mode, got two outputs of "
        f"{type(net).__name__} that differ by up to {(first - second).abs().max().item():.3g}; "
        "switch off dropout and noise that are always on, or make them follow self.training"
    )
