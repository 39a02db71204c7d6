"""What one pass through a network leaves behind for the methods to work on."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor, nn

from cameval.errors import (
    ClassIndexError,
    LayerError,
    SettingError,
    ShapeError,
    UnsupportedModelError,
)
from cameval.networks._copies import shared_tensor
from cameval.networks._outputs import count_classes, output_of

__all__ = ["Activations", "Target"]

Target = Tensor | Callable[[Tensor], Tensor]
"""What a map explains: one class per image ``(N,)``, or a function of the network's output that
gives one score per image ``(N,)``."""


@contextmanager
def without_graph() -> Iterator[None]:
    """Compute without autograd, and with normal tensors even inside ``torch.inference_mode``.

    Tensors made under ``inference_mode`` can never enter a graph; those made here can.
    """
    with torch.inference_mode(False), torch.no_grad():
        yield


@contextmanager
def recording(create_graph: bool) -> Iterator[None]:
    """Compute with a graph if one is to be created, else without."""
    if not create_graph:
        with without_graph():
            yield
    elif torch.is_grad_enabled():
        yield
    else:
        raise SettingError(
            "create_graph must be asked for where autograd is on, got torch.no_grad() or "
            "torch.inference_mode() around the call; leave it"
        )


def same(output: Tensor) -> Tensor:
    """Return a layer's output as it is: it is a feature map already."""
    return output


class Recordable(Protocol):
    """A network that can be looked into."""

    def __call__(self, images: Tensor, /) -> Tensor:
        """Return what the network returns."""
        ...

    def activations(self, images: Tensor, /) -> "Activations":
        """Return what one pass leaves behind."""
        ...


