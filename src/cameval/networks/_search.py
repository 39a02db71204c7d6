"""The cut of a network of any class, found in one trial: by proof, or by timm's contract."""

from functools import partial

import torch
import torchvision.models as tv
from torch import Tensor, nn

from cameval.errors import LayerError, UnsupportedHeadError, UnsupportedModelError
from cameval.networks._contract import contract_cut, keeps_contract
from cameval.networks._deep_heads import deep_cut
from cameval.networks._layer_features import LayerFeatures
from cameval.networks._module_types import is_exactly
from cameval.networks._placement import Placement
from cameval.networks._proof import (
    ProvenCut,
    Trial,
    candidate_layers,
    find_cut,
    last_linear,
    no_tokens,
    record_trial,
)
from cameval.networks._selection import check_outputs, is_of_transformers
from cameval.networks._side_branches import carries_all
from cameval.networks._tokens import (
    GridOf,
    ends_a_step,
    fitting,
    last_tokens,
    patch_grid,
    size_of,
    token_grid,
    used_tokens,
)
from cameval.networks._trial import try_network
from cameval.networks._unproved import unproved
from cameval.networks.activations import without_graph
from cameval.networks.families import Split, split
from cameval.networks.grids import TokenGrid
from cameval.networks.heads import MeanHead
from cameval.networks.layers import LayerModel, layer_name
from cameval.networks.model import CAMModel


def search_cut(
    net: nn.Module, images: Tensor | None, grid: TokenGrid | None = None
) -> CAMModel | LayerModel:
    """Return the model of a network whose class is not declared.

    Parameters
    ----------
    net
        The network.
    images
        Images for the trial; None for random ones.
    grid
        The order of the network's tokens, if it is known.

    Raises
    ------
    UnsupportedModelError
        If nothing proves a cut. The message lists layers that maps can be taken from.
    """
    clone, batch, trial = try_network(net, images, partial(_record, grid=grid))
    check_outputs(trial.outputs)
    with torch.random.fork_rng([batch.device] if batch.is_cuda else []):
        model = _find(net, clone, batch, trial, grid)
        if model is not None:
            model.placement = Placement.of(clone, batch[:1])
            return model
        given = "" if images is None else ", images=images"
        raise unproved(net, clone, batch, trial, partial(_find_with, clone, batch), given)


def _record(clone: nn.Module, images: Tensor, grid: TokenGrid | None) -> Trial:
    """Run a private copy once and record its modules; tokens are maps if their grid is known."""
    tokens = no_tokens if grid is None else fitting(grid, size_of(images))
    return record_trial(clone, images, tokens)


def _find(
    net: nn.Module, clone: nn.Module, batch: Tensor, trial: Trial, grid: TokenGrid | None
) -> CAMModel | LayerModel | None:
    """Return the model that a trial proves, None if there is none."""
    cut = find_cut(trial)
    if cut is not None:
        return _model_of(net, cut)
    widths = {layer.inputs.shape[1] for layer in trial.vectors}
    parts = contract_cut(net, clone, batch, check_outputs(trial.outputs), widths)
    if parts is not None:
        return CAMModel(*parts).cut_from(net)
    deep = deep_cut(net, clone, batch, trial)
    if deep is not None:
        return deep
    if grid is not None:
        grid_of = fitting(grid, size_of(batch))
        return _cut_at_last_tokens(net, clone, batch, trial, grid_of)
    return _cut_tokens(net, clone, batch) if _has_known_tokens(net) else None


def _find_with(clone: nn.Module, batch: Tensor, grid: TokenGrid) -> CAMModel | LayerModel | None:
    """Return the model of a private copy that the order of its tokens proves."""
    return _find(clone, clone, batch, _record(clone, batch, grid), grid)


