"""The cut before a head of several layers: the layer whose mean the head reads, proved in a trial.

With one linear layer the class weights give an exact map. With several there are no class weights,
but the layer of the maps is as certain, and the gradient methods need no more.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn

from cameval.errors import LayerError
from cameval.networks._layer_features import LayerFeatures
from cameval.networks._proof import Trial, VectorLayer, is_pooled_last, last_linear, pooled_layer
from cameval.networks._selection import own_name
from cameval.networks.grids import Grid
from cameval.networks.heads import PooledHead
from cameval.networks.layers import LayerModel
from cameval.networks.model import CAMModel


class _Found(NamedTuple):
    """A layer, its grid and run, and whether a ReLU follows, as `ProvenCut` has them."""

    layer: str
    grid: Grid
    run: int
    rectify: bool


def deep_cut(
    net: nn.Module, clone: nn.Module, images: Tensor, trial: Trial
) -> CAMModel | LayerModel | None:
    """Cut a network at the layer whose mean a head of several layers reads.

    Parameters
    ----------
    net
        The network.
    clone
        A private copy of it, in evaluation mode.
    images, trial
        The trial images, and what the modules returned for them.

    Returns
    -------
    CAMModel, LayerModel or None
        A model of features and head, if the head is one module. A model of the layer, if the head
        is several and the layer ended last of those with positions; its features are before a ReLU
        that the network calls as a function. None if neither is proved, or no linear layer returns
        the logits.
    """
    logits = trial.outputs
    if last_linear(trial) is None or not isinstance(logits, Tensor) or logits.ndim != 2:
        return None
    for head in reversed(trial.vectors):  # a module ends after those inside it
        if torch.equal(head.outputs, logits) and (found := _layer_read_by(trial, head)):
            axes = next(len(one.shape) for one in trial.layers if one.name == found.layer)
            pool = (nn.AdaptiveAvgPool3d if axes == 5 else nn.AdaptiveAvgPool2d)(1)
            features = LayerFeatures(
                net, found.layer, found.grid, run=found.run, rectify=found.rectify
            )
            return CAMModel(features, PooledHead(pool, net.get_submodule(head.name))).cut_from(net)
    for number, found in _layers_read_last(trial):
        once = [one.name for one in trial.layers].count(found.layer) == 1
        if once and changes_logits(LayerModel(clone, found.layer, found.grid), images):
            model = LayerModel(net, found.layer, found.grid)
            model.head_layers = tuple(
                own_name(net, one.name)
                for one in trial.vectors[number:]
                if not one.module._modules and [*one.module.parameters()]
            )
            return model
    return None


def _layer_read_by(trial: Trial, head: VectorLayer) -> _Found | None:
    for rectify in (False, True):
        found = pooled_layer(trial, head.inputs, rectify=rectify)
        if found is not None:
            return _Found(*found, rectify)
    return None


def _layers_read_last(trial: Trial) -> Iterator[tuple[int, _Found]]:
    """Yield what the layers of the head read, if it is the mean of the layer that ended last.

    The number is that of the layer of the head among the recorded ones.
    """
    for number, head in enumerate(trial.vectors):
        for rectify in (False, True):
            if is_pooled_last(trial, head.inputs, rectify=rectify):
                found = pooled_layer(trial, head.inputs, rectify=rectify)
                if found is not None:
                    yield number, _Found(*found, rectify)


def changes_logits(model: LayerModel, images: Tensor) -> bool:
    """Tell whether the gradient of the logits with respect to the layer is not zero."""
    try:
        gradients = model.activations(images).gradients(lambda logits: logits.square().sum(1))
    except LayerError:  # the score does not depend on the layer
        return False
    return bool(gradients.abs().max() > 0)
