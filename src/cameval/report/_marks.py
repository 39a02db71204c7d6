"""Whether a negative has a marked pixel, by the scores that tell it; shares with intervals."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from cameval.evaluation._contents import Contents
from cameval.evaluation._numbers import MISSING
from cameval.evaluation._scores import Images
from cameval.evaluation.meaning import MetricMeaning
from cameval.report.formatting import format_percent
from cameval.report.sections import Cell
from cameval.statistics import ENOUGH_GROUPS, mean_interval


def mark_metric(contents: Contents, everything: Mapping[str, Images]) -> str | None:
    """Return the metric that tells whether a negative has a mark, if one was evaluated."""
    known = {**contents.mask_metrics, **contents.conventions}
    for label, meaning in known.items():
        if meaning.without_object in ("marked", "unmarked"):
            return label
    for label, meaning in known.items():
        if meaning.without_object == "zero" and _tells_unmarked(label, everything):
            return label
    return None


def _tells_unmarked(metric: str, everything: Mapping[str, Images]) -> bool:
    """Tell whether a mask without a mark has another score than 0 by the convention."""
    return any(
        (images.values(column)[~images.present] != 0).any()
        for images in everything.values()
        for column in images.columns
        if column.metric == metric
    )


def are_marked(values: NDArray[np.float64], meaning: MetricMeaning) -> NDArray[np.float64]:
    """Return 1 where a negative has a mark, 0 where it has none, by its score."""
    if meaning.without_object == "zero":
        return np.where(values == 0, 1.0, 0.0)
    marked = values > 0 if meaning.without_object == "marked" else values < 1
    return np.where(np.isnan(values), np.nan, marked)


def share_cell(values: NDArray[np.float64], groups: NDArray[np.str_]) -> Cell:
    """Return a share in percent with its interval."""
    if np.isnan(values).all():
        return Cell(MISSING)
    share = mean_interval(values, groups, bounds=(0, 1))
    interval = ""
    if not np.isnan(share.low):
        interval = f"[{format_percent(share.low)}, {format_percent(share.high)}]"
    return Cell(format_percent(share.estimate), interval, share.n_groups < ENOUGH_GROUPS)
