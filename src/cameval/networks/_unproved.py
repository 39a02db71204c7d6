"""The error for a network without a proven cut: the reason, and code that works on it.

All code in the message was run on the trial images before it is printed.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor, nn

from cameval.errors import UnsupportedModelError
from cameval.networks._deep_heads import changes_logits
from cameval.networks._module_types import runs_code_of
from cameval.networks._outputs import describe_noise
from cameval.networks._proof import (
    Trial,
    last_change,
    last_linear,
    layers_by_shape,
    pooled_layer,
    record_trial,
)
from cameval.networks._selection import SelectedOutput, check_outputs, own_name, own_network
from cameval.networks._side_branches import carries_all
from cameval.networks._tokens import ends_a_step, size_of, sized_grid, used_tokens
from cameval.networks.activations import without_graph
from cameval.networks.grids import (
    Grid,
    TokenGrid,
    are_channels_last,
    channels_last_grid,
    grid_of_ratio,
    identity,
)
from cameval.networks.heads import ExactHead, PooledHead
from cameval.networks.layers import LayerModel
from cameval.networks.model import CAMModel
from cameval.networks.transformer_parts import find_transformer

T = TypeVar("T")

Find = Callable[[TokenGrid], CAMModel | LayerModel | None]
"""From the order of the tokens to the model that it proves for a private copy."""

_MOST_TOKENS = 5

_MOST_SHAPES = 6

_MOST_PASSES = 24
"""How many layers are run again to find one that is no side branch."""


class _Candidate(NamedTuple):
    """A layer that maps can be taken from, with its grid.

    At a side branch a part of the logits' dependence on the image does not pass the layer.
    """

    name: str
    shape: tuple[int, ...]
    grid: Grid
    side: bool

    @property
    def channels(self) -> int:
        """The number of its channels."""
        return self.shape[0] if self.grid is identity else self.shape[-1]

    @property
    def written(self) -> str:
        """The grid in Python, as `adapt` takes it; empty if the output is a map as it is."""
        if self.grid is identity:
            return ""
        return _written(self.grid) if isinstance(self.grid, TokenGrid) else "channels_last_grid"


def unproved(
    net: nn.Module, clone: nn.Module, images: Tensor, trial: Trial, find: Find, given: str
) -> UnsupportedModelError:
    """Return the error for a network without a proven cut.

    Parameters
    ----------
    net
        The network.
    clone
        A private copy of it, in evaluation mode.
    images, trial
        The trial images, and what the modules returned for them.
    find
        The search again, with known tokens.
    given
        The arguments of `adapt` that the user gave, beside the network, as they are written.
    """
    if noise := _attempt(partial(_noise, net, clone, images)):
        return UnsupportedModelError(noise)
    select = ", select=..." if isinstance(net, SelectedOutput) else ""
    candidates = _candidates(net, clone, images, trial)
    reader, grid = _mean_of_tokens(clone, images, trial) or (None, None)
    step = _step_after(trial) if reader is None and last_linear(trial) is None else None
    reason = f"in the {type(own_network(net)).__name__} {_reason(net, trial, reader, step)}"
    model = None if grid is None else _attempt(partial(_find_and_run, find, grid, images))
    advised = _advised(candidates)
    first = advised[0] if advised else None
    if model is not None and grid is not None:
        exact = isinstance(model, CAMModel) and isinstance(model.head, ExactHead)
        code = f"cameval.adapt(net, grid=cameval.networks.{_written(grid)}{given}{select})"
        call = f"Give grid=: {code}{', with which cameval.cam is exact' if exact else ''}"
    elif first is not None:
        order = f", grid=cameval.networks.{first.written}" if first.written else ""
        call = f'Name it: cameval.adapt(net, layer="{first.name}"{order}{select})'
    else:
        call = "Build cameval.CAMModel(features, head), if head(features(x)) == net(x)"
    if model is not None or (first is not None and isinstance(first.grid, TokenGrid)):
        call += (
            ", if the tokens after those to skip are in the order of the patches, row by row, and "
            "no other token follows"
        )
    if step is not None:
        call = (
            f"Give the network without its last step, a {step[1]}. Or {call[0].lower()}{call[1:]}"
        )
    if candidates:
        listed = "\n".join(["", *map(_line, candidates)])
        text = (
            f"{call}. Gradient methods work at every layer that the logits depend on; {reason}. "
            f"Layers that maps can be taken from, the last first:\n{listed}"
        )
    else:
        text = f"No layer of it returns feature maps; {reason}. {call}"
    has_tokens = any(isinstance(one.grid, TokenGrid) for one in candidates)
    attention = _attention(clone) if has_tokens else ""
    parts = [text, attention, _declaration(net, clone, images, trial)]
    error = UnsupportedModelError(
        "the layer of the maps cannot be proved. " + "\n\n".join(part for part in parts if part)
    )
    error.reason, error.step = reason, "" if step is None else step[1]
    if first is not None and first.grid is identity:  # else a name does not say what to do
        error.layers = tuple(one.name for one in advised if one.grid is identity)
    return error


def _find_and_run(find: Find, grid: TokenGrid, images: Tensor) -> CAMModel | LayerModel | None:
    model = find(grid)
    if model is not None:
        model.activations(images)
    return model


def _line(candidate: _Candidate) -> str:
    grid = f"  grid={candidate.written}" if candidate.written else ""
    side = "  side branch: part of the logits does not pass here" if candidate.side else ""
    return f"    {candidate.name}  {candidate.shape}{grid}{side}"


def _written(grid: TokenGrid) -> str:
    size = "" if grid.size is None else f", size={grid.size}"
    return f"TokenGrid(skip={grid.skip}{size})"


def _candidates(net: nn.Module, clone: nn.Module, images: Tensor, trial: Trial) -> list[_Candidate]:
    """Return layers of maps and of tokens, the last one first."""
    ends = {layer.name: (number, layer.shape[1:]) for number, layer in enumerate(trial.layers)}
    sides = _map_layers(clone, images, trial)
    size = tuple(images.shape)
    grids: dict[str, Grid] = {
        name: channels_last_grid
        if are_channels_last((1, *ends[name][1]), size, clone.get_submodule(name))
        else identity
        for name in sides
    }
    tokens = dict(_attempt(partial(_token_layers, clone, images, trial)) or [])
    # A class token passes the layers of patch tokens by; maps are taken there nevertheless.
    sides |= {
        name: grid.skip == 0 and _is_side(clone, images, trial, name)
        for name, grid in tokens.items()
    }
    grids |= tokens
    ordered = sorted(grids, key=lambda name: -ends[name][0])
    return [
        _Candidate(own_name(net, name), ends[name][1], grids[name], sides[name]) for name in ordered
    ]


def _is_side(clone: nn.Module, images: Tensor, trial: Trial, layer: str) -> bool:
    """Tell whether a layer is seen to be a side branch."""
    return _attempt(partial(carries_all, clone, images, trial, layer)) is False


def _advised(candidates: Sequence[_Candidate]) -> list[_Candidate]:
    """Return the layers that are recommended, the last one first.

    Side branches are so only if there is nothing else, layers of one channel never.
    """
    several = [one for one in candidates if one.channels > 1]
    return [one for one in several if not one.side] or several


def _map_layers(clone: nn.Module, images: Tensor, trial: Trial) -> dict[str, bool]:
    """Return the last layer of each shape, and whether it is a side branch.

    As long as all are side branches, or have one channel, earlier layers of the shape are tried,
    and then the last layers of more shapes.
    """
    sides: dict[str, bool] = {}
    found = False
    passes = 0
    shapes = layers_by_shape(trial)
    for same in shapes[:_MOST_SHAPES]:
        for number, layer in enumerate(same):
            if number and (found or passes >= _MOST_PASSES):
                break
            passes += 1
            side = _is_side(clone, images, trial, layer.name)
            if number == 0 or not side:
                sides[layer.name] = side
            found = found or not (side or layer.shape[1] == 1)
    for same in () if found else shapes[_MOST_SHAPES:][:_MOST_PASSES]:
        if same[0].shape[1] > 1 and not _is_side(clone, images, trial, same[0].name):
            return sides | {same[0].name: False}
    return sides


def _token_layers(clone: nn.Module, images: Tensor, trial: Trial) -> list[tuple[str, TokenGrid]]:
    """Return the last layers of tokens, as many as the positions of a convolution, or one more.

    They are normalizations, blocks and other modules that contain some, or modules of the user's.
    """
    grid_of = _grids_of_patches(clone, trial, size_of(images))
    repeated = {layer.name for layer in trial.layers if layer.run}
    names = [
        layer.name
        for layer in trial.layers
        if len(layer.shape) == 3 and layer.name not in repeated and grid_of(layer.shape[1])
        if ends_a_step(clone.get_submodule(layer.name))
    ]
    linear = last_linear(trial)
    found = used_tokens(
        clone, images, names, grid_of, linear=None if linear is None else linear.name
    )
    works: list[tuple[str, TokenGrid]] = []
    for name, grid in found:
        model = LayerModel(clone, name, grid)
        if len(works) < _MOST_TOKENS and _attempt(partial(changes_logits, model, images)):
            works.append((name, grid))
    return works


def _grids_of_patches(
    clone: nn.Module, trial: Trial, image_size: tuple[int, int]
) -> Callable[[int], TokenGrid | None]:
    """Return the grid of a number of tokens: the positions of a convolution, and up to one more."""
    cells = {
        height * width: (height, width)
        for layer in trial.layers
        if len(layer.shape) == 4 and isinstance(clone.get_submodule(layer.name), nn.Conv2d)
        for height, width in [(layer.shape[2], layer.shape[3])]
    }

    def grid_of(count: int) -> TokenGrid | None:
        for skip in (0, 1):
            if count - skip in cells:
                return sized_grid(skip, cells[count - skip], image_size)
        return None

    return grid_of


def _mean_of_tokens(
    clone: nn.Module, images: Tensor, trial: Trial
) -> tuple[str, TokenGrid | None] | None:
    """Return the layer that reads a mean of tokens, and their likely grid, None without a mean."""
    size = size_of(images)
    patches = _grids_of_patches(clone, trial, size)
    for skip in (0, 1):

        def in_a_row(count: int, skip: int = skip) -> TokenGrid | None:
            return TokenGrid(skip, (1, count - skip)) if count - skip > 1 else None

        again = record_trial(clone, images, in_a_row)
        for vector in again.vectors:
            found = pooled_layer(again, vector.inputs, rectify=False)
            shapes = [one.shape for one in again.layers if found and one.name == found[0]]
            if shapes and len(shapes[0]) == 3:
                count = shapes[0][1]
                grid = patches(count)
                if grid is None and grid_of_ratio(count - skip, size) is not None:
                    grid = TokenGrid(skip)  # of patches that no convolution embeds
                return vector.name, grid if grid is not None and grid.skip == skip else None
    return None


def _attention(clone: nn.Module) -> str:
    """Return what methods of attention need, unless they have it."""
    try:
        find_transformer(clone)
    except UnsupportedModelError:
        return (
            "Methods that read attention, such as cameval.methods.attention_rollout, also need the "
            "parts of the network: see cameval.networks.transformer_parts."
        )
    return ""


def _declaration(net: nn.Module, clone: nn.Module, images: Tensor, trial: Trial) -> str:
    """Return how features and head are declared, if that gives the logits bit for bit."""
    children = {one.name: one.shape[2:] for one in trial.layers if _is_child(one.name)}
    features = [name for name, size in children.items() if max(size, default=1) > 1]
    pools = [name for name in children if name not in features]
    head = [one.name for one in trial.vectors if _is_child(one.name) and one.name not in children]
    kind = type(net)
    of_torch = kind in vars(nn).values()
    if of_torch or isinstance(net, SelectedOutput) or not features or not head:
        return ""
    classifier = _in_sequence(clone, head)
    if pools:
        built: nn.Module = PooledHead(_in_sequence(clone, pools), classifier)
        written = f"cameval.networks.PooledHead({_write(pools)}, {_write(head)})"
    else:
        built = nn.Sequential(nn.Flatten(), classifier)
        written = f"nn.Sequential(nn.Flatten(), {_write(head)})"
    whole = nn.Sequential(_in_sequence(clone, features), built)
    if not _attempt(partial(_returns, whole, images, trial.outputs)):
        return ""
    return (
        "Or declare its features and head:\n\n"
        "    @cameval.split.register\n"
        f"    def _(net: {kind.__name__}):\n"
        f"        return {_write(features)}, {written}"
    )


def _noise(net: nn.Module, clone: nn.Module, images: Tensor) -> str:
    """Return that a network gives another output each time, "" if it does not."""
    with without_graph():
        first, second = (check_outputs(clone(images.clone())) for _ in range(2))
    return describe_noise(own_network(net), first, second)


def _returns(model: nn.Module, images: Tensor, outputs: object) -> bool:
    with without_graph():
        found: object = model(images.clone())
    return isinstance(found, Tensor) and isinstance(outputs, Tensor) and torch.equal(found, outputs)


def _attempt(run: Callable[[], T]) -> T | None:
    """Return what a function returns for the trial, None if it fails."""
    try:
        return run()
    except torch.OutOfMemoryError:
        raise
    except Exception:
        return None


def _is_child(name: str) -> bool:
    return "." not in name


def _in_sequence(clone: nn.Module, names: Sequence[str]) -> nn.Module:
    """Return children of a network, one after the other."""
    modules = [clone.get_submodule(name) for name in names]
    return modules[0] if len(modules) == 1 else nn.Sequential(*modules)


def _write(names: Sequence[str]) -> str:
    """Return how `_in_sequence` is written for these names."""
    written = [
        f"net.{name}" if name.isidentifier() else f'net.get_submodule("{name}")' for name in names
    ]
    return written[0] if len(written) == 1 else f"nn.Sequential({', '.join(written)})"


def _reason(net: nn.Module, trial: Trial, reader: str | None, step: tuple[str, str] | None) -> str:
    """Return what does not hold.

    `reader` is the layer that reads a mean of tokens, `step` what `_step_after` returns.
    """
    if reader is not None:
        return f"{own_name(net, reader)!r} reads a mean of tokens, whose order is not known"
    if isinstance(trial.outputs, Tensor) and trial.outputs.ndim == 1:
        return "the outputs are (N,): let it return (N, 1), without a last squeeze"
    linear = last_linear(trial)
    if linear is not None:
        name = own_name(net, linear.name)
        return (
            f"neither the linear layer {name!r} nor a layer before it reads the mean of feature "
            "maps that a module returns, or of their ReLU. If a function returns them, such as "
            "silu, a sum or cat, make it a module, such as nn.SiLU(), or pass its output through "
            "an nn.Identity()"
        )
    change = last_change(trial)
    if change is not None:
        first, last = (own_name(net, one) for one in change)
        return f"{last!r} changes the output of the linear layer {first!r}"
    if step is not None:
        return f"{own_name(net, step[0])!r} returns the logits before the last step, a {step[1]}"
    return "no linear layer returns the logits"


_STEPS: dict[str, Callable[[Tensor], Tensor]] = {
    "sigmoid": torch.sigmoid,
    "softmax": partial(torch.softmax, dim=1),
    "logarithm of the softmax": partial(torch.log_softmax, dim=1),
}
"""Last steps of networks that return probabilities."""


def _step_after(trial: Trial) -> tuple[str, str] | None:
    """Return the linear layer of whose output the network returns probabilities, and the step."""
    outputs = trial.outputs
    for layer in reversed(trial.vectors):
        if not runs_code_of(layer.module, nn.Linear) or not isinstance(outputs, Tensor):
            continue
        for name, step in _STEPS.items():
            if torch.equal(step(layer.outputs).flatten(), outputs.flatten()):
                return layer.name, name
    return None
