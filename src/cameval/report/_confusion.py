"""The table of predicted classes by label, with the share of each class that is found."""

from collections.abc import Iterable

import numpy as np

from cameval.evaluation._scores import Images
from cameval.report._marks import share_cell
from cameval.report._names import Names
from cameval.report.sections import Block, Cell, Row, Table

_MOST_CLASSES = 12
"""Of more classes there is no table."""


def confusion_table(all_images: Iterable[Images], names: Names) -> Table | None:
    """Return how often each class is predicted for each label, if there are at most 12 classes."""
    every = [one for one in all_images if one.has_accuracy and not one.is_multilabel]
    pairs = [one.samples[["label", "predicted"]][one.rated] for one in every]
    classes = sorted({int(value) for of_model in pairs for value in np.unique(of_model)})
    if not 1 < len(classes) <= _MOST_CLASSES:
        return None
    blocks = []
    for images in every:
        predicted = images.samples["predicted"].fillna(-1).to_numpy(np.int64)
        rows = []
        for label in classes:
            here = images.rated & (images.labels == label)
            cells = [Cell(f"{int((predicted[here] == one).sum()):,}") for one in classes]
            found = Cell("")
            if here.any():
                found = share_cell(images.correct[here].astype(float), images.groups[here])
            rows.append(Row(Cell(names.class_name(label)), [*cells, found]))
        blocks.append(Block(rows, names.with_model(images.model, "")))
    part = f"{names.row}s{' with an object' if names.several else ''}"
    return Table(
        "Predicted class by label",
        ["label", *map(names.class_name, classes), "found"],
        blocks,
        [
            f"A row has the {part} of a label, by predicted class. Found: the share of them that "
            "are predicted as their label (sensitivity), in brackets the 95 % interval by "
            f"{names.group}.",
        ],
    )
