"""Checksums of samples: of all contents, of the image, and of the truth."""

import json
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from cameval._arrays import array_sum
from cameval.data import Sample

RECORD = "sums_of_samples"
"""Where the record of a run has them."""

NUMBERS = ("image", "truth")


def fingerprint(sample: Sample) -> int:
    """Return a checksum of the contents of a sample."""
    words = f"{sample.name}\0{sample.group}\0{sample.image.shape}\0{sample.spacing}"
    found = crc32(np.ascontiguousarray(sample.image).data, crc32(words.encode()))
    arrays: list[NDArray[Any] | None] = [sample.ignore]
    for target in sample.targets:
        found = crc32(f"{target.label}".encode(), found)
        arrays += [target.mask, target.boxes, target.instances]
    for array in arrays:
        if array is not None:
            found = crc32(np.ascontiguousarray(array).data, found)
    return crc32(info_text(sample).encode(), found) if sample.info else found


def info_text(sample: Sample) -> str:
    """Return the columns that a user adds, as JSON."""
    return json.dumps(dict(sample.info), ensure_ascii=False)


def image_sum(sample: Sample) -> int:
    """Return a checksum of the image of a sample."""
    return array_sum(sample.image)


def truth_sum(sample: Sample) -> int:
    """Return a checksum of the mask of a sample with one target."""
    return crc32(np.packbits(sample.mask).data, crc32(f"{sample.mask.shape}".encode()))


def sums_record(
    names: NDArray[np.str_], labels: NDArray[np.int64], sums: NDArray[np.uint32]
) -> dict[str, Any]:
    """Return what the record of a run has: of each row its sample, label, and both checksums."""
    lists = {"sample": names.tolist(), "label": labels.tolist()}
    return {RECORD: lists | dict(zip(NUMBERS, sums.T.tolist(), strict=True))}