@split.register
def _(net: nn.Module) -> Split:
    model = search_cut(net, None)
    if isinstance(model, LayerModel):
        raise UnsupportedModelError(
            "the logits must be those of one module of the feature maps alone to be split, got a "
            f"{type(net).__name__} in which other tokens count too, or the head is several modules;"
            " use cameval.adapt(net)"
        )
    return Split(model.features, model.head)


def _model_of(net: nn.Module, cut: ProvenCut) -> CAMModel:
    features = LayerFeatures(net, cut.layer, cut.grid, run=cut.run, rectify=cut.rectify)
    return CAMModel(features, cut.head_of(net)).cut_from(net)


def _has_known_tokens(net: nn.Module) -> bool:
    """Tell whether the tokens of a network are in the order of the patches, row by row."""
    return any(
        is_exactly(module, tv.VisionTransformer)
        or keeps_contract(module)
        or is_of_transformers(module)
        for module in net.modules()
    )


def _cut_tokens(net: nn.Module, clone: nn.Module, images: Tensor) -> CAMModel | LayerModel | None:
    """Cut a transformer: where tokens are pooled by proof, else at its last attention."""
    cells = patch_grid(clone, images)
    if cells is None:
        return None
    grid_of = partial(token_grid, cells=cells, image_size=size_of(images))
    trial = record_trial(clone, images, grid_of)
    cut = find_cut(trial)
    if cut is not None:
        return _model_of(net, cut)
    return _cut_at_last_tokens(net, clone, images, trial, grid_of)


def _cut_at_last_tokens(
    net: nn.Module, clone: nn.Module, images: Tensor, trial: Trial, grid_of: GridOf
) -> LayerModel | None:
    """Cut a transformer at the last tokens that the logits depend on.

    The logits must depend on the image through these tokens alone, or read the class token alone.
    Otherwise they are those of a side branch.
    """
    linear = last_linear(trial)
    layers = [
        layer.name
        for layer in trial.layers
        if len(layer.shape) == 3 and layer.run == 0 and ends_a_step(clone.get_submodule(layer.name))
    ]
    found = used_tokens(
        clone, images, layers, grid_of, linear=None if linear is None else linear.name
    )
    if not found:
        return None
    last, grid = found[0]
    reads_class_token = grid.skip > 0 and last != layers[-1]
    if reads_class_token or carries_all(clone, images, trial, last):
        return LayerModel(net, last, grid)
    return None


def pooled_tokens(model: LayerModel) -> CAMModel:
    """Return a model of the last tokens of a transformer, whose head is still to be replaced.

    Raises
    ------
    UnsupportedHeadError
        If the network has no tokens at its end.
    """
    clone, batch, _ = try_network(model.net, None, lambda copy, images: copy(images))
    cells = patch_grid(clone, batch)
    grid_of: GridOf = no_tokens
    if cells is not None:
        grid_of = partial(token_grid, cells=cells, image_size=size_of(batch))
    found = last_tokens(clone, batch, grid_of)
    if found is None:
        raise UnsupportedHeadError(
            "the network must end in feature maps or in tokens for a new head, got a "
            f"{type(model.net).__name__} that does not; build cameval.CAMModel(features, head)"
        )
    features = LayerFeatures(model.net, *found)
    with without_graph():
        channels = LayerFeatures(clone, *found)(batch).shape[1]
    return CAMModel(features, MeanHead(channels)).train(model.training)


def find_layer_name(net: nn.Module, layer: str | nn.Module) -> str:
    """Return the name of a layer, which is given by its name or itself.

    Raises
    ------
    LayerError
        If the network has no such layer. The message lists layers that maps can be taken from, if
        the network runs on trial images.
    """
    try:
        return layer_name(net, layer)
    except LayerError as error:
        if not isinstance(layer, str):
            raise
        try:
            trial = try_network(net, None, record_trial).result
        except UnsupportedModelError:
            raise error from None
        listed = [name for name, _ in candidate_layers(trial)]
        if not listed:
            raise
        raise LayerError(
            f"{error}; layers that maps can be taken from, the last first: {', '.join(listed)}"
        ) from None
