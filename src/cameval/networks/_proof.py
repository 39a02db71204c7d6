"""A cut that is proved: a layer whose pooled output is what a linear layer makes the logits of.

One forward pass on trial images records, for every layer, the mean of its output over positions.
The cut is proved where the output of a linear layer is that of the network, bit for bit, and the
input of that linear layer is the mean of a layer's output, up to rounding. Both hold for the trial
images only, so the outputs of the cut are compared with those of the network in each later pass.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import layer_norm, linear

from cameval.networks._module_types import runs_code_of
from cameval.networks.activations import without_graph
from cameval.networks.grids import Grid, channels_last_grid, grid_for, identity
from cameval.networks.heads import ConvHead, GAPHead, MeanHead, NormHead

_ROUNDING_ERRORS = 64

Tokens = Callable[[int], Grid | None]
"""From a number of tokens to their grid, None if they have none."""


@dataclass(frozen=True)
class ProvenCut:
    """The cut of a network after a layer.

    Parameters
    ----------
    layer
        Name of the layer.
    grid
        How its output becomes feature maps.
    run
        Which of the layer's runs in a forward pass, from 0.
    classes
        Number of logits.
    rectify
        Whether a ReLU follows.
    linear
        Name of the linear layer, or 1x1 convolution, that returns the logits; None where they are
        the mean of the feature maps.
    norm
        Name of the layer normalization between pooling and linear layer, if there is one.
    """

    layer: str
    grid: Grid
    run: int
    classes: int
    rectify: bool = False
    linear: str | None = None
    norm: str | None = None

    def head_of(self, net: nn.Module) -> nn.Module:
        """Return the head, with the modules of a network."""
        if self.linear is None:
            return MeanHead(self.classes)
        classifier = net.get_submodule(self.linear)
        if not isinstance(classifier, nn.Linear):
            return ConvHead(cast(nn.Conv2d | nn.Conv3d, classifier))
        if self.norm is None:
            return GAPHead(classifier)
        norm = cast(nn.LayerNorm, net.get_submodule(self.norm))
        return NormHead(_vector_norm(norm), classifier)


@dataclass(frozen=True, eq=False)
class Trial:
    """What the modules of a network returned in one forward pass.

    Parameters
    ----------
    outputs
        The network's outputs.
    layers
        Layers whose outputs have positions, in the order in which they ended, for each run.
    vectors
        Layers with one vector for each image, as linear ones and normalizations, that ran once.
    """

    outputs: object
    layers: Sequence["Layer"]
    vectors: Sequence["VectorLayer"]


@dataclass(frozen=True, eq=False)
class Layer:
    """The output of a layer: its shape, and for each reading as feature maps its pooled values."""

    name: str
    run: int
    shape: tuple[int, ...]
    pooled: Sequence["_Pooled"]


@dataclass(frozen=True, eq=False)
class _Pooled:
    """The mean of feature maps over their positions, ``(N, K)``, and of their positive part.

    `spread` is the mean with unequal weights: two outputs of the same mean and spread are one.
    """

    grid: Grid
    positions: int
    mean: Tensor
    positive: Tensor
    size: Tensor
    spread: Tensor


@dataclass(frozen=True, eq=False)
class VectorLayer:
    """A module from one vector to one for each image, ``(N, K)`` to ``(N, C)``."""

    name: str
    module: nn.Module
    inputs: Tensor
    outputs: Tensor


@dataclass(eq=False)
class _Recorder:
    """Hooks on all modules of a private copy."""

    tokens: Tokens
    images: Tensor
    runs: dict[str, int] = field(default_factory=dict)
    layers: list[Layer] = field(default_factory=list)
    vectors: list[VectorLayer] = field(default_factory=list)

    def hook(self, name: str) -> Callable[[nn.Module, tuple[object, ...], object], None]:
        """Return the hook of one module."""

        def record(module: nn.Module, inputs: tuple[object, ...], output: object) -> None:
            run = self.runs[name] = self.runs.get(name, -1) + 1
            if not isinstance(output, Tensor) or not output.is_floating_point():
                return
            pooled = [
                _pool(grid, maps)
                for grid in _readings(output, self.tokens)
                if (maps := grid_for(grid, self.images)(output)).shape[2:].numel() > 1
            ]
            if pooled or (output.ndim > 2 and output.shape[2:].numel() > 1):
                self.layers.append(Layer(name, run, tuple(output.shape), pooled))
            given = inputs[0] if len(inputs) == 1 else None
            if isinstance(given, Tensor) and _is_vector(given) and _is_vector(output):
                pair = given.flatten(1).clone(), output.flatten(1).clone()
                self.vectors.append(VectorLayer(name, module, *pair))

        return record


def no_tokens(_count: int) -> None:
    """Read no tokens as feature maps."""


def record_trial(clone: nn.Module, images: Tensor, tokens: Tokens = no_tokens) -> Trial:
    """Run a private copy once and record its modules.

    Parameters
    ----------
    clone
        A private copy of the network, in evaluation mode. It gets hooks, which are removed.
    images
        The trial images.
    tokens
        How tokens ``(N, T, K)`` are read as feature maps.
    """
    recorder = _Recorder(tokens, images)
    handles = [
        module.register_forward_hook(recorder.hook(name))
        for name, module in clone.named_modules()
        if name
    ]
    try:
        with without_graph():
            outputs: object = clone(images.clone())
    finally:
        for handle in handles:
            handle.remove()
    once = [layer for layer in recorder.vectors if recorder.runs[layer.name] == 0]
    return Trial(outputs, recorder.layers, once)


def find_cut(trial: Trial) -> ProvenCut | None:
    """Return the cut that a trial proves, None if there is none."""
    logits = trial.outputs
    if not isinstance(logits, Tensor) or logits.ndim != 2 or not logits.is_floating_point():
        return None
    classifier = last_linear(trial)
    if classifier is not None:
        return _cut_before(trial, classifier)
    found = pooled_layer(trial, logits, rectify=False)
    return None if found is None else ProvenCut(*found, logits.shape[1])


def last_linear(trial: Trial) -> VectorLayer | None:
    """Return the linear layer, or 1x1 convolution, whose output is that of the network."""
    logits = trial.outputs
    layers = [
        layer
        for layer in trial.vectors
        if _is_linear(layer.module) and isinstance(logits, Tensor)
        if torch.equal(layer.outputs, logits) and _computes_its_product(layer)
    ]
    return layers[-1] if layers else None


def last_change(trial: Trial) -> tuple[str, str] | None:
    """Return a linear layer, and the last module after it that changes its output, by name."""
    logits = trial.outputs
    names = [layer.name for layer in trial.vectors if _is_linear(layer.module)]
    if not isinstance(logits, Tensor) or not names:
        return None
    changes = [
        layer
        for layer in trial.vectors
        if not _is_linear(layer.module) and not layer.module._modules
        if layer.outputs.shape == logits.shape and torch.equal(layer.outputs, logits)
        if not torch.equal(layer.outputs, layer.inputs)
    ]
    return (names[-1], changes[-1].name) if changes else None


def _cut_before(trial: Trial, classifier: VectorLayer) -> ProvenCut | None:
    """Return the cut at a layer whose mean, normalized or not, is the input of a linear layer."""
    module, vector = classifier.module, classifier.inputs
    classes = classifier.outputs.shape[1]
    for rectify in (False, True):
        found = pooled_layer(trial, vector, rectify=rectify)
        if found is not None:
            return ProvenCut(*found, classes, rectify, classifier.name)
    for norm in trial.vectors:
        if not isinstance(module, nn.Linear) or not _normalizes(norm, vector):
            continue
        found = pooled_layer(trial, norm.inputs, rectify=False)
        if found is not None:
            return ProvenCut(*found, classes, False, classifier.name, norm.name)
    return None


def pooled_layer(trial: Trial, vector: Tensor, *, rectify: bool) -> tuple[str, Grid, int] | None:
    """Return the layer whose mean is a vector, its grid, and which of its runs it is.

    Several outputs can have one mean: before and after a local average, or a flip. It is the first
    of them, nearest to the image. In single precision the mean may seem equal before a block of
    very small weights, too; there it is the last. Of the modules that return the same output, as a
    block and its last layer, it is the outermost that runs once, if there is one.
    """
    if not bool(vector.abs().max() > 0):
        return None
    matches = [
        (layer, pooled)
        for layer in trial.layers
        for pooled in layer.pooled
        if _agree(pooled.positive if rectify else pooled.mean, vector, pooled.size)
    ]
    if not matches:
        return None
    _, first = matches[0 if vector.dtype == torch.float64 else -1]
    same = [
        layer
        for layer, pooled in matches
        if pooled.positions == first.positions and torch.equal(pooled.spread, first.spread)
    ]
    outermost = min(same, key=lambda layer: (layer.run, layer.name.count(".")))
    return outermost.name, first.grid, outermost.run


def is_pooled_last(trial: Trial, vector: Tensor, *, rectify: bool) -> bool:
    """Tell whether a vector is the mean of the output of the layer that ended last.

    An output with one axis longer than 1, such as that of a pooling, is a vector itself.
    """
    spatial = [one for one in trial.layers if sum(length > 1 for length in one.shape[1:]) > 1]
    return bool(spatial) and any(
        _agree(pooled.positive if rectify else pooled.mean, vector, pooled.size)
        for pooled in spatial[-1].pooled
    )


def _readings(output: Tensor, tokens: Tokens) -> list[Grid]:
    """Return the ways in which an output can be read as feature maps."""
    if output.ndim in (4, 5):
        return [identity, channels_last_grid]
    grid = tokens(output.shape[1]) if output.ndim == 3 else None
    return [] if grid is None else [grid]


def _pool(grid: Grid, maps: Tensor) -> _Pooled:
    flat = maps.flatten(2)
    count = flat.shape[2]
    ramp = torch.linspace(0, 1, count, dtype=flat.dtype, device=flat.device)
    return _Pooled(
        grid, count, flat.mean(2), flat.relu().mean(2), flat.abs().mean(2), flat @ ramp / count
    )


def _agree(found: Tensor, expected: Tensor, size: Tensor) -> bool:
    """Tell whether two tensors differ by rounding, for terms of this mean absolute size."""
    if found.shape != expected.shape:
        return False
    allowed = _ROUNDING_ERRORS * torch.finfo(found.dtype).eps * size
    return bool(((found - expected).abs() <= allowed).all())


def _is_vector(tensor: Tensor) -> bool:
    """Tell whether a tensor has one vector for each image."""
    return tensor.ndim >= 2 and tensor.is_floating_point() and tensor.shape[2:].numel() == 1


def _is_linear(module: nn.Module) -> bool:
    if runs_code_of(module, nn.Linear):
        return True
    kinds = (nn.Conv2d, nn.Conv3d)
    convolution = any(runs_code_of(module, kind) for kind in kinds)
    return convolution and cast(nn.Conv2d, module).groups == 1


def _computes_its_product(layer: VectorLayer) -> bool:
    """Tell whether a linear layer returns what its weights say, which a hook may change."""
    weight = cast(Tensor, layer.module.weight).flatten(1)
    bias = cast(Tensor | None, layer.module.bias)
    expected = linear(layer.inputs, weight, bias)
    size = layer.inputs.abs() @ weight.abs().T + (0 if bias is None else bias.abs())
    return _agree(layer.outputs, expected, size)


def _normalizes(layer: VectorLayer, vector: Tensor) -> bool:
    """Tell whether a layer is a LayerNorm over the channels with this output."""
    norm = layer.module
    if not isinstance(norm, nn.LayerNorm) or norm.weight is None or norm.bias is None:
        return False
    if norm.weight.ndim != 1 or layer.outputs.shape != vector.shape:
        return False
    expected = layer_norm(layer.inputs, norm.weight.shape, norm.weight, norm.bias, norm.eps)
    size = vector.abs() + 1
    return _agree(expected, vector, size) and _agree(layer.outputs, vector, size)


def _vector_norm(norm: nn.LayerNorm) -> nn.LayerNorm:
    """Return a LayerNorm of vectors with the weights of another."""
    vector_norm = nn.LayerNorm(norm.weight.shape, eps=norm.eps, elementwise_affine=True)
    vector_norm.weight, vector_norm.bias = norm.weight, norm.bias
    return vector_norm.train(norm.training)


def candidate_layers(trial: Trial, limit: int = 6) -> list[tuple[str, tuple[int, ...]]]:
    """Return the layers that maps can be taken from: the last of each shape, the last one first."""
    return [(same[0].name, same[0].shape[1:]) for same in layers_by_shape(trial)][:limit]


def layers_by_shape(trial: Trial) -> list[list[Layer]]:
    """Return the layers that maps can be taken from, those of one shape in a row together.

    They ran once. The last one is the first.
    """
    repeated = {layer.name for layer in trial.layers if layer.run}
    spatial = [
        layer
        for layer in reversed(trial.layers)
        if layer.name not in repeated and len(layer.shape) >= 4 and _has_positions(layer)
    ]
    return [[*same] for _, same in groupby(spatial, key=lambda layer: layer.shape)]


def _has_positions(layer: Layer) -> bool:
    return any(pooled.grid is identity for pooled in layer.pooled)
