"""Hypothesis strategies: boolean masks and real maps as torch tensors, with edge cases."""

import numpy as np
import torch
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from torch import Tensor

from cameval.data import Sample, Target
from cameval.data.samples import _MISSING

__all__ = ["images", "maps", "mask_pairs", "masks", "samples", "shapes"]

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


@st.composite
def images(draw: st.DrawFn, shape: tuple[int, ...] | None = None) -> NDArray[np.float32]:
    """Draw an image of whole numbers over a scale, or of any floats in [0, 1]."""
    shape = shape or draw(shapes())
    if draw(st.booleans()):
        return draw(arrays(np.float32, shape, elements=st.floats(0, 1, width=32)))
    scale = draw(st.sampled_from([1, 2, 254, 255, 256, 3000, 65534, 65535]))
    whole = draw(arrays(np.int64, shape, elements=st.integers(0, scale)))
    return (whole / scale).astype(np.float32)


WORDS = st.text(st.characters(exclude_characters="\0\r", exclude_categories=["Cs"]), min_size=1)

INFO = st.dictionaries(
    WORDS.map(lambda word: f"own {word}"),
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | WORDS,
    max_size=3,
)  # fmt: skip


@st.composite
def samples(draw: st.DrawFn) -> Sample:
    """Draw a sample with everything that it can have: of an image or a volume."""
    size = draw(st.lists(st.integers(1, 5), min_size=2, max_size=3).map(tuple))
    channels = draw(st.sampled_from([(), (1,), (3,)]))
    labels = draw(st.lists(st.integers(0, 2**31 - 1), min_size=1, max_size=3, unique=True))
    if len(labels) == 1 and draw(st.booleans()):
        labels = [None]
    ignore = draw(st.none() | arrays(np.bool_, size))
    return Sample(
        draw(WORDS),
        draw(images((*size, *channels))),
        group=draw(st.none() | WORDS.filter(lambda word: word.strip(" ") and word not in _MISSING)),
        targets=[draw(_targets(label, size)) for label in labels],
        info=draw(INFO),
        ignore=None if ignore is None or ignore.all() else ignore,
        spacing=draw(st.none() | st.tuples(*[st.floats(1e-3, 1e3)] * len(size))),
    )


@st.composite
def _targets(draw: st.DrawFn, label: int | None, size: tuple[int, ...]) -> Target:
    """Draw a target of a mask, of boxes, of instances, or of several of these."""
    count = draw(st.integers(0, 3))
    kind = draw(st.sampled_from(["mask", "boxes", "mask and boxes", "numbers", "masks", "all"]))
    mask = draw(arrays(np.bool_, size)) if kind in ("mask", "mask and boxes") else None
    instances = None
    if kind == "numbers":
        dtype = draw(st.sampled_from(["u1", "<i2", ">i4", "<i8", "<u8"]))
        instances = draw(arrays(np.dtype(dtype), size, elements=st.integers(0, 127)))
    elif kind in ("masks", "all"):
        masks = draw(arrays(np.bool_, (count, *size)))
        instances = masks[masks.reshape(count, np.prod(size)).any(1)]
        count = len(instances)
    boxes = None
    if kind in ("boxes", "mask and boxes", "all"):
        low = [[draw(st.integers(0, side - 1)) for side in size[::-1]] for _ in range(count)]
        step = draw(st.sampled_from([0.25, 0.5, 1]))
        boxes = np.array([[*at, *(side + step for side in at)] for at in low])
        boxes = boxes.reshape(count, 2 * len(size))
        boxes = boxes.astype(draw(st.sampled_from(["<f8", ">f4", "<f2"])))
    return Target(label, mask, boxes, instances)
