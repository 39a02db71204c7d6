"""The method that is the best on the images on which binarizers were chosen."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class ChosenMethod:
    """The best method of a choice.

    Parameters
    ----------
    method
        Its label.
    n_methods
        Of how many methods it is the best.
    images, groups
        On how many images of how many groups; None if it is not known.
    """

    method: str
    n_methods: int
    images: int | None
    groups: int | None


def chosen_method(
    record: Mapping[str, Any], target_class: str | None = None
) -> ChosenMethod | None:
    """Return the method with the best mean in the record of a choice, over all labels.

    Parameters
    ----------
    record
        As of `Choice.record`.
    target_class
        Of the maps; by default the first of the record.

    Returns
    -------
    ChosenMethod or None
        The first of those with equal means; None if the record has no method of the target class.
    """
    rows = [
        row
        for row in record.get("binarizers") or ()
        if row["kind"] == "method" and row.get("label") is None
    ]
    of_class = rows[0]["target_class"] if rows and target_class is None else target_class
    means = {row["method"]: row["score"] for row in rows if row["target_class"] == of_class}
    if not means:
        return None
    best = max if record["higher_is_better"] else min
    images, groups = record.get("images"), record.get("groups")
    return ChosenMethod(best(means, key=means.__getitem__), len(means), images, groups)
