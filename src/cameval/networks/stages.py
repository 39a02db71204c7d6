"""Cutting a declared network earlier: between two stages of the chain that its features are."""

from torch import nn

from cameval.networks.families import declared_class, foreign_forward, split
from cameval.networks.model import CAMModel
from cameval.networks.plain import hooks_outside, plain

__all__ = ["cut_after"]

Chain = list[tuple[str, nn.Module]]


def cut_after(net: nn.Module, layer: str) -> CAMModel | None:
    """Cut `net` after the named layer, if its features are a chain in which the layer is a link.

    What follows the layer is then a head that can run by itself, as often as a method likes, and no
    hook is needed. Layers inside a block (a branch, a residual) are no links.

    Returns
    -------
    CAMModel or None
        A view on the network's modules, None if there is no such cut.

    Examples
    --------
    >>> from torchvision.models import resnet18
    >>> [name for name, _ in cut_after(resnet18(), "layer2").head.named_children()]
    ['layer3', 'layer4', 'head']
    >>> cut_after(resnet18(), "layer2.0.conv1") is None
    True
    """
    if isinstance(net, CAMModel):
        features, head = net.features, net.head
    elif declared_class(net) and not foreign_forward(net):
        features, head = split(net)
    else:
        return None
    target = net.get_submodule(layer)
    runs = sum(module is target for _, module in net.named_modules(remove_duplicate=False))
    parts = _parts(features, target)
    if runs != 1 or parts is None:
        return None
    before, after = parts
    kept = [link for _, link in (*before, *after)]
    if hooks_outside(net, *kept, head):
        return None  # the hook route runs them
    return CAMModel(_chain(before), _chain([*after, ("head", head)]) if after else head)


def _parts(module: nn.Module, target: nn.Module) -> tuple[Chain, Chain] | None:
    """Part a chain of modules after `target`, wherever it is nested."""
    links = [*module.named_children()] if plain(module, nn.Sequential) else []
    for i, (name, link) in enumerate(links):
        if link is target:
            return links[: i + 1], links[i + 1 :]
        inner = _parts(link, target)
        if inner is not None:
            before, after = inner
            rest = [(name, _chain(after))] if after else []
            return [*links[:i], (name, _chain(before))], [*rest, *links[i + 1 :]]
    return None


def _chain(links: Chain) -> nn.Sequential:
    chain = nn.Sequential()
    for name, link in links:
        chain.add_module(name, link)
    return chain
