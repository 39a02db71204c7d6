"""A sample's pixels as few bytes, from which the very same bits come back.

An image that was scaled from whole numbers, ``k / scale`` with scale up to 65,535, is written as
these numbers, in 8 or 16 bits; a quotient of such numbers rounds to the same float32 whichever way
it is taken. Any other image is written as it is. The mask follows, eight pixels to a byte.
"""

import numpy as np
from numpy.typing import NDArray

__all__ = ["decode", "encode", "size_in_bytes"]

Bytes = NDArray[np.uint8]

_LARGEST = 65535


def encode(image: NDArray[np.float32], mask: NDArray[np.bool_]) -> tuple[Bytes, int]:
    """Return image and mask as bytes, and the scale; 0 where the image is written as it is."""
    image = np.ascontiguousarray(image)
    scale, codes = _find_codes(image)
    pixels: Bytes = (image.astype("<f4") if codes is None else codes).reshape(-1).view(np.uint8)
    return np.concatenate([pixels, np.packbits(mask)]), scale


def decode(
    raw: Bytes, shape: tuple[int, ...], scale: int
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return image and mask; the inverse of `encode` for an image of that shape."""
    height, width = shape[:2]
    split = raw.size - _mask_bytes(shape)
    codes = raw[:split].view(_dtype(scale)).reshape(shape)
    image = np.divide(codes, np.float32(scale), dtype=np.float32) if scale else codes.astype("=f4")
    bits = np.unpackbits(raw[split:], count=height * width)
    return image, bits.view(np.bool_).reshape(height, width)


def size_in_bytes(shape: tuple[int, ...], scale: int) -> int:
    """Return how many bytes `encode` gives."""
    size = _dtype(scale).itemsize
    for side in shape:
        size *= side
    return size + _mask_bytes(shape)


def _dtype(scale: int) -> np.dtype[np.generic]:
    return np.dtype("<f4" if scale == 0 else "u1" if scale <= 255 else "<u2")


def _mask_bytes(shape: tuple[int, ...]) -> int:
    return (shape[0] * shape[1] + 7) // 8


def _find_codes(image: NDArray[np.float32]) -> tuple[int, NDArray[np.generic] | None]:
    """Return a scale that gives the image back bit by bit, and the whole numbers."""
    positive = image[image > 0]
    step = 1 / float(positive.min()) if positive.size else 1.0
    own = [round(step)] if step < _LARGEST else []
    for scale in (255, *own, _LARGEST):
        codes = np.rint(image * np.float32(scale)).astype(_dtype(scale))
        again = np.divide(codes, np.float32(scale), dtype=np.float32)
        if np.array_equal(again.view(np.uint32), image.view(np.uint32)):
            return scale, codes
    return 0, None
