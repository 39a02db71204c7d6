"""The section of examples: what `draw_examples` wrote to the folder."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from cameval.evaluation import Column
from cameval.report.facts import Facts
from cameval.report.listing import Example, read_examples
from cameval.report.section import Section
from cameval.report.text import count_of, metric_title, name, number, percent

__all__ = ["ExampleSection", "Shown", "example_section"]


@dataclass(frozen=True)
class Shown:
    """An example as it is shown: its picture, and what is said of it."""

    data: bytes
    alt: str
    pick: str
    caption: str


@dataclass(frozen=True)
class ExampleSection(Section):
    """A section whose pictures stand in groups, each under a title."""

    examples: Sequence[tuple[str, Sequence[Shown]]] = ()

    @property
    def empty(self) -> bool:
        """Whether there is nothing to show."""
        return super().empty and not self.examples


def example_section(facts: Facts, folder: Path) -> ExampleSection:
    """Return the examples in the folder that are of these results."""
    found = read_examples(folder)
    rows = {example: _row(facts, example) for example in found}
    groups: dict[int | None, list[Shown]] = {}
    for example, row in rows.items():
        if row is not None:
            file = folder / "figures" / "examples" / example.file
            shown = _shown(facts, example, row, file.read_bytes())
            groups.setdefault(example.label, []).append(shown)
    strange = sum(row is None for row in rows.values())
    lead = ""
    if groups:
        one = next(example for example, row in rows.items() if row is not None)
        mask = f"Right, dashed: the mask by {name(one.binarizer)}. " if one.binarizer else ""
        lead = (
            f"Maps of {name(one.method)} of {name(one.model)} for "
            f"{facts.class_explained(one.explained)}; the images were chosen by "
            f"{metric_title(one.metric)}. Left: the map, colored from its own lowest value to its "
            f"highest. {mask}White: the outline of the truth."
        )
    if strange:
        are = "is of other results, and is" if strange == 1 else "are of other results, and are"
        lead += f" {count_of(strange, 'example')} in the folder {are} not shown."
    titles = {None: "All images"} | {
        label: facts.class_name(label) for label in groups if label is not None
    }
    return ExampleSection(
        "examples",
        "Examples",
        lead.strip(),
        examples=[(titles[label], several) for label, several in groups.items()],
    )


def _row(facts: Facts, example: Example) -> int | None:
    """Return the row of an example's sample, if it has the score that the example says."""
    column = Column(example.explained, "method", example.method, example.binarizer, example.metric)
    samples = facts.results.samples
    here = (samples["model"] == example.model) & (samples["sample"] == example.sample)
    if column not in facts.results.columns or not here.any():
        return None
    row = int(np.flatnonzero(here)[0])
    value = facts.results.values[row, facts.results.columns.index(column)]
    return row if np.isclose(value, example.score, rtol=1e-9, atol=1e-12) else None


def _shown(facts: Facts, example: Example, row: int, data: bytes) -> Shown:
    sample = facts.results.samples.iloc[row]
    score = f"{metric_title(example.metric)} {number(example.score)}"
    parts = [score, f"object {percent(float(sample['area']))} of the image"]
    if facts.classified(example.model) and not pd.isna(sample["predicted"]):
        said = facts.class_name(int(sample["predicted"]))
        wrong = not pd.isna(sample["label"]) and sample["predicted"] != sample["label"]
        parts.append(f"predicted {said}" + (" (wrong)" if wrong else ""))
    alt = (
        f"Map and mask of {name(example.method)} on image {name(example.sample)}, "
        f"with the outline of the truth; {score}."
    )
    caption = f"{', '.join(parts)}; image {name(example.sample, 60)}"
    return Shown(data, alt, example.pick, caption)
