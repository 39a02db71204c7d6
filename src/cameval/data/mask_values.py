"""Masks with other values than those of the object, which a mask value leaves out."""

import warnings
from collections.abc import Collection, Sequence
from contextlib import suppress

import numpy as np

from cameval.data.pictures import MaskFile, read_indices
from cameval.errors import DataError

__all__ = ["MaskValueWarning"]

_MOST = 50
"""The most masks that are read."""

_SHOWN = 6
"""The most values that are named."""


class MaskValueWarning(UserWarning):
    """Masks hold other nonzero values than `mask_value`, or none of them holds it.

    The pixels of other values are left out, as they are meant to be in masks of several classes. A
    mask of other values alone counts as one without an object. At most 50 masks are read for this,
    at equal steps in their order.

    Examples
    --------
    >>> import warnings
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from PIL import Image
    >>> from cameval.data import FolderDataset, MaskValueWarning
    >>> with TemporaryDirectory() as folder, warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always", MaskValueWarning)
    ...     Image.new("L", (6, 4), 255).save(Path(folder) / "1.png")
    ...     dataset = FolderDataset(folder, folder, mask_value=1)
    >>> str(caught[0].message).partition(";")[0]
    'mask_value must have all values of the object, got 1: of 1 mask, 0 hold it and 1 holds other \
nonzero values (255), which are left out'
    """


def warn_of_values(masks: Sequence[MaskFile]) -> None:
    """Warn once if masks with one setting hold other values, or none holds that of the object."""
    value = masks[0].value if masks else None
    if value is None:
        return
    wanted = {*value} if isinstance(value, Collection) else {value}
    some = [masks[k * len(masks) // _MOST] for k in range(_MOST)] if len(masks) > _MOST else masks
    held: list[set[int]] = []
    for mask in some:
        with suppress(DataError):  # told when the mask is read
            held.append({*np.unique(read_indices(mask.path)).tolist()})
    holders = sum(not wanted.isdisjoint(values) for values in held)
    left = [values - wanted - {0} for values in held]
    if 0 in wanted and holders:  # the object is the background of what is drawn
        return
    others = sorted(set().union(*left))
    if not held or (holders and not others):
        return
    count = sum(map(bool, left))
    steps = f" at equal steps of {len(masks):,}" if len(masks) > len(some) else ""
    shown = ", ".join(map(str, others[:_SHOWN])) + ", ..." * (len(others) > _SHOWN)
    beside = f" and {_hold(count)} other nonzero values ({shown}), which are left out"
    it = "it" if len(wanted) == 1 else "one of them"
    given = ", ".join(map(str, sorted(wanted)))
    warnings.warn(
        f"mask_value must have all values of the object, got {given}: of {len(held):,} "
        f"mask{'s' * (len(held) != 1)}{steps}, {_hold(holders)} {it}"
        f"{beside if others else ''}; if the object has other values, give all of them as "
        "mask_value, or --mask-value",
        MaskValueWarning,
        stacklevel=3,  # the line that makes the dataset
    )


def _hold(count: int) -> str:
    return f"{count:,} hold{'s' * (count == 1)}"
