"""The cut of a network of any class, found in one trial: by proof, or by timm's contract."""

from collections.abc import Sequence

import torchvision.models as tv
from torch import Tensor, nn

from cameval.errors import LayerError, UnsupportedHeadError, UnsupportedModelError
from cameval.networks._contract import contract_cut, keeps_contract
from cameval.networks._deep_heads import deep_cut
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
from cameval.networks._selection import (
    SelectedOutput,
    check_outputs,
    is_of_transformers,
    own_name,
    own_network,
)
from cameval.networks._tokens import last_tokens, patch_grid, token_grid
from cameval.networks._trial import try_network
from cameval.networks.activations import without_graph
from cameval.networks.families import Split, split
from cameval.networks.heads import MeanHead
from cameval.networks.layers import LayerModel, layer_name
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
    widths = {layer.inputs.shape[1] for layer in trial.vectors}
    parts = contract_cut(net, clone, batch, logits, widths)
    if parts is not None:
        return CAMModel(*parts).cut_from(net)
    deep = deep_cut(net, clone, batch, trial)
    if deep is not None:
        return deep
    if _has_known_tokens(net):
        model = _cut_tokens(net, clone, batch)
        if model is not None:
            return model
    raise _unproved(net, trial)


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


def _unproved(net: nn.Module, trial: Trial) -> UnsupportedModelError:
    """Return the error for a network without a proven cut."""
    candidates = [(own_name(net, name), shape) for name, shape in candidate_layers(trial)]
    lines = [f"    {name}  {shape}" for name, shape in candidates]
    name = type(own_network(net)).__name__
    select = ", select=..." if isinstance(net, SelectedOutput) else ""
    reason = f"in the {name} {_reason(net, trial)}"
    if candidates:
        listed = "\n".join(["", *lines, ""])
        what_to_do = (
            f'Name it: cameval.adapt(net, layer="{candidates[0][0]}"{select}). Gradient methods '
            f"work at every layer that the logits depend on; {reason}. Layers that maps can be "
            f"taken from, the last first:\n{listed}\n"
        )
    else:
        what_to_do = f"No layer of it returns feature maps; {reason}. "
    error = UnsupportedModelError(
        f"the layer of the maps cannot be proved. {what_to_do}{_declare(net, trial)}"
    )
    error.layers, error.reason = tuple(one for one, _ in candidates), reason
    return error


def _declare(net: nn.Module, trial: Trial) -> str:
    """Return how features and head are declared, with the names of the network."""
    children = {one.name: one.shape[2:] for one in trial.layers if _is_child(one.name)}
    features = [name for name, size in children.items() if max(size, default=1) > 1]
    pools = [name for name in children if name not in features]
    head = [one.name for one in trial.vectors if _is_child(one.name) and one.name not in children]
    kind = type(net)
    of_torch = kind in vars(nn).values()
    if of_torch or isinstance(net, SelectedOutput) or not features or not head:
        return "Or build cameval.CAMModel(features, head), if head(features(x)) == net(x)."
    classifier = _in_sequence(head)
    pooled = len(head) == 1 and not pools and is_exactly(net.get_submodule(head[0]), nn.Linear)
    if not pooled:
        pool = _in_sequence(pools) if pools else "nn.AdaptiveAvgPool2d(1)"
        classifier = f"PooledHead({pool}, {classifier})"
    imported = "" if pooled else "    from cameval.networks import PooledHead\n\n"
    built = f"cameval.GAPHead({classifier})" if pooled else classifier
    return (
        "Or declare its features and head, if head(features(x)) == net(x), with what lies between "
        f"these modules:\n\n{imported}"
        "    @cameval.split.register\n"
        f"    def _(net: {kind.__name__}):\n"
        f"        return {_in_sequence(features)}, {built}"
    )


def _is_child(name: str) -> bool:
    return "." not in name


def _in_sequence(names: Sequence[str]) -> str:
    """Return how the children of a network are written, one after the other."""
    written = [
        f"net.{name}" if name.isidentifier() else f'net.get_submodule("{name}")' for name in names
    ]
    return written[0] if len(written) == 1 else f"nn.Sequential({', '.join(written)})"


def _reason(net: nn.Module, trial: Trial) -> str:
    """Return what does not hold."""
    linear = last_linear(trial)
    if linear is not None:
        name = own_name(net, linear.name)
        return f"neither the linear layer {name!r} nor a layer before it reads a layer's mean"
    change = last_change(trial)
    if change is not None:
        first, last = (own_name(net, one) for one in change)
        return f"{last!r} changes the output of the linear layer {first!r}"
    return "no linear layer returns the logits"
