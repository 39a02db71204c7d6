"""Checksums of image and truth of each sample, as a run stores them."""

from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from cameval.data import Sample

RECORD = "sums_of_samples"
"""Where the record of a run has them."""

NUMBERS = ("image", "truth")


def image_sum(sample: Sample) -> int:
    """Return a checksum of the image of a sample."""
    image = np.ascontiguousarray(sample.image)
    return crc32(image.data, crc32(f"{image.shape}".encode()))


def truth_sum(sample: Sample) -> int:
    """Return a checksum of the mask of a sample with one target."""
    return crc32(np.packbits(sample.mask).data, crc32(f"{sample.mask.shape}".encode()))


def sums_record(
    names: NDArray[np.str_], labels: NDArray[np.int64], sums: NDArray[np.uint32]
) -> dict[str, Any]:
    """Return what the record of a run has: of each row its sample, label, and both checksums."""
    lists = {"sample": names.tolist(), "label": labels.tolist()}
    return {RECORD: lists | dict(zip(NUMBERS, sums.T.tolist(), strict=True))}
