"""The page: sections, and how they are written."""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from cameval.evaluation import Column, Results
from cameval.evaluation.store import write_atomically
from cameval.report import notes, tables
from cameval.report.comparisons import method_tests, model_table, test_table
from cameval.report.facts import MOST_MODELS, Facts
from cameval.report.figures import Picture, figures
from cameval.report.files import made, write_bytes
from cameval.report.findings import caveats, findings, what_was_run
from cameval.report.listing import Example, read_examples
from cameval.report.parts import class_table, correctness_table, explained_table
from cameval.report.tables import Table
from cameval.report.text import metric_title, name, number, percent, printable

__all__ = ["write_report"]

TITLE = "Where the network looks, and how well that agrees with the truth"


def write_report(results: Results, folder: Path, *, title: str | None = None) -> Path:
    """Write an evaluation as one page that anyone can open: ``report.html``.

    The page needs nothing but itself: style and figures are inside. The figures are also written
    to ``figures/``. Pictures that `draw_examples` left in the folder are shown, if they are of
    these results.

    Parameters
    ----------
    results
        What `evaluate` returned; of several models, what ``Results.concat`` returned.
    folder
        Where to write; it is made when needed.
    title
        Title of the page.

    Returns
    -------
    pathlib.Path
        The page.

    Raises
    ------
    SettingError
        If the folder cannot be made.
    DataError
        If ``figures/examples.json`` is damaged.

    Examples
    --------
    ``write_report(evaluate(network, samples), Path("run"), title="ResNet-50 on chest X-rays")``
    """
    folder = Path(folder)
    pictures_in = made(folder / "figures")
    facts = Facts(results)
    examples = _examples(facts, folder)
    pictures = figures(facts)
    families = {model: method_tests(facts, model, column) for model, column in facts.of_models()}
    sections = _sections(facts, families, pictures, examples)
    text = (
        _environment()
        .get_template("report.html.j2")
        .render(
            title=name(title or TITLE, 200),
            what_was_run=what_was_run(facts),
            findings=[findings(facts, m, families.get(m)) for m in facts.models[:MOST_MODELS]],
            more_models=max(0, len(facts.models) - MOST_MODELS),
            caveats=caveats(facts),
            sections=[section for section in sections if not section.empty],
            settings=notes.settings(facts),
        )
    )
    for picture in pictures:
        write_bytes(pictures_in / picture.file, picture.data)
    page = folder / "report.html"
    write_atomically(page, printable(text))
    return page


@dataclass(frozen=True)
class Shown:
    """An example as it is shown: its picture, and what is said of it."""

    data: bytes
    alt: str
    pick: str
    caption: str


@dataclass(frozen=True)
class Section:
    """A part of the page."""

    anchor: str
    title: str
    lead: str = ""
    tables: Sequence[Table] = ()
    pictures: Sequence[Picture] = ()
    examples: Sequence[tuple[str, Sequence[Shown]]] = field(default=())

    @property
    def empty(self) -> bool:
        """Whether there is nothing to show."""
        return not (self.tables or self.pictures or self.examples or self.lead)


def _sections(
    facts: Facts,
    families: Mapping[str, pd.DataFrame | None],
    pictures: Sequence[Picture],
    examples: Section,
) -> list[Section]:
    def several(*found: Table | None) -> list[Table]:
        return [table for table in found if table is not None]

    undefined = several(notes.undefined_table(facts), notes.constant_table(facts))
    return [
        Section(
            "masks",
            "Masks",
            tables=several(
                tables.main_table(facts), tables.other_table(facts), tables.outcome_table(facts)
            ),
        ),
        Section(
            "maps", "Maps without a threshold", tables=several(tables.threshold_free_table(facts))
        ),
        Section("classes", "Classes", tables=several(class_table(facts))),
        Section(
            "predictions",
            "Right and wrong predictions",
            tables=several(correctness_table(facts), explained_table(facts)),
        ),
        Section(
            "tests",
            "Paired tests",
            tables=several(test_table(facts, families), model_table(facts)),
        ),
        Section("figures", "Figures", pictures=pictures),
        examples,
        Section(
            "undefined",
            "Undefined scores and constant maps",
            "" if undefined else "Every score is defined, and no map is constant.",
            undefined,
        ),
    ]


# --- Examples -----------------------------------------------------------------------------------


def _examples(facts: Facts, folder: Path) -> Section:
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
        mask = f"Right, dashed: the mask of {name(one.binarizer)}. " if one.binarizer else ""
        lead = (
            f"{name(one.model)}, {name(one.method)}, the {name(one.explained)} class; chosen by "
            f"{metric_title(one.metric)}. Left: the map as heat, each on its own scale. {mask}"
            "White: the truth."
        )
    if strange:
        lead += f" {strange} examples in the folder are of other results, and are not shown."
    titles = {None: "All images"} | {
        label: facts.class_name(label) for label in groups if label is not None
    }
    return Section(
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
    parts = [score, f"object {percent(float(sample['area']))}"]
    if facts.labels_are_classes:
        said = facts.class_name(int(sample["predicted"]))
        right = sample["predicted"] == sample["label"]
        parts.append(f"predicted {said}" + ("" if right else " (wrong)"))
    alt = (
        f"Map and mask of {name(example.method)} on image {name(example.sample)}, "
        f"with the outline of the truth; {score}."
    )
    caption = f"{', '.join(parts)}; image {name(example.sample, 60)}"
    return Shown(data, alt, example.pick, caption)


# --- Writing ------------------------------------------------------------------------------------


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("cameval.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["as_png"] = _as_png
    return environment


def _as_png(data: bytes) -> Markup:
    """Return bytes of a PNG as the address of an image."""
    return Markup("data:image/png;base64," + b64encode(data).decode("ascii"))