@dataclass(frozen=True, eq=False)
class Activations:
    """The features and outputs of a batch, and the gradient between them.

    Parameters
    ----------
    images
        The images that the network was shown, ``(N, channels, H, W)``.
    features
        Feature maps ``(N, K, h, w)``, without a graph unless asked for.
    logits
        What the network returned: class scores ``(N, C)``, or any tensor with an entry per image.
    head
        The module that turns `features` into `logits`; None at an inner layer, where the rest of
        the network is not a function of the features alone.
    network
        The network in evaluation mode: it gives outputs, and activations, of other images.
    rerun
        From other features ``(M, K, h, w)`` and their images to what the network returns on them.
    create_graph
        Whether features and gradients carry graphs of their own, for a map within a loss.

    Notes
    -----
    The features are the only leaf of the recorded graph, which holds the head and nothing before
    it. It lives as long as this object. Gradients are computed once for each target.
    """

    images: Tensor
    features: Tensor
    logits: Tensor
    head: nn.Module | None
    network: Recordable = field(repr=False)
    rerun: Callable[[Tensor, Tensor], Tensor] = field(repr=False)
    create_graph: bool
    _source: Tensor = field(repr=False)
    _outputs: Tensor = field(repr=False)
    _grid: Callable[[Tensor], Tensor] = field(repr=False)
    _known: dict[object, tuple[Target, Tensor]] = field(default_factory=dict, repr=False)

    @classmethod
    def record(
        cls,
        images: Tensor,
        source: Tensor,
        outputs: object,
        *,
        network: Recordable,
        rerun: Callable[[Tensor, Tensor], Tensor],
        head: nn.Module | None = None,
        grid: Callable[[Tensor], Tensor] = same,
        create_graph: bool = False,
    ) -> "Activations":
        """Check what the network gave and keep it.

        `source` is where the recorded graph begins, and `grid` makes feature maps of it.
        """
        if not isinstance(outputs, Tensor):
            raise UnsupportedModelError(
                "the network must return one tensor, got "
                f"{type(outputs).__name__}; wrap it in a module that picks the logits"
            )
        if outputs.ndim == 0 or len(outputs) != len(images):
            raise ShapeError(
                f"the network must return one row for each of {len(images)} images, "
                f"got shape {tuple(outputs.shape)}"
            )
        features = grid(source)
        if not create_graph:
            features = features.detach()
        shown = outputs if create_graph else outputs.detach()
        return cls(
            images, features, shown, head, network, rerun, create_graph, source, outputs, grid
        )

    def score(self, target: Target, outputs: Tensor | None = None) -> Tensor:
        """Return the explained score of each image, ``(N,)``, by default of this pass.

        Raises
        ------
        ShapeError
            If classes are given and the network returns no ``(N, C)``, if they are not one per
            image, or if a function does not give one score per image.
        ClassIndexError
            If a class is not one of the network's.
        """
        outputs = self.logits if outputs is None else outputs
        if isinstance(target, Tensor):
            check_classes(target, outputs)
            column, sign = output_of(shared_tensor(target), outputs.shape[1])
            score = outputs.gather(1, column[:, None])[:, 0]
            return score if sign is None else score * sign
        scores = target(outputs)
        if not isinstance(scores, Tensor) or scores.shape != outputs.shape[:1]:
            came = tuple(scores.shape) if isinstance(scores, Tensor) else type(scores).__name__
            raise ShapeError(
                f"a target must give one score per image, shape ({len(outputs)},), got {came}"
            )
        return scores

    def gradients(self, target: Target) -> Tensor:
        """Gradient of each image's score with respect to its features.

        Parameters
        ----------
        target
            One class index per image, shape ``(N,)``: its logit is the score. Or a function from
            the network's output to one score per image.

        Returns
        -------
        Tensor
            Shape ``(N, K, h, w)``. One backward pass through the head serves the whole batch,
            since in evaluation mode the images do not interact, and every method that asks for the
            same target. No weight gradient is formed.

        Raises
        ------
        ShapeError
            If the target does not fit the network's output.
        ClassIndexError
            If a class is not one of the network's.
        LayerError
            If the score does not depend on the features.
        """
        key = tuple(target.tolist()) if isinstance(target, Tensor) else id(target)
        if key not in self._known:
            self._known[key] = target, self._grid(self._gradient(target))
        return self._known[key][1]

    def _gradient(self, target: Target) -> Tensor:
        with torch.inference_mode(False), torch.enable_grad():
            total = self.score(target, self._outputs).sum()
            gradient = None
            if total.requires_grad:
                (gradient,) = torch.autograd.grad(
                    total,
                    self._source,
                    retain_graph=True,
                    create_graph=self.create_graph,
                    allow_unused=True,
                )
        if gradient is None:
            raise LayerError(
                "the score must depend on the features, got a head or a rest of the network that "
                "does not use them; name a layer on the way to the output"
            )
        return gradient


def check_classes(classes: Tensor, logits: Tensor) -> None:
    """Check that `classes` names one class of `logits` for each image; one logit has two."""
    if logits.ndim != 2:
        raise ShapeError(
            f"the network must return logits (N, C) for a class to be explained, got shape "
            f"{tuple(logits.shape)}; give a function of its output as the target"
        )
    if classes.shape != logits.shape[:1]:
        raise ShapeError(
            f"classes must have shape ({len(logits)},), one per image, got {tuple(classes.shape)}"
        )
    outside = (classes < 0) | (classes >= count_classes(logits))
    if outside.any():
        raise ClassIndexError(
            f"classes must be in [0, {count_classes(logits)}), got {classes[outside][0].item()}"
        )


def fresh_leaf(features: Tensor) -> Tensor:
    """Return the features as the start of a new graph."""
    return shared_tensor(features).requires_grad_()


def feature_maps(output: object, name: str) -> Tensor:
    """Check that `output` is one floating tensor ``(N, channels, h, w)``, or with more axes."""
    if isinstance(output, Tensor) and output.ndim >= 4 and output.is_floating_point():
        return output
    came = (
        f"{output.dtype} of shape {tuple(output.shape)}"
        if isinstance(output, Tensor)
        else type(output).__name__
    )
    raise LayerError(
        f"{name} must be one floating-point tensor (N, channels, h, w), got {came}; "
        "choose a layer before the pooling, or say how its output becomes a grid"
    )
