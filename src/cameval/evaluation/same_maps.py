"""Maps made elsewhere that are the same for several images: how they are found and counted."""

from collections.abc import Mapping, Sequence
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from cameval._checks import warn_user

__all__ = ["SameMapsWarning"]

RECORD = "same_maps"
"""Where the record of a run has the counts."""


class SameMapsWarning(UserWarning):
    """The same map was given for several images, of which images and truths differ.

    So it is where a loop writes its last map under every name, or a function returns a map that
    does not depend on its sample. Such a map does not see the image: it belongs to the baselines.
    Constant maps do not count here; tables have their number.
    """


def map_sum(given: Tensor) -> int:
    """Return a checksum of a map; 0 if it is constant, or is not in the memory of the host."""
    if given.device.type != "cpu" or bool((given == given.flatten()[0]).all()):
        return 0
    array = np.ascontiguousarray(given.numpy())
    return crc32(array.data, crc32(f"{array.shape}".encode())) or 1


def same_maps_record(
    labels: Sequence[str],
    names: NDArray[np.str_],
    sums: NDArray[np.uint32],
    map_sums: NDArray[np.uint32],
) -> dict[str, Any]:
    """Return what the record of a run has: for each source, how many images share a map.

    Parameters
    ----------
    labels
        Of the M sources of maps.
    names, sums
        The image of each row, and the checksums of its image and truth, ``(N, 2)``.
    map_sums
        Checksums of the maps, ``(N, M)``.
    """
    counts = {}
    for label, column in zip(labels, map_sums.T, strict=True):
        shared: set[str] = set()
        for one in np.unique(column[column > 0]):
            rows = np.flatnonzero(column == one)
            differ = (np.ptp(sums[rows].astype(np.int64), axis=0) > 0).all()
            shared |= set(names[rows].tolist()) if differ else set()
        if shared:
            counts[label] = len(shared)
    return {RECORD: {"images": len(np.unique(names)), "shared": counts}} if counts else {}


def same_maps_of(run: Mapping[str, Any]) -> tuple[dict[str, int], int]:
    """Return how many images share a map with another, by source, and how many images there are."""
    record = run.get(RECORD)
    known = record if isinstance(record, Mapping) else {}
    shared, images = known.get("shared"), known.get("images")
    if not isinstance(shared, Mapping) or not isinstance(images, int):
        return {}, 0
    return {str(k): n for k, n in shared.items() if isinstance(n, int) and n > 0}, images


def warn_of_same_maps(run: Mapping[str, Any]) -> None:
    """Warn if maps of a run are the same for several images."""
    found, images = same_maps_of(run)
    for label, n in found.items():
        warn_user(
            f"maps must differ between images, got the same map from {label} for {n} of {images} "
            "images or for parts of them; look for a loop that writes one map under several names, "
            "or a function that does not use its sample, and give maps that do not depend on the "
            "image as baselines",
            SameMapsWarning,
        )
