"""Hypothesis strategies: boolean masks and real maps as torch tensors, with edge cases."""

import torch
from hypothesis import strategies as st
from torch import Tensor

__all__ = ["maps", "mask_pairs", "masks", "shapes"]

MAX_SIDE = 6


def shapes(leading: int = 0) -> st.SearchStrategy[tuple[int, ...]]:
    """Draw shapes of images of at least one pixel, with `leading` further axes of 1 to 3."""
    side = st.integers(1, MAX_SIDE)
    return st.tuples(*[st.integers(1, 3)] * leading, side, side)


@st.composite
def masks(draw: st.DrawFn, shape: tuple[int, ...] | None = None, min_true: int = 0) -> Tensor:
    """Draw a mask, often an empty or a full one."""
    shape = shape or draw(shapes())
    size = torch.Size(shape).numel()
    flat = draw(
        st.one_of(
            st.lists(st.booleans(), min_size=size, max_size=size),
            st.sampled_from([[False] * size, [True] * size]),
        ).filter(lambda pixels: sum(pixels) >= min_true)
    )
    return torch.tensor(flat).reshape(shape)


@st.composite
def mask_pairs(draw: st.DrawFn, min_true: int = 0) -> tuple[Tensor, Tensor]:
    """Draw a predicted mask and a true one of its shape with at least `min_true` pixels."""
    shape = draw(shapes())
    return draw(masks(shape)), draw(masks(shape, min_true=min_true))


@st.composite
def maps(
    draw: st.DrawFn, shape: tuple[int, ...] | None = None, dtype: torch.dtype = torch.float32
) -> Tensor:
    """Draw a finite map: continuous, full of ties, rectified or constant."""
    shape = shape or draw(shapes())
    size = torch.Size(shape).numel()
    values = draw(
        st.sampled_from(
            [
                st.floats(-100, 100, width=16, allow_subnormal=False),  # exact in every dtype
                st.integers(-2, 2).map(float),
                st.integers(-20, 5).map(lambda value: max(value, 0) / 4),
                st.just(draw(st.integers(-3, 3)) / 8),
            ]
        )
    )
    flat = draw(st.lists(values, min_size=size, max_size=size))
    return torch.tensor(flat, dtype=dtype).reshape(shape)
