"""The section of example images, read from the folder of a report."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cameval.evaluation import Column, Results
from cameval.evaluation._scores import Images
from cameval.evaluation._words import metric_title, one_line
from cameval.report._names import Names
from cameval.report.examples import Example, read_examples
from cameval.report.formatting import format_count, format_number, format_percent
from cameval.report.sections import Section


@dataclass(frozen=True)
class ExamplePicture:
    """A picture of an example, with its words."""

    data: bytes
    alt: str
    pick: str
    caption: str


@dataclass(frozen=True)
class ExampleSection(Section):
    """A section whose pictures are in groups, each with a title."""

    examples: Sequence[tuple[str, Sequence[ExamplePicture]]] = ()

    @property
    def empty(self) -> bool:
        """Whether there is nothing to show."""
        return super().empty and not self.examples


def make_example_section(
    results: Results, images: Mapping[str, Images], names: Names, folder: Path
) -> ExampleSection:
    """Return the examples in the folder that are of these results."""
    rows = {example: _find_row(results, example) for example in read_examples(folder)}
    groups: dict[int | None, list[ExamplePicture]] = {}
    for example, row in rows.items():
        if row is not None:
            file = folder / "figures" / "examples" / example.file
            has_accuracy = images[example.model].has_accuracy
            picture = _make_picture(
                example, results.samples.iloc[row], names, file.read_bytes(), has_accuracy
            )
            groups.setdefault(example.label, []).append(picture)
    n_others = sum(row is None for row in rows.values())
    lead = ""
    if groups:
        first = next(example for example, row in rows.items() if row is not None)
        lead = _describe_pictures(first, names)
    if n_others:
        are = "is of other results, and is" if n_others == 1 else "are of other results, and are"
        lead += f" {format_count(n_others, 'example')} in the folder {are} not shown."
    titles = {None: names.all_rows.capitalize()} | {
        label: names.class_name(label) for label in groups if label is not None
    }
    examples = [(titles[label], pictures) for label, pictures in groups.items()]
    return ExampleSection("examples", "Examples", lead.strip(), examples=examples)


def _describe_pictures(example: Example, names: Names) -> str:
    binarizer = one_line(example.binarizer)
    mask = f"Right, dashed: the mask by {binarizer}. " if example.binarizer else ""
    return (
        f"{_describe_maps(example, names)}; the {names.row}s were chosen by "
        f"{metric_title(example.metric)}. Left: the map, colored from its own lowest value to its "
        f"highest. {mask}White: the outline of the truth."
    )


def _describe_maps(example: Example, names: Names) -> str:
    if example.method in names.contents.given:
        return f"Maps of {one_line(example.method)}, made elsewhere"
    return (
        f"Maps of {one_line(example.method)} of {one_line(example.model)} for "
        f"{names.target_class(example.target_class)}"
    )


def _find_row(results: Results, example: Example) -> int | None:
    """Return the row of an example's sample, if it has the score of the example."""
    column = Column(
        example.target_class, "method", example.method, example.binarizer, example.metric
    )
    samples = results.samples
    here = (samples["model"] == example.model) & (samples["sample"] == example.sample)
    if example.target is not None:
        here &= (samples["label"] == example.target).fillna(False).astype(bool)
    if column not in results.columns or not here.any():
        return None
    row = int(np.flatnonzero(here)[0])
    value = results.values[row, results.columns.index(column)]
    return row if np.isclose(value, example.score, rtol=1e-9, atol=1e-12) else None


def _make_picture(
    example: Example, sample: "pd.Series[Any]", names: Names, data: bytes, has_accuracy: bool
) -> ExamplePicture:
    score = f"{metric_title(example.metric)} {format_number(example.score)}"
    area = format_percent(float(sample["area"]))
    parts = [score, f"object {area} of the scored pixels"]
    has_class = names.several or names.is_multilabel
    if has_class and not pd.isna(sample["label"]):
        parts.insert(0, names.class_name(int(sample["label"])))
    if names.is_multilabel:
        if not pd.isna(sample["probability"]):
            parts.append(f"probability {format_number(float(sample['probability']))}")
    elif has_accuracy and not pd.isna(sample["predicted"]):
        predicted = names.class_name(int(sample["predicted"]))
        wrong = not pd.isna(sample["label"]) and sample["predicted"] != sample["label"]
        parts.append(f"predicted {predicted}" + (" (wrong)" if wrong else ""))
    alt = (
        f"Map and mask of {one_line(example.method)} on image {one_line(example.sample)}, "
        f"with the outline of the truth; {score}."
    )
    parts += [one_line(example.remark)] if example.remark else []
    caption = f"{', '.join(parts)}; image {one_line(example.sample, 60)}"
    return ExamplePicture(data, alt, example.pick, caption)
