"""Tokens of transformers: their grid, and the layer at which maps are taken by default.

A classifier that reads the class token alone has no gradient at the patch tokens of its last
layers. Maps are taken where the last attention reads its input: at the last layer whose patch
tokens change the logits. Gradients decide which one that is.
"""

from collections.abc import Callable, Collection
from math import prod

import torch
from torch import Tensor, nn

from cameval.networks.grids import TokenGrid, grid_of_ratio

GridOf = Callable[[int], TokenGrid | None]
"""From a number of tokens to their grid, None if they have none."""


def patch_grid(clone: nn.Module, images: Tensor) -> tuple[int, int] | None:
    """Return height and width of the first convolution's output, None if there is none."""
    sizes: list[tuple[int, int]] = []

    def keep(_module: nn.Module, _inputs: object, output: object) -> None:
        if isinstance(output, Tensor) and output.ndim == 4:
            sizes.append((output.shape[2], output.shape[3]))

    convolution = next((m for m in clone.modules() if isinstance(m, nn.Conv2d)), None)
    if convolution is None:
        return None
    handle = convolution.register_forward_hook(keep)
    try:
        with torch.no_grad():
            clone(images.clone())
    finally:
        handle.remove()
    return sizes[0] if sizes else None


def size_of(images: Tensor) -> tuple[int, int]:
    """Return height and width of images, the last two of their axes."""
    return images.shape[-2], images.shape[-1]


def token_grid(
    count: int, cells: tuple[int, int], image_size: tuple[int, int] = (1, 1)
) -> TokenGrid | None:
    """Return the grid of tokens after patches of some number of cells, merged or not.

    It has no size of its own where the aspect ratio of the images tells it.

    Examples
    --------
    >>> from cameval.networks._tokens import token_grid
    >>> token_grid(197, (14, 14))
    TokenGrid(skip=1, size=None)
    >>> token_grid(49, (56, 56))
    TokenGrid(skip=0, size=None)
    >>> token_grid(33, (4, 8))
    TokenGrid(skip=1, size=(4, 8))
    >>> token_grid(33, (4, 8), (32, 64))
    TokenGrid(skip=1, size=None)
    """
    height, width = cells
    while height * width > count and height % 2 == 0 and width % 2 == 0:
        height, width = height // 2, width // 2  # tokens of patches that were merged
    skip = count - height * width
    if height * width <= 1 or not 0 <= skip <= 16:
        return None
    return sized_grid(skip, (height, width), image_size)


def sized_grid(skip: int, size: tuple[int, int], image_size: tuple[int, int]) -> TokenGrid:
    """Return a grid, without its size where the aspect ratio of the images tells it."""
    is_known = grid_of_ratio(size[0] * size[1], image_size) == size
    return TokenGrid(skip, None if is_known else size)


def fitting(grid: TokenGrid, image_size: tuple[int, int]) -> GridOf:
    """Return a function from a number of tokens to a known grid, if so many tokens fill it.

    Examples
    --------
    >>> from cameval.networks import TokenGrid
    >>> from cameval.networks._tokens import fitting
    >>> grid_of = fitting(TokenGrid(1), (224, 224))
    >>> grid_of(197), grid_of(196)
    (TokenGrid(skip=1, size=None), None)
    """

    def grid_of(count: int) -> TokenGrid | None:
        size = grid.size or grid_of_ratio(count - grid.skip, image_size)
        return grid if size is not None and 1 < prod(size) == count - grid.skip else None

    return grid_of


def ends_a_step(module: nn.Module) -> bool:
    """Tell whether a module is more than a linear layer, an activation or a dropout of torch."""
    of_torch = type(module) in vars(nn).values()
    return bool(module._modules) or not of_torch or isinstance(module, nn.LayerNorm | nn.RMSNorm)


def last_tokens(clone: nn.Module, images: Tensor, grid_of: GridOf) -> tuple[str, TokenGrid] | None:
    """Return the last normalization of tokens, and its grid. The arguments are as below."""
    norms = [
        name
        for name, module in clone.named_modules()
        if isinstance(module, nn.LayerNorm | nn.RMSNorm)
    ]
    found = used_tokens(clone, images, norms, grid_of, used=False)
    return found[0] if found else None


def used_tokens(
    clone: nn.Module,
    images: Tensor,
    layers: Collection[str],
    grid_of: GridOf,
    *,
    linear: str | None = None,
    used: bool = True,
) -> list[tuple[str, TokenGrid]]:
    """Return those of some layers that return tokens which change the logits, the last first.

    Parameters
    ----------
    clone
        A private copy of the network, in evaluation mode.
    images
        Trial images.
    layers
        Names of modules.
    grid_of
        From a number of tokens to their grid.
    linear
        Name of the linear layer that returns the logits, if it is known. Its weights are often
        zero before training, so its input is looked at.
    used
        Whether the patch tokens must change the logits.
    """
    found: list[tuple[str, Tensor]] = []
    inputs: list[Tensor] = []

    def hook(name: str) -> Callable[[nn.Module, object, object], None]:
        def keep(_module: nn.Module, _inputs: object, output: object) -> None:
            if isinstance(output, Tensor) and output.ndim == 3 and output.requires_grad:
                found.append((name, output))

        return keep

    handles = [
        clone.get_submodule(name).register_forward_hook(hook(name)) for name in layers if name
    ]
    if linear is not None:
        module = clone.get_submodule(linear)
        handles.append(module.register_forward_pre_hook(lambda _, given: inputs.append(given[0])))
    try:
        with torch.inference_mode(False), torch.enable_grad():
            outputs: object = clone(images[:1].clone().requires_grad_())
    finally:  # before the gradient: a block with checkpoints is computed once more for it
        for handle in handles:
            handle.remove()
    score = inputs[-1] if inputs else outputs
    if not isinstance(score, Tensor) or not score.requires_grad or not found:
        return []
    with torch.inference_mode(False), torch.enable_grad():
        weights = torch.linspace(1, 2, score.numel(), device=score.device, dtype=score.dtype)
        gradients = torch.autograd.grad(
            score.flatten() @ weights, [tokens for _, tokens in found], allow_unused=True
        )
    return [
        (name, grid)
        for (name, tokens), gradient in zip(reversed(found), reversed(gradients), strict=True)
        if (grid := grid_of(tokens.shape[1])) is not None
        if not used or (gradient is not None and bool(gradient[:, grid.skip :].any()))
    ]
