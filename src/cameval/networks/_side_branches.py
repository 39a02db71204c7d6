"""Side branches: layers that a part of the logits' dependence on the image does not pass.

The weights of an attention over positions, and a gate, are such layers. A map that is taken there
shows how the weights depend on the image, not what is weighted.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from cameval.networks._outputs import agree
from cameval.networks._proof import Trial, last_linear
from cameval.networks.activations import without_graph


def carries_all(clone: nn.Module, images: Tensor, trial: Trial, layer: str) -> bool:
    """Tell whether the logits depend on the image through one layer alone.

    The network runs on another image while the layer returns what it returned for the first. If
    every dependence passes the layer, the logits are those of the first image. Where a linear layer
    returns the logits its input is compared, since its weights may be zero before training.

    Parameters
    ----------
    clone
        A private copy of the network, in evaluation mode. It gets hooks, which are removed.
    images, trial
        The trial images, and what the modules returned for them.
    layer
        Name of a layer that ran once.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> from cameval.networks._proof import record_trial
    >>> from cameval.networks._side_branches import carries_all
    >>> class Gated(nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.body, self.gate = nn.Conv2d(1, 4, 3), nn.Conv2d(4, 4, 1)
    ...     def forward(self, x):
    ...         x = self.body(x)
    ...         return (x * self.gate(x).sigmoid()).mean((2, 3))
    >>> net, images = Gated().eval(), torch.randn(2, 1, 8, 8)
    >>> trial = record_trial(net, images)
    >>> [carries_all(net, images, trial, layer) for layer in ("body", "gate")]
    [True, False]
    """
    first, module = images[:1], clone.get_submodule(layer)
    other = 1 - images[-1:].flip(-1)
    kept: list[Tensor] = []

    def keep(_module: nn.Module, _inputs: object, output: Tensor) -> None:
        kept.append(output.clone())

    def replace(_module: nn.Module, _inputs: object, _output: Tensor) -> Tensor:
        return kept[0].clone()

    linear = last_linear(trial)
    read_by = None if linear is None else clone.get_submodule(linear.name)
    expected = _run(clone, first, module, keep, read_by)
    return agree(_run(clone, other, module, replace, read_by), expected)


def _run(
    clone: nn.Module,
    images: Tensor,
    module: nn.Module,
    hook: Callable[[nn.Module, object, Tensor], Tensor | None],
    read_by: nn.Module | None,
) -> Tensor:
    """Return the outputs with a hook on one module, or what a linear layer reads."""
    with _hooked(module, hook), _reading(read_by) as inputs, without_graph():
        outputs: Tensor = clone(images.clone())
    return inputs[-1] if inputs else outputs


@contextmanager
def _hooked(
    module: nn.Module, hook: Callable[[nn.Module, object, Tensor], Tensor | None]
) -> Iterator[None]:
    handle = module.register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def _reading(module: nn.Module | None) -> Iterator[list[Tensor]]:
    """Collect the inputs of a module, if there is one."""
    inputs: list[Tensor] = []
    if module is None:
        yield inputs
        return
    handle = module.register_forward_pre_hook(
        lambda _module, given: inputs.append(torch.clone(given[0]))
    )
    try:
        yield inputs
    finally:
        handle.remove()
