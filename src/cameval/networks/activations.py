"""What one pass through a network leaves behind for the methods to work on."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from cameval.errors import ClassIndexError, LayerError, ShapeError, UnsupportedModelError
from cameval.networks.copies import shared_tensor

__all__ = ["Activations", "without_graph"]


@contextmanager
def without_graph() -> Iterator[None]:
    """Compute without autograd, and with normal tensors even inside ``torch.inference_mode``.

    Tensors made under ``inference_mode`` can never enter a graph; those made here can.
    """
    with torch.inference_mode(False), torch.no_grad():
        yield


@dataclass(frozen=True, eq=False)
class Activations:
    """The features and logits of a batch, and the gradient between them.

    Parameters
    ----------
    features
        Feature maps ``(N, K, h, w)``, without a graph.
    logits
        Class scores ``(N, C)``, without a graph.
    head
        The module that turns `features` into `logits`; None at an inner layer, where the rest of
        the network is not a function of the features alone.

    Notes
    -----
    The features are the only leaf of the recorded graph, which holds the head and nothing before
    it. It lives as long as this object.
    """

    features: Tensor
    logits: Tensor
    head: nn.Module | None
    _leaf: Tensor = field(repr=False)
    _outputs: Tensor = field(repr=False)

    @classmethod
    def record(cls, leaf: Tensor, outputs: object, head: nn.Module | None) -> "Activations":
        """Check what the network gave and keep it."""
        if not isinstance(outputs, Tensor):
            raise UnsupportedModelError(
                "the network must return one tensor of logits (N, C), got "
                f"{type(outputs).__name__}; wrap it in a module that picks the logits"
            )
        if outputs.ndim != 2 or len(outputs) != len(leaf):
            raise ShapeError(
                f"the network must return logits of shape (N, C) with N = {len(leaf)}, "
                f"got {tuple(outputs.shape)}"
            )
        return cls(leaf.detach(), outputs.detach(), head, leaf, outputs)

    def gradients(self, classes: Tensor) -> Tensor:
        """Gradient of each image's logit ``classes[n]`` with respect to its features.

        Parameters
        ----------
        classes
            One class index per image, shape ``(N,)``.

        Returns
        -------
        Tensor
            Shape ``(N, K, h, w)``. One backward pass through the head serves the whole batch,
            since in evaluation mode the images do not interact. No weight gradient is formed.

        Raises
        ------
        ClassIndexError
            If a class is not one of the network's.
        LayerError
            If the logits do not depend on the features.
        """
        check_classes(classes, self.logits)
        with torch.inference_mode(False), torch.enable_grad():
            chosen = self._outputs.gather(1, shared_tensor(classes)[:, None]).sum()
            gradient = None
            if chosen.requires_grad:
                (gradient,) = torch.autograd.grad(
                    chosen, self._leaf, retain_graph=True, allow_unused=True
                )
        if gradient is None:
            raise LayerError(
                "the logits must depend on the features, got a head or a rest of the network that "
                "does not use them; name a layer on the way to the output"
            )
        return gradient


def check_classes(classes: Tensor, logits: Tensor) -> None:
    """Check that `classes` names one class of `logits` for each image."""
    if classes.shape != logits.shape[:1]:
        raise ShapeError(
            f"classes must have shape ({len(logits)},), one per image, got {tuple(classes.shape)}"
        )
    outside = (classes < 0) | (classes >= logits.shape[1])
    if outside.any():
        raise ClassIndexError(
            f"classes must be in [0, {logits.shape[1]}), got {classes[outside][0].item()}"
        )


def fresh_leaf(features: Tensor) -> Tensor:
    """Return the features as the start of a new graph."""
    return shared_tensor(features).requires_grad_()
