"""Check that a cut network gives the same outputs as the network itself."""

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from cameval.errors import UnsupportedModelError
from cameval.networks._copies import needs_copy, private_copy, refuse_changes
from cameval.networks._dtypes import run_on
from cameval.networks._outputs import agree, describe_noise
from cameval.networks._selection import check_outputs
from cameval.networks.activations import without_graph
from cameval.networks.families import is_declared_by_user
from cameval.networks.layers import LayerModel
from cameval.networks.model import CAMModel


def check_cut(model: CAMModel | LayerModel, images: Tensor, logits: Tensor | None = None) -> None:
    """Check that a model gives the same outputs as the network that `adapt` cut, and twice.

    Parameters
    ----------
    model
        The result of `adapt`. A :class:`CAMModel` that was built by hand, that has a new head, or
        whose modules were replaced since has no original network, and passes.
    images
        Images ``(N, channels, H, W)`` as the network expects them.
    logits
        Outputs of the model on the images, if they are known; they are computed otherwise.

    Raises
    ------
    UnsupportedModelError
        If the outputs differ by more than rounding, with the measured difference; if the network
        gives another output each time, as with a dropout that is always on; or if the output for an
        image depends on the others of its batch, by a batch normalization without statistics.

    Notes
    -----
    Cost: one pass through the network, in evaluation mode. Neither the network nor the global
    random state is changed. On the CPU both outputs have the same bits; elsewhere another algorithm
    may be chosen for the same layer, so that differences up to some rounding errors of the largest
    logit are allowed: 256 in single and double precision, 16 in half precision and TF32.

    Examples
    --------
    >>> import torch
    >>> from torchvision.models import resnet18
    >>> from cameval import adapt
    >>> from cameval.networks._cuts import check_cut
    >>> check_cut(adapt(resnet18()), torch.rand(1, 3, 64, 64))
    """
    _check_statistics(model)
    net = _original(model)
    if net is None:
        return
    devices = [images.device] if images.is_cuda else []
    with torch.random.fork_rng(devices), without_graph():
        direct = not needs_copy(net)
        with refuse_changes(net, restore=direct):
            runs = net if direct else private_copy(net)
            expected = _outputs(runs, images)
            found = model.activations(images).logits if logits is None else logits.detach()
            if not agree(found, expected):
                again = _outputs(runs, images)
                message = _describe_difference(net, found, expected, again)
                raise UnsupportedModelError(message)


def _check_statistics(model: nn.Module) -> None:
    """Check that no batch normalization takes its statistics from the batch."""
    for name, module in model.named_modules():
        if isinstance(module, _BatchNorm) and module.running_mean is None:
            raise UnsupportedModelError(
                "a network must give an image the same output in every batch, got the "
                f"{type(module).__name__} {name!r} without running statistics, which uses those of "
                "the batch; train the network with track_running_stats=True"
            )


def _original(model: CAMModel | LayerModel) -> nn.Module | None:
    """Return the network that was cut, or whose layer it is; None if there is none."""
    cut = model if isinstance(model, CAMModel) else model.net
    return cut.origin if isinstance(cut, CAMModel) else cut


def _outputs(net: nn.Module, images: Tensor) -> Tensor:
    """Return the outputs of a network on copies of the images, to which it may write."""
    try:
        outputs: object = run_on(net, images, lambda given: net(given.detach().clone()))
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        raise UnsupportedModelError(
            "the network that was cut must run on the images to be compared with its cut, got "
            f"{type(error).__name__}: {error}; adapt it again if it was moved or changed since"
        ) from error
    return check_outputs(outputs)


def _describe_difference(net: nn.Module, found: Tensor, expected: Tensor, again: Tensor) -> str:
    if noise := describe_noise(net, again, expected):
        return noise
    if found.shape != expected.shape:
        gap = f"shapes {tuple(found.shape)} and {tuple(expected.shape)}"
    elif found.dtype != expected.dtype:
        gap = f"{found.dtype} and {expected.dtype}"
    else:
        gap = f"a difference of up to {(found - expected).abs().max().item():.3g}"
    if is_declared_by_user(net):
        return (
            f"features and head must give what the network gives, got {gap}: the declaration for "
            f"{type(net).__name__} computes something else than the network: is a step of forward "
            "missing, such as an activation or a sigmoid? Put it into features or head, or use "
            'cameval.adapt(net, layer="name.of.layer"). If the network was changed after it was '
            "adapted, adapt it again"
        )
    return (
        f"features and head must give what the network gives, got {gap} between the cut and "
        f"{type(net).__name__}: one of its modules was replaced, patched or moved; declare the cut "
        'with @cameval.split.register, or use cameval.adapt(net, layer="name.of.layer"). If the '
        "network was changed after it was adapted, adapt it again"
    )
