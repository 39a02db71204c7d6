"""Slices changed at random, and their masks with them."""

import math
from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

Augmentation = Literal["none", "mirror", "affine"]
AUGMENTATIONS: tuple[Augmentation, ...] = get_args(Augmentation)

MOST_DEGREES, MOST_SHIFT, MOST_SCALE = 10.0, 0.05, 0.1


def augment(images: Tensor, masks: Tensor, how: Augmentation) -> tuple[Tensor, Tensor]:
    """Mirror slices left to right at random; by ``"affine"``, also turn, shift and scale them.

    Images ``(N, H, W)`` and masks ``(N, H, W)`` go through the same change, so that a mask stays on
    its tumor: images bilinearly, masks to the nearest pixel, black beyond the frame.
    """
    if how == "none":
        return images, masks
    mirrored = torch.rand(len(images)) < 0.5
    if how == "mirror":
        flip = mirrored[:, None, None].to(images.device)
        return images.where(~flip, images.flip(-1)), masks.where(~flip, masks.flip(-1))
    turn = _uniform(len(images), math.radians(MOST_DEGREES))
    scale = 1 + _uniform(len(images), MOST_SCALE)
    rows = torch.stack([turn.cos(), -turn.sin(), turn.sin(), turn.cos()], 1).view(-1, 2, 2)
    rows = rows * scale[:, None, None]
    rows[:, :, 0] *= torch.where(mirrored, -1.0, 1.0)[:, None]
    shift = torch.stack([_uniform(len(images), 2 * MOST_SHIFT) for _ in range(2)], 1)[:, :, None]
    shape = [len(images), 1, *images.shape[1:]]
    grid = affine_grid(torch.cat([rows, shift], 2), shape, align_corners=False).to(images.device)
    return (
        grid_sample(images[:, None], grid, align_corners=False)[:, 0].clamp(0, 1),
        grid_sample(masks[:, None].float(), grid, mode="nearest", align_corners=False)[:, 0] > 0,
    )


def _uniform(count: int, most: float) -> Tensor:
    """Draw numbers between -most and most."""
    return (2 * torch.rand(count) - 1) * most
