"""`Activations`: the features and outputs of one pass, and gradients with respect to them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor, nn

from cameval._arrays import shape_or_type
from cameval._deferred import holds
from cameval.errors import (
    ClassIndexError,
    LayerError,
    SettingError,
    ShapeError,
)
from cameval.networks._copies import shared_tensor
from cameval.networks._outputs import count_classes, output_of
from cameval.networks._selection import check_outputs
from cameval.networks.grids import Grid, identity

__all__ = ["Activations", "ScoreTarget"]

ScoreTarget = Tensor | Callable[[Tensor], Tensor]
"""Target of a map: one class per image ``(N,)``, or a function of the network's output that returns
one score per image ``(N,)``."""


@contextmanager
def without_graph() -> Iterator[None]:
    """Compute without autograd, but with normal tensors, even inside ``torch.inference_mode``.

    Normal tensors can enter a graph later; those of ``inference_mode`` cannot.
    """
    with torch.inference_mode(False), torch.no_grad():
        yield


@contextmanager
def recording(create_graph: bool) -> Iterator[None]:
    """Compute with a graph if `create_graph` is set, else without."""
    if not create_graph:
        with without_graph():
            yield
    elif torch.is_grad_enabled():
        yield
    else:
        raise SettingError(
            "create_graph must be used where autograd is on, got torch.no_grad() or "
            "torch.inference_mode() around the call; call it outside of them"
        )


class RecordableNetwork(Protocol):
    """A network whose activations can be recorded."""

    def __call__(self, images: Tensor, /) -> Tensor:
        """Return the output of the network."""
        ...

    def activations(self, images: Tensor, /) -> "Activations":
        """Run the network once, and return its features and outputs."""
        ...


@dataclass(frozen=True, eq=False)
class Activations:
    """The features and outputs of a batch, and the gradient between them.

    Parameters
    ----------
    images
        The input of the network, ``(N, channels, H, W)``.
    features
        Feature maps ``(N, K, h, w)``, without a graph unless `create_graph` is set.
    logits
        The output of the network: class scores ``(N, C)``, or any tensor with an entry per image.
    head
        The module that maps `features` to `logits`; None at an inner layer, where the logits are
        not a function of the features alone.
    network
        The network in evaluation mode, for outputs and activations of other images.
    rerun
        From other features ``(M, K, h, w)`` and their images to the outputs of the network.
    create_graph
        Whether features and gradients have graphs, for a map within a loss.

    Notes
    -----
    The features are the only leaf of the recorded graph, which contains the head and nothing before
    it. It is freed with this object. Gradients are computed once for each target.

    Examples
    --------
    For a linear head after the mean over 2 x 2 positions, the gradient is a quarter of its weights:

    >>> import torch
    >>> from torch import nn
    >>> from cameval import CAMModel, GAPHead
    >>> model = CAMModel(nn.Conv2d(3, 8, 3), GAPHead(nn.Linear(8, 2)))
    >>> activations = model.activations(torch.rand(1, 3, 4, 4))
    >>> activations.features.shape, activations.logits.shape
    (torch.Size([1, 8, 2, 2]), torch.Size([1, 2]))
    >>> gradients = activations.gradients(torch.tensor([1]))
    >>> torch.allclose(gradients[0, :, 0, 0], model.head.linear.weight[1] / 4)
    True
    """

    images: Tensor
    features: Tensor
    logits: Tensor
    head: nn.Module | None
    network: RecordableNetwork = field(repr=False)
    rerun: Callable[[Tensor, Tensor], Tensor] = field(repr=False)
    create_graph: bool
    _source: Tensor = field(repr=False)
    _outputs: Tensor = field(repr=False)
    _grid: Grid = field(repr=False)
    _known: dict[object, tuple[ScoreTarget, Tensor]] = field(default_factory=dict, repr=False)

    @classmethod
    def record(
        cls,
        images: Tensor,
        source: Tensor,
        outputs: object,
        *,
        network: RecordableNetwork,
        rerun: Callable[[Tensor, Tensor], Tensor],
        head: nn.Module | None = None,
        logits: Tensor | None = None,
        grid: Grid = identity,
        create_graph: bool = False,
    ) -> "Activations":
        """Check the output of a network and record it.

        `source` is the leaf of the recorded graph, and `grid` turns it into feature maps. `logits`
        are the outputs of the network itself, where those of the head were computed separately.

        Examples
        --------
        A network whose features are the images themselves:

        >>> import torch
        >>> from torch import nn
        >>> from cameval import GAPHead
        >>> from cameval.networks import Activations
        >>> head = GAPHead(nn.Linear(3, 2))
        >>> images = torch.rand(4, 3, 8, 8)
        >>> source = images.clone().requires_grad_()
        >>> activations = Activations.record(
        ...     images, source, head(source), network=head, rerun=lambda features, _: head(features)
        ... )
        >>> activations.gradients(torch.tensor([0, 1, 1, 0])).shape
        torch.Size([4, 3, 8, 8])
        """
        outputs = check_outputs(outputs)
        if outputs.ndim == 0 or len(outputs) != len(images):
            raise ShapeError(
                f"the network must return one row for each of {len(images)} images, "
                f"got shape {tuple(outputs.shape)}"
            )
        features = grid(source)
        if not create_graph:
            features = features.detach()
        if logits is None:
            logits = outputs if create_graph else outputs.detach()
        return cls(
            images, features, logits, head, network, rerun, create_graph, source, outputs, grid
        )

    def score(self, target: ScoreTarget, outputs: Tensor | None = None) -> Tensor:
        """Return the target's score of each image, ``(N,)``, by default for this pass.

        Raises
        ------
        ShapeError
            If classes are given and the network does not return ``(N, C)``, if they are not one per
            image, or if a function does not return one score per image.
        ClassIndexError
            If a class is not one of the network's.

        Examples
        --------
        >>> import torch
        >>> from torch import nn
        >>> from cameval import CAMModel, GAPHead
        >>> model = CAMModel(nn.Conv2d(3, 8, 3), GAPHead(nn.Linear(8, 2)))
        >>> activations = model.activations(torch.rand(2, 3, 8, 8))
        >>> logits, classes = activations.logits, torch.tensor([1, 0])
        >>> torch.equal(activations.score(classes), logits[[0, 1], classes])
        True
        >>> difference = activations.score(lambda outputs: outputs[:, 1] - outputs[:, 0])
        >>> torch.equal(difference, logits[:, 1] - logits[:, 0])
        True
        """
        outputs = self.logits if outputs is None else outputs
        if isinstance(target, Tensor):
            check_classes(target, outputs, wait=False)
            column, sign = output_of(shared_tensor(target), outputs.shape[1])
            score = outputs.gather(1, column[:, None])[:, 0]
            return score if sign is None else score * sign
        scores = target(outputs)
        if not isinstance(scores, Tensor) or scores.shape != outputs.shape[:1]:
            raise ShapeError(
                "a target must return one score per image, "
                f"shape ({len(outputs)},), got {shape_or_type(scores)}"
            )
        return scores

    def gradients(self, target: ScoreTarget) -> Tensor:
        """Return the gradient of each image's score with respect to its features.

        Parameters
        ----------
        target
            One class index per image, shape ``(N,)``: its logit is the score. Or a function from
            the network's output to one score per image.

        Returns
        -------
        Tensor
            Shape ``(N, K, h, w)``. It takes one backward pass through the head for the whole batch,
            since in evaluation mode the images do not interact, and for all methods with the same
            target. Gradients of weights are not computed.

        Raises
        ------
        ShapeError
            If the target does not fit the network's output.
        ClassIndexError
            If a class is not one of the network's.
        LayerError
            If the score does not depend on the features.
        """
        key: object = id(target)
        if isinstance(target, Tensor):
            if target.is_cpu:
                key = tuple(target.tolist())
            elif not target.is_inference():  # the values of an accelerator are not waited for
                key = id(target), target._version
        if key not in self._known:
            self._known[key] = target, self._grid(self._gradient(target))
        return self._known[key][1]

    def _gradient(self, target: ScoreTarget) -> Tensor:
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
                "the score must depend on the features, got a network whose output does not use "
                "them; name a layer on the path to the output"
            )
        return gradient


def check_classes(classes: Tensor, logits: Tensor, *, wait: bool = True) -> None:
    """Check that `classes` has one class of the network for each image; one logit has two.

    Without `wait` an accelerator is asked later, if the caller allows it; see `holds`.
    """
    check_logits(logits)
    if classes.shape != logits.shape[:1]:
        raise ShapeError(
            f"classes must have shape ({len(logits)},), one per image, got {tuple(classes.shape)}"
        )
    outside = (classes < 0) | (classes >= count_classes(logits))
    if bool(outside.any()) if wait else not holds(~outside.any()):
        raise ClassIndexError(
            f"classes must be in [0, {count_classes(logits)}), got {classes[outside][0].item()}"
        )


def check_logits(logits: Tensor) -> None:
    """Check that a network returned class scores ``(N, C)``."""
    if logits.ndim != 2:
        way = "let it return (N, 1), without a last squeeze, or " if logits.ndim == 1 else ""
        raise ShapeError(
            "the network must return logits (N, C) for a map of a class, got shape "
            f"{tuple(logits.shape)}; {way}give a function of its output as the target"
        )


def fresh_leaf(features: Tensor) -> Tensor:
    """Return the features as the leaf of a new graph."""
    return shared_tensor(features).requires_grad_()


def check_feature_maps(output: object, name: str) -> Tensor:
    """Check that `output` is one floating tensor ``(N, channels, h, w)``, or with more axes."""
    if isinstance(output, Tensor) and output.ndim >= 4 and output.is_floating_point():
        return output
    dtype = f"{output.dtype} of shape " if isinstance(output, Tensor) else ""
    raise LayerError(
        f"{name} must be one floating-point tensor (N, channels, h, w), got "
        f"{dtype}{shape_or_type(output)}; choose a layer before the pooling, or give a grid that "
        "turns its output into feature maps"
    )
