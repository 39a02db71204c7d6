"""Example images: best, median and worst of each class, as files and as a section."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import interpolate

from cameval.data import Sample
from cameval.errors import DataError, SettingError
from cameval.evaluation import Column, Preparation, Results
from cameval.evaluation._loading import SizedSamples
from cameval.evaluation._run_folder import write_atomically
from cameval.evaluation.preparation import Prepare
from cameval.extractor import Alignment, CAMExtractor
from cameval.plots import overlay
from cameval.protocols import Binarizer, CAMMethod
from cameval.report._format import (
    count_of,
    made,
    metric_title,
    name,
    number,
    percent,
    png,
    write_bytes,
)
from cameval.report._view import Facts
from cameval.report.sections import Section

__all__ = ["Example", "draw_examples"]


@dataclass(frozen=True)
class Example:
    """A picture of one sample's map and mask, and why it was chosen.

    Parameters
    ----------
    model, sample
        Whose map, and of which image.
    explained, method, binarizer, metric
        Which map and mask, and by which metric it was chosen; as of :class:`Column`.
    pick
        ``"best"``, ``"median"`` or ``"worst"``; ``"highest"`` and ``"lowest"`` of a metric that
        does not say which is better.
    label
        The true class among which it was chosen; None for all images.
    score
        Its value of the metric.
    file
        Name of the picture in ``figures/examples/``.
    """

    model: str
    sample: str
    target_class: str
    method: str
    binarizer: str
    metric: str
    pick: str
    label: int | None
    score: float
    file: str


def write_examples(figures: Path, examples: Sequence[Example]) -> None:
    """Write the list of examples, whose pictures are in a folder beside it."""
    text = json.dumps({"examples": [asdict(example) for example in examples]}, indent=2)
    write_atomically(figures / "examples.json", text)


def read_examples(folder: Path) -> list[Example]:
    """Read what `draw_examples` wrote to the folder; nothing where it wrote nothing.

    Raises
    ------
    DataError
        If the file is damaged, or a picture is missing.
    """
    file = folder / "figures" / "examples.json"
    try:
        words = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return []
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(
            f"{file} must be the list of the examples as JSON, got {error}; delete it to have a "
            "report without them"
        ) from error
    records = words.get("examples") if isinstance(words, dict) else None
    if not isinstance(records, list):
        raise DataError(f"{file} must hold the list examples, got {str(words)[:60]}")
    examples = [_checked(record, file) for record in records]
    for example in examples:
        if not (file.parent / "examples" / example.file).is_file():
            raise DataError(
                f"{file}: its pictures must be in {file.parent / 'examples'}, got no {example.file}"
            )
    return examples


def _checked(record: object, file: Path) -> Example:
    """Return a record as an example, if it is one."""
    if not isinstance(record, Mapping) or set(record) != {f.name for f in fields(Example)}:
        raise DataError(f"{file}: an example must have the fields of Example, got {record!r:.80}")
    words: dict[str, Any] = dict(record)
    label, score = words["label"], words["score"]
    whole = isinstance(label, int) and not isinstance(label, bool)
    good = all(isinstance(v, str) for k, v in words.items() if k not in ("label", "score"))
    if not good or not (label is None or whole) or not isinstance(score, int | float):
        raise DataError(f"{file}: an example must be words, a label, a score, got {record!r:.80}")
    if not re.fullmatch(r"[\w-]+\.png", words["file"], re.ASCII):
        raise DataError(f"{file}: file must be the name of a picture, got {words['file']!r:.80}")
    return Example(**words)


MOST_CLASSES = 6


def draw_examples(
    results: Results,
    samples: SizedSamples,
    model: nn.Module,
    folder: Path,
    *,
    method: tuple[str, CAMMethod],
    binarizer: tuple[str, Binarizer],
    prepare: Prepare | None = None,
    alignment: Alignment = "half_pixel",
) -> list[Example]:
    """Draw the best, the median and the worst image of all and of each class.

    The maps are made again, for the class that the results explain first. Each picture shows the
    map in colors, and beside it the outline of the mask, both with the outline of the truth.
    `write_report` finds the pictures in the folder, and shows them.

    Parameters
    ----------
    results
        Results of one model.
    samples
        What was evaluated: row i of the results is sample i.
    model
        The network.
    folder
        Where ``figures/examples/`` and ``figures/examples.json`` are written.
    method, binarizer
        Which of those evaluated: label, and the thing itself. Images are chosen by IoU, or by the
        first metric of masks, or of maps, where that was not evaluated.
    prepare, alignment
        As they were for `evaluate`.

    Returns
    -------
    list of Example
        What was drawn, of at most six classes, the most frequent. A class with one defined score
        has one example, with two the best and the worst.

    Raises
    ------
    SettingError
        If the results are of several models, lack the method or binarizer, have no metric but
        counted outcomes, or explain what cannot be made again: a class that a function chose.
    DataError
        If a sample is not the one that was evaluated.
    """
    facts = Facts(results)
    if len(facts.models) > 1:
        raise SettingError(
            f"results must be of one model, got {len(facts.models)}; choose one, as in "
            f"results.select(model={facts.models[0]!r})"
        )
    column = _column(facts, method[0], binarizer[0])
    prepare = Preparation() if prepare is None else prepare
    extract = CAMExtractor(model, method[1], alignment)
    pictures = made(Path(folder) / "figures" / "examples")
    drawn: dict[int, str] = {}
    examples = []
    for label, pick, row in _picks(facts, column):
        if row not in drawn:
            sample = _sample(samples, row, str(results.samples["sample"].iloc[row]))
            class_ = _class(facts, column.target_class, row)
            drawn[row] = f"sample-{row:06d}.png"
            write_bytes(
                pictures / drawn[row], _drawn(sample, extract, class_, binarizer[1], prepare)
            )
        examples.append(
            Example(
                model=facts.models[0],
                sample=str(results.samples["sample"].iloc[row]),
                target_class=column.target_class,
                method=column.method,
                binarizer=column.binarizer,
                metric=column.metric,
                pick=pick,
                label=label,
                score=float(results.values[row, results.columns.index(column)]),
                file=drawn[row],
            )
        )
    write_examples(pictures.parent, examples)
    return examples


# --- Which --------------------------------------------------------------------------------------
def _column(facts: Facts, method: str, binarizer: str) -> Column:
    """Return the column by which examples are chosen."""
    target_class = next((e for e in facts.target_class if _what(facts, e) is not None), None)
    if target_class is None:
        raise SettingError(
            "results must explain 'predicted', 'true' or a class index for maps to be made again, "
            f"got {', '.join(facts.target_class)}"
        )
    of_method = facts.results.select(method=method, kind="method", target_class=target_class)
    if facts.mask_metrics:
        of_method = of_method.select(binarizer=binarizer)
    chosen = [c for c in of_method.columns if c.metric == facts.headline]
    if not chosen:
        raise SettingError(
            "results must have a metric to choose examples by, got counted outcomes alone"
        )
    return chosen[0]


def _what(facts: Facts, target_class: str) -> str | int | None:
    """Return what a label of `target_class` stands for, if that can be had again."""
    known = facts.meanings.target_class.get(target_class)
    return None if known is None else known.classes


def _class(facts: Facts, target_class: str, row: int) -> int:
    what = _what(facts, target_class)
    if isinstance(what, int):
        return what
    of_row = facts.results.samples.iloc[row]
    return int(of_row["predicted"] if what == "predicted" else of_row["label"])


def _picks(facts: Facts, column: Column) -> list[tuple[int | None, str, int]]:
    """Return class, pick and row of each example: of all images first."""
    values = facts.results.values[:, facts.results.columns.index(column)]
    labels = facts.labels(facts.models[0])
    counts = facts.results.samples["label"].dropna().value_counts()
    frequent = sorted(counts.index, key=lambda label: (-counts[label], label))[:MOST_CLASSES]
    parts: list[int | None] = [None]
    parts += sorted(map(int, frequent)) if len(counts) > 1 else []
    picks: list[tuple[int | None, str, int]] = []
    higher = facts.higher_is_better(column.metric)
    for label in parts:
        here = np.flatnonzero(~np.isnan(values) & (True if label is None else labels == label))
        ranked = here[np.argsort(values[here], kind="stable")]
        best, worst = ("highest", "lowest") if higher is None else ("best", "worst")
        if higher is False:
            ranked = ranked[::-1]
        places = {best: -1, "median": (len(ranked) - 1) // 2, worst: 0}
        shown = [(best,), (best, worst), (best, "median", worst)][min(len(ranked), 3) - 1]
        picks += [(label, pick, int(ranked[places[pick]])) for pick in shown if len(ranked)]
    return picks


def _sample(samples: SizedSamples, row: int, expected: str) -> Sample:
    if row >= len(samples):
        raise DataError(f"samples must be those of the results, got only {len(samples)}")
    sample = samples[row]
    if not isinstance(sample, Sample) or sample.name != expected:
        came = repr(sample.name) if isinstance(sample, Sample) else type(sample).__name__
        raise DataError(f"sample {row} must be {expected!r}, as in the results, got {came}")
    return sample


# --- Drawing ------------------------------------------------------------------------------------
def _drawn(
    sample: Sample, extract: CAMExtractor, class_: int, binarizer: Binarizer, prepare: Prepare
) -> bytes:
    """Draw a sample: map and truth, and beside it mask and truth."""
    seen, truth = prepare(sample)
    device = next((p.device for p in extract.model.parameters()), torch.device("cpu"))
    size = tuple(truth.shape)
    heat = extract(seen[None].to(device), class_, size=size).maps.detach()
    mask = binarizer(heat)[0]
    picture = _shown(sample, prepare, seen, size)
    figure = Figure(figsize=(6.4, 3.2 * size[0] / size[1]))
    left = figure.add_axes((0, 0, 0.497, 1))
    right = figure.add_axes((0.503, 0, 0.497, 1))
    overlay(left, picture, heat=heat[0].cpu(), truth=truth.cpu())
    overlay(right, picture, mask=mask.cpu(), truth=truth.cpu())
    return png(figure, dpi=110)


def _shown(
    sample: Sample, prepare: Prepare, seen: Tensor, size: tuple[int, ...]
) -> NDArray[np.float32]:
    """Return the part of the image that is on the grid of the truth, in [0, 1]."""
    if isinstance(prepare, Preparation):
        height, width = size
        seen, _ = replace(prepare, size=(height, width))(sample)
        mean, std = (torch.tensor(v)[:, None, None] for v in (prepare.mean, prepare.std))
        return np.asarray((seen * std + mean).clamp(0, 1).movedim(0, 2))
    image = sample.image
    if image.shape[:2] != size:  # another part of the image: show what the network sees
        low, high = seen.min(), seen.max()
        scaled = ((seen - low) / (high - low).clamp(min=1e-12)).float().cpu()
        resized = interpolate(scaled[None], size=size, mode="bilinear", antialias=True)[0]
        image = np.asarray(resized.clamp(0, 1).movedim(0, 2))
    if image.ndim == 3 and image.shape[2] != 3:
        image = image.mean(2)
    return image


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
            shown = _files_of(facts, example, row, file.read_bytes())
            groups.setdefault(example.label, []).append(shown)
    strange = sum(row is None for row in rows.values())
    lead = ""
    if groups:
        one = next(example for example, row in rows.items() if row is not None)
        mask = f"Right, dashed: the mask by {name(one.binarizer)}. " if one.binarizer else ""
        lead = (
            f"Maps of {name(one.method)} of {name(one.model)} for "
            f"{facts.target_class_words(one.target_class)}; the images were chosen by "
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
    column = Column(
        example.target_class, "method", example.method, example.binarizer, example.metric
    )
    samples = facts.results.samples
    here = (samples["model"] == example.model) & (samples["sample"] == example.sample)
    if column not in facts.results.columns or not here.any():
        return None
    row = int(np.flatnonzero(here)[0])
    value = facts.results.values[row, facts.results.columns.index(column)]
    return row if np.isclose(value, example.score, rtol=1e-9, atol=1e-12) else None


def _files_of(facts: Facts, example: Example, row: int, data: bytes) -> Shown:
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
