"""The logits among the outputs of a network that returns more than one tensor."""

import sys
from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn

from cameval.errors import SettingError, UnsupportedModelError

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
        """Return the logits of images.

        Raises
        ------
        SettingError
            If `select` fails. The message lists what the network returns.
        """
        outputs: object = self.net(images)
        try:
            return self.select(outputs)
        except Exception as error:
            raise SettingError(_describe_failure(self.select, outputs, error)) from error


def _describe_failure(select: Select, outputs: object, error: Exception) -> str:
    parts, _ = _parts_of(outputs)
    kind = {Mapping: "keys", tuple: "indices", list: "indices"}
    noun = next((word for one, word in kind.items() if isinstance(outputs, one)), "attributes")
    listed = ", ".join(map(repr, parts)) or "none"
    if isinstance(outputs, Tensor):
        listed, noun = str(tuple(outputs.shape)), "one tensor of shape"
    else:
        noun = f"the {noun}"
    if select is logits_of:
        return (
            f"a classifier of transformers must return logits, got {noun} {listed}; say where they "
            "are with cameval.adapt(net, select=...)"
        )
    return f"select failed with {type(error).__name__} {error}; the network returns {noun} {listed}"


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
        If the outputs are anything else. The message lists each of them with its shape. It proposes
        one only if it is the one that can be logits.
    """
    if isinstance(outputs, Tensor):
        return outputs
    parts, write = _parts_of(outputs)
    listed = ", ".join(f"{name!r} {_shape_of(part)}" for name, part in parts.items()) or "none"
    example = write(_likely_logits(parts))
    came = f"got a {type(outputs).__name__} of {len(parts)}: {listed}"
    error = UnsupportedModelError(
        f"the network must return one tensor, {came}; say where the logits (N, classes) are with "
        f"cameval.adapt(net, select=lambda outputs: {example})"
    )
    error.reason, error.select = came, f"lambda outputs: {example}"
    raise error


_USUAL_NAMES = ("logits", "logit", "out", "output", "scores", "pred", "preds", "y_hat")
"""Keys under which networks return their logits."""


def _parts_of(outputs: object) -> tuple[dict[Any, object], Callable[[object], str]]:
    """Return what a network returns by key, index or attribute, and how one is written."""
    match outputs:
        case Mapping():
            return dict(outputs), lambda key: f"outputs[{'<key>' if key is None else key!r}]"
        case tuple() | list():
            parts = dict(enumerate(outputs))
            return parts, lambda number: f"outputs[{'<index>' if number is None else number}]"
    own = dict(getattr(outputs, "__dict__", {}))
    return own, lambda name: f"outputs.{'<name>' if name is None else name}"


def _shape_of(part: object) -> str:
    return str(tuple(part.shape)) if isinstance(part, Tensor) else type(part).__name__


def _likely_logits(parts: Mapping[Any, object]) -> object:
    """Return the key of the tensor that can be logits, None where that is not clear."""
    tensors = {key: part for key, part in parts.items() if isinstance(part, Tensor)}
    flat = [key for key, part in tensors.items() if part.ndim == 2]
    usual = [key for key in flat or tensors if key in _USUAL_NAMES]
    for found in (usual, flat):
        if len(found) == 1:
            return found[0]
    return None
