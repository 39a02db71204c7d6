"""Maps made elsewhere that are the same for several images: how they are found and counted."""

from collections.abc import Mapping, Sequence
from typing import Any
from zlib import crc32

import numpy as np
import pandas as pd
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
    image, truth = sums.T
    table = pd.DataFrame({"name": names, "image": image, "truth": truth})
    counts = {}
    for label, column in zip(labels, map_sums.T, strict=True):
        known = table[column > 0]
        alike = known.groupby(column[column > 0], sort=False)
        differ = [alike[one].transform("nunique") > 1 for one in ("image", "truth")]
        counts[label] = int(known.loc[differ[0] & differ[1], "name"].nunique())
    shared = {label: n for label, n in counts.items() if n}
    return {RECORD: {"images": len(np.unique(names)), "shared": shared}} if shared else {}


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
            f"maps must differ between images, got maps of {label} that are the same as another's "
            f"for {n} of {images} images; look for a loop that writes one map under several names, "
            "or a function that does not use its sample, and give maps that do not depend on the "
            "image as baselines",
            SameMapsWarning,
        )
