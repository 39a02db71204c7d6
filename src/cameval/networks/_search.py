"""The cut of a network of any class, found in one trial: by proof, or by timm's contract."""

import torchvision.models as tv
from torch import Tensor, nn

from cameval.errors import UnsupportedHeadError, UnsupportedModelError
from cameval.networks._contract import contract_cut, keeps_contract
from cameval.networks._layer_features import LayerFeatures
from cameval.networks._module_types import is_exactly
from cameval.networks._proof import (
    ProvenCut,
    Trial,
    candidate_layers,
    find_cut,
    last_change,
    last_linear,
    record_trial,
)
from cameval.networks._selection import check_outputs, is_of_transformers, own_name, own_network
from cameval.networks._tokens import last_tokens, patch_grid, token_grid
from cameval.networks._trial import try_network
from cameval.networks.activations import without_graph
from cameval.networks.families import Split, split
from cameval.networks.heads import MeanHead
from cameval.networks.layers import LayerModel
from cameval.networks.model import CAMModel


def search_cut(net: nn.Module, images: Tensor | None) -> CAMModel | LayerModel:
    """Return the model of a network whose class is not declared.

    Raises
    ------
    UnsupportedModelError
        If nothing proves a cut. The message lists layers that maps can be taken from.
    """
    clone, batch, trial = try_network(net, images, record_trial)
    logits = check_outputs(trial.outputs)
    cut = find_cut(trial)
    if cut is not None:
        return _model_of(net, cut)
    parts = contract_cut(net, clone, batch, logits)
    if parts is not None:
        return CAMModel(*parts).cut_from(net)
    if _has_known_tokens(net):
        model = _cut_tokens(net, clone, batch)
        if model is not None:
            return model
    raise UnsupportedModelError(_explain(net, trial))


@split.register
def _(net: nn.Module) -> Split:
    model = search_cut(net, None)
    if isinstance(model, LayerModel):
        raise UnsupportedModelError(
            "the logits must depend on the feature maps alone to be split, got a "
            f"{type(net).__name__} in which they depend on other tokens too; use cameval.adapt(net)"
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
    trial = record_trial(clone, images, lambda count: token_grid(count, cells))
    cut = find_cut(trial)
    if cut is not None:
        return _model_of(net, cut)
    linear = last_linear(trial)
    found = last_tokens(clone, images, cells, linear=None if linear is None else linear.name)
    return None if found is None else LayerModel(net, *found)


def pooled_tokens(model: LayerModel) -> CAMModel:
    """Return a model of the last tokens of a transformer, whose head is still to be replaced.

    Raises
    ------
    UnsupportedHeadError
        If the network has no tokens at its end.
    """
    clone, batch, _ = try_network(model.net, None, lambda copy, images: copy(images))
    cells = patch_grid(clone, batch)
    found = None if cells is None else last_tokens(clone, batch, cells, used=False)
    if found is None:
        raise UnsupportedHeadError(
            "the network must end in feature maps or in tokens for a new head, got a "
            f"{type(model.net).__name__} that does not; build cameval.CAMModel(features, head)"
        )
    features = LayerFeatures(model.net, *found)
    with without_graph():
        channels = LayerFeatures(clone, *found)(batch).shape[1]
    return CAMModel(features, MeanHead(channels)).train(model.training)


def _explain(net: nn.Module, trial: Trial) -> str:
    """Return the message for a network without a proven cut."""
    candidates = candidate_layers(trial)
    lines = [f"    {own_name(net, name)}  {shape}" for name, shape in candidates]
    name = type(own_network(net)).__name__
    if candidates:
        first = own_name(net, candidates[0][0])
        listed = "\n".join(["", *lines, ""])
        tried = (
            f"Layers that maps can be taken from, the last first:\n{listed}\n"
            f'Try cameval.adapt(net, layer="{first}") first; gradient methods work at every layer. '
            "Or declare"
        )
    else:
        tried = "No layer of it returns feature maps. Declare"
    return (
        "a network of a class without a declared split must end in the mean of a layer's output "
        f"and one linear layer, got a {name} in which {_reason(trial)}. {tried} its features and "
        "head, if head(features(x)) == net(x):\n\n"
        "    @cameval.split.register\n"
        f"    def _(net: {name}):\n"
        "        return net.body, cameval.GAPHead(net.fc)"
    )


def _reason(trial: Trial) -> str:
    """Return what does not hold."""
    linear = last_linear(trial)
    if linear is not None:
        return f"the input of the linear layer {linear.name!r} is not the mean of a layer's output"
    change = last_change(trial)
    if change is not None:
        return f"{change[1]!r} changes the output of the linear layer {change[0]!r}"
    return "no linear layer returns the logits"
