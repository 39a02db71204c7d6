"""The logits among the outputs of a network that returns more than one tensor."""

import sys
from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn

from cameval.errors import UnsupportedModelError

Select = Callable[[Any], Tensor]
"""From what a network returns to its logits."""


class SelectedOutput(nn.Module):
    """A network that returns the logits alone.

    Parameters
    ----------
    net
        A network that returns several tensors, such as a dictionary. It is shared, not copied.
    select
        From what it returns to the logits ``(N, C)``.
    """

    def __init__(self, net: nn.Module, select: Select) -> None:
        super().__init__()
        self.net = net
        self.select = select
        self.training = net.training

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits of images."""
        return self.select(self.net(images))


def own_network(net: nn.Module) -> nn.Module:
    """Return the user's network, of which the logits are selected."""
    return net.net if isinstance(net, SelectedOutput) else net


def own_name(net: nn.Module, layer: str) -> str:
    """Return the name of a layer in the user's network."""
    return layer.removeprefix("net.") if isinstance(net, SelectedOutput) else layer


def logits_of(outputs: Any) -> Tensor:
    """Return the attribute ``logits``, as of the outputs of transformers' classifiers."""
    logits: Tensor = outputs.logits
    return logits


def is_of_transformers(net: nn.Module) -> bool:
    """Tell whether a network is one of the package transformers."""
    package = sys.modules.get("transformers")
    kind = getattr(package, "PreTrainedModel", None)
    return kind is not None and isinstance(net, kind)


def check_outputs(outputs: object) -> Tensor:
    """Check that a network returns one tensor; the error tells how to select one.

    Raises
    ------
    UnsupportedModelError
        If the outputs are anything else.
    """
    if isinstance(outputs, Tensor):
        return outputs
    match outputs:
        case Mapping():
            came = f"a {type(outputs).__name__} with {', '.join(map(repr, outputs))}"
            example = f"outputs[{next(iter(outputs), 'logits')!r}]"
        case tuple() | list():
            came, example = f"a {type(outputs).__name__} of {len(outputs)}", "outputs[0]"
        case _:
            came, example = f"a {type(outputs).__name__}", "outputs.logits"
    raise UnsupportedModelError(
        f"the network must return one tensor, got {came}; say where the logits are with "
        f"cameval.adapt(net, select=lambda outputs: {example})"
    )
